# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the planner and prints tables. Everything is made from seeds; nothing is asked of a host.

    python3 benchmarks/placement/run.py                    everything
    python3 benchmarks/placement/run.py compare            today's placers beside the planner
    python3 benchmarks/placement/run.py kinds              kinds on which it is tight, held against the bounds
    python3 benchmarks/placement/run.py moves              few moves from what libxl leaves
    python3 benchmarks/placement/run.py scale              how time and memory grow, to 1,000 hosts and 20,000 guests
    python3 benchmarks/placement/run.py growth             the whole action, to 5,000 hosts and 100,000 guests
    python3 benchmarks/placement/run.py huawei --data DIR  the published Huawei requests, from a folder with their two CSV files

Times are CPU time of the process; other work on the machine does not show in them much.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

# It makes ansible_collections.dom0.xen importable.
import conftest  # noqa: E402, F401 # pylint: disable=unused-import

PARTS = ("compare", "kinds", "moves", "scale", "growth", "huawei")


def say(line: str) -> None:
    """Progress, apart from the tables."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description="Measure the planner.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all of them")
    parser.add_argument("--seeds", type=int, default=3, help="instances of each kind")
    parser.add_argument("--most", type=int, help="growth: sizes with more guests are left out")
    parser.add_argument("--data", type=Path, help="folder with huawei-hosts.csv and huawei-vm-requests.csv")
    asked = parser.parse_args()
    for part in asked.parts or PARTS:
        if part == "huawei" and asked.data is None:
            say("huawei is left out: give --data")
            continue
        print(f"## {part}\n")
        for line in lines_of(part, asked.seeds, asked.data, asked.most):
            print(line, flush=True)
        print()
    return 0


def lines_of(part: str, seeds: int, data: Path | None, most: int | None = None) -> list[str]:
    """The lines of one part."""
    if part == "compare":
        from compare import compare

        return compare(seeds, say)
    if part == "kinds":
        from kinds import kinds

        return [*kinds(seeds, "builtin", say), "", "With the exact engine:", "", *kinds(seeds, "auto", say)]
    if part == "moves":
        from moves import few_moves

        return few_moves(seeds, say)
    if part == "scale":
        from scale import scale

        return scale(say)
    if part == "growth":
        from scale import growth

        return growth(say, most)
    from huawei import huawei

    assert data is not None
    return huawei(data, say)


if __name__ == "__main__":
    sys.exit(main())
