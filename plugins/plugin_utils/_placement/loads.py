# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""How much load there is at least, and how busy the busiest cores are at least."""

from __future__ import annotations

import bisect
import heapq
import itertools
import math
import typing as t

from .options import Mover, Shape
from .problem import Problem

#: Wishes about host and cpupool beyond this many are not looked at one by one.
MOST_WISHES = 64

#: Nodes with more different amounts of memory than this are taken to have room for every guest.
MOST_ROOMS = 64

#: A price of memory, thousandths of a vCPU for each byte, is a whole number of such parts.
PRICE = 1 << 40


class Load(t.NamedTuple):
    """What a guest (number) brings and takes at least wherever it is: thousandths of a vCPU, bytes, whole cores of its own."""

    guest: int
    load: int
    need: int
    own: int


def least_need(mover: Mover) -> int:
    """Bytes that the guest takes from some host, at the very least."""
    if mover.stay is not None:
        return min(mover.guest.need, sum(mover.held.values()))
    return max(0, mover.guest.need - sum(mover.held.values()))


def may_be_alone(mover: Mover) -> bool:
    """Whether the guest may have cores that it does not share, so that it brings no load."""
    policies = [mover.guest.policy, *mover.guest.host_policies.values()]
    return mover.guest.trust_group is not None or any(policy.cpu_policy != "shared" for policy in policies)


def loads_of(problem: Problem) -> list[Load]:
    """Return the loads of all guests that fit anywhere."""
    widest = max(problem.cells.widest, default=1)
    found = []
    for guest, (mover, stay) in enumerate(zip(problem.movers, problem.stays, strict=True)):
        if stay is None and not problem.maker.needed(problem.maker.shape(mover)):
            continue
        load = 0 if may_be_alone(mover) else mover.guest.load
        found.append(Load(guest, load, least_need(mover), _own_cores(mover, max(1, widest))))
    return found


def _own_cores(mover: Mover, widest: int) -> int:
    """Cores that the guest has for itself on whatever host, at least."""
    guest = mover.guest
    if guest.host_policies:
        return 0
    own = len(guest.dedicated_on(""))
    return own if guest.policy.thread_policy == "isolate" else -(-own // widest)


def least_load(problem: Problem, unplaced: int) -> int:
    """Thousandths of a vCPU of everything when no more than `unplaced` guests are left out, those that may have CPUs of their own too."""
    loads = loads_of(problem)
    left_out = max(0, unplaced - (len(problem.movers) - len(loads)))
    return sum(problem.base.load.values()) + _kept(loads, left_out, problem.hosts_total())


def _kept(loads: t.Sequence[Load], left_out: int, room: int) -> int:
    """The load that is left at least without so many of the guests, and such that the others have room in so many bytes."""
    whole = sum(one.load for one in loads)
    if not left_out:
        return whole
    most = sum(heapq.nlargest(left_out, (one.load for one in loads)))
    beyond = sum(one.need for one in loads) - room
    if beyond > 0 and whole:
        # Those without a place take at least what there is too much of. Whatever a byte of that is worth, no choice of them is
        # worth more than the dearest ones.
        mean = max(1, whole * PRICE // max(1, sum(one.need for one in loads)))
        for price in (mean * factor // 16 for factor in (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128)):
            dearest = heapq.nlargest(left_out, (one.load * PRICE + one.need * price for one in loads))
            most = min(most, max(0, sum(dearest) - beyond * price) // PRICE)
    return whole - most


# The busiest cores.


def busiest(problem: Problem, unplaced: int, spanning: int | None = None, local: bool = False) -> int:
    """Load of the busiest cores at least, in millionths of a vCPU for each core.

    Holds for placements that leave out no more than `unplaced` guests, and have no more than `spanning` nodes beyond those needed; None for
    any number of them. `local`: in which everybody is at its devices.
    """
    if not problem.cores:
        return 0
    base = problem.base
    there = [base.load.get(name, 0) for name in problem.cells]
    cores = [
        max(1, own - base.cores.get(name, 0)) for name, own in zip(problem.cells, problem.cores, strict=True)
    ]
    least = max(load * 1000 // own for load, own in zip(there, problem.cores, strict=True))
    loads = loads_of(problem)
    left_out = max(0, unplaced - (len(problem.movers) - len(loads)))
    least = max(
        least, _widest_of(problem, loads, left_out, spanning), _left_there(problem, there, cores, left_out)
    )
    if spanning is not None:
        for cell, some in _tied(problem, loads, local).items():
            # So many guests may be on other nodes beside.
            load = _kept(some, left_out + spanning, sum(one.need for one in some))
            least = max(least, (load + there[cell]) * 1000 // cores[cell])
    for cells, some in _regions(problem, loads):
        room = problem.hosts_total() if len(some) == len(loads) else sum(one.need for one in some)
        load = _kept(some, left_out, room)
        own = sum(sorted(one.own for one in some)[: max(0, len(some) - left_out)])
        width = sum(cores[cell] for cell in cells) - own
        if width > 0:
            least = max(least, (load + sum(there[cell] for cell in cells)) * 1000 // width)
        if spanning == 0 and not any(one.own for one in loads) and all(_single(problem, one) for one in some):
            least = _in_pieces(problem, cells, some, left_out, load, there, cores, least)
    return least


def _regions(problem: Problem, loads: t.Sequence[Load]) -> t.Iterator[tuple[t.Collection[int], list[Load]]]:
    """Sets of cells with the guests that can be nowhere else: all of them, and those of each wish for a host or a cpupool."""
    yield range(len(problem.cells)), list(loads)
    maker = problem.maker
    wishes: dict[tuple[str | None, str | None], list[Load]] = {}
    for one in loads:
        guest = problem.movers[one.guest].guest
        if problem.stays[one.guest] is None:
            wishes.setdefault((guest.host, guest.pool), []).append(one)
    if len(wishes) > MOST_WISHES:
        return
    cells: dict[tuple[str | None, str | None], frozenset[int]] = {}
    for wish, some in wishes.items():
        shape = maker.shape(problem.movers[some[0].guest])
        cells[wish] = frozenset(
            maker.cell[host.name, pool.id, node]
            for host, pool, _sizes, _whole in maker.sized(shape)
            for node in pool.cells
        )
    for mine in dict.fromkeys(cells.values()):
        if len(mine) < len(problem.cells):
            yield mine, [one for wish, some in wishes.items() if cells[wish] <= mine for one in some]


def _tied(problem: Problem, loads: t.Sequence[Load], local: bool) -> dict[int, list[Load]]:
    """Guests that can be on one node alone because of their devices, by the cell of that node. `local`: those that it is better for, too."""
    maker = problem.maker
    tied: dict[int, list[Load]] = {}
    for one in loads:
        guest = problem.movers[one.guest].guest
        if not guest.pci_devices or problem.stays[one.guest] is not None or not _single(problem, one):
            continue
        cells = []
        for host, pool, _sizes, _whole in maker.sized(maker.shape(problem.movers[one.guest])):
            for node in pool.cells:
                place = maker.place(host, pool, (node,))
                if place is None or maker.device_fault(guest, host, place) is not None:
                    continue
                if not local or not maker.device_cost(guest, host, [node]):
                    cells.append(maker.cell[host.name, pool.id, node])
        if len(cells) == 1:
            tied.setdefault(cells[0], []).append(one)
    return tied


def _left_there(problem: Problem, there: t.Sequence[int], cores: t.Sequence[int], left_out: int) -> int:
    """How busy cores are at least because no more than so many of the guests that run on them may be moved."""
    if problem.most_moves is None:
        return 0
    running: dict[int, list[int]] = {}
    for stay in problem.stays:
        if stay is not None and len(stay.uses) == 1:
            running.setdefault(stay.uses[0][0], []).append(stay.uses[0][1])
    for found in running.values():
        found.sort(reverse=True)

    def possible(peak: int) -> bool:
        left = t.cast(int, problem.most_moves) + left_out
        for cell, found in running.items():
            load = there[cell] + sum(found)
            for one in found:
                if load * 1000 // cores[cell] <= peak:
                    break
                load, left = load - one, left - 1
            if left < 0:
                return False
        return True

    high = max(((there[cell] + sum(found)) * 1000 for cell, found in running.items()), default=0)
    return _first(possible, -1, high) if running else 0


def _single(problem: Problem, one: Load) -> bool:
    """Whether the guest is on one node wherever it has no more nodes than it needs."""
    mover = problem.movers[one.guest]
    guest = mover.guest
    policies = {guest.policy, *guest.host_policies.values()}
    if guest.nodes is not None and len(guest.nodes) > 1:
        return False
    return (
        problem.maker.needed(problem.maker.shape(mover)) == 1
        and all(policy.numa_policy in ("preferred", "single", "1") for policy in policies)
        and (
            problem.stays[one.guest] is None or all(policy.numa_policy == "preferred" for policy in policies)
        )
    )


def _widest_of(problem: Problem, loads: t.Sequence[Load], left_out: int, spanning: int | None) -> int:
    """What the guest with the most load for the cores that it can be on makes of them, when so many others are left out."""
    maker = problem.maker
    by_host: dict[str, list[int]] = {}
    for (name, _pool, _node), cores in zip(problem.cells, problem.cores, strict=True):
        by_host.setdefault(name, []).append(cores)
    hosts = {tuple(sorted(cores, reverse=True)) for cores in by_host.values()}
    sums: dict[int | None, int] = {}

    def most_cores(nodes: int | None) -> int:
        if nodes not in sums:
            sums[nodes] = max(1, *(sum(cores[:nodes]) for cores in hosts))
        return sums[nodes]

    known: dict[tuple[int, bool], tuple[int | None, int | None]] = {}
    busy: tuple[list[int], list[int]] = ([], [])
    for one in loads:
        mover = problem.movers[one.guest]
        shape = maker.shape(mover)
        key = (id(shape), mover.stay is not None)
        if key not in known:
            known[key] = _nodes_of(maker.needed(shape), shape, spanning, mover.stay is not None)
        for found, nodes in zip(busy, known[key], strict=True):
            found.append(one.load * 1000 // most_cores(nodes))
    # So many guests may have more nodes than they need.
    ways = [(busy[0], left_out)]
    if spanning is not None:
        ways.append((busy[1], left_out + spanning))
    return max(
        (heapq.nlargest(out + 1, found)[-1] for found, out in ways if len(found) > out),
        default=0,
    )


def _nodes_of(needed: int, shape: Shape, spanning: int | None, runs: bool) -> tuple[int | None, int | None]:
    """On how many nodes a guest can be at most, and on how many when it has no more than it needs; None for all of a host.

    `runs`: it may stay where it is, whatever its policy says.
    """
    guest = shape.guest
    policies = {guest.policy, *guest.host_policies.values()}
    if runs and any(policy.numa_policy != "preferred" for policy in policies):
        return None, None
    if guest.nodes is not None:
        return len(guest.nodes), len(guest.nodes)
    counts = {policy.node_count for policy in policies}
    if None not in counts and all(policy.numa_policy != "spread" for policy in policies):
        most = max(t.cast("set[int]", counts))
        return most, most
    if not needed or any(policy.numa_policy != "preferred" for policy in policies):
        return None, None
    return None if spanning is None else needed + spanning, needed


def _in_pieces(
    problem: Problem,
    cells: t.Collection[int],
    some: t.Sequence[Load],
    left_out: int,
    load: int,
    there: t.Sequence[int],
    cores: t.Sequence[int],
    least: int,
) -> int:
    """The least peak, from `least` on, with which cells can have so much load of guests that are on one node each.

    A cell has no more than its memory has room for, and whole guests: of those with so much load or more, so many as its limit contains.
    """
    step = math.gcd(*(one.load for one in some)) if some else 0
    if not step:
        return least
    kinds: dict[tuple[int, int, int], int] = {}
    maker = problem.maker
    for cell in cells:
        host, _pool, node = maker.cells.names[cell]
        if maker.by_name[host].nodes[node].memory_free is None:
            continue
        kind = (cores[cell], there[cell], problem.capacity[maker.resource[host, node]])
        kinds[kind] = kinds.get(kind, 0) + 1
    rooms = _most_loads(some, {memory for _cores, _there, memory in kinds})
    ordered = sorted(one.load for one in some)
    sizes = sorted({one.load for one in some} - {0})[-MOST_ROOMS:]
    counts = [(size, max(0, len(ordered) - bisect.bisect_left(ordered, size) - left_out)) for size in sizes]

    def possible(peak: int) -> bool:
        limits = [
            (max(0, min(((peak + 1) * own - 1) // 1000 - busy, rooms[memory])), number)
            for (own, busy, memory), number in kinds.items()
        ]
        if sum(limit // step * step * number for limit, number in limits) < load:
            return False
        return all(sum(limit // size * number for limit, number in limits) >= count for size, count in counts)

    high = max(least, (sum(there) + sum(ordered)) * 1000)
    if possible(least) or not possible(high):
        return least
    return _first(possible, least, high)


def _first(possible: t.Callable[[int], bool], low: int, high: int) -> int:
    """Return the first number above `low` that is possible; `high` is, and so is every number above a possible one."""
    while high - low > 1:
        middle = (low + high) // 2
        if possible(middle):
            high = middle
        else:
            low = middle
    return high


def _most_loads(some: t.Sequence[Load], rooms: t.Collection[int]) -> dict[int, int]:
    """The most load that nodes with so many bytes can have of guests that are not divided: those with the most load a byte first."""
    dense = sorted((one for one in some if one.load), key=lambda one: (one.need / one.load, one.guest))
    found = {}
    few = len(rooms) <= MOST_ROOMS
    needs: list[int] = []
    sums: list[int] = []
    for room in rooms:
        fitting = [one for one in dense if one.need <= room] if few else dense
        if few or not needs:
            needs = list(itertools.accumulate(one.need for one in fitting))
            sums = [0, *itertools.accumulate(one.load for one in fitting)]
        number = bisect.bisect_right(needs, room)
        most = sums[number]
        if number < len(fitting):
            left = room - (needs[number - 1] if number else 0)
            most += -(-fitting[number].load * left // max(1, fitting[number].need))
        found[room] = most
    return found
