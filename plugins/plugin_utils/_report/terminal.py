# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.
"""One host, or a fleet, as text for a terminal: no colour, lines of at most the width that is asked for where words allow. Pure."""

from __future__ import annotations

import textwrap
import typing as t

from ...module_utils._topology.cpuset import CpuSet
from . import steps as plan_steps
from .fleet import Row, rows
from .overview import change
from .picture import Data, NodeMemory, Picture, View, memory_words, pool_name
from .svg import about, box_label
from .tenants import ALLOWED, HARD, SOFT, Tenant
from .tree import CORE, HOST, NODE, Box
from .words import columns, count, size_text

#: How a key looks on a CPU.
MARKS = {HARD: "{}", SOFT: "~{}", ALLOWED: "({})"}
_HOW_TO_READ = "A: hard affinity   ~A: soft affinity   (A): allowed, not preferred   x: offline"
_BAR = 40
#: A longer name moves what stands behind it on its own line only.
MOST_NAME = 32


def pad(text: str, width: int) -> str:
    """The text with blanks to that many columns of a terminal."""
    return text + " " * max(width - columns(text), 0)


def notes(texts: t.Iterable[str], width: int) -> list[str]:
    """Sentences below a picture, broken at this width."""
    return [
        line
        for text in texts
        for line in textwrap.wrap(
            f"note: {text}", width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
        )
    ]


def host_text(host: Picture, plan: Data | None = None, width: int = 100) -> str:
    """The host now, or before and after the plan, and the plan's steps there."""
    xen = host.topology.xen
    version = f"Xen {xen.version}, " if xen.version else ""
    lines = [f"{host.name + ': ' if host.name else ''}{version}{host.counts()}"]
    for text in about(host):
        lines += textwrap.wrap(
            text[:1].lower() + text[1:], width, subsequent_indent="  ", break_on_hyphens=False
        )
    for view in host.views:
        lines += ["", *([view.title] if view.title != "now" else []), *_view(host, view)]
    if plan is not None:
        lines += [
            "",
            "steps",
            *_step_lines(plan_steps.steps_of(plan, host.name), width),
            *_missing(plan, width),
        ]
    lines += ["", *_distances(host)] if len(host.topology.distances.nodes) > 1 else []
    unplaced = host.devices(None)
    if unplaced:
        lines += [
            "",
            "PCI devices at no known node",
            *(f"  {host.device_words(device)}" for device in unplaced),
        ]
    lines += notes(host.notes, width)
    return "\n".join(line.rstrip() for line in lines)


def fleet_text(hosts: t.Sequence[Picture], plan: Data | None = None, width: int = 100) -> str:
    """A row a host; with a plan also its steps and who has no place."""
    table: list[tuple[str, ...]] = [
        ("host", "nodes", "cores", "vCPUs", "guests", "memory free", "steps", "memory")
    ]
    table += [_fleet_row(row) for row in rows(hosts, plan)]
    table = [cells if plan is not None else (*cells[:6], cells[7]) for cells in table]
    widths = [max(columns(cells[column]) for cells in table) for column in range(len(table[0]))]
    last = len(widths) - 1
    lines = []
    for cells in table:
        parts = [
            pad(cell, size) if index in (0, last) else " " * (size - columns(cell)) + cell
            for index, (cell, size) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    lines += ["", "memory, a piece a node: d dom0, # guests, : rest, . free"]
    if plan is not None:
        lines += ["", "steps", *_step_lines(plan_steps.steps(plan), width)]
        lines += _missing(plan, width)
    return "\n".join(lines)


def _fleet_row(row: Row) -> tuple[str, ...]:
    bars = " ".join(_coarse(node) for node in row.memory[-1])
    free = change(size_text(free) for free in row.free)
    guests, vcpus = (change(map(str, numbers)) for numbers in (row.guests, row.vcpus))
    return row.name, str(row.nodes), str(row.cores), vcpus, guests, free, str(row.steps), bars


def _coarse(memory: NodeMemory, width: int = 8) -> str:
    dom0 = sum(size for tenant, size in memory.shares if tenant.colour is None)
    guests = sum(size for tenant, size in memory.shares if tenant.colour is not None)
    return filled_bar([("d", dom0), ("#", guests), (":", memory.rest), (".", memory.free or 0)], width)


def _view(host: Picture, view: View) -> list[str]:
    lines = [line for box in host.root.children for line in _box_lines(box, "  ", host, view)]
    if view.tenants:
        lines += ["", *_guests(view), f"  {_HOW_TO_READ}"]
    return lines


def _box_lines(box: Box, indent: str, host: Picture, view: View) -> list[str]:
    if box.kind == CORE:
        return [indent + _threads([box], host, view)]
    lines = [indent + box_label(box)]
    if box.kind == NODE:
        memory = view.memory[box.thing.os_index]
        lines[0] += f": {memory_words(box.thing, memory)}"
        if memory.total or memory.free:
            lines.append(f"{indent}  memory [{_memory_bar(memory)}]")
        lines += [f"{indent}  PCI {host.device_words(device)}" for device in host.devices(box.thing.os_index)]
    cores: list[Box] = []
    for child in [*box.children, Box(HOST, "", None, CpuSet())]:
        # neighbours with the same guests share a line
        if child.kind == CORE and (not cores or _like(cores[-1], child, host, view)):
            cores.append(child)
            continue
        if cores:
            lines.append(f"{indent}  {_threads(cores, host, view)}")
        cores = [child] if child.kind == CORE else []
        if child.kind not in (CORE, HOST):
            lines += _box_lines(child, indent + "  ", host, view)
    return lines


def _like(one: Box, other: Box, host: Picture, view: View) -> bool:
    return _state(one, host, view) == _state(other, host, view)


def _state(core: Box, host: Picture, view: View) -> list[t.Any]:
    return [
        core.thing is None,
        host.kind_words(core.cpus),
        *(_thread(child.thing, host, view) for child in core.children),
    ]


def _thread(pu: t.Any, host: Picture, view: View) -> str:
    if pu.online is False:
        return "x"
    keys = " ".join(MARKS[mark].format(tenant.key) for tenant, mark in view.on(pu.os_index))
    return " ".join(part for part in (keys or "-", pool_name(pu, host)) if part)


def _threads(cores: t.Sequence[Box], host: Picture, view: View) -> str:
    """``cores 0-3, CPUs 0-7: ~A``; where the threads of a core differ, each after its own number."""
    numbers = sorted(core.thing.os_index for core in cores if core.thing is not None)
    cpus = CpuSet(cpu for core in cores for cpu in core.cpus)
    name = cores[0].label
    if len(cores) > 1 and numbers:
        name = (
            f"cores {CpuSet(numbers) if len(set(numbers)) == len(numbers) else ', '.join(map(str, numbers))}"
        )
    states = [_thread(child.thing, host, view) for child in cores[0].children]
    if len(set(states)) == 1:
        said = states[0]
    else:
        offline = CpuSet(
            child.thing.os_index for core in cores for child in core.children if child.thing.online is False
        )
        rest = [state for state in states if state != "x"]
        if offline and len(set(rest)) == 1:
            said = f"{rest[0]}, x {offline}"
        else:
            said = "; ".join(
                f"{child.thing.os_index} {_thread(child.thing, host, view)}"
                for core in cores
                for child in core.children
            )
    kind = host.kind_words(cores[0].cpus)
    name += f" ({kind})" if kind else ""
    return f"{name}, CPU{'' if len(cpus) == 1 else 's'} {cpus}: {said}"


def _memory_bar(memory: NodeMemory) -> str:
    pieces = [(tenant.key, size) for tenant, size in memory.shares]
    return filled_bar([*pieces, (":", memory.rest), (".", memory.free or 0)], _BAR)


def filled_bar(pieces: t.Sequence[tuple[str, int]], width: int) -> str:
    """Pieces in proportion, each filled with its text; who has anything has at least one column while there are enough."""
    pieces = [(text, size) for text, size in pieces if size > 0]
    if not pieces:
        return " " * width
    whole = sum(size for _text, size in pieces)
    ends, total = [], 0
    for _text, size in pieces:
        total += size
        ends.append(round(width * total / whole))
    cells = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    while 0 in cells and max(cells) > 1:
        cells[cells.index(0)] += 1
        cells[cells.index(max(cells))] -= 1
    return "".join((text * cell)[:cell] for (text, _size), cell in zip(pieces, cells, strict=True))


def _guests(view: View) -> list[str]:
    widths = [
        min(max(columns(text) for text in texts), MOST_NAME)
        for texts in zip(*((tenant.key, tenant.name) for tenant in view.tenants), strict=True)
    ]
    return [
        f"  {pad(tenant.key, widths[0])}  {pad(tenant.name, widths[1])}  {_guest(tenant)}"
        for tenant in view.tenants
    ]


def _guest(tenant: Tenant) -> str:
    by_node = tenant.memory_by_node
    where = ", ".join(
        f"node {node} {size_text(size)}" for node, size in sorted((by_node or {}).items()) if size
    )
    parts = [
        tenant.action,
        count(tenant.vcpus, "vCPU"),
        tenant.affinity,
        size_text(tenant.memory) if tenant.memory else "",
    ]
    return ", ".join(part for part in parts if part) + (f" ({where})" if where else "")


def _distances(host: Picture) -> list[str]:
    distances = host.topology.distances
    width = max(
        len(str(cell)) for row in (distances.nodes, *distances.matrix) for cell in row if cell is not None
    )
    head = "  distances  " + " ".join(f"{node:>{width}}" for node in distances.nodes)
    return [head] + [
        f"  {'node ' + str(node):<9}  "
        + " ".join(f"{'-' if cell is None else cell:>{width}}" for cell in row)
        for node, row in zip(distances.nodes, distances.matrix, strict=True)
    ]


def _step_lines(found: t.Sequence[plan_steps.Step], width: int) -> list[str]:
    if not found:
        return ["  nothing to do"]
    lines = []
    for number, step in enumerate(found, 1):
        lines += [f"  {number}. {step.text}", *_wrapped(step.reasons, width)]
    return lines


def _missing(plan: Data, width: int) -> list[str]:
    """Who has no place on any host, and why."""
    return [
        line
        for name, reasons in plan_steps.unplaced(plan)
        for line in ["", f"not placed: {name}", *_wrapped(reasons, width)]
    ] + [f"  {text}" for text in plan_steps.capacity(plan)]


def _wrapped(texts: t.Iterable[str], width: int) -> list[str]:
    indent = " " * 6
    return [
        line
        for text in texts
        for line in textwrap.wrap(
            text,
            max(width, 40),
            initial_indent=indent,
            subsequent_indent=indent + "  ",
            break_long_words=False,
        )
    ]
