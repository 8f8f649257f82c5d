# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the test host keeps things: one directory, outside the repository.

key/            the project's SSH key, generated here
images/KEY/     a built Debian with Xen: root disk, hypervisor, dom0's kernel and initrd
machines/KEY/   a booted host's snapshot
run/NAME/       a running host: its own disk, sockets, console log, state, ssh_config
code/KEY.tar    what Python has compiled in hosts with an image, for later starts
locks/
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import typing as t
from pathlib import Path

from .errors import HostError

_TAG = "CACHEDIR.TAG"
_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55\n# Disks and snapshots of dom0.xen's test hosts.\n"
_PARTS = ("key", "images", "machines", "run", "code", "locks")


def default_root(environment: t.Mapping[str, str]) -> Path:
    """``$XENHOST_CACHE``, else ``$XDG_CACHE_HOME/dom0-xen/xenhost``, else ``~/.cache/dom0-xen/xenhost``."""
    if environment.get("XENHOST_CACHE"):
        return Path(environment["XENHOST_CACHE"]).absolute()
    base = environment.get("XDG_CACHE_HOME") or os.path.join(
        environment.get("HOME") or os.path.expanduser("~"), ".cache"
    )
    return Path(base).absolute() / "dom0-xen" / "xenhost"


def content_key(value: t.Any) -> str:
    """A short digest of a JSON-able value: equal values, equal keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_atomically(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old or the new content, never half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
    os.replace(temporary, path)


class Cache:
    """The directory and its parts; made on first use."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def part(self, name: str) -> Path:
        """One of the directories above, created if need be."""
        path = self.root / name
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o755)
            if not (self.root / _TAG).exists():
                write_atomically(self.root / _TAG, _SIGNATURE)
        except OSError as error:
            raise HostError(
                f"Cannot use {path}: {error.strerror}; set XENHOST_CACHE to a directory of yours."
            ) from None
        return path

    @contextlib.contextmanager
    def lock(self, name: str, say: t.Callable[[str], None]) -> t.Iterator[None]:
        """Hold a lock that other runs respect; it falls with the process, so it is never stale."""
        with (self.part("locks") / name).open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"waiting for another run that works on {name}")
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def building(self, part: str, key: str) -> t.Iterator[Path]:
        """A fresh directory that becomes ``part/key`` when the block succeeds and vanishes when it fails."""
        final = self.part(part) / key
        temporary = final.with_name(f"{key}.new")
        remove(temporary)
        temporary.mkdir()
        try:
            yield temporary
        except BaseException:
            unmount_below(temporary)
            # What a killed child still writes there is removed by the next build.
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        remove(final)
        os.rename(temporary, final)

    def clean(self) -> bool:
        """Remove everything of ours (nothing else, wherever XENHOST_CACHE may point); False when there was nothing."""
        if not (self.root / _TAG).exists():
            return False
        for name in _PARTS:
            remove(self.root / name)
        (self.root / _TAG).unlink()
        with contextlib.suppress(OSError):
            self.root.rmdir()
        return True


def mounts_below(path: Path, mountinfo: str) -> list[str]:
    """Mount points below a directory, the deepest first, from the text of /proc/self/mountinfo (proc_pid_mountinfo(5))."""
    found = []
    for line in mountinfo.splitlines():
        # Blanks, tabs, newlines and backslashes are written in octal.
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), line.split()[4])
        if Path(point).is_relative_to(path):
            found.append(point)
    return sorted(found, key=len, reverse=True)


def unmount_below(path: Path) -> None:
    """Take away what a killed mmdebstrap left mounted in a directory, so that removing it cannot reach this machine's own files."""
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for point in mounts_below(Path(os.path.realpath(path)), mountinfo):
        subprocess.run(["umount", "--lazy", point], check=False)


def remove(path: Path) -> None:
    """Remove a directory tree if it is there."""
    if path.is_dir() and not path.is_symlink():
        unmount_below(path)
    if path.is_symlink() or path.is_file():
        path.unlink()
    # ssh takes its socket away by itself, perhaps just when we are about to
    while path.exists():
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
