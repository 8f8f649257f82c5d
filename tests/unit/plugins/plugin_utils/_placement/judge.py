# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The best placement of a few new guests by trying all of them, from facts and request alone, with none of the planner's own code.

For guests that share CPUs, on hosts on which only dom0 runs, with no reserve.
"""

from __future__ import annotations

import itertools
import typing as t
from fractions import Fraction

from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement.checker import cpus, need, shares

Data = dict[str, t.Any]

LEVELS = ("unplaced", "spanning", "crowding", "distance", "device", "smt", "peak_load")


class Choice(t.NamedTuple):
    """A place for a guest: what it costs, and what it takes of what others share."""

    host: str
    nodes: tuple[int, ...]
    memory: dict[tuple[str, int], int]
    loads: dict[tuple[str, int, int], int]
    crowding: int
    distance: int
    device: int
    excess: int = 0


class _Host:
    def __init__(self, name: str, facts: Data) -> None:
        self.name = name
        online = cpus(facts["cpuset"])
        self.pools = {pool["id"]: (pool["name"], cpus(pool["cpuset"]) & online) for pool in facts["cpupools"]}
        self.pus = {node["os_index"]: cpus(node["cpuset"]) & online for node in facts["nodes"]}
        self.free = {
            node["os_index"]: node["memory_free_bytes"]
            for node in facts["nodes"]
            if node["memory_free_bytes"] is not None
        }
        self.core_sets = [cpus(core["complete_cpuset"]) for core in facts["cores"]]
        order, matrix = facts["distances"]["nodes"], facts["distances"]["matrix"]
        self.distance = {(a, b): matrix[i][j] for i, a in enumerate(order) for j, b in enumerate(order)}
        self.devices = {device["address"]: device["node"] for device in facts.get("pci_devices") or ()}
        self.dom0 = [domain["max_vcpus"] for domain in facts["domains"] if domain["domid"] == 0]

    def pool_of(self, guest: Data) -> int | None:
        wish = guest.get("pool")
        if wish is None:
            return 0 if 0 in self.pools else None
        return next(
            (number for number, (name, _cpus) in self.pools.items() if wish in (name, str(number))), None
        )

    def cores(self, pool: int, node: int) -> int:
        there = self.pools[pool][1] & self.pus[node]
        return sum(1 for core in self.core_sets if core & there)

    def cells(self, pool: int) -> dict[int, int]:
        """Cores by node of a cpupool."""
        return {node: cores for node in sorted(self.pus) if (cores := self.cores(pool, node))}


def _split(load: int, weights: dict[int, int]) -> dict[int, int]:
    """In proportion, whole thousandths, the largest remainders first."""
    total = sum(weights.values())
    parts = {key: load * weight // total for key, weight in weights.items()}
    rest = load - sum(parts.values())
    for key in sorted(weights, key=lambda key: (-(load * weights[key] % total), key))[:rest]:
        parts[key] += 1
    return parts


def _choices(guest: Data, hosts: list[_Host], roomy: dict[tuple[str, int], bool]) -> list[Choice]:
    policy = guest.get("policy", {})
    wish = str(policy.get("numa_policy", "preferred"))
    allow = policy.get("memory_only_nodes") == "allow"
    found = []
    for host in hosts:
        pool = host.pool_of(guest)
        if pool is None or guest.get("host") not in (None, host.name):
            continue
        cells = host.cells(pool)
        useful = [node for node in sorted(host.pus) if node in cells or node in host.free]
        whole = tuple(node for node in useful if node in cells and node in host.free)
        for size in range(1, len(useful) + 1):
            for nodes in itertools.combinations(useful, size):
                cpu = [node for node in nodes if node in cells]
                memory = [node for node in nodes if node in host.free]
                borrows = any(node not in cells for node in memory)
                if guest.get("nodes") is not None:
                    if list(nodes) != sorted(guest["nodes"]):
                        continue
                elif (
                    (borrows and not allow)
                    or (wish == "single" and size != 1)
                    or (wish == "spread" and nodes != whole)
                    or (wish.isdigit() and size != int(wish))
                ):
                    continue
                if not cpu or not memory:
                    continue
                if any(host.distance[pair] is None for pair in itertools.permutations(nodes, 2)):
                    continue
                if sum(len(host.pools[pool][1] & host.pus[node]) for node in cpu) < guest["vcpus"]:
                    continue
                taken = shares(need(guest), memory)
                if any(amount > host.free[node] for node, amount in taken.items()):
                    continue
                devices = guest.get("pci_devices", [])
                if any(
                    device["address"] not in host.devices
                    or (device["policy"] == "required" and host.devices[device["address"]] not in nodes)
                    for device in devices
                ):
                    continue
                cores = sum(cells[node] for node in cpu)
                way = sum(
                    cells[a] * (max(10, host.distance[a, b] if a != b else 10) - 10)
                    for a in cpu
                    for b in memory
                )
                ways = sum(
                    sum((max(10, host.distance[a, at] if a != at else 10) - 10) for a in cpu)
                    * 100
                    // len(cpu)
                    for device in devices
                    if (at := host.devices[device["address"]]) is not None
                )
                found.append(
                    Choice(
                        host.name,
                        nodes,
                        {(host.name, node): amount for node, amount in taken.items()},
                        {
                            (host.name, pool, node): part
                            for node, part in _split(
                                guest["vcpus"] * 1000, {n: cells[n] for n in cpu}
                            ).items()
                        },
                        max(0, guest["vcpus"] - cores) if roomy[host.name, pool] else 0,
                        guest["vcpus"] * (way * 100 // (cores * len(memory))),
                        ways,
                    )
                )
    least = min(((one.crowding, len(one.nodes)) for one in found), default=(0, 0))[1]
    free_choice = wish == "preferred" and guest.get("nodes") is None
    return [one._replace(excess=max(0, len(one.nodes) - least) if free_choice else 0) for one in found]


def optimum(facts: dict[str, Data], request: Data) -> list[tuple[float, ...]]:
    """The best levels that there are, in the order of LEVELS; `unplaced` is a tuple by falling priority, the others raw figures."""
    hosts = [_Host(name, facts[name]) for name in sorted(facts)]
    guests = request["guests"]
    expected: dict[tuple[str, int], Fraction] = {}
    for host in hosts:
        for pool in host.pools:
            expected[host.name, pool] = Fraction(0)
    for guest in guests:
        may = [
            (host.name, pool, sum(host.cells(pool).values()))
            for host in hosts
            if (pool := host.pool_of(guest)) is not None and guest.get("host") in (None, host.name)
        ]
        total = sum(cores for _host, _pool, cores in may)
        for name, pool, cores in may:
            expected[name, pool] += Fraction(guest["vcpus"] * cores, total or 1)
    roomy = {
        (host.name, pool): expected[host.name, pool] <= sum(host.cells(pool).values())
        for host in hosts
        for pool in host.pools
    }
    choices = [_choices(guest, hosts, roomy) for guest in guests]
    free = {(host.name, node): size for host in hosts for node, size in host.free.items()}
    cores = {
        (host.name, pool, node): number
        for host in hosts
        for pool in host.pools
        for node, number in host.cells(pool).items()
    }
    load = dict.fromkeys(cores, 0)
    for host in hosts:
        for vcpus in host.dom0:
            for node, part in _split(1000, host.cells(0)).items():
                load[host.name, 0, node] += part * vcpus
    packages = {
        (host.name, node["os_index"]): [
            package["os_index"]
            for package in facts[host.name]["packages"]
            if node["os_index"] in cpus(package["nodeset"])
        ]
        for host in hosts
        for node in facts[host.name]["nodes"]
    }
    groups = request.get("groups", [])
    parts: dict[tuple[str, str], int] = {}
    for group in groups:
        for number, member in enumerate(group["members"]):
            for name in member if isinstance(member, list) else [member]:
                parts[group["name"], name] = number
    priorities = sorted({guest.get("priority", 0) for guest in guests}, reverse=True)
    best: list[tuple[t.Any, ...]] = []

    def units(scope: str, choice: Choice) -> set[t.Any]:
        if scope == "host":
            return {choice.host}
        if scope == "node":
            return {(choice.host, node) for node in choice.nodes}
        return {(choice.host, package) for node in choice.nodes for package in packages[choice.host, node]}

    def permitted(at: list[Choice | None]) -> bool:
        owners: set[t.Any] = set()
        for guest, choice in zip(guests, at, strict=True):
            for device in guest.get("pci_devices", []) if choice else ():
                if (choice.host, device["address"]) in owners:  # type: ignore[union-attr]
                    return False
                owners.add((choice.host, device["address"]))  # type: ignore[union-attr]
        for group in groups:
            there = [
                (parts[group["name"], guest["name"]], units(group["scope"], choice))
                for guest, choice in zip(guests, at, strict=True)
                if choice is not None and (group["name"], guest["name"]) in parts
            ]
            if group["policy"] == "affinity":
                if (
                    any(len(where) != 1 for _part, where in there)
                    or len({min(where) for _part, where in there}) > 1
                ):
                    return False
            elif any(a[0] != b[0] and a[1] & b[1] for a, b in itertools.combinations(there, 2)):
                return False
        return True

    def value(at: list[Choice | None]) -> tuple[t.Any, ...]:
        missing = [
            guest.get("priority", 0) for guest, choice in zip(guests, at, strict=True) if choice is None
        ]
        have = [choice for choice in at if choice is not None]
        now = dict(load)
        for choice in have:
            for cell, part in choice.loads.items():
                now[cell] += part
        return (
            tuple(missing.count(priority) for priority in priorities),
            sum(choice.excess for choice in have),
            sum(choice.crowding for choice in have),
            sum(choice.distance for choice in have),
            sum(choice.device for choice in have),
            sum(max(0, part - 1000 * cores[cell]) for cell, part in now.items()),
            max((part * 1000 // cores[cell] for cell, part in now.items()), default=0),
        )

    at: list[Choice | None] = [None] * len(guests)

    def descend(index: int) -> None:
        if index == len(guests):
            if permitted(at):
                found = value(at)
                if not best or found < best[0]:
                    best[:] = [found]
            return
        for choice in choices[index]:
            if all(free[node] >= amount for node, amount in choice.memory.items()):
                for node, amount in choice.memory.items():
                    free[node] -= amount
                at[index] = choice
                descend(index + 1)
                at[index] = None
                for node, amount in choice.memory.items():
                    free[node] += amount
        descend(index + 1)

    descend(0)
    return list(best[0])
