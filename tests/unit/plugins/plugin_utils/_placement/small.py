# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small requests on small hosts, made from a seed, and what a plan claims of them held against the best that there is."""

from __future__ import annotations

import random
import typing as t

from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.exact import Engine
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import read_all
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts, judge

Data = dict[str, t.Any]

#: How many of a level's own units make one as the plan tells it.
SCALES = {"distance": 1000, "device": 1000, "smt": 1000, "peak_load": 1_000_000}


def case(seed: int, most_guests: int = 4) -> tuple[dict[str, Data], Data]:
    """Facts of one or two hosts, and a request that has more than enough for them."""
    rand = random.Random(seed)
    made = {}
    total = 0
    for name in ("alpha", "beta")[: rand.choice([1, 1, 1, 2])]:
        nodes: list[tuple[int, int | None]] = []
        for _node in range(rand.randint(1, 2 if len(made) else 3)):
            nodes.append((rand.randint(1, 4), rand.choice([1000, 1000, 1500, 2200])))
        if len(nodes) > 1 and rand.random() < 0.25:
            nodes.append((0, rand.choice([1000, 2000])))
        if len(nodes) > 1 and rand.random() < 0.1:
            nodes[-1] = (rand.randint(1, 2), None)
        ways = [[10] * len(nodes) for _node in nodes]
        for a in range(len(nodes)):
            for b in range(a):
                ways[a][b] = ways[b][a] = rand.choice([12, 17, 21, 21, 32])
        threads = rand.choice([1, 2])
        whole = threads * sum(cores for cores, _memory in nodes)
        offline = {cpu for cpu in range(1, whole) if rand.random() < 0.1}
        pools = []
        if whole > 3 and rand.random() < 0.15:
            pools = [("second", set(range(whole - whole // 3, whole)))]
        facts = hosts.facts(nodes, threads=threads, distance=ways, offline=offline, pools=pools)
        if rand.random() < 0.3:
            facts["pci_devices"] = [
                device(f"0000:{number:02x}:00.0", rand.randrange(len(nodes))) for number in range(2)
            ]
        total += sum(memory or 0 for _cores, memory in nodes)
        made[name] = facts
    devices = [one["address"] for one in made["alpha"].get("pci_devices") or ()]
    guests: list[Data] = []
    number = rand.randint(1, most_guests if len(made) == 1 else min(3, most_guests))
    for index in range(number):
        guest: Data = {
            "name": f"g{index}",
            "vcpus": rand.choice([1, 1, 2, 2, 3, 5]),
            "memory": max(40, int(total / number * rand.uniform(0.2, rand.choice([0.8, 1.1, 1.5])))),
            "policy": {
                "numa_policy": rand.choice(["preferred"] * 6 + ["single", "single", "spread", 2]),
                "memory_only_nodes": rand.choice(["avoid", "allow"]),
            },
        }
        if rand.random() < 0.2:
            guest["priority"] = rand.choice([1, 2])
        if devices and rand.random() < 0.4:
            guest["pci_devices"] = [
                {"address": rand.choice(devices), "policy": rand.choice(["required", "preferred"])}
            ]
        if "second" in str(made["alpha"]["cpupools"]) and rand.random() < 0.3:
            guest["pool"] = "second"
            guest["host"] = "alpha"
        guests.append(guest)
    request: Data = {"guests": guests, "reserve": {"low_memory": False}}
    if len(guests) > 1 and rand.random() < 0.35:
        request["groups"] = [
            {
                "name": "crew",
                "policy": rand.choice(["anti-affinity", "affinity"]),
                "scope": rand.choice(["node", "host", "package"]),
                "members": [guest["name"] for guest in guests[: rand.randint(2, len(guests))]],
            }
        ]
    return made, request


def device(address: str, node: int) -> Data:
    """A PCI device as facts have it."""
    return {
        "address": address, "class_name": "Network controller", "class_id": "0280", "vendor_id": "8086",
        "device_id": "1572", "subsystem_id": "", "revision": 1, "vendor": None, "device": None, "node": node,
        "driver": "pciback", "assignable": True, "assigned_to": None, "network": [], "block": [],
        "infiniband": [], "gpu": [], "parent": None, "buses": None,
    }  # fmt: skip


def false_claims(facts: dict[str, Data], request: Data, engine: str) -> list[str]:
    """What the plan of an engine says that is not so: a bound above the best that there is, or a value below it."""
    topologies = {name: from_facts(one) for name, one in facts.items()}
    read = read_all(list(facts), request)
    plan = make_plan(topologies, read.guests, read.reserve, read.settings, engine=Engine(engine))
    best = judge.optimum(facts, request)
    told = {level["level"]: level for level in plan["objective"]}
    priorities = sorted({guest.get("priority", 0) for guest in request["guests"]}, reverse=True)
    left_out = {entry["name"] for entry in plan["unplaced"]}
    wrong = []
    for name, least in zip(judge.LEVELS, best, strict=True):
        level = told[name]
        value, bound = level["value"], level["bound"]
        if name == "unplaced":
            missing = tuple(
                sum(
                    1 for g in request["guests"] if g["name"] in left_out and g.get("priority", 0) == priority
                )
                for priority in priorities
            )
            same, below, least = missing == least, missing < t.cast(t.Any, least), sum(t.cast(t.Any, least))
        else:
            least = round(least / SCALES.get(name, 1), 3)
            same, below = value == least, value < least
        if below:
            wrong.append(f"{name} is {value}, less than {least}, which is the best")
        if bound > least:
            wrong.append(f"{name} has the bound {bound}, and {least} is possible")
        if bound == value and not same and not below:
            wrong.append(f"{name} is called proven with {value}, and {least} is possible")
        if not same:
            break  # what follows is of another placement
    return wrong
