# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Words for people in reports: sizes, counts, and texts from elsewhere made safe to show. Pure."""

from __future__ import annotations

import typing as t
import unicodedata

from ...module_utils._errors import printable

#: Width of a character in em, for the fonts that pages fall back to. Rather too wide than too narrow: nothing may be cut.
_WIDE = frozenset("mwMWQOG@%&#")
_NARROW = frozenset("ijltfrI|!.,:;'()[]{} -/\\")


def shown(value: t.Any) -> str:
    """A text from elsewhere with what does not print (control characters, changes of writing direction) spelled out: ``\\x1b``."""
    return str(printable(str(value)))


def size_text(size: int | None) -> str:
    """Bytes for people: ``1.5 GiB``, ``949 MiB``, ``1.25 MiB``, ``4 KiB``; ``?`` when unknown. What rounds to 1024 has the next unit."""
    if size is None:
        return "?"
    if not size:
        return "0 MiB"
    for unit, shift, places in (("KiB", 10, 0), ("MiB", 20, 0), ("GiB", 30, 1), ("TiB", 40, 1)):
        value = size / (1 << shift)
        if unit == "MiB" and abs(value) < 10 and not size % (1 << shift - 3):
            places = 3  # caches come in eighths
        figure = f"{value:.{places}f}"
        if abs(float(figure)) < 1024:
            break
    return f"{figure.rstrip('0').rstrip('.') if '.' in figure else figure} {unit}"


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 core``, ``2 cores``, ``2 boxes``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def columns(text: str) -> int:
    """How many columns of a terminal the text takes: East Asian characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def text_width(text: str, size: float) -> float:
    """About how wide the text is in a proportional font of that size, same unit as `size`."""
    return size * sum(_em(character) for character in text)


def _em(character: str) -> float:
    if character in _NARROW:
        return 0.42
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.2
    if character in _WIDE:
        return 1.0
    if not character.isascii():
        return 1.0
    return 0.74 if character.isupper() else 0.64


def fit(text: str, width: float, size: float) -> str:
    """The text, cut with an ellipsis where it would be wider than `width`; empty when not even one character fits."""
    if text_width(text, size) <= width:
        return text
    room = width - text_width("…", size)
    for length, character in enumerate(text):
        room -= size * _em(character)
        if room < 0:
            return text[:length].rstrip() + "…" if length else ""
    return text


def folded(text: str, width: float, size: float) -> list[str]:
    """The text in lines that are no wider than `width`, broken between words; a longer word has a line of its own, cut."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(fit(word, width, size))
    return lines
