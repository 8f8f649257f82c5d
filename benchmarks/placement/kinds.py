# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of hosts and requests on which it is tight, made from a seed: as Xen would describe the host, and as a user would write the request."""

from __future__ import annotations

import os
import random
import statistics
import typing as t

from ansible_collections.dom0.xen.plugins.module_utils._topology.devices import PciDevice
from ansible_collections.dom0.xen.plugins.module_utils._topology.model import Topology
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.check import check_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.exact import Engine
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import read_all
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts

Request = dict[str, t.Any]
Case = tuple[dict[str, Topology], Request]

OPEN = {"low_memory": False}


def need(memory: int, vcpus: int) -> float:
    """MiB that a guest takes of its nodes."""
    return memory + vcpus + 2 + memory / 256


def _sizes(rand: random.Random, total: float, largest: float, wide: float = 0.0) -> list[tuple[int, int]]:
    """(vCPUs, MiB) of guests of sizes of their own that ask for `total` MiB together, none for more than `largest` on its own."""
    found = []
    while total > 0:
        vcpus = rand.choice([1, 1, 2, 2, 2, 4, 4, 8])
        memory = int(rand.choice([1024, 2048, 4096, 8192, 16384]) * rand.uniform(0.8, 1.2))
        if rand.random() < wide:
            memory = int(largest * rand.uniform(1.1, 1.8))
        elif need(memory, vcpus) > largest:
            continue
        found.append((vcpus, memory))
        total -= need(memory, vcpus)
    return found


def _guests(sizes: t.Iterable[tuple[int, int]], **more: t.Any) -> list[Request]:
    return [
        {"name": f"g{number:04}", "vcpus": vcpus, "memory": memory, **more}
        for number, (vcpus, memory) in enumerate(sizes)
    ]


def _distances(rand: random.Random, nodes: int) -> list[list[int]]:
    """Sub-NUMA clusters of one package near each other, packages further apart."""
    package = rand.choice([1, 2, 4])
    far = rand.choice([21, 32])
    return [
        [10 if a == b else 12 if a // package == b // package else far for b in range(nodes)]
        for a in range(nodes)
    ]


def _host(
    rand: random.Random, nodes: t.Sequence[tuple[int, int | None]], **more: t.Any
) -> dict[str, Topology]:
    return {"alpha": hosts.host(nodes, distance=_distances(rand, len(nodes)), **more)}


def _request(guests: list[Request], **more: t.Any) -> Request:
    return {"guests": guests, "reserve": OPEN, **more}


def over_full(rand: random.Random, most: int = 40) -> Case:
    """100 to 130 % of the memory asked for."""
    nodes = rand.choice([2, 4, 8])
    memory = rand.choice([16384, 32768, 65536])
    asked = rand.uniform(1.0, 1.3)
    guests = _guests(_sizes(rand, nodes * memory * asked, memory))[:most]
    return _host(rand, [(8, memory)] * nodes), _request(guests)


def over_full_large(rand: random.Random) -> Case:
    """The same with some hundred guests."""
    nodes = rand.choice([4, 8])
    memory = 131072 * 4 // nodes * rand.choice([2, 3, 4])
    return _host(rand, [(16, memory)] * nodes), _request(
        _guests(_sizes(rand, nodes * memory * rand.uniform(1.0, 1.3), memory))
    )


def over_full_fleet(rand: random.Random, number: int = 60) -> Case:
    """A fleet of 60 hosts, 100 to 110 % asked for."""
    made = {}
    total = 0.0
    for host in range(number):
        nodes, memory = rand.choice([(2, 65536), (4, 32768), (8, 16384)])
        made[f"h{host:03}"] = hosts.host([(8, memory)] * nodes, distance=_distances(rand, nodes))
        total += nodes * memory
    return made, _request(_guests(_sizes(rand, total * rand.uniform(1.0, 1.1), 16384)))


def full(rand: random.Random) -> Case:
    """98 to 100 % of the memory asked for, by guests that do fit, each on one node."""
    nodes, memory = rand.choice([(2, 32768), (4, 32768), (4, 65536), (8, 32768)])
    guests: list[tuple[int, int]] = []
    for _node in range(nodes):
        left = float(memory)
        while left > 1100:
            vcpus = rand.choice([1, 2, 4])
            size = int(rand.choice([1024, 2048, 4096, 8192]) * rand.uniform(0.8, 1.2))
            if need(size, vcpus) > left - 1100:
                size = int((left - vcpus - 2) * 256 / 257 * rand.uniform(0.99, 1.0))
            guests.append((vcpus, size))
            left -= need(size, vcpus)
    rand.shuffle(guests)
    return _host(rand, [(8, memory)] * nodes), _request(_guests(guests))


def memory_only(rand: random.Random) -> Case:
    """Nodes without CPUs, which some of the guests may use."""
    nodes: list[tuple[int, int | None]] = [(8, 24576)] * rand.choice([2, 4])
    nodes += [(0, rand.choice([24576, 49152]))] * rand.choice([1, 2])
    total = sum(memory or 0 for _cores, memory in nodes)
    guests = _guests(_sizes(rand, total * rand.uniform(0.8, 1.1), 24576))[:40]
    for guest in guests:
        guest["policy"] = {"memory_only_nodes": rand.choice(["allow", "allow", "avoid"])}
    return _host(rand, nodes), _request(guests)


def unequal(rand: random.Random) -> Case:
    """Nodes that have neither the same memory nor as many cores."""
    nodes = [
        (rand.choice([2, 4, 6, 8, 12]), rand.choice([8192, 16384, 24576, 40960]))
        for _node in range(rand.choice([3, 4, 6]))
    ]
    total = sum(memory for _cores, memory in nodes)
    largest = min(memory for _cores, memory in nodes)
    return _host(rand, nodes), _request(_guests(_sizes(rand, total * rand.uniform(0.7, 1.0), largest))[:40])


def _with_devices(topology: Topology, devices: t.Mapping[str, int]) -> Topology:
    listed = tuple(
        PciDevice(
            address, "Network controller", "0280", "8086", "1572", "", 1, None, None, node, "pciback", True, None,
            (), (), (), (), None, None,
        )
        for address, node in sorted(devices.items())
    )  # fmt: skip
    return topology._replace(pci_devices=listed)


def twelve_nodes(rand: random.Random) -> Case:
    """12 nodes with devices, some of which have to be near."""
    memory = 16384
    guests = _guests(_sizes(rand, 12 * memory * rand.uniform(0.7, 0.98), memory))[:60]
    devices = {}
    for number, guest in enumerate(guests):
        if rand.random() < 0.3:
            address = f"0000:{number:02x}:00.0"
            devices[address] = rand.randrange(12)
            guest["pci_devices"] = [{"address": address, "policy": rand.choice(["required", "preferred"])}]
    made = {
        name: _with_devices(topology, devices) for name, topology in _host(rand, [(4, memory)] * 12).items()
    }
    return made, _request(guests)


def wide(rand: random.Random) -> Case:
    """Guests that need several nodes."""
    nodes, memory = rand.choice([4, 8]), 32768
    share = rand.choice([0.3, 0.6])
    sizes = _sizes(rand, nodes * memory * rand.uniform(0.6, 1.0), memory, share)[:20]
    return _host(rand, [(8, memory)] * nodes), _request(_guests(sizes))


def middling(rand: random.Random) -> Case:
    """Guests of which two have no room on a node and one leaves much of it."""
    nodes, memory = rand.choice([4, 8]), 32768
    sizes = [(4, int(memory * rand.uniform(0.55, 0.95))) for _guest in range(nodes + rand.choice([2, 4, 6]))]
    total = 0.0
    kept = []
    for size in sizes:
        total += need(size[1], size[0])
        if total < 0.97 * nodes * memory:
            kept.append(size)
    return _host(rand, [(8, memory)] * nodes), _request(_guests(kept))


def apart(rand: random.Random) -> Case:
    """One large anti-affine group, over nodes or over hosts."""
    scope = rand.choice(["node", "host"])
    number = 8 if scope == "node" else 12
    if scope == "node":
        made = _host(rand, [(8, 32768)] * number)
    else:
        made = {f"h{host:02}": hosts.host([(8, 16384)] * 2) for host in range(number)}
    members = _guests(_sizes(rand, number * rand.uniform(0.8, 1.4) * 4000, 16384))[: 3 * number]
    guests = members[: rand.choice([number, number + 4, 2 * number])]
    groups = [
        {
            "name": "crew",
            "policy": "anti-affinity",
            "scope": scope,
            "members": [guest["name"] for guest in guests],
        }
    ]
    return made, _request(members, groups=groups)


def fragmented(rand: random.Random) -> Case:
    """Guests that run where one after the other left room, some of them on several nodes, and may be moved."""
    nodes, memory = rand.choice([2, 4]), 32768
    free = [float(memory)] * nodes
    domains, guests = [], []
    for number, (vcpus, size) in enumerate(_sizes(rand, nodes * memory * 0.85, memory)):
        where = [rand.randrange(nodes)]
        if free[where[0]] < need(size, vcpus):
            where = [node for node in range(nodes) if free[node] >= need(size, vcpus) / nodes + 1]
        if not where or any(free[node] < need(size, vcpus) / len(where) for node in where):
            continue
        for node in where:
            free[node] -= need(size, vcpus) / len(where)
        name = f"old{number:03}"
        domains.append(
            hosts.domain(
                number + 1,
                name,
                vcpus,
                size,
                where,
                by_node={node: size // len(where) for node in where},
            )
        )
        guests.append({"name": name, "vcpus": vcpus, "memory": size})
    made = _host(rand, [(8, int(left)) for left in free], domains=domains)
    new = _guests(_sizes(rand, sum(free) * rand.uniform(0.5, 0.95), memory))
    return made, _request(guests + new, rebalance="migrate", max_moves=rand.choice([2, 5]))


def cpupools(rand: random.Random) -> Case:
    """A second cpupool that has some nodes or parts of nodes."""
    nodes, memory, threads, cores = 4, 24576, 2, 8
    first = rand.choice([3, 2])
    cut = first * cores * threads + rand.choice([0, 4, 8])
    pool = range(cut, nodes * cores * threads)
    guests = _guests(_sizes(rand, nodes * memory * rand.uniform(0.8, 1.05), memory))[:40]
    for guest in guests:
        if rand.random() < 0.4:
            guest["pool"] = "second"
    return _host(rand, [(cores, memory)] * nodes, threads=threads, pools=[("second", pool)]), _request(guests)


def offline(rand: random.Random) -> Case:
    """Some CPUs offline, on one node most of them."""
    nodes, memory, cores = 4, 24576, 8
    down = {cpu for cpu in range(1, nodes * cores * 2) if rand.random() < (0.8 if cpu < 16 else 0.15)}
    guests = _guests(_sizes(rand, nodes * memory * rand.uniform(0.8, 1.05), memory))[:40]
    return _host(rand, [(cores, memory)] * nodes, offline=down), _request(guests)


def dedicated(rand: random.Random) -> Case:
    """Guests with cores of their own beside guests that share."""
    nodes, memory, cores = 4, 32768, 12
    guests = _guests(_sizes(rand, nodes * memory * rand.uniform(0.6, 0.9), memory))[:30]
    for guest in guests:
        if rand.random() < 0.3 and guest["vcpus"] <= 8:
            guest["policy"] = {
                "cpu_policy": "dedicated",
                "thread_policy": rand.choice(["prefer", "isolate"]),
            }
    return _host(rand, [(cores, memory)] * nodes), _request(guests)


KINDS: dict[str, t.Callable[[random.Random], Case]] = {
    "over-full": over_full,
    "over-full, hundreds of guests": over_full_large,
    "98 to 100 % full": full,
    "memory-only nodes": memory_only,
    "unequal nodes": unequal,
    "12 nodes with devices": twelve_nodes,
    "wide guests": wide,
    "middling guests": middling,
    "one group apart": apart,
    "fragmented, guests run": fragmented,
    "cpupools": cpupools,
    "offline CPUs": offline,
    "dedicated CPUs": dedicated,
    "over-full fleet": over_full_fleet,
}


def case_of(kind: str, seed: int) -> Case:
    """One instance of a kind."""
    return KINDS[kind](random.Random(f"{kind} {seed}"))


def kinds(seeds: int, engine: str, say: t.Callable[[str], None]) -> list[str]:
    """Plan instances of all kinds; returns the lines of a table: sums over the instances beside the sums of the bounds."""
    lines = [
        "| kind | instances | guests | unplaced / bound | spanning / bound | peak over its bound, median | CPU time, all | levels proven |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind in KINDS:
        levels: list[dict[str, t.Any]] = []
        guests = 0
        begin = _cpu()
        for seed in range(seeds if "fleet" not in kind else 1):
            topologies, wanted = case_of(kind, seed)
            request = read_all(list(topologies), wanted)
            guests += len(request.guests)
            plan = make_plan(
                topologies, request.guests, request.reserve, request.settings, engine=Engine(engine)
            )
            assert not check_plan(plan, topologies, request.guests, request.reserve, request.settings)
            levels.append({level["level"]: level for level in plan["objective"]})
        told = []
        for name in ("unplaced", "spanning"):
            value, bound = (sum(one[name][key] for one in levels) for key in ("value", "bound"))
            told.append(f"{value} / {bound}")
        over = statistics.median(
            one["peak_load"]["value"] / one["peak_load"]["bound"] - 1
            for one in levels
            if one["peak_load"]["bound"]
        )
        first = ("unplaced", "spanning", "crowding", "distance", "device", "smt", "peak_load")
        proven = sum(not one[name]["gap"] for one in levels for name in first)
        lines.append(
            f"| {kind} | {len(levels)} | {guests} | {' | '.join(told)} | {over:.1%} | {_cpu() - begin:.1f} s | "
            f"{proven} of {len(first) * len(levels)} |"
        )
        say(lines[-1])
    return lines


def _cpu() -> float:
    """Seconds of CPU time of this process and of those that it waited for: the exact engine runs in one of its own."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
