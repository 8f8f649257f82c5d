# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts and guests to plan, made from a seed."""

from __future__ import annotations

import random
import typing as t

from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import (
    MIB,
    Cell,
    Guest,
    Host,
    Node,
    Pool,
)

GIB = 1 << 30

#: (vCPUs, GiB, weight): how often each flavour is asked for in sequence C1 of the published Huawei requests, those for one node.
HUAWEI = (
    (2, 4, 851),
    (2, 8, 429),
    (4, 8, 928),
    (4, 16, 381),
    (8, 16, 300),
    (8, 32, 434),
    (12, 24, 27),
    (12, 48, 4),
    (16, 32, 137),
    (16, 64, 197),
)

#: Made up: many small ones, some databases.
ENTERPRISE = ((1, 2, 20), (2, 4, 30), (2, 6, 15), (4, 8, 15), (4, 24, 8), (8, 32, 6), (8, 48, 4), (16, 64, 2))

MIXES = {"huawei": HUAWEI, "enterprise": ENTERPRISE}


class Kind(t.NamedTuple):
    """A kind of host: nodes, cores and GiB of each node, SLIT distances."""

    nodes: int
    cores: int
    gib: float
    distances: list[list[int]]


def matrix(nodes: int, way: t.Callable[[int, int], int]) -> list[list[int]]:
    """Distances by a rule for two different nodes."""
    return [[10 if a == b else way(a, b) for b in range(nodes)] for a in range(nodes)]


def _ring(nodes: int) -> t.Callable[[int, int], int]:
    return lambda a, b: 21 if min((a - b) % nodes, (b - a) % nodes) == 1 else 31


#: AMD Opteron 6100 with four sockets of two nodes: some nodes are one hop away, others two.
_HOPS = [
    [10, 16, 16, 22, 16, 22, 16, 22],
    [16, 10, 22, 16, 22, 16, 22, 16],
    [16, 22, 10, 16, 16, 22, 16, 22],
    [22, 16, 16, 10, 22, 16, 22, 16],
    [16, 22, 16, 22, 10, 16, 16, 22],
    [22, 16, 22, 16, 16, 10, 22, 16],
    [16, 22, 16, 22, 16, 22, 10, 16],
    [22, 16, 22, 16, 22, 16, 16, 10],
]

KINDS = {
    "2 nodes": Kind(2, 32, 384, matrix(2, lambda a, b: 21)),
    "4 nodes, ring": Kind(4, 16, 192, matrix(4, _ring(4))),
    "4 nodes, SNC": Kind(4, 16, 192, matrix(4, lambda a, b: 12 if a // 2 == b // 2 else 21)),
    "8 nodes, NPS4": Kind(8, 16, 96, matrix(8, lambda a, b: 12 if a // 4 == b // 4 else 32)),
    "8 nodes, Opteron": Kind(8, 8, 96, _HOPS),
    "16 nodes": Kind(16, 8, 96, matrix(16, lambda a, b: 12 if a // 4 == b // 4 else 25)),
}


def host_of(kind: Kind, name: str = "alpha", devices: t.Mapping[str, int] | None = None) -> Host:
    """An empty host of a kind, with two threads a core."""
    cells, nodes = {}, {}
    for number in range(kind.nodes):
        first = number * kind.cores
        cores = tuple(CpuSet([2 * core, 2 * core + 1]) for core in range(first, first + kind.cores))
        cpus = CpuSet(range(2 * first, 2 * (first + kind.cores)))
        cells[number] = Cell(number, cpus, cores)
        nodes[number] = Node(number, cpus, kind.cores, int(kind.gib * GIB))
    every = CpuSet(range(2 * kind.nodes * kind.cores))
    distances = {(a, b): kind.distances[a][b] for a in range(kind.nodes) for b in range(kind.nodes) if a != b}
    return Host(
        name,
        nodes,
        {0: Pool(0, "Pool-0", every, cells)},
        t.cast("dict[tuple[int, int], int | None]", distances),
        (),
        kind.nodes * int(kind.gib * GIB),
        packages={number: (number,) for number in range(kind.nodes)},
        devices=devices or {},
    )


class Event(t.NamedTuple):
    """A guest that starts, or with `guest` None one that ends."""

    name: str
    guest: Guest | None


def history(
    kind: Kind, mix: str, fill: float, seed: int, churn: int = 160
) -> tuple[list[Event], dict[str, int]]:
    """Guests that come until so much of the memory is taken, and then go and come; and the nodes of their devices.

    One guest in ten has a PCI device, at a random node.
    """
    rand = random.Random(f"{kind.nodes} {mix} {fill} {seed}")
    largest = int(kind.gib * GIB)
    total = kind.nodes * largest
    flavours = [(vcpus, gib) for vcpus, gib, _weight in MIXES[mix]]
    weights = [weight for _vcpus, _gib, weight in MIXES[mix]]
    events: list[Event] = []
    alive: dict[str, Guest] = {}
    devices: dict[str, int] = {}
    used = number = 0

    def come() -> bool:
        nonlocal used, number
        for _try in range(50):
            vcpus, gib = rand.choices(flavours, weights)[0]
            number += 1
            name = f"g{number:04}"
            asked: tuple[tuple[str, str], ...] = ()
            address = f"0000:{number // 256 % 256:02x}:{number % 32:02x}.{number // 32 % 8}"
            if rand.random() < 0.1 and address not in devices:
                asked = ((address, "preferred"),)
            guest = Guest(name, vcpus, gib * 1024 * MIB, pci_devices=asked)
            if guest.need > largest or used + guest.need > fill * total:
                continue
            if asked:
                devices[address] = rand.randrange(kind.nodes)
            used += guest.need
            alive[name] = guest
            events.append(Event(name, guest))
            return True
        return False

    while come():
        pass
    for _step in range(churn):
        gone = rand.choice(sorted(alive))
        used -= alive.pop(gone).need
        events.append(Event(gone, None))
        while come():
            pass
    return events, devices
