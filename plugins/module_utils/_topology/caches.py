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
    boot = next((core for core in cores if 0 in core.complete_cpuset), None)
    alike = CpuSet()
    for core in cores:
        if boot and (not policy.hybrid or len(core.complete_cpuset) == len(boot.complete_cpuset)):
            alike |= core.complete_cpuset
    found = []
    for level, kind, size, line_size, ways, shift in policy.caches():
        sets = None  # type: t.Optional[t.Tuple[CpuSet, ...]]
        if shift is not None:
            members = {}  # type: t.Dict[int, t.List[int]]
            for pu in pus:
                if pu.apic_id is not None and (level > 2 or pu.os_index in alike):
                    members.setdefault(pu.apic_id >> shift, []).append(pu.os_index)
            sets = tuple(sorted((CpuSet(cpus) for cpus in members.values()), key=CpuSet.first)) or None
        if sets is not None and not _fit(sets, pus, cores):
            warnings.append(
                f"The processor says that its L{level} {kind} cache is shared by CPUs that Xen has in different packages, or by parts of "
                "several cores: who shares it is reported as unknown."
            )
            sets = None
        found.append(Cache(level, kind, size, line_size, ways, sets))
    return tuple(found)


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
