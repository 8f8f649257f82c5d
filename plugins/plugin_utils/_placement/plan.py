# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Topologies and guests in, a plan out. The plan's form is documented in docs/plan.md and has a version."""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils._errors import Failure
from ...module_utils._topology.model import Topology
from . import bounds
from .bounds import Bounds
from .capacity import host_room
from .cores import Claim, Masks, choose_cores
from .earlier import priced, with_places
from .effort import Effort
from .entries import (
    Leaving,
    Plan,
    host_entries,
    keep_off_step,
    loose_domains,
    mover_entry,
    objective,
    stay_entry,
    summary,
    unplaced_entry,
)
from .exact import ASKED, Engine
from .exhaustive import prove
from .explain import Explainer
from .fixed import chosen_on, with_nodes
from .given import GOING, GivenPlan, differs, faults_of, stale, why_it_goes
from .given import stays as stays_as_written
from .improve import improve
from .model import MIB, Guest, Host, Pool, Reserve, Running
from .moves import actions_of
from .options import Mover, Option
from .places import make_place
from .problem import Base, Problem, make_problem
from .request import RequestError
from .running import (
    Stay,
    add_others,
    add_stay,
    book_growth,
    by_name,
    make_stay,
    wants_cores,
    where_it_runs,
    why_it_cannot_stay,
    why_no_cores,
    with_blocked_cores,
)
from .search import MOST_LOOKS, by_size, solve
from .settings import PLAIN, Settings
from .state import Key, State, state_of
from .steps import Blocked, order_steps
from .words import listing, mib, node_words

__all__ = ["SCHEMA_VERSION", "Plan", "make_plan", "summary"]

#: Version of the plan's form: the minor part grows when something is added, the major part when something changes or goes.
SCHEMA_VERSION = "1.3"

#: How often moves that block one another are given up and the rest is planned again.
MOST_ROUNDS = 4


class Given(t.NamedTuple):
    """The request sorted: who stays, who gets a place, and where those run that leave."""

    hosts: list[Host]
    stays: list[Stay]
    movers: list[Mover]
    leaving: dict[str, Leaving]
    warnings: dict[str, list[str]]
    base: Base


def make_plan(
    topologies: t.Mapping[str, Topology],
    guests: t.Sequence[Guest],
    reserve: Reserve,
    settings: Settings = PLAIN,
    effort: Effort | None = None,
    engine: Engine | None = None,
    told: t.Callable[[str], None] | None = None,
) -> Plan:
    """Plan the guests on the hosts.

    `topologies`: name of host to topology, with its domains. `effort`: how long to search. `engine`: a second engine, whose answer is
    taken only if it is better. `told` is given lines about the progress. Raises :class:`Failure` for facts without domains, for guests that
    name what no host has, and for a guest that runs on several hosts. The same input gives the same plan, whatever the order of hosts
    and guests, unless a limit of time ends the search.
    """
    hosts = [
        host_room(name, topologies[name], settings.reserves.get(name, reserve), name in settings.evacuate)
        for name in sorted(topologies)
    ]
    faults: list[str] = []
    every = with_nodes(_with_evacuated(guests, hosts), hosts, faults)
    wanted = sorted(every, key=lambda guest: guest.name)
    _check_against_hosts(wanted, hosts, faults)
    if settings.given is not None:
        _refuse(faults_of(settings.given, wanted, hosts))
        return _carried_out(wanted, hosts, settings, settings.given)
    if effort is None:
        effort = Effort(MOST_LOOKS)
    fixed: set[str] = set()
    for last in range(MOST_ROUNDS + 1):
        nobody = last == MOST_ROUNDS
        given = _sort_out(
            wanted, hosts, dataclasses.replace(settings, rebalance="none") if nobody else settings, fixed
        )
        problem = _problem(given, settings)
        asked = with_places(problem, settings.earlier, settings.worth) if settings.earlier else problem
        state, known = solve_problem(asked, effort, engine, told)
        if asked is not problem:
            state = state_of(problem, state.assignment())
        actions = actions_of(given.hosts, problem, state, given.stays, given.leaving, settings)
        try:
            steps = order_steps(actions.ordered, actions.free)
            break
        except Blocked as blocked:
            fixed |= set(blocked.guests)
    search: Plan = {
        "ended_by": effort.ended or "nothing left to improve",
        "exact": engine.outcome if engine is not None else "not asked",
        "asked": engine.asked if engine is not None else [],
        "open": [level for level in ASKED if state.value(level) > known.get(level, 0)],
    }
    return _written(given, problem, state, known, steps, settings, search, effort)


def _refusal(faults: t.Iterable[str]) -> Failure:
    return Failure("the plan that was given cannot be carried out: " + "; ".join(faults))


def _refuse(faults: t.Sequence[str]) -> None:
    if faults:
        raise _refusal(faults)


def _carried_out(wanted: t.Sequence[Guest], hosts: list[Host], settings: Settings, plan: GivenPlan) -> Plan:
    """The plan that was given with what is to be done for it now. Nothing is searched for: everybody has the place that is written."""
    given = _sort_out(wanted, hosts, settings, ())
    problem = make_problem(given.hosts, given.movers, given.base)
    state = State(problem)
    explainer = Explainer(given.hosts, problem, state, settings)
    faults = []
    for index in by_size(problem):
        mover = problem.movers[index]
        place = plan.guests.get(mover.guest.name)
        if place is None:
            continue
        host = problem.maker.by_name[place.host]
        pool = host.find_pool(mover.guest.pool)
        if pool is None or (place.pool is not None and place.pool not in (pool.name, str(pool.id))):
            faults.append(
                f"{place.name}: a guest that is started gets into cpupool {'none' if pool is None else pool.name}, not {place.pool}"
            )
            continue
        shape = problem.maker.shape(mover)
        option = problem.maker.option(shape, host, pool, place.nodes) if host in shape.hosts else None
        if option is not None and option.shares is not None and (place.shares or not state.fits(option)):
            option = problem.maker.option_within(shape, option, state.free, place.shares) or option
        if host not in shape.hosts:
            wish = "is to be emptied" if host.closed else f"is not {mover.guest.host}, which is asked for"
            faults.append(f"{place.name}: its host is {place.host}, which {wish}")
        elif option is not None and state.fits(option):
            state.put(index, option)
        else:
            # With shares of memory that are written it would perhaps fit otherwise.
            short = _short_of(state, option) if option is not None and place.shares else ""
            faults.append(f"{place.name}: {short or explainer.refused(index, host, pool, place.nodes)}")
    _refuse(faults)
    actions = actions_of(given.hosts, problem, state, given.stays, given.leaving, settings)
    try:
        steps = order_steps(actions.ordered, actions.free)
    except Blocked as blocked:
        clause = (
            f"{listing(blocked.guests)} wait for one another's memory, and nothing helps that is permitted"
        )
        raise _refusal([clause]) from blocked
    search: Plan = {"ended_by": "given plan", "exact": "not asked", "asked": [], "open": []}
    made = _written(given, problem, state, {}, steps, settings, search)
    _refuse(
        [
            fault
            for entry in made["guests"]
            if (fault := differs(plan.guests[entry["name"]], entry)) is not None
        ]
    )
    return made


def _short_of(state: State, option: Option) -> str:
    """Say what the nodes lack for the virtual nodes of an option, nothing when they have the memory."""
    lacking = [
        f"node {node} lacks {mib(amount - state.free[resource])} for its virtual node"
        for node, (resource, amount) in zip(option.place.memory_nodes, option.demand[:-1], strict=True)
        if amount > state.free[resource]
    ]
    return listing(lacking) if lacking else ""


def _written(
    given: Given,
    problem: Problem,
    state: State,
    known: Bounds,
    steps: list[Plan],
    settings: Settings,
    search: Plan,
    effort: Effort | None = None,
) -> Plan:
    """Write the plan down. Without the time for it (`effort`) reasons are short."""
    stays = [*given.stays, *_incumbents(given, problem, state)]
    asked = settings.given.guests if settings.given is not None else {}

    def masks(guest: Guest, pool: Pool) -> Masks:
        """Those of the plan that is to be carried out."""
        return asked[guest.name].masks(guest.vcpus, pool.cpuset) if guest.name in asked else ()

    claims = [
        Claim(
            stay.guest,
            stay.host,
            stay.pool,
            stay.cpu_nodes,
            masks(stay.guest, stay.pool) or stay.running.masks,
        )
        for stay in stays
    ]
    by_host = {host.name: host for host in given.hosts}
    staying = {stay.guest.name for stay in stays}
    for index, option in enumerate(state.at):
        guest = problem.movers[index].guest
        if option is not None and guest.name not in staying:
            host = by_host[option.place.host]
            pool = host.pools[option.place.pool]
            claims.append(Claim(guest, host, pool, option.place.cpu_nodes, masks(guest, pool)))
    cores = choose_cores(claims)
    explainer = Explainer(given.hosts, problem, state, settings, effort)
    restarted = {step["guest"] for step in steps if step["action"] in ("restart", "stop")}
    entries = [stay_entry(stay, cores, asked.get(stay.guest.name)) for stay in stays]
    repinned = {entry["name"] for entry in entries if entry["action"] == "repin"}
    unplaced = []
    for index, mover in enumerate(problem.movers):
        name = mover.guest.name
        leaving = given.leaving.get(name)
        if leaving is not None and name in restarted:
            leaving = leaving._replace(action="restart")
        elif leaving is not None and state.at[index] is not None and leaving.action != "restart":
            same = t.cast(Option, state.at[index]).place.host == leaving.host.name
            leaving = leaving._replace(action="migrate" if same else "move")
        if state.at[index] is None:
            unplaced.append(
                settings.given.unplaced[name]
                if settings.given is not None
                else unplaced_entry(mover.guest, explainer, index, leaving)
            )
        elif name not in staying:
            told = given.warnings.get(name, [])
            entries.append(mover_entry(state, index, explainer, cores, leaving, told, asked.get(name)))
    for entry in entries:
        if entry["action"] == "create" and settings.earlier.get(entry["name"]) == (
            entry["host"],
            tuple(entry["nodes"]),
        ):
            entry["reasons"].append("The earlier plan has it there, too.")
    order = {"keep": 0, "repin": 1, "migrate": 2, "move": 3, "restart": 4, "create": 5}
    entries.sort(key=lambda entry: (order[entry["action"]], -entry["need_bytes"], entry["name"]))
    loose = loose_domains(given.hosts, problem, cores)
    for one in loose:
        for entry in entries:
            own = cores.own.get(entry["name"], {}).values()
            if entry["host"] == one.host and any(mask & one.cpus for mask in own):
                entry["warnings"].append(f"Shares CPUs with {one.name} until that is kept off them.")
    steps = [*map(keep_off_step, loose), *steps]
    plan = {
        "schema_version": SCHEMA_VERSION,
        "guests": entries,
        "unplaced": unplaced,
        "steps": _numbered(
            [step for step in steps if step["action"] != "repin" or step["guest"] in repinned]
        ),
        "hosts": host_entries(given.hosts, problem, state, cores),
        "objective": objective(problem, state, known),
        "search": search,
        "capacity": [explainer.how_many_more(guest) for guest in settings.capacity],
    }
    return plan


def _numbered(steps: list[Plan]) -> list[Plan]:
    return [{**step, "step": number} for number, step in enumerate(steps, 1)]


# Before the search.


def _with_evacuated(guests: t.Sequence[Guest], hosts: t.Sequence[Host]) -> list[Guest]:
    """Add the guests of hosts that are to be emptied and are not in the request, as they run."""
    known = {guest.name for guest in guests}
    more = []
    for host in hosts:
        for running in host.running if host.closed else ():
            if running.domid and running.name and running.name not in known and running.state != "dying":
                memory = -(-running.memory // MIB) * MIB
                label = f"the guest {running.name} of {host.name}"
                more.append(Guest(running.name, max(1, running.vcpus_max), memory, label=label))
                known.add(running.name)
    return [*guests, *more]


def _check_against_hosts(guests: t.Sequence[Guest], hosts: t.Sequence[Host], faults: list[str]) -> None:
    """Refuse guests that ask for what is nowhere. `faults`: what is wrong already."""
    usual = all(0 in host.pools for host in hosts)
    checked: set[t.Any] = set()
    for guest in guests:
        wish = (guest.host, guest.pool, guest.nodes, guest.pci_devices)
        if wish in checked or (usual and wish[1:] == (None, None, ())):
            continue
        before = len(faults)
        asked = [host for host in hosts if guest.host in (None, host.name)]
        names = ", ".join(host.name for host in asked)
        if not any(host.find_pool(guest.pool) is not None for host in asked):
            pools = sorted({pool.name for host in asked for pool in host.pools.values()})
            pool = f"{guest.pool!r}" if guest.pool is not None else "with id 0"
            faults.append(
                f"{guest.label}.pool: there is no cpupool {pool} on {names}; there is {', '.join(pools) or 'none'}"
            )
        if guest.nodes is not None and not any(set(guest.nodes) <= set(host.nodes) for host in asked):
            known = "; ".join(f"{host.name} has {node_words(sorted(host.nodes))}" for host in asked)
            faults.append(f"{guest.label}.nodes: no host has {node_words(guest.nodes)}; {known}")
        for address, _policy in guest.pci_devices:
            if all(host.devices is None for host in asked):
                faults.append(f"{guest.label}.pci_devices: the facts of {names} do not list PCI devices")
            elif not any(address in (host.devices or {}) for host in asked):
                faults.append(f"{guest.label}.pci_devices: there is no PCI device {address} on {names}")
        if len(faults) == before:
            checked.add(wish)
    if faults:
        raise RequestError("the guests cannot be planned as they are given: " + "; ".join(faults))


def _sort_out(
    wanted: t.Sequence[Guest], hosts: t.Sequence[Host], settings: Settings, fixed: t.Collection[str]
) -> Given:
    """Sort the guests into those that stay and those that get a place. `fixed`: guests that run and cannot be moved after all."""
    names = by_name(hosts)
    stays: list[Stay] = []
    movers: list[Mover] = []
    leaving: dict[str, Leaving] = {}
    warnings: dict[str, list[str]] = {}
    base = Base()
    candidates: list[tuple[Guest, Host, Running]] = []
    faults: list[str] = []
    for guest in wanted:
        where = where_it_runs(guest, names.get(guest.name, ()))
        if where is None:
            movers.append(Mover(guest))
            continue
        host, running = where
        if running.state == "dying":
            movers.append(Mover(guest))
            warnings[guest.name] = [
                f"a domain of that name (domid {running.domid}) is being destroyed on {host.name}: its memory does not count as free yet"
            ]
            continue
        candidates.append((guest, host, running))
    frozen = {(host.name, running.domid) for guest, host, running in candidates if guest.do_not_touch}
    base.ours = {(host.name, running.domid) for _guest, host, running in candidates}
    alone: dict[str, set[int]] = {host.name: set() for host in hosts}
    for host in hosts:
        for running in host.running:
            if (host.name, running.domid) not in base.ours or (host.name, running.domid) in frozen:
                alone[host.name].add(running.domid)
    base.left_alone = {(name, domid) for name, domids in alone.items() for domid in domids}
    hosts = [with_blocked_cores(host, alone[host.name], chosen_on(wanted, host)) for host in hosts]
    current = {host.name: host for host in hosts}
    base.devices |= {
        (host.name, address)
        for host in hosts
        for address, domid in host.assigned.items()
        if (host.name, domid) not in base.ours
    }
    add_others(base, hosts, base.ours)
    crowded = {cell for cell, load in base.load.items() if load}
    # Guests that want cores for themselves come last: by then it is known where somebody else needs a core.
    candidates.sort(key=lambda item: (wants_cores(item[0], item[1]), item[0].name))
    for guest, old_host, running in candidates:
        host = current[old_host.name]
        if guest.cpus is not None:
            # Its memory stays where it is; the nodes of its CPUs are for a guest that is started.
            guest = dataclasses.replace(guest, nodes=None)
        if guest.do_not_touch:
            guest = _as_it_runs(guest)
        stay = make_stay(guest, host, running)
        reason = None
        written = None if settings.given is None else settings.given.guests.get(guest.name)
        down = running.state in ("shutdown", "crashed")
        if settings.given is not None:
            if written is None:
                reason = "the plan that was given leaves it out"
            elif down:
                reason = why_it_cannot_stay(guest, host, running)
            elif not stays_as_written(written, guest, host, running):
                reason = why_it_goes(written, host, running)
                if written.action not in GOING:
                    faults.append(stale(written, host, running))
            elif host.closed:
                faults.append(f"{guest.name} is to stay on {host.name}, which is to be emptied")
            elif (lack := why_no_cores(stay, base, crowded)) is not None:
                faults.append(f"{guest.name} {lack}")
        elif not guest.do_not_touch:
            reason = why_it_cannot_stay(guest, host, running) or why_no_cores(stay, base, crowded)
            if reason is None and host.closed:
                reason = f"runs on {host.name}, which is to be emptied"
        if reason is not None:
            movers.append(Mover(guest, host.name, running.held))
            # A guest with virtual nodes can only be started with them.
            live = not down and not guest.vnuma and (settings.rebalance != "none" or host.closed)
            if written is not None:
                live = not down and written.action != "restart"
            leaving[guest.name] = Leaving(host, running, reason, "migrate" if live else "restart")
            continue
        if (
            settings.given is None
            and settings.rebalance != "none"
            and guest.name not in fixed
            and _movable(stay)
        ):
            movers.append(Mover(guest, host.name, running.held, running))
            leaving[guest.name] = Leaving(
                host,
                running,
                f"runs on {node_words(running.nodes)} of {host.name}; the whole is better with it elsewhere",
                "migrate",
            )
            for node, size in running.held.items():
                key = (host.name, node)
                base.returned[key] = base.returned.get(key, 0) + size
        else:
            stays.append(stay)
            add_stay(base, stay)
        if not wants_cores(guest, host):
            crowded |= {(host.name, stay.pool.id, node) for node in stay.cpu_nodes}
    _refuse(faults)
    stays.sort(key=lambda stay: stay.guest.name)
    base.booked = book_growth(stays)
    movers.sort(key=lambda mover: mover.guest.name)
    return Given(hosts, stays, movers, leaving, warnings, base)


def _as_it_runs(guest: Guest) -> Guest:
    """The guest without wishes that would have to be carried out: it is not to be touched."""
    policy = dataclasses.replace(guest.policy, cpu_policy="shared")
    return dataclasses.replace(
        guest, policy=policy, host_policies={}, dedicated_vcpus=(), trust_group=None, cpus=None
    )


def _movable(stay: Stay) -> bool:
    """Whether a running guest could be moved: it is not fixed, its place is one that a plan can count, and it is as large as asked for."""
    guest, host, running = stay.guest, stay.host, stay.running
    if guest.do_not_touch or guest.nodes is not None or guest.cpus is not None or guest.vnuma:
        return False
    if not running.held or wants_cores(guest, host):
        return False
    if guest.memory > max(running.memory, running.max_memory or 0):
        return False
    place = make_place(host, stay.pool, running.nodes)
    return place is not None and place.pus >= guest.vcpus and place.cpu_nodes == stay.cpu_nodes


def _problem(given: Given, settings: Settings) -> Problem:
    if not any(mover.stay is not None for mover in given.movers):
        return make_problem(given.hosts, given.movers, given.base)
    problem = make_problem(given.hosts, given.movers, given.base, settings.max_moves)
    return priced(problem, settings.worth)


def solve_problem(
    problem: Problem, effort: Effort, engine: Engine | None, told: t.Callable[[str], None] | None
) -> tuple[State, Bounds]:
    """Search, and where the bounds leave a doubt, look through everything within a limit of steps, and ask the other engine.

    Returns the state and bounds of the levels, each for placements that are as good on the levels before.
    """
    fewest = bounds.fewest_unplaced(problem)
    floor = (sum(sorted(problem.weights)[:fewest]), bounds.least_spanning(problem, fewest))
    state = solve(problem, floor, effort=effort, told=told)
    state, proven = _looked_through(problem, state, floor, effort)
    known = _known(problem, state, floor, proven)
    if engine is None or effort.over():
        return state, known

    def polish(better: State) -> None:
        """What the program does not know, how even the load is, is left to local search."""
        improve(better, by_size(problem), effort.part(4), displace=False)

    answer = engine(problem, state, known, polish)
    if answer is None:
        return state, known
    found = answer.state
    if found is not state:
        polish(found)
    if found.key() < state.key():
        state, engine.outcome = found, "better"
    return state, _known(problem, state, floor, (), answer.bounds)


def _known(
    problem: Problem,
    state: State,
    floor: Key,
    proven: t.Collection[str],
    more: Bounds | None = None,
) -> Bounds:
    """The bounds of the levels of a state. `proven`: levels that no placement can better; `more`: further bounds for what is as good before."""
    missing = sum(1 for option in state.at if option is None)
    known = bounds.all_bounds(problem, missing, state.spanning)
    known["unplaced"] = floor[0]
    known["spanning"] = bounds.least_spanning(problem, missing)
    for level in proven:
        known[level] = state.value(level)
    # Only placements that are as good on the levels before count: where none is better there, everybody is at its devices in them.
    settled = not state.device and all(
        state.value(level) <= known[level] for level in ("crowding", "distance")
    )
    if settled and any(mover.guest.pci_devices for mover in problem.movers):
        local = bounds.least_peak(problem, missing, state.spanning, local=True)
        known["peak_load"] = max(known["peak_load"], local)
    for level, bound in (more or {}).items():
        known[level] = max(known.get(level, 0), bound)
    return known


def _looked_through(
    problem: Problem, state: State, floor: Key, effort: Effort
) -> tuple[State, frozenset[str]]:
    """Return the state or a better one, and which of its first two levels are proven to be the best."""
    reached = (state.unplaced, state.spanning)
    both = frozenset(("unplaced", "spanning"))
    if reached <= floor:
        return state, both
    if problem.most_moves is not None or effort.over():
        return state, frozenset()
    found, proven = prove(problem, reached, floor[0], late=effort.late)
    # It looks at the shares of an empty host alone.
    if any(mover.guest.vnuma for mover in problem.movers):
        proven = frozenset()
    if found is None:
        return state, proven
    improved = _if_permitted(problem, found)
    if improved is None:
        return state, frozenset()
    improve(improved, by_size(problem), effort.part(4))
    return min(improved, state, key=State.key), proven


def _if_permitted(problem: Problem, assignment: t.Sequence[Option | None]) -> State | None:
    """Build the state, None when it breaks a rule about cores, groups or devices."""
    state = State(problem)
    for index, option in enumerate(assignment):
        if option is not None:
            if not state.fits(option):
                return None
            state.put(index, option)
    return state


def _incumbents(given: Given, problem: Problem, state: State) -> list[Stay]:
    """Guests that might have been moved and stay."""
    hosts = {host.name: host for host in given.hosts}
    return [
        make_stay(mover.guest, hosts[t.cast(str, mover.held_host)], mover.stay)
        for mover, stay, option in zip(problem.movers, problem.stays, state.at, strict=True)
        if mover.stay is not None and option is stay
    ]
