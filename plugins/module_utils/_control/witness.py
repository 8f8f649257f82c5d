# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a guest has lived on since its memory was saved, by the traces that this leaves. Private to this collection.

Memory that is older than the guest's disks must not run: a file system's cache would be written over what is newer. Xen keeps no history of
domains. What there is: which boot of the host it is; the disks, which no life of a guest leaves as they were (a file's times, how often
a block device was written to); and the log that xl begins anew for each domain that it creates (libxl_create_logfile).
"""

import os
import stat
import typing as t

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_LOG = "/var/log/xen/xl-{0}.log"
_DEVICE = "/sys/dev/block/{0}:{1}/{2}"

Witness = t.Dict[str, t.Any]


def boot_id() -> str:
    """Which boot of the host this is; "" where the kernel does not say."""
    return _text(_BOOT_ID)


def take(name: str, disks: t.Sequence[str]) -> Witness:
    """How the disks of a guest, and its log, are now: {"disks": {path: numbers, or None where that cannot be known}, "log": ...}.

    For JSON: what is read back from it compares equal when nothing has changed.
    """
    return {"disks": {path: state_of(path) for path in disks}, "log": None if "/" in name else _log(name)}


def is_same(before: t.Optional[Witness], now: Witness) -> bool:
    """Whether nothing has changed, for certain."""
    return before is not None and before == now and None not in before.get("disks", {}).values()


def state_of(path: str) -> t.Optional[t.List[t.Any]]:
    """What tells a file or block device that was written to from one that was not; None where it is neither, or not here (rbd, iscsi)."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    if stat.S_ISREG(found.st_mode):
        return ["file", found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
    if not stat.S_ISBLK(found.st_mode):
        return None
    numbers = (os.major(found.st_rdev), os.minor(found.st_rdev))
    # Documentation/block/stat.rst: writes and sectors written, then (from Linux 4.18 on) discards and sectors discarded.
    counts = _text(_DEVICE.format(numbers[0], numbers[1], "stat")).split()
    if len(counts) < 7:
        return None
    written = [counts[4], counts[6]] + counts[11:14:2]
    return ["device", found.st_rdev, _text(_DEVICE.format(numbers[0], numbers[1], "diskseq"))] + written


def _log(name: str) -> t.Optional[t.List[int]]:
    try:
        found = os.stat(_LOG.format(name))
    except (OSError, ValueError):
        return None
    return [found.st_dev, found.st_ino]


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""
