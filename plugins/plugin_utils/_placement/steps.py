# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""A plan's actions in an order in which every one of them fits.

A guest that migrates within its host, or moves to another one, has its memory twice until it is there. When guests wait for one another's
memory in a circle, one of them goes through a third place, or where that is permitted is stopped and started again later.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .words import mib, node_words

#: (host, node), node None for the host as a whole.
Where = tuple[str, "int | None"]


@dataclass(frozen=True)
class Action:
    """What one guest has to do. `takes`, `frees`: bytes by (host, node); `frees` is empty for one that does not run.

    `source`, `target`: (host, nodes). `detours`: places that the guest could go through, as (host, nodes, takes).
    """

    guest: str
    action: str
    target: tuple[str, tuple[int, ...]]
    takes: t.Mapping[Where, int] = field(default_factory=dict)
    source: tuple[str, tuple[int, ...]] | None = None
    frees: t.Mapping[Where, int] = field(default_factory=dict)
    detours: tuple[tuple[str, tuple[int, ...], t.Mapping[Where, int]], ...] = ()
    may_restart: bool = False


class Blocked(Exception):
    """Guests that wait for one another, and no permitted way out."""

    def __init__(self, guests: list[str]) -> None:
        super().__init__(", ".join(guests))
        self.guests = guests


def order_steps(actions: t.Sequence[Action], free: t.Mapping[Where, int]) -> list[dict[str, t.Any]]:
    """Return the steps. `free`: bytes of each (host, node) and of each host before the first.

    Guests that stay come first, then those that move, then new ones, the largest first. Raises :class:`Blocked`.
    """
    left = dict(free)
    steps: list[dict[str, t.Any]] = []

    def take(amounts: t.Mapping[Where, int], sign: int) -> None:
        for where, amount in amounts.items():
            left[where] = left.get(where, 0) - sign * amount

    def fits(amounts: t.Mapping[Where, int]) -> bool:
        return all(left.get(where, 0) >= amount for where, amount in amounts.items() if amount > 0)

    def step(
        action: Action,
        name: str,
        target: tuple[str, tuple[int, ...]],
        takes: t.Mapping[Where, int],
        text: str,
        **more: t.Any,
    ) -> None:
        steps.append(
            {
                "step": len(steps) + 1,
                "guest": action.guest,
                "action": name,
                "host": target[0],
                "nodes": list(target[1]),
                "takes": _by_place(takes),
                "frees": _by_place(more.pop("frees", action.frees)),
                "text": text,
            }
        )

    for action in actions:
        if action.action == "repin":
            step(action, "repin", action.target, {}, f"set the affinity of {action.guest}", frees={})
    waiting = [action for action in actions if action.action in ("migrate", "move", "restart")]
    # Who needs least room first: it is the likeliest to fit.
    waiting.sort(key=lambda action: (sum(action.takes.values()), action.guest))
    while waiting:
        ready = next((action for action in waiting if _ready(action, left, fits)), None)
        if ready is not None:
            waiting.remove(ready)
            if ready.action == "restart":
                take(ready.frees, -1)
                take(ready.takes, 1)
            else:
                take(ready.takes, 1)
                take(ready.frees, -1)
            step(ready, ready.action, ready.target, ready.takes, _text(ready, ready.action))
            continue
        way = _way_out(waiting, left, fits)
        if way is None:
            raise Blocked([action.guest for action in waiting])
        action, detour = way
        waiting.remove(action)
        if detour is None and _fits_after(action, left):
            take(action.frees, -1)
            take(action.takes, 1)
            step(
                action,
                "restart",
                action.target,
                action.takes,
                f"{_text(action, 'restart')}: there is no room for it twice",
            )
            continue
        if detour is None:
            # Stopped now, its memory lets the others pass; it starts when there is room.
            take(action.frees, -1)
            step(
                action,
                "stop",
                action.source or action.target,
                {},
                f"stop {action.guest}: it and others wait for one another's memory, and no other place has room for a while",
            )
            waiting.append(Action(action.guest, "start", action.target, action.takes))
            waiting.sort(
                key=lambda action: (action.action == "start", sum(action.takes.values()), action.guest)
            )
            continue
        host, nodes, takes = detour
        take(takes, 1)
        take(action.frees, -1)
        step(
            action,
            "migrate" if action.source and action.source[0] == host else "move",
            (host, nodes),
            takes,
            f"move {action.guest} to {node_words(nodes)} of {host} for a while, out of the way of others",
        )
        waiting.append(
            Action(
                action.guest,
                "migrate" if action.target[0] == host else "move",
                action.target,
                action.takes,
                (host, nodes),
                takes,
            )
        )
    # As `guests` of the plan has them, the order in which they are created.
    for action in sorted(actions, key=lambda action: (-_whole(action.takes), action.guest)):
        if action.action == "create":
            if not fits(action.takes):
                raise Blocked([action.guest])
            take(action.takes, 1)
            step(action, "create", action.target, action.takes, _text(action, "create"))
    return steps


def _whole(amounts: t.Mapping[Where, int]) -> int:
    return sum(amount for (_host, node), amount in amounts.items() if node is None)


def _by_place(amounts: t.Mapping[Where, int]) -> dict[str, dict[str, int]]:
    """{host: {node: bytes}}, without the hosts' totals."""
    placed: dict[str, dict[str, int]] = {}
    for (host, node), amount in sorted(
        amounts.items(), key=lambda item: (item[0][0], item[0][1] is None, item[0][1] or 0)
    ):
        if node is not None and amount:
            placed.setdefault(host, {})[str(node)] = amount
    return placed


def _ready(
    action: Action, left: t.Mapping[Where, int], fits: t.Callable[[t.Mapping[Where, int]], bool]
) -> bool:
    if action.action != "restart":
        return fits(action.takes)
    return _fits_after(action, left)


def _fits_after(action: Action, left: t.Mapping[Where, int]) -> bool:
    """Whether the guest fits once it is stopped."""
    return all(
        left.get(where, 0) + action.frees.get(where, 0) >= amount
        for where, amount in action.takes.items()
        if amount > 0
    )


def _way_out(
    waiting: t.Sequence[Action],
    left: t.Mapping[Where, int],
    fits: t.Callable[[t.Mapping[Where, int]], bool],
) -> tuple[Action, t.Any] | None:
    """The cheapest guest to get out of the circle: the smallest with a detour that has room, else the smallest that may be restarted."""
    for action in waiting:
        if action.action not in ("migrate", "move"):
            continue
        for detour in action.detours:
            if fits(detour[2]):
                return action, detour
    stoppable = [action for action in waiting if action.may_restart and action.frees]
    for action in stoppable:
        if _fits_after(action, left):
            return action, None
    return (stoppable[0], None) if stoppable else None


def _text(action: Action, name: str) -> str:
    host, nodes = action.target
    size = mib(sum(amount for (_host, node), amount in action.takes.items() if node is not None))
    where = f"{node_words(nodes)} of {host}"
    if name == "start":
        return f"start {action.guest} on {where}, {size}"
    if name == "create":
        return f"create {action.guest} on {where}, {size}"
    if name == "restart":
        return f"stop {action.guest} and start it on {where}, {size}"
    if name == "move":
        return f"move {action.guest} to {where}, {size}"
    return f"migrate {action.guest} within its host to {where}, {size} twice for a while"
