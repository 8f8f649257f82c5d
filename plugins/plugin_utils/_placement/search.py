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
from .fill import fill, peculiar
from .improve import gather, improve
from .problem import Problem
from .scarcity import Scarce, by_slots, scarcest
from .state import Key, State, state_of
from .together import bundles_of, place_together

#: Looks at a place for a guest, after which the search stops with what it has.
MOST_LOOKS = 1_500_000

#: Starts that leave out more and more of the largest guests.
MOST_STARTS = 6

#: With more guests than this one start has to do.
MANY_GUESTS = 5_000


def by_size(problem: Problem) -> list[int]:
    """Guests in the order in which they are placed: priority, then the largest memory, then the most vCPUs, then the name.

    Those of an affinity group count with the memory of all of them.
    """
    guests = [mover.guest for mover in problem.movers]
    bundles = bundles_of(problem)
    return sorted(
        range(len(guests)),
        key=lambda index: (
            -guests[index].priority,
            -sum(guests[other].need for other in bundles.get(index, [index])),
            -guests[index].need,
            -guests[index].vcpus,
            guests[index].name,
        ),
    )


def by_rarity(problem: Problem, scarce: Scarce) -> list[int]:
    """Guests in the order in which they are placed when some of them compete for too few slots.

    Groups that keep together first, the largest of them first; then the rivals, the smallest first, which lets in the most; then the others
    by size.
    """
    guests = [mover.guest for mover in problem.movers]
    rivals = set(scarce.guests)
    bundles = bundles_of(problem)

    def rank(index: int) -> tuple[t.Any, ...]:
        guest = guests[index]
        bundle = bundles.get(index, ())
        if len(bundle) > 1:
            return -guest.priority, 0, -sum(guests[other].need for other in bundle), 0, guest.name
        if index in rivals:
            return -guest.priority, 1, guest.need, guest.vcpus, guest.name
        return -guest.priority, 2, -guest.need, -guest.vcpus, guest.name

    return sorted(range(len(guests)), key=rank)


def greedy(
    problem: Problem,
    order: t.Iterable[int],
    rule: Rule,
    state: State | None = None,
    most_excess: int | None = None,
) -> State:
    """Place one guest after the other, none ever moved again. Those of an affinity group come together with the first of them.

    Where no host has room for all of a group, as many as possible come together, and the others have no place. `state`: what there is
    already. `most_excess`: how many nodes beyond those needed a guest may have.
    """
    if state is None:
        state = state_of(problem, problem.stays)
    bundles = bundles_of(problem)
    left_out: set[int] = set()
    hopeless: set[int] = set()
    for guest in order:
        if state.at[guest] is not None or guest in left_out:
            continue
        bundle = bundles.get(guest)
        if bundle is not None:
            rest = [one for one in bundle if state.at[one] is None]
            if place_together(state, rest, rule):
                left_out.update(one for one in rest if state.at[one] is None)
                continue
        # What has no room now will have none later: room only becomes less. Groups that keep together are another matter.
        shape = state.shapes[guest]
        if id(shape) in hopeless:
            continue
        option = best_option(state, guest, rule, most_excess=most_excess)
        if option is not None:
            state.put(guest, option)
        elif all(membership.group.policy == "anti-affinity" for membership in shape.guest.groups):
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
    names, by the tightest fit, and where some guests compete for too few slots on nodes, such that as few slots as possible are lost.
    Of more than :data:`MANY_GUESTS` guests, or of guests that run and may be moved, the starts after the
    first are left out when it reaches the floor. `told` is given a line about each stage.
    """
    tell = told or (lambda _line: None)
    if effort is None:
        effort = Effort(MOST_LOOKS if most_looks is None else most_looks)
    sized = by_size(problem)
    starts = [greedy(problem, sized, by_load)]
    tell(_progress("by size", starts[0]))
    scarce = scarcest(problem)
    if scarce.missing:
        sparing = by_slots(problem, scarce.size)
        for order in (by_rarity(problem, scarce), sized):
            if not effort.late():
                starts.append(greedy(problem, order, sparing))
                tell(_progress("sparing slots", starts[-1]))
    if any(option is None for option in starts[0].at):
        for state in _leaving_out_the_largest(problem, sized, floor, starts[0].key(), effort.part(2)):
            starts.append(state)
            tell(_progress("the largest left out", state))
    few = len(problem.movers) <= MANY_GUESTS and not any(stay is not None for stay in problem.stays)
    if few or starts[0].key()[: len(floor)] > floor:
        if not effort.over() or (few and not effort.late()):
            starts.append(greedy(problem, sized, by_memory))
            tell(_progress("by tightest fit", starts[-1]))
        if few and not effort.late():
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


def _leaving_out_the_largest(
    problem: Problem, sized: t.Sequence[int], floor: Key, first: Key, effort: Effort
) -> t.Iterator[State]:
    """Starts that leave out the largest from the beginning, as many as it takes until all others have a place.

    The guests that are kept fill up one node after the other, or are placed the largest first, then the others, the smallest first.
    `first`: what was reached without.
    """
    movers, weights = problem.movers, problem.weights
    rising = sorted(range(len(movers)), key=lambda guest: (-weights[guest], movers[guest].guest.need, guest))
    hopeful = [
        guest
        for guest in rising
        if problem.maker.needed(problem.maker.shape(movers[guest])) or problem.stays[guest]
    ]
    least = min(weights, default=1)
    missing = max(1, floor[0] // least) if floor[0] < len(movers) * least else 1
    kept = len(movers) - missing
    step = 1
    best, filled = first, False
    for _start in range(MOST_STARTS):
        chosen = set(hopeful[: max(0, kept)])
        order = [guest for guest in sized if guest in chosen]
        order += [guest for guest in rising if guest not in chosen]
        for rule in (None, by_load, by_memory):
            if effort.late():
                return
            state = _start_of(problem, order, chosen, rule, effort)
            yield state
            if all(state.at[guest] is not None for guest in chosen):
                return
            if rule is None and state.index is not None:
                # On a fleet the other rules are for what is too peculiar for it.
                if state.key() < best:
                    best, filled = state.key(), True
                    break
                if filled:
                    return
        kept = min(kept, len(hopeful)) - step
        step *= 2


def _start_of(
    problem: Problem, order: t.Sequence[int], chosen: t.Collection[int], rule: Rule | None, effort: Effort
) -> State:
    """Place the chosen guests on as many nodes as they need by a rule, or by filling up nodes (None), then the others anywhere."""
    state = state_of(problem, problem.stays)
    if rule is None:
        # What is peculiar comes first, as the rest goes anywhere.
        state = greedy(problem, peculiar(state, order), by_load, state, most_excess=0)
        fill(state, chosen, effort)
        rule = by_memory
    state = greedy(problem, order, rule, state, most_excess=0)
    for guest in order:
        if state.at[guest] is None and not effort.over():
            gather(state, guest, effort)
    return greedy(problem, order, rule, state)


def _progress(stage: str, state: State) -> str:
    missing = sum(1 for option in state.at if option is None)
    return f"{stage}: {len(state.at) - missing} guests placed, {missing} not, {state.spanning} nodes beyond those needed"
