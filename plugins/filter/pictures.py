# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that draw hosts and plans. Each is documented in the .yml file of its name."""

from __future__ import annotations

import typing as t

from ..plugin_utils._report import show
from .report import spoken


class FilterModule:
    """What Ansible asks a file of filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name → function."""
        return {
            "to_html": spoken(show.to_html),
            "to_svg": spoken(show.to_svg),
            "to_text": spoken(show.to_text),
        }
