# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Xen's marks and numbers, and what they mean. Headers: xen/include/public/{sysctl,domctl,platform}.h. Pure."""

import typing as t

#: Xen's ~0U: "no such thing" for cores, packages, nodes, sizes, distances, pools and vCPU counts. 64-bit fields get it unextended.
INVALID = 0xFFFFFFFF

PCPU_ONLINE = 1  # XEN_PCPU_FLAGS_ONLINE
PCPU_INVALID = 2  # XEN_PCPU_FLAGS_INVALID: not present

SCHEDULERS = {4: "sedf", 5: "credit", 6: "credit2", 7: "arinc653", 8: "rtds", 9: "null"}

PAGE_SIZE = 4096  # what every architecture of Xen uses


def at(values: t.Sequence[t.Any], index: int) -> t.Optional[int]:
    """Return the number at this index, None where there is none."""
    return values[index] if index < len(values) and values[index] != INVALID else None


def scheduler(sched_id: t.Optional[int]) -> t.Optional[str]:
    """Name the scheduler (XEN_SCHEDULER_*)."""
    return None if sched_id is None else SCHEDULERS.get(sched_id, f"unknown-{sched_id}")


def size_of(pages: t.Optional[int], page_size: int) -> t.Optional[int]:
    """Return the bytes of so many pages."""
    return None if pages is None else pages * page_size
