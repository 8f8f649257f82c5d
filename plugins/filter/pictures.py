# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that draw hosts and plans. Each is documented in the .yml file of its name."""

from __future__ import annotations

import typing as t

from ..plugin_utils._report import show
from .report import spoken, warn


def to_html(facts: t.Any, plan: t.Any = None, title: str = "") -> str:
    """The page; a host whose facts cannot be used becomes a warning, and is named on it."""
    return show.to_html(facts, plan, title, warn)


def to_svg(facts: t.Any, name: str = "", plan: t.Any = None, view: str = "after", width: int = 720) -> str:
    """The drawing; likewise."""
    return show.to_svg(facts, name, plan, view, width, warn)


def to_text(facts: t.Any, name: str = "", plan: t.Any = None, width: int = 100) -> str:
    """The text; likewise."""
    return show.to_text(facts, name, plan, width, warn)


class FilterModule:
    """What Ansible asks a file of filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name → function."""
        return {
            "to_html": spoken(to_html, "to_html"),
            "to_svg": spoken(to_svg, "to_svg"),
            "to_text": spoken(to_text, "to_text"),
        }
