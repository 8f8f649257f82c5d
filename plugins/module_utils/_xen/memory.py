# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HYPERVISOR_memory_op: where the machine has memory. Header: xen/include/public/memory.h."""

import typing as t

from . import errors

if t.TYPE_CHECKING:
    from .connection import Xen

MACHINE_MEMORY_MAP = 10

RAM = 1  # E820_RAM
ENTRIES_AT_FIRST = 128
ENTRIES_MOST = 1 << 16


class Region(t.NamedTuple):
    """One entry of the E820: bytes, and the type; 1 is RAM."""

    address: int
    size: int
    type: int


def machine_memory_map(xen: "Xen") -> t.List[Region]:
    """XENMEM_machine_memory_map (x86): the machine's memory as the firmware gave it and as Xen cut it, in no promised order.

    Raises NotSupported where the architecture has no such map.
    """
    room = ENTRIES_AT_FIRST
    while True:
        with xen.buffer("struct xen_memory_map") as op, xen.buffer("struct e820entry", room) as entries:
            op.nr_entries = room
            op.buffer = xen.address(entries)
            try:
                xen.memory_op(op, MACHINE_MEMORY_MAP, "machine_memory_map")
            except errors.Invalid:
                # Too little room is EINVAL.
                if room >= ENTRIES_MOST:
                    raise
            else:
                return [
                    Region(
                        entries[i].addr_high << 32 | entries[i].addr_low,
                        entries[i].size_high << 32 | entries[i].size_low,
                        entries[i].type,
                    )
                    for i in range(min(room, int(op.nr_entries)))
                ]
        room *= 8
