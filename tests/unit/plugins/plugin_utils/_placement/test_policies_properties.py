# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every policy: no plan breaks a rule that the independent checker knows, every step fits, and order does not matter."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.model import Cache, Topology
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.check import check_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import read_all
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts
from hypothesis import given, note
from hypothesis import strategies as st

Data = dict[str, t.Any]

HOSTS = st.tuples(
    st.integers(1, 2),  # threads
    st.lists(st.tuples(st.integers(1, 4), st.integers(2, 30)), min_size=1, max_size=4),  # cores, memory
    st.sets(st.integers(0, 31), max_size=4),  # CPUs offline
    st.lists(st.sampled_from([12, 17, 21, 32]), min_size=6, max_size=6),  # distances
    st.lists(
        st.tuples(
            st.sampled_from(["old0", "old1", "old2", "x0", "x1"]),
            st.integers(1, 4),
            st.integers(1, 9),
            st.sets(st.integers(0, 3), max_size=2),
            st.booleans(),
        ),
        max_size=4,
        unique_by=lambda drawn: drawn[0],
    ),  # domains
    st.integers(1, 3),  # dom0's vCPUs
    st.booleans(),  # dom0 pinned to the first core
)

GUESTS = st.tuples(
    st.integers(1, 5),  # vCPUs
    st.integers(1, 15),  # memory
    st.sampled_from(["preferred", "preferred", "single", "spread", 1, 2]),
    st.sampled_from(["soft", "hard", "none"]),
    st.sampled_from(["shared", "shared", "dedicated", "mixed"]),
    st.sampled_from(["prefer", "isolate", "require"]),
    st.sampled_from([None, None, "red", "blue"]),  # trust
    st.sampled_from([256, 256, 512, 64]),  # weight
    st.sampled_from([False, False, False, True]),  # do not touch
    st.sampled_from([0, 0, 1]),  # priority
)

GROUPS = st.lists(
    st.tuples(
        st.sampled_from(["affinity", "anti-affinity"]),
        st.sampled_from(["host", "package", "node"]),
        st.sets(st.integers(0, 7), max_size=3),
    ),
    max_size=2,
)

SETTINGS = st.fixed_dictionaries(
    {
        "rebalance": st.sampled_from(["none", "none", "migrate", "restart"]),
        "max_moves": st.integers(0, 3),
        "cpu_allocation_ratio": st.sampled_from([None, None, 1, 1.5, 4]),
    }
)


def machine(drawn: t.Any, prefix: str) -> Topology:
    threads, nodes, offline, ways, domains, dom0_vcpus, pinned = drawn
    total = threads * sum(cores for cores, _memory in nodes)
    way = iter(ways)
    distance = [[10] * len(nodes) for _node in nodes]
    for a in range(len(nodes)):
        for b in range(a):
            distance[a][b] = distance[b][a] = next(way)
    down = [cpu for cpu in sorted(offline) if 0 < cpu < total]
    old = [
        hosts.domain(
            number + 1,
            # the guests of the request run on the first host alone
            name if prefix == "alpha" else f"{prefix}{name}",
            vcpus,
            size * 100,
            sorted(where & set(range(len(nodes)))),
            hard=[0] if pin else None,
        )
        for number, (name, vcpus, size, where, pin) in enumerate(domains)
    ]
    made = hosts.facts(
        [(cores, memory * 100) for cores, memory in nodes],
        threads=threads,
        distance=distance,
        domains=old,
        offline=down,
        dom0_vcpus=dom0_vcpus,
    )
    if pinned:
        for vcpu in made["domains"][0]["vcpus"]:
            vcpu["hard"] = "0"
    return hosts.from_facts(made)


def requested(guests: t.Sequence[t.Any], groups: t.Sequence[t.Any], settings: Data) -> Data:
    names = ["old0", "old1", "old2", *(f"g{number}" for number in range(5))]
    wanted = []
    for name, drawn in zip(names, guests, strict=False):
        vcpus, memory, numa, pin, cpu, thread, trust, weight, frozen, priority = drawn
        entry: Data = {
            "name": name,
            "vcpus": vcpus,
            "memory": memory * 100,
            "weight": weight,
            "trust_group": trust,
            "do_not_touch": frozen,
            "priority": priority,
            "policy": {"numa_policy": numa, "pin": pin, "cpu_policy": cpu, "thread_policy": thread},
        }
        if cpu == "mixed":
            if vcpus == 1:
                entry["policy"]["cpu_policy"] = "shared"
            else:
                entry["dedicated_vcpus"] = [0]
        wanted.append(entry)
    known = [entry["name"] for entry in wanted]
    return {
        "guests": wanted,
        "groups": [
            {
                "name": f"group{number}",
                "policy": policy,
                "scope": scope,
                "members": [known[index] for index in sorted(members) if index < len(known)],
            }
            for number, (policy, scope, members) in enumerate(groups)
        ],
        "reserve": {"low_memory": False},
        **{key: value for key, value in settings.items() if value is not None},
    }


def plan_of(machines: dict[str, Topology], asked: Data) -> tuple[Data, t.Any]:
    request = read_all(sorted(machines), asked)
    return make_plan(machines, request.guests, request.reserve, request.settings), request


@given(HOSTS, HOSTS, st.lists(GUESTS, max_size=8), GROUPS, SETTINGS, st.booleans())
def test_no_plan_breaks_a_rule(
    one: t.Any, other: t.Any, guests: list[t.Any], groups: list[t.Any], settings: Data, fleet: bool
) -> None:
    machines = {"alpha": machine(one, "alpha")}
    if fleet:
        machines["beta"] = machine(other, "beta")
    plan, request = plan_of(machines, requested(guests, groups, settings))
    note(json.dumps(plan["guests"], indent=1))
    note(json.dumps(plan["steps"], indent=1))
    assert check_plan(plan, machines, request.guests, request.reserve, request.settings) == []
    for level in plan["objective"]:
        assert level["bound"] is None or level["bound"] <= level["value"], level


@given(HOSTS, HOSTS, st.lists(GUESTS, max_size=8), st.booleans())
def test_no_evacuation_breaks_a_rule(one: t.Any, other: t.Any, guests: list[t.Any], first: bool) -> None:
    machines = {"alpha": machine(one, "alpha"), "beta": machine(other, "beta")}
    asked = {**requested(guests, [], {}), "evacuate": ["alpha" if first else "beta"]}
    plan, request = plan_of(machines, asked)
    note(json.dumps(plan["guests"], indent=1))
    assert check_plan(plan, machines, request.guests, request.reserve, request.settings) == []
    gone = asked["evacuate"][0]
    for entry in plan["guests"]:
        assert entry["host"] != gone or entry["action"] == "keep"


@given(HOSTS, st.lists(GUESTS, max_size=7), GROUPS, SETTINGS, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    one: t.Any, guests: list[t.Any], groups: list[t.Any], settings: Data, random: t.Any
) -> None:
    machines = {"alpha": machine(one, "alpha")}
    asked = requested(guests, groups, settings)
    turned = {**asked, "guests": random.sample(asked["guests"], len(asked["guests"]))}
    assert json.dumps(plan_of(machines, asked)[0]) == json.dumps(plan_of(machines, turned)[0])


@given(HOSTS, st.lists(GUESTS, max_size=7), SETTINGS)
def test_a_running_guest_is_never_given_up(one: t.Any, guests: list[t.Any], settings: Data) -> None:
    machines = {"alpha": machine(one, "alpha")}
    asked = requested(guests, [], settings)
    plan, _request = plan_of(machines, asked)
    still = plan_of(machines, {**asked, "rebalance": "none"})[0]
    lost = {entry["name"] for entry in plan["unplaced"]} - {entry["name"] for entry in still["unplaced"]}
    assert not {name for name in lost if name.startswith("old")}


def with_caches(topology: Topology, width: int) -> Topology:
    """The same host with a last-level cache for each run of so many of its CPUs."""
    last = max(topology.complete_cpuset, default=0)
    parts = [
        CpuSet(range(first, first + width)) & topology.complete_cpuset for first in range(0, last + 1, width)
    ]
    cache = Cache(3, "unified", 1 << 24, 64, 16, tuple(part for part in parts if part))
    return topology._replace(caches=(cache,))


@given(
    HOSTS,
    st.lists(GUESTS, min_size=1, max_size=7),
    SETTINGS,
    st.integers(2, 6),
    st.lists(st.sets(st.integers(0, 31), max_size=8), min_size=7, max_size=7),
    st.integers(0, 7),
)
def test_no_plan_breaks_a_rule_with_chosen_cpus_caches_and_an_earlier_plan(
    one: t.Any, guests: list[t.Any], settings: Data, width: int, chosen: list[set[int]], known: int
) -> None:
    machines = {"alpha": with_caches(machine(one, "alpha"), width)}
    asked = requested(guests, [], settings)
    online = set(machines["alpha"].cpupools[0].cpuset)
    for entry, cpus in zip(asked["guests"], chosen, strict=False):
        policy = entry["policy"]
        plain = policy["cpu_policy"] == "shared" and entry["trust_group"] is None and policy["pin"] != "none"
        if plain and len(cpus & online) >= entry["vcpus"]:
            entry["cpus"] = sorted(cpus & online)
            policy["numa_policy"] = "preferred"
    earlier = plan_of(machines, {**asked, "guests": asked["guests"][:known]})[0]
    plan, request = plan_of(machines, {**asked, "earlier_plan": earlier})
    note(json.dumps(plan["guests"], indent=1))
    assert check_plan(plan, machines, request.guests, request.reserve, request.settings) == []
    turned = {**asked, "guests": asked["guests"][::-1], "earlier_plan": earlier}
    assert json.dumps(plan_of(machines, turned)[0]) == json.dumps(plan)
    for level in plan["objective"]:
        assert level["bound"] is None or level["bound"] <= level["value"], level
