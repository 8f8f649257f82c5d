# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan must keep, checked from facts, request and plan alone, with none of the planner's own code; and a plan carried out on paper."""

from __future__ import annotations

import copy
import itertools
import typing as t

MIB = 1 << 20
PAGE = 4096

Data = dict[str, t.Any]


def cpus(text: str) -> set[int]:
    """Members of a list such as 0-3,8."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        low, _dash, high = part.partition("-")
        found |= set(range(int(low), int(high or low) + 1))
    return found


def need(guest: Data) -> int:
    """Bytes that a guest takes: its memory, 1 MiB a vCPU, 4 KiB a MiB, and 2 MiB."""
    return (guest["memory"] + guest["vcpus"] + 2) * MIB + guest["memory"] * 4096


def shares(amount: int, nodes: t.Sequence[int]) -> dict[int, int]:
    """The amount on each node when whole pages are dealt out in turn."""
    pages = -(-amount // PAGE)
    return {node: len(range(index, pages, len(nodes))) * PAGE for index, node in enumerate(sorted(nodes))}


class Host:
    """What counts of one host's facts."""

    def __init__(self, facts: Data) -> None:
        self.online = cpus(facts["cpuset"])
        pool = cpus(facts["cpupools"][0]["cpuset"]) & self.online
        self.pus = {node["os_index"]: cpus(node["cpuset"]) & pool for node in facts["nodes"]}
        self.free = {
            node["os_index"]: node["memory_free_bytes"]
            for node in facts["nodes"]
            if node["memory_free_bytes"] is not None
        }
        self.cores = {
            node: sum(1 for core in facts["cores"] if cpus(core["complete_cpuset"]) & members)
            for node, members in self.pus.items()
        }
        order = facts["distances"]["nodes"]
        self.distance = {
            (a, b): facts["distances"]["matrix"][i][j]
            for i, a in enumerate(order)
            for j, b in enumerate(order)
        }
        self.running = {entry["name"]: entry for entry in facts["domains"]}

    def cpu_nodes(self) -> list[int]:
        return [node for node, members in sorted(self.pus.items()) if members]

    def reachable(self, nodes: t.Iterable[int]) -> bool:
        return all(self.distance[pair] is not None for pair in itertools.permutations(nodes, 2))


def check(plan: Data, facts: Data, guests: t.Sequence[Data], node_reserve: int = 0) -> None:
    """Fail when the plan, for new guests on one host without low memory kept back, breaks a hard rule."""
    host = Host(facts)
    by_name = {guest["name"]: guest for guest in guests}
    named = [entry["name"] for entry in plan["guests"]] + [entry["name"] for entry in plan["unplaced"]]
    assert sorted(named) == sorted(by_name)
    left = {node: free - node_reserve for node, free in host.free.items()}
    for entry in plan["guests"]:
        guest = by_name[entry["name"]]
        nodes, mask = entry["nodes"], cpus(entry["cpuset"])
        with_cpus = [node for node in nodes if host.pus[node]]
        with_memory = [node for node in nodes if node in host.free]
        assert nodes and with_cpus and with_memory
        whole = set().union(*(host.pus[node] for node in with_cpus))
        hard = guest.get("policy", {}).get("pin") == "hard"
        # It may keep to one of several caches of its node; a hard affinity is that of the node even then.
        cache = None if entry["cache"] is None else cpus(entry["cache"])
        assert cache is None or (len(nodes) == 1 and cache < whole and len(cache) >= guest["vcpus"])
        assert mask == (whole if hard or cache is None else cache)
        assert mask <= host.online
        assert host.reachable(nodes)
        assert (entry["hard"], entry["soft"]) == (
            (entry["cpuset"], entry["cache"] or "all") if hard else ("all", entry["cpuset"])
        )
        assert sum(entry["memory_by_node"].values()) == entry["memory_bytes"] == guest["memory"] * MIB
        assert entry["need_bytes"] == need(guest)
        if entry["action"] != "create":
            assert nodes == sorted(cpus(host.running[guest["name"]]["node_affinity"]) & set(host.free))
            continue
        assert len(mask) >= guest["vcpus"]
        numa_policy = guest.get("policy", {}).get("numa_policy", "preferred")
        if guest.get("nodes"):
            assert nodes == sorted(guest["nodes"])
        elif numa_policy == "spread":
            assert nodes == [node for node in host.cpu_nodes() if node in host.free]
        if numa_policy == "single":
            assert len(nodes) == 1
        if guest.get("policy", {}).get("memory_only_nodes") != "allow" and not guest.get("nodes"):
            assert with_cpus == nodes
        for node, share in shares(need(guest), with_memory).items():
            left[node] -= share
    for node in plan["hosts"]["alpha"]["nodes"]:
        number = node["os_index"]
        if number in left:
            assert node["memory_free_after_bytes"] == left[number] + node_reserve
            if node["memory_free_after_bytes"] != node["memory_free_bytes"]:
                assert left[number] >= 0
    assert all(entry["reasons"] and all(entry["reasons"]) for entry in plan["guests"] + plan["unplaced"])
    assert all(entry["nearest"] for entry in plan["unplaced"])


def carried_out(facts: Data, plan: Data, host: str = "alpha") -> Data:
    """The facts as they would be after the plan: guests created where it says, affinities set, memory taken."""
    facts = copy.deepcopy(facts)
    nodes = {node["os_index"]: node for node in facts["nodes"]}
    domains = {domain["name"]: domain for domain in facts["domains"]}
    domid = max(domain["domid"] for domain in facts["domains"])
    for entry in plan["guests"]:
        if entry["host"] != host or entry["action"] == "restart":
            continue
        if entry["action"] == "create":
            domid += 1
            with_memory = [int(node) for node in entry["memory_by_node"]]
            own = entry["memory_by_node"] if entry["vnuma"] else {}  # of virtual nodes exactly that
            for node, share in shares(entry["need_bytes"] - sum(own.values()), with_memory).items():
                nodes[node]["memory_free_bytes"] -= share + own.get(str(node), 0)
            domains[entry["name"]] = {
                "domid": domid,
                "name": entry["name"],
                "uuid": f"00000000-0000-0000-0000-{domid:012x}",
                "type": "pv",
                "state": "blocked",
                "cpupool": next(
                    pool["id"]
                    for pool in facts["cpupools"]
                    if entry["cpupool"] in (pool["name"], str(pool["id"]))
                ),
                "memory_bytes": entry["memory_bytes"],
                "max_memory_bytes": entry["memory_bytes"] + MIB,
                "max_vcpus": entry["vcpus"],
                "node_affinity": ",".join(str(node) for node in entry["nodes"]),
                "memory_by_node": None,
                "vcpus": [
                    {"vcpu": vcpu, "online": True, "running": False, "blocked": True, "cpu": 0, "time_ns": 0}
                    for vcpu in range(entry["vcpus"])
                ],
            }
        for vcpu in domains[entry["name"]]["vcpus"]:
            vcpu.update(hard=entry["hard"], soft=entry["soft"])
    facts["domains"] = list(domains.values())
    facts["memory"]["free_bytes"] = sum(node["memory_free_bytes"] or 0 for node in facts["nodes"])
    return facts


def fewest(facts: Data, guests: t.Sequence[Data]) -> tuple[tuple[int, ...], int]:
    """By trying everything: the fewest unplaced guests, by falling priority, and with these the fewest nodes beyond those needed.

    For new guests of Pool-0 on one host on which no guest runs, with no reserve.
    """
    host = Host(facts)
    nodes = host.cpu_nodes()
    sets = [
        chosen
        for size in range(1, len(nodes) + 1)
        for chosen in itertools.combinations(nodes, size)
        if host.reachable(chosen) and any(node in host.free for node in chosen)
    ]
    roomy = sum(guest["vcpus"] for guest in guests) <= sum(host.cores.values())
    choices = []
    for guest in guests:
        policy = guest.get("policy", {}).get("numa_policy", "preferred")
        mine = sets
        if guest.get("nodes"):
            mine = [chosen for chosen in sets if list(chosen) == sorted(guest["nodes"])]
        elif policy == "spread":
            whole = tuple(node for node in nodes if node in host.free)
            mine = [chosen for chosen in sets if chosen == whole]
        elif policy == "single":
            mine = [chosen for chosen in sets if len(chosen) == 1]
        fitting = []
        for chosen in mine:
            demand = shares(need(guest), [node for node in chosen if node in host.free])
            if sum(len(host.pus[node]) for node in chosen) < guest["vcpus"]:
                continue
            if any(amount > host.free[node] for node, amount in demand.items()):
                continue
            crowded = max(0, guest["vcpus"] - sum(host.cores[node] for node in chosen)) if roomy else 0
            fitting.append((crowded, len(chosen), demand))
        least = min((crowded for crowded, _size, _demand in fitting), default=0)
        needed = min((size for crowded, size, _demand in fitting if crowded == least), default=0)
        free_choice = policy == "preferred" and not guest.get("nodes")
        choices.append(
            [(max(0, size - needed) if free_choice else 0, demand) for _crowded, size, demand in fitting]
        )
    priorities = sorted({guest.get("priority", 0) for guest in guests}, reverse=True)
    best: list[tuple[tuple[int, ...], int]] = []

    def descend(index: int, left: dict[int, int], missing: tuple[int, ...], excess: int) -> None:
        if best and (missing, excess) >= best[0]:
            return
        if index == len(guests):
            best[:] = [(missing, excess)]
            return
        for extra, demand in choices[index]:
            after = {node: amount - demand.get(node, 0) for node, amount in left.items()}
            if min(after.values()) >= 0:
                descend(index + 1, after, missing, excess + extra)
        rank = priorities.index(guests[index].get("priority", 0))
        more = tuple(number + (place == rank) for place, number in enumerate(missing))
        descend(index + 1, left, more, excess)

    descend(0, dict(host.free), (0,) * len(priorities), 0)
    return best[0]
