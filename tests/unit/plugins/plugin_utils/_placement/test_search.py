# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Search, proof and bounds on problems whose answers can be worked out by hand."""

from __future__ import annotations

import dataclasses
import random
import typing as t

from ansible_collections.dom0.xen.plugins.plugin_utils._placement import bounds
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.capacity import host_room
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.choose import best_option, by_load
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.effort import Effort
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.exhaustive import MOST_GUESTS, prove
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.improve import improve
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import MIB, Guest, Policy, Reserve
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.options import Mover
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.problem import Base, Problem, make_problem
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.search import by_size, greedy, solve
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.state import LEVELS, State, state_of
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts
from hypothesis import given
from hypothesis import strategies as st


def net(need: int) -> int:
    """MiB of memory with which a guest of one vCPU needs no more than this many MiB, and no less than a little under it."""
    return (need - 3) * 256 // 257


def problem_of(
    nodes: t.Sequence[tuple[int, int | None]],
    needs: t.Sequence[int],
    vcpus: int = 1,
    numa_policy: str = "preferred",
    **more: t.Any,
) -> Problem:
    host = host_room("alpha", hosts.host(nodes, **more), Reserve(low_memory=False))
    policy = Policy(numa_policy=numa_policy)
    movers = [
        Mover(Guest(f"g{index:02}", vcpus, net(need) * MIB, policy=policy))
        for index, need in enumerate(needs)
    ]
    return make_problem([host], movers)


def placed(state: State) -> list[tuple[int, ...] | None]:
    return [None if option is None else option.place.nodes for option in state.at]


def test_others_make_room_for_a_guest_that_has_none() -> None:
    # 500 + 400 and 300 + 300 + 300 fit exactly; one after the other by load, 500 + 300 and 400 + 300 leave the last 300 out.
    problem = problem_of([(4, 900), (4, 900)], [500, 400, 300, 300, 300], numa_policy="single")
    assert None in placed(greedy(problem, by_size(problem), by_load))
    state = solve(problem, (0, 0))
    assert None not in placed(state)
    assert state.key()[0] == 0


def test_several_make_room_for_one() -> None:
    problem = problem_of([(4, 900), (4, 1000)], [300, 300, 300, 1000], numa_policy="single")
    state = State(problem)
    for guest, node in ((0, 1), (1, 1), (2, 0)):
        state.put(guest, problem.options[guest][node])
    improve(state, by_size(problem), Effort(100_000))
    assert placed(state) == [(0,), (0,), (0,), (1,)]


def test_a_wide_guest_is_brought_together() -> None:
    problem = problem_of([(4, 1000), (4, 1000)], [900, 600, 300], numa_policy="preferred")
    state = State(problem)
    state.put(1, next(option for option in problem.options[1] if option.place.nodes == (0,)))
    state.put(2, next(option for option in problem.options[2] if option.place.nodes == (1,)))
    state.put(0, best) if (best := best_option(state, 0, by_load)) is not None else None
    before = state.key()
    improve(state, by_size(problem), Effort(100_000))
    assert state.key() < before
    assert state.key()[:2] == (0, 0)


def test_loads_are_evened_by_exchange() -> None:
    host = host_room("alpha", hosts.host([(4, 1000), (4, 1000)]), Reserve(low_memory=False))
    # Both nodes are full, so no guest can move alone: 4 + 2 and 1 + 1 vCPUs become 4 and 4 only by exchanging.
    sizes = [("a", 4, 500), ("b", 2, 500), ("c", 1, 500), ("d", 1, 500)]
    movers = [Mover(Guest(name, vcpus, (need - vcpus - 4) * MIB)) for name, vcpus, need in sizes]
    problem = make_problem([host], movers)
    state = State(problem)
    for guest, node in ((0, 0), (1, 0), (2, 1), (3, 1)):
        state.put(guest, next(option for option in problem.options[guest] if option.place.nodes == (node,)))
    assert state.load == [6000, 2000]
    improve(state, by_size(problem), Effort(100_000))
    assert sorted(state.load) == [3000, 5000]


def test_a_state_can_be_taken_apart_again() -> None:
    problem = problem_of([(2, 1000), (2, 1000), (3, 500)], [400, 500, 600, 700])
    state = State(problem)
    empty = state.key(), list(state.free), list(state.load)
    options = [option for options in problem.options for option in options]
    assert options
    for guest, found in enumerate(problem.options):
        for option in found:
            state.put(guest, option)
            state.take(guest)
    assert (state.key(), state.free, state.load) == empty
    full = solve(problem, (0, 0))
    assert state_of(problem, full.assignment()).key() == full.key()
    assert len(full.key()) == len(LEVELS)


def test_proof_finds_what_is_there_and_knows_when_nothing_is() -> None:
    problem = problem_of([(4, 1000), (4, 1000)], [600, 500, 500, 400], numa_policy="single")
    both = {"unplaced", "spanning"}
    found, proven = prove(problem, (1, 0), 0)
    assert proven == both and found is not None and None not in found
    assert prove(problem, (0, 0), 0) == (None, both)
    assert prove(problem, (0, 1), 0).proven == both


def test_proof_gives_up_instead_of_taking_for_ever() -> None:
    rand = random.Random(5)
    problem = problem_of(
        [(4, 1000)] * 4, [rand.randint(150, 250) for _guest in range(15)], numa_policy="single"
    )
    assert prove(problem, (1, 0), 0, most_steps=5) == (None, set())
    crowd = problem_of([(4, 1000)], [10] * (MOST_GUESTS + 1))
    assert prove(crowd, (1, 0), 0) == (None, set())


def test_search_ends_when_its_looks_are_used_up() -> None:
    rand = random.Random(7)
    problem = problem_of([(4, 1000)] * 4, [rand.randint(150, 450) for _guest in range(20)])
    assert solve(problem, (0, 0), most_looks=0).key() >= solve(problem, (0, 0)).key()


def test_bound_of_the_unplaced() -> None:
    # Two fit nowhere; of the others, 300 + 300 + 300 fit under 1000 in all, a fourth does not.
    problem = problem_of([(2, 500), (2, 500)], [300, 300, 300, 300, 1200, 1300])
    assert bounds.fewest_unplaced(problem) == 3


def test_bound_of_spanning_sees_that_halves_do_not_add_up() -> None:
    # Each node holds one of the three; 1800 in 2000 would fit, but not on a node each.
    problem = problem_of([(2, 1000), (2, 1000)], [600, 600, 600])
    assert bounds.least_spanning(problem, 0) == 1
    assert bounds.least_spanning(problem, 1) == 0
    state = solve(problem, (0, 1))
    assert state.key()[:2] == (0, 1)


def test_bound_of_spanning_leaves_out_guests_that_cannot_span() -> None:
    assert (
        bounds.least_spanning(problem_of([(2, 1000), (2, 1000)], [600, 600, 600], numa_policy="single"), 0)
        == 0
    )


def test_bounds_of_load() -> None:
    problem = problem_of([(2, 1000), (2, 1000)], [100] * 3, vcpus=2)
    assert bounds.least_smt(problem, 0) == 2000
    assert bounds.least_smt(problem, 1) == 0
    assert bounds.least_peak(problem, 0) == 1_500_000
    # 3 vCPUs on the two cores of each node: 2 x 3 x 3 / 2, but for what rounding may take from each
    assert bounds.least_imbalance(problem, 0) == 9_000_000 - 2
    # 4 vCPUs that may be anywhere
    assert bounds.least_imbalance(problem, 1) == 4_000_000 - 2


def test_bound_of_the_peak_knows_that_guests_are_whole() -> None:
    # One of two nodes has two of three guests, unless one of them is spread or left out.
    problem = problem_of([(2, 1000), (2, 1000)], [100] * 3, vcpus=2)
    assert bounds.least_peak(problem, 0, 0) == 2_000_000
    assert bounds.least_peak(problem, 0, 1) == 1_500_000
    assert bounds.least_peak(problem, 1, 0) == 1_000_000


def test_bound_of_the_peak_knows_what_a_node_has_room_for() -> None:
    # One of five guests is on the small node at most, so four of them are on the other one.
    problem = problem_of([(4, 1500), (4, 300)], [300] * 5)
    assert bounds.least_peak(problem, 0, 0) == 1_000_000
    assert bounds.least_peak(problem, 0) == 625_000


def test_bound_of_the_peak_knows_who_is_busy_alone() -> None:
    problem = problem_of([(2, 1000), (4, 1000), (8, 1000)], [100], vcpus=6)
    assert bounds.least_peak(problem, 0, 0) == 750_000
    assert bounds.least_peak(problem, 0) == 6_000_000 // 14


def test_bound_of_the_load_knows_that_the_guests_left_out_have_to_make_room() -> None:
    host = host_room("alpha", hosts.host([(4, 1000)]), Reserve(low_memory=False))
    sizes = [("a", 1, 900), ("b", 4, 600), ("c", 8, 90)]
    movers = [Mover(Guest(name, vcpus, net(need) * MIB)) for name, vcpus, need in sizes]
    problem = make_problem([host], movers)
    # Without b there are 9 vCPUs; without c, which has the most of them, there is no room for the others.
    assert 8_000 <= bounds.least_smt(problem, 1) + 4_000 <= 9_000
    assert 2_000_000 <= bounds.least_peak(problem, 1, 0) <= 2_250_000


def test_bound_of_the_peak_knows_who_is_tied_to_a_cpupool() -> None:
    topology = hosts.host([(4, 2000), (4, 2000)], pools=[("second", range(4, 8))])
    host = host_room("alpha", topology, Reserve(low_memory=False))
    movers = [Mover(Guest(f"g{number}", 1, 100 * MIB, pool="second")) for number in range(4)]
    assert bounds.least_peak(make_problem([host], movers), 0) == 2_000_000
    assert bounds.least_peak(make_problem([host], movers), 1) == 1_500_000


def test_bound_of_imbalance_leaves_busy_nodes_as_they_are() -> None:
    problem = problem_of([(2, 1000), (2, 1000), (4, 1000)], [100] * 3, vcpus=2)
    first, second, third = problem.cells
    busy = dataclasses.replace(problem, base=Base(load={first: 5000, third: 1000}))
    # 12 in all: 5 on two cores are more than 1.5 each, and stay; the other 7 go to 6 cores
    assert bounds.least_imbalance(busy, 0) == 5000 * 5000 // 2 + 7000 * 7000 // 6 - 2
    everywhere = dataclasses.replace(problem, base=Base(load={first: 9000, second: 9000, third: 18000}))
    assert bounds.least_imbalance(everywhere, 3) == 36000 * 36000 // 8 - 3
    assert bounds.least_imbalance(everywhere, 0) == 42000 * 42000 // 8 - 3


@given(st.lists(st.integers(20, 900), max_size=9), st.lists(st.integers(1, 10), min_size=1, max_size=3))
def test_nothing_is_ever_overfull(needs: list[int], memory: list[int]) -> None:
    problem = problem_of([(2, 100 * size) for size in memory], needs)
    state = solve(problem, (0, 0))
    assert min(state.free) >= 0
    assert state_of(problem, state.assignment()).free == state.free
