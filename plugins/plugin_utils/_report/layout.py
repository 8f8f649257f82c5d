# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.
"""Where each box of a picture goes: boxes in boxes, in as many columns as make the whole low. Pure; lengths are SVG user units.

A :class:`Plate` is a box with its place. The outermost one starts at 0, 0; places are relative to the plate around.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import typing as t

from .tree import CACHE, CORE, HOST, NODE, PACKAGE, PU, Box


class Frame(t.NamedTuple):
    """How a kind of box is built: space for its label, space inside its border, space between its children, least width inside."""

    label: int
    pad: int
    gap: int
    least: int


#: A kind that is not here is drawn like a cache.
FRAMES = {
    HOST: Frame(0, 0, 8, 0),
    PACKAGE: Frame(17, 6, 6, 0),
    NODE: Frame(17, 6, 5, 170),
    CACHE: Frame(14, 4, 4, 0),
    CORE: Frame(13, 3, 2, 40),
}
#: A thread: its number above, then what is on it.
CELL_WIDTH = 26
CELL_NUMBER = 14


@dataclasses.dataclass
class Plate:
    """A box with its place in the plate around it, and the space under its label that is kept for something else (`extra` high)."""

    box: Box
    width: float
    height: float
    extra: float = 0
    x: float = 0
    y: float = 0
    children: list[Plate] = dataclasses.field(default_factory=list)


class Layout:
    """Arranges boxes. `cell_height(box)` is the height of a thread's marks, `extra(box)` what a box keeps free under its label, and
    `wish(box)` how wide it wants to be inside for that.
    """

    def __init__(
        self,
        cell_height: t.Callable[[Box], float],
        extra: t.Callable[[Box], float],
        wish: t.Callable[[Box], float],
    ) -> None:
        self._cell_height = cell_height
        self._extra = extra
        self._wish = wish
        self._done: dict[tuple[int, int], Plate] = {}
        self._least: dict[int, float] = {}

    def arrange(self, box: Box, width: float) -> Plate:
        """The box at most so wide, if its contents allow, and as low as can be."""
        key = id(box), int(width)
        if key not in self._done:
            self._done[key] = self._leaf(box) if box.kind == PU else self._container(box, width)
        return self._done[key]

    def least(self, box: Box) -> float:
        """The least width that the box needs."""
        if id(box) not in self._least:
            frame = frame_of(box)
            inside = max((self.least(child) for child in box.children), default=0.0)
            if box.kind == CORE and len(box.children) <= 4:
                inside = len(box.children) * (CELL_WIDTH + frame.gap) - frame.gap
            inside = max(inside, frame.least, self._wish(box))
            self._least[id(box)] = CELL_WIDTH if box.kind == PU else inside + 2 * frame.pad
        return self._least[id(box)]

    def _leaf(self, box: Box) -> Plate:
        return Plate(box, CELL_WIDTH, CELL_NUMBER + self._cell_height(box))

    def _container(self, box: Box, width: float) -> Plate:
        frame = frame_of(box)
        inside = max(width - 2 * frame.pad, self.least(box) - 2 * frame.pad)
        rows = self._best_rows(box.children, inside, frame.gap)
        extra = self._extra(box)
        top = frame.label + frame.pad / 2 + extra
        placed: list[Plate] = []
        y = top
        for row in rows:
            x: float = frame.pad
            height = max(plate.height for plate in row)
            mixed = any(plate.box.kind != CORE for plate in row)
            for plate in row:
                # a node without CPUs beside large packages, or a core beside a cache of several, would be mostly void
                low = plate.height if not plate.children or (mixed and plate.box.kind == CORE) else height
                placed.append(dataclasses.replace(plate, x=x, y=y, height=low))
                x += plate.width + frame.gap
            y += height + frame.gap
        bottom = y - frame.gap if rows else top
        right = max((plate.x + plate.width for plate in placed), default=frame.pad)
        natural = Plate(box, right + frame.pad, bottom + frame.pad, extra, children=placed)
        return widened(natural, max(natural.width, self.least(box)))

    def _best_rows(self, children: t.Sequence[Box], inside: float, gap: float) -> list[list[Plate]]:
        """Rows of equally wide plates; of all numbers of columns that fit the one with which the rows are lowest together."""
        if not children:
            return []
        least = max(self.least(child) for child in children)
        most = max(1, min(len(children), int((inside + gap) // (least + gap))))
        fixed = all(child.kind in (CORE, PU) for child in children)
        numbers = {math.ceil(len(children) / row) for row in range(1, len(children) + 1)}
        choices = [most] if fixed else sorted((n for n in numbers if n <= most), reverse=True)
        found = [self._rows(children, number, (inside + gap) / number - gap, gap) for number in choices]
        return min(found, key=lambda rows: sum(max(plate.height for plate in row) + gap for row in rows))

    def _rows(self, children: t.Sequence[Box], number: int, width: float, gap: float) -> list[list[Plate]]:
        plates = [self.arrange(child, width) for child in children]
        widest = max(plate.width for plate in plates)
        plates = [widened(plate, widest) for plate in plates]
        # rows of the same length look better than a last one that is nearly empty
        number = math.ceil(len(plates) / math.ceil(len(plates) / number))
        return [plates[start : start + number] for start in range(0, len(plates), number)]


def widened(plate: Plate, width: float) -> Plate:
    """The plate with that width. What is gained the boxes of each row share; cores stay as they are, but threads in a core share it too."""
    gained = width - plate.width
    if not gained or not plate.children or (plate.box.kind != CORE and plate.children[0].box.kind == CORE):
        return dataclasses.replace(plate, width=width)
    children: list[Plate] = []
    for _y, row in itertools.groupby(plate.children, key=lambda child: child.y):
        boxes = list(row)
        share = gained / len(boxes)
        for index, child in enumerate(boxes):
            moved = dataclasses.replace(child, x=child.x + share * index)
            children.append(widened(moved, child.width + share))
    return dataclasses.replace(plate, width=width, children=children)


def frame_of(box: Box) -> Frame:
    """How the box is built."""
    return FRAMES.get(box.kind, FRAMES[CACHE])
