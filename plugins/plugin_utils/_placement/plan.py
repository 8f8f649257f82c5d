# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Topologies and guests in, a plan out. The plan's form is documented in docs/plan.md and has a version."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...module_utils._errors import Failure
from ...module_utils._topology.cpuset import CpuSet
from ...module_utils._topology.model import Topology
from . import bounds
from .capacity import host_room, split_load
from .exhaustive import prove
from .explain import Explainer, count, listing, mib, node_words, sentence
from .model import MIB, VCPU, Guest, Host, Pool, Reserve, Running, memory_need, split_evenly
from .problem import Mover, Problem, hosts_of, make_problem
from .request import RequestError
from .search import MOST_LOOKS, State, by_size, improve, solve, state_of

#: Version of the plan's form: the minor part grows when something is added, the major part when something changes or goes.
SCHEMA_VERSION = "1.0"

#: Xen's own pages of a guest come on top of its memory: a guest is not called larger than asked for less than this.
OWN_PAGES = 4 * MIB

Plan = dict[str, t.Any]


@dataclass
class Stay:
    """A wanted guest that runs and stays on its nodes."""

    guest: Guest
    host: Host
    running: Running
    pool: Pool
    cpu_nodes: tuple[int, ...]
    cpuset: CpuSet
    warnings: list[str] = field(default_factory=list)


def make_plan(topologies: t.Mapping[str, Topology], guests: t.Sequence[Guest], reserve: Reserve) -> Plan:
    """Plan the guests on the hosts.

    `topologies`: name of host to topology, with its domains. Raises :class:`Failure` for facts without domains, for guests that name what
    no host has, and for a guest that runs on several hosts. The same input gives the same plan, whatever the order of hosts and guests.
    """
    hosts = [host_room(name, topologies[name], reserve) for name in sorted(topologies)]
    wanted = sorted(guests, key=lambda guest: guest.name)
    _check_against_hosts(wanted, hosts)
    stays: list[Stay] = []
    movers: list[Mover] = []
    running_movers: dict[str, tuple[Host, Running, str]] = {}
    extra_warnings: dict[str, list[str]] = {}
    for guest in wanted:
        where = _where_it_runs(guest, hosts)
        if where is None:
            movers.append(Mover(guest))
            continue
        host, running = where
        if running.state == "dying":
            movers.append(Mover(guest))
            extra_warnings[guest.name] = [
                f"a domain of that name (domid {running.domid}) is being destroyed on {host.name}: its memory does not count as free yet"
            ]
            continue
        reason = _why_it_cannot_stay(guest, host, running)
        if reason is None:
            stays.append(_stay(guest, host, running))
        else:
            movers.append(Mover(guest, host.name, running.held))
            running_movers[guest.name] = (host, running, reason)
    booked = _book_growth(stays)
    ours = {(stay.host.name, stay.running.domid) for stay in stays}
    ours |= {(host.name, running.domid) for host, running, _reason in running_movers.values()}
    load, committed = _loads(hosts, stays, ours)
    problem = make_problem(hosts, movers, load, booked, committed)
    state, proven = _solve(problem)
    explainer = Explainer(hosts, problem, state)
    entries = [_stay_entry(stay) for stay in stays]
    unplaced = []
    for index, mover in enumerate(problem.movers):
        runs = running_movers.get(mover.guest.name)
        if state.at[index] is None:
            unplaced.append(_unplaced_entry(mover.guest, explainer, index, runs))
        else:
            entries.append(
                _mover_entry(state, index, explainer, runs, extra_warnings.get(mover.guest.name, []))
            )
    order = {"keep": 0, "repin": 1, "restart": 2, "create": 3}
    entries.sort(key=lambda entry: (order[entry["action"]], -entry["need_bytes"], entry["name"]))
    return {
        "schema_version": SCHEMA_VERSION,
        "guests": entries,
        "unplaced": unplaced,
        "hosts": {host.name: _host_entry(host, problem, state) for host in hosts},
        "objective": _objective(problem, state, proven),
    }


def summary(plan: Plan) -> list[str]:
    """Tell a plan in lines for people."""
    lines = []
    several = len(plan["hosts"]) > 1
    for entry in plan["guests"]:
        where = node_words(entry["nodes"]) + (f" of {entry['host']}" if several else "")
        affinity = f"{entry['pin']} affinity {entry['cpuset']}"
        size = f"{count(entry['vcpus'], 'vCPU')}, {mib(entry['memory_bytes'])}"
        lines.append(f"{entry['name']}: {entry['action']} on {where}, {affinity}, {size}")
        lines += [f"    {reason}" for reason in entry["reasons"]]
        lines += [f"    Warning: {warning}" for warning in entry["warnings"]]
    for entry in plan["unplaced"]:
        lines.append(f"{entry['name']}: not placed")
        lines += [f"    {reason}" for reason in entry["reasons"]]
        lines.append(f"    What would help: {entry['nearest']}")
    for name, host in plan["hosts"].items():
        for node in host["nodes"]:
            free = "no memory"
            if node["memory_free_bytes"] is not None:
                free = f"{node['memory_free_bytes'] // MIB} MiB free, {node['memory_free_after_bytes'] // MIB} MiB after"
            load = f"{count(node['cores'], 'core')}, vCPUs {node['vcpus_before']:g} now and {node['vcpus_after']:g} after"
            lines.append(f"{name}, node {node['os_index']}: {free}; {load if node['pus'] else 'no CPUs'}")
        lines += [f"{name}: warning: {warning}" for warning in host["warnings"]]
    placed = count(len(plan["guests"]), "guest") + " placed"
    lines.append(f"{placed}, {len(plan['unplaced'])} not placed")
    return lines


# Before the search.


def _check_against_hosts(guests: t.Sequence[Guest], hosts: t.Sequence[Host]) -> None:
    """Refuse guests that ask for what is nowhere."""
    faults = []
    for guest in guests:
        asked = [host for host in hosts if guest.host in (None, host.name)]
        names = ", ".join(host.name for host in asked)
        if not hosts_of(guest, hosts):
            pools = sorted({pool.name for host in asked for pool in host.pools.values()})
            pool = f"{guest.pool!r}" if guest.pool is not None else "with id 0"
            faults.append(
                f"{guest.label}.pool: there is no cpupool {pool} on {names}; there is {', '.join(pools) or 'none'}"
            )
        if guest.nodes is not None and not any(set(guest.nodes) <= set(host.nodes) for host in asked):
            known = "; ".join(f"{host.name} has {node_words(sorted(host.nodes))}" for host in asked)
            faults.append(f"{guest.label}.nodes: no host has {node_words(guest.nodes)}; {known}")
    if faults:
        raise RequestError("the guests cannot be planned as they are given: " + "; ".join(faults))


def _where_it_runs(guest: Guest, hosts: t.Sequence[Host]) -> tuple[Host, Running] | None:
    found = [
        (host, running)
        for host in hosts
        for running in host.running
        if running.domid and running.name == guest.name
    ]
    alive = [item for item in found if item[1].state != "dying"] or found
    here = [item for item in alive if item[0].name == guest.host] or alive
    if len(here) > 1:
        places = ", ".join(f"{host.name} (domid {running.domid})" for host, running in here)
        raise Failure(
            f"{guest.label}.name: {guest.name!r} is the name of several running domains: {places}; rename or stop all but one, "
            "or say with host which one is meant"
        )
    return here[0] if here else None


def _why_it_cannot_stay(guest: Guest, host: Host, running: Running) -> str | None:
    """Return a sentence when a running guest is not where the request can leave it."""
    if running.state in ("shutdown", "crashed"):
        return f"has {'crashed' if running.state == 'crashed' else 'shut down'}, but its domain {running.domid} is still there"
    if guest.host not in (None, host.name):
        return f"runs on {host.name}, but {guest.host} is asked for"
    pool = host.find_pool(guest.pool) if guest.pool is not None else None
    if guest.pool is not None and (pool is None or pool.id != running.pool):
        return f"runs in cpupool {host.pools[running.pool].name}, but {guest.pool} is asked for"
    if guest.nodes is not None and guest.nodes != running.nodes:
        return f"has its memory on {node_words(running.nodes)}, but {node_words(guest.nodes)} {'is' if len(guest.nodes) == 1 else 'are'} asked for"
    if guest.policy.numa_policy == "single" and len(running.nodes) > 1:
        return f"has its memory on {node_words(running.nodes)}, but numa_policy single is asked for"
    return None


def _stay(guest: Guest, host: Host, running: Running) -> Stay:
    pool = host.pools[running.pool]
    cpu_nodes = tuple(node for node in running.nodes if node in pool.cells)
    warnings = []
    if not cpu_nodes:
        cpu_nodes = _nearest_cells(host, pool, running.nodes)
        away = "has no online CPU" if len(running.nodes) == 1 else "have no online CPU"
        warnings.append(
            f"{node_words(running.nodes)}, where its memory is, {away} of cpupool {pool.name}: its vCPUs go to the nearest, {node_words(cpu_nodes)}"
        )
    cpuset = CpuSet()
    for node in cpu_nodes:
        cpuset |= pool.cells[node].cpuset
    if len(running.held) > 1 and guest.policy.numa_policy == "preferred" and guest.nodes is None:
        known = "" if running.nodes_measured else ", as far as its node affinity tells,"
        enough = [
            node
            for node, cell in sorted(pool.cells.items())
            if cell.cores >= guest.vcpus and host.nodes[node].usable + running.held.get(node, 0) >= guest.need
        ]
        if enough:
            warnings.append(
                f"its memory is{known} on {node_words(sorted(running.held))}; after a restart node {enough[0]} alone could have it"
            )
    if guest.vcpus not in (running.vcpus_online, running.vcpus_max):
        warnings.append(
            f"runs with {count(running.vcpus_online, 'vCPU')}, {guest.vcpus} asked for: the plan counts {guest.vcpus}"
        )
    if guest.vcpus > len(cpuset):
        warnings.append(
            f"its {guest.vcpus} vCPUs have {count(len(cpuset), 'online CPU')} on {node_words(cpu_nodes)}"
        )
    return Stay(guest, host, running, pool, cpu_nodes, cpuset, warnings)


def _nearest_cells(host: Host, pool: Pool, nodes: t.Sequence[int]) -> tuple[int, ...]:
    """Nodes with CPUs of the pool that are nearest to where the memory is; all of the pool's when none can be reached."""
    ways = {}
    for cell in pool.cells:
        reached = [host.distance(cell, node) for node in nodes]
        known = [way for way in reached if way is not None]
        if known:
            ways[cell] = min(known)
    least = min(ways.values(), default=None)
    return tuple(sorted(cell for cell, way in ways.items() if way == least)) or tuple(sorted(pool.cells))


def _book_growth(stays: t.Sequence[Stay]) -> dict[tuple[str, int], int]:
    """Memory that staying guests will take when they are next started as asked; what does not fit is told and not booked."""
    booked: dict[tuple[str, int], int] = {}
    taken: dict[str, int] = {}
    for stay in stays:
        guest, running, host = stay.guest, stay.running, stay.host
        limit = max(running.memory, running.max_memory or 0)
        if running.memory > guest.memory + OWN_PAGES:
            stay.warnings.append(
                f"has {mib(running.memory)} now, {mib(guest.memory)} asked for: the plan leaves it what it has"
            )
        if guest.memory <= limit:
            continue
        more = guest.need - memory_need(limit, guest.vcpus)
        shares = split_evenly(more, sorted(running.held))
        short = any(
            host.nodes[node].usable - booked.get((host.name, node), 0) < share
            for node, share in shares.items()
        )
        short |= taken.get(host.name, 0) + more > host.room
        told = f"has {mib(limit)} at most until it is started again, {mib(guest.memory)} asked for"
        if short:
            stay.warnings.append(
                f"{told}: {node_words(running.nodes)} {'has' if len(running.nodes) == 1 else 'have'} no room for that"
            )
            continue
        stay.warnings.append(f"{told}: the plan keeps the room for it")
        taken[host.name] = taken.get(host.name, 0) + more
        for node, share in shares.items():
            booked[host.name, node] = booked.get((host.name, node), 0) + share
    return booked


def _loads(
    hosts: t.Sequence[Host], stays: t.Sequence[Stay], ours: t.Collection[tuple[str, int]]
) -> tuple[dict[tuple[str, int, int], int], dict[tuple[str, int], int]]:
    """Load of each (host, pool, node), and guests' vCPUs of each (host, pool), before anything is placed."""
    load: dict[tuple[str, int, int], int] = {}
    committed: dict[tuple[str, int], int] = {}
    for host in hosts:
        for running in host.running:
            if (host.name, running.domid) in ours:
                continue
            for node, part in running.loads.items():
                key = (host.name, running.pool, node)
                load[key] = load.get(key, 0) + part
            if running.domid:
                committed[host.name, running.pool] = (
                    committed.get((host.name, running.pool), 0) + running.vcpus_online
                )
    for stay in stays:
        weights = {node: stay.pool.cells[node].cores for node in stay.cpu_nodes}
        for node, part in split_load(stay.guest.vcpus * VCPU, weights).items():
            key = (stay.host.name, stay.pool.id, node)
            load[key] = load.get(key, 0) + part
        where = (stay.host.name, stay.pool.id)
        committed[where] = committed.get(where, 0) + stay.guest.vcpus
    return load, committed


def _solve(problem: Problem) -> tuple[State, bool]:
    """Search, and where the bounds leave a doubt about the first two levels, look through everything within a limit of steps.

    Returns the state and whether its first two levels are proven to be the best.
    """
    fewest = bounds.fewest_unplaced(problem)
    floor = (sum(sorted(problem.weights)[:fewest]), bounds.least_spanning(problem, fewest))
    state = solve(problem, floor)
    reached = (state.unplaced, state.spanning)
    if reached <= floor:
        return state, True
    better, complete = prove(problem, reached)
    if better is not None:
        improved = state_of(problem, better)
        improve(improved, by_size(problem), most_looks=MOST_LOOKS // 4)
        state = min(improved, state, key=State.key)
    return state, complete


# After the search.


def _stay_entry(stay: Stay) -> Plan:
    guest, running, host = stay.guest, stay.running, stay.host
    every = stay.pool.cpuset
    hard, soft = (stay.cpuset, every) if guest.policy.pin == "hard" else (every, stay.cpuset)
    right = all(masks == (hard, soft) for masks in running.masks)
    where = f"{node_words(running.nodes)}" + (" (node affinity)" if not running.nodes_measured else "")
    reasons = [f"runs already (domid {running.domid}) with its memory on {where}"]
    if right:
        reasons.append(f"its {guest.policy.pin} affinity is {stay.cpuset} already")
    else:
        now = sorted(
            {
                str(hard_now if guest.policy.pin == "hard" else soft_now)
                for hard_now, soft_now in running.masks
            }
        )
        reasons.append(
            f"its {guest.policy.pin} affinity becomes {stay.cpuset}, now {' and '.join(now) or 'none'}"
        )
    memory = (
        dict(running.held) if running.nodes_measured else split_evenly(guest.memory, sorted(running.held))
    )
    return _entry(
        guest,
        host.name,
        "keep" if right else "repin",
        running.domid,
        stay.pool.name,
        running.nodes,
        memory,
        stay.cpuset,
        reasons,
        stay.warnings,
    )


def _mover_entry(
    state: State,
    index: int,
    explainer: Explainer,
    runs: tuple[Host, Running, str] | None,
    warnings: t.Sequence[str],
) -> Plan:
    guest = state.problem.movers[index].guest
    option = state.at[index]
    if option is None:
        raise ValueError("this guest is not placed")
    place = option.place
    reasons = explainer.placed(index)
    told = [*warnings, *explainer.warnings(index)]
    action, domid = "create", None
    if runs is not None:
        host, running, reason = runs
        action = "restart"
        domid = running.domid if host.name == place.host else None
        reasons.insert(0, reason)
        told.insert(
            0,
            f"domain {running.domid} on {host.name} has to be stopped first; nothing here does that by itself",
        )
    pool = explainer.hosts[place.host].pools[place.pool].name
    memory = split_evenly(guest.memory, place.memory_nodes)
    return _entry(guest, place.host, action, domid, pool, place.nodes, memory, place.cpuset, reasons, told)


def _entry(
    guest: Guest,
    host: str,
    action: str,
    domid: int | None,
    pool: str,
    nodes: t.Sequence[int],
    memory: t.Mapping[int, int],
    cpuset: CpuSet,
    reasons: list[str],
    warnings: list[str],
) -> Plan:
    hard = guest.policy.pin == "hard"
    return {
        "name": guest.name,
        "host": host,
        "action": action,
        "domid": domid,
        "cpupool": pool,
        "nodes": list(nodes),
        "vcpus": guest.vcpus,
        "memory_bytes": guest.memory,
        "need_bytes": guest.need,
        "memory_by_node": {str(node): size for node, size in sorted(memory.items())},
        "pin": guest.policy.pin,
        "cpuset": str(cpuset),
        "hard": str(cpuset) if hard else "all",
        "soft": "all" if hard else str(cpuset),
        "reasons": [sentence(reason) for reason in reasons],
        "warnings": [sentence(warning) for warning in warnings],
    }


def _unplaced_entry(
    guest: Guest, explainer: Explainer, index: int, runs: tuple[Host, Running, str] | None
) -> Plan:
    reasons, nearest = explainer.unplaced(index)
    if runs is not None:
        _host, _running, reason = runs
        reasons = [reason, "it is left as it is", *reasons]
    return {
        "name": guest.name,
        "reasons": [sentence(reason) for reason in reasons],
        "nearest": sentence(nearest),
    }


def _host_entry(host: Host, problem: Problem, state: State) -> Plan:
    before: dict[int, int] = {}
    for running in host.running:
        for number, part in running.loads.items():
            before[number] = before.get(number, 0) + part
    after: dict[int, int] = {}
    for (name, _pool, number), part in zip(problem.cells, state.load, strict=True):
        if name == host.name:
            after[number] = after.get(number, 0) + part
    left = dict(zip(problem.resources, state.free, strict=True))
    nodes = []
    for number, node in sorted(host.nodes.items()):
        # A node can have less free than its reserve: what is usable is then nothing, and what is free stays.
        taken = node.usable - left[host.name, number]
        nodes.append(
            {
                "os_index": number,
                "memory_free_bytes": node.memory_free,
                "memory_reserved_bytes": node.reserved,
                "memory_free_after_bytes": None if node.memory_free is None else node.memory_free - taken,
                "cores": node.cores,
                "pus": len(node.cpuset),
                "vcpus_before": round(before.get(number, 0) / VCPU, 3),
                "vcpus_after": round(after.get(number, 0) / VCPU, 3),
            }
        )
    warnings = []
    if host.claimed:
        warnings.append(
            f"{mib(host.claimed)} are claimed by guests that are being built; on which nodes is not known"
        )
    low = [
        number
        for number, node in sorted(host.nodes.items())
        if node.low_memory and left[host.name, number] == 0 and node.usable
    ]
    if low:
        warnings.append(f"node {listing(low)} is filled up to the low memory that Xen gives out last")
    return {"nodes": nodes, "warnings": [sentence(warning) for warning in warnings]}


def _objective(problem: Problem, state: State, proven: bool) -> list[Plan]:
    """Return the levels in order, each with the least that any placement could have where that is known."""
    missing = sum(1 for option in state.at if option is None)
    spanning = state.spanning if proven else bounds.least_spanning(problem, missing)
    plain = len(set(problem.weights)) <= 1
    unplaced = missing if proven and plain else bounds.fewest_unplaced(problem)
    return [
        _level("unplaced", missing, unplaced, "guests"),
        _level("spanning", state.spanning, spanning, "nodes beyond those needed"),
        _level(
            "crowding",
            state.crowding,
            bounds.least_own_cost(problem, "crowding", missing),
            "vCPUs on siblings though cores are to spare",
        ),
        _level(
            "distance",
            state.distance / 1000,
            bounds.least_own_cost(problem, "distance", missing) / 1000,
            "vCPUs x (SLIT / 10 - 1)",
        ),
        _level("smt", state.smt / VCPU, bounds.least_smt(problem, missing) / VCPU, "vCPUs beyond the cores"),
        _level(
            "peak_load",
            state.peak() / 1_000_000,
            bounds.least_peak(problem, missing) / 1_000_000,
            "vCPUs for each core",
        ),
        _level("imbalance", state.imbalance / 1_000_000, None, "sum of squared load for each core"),
    ]


def _level(name: str, value: float, bound: float | None, unit: str) -> Plan:
    def tidy(number: float) -> float:
        return number if isinstance(number, int) else round(number, 3)

    return {
        "level": name,
        "value": tidy(value),
        "bound": None if bound is None else tidy(bound),
        "unit": unit,
    }
