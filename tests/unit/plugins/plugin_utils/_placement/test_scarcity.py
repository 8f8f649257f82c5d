# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Slots on nodes of which there are too few, and groups that no host can have as a whole, worked out by hand."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.dom0.xen.plugins.plugin_utils._placement import bounds
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.capacity import host_room
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.choose import best_option
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import (
    MIB,
    Group,
    Guest,
    Membership,
    Policy,
    Reserve,
)
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.options import Mover
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.problem import Problem, make_problem
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.scarcity import (
    Slot,
    by_slots,
    most_guests,
    scarcest,
    torn,
)
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.search import (
    bundles_of,
    by_size,
    greedy,
    solve,
)
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.state import State
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts
from hypothesis import given
from hypothesis import strategies as st

TOGETHER = (Membership(Group("crew", "affinity", "host"), 0),)


def problem_of(
    rooms: t.Sequence[t.Sequence[int]],
    guests: t.Sequence[Guest],
    ratio: float | None = None,
    cores: int = 8,
) -> Problem:
    """Hosts with so many MiB free on each node, and guests in the order of their names."""
    reserve = Reserve(low_memory=False, cpu_allocation_ratio=ratio)
    made = [
        host_room(f"h{number}", hosts.host([(cores, mib) for mib in nodes]), reserve)
        for number, nodes in enumerate(rooms)
    ]
    return make_problem(made, [Mover(guest) for guest in sorted(guests, key=lambda guest: guest.name)])


def wide(name: str, mib: int, **more: t.Any) -> Guest:
    """A guest that has to be on two nodes and takes so many MiB of each."""
    return Guest(name, 2, (2 * mib - 4) * 256 // 257 * MIB, policy=Policy("2"), **more)


def narrow(name: str, mib: int, **more: t.Any) -> Guest:
    """A guest that has to be on one node and takes so many MiB of it."""
    return Guest(name, 1, (mib - 3) * 256 // 257 * MIB, policy=Policy("single"), **more)


def count(state: State) -> int:
    return sum(1 for option in state.at if option is not None)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=4),
    st.integers(1, 3),
)
def test_slots_are_counted_as_trying_counts_them(slots: list[int], nodes: int) -> None:
    def most(left: tuple[int, ...]) -> int:
        tries = (
            chosen
            for chosen in itertools.combinations(range(len(left)), nodes)
            if all(left[n] for n in chosen)
        )
        # Taking the fullest nodes first is as good as any.
        best = max(tries, key=lambda chosen: sum(left[n] for n in chosen), default=None)
        if best is None:
            return 0
        return 1 + most(tuple(slot - (number in best) for number, slot in enumerate(left)))

    rooms = tuple((slot * 10 + 3, None) for slot in slots)
    assert most_guests(rooms, Slot(nodes, 10, 0)) == most(tuple(slots))


def test_vcpus_limit_slots_where_there_is_a_limit() -> None:
    rooms = ((100, 3000), (100, None))
    assert most_guests(rooms, Slot(1, 10, 1000)) == 3 + 10
    assert most_guests(rooms, Slot(2, 10, 1000)) == 3
    assert most_guests(((100, -5),), Slot(1, 10, 1000)) == 0


def test_guests_that_are_too_many_for_the_slots_of_two_nodes() -> None:
    # One slot of 400 on h0, as node 1 is small; two on h1. Five ask for one; memory alone would do for all.
    problem = problem_of([(1600, 500), (900, 900)], [wide(f"w{number}", 400) for number in range(5)])
    scarce = scarcest(problem)
    assert (scarce.missing, len(scarce.guests)) == (2, 5)
    assert bounds.fewest_unplaced(problem) == 2
    assert count(solve(problem, (2, 0))) == 3


def test_nothing_is_scarce_for_guests_that_may_choose() -> None:
    guests = [Guest(f"g{number}", 1, 600 * MIB) for number in range(3)]
    problem = problem_of([(1000, 1000)], guests)
    assert scarcest(problem).guests == ()
    assert bounds.fewest_unplaced(problem) == 0


def test_where_not_all_have_room_the_most_are_placed_not_the_largest() -> None:
    # Largest first: the one of 800 takes both slots of 400. Two of 400 are more guests.
    problem = problem_of([(850, 850)], [wide("big", 800), wide("one", 400), wide("two", 400)])
    assert count(greedy(problem, by_size(problem), by_slots(problem, Slot(2, 1, 0)))) == 1
    state = solve(problem, (1, 0))
    assert count(state) == 2
    assert state.at[0] is None


def test_priority_comes_before_the_number() -> None:
    problem = problem_of([(850, 850)], [wide("big", 800, priority=1), wide("one", 400), wide("two", 400)])
    state = solve(problem, (1, 0))
    assert state.at[0] is not None and count(state) == 1


def test_a_place_that_loses_no_slot_is_taken_before_the_tightest() -> None:
    # On h0 the narrow guest would fit more tightly, but cost a slot of two nodes.
    problem = problem_of([(420, 420), (600, 100)], [narrow("n", 300)])
    found = best_option(State(problem), 0, by_slots(problem, Slot(2, 400 * MIB, 0)))
    assert found is not None and found.place.host == "h1"


def test_a_group_that_no_host_can_have_as_a_whole() -> None:
    crew = [narrow(f"c{number}", 400, groups=TOGETHER) for number in range(5)]
    problem = problem_of([(900, 900), (900, 500)], [*crew, narrow("alone", 300)])
    assert torn(problem) == 1
    assert bounds.fewest_unplaced(problem) == 1
    state = greedy(problem, by_size(problem), by_slots(problem, Slot(1, 400 * MIB, 0)))
    placed = [option.place.host for option in state.at[1:] if option is not None]
    assert placed == ["h0"] * 4
    assert state.at[0] is not None
    assert {len(bundle) for bundle in bundles_of(problem).values()} == {5}


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=3),
    st.lists(st.tuples(st.booleans(), st.integers(1, 9), st.booleans()), max_size=6),
)
def test_the_bound_is_never_above_what_trying_everything_finds(
    rooms: list[tuple[int, int]], wishes: list[tuple[bool, int, bool]]
) -> None:
    guests = [
        (wide if two else narrow)(f"g{number}", 100 * size, groups=TOGETHER if tied else ())
        for number, (two, size, tied) in enumerate(wishes)
    ]
    problem = problem_of([(100 * one, 100 * other) for one, other in rooms], guests)
    state = State(problem)
    best = 0

    def descend(guest: int) -> None:
        nonlocal best
        if guest == len(guests):
            best = max(best, count(state))
            return
        if count(state) + len(guests) - guest <= best:
            return
        for option in problem.options[guest]:
            if state.fits(option):
                state.put(guest, option)
                descend(guest + 1)
                state.take(guest)
        descend(guest + 1)

    descend(0)
    assert len(guests) - best >= bounds.fewest_unplaced(problem)
