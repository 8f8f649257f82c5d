# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files on the host: written whole or not at all, and trusted only where root alone can write. Private to this collection.

The one place that writes files. A file is made beside the one that it replaces and put on the disk, then takes its name, and then the
folder is put on the disk: after a power failure there is the old content or the new one, never part of one or none.

"Root" is whom this runs as.
"""

import contextlib
import errno
import os
import stat
import typing as t

from .._errors import Failure

#: Between the name of a file and what tells temporaries apart. They begin with a dot: in /etc/xen/auto every other file is a guest.
_MARK = ".dom0-xen-"
# What an administrator has set for a file and its successor keeps. Others (security.ima) are about what is in it.
_KEPT_ATTRIBUTES = ("security.selinux", "system.posix_acl_access", "user.")
_WAYS_OUT = {
    errno.ENOSPC: "there is no room left (ENOSPC) on the file system of {0}: make room there",
    errno.EDQUOT: "the quota on the file system of {0} is used up (EDQUOT): raise it, or make room there",
    errno.EROFS: "the file system of {0} is read-only (EROFS), which it becomes when its disk fails: see the kernel's log, then mount "
    "it writable again",
    errno.EIO: "the disk of {0} fails (EIO): see the kernel's log",
    errno.EACCES: "access to {0} is denied (EACCES): run this as root",
    errno.EPERM: "{0} cannot be changed (EPERM): run this as root, and see whether it is immutable (lsattr)",
}


def why(error: OSError, place: str) -> str:
    """What went wrong in the folder or file system of `place`, and what to do."""
    if error.errno in _WAYS_OUT:
        return _WAYS_OUT[error.errno].format(place)
    return "{0} ({1})".format(error.strerror or error, errno.errorcode.get(error.errno or 0, "no number"))


def write_whole(path: str, data: bytes, mode: int = 0o600, keep: bool = False, alone: bool = True) -> None:
    """Replace the file at `path`, or make it, at once; what it is called is `data` wholly, on the disk, when this returns.

    A new file is root's and has `mode` from its first byte on. With `keep`, one that is replaced hands on its owner, mode, security context
    and access list. A link is replaced itself, not what it points to. `alone`: nobody else writes this file now (the host's lock is held), so
    what a killed run has left beside it is removed.

    Raises Failure that says what to do. The file is as it was then, unless the sentence says otherwise, and nothing is left beside it.
    """
    _put(path, lambda temporary: _write_new(temporary, data, mode, path if keep else None), alone)


def link_whole(path: str, target: str) -> None:
    """Have a link to `target` at `path`, in the place of what is there, as :func:`write_whole` has a file."""
    _put(path, lambda temporary: os.symlink(target, temporary), True)


def _put(path: str, make: t.Callable[[str], None], alone: bool) -> None:
    folder, name = os.path.split(path)
    prefix = "." + name + _MARK
    temporary = os.path.join(folder, prefix + "%016x" % int.from_bytes(os.urandom(8), "big"))
    try:
        if alone:
            for left in os.listdir(folder or "."):
                if left.startswith(prefix):
                    os.unlink(os.path.join(folder, left))
        try:
            make(temporary)
            os.rename(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise Failure("{0} could not be written: {1}".format(path, why(error, folder))) from error
    try:
        sync_folder(folder)
    except OSError as error:
        raise Failure(
            "{0} was written, but may not be on the disk yet: {1}".format(path, why(error, folder))
        ) from error


def _write_new(path: str, data: bytes, mode: int, like: t.Optional[str]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        before = None if like is None else _status(like)
        if like is not None and before is not None and stat.S_ISREG(before.st_mode):
            mode = stat.S_IMODE(before.st_mode)
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, mode)
            _keep_attributes(like, descriptor)
        else:
            os.fchmod(descriptor, mode)
        stream.write(data)
        stream.flush()
        os.fsync(descriptor)


def _keep_attributes(path: str, descriptor: int) -> None:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        names = []
    for name in names:
        if name.startswith(_KEPT_ATTRIBUTES):
            value = os.getxattr(path, name, follow_symlinks=False)
            try:
                same = os.getxattr(descriptor, name) == value
            except OSError:
                same = False
            if not same:
                os.setxattr(descriptor, name, value)


def _status(path: str) -> t.Optional[os.stat_result]:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def remove(path: str) -> None:
    """Remove a file for good, if it is there. Raises Failure."""
    folder = os.path.dirname(path)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
            sync_folder(folder)
    except OSError as error:
        raise Failure("{0} could not be removed: {1}".format(path, why(error, folder))) from error


def sync(path: str) -> None:
    """Have a file that another program has written on the disk, and its name too. Raises Failure."""
    folder = os.path.dirname(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(folder)
    except OSError as error:
        raise Failure("{0} is not sure to be on the disk: {1}".format(path, why(error, folder))) from error


def sync_folder(folder: str) -> None:
    """Have the names in a folder on the disk. Raises OSError."""
    descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems (CIFS, FUSE) know no such thing for folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def make_new(path: str) -> None:
    """Make an empty file of root's, 0600, for another program to write into. Raises Failure; also when there is anything at `path`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except FileExistsError as error:
        raise Failure(
            "{0} is there already, and not of this run: see what it is, and move it away or remove it".format(
                path
            )
        ) from error
    except OSError as error:
        raise Failure("{0} could not be made: {1}".format(path, why(error, os.path.dirname(path)))) from error


def read_own(path: str, most: int = 1 << 24) -> t.Optional[bytes]:
    """What is in a file that only root can have written, up to `most` bytes; None when there is no file.

    Raises Failure for a link, for what is no file, and for a file that others own, can write, or have made larger than that.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _untrusted(path, "it is a link") from error
        raise Failure("{0} cannot be read: {1}".format(path, why(error, path))) from error
    try:
        status = os.fstat(descriptor)
        fault = "it is no file" if not stat.S_ISREG(status.st_mode) else _fault(status)
        if fault is None and status.st_size > most:
            fault = "it has {0} bytes, more than {1}".format(status.st_size, most)
        if fault is not None:
            raise _untrusted(path, fault)
        with os.fdopen(os.dup(descriptor), "rb") as stream:
            return stream.read(most)
    except OSError as error:
        raise Failure("{0} cannot be read: {1}".format(path, why(error, path))) from error
    finally:
        os.close(descriptor)


def private_folder(path: str, otherwise: str = "") -> None:
    """Make a folder, with those above it that are missing, for root alone (0700); or see that one that is there can be trusted.

    It is root's, no link, and neither it nor one above it lets others write (but for sticky ones above it, as /tmp). `otherwise` is what
    the user may do instead, "give another folder (save_dir)". Raises Failure, with nothing changed.
    """
    more = " or " + otherwise if otherwise else ""
    path = os.path.normpath(path)
    missing = []
    above = path
    while _status(above) is None and os.path.dirname(above) != above:
        missing.append(above)
        above = os.path.dirname(above)
    try:
        for one in reversed(missing):
            check_place(os.path.dirname(one), more)
            os.mkdir(one, 0o700)
            sync_folder(os.path.dirname(one))
        check_place(os.path.dirname(path), more)
        status = os.lstat(path)
    except OSError as error:
        raise Failure(
            "{0} cannot be made: {1}{2}".format(path, why(error, os.path.dirname(path)), more), changed=False
        ) from error
    if stat.S_ISLNK(status.st_mode):
        fault = "it is a link"  # type: t.Optional[str]
    else:
        fault = "it is no folder" if not stat.S_ISDIR(status.st_mode) else _fault(status)
    if fault is not None:
        raise _untrusted(path, fault, more)


def check_place(path: str, more: str = "") -> None:
    """Raise Failure when somebody else could put another folder in the place of this one, or of one above it, as named and as it really is."""
    seen = set()  # type: t.Set[str]
    for one in (path, os.path.realpath(path)):
        while one not in seen:
            seen.add(one)
            status = os.lstat(one)
            sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
            fault = _fault(status, not (sticky or stat.S_ISLNK(status.st_mode)))
            if fault is not None:
                raise _untrusted(one, fault, more)
            one = os.path.dirname(one)


def _fault(status: os.stat_result, writable_matters: bool = True) -> t.Optional[str]:
    """Why a file or folder is not root's alone; None when it is."""
    if status.st_uid not in (0, os.geteuid()):
        return "it belongs to user {0}".format(status.st_uid)
    others = status.st_mode & stat.S_IWOTH or (
        status.st_mode & stat.S_IWGRP and status.st_gid not in (0, os.getegid())
    )
    return "others than root can write to it" if writable_matters and others else None


def _untrusted(path: str, fault: str, more: str = "") -> Failure:
    return Failure(
        "{0} is not trusted: {1}; nothing was done with it. See who made it, and move it away, or have it root's and writable for root "
        "only{2}".format(path, fault, "," + more if more else ""),
        changed=False,
    )
