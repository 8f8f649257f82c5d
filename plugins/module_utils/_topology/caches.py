# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The caches of the host. Pure."""

import typing as t

from .amd import Sharing
from .cache_policy import CacheLevel, CachePolicy
from .cpuset import CpuSet
from .kinds import ALIKE
from .model import Cache, Core, Pu


def caches_of(
    policy: CachePolicy, pus: t.Sequence[Pu], cores: t.Sequence[Core], warnings: t.List[str]
) -> t.Tuple[Cache, ...]:
    """Return the caches as the CPU that Xen booted on has them, shared by those whose APIC ids say so.

    On a host with several kinds of cores the inner caches are those of the first kind only, and the outer ones those that CPU 0 has a part in:
    of the others they are unknown. A size that is a whole package's is divided by the caches there; where that cannot be, it is unknown.
    """
    known = {}  # type: t.Dict[t.Tuple[Sharing, bool], t.Optional[t.Tuple[CpuSet, ...]]]
    found = []
    like_boot = None  # type: t.Optional[t.Sequence[Pu]]
    caches = policy.caches()
    if policy.hybrid:
        like_boot = _like_the_first(pus, cores, caches)
    for level, kind, size, line_size, ways, sharing in caches:
        sets = None  # type: t.Optional[t.Tuple[CpuSet, ...]]
        if sharing is not None:
            # L1 of data and of instructions are mostly alike
            key = (sharing, level > 2)
            if key not in known:
                known[key] = _shared(pus if level > 2 or like_boot is None else like_boot, cores, sharing)
                if not _fit(known[key] or (), pus, cores):
                    warnings.append(
                        f"The processor says that its L{level} {kind} cache is shared by CPUs that Xen has in different packages, or by "
                        "parts of several cores: who shares it is reported as unknown."
                    )
                    known[key] = None
            sets = known[key]
        one = size if sharing is not None or level < 3 or not policy.amd else None  # type: t.Optional[int]
        if sharing is not None and sharing.largest is not None:
            one = _part(size, sets, pus, sharing.largest)
        if sets is not None and level > 2 and policy.uneven:
            sets = tuple(cpus for cpus in sets if 0 in cpus) or None
        found.append(Cache(level, kind, one, line_size, ways, sets))
    return tuple(found)


def _part(
    size: int, sets: t.Optional[t.Sequence[CpuSet]], pus: t.Sequence[Pu], largest: int
) -> t.Optional[int]:
    """Return the size of one of the caches that CPU 0's package has, together of this size; None where there can be no such cache."""
    package = next((pu.package for pu in pus if pu.os_index == 0), None)
    there = CpuSet(pu.os_index for pu in pus if pu.package == package)
    count = sum(1 for cpus in sets or () if cpus & there)
    if package is None or not count or size % count or size // count > largest:
        return None
    return size // count


def _like_the_first(
    pus: t.Sequence[Pu], cores: t.Sequence[Core], caches: t.Iterable[CacheLevel]
) -> t.List[Pu]:
    """The PUs of the cores that are like that of CPU 0, on which Xen booted; none where nothing tells the kinds apart.

    Cores are of another kind where they have another number of threads, another highest frequency, or share their L2 cache with another
    number of cores: the last is all that is left where SMT is off.
    """
    apic_ids = {pu.os_index: pu.apic_id for pu in pus}
    speeds = {pu.os_index: pu.max_khz for pu in pus}
    shift = next((cache.sharing.shift for cache in caches if cache.level == 2 and cache.sharing), None)
    groups = {}  # type: t.Dict[int, t.Set[int]]
    form_of = {}  # type: t.Dict[int, t.Tuple[t.Any, ...]]
    for index, core in enumerate(cores):
        apic_id = apic_ids[core.complete_cpuset.first()]
        if shift is not None and apic_id is not None:
            groups.setdefault(apic_id >> shift, set()).add(index)
    mates = {index: len(group) for group in groups.values() for index in group}
    fastest = max((speed for speed in speeds.values() if speed), default=0)
    for index, core in enumerate(cores):
        speed = max((speeds[cpu] or 0 for cpu in core.complete_cpuset), default=0)
        # cores of one kind may be allowed a little more than others
        form_of[index] = (
            len(core.complete_cpuset),
            mates.get(index),
            bool(speed) and speed > fastest * (1 - ALIKE),
        )
    boot = next((index for index, core in enumerate(cores) if 0 in core.complete_cpuset), None)
    if boot is None or len(set(form_of.values())) < 2:
        return []
    alike = {
        cpu
        for index, core in enumerate(cores)
        if form_of[index] == form_of[boot]
        for cpu in core.complete_cpuset
    }
    return [pu for pu in pus if pu.os_index in alike]


def _shared(
    pus: t.Iterable[Pu], cores: t.Iterable[Core], sharing: Sharing
) -> t.Optional[t.Tuple[CpuSet, ...]]:
    """The sets of PUs that share a cache; None where no APIC id is known."""
    members = {}  # type: t.Dict[t.Any, t.List[int]]
    core_of = {}  # type: t.Dict[int, int]
    if sharing.by_core:
        core_of = {cpu: index for index, core in enumerate(cores) for cpu in core.complete_cpuset}
    for pu in pus:
        if sharing.by_core:
            if pu.os_index in core_of:
                members.setdefault(core_of[pu.os_index], []).append(pu.os_index)
        elif pu.apic_id is not None:
            above, below = pu.apic_id >> sharing.shift, pu.apic_id & (1 << sharing.shift) - 1
            part = below // sharing.run if sharing.run else 0
            members.setdefault((above, part), []).append(pu.os_index)
    # PUs come by number, so the first of a list is its lowest
    return tuple(CpuSet(cpus) for cpus in sorted(members.values())) or None


def _fit(sets: t.Sequence[CpuSet], pus: t.Sequence[Pu], cores: t.Sequence[Core]) -> bool:
    """Tell whether no set reaches over several packages, and none holds a part of a core and something else besides."""
    cache_of = {cpu: index for index, cpus in enumerate(sets) for cpu in cpus}
    packages = {}  # type: t.Dict[int, int]
    for pu in pus:
        index = cache_of.get(pu.os_index)
        if (
            index is not None
            and pu.package is not None
            and packages.setdefault(index, pu.package) != pu.package
        ):
            return False
    for core in cores:
        around = {cache_of[cpu] for cpu in core.complete_cpuset if cpu in cache_of}
        if len(around) > 1 and any(sets[index] - core.complete_cpuset for index in around):
            return False
    return True
