# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills a module at many points of its work, on the host, and lets a second run come after. Run in dom0 as root.

    python3 killed_module.py '{"module": NAME, "payload": FILE, "points": [{"deed": 0.3}, ..], "setup": [ARGV, ..], "runs": [ARGUMENTS, ..], "look": ARGV}'

`payload` is what Ansible would send for the module (tools/payload.py). It is loaded once (many.py, beside this file), and each run with one of
`runs` is a child of that: where Python starts for each, most of the time goes there. Where `points` have numbers, `runs` are done once without
being killed, and what they do to files and with xl is counted. Then, for each of `points`, the next of `runs`, in turn, gets SIGKILL:

    {"deed": "xl restore"}          right before the first deed of that name
    {"deed": 0.3}                   right before the deed at this part of all of them
    {"name": "--incoming"}          once there is a domain whose name ends so
    {"saved": 1}                    once a file in /var/lib/dom0-xen/saves has so many bytes: 1 is when a guest is asked to suspend
    {"within": "xl create", "at": 0.3}  in the middle of an xl, at this part of the time that it took before; if it is quicker now, earlier

With "alone": true what it has started, xl above all, goes on, otherwise that is killed with it. What is seen right then goes to `states`. The
same run again has to succeed, and the last one to change nothing when it comes once more. What `look` prints then goes to `look`, and the guests
there are then to `ends`. `setup` puts the host back before each time; its commands may fail. With "leave": true it ends once the first point has
killed: the host stays as it is then. Prints JSON.
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import typing as t

import many

Argv = t.List[str]
Arguments = t.Dict[str, t.Any]
Point = t.Dict[str, t.Any]
SAVED = "/var/lib/dom0-xen/saves/*.save"
LONGEST = 900  # seconds until an event is given up
ATTEMPTS = 4  # to kill a run before it ends
FOLDER = tempfile.mkdtemp()
LOG = os.path.join(FOLDER, "deeds")


def write_down(before: str) -> None:
    """Have this process write down when it starts a program, renames or removes a file, and kill itself right before `before`."""

    def deed(event: str, arguments: tuple[t.Any, ...]) -> None:
        if event == "subprocess.Popen":
            name = " ".join([os.path.basename(os.fsdecode(part)) for part in arguments[1][:2]])
        elif event in ("os.rename", "os.remove") and "ansible" not in str(arguments[0]):
            name = event
        else:
            return
        with open(LOG, "a+", encoding="utf-8") as log:
            log.seek(0)
            number = len(log.readlines())
            log.write(f"{time.monotonic()!r} {name}\n")
        if before in (str(number), name):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(deed)


def deeds() -> list[tuple[float, str]]:
    """What the run has done, or was about to do, and when."""
    try:
        with open(LOG, encoding="utf-8") as stream:
            lines = [line.rstrip("\n").split(" ", 1) for line in stream if line.endswith("\n")]
    except FileNotFoundError:
        return []
    return [(float(when), name) for when, name in lines]


class Run:
    """A run of the loaded module, that is killed right before a deed."""

    basic: t.Any
    loaded: t.Any
    name: str

    @classmethod
    def load(cls, payload: str, name: str) -> None:
        """Load the module that all runs are of."""
        with open(payload, encoding="utf-8") as stream:
            cls.basic, cls.loaded, _archive = many.load(stream.read(), name)
        cls.name = name

    def __init__(self, arguments: Arguments, before: str = "") -> None:
        if os.path.exists(LOG):
            os.unlink(LOG)
        sys.stdout.flush()
        self._output, output = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            # Others look for what belongs to it.
            os.setsid()
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            write_down(before)
            many.run_here(self.basic, self.loaded, self.name, arguments)
        os.close(output)
        self._status: int | None = None

    def ended(self) -> bool:
        """Whether it has."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is not None

    def end(self) -> tuple[bool, str]:
        """Wait for its end; whether it was killed, and what it has printed."""
        with open(self._output, encoding="utf-8", errors="replace") as stream:
            output = stream.read()
        if self._status is None:
            self._status = os.waitpid(self.pid, 0)[1]
        return os.WIFSIGNALED(self._status), output


def module(arguments: Arguments) -> dict[str, t.Any]:
    """Run the module to its end; its result."""
    output = Run(arguments).end()[1]
    try:
        return t.cast("dict[str, t.Any]", json.loads(output[output.index("{") :]))
    except ValueError:
        return {"failed": True, "msg": output}


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


class Names:
    """What xenstore has for the names of domains, over a connection of its own: a program for each look would come too late."""

    DIRECTORY, READ = 1, 2  # xen/include/public/io/xs_wire.h

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect("/run/xenstored/socket")

    def _ask(self, kind: int, path: str) -> bytes:
        payload = path.encode() + b"\0"
        self._socket.sendall(struct.pack("=IIII", kind, 0, 0, len(payload)) + payload)
        length = struct.unpack("=IIII", self._socket.recv(16, socket.MSG_WAITALL))[3]
        return self._socket.recv(length, socket.MSG_WAITALL) if length else b""

    def any_ends(self, tail: str) -> bool:
        """Whether a domain's name ends so. One that is gone between two questions answers with an error's name."""
        domids = self._ask(self.DIRECTORY, "/local/domain").decode().split("\0")[:-1]
        return any(
            self._ask(self.READ, f"/local/domain/{domid}/name").endswith(tail.encode()) for domid in domids
        )


def has_come(point: Point, names: Names, lengths: dict[str, float], attempt: int) -> bool:
    """Whether it is time to kill."""
    if "saved" in point:
        return is_saved(point["saved"])
    if "name" in point:
        return names.any_ends(point["name"])
    begun = [when for when, name in deeds() if name == point["within"]]
    return (
        bool(begun) and time.monotonic() - begun[0] >= lengths[point["within"]] * point["at"] * 0.7**attempt
    )


def family(process: int) -> list[int]:
    """A process and all that it has started, which may have sessions of their own; not what is in the background for good."""
    parents = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as stream:
            parents[int(path.split("/")[2])] = int(stream.read().rpartition(")")[2].split()[1])
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def killed(
    arguments: Arguments, point: Point, names: Names, lengths: dict[str, float], count: int, attempt: int
) -> bool:
    """Start a run and have it killed at a point; whether it was killed before its end."""
    if "deed" in point:
        before = point["deed"] if isinstance(point["deed"], str) else str(int(point["deed"] * count))
        return Run(arguments, before).end()[0]
    run = Run(arguments)
    begun = time.monotonic()
    while (
        not run.ended()
        and time.monotonic() - begun < LONGEST
        and not has_come(point, names, lengths, attempt)
    ):
        time.sleep(0.001)
    ended = run.ended()
    if not ended:
        for each in [run.pid] if point.get("alone") else family(run.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
    run.end()
    return not ended


def main() -> None:
    """Do what the argument says."""
    task = json.loads(sys.argv[1])
    Run.load(task["payload"], task["module"])
    runs = itertools.cycle(task["runs"])

    def setup() -> None:
        for argv in task["setup"]:
            subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False)

    lengths: dict[str, float] = {}
    count = 0
    for run in (
        task["runs"]
        if any("at" in point or isinstance(point.get("deed"), float) for point in task["points"])
        else ()
    ):
        setup()
        whole = module(run)
        done = [*deeds(), (time.monotonic(), "end")]
        if whole.get("failed") or not whole.get("changed"):
            sys.exit(json.dumps(whole))
        count = len(done)
        lengths = {name: after - when for (when, name), (after, _next) in itertools.pairwise(done)}
    found, names = [], Names()
    run = task["runs"][-1]
    for point in task["points"]:
        entry: dict[str, t.Any] = {"point": point, "killed": False}
        for attempt, run in enumerate(itertools.islice(runs, ATTEMPTS)):
            setup()
            entry["killed"] = killed(run, point, names, lengths, count, attempt)
            if entry["killed"]:
                break
        entry["states"] = domains()
        if task.get("leave"):
            sys.stdout.write(json.dumps(entry))
            return
        result = module(run)
        entry["again"] = {key: result.get(key) for key in ("changed", "failed", "msg", "recovered", "left")}
        if task.get("look"):
            entry["look"] = subprocess.run(
                task["look"], capture_output=True, text=True, check=False
            ).stdout.split()
        entry["ends"] = domains()
        found.append(entry)
    idle = module(run).get("changed")
    sys.stdout.write(json.dumps({"deeds": [name for _when, name in deeds()], "points": found, "idle": idle}))


if __name__ == "__main__":
    main()
