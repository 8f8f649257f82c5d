# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills a module at many points of its work, on the host, and lets a second run come after. Run in dom0 as root.

    python3 killed_module.py '{"points": 8, "xl": false, "setup": [ARGV, ..], "run": ARGV, "again": ARGV, "look": ARGV}'

`run` is timed once; then for each of `points` equal parts of that time it is started, and killed with SIGKILL at the end of that part, with `xl`
all that it started, too. What is seen right then goes to `states`. `again` has to succeed, once, and to change nothing the second time; what `look`
prints then goes to `look`, and the guests there are then to `ends`. `setup` puts the host back before each time; its commands may fail. Prints JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t

Argv = t.List[str]


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


def killed(argv: Argv, after: float, everything: bool) -> bool:
    """Start a module and kill it after so many seconds; whether it was killed before its end."""
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        time.sleep(after)
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

    def setup() -> None:
        for argv in task["setup"]:
            subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False)

    setup()
    begun = time.monotonic()
    first = module(task["run"])
    length = time.monotonic() - begun
    if first.get("failed") or not first.get("changed"):
        sys.exit(json.dumps(first))
    found = []
    for point in range(1, task["points"] + 1):
        setup()
        entry: dict[str, t.Any] = {"point": point}
        entry["killed"] = killed(task["run"], length * point / (task["points"] + 1), task["xl"])
        entry["states"] = domains()
        result = module(task["again"])
        entry["again"] = {key: result.get(key) for key in ("changed", "failed", "msg", "recovered")}
        entry["idle"] = module(task["again"]).get("changed")
        if task.get("look"):
            entry["look"] = subprocess.run(
                task["look"], capture_output=True, text=True, check=False
            ).stdout.split()
        entry["ends"] = domains()
        found.append(entry)
    sys.stdout.write(json.dumps({"seconds": length, "points": found}))


if __name__ == "__main__":
    main()
