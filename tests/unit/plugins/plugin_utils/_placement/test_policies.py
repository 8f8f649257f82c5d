# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies, groups, devices, moves and questions, each on a host small enough to see what must come out."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.model import Topology
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.check import check_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.effort import Effort
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan, summary
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import RequestError, read_all
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.steps import Action, Blocked, order_steps
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import checker, hosts
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement.test_check import Device

Data = dict[str, t.Any]
MIB = 1 << 20


def guest(name: str, vcpus: int, mib: int, policy: Data | None = None, **more: t.Any) -> Data:
    return {"name": name, "vcpus": vcpus, "memory": mib, "policy": policy, **more}


def plan_of(machines: dict[str, Topology], *guests: Data, **asked: t.Any) -> Data:
    request = read_all(sorted(machines), {"guests": list(guests), "reserve": {"low_memory": False}, **asked})
    plan = make_plan(machines, request.guests, request.reserve, request.settings)
    assert check_plan(plan, machines, request.guests, request.reserve, request.settings) == []
    assert summary(plan)
    return plan


def entries(plan: Data) -> dict[str, Data]:
    return {entry["name"]: entry for entry in plan["guests"]}


def level(plan: Data, name: str) -> t.Any:
    return next(level["value"] for level in plan["objective"] if level["level"] == name)


DEDICATED = {"cpu_policy": "dedicated"}


WIDE = {"numa_policy": 2}


def test_a_guest_on_two_nodes_gets_two_of_its_own() -> None:
    machines = {"alpha": hosts.host([(4, 4000), (4, 4000)])}
    wide = entries(plan_of(machines, guest("wide", 3, 1001, WIDE, vnuma=True)))["wide"]
    assert wide["vnuma"] == [
        {"node": 0, "memory_bytes": 501 * MIB, "vcpus": "0-1", "distances": [10, 20]},
        {"node": 1, "memory_bytes": 500 * MIB, "vcpus": "2", "distances": [20, 10]},
    ]
    assert wide["memory_by_node"] == {"0": 501 * MIB, "1": 500 * MIB}
    assert (wide["hard"], wide["soft"]) == ("all", ["0-7", "0-7", "8-15"])
    hard = entries(plan_of(machines, guest("wide", 2, 1000, {**WIDE, "pin": "hard"}, vnuma=True)))["wide"]
    assert (hard["hard"], hard["soft"]) == ("0-15", ["0-7", "8-15"])
    own = entries(plan_of(machines, guest("wide", 4, 1000, {**WIDE, **DEDICATED}, vnuma=True)))["wide"]
    assert [vnode["vcpus"] for vnode in own["vnuma"]] == ["0-1", "2-3"]
    assert (own["hard"], own["soft"]) == (["0", "1", "8", "9"], "all")


@pytest.mark.parametrize(
    "wanted",
    [
        guest("a", 2, 1000, vnuma=True),  # fits on one node
        guest("a", 2, 1000, WIDE),
        guest("a", 1, 1000, WIDE, vnuma=True),
        guest("a", 2, 1000, {**WIDE, "pin": "none"}, vnuma=True),
        guest("a", 3, 1000, {**WIDE, "cpu_policy": "mixed"}, vnuma=True, dedicated_vcpus=[0]),
        guest("a", 2, 1000, WIDE, vnuma=True, trust_group="red"),
    ],
)
def test_others_get_no_virtual_nodes(wanted: Data) -> None:
    plan = plan_of({"alpha": hosts.host([(4, 4000), (4, 4000)])}, wanted)
    assert entries(plan)["a"]["vnuma"] is None


def test_a_guest_that_runs_keeps_its_virtual_nodes() -> None:
    there = hosts.domain(1, "wide", 2, 1000, [0, 1], soft=range(8), by_node={0: 499, 1: 501})
    for second, action in ((range(8, 16), "keep"), (range(16), "repin")):
        there["info"]["vcpus"][1]["soft"] = list(second)
        machine = hosts.host([(4, 4000), (4, 4000)], domains=[there])
        wide = entries(plan_of({"alpha": machine}, guest("wide", 2, 1000, WIDE, vnuma=True)))["wide"]
        assert (wide["action"], wide["soft"]) == (action, ["0-7", "8-15"])
        assert [vnode["memory_bytes"] for vnode in wide["vnuma"]] == [500 * MIB, 500 * MIB]


def test_dedicated_vcpus_fill_threads_and_others_keep_off() -> None:
    plan = plan_of({"alpha": hosts.host([(4, 4000)])}, guest("own", 3, 500, DEDICATED), guest("web", 2, 500))
    own, web = entries(plan)["own"], entries(plan)["web"]
    assert (own["hard"], own["soft"], own["cpuset"]) == (["0", "1", "2"], "all", "0-2")
    # the second thread of the second core stays idle, and web's affinity is soft, yet it may not go there
    assert (web["hard"], web["soft"]) == ("4-7", "4-7")
    assert "Its 3 vCPUs have 2 cores to themselves (thread_policy prefer)." in own["reasons"]


def test_a_node_without_cores_to_give_away_would_not_do_as_well() -> None:
    policy = {**DEDICATED, "thread_policy": "isolate"}
    machine = hosts.host([(2, 4000), (4, 4000)], dom0_vcpus=1)
    (own,) = plan_of({"alpha": machine}, guest("own", 2, 500, policy))["guests"]
    assert own["nodes"] == [1]
    assert "the only node that fits" in own["reasons"][1]
    assert own["reasons"][2] == "Node 0 has too few cores that can be given away."


def test_isolated_vcpus_have_a_core_each() -> None:
    policy = {**DEDICATED, "thread_policy": "isolate"}
    plan = plan_of({"alpha": hosts.host([(4, 4000)])}, guest("own", 3, 500, policy))
    assert entries(plan)["own"]["hard"] == ["0", "2", "4"]
    full = plan_of({"alpha": hosts.host([(4, 4000)])}, guest("own", 4, 500, policy))
    # dom0 needs a core
    assert [entry["name"] for entry in full["unplaced"]] == ["own"]
    assert "too few cores that can be given away" in full["unplaced"][0]["reasons"][1]
    assert full["unplaced"][0]["nearest"].startswith("Use cpu_policy shared: node 0")


def test_threads_can_be_required() -> None:
    policy = {**DEDICATED, "thread_policy": "require"}
    both = hosts.host([(2, 4000), (2, 4000)], offline=[5, 7])
    assert entries(plan_of({"alpha": both}, guest("own", 2, 500, policy)))["own"]["hard"] == ["0", "1"]
    alone = plan_of({"alpha": hosts.host([(4, 4000)], threads=1)}, guest("own", 1, 500, policy))
    assert alone["unplaced"]


def test_mixed_guests_have_some_vcpus_of_their_own() -> None:
    plan = plan_of(
        {"alpha": hosts.host([(4, 4000)])},
        guest("rt", 3, 500, {"cpu_policy": "mixed", "thread_policy": "isolate"}, dedicated_vcpus="0,2"),
    )
    entry = entries(plan)["rt"]
    assert entry["hard"] == ["0", "4-7", "2"]
    assert entry["soft"] == ["all", "4-7", "all"]


def test_cores_that_somebody_is_pinned_to_are_not_given_away() -> None:
    machine = hosts.host([(4, 4000)], domains=[hosts.domain(1, "other", 1, 100, [0], hard=[0, 1])])
    plan = plan_of({"alpha": machine}, guest("own", 2, 500, DEDICATED))
    assert entries(plan)["own"]["hard"] == ["2", "3"]
    assert plan["hosts"]["alpha"]["warnings"] == [
        "Domain-0, which the plan leaves alone, may run on CPUs 2-3 of cpupool Pool-0 that guests are to have for themselves: "
        "pin it to 0-1,4-7."
    ]


def test_a_running_guest_keeps_the_cores_that_it_has() -> None:
    running = hosts.domain(1, "own", 2, 500, [0], hard=[6])
    running["info"]["vcpus"][1]["hard"] = [7]
    plan = plan_of(
        {"alpha": hosts.host([(4, 4000)], domains=[running])},
        guest("own", 2, 500, DEDICATED),
        guest("new", 2, 500, DEDICATED),
    )
    assert (entries(plan)["own"]["action"], entries(plan)["own"]["hard"]) == ("keep", ["6", "7"])
    assert entries(plan)["new"]["hard"] == ["0", "1"]


def test_trust_groups_share_no_core() -> None:
    plan = plan_of(
        {"alpha": hosts.host([(4, 4000)])},
        guest("red1", 1, 300, trust_group="red"),
        guest("red2", 1, 300, trust_group="red"),
        guest("blue", 1, 300, trust_group="blue"),
        guest("none", 1, 300),
    )
    masks = {name: entry["hard"] for name, entry in entries(plan).items()}
    assert masks == {"red1": "2-3", "red2": "2-3", "blue": "0-1", "none": "4-7"}


def test_numa_policy_takes_a_number_of_nodes() -> None:
    plan = plan_of({"alpha": hosts.host([(2, 900)] * 3)}, guest("a", 2, 300, {"numa_policy": 2}))
    assert len(plan["guests"][0]["nodes"]) == 2
    plan = plan_of({"alpha": hosts.host([(2, 900)])}, guest("a", 2, 300, {"numa_policy": "2"}))
    assert "Cpupool Pool-0 has CPUs on 1 node, and numa_policy asks for 2." in plan["unplaced"][0]["reasons"]


def test_without_pinning_no_affinity_is_set() -> None:
    plan = plan_of({"alpha": hosts.host([(2, 900), (2, 900)])}, guest("a", 1, 300, {"pin": "none"}))
    assert (plan["guests"][0]["hard"], plan["guests"][0]["soft"]) == ("all", "all")


def test_the_ratio_limits_the_vcpus_of_a_node() -> None:
    machine = hosts.host([(2, 4000)], threads=1)
    plan = plan_of({"alpha": machine}, *(guest(name, 2, 100) for name in "abcd"), cpu_allocation_ratio=3)
    assert len(plan["guests"]) == 3
    assert level(plan, "unplaced") == 1
    assert plan["objective"][0]["bound"] == 1
    assert "cpu_allocation_ratio permits no more vCPUs" in plan["unplaced"][0]["reasons"][1]


def test_weight_counts_in_load() -> None:
    # one of weight 512 is as much as two
    plan = plan_of(
        {"alpha": hosts.host([(4, 4000), (4, 4000)])},
        guest("heavy", 4, 100, weight=512),
        guest("a", 4, 100),
        guest("b", 4, 100),
    )
    where = {name: entry["nodes"] for name, entry in entries(plan).items()}
    assert where["a"] == where["b"] != where["heavy"]


def with_devices(machine: Topology, *devices: Device) -> Topology:
    return machine._replace(pci_devices=devices)


def test_pci_devices_are_near_and_have_one_owner() -> None:
    machine = with_devices(
        hosts.host([(2, 4000), (2, 1000)]), Device("0000:01:00.0", 1), Device("0000:02:00.0", None)
    )
    card: t.Any = "01:00.0"
    plan = plan_of({"alpha": machine}, guest("net", 1, 300, pci_devices=[card]))
    assert plan["guests"][0]["nodes"] == [1]
    assert "PCI device 0000:01:00.0 (required) is at node 1." in plan["guests"][0]["reasons"]
    assert "Node 0 has room, but not its PCI device." in plan["guests"][0]["reasons"]
    near = {"address": card, "policy": "preferred"}
    plan = plan_of({"alpha": machine}, guest("net", 1, 1500, {"numa_policy": "single"}, pci_devices=[near]))
    assert plan["guests"][0]["nodes"] == [0]
    assert (level(plan, "device"), level(plan, "spanning")) == (1.0, 0)
    both = plan_of({"alpha": machine}, *(guest(name, 1, 100, pci_devices=[card]) for name in "ab"))
    assert len(both["unplaced"]) == 1
    lost = plan_of({"alpha": machine}, guest("net", 1, 100, pci_devices=["0000:02:00.0"]))
    assert lost["unplaced"][0]["nearest"].startswith("Make its PCI devices preferred: node ")
    taken = with_devices(machine, Device("0000:01:00.0", 1, assigned_to=7))
    assert plan_of({"alpha": taken}, guest("net", 1, 100, pci_devices=[card]))["unplaced"]
    with pytest.raises(RequestError, match=r"there is no PCI device 0000:09:00\.0 on alpha"):
        plan_of({"alpha": machine}, guest("net", 1, 100, pci_devices=["09:00.0"]))
    with pytest.raises(RequestError, match="the facts of alpha do not list PCI devices"):
        plan_of({"alpha": hosts.host([(2, 900)])}, guest("net", 1, 100, pci_devices=[card]))


def test_backends_draw_guests_to_dom0() -> None:
    facts = hosts.facts([(4, 4000), (4, 4000)])
    for vcpu in facts["domains"][0]["vcpus"]:
        vcpu["hard"] = "8-15"
    machine = hosts.from_facts(facts)
    assert plan_of({"alpha": machine}, guest("a", 1, 100))["guests"][0]["nodes"] == [0]
    near = guest("a", 1, 100, {"backend_locality": "preferred"})
    assert plan_of({"alpha": machine}, near)["guests"][0]["nodes"] == [1]


@pytest.mark.parametrize(("scope", "nodes"), [("node", 1), ("host", 2)])
def test_affinity_keeps_guests_together(scope: str, nodes: int) -> None:
    machines = {name: hosts.host([(4, 1000), (4, 1000)]) for name in ("alpha", "beta")}
    together = {"name": "g", "policy": "affinity", "scope": scope, "members": ["a", "b", "c"]}
    plan = plan_of(machines, *(guest(name, 3, 250) for name in "abc"), groups=[together])
    assert len({entry["host"] for entry in plan["guests"]}) == 1
    assert len({tuple(entry["nodes"]) for entry in plan["guests"]}) == nodes
    assert plan["unplaced"] == []


def test_anti_affinity_keeps_them_apart_but_for_parts() -> None:
    machines = {name: hosts.host([(4, 2000)]) for name in ("alpha", "beta")}
    apart = {"name": "g", "policy": "anti-affinity", "members": [["a", "b"], "c", "d"]}
    plan = plan_of(machines, *(guest(name, 1, 250) for name in "abcd"), groups=[apart])
    (lost,) = plan["unplaced"]
    assert lost["name"] in "cd"
    assert any(text.startswith("Take it out of group g:") for text in lost["helps"])
    where = {name: entry["host"] for name, entry in entries(plan).items()}
    assert where["a"] == where["b"]


def test_defaults_of_a_host() -> None:
    machines = {name: hosts.host([(4, 1000)]) for name in ("alpha", "beta")}
    different = {"beta": {"defaults": {"pin": "hard"}, "reserve": {"node_memory": 900}}}
    plan = plan_of(machines, guest("a", 1, 600), guest("b", 1, 50, host="beta"), host_policies=different)
    assert (entries(plan)["a"]["host"], entries(plan)["a"]["pin"]) == ("alpha", "soft")
    assert entries(plan)["b"]["pin"] == "hard"


INVENTORY = {
    "all": ["alpha", "beta", "gamma"],
    "numa": ["alpha", "beta"],
    "dense": ["beta", "gamma"],
    "far": ["omega"],
}


def of_hosts(host_policies: Data, inventory: Data | None) -> dict[str, tuple[str, str, int, float | None]]:
    """(pin, numa_policy, reserve in MiB, ratio) of each host."""
    asked = {
        "guests": [guest("a", 1, 9)],
        "defaults": {"numa_policy": "single"},
        "reserve": {"node_memory": 10},
        "host_policies": host_policies,
    }
    request = read_all(["alpha", "beta", "gamma"], asked, inventory)
    found = {}
    for host in ("alpha", "beta", "gamma"):
        policy = request.guests[0].policy_on(host)
        kept = request.settings.reserves.get(host, request.reserve)
        found[host] = (policy.pin, policy.numa_policy, kept.node_memory >> 20, kept.cpu_allocation_ratio)
    return found


def test_defaults_of_a_group_of_the_inventory() -> None:
    said = {
        "numa": {"defaults": {"pin": "hard"}, "reserve": {"node_memory": 50}},
        "dense": {"cpu_allocation_ratio": 2, "defaults": {"pin": "hard"}},
        "far": {"defaults": {"pin": "none"}},
    }
    assert of_hosts(said, INVENTORY) == {
        "alpha": ("hard", "single", 50, None),
        "beta": ("hard", "single", 50, 2),
        "gamma": ("hard", "single", 10, 2),
    }
    # The host's own entry counts, field by field.
    own = {**said, "beta": {"defaults": {"pin": "none"}, "reserve": {"low_memory": False}}}
    assert of_hosts(own, INVENTORY)["beta"] == ("none", "single", 50, 2)


def test_groups_that_disagree_are_an_error_unless_the_host_says_it_itself() -> None:
    said = {"numa": {"reserve": {"node_memory": "1GiB"}}, "dense": {"reserve": {"node_memory": 2048}}}
    with pytest.raises(RequestError) as caught:
        of_hosts(said, INVENTORY)
    assert caught.value.message.endswith(
        "host_policies.dense and host_policies.numa say different things of reserve.node_memory for beta: say it in host_policies.beta"
    )
    assert of_hosts({**said, "beta": {"reserve": {"node_memory": 7}}}, INVENTORY)["beta"][2] == 7
    # The same size in other words is no quarrel.
    assert of_hosts({**said, "dense": {"reserve": {"node_memory": 1024}}}, INVENTORY)["beta"][2] == 1024
    with pytest.raises(
        RequestError,
        match="host_policies.all and host_policies.dense say .* for beta and gamma: say it in host_policies.beta and so on",
    ):
        of_hosts({"all": {"defaults": {"pin": "hard"}}, "dense": {"defaults": {"pin": "none"}}}, INVENTORY)


@pytest.mark.parametrize("inventory", [None, {}, {"numa": ["alpha"]}])
def test_what_is_neither_host_nor_group_is_refused(inventory: Data | None) -> None:
    with pytest.raises(
        RequestError,
        match="host_policies.dense: 'dense' is not one of the hosts of this plan .*, and no group",
    ):
        of_hosts({"dense": {"defaults": {"pin": "hard"}}}, inventory)


def test_options_are_called_what_the_user_calls_them() -> None:
    asked = {
        "guests": [guest("a", 1, 9, {"pin": "tight"}), {"name": "b", "vcpus": 1}],
        "defaults": {"pin": "loose"},
        "reserve": {"node": 1},
        "groups": [{"policy": "affinity", "members": []}],
        "host_policies": {"alpha": {"pin": 1}, "omega": {}},
        "max_moves": -1,
        "rebalance": "all",
        "given_plan": {"guests": 1},
        "labels": {
            "guests": ["one", "two"],
            "defaults": "my_policy",
            "reserve": "my_reserve",
            "groups": "my_groups",
            "host_policies": "my_hosts",
            "max_moves": "my_moves",
            "rebalance": "my_rebalance",
            "given_plan": "my_plan",
        },
    }
    with pytest.raises(RequestError) as caught:
        read_all(["alpha"], asked)
    clauses = caught.value.message.split(": ", 1)[1].split("; ")
    named = [clause.split(":")[0] for clause in clauses if ":" in clause]
    assert named == [
        "my_policy.pin",
        "my_reserve.node",
        "my_hosts.alpha.pin",
        "my_hosts.omega",
        "one.policy.pin",
        "two.memory",
        "my_groups[0].name",
        "my_plan",
        "my_rebalance",
        "my_moves",
    ]


def test_advice_calls_the_reserve_what_the_user_does() -> None:
    machine = hosts.host([(4, 1000), (4, 300)], spanned=[2048, 2048])
    plan = plan_of(
        {"alpha": machine},
        guest("a", 1, 700, {"numa_policy": "single"}),
        reserve={},
        labels={"reserve": "place_guests_reserve"},
    )
    assert "Set place_guests_reserve.low_memory to false" in plan["unplaced"][0]["nearest"]


def test_who_is_not_to_be_touched_stays_as_it_is() -> None:
    machine = hosts.host([(4, 1000)], domains=[hosts.domain(1, "old", 2, 300, [0], hard=[3])])
    plan = plan_of({"alpha": machine}, guest("old", 2, 300, {"numa_policy": 2}, do_not_touch=True))
    entry = plan["guests"][0]
    assert (entry["action"], entry["hard"], entry["soft"]) == ("keep", "3", "all")
    assert plan["steps"] == []


def test_a_wide_guest_is_told_what_would_bring_it_together() -> None:
    # each node has room for one and 295 MiB more
    plan = plan_of({"alpha": hosts.host([(4, 700), (4, 700)])}, *(guest(name, 1, 400) for name in "abc"))
    (wide,) = [entry for entry in plan["guests"] if len(entry["nodes"]) > 1]
    assert (
        "Is on 2 nodes, 1 node more than it needs; to have it on one, free 110 MiB on node 0."
        in wide["warnings"]
    )


# Moves.


def spread_out() -> Topology:
    """Two guests over both nodes, and one that is in the way of each."""
    return hosts.host(
        [(4, 300), (4, 700)],
        domains=[
            hosts.domain(1, "wide", 2, 800, [0, 1], soft=range(16)),
            hosts.domain(2, "small", 1, 300, [0], soft=range(8)),
        ],
    )


def test_nothing_is_moved_unless_that_is_asked_for() -> None:
    plan = plan_of({"alpha": spread_out()}, guest("wide", 2, 800), guest("small", 1, 300))
    assert {entry["action"] for entry in plan["guests"]} <= {"keep", "repin"}
    assert level(plan, "moves") == 0


def test_rebalancing_brings_a_guest_together() -> None:
    plan = plan_of(
        {"alpha": spread_out()}, guest("wide", 2, 800), guest("small", 1, 300), rebalance="restart"
    )
    assert level(plan, "spanning") == 0
    assert entries(plan)["wide"]["nodes"] == [1]
    assert entries(plan)["wide"]["from"] == {"host": "alpha", "nodes": [0, 1]}
    # 809 MiB fit on node 1 only once its half there is given back
    assert [(step["guest"], step["action"]) for step in plan["steps"]] == [("wide", "restart")]
    live = plan_of(
        {"alpha": spread_out()}, guest("wide", 2, 800), guest("small", 1, 300), rebalance="migrate"
    )
    assert not any(entry["action"] == "restart" for entry in live["guests"])


def test_no_more_moves_than_are_permitted() -> None:
    machine = hosts.host(
        [(4, 2000), (4, 2000)],
        domains=[hosts.domain(number, f"w{number}", 1, 200, [0, 1]) for number in range(1, 6)],
    )
    wanted = [guest(f"w{number}", 1, 200) for number in range(1, 6)]
    for most in (0, 1, 3):
        plan = plan_of({"alpha": machine}, *wanted, rebalance="migrate", max_moves=most)
        assert level(plan, "moves") == most
        assert level(plan, "spanning") == 5 - most


def test_an_emptied_host() -> None:
    machines = {
        "alpha": hosts.host(
            [(4, 1000)], domains=[hosts.domain(1, "a", 2, 300, [0]), hosts.domain(2, "b", 1, 900, [0])]
        ),
        "beta": hosts.host([(4, 1000)]),
    }
    plan = plan_of(machines, guest("a", 2, 300), evacuate=["alpha"])
    # 300 and 900 MiB are more than beta has
    (entry,) = plan["guests"]
    assert (entry["host"], entry["action"]) == ("beta", "move")
    assert plan["steps"][0]["frees"] == {"alpha": {"0": (300 if entry["name"] == "a" else 900) * MIB}}
    assert "Runs on alpha, which is to be emptied." in plan["unplaced"][0]["reasons"]


def test_how_many_more_would_fit() -> None:
    machine = hosts.host([(4, 1000), (4, 1000)])
    asked = [guest("small", 1, 240), guest("wide", 9, 100)]
    plan = plan_of({"alpha": machine}, guest("a", 1, 500), capacity=asked)
    # 244 MiB each: two beside a, four on the other node
    assert plan["capacity"] == [
        {"name": "small", "more": 6, "at_most": 6, "proven": True},
        {"name": "wide", "more": 8, "at_most": 8, "proven": True},
    ]
    assert len(plan["guests"]) == 1


def test_candidates_say_on_which_level_they_lost() -> None:
    machine = hosts.host([(4, 1000), (4, 300), (2, 1000)])
    plan = plan_of({"alpha": machine}, guest("a", 2, 600), explain=True)
    told = {tuple(other["nodes"]): other["level"] for other in plan["guests"][0]["candidates"]}
    assert told == {(2,): "smt"}  # node 1 is too small even when it is empty


# The order of steps.


def amounts(**by_node: int) -> dict[tuple[str, int | None], int]:
    found: dict[tuple[str, int | None], int] = {
        ("alpha", int(node[1:])): size for node, size in by_node.items()
    }
    found["alpha", None] = sum(by_node.values())
    return found


def swap(may_restart: bool, detour: bool) -> list[Action]:
    third = (("alpha", (2,), amounts(n2=50)),) if detour else ()
    return [
        Action(
            "a",
            "migrate",
            ("alpha", (1,)),
            amounts(n1=50),
            ("alpha", (0,)),
            amounts(n0=50),
            third,
            may_restart,
        ),
        Action(
            "b", "migrate", ("alpha", (0,)), amounts(n0=60), ("alpha", (1,)), amounts(n1=60), (), may_restart
        ),
    ]


def test_a_circle_goes_through_a_third_place() -> None:
    steps = order_steps(swap(True, True), amounts(n0=10, n1=0, n2=50))
    assert [(step["guest"], step["action"], step["nodes"]) for step in steps] == [
        ("a", "migrate", [2]),
        ("b", "migrate", [0]),
        ("a", "migrate", [1]),
    ]
    assert "out of the way of others" in steps[0]["text"]


def test_a_circle_is_broken_by_a_restart_where_that_is_permitted() -> None:
    with pytest.raises(Blocked):
        order_steps(swap(False, False), amounts(n0=10, n1=0))
    steps = order_steps(swap(True, False), amounts(n0=10, n1=0))
    assert [(step["guest"], step["action"], step["nodes"]) for step in steps] == [
        ("a", "stop", [0]),
        ("b", "migrate", [0]),
        ("a", "start", [1]),
    ]


# Effort.


def test_time_that_is_up_ends_the_search_with_a_plan() -> None:
    request = read_all(["alpha"], {"guests": [guest(name, 1, 300) for name in "abcdef"]})
    machine = {"alpha": hosts.host([(2, 1000), (2, 1000)])}
    plan = make_plan(machine, request.guests, request.reserve, effort=Effort(10**6, lambda: True))
    assert (plan["search"]["ended_by"], plan["search"]["exact"]) == ("time", "not asked")
    # Reasons are short then, and say so.
    for entry in plan["guests"] + plan["unplaced"]:
        assert entry["reasons"][-1] == "The time_limit had passed before more could be said."
    assert check_plan(plan, machine, request.guests, request.reserve) == []
    plan = make_plan(machine, request.guests, request.reserve, effort=Effort(0))
    assert (plan["search"]["ended_by"], plan["search"]["exact"]) == ("steps", "not asked")
    assert len(plan["guests"]) + len(plan["unplaced"]) == 6


def test_progress_is_told() -> None:
    lines: list[str] = []
    request = read_all(["alpha"], {"guests": [guest("a", 1, 300)]})
    make_plan({"alpha": hosts.host([(2, 1000)])}, request.guests, request.reserve, told=lines.append)
    assert lines[0] == "by size: 1 guests placed, 0 not, 0 nodes beyond those needed"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"groups": 1}, "groups: a list of groups is needed"),
        (
            {"groups": [{"name": "g", "policy": "near", "members": []}]},
            "groups[0].policy: 'near' is none of affinity",
        ),
        (
            {"groups": [{"name": "g", "policy": "affinity", "members": ["x"]}]},
            "groups[0].members: 'x' is not one of the guests",
        ),
        (
            {"groups": [{"name": "g", "policy": "affinity", "members": ["a", "a"]}]},
            "groups[0].members: 'a' is named twice",
        ),
        ({"groups": [{"policy": "affinity", "members": []}]}, "groups[0].name: is missing"),
        (
            {"host_policies": {"beta": {}}},
            "host_policies.beta: 'beta' is not one of the hosts of this plan (alpha)",
        ),
        ({"host_policies": {"alpha": {"pin": "hard"}}}, "host_policies.alpha.pin: no such field"),
        ({"cpu_allocation_ratio": 0}, "cpu_allocation_ratio: 0 is not between 0.1 and 1000"),
        ({"move_worth": {"peak": 2}}, "move_worth.peak: 2 is not between 0 and 1"),
        ({"move_worth": {"smt": "much", "moves": 1}}, "move_worth.moves: no such field; there are smt, peak"),
        ({"move_worth": 1}, "move_worth: a dictionary is needed"),
        ({"rebalance": "all"}, "rebalance: 'all' is none of none, migrate, restart"),
        ({"evacuate": ["beta"]}, "evacuate: 'beta' is not one of the hosts"),
        ({"capacity": [{"name": "x"}]}, "capacity[0].vcpus: is missing"),
        (
            {"defaults": {"numa_policy": 0}},
            "defaults.numa_policy: 0 is none of single, preferred, spread, or a number of nodes",
        ),
        ({"guests": [guest("a", 2, 9, {"cpu_policy": "mixed"})]}, "guests[0].dedicated_vcpus: is missing"),
        (
            {"guests": [guest("a", 2, 9, dedicated_vcpus=[0])]},
            "guests[0].dedicated_vcpus: is for cpu_policy mixed alone",
        ),
        (
            {"guests": [guest("a", 2, 9, {"cpu_policy": "mixed"}, dedicated_vcpus=[2])]},
            "guests[0].dedicated_vcpus: give some of the vCPUs 0 to 1",
        ),
        (
            {"guests": [guest("a", 2, 9, pci_devices=["card"])]},
            "guests[0].pci_devices: 'card' is no address of a PCI device",
        ),
        ({"guests": [guest("a", 2, 9, weight=0)]}, "guests[0].weight: 0 is not between 1 and 65535"),
    ],
)
def test_errors_name_the_field(asked: Data, told: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_all(["alpha"], {"guests": [guest("a", 1, 9)], **asked})
    assert told in caught.value.message


def test_a_guest_that_runs_twice_is_an_error_still() -> None:
    twice = hosts.host(
        [(2, 900)], domains=[hosts.domain(1, "a", 1, 100, [0]), hosts.domain(2, "a", 1, 100, [0])]
    )
    with pytest.raises(Failure, match="is the name of several running domains"):
        plan_of({"alpha": twice}, guest("a", 1, 100))


def test_new_guests_come_in_the_order_in_which_they_are_created() -> None:
    plan = plan_of(
        {"alpha": hosts.host([(4, 1000)])}, guest("a", 1, 100), guest("b", 1, 300), guest("c", 1, 200)
    )
    assert (
        [step["guest"] for step in plan["steps"]] == [entry["name"] for entry in plan["guests"]] == [*"bca"]
    )


def test_who_may_run_on_dedicated_cpus_is_to_be_kept_off_them() -> None:
    wanted = [guest("own", 2, 100, policy={"cpu_policy": "dedicated"}), guest("other", 1, 100)]
    plan = plan_of({"alpha": hosts.host([(4, 1000)])}, *wanted)
    own = next(entry for entry in plan["guests"] if entry["name"] == "own")
    first = plan["steps"][0]
    assert (first["action"], first["guest"], first["domid"]) == ("keep_off", "Domain-0", 0)
    assert own["warnings"] == ["Shares CPUs with Domain-0 until that is kept off them."]
    assert own["soft"] == "all" and not checker.cpus(",".join(own["hard"])) & checker.cpus(first["hard"])
    assert "own: create on node 0, hard affinity 0-1, 2 vCPUs, 100 MiB" in summary(plan)
    assert "step 1: keep Domain-0 of alpha (domid 0) off CPUs 0-1: hard affinity 2-7" in summary(plan)


def test_more_parts_than_nodes_cannot_all_be_apart() -> None:
    wanted = [guest(f"g{number}", 1, 10) for number in range(5)]
    crew = {
        "name": "crew",
        "policy": "anti-affinity",
        "scope": "node",
        "members": [one["name"] for one in wanted],
    }
    plan = plan_of({"alpha": hosts.host([(4, 1000), (4, 1000)])}, *wanted, groups=[crew])
    unplaced = next(level for level in plan["objective"] if level["level"] == "unplaced")
    assert (unplaced["value"], unplaced["bound"]) == (3, 3)


def test_how_many_more_is_at_least_so_many_where_it_is_not_proven() -> None:
    # Each has cores of its own, and by memory alone there is room for more.
    shape = guest("own", 3, 100, policy={"cpu_policy": "dedicated", "thread_policy": "isolate"})
    plan = plan_of({"alpha": hosts.host([(4, 1000), (4, 1000)])}, capacity=[shape])
    assert plan["capacity"] == [{"name": "own", "more": 2, "at_most": 18, "proven": False}]


def test_what_is_freed_goes_to_the_reserve_first() -> None:
    old = hosts.domain(1, "old", 1, 2000, [0])
    machine = hosts.host([(4, 300)], domains=[old])
    plan = plan_of(
        {"alpha": machine}, guest("a", 1, 100), reserve={"low_memory": False, "node_memory": "500MiB"}
    )
    # 200 MiB for the reserve, and 104 MiB that the guest takes.
    assert plan["unplaced"][0]["nearest"] == "Free 304 MiB on node 0."
