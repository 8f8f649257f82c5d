# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots, snapshots, restores and stops a test host.

The first start of a host boots it, waits until Xen's daemons answer, saves a snapshot into the machine's disk and puts
that aside. Every start, the first included, then continues from a copy of the snapshot: what a run does to its host is
gone with the next start.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import typing as t
from pathlib import Path

from . import image, machine, reach, tools
from .cache import Cache, content_key, remove, write_atomically
from .description import Host
from .errors import HostError
from .qmp import Monitor

Say = t.Callable[[str], None]

BOOT_LIMIT_S = 15 * 60
RESTORE_LIMIT_S = 5 * 60
STOP_LIMIT_S = 30
_POLL_S = 0.5
_STATE = "state.json"

# Xen's daemons answer and systemd has nothing left to start.
_READY = (
    "xl info >/dev/null && xenstore-read /local/domain/0/name >/dev/null && xl list Domain-0 >/dev/null"
    " && case $(systemctl is-system-running) in running|degraded) ;; *) exit 1 ;; esac"
)


class Instance:
    """One host, running or not."""

    def __init__(self, host: Host, cache: Cache, say: Say) -> None:
        self.host = host
        self.cache = cache
        self.say = say
        self.directory = cache.part("run") / host.name

    # -- what is there ------------------------------------------------------------------------------------------------

    @property
    def ssh_config(self) -> Path:
        """The ssh_config file of the running host."""
        return self.directory / "ssh_config"

    @property
    def console_log(self) -> Path:
        """What the host wrote to its serial console."""
        return self.directory / machine.CONSOLE_LOG

    def state(self) -> dict[str, t.Any] | None:
        """``{"pid", "port", "machine", "started", "seconds"}`` of the running host; None when it does not run."""
        try:
            state = json.loads((self.directory / _STATE).read_text(encoding="utf-8"))
            pid = int(state["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return state if self._is_ours(pid) else None

    def _is_ours(self, pid: int) -> bool:
        """Whether the process is this host's QEMU: a number may have been given to another since."""
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            working = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            return False
        return f"xenhost-{self.host.name}".encode() in command and working == os.path.realpath(self.directory)

    def _processes(self) -> list[int]:
        """Every QEMU of this host, also one whose state file was lost."""
        pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
        return [pid for pid in pids if self._is_ours(pid)]

    def machine_key(self) -> str:
        """Key of the host's snapshot: another description, image or QEMU gives another."""
        _private, public = image.project_key(self.cache)
        version = tools.run([machine.QEMU, "--version"]).splitlines()[0]
        return content_key(
            {"argv": machine.argv(self.host), "image": image.key(self.host, public), "qemu": version}
        )

    # -- starting -----------------------------------------------------------------------------------------------------

    def up(self, fresh: bool = False) -> dict[str, t.Any]:
        """Start the host unless it runs; its state. ``fresh`` restarts it. Raises HostError, with nothing left running."""
        tools.require(machine.QEMU, "qemu-img", "ssh", "ssh-keygen")
        with self.cache.lock(f"host-{self.host.name}", self.say):
            state = self.state()
            key = self.machine_key()
            if state is not None and not fresh:
                if state["machine"] != key:
                    self.say(
                        f"{self.host.name} still runs from an older description; `up --restart` renews it"
                    )
                return state
            self._stop()
            built = image.build(self.host, self.cache, self.say)
            saved = self.cache.part("machines") / f"{self.host.name}-{key}"
            try:
                if saved.exists():
                    try:
                        return self._restore(saved, built, key)
                    except HostError as error:
                        self.say(f"the snapshot cannot be used ({error}); booting anew")
                        self._stop()
                self._boot(saved, built)
                return self._restore(saved, built, key)
            except BaseException:
                self._stop()
                raise

    def _prepare(self, built: Path) -> None:
        remove(self.directory)
        self.directory.mkdir()
        (self.directory / "boot").symlink_to(os.path.relpath(built, self.directory))

    def _boot(self, saved: Path, built: Path) -> None:
        """Boot the host and put its snapshot into ``saved``."""
        started = time.monotonic()
        self.say(f"booting {self.host.name} for the first time (one to four minutes)")
        self._prepare(built)
        backing = os.path.relpath(built / image.DISK, self.directory)
        disk = self.directory / machine.DISK
        tools.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", backing, str(disk)],
            cwd=self.directory,
        )
        pid = self._launch(restore=False)
        self._open_port(pid)
        self._wait(pid, BOOT_LIMIT_S)
        booted = round(time.monotonic() - started, 1)
        self.say(f"booted in {booted:.0f} s; saving a snapshot")
        self.ssh("sync")
        with self._monitor(pid) as monitor:
            refusal = monitor.human(f"savevm {machine.SNAPSHOT}")
        if refusal:
            raise HostError(f"QEMU could not save the snapshot: {refusal}")
        self._stop()
        with self.cache.building("machines", saved.name) as directory:
            os.rename(disk, directory / machine.DISK)
            write_atomically(
                directory / "about.json", json.dumps({"host": self.host.name, "boot_seconds": booted}) + "\n"
            )

    def _restore(self, saved: Path, built: Path, key: str) -> dict[str, t.Any]:
        """Continue from a copy of the snapshot in ``saved``."""
        started = time.monotonic()
        self._prepare(built)
        tools.run(
            [
                "cp",
                "--reflink=auto",
                "--sparse=always",
                str(saved / machine.DISK),
                str(self.directory / machine.DISK),
            ]
        )
        pid = self._launch(restore=True)
        port = self._open_port(pid)
        self._wait(pid, RESTORE_LIMIT_S)
        # The host's clock stands where it was saved.
        self.ssh(f"date -u -s @{time.time():.3f}")
        state = {"pid": pid, "port": port, "machine": key, "started": round(time.time())}
        state["seconds"] = round(time.monotonic() - started, 1)
        write_atomically(self.directory / _STATE, json.dumps(state) + "\n")
        return state

    def _launch(self, restore: bool) -> int:
        argv = machine.argv(self.host, restore)
        argv[0] = tools.find(machine.QEMU) or machine.QEMU
        with (self.directory / "qemu.log").open("wb") as log:
            # A session of its own: it outlives the command that started it, and no terminal's ^C reaches it.
            process = subprocess.Popen(
                argv,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._process = process
        return process.pid

    def _check(self, pid: int) -> None:
        """Raise HostError with what it last said when QEMU has ended."""
        if self._process.poll() is None and self._is_ours(pid):
            return
        if self._process.poll() is None:
            return
        said = (self.directory / "qemu.log").read_text(errors="replace").strip()
        text = f"QEMU ended with status {self._process.returncode}"
        raise HostError(f"{text}: {said or 'it said nothing'}{self._tail()}")

    def _tail(self, lines: int = 20) -> str:
        try:
            text = self.console_log.read_text(errors="replace")
        except OSError:
            return ""
        last = [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
        return "\nThe console's last lines:\n  " + "\n  ".join(last) if last else ""

    def _monitor(self, pid: int) -> Monitor:
        limit = time.monotonic() + RESTORE_LIMIT_S
        while True:
            self._check(pid)
            try:
                return Monitor(self.directory / machine.QMP_SOCKET)
            except OSError as error:
                if time.monotonic() > limit:
                    raise HostError(f"QEMU's monitor does not answer: {error}.") from None
            time.sleep(_POLL_S)

    def _open_port(self, pid: int) -> int:
        """Forward a free port of this machine to the host's SSH; the port."""
        with self._monitor(pid) as monitor:
            for _attempt in range(20):
                with socket.socket() as probe:
                    probe.bind((reach.ADDRESS, 0))
                    port = int(probe.getsockname()[1])
                # Another process may have taken it in between: then QEMU says so and we try the next.
                refusal = monitor.human(f"hostfwd_add net tcp:{reach.ADDRESS}:{port}-:22")
                if not refusal:
                    break
            else:
                raise HostError(f"No port of {reach.ADDRESS} could be forwarded: {refusal}")
        private, _public = image.project_key(self.cache)
        write_atomically(
            self.ssh_config, reach.ssh_config(self.host.name, port, private, self.directory / "ssh.sock")
        )
        return port

    def _wait(self, pid: int, limit_s: float) -> None:
        """Wait until the host answers over SSH and Xen's daemons answer in it."""
        limit = time.monotonic() + limit_s
        while True:
            self._check(pid)
            done = self._ssh(_READY, timeout=limit_s)
            if done.returncode == 0:
                return
            if time.monotonic() > limit:
                why = done.stderr.strip().splitlines()
                last = f" ({why[-1]})" if why else ""
                raise HostError(
                    f"{self.host.name} was not ready within {limit_s / 60:.0f} minutes{last}.{self._tail()}"
                )
            time.sleep(_POLL_S)

    # -- using --------------------------------------------------------------------------------------------------------

    def ssh_argv(self, *words: str) -> list[str]:
        """The ssh command that reaches the host."""
        return ["ssh", "-F", str(self.ssh_config), self.host.name, *words]

    def _ssh(self, command: str, timeout: float) -> subprocess.CompletedProcess[str]:
        argv = self.ssh_argv(command)
        try:
            return subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(argv, 255, "", "ssh did not end")

    def ssh(self, command: str, timeout: float = RESTORE_LIMIT_S) -> str:
        """Run a shell command in dom0; its output. Raises HostError."""
        done = self._ssh(command, timeout)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise HostError(
                f"In {self.host.name} `{command}` failed: {said[-1] if said else done.returncode}"
            )
        return done.stdout

    def host_variables(self) -> dict[str, t.Any]:
        """The inventory variables of the running host. Raises HostError when it does not run."""
        state = self.state()
        if state is None:
            raise HostError(f"{self.host.name} is not running: start it with `up {self.host.name}`.")
        private, _public = image.project_key(self.cache)
        return reach.host_variables(int(state["port"]), private)

    # -- stopping -----------------------------------------------------------------------------------------------------

    def down(self) -> bool:
        """Stop the host and remove its run directory; False when there was nothing to stop."""
        with self.cache.lock(f"host-{self.host.name}", self.say):
            found = self._stop()
            remove(self.directory)
        return found

    def _stop(self) -> bool:
        """Stop every QEMU of this host: it is asked, told, then killed."""
        found = False
        for pid in self._processes():
            found = True
            with (
                contextlib.suppress(OSError, ValueError, HostError),
                Monitor(self.directory / machine.QMP_SOCKET) as monitor,
            ):
                monitor.execute("quit")
            for number in (signal.SIGTERM, signal.SIGKILL):
                if self._gone(pid):
                    break
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            if not self._gone(pid):
                raise HostError(f"QEMU (process {pid}) of {self.host.name} does not end, not even killed.")
        return found

    def _gone(self, pid: int) -> bool:
        limit = time.monotonic() + STOP_LIMIT_S
        while time.monotonic() < limit:
            with contextlib.suppress(AttributeError):
                self._process.poll()
            if not self._is_ours(pid):
                return True
            time.sleep(0.05)
        return False


def tail(path: Path, lines: int) -> str:
    """The last lines of a log."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        raise HostError(f"There is no log {path}.") from None


def copy_tree_size(path: Path) -> int:
    """Bytes on disk below a directory."""
    return (
        sum(entry.lstat().st_blocks * 512 for entry in path.rglob("*") if not entry.is_symlink())
        if path.exists()
        else 0
    )
