# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests that do not run yet and have a place by an earlier plan."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.check import check_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import RequestError, read_all
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts

Plan = dict[str, t.Any]


def plan_of(guests: t.Sequence[tuple[str, int, int]], earlier: t.Any = None, **more: t.Any) -> Plan:
    topologies = {"alpha": hosts.host([(4, 2000)] * 4, **more)}
    request = read_all(
        ["alpha"],
        {
            "guests": [{"name": name, "vcpus": vcpus, "memory": memory} for name, vcpus, memory in guests],
            "reserve": {"low_memory": False},
            "earlier_plan": earlier,
        },
    )
    plan = make_plan(topologies, request.guests, request.reserve, request.settings)
    assert check_plan(plan, topologies, request.guests, request.reserve, request.settings) == []
    return plan


def places(plan: Plan) -> dict[str, list[int]]:
    return {entry["name"]: entry["nodes"] for entry in plan["guests"]}


SOME = [("a", 4, 300), ("b", 2, 500), ("c", 1, 700), ("d", 1, 400), ("e", 2, 600), ("f", 1, 350)]


def changed(before: Plan, after: Plan) -> int:
    """How many guests have another place than before."""
    old, new = places(before), places(after)
    return sum(new[name] != nodes for name, nodes in old.items())


def test_a_guest_more_changes_few_places() -> None:
    before = plan_of(SOME)
    with_it = without = 0
    for vcpus, memory in itertools.product((1, 2, 3, 4), (150, 800, 1800)):
        more = [*SOME, ("new", vcpus, memory)]
        alone, kept = plan_of(more), plan_of(more, before)
        assert changed(before, kept) <= min(2, changed(before, alone))
        assert kept["objective"][:5] == alone["objective"][:5]
        with_it += changed(before, kept)
        without += changed(before, alone)
    assert 2 * with_it < without


@pytest.mark.parametrize(
    ("worth", "moved"),
    [(None, 0), ({"peak": 0.05}, 0), ({"peak": 0.02}, 1), ({"peak": 0}, 1), ({"peak": 0, "smt": 9}, 1)],
)
def test_what_another_place_has_to_be_worth_can_be_said(worth: t.Any, moved: int) -> None:
    """30 and 32 vCPUs on two nodes become 31 and 31: a thirty-second of the peak."""
    request = read_all(
        ["alpha"],
        {
            "guests": [
                {"name": name, "vcpus": vcpus, "memory": 100}
                for name, vcpus in (("a", 30), ("b", 30), ("c", 1), ("d", 1))
            ],
            "earlier_plan": {
                "guests": [
                    {"name": name, "host": "alpha", "nodes": [node]}
                    for name, node in (("a", 0), ("b", 1), ("c", 0), ("d", 0))
                ]
            },
            "reserve": {"low_memory": False},
            "move_worth": worth,
        },
    )
    topologies = {"alpha": hosts.host([(40, 2000)] * 2, dom0_vcpus=2)}
    plan = make_plan(topologies, request.guests, request.reserve, request.settings)
    now = places(plan)
    assert (now["a"], now["b"]) == ([0], [1])
    assert [now["c"], now["d"]].count([1]) == moved


def test_who_keeps_a_place_is_told() -> None:
    before = plan_of(SOME)
    after = plan_of([*SOME, ("new", 1, 100)], before)
    told = {
        entry["name"]: "The earlier plan has it there, too." in entry["reasons"] for entry in after["guests"]
    }
    assert told == {"a": True, "b": True, "c": True, "d": True, "e": True, "f": True, "new": False}


def test_the_same_request_keeps_all_places() -> None:
    before = plan_of(SOME)
    assert places(plan_of(SOME, before)) == places(before)


def test_a_place_is_given_up_for_a_guest_that_would_have_none() -> None:
    before = plan_of([("a", 1, 1200), ("b", 1, 1200)])
    # Three guests want a node each, and two nodes are left.
    more = [("a", 1, 1200), ("b", 1, 1200), *((f"w{number}", 1, 1900) for number in range(3))]
    after = plan_of(more, before)
    assert len(after["guests"]) == len(plan_of(more)["guests"])
    assert after["objective"][:2] == plan_of(more)["objective"][:2]


def test_a_bad_earlier_place_is_given_up() -> None:
    # All on one node: four times the load of a plan that knows nothing of it.
    crowded = {"guests": [{"name": name, "host": "alpha", "nodes": [0]} for name in "abcd"]}
    guests = [(name, 4, 300) for name in "abcd"]
    assert sorted(places(plan_of(guests, crowded)).values()) == [[0], [1], [2], [3]]


def test_what_is_no_longer_there_does_not_matter() -> None:
    gone = {
        "guests": [{"name": "a", "host": "omega", "nodes": [0]}, {"name": "b", "host": "alpha", "nodes": [9]}]
    }
    assert places(plan_of(SOME, gone)) == places(plan_of(SOME))


def test_guests_that_run_are_not_looked_for_in_it() -> None:
    earlier = {"guests": [{"name": "a", "host": "alpha", "nodes": [3]}]}
    plan = plan_of(SOME, earlier, domains=[hosts.domain(1, "a", 4, 300, [0])])
    assert places(plan)["a"] == [0]


def test_a_node_counts_once_however_often_it_is_named() -> None:
    earlier = {"guests": [{"name": "a", "host": "alpha", "nodes": [1] * 3000}]}
    assert places(plan_of([("a", 4, 300)], earlier))["a"] == [1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"a": 1},
        {"guests": [{"name": "a"}]},
        {"guests": 7},
        {"guests": [{"name": "a", "host": "alpha", "nodes": [float("inf")]}]},
        {"guests": [{"name": "a", "host": "alpha", "nodes": ["9" * 5000]}]},
        {"guests": [{"name": 10**5000, "host": "alpha", "nodes": [0]}]},
    ],
)
def test_what_is_no_plan_is_refused(wrong: t.Any) -> None:
    with pytest.raises(RequestError, match="earlier_plan: .* is no plan of dom0.xen.placement_plan"):
        plan_of(SOME, wrong)
