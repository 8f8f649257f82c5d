# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""On which NUMA nodes guests were created, where something has changed the affinity of their vCPUs since. Pure.

Xen derives the node affinity of a guest from the affinity of its vCPUs (``domain_update_node_affinity``), so it follows whoever changes that, while the
memory stays where it is. What libxl writes down of a guest when it builds it (``/var/lib/xen/userdata-d.*.libxl-json``) does not follow.
"""

from __future__ import annotations

import json
import typing as t

from ...module_utils._errors import Failure, printable
from ...module_utils._topology.cpuset import CpuSet
from ...module_utils._topology.locality import memory_nodes

Data = t.Mapping[str, t.Any]


def created_homes(domains: t.Sequence[Data], facts: Data, records: str = "") -> dict[str, t.Any]:
    """Return ``{"domains": domains, "drifts": {name: sentence}}``: `domains` with the node affinity that they were created with.

    `domains` are as in the facts, `records` is what libxl has written down of them, one JSON object after the other; what cannot be read
    of it counts as not there. Where the memory of a guest was measured (``memory_by_node``), that decides, and its node affinity stays.
    """
    try:
        cpus_of = {int(node["os_index"]): CpuSet.parse(node["cpuset"]) for node in facts["nodes"]}
        homes = _recorded(records, cpus_of)
        found, drifts = [], {}
        for domain in domains:
            affine = None if domain.get("node_affinity") is None else CpuSet.parse(domain["node_affinity"])
            bare = CpuSet(node for node in affine or () if not cpus_of.get(node))
            # where it was measured, the nodes that have the guest's memory
            measured = memory_nodes(
                {int(node): size for node, size in (domain.get("memory_by_node") or {}).items()}
            )
            home = measured or homes.get(_digits(domain["uuid"]), CpuSet())
            if home and not measured:
                home |= bare
            if domain["domid"] and affine and home and home != affine:
                name = str(domain["name"] or f"domid {domain['domid']}")
                drifts[name] = _sentence(name, home, affine, bool(measured))
                domain = domain if measured else {**domain, "node_affinity": str(home)}
            found.append(domain)
    except (KeyError, TypeError, ValueError, AttributeError, Failure) as error:
        raise Failure(f"These are not the facts of a Xen host and its domains: {error!r}.") from error
    return {"domains": found, "drifts": printable(drifts)}


def _sentence(name: str, home: CpuSet, affine: CpuSet, measured: bool) -> str:
    how = "has its memory on" if measured else "was created on"
    return f"{name} {how} {_nodes(home)}, and its vCPUs have been moved to {_nodes(affine)} since: the plan takes {_nodes(home)} as its place."


def _nodes(nodes: CpuSet) -> str:
    return f"node{'s'[: len(nodes) > 1]} {nodes}"


def _digits(uuid: t.Any) -> str:
    return str(uuid).replace("-", "").lower()


def _recorded(text: str, cpus_of: t.Mapping[int, CpuSet]) -> dict[str, CpuSet]:
    """The nodes that guests were created on, by the digits of their UUID; only of those that were created for some of the nodes."""
    found = {}
    for record in _objects(text):
        try:
            uuid = _digits(record["c_info"]["uuid"])
            nodes = _of_record(record["b_info"], cpus_of)
        except (KeyError, TypeError, ValueError, AttributeError, Failure):
            continue
        if nodes:
            found[uuid] = nodes
    return found


def _objects(text: str) -> t.Iterator[t.Any]:
    """The JSON objects that follow each other in a text, up to the first that cannot be read."""
    decoder = json.JSONDecoder()
    position = 0
    while True:
        position = text.find("{", position)
        if position < 0:
            return
        try:
            found, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return
        yield found


def _of_record(info: t.Any, cpus_of: t.Mapping[int, CpuSet]) -> CpuSet:
    """The nodes that Xen takes memory from for such a guest; empty where nothing was asked for.

    Source: ``domain_update_node_affinity`` (xen/common/sched/core.c): of all vCPUs together soft affinity within hard affinity, or hard affinity where
    they have nothing in common.
    """
    if info.get("vnuma_nodes"):
        return CpuSet(int(node["pnode"]) for node in info["vnuma_nodes"])
    masks = []
    for key in ("vcpu_hard_affinity", "vcpu_soft_affinity"):
        lists = info.get(key) or []
        # a vCPU without an entry may run anywhere
        whole = not lists or len(lists) < int(info.get("max_vcpus") or 0)
        masks.append(None if whole else CpuSet(int(cpu) for cpus in lists for cpu in cpus))
    hard, soft = masks
    wished = soft if hard is None else hard if soft is None or not hard & soft else hard & soft
    if wished is None:
        return CpuSet()
    nodes = CpuSet(node for node, cpus in cpus_of.items() if cpus & wished)
    return CpuSet() if all(node in nodes for node, cpus in cpus_of.items() if cpus) else nodes
