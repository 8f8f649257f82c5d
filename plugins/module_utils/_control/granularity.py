# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scheduling granularity: which vCPUs of a domain, and which CPUs of a cpupool, Xen keeps together. Private to this collection.

Xen schedules units. With granularity "cpu" a unit is one vCPU on one CPU; with "core" or "socket" it is as many neighbouring vCPUs as a
core or a package has CPUs. All vCPUs of a unit have one affinity, and all CPUs of a core or package are in one cpupool
(xen/common/sched/core.c, cpupool.c).
"""

import typing as t

from .._topology.cpuset import CpuSet
from .._topology.model import Topology

CPU, CORE, SOCKET = GRANULARITIES = ("cpu", "core", "socket")

#: By the id of the cpupool.
Granularities = t.Mapping[int, str]


def path(pool: int) -> str:
    """Where hypfs has it (Xen 4.15 and later)."""
    return "/cpupool/%d/sched-gran" % pool


def booted_with(topology: Topology) -> str:
    """That of the cpupool that Xen boots with, which new ones have at first."""
    said = topology.xen.sched_gran
    return said if said in GRANULARITIES else CPU


def of_cpupools(topology: Topology) -> t.Dict[int, str]:
    """The granularity of each cpupool; as Xen was booted where it does not tell."""
    return {
        pool.id: pool.sched_gran if pool.sched_gran in GRANULARITIES else booted_with(topology)
        for pool in topology.cpupools
    }


def unit(topology: Topology, granularity: str, cpu: int) -> CpuSet:
    """The online CPUs that join and leave a cpupool of this granularity together with `cpu`, itself included."""
    together = CpuSet([cpu])
    for group in _groups(topology, granularity):
        if cpu in group:
            together |= group & topology.online_cpuset
    return together


def vcpus_in_unit(topology: Topology, granularity: str) -> int:
    """How many neighbouring vCPUs of a domain make one unit: as many as CPU 0's core or package has CPUs."""
    return max((len(group) for group in _groups(topology, granularity) if 0 in group), default=1)


def _groups(topology: Topology, granularity: str) -> t.List[CpuSet]:
    if granularity == CORE:
        return [core.complete_cpuset for core in topology.cores]
    return [package.complete_cpuset for package in topology.packages] if granularity == SOCKET else []
