# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.
"""One host as an SVG drawing: boxes in boxes, threads coloured by guest, memory of each node as a bar. Pure."""

from __future__ import annotations

import math
import typing as t

from . import palette
from .elements import NAMESPACE, SMALL, TEXT, Element, add, number, patterns, rect, titled, to_text, write
from .layout import CELL_NUMBER, Layout, Plate, frame_of
from .picture import Picture, View, cpu_words, memory_words, share_words
from .style import HEAT, PICTURE, TINTS, sheet
from .tenants import ALLOWED, SOFT, Tenant
from .tree import CORE, HOST, NODE, PU, Box
from .words import count, fit, folded, shown, size_text, text_width

#: So many guests on a thread are written below each other; more become swatches without a text, so many in a row and in all.
MOST_CHIPS, SWATCHES_A_ROW, MOST_SWATCHES = 6, 4, 24
CHIP, SWATCH, MORE_LINE, POOL_LINE, KIND_LINE = 12, 7, 12, 11, 11
BAR, LINE = 13, 14
#: More PCI devices at a node are counted only, and their words are cut to that width; what stands before each is so wide.
MOST_DEVICES, WIDEST_DEVICES, DEVICE = 6, 280, 11
#: A thinner piece of a bar has no border, which would be all of it.
THINNEST = 3


class Stock:
    """What a document's drawings use again and again, once: hatching, and the marks that many threads have in common."""

    def __init__(self) -> None:
        self.element = Element("defs")
        patterns(self.element)
        self._ids: dict[tuple[t.Any, ...], str] = {}

    def id_of(self, on: t.Sequence[tuple[Tenant, str]], width: float) -> str:
        """The name of a drawing of these marks, `width` wide, which starts at 0, 0."""
        key = (number(width), *((tenant.key, mark, tenant.changes) for tenant, mark in on))
        if key not in self._ids:
            self._ids[key] = f"xen-marks-{len(self._ids)}"
            _draw_marks(add(self.element, "g", id=self._ids[key]), on, width)
        return self._ids[key]


def _draw_marks(group: Element, on: t.Sequence[tuple[Tenant, str]], width: float) -> None:
    if len(on) <= MOST_CHIPS:
        for row, (tenant, mark) in enumerate(on):
            chip(group, 0, row * CHIP, width, CHIP, tenant, mark)
            if mark == SOFT:
                # or the hatching would be behind the key
                plain = text_width(tenant.key, SMALL) + 1
                rect(
                    group,
                    (width - plain) / 2,
                    row * CHIP + 1,
                    plain,
                    CHIP - 2,
                    palette.guest_class(tenant.colour),
                )
            ink = "small middle" + ("" if mark == ALLOWED else " on")
            write(group, width / 2, row * CHIP + 9.3, tenant.key, ink)
        return
    wide = width / SWATCHES_A_ROW
    for index, (tenant, mark) in enumerate(on[:MOST_SWATCHES]):
        row, column = divmod(index, SWATCHES_A_ROW)
        chip(group, column * wide, row * SWATCH, wide, SWATCH, tenant, mark)
    more = len(on) - MOST_SWATCHES
    if more > 0:
        below = MOST_SWATCHES // SWATCHES_A_ROW * SWATCH
        write(group, width / 2, below + 9, f"+{more}", "small middle", width)


class Drawing:
    """Draws the views of one picture, all with the same places for the same things.

    `stock`: of the document that the drawing goes into; `width`: of the boxes if they can be that narrow, in SVG user
    units; `scale`: CSS pixels for each of these.
    """

    def __init__(self, picture: Picture, width: float, stock: Stock, scale: float = 1) -> None:
        self._picture = picture
        self._stock = stock
        self._on = [
            {pu.os_index: view.on(pu.os_index) for pu in picture.topology.pus} for view in picture.views
        ]
        layout = Layout(self._cell_height, self._extra, self._wish)
        self._plate = layout.arrange(picture.root, width)
        self.width = max(width, self._plate.width)
        self._scale = scale

    def _cell_height(self, box: Box) -> float:
        most = max(marks_height(len(on[box.thing.os_index])) for on in self._on)
        return most + (POOL_LINE if self._picture.pools else 0)

    def _extra(self, box: Box) -> float:
        if box.kind == CORE:
            return KIND_LINE if self._picture.kinds else 0
        if box.kind != NODE:
            return 0
        return BAR + LINE + 3 + len(self._device_lines(box)) * LINE

    def _wish(self, box: Box) -> float:
        """A node is as wide as the words about its devices, up to a limit."""
        lines = self._device_lines(box) if box.kind == NODE else []
        return min(max((text_width(line, SMALL) + DEVICE for line in lines), default=0), WIDEST_DEVICES)

    def _device_lines(self, box: Box) -> list[str]:
        lines = [self._picture.device_words(one) for one in self._picture.devices(box.thing.os_index)]
        more = len(lines) - MOST_DEVICES
        return lines if more <= 1 else [*lines[:MOST_DEVICES], f"and {more} more PCI devices"]

    def inline(self, view: View) -> Element:
        """The drawing for a page that has the style sheet and the patterns, and says everything in tables as well."""
        label = f"{self._picture.name or 'The host'}, {view.title}: {self._picture.counts()}"
        svg = Element("svg", {"aria-label": label})
        body, height = self._body(view)
        svg.append(body)
        lines = [text_width(line, TEXT) for line in floating_lines(self._picture, view)]
        return self._finish(svg, min(self.width, max([self._plate.width, *lines])), height)

    def alone(self, view: View) -> str:
        """The drawing as a document of its own, with a heading, a legend and the distances."""
        host = self._picture
        when = "" if view.title == "now" else f", {view.title} the plan"
        svg = Element("svg", {"xmlns": NAMESPACE})
        add(svg, "title").text = f"{host.name or host.noun}{when}"
        add(svg, "desc").text = description(host, view)
        add(svg, "style").text = "\n" + sheet(PICTURE)
        svg.append(self._stock.element)
        add(svg, "rect", class_="paper", width="100%", height="100%")
        width = self.width + 16
        write(svg, 8, 22, fit(f"{host.name or host.noun}{when}", width - 16, 15 * 1.1), "title")
        write(svg, 8, 40, self._headline(), "dim", width - 16)
        top = 50
        for line in (line for text in about(host) for line in folded(text, width - 16, TEXT)):
            write(svg, 8, top + 5, line, "dim")
            top += 15
        body, height = self._body(view)
        body.set("transform", f"translate(8 {top})")
        svg.append(body)
        y = top + height
        y = self._legend(svg, view, y + 12)
        y = self._distances(svg, y + 12)
        for note in host.notes:
            for line in folded(f"Note: {note}", width - 16, TEXT):
                write(svg, 8, y + TEXT, line)
                y += LINE
        return to_text(self._finish(svg, width, y + 6))

    def _headline(self) -> str:
        xen = self._picture.topology.xen
        version = f"Xen {xen.version}" if xen.version else ""
        return ", ".join(part for part in (version, self._picture.counts()) if part)

    def _finish(self, svg: Element, width: float, height: float) -> Element:
        width, height = math.ceil(width) + 1, math.ceil(height) + 1
        svg.attrib.update(
            {
                "class": "picture",
                "role": "img",
                "width": number(width * self._scale),
                "height": number(height * self._scale),
                # half of a line of a box at the border is outside of the box
                "viewBox": f"-0.5 -0.5 {width} {height}",
            }
        )
        return svg

    # the host

    def _body(self, view: View) -> tuple[Element, float]:
        """The boxes and, below them, who floats; and how high that is."""
        body = Element("g")
        self._box(body, self._plate, 0, 0, view)
        y = self._plate.height
        unplaced = self._picture.devices(None)
        lines = [f"{count(len(unplaced), 'PCI device')} at no known node"] if unplaced else []
        for line in [*floating_lines(self._picture, view), *lines]:
            write(body, 0, y + LINE, line, "dim", self.width)
            y += LINE
        return body, y + 4

    def _box(self, parent: Element, plate: Plate, x: float, y: float, view: View) -> None:
        x, y = x + plate.x, y + plate.y
        box = plate.box
        if box.kind == PU:
            self._thread(parent, plate, x, y, view)
            return
        group = add(parent, "g", class_="box")
        if box.kind != HOST:
            kind = box.kind if box.kind in ("package", NODE, CORE) else "cache"
            rect(group, x, y, plate.width, plate.height, f"frame {kind}{self._tint(box)}", rx=2)
            frame = frame_of(box)
            size = "small" if frame.label < 17 else ""
            if box.kind == CORE:
                self._kind(group, plate, x, y)
            write(
                group,
                x + frame.pad,
                y + frame.label - 4,
                box_label(box),
                size + " dim" if size else "",
                plate.width - 2 * frame.pad,
            )
        if box.kind == NODE:
            self._memory(group, plate, x, y, view)
        for child in plate.children:
            self._box(group, child, x, y, view)

    def _tint(self, box: Box) -> str:
        """The style class of a core of one kind."""
        kinds = self._picture.kinds_of(box.cpus) if box.kind == CORE else []
        return f" kind{kinds[0] % TINTS}" if len(kinds) == 1 else ""

    def _kind(self, group: Element, plate: Plate, x: float, y: float) -> None:
        """Of which kind the core's CPUs are, below its label."""
        words = self._picture.kind_words(plate.box.cpus)
        frame = frame_of(plate.box)
        if words:
            write(
                group,
                x + frame.pad,
                y + frame.label + KIND_LINE - 4,
                words,
                "small dim",
                plate.width - 2 * frame.pad,
            )

    def _thread(self, parent: Element, plate: Plate, x: float, y: float, view: View) -> None:
        pu = plate.box.thing
        group = titled(parent, "g", cpu_words(pu, view, self._picture), class_="pu")
        offline = pu.online is False
        rect(group, x, y, plate.width, plate.height, "cell off" if offline else "cell")
        middle = x + plate.width / 2
        if offline:
            corners = (x, y, x + plate.width, y + plate.height)
            add(group, "path", class_="cross", d="M{} {}L{} {}".format(*map(number, corners)))
            corners = (x + plate.width, y, x, y + plate.height)
            add(group, "path", class_="cross", d="M{} {}L{} {}".format(*map(number, corners)))
        write(group, middle, y + 10.5, plate.box.label, "small middle" + (" haloed" if offline else ""))
        on = self._on[self._picture.views.index(view)][pu.os_index]
        if on and not offline:
            add(group, "use", href="#" + self._stock.id_of(on, plate.width), x=x, y=y + CELL_NUMBER)
        if self._picture.pools and not offline:
            pool = "free" if pu.cpupool is None else f"p{pu.cpupool}"
            write(group, middle, y + plate.height - 3, pool, "small middle dim", plate.width)

    def _memory(self, group: Element, plate: Plate, x: float, y: float, view: View) -> None:
        node = plate.box.thing
        memory = view.memory[node.os_index]
        frame = frame_of(plate.box)
        x, y, width = x + frame.pad, y + frame.label, plate.width - 2 * frame.pad
        words = memory_words(node, memory)
        whole = titled(
            group, "g", f"Memory of node {node.os_index}: {', '.join(share_words(memory))}", class_="memory"
        )
        memory_bar(whole, x, y, width, BAR, memory)
        write(group, x, y + BAR + 11, words, "small dim", width)
        for line in self._device_lines(plate.box):
            y += LINE
            device = titled(group, "g", line)
            rect(device, x, y + BAR + 4, 7, 7, "edge inner")
            write(device, x + DEVICE, y + BAR + 11, line, "small", width - DEVICE)

    # what a document of its own has besides

    def _legend(self, svg: Element, view: View, y: float) -> float:
        """Guests with their keys, then what the marks mean. Returns where it ends."""
        write(svg, 8, y + TEXT, "Guests" if view.tenants else "No guests known", "strong")
        y += 18
        widest = max((text_width(tenant_words(tenant), TEXT) + 44 for tenant in view.tenants), default=1)
        abreast = max(1, int(self.width // widest))
        wide = self.width / abreast
        for index, tenant in enumerate(view.tenants):
            row, column = divmod(index, abreast)
            x, top = 8 + column * wide, y + row * (CHIP + 5)
            group = titled(svg, "g", tenant_words(tenant))
            chip(group, x, top, 26, CHIP, tenant, "hard")
            write(group, x + 13, top + 9.3, tenant.key, "small middle on")
            write(group, x + 32, top + 10, tenant_words(tenant), "", wide - 40)
        y += math.ceil(len(view.tenants) / abreast) * (CHIP + 5) + 4
        x = 8.0
        for kind, meaning in marks_shown(view.title == "after"):
            need = 34 + text_width(meaning, TEXT) + 14
            if x > 8 and x + need > self.width + 8:
                x, y = 8.0, y + CHIP + 6
            sample(svg, x, y, kind)
            write(svg, x + 32, y + 10, meaning)
            x += need
        return y + CHIP + 4

    def _distances(self, svg: Element, y: float) -> float:
        distances = self._picture.topology.distances
        nodes = distances.nodes
        if len(nodes) < 2:
            return y
        wide = min(34.0, (self.width - 70) / len(nodes))
        if wide < 20:
            write(
                svg,
                8,
                y + TEXT,
                f"Distances between {len(nodes)} nodes: too many to draw.",
                "dim",
                self.width,
            )
            return y + LINE
        write(svg, 8, y + TEXT, "Distances between nodes (10 is the node itself)", "strong", self.width)
        y += 20
        for column, node in enumerate(nodes):
            write(svg, 70 + (column + 0.5) * wide, y + 10, str(node), "small middle dim")
        far = farthest(distances.matrix)
        for row, node in enumerate(nodes):
            top = y + 14 + row * 16
            write(svg, 64, top + 11, f"node {node}", "small end dim")
            for column, distance in enumerate(distances.matrix[row]):
                group = titled(svg, "g", distance_words(node, nodes[column], distance))
                rect(group, 70 + column * wide, top, wide, 16, f"edge {heat_class(distance, far)}")
                text = "-" if distance is None else str(distance)
                ink = "small middle" + ("" if distance is None else " on")
                write(group, 70 + (column + 0.5) * wide, top + 11, text, ink, wide)
        return y + 14 + len(nodes) * 16 + 4


#: Samples of the legend: what is drawn, and what it means.
MARKS_SHOWN = (
    ("hard", "hard affinity"),
    ("soft", "soft affinity"),
    ("allowed", "allowed, not preferred"),
    ("offline", "offline CPU"),
    ("rest", "memory of Xen, holes, or not measured"),
    ("free", "free memory"),
)
CHANGED = "changed by the plan"


def marks_shown(planned: bool) -> list[tuple[str, str]]:
    """The samples that a page or drawing needs."""
    return [*MARKS_SHOWN, *([("changed", CHANGED)] if planned else [])]


def marks_height(marks: int) -> float:
    """How high the marks of so many tenants on one thread are."""
    if marks <= MOST_CHIPS:
        return marks * CHIP
    rows = math.ceil(min(marks, MOST_SWATCHES) / SWATCHES_A_ROW)
    return rows * SWATCH + (MORE_LINE if marks > MOST_SWATCHES else 0)


def chip(parent: Element, x: float, y: float, width: float, height: float, tenant: Tenant, mark: str) -> None:
    """A tenant's colour, plain, hatched for soft affinity, or only an outline where it is allowed and not preferred."""
    if mark == ALLOWED:
        rect(parent, x, y, width, height, "allowed")
        return
    rect(parent, x, y, width, height, palette.guest_class(tenant.colour))
    if mark == SOFT:
        rect(parent, x, y, width, height, "", fill="url(#xen-hatch)")
    if not tenant.changes:
        rect(parent, x, y, width, height, "edge hollow")
        return
    # a line against what is around, and one against the colour
    rect(parent, x + 0.5, y + 0.5, width - 1, height - 1, "around hollow")
    rect(parent, x + 1.5, y + 1.5, width - 3, height - 3, "changed hollow")


def sample(parent: Element, x: float, y: float, kind: str) -> None:
    """What a kind of mark looks like."""
    if kind == "offline":
        rect(parent, x, y, 26, CHIP, "cell off")
        add(
            parent,
            "path",
            class_="cross",
            d=f"M{number(x)} {number(y)}l26 {CHIP}M{number(x + 26)} {number(y)}l-26 {CHIP}",
        )
    elif kind == "rest":
        rect(parent, x, y, 26, CHIP, "rest")
        rect(parent, x, y, 26, CHIP, "edge", fill="url(#xen-dots)")
    elif kind == "free":
        rect(parent, x, y, 26, CHIP, "edge free")
    else:
        anybody = Tenant("", "", 0, 0, {}, "", 0, None, action="create" if kind == "changed" else "")
        chip(parent, x, y, 26, CHIP, anybody, kind)


def memory_bar(parent: Element, x: float, y: float, width: float, height: float, memory: t.Any) -> None:
    """A node's memory: a piece for each tenant with its key where there is room, the rest, and what is free."""
    pieces = [(palette.guest_class(tenant.colour), size, tenant.key) for tenant, size in memory.shares]
    pieces += [("rest", memory.rest, ""), ("free", memory.free or 0, "")]
    whole = sum(size for _class, size, _key in pieces)
    at = x
    for class_, size, key in pieces:
        if not size:
            continue
        wide = width * size / whole
        rect(parent, at, y, wide, height, class_)
        if class_ == "rest":
            rect(parent, at, y, wide, height, "", fill="url(#xen-dots)")
        if wide > THINNEST:
            rect(parent, at, y, wide, height, "edge hollow")
        if key and text_width(key, SMALL) + 2 < wide:
            write(parent, at + wide / 2, y + height - 3.2, key, "small middle on")
        at += wide
    rect(parent, x, y, width, height, "edge hollow")


def about(picture: Picture) -> list[str]:
    """What is said of the host as a whole: its caches, and the kinds of its CPUs where there are several."""
    caches = f"Caches: {picture.caches()}" if picture.caches() else ""
    return [text for text in (caches, picture.all_kinds()) if text]


def box_label(box: Box) -> str:
    """What stands on a box."""
    if box.kind != NODE:
        return box.label
    kind = f" ({shown(box.thing.subtype)})" if box.thing.subtype else ""
    if not box.cpus:
        near = ", ".join(str(node) for node in box.thing.nearest_cpu_nodes)
        if box.thing.shared_cpuset and near:
            return f"{box.label}{kind} beside {near}"
        return f"{box.label}{kind}, no CPUs" + (f" (nearest: {near})" if near else "")
    return f"{box.label}{kind}, CPUs {box.cpus}"


def floating_lines(picture: Picture, view: View) -> list[str]:
    """Who may run anywhere, in one line."""
    names = [f"{tenant.key} {tenant.name}" for tenant in view.tenants if tenant.floats]
    where = "On any CPU of their cpupool" if picture.pools else "On any CPU"
    return [f"{where}: {', '.join(names)}"] if names else []


def tenant_words(tenant: Tenant) -> str:
    """``web: 2 vCPUs, soft 8-15, 128 MiB``."""
    action = f" ({tenant.action})" if tenant.action else ""
    memory = f", {size_text(tenant.memory)}" if tenant.memory else ""
    return f"{tenant.name}{action}: {count(tenant.vcpus, 'vCPU')}, {tenant.affinity}{memory}"


def description(picture: Picture, view: View) -> str:
    """The picture in words, for those who do not see it."""
    guests = "; ".join(f"{tenant.key} is {tenant_words(tenant)}" for tenant in view.tenants) or "not known"
    nodes = "; ".join(
        f"node {node.os_index}: {', '.join(share_words(view.memory[node.os_index]))}"
        for node in picture.topology.nodes
    )
    return f"{picture.counts()}. Guests: {guests}. Memory: {nodes}."


def farthest(matrix: t.Sequence[t.Sequence[int | None]]) -> int:
    """The largest distance that is known."""
    return max((distance for row in matrix for distance in row if distance is not None), default=10)


def heat_class(distance: int | None, far: int) -> str:
    """The style class of a distance's colour: from near (10) to the farthest."""
    if distance is None:
        return "off"
    share = (distance - 10) / max(far - 10, 1)
    return f"heat{min(max(round(share * (len(HEAT) - 1)), 0), len(HEAT) - 1)}"


def distance_words(source: int, target: int, distance: int | None) -> str:
    """``node 0 to node 1: 21``."""
    return f"node {source} to node {target}: {'unreachable' if distance is None else distance}"
