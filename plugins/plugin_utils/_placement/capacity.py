# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""A host's topology as room for guests: memory that may be taken, cores that share the work, and who holds what already."""

from __future__ import annotations

import itertools
import typing as t

from ...module_utils._errors import Failure
from ...module_utils._topology import command_line
from ...module_utils._topology.cpuset import CpuSet
from ...module_utils._topology.model import Distances, Domain, Topology
from .model import PAGE, VCPU, Cell, Host, Node, Pool, Reserve, Running, split_evenly

#: Memory below which a node does not count as one that a guest is on: 4,096 pages, as XAPI has it for its own count of nodes.
TRACE_OF_MEMORY = 4096 * PAGE


def host_room(name: str, topology: Topology, reserve: Reserve, closed: bool = False) -> Host:
    """Turn a topology into room. Raises :class:`Failure` when the facts do not say which domains run.

    `closed`: nothing new may go there.
    """
    if topology.domains is None:
        raise Failure(
            f"the facts of {name} do not tell which domains run, so nothing can be planned around them: "
            "gather them again with dom0.xen.topology_facts and gather_subset [all]"
        )
    units = _Units(topology)
    pools = _pools(topology, units)
    nodes = {node.os_index: node for node in _nodes(topology, reserve, units)}
    claimed = topology.memory.outstanding or 0
    room = sum((node.memory_free or 0) for node in nodes.values()) - claimed - reserve.host_memory
    spread = _Spread(pools, units)
    running = tuple(
        _running(domain, pools, nodes, spread)
        for domain in sorted(topology.domains, key=lambda domain: domain.domid)
    )
    around: dict[int, list[int]] = {number: [] for number in nodes}
    for package in topology.packages:
        for number in package.nodeset:
            around[number].append(package.os_index)
    packages = {number: tuple(sorted(found)) for number, found in around.items()}
    return Host(
        name,
        nodes,
        pools,
        Ways(topology.distances),
        running,
        max(0, room),
        claimed,
        packages,
        _devices(topology),
        _assigned(topology),
        _backends(topology),
        reserve.cpu_allocation_ratio,
        core_scheduling(topology),
        closed,
    )


def core_scheduling(topology: Topology) -> bool:
    """Whether Xen itself never lets two guests share a core: ``sched-gran`` of all cpupools, or of the command line."""
    granularities = {pool.sched_gran for pool in topology.cpupools}
    if granularities and None not in granularities:
        return granularities <= {"core", "socket"}
    asked = command_line.settings(command_line.parse(topology.xen.command_line)).get(("sched-gran", ""))
    return asked in ("core", "socket")


def low_memory(topology: Topology) -> dict[int, int]:
    """Bytes of the low memory of each node that Xen gives to guests last; none on a host with one node.

    On a host with several nodes Xen sets the memory below a limit aside for devices with short DMA addresses and takes it only when *all*
    nodes have nothing else (alloc_domheap_pages, xen/common/page_alloc.c). So a guest that needs the last memory of such a node gets memory
    of other nodes instead. How much of it is free is not known: the whole counts. Where the facts do not say where it lies, the first node
    is taken to begin at address 0, and to have all of it.
    """
    known = {node.os_index: node.memory_low for node in topology.nodes if node.memory_low is not None}
    if known:
        return {node: size for node, size in known.items() if size}
    spans = [(node.os_index, node.memory_spanned) for node in topology.nodes if node.memory_spanned]
    if len(topology.nodes) < 2 or not spans:
        return {}
    node, spanned = min(spans)
    bits = min((max(1, spanned // PAGE // 4) - 1).bit_length() + 12, 32)
    return {node: 1 << bits}


_Key = t.TypeVar("_Key", int, tuple[str, int])


def split_load(load: int, weights: t.Mapping[_Key, int]) -> dict[_Key, int]:
    """Divide `load` (thousandths of a vCPU) in proportion to `weights`; the parts sum up to it exactly."""
    total = sum(weights.values())
    if not total:
        return {}
    parts = {key: load * weight // total for key, weight in weights.items()}
    by_rest = sorted(weights, key=lambda key: (-(load * weights[key] % total), key))
    for key in by_rest[: load - sum(parts.values())]:
        parts[key] += 1
    return {key: part for key, part in sorted(parts.items()) if part}


class Ways(t.Mapping[tuple[int, int], "int | None"]):
    """The distances by (from, to), two different nodes of a host. A dictionary of them would be many times as large as they are."""

    def __init__(self, distances: Distances) -> None:
        self._distances = distances

    def __getitem__(self, pair: tuple[int, int]) -> int | None:
        source, target = pair
        return self._distances.between(source, target)

    def __iter__(self) -> t.Iterator[tuple[int, int]]:
        return itertools.permutations(self._distances.nodes, 2)

    def __len__(self) -> int:
        count = len(self._distances.nodes)
        return count * (count - 1)


class _Units:
    """Which core, last-level cache and node each CPU belongs to: looked up by CPU, for there may be thousands of each."""

    def __init__(self, topology: Topology) -> None:
        self.cores = {cpu: index for index, core in enumerate(topology.cores) for cpu in core.complete_cpuset}
        self.nodes = {cpu: node.os_index for node in topology.nodes for cpu in node.cpuset}
        shared = [cache for cache in topology.caches if cache.type != "instruction" and cache.cpusets]
        last = max(shared, key=lambda cache: cache.level, default=None)
        self.caches = {cpu: index for index, part in enumerate((last and last.cpusets) or ()) for cpu in part}

    def count_cores(self, cpuset: CpuSet) -> int:
        """Physical cores with a PU in the set. Where Xen does not tell cores, each PU counts as one."""
        return len({self.cores[cpu] for cpu in cpuset if cpu in self.cores}) or len(cpuset)

    def siblings(self, cpuset: CpuSet) -> tuple[CpuSet, ...]:
        """The PUs of the set by physical core. Where Xen does not tell cores, each PU counts as one."""
        return _parted(cpuset, self.cores) or tuple(CpuSet([cpu]) for cpu in cpuset)

    def last_level_caches(self, cpuset: CpuSet) -> tuple[CpuSet, ...]:
        """The PUs of the set by last-level cache, none where there is but one or it is not known who shares one."""
        parts = _parted(cpuset, self.caches)
        return tuple(sorted(parts, key=lambda part: part.first())) if len(parts) > 1 else ()


def _parted(cpuset: CpuSet, place_of: t.Mapping[int, int]) -> tuple[CpuSet, ...]:
    """The CPUs of the set by their place, in the order of the places; those without one are left out."""
    parts: dict[int, list[int]] = {}
    for cpu in cpuset:
        place = place_of.get(cpu)
        if place is not None:
            parts.setdefault(place, []).append(cpu)
    return tuple(CpuSet(parts[place]) for place in sorted(parts))


class _Spread:
    """How the load of a vCPU is shared among the nodes of a cpupool; each set of CPUs is looked at once."""

    def __init__(self, pools: t.Mapping[int, Pool], units: _Units) -> None:
        self._pools, self._units = pools, units
        self._known: dict[tuple[int, int], dict[int, int]] = {}

    def of(self, pool: int, wished: CpuSet) -> dict[int, int]:
        """Thousandths of a vCPU on each node, when it may run on these CPUs of the cpupool."""
        key = pool, wished.mask
        if key not in self._known:
            self._known[key] = split_load(VCPU, self._weights(self._pools[pool], wished))
        return self._known[key]

    def _weights(self, pool: Pool, wished: CpuSet) -> dict[int, int]:
        cells = pool.cells
        if len(wished) < len(cells):
            touched = sorted({self._units.nodes[cpu] for cpu in wished if cpu in self._units.nodes})
        else:
            touched = [node for node, cell in cells.items() if cell.cpuset & wished]
        if len(touched) == 1:
            return {touched[0]: 1}
        return {
            node: cells[node].cores
            if cells[node].cpuset <= wished
            else self._units.count_cores(cells[node].cpuset & wished)
            for node in touched
        }


def _nodes(topology: Topology, reserve: Reserve, units: _Units) -> t.Iterator[Node]:
    low = low_memory(topology) if reserve.low_memory else {}
    for node in topology.nodes:
        free = node.memory_free
        whole = low.get(node.os_index, 0)
        held_back = min(whole, free or 0)
        online = node.cpuset & topology.cpuset
        yield Node(
            node.os_index,
            online,
            units.count_cores(online),
            free,
            min(max(reserve.node_memory, held_back), free or 0),
            held_back,
            min(reserve.node_memory, free or 0),
            0 if free is None else max(0, max(reserve.node_memory, whole) - free),
        )


def _devices(topology: Topology) -> dict[str, int | None] | None:
    """Node of each PCI device by address; None when the topology does not list devices."""
    if topology.pci_devices is None:
        return None
    return {device.address: device.node for device in topology.pci_devices}


def _assigned(topology: Topology) -> dict[str, int]:
    """The domain that has a PCI device, by address."""
    return {
        device.address: device.assigned_to
        for device in topology.pci_devices or ()
        if device.assigned_to is not None
    }


def _backends(topology: Topology) -> tuple[int, ...]:
    """Nodes that the vCPUs of dom0 are kept on or prefer; none when that is every node."""
    masks = {
        (vcpu.hard & vcpu.soft or vcpu.hard) & topology.cpuset
        for domain in topology.domains or ()
        if not domain.domid
        for vcpu in domain.vcpus
        if vcpu.online
    }
    wished = CpuSet()
    for mask in masks:
        wished |= mask
    nodes = {node.os_index for node in topology.nodes if node.cpuset & wished}
    every = {node.os_index for node in topology.nodes if node.cpuset & topology.cpuset}
    return () if nodes == every else tuple(sorted(nodes))


def _pools(topology: Topology, units: _Units) -> dict[int, Pool]:
    named = [(pool.id, pool.name, pool.cpuset & topology.cpuset) for pool in topology.cpupools]
    if not named:
        named = [(0, "Pool-0", topology.cpuset)]
    pools = {}
    for number, name, cpuset in sorted(named, key=lambda pool: pool[0]):
        cells = {}
        for node in topology.nodes:
            part = node.cpuset & cpuset
            if part:
                cells[node.os_index] = Cell(
                    node.os_index, part, units.siblings(part), caches=units.last_level_caches(part)
                )
        pools[number] = Pool(number, name or str(number), cpuset, cells)
    return pools


def _running(
    domain: Domain, pools: t.Mapping[int, Pool], nodes: t.Mapping[int, Node], spread: _Spread
) -> Running:
    pool = pools.get(-1 if domain.cpupool is None else domain.cpupool) or next(iter(pools.values()))
    loads: dict[int, int] = {}
    masks = []
    online = 0
    for vcpu in domain.vcpus:
        hard, soft = vcpu.hard & pool.cpuset, vcpu.soft & pool.cpuset
        masks.append((hard, soft))
        if not vcpu.online:
            continue
        online += 1
        wished = hard & soft or hard or pool.cpuset
        for node, load in spread.of(pool.id, wished).items():
            loads[node] = loads.get(node, 0) + load
    held, measured = _held(domain, nodes)
    bare = {
        number
        for number in domain.node_affinity or ()
        if number in nodes and nodes[number].memory_free is None
    }
    return Running(
        domain.domid,
        domain.name or "",
        domain.state,
        pool.id,
        online,
        domain.max_vcpus,
        domain.memory,
        domain.max_memory,
        tuple(sorted({*held, *bare})),
        measured,
        held,
        loads,
        tuple(masks),
    )


def _held(domain: Domain, nodes: t.Mapping[int, Node]) -> tuple[dict[int, int], bool]:
    """Bytes of the domain on each node, and whether that was measured rather than told by its node affinity."""
    if domain.memory_by_node:
        found = {int(node): size for node, size in domain.memory_by_node.items()}
        much = {node: size for node, size in found.items() if size > TRACE_OF_MEMORY}
        if much or any(found.values()):
            return much or dict([max(found.items(), key=lambda item: (item[1], -item[0]))]), True
    with_memory = [number for number, node in sorted(nodes.items()) if node.memory_free is not None]
    affine = [number for number in with_memory if number in (domain.node_affinity or CpuSet())]
    where = affine or with_memory or sorted(nodes)[:1]
    return split_evenly(domain.memory, where), False
