# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Two nodes at once: all ways to divide the guests of both between them, by dynamic programming over what they take.

The sums of memory that some of the guests can have are the bits of one integer, so that a guest more is a shift. Where load counts as well,
there is such an integer for each sum of load.
"""

from __future__ import annotations

import typing as t

from .model import PAGE
from .options import Option
from .state import State

#: Bits of a sum of memory: what is smaller than that part of a node counts as a whole one. Fewer where there is one for each sum of load.
MEMORY_BITS = 1 << 18
LOAD_BITS = 1 << 14

#: With more guests on two nodes than this it takes too long.
MOST_ITEMS = 160
MOST_LOADED = 80


class Item(t.NamedTuple):
    """A guest that may be on either of two nodes: its options there, and the bytes and the load that it takes."""

    guest: int
    first: Option
    second: Option
    memory: int
    load: int


def items_of(
    state: State, first: int, second: int, option_at: t.Callable[[State, int, int], Option | None]
) -> list[Item]:
    """Guests that are on one of two cells alone and cost the same on the other."""
    maker, names = state.problem.maker, state.problem.cells.names
    found = []
    for cell, other in ((first, second), (second, first)):
        name, _pool, node = names[cell]
        for guest in sorted(state.members.get(maker.resource[name, node], ())):
            mine = state.at[guest]
            if (
                mine is None
                or len(mine.uses) != 1
                or mine.uses[0][0] != cell
                or len(mine.demand) != 2
                or mine.strict
                or mine.uses[0][3]
                or mine.uses[0][4]
                or state.problem.stays[guest] is not None
                or state.shapes[guest].mover.held
            ):
                continue
            there = option_at(state, guest, other)
            if there is None or there.cost != mine.cost:
                continue
            pair = (mine, there) if cell == first else (there, mine)
            found.append(Item(guest, *pair, mine.demand[0][1], mine.uses[0][1]))
    return found


def split_memory(items: t.Sequence[Item], first: int, second: int) -> list[bool] | None:
    """Divide the items so that the first node is as full as can be: for each whether it is there. None when they have no room.

    `first`, `second`: bytes that they may take of the two nodes.
    """
    unit = max(PAGE, first // MEMORY_BITS)
    sizes = [-(-item.memory // unit) for item in items]
    most, least = first // unit, sum(sizes) - second // unit
    if least > most:
        return None
    every = (1 << most + 1) - 1
    sums = [1]
    for size in sizes:
        sums.append((sums[-1] | sums[-1] << size) & every)
    best = sums[-1].bit_length() - 1
    if best < least:
        return None
    return _chosen(sizes, best, lambda index, total: sums[index] >> total & 1)


def _chosen(sizes: t.Sequence[int], total: int, possible: t.Callable[[int, int], int]) -> list[bool]:
    """Which of the sizes make the total. `possible`: whether so many of the first can make a total."""
    chosen = [False] * len(sizes)
    for index in range(len(sizes) - 1, -1, -1):
        if not possible(index, total):
            chosen[index] = True
            total -= sizes[index]
    return chosen


def split_load(
    items: t.Sequence[Item], memory: tuple[int, int], ratio: t.Callable[[int], t.Any]
) -> list[bool] | None:
    """Divide the items so that `ratio`, of the load that the first node gets from them, is least: for each whether it is there.

    `memory`: bytes that they may take of the two nodes. None when they have no room.
    """
    unit = max(PAGE, max(memory) // LOAD_BITS)
    sizes = [-(-item.memory // unit) for item in items]
    most, least = memory[0] // unit, max(0, sum(sizes) - memory[1] // unit)
    if least > most:
        return None
    every = (1 << most + 1) - 1
    layers: list[dict[int, int]] = [{0: 1}]
    for item, size in zip(items, sizes, strict=True):
        before = layers[-1]
        after = dict(before)
        for load, sums in before.items():
            more = sums << size & every
            if more:
                after[load + item.load] = after.get(load + item.load, 0) | more
        layers.append(after)
    wanted = [load for load, sums in layers[-1].items() if sums >> least]
    if not wanted:
        return None
    load = min(wanted, key=lambda load: (ratio(load), load))
    total = least + ((layers[-1][load] >> least) & -(layers[-1][load] >> least)).bit_length() - 1
    chosen = [False] * len(items)
    for index in range(len(items) - 1, -1, -1):
        if not layers[index].get(load, 0) >> total & 1:
            chosen[index] = True
            load -= items[index].load
            total -= sizes[index]
    return chosen


#: Guests with the option that each had before it was moved, None for one without a place.
Moved = list[tuple[int, "Option | None"]]


def rearrange(state: State, items: t.Sequence[Item], chosen: t.Sequence[bool]) -> Moved | None:
    """Put each item on its node. Returns what was where before; None, and nothing is changed, when a rule forbids it."""
    targets = [
        (item.guest, item.first if here else item.second) for item, here in zip(items, chosen, strict=True)
    ]
    targets = [(guest, target) for guest, target in targets if state.at[guest] is not target]
    moved: Moved = [(guest, state.at[guest]) for guest, _target in targets]
    for guest, mine in moved:
        if mine is not None:
            state.take(guest)
    for guest, target in targets:
        if not state.fits(target):
            undo(state, moved)
            return None
        state.put(guest, target)
    return moved


def undo(state: State, moved: Moved) -> None:
    """Put guests back where they were."""
    for guest, _mine in moved:
        if state.at[guest] is not None:
            state.take(guest)
    for guest, mine in moved:
        if mine is not None:
            state.put(guest, mine)
