# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""What has to be done for a placement: one action a guest, with the memory that it takes and gives back."""

from __future__ import annotations

import typing as t

from .model import Guest, Host
from .options import Option
from .problem import Problem
from .running import Stay
from .settings import Settings
from .state import State
from .steps import Action, Where

#: So many other places are offered to a guest that has to get out of the way for a while.
MOST_DETOURS = 16


class Actions(t.NamedTuple):
    """What is to be ordered, and what is free before it: bytes of each (host, node), and of each host under (host, None)."""

    ordered: list[Action]
    free: dict[Where, int]


def actions_of(
    hosts: t.Sequence[Host],
    problem: Problem,
    state: State,
    stays: t.Sequence[Stay],
    leaving: t.Mapping[str, t.Any],
    settings: Settings,
) -> Actions:
    """Return the actions of all guests that have a place."""
    by_name = {host.name: host for host in hosts}
    booked = problem.base.booked
    free: dict[Where, int] = {}
    for host in hosts:
        kept = 0
        for number, node in host.nodes.items():
            free[host.name, number] = max(0, node.usable - booked.get((host.name, number), 0))
            kept += booked.get((host.name, number), 0)
        free[host.name, None] = max(0, host.room - kept)
    actions = [Action(stay.guest.name, "repin", (stay.host.name, stay.running.nodes)) for stay in stays]
    for index, option in enumerate(state.at):
        if option is None:
            continue
        mover = problem.movers[index]
        guest = mover.guest
        target = (option.place.host, option.place.nodes)
        if option is problem.stays[index]:
            actions.append(Action(guest.name, "repin", target))
            continue
        takes = _amounts(option.place.host, problem.maker.taken(guest, option.place, option.shares))
        leaves = leaving.get(guest.name)
        if leaves is None:
            actions.append(Action(guest.name, "create", target, takes))
            continue
        frees = _amounts(leaves.host.name, leaves.running.held)
        same = leaves.host.name == option.place.host
        action = "restart" if leaves.action == "restart" else "migrate" if same else "move"
        actions.append(
            Action(
                guest.name,
                action,
                target,
                takes,
                (leaves.host.name, leaves.running.nodes),
                frees,
                tuple(_detours(guest, by_name, option, leaves.host.name)),
                settings.rebalance == "restart" or mover.stay is None,
            )
        )
    return Actions(actions, free)


def _amounts(host: str, by_node: t.Mapping[int, int]) -> dict[Where, int]:
    amounts: dict[Where, int] = {(host, node): size for node, size in by_node.items()}
    amounts[host, None] = sum(by_node.values())
    return amounts


def _detours(
    guest: Guest, hosts: t.Mapping[str, Host], option: Option, home: str
) -> t.Iterator[tuple[str, tuple[int, ...], dict[Where, int]]]:
    """Single nodes that the guest could be on for a while, those of its host first."""
    if guest.pci_devices or guest.groups or guest.trust_group or guest.vnuma or guest.dedicated_on(home):
        return
    order = [home, *(name for name in sorted(hosts) if name != home and guest.host in (None, name))]
    found = 0
    for name in order:
        host = hosts[name]
        pool = host.find_pool(guest.pool)
        if pool is None or host.closed:
            continue
        for node, cell in sorted(pool.cells.items()):
            if cell.pus < guest.vcpus or host.nodes[node].memory_free is None:
                continue
            if (name, (node,)) == (option.place.host, option.place.nodes) or cell.cores < 1:
                continue
            found += 1
            if found > MOST_DETOURS:
                return
            yield name, (node,), _amounts(name, {node: guest.need})
