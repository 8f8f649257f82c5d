# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans of small hosts, with what they say."""

from __future__ import annotations

import json
import os
import re
import typing as t

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.model import Topology
from ansible_collections.dom0.xen.plugins.module_utils._topology.recording import from_recording
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan, summary
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import RequestError, read_request
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import checker, hosts

Data = dict[str, t.Any]
MIB = 1 << 20
RECORDINGS = os.path.join(os.path.dirname(__file__), *[os.pardir] * 4, "recordings")


def guest(name: str, vcpus: int, mib: int, **more: t.Any) -> Data:
    return {"name": name, "vcpus": vcpus, "memory": mib, **more}


def single(name: str, vcpus: int, mib: int) -> Data:
    return guest(name, vcpus, mib, policy={"numa_policy": "single"})


def plan_of(
    *guests: Data, low_memory: bool = False, reserve: Data | None = None, **machines: Topology
) -> Data:
    wanted, kept = read_request(
        sorted(machines), list(guests), None, {"low_memory": low_memory, **(reserve or {})}
    )
    plan = make_plan(machines, wanted, kept)
    for entry in plan["guests"] + plan["unplaced"]:
        for text in [
            *entry["reasons"],
            *entry.get("warnings", ()),
            *([entry["nearest"]] if "nearest" in entry else []),
        ]:
            assert re.fullmatch(r"[A-Z0-9][^{}]*\.", text), text
    json.dumps(plan)
    assert all(isinstance(line, str) and line for line in summary(plan))
    return plan


def entries(plan: Data) -> dict[str, Data]:
    return {entry["name"]: entry for entry in plan["guests"]}


def level(plan: Data, name: str) -> Data:
    return next(level for level in plan["objective"] if level["level"] == name)


def test_the_form_of_a_plan() -> None:
    plan = plan_of(guest("a", 2, 512, policy={"pin": "hard"}), alpha=hosts.host([(2, 1000), (2, 900)]))
    assert list(plan) == [
        "schema_version",
        "guests",
        "unplaced",
        "steps",
        "hosts",
        "objective",
        "search",
        "capacity",
    ]
    assert plan["schema_version"] == "1.3"
    entry = plan["guests"][0]
    assert {key: entry[key] for key in entry if key not in ("reasons", "warnings")} == {
        "name": "a",
        "host": "alpha",
        "action": "create",
        "domid": None,
        "cpupool": "Pool-0",
        "nodes": [0],
        "vcpus": 2,
        "memory_bytes": 512 * MIB,
        "need_bytes": 518 * MIB,
        "memory_by_node": {"0": 512 * MIB},
        "vnuma": None,
        "pin": "hard",
        "cpuset": "0-3",
        "cache": None,
        "hard": "0-3",
        "soft": "all",
        "from": None,
        "candidates": None,
    }
    assert plan["hosts"]["alpha"]["nodes"][0] == {
        "os_index": 0,
        "memory_free_bytes": 1000 * MIB,
        "memory_reserved_bytes": 0,
        "memory_free_after_bytes": 482 * MIB,
        "cores": 2,
        "pus": 4,
        "vcpus_before": 0.5,
        "vcpus_after": 2.5,
    }
    names = [
        "unplaced",
        "spanning",
        "crowding",
        "distance",
        "device",
        "smt",
        "peak_load",
        "moves",
        "imbalance",
    ]
    assert [level["level"] for level in plan["objective"]] == names
    assert all(set(level) == {"level", "value", "bound", "gap", "unit"} for level in plan["objective"])


def test_guests_spread_over_the_cores_of_the_nodes() -> None:
    plan = plan_of(*(guest(name, 2, 100) for name in "abcd"), alpha=hosts.host([(4, 4000), (4, 4000)]))
    assert sorted(entry["nodes"] for entry in plan["guests"]) == [[0], [0], [1], [1]]
    assert (
        level(plan, "smt")["value"] == level(plan, "smt")["bound"] == 1.0
    )  # nine vCPUs, dom0's counted, on eight cores


def test_cores_count_not_threads() -> None:
    # as many CPUs on both nodes, twice as many cores on node 1
    topology = hosts.facts([(2, 4000), (4, 4000)], offline=[5, 7, 9, 11])
    plan = plan_of(*(guest(name, 1, 100) for name in "abcdef"), alpha=from_facts(topology))
    assert sorted(entry["nodes"][0] for entry in plan["guests"]) == [0, 0, 1, 1, 1, 1]


def test_all_guests_are_planned_together() -> None:
    # One after the other by load, a goes to node 1 and big fits nowhere.
    plan = plan_of(guest("a", 1, 800), single("big", 2, 1500), alpha=hosts.host([(2, 1000), (4, 1600)]))
    assert {name: entry["nodes"] for name, entry in entries(plan).items()} == {"a": [0], "big": [1]}


def test_why_a_guest_is_where_it_is() -> None:
    plan = plan_of(
        guest("a", 2, 512), guest("b", 2, 512), alpha=hosts.host([(4, 600), (4, 1310)], dom0_vcpus=2)
    )
    a, b = entries(plan)["a"], entries(plan)["b"]
    # Equal cores: the first goes where there is more memory.
    assert (a["nodes"], b["nodes"]) == ([1], [0])
    assert a["reasons"] == [
        "Needs 518 MiB: 512 MiB of its own and 6 MiB that Xen takes for it and its 2 vCPUs.",
        "Node 1 has 1310 MiB left for it and 3 of 4 cores idle, the only node that fits.",
        "Node 0 lacks 436 MiB beside the rest of the plan.",
    ]
    assert b["reasons"][1:] == [
        "Node 0 has 600 MiB left for it and 3 of 4 cores idle, the most idle cores among 2 nodes that fit.",
        "Node 1 would fit but be busier, with 1.3 vCPUs a core.",
    ]


def test_distance_chooses_between_pairs() -> None:
    machine = hosts.host([(2, 700), (2, 700), (2, 700)], distance=[[10, 21, 12], [21, 10, 21], [12, 21, 10]])
    plan = plan_of(guest("wide", 4, 1000), alpha=machine)
    entry = plan["guests"][0]
    assert entry["nodes"] == [0, 2]
    assert entry["memory_by_node"] == {"0": 500 * MIB, "2": 500 * MIB}
    assert entry["soft"] == "0-3,8-11"
    assert "No single node can take it: nodes 0, 1 and 2 lack 310 MiB." in entry["reasons"]
    assert (
        "Nodes 0 and 2 together have 1400 MiB left for it and 3.3 of 4 cores idle, at distance 12, the nearest of 3 sets of 2 nodes that fit."
        in entry["reasons"]
    )
    assert level(plan, "spanning")["value"] == 0  # it cannot do with less
    assert level(plan, "distance") == {
        "level": "distance",
        "value": 0.4,
        "bound": 0.4,
        "gap": 0,
        "unit": "vCPUs x (SLIT / 10 - 1)",
    }


def test_a_guest_gets_a_core_for_each_vcpu_while_there_are_cores_to_spare() -> None:
    plan = plan_of(guest("wide", 6, 500), alpha=hosts.host([(4, 4000), (4, 4000)]))
    entry = plan["guests"][0]
    assert entry["nodes"] == [0, 1]
    assert (
        "No single node has a core for each of its 6 vCPUs (the most is 4), and there are cores to spare."
        in entry["reasons"]
    )
    alone = plan_of(single("wide", 6, 500), alpha=hosts.host([(4, 4000), (4, 4000)]))["guests"][0]
    assert alone["nodes"] == [0]
    assert any(warning.startswith("2 of its vCPUs have to share a core") for warning in alone["warnings"])
    busy = plan_of(guest("wide", 6, 500), guest("more", 4, 500), alpha=hosts.host([(4, 4000), (4, 4000)]))
    assert sorted(entry["nodes"] for entry in busy["guests"]) == [[0], [1]]


def test_unplaced_says_what_lacks_and_what_would_help() -> None:
    plan = plan_of(
        single("big", 2, 1500), guest("a", 1, 400, nodes=[0]), alpha=hosts.host([(2, 1000), (2, 1300)])
    )
    (entry,) = plan["unplaced"]
    assert entry["reasons"] == [
        "Needs 1510 MiB: 1500 MiB of its own and 10 MiB that Xen takes for it and its 2 vCPUs.",
        "Node 0 lacks 915 MiB (595 MiB left by the rest of the plan).",
        "Node 1 lacks 210 MiB (1300 MiB left by the rest of the plan).",
    ]
    assert entry["nearest"] == "Free 210 MiB on node 1."
    assert level(plan, "unplaced") == {
        "level": "unplaced",
        "value": 1,
        "bound": 1,
        "gap": 0,
        "unit": "guests",
    }


def test_what_would_help_several_nodes_together() -> None:
    old = hosts.domain(1, "old", 1, 2600, [0, 1])
    plan = plan_of(guest("big", 2, 2500), alpha=hosts.host([(2, 1000), (2, 1300)], domains=[old]))
    (entry,) = plan["unplaced"]
    assert (
        entry["nearest"]
        == "Free 257 MiB on nodes 0 and 1 together (257 MiB on node 0), or 1214 MiB on node 1."
    )


@pytest.mark.parametrize(
    ("wanted", "reason", "nearest"),
    [
        (
            guest("a", 9, 100),
            "Nodes 0 and 1 have 4 online CPUs for 9 vCPUs.",
            "Give it 8 vCPUs at most, or a host with 9 online CPUs.",
        ),
        (
            single("a", 6, 100),
            "Nodes 0 and 1 have 4 online CPUs for 6 vCPUs.",
            "Use numa_policy preferred: nodes 0 and 1 would have room.",
        ),
        (
            guest("a", 1, 1200, nodes=[0]),
            "Node 0 lacks 208 MiB (1000 MiB left by the rest of the plan).",
            "Leave out nodes: node 1 would have room.",
        ),
        (
            guest("a", 1, 3000),
            "Node 2 with 5000 MiB free has no CPUs of the cpupool.",
            "Use memory_only_nodes allow: nodes 0 and 2 would have room.",
        ),
        (
            guest("a", 1, 100, nodes=[2]),
            "Node 2 cannot serve a guest of cpupool Pool-0: no CPU of the cpupool is there.",
            "Leave out nodes: node 0 would have room.",
        ),
    ],
)
def test_a_wish_that_stands_in_the_way_is_named(wanted: Data, reason: str, nearest: str) -> None:
    nodes = [(2, 1000), (2, 1300), (0, 5000)]
    if wanted["memory"] == 3000:
        nodes[0] = (2, 1600)
    (entry,) = plan_of(wanted, alpha=hosts.host(nodes))["unplaced"]
    assert reason in entry["reasons"]
    assert entry["nearest"] == nearest


def test_memory_only_nodes_serve_when_they_are_allowed() -> None:
    machine = hosts.host([(2, 1000), (0, 1000)])
    allow = {"memory_only_nodes": "allow"}
    plan = plan_of(guest("a", 1, 1500, policy=allow), guest("b", 1, 100, policy=allow), alpha=machine)
    a, b = entries(plan)["a"], entries(plan)["b"]
    assert (a["nodes"], a["soft"]) == ([0, 1], "0-3")
    assert any("takes vnuma= in xl.cfg" in warning for warning in a["warnings"])
    assert (b["nodes"], b["warnings"]) == ([0], [])


def test_unreachable_nodes_are_never_combined() -> None:
    far = [[10, hosts.NONE, 20], [hosts.NONE, 10, 20], [20, 20, 10]]
    plan = plan_of(guest("a", 5, 1000), alpha=hosts.host([(2, 900), (2, 900), (2, 600)], distance=far))
    assert plan["guests"][0]["nodes"] in ([0, 2], [1, 2])
    asked = plan_of(
        guest("a", 1, 100, nodes=[0, 1]), alpha=hosts.host([(2, 900), (2, 900), (2, 600)], distance=far)
    )
    assert "they cannot reach one another" in asked["unplaced"][0]["reasons"][1]


def test_offline_cpus_are_in_no_mask() -> None:
    plan = plan_of(guest("a", 2, 500), alpha=hosts.host([(2, 900), (2, 400)], offline=[1, 6]))
    assert (plan["guests"][0]["cpuset"], plan["guests"][0]["soft"]) == ("0,2-3", "0,2-3")


def test_spread_takes_all_nodes_of_the_cpupool() -> None:
    machine = hosts.host([(2, 900), (2, 900), (2, 900)], pools=[("other", range(8, 12))])
    entry = plan_of(guest("a", 2, 600, policy={"numa_policy": "spread"}), alpha=machine)["guests"][0]
    assert entry["nodes"] == [0, 1]
    assert entry["reasons"][1].startswith(
        "Its numa_policy is spread: nodes 0 and 1, all that have CPUs and memory; they have"
    )


def test_asked_nodes_and_cpupool() -> None:
    machine = hosts.host([(2, 900), (2, 900)], pools=[("fast", range(4, 8))])
    plan = plan_of(guest("a", 2, 100, pool="fast", nodes=[1]), guest("b", 1, 100), alpha=machine)
    a, b = entries(plan)["a"], entries(plan)["b"]
    assert (a["cpupool"], a["nodes"], a["cpuset"]) == ("fast", [1], "4-7")
    assert "Node 1 is asked for, and it has 900 MiB left for it and 2 of 2 cores idle." in a["reasons"]
    assert (b["cpupool"], b["nodes"]) == ("Pool-0", [0])


def test_priority_comes_before_number() -> None:
    machine = hosts.host([(4, 1000)])
    small = [guest(name, 1, 300) for name in ("a", "b", "c")]
    assert [entry["name"] for entry in plan_of(*small, guest("big", 1, 900), alpha=machine)["unplaced"]] == [
        "big"
    ]
    plan = plan_of(*small, guest("big", 1, 900, priority=1), alpha=machine)
    assert sorted(entry["name"] for entry in plan["unplaced"]) == ["a", "b", "c"]


def test_low_memory_and_reserve() -> None:
    machine = hosts.host([(2, 1000), (2, 300)], spanned=[2048, 2048])
    kept = plan_of(single("a", 1, 600), low_memory=True, alpha=machine)
    assert (
        kept["unplaced"][0]["reasons"][1]
        == "Node 0 lacks 118 MiB (488 MiB left by the rest of the plan, 512 MiB kept in reserve)."
    )
    assert kept["unplaced"][0]["nearest"].startswith(
        "Set reserve.low_memory to false: node 0 would have room, though"
    )
    assert kept["hosts"]["alpha"]["nodes"][0]["memory_reserved_bytes"] == 512 * MIB
    assert plan_of(single("a", 1, 600), alpha=machine)["guests"][0]["nodes"] == [0]
    tight = plan_of(single("a", 1, 600), alpha=machine, reserve={"node_memory": "500M"})
    assert tight["unplaced"][0]["nearest"] == "Free 106 MiB on node 0."
    whole = plan_of(single("a", 1, 600), alpha=machine, reserve={"host_memory": "800M"})
    assert "Node 0 would fit, but the host as a whole lacks 106 MiB." in whole["unplaced"][0]["reasons"]
    assert whole["unplaced"][0]["nearest"] == "Free 106 MiB on alpha anywhere."


# Guests that run.


def running(
    *domains: Data, nodes: t.Sequence[tuple[int, int | None]] = ((2, 900), (2, 900)), **more: t.Any
) -> Topology:
    return hosts.host(nodes, domains=domains, **more)


def test_a_running_guest_with_the_right_affinity_is_kept() -> None:
    machine = running(hosts.domain(3, "a", 2, 512, [1], soft=[4, 5, 6, 7]))
    entry = plan_of(guest("a", 2, 512), alpha=machine)["guests"][0]
    assert (entry["action"], entry["domid"], entry["nodes"]) == ("keep", 3, [1])
    assert entry["reasons"] == [
        "Runs already (domid 3) with its memory on node 1 (node affinity).",
        "Its soft affinity is 4-7 already.",
    ]


def test_a_running_guest_with_another_affinity_is_repinned_where_it_is() -> None:
    machine = running(hosts.domain(3, "a", 2, 512, [1], hard=[0, 1]), nodes=[(2, 5000), (2, 0)])
    entry = plan_of(guest("a", 2, 512, policy={"pin": "hard"}), alpha=machine)["guests"][0]
    assert (entry["action"], entry["nodes"], entry["hard"], entry["soft"]) == ("repin", [1], "4-7", "all")
    assert entry["reasons"][1] == "Its hard affinity becomes 4-7, now 0-1."


def test_measured_memory_outweighs_the_node_affinity() -> None:
    machine = running(hosts.domain(3, "a", 1, 500, [0], soft=[0, 1, 2, 3], by_node={0: 2, 1: 498}))
    entry = plan_of(guest("a", 1, 500), alpha=machine)["guests"][0]
    assert (entry["action"], entry["nodes"], entry["memory_by_node"]) == ("repin", [1], {"1": 498 * MIB})
    assert entry["reasons"][0] == "Runs already (domid 3) with its memory on node 1."


def test_memory_and_load_of_other_domains_are_left_to_them() -> None:
    # Their memory is no longer free. Their load is where they may run.
    machine = running(hosts.domain(3, "other", 4, 300, [0], hard=[0, 1, 2, 3]), nodes=[(2, 800), (2, 800)])
    plan = plan_of(guest("a", 1, 100), alpha=machine)
    assert plan["guests"][0]["nodes"] == [1]
    assert [node["vcpus_before"] for node in plan["hosts"]["alpha"]["nodes"]] == [4.5, 0.5]


@pytest.mark.parametrize(
    ("domain", "wanted", "reason"),
    [
        (
            hosts.domain(3, "a", 1, 500, [0]),
            guest("a", 1, 500, nodes=[1]),
            "Has its memory on node 0, but node 1 is asked for.",
        ),
        (
            hosts.domain(3, "a", 1, 500, [0, 1]),
            single("a", 1, 500),
            "Has its memory on nodes 0 and 1, but numa_policy single is asked for.",
        ),
        (
            hosts.domain(3, "a", 1, 500, [0], flags=hosts.SHUTDOWN),
            guest("a", 1, 500),
            "Has shut down, but its domain 3 is still there.",
        ),
        (
            hosts.domain(3, "a", 1, 500, [0], flags=hosts.SHUTDOWN | 3 << 16),
            guest("a", 1, 500),
            "Has crashed, but its domain 3 is still there.",
        ),
        (
            hosts.domain(3, "a", 1, 500, [0]),
            guest("a", 1, 500, pool="fast"),
            "Runs in cpupool Pool-0, but fast is asked for.",
        ),
    ],
)
def test_a_running_guest_that_cannot_stay_is_to_be_restarted(domain: Data, wanted: Data, reason: str) -> None:
    machine = running(domain, pools=[("fast", [7])])
    entry = plan_of(wanted, alpha=machine)["guests"][0]
    assert (entry["action"], entry["domid"]) == ("restart", 3)
    assert entry["reasons"][0] == reason
    assert entry["warnings"][0] == "Domain 3 on alpha has to be stopped first."


def test_memory_that_a_restart_would_free_is_given_to_nobody() -> None:
    machine = running(hosts.domain(3, "a", 1, 500, [0]), nodes=[(2, 100), (2, 900)])
    plan = plan_of(guest("a", 1, 500, nodes=[1]), single("b", 1, 400), alpha=machine)
    assert entries(plan)["a"]["action"] == "restart"
    assert [entry["name"] for entry in plan["unplaced"]] == ["b"]


def test_a_running_guest_whose_wish_cannot_be_met_is_left_as_it_is() -> None:
    machine = running(hosts.domain(3, "a", 1, 500, [0]), nodes=[(2, 100), (2, 100)])
    plan = plan_of(guest("a", 1, 500, nodes=[1]), alpha=machine)
    assert plan["guests"] == []
    assert plan["unplaced"][0]["reasons"][:2] == [
        "Has its memory on node 0, but node 1 is asked for.",
        "It is left as it is.",
    ]


def test_a_domain_that_is_being_destroyed_is_not_the_guest() -> None:
    machine = running(hosts.domain(3, "a", 1, 500, [0], flags=hosts.DYING))
    entry = plan_of(guest("a", 1, 500), alpha=machine)["guests"][0]
    assert (entry["action"], entry["domid"]) == ("create", None)
    assert entry["warnings"][0].startswith("A domain of that name (domid 3) is being destroyed on alpha")


def test_growing_guests_have_their_room_kept_where_there_is_any() -> None:
    machine = running(
        hosts.domain(3, "a", 1, 500, [0], soft=range(4)),
        hosts.domain(4, "b", 1, 500, [1], soft=range(4, 8)),
        nodes=[(2, 900), (2, 50)],
    )
    plan = plan_of(guest("a", 1, 800), guest("b", 1, 800), single("c", 1, 700), alpha=machine)
    a, b = entries(plan)["a"], entries(plan)["b"]
    assert (a["action"], b["action"]) == ("keep", "keep")
    assert a["warnings"] == [
        "Has 501 MiB at most until it is started again, 800 MiB asked for: the plan keeps the room for it."
    ]
    assert b["warnings"] == [
        "Has 501 MiB at most until it is started again, 800 MiB asked for: node 1 has no room for that."
    ]
    assert [entry["name"] for entry in plan["unplaced"]] == ["c"]
    assert plan["hosts"]["alpha"]["nodes"][0]["memory_free_after_bytes"] // MIB == 599


def test_other_sizes_of_running_guests_are_told() -> None:
    machine = running(hosts.domain(3, "a", 2, 500, [0], soft=range(4)))
    entry = plan_of(guest("a", 6, 300), alpha=machine)["guests"][0]
    assert entry["action"] == "keep"
    assert entry["warnings"] == [
        "Runs with 2 vCPUs, 6 asked for: the plan counts 6.",
        "Its 6 vCPUs have 4 online CPUs on node 0.",
        "Has 500 MiB now, 300 MiB asked for: the plan leaves it what it has.",
    ]


def test_vcpus_go_near_memory_that_has_no_cpus() -> None:
    machine = running(
        hosts.domain(3, "a", 1, 500, [2]),
        nodes=[(2, 900), (2, 900), (0, 900)],
        distance=[[10, 20, 28], [20, 10, 17], [28, 17, 10]],
    )
    entry = plan_of(guest("a", 1, 500), alpha=machine)["guests"][0]
    assert (entry["action"], entry["nodes"], entry["cpuset"]) == ("repin", [2], "4-7")
    assert entry["warnings"][0].startswith("Node 2, where its memory is, has no online CPU of cpupool Pool-0")


def test_a_guest_that_spans_while_it_runs_is_kept_and_told() -> None:
    machine = running(hosts.domain(3, "a", 1, 500, [0, 1]), nodes=[(2, 100), (2, 300)])
    entry = plan_of(guest("a", 1, 500), alpha=machine)["guests"][0]
    assert (entry["action"], entry["nodes"]) == ("keep", [0, 1])
    assert entry["warnings"] == [
        "Its memory is, as far as its node affinity tells, on nodes 0 and 1; after a restart node 1 alone could have it."
    ]
    tight = running(hosts.domain(3, "a", 1, 500, [0, 1]), nodes=[(2, 100), (2, 100)])
    assert plan_of(guest("a", 1, 500), alpha=tight)["guests"][0]["warnings"] == []


# Several hosts.


def test_guests_go_to_the_host_that_suits_them() -> None:
    plan = plan_of(
        guest("big", 2, 3000),
        guest("b", 1, 800, host="beta"),
        guest("c", 1, 800),
        alpha=hosts.host([(4, 3100), (4, 500)]),
        beta=hosts.host([(4, 1000), (4, 1000)]),
    )
    found = {name: (entry["host"], entry["nodes"]) for name, entry in entries(plan).items()}
    assert found["big"] == ("alpha", [0])
    assert found["b"][0] == found["c"][0] == "beta"
    assert found["b"] != found["c"]
    assert "Host beta is asked for." in entries(plan)["b"]["reasons"]
    assert any("nodes 0 and 1 of beta lack" in reason.lower() for reason in entries(plan)["big"]["reasons"])


def test_unplaced_on_several_hosts() -> None:
    plan = plan_of(
        single("a", 1, 1100),
        guest("b", 1, 1500, host="beta"),
        alpha=hosts.host([(4, 1000)]),
        beta=hosts.host([(4, 1050)]),
    )
    a, b = plan["unplaced"]
    assert "On alpha, node 0 lacks 108 MiB (1000 MiB left by the rest of the plan)." in a["reasons"]
    assert a["nearest"] == "Free 58 MiB on node 0 of beta."
    assert b["nearest"] == "Free 459 MiB on node 0 of beta."


def test_a_guest_that_runs_elsewhere_is_not_started_twice() -> None:
    machines = {
        "alpha": running(hosts.domain(3, "a", 1, 500, [0], soft=range(4))),
        "beta": hosts.host([(2, 900)]),
    }
    stays = plan_of(guest("a", 1, 500), **machines)["guests"][0]
    assert (stays["host"], stays["action"]) == ("alpha", "keep")
    moves = plan_of(guest("a", 1, 500, host="beta"), **machines)["guests"][0]
    assert (moves["host"], moves["action"], moves["domid"]) == ("beta", "restart", None)
    assert moves["reasons"][0] == "Runs on alpha, but beta is asked for."


def test_a_guest_that_runs_twice_is_refused() -> None:
    machine = running(hosts.domain(3, "a", 1, 100, [0]))
    with pytest.raises(
        Failure,
        match=r"guests\[0\].name: 'a' is the name of several running domains: alpha \(domid 3\), beta",
    ):
        plan_of(guest("a", 1, 100), alpha=machine, beta=machine)
    here = plan_of(guest("a", 1, 100, host="beta"), alpha=machine, beta=machine)["guests"][0]
    assert (here["host"], here["domid"]) == ("beta", 3)


def test_what_no_host_has_is_refused() -> None:
    machine = hosts.host([(2, 900)])
    with pytest.raises(RequestError) as caught:
        plan_of(guest("a", 1, 100, nodes=[0, 7]), guest("b", 1, 100, pool="x"), alpha=machine)
    assert "guests[0].nodes: no host has nodes 0 and 7; alpha has node 0" in caught.value.message
    assert "guests[1].pool: there is no cpupool 'x' on alpha; there is Pool-0" in caught.value.message


# Odds and ends.


def test_no_guests_and_no_nodes() -> None:
    assert plan_of(alpha=hosts.host([(1, 100)]))["guests"] == []


def test_claims_are_told_and_kept() -> None:
    plan = plan_of(guest("a", 1, 600), alpha=hosts.host([(2, 900), (2, 900)], claimed=1500))
    assert plan["hosts"]["alpha"]["warnings"] == [
        "1500 MiB are claimed by guests that are being built; on which nodes is not known."
    ]
    assert plan["unplaced"][0]["nearest"] == "Free 306 MiB on alpha anywhere."


def test_many_guests_fill_small_nodes_without_spanning() -> None:
    # 24 guests of three sizes into 97 % of eight nodes: first come first served spans or fails
    machine = hosts.host([(8, 4000)] * 8)
    sizes = [900, 1400, 1550] * 8
    plan = plan_of(*(guest(f"g{number:02}", 2, size) for number, size in enumerate(sizes)), alpha=machine)
    assert plan["unplaced"] == []
    assert level(plan, "spanning")["value"] == 0


def test_the_example_in_the_page_about_the_plan_is_what_comes_out() -> None:
    with open(os.path.join(RECORDINGS, "small-offline.json"), encoding="utf-8") as stream:
        topology = derive(from_recording(json.load(stream)))
    plan = plan_of(
        guest("web", 1, 512), guest("db", 2, 768), single("big", 2, 1400), low_memory=True, alpha=topology
    )
    with open(os.path.join(RECORDINGS, *[os.pardir] * 2, "docs", "plan.md"), encoding="utf-8") as stream:
        page = [line[4:] for line in stream.read().splitlines() if line.startswith("    ")]
    assert page == summary(plan)


@pytest.mark.parametrize("name", sorted(name for name in os.listdir(RECORDINGS) if name.endswith(".json")))
def test_plans_on_recordings_of_real_hosts_hold(name: str) -> None:
    with open(os.path.join(RECORDINGS, name), encoding="utf-8") as stream:
        facts = to_facts(derive(from_recording(json.load(stream))))
    if "domains" not in facts:
        with pytest.raises(Failure, match="do not tell which domains run"):
            plan_of(alpha=from_facts(facts))
        return
    wanted = [guest("n1", 2, 128), guest("n2", 1, 300), guest("n3", 4, 64, policy={"pin": "hard"})]
    plan = plan_of(*wanted, alpha=from_facts(facts))
    checker.check(plan, facts, wanted)
    again = plan_of(*wanted, alpha=from_facts(checker.carried_out(facts, plan)))
    assert {entry["name"]: entry["nodes"] for entry in again["guests"]} == {
        entry["name"]: entry["nodes"] for entry in plan["guests"]
    }
    assert {entry["action"] for entry in again["guests"]} == {"keep"}
