# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The values of a placement. Immutable; sizes in bytes, distances in SLIT units, loads in thousandths of a vCPU."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ...module_utils._topology.cpuset import CpuSet

MIB = 1 << 20
PAGE = 4096

#: The most vCPUs that Xen can give to any guest (MAX_VIRT_CPUS of PV guests, xen/include/asm-x86/config.h).
MOST_VCPUS = 8192

#: One vCPU. Loads are kept as integers so that sums do not depend on the order in which they are made.
VCPU = 1000


def memory_need(memory: int, vcpus: int) -> int:
    """Bytes that a guest of `memory` bytes and `vcpus` vCPUs takes from its nodes, Xen's own share included.

    libxl's rule (libxl_domain_need_memory, libxl__get_required_paging_memory in tools/libs/light): 1 MiB for each vCPU, 4 KiB for
    each MiB of memory, and 2 MiB. A PV guest needs a little less; the figure is kept the same for all types, as the safe side.
    """
    return memory + vcpus * MIB + -(-memory // MIB) * PAGE + 2 * MIB


def split_evenly(amount: int, nodes: t.Sequence[int]) -> dict[int, int]:
    """Divide `amount` bytes over `nodes` in whole pages, as Xen stripes a guest over its node affinity.

    Nodes in the order given; the first ones take the pages that are left over.
    """
    pages, rest = divmod(-(-amount // PAGE), len(nodes))
    return {node: (pages + (index < rest)) * PAGE for index, node in enumerate(nodes)}


def deal(vcpus: int, nodes: t.Sequence[int]) -> dict[int, int]:
    """Divide vCPUs over nodes as evenly as they go, the first ones first."""
    each, rest = divmod(vcpus, len(nodes))
    return {node: each + (index < rest) for index, node in enumerate(nodes)}


#: The weight of a guest that says nothing, as in Xen's credit schedulers.
NORMAL_WEIGHT = 256


@dataclass(frozen=True)
class Policy:
    """What a guest may ask of its placement.

    `numa_policy`: "single" (one node or not at all), "preferred" (as few nodes as needed), "spread" (all nodes of the host's pool), or a
    number of nodes as text. `pin`: "soft", "hard" or "none", which affinity the plan sets. `cpu_policy`: "shared", "dedicated" or
    "mixed". `thread_policy`: "prefer", "isolate" or "require", how dedicated vCPUs use the threads of their cores.
    `memory_only_nodes`: "avoid" or "allow", whether memory may come from nodes without CPUs. `backend_locality`: "ignore" or
    "preferred", whether to be near the nodes that dom0 is pinned to. `cache_policy`: "preferred" or "ignore", whether to keep to one
    last-level cache.
    """

    numa_policy: str = "preferred"
    pin: str = "soft"
    cpu_policy: str = "shared"
    memory_only_nodes: str = "avoid"
    thread_policy: str = "prefer"
    backend_locality: str = "ignore"
    cache_policy: str = "preferred"

    @property
    def node_count(self) -> int | None:
        """The number of nodes that is asked for, None when the policy leaves it open."""
        if self.numa_policy == "single":
            return 1
        # request.py lets nothing else pass than a number or one of its words
        return int(self.numa_policy) if re.fullmatch("[0-9]{1,3}", self.numa_policy) else None


@dataclass(frozen=True)
class Group:
    """Guests that belong together or apart. `policy`: "affinity" or "anti-affinity"; `scope`: "host", "package" or "node"."""

    name: str
    policy: str
    scope: str


#: The part of members that nobody shares a part with: any other member is in the way of them, and they are alike.
ALONE = -1


@dataclass(frozen=True)
class Membership:
    """That a guest is a member of a group. Members with the same `part` of an anti-affinity group need not be apart, but for :data:`ALONE`."""

    group: Group
    part: int


@dataclass(frozen=True)
class Reserve:
    """What the plan leaves alone of each host.

    Bytes on each node, on each host, and whether the low memory counts as reserved. `cpu_allocation_ratio`: the most vCPUs for each
    PU of a node, None without a limit.
    """

    node_memory: int = 0
    host_memory: int = 0
    low_memory: bool = True
    cpu_allocation_ratio: float | None = None


@dataclass(frozen=True)
class Guest:
    """A guest that is wanted. `label` is where it stands in the request, for messages, such as ``guests[2]``.

    `host_policies`: policies on hosts whose defaults differ. `dedicated_vcpus`: those of a guest with cpu_policy mixed. `pci_devices`:
    (address, "required" or "preferred"). `groups`: what it is a member of. `trust_group`: guests of different ones never
    share a core. `do_not_touch`: it is left as it runs. `cpus`: those that the user has chosen for its vCPUs.
    `vnuma`: on several nodes it gets as many virtual ones.
    """

    name: str
    vcpus: int
    memory: int
    host: str | None = None
    nodes: tuple[int, ...] | None = None
    pool: str | None = None
    priority: int = 0
    policy: Policy = Policy()
    label: str = "guests"
    weight: int = NORMAL_WEIGHT
    dedicated_vcpus: tuple[int, ...] = ()
    pci_devices: tuple[tuple[str, str], ...] = ()
    groups: tuple[Membership, ...] = ()
    trust_group: str | None = None
    do_not_touch: bool = False
    host_policies: t.Mapping[str, Policy] = field(default_factory=dict)
    cpus: CpuSet | None = None
    vnuma: bool = False

    @property
    def load(self) -> int:
        """Load of all its vCPUs by its weight, in thousandths of a vCPU."""
        return self.vcpus * VCPU * self.weight // NORMAL_WEIGHT

    @property
    def need(self) -> int:
        """Bytes that it takes from its nodes in all."""
        return memory_need(self.memory, self.vcpus)

    def policy_on(self, host: str) -> Policy:
        """Return its policy on one host."""
        return self.host_policies.get(host, self.policy)

    def dedicated_on(self, host: str) -> tuple[int, ...]:
        """Return the vCPUs that get CPUs of their own on one host."""
        cpu_policy = self.policy_on(host).cpu_policy
        if cpu_policy == "dedicated":
            return tuple(range(self.vcpus))
        return self.dedicated_vcpus if cpu_policy == "mixed" else ()


@dataclass(frozen=True)
class Node:
    """A NUMA node as room. `cpuset`: its online PUs. `memory_free`: bytes, None for a node without memory.

    `reserved`: bytes of the free memory that the plan leaves alone; `low_memory`: how much of that Xen gives out last. `asked`: bytes of
    the reserve that the user asks for. `owed`: bytes that the reserve is larger than what is free.
    """

    os_index: int
    cpuset: CpuSet
    cores: int
    memory_free: int | None
    reserved: int = 0
    low_memory: int = 0
    asked: int = 0
    owed: int = 0

    @property
    def usable(self) -> int:
        """Bytes that guests of the plan may take."""
        return max(0, (self.memory_free or 0) - self.reserved)


@dataclass(frozen=True)
class Cell:
    """The part of a cpupool that lies on one node: what vCPUs compete for. `siblings`: its online PUs by core.

    Where Xen does not tell cores, each PU is one. `blocked`: those of the cores that a domain is pinned to; no guest can have them alone.
    `caches`: its online PUs by last-level cache, none where there is but one or it is not known who shares one.
    """

    node: int
    cpuset: CpuSet
    siblings: tuple[CpuSet, ...] = ()
    blocked: frozenset[CpuSet] = frozenset()
    caches: tuple[CpuSet, ...] = ()

    @property
    def cores(self) -> int:
        """Physical cores with an online PU in this pool."""
        return len(self.siblings)

    @property
    def threads(self) -> int:
        """PUs that each of its cores has at least: what dedicated vCPUs can count on."""
        return min((len(core) for core in self.siblings), default=1)

    @property
    def pus(self) -> int:
        """Online PUs."""
        return len(self.cpuset)


@dataclass(frozen=True)
class Pool:
    """A cpupool: its online PUs, and the cells they make, by node id."""

    id: int
    name: str
    cpuset: CpuSet
    cells: t.Mapping[int, Cell]

    @property
    def cores(self) -> int:
        """Physical cores that have an online PU in this pool."""
        return sum(cell.cores for cell in self.cells.values())


@dataclass(frozen=True)
class Running:
    """A domain that is there now.

    `pool`: id. `memory`, `max_memory`: bytes (the latter None when unlimited or unknown). `nodes`: where its memory is, as far as it is
    known: from its memory by node when the facts have it, else its node affinity; nodes without memory in its node affinity belong to it.
    `held`: bytes on each of these nodes that has memory. `loads`: thousandths of a vCPU on each node. `masks`: for each vCPU
    (hard, soft), cut down to the online PUs of its pool.
    """

    domid: int
    name: str
    state: str
    pool: int
    vcpus_online: int
    vcpus_max: int
    memory: int
    max_memory: int | None
    nodes: tuple[int, ...]
    nodes_measured: bool
    held: t.Mapping[int, int]
    loads: t.Mapping[int, int]
    masks: tuple[tuple[CpuSet, CpuSet], ...]


@dataclass(frozen=True)
class Host:
    """A host as room for guests. `room`: bytes that the plan may take from all its nodes together.

    `packages`: for each node the packages that its CPUs are in. `devices`: for each PCI address its node, None where that is not known;
    None when the facts do not list devices; `assigned`: the domain that has it. `backends`: nodes that dom0 is pinned to, none when it may run anywhere.
    `cpu_allocation_ratio`: the most vCPUs for each PU of a node, None without a limit. `core_scheduling`: Xen never lets two guests
    share a core (``sched-gran``). `closed`: nothing new goes there.
    """

    name: str
    nodes: t.Mapping[int, Node]
    pools: t.Mapping[int, Pool]
    distances: t.Mapping[tuple[int, int], int | None]
    running: tuple[Running, ...]
    room: int
    claimed: int = 0
    packages: t.Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    devices: t.Mapping[str, int | None] | None = None
    assigned: t.Mapping[str, int] = field(default_factory=dict)
    backends: tuple[int, ...] = ()
    cpu_allocation_ratio: float | None = None
    core_scheduling: bool = False
    closed: bool = False

    def distance(self, from_node: int, to_node: int) -> int | None:
        """SLIT units from one node to another, never below 10; None when it cannot be reached."""
        if from_node == to_node:
            return 10
        found = self.distances.get((from_node, to_node))
        return None if found is None else max(10, found)

    def find_pool(self, wanted: str | None) -> Pool | None:
        """Return the pool of this name or id; the one that new guests get (id 0) for None."""
        if wanted is None:
            return self.pools.get(0)
        named = [pool for pool in self.pools.values() if pool.name == wanted]
        if named:
            return named[0]
        return self.pools.get(int(wanted)) if re.fullmatch(r"[0-9]{1,9}", wanted) else None
