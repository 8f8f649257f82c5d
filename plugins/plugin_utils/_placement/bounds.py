# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Figures that no placement can be below, cheap to compute. They tell how far from the best possible a plan may be.

Each holds for every placement that leaves out no more guests than the one it is printed beside.
"""

from __future__ import annotations

import typing as t

from .model import VCPU
from .problem import Problem


def fewest_unplaced(problem: Problem) -> int:
    """Count guests that cannot all be placed: those that fit nowhere even alone, and those beyond the total memory, smallest first."""
    possible = [options for options in problem.options if options]
    total = sum(
        amount for name, amount in zip(problem.resources, problem.capacity, strict=True) if name[1] is None
    )
    # What a guest takes from its host, at the very least.
    needs = sorted(min(option.demand[-1][1] for option in options) for options in possible)
    placed = _most_under(needs, total)
    return len(problem.options) - placed


def least_spanning(problem: Problem, unplaced: int) -> int:
    """Count guests that need one node and cannot all have one.

    For any unit of memory u, guests that are each on one node satisfy: sum of floor(need / u) <= sum of floor(capacity of node / u).
    The units worth trying are the needs themselves and the fractions of the capacities. `unplaced` of these guests may be left out.
    """
    demands: list[int] = []
    for options in problem.options:
        if not options or max(option.excess for option in options) == 0:
            continue  # cannot span, or only as its policy says
        alone = [
            option.demand[0][1]
            for option in options
            if not option.excess and len(option.place.memory_nodes) == 1
        ]
        several = any(not option.excess and len(option.place.memory_nodes) > 1 for option in options)
        if alone and not several:
            demands.append(min(alone))
    if not demands:
        return 0
    nodes = [
        amount
        for name, amount in zip(problem.resources, problem.capacity, strict=True)
        if name[1] is not None
    ]
    units = {1, *demands, *(capacity // part for capacity in nodes for part in range(1, 9))}
    most = min(
        _most_under(sorted(demand // unit for demand in demands), sum(capacity // unit for capacity in nodes))
        for unit in units
        if unit > 0
    )
    return max(0, len(demands) - most - unplaced)


def least_own_cost(problem: Problem, level: t.Literal["crowding", "distance"], unplaced: int) -> int:
    """Sum of what each guest costs on this level at the cheapest of all its places; the `unplaced` most expensive are left out."""
    least = sorted(
        min(getattr(option, level) for option in options) for options in problem.options if options
    )
    kept = len(least) - max(0, unplaced - (len(problem.options) - len(least)))
    return sum(least[: max(0, kept)])


def least_smt(problem: Problem, unplaced: int) -> int:
    """Load beyond the cores, in thousandths of a vCPU: what all the load exceeds all the cores by, and what is there already."""
    there = sum(
        max(0, load - cores * VCPU) for load, cores in zip(problem.base_load, problem.cores, strict=True)
    )
    return max(there, _least_load(problem, unplaced) - sum(problem.cores) * VCPU)


def least_peak(problem: Problem, unplaced: int) -> int:
    """Load of the busiest cores, in millionths of a vCPU for each core: the mean, and what is there already."""
    if not problem.cores:
        return 0
    there = max(load * 1000 // cores for load, cores in zip(problem.base_load, problem.cores, strict=True))
    return max(there, _least_load(problem, unplaced) * 1000 // sum(problem.cores))


def _least_load(problem: Problem, unplaced: int) -> int:
    """Load of everything when the `unplaced` guests with the most vCPUs are left out."""
    vcpus = sorted(mover.guest.vcpus for mover in problem.movers)
    return sum(problem.base_load) + VCPU * sum(vcpus[: len(vcpus) - unplaced])


def _most_under(sizes: t.Sequence[int], total: int) -> int:
    """How many of the sizes, ascending, fit under the total."""
    for count, size in enumerate(sizes):
        total -= size
        if total < 0:
            return count
    return len(sizes)
