# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that carry the roles from one task to the next. Each is documented in the .yml file of its name."""

from __future__ import annotations

import typing as t

from ..plugin_utils._roles import boot, steps, wanted
from .report import spoken


class FilterModule:
    """What Ansible asks a file of filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name → function."""
        return {
            "wanted_guests": spoken(wanted.wanted_guests),
            "place_steps": spoken(steps.place_steps),
            "xl_config": spoken(wanted.config_text),
            "boot_arguments": spoken(boot.boot_arguments),
            "boot_pending": spoken(boot.boot_pending),
        }
