# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors of Xen that an action of this collection would meet: which releases, which action, what happens, and where that is known from.

Pure. Used by the modules and roles that act, by the role verify, and by docs/faults.md, which a test compares with this table.
"""

import re
import typing as t

from .model import Xen

Release = t.Tuple[int, int, int]


class Fault(t.NamedTuple):
    """`since` is the first release that has it; `mended` the first that has not, of each branch, in their order: the last one holds for
    all later branches, too. Empty: none so far.
    """

    name: str
    action: str
    happens: str
    since: Release
    mended: t.Tuple[Release, ...]
    source: str


FAULTS = (
    Fault(
        "dom0_nodes",
        "booting with dom0_nodes= and the scheduler credit2",
        "the host hangs while it boots, as dom0's vCPUs are put on CPUs where they cannot run",
        (4, 12, 0),
        ((4, 15, 4), (4, 16, 2), (4, 17, 0)),
        "xen commit c79e4d209b",
    ),
    Fault(
        "offline_hang",
        "taking a CPU offline",
        "the host can hang, as memory is allocated and freed while interrupts are off",
        (4, 13, 0),
        ((4, 15, 4), (4, 16, 3), (4, 17, 0)),
        "xen commit d844736896",
    ),
    Fault(
        "offline_interrupts",
        "taking a CPU offline",
        "interrupts of devices can be lost that were bound to it or on their way to another one, and a disk or network card stops",
        (4, 11, 0),
        ((4, 17, 5), (4, 18, 3), (4, 19, 0)),
        "xen commits c7564d7366 and those beside it in xen/arch/x86/irq.c (fixup_irqs)",
    ),
    Fault(
        "core_hotplug",
        "taking a CPU offline or online while Xen schedules by core or socket",
        "Xen crashes",
        (4, 13, 0),
        ((4, 13, 1), (4, 14, 0)),
        "xen commits b6f5334aea and 4c7d340f75",
    ),
    Fault(
        "credit_leave",
        "removing a CPU from a cpupool of the scheduler credit",
        "Xen can crash, as the CPU's timer fires when its data are gone",
        (4, 11, 0),
        ((4, 22, 0),),
        "xen commit ea1d785a5f",
    ),
    Fault(
        "credit_empty",
        "removing the last CPU from a cpupool of the scheduler credit",
        "all CPUs can stand still, as Xen waits for a timer that waits for its lock",
        (4, 11, 0),
        (),
        "seen with 4.17.7; csched_deinit_pdata of xen/common/sched/credit.c",
    ),
    Fault(
        "move_granularity",
        "moving a guest between cpupools of different granularity",
        "Xen can crash when it has no memory for the move, as what is in use is freed",
        (4, 15, 0),
        ((4, 17, 3), (4, 18, 1), (4, 19, 0)),
        "xen commit 23792cc0f2",
    ),
)


def release_of(
    major: t.Optional[int], minor: t.Optional[int], extraversion: t.Optional[str]
) -> t.Optional[Release]:
    """Return the release: ``4, 17, ".7"`` is (4, 17, 7). One that does not tell which of its branch it is counts as the first."""
    if major is None or minor is None:
        return None
    match = re.match(r"\.([0-9]{1,4})", extraversion or "")
    return major, minor, int(match.group(1)) if match else 0


def has(fault: Fault, release: t.Optional[Release]) -> bool:
    """Whether a release has the error; one that is not known has none."""
    if release is None or release < fault.since:
        return False
    for mended in fault.mended:
        if release[:2] == mended[:2]:
            return release < mended
    return not fault.mended or release < fault.mended[-1]


def remedy(fault: Fault, release: t.Optional[Release] = None) -> str:
    """Return which releases mend it, those of later branches than `release` alone."""
    there = [mended for mended in fault.mended if release is None or mended[:2] >= release[:2]]
    if not there:
        return "no release of Xen mends that so far"
    return "Xen {0} mends that".format(" or ".join(".".join(map(str, mended)) for mended in there))


def known(xen: Xen) -> t.List[Fault]:
    """Return the errors that a host's Xen has."""
    release = release_of(xen.major, xen.minor, xen.extraversion)
    return [fault for fault in FAULTS if has(fault, release)]


def sentence(name: str, xen: Xen, subject: str = "") -> t.Optional[str]:
    """Return what would happen on this Xen, and what mends it; None where it has not the error of this name."""
    release = release_of(xen.major, xen.minor, xen.extraversion)
    fault = next(fault for fault in FAULTS if fault.name == name)
    if not has(fault, release):
        return None
    return "{0}{1} on Xen {2}: {3} ({4}); {5}".format(
        subject + ": " if subject else "",
        fault.action,
        ".".join(map(str, t.cast(Release, release))),
        fault.happens,
        fault.source,
        remedy(fault, release),
    )
