# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what people write to name CPUs: xl's grammar, understood against a host's topology."""

import re
import typing as t

from .cpuset import CpuSet, CpuSetError, range_mask
from .model import Topology

_CORE = re.compile(r"([0-9]{1,10})\.([0-9]{1,10})\Z", re.ASCII)

#: What may stand before a colon.
PLACES = ("node", "nodes", "package", "packages", "core")

Expression = t.Union[str, int, t.Iterable[t.Union[str, int]]]


def resolve(expression: Expression, topology: t.Optional[Topology]) -> CpuSet:
    """Return the CPUs that an expression names.

    The text is what xl.cfg(5) has for ``cpus``: items separated by commas, taken from left to right, each added to what is there or,
    with ``^`` before it, removed. An item is a CPU ``3``, a range ``0-3``, ``all``, or ``node:1``, ``nodes:0-1``; and, beyond xl,
    ``package:0``, ``packages:0-1`` or ``core:0.3`` (core 3 of package 0). Blanks around items do not matter. ``none`` alone, an
    empty text or an empty list is the empty set. A list of texts and numbers is the union of its members, in their order.

    ``all`` and the places mean all CPUs there, offline ones too. Without a topology numbers alone can be read, and no number is
    unknown. :class:`CpuSetError` quotes an expression that cannot be read, names
    a CPU or place that the host has not (xl ignores those), or ends with no CPU at all (as `xl` refuses to).
    """
    if isinstance(expression, int) and not isinstance(expression, bool):
        return _text(str(expression), topology)
    if isinstance(expression, str):
        return _text(expression, topology)
    if isinstance(expression, bool) or not isinstance(expression, (list, tuple)):
        raise CpuSetError(f"{expression!r} does not name CPUs: write a text such as 0-3,8 or a list of such")
    union = CpuSet()
    for member in expression:
        if isinstance(member, bool) or not isinstance(member, (str, int)):
            raise CpuSetError(
                f"{member!r} in a list of CPUs does not name any: write a number or a text such as 0-3"
            )
        union |= _text(str(member), topology)
    return union


def _text(text: str, topology: t.Optional[Topology]) -> CpuSet:
    stripped = text.strip()
    if stripped in ("", "none"):
        return CpuSet()
    chosen = CpuSet()
    for item in stripped.split(","):
        word = item.strip()
        if word.startswith("^"):
            if word[1:].strip() == "all":
                raise CpuSetError(
                    f"{text!r} takes all CPUs away again: write which CPUs are wanted, not ^all"
                )
            chosen -= _item(word[1:].strip(), text, topology)
        else:
            chosen |= _item(word, text, topology)
    if not chosen:
        raise CpuSetError(
            f"{text!r} names no CPU in the end: items count from left to right, and places may have no CPUs"
        )
    return chosen


def _item(word: str, text: str, topology: t.Optional[Topology]) -> CpuSet:
    place, colon, rest = (part.strip() for part in word.partition(":"))
    if not colon:
        if word == "all":
            return _need(topology, text).complete_cpuset
        cpus = CpuSet.from_mask(range_mask(word, text))
        missing = CpuSet() if topology is None else cpus - topology.complete_cpuset
        if missing and topology is not None:
            raise CpuSetError(
                f"{text!r} names CPU {missing}, which this host has not: it has {topology.complete_cpuset}"
            )
        return cpus
    if place not in PLACES:
        raise CpuSetError(f"{text!r} cannot be read: {place!r} is none of {', '.join(PLACES)}")
    topology = _need(topology, text)
    if place in ("node", "nodes"):
        # as xl has it
        if rest == "all":
            return topology.complete_cpuset
        return _union(
            rest, text, "NUMA node", {node.os_index: node.complete_cpuset for node in topology.nodes}
        )
    if place in ("package", "packages"):
        return _union(
            rest,
            text,
            "package",
            {package.os_index: package.complete_cpuset for package in topology.packages},
        )
    return _core(rest, text, topology)


def _need(topology: t.Optional[Topology], text: str) -> Topology:
    if topology is None:
        raise CpuSetError(
            f"{text!r} cannot be resolved without the topology of a host: give its facts, or numbers alone"
        )
    return topology


def _union(rest: str, text: str, name: str, places: t.Dict[int, CpuSet]) -> CpuSet:
    cpus = CpuSet()
    for number in CpuSet.from_mask(range_mask(rest, text)):
        if number not in places:
            known = ", ".join(str(place) for place in sorted(places)) or "none"
            raise CpuSetError(f"{text!r} names {name} {number}, which this host has not: it has {known}")
        cpus |= places[number]
    return cpus


def _core(rest: str, text: str, topology: Topology) -> CpuSet:
    found = _CORE.match(rest)
    if not found:
        raise CpuSetError(
            f"{text!r} cannot be read: a core is named by its package and itself, as in core:0.3"
        )
    wanted = (int(found.group(1)), int(found.group(2)))
    for core in topology.cores:
        if (core.package, core.os_index) == wanted:
            return core.complete_cpuset
    raise CpuSetError(f"{text!r} names core {wanted[1]} of package {wanted[0]}, which this host has not")
