# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts to plan on, made as Xen would describe them and read back from facts."""

from __future__ import annotations

import typing as t

from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.model import Topology
from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost

NONE = 0xFFFFFFFF
PAGES_OF_A_MIB = 256
HVM, SHUTDOWN, DYING = 2, 4, 1

Raw = dict[str, t.Any]


def domain(
    domid: int,
    name: str,
    vcpus: int,
    mib: int,
    nodes: t.Sequence[int] = (),
    hard: t.Sequence[int] | None = None,
    soft: t.Sequence[int] | None = None,
    pool: int = 0,
    flags: int = 0,
    by_node: t.Mapping[int, int] | None = None,
    most_mib: int | None = None,
) -> Raw:
    """A domain; `hard`, `soft` None is every CPU, `nodes` empty is no node affinity told. `by_node`: MiB of each node."""

    def mask(kind: str, cpus: t.Sequence[int] | None) -> Raw:
        return {kind: list(cpus or ()), kind + "_all": cpus is None}

    shared = {"online": 1, "blocked": 0, "running": 1, "cpu_time": 1000, "cpu": 0}
    return {
        "name": name,
        "by_node": by_node,
        "info": {
            "domain": domid,
            "flags": flags,
            "tot_pages": mib * PAGES_OF_A_MIB,
            "max_pages": (most_mib or mib + 1) * PAGES_OF_A_MIB,
            "max_vcpu_id": vcpus - 1,
            "nr_online_vcpus": vcpus,
            "handle": f"{domid:032x}",
            "cpupool": pool,
            "node_affinity": list(nodes),
            "vcpus": [
                {"vcpu": number, **shared, **mask("hard", hard), **mask("soft", soft)}
                for number in range(vcpus)
            ],
        },
    }


def raw_host(
    nodes: t.Sequence[tuple[int, int | None]],
    threads: int = 2,
    distance: t.Sequence[t.Sequence[int]] | None = None,
    domains: t.Sequence[Raw] | None = (),
    dom0_vcpus: int = 1,
    offline: t.Collection[int] = (),
    pools: t.Sequence[tuple[str, t.Collection[int]]] = (),
    spanned: t.Sequence[int] = (),
    claimed: int = 0,
) -> RawHost:
    """What was heard from a host. `nodes`: (cores, MiB free), one package a node; memory None for a node without, cores 0 for one without CPUs.

    `distance` defaults to 20 between nodes. `pools` are further cpupools: their CPUs leave Pool-0. `domains` None: not asked for.
    """
    topo = [
        [core, number, number]
        for number, (cores, _memory) in enumerate(nodes)
        for core in range(cores)
        for _thread in range(threads)
    ]
    cpus = [cpu for cpu in range(len(topo)) if cpu not in offline]
    taken = {cpu for _name, members in pools for cpu in members}
    all_pools = [("Pool-0", [cpu for cpu in cpus if cpu not in taken]), *pools]
    spans = list(spanned) or [max(2048, 2 * (memory or 0)) for _cores, memory in nodes]
    data: Raw = {
        "xen": {"major": 4, "minor": 17, "extraversion": ".7"},
        "sched_id": 6,
        "physinfo": {
            "threads_per_core": threads,
            "nr_cpus": len(cpus),
            "total_pages": sum(spans) * PAGES_OF_A_MIB,
            "free_pages": sum(memory or 0 for _cores, memory in nodes) * PAGES_OF_A_MIB,
            "outstanding_pages": claimed * PAGES_OF_A_MIB,
        },
        "cputopo": topo,
        "pcpuinfo": [[len(topo) - 1, int(cpu in cpus), cpu, cpu] for cpu in range(len(topo))],
        "numainfo": {
            "memsize": [
                NONE if memory is None else span << 20
                for span, (_cores, memory) in zip(spans, nodes, strict=True)
            ],
            "memfree": [NONE if memory is None else memory << 20 for _cores, memory in nodes],
            "distance": distance
            or [[10 if a == b else 20 for b in range(len(nodes))] for a in range(len(nodes))],
        },
        "cpupools": [
            {"id": number, "sched_id": 6, "n_dom": 1, "cpus": sorted(set(members) & set(cpus))}
            for number, (_name, members) in enumerate(all_pools)
        ],
        "cpupool_free": [],
        "cpupool_names": {str(number): name for number, (name, _members) in enumerate(all_pools)},
        "page_size": 4096,
    }
    if domains is not None:
        everyone = [domain(0, "Domain-0", dom0_vcpus, 512), *domains]
        data["domains"] = [entry["info"] for entry in everyone]
        data["domain_names"] = {str(entry["info"]["domain"]): entry["name"] for entry in everyone}
        data["memory_by_node"] = {
            str(entry["info"]["domain"]): {
                str(node): mib * PAGES_OF_A_MIB for node, mib in entry["by_node"].items()
            }
            for entry in everyone
            if entry["by_node"]
        }
    return RawHost(data)


def facts(nodes: t.Sequence[tuple[int, int | None]], **more: t.Any) -> Raw:
    """The same as facts."""
    return to_facts(derive(raw_host(nodes, **more)))


def recording(nodes: t.Sequence[tuple[int, int | None]], **more: t.Any) -> Raw:
    """The same as a recording."""
    return raw_host(nodes, **more).to_recording()


def host(nodes: t.Sequence[tuple[int, int | None]], **more: t.Any) -> Topology:
    """The same as a topology that has been on the wire."""
    return from_facts(facts(nodes, **more))
