# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Figures that no placement can be below, cheap to compute. They tell how far from the best possible a plan may be.

Each holds for every placement that leaves out no more guests than the one it is printed beside, and where that is said has no more nodes
beyond those needed.
"""

from __future__ import annotations

import bisect
import typing as t

from .loads import busiest, least_load, least_need, may_be_alone
from .model import VCPU
from .options import Shape
from .problem import Problem
from .scarcity import scarcest, too_many_apart, torn
from .state import LARGE

#: So many units of memory are tried at most for the bound of spanning guests.
MOST_UNITS = 400


#: Bounds of levels by name, each in the unit of :meth:`state.State.value`.
Bounds = dict[str, int]


def all_bounds(problem: Problem, missing: int, spanning: int | None = None) -> Bounds:
    """Return a bound of each level below the first two, for placements that leave out no more than `missing` guests.

    `spanning`: how many nodes beyond those needed they may have; None for any number.
    """
    return {
        "crowding": least_own_cost(problem, "crowding", missing),
        "distance": least_own_cost(problem, "distance", missing),
        "device": least_own_cost(problem, "device", missing),
        "smt": least_smt(problem, missing),
        "peak_load": least_peak(problem, missing, spanning),
        "moves": 0,
        "imbalance": least_imbalance(problem, missing),
    }


def fewest_unplaced(problem: Problem) -> int:
    """Count guests that cannot all be placed: those that fit nowhere even alone, and those beyond the total memory, smallest first.

    Where every node has a limit of vCPUs, those beyond the total of these limits likewise. Or else those that compete for slots on nodes
    of which there are fewer, or the members of affinity groups that no host can have as a whole.
    """
    needs, vcpus = [], []
    for mover, stay in zip(problem.movers, problem.stays, strict=True):
        shape = problem.maker.shape(mover)
        if not problem.maker.needed(shape) and stay is None:
            continue
        needs.append(least_need(mover))
        vcpus.append(VCPU * (mover.guest.vcpus - len(mover.guest.dedicated_vcpus)))
    placed = _most_under(sorted(needs), problem.hosts_total())
    limits = [
        None if ratio is None else ratio * pus
        for ratio, pus in zip(problem.cells.ratio, problem.cells.pus, strict=True)
    ]
    if limits and None not in limits and not any(may_be_alone(mover) for mover in problem.movers):
        total = sum(t.cast("list[int]", limits)) - sum(problem.base.vcpus.values())
        placed = min(placed, _most_under(sorted(vcpus), total))
    return max(
        len(problem.movers) - placed, scarcest(problem).missing, torn(problem), too_many_apart(problem)
    )


def least_spanning(problem: Problem, unplaced: int) -> int:
    """Count guests that need one node and cannot all have one.

    For any unit of memory u, guests that are each on one node satisfy: sum of floor(need / u) <= sum of floor(capacity of node / u).
    The units worth trying are the needs themselves and the fractions of the capacities. `unplaced` of these guests may be left out.
    """
    demands = []
    for mover in problem.movers:
        guest = mover.guest
        policies = [guest.policy, *guest.host_policies.values()]
        if guest.nodes is not None or any(policy.numa_policy != "preferred" for policy in policies):
            continue
        if problem.maker.needed(problem.maker.shape(mover)) == 1:
            demands.append(least_need(mover))
    if not demands:
        return 0
    demands.sort()
    nodes = [
        amount
        for (_host, node), amount in zip(problem.resources, problem.capacity, strict=True)
        if node is not None
    ]
    fractions = {capacity // part for capacity in set(nodes) for part in range(1, 9)}
    units = sorted({1, *demands, *fractions} - {0})
    if len(units) > MOST_UNITS:
        units = [units[number * (len(units) - 1) // (MOST_UNITS - 1)] for number in range(MOST_UNITS)]
    most = len(demands)
    for unit in units:
        under = bisect.bisect_left(demands, unit)  # these count nothing
        total = sum(capacity // unit for capacity in nodes)
        most = min(most, under + _most_under([demand // unit for demand in demands[under:]], total))
    return max(0, len(demands) - most - unplaced)


def least_own_cost(
    problem: Problem, level: t.Literal["crowding", "distance", "device"], unplaced: int
) -> int:
    """Sum of what each guest costs on this level at the cheapest of all its places; the `unplaced` most expensive are left out."""
    least = []
    known: dict[int, int] = {}
    for mover, stay in zip(problem.movers, problem.stays, strict=True):
        shape = problem.maker.shape(mover)
        if not problem.maker.needed(shape) and stay is None:
            continue
        if id(shape) not in known:
            known[id(shape)] = _own_cost(problem, shape, level)
        own = known[id(shape)]
        least.append(own if stay is None else min(own, getattr(stay, level)))
    least.sort()
    kept = len(least) - max(0, unplaced - (len(problem.movers) - len(least)))
    return sum(least[: max(0, kept)])


def _own_cost(problem: Problem, shape: Shape, level: str) -> int:
    maker = problem.maker
    if level == "crowding":
        return shape.least_crowding
    if level == "device":
        asks = {shape.guest.policy, *shape.guest.host_policies.values()}
        if not shape.guest.pci_devices and all(policy.backend_locality != "preferred" for policy in asks):
            return 0
        # The mean way from several nodes is not shorter than that from the nearest of them.
        ways = [
            maker.device_cost(shape.guest, host, [node])
            for host, pool, _sizes, _whole in maker.sized(shape)
            if shape.guest.pci_devices or shape.guest.policy_on(host.name).backend_locality == "preferred"
            for node in pool.cells
        ]
        return min(ways, default=0)
    if maker.needed(shape) <= 1 and shape.guest.nodes is None:
        return 0
    if len(problem.cells) >= LARGE or shape.guest.vnuma:
        return 0  # the more uneven the shares of memory, the shorter the ways
    return min((option.distance for option in maker.options(shape.mover)), default=0)


def least_smt(problem: Problem, unplaced: int) -> int:
    """Load beyond the cores, in thousandths of a vCPU: what all the load exceeds all the cores by, and what is there already."""
    base = problem.base
    there = sum(
        max(0, base.load.get(name, 0) - cores * VCPU)
        for name, cores in zip(problem.cells, problem.cores, strict=True)
    )
    return max(there, least_load(problem, unplaced) - sum(problem.cores) * VCPU)


def least_peak(problem: Problem, unplaced: int, spanning: int | None = None, local: bool = False) -> int:
    """Load of the busiest cores, in millionths of a vCPU for each core, of placements with no more than `spanning` nodes beyond those needed.

    See :func:`.loads.busiest`; without `spanning` it holds for any number of nodes. `local`: of those in which everybody is at its devices.
    """
    return busiest(problem, unplaced, spanning, local)


def least_imbalance(problem: Problem, unplaced: int) -> int:
    """Sum of squared load for each core, in millionths: all the load spread as evenly as what is there already permits.

    Nodes that are busier than the rest would be on average stay as they are; what is left is shared out by cores.
    """
    base = problem.base
    loads = [base.load.get(name, 0) for name in problem.cells]
    left, cores = least_load(problem, unplaced), sum(problem.cores)
    total, others = 0, len(loads)
    for load, own in sorted(
        zip(loads, problem.cores, strict=True), key=lambda one: one[0] / one[1], reverse=True
    ):
        if load * cores <= left * own:
            break
        total += load * load // own
        left, cores, others = left - load, cores - own, others - 1
    # each node's own figure is rounded down
    return total + max(0, left * left // cores - others) if others else total


def _most_under(sizes: t.Sequence[int], total: int) -> int:
    """How many of the sizes, ascending, fit under the total."""
    for count, size in enumerate(sizes):
        total -= size
        if total < 0:
            return count
    return len(sizes)
