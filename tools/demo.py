# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way on an emulated, real Xen host: facts, plan, guests, pins, proof. ``make demo`` runs this.

Starts the test host, runs the collection's own playbook against it over SSH, exactly as a user would, prints the summary that the role
wrote, says where the pictures are that it drew, and stops the host again. With KEEP=1 in the environment the host stays up. Standard
library only, Python 3.11+.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import tree
from workshop import CACHE, ROOT, SetupError

STATE = CACHE / "demo"
#: What the playbook writes there: the summary that is printed, and a page with pictures of the host before and after.
SUMMARY, REPORT = "summary.txt", "report.html"
GUESTS = ROOT / "demo" / "guests.yml"
PLAYBOOK = "dom0.xen.place_guests"
XENHOST = [sys.executable, "-m", "tests.xenhost"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CLEANUP_LIMIT_S = 120

_ANSIBLE_CFG = """\
# Written by tools/demo.py.
[defaults]
collections_path = {collections}
nocows = true
display_skipped_hosts = false
callback_result_format = yaml
[ssh_connection]
pipelining = true
ssh_args = -o ControlMaster=auto -o ControlPersist=10m
"""


class DemoError(Exception):
    """What went wrong, in a sentence."""


class Interrupted(Exception):
    """Somebody asked us to stop."""


def say(text: str = "") -> None:
    """A line of progress."""
    print(text, flush=True)


def program(name: str) -> str:
    """Path of one of Ansible's programs: beside the Python that runs this, else on PATH. Raises DemoError."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if found is None:
        raise DemoError(
            f"{name} is not installed: use `make demo`, which brings it, or install ansible-core."
        )
    return found


def run(argv: t.Sequence[str], **options: t.Any) -> int:
    """Run a program in the checkout and return its status; its output goes where ours goes.

    When we are interrupted it is asked to stop too, and given the time to clean up.
    """
    with subprocess.Popen(argv, cwd=ROOT, **options) as process:
        try:
            return process.wait()
        except Interrupted:
            ignore_signals()
            process.send_signal(signal.SIGINT)
            try:
                process.wait(CLEANUP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise


def ignore_signals() -> None:
    """From here on we end by ourselves."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def ended(status: int, what: str) -> None:
    """Raise DemoError when a program failed."""
    if status != 0:
        raise DemoError(f"{what} failed with status {status}: its own words are above.")


def prepare(state: Path) -> dict[str, str]:
    """Write what Ansible needs into a folder of ours; the environment that makes it use that."""
    try:
        tree.refresh()
    except SetupError as error:
        raise DemoError(str(error)) from None
    state.mkdir(parents=True, exist_ok=True)
    config = state / "ansible.cfg"
    config.write_text(_ANSIBLE_CFG.format(collections=CACHE), encoding="utf-8")
    return {**os.environ, "ANSIBLE_CONFIG": str(config)}


def is_running(host: str) -> bool:
    """Whether the host runs already."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return run([*XENHOST, "inventory", host], **quiet) == 0


def place(host: str, environment: dict[str, str], extra: t.Sequence[str]) -> list[str]:
    """Run the playbook against the running host; its command, for the user to repeat. Raises DemoError."""
    inventory = STATE / "inventory.yml"
    ended(run([*XENHOST, "inventory", host, "--output", str(inventory)]), "Writing the inventory")
    command = [program("ansible-playbook"), "-i", str(inventory), PLAYBOOK, "-e", f"@{GUESTS}", *extra]
    say(f"$ {shlex.join(command)}")
    written = {"summary": STATE / SUMMARY, "report": STATE / REPORT}
    paths = [word for name, path in written.items() for word in ("-e", f"place_guests_{name}_path={path}")]
    ended(run([*command, *paths], env=environment), "The playbook")
    return command


def stop(host: str) -> None:
    """Stop the host, whatever else is asked of us meanwhile."""
    ignore_signals()
    say(f"Stopping {host} …")
    ended(run([*XENHOST, "down", host]), f"Stopping {host}")


def kept(host: str, command: t.Sequence[str]) -> None:
    """Say how to reach a host that stays up."""
    xenhost = f"cd {shlex.quote(str(ROOT))} && python3 -m tests.xenhost"
    say(f"{host} stays up.")
    say(f"  log in       {xenhost} ssh {host}")
    say(f"  inventory    {STATE / 'inventory.yml'}")
    say(f"  run again    ANSIBLE_CONFIG={shlex.quote(str(STATE / 'ansible.cfg'))} {shlex.join(command)}")
    say(f"  stop it      {xenhost} down {host}")


def demo(host: str, keep: bool, extra: t.Sequence[str]) -> None:
    """Everything. Raises DemoError; whatever happens, a host that was started here and is not to be kept is stopped."""
    program("ansible-playbook")
    environment = prepare(STATE)
    summary, report = STATE / SUMMARY, STATE / REPORT
    for path in (summary, report):
        path.unlink(missing_ok=True)
    found_running = is_running(host)
    started = time.monotonic()
    finished = False
    try:
        if found_running:
            say(f"{host} runs already: it is used as it is, and left running.")
        else:
            say(
                f"Starting {host}, a real Xen under QEMU. The first time it is built and booted, later it continues from a snapshot …"
            )
            ended(run([*XENHOST, "up", host], stdout=subprocess.DEVNULL), f"Starting {host}")
        up = time.monotonic()
        say(
            f"{host} is up after {up - started:.0f} s. Now the playbook; emulated, everything takes some twenty times longer than on iron …"
        )
        command = place(host, environment, extra)
        placed = time.monotonic()
        if not summary.exists():
            raise DemoError(
                "The playbook ended well but left no summary: was it told to check only, or to skip tasks?"
            )
        say()
        say(summary.read_text(encoding="utf-8").rstrip())
        say()
        if report.exists():
            say(f"The host before and after, drawn, with the reasons of the plan, for a browser: {report}")
        say(f"Host up in {up - started:.0f} s, playbook in {placed - up:.0f} s.")
        finished = True
        if keep or found_running:
            kept(host, command)
    finally:
        if not found_running and not (keep and finished):
            stop(host)


def _interrupt(number: int, _frame: t.Any) -> t.NoReturn:
    raise Interrupted(signal.Signals(number).name)


def catch_signals() -> None:
    """From here on a signal that asks us to stop raises Interrupted."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Run the demo; its exit status. Errors are one sentence on standard error."""
    parser = argparse.ArgumentParser(prog="demo.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--host", default="big", help="test host (default: big, for which the guests are made)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the host up, as KEEP=1 in the environment does"
    )
    parser.add_argument(
        "extra", nargs="*", metavar="-- ARGUMENT", help="more arguments for ansible-playbook, such as -v"
    )
    options = parser.parse_args(arguments)
    keep = options.keep or os.environ.get("KEEP", "") not in ("", "0")
    catch_signals()
    try:
        demo(options.host, keep, options.extra)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except Interrupted as error:
        print(f"demo: stopped by {error}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
