# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The places that a guest might have had, and on which level of the objective each of them lost; and how many more guests would fit."""

from __future__ import annotations

import typing as t

from .choose import best_of_shape, by_memory, same_place
from .options import Mover, Option, Shape
from .state import LEVELS, State

#: Candidates that are told of for each guest.
MOST_CANDIDATES = 32

#: So many more guests of a shape are counted at most.
MOST_MORE = 100_000

#: Places on a host for which all ways to fill it are looked at, and steps of that.
MOST_OPTIONS = 64
MOST_FILL_STEPS = 5_000

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


class More(t.NamedTuple):
    """How many more guests of a kind there is room for: so many at least, and at most."""

    least: int
    most: int


def how_many_more(state: State, mover: Mover, late: t.Callable[[], bool] = lambda: False) -> More:
    """Count the guests of this kind that would still find a place beside the plan as it is.

    They are placed one after the other by tightest fit; where few are looked at, all ways to divide the memory of a host between them are
    tried as well. Other rules can only let in fewer, so that the most by memory alone is a bound.
    """
    shape = state.problem.maker.shape(mover)
    # The guests of the plan may not want cores for themselves, and this one may.
    state.bounded = True
    ways = _ways(state, shape, late)
    placed = _in_turn(state, shape, late)
    for option in placed:
        state.count(option, -1)
    tried = []
    for option in (option for way in ways for option in way.options):
        if state.fits(option):
            state.count(option, 1)
            tried.append(option)
    for option in tried:
        state.count(option, -1)
    least = max(len(placed), len(tried))
    return More(least, max(least, sum(way.most for way in ways)))


def _in_turn(state: State, shape: Shape, late: t.Callable[[], bool]) -> list[Option]:
    placed: list[Option] = []
    while len(placed) < MOST_MORE and not late():
        option = best_of_shape(state, shape, by_memory)
        if option is None:
            break
        state.count(option, 1)
        placed.append(option)
    return placed


class _Way(t.NamedTuple):
    """The guests of one host, as far as was looked, and how many it has at most by memory alone."""

    options: tuple[Option, ...]
    most: int


def _ways(state: State, shape: Shape, late: t.Callable[[], bool]) -> list[_Way]:
    maker = state.problem.maker
    found = []
    for host, pool, sizes, whole in maker.sized(shape):
        options = [
            option
            for size in sizes
            for nodes in maker.sets(shape, host, pool, size, state.free)
            if (option := maker.option(shape, host, pool, nodes)) is not None
        ]
        room = state.free[whole] // shape.need if options else 0
        if sizes == [1]:
            frees = [state.free[resource] for option in options for resource, _amount in option.demand[:-1]]
            room = min(room, sum(free // shape.need for free in frees))
        if state.index is not None or len(options) > MOST_OPTIONS or late():
            found.append(_Way((), room))
            continue
        search = _Fill(state, options, room)
        complete = search.descend(0, ())
        # Places that are not among the options may have room for more.
        complete = complete and maker.omitted(shape) is None and not shape.guest.vnuma
        found.append(_Way(search.best, len(search.best) if complete else room))
    return found


class _Fill:
    """A search for the most guests that are alike on one host, by memory alone, limited in its steps."""

    def __init__(self, state: State, options: t.Sequence[Option], room: int) -> None:
        self.options, self.room = options, room
        self.free = {
            resource: state.free[resource] for option in options for resource, _amount in option.demand
        }
        self.best: tuple[Option, ...] = ()
        self.left = MOST_FILL_STEPS

    def descend(self, first: int, chosen: tuple[Option, ...]) -> bool:
        """Look at everything from an option on. Returns False when the steps are used up before that is done."""
        if len(chosen) > len(self.best):
            self.best = chosen
        if len(self.best) >= self.room:
            return True
        for number in range(first, len(self.options)):
            option = self.options[number]
            whole, amount = option.demand[-1]
            if len(chosen) + self.free[whole] // max(1, amount) <= len(self.best):
                return True
            self.left -= 1
            if self.left < 0:
                return False
            if any(self.free[resource] < amount for resource, amount in option.demand):
                continue
            for resource, amount in option.demand:
                self.free[resource] -= amount
            done = self.descend(number, (*chosen, option))
            for resource, amount in option.demand:
                self.free[resource] += amount
            if not done:
                return False
        return True
