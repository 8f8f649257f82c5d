# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HYPERVISOR_platform_op: what concerns the machine as a whole. Header: xen/include/public/platform.h."""

import typing as t

if t.TYPE_CHECKING:
    from .connection import Xen

GET_CPUINFO = 55

FLAG_ONLINE = 1
FLAG_INVALID = 2  # Xen has no such CPU


class PcpuInfo(t.NamedTuple):
    """struct xenpf_pcpuinfo. `max_present` is the highest CPU number that is present, whichever CPU was asked for."""

    max_present: int
    flags: int
    apic_id: int
    acpi_id: int


def get_cpuinfo(xen: "Xen", cpu: int) -> PcpuInfo:
    """XENPF_get_cpuinfo of one CPU, online or not.

    A number without a CPU is no error: it has FLAG_INVALID. Raises NotSupported on Arm and where dom0's kernel filters hypercalls.
    """
    with xen.request("struct xen_platform_op") as op:
        op.u.pcpu_info.xen_cpuid = cpu
        xen.platform_op(op, GET_CPUINFO, "get_cpuinfo", cpu=cpu)
        info = op.u.pcpu_info
        return PcpuInfo(info.max_present, info.flags, info.apic_id, info.acpi_id)
