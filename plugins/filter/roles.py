# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that carry the roles from one task to the next. Each is documented in the .yml file of its name."""

from __future__ import annotations

import typing as t

from ..plugin_utils._placement.request import GUEST_KEYS
from ..plugin_utils._roles import boot, files, homes, steps, wanted
from .report import spoken


def asked_guests(guests: t.Any, host: str) -> dict[str, t.Any]:
    """What one host asks for, with the values of fields that the planner knows."""
    return wanted.asked_guests(guests, host, GUEST_KEYS)


class FilterModule:
    """What Ansible asks a file of filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name → function."""
        return {
            "asked_guests": spoken(asked_guests, "asked_guests"),
            "wanted_guests": spoken(wanted.wanted_guests, "wanted_guests"),
            "guest_texts": spoken(wanted.guest_texts, "guest_texts"),
            "with_texts": spoken(wanted.with_texts, "with_texts"),
            "file_name": spoken(files.file_name, "file_name"),
            "place_steps": spoken(steps.place_steps, "place_steps"),
            "xl_config": spoken(wanted.config_text, "xl_config"),
            "boot_arguments": spoken(boot.boot_arguments, "boot_arguments"),
            "boot_pending": spoken(boot.boot_pending, "boot_pending"),
            "created_homes": spoken(homes.created_homes, "created_homes"),
            "known_faults": spoken(boot.known_faults, "known_faults"),
        }
