# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Affinity groups: guests that come together with the first of them, all of them or as many as some host has room for."""

from __future__ import annotations

import typing as t

from .choose import Rule, best_option, by_load
from .model import Guest, Host
from .options import units_of
from .problem import Problem
from .state import Key, State

#: So many homes for a group that has to keep together are compared.
MOST_HOMES = 8

#: Where no host has room for a whole group, so many hosts that differ are tried for a part of it.
MOST_PARTS = 200


def bundles_of(problem: Problem) -> dict[int, list[int]]:
    """The guests that affinity groups tie to each one, itself among them, the largest first."""
    tied: dict[str, list[int]] = {}
    for index, mover in enumerate(problem.movers):
        for membership in mover.guest.groups:
            if membership.group.policy == "affinity":
                tied.setdefault(membership.group.name, []).append(index)
    leader = list(range(len(problem.movers)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for members in tied.values():
        for member in members[1:]:
            leader[find(member)] = find(members[0])
    sets: dict[int, list[int]] = {}
    for member in {member for members in tied.values() for member in members}:
        sets.setdefault(find(member), []).append(member)
    bundles = {}
    for members in sets.values():
        members.sort(key=lambda index: (-problem.movers[index].guest.need, index))
        bundles.update(dict.fromkeys(members, members))
    return bundles


class _Home(t.NamedTuple):
    """A host for a bundle: what was put there, and the objective with it."""

    placed: dict[int, t.Any]
    key: Key


def place_together(state: State, bundle: t.Sequence[int], rule: Rule) -> bool:
    """Place a bundle where all of it has room, the best of a few such hosts; else where the most of it have.

    Tells whether anything was placed.
    """
    movers = state.problem.movers
    guests = [movers[index].guest for index in bundle]
    need = sum(guest.need for guest in guests)
    smallest = min(guest.need for guest in guests)
    whole: list[_Home] = []
    for host in _hosts(state, guests, need, rule is not by_load):
        home = _try(state, host, guests, bundle, rule)
        if home is not None and len(home.placed) == len(bundle):
            whole.append(home)
        if len(whole) >= MOST_HOMES:
            break
    found = whole
    if not found and len(bundle) > 1:
        # The smallest first: then the most of them have room.
        few = sorted(bundle, key=lambda index: (movers[index].guest.need, index))
        parts = _hosts(state, guests, smallest, False)[:MOST_PARTS]
        homes = [_try(state, host, guests, few, rule, partly=True) for host in parts]
        found = [home for home in homes if home is not None]
    if not found:
        return False
    best = min(found, key=lambda home: (-len(home.placed), home.key))
    for index, option in best.placed.items():
        state.put(index, option)
    return True


def _hosts(state: State, guests: t.Sequence[Guest], room: int, tight: bool) -> list[Host]:
    """Hosts with so many bytes left, the tightest first or the roomiest; of hosts that are alike as things are, one."""
    maker = state.problem.maker
    rooms = [(state.free[maker.resource[host.name, None]], index) for index, host in enumerate(maker.hosts)]
    sign = 1 if tight else -1
    alike = not any(
        guest.host or guest.nodes or guest.pci_devices or guest.host_policies or len(guest.groups) > 1
        for guest in guests
    )
    seen: set[t.Any] = set()
    found = []
    for _room, number in sorted((sign * left, index) for left, index in rooms if left >= room):
        host = maker.hosts[number]
        if alike and not host.backends:
            now = _as_it_is(state, host)
            if now in seen:
                continue
            seen.add(now)
        found.append(host)
    return found


def _as_it_is(state: State, host: Host) -> t.Any:
    """What of a host decides who has room there: two hosts with the same are as good as each other."""
    maker, cells = state.problem.maker, state.problem.cells
    columns = []
    for pool in host.pools.values():
        for node in sorted(pool.cells):
            cell = maker.cell[host.name, pool.id, node]
            columns.append(
                (
                    pool.name,
                    node,
                    cells.pus[cell],
                    cells.cores[cell],
                    cells.ratio[cell],
                    cells.dedicable[cell],
                    cells.threads[cell],
                    state.load[cell],
                    state.vcpus[cell],
                    state.taken[cell],
                )
            )
    frees = tuple(state.free[maker.resource[host.name, node]] for node in [*sorted(host.nodes), None])
    memory = tuple(node for node in sorted(host.nodes) if host.nodes[node].memory_free is not None)
    ways = tuple(sorted(host.distances.items()))
    return frees, tuple(columns), memory, ways, tuple(sorted(host.packages.items())), host.closed


def _try(
    state: State,
    host: Host,
    guests: t.Sequence[Guest],
    bundle: t.Sequence[int],
    rule: Rule,
    partly: bool = False,
) -> _Home | None:
    """Put the bundle on the host, or the part of it that has room, look what that is worth, and undo it."""
    best: _Home | None = None
    for nodes in _units(host, guests):
        placed: dict[int, t.Any] = {}
        worth = 0
        for index in bundle:
            option = best_option(state, index, rule, (host.name, nodes))
            if option is not None:
                worth += rule(state, option)[0]
                state.put(index, option)
                placed[index] = option
            elif not partly:
                break
        key = state.key()
        for index in placed:
            state.take(index)
        if rule is not by_load:
            left = state.free[state.problem.maker.resource[host.name, None]]
            left -= sum(state.problem.movers[index].guest.need for index in placed)
            key = (*key[:5], worth, left, *key[6:])
        if placed and (best is None or (-len(placed), key) < (-len(best.placed), best.key)):
            best = _Home(placed, key)
        if len(placed) == len(bundle):
            break
    return best


def _units(host: Host, guests: t.Sequence[Guest]) -> list[tuple[int, ...]]:
    """Sets of nodes of a host within which all these guests would keep together."""
    every = tuple(sorted(host.nodes))
    scopes = {
        membership.group.scope
        for guest in guests
        for membership in guest.groups
        if membership.group.policy == "affinity"
    }
    if "node" in scopes:
        return [(node,) for node in every]
    if "package" in scopes:
        packages: dict[t.Any, list[int]] = {}
        for node in every:
            for unit in units_of("package", host, [node]):
                packages.setdefault(unit, []).append(node)
        return [tuple(nodes) for _package, nodes in sorted(packages.items())]
    return [every]
