# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which layout belongs to which interface version: the only place that knows how Xen's releases differ. Reads no host.

Over Xen 4.11 to 4.22 two structs of those that are used changed, once each: `xen_sysctl_physinfo` with sysctl 0x15 (4.17)
and `xen_domctl_getdomaininfo` with 4.16, where both interface versions became 0x14. Versions of sysctl and domctl do not name
a release (4.19 and 4.20 share both), and need not: inside one version a layout is constant.
"""

import typing as t

PLATFORM = 0x03000001  # xen/include/public/platform.h: XENPF_INTERFACE_VERSION, the same in every release

# Xen's version -> (XEN_SYSCTL_INTERFACE_VERSION, XEN_DOMCTL_INTERFACE_VERSION); from xen/include/public of each release.
RELEASES: t.Dict[t.Tuple[int, int], t.Tuple[int, int]] = {
    (4, 11): (0x11, 0x10),
    (4, 12): (0x12, 0x11),
    (4, 13): (0x12, 0x12),
    (4, 14): (0x13, 0x12),
    (4, 15): (0x13, 0x13),
    (4, 16): (0x14, 0x14),
    (4, 17): (0x15, 0x15),
    (4, 18): (0x15, 0x16),
    (4, 19): (0x15, 0x17),
    (4, 20): (0x15, 0x17),
    (4, 21): (0x16, 0x17),
    (4, 22): (0x16, 0x18),
}

SYSCTL_VERSIONS = tuple(sorted({sysctl for sysctl, _domctl in RELEASES.values()}))
DOMCTL_VERSIONS = tuple(sorted({domctl for _sysctl, domctl in RELEASES.values()}))
# How many versions beyond the table are tried before a hypervisor is given up as unknown.
BEYOND = 4


class Layout(t.NamedTuple):
    """The names of what differs. Members of the union in `struct xen_sysctl`, types of xen_abi.h, sizes in bytes."""

    physinfo: str
    domaininfo: str
    domaininfo_size: int
    # Arm has the same members up to `cpupool`, and another architecture part after it.
    domaininfo_has_x86: bool


def layout(sysctl: int, machine: str) -> Layout:
    """The layout for a sysctl interface version; beyond the table it is the newest known one.

    `machine` as in ``os.uname().machine``: the part of a domain's information that belongs to the architecture differs.
    """
    new = sysctl >= 0x14
    x86 = machine in ("x86_64", "amd64", "i686", "i586", "i386")
    size = (112 if new else 104) if x86 else (120 if new else 112)
    return Layout(
        physinfo="physinfo_15" if sysctl >= 0x15 else "physinfo_11",
        domaininfo="struct xen_domctl_getdomaininfo_%s" % ("14" if new else "10"),
        domaininfo_size=size,
        domaininfo_has_x86=x86,
    )


def candidates(known: t.Sequence[int], expected: t.Optional[int]) -> t.List[int]:
    """Interface versions in the order in which to try them: the expected one, the table's from the newest on, then newer ones."""
    first = [] if expected is None else [expected]
    rest = [version for version in sorted(known, reverse=True) if version != expected]
    return first + rest + [known[-1] + step for step in range(1, BEYOND + 1)]
