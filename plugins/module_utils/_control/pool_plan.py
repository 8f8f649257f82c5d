# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is planned for cpupools: the state before and after, and the steps between. Private to this collection."""

import typing as t

from .._topology.cpuset import CpuSet
from .._topology.model import Domain
from .steps import Masks, Step


class PoolState(t.NamedTuple):
    """A cpupool as the user is told of it. `domains` are domids."""

    id: int
    name: str
    scheduler: t.Optional[str]
    granularity: str
    cpus: CpuSet
    domains: t.FrozenSet[int]


class PoolPlan(t.NamedTuple):
    """`before` and `after` have every cpupool; `affinities` the masks of every domain in the end; `wanted` the names asked for, in their
    order; `notes` are sentences, `risks` those on errors of Xen that the steps would meet.
    """

    steps: t.Tuple[Step, ...]
    before: t.Tuple[PoolState, ...]
    after: t.Tuple[PoolState, ...]
    affinities: t.Tuple[t.Tuple[Domain, Masks], ...]
    wanted: t.Tuple[str, ...]
    notes: t.Tuple[str, ...]
    risks: t.Tuple[str, ...] = ()
