# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Sets of nodes of one host as places for guests: which there are, what is in them, and how far apart it is."""

from __future__ import annotations

import itertools
import math
import typing as t
from dataclasses import dataclass

from ...module_utils._topology.cpuset import CpuSet
from .model import Host, Pool

#: Up to so many sets of one size all are looked at; beyond, only the nearest neighbours of each node.
MOST_SETS_OF_A_SIZE = 300

#: Up to so many nodes every size is looked at; beyond, only its doubles and all nodes.
MOST_SIZES = 16


@dataclass(frozen=True, slots=True)
class Place:
    """A set of nodes of one host, as a guest of one cpupool would have it.

    `memory_nodes` are those that its memory would be striped over, `cpu_nodes` those that its vCPUs would run on; on most hosts both
    are `nodes`. `distance` is the excess of a vCPU's way to memory over local memory, (SLIT / 10 - 1), mean over cores and memory, in
    thousandths. `borrows`: some of the memory is on nodes without CPUs of the pool.
    """

    host: str
    pool: int
    nodes: tuple[int, ...]
    cpu_nodes: tuple[int, ...]
    memory_nodes: tuple[int, ...]
    cpuset: CpuSet
    pus: int
    cores: int
    distance: int
    borrows: bool


def make_place(host: Host, pool: Pool, nodes: t.Sequence[int]) -> Place | None:
    """Return the place that these nodes make; None when they cannot serve together or hold no CPU of the pool or no memory."""
    numbers = tuple(sorted(nodes))
    if not numbers or any(number not in host.nodes for number in numbers):
        return None
    cpu_nodes = tuple(number for number in numbers if number in pool.cells)
    memory_nodes = tuple(number for number in numbers if host.nodes[number].memory_free is not None)
    if not cpu_nodes or not memory_nodes or set(numbers) != {*cpu_nodes, *memory_nodes}:
        return None
    if any(host.distance(a, b) is None for a, b in itertools.permutations(numbers, 2)):
        return None
    cpuset = CpuSet()
    for number in cpu_nodes:
        cpuset |= pool.cells[number].cpuset
    cores = sum(pool.cells[number].cores for number in cpu_nodes)
    way = sum(
        pool.cells[a].cores * (t.cast(int, host.distance(a, b)) - 10) for a in cpu_nodes for b in memory_nodes
    )
    distance = way * 100 // (cores * len(memory_nodes))
    borrows = any(number not in pool.cells for number in memory_nodes)
    return Place(
        host.name, pool.id, numbers, cpu_nodes, memory_nodes, cpuset, len(cpuset), cores, distance, borrows
    )


def useful_nodes(host: Host, pool: Pool) -> list[int]:
    """Return the nodes that have CPUs of the pool or memory."""
    return [
        number
        for number, node in sorted(host.nodes.items())
        if number in pool.cells or node.memory_free is not None
    ]


def sizes_of(useful: int) -> list[int]:
    """Return how many of so many nodes are tried together, ascending."""
    return [
        size for size in range(1, useful + 1) if size <= MOST_SIZES or size & size - 1 == 0 or size == useful
    ]


def all_sets(useful: int, size: int) -> bool:
    """Tell whether all sets of so many of the nodes are looked at."""
    return math.comb(useful, size) <= MOST_SETS_OF_A_SIZE


def sets_of(host: Host, useful: t.Sequence[int], size: int) -> t.Iterable[tuple[int, ...]]:
    """Return the sets of so many of the nodes that are worth a look, in a fixed order."""
    if all_sets(len(useful), size):
        return itertools.combinations(useful, size)
    near: set[tuple[int, ...]] = set()
    for seed in useful:
        reachable = [
            (max(t.cast(int, host.distance(seed, other)), t.cast(int, host.distance(other, seed))), other)
            for other in useful
            if other != seed and None not in (host.distance(seed, other), host.distance(other, seed))
        ]
        if len(reachable) >= size - 1:
            near.add(tuple(sorted([seed, *(other for _way, other in sorted(reachable)[: size - 1])])))
    return sorted(near)


def places_of(host: Host, pool: Pool) -> list[Place]:
    """Return every set of nodes worth a look, the smallest first, and among those of one size the nearest first."""
    useful = useful_nodes(host, pool)
    found: list[Place] = []
    for size in sizes_of(len(useful)):
        made = [
            place
            for nodes in sets_of(host, useful, size)
            if (place := make_place(host, pool, nodes)) is not None
        ]
        found += sorted(made, key=lambda place: (place.distance, place.nodes))
    return found
