# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The virtual NUMA nodes of a guest that is on several of the host's: which vCPUs and how much memory each has.

Xen takes exactly that much memory of each node, so the shares need not be even: they are where that fits, else as even as the free
memory allows. Without virtual nodes Xen takes pieces of all nodes in turn, and they are always even.
"""

from __future__ import annotations

import typing as t

from ...module_utils._topology.cpuset import CpuSet
from .model import MIB, Guest, Host, Pool, Running, deal, split_evenly

#: Bytes of a guest's memory on each of its nodes, whole MiB, the unit of xl.
Shares = t.Mapping[int, int]

#: Less memory than this is not worth a node of its own.
LEAST_SHARE = 64 * MIB

#: What is found on a node may be off by so much: pages that are Xen's or the device model's own.
TRACE = 16 * MIB


def has_virtual_nodes(
    guest: Guest, host: str, memory_nodes: t.Sequence[int], cpu_nodes: t.Sequence[int]
) -> bool:
    """Whether a guest gets virtual nodes on these nodes."""
    policy = guest.policy_on(host)
    return (
        guest.vnuma
        and 1 < len(cpu_nodes) <= guest.vcpus
        and policy.pin != "none"
        and policy.cpu_policy != "mixed"
        and guest.trust_group is None
        and guest.cpus is None
        and set(memory_nodes) == set(cpu_nodes)
    )


def even_shares(memory: int, nodes: t.Sequence[int]) -> dict[int, int]:
    """The same memory on each node; the first ones have what is left over."""
    size, rest = divmod(memory // MIB, len(nodes))
    return {node: (size + (index < rest)) * MIB for index, node in enumerate(nodes)}


def shares_within(guest: Guest, room: t.Mapping[int, int]) -> dict[int, int] | None:
    """Shares as even as the `room` (bytes that the guest may take of each node) allows; None when there is not enough of it.

    The nodes with the least room give all of it, the others the same each.
    """
    over = _overhead(guest, tuple(room))
    most = {node: (size - over[node]) // MIB for node, size in room.items()}
    least = min(LEAST_SHARE // MIB, guest.memory // MIB // len(room))
    if any(size < least for size in most.values()):
        return None
    left = guest.memory // MIB
    shares: dict[int, int] = {}
    for index, node in enumerate(sorted(most, key=lambda node: (most[node], node))):
        shares[node] = min(most[node], left // (len(most) - index))
        left -= shares[node]
    return None if left else {node: shares[node] * MIB for node in sorted(shares)}


def taken_with(guest: Guest, shares: Shares) -> dict[int, int]:
    """Bytes that a guest takes of each node: its memory there, and an even share of what Xen needs for it."""
    over = _overhead(guest, sorted(shares))
    return {node: size + over[node] for node, size in sorted(shares.items())}


def _overhead(guest: Guest, nodes: t.Sequence[int]) -> dict[int, int]:
    return split_evenly(guest.need - guest.memory, nodes)


def vcpus_of_nodes(guest: Guest, host: str, shares: Shares) -> dict[int, int]:
    """How many vCPUs each node has: in proportion to the memory, at least one each. Dedicated ones are dealt out evenly, as their cores are."""
    nodes = sorted(shares)
    if guest.policy_on(host).cpu_policy == "dedicated" or len(set(shares.values())) == 1:
        return deal(guest.vcpus, nodes)
    whole = sum(shares.values())
    numbers = {node: guest.vcpus * shares[node] // whole for node in nodes}
    rest = guest.vcpus - sum(numbers.values())
    # Those with the largest remainder of the division, which lack most of a vCPU, get what is left.
    for node in sorted(nodes, key=lambda node: (-(guest.vcpus * shares[node] % whole), node))[:rest]:
        numbers[node] += 1
    for node in nodes:
        if not numbers[node]:
            numbers[max(nodes, key=lambda other: (numbers[other], -other))] -= 1
            numbers[node] = 1
    return numbers


def homes(guest: Guest, host: str, shares: Shares) -> tuple[int, ...]:
    """The node of each vCPU, in their order."""
    return tuple(
        node for node, number in vcpus_of_nodes(guest, host, shares).items() for _place in range(number)
    )


def mean_way(guest: Guest, host: Host, shares: Shares) -> int:
    """vCPUs times the excess of their way to memory, (SLIT / 10 - 1), in thousandths, when accesses are in proportion to the memory."""
    numbers = vcpus_of_nodes(guest, host.name, shares)
    way = sum(
        number * shares[to] // MIB * (t.cast(int, host.distance(node, to)) - 10)
        for node, number in numbers.items()
        for to in shares
    )
    return way * 100 // (guest.memory // MIB)


def shares_now(guest: Guest, running: Running) -> dict[int, int]:
    """The shares of a guest that runs: even ones, unless it was measured that they are not."""
    nodes = sorted(running.held)
    even = even_shares(guest.memory, nodes)
    held = sum(running.held.values())
    if not running.nodes_measured or not held:
        return even
    if all(abs(running.held[node] - even[node]) <= TRACE for node in nodes):
        return even
    shares = {node: max(1, guest.memory * running.held[node] // held // MIB) * MIB for node in nodes}
    largest = max(nodes, key=lambda node: (shares[node], -node))
    shares[largest] += guest.memory - sum(shares.values())
    return shares


def homes_now(guest: Guest, host: str, pool: Pool, running: Running, shares: Shares) -> tuple[int, ...]:
    """The node of each vCPU of a guest that runs: as its soft affinity has them, if that keeps each to one of its nodes."""
    found = []
    for _hard, soft in running.masks[: guest.vcpus]:
        found.append(next((node for node in shares if soft and soft <= pool.cells[node].cpuset), -1))
    return (
        tuple(found)
        if set(found) == set(shares) and len(found) == guest.vcpus
        else homes(guest, host, shares)
    )


def virtual_nodes(host: Host, shares: Shares, home: t.Sequence[int]) -> list[dict[str, t.Any]]:
    """A virtual node for each of a guest's nodes. `home`: the node of each vCPU."""
    found = []
    for index, node in enumerate(sorted(shares)):
        far = [host.distance(node, other) for other in sorted(shares)]
        known = [distance for distance in far if distance is not None]
        found.append(
            {
                "node": node,
                "memory_bytes": shares[node],
                "vcpus": str(CpuSet([vcpu for vcpu, its in enumerate(home) if its == node])),
                "distances": known if len(known) == len(far) and far[index] == 10 else None,
            }
        )
    return found
