# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.
"""A fleet in one row a host: what is read at a glance when there are a hundred. Pure. Sizes are bytes."""

from __future__ import annotations

import typing as t

from . import steps as plan_steps
from .picture import Data, NodeMemory, Picture


class Row(t.NamedTuple):
    """One host. What has one value for each view (now, or before and after) is a tuple."""

    name: str
    nodes: int
    cores: int
    vcpus: tuple[int, ...]
    guests: tuple[int, ...]
    free: tuple[int | None, ...]
    memory: tuple[tuple[NodeMemory, ...], ...]
    steps: int
    notes: int


def rows(hosts: t.Sequence[Picture], plan: Data | None = None) -> list[Row]:
    """A row for each host, in their order. vCPUs are those of guests; cores those with a CPU that can be used."""
    busy: dict[str, int] = {}
    for step in plan_steps.steps(plan) if plan is not None else []:
        busy[step.host] = busy.get(step.host, 0) + 1
    return [_row(host, busy.get(host.name, 0)) for host in hosts]


def _row(host: Picture, busy: int) -> Row:
    guests = [[tenant for tenant in view.tenants if tenant.colour is not None] for view in host.views]
    memory = tuple(tuple(view.memory.values()) for view in host.views)
    return Row(
        name=host.name,
        nodes=len(host.topology.nodes),
        cores=sum(1 for core in host.topology.cores if core.cpuset),
        vcpus=tuple(sum(tenant.vcpus for tenant in side) for side in guests),
        guests=tuple(len(side) for side in guests),
        free=tuple(_free(side) for side in memory),
        memory=memory,
        steps=busy,
        notes=len(host.notes),
    )


def _free(nodes: t.Sequence[NodeMemory]) -> int | None:
    known = [node.free for node in nodes if node.free is not None]
    return sum(known) if known else None
