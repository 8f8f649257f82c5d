# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""How guests are told apart: a short key that is always written, and a colour beside it. Pure."""

from __future__ import annotations

#: Twelve hues of one lightness (OKLCH 0.82), then the same darker (0.72) and lighter (0.90). Black text is readable on all of them.
# fmt: off
GUESTS = (
    "#8ccaff", "#f9b379", "#8fd89e", "#edaae6", "#d5c66f", "#5ddae0", "#ffa7a7", "#c3b8ff", "#b4d181", "#72d1fe", "#faa6ce", "#6ddcc0",
    "#60aaf3", "#df8f48", "#62bb78", "#d285cb", "#b8a636", "#00bcc5", "#eb8182", "#a495f0", "#92b352", "#32b3e6", "#e181b0", "#21bfa0",
    "#b6e3ff", "#ffd2a9", "#b9eec2", "#fdcbf8", "#eae0a2", "#9deff3", "#ffc9c8", "#ddd6ff", "#d2e8ae", "#a7e9ff", "#ffc9e5", "#a5f0db",
)
# fmt: on
#: dom0 is grey.
DOM0 = "#b9b9b9"
#: What is written on these, in light and in dark pages.
INK = "#111111"


def guest_key(index: int) -> str:
    """A to Z, then AA to ZZ and so on, as in a spreadsheet."""
    key = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        key = chr(ord("A") + letter) + key
    return key


def guest_class(index: int | None) -> str:
    """The style class of a guest's colour; None is dom0."""
    return "d0" if index is None else f"g{index % len(GUESTS)}"
