# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of QEMU's monitor protocol (QMP), enough for the test host."""

from __future__ import annotations

import json
import os
import socket
import typing as t
from pathlib import Path

from .errors import HostError

# Saving a snapshot blocks the monitor; a slow disk beside a busy emulator takes its time.
_PATIENCE_S = 600


class Monitor:
    """A connection to a running QEMU. Raises HostError when QEMU refuses, OSError when it cannot be reached."""

    def __init__(self, path: Path, patience_s: float = _PATIENCE_S) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(patience_s)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # A socket's path may have 107 bytes only; a user's cache directory may have more.
            self._socket.connect(f"/proc/self/fd/{directory}/{path.name}")
            self._stream = self._socket.makefile("r", encoding="utf-8")
            self._read()
            self.execute("qmp_capabilities")
        except BaseException:
            self._socket.close()
            raise
        finally:
            os.close(directory)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stream.close()
        self._socket.close()

    def _read(self) -> dict[str, t.Any]:
        line = self._stream.readline()
        if not line:
            raise ConnectionResetError("QEMU closed its monitor")
        return dict(json.loads(line))

    def execute(self, command: str, **arguments: t.Any) -> t.Any:
        """Run a QMP command and return its result."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = self._read()
            if "error" in answer:
                raise HostError(f"QEMU refused {command}: {answer['error'].get('desc', answer['error'])}.")
            if "return" in answer:
                return answer["return"]

    def human(self, line: str) -> str:
        """Run a command of the human monitor; what it prints (nothing, for most that succeed)."""
        return str(self.execute("human-monitor-command", **{"command-line": line})).strip()
