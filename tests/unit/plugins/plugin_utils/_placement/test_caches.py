# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests that keep to one last-level cache of their node."""

from __future__ import annotations

import typing as t

from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.model import Cache, Topology
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.check import check_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import MIB, Guest, Policy, Reserve
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts

OPEN = Reserve(low_memory=False)
Plan = dict[str, t.Any]


def host(caches: t.Sequence[str] | None, **more: t.Any) -> Topology:
    """One node with eight cores of two threads, CPUs 0-15, and a last-level cache for each of the sets."""
    found = hosts.host([(8, 9000)], **more)
    sets = None if caches is None else tuple(CpuSet.parse(cpus) for cpus in caches)
    small = tuple(CpuSet([cpu, cpu + 1]) for cpu in range(0, 16, 2))
    return found._replace(
        caches=(Cache(1, "data", 32768, 64, 8, small), Cache(3, "unified", 1 << 24, 64, 16, sets))
    )


def guest(name: str, vcpus: int, **policy: t.Any) -> Guest:
    return Guest(name, vcpus, 100 * MIB, policy=Policy(**policy))


def plan_of(topology: Topology, *guests: Guest) -> dict[str, Plan]:
    topologies = {"alpha": topology}
    plan = make_plan(topologies, guests, OPEN)
    assert check_plan(plan, topologies, guests, OPEN) == []
    return {entry["name"]: entry for entry in plan["guests"]}


def test_guests_that_fit_a_cache_keep_to_one_and_share_them_evenly() -> None:
    plan = plan_of(host(["0-7", "8-15"]), guest("a", 4), guest("b", 2), guest("c", 2))
    assert {name: entry["cache"] for name, entry in plan.items()} == {"a": "0-7", "b": "8-15", "c": "8-15"}
    assert plan["a"]["soft"] == plan["a"]["cpuset"] == "0-7"
    assert "Keeps to one last-level cache, that of CPUs 0-7." in plan["a"]["reasons"]


def test_a_guest_with_more_vcpus_than_a_cache_has_cores_uses_them_all() -> None:
    # Siblings cost more than a way between caches.
    plan = plan_of(host(["0-7", "8-15"]), guest("wide", 5))
    assert (plan["wide"]["cache"], plan["wide"]["soft"]) == (None, "0-15")


def test_no_cache_is_busier_than_the_node() -> None:
    # Three of three vCPUs: two have a cache each, the third would put six on four cores while the node has nine on eight.
    plan = plan_of(host(["0-7", "8-15"]), guest("a", 3), guest("b", 3), guest("c", 3))
    assert [plan[name]["cache"] for name in "abc"] == ["0-7", "8-15", None]


def test_hard_affinity_stays_that_of_the_node() -> None:
    plan = plan_of(host(["0-7", "8-15"]), guest("a", 2, pin="hard"), guest("b", 2, pin="none"))
    assert (plan["a"]["hard"], plan["a"]["soft"], plan["a"]["cpuset"]) == ("0-15", "0-7", "0-15")
    assert (plan["b"]["hard"], plan["b"]["soft"], plan["b"]["cache"]) == ("all", "all", None)


def test_who_does_not_want_it_and_hosts_that_do_not_tell() -> None:
    assert plan_of(host(["0-7", "8-15"]), guest("a", 2, cache_policy="ignore"))["a"]["soft"] == "0-15"
    assert plan_of(host(["0-15"]), guest("a", 2))["a"]["cache"] is None
    assert plan_of(host(None), guest("a", 2))["a"]["cache"] is None


def test_a_running_guest_keeps_its_cache() -> None:
    there = [hosts.domain(1, "a", 2, 100, [0], soft=range(8, 16))]
    plan = plan_of(host(["0-7", "8-15"], domains=there), guest("a", 2), guest("b", 2))
    assert (plan["a"]["action"], plan["a"]["cache"], plan["b"]["cache"]) == ("keep", "8-15", "0-7")


def test_dedicated_vcpus_get_cores_of_one_cache() -> None:
    # Cores 0 to 2 share a cache, 3 to 7 another: four cores are only in the second.
    plan = plan_of(
        host(["0-5", "6-15"]), guest("own", 4, cpu_policy="dedicated", thread_policy="isolate"), guest("a", 2)
    )
    assert plan["own"]["hard"] == ["6", "8", "10", "12"]
    assert plan["a"]["cache"] == "0-5"
