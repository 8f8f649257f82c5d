# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From APIC ids to places: package and core of a CPU of which Xen does not tell them. Pure.

The package is what stands above so many bits of the id, the core what is between. How many bits that are is tried out on all CPUs
whose place Xen tells: what a processor says about it may be wrong (QEMU's AMD model), and differs between vendors.
"""

import typing as t

from .cpuid import Widths

Place = t.Tuple[t.Optional[int], t.Optional[int]]

#: APIC ids have 32 bits.
_BITS = 32


def place(apic_id: int, widths: Widths) -> t.Tuple[int, int]:
    """Return (package, core)."""
    return apic_id >> widths.package, apic_id >> widths.smt & (1 << widths.package - widths.smt) - 1


def fitting(known: t.Mapping[int, t.Tuple[int, int]], longest: int) -> t.List[Widths]:
    """Return all widths that explain the `known` places, {apic_id: (package, core)}; ids have at most `longest` bits."""
    found = []
    for package in range(min(longest, _BITS) + 1):
        if any(apic_id >> package != where[0] for apic_id, where in known.items()):
            continue
        for smt in range(package + 1):
            mask = (1 << package - smt) - 1
            if all(apic_id >> smt & mask == where[1] for apic_id, where in known.items()):
                found.append(Widths(smt, package))
    return found


def places(
    known: t.Mapping[int, t.Tuple[int, int]],
    wanted: t.Iterable[int],
    told: t.Tuple[t.Optional[int], t.Optional[int]],
) -> t.Dict[int, Place]:
    """Return (package, core) for each APIC id in `wanted`; None where the answers that are possible differ.

    `told` are the widths (smt, package) that Xen goes by on this processor. They decide between several that fit, never against the
    CPUs whose place is known.
    """
    wanted = list(wanted)
    if not known:
        return dict.fromkeys(wanted, (None, None))
    longest = max(0, *known, *wanted).bit_length()
    fits = fitting(known, longest)
    # ids without that many bits: a wider package is the same
    package = None if told[1] is None else min(told[1], longest)
    agreeing = [
        widths
        for widths in fits
        if package == widths.package and (told[0] is None or min(told[0], longest) == widths.smt)
    ]
    fits = agreeing or fits
    found = {}  # type: t.Dict[int, Place]
    for apic_id in wanted:
        answers = [place(apic_id, widths) for widths in fits]
        packages = {answer[0] for answer in answers}
        cores = {answer[1] for answer in answers}
        found[apic_id] = (
            packages.pop() if len(packages) == 1 else None,
            # a core's number means something only within a package
            cores.pop() if len(answers) and len(cores) == 1 and len({a[0] for a in answers}) == 1 else None,
        )
    return found
