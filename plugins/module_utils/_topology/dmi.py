# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""DMI: what the firmware calls the machine. Pure."""

import typing as t

#: Fields of DMI as Linux calls them, without those that single out one machine.
DMI_FIELDS = (
    "bios_date",
    "bios_vendor",
    "bios_version",
    "board_name",
    "board_vendor",
    "board_version",
    "chassis_type",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_sku",
    "product_version",
    "sys_vendor",
)
#: Those that do.
DMI_SERIALS = (
    "board_asset_tag",
    "board_serial",
    "chassis_asset_tag",
    "chassis_serial",
    "product_serial",
    "product_uuid",
)


def dmi(heard: t.Dict[str, t.Any]) -> t.Optional[t.Dict[str, t.Optional[str]]]:
    """Every field of DMI, None for what the firmware does not say or nobody asked for; None altogether when it was not heard."""
    if "dmi" not in heard:
        return None
    said = heard["dmi"]
    return {field: said.get(field) for field in sorted(DMI_FIELDS + DMI_SERIALS)}
