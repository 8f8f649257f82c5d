# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on disk of a move while it lasts: what was begun, and the guest that was saved. Private to this collection."""

import json
import os
import typing as t

from .._toolstack import xlcfg
from . import files
from .move_plan import Move

#: Where moves that have begun are written down; /run would not survive what the saved files do.
FOLDER = "/var/lib/dom0-xen"
SAVE_FOLDER = "/var/lib/xen/save"


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
    """A move that was begun, as it is on disk. `stage` is "live", "saving", "alone" (the file is all there is) or "restored"."""

    name: str
    domid: int
    uuid: str
    stage: str
    config: str
    file: str


def journals(folder: str = FOLDER) -> t.List[Journal]:
    """The moves that were begun and not ended. One that cannot be read is left out: it was never finished being written."""
    found = []
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    for name in names:
        if name.endswith(".move"):
            try:
                with open(os.path.join(folder, name), encoding="utf-8") as stream:
                    found.append(Journal(**json.load(stream)))
            except (OSError, ValueError, TypeError):
                continue
    return found


def begin(move: Move, stage: str, folders: Folders) -> Journal:
    """Write down that a move begins, and the configuration of its successor."""
    folder = folders.journals
    files.private_folder(folder)
    config = os.path.join(folder, move.uuid + ".cfg")
    files.write_whole(config, xlcfg.encode(move.config))
    file = os.path.join(folders.saves, move.uuid + ".save")
    return write(Journal(move.name, move.domid, move.uuid, stage, config, file), folders)


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


def is_saved(path: str) -> bool:
    """Whether a saved guest is in the file, to its end: xl's head in front, libxl's end record (type 0, length 0) behind."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(32)
            stream.seek(-8, os.SEEK_END)
            return head.startswith(b"Xen saved domain") and stream.read(8) == bytes(8)
    except OSError:
        return False
