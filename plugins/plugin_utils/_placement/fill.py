# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Nodes filled one after the other, each with guests that take all of its memory and bring it as much load as the others get.

One guest after the other, the largest first, fills nodes with guests of one size: those of the smallest are the busiest, and what is left of
each node is lost. Here a node chooses among many guests at once, by dynamic programming as in :mod:`.pairs`.
"""

from __future__ import annotations

import bisect
import math
import typing as t

from .effort import Effort
from .model import PAGE
from .options import Option
from .state import State

#: Guests that a node chooses among: so many, of all sizes.
MOST_OFFERED = 40

#: Bits of a sum of memory: what is smaller than that part of a node counts as a whole one.
FILL_BITS = 1 << 15

#: Sums of load that are told apart at most.
MOST_SUMS = 100


class _Waiting(t.NamedTuple):
    """A guest (number) that may be on any node: the bytes that it takes, and thousandths of a vCPU of load."""

    need: int
    load: int
    guest: int


class _Cell(t.NamedTuple):
    """A node that may be filled: its number among the cells, the resource of its memory, and where it is."""

    cell: int
    resource: int
    host: t.Any
    pool: t.Any
    node: int


def fill(state: State, guests: t.Iterable[int], effort: Effort) -> None:
    """Place guests that may be on any node, and on one; the others stay without a place, as do those for which nothing is left."""
    waiting = sorted(
        _Waiting(state.shapes[guest].need, state.shapes[guest].guest.load, guest)
        for guest in guests
        if state.at[guest] is None and state.problem.stays[guest] is None and _easy(state, guest)
    )
    cells = _cells(state)
    # Those with the least memory for their cores first: they are the hardest to bring load to.
    free, cores = state.free, state.problem.cells.cores
    cells.sort(key=lambda one: (free[one.resource] // max(1, cores[one.cell]), one.cell))
    room = sum(free[one.resource] for one in cells)
    load = sum(one.load for one in waiting) + sum(state.load[one.cell] for one in cells)
    width = sum(cores[one.cell] for one in cells)
    need = sum(one.need for one in waiting)
    for one in cells:
        if not waiting or effort.over():
            return
        mine, there = free[one.resource], state.load[one.cell]
        share = load * cores[one.cell] // max(1, width) - there
        spare = max(0, room - need) * mine // max(1, room)
        room, width, load = room - mine, width - cores[one.cell], load - there
        for chosen in _choose(state, one, waiting, share, spare, effort):
            option = _option_of(state, chosen, one)
            if option is not None and not any(option.cost) and state.fits(option):
                state.put(chosen.guest, option)
                del waiting[bisect.bisect_left(waiting, chosen)]
                load, need = load - chosen.load, need - chosen.need


def peculiar(state: State, guests: t.Iterable[int]) -> list[int]:
    """Guests that :func:`fill` leaves alone."""
    return [guest for guest in guests if not _easy(state, guest)]


def _easy(state: State, guest: int) -> bool:
    """Whether the guest wants nothing but memory and CPUs that it shares."""
    shape = state.shapes[guest]
    return (
        shape.plain
        and not shape.guest.groups
        and shape.guest.trust_group is None
        and not shape.guest.dedicated_on("")
        and state.problem.maker.needed(shape) == 1
    )


def _cells(state: State) -> list[_Cell]:
    """Nodes that new guests may have, in the cpupool that they get into."""
    maker = state.problem.maker
    found = []
    for host in maker.hosts:
        pool = host.find_pool(None)
        if host.closed or pool is None:
            continue
        for node in sorted(pool.cells):
            if host.nodes[node].memory_free is not None and pool.cells[node].cores:
                cell = maker.cell[host.name, pool.id, node]
                found.append(_Cell(cell, maker.resource[host.name, node], host, pool, node))
    return found


def _option_of(state: State, one: _Waiting, where: _Cell) -> Option | None:
    return state.problem.maker.option(state.shapes[one.guest], where.host, where.pool, (where.node,))


def _choose(
    state: State, where: _Cell, waiting: t.Sequence[_Waiting], share: int, spare: int, effort: Effort
) -> list[_Waiting]:
    """Choose guests for a node: not more than `spare` bytes are left, then load as near to `share` as can be, then no memory is left."""
    free = state.free[where.resource]
    end = bisect.bisect_right(waiting, (free, math.inf, 0))
    pus = state.problem.cells.pus[where.cell]
    if end > MOST_OFFERED:
        offered = [waiting[number * (end - 1) // (MOST_OFFERED - 1)] for number in range(MOST_OFFERED)]
    else:
        offered = list(waiting[:end])
    offered = [one for one in offered if state.shapes[one.guest].guest.vcpus <= pus]
    if not offered:
        return []
    step = math.gcd(*(one.load for one in offered)) or 1
    most = max(0, share) * 3 // 2 + max(one.load for one in offered)
    step *= max(1, -(-most // (step * MOST_SUMS)))
    unit = max(PAGE, free // FILL_BITS)
    every = (1 << free // unit + 1) - 1
    sizes = [(-(-one.need // unit), one.load // step) for one in offered]
    limit = most // step
    layers: list[dict[int, int]] = [{0: 1}]
    for size, load in sizes:
        before = layers[-1]
        after = dict(before)
        for sum_of, sums in before.items():
            if sum_of + load <= limit and (more := sums << size & every):
                after[sum_of + load] = after.get(sum_of + load, 0) | more
        effort.spend(len(before) // 8)
        layers.append(after)

    def worth(load: int) -> tuple[int, int, int]:
        left = free - unit * (layers[-1][load].bit_length() - 1)
        return max(0, left - spare), abs(load * step - share), left

    load = min(sorted(layers[-1]), key=worth)
    total = layers[-1][load].bit_length() - 1
    chosen = []
    for index in range(len(offered) - 1, -1, -1):
        if not layers[index].get(load, 0) >> total & 1:
            chosen.append(offered[index])
            total -= sizes[index][0]
            load -= sizes[index][1]
    return chosen
