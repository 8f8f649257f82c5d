# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The exact engine: a placement as an integer program, solved level by level by a program of its own (solver.py).

A column for each guest and option, one for each guest without a place, and one for each thing that options share: a core that has to be left,
the part of a group that has a host, cores of a trust group. The levels are those of the objective up to the peak of the load; the peak is
left out where guests have cores for themselves, as load for each core then is no linear function, and the evenness below it always.
"""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

from ...module_utils._errors import Failure
from .model import MIB, VCPU
from .options import Option
from .problem import Problem
from .state import State

#: With more columns than this there is no point: the built-in engine's answer stands.
MOST_COLUMNS = 12_000

#: Nodes of the search tree for each level, after which the best found so far is taken. Not time: the same input has the same answer.
MOST_NODES = 3_000

#: The package that the solver comes in.
PACKAGE = "highspy"

ENGINES = ("auto", "builtin", "exact")

WORKER = Path(__file__).with_name("solver.py")

Row = tuple["float | None", "float | None", list[int], list[float]]
Terms = dict[int, float]


class Exact(t.NamedTuple):
    """What the exact engine found: a placement, None when it found none that keeps every rule, and the levels that it proved to be least."""

    state: State | None
    proven: tuple[str, ...]


class NoSolver(Failure):
    """The package that the solver comes in is not there."""


class Engine:
    """The exact engine as a plan asks it. `wish`: one of ENGINES; `seconds`: what is left of a limit of time, None without one.

    `outcome` says in a clause what became of it, for the plan.
    """

    def __init__(self, wish: str = "builtin", seconds: t.Callable[[], float] | None = None) -> None:
        self.wish, self.seconds = wish, seconds
        self.outcome = "not asked"

    def __call__(self, problem: Problem, state: State, doubt: bool) -> Exact | None:
        """Solve the problem, starting from a placement, where that is wished. `doubt`: whether the placement may not be the best."""
        if self.wish == "builtin":
            return None
        if self.wish == "auto" and not doubt:
            self.outcome = "nothing left to prove"
            return None
        try:
            if self.wish == "auto":
                ask({})
            found = solve_exactly(problem, state, seconds=None if self.seconds is None else self.seconds())
        except Failure as failure:
            if self.wish == "exact":
                raise
            self.outcome = f"no {PACKAGE}" if isinstance(failure, NoSolver) else failure.message
            return None
        self.outcome = "too large" if found is None else "no better"
        return found


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

    def row(self, lower: float | None, upper: float | None, terms: Terms) -> None:
        """Add a row."""
        used = [(column, value) for column, value in sorted(terms.items()) if value]
        self.rows.append(
            (lower, upper, [column for column, _value in used], [float(value) for _column, value in used])
        )


class _Model:
    """A placement problem as a program."""

    def __init__(self, problem: Problem, options: t.Sequence[t.Sequence[Option]]) -> None:
        self.problem = problem
        self.program = Program()
        self.pairs: list[tuple[int, Option, int]] = []
        self.out: list[int] = []
        self.empty = State(problem)
        for guest, choice in enumerate(options):
            columns = [self.program.column() for _option in choice]
            self.pairs += [(guest, option, column) for option, column in zip(choice, columns, strict=True)]
            self.out.append(self.program.column())
            self.program.row(1, 1, dict.fromkeys([*columns, self.out[-1]], 1.0))
        self.cores_vary = any(
            use[3] or use[4] for _guest, option, _column in self.pairs for use in option.uses
        )
        self._memory()
        self.taken = self._cores()
        self._groups()
        self._moves()
        self.levels = self._levels()

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
                    program.row(None, 0, {column: 1, used: -1})
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
        for key, parts in apart.items():
            there = self.problem.base.apart.get(key)
            self._one_of(parts, None if there is None or not there[1] else there[0])
        for group, units in together.items():
            home = self.problem.base.together.get(group)
            self._one_of(units, None if home is None or not home[1] else home[0])
        for terms in owners.values():
            program.row(None, 1, terms)

    def _one_of(self, choices: t.Mapping[t.Any, t.Sequence[int]], given: t.Any) -> None:
        """Permit columns of one choice only: the one that is given, or any."""
        chosen: Terms = {}
        for choice, columns in choices.items():
            switch = self.program.column(1.0 if given is None or choice == given else 0.0)
            chosen[switch] = 1
            for column in columns:
                self.program.row(None, 0, {column: 1, switch: -1})
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

    def _levels(self) -> list[tuple[str, Terms]]:
        problem, program = self.problem, self.program
        levels: list[tuple[str, Terms]] = []
        # One level for each priority instead of weights too large for a solver.
        for weight in sorted(set(problem.weights), reverse=True):
            levels.append(
                (
                    "unplaced",
                    {
                        column: 1.0
                        for guest, column in enumerate(self.out)
                        if problem.weights[guest] == weight
                    },
                )
            )
        costs = {column: option.cost for _guest, option, column in self.pairs}
        for place, name in enumerate(("spanning", "crowding", "distance", "device")):
            levels.append((name, {column: float(cost[place]) for column, cost in costs.items()}))
        loads: dict[int, Terms] = {}
        for _guest, option, column in self.pairs:
            for cell, load in option.loads:
                loads.setdefault(cell, {})[column] = load / VCPU
        cells, empty = problem.cells, self.empty
        coarse_smt, coarse_peak = problem.coarse
        beyond: Terms = {}
        for cell in sorted({*loads, *self.taken}):
            over = program.column(None, False)
            beyond[over] = 1
            room = cells.cores[cell] - empty.taken[cell] - empty.load[cell] / VCPU
            row: Terms = {over: 1}
            for part in (loads.get(cell, {}), self.taken.get(cell, {})):
                for column, amount in part.items():
                    row[column] = row.get(column, 0) - amount
            program.row(-room, None, row)
        levels.append(("smt", self._in_steps(beyond, self._idle_smt(loads), coarse_smt / VCPU)))
        if not self.cores_vary:
            peak = program.column(None, False)
            for cell, terms in loads.items():
                cores = cells.cores[cell] or 1
                shares = {column: -load / cores for column, load in terms.items()}
                program.row(empty.load[cell] / VCPU / cores, None, {peak: 1, **shares})
            program.row(max(empty.ratios, default=0) / 1_000_000, None, {peak: 1})
            levels.append(("peak_load", self._in_steps({peak: 1}, 0, coarse_peak / 1_000_000)))
            levels.append(("moves", self._moved()))
        return [(name, {c: v for c, v in terms.items() if v}) for name, terms in levels]

    def _idle_smt(self, loads: t.Mapping[int, Terms]) -> float:
        """vCPUs beyond the cores in cells that no option touches."""
        cells, empty = self.problem.cells, self.empty
        return sum(
            max(0, empty.load[cell] / VCPU - (cells.cores[cell] - empty.taken[cell]))
            for cell in range(len(cells))
            if cell not in loads and cell not in self.taken
        )

    def _in_steps(self, terms: Terms, more: float, step: float) -> Terms:
        """The terms as they are, or where small differences do not count, the number of whole steps that they make."""
        if self.problem.coarse == (1, 1):
            return terms
        steps = self.program.column(None)
        self.program.row(more, None, {steps: step, **{column: -value for column, value in terms.items()}})
        return {steps: 1}

    def start(self, state: State) -> tuple[list[int], list[float]]:
        """The columns of guests as a placement has them; the solver finds out those of what they share."""
        values = {column: float(state.at[guest] is option) for guest, option, column in self.pairs}
        values |= {column: float(state.at[guest] is None) for guest, column in enumerate(self.out)}
        return list(values), list(values.values())


def solve_exactly(
    problem: Problem, state: State, most_nodes: int = MOST_NODES, seconds: float | None = None
) -> Exact | None:
    """Look for the best placement, starting from one that there is. None when the problem is too large.

    Raises :class:`Failure` when there is no solver or it breaks down.
    """
    chosen = _columns(problem, state)
    if chosen is None:
        return None
    options, most_excess = chosen
    model = _Model(problem, options)
    answer = ask(
        {
            "upper": model.program.upper,
            "integers": model.program.integers,
            "rows": model.program.rows,
            "levels": [[list(terms), list(terms.values())] for _name, terms in model.levels],
            "start": model.start(state),
            "nodes": most_nodes,
            "seconds": seconds,
        }
    )
    found = State(problem)
    for guest, option, column in model.pairs if answer["values"] is not None else ():
        if answer["values"][column] > 0.5:
            if found.at[guest] is not None or not found.fits(option):
                return Exact(None, ())
            found.put(guest, option)
    if answer["values"] is None or not found.permitted():
        return Exact(None, ())
    # An option that was left out costs more nodes than everything that was found.
    if most_excess is not None and (found.unplaced or found.spanning > most_excess):
        return Exact(found, ())
    done = [name for (name, _terms), proven in zip(model.levels, answer["proven"], strict=False) if proven]
    open_ = {name for name, _terms in model.levels[len(done) :]}
    if problem.coarse != (1, 1):
        # What was proven there are steps, not loads.
        open_ |= {"smt", "peak_load"}
    return Exact(found, tuple(name for name in dict.fromkeys(done) if name not in open_))


def _columns(problem: Problem, state: State) -> tuple[list[list[Option]], int | None] | None:
    """The options that become columns, and on how many nodes beyond the needed they are at most, None when they are all.

    None when even those without any such node are too many.
    """
    for most in (None, 1, 0):
        chosen: list[list[Option]] = []
        total = 0
        for guest, mover in enumerate(problem.movers):
            options = problem.maker.options(mover, most)
            choice = [option for option in options if most is None or option.excess <= most]
            for extra in (problem.stays[guest], state.at[guest]):
                if extra is not None and not any(extra is one for one in choice):
                    choice.append(extra)
            chosen.append(choice)
            total += len(choice)
            if total > MOST_COLUMNS:
                break
        else:
            return chosen, most
    return None


def ask(program: t.Mapping[str, t.Any]) -> t.Any:
    """Have a program solved by a process of its own; an empty one asks whether it could."""
    done = subprocess.run(
        [sys.executable, str(WORKER)], input=json.dumps(program), capture_output=True, text=True, check=False
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise Failure(f"the solver of engine exact broke down: {last}; use engine builtin") from error
    if answer.get("missing"):
        raise NoSolver(
            f"engine exact needs the Python package {PACKAGE} on the control node, and {sys.executable} has none ({answer['error']}): "
            f"install it there with 'pip install {PACKAGE}', or use engine auto or builtin"
        )
    return answer
