# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Hosts and guests as numbers: a resource for the memory of each node, a cell for the cores of each node, and for each guest the places
that it can have with what each costs. What breaks a hard rule never becomes an option.
"""

from __future__ import annotations

import itertools
import math
import typing as t
from dataclasses import dataclass, field

from ...module_utils._topology.cpuset import CpuSet
from .capacity import split_load
from .model import VCPU, Guest, Host, Pool, split_evenly

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


@dataclass(frozen=True, slots=True)
class Option:
    """One place for one guest. `demand`: bytes of each resource; `loads`: thousandths of a vCPU on each cell.

    Costs: `excess` nodes beyond what the guest needs; `crowding`, vCPUs beyond the cores where its host has cores to spare;
    `distance`, vCPUs times the place's distance. `cost` is the three in the order of the objective.
    """

    place: Place
    demand: tuple[tuple[int, int], ...]
    loads: tuple[tuple[int, int], ...]
    excess: int
    crowding: int
    distance: int
    cost: tuple[int, int, int]


@dataclass(frozen=True)
class Mover:
    """A guest whose place is to be found. `held`: bytes that its running self has on each node of `held_host`, not needed twice."""

    guest: Guest
    held_host: str | None = None
    held: t.Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """All that the search knows.

    `capacity`: bytes of each resource; `resources` names them as (host, node), node None for the host as a whole. `cores` and
    `base_load` of each cell; `cells` names them as (host, pool, node). `weights`: what it costs not to place each guest. `roomy`: whether
    the (host, pool) has a core for each vCPU.
    """

    movers: tuple[Mover, ...]
    options: tuple[tuple[Option, ...], ...]
    resources: tuple[tuple[str, int | None], ...]
    capacity: tuple[int, ...]
    cells: tuple[tuple[str, int, int], ...]
    cores: tuple[int, ...]
    base_load: tuple[int, ...]
    weights: tuple[int, ...]
    roomy: t.Mapping[tuple[str, int], bool]
    maker: OptionMaker


def make_problem(
    hosts: t.Sequence[Host],
    movers: t.Sequence[Mover],
    load: t.Mapping[tuple[str, int, int], int],
    booked: t.Mapping[tuple[str, int], int],
    committed: t.Mapping[tuple[str, int], int],
) -> Problem:
    """Build the numbers. `movers` in the order of their names.

    `load`: what is on each cell (host, pool, node) before any mover, thousandths of a vCPU. `booked`: bytes of each (host, node) that
    staying guests will still take. `committed`: vCPUs of guests in each (host, pool) before any mover.
    """
    resources: list[tuple[str, int | None]] = []
    capacity: list[int] = []
    cells: list[tuple[str, int, int]] = []
    cores: list[int] = []
    for host in hosts:
        taken = 0
        for number, node in sorted(host.nodes.items()):
            resources.append((host.name, number))
            capacity.append(max(0, node.usable - booked.get((host.name, number), 0)))
            taken += booked.get((host.name, number), 0)
        resources.append((host.name, None))
        capacity.append(max(0, host.room - taken))
        for pool in host.pools.values():
            for number, cell in sorted(pool.cells.items()):
                cells.append((host.name, pool.id, number))
                cores.append(cell.cores)
    roomy = _roomy(hosts, movers, committed)
    maker = OptionMaker(hosts, tuple(resources), tuple(capacity), tuple(cells), roomy)
    # One guest of a higher priority outweighs all guests of lower ones.
    ranks = {
        priority: rank for rank, priority in enumerate(sorted({mover.guest.priority for mover in movers}))
    }
    return Problem(
        tuple(movers),
        tuple(maker.options(mover) for mover in movers),
        tuple(resources),
        tuple(capacity),
        tuple(cells),
        tuple(cores),
        tuple(load.get(cell, 0) for cell in cells),
        tuple((len(movers) + 1) ** ranks[mover.guest.priority] for mover in movers),
        roomy,
        maker,
    )


def hosts_of(guest: Guest, hosts: t.Sequence[Host]) -> list[Host]:
    """Hosts that may have the guest: the one it asks for or all, if they have its cpupool."""
    return [
        host for host in hosts if guest.host in (None, host.name) and host.find_pool(guest.pool) is not None
    ]


def _roomy(
    hosts: t.Sequence[Host], movers: t.Sequence[Mover], committed: t.Mapping[tuple[str, int], int]
) -> dict[tuple[str, int], bool]:
    """Whether each (host, pool) will have at least a core for each vCPU of its guests.

    Guests that may go to several hosts count on each in proportion to its cores. dom0 is left out: its vCPUs are mostly idle, and
    counting them would call a host full on which one guest has exactly as many vCPUs as there are cores.
    """
    expected = {
        (host.name, pool.id): committed.get((host.name, pool.id), 0) * VCPU
        for host in hosts
        for pool in host.pools.values()
    }
    for mover in movers:
        weights = {}
        for host in hosts_of(mover.guest, hosts):
            pool = t.cast(Pool, host.find_pool(mover.guest.pool))
            weights[host.name, pool.id] = pool.cores
        for key, part in split_load(mover.guest.vcpus * VCPU, weights).items():
            expected[key] += part
    return {
        (host.name, pool.id): expected[host.name, pool.id] <= pool.cores * VCPU
        for host in hosts
        for pool in host.pools.values()
    }


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


def places_of(host: Host, pool: Pool) -> list[Place]:
    """Return every set of nodes worth a look, the smallest first, and among those of one size the nearest first."""
    useful = [
        number
        for number, node in sorted(host.nodes.items())
        if number in pool.cells or node.memory_free is not None
    ]
    found: list[Place] = []
    sizes = [
        size
        for size in range(1, len(useful) + 1)
        if size <= MOST_SIZES or size & size - 1 == 0 or size == len(useful)
    ]
    for size in sizes:
        made = [
            place
            for nodes in _sets_of(host, useful, size)
            if (place := make_place(host, pool, nodes)) is not None
        ]
        found += sorted(made, key=lambda place: (place.distance, place.nodes))
    return found


def _sets_of(host: Host, useful: t.Sequence[int], size: int) -> t.Iterable[tuple[int, ...]]:
    if math.comb(len(useful), size) <= MOST_SETS_OF_A_SIZE:
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


class OptionMaker:
    """Knows which places a guest may have, and makes its options. Guests of one shape share theirs."""

    def __init__(
        self,
        hosts: t.Sequence[Host],
        resources: tuple[tuple[str, int | None], ...],
        capacity: tuple[int, ...],
        cells: tuple[tuple[str, int, int], ...],
        roomy: t.Mapping[tuple[str, int], bool],
    ) -> None:
        self.hosts = hosts
        self.resource = {name: index for index, name in enumerate(resources)}
        self.capacity = capacity
        self.cell = {name: index for index, name in enumerate(cells)}
        self.roomy = roomy
        self.places: dict[tuple[str, int], list[Place]] = {}
        self.known: dict[tuple[str, int, tuple[int, ...]], Place | None] = {}
        self.made: dict[t.Any, tuple[Option, ...]] = {}

    def options(self, mover: Mover) -> tuple[Option, ...]:
        """Return the options of a guest, the cheapest first."""
        guest = mover.guest
        held = (mover.held_host, tuple(sorted(mover.held.items())))
        shape = (guest.memory, guest.vcpus, guest.host, guest.nodes, guest.pool, guest.policy, held)
        if shape not in self.made:
            self.made[shape] = self._make(mover)
        return self.made[shape]

    def _make(self, mover: Mover) -> tuple[Option, ...]:
        guest = mover.guest
        drafts: list[tuple[Place, tuple[tuple[int, int], ...], tuple[tuple[int, int], ...], int]] = []
        for host in hosts_of(guest, self.hosts):
            pool = t.cast(Pool, host.find_pool(guest.pool))
            for place in self.candidates(guest, host, pool):
                if guest.vcpus > place.pus:
                    continue
                demand = self.demand(mover, place)
                if any(amount > self.capacity[resource] for resource, amount in demand):
                    continue
                weights = {
                    self.cell[host.name, pool.id, node]: pool.cells[node].cores for node in place.cpu_nodes
                }
                loads = tuple(split_load(guest.vcpus * VCPU, weights).items())
                crowding = max(0, guest.vcpus - place.cores) if self.roomy[host.name, pool.id] else 0
                drafts.append((place, demand, loads, crowding))
        if not drafts:
            return ()
        # As few nodes as the guest needs, where enough cores for its vCPUs are a need on hosts that have cores to spare.
        least_crowding = min(crowding for *_rest, crowding in drafts)
        needed = min(
            len(place.nodes) for place, _demand, _loads, crowding in drafts if crowding == least_crowding
        )
        free_choice = guest.nodes is None and guest.policy.numa_policy == "preferred"
        made = []
        for place, demand, loads, crowding in drafts:
            excess = max(0, len(place.nodes) - needed) if free_choice else 0
            distance = guest.vcpus * place.distance
            made.append(
                Option(place, demand, loads, excess, crowding, distance, (excess, crowding, distance))
            )
        order = {host.name: index for index, host in enumerate(self.hosts)}
        return tuple(
            sorted(made, key=lambda option: (option.cost, order[option.place.host], option.place.nodes))
        )

    def place(self, host: Host, pool: Pool, nodes: tuple[int, ...]) -> Place | None:
        """Return the place that these nodes make, None when they make none; see :func:`make_place`."""
        key = (host.name, pool.id, nodes)
        if key not in self.known:
            self.known[key] = make_place(host, pool, nodes)
        return self.known[key]

    def candidates(self, guest: Guest, host: Host, pool: Pool) -> list[Place]:
        """Return the places that the guest's policy permits, whether or not there is room."""
        if guest.nodes is not None:
            asked = self.place(host, pool, guest.nodes)
            return [] if asked is None else [asked]
        if guest.policy.numa_policy == "spread":
            every = [number for number in pool.cells if host.nodes[number].memory_free is not None]
            whole = self.place(host, pool, tuple(sorted(every)))
            return [] if whole is None else [whole]
        key = (host.name, pool.id)
        if key not in self.places:
            self.places[key] = places_of(host, pool)
        single = guest.policy.numa_policy == "single"
        allow = guest.policy.memory_only_nodes == "allow"
        return [
            place
            for place in self.places[key]
            if (allow or not place.borrows) and not (single and len(place.nodes) > 1)
        ]

    def demand(self, mover: Mover, place: Place) -> tuple[tuple[int, int], ...]:
        """Return the bytes of each resource that the guest takes there; the last one is the host as a whole."""
        shares = split_evenly(mover.guest.need, place.memory_nodes)
        if place.host == mover.held_host:
            shares = {node: max(0, share - mover.held.get(node, 0)) for node, share in shares.items()}
        demand = [(self.resource[place.host, node], share) for node, share in shares.items()]
        demand.append((self.resource[place.host, None], sum(shares.values())))
        return tuple(demand)
