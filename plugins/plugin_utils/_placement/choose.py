# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The best place for one guest as things are."""

from __future__ import annotations

import bisect
import typing as t

from .model import VCPU
from .options import Option, Shape
from .state import Index, Key, State

#: So many nodes with room of one kind are compared when an index offers them in the right order already.
MOST_OF_A_KIND = 4

Rule = t.Callable[[State, Option], Key]


def by_load(state: State, option: Option) -> Key:
    """Prefer the least busy cores; where that makes no difference, the most memory left."""
    cells = state.problem.cells
    smt = imbalance = peak = 0
    for cell, load, _vcpus, own, _trusted in option.uses:
        before, full = state.load[cell], cells.cores[cell] - state.taken[cell]
        left, after = full - own, before + load
        smt += max(0, after - left * VCPU) - max(0, before - full * VCPU)
        imbalance += after * after // (left or 1) - before * before // (full or 1)
        peak = max(peak, after * 1000 // (left or 1))
    return (
        smt,
        peak,
        imbalance,
        -min(state.free[resource] - amount for resource, amount in option.demand[:-1]),
    )


def by_memory(state: State, option: Option) -> Key:
    """Prefer the tightest fit, which keeps large holes for large guests."""
    return (min(state.free[resource] - amount for resource, amount in option.demand[:-1]),)


def best_option(
    state: State,
    guest: int,
    rule: Rule,
    nodes: tuple[str, t.Collection[int]] | None = None,
    most_excess: int | None = None,
) -> Option | None:
    """Return the best place for a guest as things are: by its own cost first, then by the rule, then by the order of hosts and nodes.

    `nodes`: (host, nodes) that it has to be within. `most_excess`: how many nodes beyond those needed it may have.
    """
    return best_of_shape(state, state.shapes[guest], rule, state.problem.stays[guest], nodes, most_excess)


def best_of_shape(
    state: State,
    shape: Shape,
    rule: Rule,
    stay: Option | None = None,
    nodes: tuple[str, t.Collection[int]] | None = None,
    most_excess: int | None = None,
) -> Option | None:
    """Return the best place for a guest of this shape. `stay`: the option that leaves it where it runs."""
    best: Option | None = None
    best_key: Key = ()
    if stay is not None and state.fits(stay):
        best, best_key = stay, (*stay.cost, 0, *rule(state, stay))
    if nodes is None and state.index is not None and shape.plain:
        found = _indexed(state, state.index, shape, rule)
        if found is not None:
            key = (*found.cost, int(stay is not None), *rule(state, found))
            if best is None or key < best_key:
                best, best_key = found, key
            if not any(found.cost):
                return best
    maker = state.problem.maker
    needed = maker.needed(shape)
    free, need = state.free, shape.need
    sized = maker.sized(shape)
    if nodes is not None:
        sized = [entry for entry in sized if entry[0].name == nodes[0]]
    if shape.apart:
        # On a fleet most hosts are closed to a member of a large group: no look at their nodes is needed.
        state.looks += len(sized) // 32
        sized = [entry for entry in sized if not state.shut(shape, entry[0].name)]
    for size in sorted({size for _host, _pool, sizes, _whole in sized for size in sizes}):
        excess = max(0, size - needed)
        if (best is not None and excess > best_key[0]) or (most_excess is not None and excess > most_excess):
            break
        state.looks += len(sized) // 32
        for host, pool, sizes, whole in sized:
            if free[whole] < need and host.name != shape.mover.held_host:
                continue
            if size not in sizes:
                continue
            for chosen in maker.sets(shape, host, pool, size, state.free):
                if nodes is not None and not set(chosen) <= set(nodes[1]):
                    continue
                state.looks += 1
                option = state.option_here(shape, host, pool, chosen)
                if option is None or (best is not None and option.cost > best_key[:4]):
                    continue
                if (stay is not None and same_place(stay, option)) or not state.fits(option):
                    continue
                key = (*option.cost, int(stay is not None), *rule(state, option))
                if best is None or key < best_key:
                    best, best_key = option, key
    return best


def same_place(one: Option, other: Option) -> bool:
    """Tell whether two options are the same nodes of the same host and cpupool."""
    return one.place is other.place or (
        (one.place.host, one.place.pool, one.place.nodes)
        == (other.place.host, other.place.pool, other.place.nodes)
    )


def _indexed(state: State, index: Index, shape: Shape, rule: Rule) -> Option | None:
    """Return the best single node, by crowding first; None when there is none."""
    guest = shape.guest
    shared = guest.vcpus - len(guest.dedicated_on(""))
    best: Option | None = None
    best_key: Key = ()
    for kind, frees in index.by_free.items():
        _pool, pus, cores, roomy = kind
        crowding = max(0, shared - cores) if roomy else 0
        if pus < guest.vcpus or frees[-1][0] < shape.need or (best is not None and crowding > best_key[1]):
            continue
        for option in _of_a_kind(state, index, kind, shape, rule):
            key = (*option.cost, *rule(state, option))
            if best is None or key < best_key:
                best, best_key = option, key
    return best


def _of_a_kind(state: State, index: Index, kind: t.Any, shape: Shape, rule: Rule) -> t.Iterator[Option]:
    maker, need = state.problem.maker, shape.need
    tight = rule is not by_load
    found = 0
    cells: t.Iterable[int]
    if tight:
        frees = index.by_free[kind]
        cells = (frees[at][1] for at in range(bisect.bisect_left(frees, (need, -1)), len(frees)))
    else:
        cells = (cell for _ratio, less, cell in index.by_load[kind] if -less >= need)
    for cell in cells:
        state.looks += 1
        host, pool, _resource = t.cast(t.Any, index.home[cell])
        if shape.apart and state.shut(shape, host.name):
            continue
        option = maker.option(shape, host, pool, (maker.cells.names[cell][2],))
        if option is None or not state.fits(option):
            continue
        yield option
        found += 1
        if found >= (1 if rule is by_memory else MOST_OF_A_KIND):
            return
