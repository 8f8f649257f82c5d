# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HYPERVISOR_domctl, where it sets affinity. Header: xen/include/public/domctl.h. Masks as in :mod:`.domctl`."""

import errno
import typing as t

from . import errors
from .bitmap import bitmap
from .domctl import AFFINITY_HARD, AFFINITY_SOFT, numbers, vcpuaffinity_op
from .sysctl import node_bits

if t.TYPE_CHECKING:
    from .connection import Xen

SETVCPUAFFINITY = 9
SETNODEAFFINITY = 68
AFFINITY_FORCE = 4

errors.explain(
    {
        (errno.ESRCH, "setvcpuaffinity"): (
            errors.NoSuchVcpu,
            "Domain {domid} has no vCPU {vcpu}, or the domain has ended meanwhile: nothing was set for it.",
        ),
        (errno.EINVAL, "setvcpuaffinity"): (
            errors.Invalid,
            "Xen refused the affinity of vCPU {vcpu} of domain {domid}: either the domain has no such vCPU, or the hard mask "
            "{hard} has no online CPU of the domain's cpupool; choose CPUs that are online and in that cpupool.",
        ),
        (errno.EBUSY, "setvcpuaffinity"): (
            errors.Busy,
            "vCPU {vcpu} of domain {domid} is pinned by the guest itself for a moment: try again, or force it "
            "(force: true) to undo that pin.",
        ),
        (errno.EINVAL, "setnodeaffinity"): (
            errors.Invalid,
            "Xen refused the node affinity of domain {domid}: none of the NUMA nodes {nodes} is online; choose nodes that are.",
        ),
    }
)


class VcpuAffinity(t.NamedTuple):
    """Masks of one vCPU; None for one that was not asked about or not set."""

    hard: t.Optional[int]
    soft: t.Optional[int]


def setvcpuaffinity(
    xen: "Xen",
    domid: int,
    vcpu: int,
    hard: t.Optional[int] = None,
    soft: t.Optional[int] = None,
    force: bool = False,
) -> VcpuAffinity:
    """XEN_DOMCTL_setvcpuaffinity: set one mask or both, return what takes effect of each.

    In effect is what is left of the mask within the online CPUs of the domain's cpupool, and of the soft mask within the hard one
    besides. With `force` a pin that the guest holds on itself is undone. With a scheduling granularity above "cpu" all vCPUs of the
    same unit change.

    Raises Invalid when no CPU would be left, Busy while the guest holds its pin, UnknownInterface (Xen.check_writable).
    """
    xen.check_writable()
    flags = (AFFINITY_HARD if hard is not None else 0) | (AFFINITY_SOFT if soft is not None else 0)
    if not flags:
        raise errors.Invalid(
            "Neither a hard nor a soft mask was given for vCPU %d of domain %d: give at least one."
            % (vcpu, domid)
        )
    flags |= AFFINITY_FORCE if force else 0
    in_effect = vcpuaffinity_op(
        xen, SETVCPUAFFINITY, "setvcpuaffinity", domid, vcpu, flags, hard or 0, soft or 0
    )
    return VcpuAffinity(None if hard is None else in_effect[0], None if soft is None else in_effect[1])


def setnodeaffinity(xen: "Xen", domid: int, nodes: int) -> None:
    """XEN_DOMCTL_setnodeaffinity: choose the nodes of future memory; memory that the domain has stays where it is.

    Xen then no longer derives them from the vCPUs' affinity. All bits of the map, sysctl.node_bits(), give it that back.
    """
    xen.check_writable()
    with xen.request("struct xen_domctl") as op, bitmap(xen, node_bits(xen)) as memory:
        memory.fill(op.u.nodeaffinity.nodemap, nodes)
        xen.domctl(op, SETNODEAFFINITY, "setnodeaffinity", domid, nodes=numbers(nodes))
