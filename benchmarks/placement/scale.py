# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How time and memory grow with hosts and guests: of the search, and of all that the action does. Each size is planned in a process of its own."""

from __future__ import annotations

import json
import math
import random
import resource
import subprocess
import sys
import time
import typing as t
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    # It makes ansible_collections.dom0.xen importable.
    import conftest  # noqa: F401 # pylint: disable=unused-import

from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.plugin_utils._placement import bounds
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.effort import Effort
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import MIB, Guest
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.options import Mover
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import (
    make_plan,
    solve_problem,
    summary,
)
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.problem import make_problem
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import read_all
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.search import MOST_LOOKS
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts as made_hosts
from world import GIB, HUAWEI, KINDS, Kind, host_of

#: (hosts, guests): one host with eight nodes, then fleets.
SIZES = ((1, 50), (1, 150), (1, 400), (10, 200), (100, 2_000), (300, 6_000), (1_000, 20_000))

#: (what, hosts, guests) of the whole action: fleets, one group that is to be kept apart, and one large host.
WHOLE = (
    ("fleet", 100, 2_000),
    ("fleet", 300, 6_000),
    ("fleet", 1_000, 20_000),
    ("fleet", 5_000, 100_000),
    ("one group", 250, 500),
    ("one group", 1_000, 2_000),
    ("64 nodes", 1, 64),
    ("64 nodes", 1, 256),
)

#: Share of the fleet's memory that is asked for.
FILL = 0.93

#: Of ten hosts, as in the reference fleet: four with two nodes, three with four, two with eight, one with two and little memory.
FLEET = ("2 nodes",) * 4 + ("4 nodes, SNC",) * 3 + ("8 nodes, NPS4",) * 2


def measure(hosts: int, guests: int) -> dict[str, t.Any]:
    """Plan so many guests on so many hosts; guests of one host all have memory sizes of their own."""
    rand = random.Random(7)
    wanted = []
    for number in range(guests):
        vcpus, gib, _weight = rand.choices(HUAWEI, [weight for *_flavour, weight in HUAWEI])[0]
        size = gib * 1024 + (rand.randint(-200, 200) if hosts == 1 else 0)
        wanted.append(Guest(f"g{number:05}", vcpus, size * MIB))
    kinds = [KINDS["8 nodes, NPS4"]] if hosts == 1 else [_fleet(number) for number in range(hosts)]
    asked = sum(guest.need for guest in wanted)
    there = sum(kind.nodes * kind.gib for kind in kinds) * GIB
    # The hosts' memory is made to fit what is asked for.
    scale = asked / FILL / there
    made = [
        host_of(kind._replace(gib=kind.gib * scale), f"h{number:04}") for number, kind in enumerate(kinds)
    ]
    begin, clock = time.process_time(), time.monotonic()
    effort = Effort(MOST_LOOKS)
    problem = make_problem(made, [Mover(guest) for guest in wanted])
    state, _proven = solve_problem(problem, effort, None, None)
    missing = sum(1 for option in state.at if option is None)
    return {
        "cpu": time.process_time() - begin,
        "wall": time.monotonic() - clock,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "unplaced": missing,
        "spanning": state.spanning,
        "bound": bounds.least_spanning(problem, missing),
        "peak": state.peak() / 1e6,
        "ended": effort.ended or "nothing left",
    }


def _fleet(number: int) -> Kind:
    if number % 10 == 9:
        return KINDS["2 nodes"]._replace(gib=192)
    return KINDS[FLEET[number % 10]]


def scale(say: t.Callable[[str], None]) -> list[str]:
    """All sizes; returns the lines of a table."""
    lines = [
        "| hosts | guests | CPU time | wall time | memory of the process | unplaced | spanning / bound | peak | ended by |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for hosts, guests in SIZES:
        command = [sys.executable, str(Path(__file__).resolve()), str(hosts), str(guests)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        lines.append(
            f"| {hosts} | {guests} | {found['cpu']:.2f} s | {found['wall']:.1f} s | {found['mib']} MiB | {found['unplaced']} | "
            f"{found['spanning']} / {found['bound']} | {found['peak']:.2f} | {found['ended']} |"
        )
        say(lines[-1])
    return lines


def measure_whole(what: str, hosts: int, guests: int) -> dict[str, t.Any]:
    """Facts, request, plan and summary, as the action makes them, without Ansible's own part."""
    rand = random.Random(7)
    wanted: list[dict[str, t.Any]] = []
    for number in range(guests):
        vcpus, gib, _weight = rand.choices(HUAWEI, [weight for *_flavour, weight in HUAWEI])[0]
        wanted.append({"name": f"g{number:06}", "vcpus": vcpus, "memory": gib * 1024})
    groups = []
    if what == "one group":
        names = [guest["name"] for guest in wanted]
        groups = [{"name": "crew", "policy": "anti-affinity", "scope": "host", "members": names}]
    kinds = [_fleet(number) for number in range(hosts)]
    if what == "64 nodes":
        kinds = [
            KINDS["16 nodes"]._replace(
                nodes=64, distances=[[10 if a == b else 20 for b in range(64)] for a in range(64)]
            )
        ]
    asked = sum(guest["memory"] * 257 / 256 + guest["vcpus"] + 2 for guest in wanted)
    scale = asked / FILL / (sum(kind.nodes * kind.gib for kind in kinds) * 1024)
    facts = {}
    for number, kind in enumerate(kinds):
        nodes = [(kind.cores, int(kind.gib * scale * 1024))] * kind.nodes
        facts[f"h{number:04}"] = made_hosts.facts(nodes, distance=kind.distances)
    request = {"guests": wanted, "groups": groups, "reserve": {"low_memory": False}}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.process_time()
    topologies = {name: from_facts(one) for name, one in facts.items()}
    read = read_all(list(facts), request)
    plan = make_plan(topologies, read.guests, read.reserve, read.settings, Effort(MOST_LOOKS))
    lines = summary(plan)
    levels = {level["level"]: level for level in plan["objective"]}
    return {
        "cpu": time.process_time() - begin,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "before": before // 1024,
        "lines": len(lines),
        "unplaced": levels["unplaced"]["value"],
        "spanning": levels["spanning"]["value"],
        "peak": levels["peak_load"]["value"],
        "bound": levels["peak_load"]["bound"],
        "ended": plan["search"]["ended_by"],
    }


def growth(say: t.Callable[[str], None], most: int | None = None) -> list[str]:
    """The whole action at all sizes, up to `most` guests; returns the lines of a table. Exponents are between a size and the one before it."""
    lines = [
        "| what | hosts | guests | CPU time | exponent | memory of the process, and before | unplaced | spanning | peak / bound | ended by |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    last: dict[str, tuple[int, float]] = {}
    for what, hosts, guests in WHOLE:
        if most is not None and guests > most:
            continue
        command = [sys.executable, str(Path(__file__).resolve()), str(hosts), str(guests), what]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        exponent = ""
        if what in last:
            number, seconds = last[what]
            exponent = f"{math.log(found['cpu'] / seconds) / math.log(guests / number):.2f}"
        last[what] = (guests, found["cpu"])
        lines.append(
            f"| {what} | {hosts} | {guests} | {found['cpu']:.2f} s | {exponent} | {found['mib']} MiB, {found['before']} MiB | "
            f"{found['unplaced']} | {found['spanning']} | {found['peak']} / {found['bound']} | {found['ended']} |"
        )
        say(lines[-1])
    return lines


if __name__ == "__main__":
    if len(sys.argv) > 3:
        print(json.dumps(measure_whole(sys.argv[3], int(sys.argv[1]), int(sys.argv[2]))))
        sys.exit()
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
