# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.
"""What a plan does, step by step, in words. Pure; reads whatever a plan has, older and newer."""

from __future__ import annotations

import typing as t

from .words import shown

Data = t.Mapping[str, t.Any]

_WORDS = {
    "create": "Create",
    "repin": "Re-pin",
    "restart": "Restart",
    "keep": "Keep",
}


class Step(t.NamedTuple):
    """One step: what is done to whom, where to, and why."""

    action: str
    guest: str
    host: str
    where: str
    reasons: tuple[str, ...]

    @property
    def text(self) -> str:
        """``Create web on xen1: node 1, soft affinity 4-7``."""
        word = _WORDS.get(self.action, self.action.replace("_", " ").capitalize())
        return f"{word} {self.guest} on {self.host}" + (f": {self.where}" if self.where else "")


class Level(t.NamedTuple):
    """How good the plan is on one level of its objective."""

    name: str
    value: str
    bound: str
    unit: str
    proven: bool


def steps(plan: Data) -> list[Step]:
    """What is to be done, in its order; what is left as it is, is no step."""
    return [_step(entry) for entry in plan["guests"] if entry.get("action") != "keep"]


def steps_of(plan: Data, host: str) -> list[Step]:
    """Those that end on the host."""
    return [step for step in steps(plan) if step.host == host]


def unplaced(plan: Data) -> list[tuple[str, tuple[str, ...]]]:
    """The guests that have no place, why, and what would help."""
    found = []
    for entry in plan.get("unplaced") or []:
        helps = str(entry.get("nearest") or "")
        reasons = [*_texts(entry.get("reasons")), *([f"What would help: {shown(helps)}"] if helps else [])]
        found.append((shown(entry.get("name")), tuple(reasons)))
    return found


def levels(plan: Data) -> list[Level]:
    """The levels of the objective, most important first."""
    return [
        Level(
            name=shown(level.get("level")).replace("_", " "),
            value=_figure(level.get("value")),
            bound=_figure(level.get("bound")),
            unit=shown(level.get("unit") or ""),
            proven=level.get("bound") is not None and level.get("value") == level.get("bound"),
        )
        for level in plan.get("objective") or []
    ]


def _step(entry: Data) -> Step:
    nodes = entry.get("nodes") or []
    where = f"node{'' if len(nodes) == 1 else 's'} {', '.join(str(node) for node in nodes)}" if nodes else ""
    masks = [
        f"{kind} affinity {entry[kind]}" for kind in ("hard", "soft") if entry.get(kind) not in (None, "all")
    ]
    return Step(
        action=shown(entry.get("action") or "place"),
        guest=shown(entry["name"]),
        host=shown(entry["host"]),
        where=shown(", ".join(part for part in (where, *masks) if part)),
        reasons=(*_texts(entry.get("reasons")), *_texts(entry.get("warnings"))),
    )


def _texts(values: t.Any) -> list[str]:
    return [shown(value) for value in values or []]


def _figure(value: t.Any) -> str:
    if value is None:
        return "not known"
    return f"{value:g}" if isinstance(value, float) else shown(value)
