# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model of a Xen host: PUs, cores, packages, NUMA nodes, cpupools, domains. Immutable values, keyed by OS index.

Sets carry hwloc's meaning. *complete_cpuset*: everything that exists, perhaps offline, perhaps of unknown place. *cpuset*: what exists,
has a known place and is online. *allowed_cpuset* equals cpuset, since Linux's control groups mean nothing to Xen; cpupools are
reported beside it. Sizes are in bytes, frequencies in kHz, distances in SLIT units; None means unknown.
"""

import bisect
import typing as t

from .._errors import Failure
from .cpuset import CpuSet

#: The source of a topology that was read from hwloc XML, of whatever machine.
IMPORTED = "hwloc_xml"


class Component(t.NamedTuple):
    """A discovery component and what became of it: `state` is "used" or "passed_over", `reason` says why it was passed over.

    `hypercalls` counts those that it made, None for one that makes none.
    """

    name: str
    priority: int
    state: str
    reason: t.Optional[str]
    hypercalls: t.Optional[int] = None


class Unanswered(t.NamedTuple):
    """A question that the hypervisor did not answer, by the hypercall's name, and the reason as a sentence."""

    question: str
    reason: str


class Parameter(t.NamedTuple):
    """One word of Xen's command line; `value` is None for one without ``=``. Names may come again: for most the last one counts."""

    name: str
    value: t.Optional[str]


class Xen(t.NamedTuple):
    """The hypervisor. `interface` is {sysctl, domctl, platform, known}: the interface versions it answers to.

    `numa` is "on", "off" (switched off, or the firmware's tables refused), "fake" or "none" (the firmware tells of one node only).
    `smt` is "on", "off" (there are threads, but one at most of each core is online) or "none". `sched_gran` is "cpu", "core" or
    "socket", that of the cpupool that Xen boots with.
    """

    major: t.Optional[int]
    minor: t.Optional[int]
    extraversion: str
    changeset: t.Optional[str]
    capabilities: t.Tuple[str, ...]
    command_line: t.Optional[str]
    scheduler: t.Optional[str]
    interface: t.Dict[str, t.Any]
    parameters: t.Tuple[Parameter, ...] = ()
    numa: t.Optional[str] = None
    smt: t.Optional[str] = None
    sched_gran: t.Optional[str] = None

    @property
    def version(self) -> t.Optional[str]:
        """The version as Xen's release is called, for instance 4.17.7."""
        return None if self.major is None else f"{self.major}.{self.minor}{self.extraversion}"


class Pu(t.NamedTuple):
    """A physical CPU as Xen schedules on it (hwloc: PU). `core` is Xen's core id, unique only together with `package`.

    `present` is False for one that the firmware lists and Xen never brought up; its `os_index` is the number that Xen would give it.
    """

    os_index: int
    online: t.Optional[bool]
    package: t.Optional[int]
    core: t.Optional[int]
    node: t.Optional[int]
    cpupool: t.Optional[int]
    apic_id: t.Optional[int]
    acpi_id: t.Optional[int]
    present: bool = True
    max_khz: t.Optional[int] = None


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


class SubNuma(t.NamedTuple):
    """The part of a package that is one NUMA node, where the package has several (sub-NUMA clustering)."""

    package: int
    node: int
    cpuset: CpuSet
    complete_cpuset: CpuSet


class HwlocObject(t.NamedTuple):
    """An object that an hwloc XML has and this model has no use for: a Die, Group, MemCache, Misc, OSDev, or where a host Bridge hangs.

    It is kept for the way back. `cpuset` are its CPUs, offline ones too, or those of what it hangs on. That is `parent`: a PCI address, or
    the type of an object with these CPUs. `nodeset` are the nodes behind a MemCache. `attributes` and `infos` are hwloc's own.
    """

    type: str
    os_index: t.Optional[int]
    name: t.Optional[str]
    subtype: t.Optional[str]
    cpuset: CpuSet
    nodeset: CpuSet
    parent: t.Optional[str]
    attributes: t.Dict[str, str]
    infos: t.Tuple[t.Tuple[str, str], ...]


class Cache(t.NamedTuple):
    """All caches of one level and type. `type` is "data", "instruction" or "unified"; `size` is that of one of them, in bytes, None where it
    is unknown; `ways` -1 is fully associative.

    `cpusets` has one complete set of PUs for each cache, None where it is unknown which PUs share one.
    """

    level: int
    type: str
    size: t.Optional[int]
    line_size: t.Optional[int]
    ways: t.Optional[int]
    cpusets: t.Optional[t.Tuple[CpuSet, ...]]


class CpuKind(t.NamedTuple):
    """PUs of one kind. `efficiency` counts the kinds from 0, the thriftiest, up; None where nothing tells which kind is.

    `threads_per_core` and `max_khz` are those of all its PUs, None where unknown or, if the user made the kind, different. `source` is
    "xen", "user" or, read from hwloc XML, "hwloc_xml".
    """

    name: t.Optional[str]
    efficiency: t.Optional[int]
    threads_per_core: t.Optional[int]
    max_khz: t.Optional[int]
    cpuset: CpuSet
    complete_cpuset: CpuSet
    source: str


class NumaNode(t.NamedTuple):
    """A NUMA node, with or without CPUs.

    `memory_total` is its RAM. `memory_spanned` covers the node's address range, holes included. `nearest_cpu_nodes` is the node itself
    when it has online CPUs, else all the nodes with online CPUs at the least distance. `proximity_domain` is what ACPI calls it.

    `shared_cpuset` are the CPUs that it is near to where some of them are another node's, as with HBM beside the DRAM of a processor: hwloc
    knows that, and such a node is nearest to those that have them. `subtype` is what hwloc calls its memory, for instance HBM.
    `memory_low` is how much of its RAM Xen gives to guests last, None where that is unknown.
    """

    os_index: int
    cpuset: CpuSet
    complete_cpuset: CpuSet
    memory_spanned: t.Optional[int]
    memory_free: t.Optional[int]
    nearest_cpu_nodes: t.Tuple[int, ...]
    memory_total: t.Optional[int] = None
    proximity_domain: t.Optional[int] = None
    shared_cpuset: CpuSet = CpuSet()
    subtype: t.Optional[str] = None
    memory_low: t.Optional[int] = None


class Distances(t.NamedTuple):
    """Distances between the `nodes`, by OS index, ascending: `matrix[i][j]` is the distance from `nodes[i]` to `nodes[j]`, None = unreachable.

    `from_firmware` is False where the firmware is silent and Xen made them up (10 for a node itself, 20 for the others).
    """

    nodes: t.Tuple[int, ...]
    matrix: t.Tuple[t.Tuple[t.Optional[int], ...], ...]
    from_firmware: t.Optional[bool] = None

    def between(self, source: int, target: int) -> t.Optional[int]:
        """Return the distance from one node to another; None when unreachable or unknown."""
        row, column = self._place(source), self._place(target)
        return None if row is None or column is None else self.matrix[row][column]

    def _place(self, node: int) -> t.Optional[int]:
        # nodes ascend, and this is asked for every pair of them
        place = bisect.bisect_left(self.nodes, node)
        return place if place < len(self.nodes) and self.nodes[place] == node else None


class CpuPool(t.NamedTuple):
    """A cpupool; `domains` counts the domains in it."""

    id: int
    name: t.Optional[str]
    scheduler: t.Optional[str]
    cpuset: CpuSet
    domains: t.Optional[int]
    sched_gran: t.Optional[str] = None


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


class Locality(t.NamedTuple):
    """How near a domain's vCPUs are to its memory.

    `cpu_nodes` are the nodes on which its vCPUs may run, `memory_nodes` those that have at least 1 % of its memory, None where its memory
    by node was not asked for. `may_leave` are the vCPUs whose hard affinity lets them run on a CPU that none of these nodes is nearest to,
    `away` those that run there now. `remote_share` (0 to 1) and `distance` (SLIT units, 10 = all local) are what an access to memory meets on average
    when each vCPU runs on any of the CPUs that it should run on (soft affinity within the hard one) with the same chance;
    `worst_distance` when it runs on any that it may run on. Only online vCPUs count.
    """

    cpu_nodes: CpuSet
    memory_nodes: t.Optional[CpuSet]
    may_leave: t.Optional[t.Tuple[int, ...]]
    away: t.Optional[t.Tuple[int, ...]]
    remote_share: t.Optional[float]
    distance: t.Optional[float]
    worst_distance: t.Optional[float]


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
    locality: t.Optional[Locality] = None

    @property
    def title(self) -> str:
        """What messages and diffs call the domain, for instance ``web1 (domid 3)``."""
        return f"{self.name} (domid {self.domid})" if self.name else f"domid {self.domid}"


class PciDevice(t.NamedTuple):
    """A PCI device. `address` is domain:bus:device.function; identities are hexadecimal, as lspci -n writes them.

    `node` is None where the firmware does not say where the device is. `parent` is the bridge above it by its address, or the root as Linux
    calls it, ``pci0000:40``; `buses` are a bridge's secondary and subordinate bus. `assignable`: kept for guests; `assigned_to`: the domain
    that has it. The names in `network`, `block`, `infiniband` and `gpu` are dom0's.
    """

    address: str
    class_name: str
    class_id: str
    vendor_id: str
    device_id: str
    subsystem_id: str
    revision: int
    vendor: t.Optional[str]
    device: t.Optional[str]
    node: t.Optional[int]
    driver: t.Optional[str]
    assignable: bool
    assigned_to: t.Optional[int]
    network: t.Tuple[str, ...]
    block: t.Tuple[str, ...]
    infiniband: t.Tuple[str, ...]
    gpu: t.Tuple[str, ...]
    parent: t.Optional[str]
    buses: t.Optional[t.Tuple[int, ...]]


class Dom0Linux(t.NamedTuple):
    """What Linux in dom0 believes the machine to be. It sees vCPUs: none of it is the host's topology."""

    packages: t.Optional[int]
    cores: t.Optional[int]
    pus: t.Optional[int]
    nodes: t.Optional[int]


class Dom0Boot(t.NamedTuple):
    """What Xen's command line asks for dom0. `memory` and `max_vcpus` as they stand there; `nodes` are Xen's numbers.

    `proximity_domains` are what ``dom0_nodes=`` names, None when it is not given; `strict` tells whether its vCPUs may run nowhere else.
    """

    memory: t.Optional[str]
    max_vcpus: t.Optional[str]
    pinned: bool
    proximity_domains: t.Optional[t.Tuple[int, ...]]
    nodes: t.Optional[CpuSet]
    strict: t.Optional[bool]


class Memory(t.NamedTuple):
    """Memory of the whole host in bytes. `outstanding` is claimed by domains under construction, still counted as free."""

    total: t.Optional[int]
    free: t.Optional[int]
    scrub: t.Optional[int]
    outstanding: t.Optional[int]


_Indexed = t.TypeVar("_Indexed", Pu, NumaNode)


class NamesUnknown(Failure):
    """A name was looked up, and the names of this host are not known: xenstore did not answer."""


class Topology(t.NamedTuple):
    """The whole host. `domains`, `pci_devices` and `dmi` are None when they were not asked for.

    `host_name` and `hwloc_objects` are None where the topology was not read from hwloc XML that has such.
    """

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
    caches: t.Tuple[Cache, ...] = ()
    cpu_kinds: t.Tuple[CpuKind, ...] = ()
    sub_numa: t.Tuple[SubNuma, ...] = ()
    dom0_boot: t.Optional[Dom0Boot] = None
    unanswered: t.Tuple[Unanswered, ...] = ()
    pci_devices: t.Optional[t.Tuple[PciDevice, ...]] = None
    dmi: t.Optional[t.Dict[str, t.Optional[str]]] = None
    hwloc_objects: t.Optional[t.Tuple[HwlocObject, ...]] = None
    host_name: t.Optional[str] = None

    @property
    def bare(self) -> bool:
        """Whether this was read from hwloc XML of a machine without Xen: what is said of it must not speak of Xen."""
        return self.source == IMPORTED and self.xen.version is None

    @property
    def threads_per_core(self) -> int:
        """The most PUs that a core has, offline ones counted (XEN_SYSCTL_physinfo's figure describes CPU 0 alone); 0 without cores."""
        return max((len(core.complete_cpuset) for core in self.cores), default=0)

    @property
    def online_cpuset(self) -> CpuSet:
        """The PUs that are online, whether or not their place is known."""
        return CpuSet(pu.os_index for pu in self.pus if pu.online)

    def check_names(self, what: str) -> None:
        """Raise NamesUnknown for `what`, with the reason, where the toolstack's names of domains and cpupools are unknown."""
        reason = next((one.reason for one in self.components if one.name == "xenstore" and one.reason), None)
        # xl knows them, too.
        if reason is not None and not any(pool.name for pool in self.cpupools):
            raise NamesUnknown(f"{what}: {reason}")

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
        """Count the physical cores that have at least one PU in the set.

        A core that has PUs on several nodes counts where its first PU is, so that no core is counted twice.
        """
        return sum(
            1
            for core in self.cores
            if (
                core.complete_cpuset & cpuset
                if core.node is not None
                else core.complete_cpuset.first() in cpuset
            )
        )

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
            or (text == "Domain-0" and domain.domid == 0 and domain.name is None)
            or (text and text.lstrip("0") == str(domain.domid).lstrip("0"))
            or (len(compact) == 32 and compact == domain.uuid.replace("-", ""))
        ]
        if len(found) > 1:
            # an all-zero UUID is Domain-0's and, on some toolstacks, that of guests made without one
            ids = ", ".join(str(domain.domid) for domain in found)
            raise Failure(
                f"{text!r} means more than one domain of this host (domids {ids}): name it by its UUID or another id"
            )
        if not found:
            if not text.isdigit() and len(compact) != 32:
                self.check_names(f"domain {text!r} cannot be looked up")
            names = ", ".join(domain.name or f"domid {domain.domid}" for domain in self.domains) or "none"
            lost = any(domain.name is None for domain in self.domains)
            more = "; one without a name may have lost it when xenstored was started anew" if lost else ""
            raise Failure(f"there is no domain {text!r} on this host: it has {names}{more}")
        return found[0]


def _by_os_index(things: t.Tuple[_Indexed, ...], os_index: int) -> t.Optional[_Indexed]:
    # numbers are dense on most hosts: the position is the number
    if 0 <= os_index < len(things) and things[os_index].os_index == os_index:
        return things[os_index]
    # else they ascend
    low, high = 0, len(things)
    while low < high:
        middle = (low + high) // 2
        if things[middle].os_index < os_index:
            low = middle + 1
        else:
            high = middle
    return things[low] if low < len(things) and things[low].os_index == os_index else None
