# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The component that reads the firmware's tables. Linux in dom0 passes them on as they are: they speak of the host, not of dom0.

Only they know the CPUs that Xen never brought up, the proximity domain of each CPU, and which memory belongs to which domain.
Source: /sys/firmware/acpi/tables (Documentation/ABI/testing/sysfs-firmware-acpi of Linux).
"""

import os
import typing as t

from .._topology import acpi
from .component import Component, Heard, Request

TABLES = "sys/firmware/acpi/tables"
MOST = 16 << 20  # bytes that are read of one table; the largest hosts need a few hundred KiB


class Acpi(Component):
    """MADT, SRAT and SLIT."""

    name = "acpi"
    priority = 45

    def collect(self, request: Request, heard: t.Dict[str, t.Any]) -> Heard:
        """Read what there is. A table that does not exist is no fault: a host without NUMA has no SRAT, one with Arm no ACPI."""
        found: t.Dict[str, t.Any] = {}
        warnings: t.List[str] = []
        for table, take in (("APIC", _madt), ("SRAT", _srat), ("SLIT", _slit)):
            path = os.path.join(request.root, TABLES, table)
            try:
                with open(path, "rb") as file:
                    found.update(take(file.read(MOST)))
            except FileNotFoundError:
                continue
            except OSError as error:
                warnings.append(
                    "%s cannot be read (%s): what only the firmware knows is missing."
                    % (path, error.strerror or error)
                )
            except acpi.AcpiError as error:
                warnings.append("%s is not used: %s." % (path, error.message))
        return Heard({"acpi": found}, warnings)


def _madt(data: bytes) -> t.Dict[str, t.Any]:
    return {"madt": acpi.parse_madt(data)}


def _srat(data: bytes) -> t.Dict[str, t.Any]:
    cpus, memory = acpi.parse_srat(data)
    return {"srat_cpus": cpus, "srat_memory": memory}


def _slit(data: bytes) -> t.Dict[str, t.Any]:
    return {"slit": acpi.parse_slit(data)}
