# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan that is carried out as it is written: edited by hand, run a second time, or gone stale."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.check import check_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import RequestError, read_all
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import checker, hosts
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement.test_properties import (
    machines,
    wanted,
)
from hypothesis import assume, given

Data = dict[str, t.Any]

#: What a plan says of a guest that somebody may edit.
WRITTEN = ("name", "host", "cpupool", "nodes", "cpuset", "hard", "soft")


def planned(facts: Data, guests: t.Sequence[Data], plan: Data | None = None, **more: t.Any) -> Data:
    request = read_all(
        ["alpha"],
        {"guests": guests, "reserve": {"low_memory": False}, "given_plan": plan, **more},
    )
    topologies = {"alpha": from_facts(facts)}
    made = make_plan(topologies, request.guests, request.reserve, request.settings)
    if plan is not None:
        found = check_plan(made, topologies, request.guests, request.reserve, request.settings)
        if found:
            raise Failure(" ".join(broken.text for broken in found))
    return made


def written(plan: Data) -> list[Data]:
    return sorted(
        ({key: entry[key] for key in WRITTEN} for entry in plan["guests"]), key=lambda entry: entry["name"]
    )


def entry_of(plan: Data, name: str) -> Data:
    return next(entry for entry in plan["guests"] if entry["name"] == name)


def edited(plan: Data, name: str, /, **changes: t.Any) -> Data:
    """A copy of the plan, through a file as it were, with an entry changed; None takes a key away."""
    plan = json.loads(json.dumps(plan))
    entry = entry_of(plan, name)
    for key, value in changes.items():
        if value is None:
            del entry[key]
        else:
            entry[key] = value
    return plan


FOLLOW: Data = {"cpuset": None, "hard": None, "soft": None}
GUESTS: list[Data] = [
    {"name": "db", "vcpus": 2, "memory": 800, "policy": {"pin": "hard"}},
    {"name": "web", "vcpus": 2, "memory": 300},
]


@pytest.fixture
def facts() -> Data:
    return hosts.facts([(4, 1000), (4, 1000), (4, 1000)])


@given(machines(running=True), wanted(old=3))
def test_a_plan_that_nobody_edited_is_what_it_was(facts: Data, guests: list[Data]) -> None:
    plan = planned(facts, guests)
    again = planned(facts, guests, plan)
    assert written(again) == written(plan)
    assert [entry["action"] for entry in again["guests"]] == [entry["action"] for entry in plan["guests"]]
    assert again["unplaced"] == plan["unplaced"]
    assert again["hosts"] == plan["hosts"]
    assert [(level["level"], level["value"]) for level in again["objective"]] == [
        (level["level"], level["value"]) for level in plan["objective"]
    ]


@given(machines(running=True), wanted(old=3))
def test_carried_out_it_leaves_nothing_to_do(facts: Data, guests: list[Data]) -> None:
    plan = planned(facts, guests)
    # A guest that is to be restarted stays where it is on paper, and so would be asked for again.
    assume(all(entry["action"] != "restart" for entry in plan["guests"]))
    again = planned(checker.carried_out(facts, plan), guests, plan)
    assert written(again) == written(plan)
    assert {entry["action"] for entry in again["guests"]} <= {"keep"}
    assert again["steps"] == []


def test_another_node_with_the_masks_left_out(facts: Data) -> None:
    plan = planned(facts, GUESTS)
    (other,) = {0, 1, 2} - {node for entry in plan["guests"] for node in entry["nodes"]}
    made = planned(facts, GUESTS, edited(plan, "web", nodes=[other], **FOLLOW))
    web = entry_of(made, "web")
    cpus = f"{8 * other}-{8 * other + 7}"
    assert (web["action"], web["nodes"], web["hard"], web["soft"], web["cpuset"]) == (
        "create",
        [other],
        "all",
        cpus,
        cpus,
    )
    assert any(f"The plan that was given has it on node {other}" in reason for reason in web["reasons"])
    assert written(made)[0] == written(plan)[0]
    assert (made["search"], made["steps"][-1]["nodes"]) == (
        {"ended_by": "given plan", "exact": "not asked", "asked": [], "open": []},
        [other],
    )


def test_a_worse_place_is_taken_and_what_it_costs_is_told(facts: Data) -> None:
    plan = planned(facts, GUESTS)
    made = planned(facts, GUESTS, edited(plan, "web", nodes=[0, 1], **FOLLOW))
    levels = {level["level"]: level for level in made["objective"]}
    assert (levels["spanning"]["value"], levels["spanning"]["bound"]) == (1, 0)
    assert levels["distance"]["gap"] > 0


def test_narrower_masks_are_set_as_they_are_written(facts: Data) -> None:
    plan = planned(facts, GUESTS)
    db, web = (entry_of(plan, name)["nodes"][0] * 8 for name in ("db", "web"))
    narrow = edited(plan, "db", cpuset=None, hard=f"{db}-{db + 1}")
    narrow = edited(narrow, "web", cpuset=None, soft=[f"{web}", f"{web + 2}"])
    made = planned(facts, GUESTS, narrow)
    assert entry_of(made, "db")["hard"] == entry_of(made, "db")["cpuset"] == f"{db}-{db + 1}"
    assert entry_of(made, "web")["soft"] == [f"{web}", f"{web + 2}"]
    assert entry_of(made, "web")["cpuset"] == f"{web},{web + 2}"
    after = checker.carried_out(facts, made)
    for domain in after["domains"]:
        if domain["name"] == "web":
            for vcpu, mask in zip(domain["vcpus"], entry_of(made, "web")["soft"], strict=True):
                vcpu["soft"] = mask
    assert {entry["action"] for entry in planned(after, GUESTS, narrow)["guests"]} == {"keep"}


def test_cores_of_its_own_are_those_that_are_written(facts: Data) -> None:
    guests = [{**GUESTS[0], "policy": {"cpu_policy": "dedicated"}}, GUESTS[1]]
    plan = planned(facts, guests)
    node = entry_of(plan, "db")["nodes"][0]
    own = [f"{8 * node + 4}", f"{8 * node + 5}"]
    assert entry_of(plan, "db")["hard"] != own
    given_plan = edited(edited(plan, "db", cpuset=None, hard=own), "web", **FOLLOW)
    made = planned(facts, guests, given_plan)
    assert entry_of(made, "db")["hard"] == own
    # The others keep off these, and not off those that the plan would have chosen.
    assert not checker.cpus(entry_of(made, "web")["hard"]) & {8 * node + 4, 8 * node + 5}
    assert 8 * node in checker.cpus(entry_of(made, "web")["hard"])
    # With the others' masks as they were, somebody could run there.
    with pytest.raises(Failure, match=r"vCPU 0 of web may run on .*, which db is to have alone"):
        planned(facts, guests, edited(plan, "db", cpuset=None, hard=own))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"nodes": [2]},
            r"db: hard is 8-15, and its node 2 has 16-23: write CPUs of these, or leave out cpuset, hard and soft, which then follow",
        ),
        (
            {"hard": "8-9"},
            r"db: cpuset is 8-15, and its masks make it 8-9: change hard, or leave out cpuset, hard",
        ),
        ({"cpuset": "8-9"}, r"db: cpuset is 8-9, and its masks make it 8-15"),
        ({"hard": "0-99"}, r"db: hard has the CPUs 24-99, which are not online in cpupool Pool-0 of alpha"),
        ({"hard": ["0", "1", "2"]}, r"db: hard has 3 masks for 2 vCPUs"),
        ({"hard": "all"}, r"db: hard is all, and its node 1 has 8-15"),
        ({"host": "beta"}, r"db: its host is beta, of which nothing is known; there is alpha"),
        ({"nodes": [7]}, r"db: it is to be on node 7, and alpha has nodes 0, 1 and 2"),
        ({"cpupool": "Pool-9"}, r"db: there is no cpupool Pool-9 on alpha"),
        ({"pin": "soft"}, r"db: its pin is soft, and its policy on alpha hard"),
        ({"vcpus": 3}, r"db: the plan is for 3 vCPUs, and 2 are asked for: plan again"),
        ({"memory_bytes": 1 << 30}, r"db: the plan is for 1024 MiB, and 800 MiB are asked for"),
        (
            {"name": "other"},
            r"other is in the plan, but was not asked for; db is asked for, but not in the plan",
        ),
    ],
)
def test_what_cannot_be_is_refused(facts: Data, changes: Data, told: str) -> None:
    plan = planned(facts, GUESTS)
    assert entry_of(plan, "db")["nodes"] == [1]
    with pytest.raises(Failure, match=f"^the plan that was given cannot be carried out: {told}"):
        planned(facts, GUESTS, edited(plan, "db", **changes))


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ({"guests": 7}, "is no plan of dom0.xen.placement_plan"),
        ({"guests": ["db"]}, r"guests\[0\]: a dictionary with name, host and nodes is needed, not 'db'"),
        ({"guests": [{"name": "db", "host": "alpha"}]}, r"guests\[0\] \(db\): nodes is missing"),
        (
            {"guests": [{"name": "db", "host": "alpha", "nodes": ["x"]}]},
            r"guests\[0\] \(db\): nodes: 'x' is no whole number",
        ),
        (
            {"guests": [{"name": "db", "host": "alpha", "nodes": [0], "hard": "0-"}]},
            r"guests\[0\] \(db\): hard: ",
        ),
        ({"guests": [{"name": "db", "host": "alpha", "nodes": [0]}] * 2}, "db is in it twice"),
        ({"guests": [], "unplaced": [{}]}, r"unplaced\[0\]: a dictionary with a name is needed"),
    ],
)
def test_what_is_no_plan_is_refused(facts: Data, plan: Data, told: str) -> None:
    with pytest.raises(RequestError, match=f"given_plan: .*{told}"):
        planned(facts, GUESTS, plan)


def test_the_least_that_an_entry_needs(facts: Data) -> None:
    plan = {
        "guests": [
            {"name": "db", "host": "alpha", "nodes": [2]},
            {"name": "web", "host": "alpha", "nodes": [1, 0]},
        ]
    }
    made = planned(facts, GUESTS, plan)
    assert [(entry["name"], entry["nodes"], entry["hard"], entry["soft"]) for entry in made["guests"]] == [
        ("db", [2], "16-23", "all"),
        ("web", [0, 1], "all", "0-15"),
    ]


def test_what_has_no_room_says_how_much_is_missing(facts: Data) -> None:
    guests = [*GUESTS, {"name": "more", "vcpus": 1, "memory": 300}]
    plan = planned(facts, guests)
    onto = {"nodes": entry_of(plan, "db")["nodes"], **FOLLOW}
    with pytest.raises(
        Failure, match=r"(more|web): node 1 lacks \d+ MiB \(\d+ MiB left by the rest of the plan\)"
    ):
        planned(facts, guests, edited(edited(plan, "more", **onto), "web", **onto))


def test_hard_rules_hold_for_it_too(facts: Data) -> None:
    single = [{**GUESTS[0], "policy": {"numa_policy": "single"}}, GUESTS[1]]
    plan = planned(facts, single)
    with pytest.raises(
        Failure, match=r"db: nodes 0 and 1 are not what the request permits: numa_policy single is asked for"
    ):
        planned(facts, single, edited(plan, "db", nodes=[0, 1], **FOLLOW))
    named = [{**GUESTS[0], "nodes": [1]}, GUESTS[1]]
    plan = planned(facts, named)
    with pytest.raises(Failure, match=r"db: node 2 is not what the request permits: node 1 is asked for"):
        planned(facts, named, edited(plan, "db", nodes=[2], **FOLLOW))
    groups = [{"name": "apart", "policy": "anti-affinity", "scope": "node", "members": ["db", "web"]}]
    plan = planned(facts, GUESTS, groups=groups)
    both = edited(plan, "web", nodes=entry_of(plan, "db")["nodes"], **FOLLOW)
    small = [{**GUESTS[0], "memory": 300}, GUESTS[1]]
    entry_of(both, "db")["memory_bytes"] = 300 << 20
    with pytest.raises(Failure, match=r"would have the memory, but group apart is to be kept apart"):
        planned(facts, small, both, groups=groups)


def moved_facts(node: int) -> Data:
    cpus = range(8 * node, 8 * node + 8)
    return hosts.facts(
        [(4, 1000), (4, 1000), (4, 1000)],
        domains=[hosts.domain(3, "db", 2, 800, [node], hard=cpus)],
    )


def test_a_guest_that_runs_elsewhere_makes_it_stale(facts: Data) -> None:
    plan = planned(facts, GUESTS)
    told = (
        r"db runs on node 2 of alpha \(cpupool Pool-0\), and the plan that was given has it on node 1 of alpha \(cpupool Pool-0\), where it "
        "would create it: plan again, or for it to go there make its action migrate, move or restart$"
    )
    with pytest.raises(Failure, match=told):
        planned(moved_facts(2), GUESTS, plan)
    assert entry_of(planned(moved_facts(1), GUESTS, plan), "db")["action"] == "keep"


def test_a_guest_that_runs_is_moved_where_that_is_written_and_permitted(facts: Data) -> None:
    running = moved_facts(2)
    plan = planned(running, GUESTS)
    assert entry_of(plan, "db")["action"] == "keep"
    with pytest.raises(Failure, match="where it would leave it where it runs: plan again, or"):
        planned(running, GUESTS, edited(plan, "db", nodes=[0], **FOLLOW))
    onto = edited(plan, "db", nodes=[0], action="migrate", **FOLLOW)
    with pytest.raises(Failure, match="db has the action migrate, which was not permitted"):
        planned(running, GUESTS, onto)
    made = planned(running, GUESTS, onto, rebalance="migrate")
    db = entry_of(made, "db")
    assert (db["action"], db["nodes"], db["hard"], db["from"]) == (
        "migrate",
        [0],
        "0-7",
        {"host": "alpha", "nodes": [2]},
    )
    assert [step["guest"] for step in made["steps"] if step["action"] == "migrate"] == ["db"]
    restarted = planned(running, GUESTS, edited(onto, "db", action="restart"))
    assert entry_of(restarted, "db")["action"] == "restart"
    # There, nothing is left to do, though the plan still says so.
    there = planned(moved_facts(0), GUESTS, onto, rebalance="migrate")
    assert entry_of(there, "db")["action"] == "keep"


def test_a_cpu_that_went_offline_makes_it_stale(facts: Data) -> None:
    plan = planned(facts, GUESTS)
    less = hosts.facts([(4, 1000), (4, 1000), (4, 1000)], offline=[11])
    told = "db: hard has the CPUs 11, which are not online in cpupool Pool-0 of alpha; there its nodes have 8-10,12-15: write CPUs of these"
    with pytest.raises(Failure, match=told):
        planned(less, GUESTS, plan)
    assert entry_of(planned(less, GUESTS, edited(plan, "db", **FOLLOW)), "db")["hard"] == "8-10,12-15"


def test_a_guest_without_a_place_can_be_given_one_and_the_other_way_round(facts: Data) -> None:
    guests = [*GUESTS, {"name": "big", "vcpus": 1, "memory": 2000, "policy": {"numa_policy": "single"}}]
    plan = planned(facts, guests)
    assert [entry["name"] for entry in plan["unplaced"]] == ["big"]
    again = planned(facts, guests, plan)
    assert again["unplaced"] == plan["unplaced"]
    smaller = [*GUESTS, {**guests[2], "memory": 500}]
    plan["unplaced"] = []
    plan["guests"].append({"name": "big", "host": "alpha", "nodes": [2]})
    assert entry_of(planned(facts, smaller, plan), "big")["soft"] == "16-23"
    out = copy.deepcopy(plan)
    out["guests"] = [entry for entry in out["guests"] if entry["name"] != "web"]
    out["unplaced"] = [{"name": "web"}]
    made = planned(facts, smaller, out)
    assert made["unplaced"] == [
        {
            "name": "web",
            "reasons": ["The plan that was given leaves it out."],
            "nearest": "Give it a place in the plan.",
            "helps": [],
        }
    ]


def test_an_earlier_plan_beside_it_is_refused(facts: Data) -> None:
    plan = planned(facts, GUESTS)
    with pytest.raises(RequestError, match="earlier_plan: leave it out, given_plan has its places already"):
        planned(facts, GUESTS, plan, earlier_plan=plan)


def test_a_host_that_is_to_be_emptied_gets_nobody_by_it(facts: Data) -> None:
    running = moved_facts(0)
    plan = planned(running, GUESTS)
    with pytest.raises(Failure, match="db is to stay on alpha, which is to be emptied"):
        planned(running, GUESTS, plan, evacuate=["alpha"])
    with pytest.raises(Failure, match="db: its host is alpha, which is to be emptied"):
        planned(facts, GUESTS[:1], edited({"guests": plan["guests"][:1]}, "db"), evacuate=["alpha"])
