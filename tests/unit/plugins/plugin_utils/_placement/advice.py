# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Advice that a plan gives for a guest without a place, carried out as a user would: an edit of the request or of the facts, and another plan."""

from __future__ import annotations

import copy
import re
import typing as t

from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import read_all
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import small

Data = dict[str, t.Any]
MIB = 1 << 20

#: Wishes of a policy that advice sets.
POLICY = re.compile(r"Use (numa_policy|memory_only_nodes|cpu_policy|thread_policy) (\w+): ")


def left_out(facts: t.Mapping[str, Data], request: Data) -> dict[str, Data]:
    """Plan, and return what the plan says of each guest without a place."""
    topologies = {name: from_facts(one) for name, one in facts.items()}
    read = read_all(list(facts), request)
    plan = make_plan(topologies, read.guests, read.reserve, read.settings)
    return {entry["name"]: entry for entry in plan["unplaced"]}


def edited(
    facts: dict[str, Data], request: Data, name: str, advice: str
) -> tuple[dict[str, Data], Data] | None:
    """Return facts and request with the advice for a guest carried out; None for advice that is no edit of these."""
    facts, request = copy.deepcopy(facts), copy.deepcopy(request)
    guest = next(guest for guest in request["guests"] if guest["name"] == name)
    if found := POLICY.match(advice):
        guest.setdefault("policy", {})[found[1]] = found[2]
    elif advice.startswith(("Leave out nodes: ", "Leave out host: ")):
        del guest[advice.split(":")[0].split()[-1]]
    elif found := re.match(r"Take it out of group (\w+): ", advice):
        for group in request["groups"]:
            if group["name"] == found[1]:
                group["members"].remove(name)
        request["groups"] = [group for group in request["groups"] if len(group["members"]) > 1]
    elif advice.startswith("Make its PCI devices preferred: "):
        for device in guest["pci_devices"]:
            device["policy"] = "preferred"
    elif found := re.match(r"Give it (\d+) MiB at most\.", advice):
        guest["memory"] = int(found[1])
    elif found := re.match(r"Leave out (\w+) \(", advice):
        request["guests"] = [other for other in request["guests"] if other["name"] != found[1]]
        for group in request.get("groups", ()):
            group["members"] = [member for member in group["members"] if member != found[1]]
        request["groups"] = [group for group in request.get("groups", ()) if len(group["members"]) > 1]
    elif found := re.fullmatch(r"Free (\d+) MiB on node (\d+)(?: of (\w+))?\.?", advice):
        _free(facts[found[3] or next(iter(facts))], int(found[2]), int(found[1]))
    elif found := re.fullmatch(r"Free \d+ MiB on nodes [^(]*?(?: of (\w+))? together \((.*)\)\.?", advice):
        for amount, node in re.findall(r"(\d+) MiB on node (\d+)", found[2]):
            _free(facts[found[1] or next(iter(facts))], int(node), int(amount))
    else:
        return None
    return facts, request


def _free(host: Data, number: int, amount: int) -> None:
    node = next(node for node in host["nodes"] if node["os_index"] == number)
    node["memory_free_bytes"] += amount * MIB
    host["memory"]["free_bytes"] += amount * MIB


def _each(entry: Data) -> t.Iterator[str]:
    """Every piece of advice once; of one that offers two ways both."""
    for advice in dict.fromkeys([entry["nearest"], *entry["helps"]]):
        first, *others = advice.split(", or ") if advice.startswith("Free ") else [advice]
        yield first
        yield from (f"Free {other}" for other in others)


def useless(seed: int) -> tuple[int, list[str]]:
    """How many pieces of advice a plan gave, and those after which no more of the others have a place than before."""
    facts, request = small.case(seed, 6)
    before = left_out(facts, request)
    tried, wrong = 0, []
    for name, entry in before.items():
        for advice in _each(entry):
            changed = edited(facts, request, name, advice)
            if changed is None:
                continue
            tried += 1
            after = left_out(*changed)
            if name in after and len(after) >= len(before):
                wrong.append(f"seed {seed}, {name}: {advice}")
    return tried, wrong
