# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tells on which nodes the memory of domains is: XenServer's own hypercall; elsewhere a debug key, and the console that it prints to."""

import errno
import typing as t

from . import errors
from ._xen_ffi import ffi

if t.TYPE_CHECKING:
    from .connection import Xen

READCONSOLE = 1
DEBUG_KEYS = 7
CONSOLE_AT_ONCE = 65536
NUMA_OP = 1101  # XenServer's and XCP-ng's own; unknown to others
NUMA_OP_GET_NODE_PAGES = 0

errors.explain(
    {
        (errno.ENOSYS, "numa_op"): (
            errors.NotSupported,
            "This hypervisor has no hypercall for the memory of a domain on each node (XenServer's and XCP-ng's numa_op): use the "
            "debug key instead, or do not ask for the memory by node.",
        ),
        (errno.EPERM, "numa_op"): (
            errors.NotSupported,
            "The kernel of dom0 or Xen's security policy lets no hypercall through that it does not know, and XenServer's and XCP-ng's numa_op "
            "is one: use the debug key instead, or do not ask for the memory by node.",
        ),
        (errno.EOPNOTSUPP, "numa_op"): (
            errors.NotSupported,
            "This hypervisor does not tell a domain's memory on each node, for it does not use the host's NUMA nodes.",
        ),
        (errno.EPERM, "readconsole"): (
            errors.NotPermitted,
            "Reading Xen's console ring is forbidden by its security policy (FLASK: xen readconsole): allow it, or do not "
            "ask for what needs the debug key.",
        ),
        (errno.EPERM, "debug_keys"): (
            errors.NotPermitted,
            "Debug keys are forbidden by Xen's security policy (FLASK: xen debug): allow them, or do not ask for what needs them.",
        ),
    }
)


def node_pages(xen: "Xen", domid: int, nodes: int) -> t.List[int]:
    """XEN_DOMCTL_numa_op, get_node_pages: the domain's pages on each of the first `nodes` nodes.

    Part of XenServer's hypervisor alone. Raises NotSupported on any other, and on a host without NUMA.
    """
    with xen.request("struct xen_domctl") as op, xen.buffer("uint64_t", nodes) as pages:
        request = op.u.numa_op
        request.op = NUMA_OP_GET_NODE_PAGES
        request.nr_nodes = nodes
        request.pages = xen.address(pages)
        xen.domctl(op, NUMA_OP, "numa_op", domid)
        return [int(pages[node]) for node in range(nodes)]


def debug_keys(xen: "Xen", keys: str) -> None:
    """XEN_SYSCTL_debug_keys: press keys on Xen's console. What they print is in the ring when this returns."""
    text = keys.encode("ascii")
    with xen.request("struct xen_sysctl") as op, xen.buffer("char", len(text)) as memory:
        ffi.buffer(memory, len(text))[:] = text
        op.u.debug_keys.keys = xen.address(memory)
        op.u.debug_keys.nr_keys = len(text)
        xen.sysctl(op, DEBUG_KEYS, "debug_keys")


def readconsole(xen: "Xen", index: t.Optional[int] = None) -> t.Tuple[bytes, int]:
    """XEN_SYSCTL_readconsole: Xen's console ring, left as it is, and the index behind the last byte read.

    With the `index` of an earlier call only what came after it; all that is left when the ring has already lost some of that.
    """
    pieces: t.List[bytes] = []
    with xen.request("struct xen_sysctl") as op, xen.buffer("char", CONSOLE_AT_ONCE) as memory:
        while True:
            request = op.u.readconsole
            request.incremental = 0 if index is None else 1
            request.index = index or 0
            request.buffer = xen.address(memory)
            request.count = CONSOLE_AT_ONCE
            xen.sysctl(op, READCONSOLE, "readconsole")
            index = int(request.index)
            count = int(request.count)
            xen.check_room(count, CONSOLE_AT_ONCE, "console ring")
            pieces.append(bytes(ffi.buffer(memory, count)))
            if count < CONSOLE_AT_ONCE:
                return b"".join(pieces), index
