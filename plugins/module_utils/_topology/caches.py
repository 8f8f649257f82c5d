# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The caches of the host. Pure."""

import typing as t

from .cpuid import Policy
from .cpuset import CpuSet
from .model import Cache, Core, Pu


def caches_of(
    policy: Policy, pus: t.Sequence[Pu], cores: t.Sequence[Core], warnings: t.List[str]
) -> t.Tuple[Cache, ...]:
    """Return the caches as the CPU that Xen booted on has them, shared by those whose APIC ids say so.

    On a host with several kinds of cores the inner caches are those of the first kind only: of the others they are unknown.
    """
    inner = _like_the_first(pus, cores) if policy.hybrid else pus
    known = {}  # type: t.Dict[t.Tuple[int, bool], t.Optional[t.Tuple[CpuSet, ...]]]
    found = []
    for level, kind, size, line_size, ways, shift in policy.caches():
        sets = None  # type: t.Optional[t.Tuple[CpuSet, ...]]
        if shift is not None:
            # L1 of data and of instructions are mostly alike
            key = (shift, level > 2)
            if key not in known:
                known[key] = _shared(pus if level > 2 else inner, shift)
                if not _fit(known[key] or (), pus, cores):
                    warnings.append(
                        f"The processor says that its L{level} {kind} cache is shared by CPUs that Xen has in different packages, or by "
                        "parts of several cores: who shares it is reported as unknown."
                    )
                    known[key] = None
            sets = known[key]
        found.append(Cache(level, kind, size, line_size, ways, sets))
    return tuple(found)


def _like_the_first(pus: t.Sequence[Pu], cores: t.Sequence[Core]) -> t.List[Pu]:
    """The PUs of the cores that have as many threads as that of CPU 0, on which Xen booted."""
    boot = next((core for core in cores if 0 in core.complete_cpuset), None)
    if boot is None:
        return []
    threads = len(boot.complete_cpuset)
    alike = {cpu for core in cores if len(core.complete_cpuset) == threads for cpu in core.complete_cpuset}
    return [pu for pu in pus if pu.os_index in alike]


def _shared(pus: t.Iterable[Pu], shift: int) -> t.Optional[t.Tuple[CpuSet, ...]]:
    """The sets of PUs whose APIC ids agree above so many bits; None where no APIC id is known."""
    members = {}  # type: t.Dict[int, t.List[int]]
    for pu in pus:
        if pu.apic_id is not None:
            members.setdefault(pu.apic_id >> shift, []).append(pu.os_index)
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
