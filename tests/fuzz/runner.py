# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs one input after the other, watches what each does, and writes down what it found."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import time
import traceback
import typing as t
from pathlib import Path

from . import damage

#: What an input below the documented limits may take.
MOST_SECONDS = 2.0
MOST_BYTES = 200 << 20
#: After so much time of the processor nobody waits any longer.
HOPELESS = 15.0

Kind = t.Literal["tree", "text", "bytes"]


class Entry(t.NamedTuple):
    """What is fuzzed. `run` takes an input and returns, or raises one of `refusals`. `seeds` are inputs of the kind that it is made for."""

    name: str
    kind: Kind
    seeds: t.Sequence[t.Any]
    run: t.Callable[[t.Any], t.Any]
    refusals: tuple[type[BaseException], ...]


class Finding(t.NamedTuple):
    """An input that does what no input may."""

    entry: str
    what: str
    detail: str
    value: t.Any


class Verdict(t.NamedTuple):
    """What an input did: `outcome` "taken", "refused" or what is wrong with it; its seconds and bytes."""

    outcome: str
    seconds: float
    size: int
    detail: str = ""

    @property
    def fine(self) -> bool:
        """Whether it did what it may."""
        return self.outcome in ("taken", "refused")


class _HopelessError(BaseException):
    """The time is up. No code that is fuzzed catches it."""


def _give_up(_number: int, _frame: t.Any) -> None:
    raise _HopelessError


def watch(entry: Entry, value: t.Any) -> Verdict:
    """Run one input, and say what it did."""
    outcome, detail = "taken", ""
    before = _resident()
    began = time.process_time()
    earlier = signal.signal(signal.SIGVTALRM, _give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, HOPELESS)
    try:
        entry.run(value)
    except entry.refusals as error:
        outcome, detail = _said(error)
        if "Traceback" in detail:
            outcome = "traceback in its message"
    except _HopelessError:
        outcome, detail = "endless", traceback.format_exc()
    except RecursionError:
        outcome, detail = "RecursionError", _last_lines()
    except Exception as error:
        outcome, detail = type(error).__name__, _last_lines()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, earlier)
    seconds = time.process_time() - began
    size = max(0, _peak() - before)
    if outcome in ("taken", "refused"):
        if seconds > MOST_SECONDS:
            outcome, detail = "slow", f"{seconds:.1f} s of the processor, then {outcome}: {detail[:200]}"
        elif size > MOST_BYTES:
            outcome, detail = "large", f"{size >> 20} MiB, then {outcome}: {detail[:200]}"
    return Verdict(outcome, seconds, size, detail)


def _said(error: BaseException) -> tuple[str, str]:
    try:
        return "refused", str(error)
    except Exception:
        return "error without a text", _last_lines()


def _last_lines() -> str:
    lines = traceback.format_exc().splitlines()
    return "\n".join(lines[-14:])[-3000:]


# Linux tells the most memory that a process had, and lets it forget that.

_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def _resident() -> int:
    """Bytes in use; from now on the peak is counted anew."""
    with contextlib.suppress(OSError):
        _RESET.write_text("5")
    return _status("VmRSS:")


def _peak() -> int:
    return _status("VmHWM:")


def _status(field: str) -> int:
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


# inputs


def make(rng: random.Random, entry: Entry) -> t.Any:
    """One damaged input for the entry."""
    seed = rng.choice(entry.seeds)
    if entry.kind == "tree":
        return damage.tree(rng, seed)
    if entry.kind == "text":
        return damage.text(rng, seed)
    return damage.data(rng, seed)


class Tally:
    """How many inputs of an entry did what."""

    def __init__(self) -> None:
        self.taken = self.refused = 0
        self.slowest = 0.0
        self.largest = 0
        self.findings: list[Finding] = []
        self.seen: set[tuple[str, str]] = set()

    @property
    def count(self) -> int:
        """All inputs."""
        return self.taken + self.refused + len(self.findings)


def fuzz(entry: Entry, rng: random.Random, tally: Tally, go_on: t.Callable[[], bool]) -> None:
    """Try inputs of one entry until told to stop. Of faults of the same kind at the same line one is kept, the least that was found."""
    while go_on():
        value = make(rng, entry)
        verdict = watch(entry, value)
        tally.slowest = max(tally.slowest, verdict.seconds)
        tally.largest = max(tally.largest, verdict.size)
        if verdict.outcome == "taken":
            tally.taken += 1
        elif verdict.outcome == "refused":
            tally.refused += 1
        else:
            _keep(entry, verdict, value, tally)


def _keep(entry: Entry, verdict: Verdict, value: t.Any, tally: Tally) -> None:
    where = _where(verdict)
    if (verdict.outcome, where) in tally.seen:
        return
    tally.seen.add((verdict.outcome, where))
    value = shrink(entry, value, verdict)
    tally.findings.append(Finding(entry.name, verdict.outcome, verdict.detail, value))


def _where(verdict: Verdict) -> str:
    """The line of the collection's own code that an exception came from last."""
    lines = [line for line in verdict.detail.splitlines() if "plugins/" in line and 'File "' in line]
    return lines[-1] if lines else ""


def shrink(entry: Entry, value: t.Any, verdict: Verdict, seconds: float = 5.0) -> t.Any:
    """The least form of an input that does the same, as far as one is found in this time."""
    limit = time.monotonic() + seconds
    again = True
    while again and time.monotonic() < limit:
        again = False
        for smaller in damage.smaller(value):
            if time.monotonic() >= limit:
                break
            found = watch(entry, smaller)
            if found.outcome == verdict.outcome and _where(found) == _where(verdict):
                value = damage.copied(smaller)
                again = True
                break
    return value


# on paper


def written(entry: Entry, value: t.Any) -> str:
    """An input as a file that :func:`read` takes back."""
    return json.dumps({"entry": entry.name, "value": _plain(value)}, indent=1)


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, bytes):
        return {_BYTES: value.hex()}
    if isinstance(value, int) and value.bit_length() > 1000:
        return {_INT: hex(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def read(text: str) -> tuple[str, t.Any]:
    """Name of the entry and the input, of such a file."""
    found = json.loads(text, object_hook=_rich)
    return found["entry"], found["value"]


def _rich(found: dict[str, t.Any]) -> t.Any:
    if list(found) == [_BYTES]:
        return bytes.fromhex(found[_BYTES])
    return int(found[_INT], 16) if list(found) == [_INT] else found


#: How JSON, which has no bytes, and whose readers refuse long numbers, has them here.
_BYTES, _INT = "$bytes", "$int"
