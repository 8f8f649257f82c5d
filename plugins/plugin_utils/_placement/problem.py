# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Hosts and guests as numbers: a resource for the memory of each node, and a cell for the cores of each node and cpupool."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass, field

from .capacity import split_load
from .model import ALONE, VCPU, Group, Guest, Host, Membership, Pool
from .options import Cells, Mover, Option, OptionMaker, Resource, hosts_of

#: (host, pool, node)
CellName = tuple[str, int, int]


@dataclass
class Base:
    """What is there before any mover.

    `load`: thousandths of a vCPU, weighted, on each cell; `vcpus`: the same as it counts for `cpu_allocation_ratio`. `booked`: bytes of
    each (host, node) that staying guests will still take. `returned`: bytes of each (host, node) that movers hold now, counted as free.
    `committed`: vCPUs of guests in each (host, pool). `cores`: cores of each cell that staying guests have for themselves; `trusted`:
    thousandths of vCPUs of (cell, trust group). `apart`: (part, how many) of each (group, unit), `together`: (unit, how many) of each group.
    `devices`: (host, address) that are in use. `own_load`: thousandths of vCPUs on cores of their own. `ours`: (host, domid) in the request;
    `left_alone`: those whose affinity the plan does not set.
    """

    load: dict[CellName, int] = field(default_factory=dict)
    vcpus: dict[CellName, int] = field(default_factory=dict)
    booked: dict[tuple[str, int], int] = field(default_factory=dict)
    returned: dict[tuple[str, int], int] = field(default_factory=dict)
    committed: dict[tuple[str, int], int] = field(default_factory=dict)
    cores: dict[CellName, int] = field(default_factory=dict)
    trusted: dict[tuple[CellName, str], int] = field(default_factory=dict)
    apart: dict[tuple[str, t.Any], tuple[int, int]] = field(default_factory=dict)
    together: dict[str, tuple[t.Any, int]] = field(default_factory=dict)
    devices: set[tuple[str, str]] = field(default_factory=set)
    own_load: dict[CellName, int] = field(default_factory=dict)
    ours: set[tuple[str, int]] = field(default_factory=set)
    left_alone: set[tuple[str, int]] = field(default_factory=set)


class _Options(t.Sequence[tuple[Option, ...]]):
    """All options of each guest, the cheapest first; made when they are asked for. On a large fleet better not asked for."""

    def __init__(self, maker: OptionMaker, movers: t.Sequence[Mover]) -> None:
        self._maker, self._movers = maker, movers

    def __len__(self) -> int:
        return len(self._movers)

    def __getitem__(self, index: t.Any) -> t.Any:
        if isinstance(index, slice):
            return [self._maker.options(mover) for mover in self._movers[index]]
        return self._maker.options(self._movers[index])


@dataclass(frozen=True)
class Problem:
    """All that the search knows.

    `capacity`: bytes of each resource; `resources` names them as (host, node), node None for the host as a whole. `cells` has the cores.
    `weights`: what it costs not to place each guest. `roomy`: whether the (host, pool) has a core for each vCPU. `stays`: for guests
    that run and may be moved, the option that leaves them where they are; `most_moves`: how many may leave it. `coarse`: how small
    differences of load are told apart (thousandths of a vCPU, millionths of a vCPU for each core); 1 and 1 when moving costs nothing.
    """

    movers: tuple[Mover, ...]
    options: t.Sequence[tuple[Option, ...]]
    resources: tuple[Resource, ...]
    capacity: tuple[int, ...]
    cells: Cells
    base: Base
    weights: tuple[int, ...]
    roomy: t.Mapping[tuple[str, int], bool]
    maker: OptionMaker
    stays: tuple[Option | None, ...]
    most_moves: int | None = None
    coarse: tuple[int, int] = (1, 1)

    @property
    def cores(self) -> tuple[int, ...]:
        """Physical cores of each cell."""
        return self.cells.cores

    def hosts_total(self) -> int:
        """Bytes that guests may take from all hosts together."""
        return sum(
            amount
            for (_host, node), amount in zip(self.resources, self.capacity, strict=True)
            if node is None
        )


def make_problem(
    hosts: t.Sequence[Host],
    movers: t.Sequence[Mover],
    base: Base | None = None,
    most_moves: int | None = None,
    coarse: tuple[int, int] = (1, 1),
) -> Problem:
    """Build the numbers. `movers` in the order of their names; see :class:`Base` for what is there before any of them."""
    base = base or Base()
    movers = _alone_where_they_are(movers, base)
    resources: list[Resource] = []
    capacity: list[int] = []
    for host in hosts:
        taken = 0
        for number, node in sorted(host.nodes.items()):
            key = (host.name, number)
            change = base.returned.get(key, 0) - base.booked.get(key, 0)
            resources.append(key)
            capacity.append(max(0, node.usable + change))
            taken -= change
        resources.append((host.name, None))
        capacity.append(max(0, host.room - taken))
    cells = Cells.of(hosts)
    roomy = _roomy(hosts, movers, base.committed)
    maker = OptionMaker(hosts, tuple(resources), tuple(capacity), cells, roomy, base.devices)
    # One guest of a higher priority outweighs all guests of lower ones, and one that runs is never given up.
    ranks = [(mover.stay is not None, mover.guest.priority) for mover in movers]
    order = {rank: number for number, rank in enumerate(sorted(set(ranks)))}
    return Problem(
        tuple(movers),
        _Options(maker, movers),
        tuple(resources),
        tuple(capacity),
        cells,
        base,
        tuple((len(movers) + 1) ** order[rank] for rank in ranks),
        roomy,
        maker,
        tuple(maker.stay(mover) for mover in movers),
        most_moves,
        coarse,
    )


def _alone_where_they_are(movers: t.Sequence[Mover], base: Base) -> list[Mover]:
    """Give members of anti-affinity groups that share their part with no other guest the same part, so that they are alike."""
    sizes: dict[tuple[Group, int], int] = {}
    for mover in movers:
        for membership in mover.guest.groups:
            key = (membership.group, membership.part)
            sizes[key] = sizes.get(key, 0) + 1
    if not sizes:
        return list(movers)
    taken = {(name, part) for (name, _unit), (part, _number) in base.apart.items()}
    groups: dict[tuple[Membership, ...], tuple[Membership, ...]] = {}

    def renamed(mine: tuple[Membership, ...]) -> tuple[Membership, ...]:
        return tuple(
            Membership(one.group, ALONE)
            if one.group.policy == "anti-affinity"
            and sizes[one.group, one.part] == 1
            and (one.group.name, one.part) not in taken
            else one
            for one in mine
        )

    found = []
    for mover in movers:
        mine = mover.guest.groups
        if not mine:
            found.append(mover)
            continue
        other = renamed(mine)
        other = groups.setdefault(other, other)
        guest = dataclasses.replace(mover.guest, groups=other)
        found.append(dataclasses.replace(mover, guest=guest))
    return found


def _roomy(
    hosts: t.Sequence[Host], movers: t.Sequence[Mover], committed: t.Mapping[tuple[str, int], int]
) -> dict[tuple[str, int], bool]:
    """Whether each (host, pool) will have at least a core for each vCPU of its guests.

    Guests that may go to several hosts count on each in proportion to its cores. dom0 is left out: its vCPUs are mostly idle, and
    counting them would call a host full on which one guest has exactly as many vCPUs as there are cores.
    """
    pools = {(host.name, pool.id): pool for host in hosts for pool in host.pools.values()}
    expected = {key: committed.get(key, 0) * VCPU for key in pools}
    # Guests that ask for the same hosts are counted together.
    asked: dict[tuple[str | None, str | None], tuple[Guest, int]] = {}
    for mover in movers:
        wish = (mover.guest.host, mover.guest.pool)
        first, vcpus = asked.get(wish, (mover.guest, 0))
        asked[wish] = (first, vcpus + mover.guest.vcpus)
    for guest, vcpus in asked.values():
        weights = {}
        for host in hosts_of(guest, hosts):
            pool = t.cast(Pool, host.find_pool(guest.pool))
            weights[host.name, pool.id] = pool.cores
        for key, part in split_load(vcpus * VCPU, weights).items():
            expected[key] += part
    return {key: expected[key] <= pool.cores * VCPU for key, pool in pools.items()}
