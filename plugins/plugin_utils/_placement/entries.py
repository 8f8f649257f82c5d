# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The parts of a plan as data. Their form is documented in docs/plan.md."""

from __future__ import annotations

import typing as t

from ...module_utils._topology.cpuset import CpuSet
from . import bounds
from .cores import Affinity, Claim, Cores, affinity_of
from .explain import Explainer
from .given import GivenGuest
from .model import MIB, VCPU, Guest, Host, Running, split_evenly
from .problem import Problem
from .running import Stay
from .state import State
from .vnodes import has_virtual_nodes, homes, homes_now, shares_now, virtual_nodes
from .words import count, listing, mib, node_words, sentence

Plan = dict[str, t.Any]


class Leaving(t.NamedTuple):
    """A running guest that gets another place: where it runs, why, and how it gets there ("restart", "migrate" or "move")."""

    host: Host
    running: Running
    reason: str
    action: str


def stay_entry(stay: Stay, cores: Cores, given: GivenGuest | None = None) -> Plan:
    """Tell of a guest that stays where it runs. `given`: its entry of the plan that is to be carried out."""
    guest, running, host = stay.guest, stay.running, stay.host
    shares: t.Mapping[int, int] = {}
    home: tuple[int, ...] = ()
    if has_virtual_nodes(guest, host.name, sorted(running.held), stay.cpu_nodes):
        shares = (given and given.shares) or shares_now(guest, running)
        home = homes_now(guest, host.name, stay.pool, running, shares)
    affinity = affinity_of(Claim(guest, host, stay.pool, stay.cpu_nodes, home=home), cores)
    if given is not None and not guest.do_not_touch:
        affinity = given.affinity(guest, host.name, affinity)
    pin = guest.policy_on(host.name).pin
    right = affinity.matches(running.masks)
    where = f"{node_words(running.nodes)}" + (" (node affinity)" if not running.nodes_measured else "")
    reasons = [f"runs already (domid {running.domid}) with its memory on {where}"]
    warnings = list(stay.warnings)
    if guest.do_not_touch:
        reasons.append("it is not to be touched")
        if not right:
            warnings.append("its affinity is not what the plan would give it, and is left as it is")
    elif pin == "none" and right:
        reasons.append("it is not to be pinned, and is not")
    elif right:
        reasons.append(f"its {_kind(affinity, pin)} affinity is {affinity.cpuset} already")
    else:
        hard = _kind(affinity, pin) == "hard"
        now = sorted({str(hard_now if hard else soft_now) for hard_now, soft_now in running.masks})
        reasons.append(
            f"its {_kind(affinity, pin)} affinity becomes {affinity.cpuset}, now {' and '.join(now[:4]) or 'none'}"
        )
    memory = (
        dict(running.held)
        if running.nodes_measured
        else shares or split_evenly(guest.memory, sorted(running.held))
    )
    made = entry(
        guest,
        host,
        "keep" if right or guest.do_not_touch else "repin",
        running.domid,
        stay.pool.name,
        running.nodes,
        memory,
        affinity,
        reasons,
        warnings,
    )
    if home:
        made["vnuma"] = virtual_nodes(host, shares, home)
    if guest.do_not_touch and not right:
        made["hard"], made["soft"] = _as_it_is(running, affinity)
    return made


def _as_it_is(running: Running, affinity: Affinity) -> tuple[str | list[str], str | list[str]]:
    """The masks that a domain has, as the plan writes them."""
    every = affinity.every
    hard = tuple(None if hard == every else hard for hard, _soft in running.masks) or affinity.hard
    soft = tuple(None if soft == every else soft for _hard, soft in running.masks) or affinity.soft
    now = Affinity(affinity.cpuset, hard, soft, every)
    return now.text("hard"), now.text("soft")


def _kind(affinity: Affinity, pin: str) -> str:
    """Which affinity a sentence about the guest is about."""
    return "hard" if pin != "soft" or not any(affinity.soft) else "soft"


def mover_entry(
    state: State,
    index: int,
    explainer: Explainer,
    cores: Cores,
    leaving: Leaving | None,
    warnings: t.Sequence[str],
    given: GivenGuest | None = None,
) -> Plan:
    """Tell of a guest that gets a place. `given`: its entry of the plan that is to be carried out."""
    guest = state.problem.movers[index].guest
    option = state.at[index]
    if option is None:
        raise ValueError("this guest is not placed")
    place = option.place
    host = explainer.hosts[place.host]
    pool = host.pools[place.pool]
    reasons = explainer.placed(index)
    told = [*warnings, *explainer.warnings(index)]
    action, domid = "create", None
    if leaving is not None:
        action = leaving.action
        domid = leaving.running.domid if leaving.host.name == place.host else None
        reasons.insert(0, leaving.reason)
        if action == "restart":
            told.insert(
                0,
                f"domain {leaving.running.domid} on {leaving.host.name} has to be stopped first",
            )
        else:
            told.insert(0, "its memory is there twice until it has arrived")
    shares: t.Mapping[int, int] = option.shares or {}
    home = homes(guest, host.name, shares) if shares else ()
    affinity = affinity_of(Claim(guest, host, pool, place.cpu_nodes, home=home), cores)
    if given is not None:
        affinity = given.affinity(guest, host.name, affinity)
    memory = shares or split_evenly(guest.memory, place.memory_nodes)
    made = entry(guest, host, action, domid, pool.name, place.nodes, memory, affinity, reasons, told)
    if home:
        made["vnuma"] = virtual_nodes(host, shares, home)
    made["candidates"] = explainer.candidates(index)
    if leaving is not None:
        made["from"] = {"host": leaving.host.name, "nodes": list(leaving.running.nodes)}
    return made


def entry(
    guest: Guest,
    host: Host,
    action: str,
    domid: int | None,
    pool: str,
    nodes: t.Sequence[int],
    memory: t.Mapping[int, int],
    affinity: Affinity,
    reasons: list[str],
    warnings: list[str],
) -> Plan:
    """Make an entry of `guests`."""
    if affinity.cache is not None:
        reasons = [*reasons, f"keeps to one last-level cache, that of CPUs {affinity.cache}"]
    return {
        "name": guest.name,
        "host": host.name,
        "action": action,
        "domid": domid,
        "cpupool": pool,
        "nodes": list(nodes),
        "vcpus": guest.vcpus,
        "memory_bytes": guest.memory,
        "need_bytes": guest.need,
        "memory_by_node": {str(node): size for node, size in sorted(memory.items())},
        "vnuma": None,
        "pin": guest.policy_on(host.name).pin,
        "cpuset": str(affinity.cpuset),
        "cache": None if affinity.cache is None else str(affinity.cache),
        "hard": affinity.text("hard"),
        "soft": affinity.text("soft"),
        "from": None,
        "candidates": None,
        "reasons": [sentence(reason) for reason in reasons],
        "warnings": [sentence(warning) for warning in warnings],
    }


def unplaced_entry(guest: Guest, explainer: Explainer, index: int, leaving: Leaving | None) -> Plan:
    """Tell of a guest that gets no place."""
    reasons, nearest, helps = explainer.unplaced(index)
    if leaving is not None:
        reasons = [leaving.reason, "it is left as it is", *reasons]
    return {
        "name": guest.name,
        "reasons": [sentence(reason) for reason in reasons],
        "nearest": sentence(nearest),
        "helps": [sentence(help_) for help_ in helps],
    }


def host_entries(hosts: t.Sequence[Host], problem: Problem, state: State, cores: Cores) -> Plan:
    """Tell of the nodes of each host, before and after."""
    load: dict[tuple[str, int], int] = {}
    for (name, _pool, number), part in zip(problem.cells, state.load, strict=True):
        load[name, number] = load.get((name, number), 0) + part
    # Guests with cores of their own load these.
    for (name, _pool, number), own, trusted in _own_load(problem, state):
        load[name, number] = load.get((name, number), 0) + own + trusted
    left = dict(zip(problem.resources, state.free, strict=True))
    capacity = dict(zip(problem.resources, problem.capacity, strict=True))
    return {host.name: _host_entry(host, problem, load, left, capacity, cores) for host in hosts}


def _own_load(problem: Problem, state: State) -> t.Iterator[tuple[tuple[str, int, int], int, int]]:
    names = problem.cells.names
    for index, option in enumerate(state.at):
        if option is None:
            continue
        guest = problem.movers[index].guest
        own = len(guest.dedicated_on(option.place.host))
        nodes = option.place.cpu_nodes
        each = {node: own // len(nodes) + (place < own % len(nodes)) for place, node in enumerate(nodes)}
        for cell, _load, _vcpus, cores, trusted in option.uses:
            if cores or trusted:
                yield names[cell], each[names[cell][2]] * VCPU, trusted
    base = problem.base
    for name, own in base.own_load.items():
        yield name, own, 0


def _host_entry(
    host: Host,
    problem: Problem,
    load: t.Mapping[tuple[str, int], int],
    left: t.Mapping[t.Any, int],
    capacity: t.Mapping[t.Any, int],
    cores: Cores,
) -> Plan:
    before: dict[int, int] = {}
    for running in host.running:
        for number, part in running.loads.items():
            before[number] = before.get(number, 0) + part
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
                "vcpus_after": round(load.get((host.name, number), 0) / VCPU, 3),
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
    for pool_id in host.pools:
        there = [one for one in loose_domains([host], problem, cores) if one.pool == pool_id]
        if not there:
            continue
        names, cpus = [one.name for one in there], CpuSet()
        for one in there:
            cpus |= one.cpus
        warnings.append(
            f"{listing(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}, which the plan leaves alone, may run on CPUs "
            f"{cpus} of cpupool {host.pools[pool_id].name} that guests are to have for themselves: pin {'it' if len(names) == 1 else 'them'} "
            f"to {there[0].rest}"
        )
    return {"nodes": nodes, "warnings": [sentence(warning) for warning in warnings]}


class Loose(t.NamedTuple):
    """A domain that the plan leaves alone and that may run on CPUs that guests are to have for themselves (`cpus`); `rest` is where it should be."""

    host: str
    pool: int
    domid: int
    name: str
    cpus: CpuSet
    rest: CpuSet


def loose_domains(hosts: t.Sequence[Host], problem: Problem, cores: Cores) -> list[Loose]:
    """Return the domains that have to be kept off CPUs of others."""
    found = []
    for host in hosts:
        for running in host.running:
            exclusive = cores.exclusive.get((host.name, running.pool))
            if not exclusive or (host.name, running.domid) not in problem.base.left_alone:
                continue
            shared = CpuSet()
            for hard, _soft in running.masks:
                shared |= hard & exclusive
            if shared:
                name = running.name or f"domid {running.domid}"
                rest = host.pools[running.pool].cpuset - exclusive
                found.append(Loose(host.name, running.pool, running.domid, name, shared, rest))
    return found


def keep_off_step(loose: Loose) -> Plan:
    """Return the step that keeps a domain off the CPUs of others. The plan has no other say in it."""
    return {
        "step": 0,
        "guest": loose.name,
        "action": "keep_off",
        "host": loose.host,
        "nodes": [],
        "takes": {},
        "frees": {},
        "domid": loose.domid,
        "hard": str(loose.rest),
        "text": f"keep {loose.name} of {loose.host} (domid {loose.domid}) off CPUs {loose.cpus}: hard affinity {loose.rest}",
    }


#: For each level its unit, and how many of the state's units make one.
_UNITS = {
    "unplaced": ("guests", 1),
    "spanning": ("nodes beyond those needed", 1),
    "crowding": ("vCPUs on siblings though cores are to spare", 1),
    "distance": ("vCPUs x (SLIT / 10 - 1)", 1000),
    "device": ("ways to devices and backends x (SLIT / 10 - 1)", 1000),
    "smt": ("vCPUs beyond the cores", VCPU),
    "peak_load": ("vCPUs for each core", 1_000_000),
    "moves": ("running guests that get another place", 1),
    "imbalance": ("sum of squared load for each core", 1_000_000),
}


def objective(problem: Problem, state: State, known: bounds.Bounds) -> list[Plan]:
    """Return the levels in order, each with the least that any placement as good on the levels before could have.

    `known`: such bounds, where the search has some.
    """
    missing = sum(1 for option in state.at if option is None)
    fewest = bounds.fewest_unplaced(problem)
    weight = max(problem.weights, default=1)
    if known.get("unplaced", -1) >= state.unplaced:
        fewest = missing
    elif min(problem.weights, default=1) == weight:
        fewest = max(fewest, known.get("unplaced", 0) // weight)
    else:
        # So many it may be, and not those of the lowest priority.
        fewest = min(fewest, missing - 1)
    least = known
    if not set(_UNITS) <= set(known):
        least = {
            "spanning": bounds.least_spanning(problem, missing),
            **bounds.all_bounds(problem, missing),
            **known,
        }
    found = []
    for level, (unit, scale) in _UNITS.items():
        if level == "unplaced":
            found.append(_level(level, missing, fewest, unit, scale))
            continue
        value = state.value(level)
        found.append(_level(level, value, least[level], unit, scale))
    return found


def _level(name: str, value: float, bound: float | None, unit: str, scale: int) -> Plan:
    def tidy(number: float) -> float:
        return number if scale == 1 else round(number / scale, 3)

    return {
        "level": name,
        "value": tidy(value),
        "bound": None if bound is None else tidy(bound),
        "gap": None if bound is None else tidy(value - bound),
        "unit": unit,
    }


def _kind_of(planned: Plan) -> str:
    """Which affinity keeps a guest of a plan to its CPUs: the hard one of CPUs of its own, whatever `pin` says."""
    return "hard" if planned["pin"] == "hard" or planned["soft"] == "all" else "soft"


def summary(plan: Plan) -> list[str]:
    """Tell a plan in lines for people."""
    lines = []
    several = len(plan["hosts"]) > 1
    for planned in plan["guests"]:
        where = node_words(planned["nodes"]) + (f" of {planned['host']}" if several else "")
        affinity = (
            "no affinity"
            if planned["hard"] == planned["soft"] == "all"
            else f"{_kind_of(planned)} affinity {planned['cpuset']}"
        )
        size = f"{count(planned['vcpus'], 'vCPU')}, {mib(planned['memory_bytes'])}"
        lines.append(f"{planned['name']}: {planned['action']} on {where}, {affinity}, {size}")
        lines += [f"    {reason}" for reason in planned["reasons"]]
        lines += [f"    Warning: {warning}" for warning in planned["warnings"]]
    for missing in plan["unplaced"]:
        lines.append(f"{missing['name']}: not placed")
        lines += [f"    {reason}" for reason in missing["reasons"]]
        lines.append(f"    What would help: {missing['nearest']}")
    for name, host in plan["hosts"].items():
        for node in host["nodes"]:
            free = "no memory"
            if node["memory_free_bytes"] is not None:
                free = f"{node['memory_free_bytes'] // MIB} MiB free, {node['memory_free_after_bytes'] // MIB} MiB after"
            load = f"{count(node['cores'], 'core')}, vCPUs {node['vcpus_before']:g} now and {node['vcpus_after']:g} after"
            lines.append(f"{name}, node {node['os_index']}: {free}; {load if node['pus'] else 'no CPUs'}")
        lines += [f"{name}: warning: {warning}" for warning in host["warnings"]]
    if any(step["action"] in ("migrate", "move", "restart", "stop", "keep_off") for step in plan["steps"]):
        lines += [f"step {step['step']}: {step['text']}" for step in plan["steps"]]
    placed = count(len(plan["guests"]), "guest") + " placed"
    lines.append(f"{placed}, {len(plan['unplaced'])} not placed")
    return lines
