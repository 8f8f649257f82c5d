# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model of a Xen host: PUs, cores, packages, NUMA nodes, cpupools, domains. Immutable values, keyed by OS index.

Sets carry hwloc's meaning. *complete_cpuset*: everything that exists, perhaps offline, perhaps of unknown place. *cpuset*: what exists,
has a known place and is online. *allowed_cpuset* equals cpuset, since Linux's control groups mean nothing to Xen; cpupools are
reported beside it. Sizes are in bytes, frequencies in kHz, distances in SLIT units; None means unknown.
"""

import typing as t

from .._errors import Failure
from .cpuset import CpuSet


class Component(t.NamedTuple):
    """A discovery component and what became of it: `state` is "used" or "passed_over", `reason` says why it was passed over.

    `hypercalls` counts those that it made, None for one that makes none.
    """

    name: str
    priority: int
    state: str
    reason: t.Optional[str]
    hypercalls: t.Optional[int] = None


class Xen(t.NamedTuple):
    """The hypervisor. `interface` is {sysctl, domctl, platform, known}: the interface versions it answers to."""

    major: t.Optional[int]
    minor: t.Optional[int]
    extraversion: str
    changeset: t.Optional[str]
    capabilities: t.Tuple[str, ...]
    command_line: t.Optional[str]
    scheduler: t.Optional[str]
    interface: t.Dict[str, t.Any]

    @property
    def version(self) -> t.Optional[str]:
        """The version as Xen's release is called, for instance 4.17.7."""
        return None if self.major is None else f"{self.major}.{self.minor}{self.extraversion}"


class Pu(t.NamedTuple):
    """A physical CPU as Xen schedules on it (hwloc: PU). `core` is Xen's core id, unique only together with `package`."""

    os_index: int
    online: t.Optional[bool]
    package: t.Optional[int]
    core: t.Optional[int]
    node: t.Optional[int]
    cpupool: t.Optional[int]
    apic_id: t.Optional[int]
    acpi_id: t.Optional[int]


class Core(t.NamedTuple):
    """A core; its PUs are SMT siblings. `logical_index` counts through the host, `os_index` is Xen's id within the package."""

    logical_index: int
    package: int
    os_index: int
    node: t.Optional[int]
    cpuset: CpuSet
    complete_cpuset: CpuSet


class Package(t.NamedTuple):
    """A socket. `nodeset` are the NUMA nodes that its PUs belong to."""

    os_index: int
    cpuset: CpuSet
    complete_cpuset: CpuSet
    nodeset: CpuSet


class NumaNode(t.NamedTuple):
    """A NUMA node, with or without CPUs.

    `memory_spanned` covers the node's address range, holes included; only `memory_free` can be relied on. `nearest_cpu_nodes` is
    the node itself when it has online CPUs, else all the nodes with online CPUs at the least distance.
    """

    os_index: int
    cpuset: CpuSet
    complete_cpuset: CpuSet
    memory_spanned: t.Optional[int]
    memory_free: t.Optional[int]
    nearest_cpu_nodes: t.Tuple[int, ...]


class Distances(t.NamedTuple):
    """Distances between the `nodes`, by OS index: `matrix[i][j]` is the distance from `nodes[i]` to `nodes[j]`, None = unreachable."""

    nodes: t.Tuple[int, ...]
    matrix: t.Tuple[t.Tuple[t.Optional[int], ...], ...]

    def between(self, source: int, target: int) -> t.Optional[int]:
        """Return the distance from one node to another; None when unreachable or unknown."""
        if source not in self.nodes or target not in self.nodes:
            return None
        return self.matrix[self.nodes.index(source)][self.nodes.index(target)]


class CpuPool(t.NamedTuple):
    """A cpupool; `domains` counts the domains in it."""

    id: int
    name: t.Optional[str]
    scheduler: t.Optional[str]
    cpuset: CpuSet
    domains: t.Optional[int]


class Vcpu(t.NamedTuple):
    """A vCPU. `cpu` is the pCPU that it runs or last ran on, None while offline. A mask that covers every CPU equals complete_cpuset."""

    vcpu: int
    online: bool
    running: bool
    blocked: bool
    cpu: t.Optional[int]
    hard: CpuSet
    soft: CpuSet
    time_ns: int


class Domain(t.NamedTuple):
    """A domain. `type` is "pv", "pvh" or "hvm"; `state` "running", "blocked", "paused", "shutdown", "crashed" or "dying".

    `node_affinity` is where future allocations go first, not where the memory is; that is `memory_by_node` (node to bytes), which is
    None unless it was asked for. `max_memory` is None when there is no limit.
    """

    domid: int
    name: t.Optional[str]
    uuid: str
    type: t.Optional[str]
    state: str
    cpupool: t.Optional[int]
    memory: int
    max_memory: t.Optional[int]
    max_vcpus: int
    vcpus: t.Tuple[Vcpu, ...]
    node_affinity: t.Optional[CpuSet]
    memory_by_node: t.Optional[t.Dict[int, int]]

    @property
    def title(self) -> str:
        """What messages and diffs call the domain, for instance ``web1 (domid 3)``."""
        return f"{self.name} (domid {self.domid})" if self.name else f"domid {self.domid}"


class Dom0Linux(t.NamedTuple):
    """What Linux in dom0 believes the machine to be. It sees vCPUs: none of it is the host's topology."""

    packages: t.Optional[int]
    cores: t.Optional[int]
    pus: t.Optional[int]
    nodes: t.Optional[int]


class Memory(t.NamedTuple):
    """Memory of the whole host in bytes. `outstanding` is claimed by domains under construction, still counted as free."""

    total: t.Optional[int]
    free: t.Optional[int]
    scrub: t.Optional[int]
    outstanding: t.Optional[int]


_Indexed = t.TypeVar("_Indexed", Pu, NumaNode)


class Topology(t.NamedTuple):
    """The whole host. `domains` is None when the domains were not asked for."""

    xen: Xen
    pus: t.Tuple[Pu, ...]
    cores: t.Tuple[Core, ...]
    packages: t.Tuple[Package, ...]
    nodes: t.Tuple[NumaNode, ...]
    distances: Distances
    cpupools: t.Tuple[CpuPool, ...]
    cpupool_free: CpuSet
    domains: t.Optional[t.Tuple[Domain, ...]]
    dom0_vcpus: t.Tuple[Vcpu, ...]
    dom0_linux: t.Optional[Dom0Linux]
    memory: Memory
    cpu_khz: t.Optional[int]
    cpuset: CpuSet
    complete_cpuset: CpuSet
    allowed_cpuset: CpuSet
    nodeset: CpuSet
    complete_nodeset: CpuSet
    source: str
    components: t.Tuple[Component, ...]
    warnings: t.Tuple[str, ...]

    @property
    def threads_per_core(self) -> int:
        """The most PUs that a core has, offline ones counted (XEN_SYSCTL_physinfo's figure describes CPU 0 alone); 0 without cores."""
        return max((len(core.complete_cpuset) for core in self.cores), default=0)

    @property
    def online_cpuset(self) -> CpuSet:
        """The PUs that are online, whether or not their place is known."""
        return CpuSet(pu.os_index for pu in self.pus if pu.online)

    def pu(self, os_index: int) -> Pu:
        """Return the PU of that number; :class:`Failure` when there is none."""
        found = _by_os_index(self.pus, os_index)
        if found is None:
            raise Failure(f"there is no CPU {os_index} on this host: it has {self.complete_cpuset}")
        return found

    def node(self, os_index: int) -> NumaNode:
        """Return the NUMA node of that number; :class:`Failure` when there is none."""
        found = _by_os_index(self.nodes, os_index)
        if found is None:
            raise Failure(f"there is no NUMA node {os_index} on this host: it has {self.complete_nodeset}")
        return found

    def distance(self, source: int, target: int) -> t.Optional[int]:
        """Return the distance from one node to another in SLIT units (10 = local); None when unreachable or unknown."""
        return self.distances.between(source, target)

    def pool_cpus(self, pool_id: int) -> CpuSet:
        """Return the CPUs of the cpupool; :class:`Failure` when there is no such pool."""
        for pool in self.cpupools:
            if pool.id == pool_id:
                return pool.cpuset
        known = ", ".join(str(pool.id) for pool in self.cpupools) or "none"
        raise Failure(f"there is no cpupool {pool_id} on this host: it has {known}")

    def cores_of(self, cpuset: CpuSet) -> int:
        """Count the physical cores that have at least one PU in the set."""
        return sum(1 for core in self.cores if core.complete_cpuset & cpuset)

    def domain(self, ref: t.Union[str, int]) -> Domain:
        """Find a domain by its id, name or UUID; :class:`Failure` says when there is none, or more than one.

        A text of digits is an id, as for `xl`; unless another domain has it for a name, which is then ambiguous.
        """
        if self.domains is None:
            raise Failure(
                f"the domains of this host were not asked for, so {ref!r} cannot be looked up: gather the subset 'domains'"
            )
        text = str(ref).strip()
        compact = text.replace("-", "").lower()
        found = [
            domain
            for domain in self.domains
            if domain.name in (ref, text)
            or (text.isdigit() and text.lstrip("0") == str(domain.domid).lstrip("0"))
            or (len(compact) == 32 and compact == domain.uuid.replace("-", ""))
        ]
        if len(found) > 1:
            # an all-zero UUID is Domain-0's and, on some toolstacks, that of guests made without one
            ids = ", ".join(str(domain.domid) for domain in found)
            raise Failure(
                f"{text!r} means more than one domain of this host (domids {ids}): name it by its UUID or another id"
            )
        if not found:
            names = ", ".join(domain.name or f"domid {domain.domid}" for domain in self.domains) or "none"
            raise Failure(f"there is no domain {text!r} on this host: it has {names}")
        return found[0]


def _by_os_index(things: t.Tuple[_Indexed, ...], os_index: int) -> t.Optional[_Indexed]:
    # numbers are dense on most hosts: the position is the number
    if 0 <= os_index < len(things) and things[os_index].os_index == os_index:
        return things[os_index]
    for thing in things:
        if thing.os_index == os_index:
            return thing
    return None
