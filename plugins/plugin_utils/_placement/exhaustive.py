# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""A search through all placements, cut where it cannot help, for the first two levels: unplaced and spanning.

It is asked only when the bounds leave open whether the search could have done better, and it gives up after a fixed number of steps.
It looks at memory alone: what it finds may break a rule about cores, groups or devices, but what it does not find does not exist.
"""

from __future__ import annotations

from .options import Option
from .problem import Problem
from .search import by_size
from .state import Assignment

#: Placements of a guest tried before it gives up.
MOST_STEPS = 60_000

#: With more guests than this there is no point, and each guest is a level of recursion. The same for nodes.
MOST_GUESTS = 200
MOST_CELLS = 32


class _Exhausted(Exception):
    """The steps are used up."""


def prove(
    problem: Problem, best: tuple[int, int], most_steps: int = MOST_STEPS
) -> tuple[Assignment | None, bool]:
    """Look for a placement whose (unplaced, spanning) is below `best`.

    Returns (the best one found or None, whether everything was looked at). None and True together prove that `best` cannot be beaten.
    """
    if len(problem.movers) > MOST_GUESTS or len(problem.cells) > MOST_CELLS:
        return None, False
    search = _Search(problem, best, most_steps)
    try:
        search.descend(0, 0, 0)
    except _Exhausted:
        return search.found, False
    return search.found, True


class _Search:
    def __init__(self, problem: Problem, best: tuple[int, int], most_steps: int) -> None:
        self.problem = problem
        self.order = by_size(problem)
        self.shared: dict[int, tuple[Option, ...]] = {}
        self.options = [self._options(guest, best[1]) for guest in range(len(problem.movers))]
        self.best = best
        self.left = most_steps
        self.free = list(problem.capacity)
        self.at: list[Option | None] = [None] * len(problem.movers)
        self.found: Assignment | None = None
        # Guests of one shape are interchangeable (they share their options): only one of their orders is looked at.
        self.twin = [
            index > 0
            and self.options[guest] is self.options[self.order[index - 1]]
            and problem.weights[guest] == problem.weights[self.order[index - 1]]
            for index, guest in enumerate(self.order)
        ]

    def _options(self, guest: int, most_excess: int) -> tuple[Option, ...]:
        """The guest's options on few enough nodes; guests of one shape share them. One that runs may also stay."""
        stay = self.problem.stays[guest]
        shape = self.problem.maker.shape(self.problem.movers[guest])
        if id(shape) not in self.shared:
            self.shared[id(shape)] = self.problem.maker.options(self.problem.movers[guest], most_excess)
        shared = self.shared[id(shape)]
        if stay is None:
            return shared
        return tuple(sorted([stay, *shared], key=lambda option: option.excess))

    def descend(self, index: int, unplaced: int, spanning: int, start: int = 0) -> None:
        if (unplaced, spanning) >= self.best:
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
            self.left -= 1
            if self.left < 0:
                raise _Exhausted
            if any(self.free[resource] < amount for resource, amount in option.demand):
                continue
            for resource, amount in option.demand:
                self.free[resource] -= amount
            self.at[guest] = option
            self.descend(index + 1, unplaced, spanning + option.excess, number)
            self.at[guest] = None
            for resource, amount in option.demand:
                self.free[resource] += amount
        # Not placed: its twins after it are not placed either.
        self.left -= 1
        if self.left < 0:
            raise _Exhausted
        self.descend(index + 1, unplaced + self.problem.weights[guest], spanning, len(options))
