# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Guests that run already: whether they may stay where they are, and what they and everybody else hold before anything is placed."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass, field

from ...module_utils._errors import Failure
from ...module_utils._topology.cpuset import CpuSet
from .capacity import split_load
from .fixed import nodes_of
from .model import MIB, NORMAL_WEIGHT, VCPU, Cell, Guest, Host, Pool, Running, deal, memory_need, split_evenly
from .options import cores_needed, units_of
from .problem import Base, CellName
from .words import count, mib, node_words

#: Xen's own pages of a guest come on top of its memory: a guest is not called larger than asked for less than this.
OWN_PAGES = 4 * MIB


@dataclass
class Stay:
    """A wanted guest that runs and stays on its nodes. `cores`: whole cores of each node that it has for itself."""

    guest: Guest
    host: Host
    running: Running
    pool: Pool
    cpu_nodes: tuple[int, ...]
    cpuset: CpuSet
    cores: t.Mapping[int, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def where_it_runs(guest: Guest, found: t.Sequence[tuple[Host, Running]]) -> tuple[Host, Running] | None:
    """Return the host and the domain of a guest that runs, of those that have its name.

    Raises :class:`Failure` when it is not clear which one is meant.
    """
    alive = [item for item in found if item[1].state != "dying"] or list(found)
    here = [item for item in alive if item[0].name == guest.host] or alive
    if len(here) > 1:
        places = ", ".join(f"{host.name} (domid {running.domid})" for host, running in here)
        raise Failure(
            f"{guest.label}.name: {guest.name!r} is the name of several running domains: {places}; rename or stop all but one, "
            "or say with host which one is meant"
        )
    return here[0] if here else None


def by_name(hosts: t.Sequence[Host]) -> dict[str, list[tuple[Host, Running]]]:
    """Return the domains beside dom0 by name, so that not every guest has to look at every host."""
    found: dict[str, list[tuple[Host, Running]]] = {}
    for host in hosts:
        for running in host.running:
            if running.domid:
                found.setdefault(running.name, []).append((host, running))
    return found


def why_it_cannot_stay(guest: Guest, host: Host, running: Running) -> str | None:
    """Return a clause when a running guest is not where the request can leave it."""
    if running.state in ("shutdown", "crashed"):
        return f"has {'crashed' if running.state == 'crashed' else 'shut down'}, but its domain {running.domid} is still there"
    if guest.host not in (None, host.name):
        return f"runs on {host.name}, but {guest.host} is asked for"
    pool = host.find_pool(guest.pool) if guest.pool is not None else None
    if guest.pool is not None and (pool is None or pool.id != running.pool):
        return f"runs in cpupool {host.pools[running.pool].name}, but {guest.pool} is asked for"
    if guest.nodes is not None and guest.nodes != running.nodes:
        return f"has its memory on {node_words(running.nodes)}, but {node_words(guest.nodes)} {'is' if len(guest.nodes) == 1 else 'are'} asked for"
    policy = guest.policy_on(host.name)
    if policy.node_count not in (None, len(running.nodes)):
        return f"has its memory on {node_words(running.nodes)}, but numa_policy {policy.numa_policy} is asked for"
    return None


def make_stay(guest: Guest, host: Host, running: Running) -> Stay:
    """Return how a running guest stays where it is."""
    pool = host.pools[running.pool]
    cpu_nodes = tuple(node for node in running.nodes if node in pool.cells)
    warnings = []
    if guest.cpus is not None:
        cpu_nodes = nodes_of(guest, pool)
    if not cpu_nodes:
        cpu_nodes = _nearest_cells(host, pool, running.nodes)
        away = "has no online CPU" if len(running.nodes) == 1 else "have no online CPU"
        warnings.append(
            f"{node_words(running.nodes)}, where its memory is, {away} of cpupool {pool.name}: its vCPUs go to the nearest, {node_words(cpu_nodes)}"
        )
    cpuset = CpuSet()
    for node in cpu_nodes:
        cpuset |= pool.cells[node].cpuset
    policy = guest.policy_on(host.name)
    if len(running.held) > 1 and policy.numa_policy == "preferred" and guest.nodes is None:
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
    own = guest.dedicated_on(host.name)
    cores = cores_needed(len(own), policy.thread_policy, pool, cpu_nodes) if own else {}
    return Stay(guest, host, running, pool, cpu_nodes, cpuset, cores or {}, warnings)


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


def book_growth(stays: t.Sequence[Stay]) -> dict[tuple[str, int], int]:
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


def wants_cores(guest: Guest, host: Host) -> bool:
    """Tell whether a guest is to have cores on a host that others may not use."""
    return bool(guest.dedicated_on(host.name)) or (guest.trust_group is not None and not host.core_scheduling)


def why_no_cores(stay: Stay, base: Base, crowded: t.Collection[CellName]) -> str | None:
    """Return a clause when there are not the cores for a staying guest that is to have some for itself.

    `crowded`: cells where somebody else needs at least a core.
    """
    guest, host, pool = stay.guest, stay.host, stay.pool
    own = guest.dedicated_on(host.name)
    if own and not stay.cores:
        return f"runs on {node_words(stay.cpu_nodes)}, whose cores have no second thread online, but thread_policy require is asked for"
    shares = guest.trust_group is None and len(own) < guest.vcpus
    for node, cores in alone_of(stay).items():
        cell = pool.cells[node]
        name = (host.name, pool.id, node)
        gone = base.cores.get(name, 0) + sum(
            -(-part // (VCPU * cell.threads))
            for (where, _group), part in base.trusted.items()
            if where == name
        )
        left = len(cell.siblings) - len(cell.blocked) - gone
        if name in crowded or shares:
            left = min(left, len(cell.siblings) - gone - 1)
        if cores > left:
            return f"runs on {node_words(stay.cpu_nodes)}, and node {node} has {count(max(0, left), 'core')} to give away, not {cores}"
    return None


def alone_of(stay: Stay) -> dict[int, int]:
    """Cores of each node that nobody else may use: its own, and at most as many as its trust group takes for it."""
    guest, host = stay.guest, stay.host
    cores = dict(stay.cores)
    for node, part in trusted_of(stay).items():
        cores[node] = cores.get(node, 0) + -(-part // (VCPU * stay.pool.cells[node].threads))
    return cores if guest.dedicated_on(host.name) or guest.trust_group else {}


def trusted_of(stay: Stay) -> dict[int, int]:
    """Thousandths of vCPUs on each node that share cores with their trust group alone."""
    guest = stay.guest
    if guest.trust_group is None or stay.host.core_scheduling:
        return {}
    shared = guest.vcpus - len(guest.dedicated_on(stay.host.name))
    return split_load(shared * VCPU, {node: stay.pool.cells[node].cores for node in stay.cpu_nodes})


def add_stay(base: Base, stay: Stay) -> None:
    """Count a staying guest into the base."""
    guest, host, pool = stay.guest, stay.host, stay.pool
    weights = {node: pool.cells[node].cores for node in stay.cpu_nodes}
    shared = (guest.vcpus - len(guest.dedicated_on(host.name))) * VCPU
    trusted = trusted_of(stay)
    for node, part in trusted.items():
        key = ((host.name, pool.id, node), t.cast(str, guest.trust_group))
        base.trusted[key] = base.trusted.get(key, 0) + part
        base.own_load[key[0]] = base.own_load.get(key[0], 0) + part
    if not trusted:
        for node, part in split_load(shared * guest.weight // NORMAL_WEIGHT, weights).items():
            base.load[host.name, pool.id, node] = base.load.get((host.name, pool.id, node), 0) + part
        for node, part in split_load(shared, weights).items():
            base.vcpus[host.name, pool.id, node] = base.vcpus.get((host.name, pool.id, node), 0) + part
    own = len(guest.dedicated_on(host.name))
    for node, number in (deal(own, stay.cpu_nodes) if own else {}).items():
        base.own_load[host.name, pool.id, node] = (
            base.own_load.get((host.name, pool.id, node), 0) + number * VCPU
        )
    for node, cores in stay.cores.items():
        base.cores[host.name, pool.id, node] = base.cores.get((host.name, pool.id, node), 0) + cores
    where = (host.name, pool.id)
    base.committed[where] = base.committed.get(where, 0) + guest.vcpus
    base.devices |= {(host.name, address) for address, _policy in guest.pci_devices}
    for membership in guest.groups:
        group = membership.group
        for unit in units_of(group.scope, host, stay.running.nodes):
            if group.policy == "affinity":
                base.together.setdefault(group.name, (unit, 1))
            else:
                base.apart.setdefault((group.name, unit), (membership.part, 1))


def add_others(base: Base, hosts: t.Sequence[Host], ours: t.Collection[tuple[str, int]]) -> None:
    """Count the domains that are not in the request into the base, dom0 among them. `ours`: (host, domid) of those that are."""
    for host in hosts:
        for running in host.running:
            if (host.name, running.domid) in ours:
                continue
            for node, part in running.loads.items():
                key = (host.name, running.pool, node)
                base.load[key] = base.load.get(key, 0) + part
                if running.domid:
                    base.vcpus[key] = base.vcpus.get(key, 0) + part
            if running.domid:
                where = (host.name, running.pool)
                base.committed[where] = base.committed.get(where, 0) + running.vcpus_online


def with_blocked_cores(host: Host, left_alone: t.Collection[int], chosen: CpuSet) -> Host:
    """Return the host with the cores marked that nobody can have alone.

    Domains which the plan leaves alone (`left_alone`: domids) are pinned to them, or guests have them by the user's choice (`chosen`).
    """
    pinned = {number: pool.cpuset & chosen for number, pool in host.pools.items() if pool.cpuset & chosen}
    for running in host.running:
        if running.domid not in left_alone:
            continue
        for hard, _soft in running.masks:
            if hard != host.pools[running.pool].cpuset:
                pinned[running.pool] = pinned.get(running.pool, CpuSet()) | hard
    if not pinned:
        return host
    pools = {}
    for number, pool in host.pools.items():
        mask = pinned.get(number, CpuSet())
        cells: dict[int, Cell] = {
            node: dataclasses.replace(cell, blocked=frozenset(core for core in cell.siblings if core & mask))
            for node, cell in pool.cells.items()
        }
        pools[number] = dataclasses.replace(pool, cells=cells)
    return dataclasses.replace(host, pools=pools)
