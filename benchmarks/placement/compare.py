# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same guests on the same host, placed by today's placers as they came and went, and by the planner."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.dom0.xen.plugins.plugin_utils._placement.effort import Effort
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.options import Mover
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import solve_problem
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.problem import Problem, make_problem
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.search import MOST_LOOKS
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.state import LEVELS, State
from placers import PLACERS, Placer
from world import KINDS, MIXES, Kind, history, host_of

FILLS = (0.7, 0.85, 0.95)


class Row(t.NamedTuple):
    """What a placement is like. Shares are of guests, or of vCPUs where they are about ways."""

    guests: int
    one_node: float
    remote: float
    distance: float
    peak: float
    smt: float
    local: float
    unplaced: int
    key: tuple[int, ...]


def row_of(state: State, homes: t.Mapping[str, t.Mapping[int, int]] | None = None) -> Row:
    """Measure a state. `homes`: bytes on each node of each guest, where that is not an even split."""
    problem = state.problem
    kept = [(mover.guest, option) for mover, option in zip(problem.movers, state.at, strict=True) if option]
    vcpus = sum(guest.vcpus for guest, _option in kept) or 1
    remote = distance = 0.0
    single = with_device = local = 0
    for guest, option in kept:
        host = problem.maker.by_name[option.place.host]
        at = (homes or {}).get(guest.name) or dict.fromkeys(option.place.memory_nodes, 1)
        size = sum(at.values())
        cpus = option.place.cpu_nodes
        ways = [(cpu, node, amount / size / len(cpus)) for cpu in cpus for node, amount in at.items()]
        remote += guest.vcpus * sum(part for cpu, node, part in ways if cpu != node)
        distance += guest.vcpus * sum(
            part * ((host.distance(cpu, node) or 10) / 10 - 1) for cpu, node, part in ways
        )
        single += len(at) == 1 and len(cpus) == 1
        for address, _policy in guest.pci_devices:
            with_device += 1
            local += (host.devices or {})[address] in cpus and len(cpus) == 1
    return Row(
        len(problem.movers),
        single / max(1, len(kept)),
        remote / vcpus,
        distance / vcpus,
        state.peak() / 1e6,
        state.smt / 1000 / vcpus,
        local / with_device if with_device else 1.0,
        sum(1 for option in state.at if option is None),
        state.key(),
    )


def state_of_placer(problem: Problem, placer: Placer) -> State:
    """A placer's result as the planner would value it."""
    state = State(problem)
    for index, mover in enumerate(problem.movers):
        shape = state.shapes[index]
        host = shape.hosts[0]
        option = problem.maker.option(shape, host, host.pools[0], placer.at[mover.guest.name])
        if option is not None:
            state.put(index, option)
    return state


class Result(t.NamedTuple):
    """One instance: a row for each placer, whether the planner's unplaced and spanning are proven, its CPU time in seconds."""

    rows: dict[str, Row]
    proven: bool
    seconds: float


def instance(kind: Kind, mix: str, fill: float, seed: int) -> Result:
    """Let the events happen to each placer, then plan the guests that are there in the end."""
    events, devices = history(kind, mix, fill, seed)
    placers = {name: placer(kind) for name, placer in PLACERS.items()}
    for event in events:
        for placer in placers.values():
            if event.guest is not None:
                placer.start(event.guest)
            else:
                placer.stop(event.name)
    alive = next(iter(placers.values())).guests
    host = host_of(kind, devices=devices)
    movers = [Mover(alive[name]) for name in sorted(alive)]
    problem = make_problem([host], movers)
    rows = {name: row_of(state_of_placer(problem, placer), placer.memory) for name, placer in placers.items()}
    begin = time.process_time()
    state, known = solve_problem(problem, Effort(MOST_LOOKS), None, None)
    seconds = time.process_time() - begin
    rows["planner"] = row_of(state)
    proven = all(state.value(level) <= known[level] for level in ("unplaced", "spanning"))
    return Result(rows, proven, seconds)


def compare(seeds: int, say: t.Callable[[str], None]) -> list[str]:
    """All kinds of hosts, mixes and fills; returns the lines of a table. Raises AssertionError where the planner is worse."""
    lines = [
        "| host | memory used | placer | one node | remote | distance excess | peak | on siblings | device local | unplaced |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    total = proven = 0
    slowest = 0.0
    better: dict[str, dict[str, int]] = {name: {} for name in PLACERS}
    for title, kind in KINDS.items():
        for fill in FILLS:
            results = [instance(kind, mix, fill, seed) for mix in MIXES for seed in range(seeds)]
            say(f"{title}, {fill:.0%}: {len(results)} instances")
            for result in results:
                total += 1
                proven += result.proven
                slowest = max(slowest, result.seconds)
                ours = result.rows["planner"].key
                for name in PLACERS:
                    theirs = result.rows[name].key
                    assert ours <= theirs, f"{title} {fill} {name}: {ours} against {theirs}"
                    level = next(
                        (
                            level
                            for level, mine, other in zip(LEVELS, ours, theirs, strict=True)
                            if mine != other
                        ),
                        "equal",
                    )
                    better[name][level] = better[name].get(level, 0) + 1
            for name in (*PLACERS, "planner"):
                rows = [result.rows[name] for result in results]
                mean = [sum(column) / len(rows) for column in zip(*(row[1:8] for row in rows), strict=True)]
                lines.append(
                    f"| {title} | {fill:.0%} | {name} | {mean[0]:.1%} | {mean[1]:.1%} | {mean[2]:.3f} | {mean[3]:.2f} | {mean[4]:.1%} "
                    f"| {mean[5]:.0%} | {mean[6]:.1f} |"
                )
    lines.append("")
    lines.append(
        f"{total} instances; in all of them the planner is at least as good in the order of the objective. In {proven} its guests "
        f"without a place and its spanning are proven to be the fewest. The slowest took {slowest:.2f} s of CPU time."
    )
    for name, levels in better.items():
        told = ", ".join(
            f"{level} {count}" for level, count in sorted(levels.items(), key=lambda item: -item[1])
        )
        lines.append(f"The first level on which the planner is better than {name}: {told}.")
    return lines
