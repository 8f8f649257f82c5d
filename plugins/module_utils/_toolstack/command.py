# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a program of the toolstack, and not for ever. Private to this collection.

Without xenstored most of xl waits for an answer until it is killed.
"""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
import typing as t

from .._errors import Failure

#: Seconds. What only asks, or takes a moment, has long ended by then.
LIMIT = 60.0
#: Seconds that a killed program gets to be gone; one that waits inside the kernel may stay.
_END_LIMIT = 5.0
#: Seconds. What a program left in the background may keep its output open.
_POLL = 0.2
_PIECE = 1 << 16  # bytes, what a pipe holds
_FOLDERS = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"


def run(argv: t.Sequence[str], limit: float = LIMIT) -> t.Tuple[int, str, str]:
    """Run a program, speaking plain English: (status, output, complaints), as text.

    One that has not ended after `limit` seconds is killed, with what it started in its process group; its status is negative then,
    and the first line of the complaints says so. Standard input is this process's own. Raises Failure when it is not installed.
    """
    path = shutil.which(argv[0], path=":".join(filter(None, [os.environ.get("PATH"), _FOLDERS])))
    if path is None:
        raise Failure(
            "%s is not installed on this host (Debian: xen-utils-VERSION; XCP-ng and XenServer: xen-dom0-tools)."
            % argv[0]
        )
    # AnsibleModule.run_command has no limit.
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function
        # Python 3.6 would write them in the letters of the locale.
        [word.encode("utf-8", "surrogateescape") for word in [path, *argv[1:]]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ, LC_ALL="C", LANGUAGE="C"),
        start_new_session=True,
    )
    pieces = {process.stdout: [], process.stderr: []}  # type: t.Dict[t.Any, t.List[bytes]]
    late = False
    try:
        late = not _ended(process, pieces, time.monotonic() + limit)
    finally:
        # Also when this process is told to end: nobody would wait for the program.
        if process.poll() is None:
            _kill(process)
        for pipe, heap in pieces.items():
            os.set_blocking(pipe.fileno(), False)
            with contextlib.suppress(BlockingIOError):
                heap.append(os.read(pipe.fileno(), _PIECE))
            pipe.close()
    out, err = (b"".join(heap).decode("utf-8", "backslashreplace") for heap in pieces.values())
    if late:
        err = (
            "it failed to end within %g seconds and was killed: see that xenstored is running and answers (%s)\n%s"
            % (limit, how_to_start(), err)
        )
    return process.returncode if process.returncode is not None else -signal.SIGKILL, out, err


def _ended(process: t.Any, pieces: t.Dict[t.Any, t.List[bytes]], deadline: float) -> bool:
    """Read until the program has ended; whether it has before the deadline."""
    with selectors.DefaultSelector() as waiting:
        for pipe in pieces:
            waiting.register(pipe, selectors.EVENT_READ)
        while waiting.get_map() or process.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return process.poll() is not None
            if not waiting.get_map():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(min(left, _POLL))
                continue
            events = waiting.select(min(left, _POLL))
            if not events and process.poll() is not None:
                break
            for key, _mask in events:
                piece = os.read(key.fd, _PIECE)
                pieces[key.fileobj].append(piece)
                if not piece:
                    waiting.unregister(key.fileobj)
    return True


def _kill(process: t.Any) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_LIMIT)


def how_to_start() -> str:
    """The command that starts xenstored on this host."""
    # Debian's script of Xen's daemons, which counts as started once it has run, whatever became of them; upstream, and XCP-ng, have a unit
    # of xenstored's own, which refuses to be restarted.
    return "systemctl restart xen" if os.path.exists("/etc/init.d/xen") else "systemctl start xenstored"
