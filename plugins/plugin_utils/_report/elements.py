# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.
"""Elements of SVG, as few words each as can be. Pure. Lengths are SVG user units (a CSS pixel where the picture is not scaled)."""

from __future__ import annotations

import typing as t
from xml.etree import ElementTree

from ...module_utils._errors import printable
from .words import fit

Element = ElementTree.Element
NAMESPACE = "http://www.w3.org/2000/svg"

TEXT, SMALL = 11, 9


def number(value: float) -> str:
    """A length with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def add(parent: Element, tag: str, **attributes: t.Any) -> Element:
    """A child element; ``_`` in names stands for ``-``, and ``class_`` for ``class``. None leaves an attribute out."""
    return ElementTree.SubElement(
        parent,
        tag,
        {
            name.rstrip("_").replace("_", "-"): number(value)
            if isinstance(value, (int, float))
            else str(value)
            for name, value in attributes.items()
            if value is not None
        },
    )


def titled(parent: Element, tag: str, title: str, **attributes: t.Any) -> Element:
    """A child element that says what it is when pointed at, and to those who hear the page."""
    element = add(parent, tag, **attributes)
    add(element, "title").text = title
    return element


def rect(
    parent: Element, x: float, y: float, width: float, height: float, class_: str, **more: t.Any
) -> Element:
    """A rectangle."""
    return add(parent, "rect", class_=class_, x=x, y=y, width=width, height=height, **more)


def write(
    parent: Element, x: float, y: float, text: str, class_: str = "", width: float | None = None
) -> Element | None:
    """A line of text with its base at `y`, cut with an ellipsis to `width`; nothing when not even a character fits."""
    size = SMALL if "small" in class_.split() else TEXT
    words = text if width is None else fit(text, width, size)
    if not words:
        return None
    element = add(parent, "text", x=x, y=y, class_=class_ or None)
    element.text = words
    return element


def patterns(defs: Element) -> None:
    """The hatching of soft affinity and of memory that nobody was seen to have. Once a document, as it goes by name."""
    hatch = add(
        defs,
        "pattern",
        id="xen-hatch",
        width=5,
        height=5,
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )
    rect(hatch, 0, 0, 2, 5, "", fill="#ffffff", fill_opacity="0.8")
    dots = add(defs, "pattern", id="xen-dots", width=4, height=4, patternUnits="userSpaceOnUse")
    rect(dots, 0, 0, 1.5, 1.5, "", fill="#707782")


def made_printable(element: Element) -> Element:
    """The element, with what does not print spelled out in all texts and attributes: XML has no way to write most of that."""
    for one in element.iter():
        one.text, one.tail = printable(one.text, "\n"), printable(one.tail, "\n")
        for name, value in one.attrib.items():
            one.attrib[name] = printable(value, "\n")
    return element


def to_text(element: Element) -> str:
    """The document, ready to be written to a file in UTF-8."""
    ElementTree.indent(made_printable(element), " ")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(element, encoding="unicode") + "\n"
    )
