# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many guests still span nodes when a few of those that libxl placed are moved."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.effort import Effort
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import Host, Running
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.options import Mover
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import solve_problem
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.problem import Base, make_problem
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.search import MOST_LOOKS
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.settings import Worth
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.state import State
from placers import Libxl
from world import KINDS, MIXES, history, host_of

BUDGETS = (1, 3, 1000)


def spanning(state: State) -> int:
    """Guests on more nodes than they need."""
    return sum(1 for option in state.at if option is not None and option.excess)


def left_by_libxl(placer: Libxl) -> tuple[Host, list[Mover], Base]:
    """The host as it is now, its guests as they run, and what they give back when they go."""
    host = host_of(placer.kind)
    nodes = {
        number: dataclasses.replace(node, memory_free=placer.free[number])
        for number, node in host.nodes.items()
    }
    host = dataclasses.replace(host, nodes=nodes, room=sum(placer.free))
    base = Base()
    movers = []
    for domid, name in enumerate(sorted(placer.guests), 1):
        guest = dataclasses.replace(placer.guests[name], pci_devices=())
        held = placer.memory[name]
        cpus = CpuSet()
        for node in held:
            cpus |= host.pools[0].cells[node].cpuset
        masks = ((host.pools[0].cpuset, cpus),) * guest.vcpus
        running = Running(
            domid,
            name,
            "running",
            0,
            guest.vcpus,
            guest.vcpus,
            guest.memory,
            guest.memory,
            tuple(sorted(held)),
            True,
            held,
            {},
            masks,
        )
        movers.append(Mover(guest, host.name, held, running))
        for node, size in held.items():
            base.returned[host.name, node] = base.returned.get((host.name, node), 0) + size
    return host, movers, base


def few_moves(
    seeds: int,
    say: t.Callable[[str], None],
    only: t.Sequence[str] = tuple(KINDS),
    mixes: t.Sequence[str] = tuple(MIXES),
) -> list[str]:
    """Histories on hosts with many nodes, 95 % full; those after which libxl has guests on several nodes. `only`: kinds of hosts."""
    sums = dict.fromkeys((0, *BUDGETS), 0)
    used = dict.fromkeys(BUDGETS, 0)
    count = 0
    for title, kind in KINDS.items():
        if kind.nodes < 4 or title not in only:
            continue
        for mix in mixes:
            for seed in range(100, 100 + 4 * seeds):
                events, _devices = history(kind, mix, 0.95, seed)
                placer = Libxl(kind)
                for event in events:
                    if event.guest is not None:
                        placer.start(event.guest)
                    else:
                        placer.stop(event.name)
                host, movers, base = left_by_libxl(placer)
                problem = make_problem([host], movers, base, 0)
                before = State(problem)
                for index, stay in enumerate(problem.stays):
                    if stay is not None:
                        before.put(index, stay)
                if not spanning(before):
                    continue
                count += 1
                sums[0] += spanning(before)
                coarse = Worth().of_load(before.peak())
                for most in BUDGETS:
                    asked = dataclasses.replace(problem, most_moves=most, coarse=coarse)
                    after, _proven = solve_problem(asked, Effort(MOST_LOOKS), None, None)
                    assert after.moves <= most
                    sums[most] += spanning(after)
                    used[most] += after.moves
        say(f"{title}: {count} so far")
    if not count:
        return ["No history left a guest on several nodes."]
    lines = [
        "| moves permitted | guests on more nodes than needed, mean | moves made, mean |",
        "| --- | --- | --- |",
    ]
    for most in (0, *BUDGETS):
        title = str(most) if most < 1000 else "any number"
        made = used[most] / count if most else 0.0
        lines.append(f"| {title} | {sums[most] / count:.2f} | {made:.1f} |")
    lines += ["", f"{count} hosts on which libxl leaves at least one such guest, 95 % of the memory used."]
    return lines
