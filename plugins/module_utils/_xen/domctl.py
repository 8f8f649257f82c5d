# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HYPERVISOR_domctl: one domain. Header: xen/include/public/domctl.h.

Sets of CPUs and of NUMA nodes are ints, bit n for number n. Every function raises NoSuchDomain or NoSuchVcpu for what is not
(or no longer) there, and another XenError when Xen refuses.
"""

import typing as t

from . import errors, sysctl
from .bitmap import bitmap
from .sysctl import DomainInfo, cpu_bits, node_bits

if t.TYPE_CHECKING:
    from .connection import Xen

GETDOMAININFO = 5
SETVCPUCONTEXT = 12
GETVCPUCONTEXT = 13
GETVCPUINFO = 14
GETVCPUAFFINITY = 25
RESUMEDOMAIN = 27
GET_ADDRESS_SIZE = 36
GETNODEAFFINITY = 69


OFFSET_OF_U = 16  # struct xen_domctl: where the union starts

AFFINITY_HARD = 1
AFFINITY_SOFT = 2


class VcpuInfo(t.NamedTuple):
    """struct xen_domctl_getvcpuinfo. `cpu` is where it runs or ran last; cpu_time in ns."""

    online: int
    blocked: int
    running: int
    cpu_time: int
    cpu: int


def getdomaininfo(xen: "Xen", domid: int) -> DomainInfo:
    """XEN_DOMCTL_getdomaininfo of exactly this domain."""
    with xen.request("struct xen_domctl") as op:
        xen.domctl(op, GETDOMAININFO, "getdomaininfo", domid)
        info = sysctl.domain_info(xen, xen.address(op) + OFFSET_OF_U)
    # Up to 4.17 at least, Xen answers with the next domain when this one is missing.
    if info.domain != domid:
        raise errors.NoSuchDomain("There is no domain %d: it may have ended meanwhile." % domid)
    return info


def getvcpuinfo(xen: "Xen", domid: int, vcpu: int) -> VcpuInfo:
    """XEN_DOMCTL_getvcpuinfo."""
    with xen.request("struct xen_domctl") as op:
        op.u.getvcpuinfo.vcpu = vcpu
        xen.domctl(op, GETVCPUINFO, "getvcpuinfo", domid, vcpu=vcpu)
        info = op.u.getvcpuinfo
        return VcpuInfo(info.online, info.blocked, info.running, info.cpu_time, info.cpu)


def getvcpuaffinity(xen: "Xen", domid: int, vcpu: int) -> t.Tuple[int, int]:
    """XEN_DOMCTL_getvcpuaffinity: (hard, soft) as they were set, CPUs that are offline or in other cpupools included."""
    hard, soft = vcpuaffinity_op(
        xen, GETVCPUAFFINITY, "getvcpuaffinity", domid, vcpu, AFFINITY_HARD | AFFINITY_SOFT, 0, 0
    )
    return hard, soft


def vcpuaffinity_op(
    xen: "Xen", command: int, question: str, domid: int, vcpu: int, flags: int, hard: int, soft: int
) -> t.Tuple[int, int]:
    bits = cpu_bits(xen)
    with xen.request("struct xen_domctl") as op, bitmap(xen, bits) as hard_map, bitmap(xen, bits) as soft_map:
        request = op.u.vcpuaffinity
        request.vcpu = vcpu
        request.flags = flags
        # Both maps are always there: a filter in XenServer's kernel checks both pointers, whatever the flags say.
        hard_map.fill(request.cpumap_hard, hard)
        soft_map.fill(request.cpumap_soft, soft)
        said = numbers(hard) if flags & AFFINITY_HARD else "that it has"
        xen.domctl(op, command, question, domid, vcpu=vcpu, hard=said)
        return hard_map.value(), soft_map.value()


def getnodeaffinity(xen: "Xen", domid: int) -> int:
    """XEN_DOMCTL_getnodeaffinity: the NUMA nodes from which the domain's future memory is taken first."""
    with xen.request("struct xen_domctl") as op, bitmap(xen, node_bits(xen)) as nodes:
        nodes.fill(op.u.nodeaffinity.nodemap)
        xen.domctl(op, GETNODEAFFINITY, "getnodeaffinity", domid)
        return nodes.value()


def numbers(mask: int) -> str:
    """A mask as people read it: "0-3,8"; "none" when it is empty."""
    parts = []
    number = 0
    while mask >> number:
        if mask >> number & 1:
            last = number
            while mask >> (last + 1) & 1:
                last += 1
            parts.append(str(number) if last == number else "%d-%d" % (number, last))
            number = last
        number += 1
    return ",".join(parts) or "none"
