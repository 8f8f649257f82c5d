# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Who is where, what is left, and what it costs. Everything is integers, kept up to date with each guest that comes or goes."""

from __future__ import annotations

import bisect
import typing as t

from .model import ALONE, VCPU, Host, Pool
from .options import Option, Shape
from .problem import Problem

#: From so many cells on, an index finds the node for a guest.
LARGE = 48

Key = tuple[int, ...]
Assignment = tuple["Option | None", ...]

LEVELS = ("unplaced", "spanning", "crowding", "distance", "device", "smt", "peak_load", "moves", "imbalance")


class State:
    """Who is where. Guests are numbers; `at[guest]` is the option it has, None while it is not placed.

    `free`: bytes of each resource, `room`: of all hosts together; `load`, `vcpus`: thousandths on each cell; `taken`: cores
    of each cell that guests have for themselves.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        base, cells = problem.base, problem.cells
        self.free = list(problem.capacity)
        self.room = problem.hosts_total()
        self.load = [base.load.get(name, 0) for name in cells]
        self.vcpus = [base.vcpus.get(name, 0) for name in cells]
        self.taken = [base.cores.get(name, 0) for name in cells]
        numbers = problem.maker.cell
        self.trusted = {(numbers[name], group): part for (name, group), part in base.trusted.items()}
        for (cell, _group), part in self.trusted.items():
            self.taken[cell] += -(-part // (VCPU * cells.threads[cell]))
        self.apart = {key: list(value) for key, value in base.apart.items()}
        self.together = {key: list(value) for key, value in base.together.items()}
        self.owners: set[tuple[str, str]] = set()
        self.at: list[Option | None] = [None] * len(problem.movers)
        self.shapes = [problem.maker.shape(mover) for mover in problem.movers]
        self.members: dict[int, set[int]] = {}
        self.unplaced = sum(problem.weights)
        self.spanning = self.crowding = self.distance = self.device = self.moves = 0
        self.smt = self.imbalance = 0
        self.ratios: list[int] = []
        self.ratio = [0] * len(cells)
        for cell in range(len(cells)):
            self._weigh(cell, 1)
        self.ratios.sort()
        self.bounded = (
            any(ratio is not None for ratio in cells.ratio)
            or any(self.taken)
            or any(_alone(shape.guest) for shape in self.shapes)
        )
        self.looks = self.changes = 0
        #: Shapes (by id) for which there was no place when so many changes had been made.
        self.failed: dict[int, int] = {}
        self.index = Index(self) if len(cells) >= LARGE else None

    # What fits.

    def option_here(self, shape: Shape, host: Host, pool: Pool, nodes: tuple[int, ...]) -> Option | None:
        """Return the option of these nodes, that of a guest with virtual nodes with its memory shared out as there is room for it now."""
        maker = self.problem.maker
        option = maker.option(shape, host, pool, nodes)
        if option is not None and option.shares is not None and not self.fits(option):
            return maker.option_within(shape, option, self.free)
        return option

    def fits(self, option: Option) -> bool:
        """Tell whether there is room for the option now."""
        free = self.free
        for resource, amount in option.demand:
            if free[resource] < amount:
                return False
        if option.strict and not self._allowed(option):
            return False
        return not self.bounded or self._cores_fit(option)

    def _allowed(self, option: Option) -> bool:
        """Whether groups and devices permit the option beside who is there."""
        for group, unit, part in option.apart:
            there = self.apart.get((group, unit))
            if there is not None and there[1] and (there[0] != part or part == ALONE):
                return False
        for group, unit in option.together:
            meeting = self.together.get(group)
            if meeting is not None and meeting[1] and meeting[0] != unit:
                return False
        return not any(device in self.owners for device in option.devices)

    def shut(self, shape: Shape, host: str) -> bool:
        """Tell whether a group that is kept apart by host closes all of a host to the shape as things are."""
        for group, part in shape.apart:
            there = self.apart.get((group, host))
            if there is not None and there[1] and (there[0] != part or part == ALONE):
                return True
        return False

    def _cores_fit(self, option: Option) -> bool:
        """Whether there are cores for who wants some for itself, and what the others may have together."""
        cells = self.problem.cells
        for cell, load, vcpus, own, trusted in option.uses:
            alone = own
            if trusted:
                alone += self._more_trusted(cell, option.trust, trusted)
            taken = self.taken[cell] + alone
            if alone and taken > cells.dedicable[cell]:
                return False
            left = cells.cores[cell] - taken
            if left < 1 and (self.load[cell] or load):
                return False
            limit = cells.ratio[cell]
            if limit is not None and (vcpus or alone):
                pus = cells.pus[cell] - taken * cells.widest[cell]
                if self.vcpus[cell] + vcpus > limit * pus:
                    return False
        return True

    def _more_trusted(self, cell: int, group: str | None, part: int) -> int:
        """Cores that a trust group needs more in a cell when so many thousandths of vCPUs come (or go, when negative)."""
        size = VCPU * self.problem.cells.threads[cell]
        there = self.trusted.get((cell, t.cast(str, group)), 0)
        return -(-(there + part) // size) - -(-there // size)

    # Coming and going.

    def put(self, guest: int, option: Option) -> None:
        """Place a guest that is not placed."""
        self.at[guest] = option
        self.unplaced -= self.problem.weights[guest]
        stay = self.problem.stays[guest]
        if stay is not None and stay is not option:
            self.moves += 1
        for resource, amount in option.demand[:-1]:
            if amount:
                self.members.setdefault(resource, set()).add(guest)
        self.count(option, 1)

    def take(self, guest: int) -> Option:
        """Remove a guest that is placed; returns the option it had."""
        option = self.at[guest]
        if option is None:
            raise ValueError(f"guest {guest} is not placed")
        self.at[guest] = None
        self.unplaced += self.problem.weights[guest]
        stay = self.problem.stays[guest]
        if stay is not None and stay is not option:
            self.moves -= 1
        for resource, amount in option.demand[:-1]:
            if amount:
                self.members[resource].discard(guest)
        self.count(option, -1)
        return option

    def count(self, option: Option, sign: int) -> None:
        """Add what an option takes and costs, or with -1 give it back."""
        free = self.free
        self.changes += 1
        for resource, amount in option.demand:
            free[resource] -= sign * amount
        self.room -= sign * option.demand[-1][1]
        for cell, load, vcpus, own, trusted in option.uses:
            self._weigh(cell, -1)
            self.load[cell] += sign * load
            self.vcpus[cell] += sign * vcpus
            if own:
                self.taken[cell] += sign * own
            if trusted:
                self.taken[cell] += self._more_trusted(cell, option.trust, sign * trusted)
                key = (cell, t.cast(str, option.trust))
                self.trusted[key] = self.trusted.get(key, 0) + sign * trusted
            self._weigh(cell, 1)
        if self.index is not None:
            self.index.refresh(option)
        self.spanning += sign * option.excess
        self.crowding += sign * option.crowding
        self.distance += sign * option.distance
        self.device += sign * option.device
        if option.strict:
            self._note(option, sign)

    def _note(self, option: Option, sign: int) -> None:
        for group, unit, part in option.apart:
            there = self.apart.setdefault((group, unit), [part, 0])
            if not there[1]:
                there[0] = part
            there[1] += sign
        for group, unit in option.together:
            meeting = self.together.setdefault(group, [unit, 0])
            if not meeting[1]:
                meeting[0] = unit
            meeting[1] += sign
        for device in option.devices:
            (self.owners.add if sign > 0 else self.owners.discard)(device)

    def _weigh(self, cell: int, sign: int) -> None:
        """Count the load of a cell into the sums, or out of them."""
        cores = self.problem.cells.cores[cell] - self.taken[cell]
        load = self.load[cell]
        if sign > 0:
            self.ratio[cell] = load * 1000 // cores if cores > 0 else load * 1000
            bisect.insort(self.ratios, self.ratio[cell])
        else:
            del self.ratios[bisect.bisect_left(self.ratios, self.ratio[cell])]
        if load > cores * VCPU:
            self.smt += sign * (load - cores * VCPU)
        self.imbalance += sign * (load * load // cores if cores > 0 else load * load)

    # What it costs.

    def peak(self) -> int:
        """Load of the busiest cell in millionths of a vCPU for each core."""
        return self.ratios[-1] if self.ratios else 0

    def key(self) -> Key:
        """Return the objective, in the order of LEVELS: the smaller the better."""
        coarse_smt, coarse_peak = self.problem.coarse
        return (
            self.unplaced,
            self.spanning,
            self.crowding,
            self.distance,
            self.device,
            -(-self.smt // coarse_smt),
            -(-self.peak() // coarse_peak),
            self.moves,
            self.imbalance,
        )

    def value(self, level: str) -> int:
        """Return one level of the objective in its own unit, however small the differences that count."""
        return self.peak() if level == "peak_load" else t.cast(int, getattr(self, level))

    def permitted(self) -> bool:
        """Tell whether no more guests have moved than may."""
        most = self.problem.most_moves
        return most is None or self.moves <= most

    def assignment(self) -> Assignment:
        """Return where everybody is."""
        return tuple(self.at)


def _alone(guest: t.Any) -> bool:
    """Whether the guest may want cores for itself on some host."""
    policies = [guest.policy, *guest.host_policies.values()]
    return guest.trust_group is not None or any(policy.cpu_policy != "shared" for policy in policies)


def state_of(problem: Problem, assignment: Assignment) -> State:
    """Build the state in which everybody is where the assignment says."""
    state = State(problem)
    for guest, option in enumerate(assignment):
        if option is not None:
            state.put(guest, option)
    return state


class Index:
    """Cells of one kind in the order of their load and of their free memory, so that a node for a guest is found without a look at all.

    A kind is (cpupool, PUs, cores, whether the host has cores to spare). Only cells of hosts that may take new guests are in it.
    """

    def __init__(self, state: State) -> None:
        problem = state.problem
        maker, cells = problem.maker, problem.cells
        self.state = state
        self.home: list[tuple[t.Any, t.Any, int] | None] = [None] * len(cells)
        self.kind: list[tuple[int, int, int, bool]] = []
        self.now: list[tuple[int, int]] = [(0, 0)] * len(cells)
        self.sharing: dict[int, list[int]] = {}
        self.by_load: dict[t.Any, list[tuple[int, int, int]]] = {}
        self.by_free: dict[t.Any, list[tuple[int, int]]] = {}
        for cell, (name, pool_id, node) in enumerate(cells):
            host = maker.by_name[name]
            pool = host.pools[pool_id]
            self.kind.append((pool_id, cells.pus[cell], cells.cores[cell], problem.roomy[name, pool_id]))
            if host.closed or host.nodes[node].memory_free is None or host.find_pool(None) is not pool:
                continue
            resource = maker.resource[name, node]
            self.home[cell] = (host, pool, resource)
            self.sharing.setdefault(resource, []).append(cell)
            self.now[cell] = now = (state.ratio[cell], state.free[resource])
            self.by_load.setdefault(self.kind[cell], []).append((now[0], -now[1], cell))
            self.by_free.setdefault(self.kind[cell], []).append((now[1], cell))
        for lists in (self.by_load, self.by_free):
            for cells_of_a_kind in t.cast("t.Iterable[list[t.Any]]", lists.values()):
                cells_of_a_kind.sort()

    def refresh(self, option: Option) -> None:
        """Put the cells that the option touches where they belong now."""
        touched = {use[0] for use in option.uses}
        for resource, _amount in option.demand:
            touched.update(self.sharing.get(resource, ()))
        state = self.state
        for cell in touched:
            home = self.home[cell]
            if home is None:
                continue
            old, new = self.now[cell], (state.ratio[cell], state.free[home[2]])
            if old == new:
                continue
            self.now[cell] = new
            loads, frees = self.by_load[self.kind[cell]], self.by_free[self.kind[cell]]
            del loads[bisect.bisect_left(loads, (old[0], -old[1], cell))]
            bisect.insort(loads, (new[0], -new[1], cell))
            if old[1] != new[1]:
                del frees[bisect.bisect_left(frees, (old[1], cell))]
                bisect.insort(frees, (new[1], cell))
