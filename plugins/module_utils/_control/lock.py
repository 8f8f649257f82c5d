# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One at a time on a host: what changes guests holds this lock, so that two plays cannot interleave. Private to this collection."""

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
import typing as t

from .._errors import Failure
from .files import private_folder

#: In a folder that root alone can enter: in /run/lock, which all may write to, anybody could take it, and keep it for ever.
PATH = "/run/dom0-xen/lock"
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

    Raises Failure as well when anything but a file of root's is in its place.
    """
    descriptor = _opened(path)
    try:
        deadline = clock() + patience
        while not (_taken(descriptor) and _is_at(path, descriptor)):
            if clock() >= deadline:
                raise Failure(
                    "another run is changing this host: {0}. Nothing was done here, after {1:g} seconds of waiting for the lock {2}: wait for "
                    "the end of that one, or end it, and run this again; or wait longer (lock_timeout)".format(
                        _holder(os.pread(descriptor, 200, 0).decode("utf-8", "replace")), patience, path
                    ),
                    changed=False,
                )
            sleep(_POLL)
            if not _is_at(path, descriptor):
                # It was removed, or replaced: whoever comes next locks another file.
                before, descriptor = descriptor, _opened(path)
                os.close(before)
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


_KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _opened(path: str) -> int:
    """A descriptor of the lock's file, which is made if need be. Raises Failure that names what is in its place."""
    private_folder(os.path.dirname(path))
    try:
        descriptor = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600
        )
    except OSError as error:
        status = os.lstat(path) if os.path.lexists(path) else None
        raise _refusal(path, status, "it cannot be opened ({0})".format(error.strerror)) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink > 1:
        os.close(descriptor)
        raise _refusal(
            path,
            status,
            "it belongs to user {0} and has {1} names".format(status.st_uid, status.st_nlink),
        )
    # Who can open it, even to read, could keep it.
    os.fchmod(descriptor, 0o600)
    return descriptor


def _refusal(path: str, status: t.Optional[os.stat_result], otherwise: str) -> Failure:
    kinds = [] if status is None else [kind for test, kind in _KINDS if test(status.st_mode)]
    return Failure(
        "{0} cannot be locked: {1}. Nothing was done: run this as root, and see who put there what is there, and remove it".format(
            path, "it is {0}, not a file".format(kinds[0]) if kinds else otherwise
        ),
        changed=False,
    )


def _is_at(path: str, descriptor: int) -> bool:
    """Whether the file is still the one that others find there."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True
