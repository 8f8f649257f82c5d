# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The closing line of the checks tells the truth."""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

REPORT = """\
<?xml version="1.0"?>
<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10"/></testsuites>
"""


@pytest.fixture
def check(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import check

    return check


def test_every_scenario_has_its_host(check):
    found = check.scenarios()
    assert found["place"] == "big"
    assert found["hvm"] == "small-hvm"
    described = {path.stem for path in (ROOT / "tests" / "xenhost" / "hosts").glob("*.toml")}
    assert set(found.values()) <= described


def test_pytest_report_is_counted(check, tmp_path):
    report = tmp_path / "report.xml"
    count = check._junit(report)
    report.write_text(REPORT, encoding="utf-8")
    assert count(False, "") == check.Count(passed=4, failed=3, skipped=3)


def test_report_of_an_earlier_run_does_not_count(check, tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(REPORT, encoding="utf-8")
    assert check._junit(report)(False, "") == check.Count(failed=1)


@pytest.fixture
def lanes(check, monkeypatch, tmp_path):
    monkeypatch.setattr(check, "LOGS", tmp_path)
    monkeypatch.setattr(check.workshop, "variables", lambda _venv: {})

    def make(number=2, live=False, known=None):
        return check.Lanes(tmp_path, number, live, known or {})

    return make


def run(check, title, program, **more):
    return check.Check(title, [sys.executable, "-c", program], **more)


def test_checks_add_up(check, lanes, capsys):
    made = lanes()
    made.run(
        [
            run(check, "one", "print('quiet')"),
            run(check, "many", "", tally=lambda _ok, _output: check.Count(5, 0, 2)),
            run(check, "host", "", serves=True),
        ]
    )
    assert str(made.count) == "6 passed, 0 failed, 2 skipped"
    assert "quiet" not in capsys.readouterr().out


def test_failure_is_counted_and_shown_and_the_others_run(check, lanes, capsys):
    made = lanes(1)
    made.run(
        [
            run(check, "bad", "import sys; print('the reason'); sys.exit(3)", seconds=9),
            run(check, "good", ""),
            run(check, "host", "raise SystemExit(1)", serves=True),
        ]
    )
    assert str(made.count) == "1 passed, 2 failed"
    assert "the reason" in capsys.readouterr().out


def test_failed_run_of_passed_tests_is_a_failure(check, lanes):
    made = lanes()
    made.run([run(check, "odd", "raise SystemExit(1)", tally=lambda _ok, _output: check.Count(5, 0))])
    assert str(made.count) == "5 passed, 1 failed"


def test_lanes_are_side_by_side(check, lanes, tmp_path):
    """Each of the two waits for the other: one after the other they would never end."""
    meet = (
        "import pathlib, sys, time; here = pathlib.Path({0!r}); (here / sys.argv[1]).touch()\n"
        "while not (here / sys.argv[2]).exists(): time.sleep(0.01)"
    ).format(str(tmp_path))
    made = lanes()
    made.run([check.Check(mine, [sys.executable, "-c", meet, mine, other]) for mine, other in ("ab", "ba")])
    assert made.count == check.Count(2)


def test_what_others_need_comes_first_and_the_longest_next(check):
    def one(title, seconds, after=(), serves=False):
        return check.Check(title, [], seconds=seconds, after=after, serves=serves)

    checks = [
        one("short", 1),
        one("long", 50),
        one("first", 2),
        one("second", 60, after=("first",)),
        one("host", 3, serves=True),
    ]
    assert [item.title for item in check._ordered(checks, {})] == ["host", "first", "second", "long", "short"]
    assert check._ordered(checks, {"short": 999})[1].title == "short"


def test_a_check_waits_for_what_it_needs(check, lanes, tmp_path):
    write = f"import pathlib, time; time.sleep(0.3); pathlib.Path({str(tmp_path / 'made')!r}).touch()"
    read = f"import pathlib; assert pathlib.Path({str(tmp_path / 'made')!r}).exists()"
    made = lanes()
    made.run([run(check, "user", read, after=("maker",)), run(check, "maker", write)])
    assert made.count == check.Count(2)


def test_the_table_has_every_check_and_the_slowest_tasks(check, lanes, tmp_path):
    made = lanes()
    made.run([run(check, "scenario a", ""), run(check, "unit tests", "raise SystemExit(1)")])
    tasks = [{"task": f"task {number}", "seconds": number} for number in range(1, 15)]
    (tmp_path / "tasks-a.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    (tmp_path / "tasks-old.jsonl").write_text('{"task": "of another run", "seconds": 99}\n')
    text = check.report(made.ended, 2, 33.0)
    assert "scenario a" in text and "unit tests  FAILED" in text
    assert text.count("a: task ") == 10
    assert text.index("a: task 14") < text.index("a: task 5")
    assert "another run" not in text
    assert "33  in all" in text


PARENT = """\
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(child.pid, flush=True)
signal.pause()
"""


def test_interruption_ends_what_a_check_started(check, lanes, monkeypatch):
    made = lanes(live=True)
    started = []

    class Terminal(io.StringIO):
        def write(self, text):
            if text.strip().isdigit():
                started.append(int(text))
                raise KeyboardInterrupt
            return len(text)

    monkeypatch.setattr(sys, "stdout", Terminal())
    with pytest.raises(KeyboardInterrupt):
        made.run([run(check, "long", PARENT)])
    (pid,) = started
    # Its parent is gone, so whoever adopts orphans has to reap it first.
    for _try in range(600):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the child of the check still runs")


def test_errors_of_ansible_test_are_shown_together(check):
    output = "ERROR: first\n" + "noise\n" * 500 + "FATAL: last\n" + "noise\n" * 500
    assert check._gist(output) == "ERROR: first\nFATAL: last"
    assert check._gist("only\nnoise\n") == "only\nnoise"


def test_unknown_group_is_a_sentence(check, capsys):
    assert check.main(["unti"]) == 2
    assert "unti: no such group" in capsys.readouterr().err


def test_unknown_scenario_is_a_sentence(check):
    with pytest.raises(check.SetupError, match="no scenario 'plaice'; there are affinity, "):
        list(check.molecule(check.Workshop(ROOT, ROOT), "plaice"))
