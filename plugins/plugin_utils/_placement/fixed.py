# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Guests whose CPUs the user has chosen: which nodes follow from them, and which cores nobody else can have alone."""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils._topology.cpuset import CpuSet
from .model import Guest, Host, Pool
from .words import count


def with_nodes(guests: t.Iterable[Guest], hosts: t.Sequence[Host], faults: list[str]) -> list[Guest]:
    """Give guests with chosen CPUs their host and the nodes that these CPUs are on. Adds a fault for CPUs that cannot be had."""
    by_name = {host.name: host for host in hosts}
    found = []
    for guest in guests:
        # With several hosts the request has to name one.
        host = by_name.get(guest.host or hosts[0].name) if hosts else None
        pool = None if host is None else host.find_pool(guest.pool)
        if guest.cpus is None or host is None or pool is None:
            found.append(guest)
            continue
        if not guest.cpus <= pool.cpuset:
            faults.append(
                f"{guest.label}.cpus: {guest.cpus - pool.cpuset} is not online in cpupool {pool.name} of {host.name}, "
                f"which has {pool.cpuset}"
            )
        elif len(guest.cpus) < guest.vcpus:
            faults.append(
                f"{guest.label}.cpus: {count(guest.vcpus, 'vCPU')} cannot have {count(len(guest.cpus), 'CPU')}"
            )
        found.append(dataclasses.replace(guest, host=host.name, nodes=nodes_of(guest, pool)))
    return found


def nodes_of(guest: Guest, pool: Pool) -> tuple[int, ...]:
    """Return the nodes that the chosen CPUs of a guest are on."""
    chosen = guest.cpus or CpuSet()
    return tuple(sorted(node for node, cell in pool.cells.items() if cell.cpuset & chosen))


def chosen_on(guests: t.Iterable[Guest], host: Host) -> CpuSet:
    """Return the CPUs of a host that guests have by the user's choice."""
    found = CpuSet()
    for guest in guests:
        if guest.cpus is not None and guest.host == host.name:
            found |= guest.cpus
    return found
