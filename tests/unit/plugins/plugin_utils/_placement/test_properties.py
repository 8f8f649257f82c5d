# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every host and every list of guests."""

from __future__ import annotations

import copy
import json
import typing as t

from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.capacity import host_room
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.choose import best_option, by_load
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import Reserve
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.options import Mover
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.problem import make_problem
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import read_request
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.search import solve
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.state import State
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import (
    advice,
    checker,
    hosts,
    small,
)
from hypothesis import given, note
from hypothesis import strategies as st

Data = dict[str, t.Any]
OPEN = {"low_memory": False}


# Strategies are made once: making them anew for each example costs more than planning.
MACHINES = st.tuples(
    st.integers(1, 2),  # threads
    st.lists(
        st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 40))), min_size=1, max_size=4
    ),  # cores, memory
    st.integers(0, 3),  # the node that certainly is of use
    st.sets(st.integers(0, 31), max_size=8),  # CPUs offline
    st.lists(st.sampled_from([12, 17, 21, 21, 32, hosts.NONE]), min_size=6, max_size=6),  # distances
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 9), st.sets(st.integers(0, 3))), max_size=3
    ),  # domains
    st.integers(1, 3),  # dom0's vCPUs
)


def _machine(drawn: t.Any, running: bool) -> Data:
    threads, nodes, useful, offline, ways, domains, dom0_vcpus = drawn
    nodes = [(cores, None if memory is None else memory * 100) for cores, memory in nodes]
    cores, memory = nodes[useful % len(nodes)]
    nodes[useful % len(nodes)] = (cores + 1, (memory or 0) + 100)
    total = threads * sum(cores for cores, _memory in nodes)
    way = iter(ways)
    distance = [[10] * len(nodes) for _node in nodes]
    for a in range(len(nodes)):
        for b in range(a):
            distance[a][b] = distance[b][a] = next(way)
    old = [
        hosts.domain(number + 1, f"old{number}", vcpus, size * 100, sorted(where & set(range(len(nodes)))))
        for number, (vcpus, size, where) in enumerate(domains if running else ())
    ]
    down = [cpu for cpu in sorted(offline) if cpu < total][: total - 1]
    return hosts.facts(
        nodes, threads=threads, distance=distance, domains=old, offline=down, dom0_vcpus=dom0_vcpus
    )


def machines(running: bool = False) -> st.SearchStrategy[Data]:
    """Facts of a host of up to four nodes: some without CPUs or memory, some CPUs offline, some nodes out of reach."""
    return MACHINES.map(lambda drawn: _machine(drawn, running))


GUESTS = st.tuples(
    st.integers(1, 6),  # vCPUs
    st.integers(1, 30),  # memory
    st.sampled_from(["preferred", "preferred", "preferred", "single", "spread"]),
    st.sampled_from(["soft", "hard"]),
    st.sampled_from([0, 0, 0, 1, 2]),  # priority
)


def wanted(most: int = 6, old: int = 0) -> st.SearchStrategy[list[Data]]:
    """A list of guests with policies, some of them among those that run."""
    names = [f"old{number}" for number in range(old)] + [f"g{number}" for number in range(most)]

    def named(drawn: list[t.Any], skip: int) -> list[Data]:
        return [
            {
                "name": name,
                "vcpus": vcpus,
                "memory": memory * 100,
                "policy": {"numa_policy": numa_policy, "pin": pin},
                "priority": priority,
            }
            for name, (vcpus, memory, numa_policy, pin, priority) in zip(names[skip:], drawn, strict=False)
        ]

    return st.builds(named, st.lists(GUESTS, max_size=most), st.integers(0, old))


def planned(facts: Data, guests: t.Sequence[Data], reserve: Data | None = None) -> Data:
    request, kept = read_request(["alpha"], guests, reserve=OPEN if reserve is None else reserve)
    return make_plan({"alpha": from_facts(facts)}, request, kept)


def objective(plan: Data) -> dict[str, Data]:
    return {level["level"]: level for level in plan["objective"]}


@given(machines(running=True), wanted(), st.integers(0, 8))
def test_no_plan_breaks_a_hard_rule(facts: Data, guests: list[Data], reserve: int) -> None:
    plan = planned(facts, guests, {"low_memory": False, "node_memory": reserve * 64})
    checker.check(plan, facts, guests, reserve * 64 * checker.MIB)


@given(machines(running=True), wanted(old=3), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(facts: Data, guests: list[Data], random: t.Any) -> None:
    shuffled = [
        dict(random.sample(list(guest.items()), len(guest))) for guest in random.sample(guests, len(guests))
    ]
    turned = copy.deepcopy(facts)
    random.shuffle(turned["domains"])
    first, second = planned(facts, guests), planned(turned, shuffled)
    assert json.dumps(first) == json.dumps(second)


@given(machines(running=True), wanted())
def test_a_plan_that_was_carried_out_is_kept(facts: Data, guests: list[Data]) -> None:
    plan = planned(facts, guests)
    again = planned(checker.carried_out(facts, plan), guests)
    now = {entry["name"]: entry for entry in again["guests"]}
    for entry in plan["guests"]:
        kept = now[entry["name"]]
        note(f"{entry} then {kept}")
        assert (kept["action"], kept["nodes"], kept["cpuset"]) == ("keep", entry["nodes"], entry["cpuset"])
        assert (kept["hard"], kept["soft"], kept["memory_by_node"]) == (
            entry["hard"],
            entry["soft"],
            entry["memory_by_node"],
        )


@given(machines(running=True), wanted(old=3))
def test_running_guests_are_left_or_repinned_and_then_kept(facts: Data, guests: list[Data]) -> None:
    plan = planned(facts, guests)
    again = planned(checker.carried_out(facts, plan), guests)
    now = {entry["name"]: entry for entry in again["guests"]}
    for entry in plan["guests"]:
        if entry["action"] != "restart":
            assert now[entry["name"]]["action"] == "keep"
            assert now[entry["name"]]["nodes"] == entry["nodes"]
            assert checker.cpus(entry["cpuset"]) <= checker.cpus(facts["cpuset"])


@given(machines(), wanted(most=1))
def test_a_guest_that_fits_nowhere_is_told_so(facts: Data, guests: list[Data]) -> None:
    plan = planned(facts, guests)
    missing, _spanning = checker.fewest(facts, guests)
    assert len(plan["unplaced"]) == sum(missing)
    for entry in plan["unplaced"]:
        assert entry["reasons"] and entry["nearest"]


@given(machines(), wanted(most=4))
def test_nothing_better_exists_on_the_first_two_levels(facts: Data, guests: list[Data]) -> None:
    plan = planned(facts, guests)
    missing, spanning = checker.fewest(facts, guests)
    by_name = {guest["name"]: guest.get("priority", 0) for guest in guests}
    priorities = sorted(set(by_name.values()), reverse=True)
    left_out = [by_name[entry["name"]] for entry in plan["unplaced"]]
    assert tuple(left_out.count(priority) for priority in priorities) == missing
    assert objective(plan)["spanning"]["value"] == spanning


@given(machines(running=True), wanted(old=3))
def test_bounds_are_not_above_the_values(facts: Data, guests: list[Data]) -> None:
    for level in planned(facts, guests)["objective"]:
        if level["bound"] is not None:
            assert level["bound"] <= level["value"], level


@given(machines(), wanted(), st.permutations(range(6)))
def test_never_worse_than_one_guest_at_a_time(facts: Data, guests: list[Data], order: list[int]) -> None:
    """Against the same choice made guest by guest: by size and by name always, in any order on the first two levels."""
    request, _reserve = read_request(["alpha"], guests, reserve=OPEN)
    movers = [Mover(guest) for guest in sorted(request, key=lambda guest: guest.name)]
    room = host_room("alpha", from_facts(facts), Reserve(low_memory=False))
    problem = make_problem([room], movers)
    found = solve(problem, (0, 0)).key()

    def one_by_one(turn: t.Sequence[int]) -> tuple[int, ...]:
        state = State(problem)
        for guest in turn:
            option = best_option(state, guest, by_load)
            if option is not None:
                state.put(guest, option)
        return state.key()

    by_need = sorted(
        range(len(movers)),
        key=lambda index: (-movers[index].guest.priority, -movers[index].guest.need, index),
    )
    assert found <= one_by_one(range(len(movers)))
    assert found <= one_by_one(by_need)
    plan = planned(facts, guests)
    arrival = one_by_one([index for index in order if index < len(movers)])
    weights = dict(zip((mover.guest.name for mover in movers), problem.weights, strict=True))
    assert (
        sum(weights[entry["name"]] for entry in plan["unplaced"]),
        objective(plan)["spanning"]["value"],
    ) <= arrival[:2]


@given(st.integers(0, 1_000_000))
def test_nothing_that_is_called_proven_can_be_bettered(seed: int) -> None:
    """Against all placements that there are, tried one by one, level by level."""
    facts, request = small.case(seed)
    assert small.false_claims(facts, request, "builtin") == []


@given(st.integers(0, 1_000_000))
def test_advice_helps_when_it_is_followed(seed: int) -> None:
    """Each is an edit of the request or of the facts; planned again with it, the guest or another one more has a place."""
    assert advice.useless(seed)[1] == []


def test_a_guest_that_makes_room_by_spanning_is_found() -> None:
    """Two nodes of 10,000 MiB, and three guests that have room there only with one of them on both."""
    facts = {"alpha": hosts.facts([(4, 10_000), (4, 10_000)])}
    guests = [
        {"name": f"g{number}", "vcpus": 1, "memory": size} for number, size in enumerate([9000, 5500, 5000])
    ]
    request = {"guests": guests, "reserve": OPEN}
    assert small.false_claims(facts, request, "builtin") == []
    read, kept = read_request(["alpha"], guests, reserve=OPEN)
    plan = make_plan({"alpha": from_facts(facts["alpha"])}, read, kept)
    assert objective(plan)["unplaced"]["value"] == 0
