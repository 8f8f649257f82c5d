# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""A plan's steps, replayed one after the other on what is free. What a guest takes and holds is computed anew, not read from the plan."""

from __future__ import annotations

import typing as t

from ...module_utils._topology.model import Domain, Topology
from .model import Guest

_PAGE = 4096
_MIB = 1 << 20

#: As Xen's own count of a guest's nodes has it: less is no memory on a node.
_TRACE = 4096 * _PAGE

Free = t.Mapping[str, dict["int | None", int]]


def replay(
    plan: t.Mapping[str, t.Any],
    guests: t.Mapping[str, Guest],
    topologies: t.Mapping[str, Topology],
    free: Free,
) -> t.Iterator[tuple[str | None, str]]:
    """Carry out the steps on `free` (bytes of each host's nodes, and of the host under None), and yield (guest, what is wrong)."""
    at: dict[str, tuple[str, dict[int, int]]] = {}
    ends: dict[str, tuple[str, tuple[int, ...]]] = {}
    for host, topology in topologies.items():
        for domain in topology.domains or ():
            if domain.domid and domain.name in guests and domain.state != "dying":
                at.setdefault(domain.name or "", (host, _held(domain, topology)))
    vnodes = {
        (entry["name"], entry["host"], tuple(entry["nodes"])): {
            int(vnode["node"]): int(vnode["memory_bytes"]) for vnode in entry["vnuma"]
        }
        for entry in plan["guests"]
        if entry.get("vnuma")
    }
    for place, step in enumerate(plan["steps"], 1):
        name, action = step["guest"], step["action"]
        if action == "keep_off":
            continue
        if name not in guests:
            yield name, f"step {place} is about {name}, which was not asked for"
            continue
        ends[name] = (step["host"], tuple(step["nodes"]))
        if action == "repin":
            continue
        if action == "stop":
            if name in at:
                _give(free, *at.pop(name))
            continue
        shares = vnodes.get((name, step["host"], tuple(step["nodes"])))
        takes = _split(guests[name], step["nodes"], topologies[step["host"]], shares)
        if action == "restart" and name in at:
            _give(free, *at.pop(name))
        short = [
            (node, amount - free[step["host"]].get(node, 0))
            for node, amount in [*takes.items(), (None, sum(takes.values()))]
            if amount > free[step["host"]].get(node, 0)
        ]
        for node, missing in short:
            where = f"node {node} of {step['host']}" if node is not None else step["host"]
            yield (
                name,
                f"step {place}, {action} {name}, needs {-(-missing // _MIB)} MiB more than {where} has then",
            )
        _give(free, step["host"], {node: -amount for node, amount in takes.items()})
        if name in at:
            _give(free, *at.pop(name))
        at[name] = (step["host"], takes)
    for entry in plan["guests"]:
        name, action = entry["name"], entry["action"]
        end = ends.get(name)
        if action == "keep":
            if end is not None:
                yield name, f"{name} is kept as it is, yet there is a step for it"
        elif end != (entry["host"], tuple(entry["nodes"])):
            yield name, f"no step brings {name} to where the plan has it"


def _give(free: Free, host: str, amounts: t.Mapping[int, int]) -> None:
    for node, amount in amounts.items():
        free[host][node] = free[host].get(node, 0) + amount
    free[host][None] = free[host].get(None, 0) + sum(amounts.values())


def _split(
    guest: Guest, nodes: t.Sequence[int], topology: Topology, shares: t.Mapping[int, int] | None = None
) -> dict[int, int]:
    """Bytes on each node with memory: the guest's memory, 1 MiB a vCPU, 4 KiB a MiB and 2 MiB, dealt out in pages.

    With virtual nodes (`shares`: their memory by node) only what comes on top of the memory is dealt out.
    """
    more = guest.vcpus * _MIB + -(-guest.memory // _MIB) * 4096 + 2 * _MIB
    useful = [node for node in sorted(nodes) if topology.node(node).memory_free is not None]
    pages = -(-(more if shares else more + guest.memory) // _PAGE)
    return {
        node: len(range(index, pages, len(useful))) * _PAGE + (shares or {}).get(node, 0)
        for index, node in enumerate(useful)
    }


def _held(domain: Domain, topology: Topology) -> dict[int, int]:
    """Bytes of a domain on each node: as measured, else evenly over its node affinity."""
    if domain.memory_by_node and any(domain.memory_by_node.values()):
        found = {int(node): size for node, size in domain.memory_by_node.items()}
        much = {node: size for node, size in found.items() if size > _TRACE}
        return much or dict([max(found.items(), key=lambda item: (item[1], -item[0]))])
    useful = [node.os_index for node in topology.nodes if node.memory_free is not None]
    affine = [node for node in useful if domain.node_affinity is not None and node in domain.node_affinity]
    where = affine or useful or [topology.nodes[0].os_index]
    pages = -(-domain.memory // _PAGE)
    return {node: len(range(index, pages, len(where))) * _PAGE for index, node in enumerate(where)}
