# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How time and memory grow with hosts and guests. Each size is planned in a process of its own."""

from __future__ import annotations

import json
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

from ansible_collections.dom0.xen.plugins.plugin_utils._placement import bounds
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.effort import Effort
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import MIB, Guest
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.options import Mover
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import solve_problem
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.problem import make_problem
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.search import MOST_LOOKS
from world import GIB, HUAWEI, KINDS, Kind, host_of

#: (hosts, guests): one host with eight nodes, then fleets.
SIZES = ((1, 50), (1, 150), (1, 400), (10, 200), (100, 2_000), (300, 6_000), (1_000, 20_000))

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


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
