# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One QEMU process in a directory of its own: started, waited for, spoken to, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import typing as t
from pathlib import Path

from . import machine, reach, tools
from .cache import write_atomically
from .errors import HostError
from .qmp import Monitor

MONITOR_LIMIT_S = 5 * 60
COMMAND_LIMIT_S = 15 * 60
STOP_LIMIT_S = 30
_POLL_S = 0.5

# Hypervisor and xenstore answer (names of domains are in xenstore), and systemd has nothing left to start.
_READY = (
    "xl list Domain-0 >/dev/null"
    " && case $(systemctl is-system-running) in running|degraded) ;; *) exit 1 ;; esac"
)


class Emulator:
    """The QEMU that runs, or not, in ``directory``. ``key`` opens the host."""

    def __init__(self, name: str, directory: Path, key: Path) -> None:
        self.name = name
        self.directory = directory
        self.key = key
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def ssh_config(self) -> Path:
        """The ssh_config file that reaches the host."""
        return self.directory / "ssh_config"

    @property
    def console_log(self) -> Path:
        """What the host wrote to its serial console."""
        return self.directory / machine.CONSOLE_LOG

    def is_ours(self, pid: int) -> bool:
        """Whether a process is this host's QEMU: a number may have been given to another since."""
        if self._process is not None and self._process.pid == pid:
            # One that has only just been started may not show its command line yet.
            return self._process.poll() is None
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            working = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            return False
        known = any(word.startswith(machine.NAME_PREFIX.encode()) for word in command)
        return known and working == os.path.realpath(self.directory)

    def processes(self) -> list[int]:
        """Every QEMU that runs here, also one that nobody has a note of."""
        return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and self.is_ours(int(entry))]

    def start(self, argv: t.Sequence[str]) -> int:
        """Start QEMU; its process id."""
        program = tools.find(argv[0]) or argv[0]
        with (self.directory / "qemu.log").open("wb") as log:
            # A session of its own: it outlives the command that started it, and no terminal's ^C reaches it.
            self._process = subprocess.Popen(
                [program, *argv[1:]],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self._process.pid

    def _check(self) -> None:
        """Raise HostError with what it last said when QEMU has ended."""
        status = None if self._process is None else self._process.poll()
        if status is not None:
            said = (self.directory / "qemu.log").read_text(errors="replace").strip()
            raise HostError(
                f"QEMU ended with status {status}: {said or 'it said nothing'}{self._last_words()}"
            )

    def _last_words(self) -> str:
        try:
            lines = tail(self.console_log, 20)
        except HostError:
            return ""
        return "\nThe console's last lines:\n" + lines if lines else ""

    def monitor(self) -> Monitor:
        """A connection to QEMU's monitor, as soon as there is one."""
        limit = time.monotonic() + MONITOR_LIMIT_S
        while True:
            self._check()
            try:
                return Monitor(self.directory / machine.QMP_SOCKET)
            except OSError as error:
                if time.monotonic() > limit:
                    raise HostError(f"QEMU's monitor does not answer: {error}.") from None
            time.sleep(_POLL_S)

    def open_port(self) -> int:
        """Forward a free port of this machine to the host's SSH and write :attr:`ssh_config`; the port."""
        refusal = ""
        with self.monitor() as monitor:
            for _attempt in range(20):
                with socket.socket() as probe:
                    probe.bind((reach.ADDRESS, 0))
                    port = int(probe.getsockname()[1])
                # Another process may take it in between: then QEMU says so and we try the next.
                refusal = monitor.human(f"hostfwd_add net tcp:{reach.ADDRESS}:{port}-:22")
                if not refusal:
                    config = reach.ssh_config(self.name, port, self.key, self.directory / "ssh.sock")
                    write_atomically(self.ssh_config, config)
                    return port
        raise HostError(f"No port of {reach.ADDRESS} could be forwarded: {refusal}")

    def wait(self, limit_s: float) -> None:
        """Wait until the host answers over SSH and Xen's daemons answer in it."""
        limit = time.monotonic() + limit_s
        while True:
            self._check()
            done = self._ssh(_READY, max(1.0, limit - time.monotonic()))
            if done.returncode == 0:
                return
            if time.monotonic() > limit:
                why = _lines(done.stderr)
                last = f" ({why[-1]})" if why else ""
                text = f"{self.name} was not ready within {limit_s / 60:.0f} minutes{last}."
                raise HostError(text + self._last_words())
            time.sleep(_POLL_S)

    def ssh_argv(self, *words: str) -> list[str]:
        """The ssh command that reaches the host."""
        return ["ssh", "-F", str(self.ssh_config), self.name, *words]

    def _ssh(self, command: str, timeout_s: float, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        argv = self.ssh_argv(command)
        try:
            return subprocess.run(argv, input=given, capture_output=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(argv, 255, b"", f"no answer within {timeout_s:.0f} s".encode())

    def ssh_bytes(self, command: str, given: bytes = b"") -> bytes:
        """Run a shell command in dom0 with `given` as its input; its output. Raises HostError."""
        done = self._ssh(command, COMMAND_LIMIT_S, given)
        if done.returncode != 0:
            said = _lines(done.stderr or done.stdout)
            raise HostError(f"In {self.name} `{command}` failed: {said[-1] if said else done.returncode}")
        return done.stdout

    def ssh(self, command: str) -> str:
        """Run a shell command in dom0; its output. Raises HostError."""
        return self.ssh_bytes(command).decode(errors="replace")

    def stop(self) -> bool:
        """End every QEMU here: it is asked, told, then killed. False when there was none. Raises HostError."""
        found = False
        for pid in self.processes():
            found = True
            with contextlib.suppress(OSError, ValueError, HostError):
                with Monitor(self.directory / machine.QMP_SOCKET, patience_s=STOP_LIMIT_S) as monitor:
                    monitor.execute("quit")
                self._gone(pid)
            for number in (signal.SIGTERM, signal.SIGKILL):
                if self.is_ours(pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                    self._gone(pid)
            if self.is_ours(pid):
                raise HostError(f"QEMU (process {pid}) of {self.name} does not end, not even killed.")
        return found

    def _gone(self, pid: int) -> None:
        """Wait for the end of a process, up to a limit."""
        limit = time.monotonic() + STOP_LIMIT_S
        while self.is_ours(pid) and time.monotonic() < limit:
            time.sleep(_POLL_S / 10)


def _lines(output: bytes) -> list[str]:
    return output.decode(errors="replace").strip().splitlines()


def tail(path: Path, lines: int) -> str:
    """The last lines of a log that are not empty. Raises HostError when there is no such log."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        raise HostError(f"There is no log {path}.") from None
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-lines:])
