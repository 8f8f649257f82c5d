# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes that are filled up one after the other."""

from __future__ import annotations

import random
import typing as t

from ansible_collections.dom0.xen.plugins.plugin_utils._placement.capacity import host_room
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.effort import Effort
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.fill import fill, peculiar
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
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.state import State
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts

APART = (Membership(Group("crew", "anti-affinity", "node"), 0),)


def guest_of(name: str, vcpus: int, need: int, **more: t.Any) -> Guest:
    """A guest that takes no more than so many MiB, and no less than 2 MiB under it."""
    return Guest(name, vcpus, ((need - vcpus - 2) * 256 // 257) * MIB, **more)


def problem_of(rooms: t.Sequence[t.Sequence[int]], guests: t.Sequence[Guest]) -> Problem:
    made = [
        host_room(f"h{number:02}", hosts.host([(4, mib) for mib in nodes]), Reserve(low_memory=False))
        for number, nodes in enumerate(rooms)
    ]
    return make_problem(made, [Mover(guest) for guest in sorted(guests, key=lambda guest: guest.name)])


def filled(problem: Problem) -> State:
    state = State(problem)
    fill(state, range(len(problem.movers)), Effort(100_000))
    return state


def test_what_fits_exactly_is_found() -> None:
    sizes = [500, 400, 300, 300, 300]
    state = filled(
        problem_of([[900, 900]], [guest_of(f"g{index}", 1, need) for index, need in enumerate(sizes)])
    )
    assert None not in state.at
    assert state.spanning == 0


def test_each_node_gets_its_share_of_the_load() -> None:
    guests = [guest_of(f"g{index}", 4 if index < 4 else 1, 1000) for index in range(8)]
    state = filled(problem_of([[4000, 4000]], guests))
    assert state.load == [10_000, 10_000]


def test_nodes_with_little_memory_get_as_much_load_as_the_others() -> None:
    guests = [guest_of(f"g{index}", 4 if index < 2 else 1, 1000) for index in range(10)]
    state = filled(problem_of([[8000, 2000]], guests))
    assert sorted(state.load) == [8_000, 8_000]


def test_guests_with_wishes_are_left_alone() -> None:
    guests = [
        guest_of("a", 1, 500),
        guest_of("b", 1, 500, nodes=(0,)),
        guest_of("c", 1, 500, groups=APART),
        guest_of("d", 1, 500, policy=Policy(cpu_policy="dedicated")),
        guest_of("e", 1, 500, host="h00"),
        guest_of("f", 1, 1500),
    ]
    problem = problem_of([[1000, 1000]], guests)
    state = filled(problem)
    assert [option is not None for option in state.at] == [True, False, False, False, False, False]
    assert peculiar(state, range(6)) == [1, 2, 3, 4, 5]


def test_nothing_is_done_without_steps_left() -> None:
    state = State(problem_of([[1000]], [guest_of("a", 1, 500)]))
    fill(state, [0], Effort(0))
    assert state.at == [None]


def test_a_fleet_that_is_nearly_full_gets_full_and_even() -> None:
    rand = random.Random(3)
    rooms = [[8000, 8000]] * 16 + [[4000] * 4] * 8
    total, guests = 0, []
    while total < 0.99 * sum(map(sum, rooms)):
        guests.append(guest_of(f"g{len(guests):03}", rand.choice([1, 2, 4]), rand.randint(300, 3800)))
        total += guests[-1].need // MIB
    problem = problem_of(rooms, guests)
    state = filled(problem)
    assert state.at.count(None) <= 4
    assert state.spanning == 0
    mean = sum(state.load) * 1000 // sum(problem.cores)
    assert state.peak() <= 1.5 * mean
