# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests with virtual NUMA nodes: shares of memory that are even where that fits, else as even as the free memory allows."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.check import check_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import Guest
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import read_all
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.vnodes import shares_within, vcpus_of_nodes
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import checker, hosts
from hypothesis import given
from hypothesis import strategies as st

Data = dict[str, t.Any]
MIB = 1 << 20


def guest(name: str, vcpus: int, memory: int, vnuma: bool = True, **more: t.Any) -> Data:
    return {"name": name, "vcpus": vcpus, "memory": memory, "vnuma": vnuma, **more}


def planned(facts: Data, *guests: Data, **more: t.Any) -> Data:
    request = read_all(["alpha"], {"guests": guests, "reserve": {"low_memory": False}, **more})
    topologies = {"alpha": from_facts(facts)}
    plan = make_plan(topologies, request.guests, request.reserve, request.settings)
    assert broken(facts, plan, *guests, **more) == []
    return plan


def broken(facts: Data, plan: Data, *guests: Data, **more: t.Any) -> list[str]:
    request = read_all(["alpha"], {"guests": guests, "reserve": {"low_memory": False}, **more})
    found = check_plan(plan, {"alpha": from_facts(facts)}, request.guests, request.reserve, request.settings)
    return [rule.text for rule in found]


def sizes(entry: Data) -> list[int]:
    return [vnode["memory_bytes"] // MIB for vnode in entry["vnuma"]]


def vcpus(entry: Data) -> list[str]:
    return [vnode["vcpus"] for vnode in entry["vnuma"]]


def carried_out(facts: Data, plan: Data, measured: bool) -> Data:
    """The facts once the plan's new guests run with their virtual nodes."""
    after = checker.carried_out(facts, plan)
    domains = {domain["name"]: domain for domain in after["domains"]}
    for entry in plan["guests"]:
        domain = domains[entry["name"]]
        for index, vcpu in enumerate(domain["vcpus"]):
            for kind in ("hard", "soft"):
                vcpu[kind] = entry[kind] if isinstance(entry[kind], str) else entry[kind][index]
        if measured:
            domain["memory_by_node"] = entry["memory_by_node"]
    return after


def test_uneven_where_even_shares_do_not_fit() -> None:
    facts = hosts.facts([(4, 3100), (4, 1100)])
    plan = planned(facts, guest("wide", 4, 3584))
    (wide,) = plan["guests"]
    # Node 1 gives what it has, less half of what Xen needs for the guest: (4 + 14 + 2) / 2 MiB.
    assert (wide["nodes"], sizes(wide), vcpus(wide)) == ([0, 1], [2494, 1090], ["0-2", "3"])
    assert wide["memory_by_node"] == {"0": 2494 * MIB, "1": 1090 * MIB}
    assert wide["soft"] == ["0-7", "0-7", "0-7", "8-15"]
    assert plan["steps"][0]["takes"] == {"alpha": {"0": 2504 * MIB, "1": 1100 * MIB}}
    assert any(
        "Its virtual nodes have 2494 MiB on node 0 and 1090 MiB on node 1." in text
        for text in wide["reasons"]
    )
    # vCPUs and accesses in proportion: 3 x 1090 + 1 x 2494 of 3584 MiB are 1 away.
    assert next(level["value"] for level in plan["objective"] if level["level"] == "distance") == 1.608
    # Xen takes memory of nodes in turn for a guest that has no virtual ones.
    assert [entry["name"] for entry in planned(facts, guest("wide", 4, 3584, False))["unplaced"]] == ["wide"]


def test_even_where_that_fits() -> None:
    facts = hosts.facts([(4, 3000), (4, 3000)])
    (wide,) = planned(facts, guest("wide", 4, 3584))["guests"]
    assert (sizes(wide), vcpus(wide)) == ([1792, 1792], ["0-1", "2-3"])


def test_what_others_take_counts() -> None:
    facts = hosts.facts([(4, 2600), (4, 2600)])
    plan = planned(facts, guest("wide", 2, 3584, priority=-1), guest("other", 2, 1400, False))
    placed = {entry["name"]: entry for entry in plan["guests"]}
    assert set(placed) == {"wide", "other"}
    assert sum(sizes(placed["wide"])) == 3584
    assert max(sizes(placed["wide"])) > 2000
    assert vcpus(placed["wide"]) == ["0", "1"]


def test_fewer_nodes_need_uneven_shares() -> None:
    facts = hosts.facts([(4, 2600), (4, 1200), (4, 1200), (4, 1200)])
    (wide,) = planned(facts, guest("wide", 4, 3584))["guests"]
    assert (len(wide["nodes"]), 0 in wide["nodes"]) == (2, True)
    # Even shares take all four nodes.
    (striped,) = planned(facts, guest("wide", 4, 3584, False))["guests"]
    assert len(striped["nodes"]) == 4


def test_dedicated_vcpus_are_dealt_out_evenly() -> None:
    facts = hosts.facts([(4, 3100), (4, 1100)])
    (wide,) = planned(facts, guest("wide", 4, 3584, policy={"cpu_policy": "dedicated"}))["guests"]
    assert (sizes(wide), vcpus(wide)) == ([2494, 1090], ["0-1", "2-3"])


@pytest.mark.parametrize("measured", [False, True])
def test_a_guest_that_runs_so_is_left_so(measured: bool) -> None:
    facts = hosts.facts([(4, 3100), (4, 1100)])
    wanted = guest("wide", 4, 3584)
    plan = planned(facts, wanted)
    after = carried_out(facts, plan, measured)
    (wide,) = planned(after, wanted)["guests"]
    assert (wide["action"], wide["soft"], vcpus(wide)) == ("keep", plan["guests"][0]["soft"], ["0-2", "3"])
    # Nothing tells how much memory each has, if it was not measured.
    assert sizes(wide) == ([2494, 1090] if measured else [1792, 1792])
    given_plan = json.loads(json.dumps(plan))
    (again,) = planned(after, wanted, given_plan=given_plan)["guests"]
    assert (again["action"], sizes(again)) == ("keep", [2494, 1090])


def test_it_is_never_moved_only_started_anew() -> None:
    facts = hosts.facts([(4, 3100), (4, 1100), (8, 4000)])
    after = carried_out(facts, planned(facts, guest("wide", 4, 3584, nodes=[0, 1])), True)
    kept = planned(after, guest("wide", 4, 3584), rebalance="migrate")
    assert kept["guests"][0]["action"] == "keep"
    (elsewhere,) = planned(after, guest("wide", 4, 3584, nodes=[2]), rebalance="migrate")["guests"]
    assert elsewhere["action"] == "restart"


def test_shares_that_somebody_wrote() -> None:
    facts = hosts.facts([(4, 3100), (4, 2100)])
    wanted = guest("wide", 4, 3584)
    plan = planned(facts, wanted)
    assert sizes(plan["guests"][0]) == [1792, 1792]

    def edited(*memory: int, **more: t.Any) -> Data:
        changed = copy.deepcopy(plan)
        for vnode, size in zip(changed["guests"][0]["vnuma"], memory, strict=True):
            vnode["memory_bytes"] = size * MIB
        for key in ("cpuset", "hard", "soft"):
            del changed["guests"][0][key]
        changed["guests"][0].update(more)
        return changed

    (wide,) = planned(facts, wanted, given_plan=edited(2688, 896))["guests"]
    assert (sizes(wide), vcpus(wide), wide["soft"]) == (
        [2688, 896],
        ["0-2", "3"],
        ["0-7", "0-7", "0-7", "8-15"],
    )
    with pytest.raises(
        Failure, match="wide: its virtual nodes have 3583 MiB together, and 3584 MiB are asked for"
    ):
        planned(facts, wanted, given_plan=edited(2688, 895))
    with pytest.raises(Failure, match="wide: node 1 lacks 410 MiB for its virtual node"):
        planned(facts, wanted, given_plan=edited(1084, 2500))
    with pytest.raises(
        Failure,
        match="wide: vnuma is for nodes 0 and 1, and it is to be on node 0: correct it, or take vnuma away",
    ):
        planned(facts, wanted, given_plan=edited(2688, 896, nodes=[0]))
    with pytest.raises(Failure, match="and no vnuma is asked for"):
        planned(facts, guest("wide", 4, 3584, False), given_plan=edited(2688, 896))


def broken_plans() -> list[tuple[str, t.Callable[[Data], None], str]]:
    def change(**values: t.Any) -> t.Callable[[Data], None]:
        return lambda entry: entry["vnuma"][0].update(values)

    return [
        ("sum", change(memory_bytes=2000 * MIB), "together its memory of 3758096384"),
        ("unit", change(memory_bytes=2494 * MIB + 4096), "whole MiB are needed"),
        ("node", change(node=7), "wide is to have virtual nodes of [7, 1], and is on nodes [0, 1]"),
        ("lost vCPU", change(vcpus="0-1"), "do not have each of its vCPUs, and one each"),
        ("vCPU twice", change(vcpus="0-3"), "A vCPU of wide is in two of its virtual nodes"),
        (
            "soft",
            lambda entry: entry.update(soft="0-7"),
            "vCPU 3 of wide is to prefer 0-7, and its virtual node is on 8-15",
        ),
        (
            "room",
            lambda entry: [
                vnode.update(memory_bytes=size * MIB)
                for vnode, size in zip(entry["vnuma"], (2484, 1100), strict=True)
            ],
            "Step 1, create wide, needs 10 MiB more than node 1 of alpha has then",
        ),
        (
            "none",
            lambda entry: entry.update(vnuma=None),
            "Step 1, create wide, needs 702 MiB more than node 1 of alpha has then",
        ),
    ]


@pytest.mark.parametrize(
    ("spoil", "told"), [one[1:] for one in broken_plans()], ids=[one[0] for one in broken_plans()]
)
def test_the_checker_finds_what_is_wrong(spoil: t.Callable[[Data], None], told: str) -> None:
    facts = hosts.facts([(4, 3100), (4, 1100)])
    plan = planned(facts, guest("wide", 4, 3584))
    spoil(plan["guests"][0])
    assert any(told in text for text in broken(facts, plan, guest("wide", 4, 3584)))


ROOMS = st.dictionaries(st.integers(0, 5), st.integers(0, 4000), min_size=2, max_size=4)


@given(ROOMS, st.integers(2, 16), st.integers(128, 8000))
def test_shares_are_as_even_as_the_room_allows(rooms: dict[int, int], number: int, memory: int) -> None:
    wide = Guest("wide", number, memory * MIB)
    room = {node: size * MIB for node, size in sorted(rooms.items())}
    shares = shares_within(wide, room)
    over = (wide.need - wide.memory) // len(room)
    most = {node: max(0, size - over - 4096) // MIB for node, size in room.items()}
    if shares is None:
        assert min(most.values()) <= min(64, memory // len(room)) or sum(most.values()) <= memory + len(room)
        return
    assert sum(shares.values()) == wide.memory
    assert all(size % MIB == 0 and size <= room[node] for node, size in shares.items())
    # A node with less than another has no room for more, but for what a division leaves over.
    highest = max(shares.values())
    for node, size in shares.items():
        if size + MIB < highest:
            assert size // MIB >= most[node] - 1
    numbers = vcpus_of_nodes(wide, "alpha", shares) if number >= len(shares) else {}
    if numbers:
        assert sum(numbers.values()) == number and min(numbers.values()) >= 1
        for node, size in shares.items():
            assert abs(numbers[node] - number * size / wide.memory) <= len(shares)


MACHINES = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 40)), min_size=2, max_size=4)
WIDE = st.lists(
    st.tuples(
        st.integers(1, 6),
        st.integers(2, 60),
        st.sampled_from([True, True, False]),
        st.sampled_from(["preferred", "preferred", 2]),
        st.sampled_from(["soft", "hard"]),
        st.sampled_from(["shared", "shared", "dedicated"]),
    ),
    max_size=5,
)


@given(MACHINES, WIDE, st.randoms(use_true_random=False))
def test_no_plan_breaks_a_rule_and_order_does_not_matter(
    machine: list[tuple[int, int]], drawn: list[t.Any], random: t.Any
) -> None:
    facts = hosts.facts([(cores, memory * 100) for cores, memory in machine])
    guests = [
        guest(
            f"g{number}",
            count,
            memory * 100,
            vnuma,
            policy={"numa_policy": numa_policy, "pin": pin, "cpu_policy": cpu_policy},
        )
        for number, (count, memory, vnuma, numa_policy, pin, cpu_policy) in enumerate(drawn)
    ]
    plan = planned(facts, *guests)  # which checks it
    for entry in plan["guests"]:
        if entry["vnuma"]:
            assert sum(vnode["memory_bytes"] for vnode in entry["vnuma"]) == entry["memory_bytes"]
    for level in plan["objective"]:
        assert level["bound"] is None or level["bound"] <= level["value"], level
    assert json.dumps(planned(facts, *random.sample(guests, len(guests)))) == json.dumps(plan)
    # Guests without a place by even shares may have one by uneven ones, never the other way round.
    striped = planned(facts, *({**one, "vnuma": False} for one in guests))
    assert len(plan["unplaced"]) <= len(striped["unplaced"])
    again = planned(carried_out(facts, plan, True), *guests)
    assert {entry["name"]: entry["action"] for entry in again["guests"]} == {
        entry["name"]: "keep" for entry in plan["guests"]
    }
