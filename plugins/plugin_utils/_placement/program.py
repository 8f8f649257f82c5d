# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""A placement as an integer program.

Guests that are alike make a class, and a column counts how many of a class have an option; another one how many have no place. Further
columns are for what options share: a core that has to be left, the part of a group that has a host, cores of a trust group. The levels are
those of the objective up to the moves; the peak of the load and what follows are left out where guests have cores for themselves, as load
for each core then is no linear function.
"""

from __future__ import annotations

import math
import typing as t

from .model import ALONE, MIB, VCPU
from .options import Option
from .problem import Problem
from .state import State

Row = tuple["float | None", "float | None", list[int], list[float]]
Terms = dict[int, float]

#: So many steps of the peak of the load are tried at most.
MOST_PEAKS = 400


class Program:
    """An integer program in the making."""

    def __init__(self) -> None:
        self.upper: list[float | None] = []
        self.integers: list[bool] = []
        self.rows: list[Row] = []

    def column(self, upper: float | None = 1.0, integer: bool = True) -> int:
        """Add a column from 0 to `upper`; returns its number."""
        self.upper.append(upper)
        self.integers.append(integer)
        return len(self.upper) - 1

    def row(self, lower: float | None, upper: float | None, terms: Terms) -> int:
        """Add a row; returns its number."""
        used = [(column, value) for column, value in sorted(terms.items()) if value]
        self.rows.append(
            (lower, upper, [column for column, _value in used], [float(value) for _column, value in used])
        )
        return len(self.rows) - 1


class Class(t.NamedTuple):
    """Guests that may change places with each other, the options that they may have with a column each, and the column of those without a place."""

    guests: list[int]
    options: list[tuple[Option, int]]
    out: int


class Level(t.NamedTuple):
    """A level of the objective. `scale`: how many of its own units are one unit of the program. `weight`: of the guests that it counts, of `unplaced`.

    `peaks`: where no terms say it: rows, and for each value (ascending) that is possible the most that each row may have then.
    """

    name: str
    terms: Terms
    scale: int = 1
    weight: int = 0
    peaks: tuple[list[int], list[tuple[int, list[float]]]] | None = None


class Model:
    """A placement problem as a program. `options`: for each guest those that become columns."""

    def __init__(self, problem: Problem, options: t.Sequence[t.Sequence[Option]]) -> None:
        self.problem = problem
        self.program = Program()
        self.classes: list[Class] = []
        self.pairs: list[tuple[int, Option, int]] = []
        self.empty = State(problem)
        for guests in _alike(problem, options):
            most = float(len(guests))
            chosen = [(option, self.program.column(most)) for option in options[guests[0]]]
            out = self.program.column(most)
            self.classes.append(Class(guests, chosen, out))
            self.pairs += [(guests[0], option, column) for option, column in chosen]
            self.program.row(most, most, dict.fromkeys([*(column for _option, column in chosen), out], 1.0))
        self.cores_vary = any(
            use[3] or use[4] for _guest, option, _column in self.pairs for use in option.uses
        )
        self._memory()
        self.taken = self._cores()
        self._groups()
        self._moves()
        self.levels = self._levels()

    def _most(self, column: int) -> float:
        return t.cast(float, self.program.upper[column])

    def _memory(self) -> None:
        rows: dict[int, Terms] = {}
        for _guest, option, column in self.pairs:
            for resource, amount in option.demand:
                rows.setdefault(resource, {})[column] = amount / MIB
        for resource, terms in rows.items():
            self.program.row(None, self.problem.capacity[resource] / MIB, terms)

    def _cores(self) -> dict[int, Terms]:
        """Rows about cores; returns the columns that take cores of each cell for somebody alone."""
        cells, empty, program = self.problem.cells, self.empty, self.program
        own: dict[int, Terms] = {}
        trusted: dict[tuple[int, str], Terms] = {}
        busy: dict[int, list[int]] = {}
        counted: dict[int, Terms] = {}
        for _guest, option, column in self.pairs:
            for cell, load, vcpus, alone, part in option.uses:
                if alone:
                    own.setdefault(cell, {})[column] = alone
                if part:
                    trusted.setdefault((cell, t.cast(str, option.trust)), {})[column] = part
                if load:
                    busy.setdefault(cell, []).append(column)
                if vcpus:
                    counted.setdefault(cell, {})[column] = vcpus
        taken = {cell: dict(terms) for cell, terms in own.items()}
        for (cell, group), terms in trusted.items():
            size = VCPU * cells.threads[cell]
            there = empty.trusted.get((cell, group), 0)
            first = -(-there // size)
            more = program.column(None)
            # first + more cores, of `size` each, have room for all of the group.
            program.row(
                there - first * size, None, {more: size, **{column: -part for column, part in terms.items()}}
            )
            taken.setdefault(cell, {})[more] = 1
        for cell, terms in taken.items():
            program.row(None, max(0, cells.dedicable[cell] - empty.taken[cell]), terms)
            left = cells.cores[cell] - empty.taken[cell]
            if empty.load[cell]:
                program.row(None, left - 1, terms)
            elif busy.get(cell):
                used = program.column()
                program.row(None, left, {**terms, used: 1})
                for column in busy[cell]:
                    program.row(None, 0, {column: 1, used: -self._most(column)})
        for cell in sorted({*taken, *counted}):
            limit = cells.ratio[cell]
            if limit is None:
                continue
            width = limit * cells.widest[cell]
            terms = dict(counted.get(cell, {}))
            for column, number in taken.get(cell, {}).items():
                terms[column] = terms.get(column, 0) + width * number
            room = limit * cells.pus[cell] - width * empty.taken[cell] - empty.vcpus[cell]
            program.row(None, max(0, room), terms)
        return taken

    def _groups(self) -> None:
        program = self.program
        apart: dict[tuple[str, t.Any], dict[int, list[int]]] = {}
        together: dict[str, dict[t.Any, list[int]]] = {}
        owners: dict[tuple[str, str], Terms] = {}
        for _guest, option, column in self.pairs:
            for group, unit, part in option.apart:
                apart.setdefault((group, unit), {}).setdefault(part, []).append(column)
            for group, unit in option.together:
                together.setdefault(group, {}).setdefault(unit, []).append(column)
            for device in option.devices:
                owners.setdefault(device, {})[column] = 1
        for (group, unit), parts in apart.items():
            there = self.problem.base.apart.get((group, unit))
            self._one_of(parts, None if there is None or not there[1] else there[0])
        for group, units in together.items():
            home = self.problem.base.together.get(group)
            self._one_of(units, None if home is None or not home[1] else home[0])
        for terms in owners.values():
            program.row(None, 1, terms)

    def _one_of(self, choices: t.Mapping[t.Any, t.Sequence[int]], given: t.Any) -> None:
        """Permit columns of one choice only: the one that is given, or any; and one guest of those that are to be alone."""
        chosen: Terms = {}
        for choice, columns in choices.items():
            if given is None and choice == ALONE:
                chosen |= dict.fromkeys(columns, 1.0)
                continue
            switch = self.program.column(1.0 if given is None or choice == given else 0.0)
            chosen[switch] = 1
            for column in columns:
                self.program.row(None, 0, {column: 1, switch: -self._most(column)})
        self.program.row(None, 1, chosen)

    def _moves(self) -> None:
        if self.problem.most_moves is not None:
            self.program.row(None, self.problem.most_moves, self._moved())

    def _moved(self) -> Terms:
        stays = self.problem.stays
        return {
            column: 1.0
            for guest, option, column in self.pairs
            if stays[guest] is not None and option is not stays[guest]
        }

    def _levels(self) -> list[Level]:
        problem = self.problem
        # One level for each priority instead of weights too large for a solver.
        levels = [
            Level(
                "unplaced",
                {one.out: 1.0 for one in self.classes if problem.weights[one.guests[0]] == weight},
                weight=weight,
            )
            for weight in sorted(set(problem.weights), reverse=True)
        ]
        for place, name in enumerate(("spanning", "crowding", "distance", "device")):
            terms = {column: float(option.cost[place]) for _guest, option, column in self.pairs}
            levels.append(Level(name, terms))
        loads: dict[int, dict[int, int]] = {}
        for _guest, option, column in self.pairs:
            for cell, load in option.loads:
                loads.setdefault(cell, {})[column] = load
        levels.append(self._smt(loads))
        if not self.cores_vary:
            levels += [self._peak(loads), Level("moves", self._moved())]
        return [one._replace(terms={c: v for c, v in one.terms.items() if v}) for one in levels]

    def _smt(self, loads: t.Mapping[int, t.Mapping[int, int]]) -> Level:
        cells, empty, program = self.problem.cells, self.empty, self.program
        beyond: Terms = {}
        for cell in sorted({*loads, *self.taken}):
            over = program.column(None, False)
            beyond[over] = 1
            row: Terms = {over: 1}
            for column, load in loads.get(cell, {}).items():
                row[column] = row.get(column, 0) - load / VCPU
            for column, amount in self.taken.get(cell, {}).items():
                row[column] = row.get(column, 0) - amount
            room = cells.cores[cell] - empty.taken[cell] - empty.load[cell] / VCPU
            program.row(-room, None, row)
        idle = sum(
            max(0, empty.load[cell] / VCPU - (cells.cores[cell] - empty.taken[cell]))
            for cell in range(len(cells))
            if cell not in loads and cell not in self.taken
        )
        coarse = self.problem.coarse
        if coarse == (1, 1):
            return Level("smt", beyond, VCPU)
        # Where small differences do not count, the number of whole steps.
        steps = program.column(None)
        program.row(idle, None, {steps: coarse[0] / VCPU, **dict.fromkeys(beyond, -1.0)})
        return Level("smt", {steps: 1})

    def _peak(self, loads: t.Mapping[int, t.Mapping[int, int]]) -> Level:
        """The level of the busiest cell: a row for each cell, and for each peak that is possible the most that each row may have then."""
        cells, empty = self.problem.cells, self.empty
        rows, columns = [], []
        for cell, terms in sorted(loads.items()):
            unit = math.gcd(*terms.values())
            rows.append(self.program.row(None, None, {column: load / unit for column, load in terms.items()}))
            columns.append((cell, unit))
        coarse = self.problem.coarse[1]
        cores = {cell: max(1, cells.cores[cell] - empty.taken[cell]) for cell, _unit in columns}
        least = self._in_steps(max(empty.ratios, default=0))
        peaks = {least}
        for cell, unit in columns:
            base = empty.load[cell]
            whole = base + sum(load * int(self._most(column)) for column, load in loads[cell].items())
            peaks |= {self._in_steps(load * 1000 // cores[cell]) for load in range(base, whole + 1, unit)}
        # The ratio of a cell is rounded down.
        limits = [
            (
                peak,
                [
                    float((((peak * coarse + 1) * cores[cell] - 1) // 1000 - empty.load[cell]) // unit)
                    for cell, unit in columns
                ],
            )
            for peak in sorted(peaks)
            if peak >= least
        ]
        return Level("peak_load", {}, peaks=(rows, limits))

    def _in_steps(self, peak: int) -> int:
        """A peak in the steps that count."""
        return -(-peak // self.problem.coarse[1])

    def start(self, state: State) -> tuple[list[int], list[float]]:
        """The columns of guests as a placement has them; the solver finds out those of what they share."""
        values: dict[int, float] = {}
        for one in self.classes:
            for option, column in one.options:
                values[column] = float(sum(1 for guest in one.guests if state.at[guest] is option))
            values[one.out] = float(sum(1 for guest in one.guests if state.at[guest] is None))
        return list(values), list(values.values())

    def state(self, values: t.Sequence[float]) -> State | None:
        """The placement that the columns make; None when it breaks a rule after all, as rounding goes."""
        found = State(self.problem)
        for one in self.classes:
            guests = iter(one.guests)
            for option, column in one.options:
                for _each in range(round(values[column])):
                    guest = next(guests, None)
                    if guest is None or not found.fits(option):
                        return None
                    found.put(guest, option)
        return found if found.permitted() else None


def _alike(problem: Problem, options: t.Sequence[t.Sequence[Option]]) -> list[list[int]]:
    """Guests by class, in the order of the first of each. One that runs and may be moved is its own class."""
    shapes: dict[t.Any, list[int]] = {}
    for guest, mover in enumerate(problem.movers):
        key: t.Any = (id(problem.maker.shape(mover)), problem.weights[guest], tuple(map(id, options[guest])))
        shapes.setdefault((guest,) if problem.stays[guest] is not None else key, []).append(guest)
    return list(shapes.values())
