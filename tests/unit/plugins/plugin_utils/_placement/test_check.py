# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checker: a plan is broken on purpose, one rule at a time, and the checker has to say which."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.model import Topology
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.check import check_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import read_all
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts

Data = dict[str, t.Any]

ASKED: Data = {
    "guests": [
        {"name": "own", "vcpus": 2, "memory": 500, "policy": {"cpu_policy": "dedicated"}},
        {
            "name": "alone",
            "vcpus": 2,
            "memory": 500,
            "policy": {"cpu_policy": "dedicated", "thread_policy": "isolate"},
        },
        {"name": "red", "vcpus": 2, "memory": 300, "trust_group": "red"},
        {"name": "blue", "vcpus": 2, "memory": 300, "trust_group": "blue"},
        {"name": "web1", "vcpus": 1, "memory": 400},
        {"name": "web2", "vcpus": 1, "memory": 400},
        {"name": "card", "vcpus": 1, "memory": 200, "pci_devices": ["0000:01:00.0"]},
        {"name": "one", "vcpus": 1, "memory": 300, "policy": {"numa_policy": "single", "pin": "hard"}},
        {"name": "old", "vcpus": 2, "memory": 512, "do_not_touch": True},
    ],
    "groups": [{"name": "web", "policy": "anti-affinity", "scope": "node", "members": ["web1", "web2"]}],
    "cpu_allocation_ratio": 4,
    "reserve": {"low_memory": False},
}


class Device(t.NamedTuple):
    address: str
    node: int | None
    assigned_to: int | None = None


def machine() -> Topology:
    made = hosts.host(
        [(6, 4000), (6, 4000)], domains=[hosts.domain(1, "old", 2, 512, [1], soft=range(12, 24))]
    )
    return made._replace(pci_devices=(Device("0000:01:00.0", 1), Device("0000:02:00.0", 0)))


@pytest.fixture(scope="module")
def planned() -> Data:
    request = read_all(["alpha"], ASKED)
    return make_plan({"alpha": machine()}, request.guests, request.reserve, request.settings)


def broken(plan: Data, asked: Data | None = None) -> list[tuple[str | None, str]]:
    request = read_all(["alpha"], asked or ASKED)
    found = check_plan(plan, {"alpha": machine()}, request.guests, request.reserve, request.settings)
    assert all(
        rule.text[0].isupper() or rule.text[0].isdigit() or rule.text.startswith((rule.guest or "?", "vCPU "))
        for rule in found
    )
    assert all(rule.text.endswith(".") for rule in found)
    return [(rule.guest, rule.rule) for rule in found]


def entry(plan: Data, name: str) -> Data:
    return next(entry for entry in plan["guests"] if entry["name"] == name)


def test_the_plan_is_right(planned: Data) -> None:
    assert planned["unplaced"] == []
    assert broken(planned) == []
    assert entry(planned, "card")["nodes"] == [1]
    assert entry(planned, "old")["action"] == "keep"


@pytest.mark.parametrize(
    ("name", "change", "rule"),
    [
        ("own", {"hard": "all"}, "cpu_policy"),
        ("own", {"hard": ["0", "0"]}, "cpu_policy"),
        ("alone", {"cpupool": "Pool-9"}, None),
        ("red", {"hard": "all"}, "trust_group"),
        ("web1", {"hard": "all"}, "cpu_policy"),
        ("web1", {"hard": "99"}, "masks"),
        ("web1", {"hard": ["0", "1"]}, "masks"),
        ("web1", {"hard": "x"}, "masks"),
        ("web1", {"nodes": []}, "nodes"),
        ("web1", {"nodes": [7]}, "nodes"),
        ("web1", {"host": "beta"}, "host"),
        ("web1", {"action": "keep"}, "action"),
        ("web1", {"action": "dance"}, "action"),
        ("web1", {"action": "move"}, "action"),
        ("card", {"nodes": [0]}, "pci_devices"),
        ("one", {"nodes": [0, 1]}, "numa_policy"),
        ("one", {"hard": "all"}, "pin"),
        ("old", {"action": "repin"}, "do_not_touch"),
        ("old", {"action": "create"}, "action"),
    ],
)
def test_what_is_broken_is_found(planned: Data, name: str, change: Data, rule: str | None) -> None:
    plan = copy.deepcopy(planned)
    entry(plan, name).update(change)
    if rule is None:
        with pytest.raises(Failure, match="this is no plan of dom0.xen.placement_plan for these hosts"):
            broken(plan)
    else:
        assert rule in [found for _guest, found in broken(plan)]


def test_isolated_cores_are_not_shared_by_its_own_vcpus(planned: Data) -> None:
    plan = copy.deepcopy(planned)
    first = int(entry(plan, "alone")["hard"][0])
    entry(plan, "alone")["hard"] = [str(first), str(first + 1)]
    assert ("alone", "thread_policy") in broken(plan)


def test_groups(planned: Data) -> None:
    plan = copy.deepcopy(planned)
    entry(plan, "web1")["nodes"] = entry(plan, "web2")["nodes"]
    assert ("web1", "groups") in broken(plan)


def test_guests_that_are_missing_twice_there_or_unknown(planned: Data) -> None:
    plan = copy.deepcopy(planned)
    plan["guests"] = [*plan["guests"][:-1], copy.deepcopy(plan["guests"][0])]
    plan["guests"].append({**copy.deepcopy(plan["guests"][0]), "name": "stranger"})
    found = broken(plan)
    assert (planned["guests"][-1]["name"], "guests") in found
    assert (planned["guests"][0]["name"], "guests") in found
    assert ("stranger", "guests") in found


def test_memory_of_each_step(planned: Data) -> None:
    big = copy.deepcopy(ASKED)
    for guest in big["guests"]:
        if guest["name"] != "old":
            guest["memory"] *= 4
    assert "steps" in [rule for _guest, rule in broken(planned, big)]
    plan = copy.deepcopy(planned)
    plan["steps"] = plan["steps"][:-1]
    assert (planned["steps"][-1]["guest"], "steps") in broken(plan)


def test_the_ratio(planned: Data) -> None:
    assert (None, "cpu_allocation_ratio") in broken(planned, {**ASKED, "cpu_allocation_ratio": 0.1})


@pytest.mark.parametrize("plan", [{}, {"guests": 3, "unplaced": [], "steps": []}, {"guests": [{}]}])
def test_what_is_no_plan(plan: Data) -> None:
    with pytest.raises(Failure, match="this is no plan"):
        broken(plan)


def test_with_a_guest_that_runs_on_several_packages_one_of_them_is_together() -> None:
    topologies = {
        "alpha": hosts.host([(4, 2000)] * 3, domains=[hosts.domain(1, "old", 2, 512, [0, 1], soft=range(16))])
    }
    asked = {
        "guests": [
            {"name": "old", "vcpus": 2, "memory": 512},
            {"name": "a", "vcpus": 1, "memory": 100},
            {"name": "b", "vcpus": 1, "memory": 100},
        ],
        "groups": [{"name": "crew", "policy": "affinity", "scope": "package", "members": ["old", "a", "b"]}],
        "reserve": {"low_memory": False},
    }
    request = read_all(["alpha"], asked)
    plan = make_plan(topologies, request.guests, request.reserve, request.settings)

    def rules() -> list[str]:
        found = check_plan(plan, topologies, request.guests, request.reserve, request.settings)
        return [violation.rule for violation in found]

    entries = {entry["name"]: entry for entry in plan["guests"]}
    assert entries["a"]["nodes"] == entries["b"]["nodes"]
    assert rules() == []
    # On another package than the other one, and on one where the running guest is not.
    for node in (1 - entries["b"]["nodes"][0], 2):
        entries["a"]["nodes"] = [node]
        assert "groups" in rules()
