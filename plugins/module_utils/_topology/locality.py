# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How near a domain's vCPUs are to its memory: the verdict beside the facts. Pure."""

import typing as t

from .cpuset import CpuSet
from .model import Distances, Domain, Locality, NumaNode, Topology, Vcpu

#: A node with less than this part of a domain's memory is not one of its nodes: a few pages of Xen's own lie anywhere.
LEAST_SHARE = 0.01


class Ground(t.NamedTuple):
    """Where a domain stands: the CPUs of its cpupool that can be used, the nodes, and the distances between them."""

    cpus: CpuSet
    nodes: t.Sequence[NumaNode]
    distances: Distances


def with_locality(topology: Topology) -> Topology:
    """Return the host with the verdict on each of its domains, if it has any."""
    if topology.domains is None:
        return topology
    return topology._replace(
        domains=tuple(domain._replace(locality=_of_domain(domain, topology)) for domain in topology.domains)
    )


def _of_domain(domain: Domain, topology: Topology) -> Locality:
    cpus = next(
        (pool.cpuset & topology.cpuset for pool in topology.cpupools if pool.id == domain.cpupool),
        topology.cpuset,
    )
    return locality(domain.vcpus, domain.memory_by_node, Ground(cpus, topology.nodes, topology.distances))


def locality(
    vcpus: t.Iterable[Vcpu], memory_by_node: t.Optional[t.Mapping[int, int]], ground: Ground
) -> Locality:
    """Return the verdict on a domain; without its memory by node only the nodes of its CPUs."""
    online = [vcpu for vcpu in vcpus if vcpu.online]
    node_masks = [(node.os_index, node.cpuset & ground.cpus) for node in ground.nodes if node.cpuset]
    may = {vcpu.vcpu: vcpu.hard & ground.cpus for vcpu in online}
    cpu_nodes = CpuSet(node for node, cpus in node_masks if any(cpus & allowed for allowed in may.values()))
    size = sum((memory_by_node or {}).values())
    if memory_by_node is None or not size:
        return Locality(cpu_nodes, None, None, None, None, None, None)
    shares = {node: amount / size for node, amount in memory_by_node.items() if amount}
    homes = memory_nodes(memory_by_node)
    # memory of a node without CPUs is at home where it is nearest
    near = {near for node in ground.nodes if node.os_index in homes for near in node.nearest_cpu_nodes}
    at_home = CpuSet()
    for node, cpus in node_masks:
        if node in near:
            at_home |= cpus
    should = {}
    for vcpu in online:
        preferred = vcpu.soft & may[vcpu.vcpu]
        # a soft affinity that leaves nothing is none
        should[vcpu.vcpu] = preferred or may[vcpu.vcpu]
    away = tuple(
        vcpu.vcpu for vcpu in online if vcpu.running and vcpu.cpu is not None and vcpu.cpu not in at_home
    )
    return Locality(
        cpu_nodes,
        homes,
        tuple(vcpu.vcpu for vcpu in online if may[vcpu.vcpu] - at_home),
        away,
        _average(should.values(), node_masks, lambda node: 1 - shares.get(node, 0.0)),
        _average(should.values(), node_masks, lambda node: _reach(node, shares, ground.distances)),
        _average(may.values(), node_masks, lambda node: _reach(node, shares, ground.distances)),
    )


def memory_nodes(memory_by_node: t.Mapping[int, int]) -> CpuSet:
    """Return the nodes that have a part of a domain's memory that counts; `memory_by_node` has bytes."""
    size = sum(memory_by_node.values())
    return CpuSet(node for node, amount in memory_by_node.items() if amount and amount / size >= LEAST_SHARE)


def _reach(node: int, shares: t.Mapping[int, float], distances: Distances) -> t.Optional[float]:
    """The average distance from a node to the memory; None when a part of it cannot be reached from there."""
    reached = 0.0
    for home, share in shares.items():
        distance = distances.between(node, home)
        if distance is None:
            return None
        reached += share * distance
    return reached


def _average(
    masks: t.Iterable[CpuSet],
    node_masks: t.Sequence[t.Tuple[int, CpuSet]],
    value: t.Callable[[int], t.Optional[float]],
) -> t.Optional[float]:
    """The mean over the vCPUs of the mean over the CPUs that each may use; None when there is none, or a value is unknown."""
    values = {node: value(node) for node, _cpus in node_masks}
    results = []
    for mask in masks:
        weights = {node: len(cpus & mask) for node, cpus in node_masks if cpus & mask}
        if not weights or any(values[node] is None for node in weights):
            return None
        whole = sum(weights.values())
        results.append(sum(weight * (values[node] or 0.0) for node, weight in weights.items()) / whole)
    return round(sum(results) / len(results), 4) if results else None
