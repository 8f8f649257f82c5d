# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""All guests together: greedy by size from several orders, then local search on the lexicographic objective.

Everything is integers and fixed orders, so the same problem gives the same answer. Effort is bounded by counting steps; a clock comes in
only when the user sets a limit of time.
"""

from __future__ import annotations

import typing as t

from .choose import Rule, best_option, by_load, by_memory
from .effort import Effort
from .improve import improve
from .model import Guest, Host
from .options import units_of
from .problem import Problem
from .state import Key, State

#: Looks at a place for a guest, after which the search stops with what it has.
MOST_LOOKS = 1_500_000

#: So many hosts with room are compared for guests that belong together.
MOST_HOMES = 8

#: With more guests than this one start has to do.
MANY_GUESTS = 5_000


def by_size(problem: Problem) -> list[int]:
    """Guests in the order in which they are placed: priority, then the largest memory, then the most vCPUs, then the name."""
    guests = [mover.guest for mover in problem.movers]
    return sorted(
        range(len(guests)),
        key=lambda index: (
            -guests[index].priority,
            -guests[index].need,
            -guests[index].vcpus,
            guests[index].name,
        ),
    )


def greedy(problem: Problem, order: t.Iterable[int], rule: Rule) -> State:
    """Place one guest after the other, none ever moved again. Those of an affinity group come together with the first of them."""
    state = State(problem)
    for guest, stay in enumerate(problem.stays):
        if stay is not None:
            state.put(guest, stay)
    bundles = _bundles(problem)
    hopeless: set[int] = set()
    for guest in order:
        if state.at[guest] is not None:
            continue
        bundle = bundles.get(guest)
        if bundle is not None and _place_together(
            state, [one for one in bundle if state.at[one] is None], rule
        ):
            continue
        # What has no room now will have none later: room only becomes less. Groups are another matter.
        shape = state.shapes[guest]
        if id(shape) in hopeless:
            continue
        option = best_option(state, guest, rule)
        if option is not None:
            state.put(guest, option)
        elif not shape.guest.groups:
            hopeless.add(id(shape))
    return state


def solve(
    problem: Problem,
    floor: Key,
    most_looks: int | None = None,
    effort: Effort | None = None,
    told: t.Callable[[str], None] | None = None,
) -> State:
    """Return the best placement found. `floor`: lower bounds of the first levels; once they are reached no other start is tried.

    The result is never worse, in the order of the objective, than any of the starts: one guest at a time by size, in the order of
    names, and by the tightest fit. Of more than :data:`MANY_GUESTS` guests, or of guests that run and may be moved, the starts after the
    first are left out when it reaches the floor. `told` is given a line about each stage.
    """
    tell = told or (lambda _line: None)
    if effort is None:
        effort = Effort(MOST_LOOKS if most_looks is None else most_looks)
    sized = by_size(problem)
    starts = [greedy(problem, sized, by_load)]
    tell(_progress("by size", starts[0]))
    few = len(problem.movers) <= MANY_GUESTS and not any(stay is not None for stay in problem.stays)
    if few or starts[0].key()[: len(floor)] > floor:
        if not effort.over() or few:
            starts.append(greedy(problem, sized, by_memory))
            tell(_progress("by tightest fit", starts[-1]))
        if few:
            starts.append(greedy(problem, range(len(problem.movers)), by_load))
    starts = sorted((state for state in starts if state.permitted()), key=State.key)
    best = starts[0]
    for state in starts:
        # Half of what is left for each, so that a hard instance is tried from more than one side.
        improve(state, sized, effort.part(2))
        tell(_progress("improved", state))
        if state.key() < best.key():
            best = state
        if best.key()[: len(floor)] <= floor or effort.over():
            break
    improve(best, sized, effort, displace=False)
    return best


def _progress(stage: str, state: State) -> str:
    missing = sum(1 for option in state.at if option is None)
    return f"{stage}: {len(state.at) - missing} guests placed, {missing} not, {state.spanning} nodes beyond those needed"


# Affinity groups.


def _bundles(problem: Problem) -> dict[int, list[int]]:
    """The guests that affinity groups tie to each one, itself among them, the largest first."""
    tied: dict[str, list[int]] = {}
    for index, mover in enumerate(problem.movers):
        for membership in mover.guest.groups:
            if membership.group.policy == "affinity":
                tied.setdefault(membership.group.name, []).append(index)
    leader = list(range(len(problem.movers)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for members in tied.values():
        for member in members[1:]:
            leader[find(member)] = find(members[0])
    sets: dict[int, list[int]] = {}
    for member in {member for members in tied.values() for member in members}:
        sets.setdefault(find(member), []).append(member)
    bundles = {}
    for members in sets.values():
        members.sort(key=lambda index: (-problem.movers[index].guest.need, index))
        bundles.update(dict.fromkeys(members, members))
    return bundles


def _place_together(state: State, bundle: t.Sequence[int], rule: Rule) -> bool:
    """Place a bundle where all of it has room; tells whether there was such a place. The one with the best first guest is taken."""
    movers = state.problem.movers
    guests = [movers[index].guest for index in bundle]
    need = sum(guest.need for guest in guests)
    found: list[tuple[Key, list[t.Any]]] = []
    maker = state.problem.maker
    rooms = [(state.free[maker.resource[host.name, None]], index) for index, host in enumerate(maker.hosts)]
    # The tightest first, or the roomiest: the best of a few will do.
    sign = 1 if rule is by_memory else -1
    for _room, number in sorted((sign * room, index) for room, index in rooms if room >= need):
        host = maker.hosts[number]
        for nodes in _units(host, guests):
            placed = []
            for index in bundle:
                option = best_option(state, index, rule, (host.name, nodes))
                if option is None:
                    break
                state.put(index, option)
                placed.append(option)
            key = state.key()
            for index in bundle[: len(placed)]:
                state.take(index)
            if len(placed) == len(bundle):
                left = state.free[state.problem.maker.resource[host.name, None]] - need
                found.append(((*key[:5], left if rule is by_memory else key[5], *key[6:]), placed))
                break
        if len(found) >= MOST_HOMES:
            break
    if not found:
        return False
    _key, placed = min(found, key=lambda item: item[0])
    for index, option in zip(bundle, placed, strict=True):
        state.put(index, option)
    return True


def _units(host: Host, guests: t.Sequence[Guest]) -> list[tuple[int, ...]]:
    """Sets of nodes of a host within which all these guests would keep together."""
    every = tuple(sorted(host.nodes))
    scopes = {
        membership.group.scope
        for guest in guests
        for membership in guest.groups
        if membership.group.policy == "affinity"
    }
    if "node" in scopes:
        return [(node,) for node in every]
    if "package" in scopes:
        packages: dict[t.Any, list[int]] = {}
        for node in every:
            for unit in units_of("package", host, [node]):
                packages.setdefault(unit, []).append(node)
        return [tuple(nodes) for _package, nodes in sorted(packages.items())]
    return [every]
