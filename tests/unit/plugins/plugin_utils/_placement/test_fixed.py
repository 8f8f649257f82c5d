# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests whose CPUs the user has chosen."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.model import Topology
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.check import check_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import RequestError, read_all
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts

Plan = dict[str, t.Any]


def plan_of(topologies: dict[str, Topology], *guests: Plan, **more: t.Any) -> Plan:
    wanted = [{"memory": 100, **guest} for guest in guests]
    request = read_all(list(topologies), {"guests": wanted, "reserve": {"low_memory": False}, **more})
    plan = make_plan(topologies, request.guests, request.reserve, request.settings)
    assert check_plan(plan, topologies, request.guests, request.reserve, request.settings) == []
    return {entry["name"]: entry for entry in plan["guests"]}


def host(**more: t.Any) -> Topology:
    """Two nodes of four cores with two threads: CPUs 0-7 and 8-15."""
    return hosts.host([(4, 2000), (4, 1000)], **more)


def test_it_gets_its_cpus_and_the_memory_of_their_node() -> None:
    plan = plan_of(
        {"alpha": host()},
        {"name": "a", "vcpus": 2, "cpus": "12-13"},
        {"name": "b", "vcpus": 1, "cpus": [6, 9], "policy": {"pin": "hard"}},
    )
    assert (plan["a"]["nodes"], plan["a"]["soft"], plan["a"]["hard"]) == ([1], "12-13", "all")
    assert (plan["b"]["nodes"], plan["b"]["hard"], plan["b"]["cpuset"]) == ([0, 1], "6,9", "6,9")


def test_one_that_runs_keeps_its_memory() -> None:
    there = [hosts.domain(1, "a", 2, 100, [0], soft=range(8)), hosts.domain(2, "b", 1, 100, [0], soft=[3])]
    plan = plan_of(
        {"alpha": host(domains=there)},
        {"name": "a", "vcpus": 2, "cpus": "12-13"},
        {"name": "b", "vcpus": 1, "cpus": "3"},
    )
    assert (plan["a"]["action"], plan["a"]["nodes"], plan["a"]["soft"]) == ("repin", [0], "12-13")
    assert plan["b"]["action"] == "keep"


def test_nobody_gets_a_core_of_them_alone() -> None:
    plan = plan_of(
        {"alpha": host()},
        {"name": "a", "vcpus": 1, "cpus": "1"},
        {"name": "own", "vcpus": 2, "nodes": [0], "policy": {"cpu_policy": "dedicated"}},
    )
    assert plan["own"]["hard"] == ["2", "3"]
    assert plan["a"]["soft"] == "1"


def test_it_is_not_moved_to_better_the_whole() -> None:
    there = [
        hosts.domain(1, "a", 4, 100, [0], soft=range(4)),
        hosts.domain(2, "b", 4, 100, [0], soft=range(4, 8)),
    ]
    plan = plan_of(
        {"alpha": host(domains=there)},
        {"name": "a", "vcpus": 4, "cpus": "0-3"},
        {"name": "b", "vcpus": 4},
        rebalance="migrate",
    )
    assert (plan["a"]["action"], plan["b"]["action"], plan["b"]["nodes"]) == ("keep", "migrate", [1])


@pytest.mark.parametrize(
    ("guest", "told"),
    [
        (
            {"cpus": "40-41"},
            r"guests\[0\]\.cpus: 40-41 is not online in cpupool Pool-0 of alpha, which has 0-15",
        ),
        ({"cpus": "3"}, r"guests\[0\]\.cpus: 2 vCPUs cannot have 1 CPU"),
        ({"cpus": "x"}, r"guests\[0\]\.cpus: "),
        ({"cpus": []}, r"guests\[0\]\.cpus: the list is empty"),
        ({"cpus": ""}, r"guests\[0\]\.cpus: there is no CPU in it"),
        ({"cpus": "0-3", "nodes": [0]}, "leave out nodes, which follow from the CPUs"),
        ({"cpus": "0-3", "trust_group": "red"}, "cores for it alone are for the plan to choose"),
        (
            {"cpus": "0-3", "policy": {"cpu_policy": "dedicated"}},
            "cores for it alone are for the plan to choose",
        ),
        ({"cpus": "0-3", "policy": {"pin": "none"}}, "with pin none no affinity is set"),
    ],
)
def test_what_cannot_be_is_told(guest: Plan, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        plan_of({"alpha": host()}, {"name": "a", "vcpus": 2, **guest})


def test_with_several_hosts_one_has_to_be_named() -> None:
    with pytest.raises(RequestError, match="say with host on which of the hosts they are"):
        plan_of({"alpha": host(), "beta": host()}, {"name": "a", "vcpus": 1, "cpus": "1"})
    plan = plan_of({"alpha": host(), "beta": host()}, {"name": "a", "vcpus": 1, "cpus": "1", "host": "beta"})
    assert plan["a"]["host"] == "beta"


def test_a_shape_has_no_cpus() -> None:
    with pytest.raises(RequestError, match=r"capacity\[0\]\.cpus: leave it out"):
        plan_of({"alpha": host()}, capacity=[{"name": "s", "vcpus": 1, "memory": 100, "cpus": "1"}])


def test_a_plan_that_says_otherwise_is_refused() -> None:
    topologies = {"alpha": host()}
    request = read_all(["alpha"], {"guests": [{"name": "a", "vcpus": 1, "memory": 100, "cpus": "1"}]})
    plan = make_plan(topologies, request.guests, request.reserve, request.settings)
    plan["guests"][0]["soft"] = "2"
    found = check_plan(plan, topologies, request.guests, request.reserve, request.settings)
    assert [broken.rule for broken in found] == ["cpus"]
