# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The published Huawei requests on their double-NUMA hosts (Dataset for topology-aware VM placement, CC0-1.0; not carried here).

Requests with one NUMA node go to one node, those with two take half of their vCPUs and memory from each. vCPUs are not overcommitted.
Groups: anti-affinity on different hosts, and of different fault domains on different ones. Affinity is by rack in the publication, and which
host is in which rack is not told; kept on one host it is a harder rule than was meant, so both are measured.
"""

from __future__ import annotations

import csv
import dataclasses
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.bounds import fewest_unplaced
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.effort import Effort
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import (
    ALONE,
    VCPU,
    Cell,
    Group,
    Guest,
    Host,
    Membership,
    Node,
    Policy,
    Pool,
)
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.options import Mover
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import solve_problem
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.problem import Base, make_problem
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.state import State

GIB = 1 << 30

#: More than any node has free: both nodes get as many, so that vCPUs are halved, and what is not free counts as used.
CPUS = 160

#: The first hosts of the list, on which the requests of C1 take 97 % of the free memory.
TIGHT = 1099

#: Which groups count.
READINGS = {
    "none": (),
    "anti-affinity, fault domains": ("anti-affinity",),
    "these, and affinity on one host": ("anti-affinity", "affinity"),
}

STEPS = 40_000_000
SECONDS = 25.0


@dataclass(frozen=True)
class Request(Guest):
    """A request takes what it says; the memory that Xen would need for it is not counted."""

    @property
    def need(self) -> int:
        """Bytes that it takes."""
        return self.memory


def read_hosts(data: Path, count: int | None) -> tuple[list[Host], Base]:
    """The hosts with what is free on them."""
    cells = {
        node: Cell(
            node,
            CpuSet(range(node * CPUS, (node + 1) * CPUS)),
            tuple(CpuSet([cpu]) for cpu in range(node * CPUS, (node + 1) * CPUS)),
        )
        for node in (0, 1)
    }
    pool = Pool(0, "Pool-0", CpuSet(range(2 * CPUS)), cells)
    base = Base()
    hosts = []
    with (data / "huawei-hosts.csv").open(encoding="utf-8") as stream:
        for row in list(csv.DictReader(stream))[:count]:
            name = f"h{int(row['host']):04}"
            nodes = {}
            for node in (0, 1):
                size = int(row[f"node{node}_free_memory_gib"]) * GIB
                base.vcpus[name, 0, node] = (CPUS - int(row[f"node{node}_free_vcpus"])) * VCPU
                nodes[node] = Node(node, cells[node].cpuset, CPUS, size)
            room = sum(node.usable for node in nodes.values())
            hosts.append(
                Host(name, nodes, {0: pool}, {(0, 1): 20, (1, 0): 20}, (), room, cpu_allocation_ratio=1.0)
            )
    return hosts, base


def read_requests(data: Path, sequence: str) -> list[Request]:
    """The requests of one sequence."""
    guests = []
    with (data / "huawei-vm-requests.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["sequence"] == sequence]
    for number, row in enumerate(rows):
        memberships: tuple[Membership, ...] = ()
        policy = row["group_policy"]
        if policy:
            kind = "affinity" if policy == "affinity" else "anti-affinity"
            part = int(row["fault_domain"]) if policy == "fault_domain" else number
            memberships = (Membership(Group(f"{policy} {row['group']}", kind, "host"), part),)
        guests.append(
            Request(
                f"r{number:04}",
                int(row["vcpus"]),
                int(row["memory_gib"]) * GIB,
                policy=Policy("single" if row["numa_nodes"] == "1" else row["numa_nodes"]),
                groups=memberships,
            )
        )
    return guests


def read_as(requests: t.Sequence[Request], reading: str) -> list[Request]:
    """The requests with those of their groups that one of READINGS counts."""
    kept = READINGS[reading]
    return [
        dataclasses.replace(
            request, groups=tuple(member for member in request.groups if member.group.policy in kept)
        )
        for request in requests
    ]


def faults(hosts: t.Sequence[Host], base: Base, state: State) -> list[str]:
    """What the placement breaks, counted anew from the data."""
    found = []
    memory: dict[t.Any, float] = {}
    vcpus: dict[t.Any, float] = {}
    groups: dict[str, list[tuple[str, int]]] = {}
    for mover, option in zip(state.problem.movers, state.at, strict=True):
        if option is None:
            continue
        place, guest = option.place, mover.guest
        if len(place.nodes) != (1 if guest.policy.numa_policy == "single" else 2):
            found.append(f"{guest.name} has {len(place.nodes)} nodes")
        for node in place.nodes:
            memory[place.host, node] = memory.get((place.host, node), 0) + guest.memory / len(place.nodes)
            vcpus[place.host, node] = vcpus.get((place.host, node), 0) + guest.vcpus / len(place.nodes)
        for membership in guest.groups:
            groups.setdefault(membership.group.name, []).append((place.host, membership.part))
    for host in hosts:
        for number, node in host.nodes.items():
            if memory.get((host.name, number), 0) > (node.memory_free or 0):
                found.append(f"memory of {host.name}, node {number}")
            if vcpus.get((host.name, number), 0) > CPUS - base.vcpus[host.name, 0, number] / VCPU:
                found.append(f"vCPUs of {host.name}, node {number}")
    for name, members in groups.items():
        if name.startswith("affinity"):
            if len({host for host, _part in members}) > 1:
                found.append(name)
            continue
        by_host: dict[str, list[int]] = {}
        for host, part in members:
            by_host.setdefault(host, []).append(part)
        if any(len(parts) > 1 and (ALONE in parts or len(set(parts)) > 1) for parts in by_host.values()):
            found.append(name)
    return found


def huawei(data: Path, say: t.Callable[[str], None]) -> list[str]:
    """Place C1 on the first hosts in each reading, and every sequence on all hosts; returns the lines of a table."""
    lines = [
        "| sequence | hosts | groups | requests | placed | at most | broken rules | CPU time | ended by |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    strict = list(READINGS)[-1]
    for sequence, count, reading in (
        *(("C1", TIGHT, reading) for reading in READINGS),
        *((f"C{number}", None, strict) for number in range(1, 6)),
    ):
        hosts, base = read_hosts(data, count)
        requests = read_as(read_requests(data, sequence), reading)
        begin = time.process_time()
        effort = Effort(STEPS, lambda begin=begin: time.process_time() - begin > SECONDS)  # type: ignore[misc]
        problem = make_problem(hosts, [Mover(guest) for guest in requests], base)
        state, _proven = solve_problem(problem, effort, None, say)
        seconds = time.process_time() - begin
        placed = sum(1 for option in state.at if option is not None)
        lines.append(
            f"| {sequence} | {len(hosts)} | {reading} | {len(requests)} | {placed} | {len(requests) - fewest_unplaced(problem)} | "
            f"{len(faults(hosts, base, state))} | {seconds:.1f} s | {effort.ended or 'nothing left to improve'} |"
        )
        say(lines[-1])
    return lines
