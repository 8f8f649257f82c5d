# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The places that a guest might have had, and on which level of the objective each of them lost; and how many more guests would fit."""

from __future__ import annotations

import typing as t

from .choose import best_of_shape, by_memory, same_place
from .options import Mover, Option
from .state import LEVELS, State

#: Candidates that are told of for each guest.
MOST_CANDIDATES = 32

#: So many more guests of a shape are counted at most.
MOST_MORE = 100_000

#: How a level's figure becomes the unit in which a plan tells it.
_SCALE = {"distance": 1000, "device": 1000, "smt": 1000, "peak_load": 1_000_000, "imbalance": 1_000_000}


def candidates_of(state: State, guest: int) -> list[dict[str, t.Any]]:
    """Return the places that lost, each with the first level on which it is worse than the place taken, and by how much.

    `level` is "room" for a place without room beside the rest of the plan, and "order" for one that is as good.
    """
    mine = t.cast(Option, state.at[guest])
    best = state.key()
    state.take(guest)
    found = []
    try:
        for option in _others(state, guest, mine):
            level, worse = "room", None
            if state.fits(option):
                state.put(guest, option)
                key = state.key()
                state.take(guest)
                level, worse = "order", 0
                for name, theirs, ours in zip(LEVELS, key, best, strict=True):
                    if theirs != ours:
                        level, worse = name, theirs - ours
                        break
            found.append(
                {
                    "host": option.place.host,
                    "nodes": list(option.place.nodes),
                    "level": level,
                    "worse_by": None if worse is None else round(worse / _SCALE.get(level, 1), 3),
                }
            )
    finally:
        state.put(guest, mine)
    return found


def _others(state: State, guest: int, mine: Option) -> list[Option]:
    """Options on as many nodes as the guest has and on fewer, those of its own host first."""
    maker = state.problem.maker
    shape = state.shapes[guest]
    found = []
    for host, pool, sizes, _whole in maker.sized(shape):
        for size in sizes:
            if size > max(len(mine.place.nodes), maker.needed(shape)):
                break
            for nodes in maker.sets(shape, host, pool, size, state.problem.capacity):
                option = maker.option(shape, host, pool, nodes)
                if option is not None and not same_place(option, mine):
                    found.append(option)
        if len(found) > 64 * MOST_CANDIDATES:
            break
    found.sort(
        key=lambda option: (
            option.cost,
            option.place.host != mine.place.host,
            maker.number[option.place.host],
            option.place.nodes,
        )
    )
    return found[:MOST_CANDIDATES]


def how_many_more(state: State, mover: Mover) -> int:
    """Count the guests of this kind that would still find a place, one after the other by tightest fit, in the state as it is."""
    shape = state.problem.maker.shape(mover)
    placed: list[Option] = []
    while len(placed) < MOST_MORE:
        option = best_of_shape(state, shape, by_memory)
        if option is None:
            break
        state.count(option, 1)
        placed.append(option)
    for option in placed:
        state.count(option, -1)
    return len(placed)
