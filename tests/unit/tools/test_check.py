# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The closing line of the checks tells the truth."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import pytest

RECAP = """\
INFO     [one > verify] Executed: Successful
SCENARIO RECAP
default                   : actions=2  successful=2  disabled=0  skipped=0  missing=0  failed=0
one                       : actions=6  successful=5  disabled=0  skipped=0  missing=0  failed=1
two                       : actions=3  successful=3  disabled=0  skipped=0  missing=0  failed=0
"""

REPORT = """\
<?xml version="1.0"?>
<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10"/></testsuites>
"""


@pytest.fixture
def check(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[3] / "tools"))
    import check

    return check


def test_scenarios_are_counted(check):
    assert check._scenarios(False, RECAP) == check.Count(2, 1)


def test_molecule_that_fails_before_its_recap_is_a_failure(check):
    assert check._scenarios(False, "CRITICAL no scenario\n") == check.Count(0, 1)
    assert check._scenarios(True, RECAP.replace("failed=1", "failed=0")) == check.Count(3, 0)


def test_pytest_report_is_counted(check, tmp_path):
    report = tmp_path / "report.xml"
    count = check._junit(report)
    report.write_text(REPORT, encoding="utf-8")
    assert count(False, "") == check.Count(passed=4, failed=3, skipped=3)


def test_report_of_an_earlier_run_does_not_count(check, tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(REPORT, encoding="utf-8")
    assert check._junit(report)(False, "") == check.Count(failed=1)


def bench(check, monkeypatch, tmp_path):
    monkeypatch.delenv("V", raising=False)
    monkeypatch.setattr(check, "LOGS", tmp_path)
    monkeypatch.setattr(check.workshop, "variables", lambda _venv: {})
    made = check.Bench.__new__(check.Bench)
    made.venv = made.tree = tmp_path
    made.count = check.Count()
    return made


def test_checks_add_up(check, monkeypatch, tmp_path, capsys):
    made = bench(check, monkeypatch, tmp_path)
    made.run("one", [sys.executable, "-c", "print('quiet')"])
    made.run("many", [sys.executable, "-c", ""], result=lambda _ok, _output: check.Count(5, 0, 2))
    made.skip("three", "no reason")
    assert str(made.count) == "6 passed, 0 failed, 3 skipped"
    assert "quiet" not in capsys.readouterr().out


def test_failure_is_counted_shown_and_stops(check, monkeypatch, tmp_path, capsys):
    made = bench(check, monkeypatch, tmp_path)
    with pytest.raises(check.Failed):
        made.run("bad", [sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)"])
    assert str(made.count) == "0 passed, 1 failed"
    assert "the reason" in capsys.readouterr().out


def test_failed_run_of_passed_tests_is_a_failure(check, monkeypatch, tmp_path):
    made = bench(check, monkeypatch, tmp_path)
    with pytest.raises(check.Failed):
        made.run(
            "odd",
            [sys.executable, "-c", "raise SystemExit(1)"],
            result=lambda _ok, _output: check.Count(5, 0),
        )
    assert str(made.count) == "5 passed, 1 failed"


PARENT = """\
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(child.pid, flush=True)
signal.pause()
"""


def test_interruption_ends_what_a_check_started(check, monkeypatch, tmp_path):
    made = bench(check, monkeypatch, tmp_path)
    monkeypatch.setenv("V", "1")
    started = []

    class Terminal(io.StringIO):
        def write(self, text):
            if text.strip().isdigit():
                started.append(int(text))
                raise KeyboardInterrupt
            return len(text)

    monkeypatch.setattr(sys, "stdout", Terminal())
    with pytest.raises(KeyboardInterrupt):
        made.run("long", [sys.executable, "-c", PARENT])
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
