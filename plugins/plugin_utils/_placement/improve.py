# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Local search: a better place for one guest, others out of its way, and less load on the busiest nodes. Never worse than before."""

from __future__ import annotations

import bisect
import heapq
import math
import typing as t

from .choose import best_option, by_load, by_memory, same_place
from .effort import Effort
from .options import Option
from .pairs import MOST_ITEMS, MOST_LOADED, Moved, items_of, rearrange, split_load, split_memory, undo
from .state import Key, State

#: How many steps one trial (guests put somewhere, the whole valued) is worth.
TRIAL = 16

#: How many different guests are tried as the one that makes room for another, and at how many places.
MOST_BLOCKERS = 16
MOST_PLACES = 64

#: Hosts, those with the most free memory, and nodes of each, that are tried for a guest by filling up the others.
MOST_HOSTS = 6
MOST_GATHERED = 3

#: Guests without a place that are tried when another one is taken out, and how many may be that one.
MOST_WAITING = 12
MOST_LEFT_OUT = 200

#: How many of the least busy nodes of a kind a guest of a busy one is tried on, on a fleet; and how many guests of a node.
MOST_COOL = 12
MOST_PAIRED = 12

#: How many of the less busy nodes share all their guests with a busy one, and sums of load that the guests of two nodes may have.
MOST_DIVIDED = 8
MOST_LOADS = 400


def improve(state: State, order: t.Sequence[int], effort: Effort, displace: bool = True) -> None:
    """Better the placement until no single step helps, or the effort is spent.

    `displace`: also move others out of the way of guests that have no place or a wide one, the costly part.
    """
    while not effort.over():
        progress = False
        for guest in order:
            option = state.at[guest]
            if option is not None and not any(option.cost):
                continue
            if effort.over():
                return
            progress |= _relocate(state, guest, effort)
            option = state.at[guest]
            if displace and (option is None or option.excess or option.crowding or option.device):
                progress |= gather(state, guest, effort) or _make_room(state, guest, effort)
        if displace and any(option is None for option in state.at):
            progress |= _leave_out(state, effort)
        progress |= _balance(state, effort)
        if not progress:
            return


def _better(state: State, before: Key) -> bool:
    return state.permitted() and state.key() < before


def _relocate(state: State, guest: int, effort: Effort) -> bool:
    """Give one guest the place that is best for itself, if that is better for the whole."""
    before = state.key()
    mine = state.at[guest]
    looks = state.looks
    if mine is None and state.failed.get(id(state.shapes[guest])) == state.changes:
        effort.spend(1)
        return False  # nothing has changed since
    if mine is not None:
        state.take(guest)
    found = best_option(state, guest, by_load)
    if found is not None:
        state.put(guest, found)
        if found is not mine and _better(state, before):
            effort.spend(TRIAL + state.looks - looks)
            return True
        state.take(guest)
    if mine is not None:
        state.put(guest, mine)
    else:
        state.failed[id(state.shapes[guest])] = state.changes
    effort.spend(TRIAL + state.looks - looks)
    return False


# Others out of the way.


def _hopeless(state: State, guest: int) -> bool:
    """Whether there is less memory left than the guest takes, wherever the others go."""
    mine = state.at[guest]
    return mine is None and state.room < state.shapes[guest].need - sum(
        state.shapes[guest].mover.held.values()
    )


def gather(state: State, guest: int, effort: Effort) -> bool:
    """Give a guest one node whose memory is free because the host's other nodes are filled up with the guests of it."""
    shape, maker = state.shapes[guest], state.problem.maker
    mine = state.at[guest]
    if shape.mover.held or maker.needed(shape) != 1 or (mine is not None and not mine.excess):
        return False
    if _hopeless(state, guest):
        return False
    before = state.key()
    if mine is not None:
        state.take(guest)
    rooms = []
    for host, pool, sizes, whole in maker.sized(shape):
        if 1 in sizes and state.free[whole] >= shape.need:
            rooms.append((-state.free[whole], maker.number[host.name], host, pool))
    effort.spend(len(rooms) // 16)
    for _free, _number, host, pool in sorted(rooms, key=lambda room: room[:2])[:MOST_HOSTS]:
        cells = [maker.cell[host.name, pool.id, node] for node in sorted(pool.cells)]
        cells = [cell for cell in cells if host.nodes[maker.cells.names[cell][2]].memory_free is not None]
        cells.sort(key=lambda cell: (-state.free[_memory_of(state, cell)], cell))
        for target in cells[:MOST_GATHERED]:
            if effort.over():
                break
            node = maker.cells.names[target][2]
            option = maker.option(shape, host, pool, (node,))
            if option is None:
                continue
            done = _fill_others(state, option, target, cells, effort)
            if state.fits(option):
                state.put(guest, option)
                if _better(state, before):
                    return True
                state.take(guest)
            for moved in reversed(done):
                undo(state, moved)
    if mine is not None:
        state.put(guest, mine)
    return False


def _memory_of(state: State, cell: int) -> int:
    """The resource of the memory beside a cell."""
    maker = state.problem.maker
    name, _pool, node = maker.cells.names[cell]
    return maker.resource[name, node]


def _fill_others(
    state: State, option: Option, target: int, cells: t.Sequence[int], effort: Effort
) -> list[Moved]:
    """Fill up the other nodes, those with the most free memory first, until the target has the memory for the option. Returns what was moved."""
    goal, (resource, amount) = _memory_of(state, target), option.demand[0]
    done: list[Moved] = []
    for other in cells:
        if state.free[resource] >= amount or effort.over():
            break
        home = _memory_of(state, other)
        if other == target or home == goal or not state.free[home]:
            continue
        items = items_of(state, other, target, _option_at)
        effort.spend(8 * len(items))
        if not 1 < len(items) <= MOST_ITEMS:
            continue
        there = {item.guest for item in items if state.at[item.guest] is item.first}
        first = state.free[home] + sum(item.memory for item in items if item.guest in there)
        second = state.free[goal] + sum(item.memory for item in items if item.guest not in there)
        chosen = split_memory(items, first, second)
        if chosen is None:
            continue
        moved = rearrange(state, items, chosen)
        if moved:
            done.append(moved)
    return done


def _leave_out(state: State, effort: Effort) -> bool:
    """Take a guest out for two or more others, or for one of a higher priority."""
    weights = state.problem.weights
    missing = sorted(
        (guest for guest, option in enumerate(state.at) if option is None),
        key=lambda guest: (-weights[guest], state.shapes[guest].need, guest),
    )
    waiting = missing[:MOST_WAITING]
    if not waiting:
        return False
    smallest = min(state.shapes[guest].need for guest in waiting)
    placed = [
        guest
        for guest, option in enumerate(state.at)
        if option is not None and state.problem.stays[guest] is None and option.demand[-1][1] > smallest // 2
    ]
    placed.sort(key=lambda guest: (weights[guest], -state.shapes[guest].need, guest))
    seen: set[t.Any] = set()
    for guest in placed[:MOST_LEFT_OUT]:
        option = t.cast(Option, state.at[guest])
        kind = (id(state.shapes[guest]), option.place.host, option.place.nodes)
        if kind in seen:
            continue
        seen.add(kind)
        if effort.over():
            return False
        before, looks = state.key(), state.looks
        state.take(guest)
        came = []
        for other in waiting:
            if state.shapes[other].need > state.room:
                continue
            found = best_option(state, other, by_memory)
            if found is not None:
                state.put(other, found)
                came.append(other)
        effort.spend(TRIAL + state.looks - looks)
        if _better(state, before):
            return True
        for other in came:
            state.take(other)
        state.put(guest, option)
    return False


# Others out of the way of one.


def _make_room(state: State, guest: int, effort: Effort) -> bool:
    """Give a guest a better place by moving one or several others out of the way."""
    if _hopeless(state, guest):
        return False
    before = state.key()
    mine = state.at[guest]
    for option in _targets(state, guest, effort):
        if effort.over():
            return False
        if mine is not None and option.cost >= mine.cost:
            continue
        for others in _blockers(state, guest, option):
            effort.spend(TRIAL * (1 + len(others)))
            if _eject(state, guest, option, others, before, effort):
                return True
            if effort.over():
                return False
    return False


def _targets(state: State, guest: int, effort: Effort) -> list[Option]:
    """Places that would be worth making room on: of the least cost, and of those where least is missing."""
    shape, maker = state.shapes[guest], state.problem.maker
    mine = state.at[guest]
    needed = maker.needed(shape)
    if not needed:
        return []
    found: list[tuple[int, int, t.Any]] = []
    most = needed if mine is not None or needed > 1 else needed + 1
    if state.index is not None and shape.plain and needed == 1:
        for frees in state.index.by_free.values():
            end = bisect.bisect_left(frees, (shape.need, -1))
            for free, cell in frees[max(0, end - MOST_PLACES) : end]:
                host, pool, _resource = t.cast(t.Any, state.index.home[cell])
                found.append((shape.need - free, cell, (host, pool, (maker.cells.names[cell][2],))))
        most = 0
    number = 0
    for host, pool, sizes, _whole in maker.sized(shape) if most else ():
        for size in sizes:
            if size > most:
                break
            share = shape.need // size
            for nodes in maker.sets(shape, host, pool, size, state.problem.capacity):
                number += 1
                missing = sum(
                    max(0, share - state.free[maker.resource[host.name, node]])
                    for node in nodes
                    if host.nodes[node].memory_free is not None
                )
                found.append((missing, number, (host, pool, nodes)))
    effort.spend(len(found) // 4)
    found.sort(key=lambda item: item[:2])
    options = [maker.option(shape, *where) for _missing, _number, where in found[: 2 * MOST_PLACES]]
    ranked = [(option.cost, rank, option) for rank, option in enumerate(options) if option is not None]
    return [option for _cost, _rank, option in sorted(ranked, key=lambda item: item[:2])[:MOST_PLACES]]


def _blockers(state: State, guest: int, option: Option) -> t.Iterator[tuple[int, ...]]:
    """Sets of guests whose leaving would make room for the option: single ones, then the smallest that suffice, then the largest."""
    mine = state.at[guest]
    credit = {} if mine is None else dict(mine.demand)
    short = {
        resource: amount - state.free[resource] - credit.get(resource, 0)
        for resource, amount in option.demand
        if amount > state.free[resource] + credit.get(resource, 0)
    }
    wanted = [resource for resource, _amount in option.demand[:-1]]
    near = {other for resource in wanted for other in state.members.get(resource, ()) if other != guest}
    if not short:
        # There is memory: it must be the cores, a group or a device. One guest less may do.
        yield from ((other,) for other in sorted(near)[:MOST_BLOCKERS])
        return
    last = option.demand[-1][0]
    if last in short:
        name = option.place.host
        maker = state.problem.maker
        for node in maker.by_name[name].nodes:
            near |= state.members.get(maker.resource[name, node], set()) - {guest}
    helpful: list[tuple[int, int, dict[int, int]]] = []
    enough: list[tuple[int, int]] = []
    for other in sorted(near):
        theirs = t.cast(Option, state.at[other])
        gives = {resource: amount for resource, amount in theirs.demand if resource in short and amount}
        if not gives:
            continue
        helpful.append((sum(gives.values()), other, gives))
        if all(gives.get(resource, 0) >= amount for resource, amount in short.items()):
            enough.append((sum(gives.values()), other))
    seen: set[t.Any] = set()
    for _size, other in sorted(enough):
        kind = (id(state.shapes[other]), id(state.problem.stays[other]))
        if kind in seen:
            continue
        seen.add(kind)
        if len(seen) > MOST_BLOCKERS:
            break
        yield (other,)
    for reverse in (False, True):
        missing = dict(short)
        chosen: list[int] = []
        for _size, other, gives in sorted(helpful, key=lambda item: item[:2], reverse=reverse):
            if any(missing.get(resource, 0) > 0 for resource in gives):
                chosen.append(other)
                for resource, amount in gives.items():
                    missing[resource] -= amount
            if max(missing.values()) <= 0:
                break
        if len(chosen) > 1 and max(missing.values()) <= 0:
            yield tuple(chosen)


def _eject(
    state: State, guest: int, option: Option, others: t.Sequence[int], before: Key, effort: Effort
) -> bool:
    """Put the guest there and the others elsewhere; keep that if the whole is better, else undo it."""
    mine = state.at[guest]
    theirs = {other: state.take(other) for other in others}
    if mine is not None:
        state.take(guest)
    if state.fits(option):
        state.put(guest, option)
        guests = state.problem.movers
        ordered = sorted(others, key=lambda index: (-guests[index].guest.need, index))
        for rule in (by_load, by_memory):
            looks = state.looks
            for other in ordered:
                found = best_option(state, other, rule)
                # Only for a guest without a place another one is spread.
                if found is None or (mine is not None and found.excess > theirs[other].excess):
                    break
                state.put(other, found)
            else:
                if _better(state, before):
                    return True
            effort.spend(state.looks - looks)
            for other in ordered:
                if state.at[other] is not None:
                    state.take(other)
            if len(ordered) == 1:
                break
        state.take(guest)
    for index, old in theirs.items():
        state.put(index, old)
    if mine is not None:
        state.put(guest, mine)
    return False


# Load.


def _balance(state: State, effort: Effort) -> bool:
    """Take load from the busiest cells as long as that helps."""
    progress = False
    # The busiest first; a cell whose load has changed since it was put here is put here again.
    waiting = [(-ratio, cell) for cell, ratio in enumerate(state.ratio) if ratio]
    heapq.heapify(waiting)
    effort.spend(len(waiting) // 16)
    while waiting and not effort.over():
        ratio, cell = heapq.heappop(waiting)
        if -ratio != state.ratio[cell]:
            continue
        touched = _cool(state, cell, effort)
        effort.spend(1)
        progress |= bool(touched)
        for changed in touched:
            heapq.heappush(waiting, (-state.ratio[changed], changed))
    return progress


def _cool(state: State, hot: int, effort: Effort) -> set[int]:
    """Better the whole by moving a guest off a cell, or exchanging it for one or two others. Returns the cells that changed."""
    here = _weighed(state, hot)
    if not here:
        return set()
    before = state.key()
    # On a fleet it would take too long for all of them.
    busiest = state.index is None or state.ratio[hot] == state.ratios[-1]
    room = state.free[_memory_of(state, hot)]
    mine_only = [mine for mine, *_figures in here]
    for number, cold in enumerate(_cool_cells(state, hot)):
        limit = _most_calming(state, hot, cold)
        left = state.free[_memory_of(state, cold)]
        if effort.over():
            return set()
        for mine, load, need, _gives in here:
            if 0 < load < limit and need <= left and _exchange(state, [mine], hot, [], cold, before, effort):
                return {hot, cold}
        there = _weighed(state, cold)
        for mine, load, need, gives in here:
            if effort.over():
                return set()
            for theirs, its_load, its_need, its_gives in there:
                if (
                    0 < load - its_load < limit
                    and need <= left + its_gives
                    and its_need <= room + gives
                    and _exchange(state, [mine], hot, [theirs], cold, before, effort)
                ):
                    return {hot, cold}
        if len(state.ratio) <= 64:
            theirs_only = [theirs for theirs, *_figures in there]
            if _several(state, mine_only, hot, theirs_only, cold, before, effort):
                return {hot, cold}
        if number < MOST_DIVIDED and busiest and _divide(state, hot, cold, before, effort):
            return {hot, cold}
    return set()


def _weighed(state: State, cell: int) -> list[tuple[int, int, int, int]]:
    """Guests that stand for those of a cell: (guest, its load, bytes that it needs elsewhere, bytes that it gives back)."""
    return [
        (
            guest,
            _load(state, guest),
            0 if state.shapes[guest].mover.held else state.shapes[guest].need,
            t.cast(Option, state.at[guest]).demand[0][1],
        )
        for guest in _representatives(state, cell)
    ]


def _several(
    state: State,
    here: t.Sequence[int],
    hot: int,
    there: t.Sequence[int],
    cold: int,
    before: Key,
    effort: Effort,
) -> bool:
    """Exchange one guest for two, or two for one."""
    here, there = here[:MOST_PAIRED], there[:MOST_PAIRED]
    for mine in here:
        for number, one in enumerate(there):
            for other in there[number + 1 :]:
                if effort.over():
                    return False
                effort.spend(1)
                more = _load(state, mine) - _load(state, one) - _load(state, other)
                if _calmer(state, hot, cold, more) and _exchange(
                    state, [mine], hot, [one, other], cold, before, effort
                ):
                    return True
    for theirs in there:
        for number, one in enumerate(here):
            for other in here[number + 1 :]:
                if effort.over():
                    return False
                effort.spend(1)
                more = _load(state, one) + _load(state, other) - _load(state, theirs)
                if _calmer(state, hot, cold, more) and _exchange(
                    state, [one, other], hot, [theirs], cold, before, effort
                ):
                    return True
    return False


def _divide(state: State, hot: int, cold: int, before: Key, effort: Effort) -> bool:
    """Divide the guests of two cells so that the busier one is as little busy as can be."""
    if effort.over():
        return False
    items = items_of(state, hot, cold, _option_at)
    loads = (
        sum(item.load for item in items) // math.gcd(*(item.load for item in items))
        if any(item.load for item in items)
        else 0
    )
    effort.spend(len(items) * (1 + loads // 16))
    if not 2 < len(items) <= MOST_LOADED or not 0 < loads <= MOST_LOADS:
        return False
    here = [item for item in items if state.at[item.guest] is item.first]
    there = [item for item in items if state.at[item.guest] is not item.first]
    cells, taken = state.problem.cells, state.taken
    cores = [max(1, cells.cores[cell] - taken[cell]) for cell in (hot, cold)]
    whole = sum(item.load for item in items)
    bases = (
        state.load[hot] - sum(item.load for item in here),
        state.load[cold] - sum(item.load for item in there),
    )

    def ratio(load: int) -> int:
        return max((bases[0] + load) * 1000 // cores[0], (bases[1] + whole - load) * 1000 // cores[1])

    memory = (
        state.free[_memory_of(state, hot)] + sum(item.memory for item in here),
        state.free[_memory_of(state, cold)] + sum(item.memory for item in there),
    )
    chosen = split_load(items, memory, ratio)
    moved = None if chosen is None else rearrange(state, items, chosen)
    if not moved:
        return False
    if _better(state, before):
        return True
    undo(state, moved)
    return False


def _cool_cells(state: State, hot: int) -> list[int]:
    """Cells of the same cpupool that are less busy, the least busy first."""
    if state.index is None:
        names = state.problem.cells.names
        pool = names[hot][1]
        found = [
            (ratio, cell)
            for cell, ratio in enumerate(state.ratio)
            if ratio < state.ratio[hot] and names[cell][1] == pool
        ]
        return [cell for _ratio, cell in sorted(found)]
    maker = state.problem.maker
    name, pool, _node = maker.cells.names[hot]
    # On a fleet its own host's, and the least busy of each kind.
    near = {
        (state.ratio[cell], cell)
        for node in maker.by_name[name].pools[pool].cells
        if state.ratio[cell := maker.cell[name, pool, node]] < state.ratio[hot]
    }
    far = {
        (ratio, cell)
        for cells in state.index.by_load.values()
        for ratio, _less, cell in cells[:MOST_COOL]
        if ratio < state.ratio[hot]
    }
    return [cell for _ratio, cell in (*sorted(near)[: MOST_COOL // 2], *sorted(far - near))]


def _representatives(state: State, cell: int) -> list[int]:
    """Guests that are on this cell alone, one of each shape, the largest load first."""
    maker = state.problem.maker
    name, _pool, node = maker.cells.names[cell]
    found: dict[t.Any, int] = {}
    for guest in sorted(state.members.get(maker.resource[name, node], ())):
        option = state.at[guest]
        if option is None or len(option.uses) != 1 or option.uses[0][0] != cell or not option.loads:
            continue
        stay = state.problem.stays[guest]
        found.setdefault((id(state.shapes[guest]), None if stay is None else guest), guest)
    return sorted(found.values(), key=lambda guest: (-_load(state, guest), guest))


def _load(state: State, guest: int) -> int:
    return t.cast(Option, state.at[guest]).uses[0][1]


def _calmer(state: State, hot: int, cold: int, more: int) -> bool:
    """Whether `more` load going from one cell to the other leaves both less busy than the busier one is now."""
    return 0 < more < _most_calming(state, hot, cold)


def _most_calming(state: State, hot: int, cold: int) -> int:
    """The load from which on it no longer helps to have that much less on the one cell and more on the other."""
    cells, taken = state.problem.cells, state.taken
    there = cells.cores[cold] - taken[cold]
    here = cells.cores[hot] - taken[hot]
    if there <= 0 or here <= 0:
        return 0
    # So that the sum of squared loads for each core becomes less.
    return max(0, (2 * (state.load[hot] * there - state.load[cold] * here) - 1) // (here + there) + 1)


def _exchange(
    state: State,
    mine: t.Sequence[int],
    hot: int,
    theirs: t.Sequence[int],
    cold: int,
    before: Key,
    effort: Effort,
) -> bool:
    """Exchange guests of two cells if the whole becomes better."""
    if not _room_for(state, mine, theirs, cold) or not _room_for(state, theirs, mine, hot):
        return False
    moves = [(guest, _option_at(state, guest, cold)) for guest in mine]
    moves += [(guest, _option_at(state, guest, hot)) for guest in theirs]
    effort.spend(TRIAL * len(moves))
    for guest, option in moves:
        if option is None or option.cost > t.cast(Option, state.at[guest]).cost:
            return False
    old = [(guest, state.take(guest)) for guest, _option in moves]
    done = []
    for guest, option in moves:
        if not state.fits(t.cast(Option, option)):
            break
        state.put(guest, t.cast(Option, option))
        done.append(guest)
    if len(done) == len(moves) and _better(state, before):
        return True
    for guest in done:
        state.take(guest)
    for guest, option in old:
        state.put(guest, option)
    return False


def _room_for(state: State, coming: t.Sequence[int], going: t.Sequence[int], cell: int) -> bool:
    """A quick look at memory, exact for guests on one node that do not run yet."""
    maker = state.problem.maker
    name, _pool, node = maker.cells.names[cell]
    free = state.free[maker.resource[name, node]]
    more = sum(state.shapes[guest].need for guest in coming if not state.shapes[guest].mover.held)
    less = sum(t.cast(Option, state.at[guest]).demand[0][1] for guest in going)
    return more <= free + less


def _option_at(state: State, guest: int, cell: int) -> Option | None:
    """The guest's option on one cell alone."""
    maker = state.problem.maker
    name, pool_id, node = maker.cells.names[cell]
    host = maker.by_name[name]
    shape = state.shapes[guest]
    if name not in shape.host_names or host.find_pool(shape.guest.pool) is not host.pools[pool_id]:
        return None
    option = maker.option(shape, host, host.pools[pool_id], (node,))
    stay = state.problem.stays[guest]
    return stay if option is not None and stay is not None and same_place(stay, option) else option
