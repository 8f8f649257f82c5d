# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The exact engine: a placement as an integer program, solved in a process of its own, in two parts.

The first part is about who has a place and on how many nodes; it needs every place. The second is about the levels below, and needs only
places on as many nodes as the first part leaves. Each level is kept as far as it was brought, whether or not that is proven to be the least.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import typing as t
from pathlib import Path

from ...module_utils._errors import Failure
from .bounds import Bounds, all_bounds
from .options import Option
from .problem import Problem
from .program import Level, Model
from .state import State

#: With more columns than this there is no point: the built-in engine's answer stands.
MOST_COLUMNS = 12_000

#: What the solver may spend, as it counts itself: about ten seconds. Not time: the same input has the same answer.
WORK = 10_000.0

#: The package that the solver comes in.
PACKAGE = "highspy"

ENGINES = ("auto", "builtin", "exact")

WORKER = Path(__file__).with_name("solver.py")

#: Levels of the two parts.
FIRST = ("unplaced", "spanning")
SECOND = ("crowding", "distance", "device", "smt", "peak_load", "moves")

#: Levels about which the engine is asked.
ASKED = (*FIRST, *SECOND[:-1])


class Exact(t.NamedTuple):
    """What the exact engine found: a placement, perhaps the one it started from, and bounds of levels, each for as good levels before."""

    state: State
    bounds: Bounds


class NoSolver(Failure):
    """The package that the solver comes in is not there."""


class Engine:
    """The exact engine as a plan asks it. `wish`: one of ENGINES; `seconds`: what is left of a limit of time, None without one.

    `work`: what it may spend in all. `outcome` says in a clause what became of it, for the plan; `asked`: the levels that it was asked about.
    """

    def __init__(
        self,
        wish: str = "builtin",
        seconds: t.Callable[[], float] | None = None,
        work: float = WORK,
    ) -> None:
        self.wish, self.seconds, self.left = wish, seconds, work
        self.outcome = "not asked"
        self.asked: list[str] = []

    def __call__(
        self, problem: Problem, state: State, known: Bounds, polish: t.Callable[[State], None]
    ) -> Exact | None:
        """Solve the problem, starting from a placement, where that is wished. `known`: bounds of its levels; `polish` betters what is found."""
        if self.wish == "builtin":
            return None
        open_levels = [level for level in ASKED if state.value(level) > known.get(level, 0)]
        if self.wish == "auto" and not open_levels:
            self.outcome = "nothing left to prove"
            return None
        try:
            if self.wish == "auto":
                ask({})
            self.asked = list(ASKED) if self.wish == "exact" else open_levels
            found = self._solve(problem, state, known, polish)
        except Failure as failure:
            if self.wish == "exact":
                raise
            self.outcome = f"no {PACKAGE}" if isinstance(failure, NoSolver) else failure.message
            return None
        self.outcome = "too large" if found is None else "no better"
        return found

    def _solve(
        self, problem: Problem, state: State, known: Bounds, polish: t.Callable[[State], None]
    ) -> Exact | None:
        bounds = dict(known)
        looked = False
        if any(state.value(level) > known.get(level, 0) for level in FIRST):
            found = self._part(problem, state, bounds, FIRST, 0.6)
            looked = found is not None
            if found is not None:
                if (found.unplaced, found.spanning) != (state.unplaced, state.spanning):
                    # What was known of the other levels holds for placements that are like the one before on these.
                    bounds = {level: bound for level, bound in bounds.items() if level in FIRST}
                    bounds |= all_bounds(problem, found.at.count(None), found.spanning)
                state = found
                polish(state)
        if self.wish == "exact" or any(state.value(level) > bounds.get(level, 0) for level in SECOND[:-1]):
            found = self._part(problem, state, bounds, SECOND, 1.0)
            looked |= found is not None
            state = state if found is None else found
        return Exact(state, bounds) if looked else None

    def _part(
        self, problem: Problem, state: State, bounds: Bounds, names: t.Sequence[str], share: float
    ) -> State | None:
        """Solve some of the levels; adds their bounds. None when the program would be too large."""
        chosen = _columns(problem, state, names is SECOND or state.unplaced <= bounds.get("unplaced", 0))
        seconds = None if self.seconds is None else self.seconds()
        if chosen is None or (seconds is not None and seconds <= 0):
            return None
        options, certain = chosen
        model = Model(problem, options)
        levels = [level for level in model.levels if level.name in names]
        for level in model.levels:
            if level.name in FIRST and names is SECOND:
                model.program.row(None, _value(model, state, level), level.terms)
        answer = ask(
            {
                "upper": model.program.upper,
                "integers": model.program.integers,
                "rows": model.program.rows,
                "levels": [_asked(model, state, bounds, level) for level in levels],
                "start": model.start(state),
                "work": self.left * share,
                "seconds": seconds,
            }
        )
        self.left -= answer["spent"]
        found = state if answer["values"] is None else model.state(answer["values"])
        if found is None:
            return state
        if certain:
            for name, bound in _bounds_of(problem, levels, answer["bounds"], found).items():
                bounds[name] = max(bound, bounds.get(name, 0))
        return found


def _value(model: Model, state: State, level: Level) -> float:
    """A level of a placement in the units of the program."""
    coarse_smt, coarse_peak = model.problem.coarse
    if level.name == "smt":
        return state.smt / level.scale if coarse_smt == 1 else -(-state.smt // coarse_smt)
    if level.name == "peak_load":
        return -(-state.peak() // coarse_peak)
    at = dict(zip(*model.start(state), strict=True))
    return sum(at.get(column, 0) * value for column, value in level.terms.items())


def _asked(model: Model, state: State, bounds: Bounds, level: Level) -> dict[str, t.Any]:
    """A level as the solver wants it."""
    value = _value(model, state, level)
    bound: float | None = None
    if level.name == "unplaced":
        bound = value if state.unplaced <= bounds.get("unplaced", 0) else None
    elif level.name in bounds and not _coarse(model.problem, level.name):
        bound = bounds[level.name] / level.scale
    if level.peaks is None:
        columns, values = list(level.terms), list(level.terms.values())
        return {"columns": columns, "values": values, "value": value, "bound": bound}
    rows, limits = level.peaks
    limits = [limit for limit in limits if (bound or 0) <= limit[0] <= value]
    return {"rows": rows, "limits": limits, "bound": bound}


def _coarse(problem: Problem, name: str) -> bool:
    """Whether a level is counted in steps, not in loads."""
    return name in ("smt", "peak_load") and problem.coarse != (1, 1)


def _bounds_of(
    problem: Problem, levels: t.Sequence[Level], given: t.Sequence[float | None], found: State
) -> Bounds:
    """What the solver's bounds say about the levels of the placement that was found."""
    bounds: Bounds = {}
    settled = True
    for level, bound in zip(levels, given, strict=True):
        if bound is None or _coarse(problem, level.name):
            continue
        least = math.ceil(round(bound * level.scale, 4) - 0.01)
        if level.name != "unplaced":
            bounds[level.name] = min(least, found.value(level.name))
        elif settled:
            # There is a level for each priority: one counts while those before are as few as can be.
            bounds["unplaced"] = bounds.get("unplaced", 0) + least * level.weight
            missing = sum(
                1
                for guest, option in enumerate(found.at)
                if option is None and problem.weights[guest] == level.weight
            )
            settled = least >= missing
    return bounds


def _columns(problem: Problem, state: State, few: bool) -> tuple[list[list[Option]], bool] | None:
    """The options that become columns, and whether nothing better is possible with those that are left out.

    `few`: nobody more can be placed, so that places on more nodes than all guests together have beyond the needed are of no use. None when even
    those on as many nodes as needed are too many.
    """
    omitted = _omitted(problem)
    useful = state.spanning if few else None
    for most in dict.fromkeys((useful, 1, 0)):
        if useful is not None and most is not None and most > useful:
            continue
        chosen: list[list[Option]] = []
        known: dict[int, list[Option]] = {}
        total = 0
        for guest, mover in enumerate(problem.movers):
            shape = problem.maker.shape(mover)
            if id(shape) not in known:
                known[id(shape)] = [
                    option
                    for option in problem.maker.options(mover, most)
                    if most is None or option.excess <= most
                ]
                total += len(known[id(shape)])
            choice = known[id(shape)]
            for extra in (problem.stays[guest], state.at[guest]):
                if extra is not None and not any(extra is one for one in choice):
                    choice = [*choice, extra]
                    total += 1
            chosen.append(choice)
            if total > MOST_COLUMNS:
                break
        else:
            whole = most == useful and (omitted is None or (useful is not None and omitted > useful))
            return chosen, whole and not any(mover.guest.vnuma for mover in problem.movers)
    return None


def _omitted(problem: Problem) -> int | None:
    """Nodes beyond those needed that a guest has at least in a place that is not among its options; None when all are."""
    shapes = {id(shape): shape for shape in map(problem.maker.shape, problem.movers)}
    found = [problem.maker.omitted(shape) for shape in shapes.values()]
    return min((excess for excess in found if excess is not None), default=None)


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
