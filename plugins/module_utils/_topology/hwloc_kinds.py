# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kinds of CPUs in hwloc's words, both ways: ``cpukind``, which hwloc writes and reads since 2.4."""

import typing as t

from . import hwloc_names as names
from .cpuset import CpuSet
from .hwloc_elements import Element, lines, told_mask, told_number
from .model import IMPORTED, CpuKind, Topology

#: Infos of hwloc itself (hwloc(7), CPU Kinds). Cores of Intel's hybrid processors, the thrifty ones first.
_MAX_MHZ = "FrequencyMaxMHz"
_CORE_TYPE = "CoreType"
_CORE_TYPES = {"IntelAtom": 0, "IntelCore": 1}
_LARGEST_MHZ = 2**32 // 1000
_LARGEST_RANK = 2**31 - 1

Infos = t.List[t.Tuple[str, str]]


class Kind(t.NamedTuple):
    """A kind as hwloc has it: its online CPUs, its rank (0 is the thriftiest), None where there is no order, and infos."""

    cpuset: CpuSet
    efficiency: t.Optional[int]
    infos: Infos


def written(topology: Topology) -> t.List[Kind]:
    """Return the kinds as they are written, none where all CPUs are alike."""
    kinds = [kind for kind in topology.cpu_kinds if kind.cpuset]
    if len(kinds) < 2:
        return []
    infos = _own_infos if topology.bare else _infos
    return [Kind(kind.cpuset, kind.efficiency, list(infos(kind))) for kind in kinds]


def _own_infos(kind: CpuKind) -> t.Iterator[t.Tuple[str, str]]:
    """Return what hwloc has words for."""
    if kind.name is not None:
        yield _CORE_TYPE, kind.name
    if kind.max_khz is not None:
        yield _MAX_MHZ, str(kind.max_khz // 1000)


def _infos(kind: CpuKind) -> t.Iterator[t.Tuple[str, str]]:
    told = [
        (names.KIND, kind.name),
        (names.KIND_SOURCE, kind.source),
        (names.KIND_THREADS, kind.threads_per_core),
        (names.KIND_CPUS, None if kind.complete_cpuset == kind.cpuset else kind.complete_cpuset.hwloc()),
        (names.KIND_KHZ, kind.max_khz),
        (_MAX_MHZ, None if kind.max_khz is None else kind.max_khz // 1000),
    ]  # type: t.List[t.Tuple[str, t.Union[str, int, None]]]
    return ((name, str(value)) for name, value in told if value is not None)


def speed_infos(topology: Topology) -> t.Iterator[t.Tuple[str, str]]:
    """Tell the highest frequency of PUs, an info for all that have the same."""
    alike = {}  # type: t.Dict[int, t.List[int]]
    for pu in topology.pus:
        if pu.max_khz is not None:
            alike.setdefault(pu.max_khz, []).append(pu.os_index)
    for max_khz in sorted(alike):
        yield names.PU_KHZ, f"khz={max_khz} cpuset={CpuSet(alike[max_khz]).hwloc()}"


def speeds(infos: t.Iterable[str], everything: CpuSet) -> t.Dict[str, int]:
    """Read such infos back as Xen tells it, MHz of each PU by its number."""
    found = {}  # type: t.Dict[str, int]
    for info in infos:
        told = dict(part.partition("=")[::2] for part in info.split())
        khz = told_number(told.get("khz"), _LARGEST_MHZ * 1000)
        if khz is not None:
            cpus = told_mask(told.get("cpuset")) & everything
            found.update((str(cpu), khz // 1000) for cpu in cpus)
    return found


def read(document: Element, topology: Topology, ours: bool, warnings: t.List[str]) -> t.Tuple[CpuKind, ...]:
    """Return the kinds that the document tells, thriftiest first; those that were derived where it tells none, or cannot be right."""
    elements = document.below("cpukind")
    sets = [(element.bitmap("cpuset") or CpuSet()) & topology.complete_cpuset for element in elements]
    if not elements:
        return topology.cpu_kinds
    everything = CpuSet.from_mask(sum(cpus.mask for cpus in sets)) if _disjoint(sets) else None
    if everything is None or not topology.cpuset <= everything:
        warnings.append(
            f"The kinds of CPUs in {lines(elements)} share CPUs, or leave some out: they are told apart by their threads instead."
        )
        return topology.cpu_kinds
    kinds = [_kind(element, cpus, topology, ours) for element, cpus in zip(elements, sets) if cpus]
    ranks = _ranks([element for element, cpus in zip(elements, sets) if cpus])
    if ranks is None:
        return tuple(kinds)
    order = sorted(range(len(kinds)), key=ranks.__getitem__)
    return tuple(kinds[place]._replace(efficiency=rank) for rank, place in enumerate(order))


def _disjoint(sets: t.Iterable[CpuSet]) -> bool:
    seen = CpuSet()
    for cpus in sets:
        if cpus & seen:
            return False
        seen |= cpus
    return True


def _kind(element: Element, cpus: CpuSet, topology: Topology, ours: bool) -> CpuKind:
    online = cpus & topology.cpuset
    if ours:
        return CpuKind(
            element.info(names.KIND),
            None,
            told_number(element.info(names.KIND_THREADS), _LARGEST_RANK),
            told_number(element.info(names.KIND_KHZ), _LARGEST_MHZ * 1000),
            online,
            cpus | told_mask(element.info(names.KIND_CPUS)) & topology.complete_cpuset,
            element.info(names.KIND_SOURCE) or IMPORTED,
        )
    threads = {len(core.complete_cpuset) for core in topology.cores if core.complete_cpuset & cpus}
    mhz = told_number(element.info(_MAX_MHZ), _LARGEST_MHZ)
    return CpuKind(
        element.info(_CORE_TYPE),
        None,
        threads.pop() if len(threads) == 1 else None,
        None if mhz is None else mhz * 1000,
        online,
        cpus,
        IMPORTED,
    )


def _ranks(elements: t.Sequence[Element]) -> t.Optional[t.List[int]]:
    """Return a number for each kind by which to order them: what the file says, else as hwloc does by type and frequency."""
    forced = [element.number("forced_efficiency", _LARGEST_RANK) for element in elements]
    types = [_CORE_TYPES.get(element.info(_CORE_TYPE) or "") for element in elements]
    speeds = [told_number(element.info(_MAX_MHZ), _LARGEST_MHZ) for element in elements]
    for ranks in (forced, types, speeds):
        known = [rank for rank in ranks if rank is not None]
        if len(known) == len(ranks) == len(set(known)):
            return known
    return None
