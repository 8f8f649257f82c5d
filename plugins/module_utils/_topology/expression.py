# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what people write to name CPUs: xl's grammar, understood against a host's topology."""

import re
import typing as t

from .._errors import shown
from .cpuset import LARGEST_ID, LONGEST, CpuSet, CpuSetError, mask_of, read_range
from .model import Topology

_CORE = re.compile(r"([0-9]{1,10})\.([0-9]{1,10})\Z", re.ASCII)

#: What may stand before a colon.
PLACES = ("node", "nodes", "package", "packages", "core")

#: How many places and how many characters of a set a message has.
_MOST_NAMED = 32
_LONGEST_LIST = 200

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
    reader = _Reader(topology)
    if isinstance(expression, (str, int)) and not isinstance(expression, bool):
        return CpuSet.from_mask(reader.text(_text(expression)))
    if isinstance(expression, bool) or not isinstance(expression, (list, tuple)):
        raise CpuSetError(
            f"{shown(expression)} does not name CPUs: write a text such as 0-3,8 or a list of such"
        )
    mask = 0
    room = LONGEST
    for member in expression:
        if isinstance(member, bool) or not isinstance(member, (str, int)):
            raise CpuSetError(
                f"{shown(member)} in a list of CPUs does not name any: write a number or a text such as 0-3"
            )
        text = _text(member)
        room -= len(text) + 1
        if room < 0:
            raise CpuSetError(
                f"{shown(expression)} has more than {LONGEST} characters: no set of CPUs needs them"
            )
        mask |= reader.text(text)
    return CpuSet.from_mask(mask)


def _text(member: t.Union[str, int]) -> str:
    """Write a number as a text; one that no CPU has is refused, for Python does not write numbers of any length."""
    if isinstance(member, str):
        return member
    if not 0 <= member <= LARGEST_ID:
        raise CpuSetError(f"{shown(member)} is no number of a CPU: give whole numbers from 0 to {LARGEST_ID}")
    return str(int(member))


def _listed(mask: int) -> str:
    text = str(CpuSet.from_mask(mask))
    return text if len(text) <= _LONGEST_LIST else text[: _LONGEST_LIST - 3] + "..."


class _Reader:
    """Reads texts against one host, of which it looks up each kind of place once. Sets are masks here: there may be many items."""

    def __init__(self, topology: t.Optional[Topology]) -> None:
        self.topology = topology
        self.places = {}  # type: t.Dict[str, t.Dict[t.Any, int]]

    def text(self, text: str) -> int:
        """Return the mask of the CPUs that a text names."""
        if len(text) > LONGEST:
            raise CpuSetError(f"{shown(text)} has more than {LONGEST} characters: no set of CPUs needs them")
        stripped = text.strip()
        if stripped in ("", "none"):
            return 0
        chosen = 0
        runs = []  # type: t.List[t.Tuple[int, int]]
        for item in stripped.split(","):
            word = item.strip()
            if not word:
                continue  # xl passes over it
            if word[:1] and word[0] in "0123456789":
                # numbers that follow each other are added at once
                runs.append(read_range(word, text))
                continue
            chosen |= self.known(runs, text)
            runs = []
            if word.startswith("^"):
                if word[1:].rpartition(":")[2].strip() == "all":
                    # as xl has it, of nodes too
                    raise CpuSetError(
                        f"{shown(text)} takes all CPUs away again: write which CPUs are wanted, not {word}"
                    )
                chosen &= ~self.item(word[1:].strip(), text)
            else:
                chosen |= self.item(word, text)
        chosen |= self.known(runs, text)
        if not chosen:
            raise CpuSetError(
                f"{shown(text)} names no CPU in the end: items count from left to right, and places may have no CPUs"
            )
        return chosen

    def known(self, runs: t.Sequence[t.Tuple[int, int]], text: str) -> int:
        """Return the mask of ranges of CPUs, which the host must have."""
        mask = mask_of(runs)
        everything = mask if self.topology is None else self.topology.complete_cpuset.mask
        if mask & ~everything:
            missing, there = (_listed(some) for some in (mask & ~everything, everything))
            raise CpuSetError(f"{shown(text)} names CPU {missing}, which this host has not: it has {there}")
        return mask

    def item(self, word: str, text: str) -> int:
        """Return the mask of one item."""
        place, colon, rest = (part.strip() for part in word.partition(":"))
        if not colon:
            if word == "all":
                return self.host(text).complete_cpuset.mask
            return self.known([read_range(word, text)], text)
        if place not in PLACES:
            raise CpuSetError(f"{shown(text)} cannot be read: {shown(place)} is none of {', '.join(PLACES)}")
        topology = self.host(text)
        if place in ("node", "nodes"):
            # as xl has it
            if rest == "all":
                return topology.complete_cpuset.mask
            return self.union(rest, text, "NUMA node", topology.nodes)
        if place in ("package", "packages"):
            return self.union(rest, text, "package", topology.packages)
        return self.core(rest, text, topology)

    def host(self, text: str) -> Topology:
        """Return the host; an error when none was given."""
        if self.topology is None:
            raise CpuSetError(
                f"{shown(text)} cannot be resolved without the topology of a host: give its facts, or numbers alone"
            )
        return self.topology

    def union(self, rest: str, text: str, name: str, things: t.Sequence[t.Any]) -> int:
        """Return the mask of one place, or of several that follow each other."""
        if name not in self.places:
            self.places[name] = {thing.os_index: thing.complete_cpuset.mask for thing in things}
        places = self.places[name]
        low, high = read_range(rest, text)
        cpus = 0
        for number in range(low, high + 1):
            if number not in places:
                known = ", ".join([str(place) for place in sorted(places)[:_MOST_NAMED]]) or "none"
                more = ", ..." if len(places) > _MOST_NAMED else ""
                raise CpuSetError(
                    f"{shown(text)} names {name} {number}, which this host has not: it has {known}{more}"
                )
            cpus |= places[number]
        return cpus

    def core(self, rest: str, text: str, topology: Topology) -> int:
        """Return the mask of a core."""
        found = _CORE.match(rest)
        if not found:
            raise CpuSetError(
                f"{shown(text)} cannot be read: a core is named by its package and itself, as in core:0.3"
            )
        if "core" not in self.places:
            self.places["core"] = {
                (core.package, core.os_index): core.complete_cpuset.mask for core in topology.cores
            }
        wanted = (int(found.group(1)), int(found.group(2)))
        if wanted not in self.places["core"]:
            raise CpuSetError(
                f"{shown(text)} names core {wanted[1]} of package {wanted[0]}, which this host has not"
            )
        return self.places["core"][wanted]
