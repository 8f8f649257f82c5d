# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest that has suspended itself goes on where it stands: what libxl does when a guest could not be saved.

To be saved, a guest tells Xen that it shuts down, with "suspend" for the reason (SCHEDOP_shutdown). Where that hypercall returns 0 the guest
takes itself to be in a new domain, where 1 it knows that nothing came of it and goes on. So 1 is put where vCPU 0 will find it, and Xen
told to let the vCPUs run (XEN_DOMCTL_resumedomain). Sources: xen/include/public/sched.h, domctl.h, hvm/hvm_op.h, arch-x86/xen.h.

Linux knows the answer 1 (drivers/xen/manage.c). Nobody can tell from outside whether another kernel does.
"""

import typing as t

from . import domctl, errors

if t.TYPE_CHECKING:
    from .connection import Xen

HVMOP_GET_PARAM = 1
HVM_PARAM_CALLBACK_IRQ = 0  # how Xen's events reach the guest; 0 as long as it has no drivers for Xen

#: XEN_DOMINF_*: flags of a domain.
HVM_GUEST = 1 << 1
SHUT_DOWN = 1 << 2
REASON_SHIFT = 16
REASON_MASK = 0xFF
SUSPEND = 2  # SHUTDOWN_suspend

CANCELLED = 1  # what SCHEDOP_shutdown returns then


def is_suspended(flags: int) -> bool:
    """Whether the flags of a domain (XEN_DOMINF_*) say that it stands still because it suspended itself."""
    return bool(flags & SHUT_DOWN) and flags >> REASON_SHIFT & REASON_MASK == SUSPEND


def resume(xen: "Xen", domid: int) -> None:
    """Let a suspended domain go on as if it had not been asked to suspend. Nothing is done to one that is not suspended.

    Raises NoSuchDomain, NotSupported or NotPermitted (a filter in dom0's kernel), UnknownInterface (Xen.check_writable).
    """
    flags = domctl.getdomaininfo(xen, domid).flags
    if not is_suspended(flags):
        return
    xen.check_writable()
    # libxl leaves Arm out of this, too: the answer to the hypercall is there already.
    if xen.layout.domaininfo_has_x86:
        context = _context(xen, domid, bool(flags & HVM_GUEST))
        if context is not None:
            _answer(xen, domid, context)
    with xen.request("struct xen_domctl") as op:
        xen.domctl(op, domctl.RESUMEDOMAIN, "resumedomain", domid)


def _context(xen: "Xen", domid: int, hvm: bool) -> t.Optional[str]:
    """The type of its vCPUs' registers; None for a guest that made no hypercall, and so waits for no answer."""
    if hvm:
        with xen.buffer("struct xen_hvm_param") as op:
            op.domid = domid
            op.index = HVM_PARAM_CALLBACK_IRQ
            xen.hvm_op(op, HVMOP_GET_PARAM, "get_param", domid=domid)
            return "struct vcpu_guest_context_64" if op.value else None
    with xen.request("struct xen_domctl") as op:
        xen.domctl(op, domctl.GET_ADDRESS_SIZE, "get_address_size", domid)
        size = op.u.address_size.size
    if size not in (32, 64):
        raise errors.Invalid(
            "Xen says that domain %d has addresses of %d bits: it is not changed; update this collection."
            % (domid, size)
        )
    return "struct vcpu_guest_context_%d" % size


def _answer(xen: "Xen", domid: int, context: str) -> None:
    """Put the answer to its hypercall into the register where vCPU 0 will find it; every other stays as it is."""
    with xen.buffer(context) as registers:
        for command, question in (
            (domctl.GETVCPUCONTEXT, "getvcpucontext"),
            (domctl.SETVCPUCONTEXT, "setvcpucontext"),
        ):
            if command == domctl.SETVCPUCONTEXT:
                setattr(registers, "rax" if context.endswith("64") else "eax", CANCELLED)
            with xen.request("struct xen_domctl") as op:
                op.u.vcpucontext.vcpu = 0
                op.u.vcpucontext.ctxt = xen.address(registers)
                xen.domctl(op, command, question, domid, vcpu=0)
