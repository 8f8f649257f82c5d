# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The component that asks the hypervisor itself, for domains and where their memory is."""

import typing as t

from .._xen import errors, memory_op, sysctl
from .component import MEMORY_BY_HYPERCALL, MEMORY_BY_NODE, Request
from .hypervisor import Hypervisor


class MemoryByNode(Hypervisor):
    """Also the memory of domains on each node, on demand."""

    provides = Hypervisor.provides + (MEMORY_BY_NODE, MEMORY_BY_HYPERCALL)

    def ask(self, xen: t.Any, request: Request, warnings: t.List[str]) -> t.Dict[str, t.Any]:
        """The sections."""
        sections = super().ask(xen, request, warnings)
        if {MEMORY_BY_NODE, MEMORY_BY_HYPERCALL} & request.subset:
            nodes = len(sections["numainfo"]["memfree"])
            by_node = _memory_by_node(xen, nodes, MEMORY_BY_NODE in request.subset)
            sections["memory_by_node"] = {
                str(domid): {str(node): pages for node, pages in by_node[domid].items()} for domid in by_node
            }
        return sections


def _memory_by_node(xen: t.Any, nodes: int, may_press_key: bool) -> t.Dict[int, t.Dict[int, int]]:
    """Pages of each domain on each node: from the hypercall that some hypervisors have, else with the debug key if that is allowed."""
    found: t.Dict[int, t.Dict[int, int]] = {}
    for info in sysctl.getdomaininfolist(xen):
        try:
            found[info.domain] = dict(enumerate(memory_op.node_pages(xen, info.domain, nodes)))
        except errors.NoSuchDomain:
            continue
        except errors.NotSupported:
            if not may_press_key:
                raise
            # Few ask for it, and compiling it takes the others time.
            from .._xen import numa_dump

            return numa_dump.memory_by_node(xen)
    return found
