# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo starts and stops its host as it says, whatever happens; programs that only write down what they were asked stand in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

# Runs the demo with stand-ins: HOST acts as the test host's command line, PLAYBOOK as ansible-playbook. Both append to CALLS.
DRIVER = """
import sys
sys.path.insert(0, {tools!r})
import demo
from pathlib import Path
demo.XENHOST = [sys.executable, {host!r}]
demo.STATE = Path({state!r})
demo.program = lambda name: {playbook!r}
demo.tree.refresh = lambda: None
sys.exit(demo.main(sys.argv[1:]))
"""
HOST = """
import os, sys
calls = open({calls!r}, "a"); calls.write(sys.argv[1] + "\\n"); calls.close()
if sys.argv[1] == "inventory" and "--output" not in sys.argv:
    sys.exit(0 if os.environ.get("RUNS") else 1)
sys.exit(int(os.environ.get("FAIL_" + sys.argv[1].upper(), "0")))
"""
PLAYBOOK = """#!{python}
import os, sys, time
calls = open({calls!r}, "a"); calls.write("playbook\\n"); calls.close()
while os.environ.get("HANG"):
    time.sleep(0.05)
for name in ("summary", "report"):
    path = [word for word in sys.argv if word.startswith(f"place_guests_{{name}}_path=")][0].partition("=")[2]
    if not os.environ.get("FAIL_PLAYBOOK") and name not in os.environ.get("WITHOUT", ""):
        open(path, "w").write("the " + name + "\\n")
sys.exit(int(os.environ.get("FAIL_PLAYBOOK", "0")))
"""


class Stage:
    """A folder with the stand-ins, and what they were asked."""

    def __init__(self, folder):
        self.calls_file = folder / "calls"
        names = {name: str(folder / name) for name in ("host", "playbook", "state")}
        texts = {
            "calls": str(self.calls_file),
            "python": sys.executable,
            "tools": str(ROOT / "tools"),
            **names,
        }
        (folder / "host").write_text(HOST.format(**texts))
        (folder / "playbook").write_text(PLAYBOOK.format(**texts))
        (folder / "playbook").chmod(0o755)
        self.driver = folder / "driver.py"
        self.driver.write_text(DRIVER.format(**texts))

    def start(self, *arguments, **variables):
        environment = {key: value for key, value in os.environ.items() if key not in ("KEEP", "RUNS", "HANG")}
        return subprocess.Popen(
            [sys.executable, self.driver, *arguments],
            env={**environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, **variables):
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    @property
    def calls(self):
        return self.calls_file.read_text().split() if self.calls_file.exists() else []


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def test_the_host_is_started_used_and_stopped_and_the_summary_stands_at_the_end(stage):
    status, out, err = stage.run()
    assert (status, err) == (0, "")
    assert stage.calls == ["inventory", "up", "inventory", "playbook", "down"]
    assert out.index("the summary") < out.index("Host up in")
    (line,) = (line for line in out.splitlines() if line.endswith("report.html"))
    assert Path(line.rpartition(": ")[2]).read_text() == "the report\n"


def test_pictures_that_were_not_drawn_are_not_announced(stage):
    assert stage.run()[0] == 0
    status, out, _err = stage.run(WITHOUT="report")
    assert status == 0
    assert "report.html" not in out


@pytest.mark.parametrize("how", [({}, ["--keep"]), ({"KEEP": "1"}, [])])
def test_a_host_that_is_to_be_kept_is_not_stopped_and_one_is_told_how_to_reach_it(stage, how):
    variables, arguments = how
    status, out, _err = stage.run(*arguments, **variables)
    assert status == 0
    assert "down" not in stage.calls
    for word in ("tests.xenhost ssh big", "tests.xenhost down big", "inventory.yml", "ANSIBLE_CONFIG="):
        assert word in out


def test_keep_0_is_no(stage):
    assert stage.run(KEEP="0")[0] == 0
    assert stage.calls[-1] == "down"


def test_a_host_that_runs_already_is_left_running(stage):
    status, out, _err = stage.run(RUNS="1")
    assert status == 0
    assert stage.calls == ["inventory", "inventory", "playbook"]
    assert "runs already" in out


@pytest.mark.parametrize("failing", ["FAIL_UP", "FAIL_PLAYBOOK"])
def test_after_a_failure_the_host_is_stopped_even_if_it_was_to_be_kept(stage, failing):
    status, _out, err = stage.run("--keep", **{failing: "3"})
    assert status == 1
    assert stage.calls[-1] == "down"
    assert "failed with status 3" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_when_interrupted_the_host_is_stopped(stage, number):
    process = stage.start("--keep", HANG="1")
    limit = time.monotonic() + 240
    while "playbook" not in stage.calls and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(number)
    _out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert stage.calls[-1] == "down"
    assert f"stopped by {number.name}" in err
    assert "Traceback" not in err.replace("KeyboardInterrupt", "").partition("demo:")[2]
