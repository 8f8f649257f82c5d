# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills a module at many points of its work, on the host, and lets a second run come after. Run in dom0 as root.

    python3 killed_module.py '{"points": [{"at": 0.3, "xl": false}, ..], "setup": [ARGV, ..], "runs": [ARGV, ..], "look": ARGV}'

The second of `runs` is timed, as the first finds nothing in memory yet. Then, for each of `points`, the next of `runs`, in turn, is
started and killed with SIGKILL, with `xl` all that it started, too; when it ended before, the next one is tried. `at` is a part of the
time measured, or the size in bytes that a file in /var/lib/xen/save has to reach, which is when a guest is asked to suspend (1) and while
it is being saved. What is seen right then goes to `states`. The same run again has to succeed, and the last one to change nothing when it
comes once more. What `look` prints then goes to `look`, and the guests there are then to `ends`. `setup` puts the host back before each
time; its commands may fail. Prints JSON.
"""

from __future__ import annotations

import glob
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import typing as t

Argv = t.List[str]
SAVED = "/var/lib/xen/save/*.save"
LONGEST = 300  # seconds until a file is given up
ATTEMPTS = 4  # to kill a run before it ends


def module(argv: Argv) -> dict[str, t.Any]:
    """Run a module to its end; its result."""
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    try:
        return t.cast("dict[str, t.Any]", json.loads(done.stdout[done.stdout.index("{") :]))
    except ValueError:
        return {"failed": True, "msg": done.stdout + done.stderr}


def domains() -> list[str]:
    """Names and states of all guests."""
    lines = subprocess.check_output(["xl", "list"], text=True).splitlines()[2:]
    return [f"{line[:40].strip()} {line.split()[-2]}" for line in lines]


def is_saved(size: int) -> bool:
    """Whether a guest's file is as long as this."""
    for path in glob.glob(SAVED):
        try:
            return os.path.getsize(path) >= size
        except FileNotFoundError:
            continue
    return False


def killed(argv: Argv, length: float, point: float, everything: bool) -> bool:
    """Start a module, that takes `length` seconds, and kill it at a point; whether it was killed before its end."""
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        begun = time.monotonic()
        if point < 1:
            time.sleep(length * point)
        else:
            while process.poll() is None and time.monotonic() - begun < LONGEST and not is_saved(int(point)):
                time.sleep(0.01)
        ended = process.poll() is not None
        if not ended:
            if everything:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                # The module is this process or, where Ansible wraps it, its child; what that starts stays.
                for child in children(process.pid):
                    if b"xl" not in command(child).split(b"/")[-1].split(b"\0")[0]:
                        os.kill(child, signal.SIGKILL)
                process.kill()
        return not ended


def children(pid: int) -> list[int]:
    """Processes that this one started."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as stream:
            return [int(child) for child in stream.read().split()]
    except OSError:
        return []


def command(pid: int) -> bytes:
    """The program of a process, as it was started."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return stream.read().split(b"\0")[0]
    except OSError:
        return b""


def main() -> None:
    """Do what the argument says."""
    task = json.loads(sys.argv[1])
    runs = itertools.cycle(task["runs"])

    def setup() -> None:
        for argv in task["setup"]:
            subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False)

    length = 0.0
    for run in (next(runs), next(runs)):
        setup()
        begun = time.monotonic()
        whole = module(run)
        length = time.monotonic() - begun
        if whole.get("failed") or not whole.get("changed"):
            sys.exit(json.dumps(whole))
    found = []
    for point in task["points"]:
        entry: dict[str, t.Any] = {"point": point, "killed": False}
        for run in itertools.islice(runs, ATTEMPTS):
            setup()
            entry["killed"] = killed(run, length, point["at"], point["xl"])
            if entry["killed"]:
                break
        entry["states"] = domains()
        result = module(run)
        entry["again"] = {key: result.get(key) for key in ("changed", "failed", "msg", "recovered")}
        if task.get("look"):
            entry["look"] = subprocess.run(
                task["look"], capture_output=True, text=True, check=False
            ).stdout.split()
        entry["ends"] = domains()
        found.append(entry)
    idle = module(run).get("changed")
    sys.stdout.write(json.dumps({"seconds": length, "points": found, "idle": idle}))


if __name__ == "__main__":
    main()
