# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""A host's topology as room for guests: memory that may be taken, cores that share the work, and who holds what already."""

from __future__ import annotations

import typing as t

from ...module_utils._errors import Failure
from ...module_utils._topology import command_line
from ...module_utils._topology.cpuset import CpuSet
from ...module_utils._topology.model import Domain, Topology
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
    pools = _pools(topology)
    nodes = {node.os_index: node for node in _nodes(topology, reserve)}
    claimed = topology.memory.outstanding or 0
    room = sum((node.memory_free or 0) for node in nodes.values()) - claimed - reserve.host_memory
    distances = {(a, b): topology.distance(a, b) for a in nodes for b in nodes if a != b}
    running = tuple(
        _running(topology, domain, pools, nodes)
        for domain in sorted(topology.domains, key=lambda domain: domain.domid)
    )
    packages = {
        number: tuple(sorted(package.os_index for package in topology.packages if number in package.nodeset))
        for number in nodes
    }
    return Host(
        name,
        nodes,
        pools,
        distances,
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


def low_memory(topology: Topology) -> tuple[int, int] | None:
    """(node, bytes) of the low memory that Xen gives to guests last; None on a host with one node.

    On a host with several nodes Xen sets the memory below a limit aside for devices with short DMA addresses and takes it only when *all*
    nodes have nothing else (alloc_domheap_pages, xen/common/page_alloc.c). The limit is a quarter of the first node, rounded up to a power
    of two, at most 4 GiB (arch_get_dma_bitsize, xen/arch/x86/numa.c). So a guest that needs the last memory of that node gets memory of
    other nodes instead. How much of it is free is not known: the whole counts. The node is taken to begin at address 0.
    """
    spans = [(node.os_index, node.memory_spanned) for node in topology.nodes if node.memory_spanned]
    if len(topology.nodes) < 2 or not spans:
        return None
    node, spanned = min(spans)
    bits = min((max(1, spanned // PAGE // 4) - 1).bit_length() + 12, 32)
    return node, 1 << bits


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


def _nodes(topology: Topology, reserve: Reserve) -> t.Iterator[Node]:
    low = low_memory(topology) if reserve.low_memory else None
    for node in topology.nodes:
        free = node.memory_free
        held_back = min(low[1], free or 0) if low is not None and low[0] == node.os_index else 0
        online = node.cpuset & topology.cpuset
        yield Node(
            node.os_index,
            online,
            _cores(topology, online),
            free,
            min(max(reserve.node_memory, held_back), free or 0),
            held_back,
        )


def _siblings(topology: Topology, cpuset: CpuSet) -> tuple[CpuSet, ...]:
    """The PUs of the set by physical core. Where Xen does not tell cores, each PU counts as one."""
    cores = [core.complete_cpuset & cpuset for core in topology.cores if core.complete_cpuset & cpuset]
    return tuple(cores) or tuple(CpuSet([cpu]) for cpu in cpuset)


def _last_level_caches(topology: Topology, cpuset: CpuSet) -> tuple[CpuSet, ...]:
    """The PUs of the set by last-level cache, none where there is but one or it is not known who shares one."""
    shared = [cache for cache in topology.caches if cache.type != "instruction" and cache.cpusets]
    last = max(shared, key=lambda cache: cache.level, default=None)
    if last is None:
        return ()
    parts = [part & cpuset for part in last.cpusets or () if part & cpuset]
    return tuple(sorted(parts, key=lambda part: part.first())) if len(parts) > 1 else ()


def _cores(topology: Topology, cpuset: CpuSet) -> int:
    return topology.cores_of(cpuset) or len(cpuset)


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
    nodes: set[int] = set()
    for domain in topology.domains or ():
        if domain.domid:
            continue
        for vcpu in domain.vcpus:
            if vcpu.online:
                wished = (vcpu.hard & vcpu.soft or vcpu.hard) & topology.cpuset
                nodes |= {node.os_index for node in topology.nodes if node.cpuset & wished}
    every = {node.os_index for node in topology.nodes if node.cpuset & topology.cpuset}
    return () if nodes == every else tuple(sorted(nodes))


def _pools(topology: Topology) -> dict[int, Pool]:
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
                    node.os_index, part, _siblings(topology, part), caches=_last_level_caches(topology, part)
                )
        pools[number] = Pool(number, name or str(number), cpuset, cells)
    return pools


def _running(
    topology: Topology, domain: Domain, pools: t.Mapping[int, Pool], nodes: t.Mapping[int, Node]
) -> Running:
    pool = pools.get(-1 if domain.cpupool is None else domain.cpupool) or next(iter(pools.values()))
    loads: dict[int, int] = {}
    shares: dict[int, dict[int, int]] = {}
    masks = []
    online = 0
    for vcpu in domain.vcpus:
        hard, soft = vcpu.hard & pool.cpuset, vcpu.soft & pool.cpuset
        masks.append((hard, soft))
        if not vcpu.online:
            continue
        online += 1
        wished = hard & soft or hard or pool.cpuset
        if wished.mask not in shares:
            weights = {
                cell.node: _cores(topology, cell.cpuset & wished)
                for cell in pool.cells.values()
                if cell.cpuset & wished
            }
            shares[wished.mask] = split_load(VCPU, weights)
        for node, load in shares[wished.mask].items():
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
