# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""What a plan is to do beside placing guests."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .given import GivenPlan
from .model import VCPU, Guest, Reserve


@dataclass(frozen=True)
class Worth:
    """What makes another place worth it for a guest that has one: less load beyond the cores (`smt`, vCPUs), or this part of the `peak` less."""

    smt: float = 0.5
    peak: float = 0.05

    def of_load(self, peak: int) -> tuple[int, int]:
        """How small differences of load are told apart: thousandths of a vCPU, and of the `peak` as it is now in its own unit."""
        return max(1, round(self.smt * VCPU)), max(1, peak * round(self.peak * 1000) // 1000)


@dataclass(frozen=True)
class Settings:
    """How to plan.

    `rebalance`: "none", "migrate" or "restart", what may be done to guests that run so that the whole becomes better; `max_moves`: to how
    many of them. `evacuate`: hosts that are to be emptied. `capacity`: shapes of guests of which the plan says how many more would
    fit. `explain`: tell of the places that lost. `reserves`: of hosts that have one of their own. `earlier`: (host, nodes) of guests by an
    earlier plan. `given`: a plan that is to be carried out as it is written. `reserve_label`: what the reserve is called in advice. `worth`:
    what makes another place worth it.
    """

    rebalance: str = "none"
    max_moves: int = 3
    evacuate: tuple[str, ...] = ()
    capacity: tuple[Guest, ...] = ()
    explain: bool = False
    reserves: t.Mapping[str, Reserve] = field(default_factory=dict)
    earlier: t.Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    given: GivenPlan | None = None
    reserve_label: str = "reserve"
    worth: Worth = Worth()


#: What nobody asked for.
PLAIN = Settings()
