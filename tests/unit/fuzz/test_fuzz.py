# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A short fuzz run, the same inputs each time, and the fuzzer itself. `make fuzz` is the long one."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("ansible")

from ansible_collections.dom0.xen.tests.fuzz import damage, runner
from ansible_collections.dom0.xen.tests.fuzz.entries import ENTRIES

#: Inputs of each entry.
INPUTS = 8


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_no_input_does_what_no_input_may(entry: runner.Entry) -> None:
    rng = random.Random(entry.name)
    for _time in range(INPUTS):
        value = runner.make(rng, entry)
        # Time and memory depend on the machine: `make fuzz` judges them.
        verdict = runner.watch(entry, value)
        assert verdict.outcome in ("taken", "refused", "slow", "large"), verdict.detail


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_what_an_entry_is_made_for_is_taken(entry: runner.Entry) -> None:
    entry.run(damage.copied(entry.seeds[0]))


class Odd(Exception):
    pass


def _tried(run: object) -> runner.Verdict:
    return runner.watch(runner.Entry("an entry", "text", ["a"], run, (Odd,)), "a")  # type: ignore[arg-type]


def _raise(error: BaseException) -> None:
    raise error


def test_what_an_input_does_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _tried(lambda value: None).outcome == "taken"
    assert _tried(lambda value: _raise(Odd("no"))).outcome == "refused"
    assert _tried(lambda value: _raise(KeyError("x"))).outcome == "KeyError"
    assert _tried(lambda value: _raise(RecursionError())).outcome == "RecursionError"
    monkeypatch.setattr(runner, "HOPELESS", 0.05)

    def endless(value: str) -> None:
        while True:
            pass

    assert _tried(endless).outcome == "endless"
    monkeypatch.setattr(runner, "MOST_SECONDS", -1.0)
    assert _tried(lambda value: None).outcome == "slow"
    monkeypatch.setattr(runner, "MOST_SECONDS", 1000.0)
    monkeypatch.setattr(runner, "MOST_BYTES", -1)
    assert _tried(lambda value: None).outcome == "large"


def test_the_least_form_of_an_input_is_looked_for() -> None:
    entry = runner.Entry("an entry", "tree", [{}], lambda value: value["a"]["b"][0].x, (Odd,))
    value = {"a": {"b": [1, 2, 3, 4], "c": list(range(50))}, "d": "x" * 1000}
    verdict = runner.watch(entry, value)
    assert verdict.outcome == "AttributeError"
    assert runner.shrink(entry, value, verdict) == {"a": {"b": [1]}}


@pytest.mark.parametrize("value", [b"\xff\0", {"a": [1, 10**5000, -(10**5000), None, 1.5]}, "\udc80", [[]]])
def test_an_input_is_written_so_that_it_can_be_read_again(value: object) -> None:
    text = runner.written(ENTRIES[0], value)
    assert runner.read(text) == (ENTRIES[0].name, value)


def test_the_same_seed_makes_the_same_inputs() -> None:
    for entry in ENTRIES[:3]:
        made = [[runner.make(random.Random(seed), entry) for seed in (1, 1, 2)] for _time in range(2)]
        assert repr(made[0]) == repr(made[1])
        assert repr(made[0][0]) == repr(made[0][1])
