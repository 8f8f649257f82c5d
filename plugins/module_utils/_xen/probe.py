# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which interface versions the running hypervisor speaks, and whether an unknown one may be believed.

Xen refuses a wrong interface version with EACCES before it looks at anything else, so asking is safe. The running hypervisor
is asked, not the installed tools: the two differ between an upgrade and the next boot.
"""

import errno
import typing as t

from . import errors, layouts, sysctl, version
from ._xen_ffi import ffi

if t.TYPE_CHECKING:
    from .connection import Xen

DOMCTL_GETDOMAININFO = 5
MAX_NODES = 64  # xen/include/xen/numa.h: MAX_NUMNODES
PATTERNS = (0xA5, 0x5A)
SLACK = 1 << 30  # bytes that may come free or be taken between two questions


class Found(t.NamedTuple):
    """What the hypervisor answered to."""

    version: t.Tuple[int, int]
    interface: t.Dict[str, t.Any]
    layout: layouts.Layout


def probe(xen: "Xen", machine: str) -> Found:
    """Find Xen's version and its sysctl and domctl interface versions.

    Raises UnknownInterface when no version within reach of the table is accepted.
    """
    release = version.version(xen)
    expected = layouts.RELEASES.get(release, (None, None))
    # Questions are asked through the normal way, with the version that is on trial.
    xen.interface = {"sysctl": 0, "domctl": 0, "platform": layouts.PLATFORM, "known": False}

    def domain_0() -> None:
        with xen.request("struct xen_domctl") as op:
            xen.domctl(op, DOMCTL_GETDOMAININFO, "getdomaininfo", 0)

    trials: t.Tuple[t.Tuple[str, t.Sequence[int], t.Optional[int], t.Callable[[], t.Any]], ...] = (
        ("sysctl", layouts.SYSCTL_VERSIONS, expected[0], lambda: sysctl.sched_id(xen)),
        ("domctl", layouts.DOMCTL_VERSIONS, expected[1], domain_0),
    )
    known = True
    for name, table, guess, question in trials:
        for candidate in layouts.candidates(table, guess):
            xen.interface[name] = candidate
            try:
                question()
            except errors.XenError as error:
                if error.errno != errno.EACCES:
                    raise
            else:
                known = known and candidate in table
                break
        else:
            raise errors.UnknownInterface(
                "Xen %d.%d accepts none of the %s interface versions from 0x%x to 0x%x: either it is too new for this "
                "collection (update it), or Xen's security policy (FLASK) denies this domain the question (see xl dmesg)."
                % (release + (name, table[0], table[-1] + layouts.BEYOND))
            )
    xen.interface["known"] = known
    return Found(release, xen.interface, layouts.layout(xen.interface["sysctl"], machine))


def domaininfo_size(xen: "Xen") -> int:
    """Bytes that Xen writes for one domain in getdomaininfolist, measured.

    The memory is filled with a pattern, then with another: what is the same after both was written by Xen. Domain 0 is asked
    for; only its CPU time differs between the two calls, and that is far from the end.
    """
    room = sysctl.DOMAININFO_ROOM
    seen = []
    for pattern in PATTERNS:
        with xen.request("struct xen_sysctl") as op, xen.buffer("uint8_t", room) as memory:
            ffi.buffer(memory, room)[:] = bytes([pattern]) * room
            op.u.getdomaininfolist.max_domains = 1
            op.u.getdomaininfolist.buffer = xen.address(memory)
            xen.sysctl(op, sysctl.GETDOMAININFOLIST, "getdomaininfolist")
            seen.append(bytes(ffi.buffer(memory, room)))
    untouched = [position for position in range(room) if (seen[0][position], seen[1][position]) == PATTERNS]
    size = room
    while untouched and untouched[-1] == size - 1:
        untouched.pop()
        size -= 1
    return size


def check_unknown(xen: "Xen", found: Found) -> layouts.Layout:
    """Read a hypervisor that is newer than the tables with the newest known layout, and see whether that makes sense.

    Adds a warning to `xen.warnings` and returns the layout to use. Raises UnknownInterface when the answers contradict each other.
    """
    xen.layout = found.layout._replace(domaininfo_size=domaininfo_size(xen))
    what = "Xen %d.%d (sysctl interface 0x%x, domctl interface 0x%x)" % (
        found.version + (found.interface["sysctl"], found.interface["domctl"])
    )
    info = sysctl.physinfo(xen)
    cpus = len(sysctl.cputopoinfo(xen))
    numa = sysctl.numainfo(xen)
    domain_0 = sysctl.getdomaininfolist(xen, limit=1)
    free = sum(size for size in numa.memfree if size != sysctl.INVALID_32)
    free_at_once = info.free_pages * version.page_size(xen)
    doubts = [
        doubt
        for doubt, holds in (
            ("the number of CPUs", 0 < info.nr_cpus <= cpus <= info.max_cpu_id + 1),
            ("the number of NUMA nodes", 0 < info.nr_nodes <= len(numa.memfree) <= MAX_NODES),
            ("the free memory", info.free_pages <= info.total_pages),
            ("the free memory of the nodes", abs(free - free_at_once) <= max(SLACK, free_at_once // 4)),
            (
                "domain 0",
                bool(domain_0) and domain_0[0].domain == 0 and domain_0[0].tot_pages <= info.total_pages,
            ),
            ("the size of a domain's record", xen.layout.domaininfo_size >= sysctl.DOMAININFO_LEAST),
        )
        if not holds
    ]
    if doubts:
        raise errors.UnknownInterface(
            "%s is newer than this collection knows, and what it says about %s makes no sense in the newest known form: update "
            "the collection." % (what, ", ".join(doubts))
        )
    xen.warnings.append(
        "%s is newer than this collection knows. It was read in the newest known form and the answers are plausible; nothing "
        "will be changed on it." % what
    )
    return xen.layout
