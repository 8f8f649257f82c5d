# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The virtual NUMA nodes of a guest that is on several of the host's: which vCPUs and how much memory each has."""

from __future__ import annotations

import typing as t

from ...module_utils._topology.cpuset import CpuSet
from .model import MIB, Guest, Host
from .options import deal


def homes(guest: Guest, host: str, cpu_nodes: t.Sequence[int]) -> tuple[int, ...]:
    """The node of each vCPU, in their order; none for a guest without virtual nodes.

    Every node has at least one. vCPUs with cores of their own are dealt to nodes in the same order, unless only some have them.
    """
    policy = guest.policy_on(host)
    if not guest.vnuma or not 1 < len(cpu_nodes) <= guest.vcpus:
        return ()
    if (
        policy.pin == "none"
        or policy.cpu_policy == "mixed"
        or guest.trust_group is not None
        or guest.cpus is not None
    ):
        return ()
    return tuple(node for node, number in deal(guest.vcpus, cpu_nodes).items() for _place in range(number))


def virtual_nodes(
    guest: Guest, host: Host, memory_nodes: t.Sequence[int], cpu_nodes: t.Sequence[int]
) -> list[dict[str, t.Any]] | None:
    """A virtual node for each of its nodes, with whole MiB, the unit of xl; None where they would not be what the host has."""
    home = homes(guest, host.name, cpu_nodes)
    if not home or set(memory_nodes) != set(cpu_nodes):
        return None
    size, rest = divmod(guest.memory // MIB, len(cpu_nodes))
    found = []
    for index, node in enumerate(cpu_nodes):
        far = [host.distance(node, other) for other in cpu_nodes]
        known = [distance for distance in far if distance is not None]
        found.append(
            {
                "node": node,
                "memory_bytes": (size + (index < rest)) * MIB,
                "vcpus": str(CpuSet([vcpu for vcpu, its in enumerate(home) if its == node])),
                "distances": known if len(known) == len(far) and far[index] == 10 else None,
            }
        )
    return found
