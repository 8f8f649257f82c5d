# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts held against themselves: what comes from a host is not believed to be what this collection would have written. Pure.

`shape` looks at each value alone; here are the rules between them, on which everything relies that computes with a topology. All of it
takes time in proportion to the facts. docs/facts.md has the rules.
"""

import typing as t

from .._errors import Failure
from .cpuset import CpuSet
from .model import Topology

#: Cores, vCPUs or cpupools, times the highest number of a CPU: their sets take an eighth of it in bytes. 16,384 CPUs and 32,768 vCPUs.
MOST_BITS = 2**29

_LONGEST_LIST = 80


def check_size(facts: t.Dict[str, t.Any]) -> None:
    """Refuse more sets than there is memory for, before they are read; each is as large as the highest number in it.

    `facts` have the right shape. Raises :class:`Failure`.
    """
    bits = CpuSet.parse(facts["complete_cpuset"]).mask.bit_length()
    domains = facts.get("domains") or ()
    counts = (
        ("cores", len(facts["cores"])),
        ("cpupools", len(facts["cpupools"])),
        ("cpu_kinds", len(facts.get("cpu_kinds", ()))),
        ("hwloc_objects", len(facts.get("hwloc_objects") or ())),
        ("vCPUs of domains", sum([len(domain["vcpus"]) for domain in domains])),
    )
    for what, count in counts:
        if count * bits > MOST_BITS:
            raise _damaged(
                f"{count} {what} on CPUs up to {bits - 1} are more than this collection reads: one times the other is to be at most "
                f"{MOST_BITS}"
            )


def check(topology: Topology) -> None:
    """Raise :class:`Failure` with the first spot where the topology contradicts itself."""
    _check_places(topology)
    every, nodes = topology.complete_cpuset, topology.complete_nodeset
    for name in ("cpuset", "allowed_cpuset", "cpupool_free"):
        _within(name, getattr(topology, name), every, "complete_cpuset")
    _within("nodeset", topology.nodeset, nodes, "complete_nodeset")
    for kind in ("cores", "packages", "nodes", "sub_numa", "cpu_kinds"):
        for index, thing in enumerate(getattr(topology, kind)):
            _within(f"{kind}[{index}].complete_cpuset", thing.complete_cpuset, every, "complete_cpuset")
            _within(f"{kind}[{index}].cpuset", thing.cpuset, thing.complete_cpuset, "its complete_cpuset")
    for index, node in enumerate(topology.nodes):
        _within(f"nodes[{index}].shared_cpuset", node.shared_cpuset, every, "complete_cpuset")
    for index, thing in enumerate(topology.hwloc_objects or ()):
        _within(f"hwloc_objects[{index}].cpuset", thing.cpuset, every, "complete_cpuset")
        _within(f"hwloc_objects[{index}].nodeset", thing.nodeset, nodes, "complete_nodeset")
    _different("cpupools", "id", [pool.id for pool in topology.cpupools])
    taken = CpuSet()
    for index, pool in enumerate(topology.cpupools):
        _within(f"cpupools[{index}].cpuset", pool.cpuset, every, "complete_cpuset")
        if pool.cpuset & taken:
            raise _damaged(
                f"cpupools[{index}].cpuset has {_listed(pool.cpuset & taken)}, which another cpupool has"
            )
        taken |= pool.cpuset
    _check_caches(topology)
    _check_distances(topology)
    _check_vcpus("dom0", topology.dom0_vcpus, topology)
    _different("domains", "domid", [domain.domid for domain in topology.domains or ()])
    for index, domain in enumerate(topology.domains or ()):
        where = f"domains[{index}]"
        _check_vcpus(where, domain.vcpus, topology)
        if domain.node_affinity is not None:
            _within(f"{where}.node_affinity", domain.node_affinity, nodes, "complete_nodeset")


def _damaged(text: str) -> Failure:
    return Failure(f"the topology facts are damaged: {text}")


def _listed(cpus: CpuSet) -> str:
    text = str(cpus) or "none"
    return text if len(text) <= _LONGEST_LIST else text[: _LONGEST_LIST - 3] + "..."


def _within(where: str, inner: CpuSet, outer: CpuSet, name: str) -> None:
    if not inner <= outer:
        raise _damaged(f"{where} has {_listed(inner - outer)}, which {name} has not")


def _ascending(where: str, name: str, numbers: t.Sequence[int]) -> None:
    for index in range(1, len(numbers)):
        if numbers[index] <= numbers[index - 1]:
            raise _damaged(f"{where}[{index}].{name} is {numbers[index]} and follows {numbers[index - 1]}")


def _different(where: str, name: str, numbers: t.Sequence[int]) -> None:
    if len(set(numbers)) == len(numbers):
        return
    seen = set()  # type: t.Set[int]
    for index, number in enumerate(numbers):
        if number in seen:
            raise _damaged(f"{where}[{index}].{name} is {number}, which is that of another beside it")
        seen.add(number)


def _check_places(topology: Topology) -> None:
    """Hold cores, packages and nodes against what each PU says of its place."""
    _ascending("pus", "os_index", [pu.os_index for pu in topology.pus])
    _ascending("nodes", "os_index", [node.os_index for node in topology.nodes])
    known = {"complete_cpuset": [pu.os_index for pu in topology.pus]}
    known["complete_nodeset"] = [node.os_index for node in topology.nodes]
    for name, numbers in known.items():
        told, found = getattr(topology, name), CpuSet(numbers)
        if told != found:
            listed = "pus" if name == "complete_cpuset" else "nodes"
            raise _damaged(f"{name} is {_listed(told)}, and {listed} has {_listed(found)}")
    cores = {}  # type: t.Dict[t.Any, t.List[int]]
    packages = {}  # type: t.Dict[t.Any, t.List[int]]
    around = {}  # type: t.Dict[int, t.Set[int]]
    nodes = {node.os_index: [] for node in topology.nodes}  # type: t.Dict[t.Any, t.List[int]]
    for index, pu in enumerate(topology.pus):
        if pu.package is not None:
            packages.setdefault(pu.package, []).append(pu.os_index)
            around.setdefault(pu.package, set())
            if pu.core is not None:
                cores.setdefault((pu.package, pu.core), []).append(pu.os_index)
        if pu.node is not None:
            if pu.node not in nodes:
                raise _damaged(f"pus[{index}].node is {pu.node}, which nodes has not")
            nodes[pu.node].append(pu.os_index)
            if pu.package is not None:
                around[pu.package].add(pu.node)
    for kind, members, keys in (
        ("cores", cores, [(core.package, core.os_index) for core in topology.cores]),
        ("packages", packages, [package.os_index for package in topology.packages]),
        ("nodes", nodes, [node.os_index for node in topology.nodes]),
    ):  # type: str, t.Dict[t.Any, t.List[int]], t.List[t.Any]
        if len(set(keys)) < len(keys) or len(keys) != len(members):
            raise _damaged(f"{kind} has {len(keys)} members, and pus names {len(members)} different ones")
        for index, (key, thing) in enumerate(zip(keys, getattr(topology, kind))):
            found = CpuSet(members.get(key, ()))
            if thing.complete_cpuset != found:
                raise _damaged(
                    f"{kind}[{index}].complete_cpuset is {_listed(thing.complete_cpuset)}, and pus says {_listed(found)}"
                )
    for index, package in enumerate(topology.packages):
        found = CpuSet(around[package.os_index])
        if package.nodeset != found:
            raise _damaged(
                f"packages[{index}].nodeset is {_listed(package.nodeset)}, and pus says {_listed(found)}"
            )


def _check_caches(topology: Topology) -> None:
    for index, cache in enumerate(topology.caches):
        seen = bytearray((topology.complete_cpuset.mask.bit_length() >> 3) + 1)
        for place, cpus in enumerate(cache.cpusets or ()):
            where = f"caches[{index}].cpusets[{place}]"
            _within(where, cpus, topology.complete_cpuset, "complete_cpuset")
            if not cpus:
                raise _damaged(f"{where} has no CPU")
            for cpu in cpus:
                if seen[cpu >> 3] >> (cpu & 7) & 1:
                    raise _damaged(f"{where} has CPU {cpu}, which another of these caches has")
                seen[cpu >> 3] |= 1 << (cpu & 7)


def _check_distances(topology: Topology) -> None:
    distances = topology.distances
    count = len(distances.nodes)
    if [len(row) for row in distances.matrix] != [count] * count:
        raise _damaged(f"distances.matrix should have {count} rows of {count} distances")
    if distances.nodes != tuple([node.os_index for node in topology.nodes]):
        raise _damaged("distances.nodes are not those of nodes, in their order")


def _check_vcpus(where: str, vcpus: t.Iterable[t.Any], topology: Topology) -> None:
    vcpus = list(vcpus)
    _different(f"{where}.vcpus", "vcpu", [vcpu.vcpu for vcpu in vcpus])
    for index, vcpu in enumerate(vcpus):
        for kind in ("hard", "soft"):
            _within(
                f"{where}.vcpus[{index}].{kind}",
                getattr(vcpu, kind),
                topology.complete_cpuset,
                "complete_cpuset",
            )
