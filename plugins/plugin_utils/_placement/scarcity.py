# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Guests of which there are more than the nodes have slots for, and groups that no host can have as a whole.

A guest that has to be on k nodes takes a slot of each. So many slots of m bytes and v vCPUs has a node; on one host at most t guests
have k different nodes each if, with at most t slots counted of each node, there are k * t of them.
"""

from __future__ import annotations

import typing as t

from .choose import Rule, by_memory
from .model import ALONE, PAGE, VCPU, Guest, Host
from .options import Mover, Option, units_of
from .problem import Problem
from .state import Key, State

#: So many different sizes of slots are tried at most, the largest and the smallest among them.
MOST_SLOT_SIZES = 64

#: Groups beyond this many are not looked at one by one.
MOST_GROUPS = 500


class Slot(t.NamedTuple):
    """What a guest takes at least of each of its nodes. `nodes`: how many it has to have; bytes; thousandths of a vCPU that are limited."""

    nodes: int
    memory: int
    vcpus: int


class Scarce(t.NamedTuple):
    """Guests (numbers) that need slots of at least some size, and how many of them at least can have none."""

    guests: tuple[int, ...]
    missing: int
    size: Slot


NOTHING = Scarce((), 0, Slot(1, 0, 0))

#: For each node of a host: bytes, and thousandths of vCPUs that it may still have, None without a limit.
Rooms = tuple[tuple[int, "int | None"], ...]


def scarcest(problem: Problem) -> Scarce:
    """Return the guests that compete for the slots that are the scarcest; none of them when nothing is scarce."""
    slots = {
        guest: slot
        for guest, mover in enumerate(problem.movers)
        if problem.stays[guest] is None and (slot := slot_of(mover)) is not None
    }
    if not slots or not all(map(_ordinary, problem.maker.hosts)):
        return NOTHING
    kinds: dict[Rooms, int] = {}
    for host in problem.maker.hosts:
        if not host.closed:
            rooms = _rooms(problem, host)
            kinds[rooms] = kinds.get(rooms, 0) + 1
    sizes = sorted(set(slots.values()))
    if len(sizes) > MOST_SLOT_SIZES:
        sizes = [
            sizes[number * (len(sizes) - 1) // (MOST_SLOT_SIZES - 1)] for number in range(MOST_SLOT_SIZES)
        ]
    best = NOTHING
    for size in sizes:
        rivals = tuple(guest for guest, slot in slots.items() if all(map(int.__ge__, slot, size)))
        there = sum(number * most_guests(rooms, size) for rooms, number in kinds.items())
        if len(rivals) - there > best.missing:
            best = Scarce(rivals, len(rivals) - there, size)
    return best


def slot_of(mover: Mover) -> Slot | None:
    """Return what the guest takes at least of each node wherever it is; None for one that may choose on how many nodes it is."""
    guest = mover.guest
    if mover.held or guest.pool is not None or guest.vnuma:
        return None
    policies = {guest.policy, *guest.host_policies.values()}
    counts = {policy.node_count for policy in policies}
    nodes = counts.pop() if len(counts) == 1 else None
    if nodes is None:
        return None
    shared = guest.trust_group is None and all(policy.cpu_policy == "shared" for policy in policies)
    return Slot(nodes, guest.need // PAGE // nodes * PAGE, guest.vcpus * VCPU // nodes if shared else 0)


def most_guests(rooms: Rooms, size: Slot) -> int:
    """Count how many guests with slots of this size the nodes of one host can have at most."""
    slots = []
    for memory, vcpus in rooms:
        most = memory // size.memory
        if vcpus is not None and size.vcpus:
            most = min(most, max(0, vcpus) // size.vcpus)
        slots.append(most)
    low, high = 0, sum(slots) // size.nodes
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(slot, middle) for slot in slots) >= size.nodes * middle:
            low = middle
        else:
            high = middle - 1
    return low


def _ordinary(host: Host) -> bool:
    """Whether each node has memory and CPUs, as many as the next one: then a guest takes the same of each of its nodes."""
    cells = {} if 0 not in host.pools else host.pools[0].cells
    return (
        all(number in cells and node.memory_free is not None for number, node in host.nodes.items())
        and len({cell.cores for cell in cells.values()}) == 1
    )


def _rooms(problem: Problem, host: Host) -> Rooms:
    maker, cells = problem.maker, problem.cells
    rooms: list[tuple[int, int | None]] = []
    for node in sorted(host.nodes):
        name = (host.name, 0, node)
        cell = maker.cell[name]
        ratio = cells.ratio[cell]
        left = None if ratio is None else ratio * cells.pus[cell] - problem.base.vcpus.get(name, 0)
        rooms.append((problem.capacity[maker.resource[host.name, node]], left))
    return tuple(sorted(rooms, key=lambda room: (room[0], room[1] or 0)))


def by_slots(problem: Problem, size: Slot) -> Rule:
    """Make the rule that prefers places which leave the most slots of this size on the host, and of those the tightest fit."""
    maker, cells = problem.maker, problem.cells
    columns = {
        host.name: [
            (maker.resource[host.name, node], cell, cells.ratio[cell], cells.pus[cell])
            for node in sorted(host.nodes)
            for cell in [maker.cell[host.name, 0, node]]
        ]
        for host in problem.maker.hosts
    }
    known: dict[Rooms, int] = {}

    def slots(rooms: Rooms) -> int:
        if rooms not in known:
            known[rooms] = most_guests(rooms, size)
        return known[rooms]

    def rule(state: State, option: Option) -> Key:
        free, vcpus = state.free, state.vcpus
        demand = dict(option.demand)
        uses = {use[0]: use[2] for use in option.uses}
        before, after = [], []
        for resource, cell, ratio, pus in columns[option.place.host]:
            left = None if ratio is None else ratio * pus - vcpus[cell]
            before.append((free[resource], left))
            after.append(
                (free[resource] - demand.get(resource, 0), None if left is None else left - uses.get(cell, 0))
            )
        return (slots(tuple(before)) - slots(tuple(after)), *by_memory(state, option))

    return rule


def torn(problem: Problem) -> int:
    """Count guests that affinity groups over hosts keep out, as no single host can have all of the group."""
    groups: dict[str, list[int]] = {}
    counted: set[int] = set()
    for index, mover in enumerate(problem.movers):
        for membership in mover.guest.groups:
            group = membership.group
            if (group.policy, group.scope) != ("affinity", "host") or group.name in problem.base.together:
                continue
            if index not in counted:
                counted.add(index)
                groups.setdefault(group.name, []).append(index)
    if not groups or not all(map(_ordinary, problem.maker.hosts)):
        return 0
    rooms = {
        (problem.capacity[problem.maker.resource[host.name, None]], _rooms(problem, host))
        for host in problem.maker.hosts
        if not host.closed
    }
    lost = 0
    for members in list(groups.values())[:MOST_GROUPS]:
        guests = [problem.movers[member] for member in members]
        if any(
            mover.held or problem.stays[member] is not None
            for member, mover in zip(members, guests, strict=True)
        ):
            continue
        lost += len(members) - max(
            (_most_together([mover.guest for mover in guests], room, nodes) for room, nodes in rooms),
            default=0,
        )
    return lost


def _most_together(guests: t.Sequence[Guest], room: int, nodes: Rooms) -> int:
    """Count how many of the guests one host can have at most."""
    most = 0
    for guest_need in sorted(guest.need for guest in guests):
        room -= guest_need
        if room < 0:
            break
        most += 1
    slots = [slot_of(Mover(guest)) for guest in guests]
    for size in {slot for slot in slots if slot is not None}:
        rivals = sum(1 for slot in slots if slot is not None and all(map(int.__ge__, slot, size)))
        most = min(most, len(guests) - rivals + min(rivals, most_guests(nodes, size)))
    return most


def too_many_apart(problem: Problem) -> int:
    """Count guests that anti-affinity groups keep out, as there are more parts of a group than hosts, packages or nodes for them."""
    maker = problem.maker
    parts: dict[tuple[str, str], dict[t.Any, list[int]]] = {}
    counted: set[int] = set()
    for index, mover in enumerate(problem.movers):
        for membership in mover.guest.groups:
            group = membership.group
            if group.policy != "anti-affinity" or index in counted or problem.stays[index] is not None:
                continue
            counted.add(index)
            # A guest on several nodes takes each of them.
            size = maker.needed(maker.shape(mover)) if group.scope == "node" else 1
            part = ("alone", index) if membership.part == ALONE else membership.part
            parts.setdefault((group.name, group.scope), {}).setdefault(part, []).append(size)
    lost = 0
    for (name, scope), members in parts.items():
        units = {
            unit
            for host in maker.hosts
            if not host.closed
            for node in host.nodes
            for unit in units_of(scope, host, [node])
        }
        # Units that running members have are open to their own part alone.
        taken = {
            unit: part
            for (group, unit), (part, number) in problem.base.apart.items()
            if group == name and number
        }
        running = set(taken.values())
        room = len(units - set(taken))
        new = sorted((len(sizes), max(sizes)) for part, sizes in members.items() if part not in running)
        # The parts with the most guests come first, each with one unit at least.
        for guests, size in sorted(new, key=lambda one: (-one[0], one[1])):
            room -= max(1, size) if scope == "node" and guests == 1 else 1
            if room < 0:
                lost += guests
    return lost
