# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""All guests together: greedy by size from several orders, then local search on the lexicographic objective.

Everything is integers and fixed orders, so the same problem gives the same answer. Effort is bounded by counting steps, not by a clock.
"""

from __future__ import annotations

import typing as t

from .model import VCPU
from .problem import Option, Problem

#: Looks at a place for a guest, after which the search stops with what it has.
MOST_LOOKS = 1_500_000

#: How many looks one trial (a guest put there, the whole valued, the guest taken away) is worth in time.
TRIAL = 16

#: How many different guests are tried as the one that makes room for another, and at how many places.
MOST_BLOCKERS = 16
MOST_PLACES = 64

Key = tuple[int, ...]
Assignment = tuple["Option | None", ...]

LEVELS = ("unplaced", "spanning", "crowding", "distance", "smt", "peak_load", "imbalance")


class State:
    """Who is where, and what that costs. Guests are numbers; `at[guest]` is the option it has, None while it is not placed."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.free = list(problem.capacity)
        self.load = list(problem.base_load)
        self.at: list[Option | None] = [None] * len(problem.movers)
        self.unplaced = sum(problem.weights)
        self.spanning = self.crowding = self.distance = 0
        self.smt = sum(
            max(0, load - cores * VCPU) for load, cores in zip(self.load, problem.cores, strict=True)
        )
        self.imbalance = sum(
            load * load // cores for load, cores in zip(self.load, problem.cores, strict=True)
        )
        self.looks = 0

    def fits(self, option: Option) -> bool:
        """Tell whether there is memory for the option now."""
        free = self.free
        for resource, amount in option.demand:  # noqa: SIM110 - asked millions of times, a loop takes a third of all()'s time
            if free[resource] < amount:
                return False
        return True

    def put(self, guest: int, option: Option) -> None:
        """Place a guest that is not placed."""
        self.at[guest] = option
        self.unplaced -= self.problem.weights[guest]
        self._count(option, 1)

    def take(self, guest: int) -> Option:
        """Remove a guest that is placed; returns the option it had."""
        option = self.at[guest]
        if option is None:
            raise ValueError(f"guest {guest} is not placed")
        self.at[guest] = None
        self.unplaced += self.problem.weights[guest]
        self._count(option, -1)
        return option

    def _count(self, option: Option, sign: int) -> None:
        free, loads, cores = self.free, self.load, self.problem.cores
        for resource, amount in option.demand:
            free[resource] -= sign * amount
        for cell, part in option.loads:
            before, full = loads[cell], cores[cell]
            after = loads[cell] = before + sign * part
            limit = full * VCPU
            self.smt += max(0, after - limit) - max(0, before - limit)
            self.imbalance += after * after // full - before * before // full
        self.spanning += sign * option.excess
        self.crowding += sign * option.crowding
        self.distance += sign * option.distance

    def peak(self) -> int:
        """Load of the busiest cell in millionths of a vCPU for each core."""
        return max(
            (load * 1000 // cores for load, cores in zip(self.load, self.problem.cores, strict=True)),
            default=0,
        )

    def key(self) -> Key:
        """Return the objective, in the order of LEVELS: the smaller the better."""
        return (
            self.unplaced,
            self.spanning,
            self.crowding,
            self.distance,
            self.smt,
            self.peak(),
            self.imbalance,
        )

    def assignment(self) -> Assignment:
        """Return where everybody is."""
        return tuple(self.at)


def state_of(problem: Problem, assignment: Assignment) -> State:
    """Build the state in which everybody is where the assignment says."""
    state = State(problem)
    for guest, option in enumerate(assignment):
        if option is not None:
            state.put(guest, option)
    return state


# Choosing one place for one guest.


def by_load(state: State, option: Option) -> Key:
    """Prefer the least busy cores; where that makes no difference, the most memory left."""
    cores, loads = state.problem.cores, state.load
    smt = imbalance = peak = 0
    for cell, part in option.loads:
        before, full = loads[cell], cores[cell]
        after, limit = before + part, full * VCPU
        smt += max(0, after - limit) - max(0, before - limit)
        imbalance += after * after // full - before * before // full
        peak = max(peak, after * 1000 // full)
    left = min(state.free[resource] - amount for resource, amount in option.demand[:-1])
    return smt, peak, imbalance, -left


def by_memory(state: State, option: Option) -> Key:
    """Prefer the tightest fit, which keeps large holes for large guests."""
    return (min(state.free[resource] - amount for resource, amount in option.demand[:-1]),)


Rule = t.Callable[[State, Option], Key]


def best_option(state: State, guest: int, rule: Rule) -> Option | None:
    """Return the best place for a guest as things are: by its own cost first, then by the rule, then by the order of hosts and nodes."""
    best: Option | None = None
    best_key: Key = ()
    options = state.problem.options[guest]
    state.looks += len(options)
    for option in options:
        if best is not None and option.cost != best.cost:
            break
        if not state.fits(option):
            continue
        key = rule(state, option)
        if best is None or key < best_key:
            best, best_key = option, key
    return best


def greedy(problem: Problem, order: t.Iterable[int], rule: Rule) -> State:
    """Place one guest after the other, none ever moved again."""
    state = State(problem)
    for guest in order:
        option = best_option(state, guest, rule)
        if option is not None:
            state.put(guest, option)
    return state


def by_size(problem: Problem) -> list[int]:
    """Guests in the order in which they are placed: priority, then the largest memory, then the most vCPUs, then the name."""
    guests = [mover.guest for mover in problem.movers]
    return sorted(
        range(len(guests)),
        key=lambda index: (
            -guests[index].priority,
            -guests[index].need,
            -guests[index].vcpus,
            guests[index].name,
        ),
    )


def solve(problem: Problem, floor: Key, most_looks: int = MOST_LOOKS) -> State:
    """Return the best placement found. `floor`: lower bounds of the first levels; once they are reached no other start is tried.

    The result is never worse, in the order of the objective, than any of the starts: one guest at a time by size, in the order of
    names, and by the tightest fit.
    """
    sized = by_size(problem)
    starts = [
        greedy(problem, sized, by_load),
        greedy(problem, range(len(problem.movers)), by_load),
        greedy(problem, sized, by_memory),
    ]
    starts.sort(key=State.key)
    best = starts[0]
    left = most_looks
    for state in starts:
        # Half of what is left for each, so that a hard instance is tried from more than one side.
        improve(state, sized, left // 2)
        left -= state.looks
        if state.key() < best.key():
            best = state
        if best.key()[: len(floor)] <= floor:
            break
    improve(best, sized, left, displace=False)
    return best


# Local search.


def improve(state: State, order: t.Sequence[int], most_looks: int, displace: bool = True) -> None:
    """Better the placement until no single step helps, or the looks are used up. It never becomes worse.

    `displace`: also move others out of the way of guests that have no place or a wide one, the costly part.
    """
    state.looks = 0
    by_place = [{id(option.place): option for option in options} for options in state.problem.options]
    progress = True
    while progress and state.looks < most_looks:
        progress = False
        for guest in order:
            if state.looks >= most_looks:
                return
            option = state.at[guest]
            if displace and (option is None or option.excess or option.crowding):
                progress |= _relocate(state, guest) or _make_room(state, guest)
        for guest in order:
            if state.looks >= most_looks:
                return
            progress |= _relocate(state, guest)
        if not progress:
            progress = _swap_any(state, order, by_place, most_looks)


def _relocate(state: State, guest: int) -> bool:
    """Give one guest the place that is best for the whole, if that is another one."""
    before = state.key()
    mine = state.at[guest]
    best, best_key = mine, before
    if mine is not None:
        state.take(guest)
    for option in state.problem.options[guest]:
        if mine is not None and option.cost > mine.cost:
            break
        if option is mine or not state.fits(option):
            continue
        state.looks += TRIAL
        state.put(guest, option)
        key = state.key()
        if key < best_key:
            best, best_key = option, key
        state.take(guest)
    if best is not None:
        state.put(guest, best)
    return best_key < before


def _make_room(state: State, guest: int) -> bool:
    """Give a guest a better place by moving one or several others out of the way."""
    before = state.key()
    mine = state.at[guest]
    for option in state.problem.options[guest][:MOST_PLACES]:
        if mine is not None and option.cost >= mine.cost:
            return False
        state.looks += len(state.at)
        for others in _blockers(state, guest, option):
            if _eject(state, guest, option, others, before):
                return True
    return False


def _blockers(state: State, guest: int, option: Option) -> t.Iterator[tuple[int, ...]]:
    """Sets of guests whose leaving would make room for the option: single ones, then the smallest that suffice, then the largest."""
    credit = {} if state.at[guest] is None else dict(t.cast(Option, state.at[guest]).demand)
    short = {
        resource: amount - state.free[resource] - credit.get(resource, 0)
        for resource, amount in option.demand
        if amount > state.free[resource] + credit.get(resource, 0)
    }
    if not short:
        return
    helpful: list[tuple[int, int, dict[int, int]]] = []
    enough: list[tuple[int, int]] = []
    for other, theirs in enumerate(state.at):
        if other == guest or theirs is None:
            continue
        gives = {resource: amount for resource, amount in theirs.demand if resource in short and amount}
        if not gives:
            continue
        helpful.append((sum(gives.values()), other, gives))
        if all(gives.get(resource, 0) >= amount for resource, amount in short.items()):
            enough.append((sum(gives.values()), other))
    for _size, other in sorted(enough)[:MOST_BLOCKERS]:
        yield (other,)
    for reverse in (False, True):
        missing = dict(short)
        chosen: list[int] = []
        for _size, other, gives in sorted(helpful, key=lambda item: item[:2], reverse=reverse):
            if any(missing.get(resource, 0) > 0 for resource in gives):
                chosen.append(other)
                for resource, amount in gives.items():
                    missing[resource] -= amount
            if max(missing.values()) <= 0:
                break
        if len(chosen) > 1 and max(missing.values()) <= 0:
            yield tuple(chosen)


def _eject(state: State, guest: int, option: Option, others: t.Sequence[int], before: Key) -> bool:
    """Put the guest there and the others elsewhere; keep that if the whole is better, else undo it."""
    mine = state.at[guest]
    theirs = {other: state.take(other) for other in others}
    if mine is not None:
        state.take(guest)
    if state.fits(option):
        state.put(guest, option)
        guests = state.problem.movers
        for other in sorted(others, key=lambda index: (-guests[index].guest.need, index)):
            found = best_option(state, other, by_load)
            if found is not None:
                state.put(other, found)
        if state.key() < before:
            return True
    for index in (guest, *others):
        if state.at[index] is not None:
            state.take(index)
    for index, old in theirs.items():
        state.put(index, old)
    if mine is not None:
        state.put(guest, mine)
    return False


def _swap_any(
    state: State, order: t.Sequence[int], by_place: t.Sequence[t.Mapping[int, Option]], most_looks: int
) -> bool:
    """Exchange the places of two guests where that helps: one of them on busy cores, or away from its memory."""
    progress = False
    vcpus = [mover.guest.vcpus for mover in state.problem.movers]
    for guest in order:
        if not _worth_a_swap(state, guest):
            continue
        for other in order:
            if state.looks >= most_looks:
                return progress
            mine, theirs = state.at[guest], state.at[other]
            if mine is None:
                break
            if other == guest or theirs is None or theirs.place is mine.place:
                continue
            if vcpus[guest] == vcpus[other] and not any(mine.cost) and not any(theirs.cost):
                continue  # the cores would not notice
            to_theirs, to_mine = by_place[guest].get(id(theirs.place)), by_place[other].get(id(mine.place))
            if to_theirs is not None and to_mine is not None:
                progress |= _exchange(state, guest, to_theirs, other, to_mine)
    return progress


def _worth_a_swap(state: State, guest: int) -> bool:
    option = state.at[guest]
    if option is None:
        return False
    if option.excess or option.crowding or option.distance:
        return True
    # On cores that are busier than the mean: from the others nothing is to be gained.
    cores = state.problem.cores
    load, whole = sum(state.load), sum(cores)
    return any(state.load[cell] * whole > load * cores[cell] for cell, _part in option.loads)


def _exchange(state: State, guest: int, to_theirs: Option, other: int, to_mine: Option) -> bool:
    before = state.key()
    mine, theirs = state.take(guest), state.take(other)
    state.looks += TRIAL
    if state.fits(to_theirs):
        state.put(guest, to_theirs)
        if state.fits(to_mine):
            state.put(other, to_mine)
            if state.key() < before:
                return True
            state.take(other)
        state.take(guest)
    state.put(guest, mine)
    state.put(other, theirs)
    return False
