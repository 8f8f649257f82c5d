# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which disks guests can write to, so that no two write to the same. Private to this collection.

xl looks for others that have a disk in xenstore (the script block), which has forgotten them when xenstored was started anew. What libxl has written
down of a domain (its record, xen/tools/libs/light/libxl_internal.c) outlives that. Domains without a record are another toolstack's,
and are looked for in xenstore.
"""

import json
import os
import re
import stat
import typing as t

from .._toolstack import xlcfg

if t.TYPE_CHECKING:
    from .._toolstack.xenstore import Xenstore

#: What libxl writes when it has built a domain (libxl_internal.c, userdata_path), by number and UUID.
RECORD = "/var/lib/xen/userdata-d.{0}.{1}.libxl-json"
#: A file or a device, whatever it is called.
Identity = t.Tuple[t.Any, ...]

# xl-disk-configuration(5), with the prefixes of former times.
_PREFIX = re.compile(r"(?:phy|file|tap2?|aio|raw|qcow2?|vhd|qed|tapdisk):")
_FORMATS = ("raw", "qcow", "qcow2", "vhd", "qed", "empty", "")


class Disk(t.NamedTuple):
    """A disk of a guest: its path in dom0, or what else it is. `shared`: others may write to it, too."""

    target: str
    writable: bool
    shared: bool = False


def parse(text: str) -> t.Optional[Disk]:
    """A disk from an entry of ``disk`` in a configuration; None for a drive without a medium."""
    target, access, place = "", "w", 0
    text = text.strip()
    while text:
        rest = re.match(r"\s*target\s*=\s*(.*)\Z", text, re.DOTALL)
        if rest:
            # It may have commas.
            target = rest.group(1)
            break
        word, _comma, text = text.partition(",")
        word = word.strip()
        key, equals, value = word.partition("=")
        if equals and key.strip() == "access":
            access = value.strip()
        elif word == "readonly" or word == "cdrom" or (equals and value.strip() == "cdrom"):
            access = "r"
        elif not equals and place == 0:
            target, place = word, 1
        elif not equals and place == 1 and word in _FORMATS:
            place = 2
        elif not equals and place < 3 and not re.match(r"(?:r|ro|w|rw)!?\Z|!\Z", word):
            access = "r" if word.endswith(":cdrom") else access
            place = 3
        elif not equals and place > 0:
            access = word
    while _PREFIX.match(target):
        target = target[_PREFIX.match(target).end() :]  # type: ignore[union-attr]
    return (
        Disk(target, not access.startswith("r") or access.startswith("rw"), "!" in access) if target else None
    )


def of_config(config: xlcfg.Config) -> t.List[Disk]:
    """The disks of a configuration."""
    entries = config.get("disk")
    found = [parse(entry) for entry in entries if isinstance(entry, str)] if isinstance(entries, list) else []
    return [disk for disk in found if disk is not None]


def of_record(
    domid: int, uuid: str, record: str = RECORD
) -> t.Tuple[t.Optional[str], t.Optional[t.List[Disk]]]:
    """A domain's name, and its disks, as libxl has written them down; None where it has not. `uuid` as xl prints it."""
    try:
        with open(record.format(domid, uuid), encoding="utf-8", errors="backslashreplace") as stream:
            content = json.load(stream)
        disks = [
            Disk(str(disk.get("pdev_path") or ""), bool(disk.get("readwrite")))
            for disk in content.get("disks", ())
        ]
        return content.get("c_info", {}).get("name"), disks
    except (OSError, ValueError, AttributeError, TypeError):
        return None, None


def of_xenstore(store: "Xenstore", domid: int) -> t.List[Disk]:
    """A domain's disks by what serves them (xen/include/public/io/blkif.h)."""
    found = []
    for kind in store.directory("/local/domain/0/backend"):
        if kind not in ("vbd", "vbd3", "qdisk", "tap"):
            continue
        folder = "/local/domain/0/backend/{0}/{1}".format(kind, domid)
        for device in store.directory(folder):
            params, mode = (
                (store.read("{0}/{1}/{2}".format(folder, device, key)) or b"")
                .rstrip(b"\0")
                .decode("utf-8", "surrogateescape")
                for key in ("params", "mode")
            )
            found.append(
                Disk(re.sub(r"\A[a-z0-9]+:(?=/)", "", params), not mode.startswith("r"), "!" in mode)
            )
    return found


def identities(disks: t.Iterable[Disk]) -> t.Dict[Identity, str]:
    """What the disks that are written to, and not meant to be shared, are, with their paths; what is not in dom0 is left out."""
    found = {}
    for disk in disks:
        if disk.writable and not disk.shared:
            found.update(dict.fromkeys(identity(disk.target), disk.target))
    return found


def identity(path: str) -> t.List[Identity]:
    """What is at a path: a device by its number, and the file behind a loop device; a file by its file system and inode."""
    try:
        found = os.stat(path) if os.path.isabs(path) else None
    except (OSError, ValueError):
        return []
    if found is None:
        return []
    if stat.S_ISBLK(found.st_mode):
        numbers = (os.major(found.st_rdev), os.minor(found.st_rdev))
        try:
            with open(
                "/sys/dev/block/{0}:{1}/loop/backing_file".format(*numbers), encoding="utf-8"
            ) as stream:
                behind = identity(stream.read().rstrip("\n"))
        except (OSError, ValueError):
            behind = []
        return [("device", found.st_rdev)] + behind
    return [("file", found.st_dev, found.st_ino)] if stat.S_ISREG(found.st_mode) else []
