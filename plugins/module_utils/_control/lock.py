# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One at a time on a host: what changes guests holds this lock, so that two plays cannot interleave. Private to this collection."""

import contextlib
import errno
import fcntl
import os
import re
import time
import typing as t

from .._errors import Failure

PATH = "/run/lock/dom0-xen.lock"
#: Seconds. Whoever holds the lock may be starting many guests.
PATIENCE = 600.0
_POLL = 0.25
# A line of three: process, since when, what for.
_LINE = re.compile(r"([0-9]{1,10}) (\S{1,40}) ([^\n]{1,100})\n")


@contextlib.contextmanager
def host_lock(
    what: str,
    path: str = PATH,
    patience: float = PATIENCE,
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> t.Iterator[int]:
    """Hold the host's lock while the block runs; wait for it up to `patience` seconds, then raise Failure naming the holder.

    `what` says to others who has it. An advisory flock(2) on a file that stays. The kernel drops it when its process ends, however it ends.
    The descriptor, which the block gets, is not inherited: what `xl create` leaves in the background must not keep it. See :func:`as_stdin`.
    """
    try:
        # Nobody may lead root astray with a link in a directory that all can write to.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise Failure(
            "the lock file {0} cannot be opened ({1}): run this as root".format(path, error.strerror)
        ) from error
    try:
        deadline = clock() + patience
        while not _taken(descriptor):
            if clock() >= deadline:
                raise Failure(
                    "another run is changing this host: {0}. Nothing was done here, after {1:g} seconds of waiting for the lock {2}: wait for "
                    "the end of that one, or end it, and run this again; or wait longer (lock_timeout)".format(
                        _holder(os.pread(descriptor, 200, 0).decode("utf-8", "replace")), patience, path
                    ),
                    changed=False,
                )
            sleep(_POLL)
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, "{0} {1} {2}\n".format(os.getpid(), since, what).encode("utf-8"), 0)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def as_stdin(descriptor: int) -> t.Iterator[None]:
    """Within it, standard input is the lock, and so is that of every command started.

    A command that outlives this process, because that was killed, then keeps the lock until it ends: the next run finds no half-done xl
    beside it. What xl leaves in the background takes /dev/null for its standard input, and with it lets go of the lock.
    """
    kept = os.dup(0)
    os.dup2(descriptor, 0)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def _holder(line: str) -> str:
    """Who has the lock, by what is in the file."""
    match = _LINE.match(line)
    if match is None:
        return "it does not say which"
    process, since, what = match.groups()
    # An xl that it had started may have outlived it, see as_stdin.
    there = "" if os.path.exists("/proc/" + process) else ", which was killed, but not what it had started,"
    return "{0} (process {1}{2} since {3})".format(what, process, there, since)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True
