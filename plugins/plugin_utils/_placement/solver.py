# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The program of the exact engine: an integer program as JSON on standard input, its lexicographic optimum as JSON on standard output.

It runs in a process of its own, so that a solver's libraries meet nothing of Ansible's, and knows nothing of guests and hosts. HiGHS runs
with one thread and a fixed seed, and ends after an amount of work that it counts itself: the same program has the same answer.

Input: `upper` of each column (lower bounds are 0), `integers`, whether each column is whole; `rows`: [lower or null, upper or null,
columns, values]; `levels`, minimised one after the other, each kept once it is: `columns`, `values`, the `value` of the start and a `bound`
that is known, or null; or instead of these `rows` with `limits`: [value, most of each row], ascending, of which the least value is wanted
that has a solution; `start`: [columns, values] of a first solution; `work`: what may be spent, see :func:`_Meter.__call__`; `seconds` for all, or null.
Output: `values` of the columns, null when nothing better than the start was found; for each level its `bounds`, null where none is known;
`spent`; or `error`.
"""

from __future__ import annotations

import json
import os
import sys
import time
import typing as t

#: How far a level may be above its optimum afterwards, as rounding of the solver goes.
SLACK = 1e-6


class _Meter:
    """Counts the solver's work and stops it when its share is used up."""

    def __init__(self, work: float, size: float) -> None:
        self.left, self.size = work, size
        self.share = work
        self.run = 0.0

    def begin(self, share: float) -> None:
        """Start a run that may spend this share of what is left."""
        self.share, self.run = self.left * share, 0.0

    def end(self) -> None:
        """Count a run."""
        self.left -= self.run

    def __call__(self, event: t.Any) -> None:
        """Count a call, which HiGHS makes at the same points of the same search, as much as the program is large."""
        self.run += self.size
        if self.run > self.share:
            event.interrupt()


class _Solver:
    def __init__(self, highspy: t.Any, program: t.Mapping[str, t.Any]) -> None:
        self.begin = time.monotonic()
        self.api, self.program = highspy, program
        self.highs = highs = highspy.Highs()
        for option, value in (
            ("output_flag", False),
            ("threads", 1),
            ("parallel", "off"),
            ("random_seed", 0),
            ("mip_rel_gap", 0.0),
            ("mip_abs_gap", SLACK),
            ("mip_feasibility_tolerance", 1e-7),
        ):
            highs.setOptionValue(option, value)
        self.width = len(program["upper"])
        infinity = highspy.kHighsInf
        highs.addVars(
            self.width,
            [0.0] * self.width,
            [infinity if most is None else most for most in program["upper"]],
        )
        whole = [column for column, integer in enumerate(program["integers"]) if integer]
        highs.changeColsIntegrality(len(whole), whole, [highspy.HighsVarType.kInteger] * len(whole))
        for lower, upper, columns, values in program["rows"]:
            highs.addRow(
                -infinity if lower is None else lower,
                infinity if upper is None else upper,
                len(columns),
                columns,
                values,
            )
        self.best: list[float] | None = None
        entries = sum(len(row[2]) for row in program["rows"])
        self.meter = _Meter(program["work"], 1 + entries / 1000)
        highs.cbMipInterrupt.subscribe(self.meter)

    def costs(self, columns: t.Sequence[int], values: t.Sequence[float]) -> None:
        """Set what is to be small."""
        costs = [0.0] * self.width
        for column, value in zip(columns, values, strict=True):
            costs[column] += value
        self.highs.changeColsCost(self.width, list(range(self.width)), costs)

    def run(self, share: float, start: bool) -> tuple[bool, bool]:
        """Solve what is set. Returns whether there is a solution, and whether it is settled: the best one, or that there is none."""
        if start and self.best is None:
            columns, values = self.program["start"]
            self.highs.setSolution(len(columns), columns, values)
        elif start:
            solution = self.api.HighsSolution()
            solution.col_value = self.best
            self.highs.setSolution(solution)
        else:
            self.highs.clearSolver()
        if self.program["seconds"] is not None:
            left = self.program["seconds"] - (time.monotonic() - self.begin)
            if left <= 0:
                return False, False
            # HiGHS counts the time of all its runs together.
            self.highs.setOptionValue("time_limit", self.highs.getRunTime() + left)
        self.meter.begin(share)
        self.highs.run()
        self.meter.end()
        status = self.highs.getModelStatus()
        found = self.highs.getInfo().primal_solution_status == self.api.SolutionStatus.kSolutionStatusFeasible
        settled = status in (self.api.HighsModelStatus.kOptimal, self.api.HighsModelStatus.kInfeasible)
        return found, settled

    def minimise(self, level: t.Mapping[str, t.Any], share: float) -> float | None:
        """Make a sum small, keep what was reached, and return a bound of it."""
        columns, values = level["columns"], level["values"]
        reached: float = (
            level["value"]
            if self.best is None
            else sum(self.best[column] * value for column, value in zip(columns, values, strict=True))
        )
        bound: float | None = level["bound"]
        if bound is None or reached > bound + SLACK:
            self.costs(columns, values)
            found, settled = self.run(share, True)
            info = self.highs.getInfo()
            if found and info.objective_function_value <= reached + SLACK:
                self.best = list(self.highs.getSolution().col_value)
                reached = info.objective_function_value
            proven = reached if settled and found else info.mip_dual_bound
            if abs(proven) < self.api.kHighsInf:
                bound = proven if bound is None else max(bound, proven)
        self.highs.addRow(-self.api.kHighsInf, reached + SLACK, len(columns), columns, values)
        return bound

    def lower(self, level: t.Mapping[str, t.Any], share: float) -> float | None:
        """Find the least of the limits that has a solution, keep it, and return a bound of it."""
        rows, limits = level["rows"], level["limits"]
        low, high = 0, len(limits) - 1
        self.costs((), ())
        bound: float | None = level["bound"]
        proven = low
        step = 0
        while low < high:
            middle = low if step < 2 else (low + high) // 2
            step += 1
            self._limit(rows, limits[middle][1])
            found, settled = self.run(share / 2, False)
            if found:
                self.best = list(self.highs.getSolution().col_value)
                high = middle
            elif settled:
                low = middle + 1
                proven = low
            else:
                low = middle + 1
        self._limit(rows, limits[high][1])
        if proven and (bound is None or limits[proven][0] > bound):
            bound = limits[proven][0]
        if proven == high:
            bound = limits[high][0]
        return bound

    def _limit(self, rows: t.Sequence[int], most: t.Sequence[float]) -> None:
        for row, limit in zip(rows, most, strict=True):
            self.highs.changeRowBounds(row, -self.api.kHighsInf, limit)


def solve(highspy: t.Any, program: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Minimise the levels in order, each as far as its share of the work goes."""
    solver = _Solver(highspy, program)
    bounds = [
        solver.lower(level, 0.5) if "limits" in level else solver.minimise(level, 0.5)
        for level in program["levels"]
    ]
    return {"values": solver.best, "bounds": bounds, "spent": program["work"] - solver.meter.left}


def main() -> int:
    """Answer one program; an empty one asks whether there is a solver."""
    program = json.load(sys.stdin)
    # Some releases of HiGHS announce themselves on standard output, which is for the answer.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as out:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        try:
            import highspy
        except ImportError as error:
            json.dump({"error": str(error), "missing": True}, out)
            return 0
        json.dump(solve(highspy, program) if program else {}, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
