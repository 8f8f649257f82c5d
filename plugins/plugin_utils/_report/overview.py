# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.
"""A fleet as a drawing: a row a host with the memory of its nodes. Pure. Lengths are SVG user units."""

from __future__ import annotations

import typing as t

from .elements import NAMESPACE, Element, add, patterns, rect, to_text, write
from .fleet import Row
from .picture import NodeMemory
from .style import PICTURE, sheet
from .svg import memory_bar
from .tenants import Tenant
from .words import count, size_text

WIDTH, BARS, GAP = 920, 240, 3
NAME = 200
_GUESTS = Tenant("", "guests", 0, 0, {}, "", 0, None)
_DOM0 = Tenant("", "dom0", None, 0, {}, "", 0, None)


def change(values: t.Iterable[str]) -> str:
    """``3``, or ``3 → 4`` where the plan changes it."""
    return " → ".join(dict.fromkeys(values))


def small_bars(row: Row) -> Element:
    """The bars of one host as a drawing of their own, for a cell of a table."""
    height = _height(row)
    label = "; ".join(
        f"node {number}: {change(size_text(view[number].free) for view in row.memory)} of {size_text(total)} free"
        for number, total in ((number, row.memory[0][number].total) for number in range(row.nodes))
    )
    svg = Element(
        "svg",
        {
            "class": "picture",
            "role": "img",
            "aria-label": label,
            "width": str(BARS),
            "height": str(height),
            "viewBox": f"0 0 {BARS} {height}",
        },
    )
    _bars(svg, 0, 0, row)
    return svg


def fleet_svg(rows: t.Sequence[Row], left_out: t.Sequence[str] = ()) -> str:
    """The whole fleet as a document of its own. `left_out`: sentences about hosts that are not in it."""
    planned = bool(rows) and len(rows[0].memory) > 1
    svg = Element("svg", {"xmlns": NAMESPACE, "class": "picture", "role": "img"})
    add(svg, "title").text = count(len(rows), "Xen host")
    add(svg, "style").text = "\n" + sheet(PICTURE)
    patterns(add(svg, "defs"))
    add(svg, "rect", class_="paper", width="100%", height="100%")
    write(svg, 8, 22, count(len(rows), "Xen host"), "title")
    when = ", above now and below after the plan" if planned else ""
    write(
        svg, 8, 40, f"Memory, a bar a node: dom0 grey, guests blue, the rest dotted, free empty{when}", "dim"
    )
    y = 52.0
    for number, row in enumerate(rows):
        high = max(_height(row), 14) + 6
        if number % 2:
            rect(svg, 0, y - 3, WIDTH, high, "package")
        write(svg, 8, y + high / 2, row.name or "host", "strong", NAME - 16)
        _bars(svg, NAME, y, row)
        write(svg, NAME + BARS + 12, y + high / 2, _words(row), "", WIDTH - NAME - BARS - 20)
        y += high
    for text in left_out:
        write(svg, 8, y + 12, text, "", WIDTH - 16)
        y += 20
    svg.attrib.update(width=str(WIDTH), height=f"{y + 4:g}", viewBox=f"0 0 {WIDTH} {y + 4:g}")
    return to_text(svg)


def _words(row: Row) -> str:
    free = change(size_text(free) for free in row.free)
    guests, vcpus = (change(map(str, numbers)) for numbers in (row.guests, row.vcpus))
    return f"{guests} guests, {vcpus} vCPUs, {row.cores} cores, {free} free"


def _height(row: Row) -> int:
    return len(row.memory) * (_bar_height(row) + 2)


def _bar_height(row: Row) -> int:
    return 9 if len(row.memory) > 1 else 14


def _bars(parent: Element, x: float, y: float, row: Row) -> None:
    """A bar for each node beside each other, the views below each other."""
    high = _bar_height(row)
    wide = max((BARS - GAP * (row.nodes - 1)) / max(row.nodes, 1), 1)
    for line, nodes in enumerate(row.memory):
        for column, node in enumerate(nodes):
            memory_bar(
                parent, x + column * (wide + GAP), y + line * (high + 2) + 0.5, wide, high, _summed(node)
            )


def _summed(memory: NodeMemory) -> NodeMemory:
    """The same with all guests as one."""
    dom0 = sum(size for tenant, size in memory.shares if tenant.colour is None)
    guests = sum(size for tenant, size in memory.shares if tenant.colour is not None)
    return NodeMemory(memory.total, memory.free, ((_DOM0, dom0), (_GUESTS, guests)), memory.rest)
