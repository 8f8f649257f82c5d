# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.
"""What a plan does, step by step, in words. Pure; reads whatever a plan has, older and newer."""

from __future__ import annotations

import typing as t

from .words import shown

Data = t.Mapping[str, t.Any]


class Step(t.NamedTuple):
    """One step: what is done to whom on which host, in a sentence, and why."""

    guest: str
    host: str
    text: str
    reasons: tuple[str, ...]


class Level(t.NamedTuple):
    """How good the plan is on one level of its objective."""

    name: str
    value: str
    bound: str
    gap: str
    unit: str
    proven: bool


def steps(plan: Data) -> list[Step]:
    """What is to be done, in its order; what is left as it is, is no step. A plan without steps of its own: what its guests need."""
    found = plan.get("steps")
    entries = {str(entry["name"]): entry for entry in plan["guests"]}
    if found is None:
        found = [
            {**entry, "guest": entry["name"]} for entry in plan["guests"] if entry.get("action") != "keep"
        ]
    explained: set[str] = set()
    steps = []
    for step in found:
        name = str(step["guest"])
        entry = entries.get(name, {})
        # a guest may have several steps, and has its reasons once
        steps.append(_step(step, entry, name not in explained))
        explained.add(name)
    return steps


def steps_of(plan: Data, host: str) -> list[Step]:
    """Those that end on the host."""
    return [step for step in steps(plan) if step.host == host]


def unplaced(plan: Data) -> list[tuple[str, tuple[str, ...]]]:
    """The guests that have no place, why, and what would help."""
    found = []
    for entry in plan.get("unplaced") or []:
        helps = entry.get("helps") or [text for text in [entry.get("nearest")] if text]
        reasons = [*_texts(entry.get("reasons")), *(f"What would help: {text}" for text in _texts(helps))]
        found.append((shown(entry.get("name")), tuple(reasons)))
    return found


def levels(plan: Data) -> list[Level]:
    """The levels of the objective, most important first."""
    return [
        Level(
            name=shown(level.get("level")).replace("_", " "),
            value=_figure(level.get("value")),
            bound=_figure(level.get("bound")),
            gap=_figure(level.get("gap")),
            unit=shown(level.get("unit") or ""),
            proven=level.get("bound") is not None and level.get("value") == level.get("bound"),
        )
        for level in plan.get("objective") or []
    ]


def capacity(plan: Data) -> list[str]:
    """How many more guests of each shape that was asked about would fit, a sentence each."""
    return [
        f"{shown(shape.get('name'))}: {'' if shape.get('proven', True) else 'at least '}{_figure(shape.get('more'))} more would fit, "
        "if nothing else is added"
        for shape in plan.get("capacity") or []
    ]


def _step(step: Data, entry: Data, explain: bool) -> Step:
    action = str(step.get("action") or "place").replace("_", " ")
    text = str(step.get("text") or f"{action} {step['guest']} on {step['host']}{_on(step.get('nodes'))}")
    masks = [
        f"{kind} affinity {_mask(entry[kind])}"
        for kind in ("hard", "soft")
        if entry.get(kind) not in (None, "all")
    ]
    reasons = (
        [*_texts(entry.get("reasons")), *_texts(entry.get("warnings")), *_lost(entry)] if explain else []
    )
    return Step(
        guest=shown(step["guest"]),
        host=shown(step["host"]),
        text=shown(": ".join(part for part in (text[:1].upper() + text[1:], ", ".join(masks)) if part)),
        reasons=tuple(reasons),
    )


def _on(nodes: t.Any) -> str:
    numbers = [str(node) for node in nodes or []]
    return f", node{'' if len(numbers) == 1 else 's'} {', '.join(numbers)}" if numbers else ""


def _mask(mask: t.Any) -> str:
    """One mask for all vCPUs, or one for each."""
    if isinstance(mask, str):
        return mask
    return "; ".join(f"vCPU {number} {one}" for number, one in enumerate(mask))


def _lost(entry: Data) -> list[str]:
    """The places that lost, of a plan that explains."""
    return [
        shown(f"Not on {place.get('host')}{_on(place.get('nodes'))}: {_why(place)}.")
        for place in entry.get("candidates") or []
    ]


def _why(place: Data) -> str:
    level = str(place.get("level")).replace("_", " ")
    if level == "order":
        return "as good"
    if level == "room":
        return "no room beside the rest of the plan"
    return f"worse on {level} by {_figure(place.get('worse_by'))}"


def _texts(values: t.Any) -> list[str]:
    return [shown(value) for value in values or []]


def _figure(value: t.Any) -> str:
    if value is None:
        return "not known"
    return f"{value:g}" if isinstance(value, float) else shown(value)
