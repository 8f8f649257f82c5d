# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Set the affinity of a domain's vCPUs, for what moves domains and what puts back. Private to this collection."""

import typing as t
from functools import partial

from .._topology.cpuset import CpuSet
from .._topology.model import Domain
from .._xen import pinning, sysctl
from .patience import Patience
from .steps import Masks


def pin(xen: t.Any, domain: Domain, masks: Masks, everything: CpuSet, patience: Patience) -> None:
    """Set `masks`, of each vCPU in it both. `everything` are the CPUs that exist. Raises what :func:`pinning.setvcpuaffinity` raises."""
    every_bit = (1 << sysctl.cpu_bits(xen)) - 1

    def bits(mask: CpuSet) -> int:
        return every_bit if everything <= mask else mask.mask

    for number, (hard, soft) in sorted(masks.items()):
        patience.ask(
            partial(pinning.setvcpuaffinity, xen, domain.domid, number, hard=bits(hard), soft=bits(soft))
        )
