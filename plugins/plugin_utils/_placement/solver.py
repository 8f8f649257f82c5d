# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The program of the exact engine: an integer program as JSON on standard input, its lexicographic optimum as JSON on standard output.

It runs in a process of its own, so that a solver's libraries meet nothing of Ansible's, and knows nothing of guests and hosts. HiGHS runs
with one thread and a fixed seed, and ends after a number of nodes of its search tree: the same program has the same answer.

Input: `upper` of each column (lower bounds are 0), `integers`, whether each column is whole; `rows`: [lower or null, upper or null,
columns, values]; `levels`: [columns, values], minimised one after the other, each kept once it is; `start`: [columns, values] of a
first solution; `nodes` for each
level; `seconds` for all, or null. Output: `values` of the columns, null when nothing was found, and for each level that was looked
at whether it is `proven`; or `error`.
"""

from __future__ import annotations

import json
import os
import sys
import time
import typing as t

#: How far a level may be above its optimum afterwards, as rounding of the solver goes.
SLACK = 1e-6


def solve(highspy: t.Any, program: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Minimise the levels in order. A level that cannot be proven within the limits ends it with the best found."""

    begin = time.monotonic()
    solver = highspy.Highs()
    for option, value in (
        ("output_flag", False),
        ("threads", 1),
        ("parallel", "off"),
        ("random_seed", 0),
        ("mip_rel_gap", 0.0),
        ("mip_abs_gap", SLACK),
        ("mip_feasibility_tolerance", 1e-7),
        ("mip_max_nodes", int(program["nodes"])),
    ):
        solver.setOptionValue(option, value)
    width = len(program["upper"])
    infinity = highspy.kHighsInf
    solver.addVars(width, [0.0] * width, [infinity if most is None else most for most in program["upper"]])
    whole = [column for column, integer in enumerate(program["integers"]) if integer]
    solver.changeColsIntegrality(len(whole), whole, [highspy.HighsVarType.kInteger] * len(whole))
    for lower, upper, columns, values in program["rows"]:
        solver.addRow(
            -infinity if lower is None else lower,
            infinity if upper is None else upper,
            len(columns),
            columns,
            values,
        )
    best: list[float] | None = None
    proven: list[bool] = []
    for columns, values in program["levels"]:
        costs = [0.0] * width
        for column, value in zip(columns, values, strict=True):
            costs[column] += value
        solver.changeColsCost(width, list(range(width)), costs)
        if best is None:
            guests, first = program["start"]
            solver.setSolution(len(guests), guests, first)
        else:
            start = highspy.HighsSolution()
            start.col_value = best
            solver.setSolution(start)
        if program["seconds"] is not None:
            left = program["seconds"] - (time.monotonic() - begin)
            if left <= 0:
                break
            # HiGHS counts the time of all its runs together.
            solver.setOptionValue("time_limit", solver.getRunTime() + left)
        solver.run()
        reached = sum(cost * value for cost, value in zip(costs, best or (), strict=False))
        if solver.getInfo().primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
            objective = solver.getInfo().objective_function_value
            if best is None or objective <= reached + SLACK:
                best, reached = list(solver.getSolution().col_value), objective
        proven.append(best is not None and solver.getModelStatus() == highspy.HighsModelStatus.kOptimal)
        if not proven[-1]:
            break
        used = [(column, value) for column, value in enumerate(costs) if value]
        solver.addRow(
            -infinity,
            reached + SLACK,
            len(used),
            [column for column, _value in used],
            [value for _column, value in used],
        )
    return {"values": best, "proven": proven}


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
