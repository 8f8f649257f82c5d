# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""A search through all placements, limited in its steps, that proves the first two levels of the objective.

It is asked only when the bounds leave open whether the search could have done better, and it gives up after a fixed number of steps.
It looks at memory alone: what it finds may break a rule about cores, groups or devices, but what it does not find does not exist.
"""

from __future__ import annotations

import bisect
import itertools
import typing as t

from .options import Option
from .problem import Problem
from .search import by_size
from .state import Assignment

#: Placements of a guest tried before it gives up.
MOST_STEPS = 40_000

#: With more guests than this there is no point, and each guest is a level of recursion. The same for nodes.
MOST_GUESTS = 200
MOST_CELLS = 32


class Finding(t.NamedTuple):
    """`found`: the best placement that was found to be better, None without one. `proven`: the levels that no placement can better then."""

    found: Assignment | None
    proven: frozenset[str]


class _Exhausted(Exception):
    """The steps are used up."""


def prove(
    problem: Problem,
    best: tuple[int, int],
    fewest: int,
    most_steps: int = MOST_STEPS,
    late: t.Callable[[], bool] | None = None,
) -> Finding:
    """Look for a placement whose (unplaced, spanning) is below `best`. `fewest`: a bound of the weights of guests without a place.

    `late` tells whether the time is up; it is asked now and then.
    """
    if len(problem.movers) > MOST_GUESTS or len(problem.cells) > MOST_CELLS:
        return Finding(None, frozenset())
    search = _Search(problem, best, fewest, most_steps)
    search.late = late
    try:
        search.descend(0, 0, 0)
    except _Exhausted:
        return Finding(search.found, frozenset())
    unplaced, spanning = search.best
    proven = set()
    if unplaced <= fewest or search.omitted is None:
        proven.add("unplaced")
        # A set of nodes that was not looked at costs at least so much.
        if search.omitted is None or spanning <= search.omitted:
            proven.add("spanning")
    return Finding(search.found, frozenset(proven))


class _Search:
    def __init__(self, problem: Problem, best: tuple[int, int], fewest: int, most_steps: int) -> None:
        self.problem = problem
        self.order = by_size(problem)
        self.shared: dict[int, tuple[Option, ...]] = {}
        # Where nobody more can be placed, nodes beyond those needed have to become fewer.
        most_excess = best[1] - 1 if best[0] <= fewest else None
        self.options = [self._options(guest, most_excess) for guest in range(len(problem.movers))]
        omitted = [
            excess
            for mover in problem.movers
            if (excess := problem.maker.omitted(problem.maker.shape(mover))) is not None
        ]
        #: Nodes beyond those needed that a guest has at least in a place that was left out; None when none was.
        self.omitted = min(omitted, default=None)
        self.best = best
        self.left = most_steps
        self.late: t.Callable[[], bool] | None = None
        self.free = list(problem.capacity)
        self.room = problem.hosts_total()
        self.at: list[Option | None] = [None] * len(problem.movers)
        self.found: Assignment | None = None
        # Guests of one shape are interchangeable (they share their options): only one of their orders is looked at.
        self.twin = [
            index > 0
            and self.options[guest] is self.options[self.order[index - 1]]
            and problem.weights[guest] == problem.weights[self.order[index - 1]]
            for index, guest in enumerate(self.order)
        ]
        self.later = [self._later(index) for index in range(len(self.order) + 1)]

    def _options(self, guest: int, most_excess: int | None) -> tuple[Option, ...]:
        """The guest's options on few enough nodes; guests of one shape share them. One that runs may also stay."""
        stay = self.problem.stays[guest]
        shape = self.problem.maker.shape(self.problem.movers[guest])
        if id(shape) not in self.shared:
            made = self.problem.maker.options(self.problem.movers[guest], most_excess)
            self.shared[id(shape)] = tuple(
                option for option in made if most_excess is None or option.excess <= most_excess
            )
        shared = self.shared[id(shape)]
        if stay is None:
            return shared
        return tuple(sorted([stay, *shared], key=lambda option: option.excess))

    def _later(self, index: int) -> tuple[list[int], list[int]]:
        """Of the guests from here on: bytes that the smallest so many take at least, and what the cheapest so many weigh."""
        guests = self.order[index:]
        needs = sorted(
            min((option.demand[-1][1] for option in self.options[guest]), default=0) for guest in guests
        )
        weights = sorted(self.problem.weights[guest] for guest in guests)
        return list(itertools.accumulate(needs)), [0, *itertools.accumulate(weights)]

    def _hopeless(self, index: int, unplaced: int, spanning: int) -> bool:
        """Whether the guests from here on cannot lead to anything better, as there is not the memory for enough of them."""
        needs, weights = self.later[index]
        missing = len(needs) - bisect.bisect_right(needs, self.room)
        return (unplaced + weights[missing], spanning) >= self.best

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0 or (self.late is not None and self.left % 256 == 0 and self.late()):
            raise _Exhausted

    def descend(self, index: int, unplaced: int, spanning: int, start: int = 0) -> None:
        if self._hopeless(index, unplaced, spanning):
            return
        if index == len(self.order):
            self.best = (unplaced, spanning)
            self.found = tuple(self.at)
            return
        guest = self.order[index]
        options = self.options[guest]
        first = start if self.twin[index] else 0
        for number in range(first, len(options)):
            option = options[number]
            if (unplaced, spanning + option.excess) >= self.best:
                break
            self._step()
            if any(self.free[resource] < amount for resource, amount in option.demand):
                continue
            self._move(option, -1)
            self.at[guest] = option
            self.descend(index + 1, unplaced, spanning + option.excess, number)
            self.at[guest] = None
            self._move(option, 1)
        # Not placed: its twins after it are not placed either.
        self._step()
        self.descend(index + 1, unplaced + self.problem.weights[guest], spanning, len(options))

    def _move(self, option: Option, sign: int) -> None:
        for resource, amount in option.demand:
            self.free[resource] += sign * amount
        self.room += sign * option.demand[-1][1]
