# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on disk of a move while it lasts: what was begun, and the guest that was saved. Private to this collection."""

import json
import os
import time
import typing as t

from .._errors import Failure
from .._toolstack import xlcfg
from . import files
from .move_plan import Move

#: Where moves that have begun are written down; /run would not survive what the saved files do.
FOLDER = "/var/lib/dom0-xen"
SAVE_FOLDER = FOLDER + "/saves"
#: What Xen's scripts restore at boot, whatever is in it.
XENDOMAINS_FOLDER = "/var/lib/xen/save"
_XENDOMAINS_SETTINGS = ("/etc/default/xendomains", "/etc/sysconfig/xendomains")

LIVE, SAVING, SAVED, ALONE, RESTORED, BACK, LEFT = STAGES = (
    "live",
    "saving",
    "saved",
    "alone",
    "restored",
    "back",
    "left",
)


def disk_room(folder: str) -> int:
    """Bytes that root may still write in a folder."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


class Folders(t.NamedTuple):
    """The ways to disk. `room(folder)` is in bytes."""

    journals: str = FOLDER
    saves: str = SAVE_FOLDER
    room: t.Callable[[str], int] = disk_room


class Journal(t.NamedTuple):
    """A move that was begun, as it is on disk.

    `stage` is "live", "saving", "saved", "alone" (the file is all there is), "restored" (the successor goes on, or is about to), "back" (the domain
    that was to be moved goes on, or is about to), or "left" (the file waits for the user to say what becomes of it). `boot` is which boot of
    the host that was ("" in those of former versions), `begun` when, in UTC, `nodes` where the guest was to go, `disks` what it writes to.
    `witness` is how these were at that stage (:mod:`.witness`), None before the guest was saved, for "live" without disks. `reason` is why it
    was left.
    """

    name: str
    domid: int
    uuid: str
    stage: str
    config: str
    file: str
    boot: str = ""
    begun: str = ""
    nodes: t.Sequence[int] = ()
    disks: t.Sequence[str] = ()
    witness: t.Optional[t.Dict[str, t.Any]] = None
    reason: str = ""


_TYPES = {
    "name": str,
    "domid": int,
    "uuid": str,
    "stage": str,
    "config": str,
    "file": str,
    "boot": str,
    "begun": str,
    "nodes": list,
    "disks": list,
    "witness": (dict, type(None)),
    "reason": str,
}  # type: t.Dict[str, t.Any]


def journals(folder: str = FOLDER) -> t.List[Journal]:
    """The moves that were begun and not ended. Raises Failure for a folder, or a file, that others than root can write to."""
    return look(folder)[0]


def look(folder: str = FOLDER) -> t.Tuple[t.List[Journal], t.List[str]]:
    """The same, and the paths of what should say that a move was begun and cannot be read."""
    good = []  # type: t.List[Journal]
    bad = []  # type: t.List[str]
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".move"))
    except OSError:
        return good, bad
    if names:
        files.private_folder(folder)
    for name in names:
        path = os.path.join(folder, name)
        try:
            fields = json.loads((files.read_own(path) or b"").decode("utf-8"))
            # A bool is no number here.
            if any(
                isinstance(fields[key], bool) or not isinstance(fields[key], _TYPES[key]) for key in fields
            ):
                raise ValueError
            journal = Journal(**fields)
            if journal.stage not in STAGES or not os.path.isabs(journal.file):
                raise ValueError
            good.append(journal)
        except (ValueError, KeyError, TypeError):
            bad.append(path)
    return good, bad


def begin(
    move: Move,
    stage: str,
    folders: Folders,
    boot: str = "",
    witness: t.Optional[t.Dict[str, t.Any]] = None,
) -> Journal:
    """Write down that a move begins, and the configuration of its successor. Raises Failure, with nothing left behind."""
    folder = folders.journals
    files.private_folder(folder)
    there = path_of(move.uuid, folders)
    if os.path.lexists(there):
        raise Failure(
            "guest {0!r} was not moved: an earlier move of it was interrupted, and {1} says where its saved file is; say what becomes of that "
            "first (saved: restore or discard)".format(move.name, there),
            changed=False,
        )
    config = os.path.join(folder, move.uuid + ".cfg")
    file = os.path.join(folders.saves, move.uuid + ".save")
    begun = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    journal = Journal(
        move.name,
        move.domid,
        move.uuid,
        stage,
        config,
        file,
        boot,
        begun,
        list(move.nodes),
        list(move.disks),
        witness,
    )
    try:
        files.write_whole(config, xlcfg.encode(move.config))
        return write(journal, folders)
    except BaseException:
        forget(journal._replace(file=config), folders)
        raise


def write(journal: Journal, folders: Folders) -> Journal:
    """Put it on disk, in the place of what is there of it."""
    files.write_whole(path_of(journal.uuid, folders), json.dumps(dict(journal._asdict())).encode("utf-8"))
    return journal


def path_of(uuid: str, folders: Folders) -> str:
    """Where a move of the guest is written down."""
    return os.path.join(folders.journals, uuid + ".move")


def forget(journal: Journal, folders: Folders) -> None:
    """Remove all that is on disk of a move that has ended."""
    # The journal last: what it names is removed by the next run if this one is killed here.
    for path in (journal.file, journal.config, path_of(journal.uuid, folders)):
        files.remove(path)


def make_save_folder(folders: Folders) -> None:
    """See to it that guests can be saved in the folder for that. Raises Failure for one that others can write to, or empty."""
    otherwise = "give another folder for saved guests (save_dir)"
    if os.path.realpath(folders.saves) in [os.path.realpath(one) for one in _emptied_by_others()]:
        raise Failure(
            "{0} is the folder that Xen's script xendomains restores guests from when the host boots, whoever saved them: {1}".format(
                folders.saves, otherwise
            ),
            changed=False,
        )
    files.private_folder(folders.saves, otherwise)


def _emptied_by_others() -> t.List[str]:
    found = [XENDOMAINS_FOLDER]
    for path in _XENDOMAINS_SETTINGS:
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                for line in stream:
                    key, _equals, value = line.strip().partition("=")
                    if key == "XENDOMAINS_SAVE" and value.strip("\"'"):
                        found.append(value.strip("\"'"))
        except OSError:
            continue
    return found


def is_saved(path: str) -> bool:
    """Whether a saved guest is in the file, to its end: xl's head in front, libxl's end record (type 0, length 0) behind."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(32)
            stream.seek(-8, os.SEEK_END)
            return head.startswith(b"Xen saved domain") and stream.read(8) == bytes(8)
    except OSError:
        return False
