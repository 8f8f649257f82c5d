# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The component that tells what the firmware calls the machine (DMI). Linux in dom0 passes on the host's own tables.

Source: /sys/class/dmi/id (drivers/firmware/dmi-id.c of Linux), each value in a file of its own.
"""

import os
import typing as t

from .._topology.dmi import DMI_FIELDS, DMI_SERIALS
from .component import DMI, SERIALS, Component, Heard, Request

MOST = 256  # bytes; a string of DMI has 64


class Dmi(Component):
    """Vendor, product, board, chassis and firmware; serial numbers on demand only."""

    name = "dmi"
    priority = 15
    provides = (DMI,)

    def collect(self, request: Request, heard: t.Dict[str, t.Any]) -> Heard:
        """Read what there is; a machine without DMI has nothing."""
        found = {}
        for field in DMI_FIELDS + (DMI_SERIALS if SERIALS in request.subset else ()):
            try:
                with open(os.path.join(request.root, "sys/class/dmi/id", field), "rb") as file:
                    text = file.read(MOST).decode("utf-8", "replace").strip()
            except OSError:
                continue
            if text:
                found[field] = text
        return Heard({"dmi": found})
