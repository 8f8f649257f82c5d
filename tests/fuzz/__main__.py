# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m tests.fuzz``: fuzz everything, or some entries, for a while; replay an input.

    python -m tests.fuzz --seconds 600                 everything, ten minutes of this clock altogether
    python -m tests.fuzz --entry "hwloc XML" --seed 7  some of it; the same seed tries the same inputs in the same order
    python -m tests.fuzz --replay FILE                 one input again, with its traceback
    python -m tests.fuzz --list                        what there is to be fuzzed

Each finding goes to a file in ``.cache/fuzz/`` in the least form that was found, and says how it is replayed. Ends with status 1 when there is one.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import conftest  # noqa: E402, F401  # pylint: disable=unused-import

from . import runner  # noqa: E402
from .entries import ENTRIES  # noqa: E402

FINDINGS = ROOT / ".cache" / "fuzz"


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz parsers and entries.")
    parser.add_argument("--seconds", type=float, default=600, help="for how long altogether (600)")
    parser.add_argument("--entry", action="append", default=[], help="only this; may be given again")
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers (a new one each time)")
    parser.add_argument("--replay", metavar="FILE", help="run the input of a finding again")
    parser.add_argument("--list", action="store_true", help="name the entries")
    asked = parser.parse_args(arguments)
    by_name = {entry.name: entry for entry in ENTRIES}
    if asked.list:
        for entry in ENTRIES:
            print(f"{entry.name} ({entry.kind}, {len(entry.seeds)} seeds)")
        return 0
    if asked.replay:
        return _replay(Path(asked.replay), by_name)
    unknown = [name for name in asked.entry if name not in by_name]
    if unknown:
        parser.error(f"no such entry: {', '.join(unknown)}; there are {', '.join(by_name)}")
    chosen = [by_name[name] for name in asked.entry] or list(ENTRIES)
    seed = random.randrange(1 << 32) if asked.seed is None else asked.seed
    return _fuzz(chosen, seed, asked.seconds)


def _fuzz(entries: list[runner.Entry], seed: int, seconds: float) -> int:
    print(f"seed {seed}, {len(entries)} entries, {seconds:g} s", flush=True)
    tallies = {entry.name: runner.Tally() for entry in entries}
    told = dict.fromkeys(tallies, 0)
    # In turns, so that each has its share however the time is cut.
    rngs = {entry.name: random.Random(f"{seed} {entry.name}") for entry in entries}
    end = time.monotonic() + seconds
    turn = max(0.2, min(5.0, seconds / len(entries) / 4))
    while time.monotonic() < end:
        for entry in entries:
            until = min(end, time.monotonic() + turn)
            runner.fuzz(
                entry,
                rngs[entry.name],
                tallies[entry.name],
                lambda until=until: time.monotonic() < until,  # type: ignore[misc]
            )
            for number in range(told[entry.name], len(tallies[entry.name].findings)):
                _tell(entry, tallies[entry.name].findings[number], number)
            told[entry.name] = len(tallies[entry.name].findings)
    for entry in entries:
        tally = tallies[entry.name]
        print(
            f"{entry.name:<40} {tally.count:>8} inputs: {tally.taken} taken, {tally.refused} refused, {len(tally.findings)} findings; "
            f"slowest {tally.slowest:.2f} s, largest {tally.largest >> 20} MiB"
        )
    findings = sum(told.values())
    total = sum(tally.count for tally in tallies.values())
    print(f"{total} inputs, {findings} findings")
    return 1 if findings else 0


def _tell(entry: runner.Entry, finding: runner.Finding, number: int) -> None:
    FINDINGS.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", entry.name.lower()).strip("-")
    path = FINDINGS / f"{name}-{finding.what}-{number}.json"
    text = runner.written(entry, finding.value)
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    print(
        f"  {finding.what} with {len(text)} characters of input; replay: python -m tests.fuzz --replay {path}"
    )
    print("".join(f"    {line}\n" for line in finding.detail.splitlines()[-8:]), end="")


def _replay(path: Path, by_name: dict[str, runner.Entry]) -> int:
    name, value = runner.read(path.read_text(encoding="utf-8", errors="surrogatepass"))
    entry = by_name[name]
    verdict = runner.watch(entry, value)
    print(f"{verdict.outcome}, {verdict.seconds:.2f} s, {verdict.size >> 20} MiB")
    print(verdict.detail)
    if verdict.fine:
        return 0
    if verdict.outcome not in ("slow", "large", "endless"):
        try:
            entry.run(value)
        except Exception:
            traceback.print_exc()
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
