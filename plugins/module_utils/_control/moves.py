# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest's memory moved to other nodes with its state kept: live, or by save and restore. Private to this collection.

Xen never moves memory; a guest gets it anew by arriving a second time. Either it migrates to the host it is on, or it is saved and
restored, with a configuration whose affinity leads its memory to the wanted nodes. Live migration needs log-dirty mode. For PV guests that
takes shadow paging, which Xen may be built without (Debian's is: CONFIG_SHADOW_PAGING; `xl migrate` then says "domain did not respond to
suspend request: Invalid argument", which is about log-dirty mode and not about suspending). HVM and PVH guests need hardware-assisted
paging only. So those go live, PV guests by save and restore, and where live migration fails while the guest runs on, that is the second way.

At every moment one of these has the guest's state: the domain as it was, which stays paused beside its successor until that is seen to be
right, the saved file, or the successor. A journal on disk (:mod:`.move_journal`) says which move was begun; :func:`recover` finishes or
takes back a move whose run was killed, judging by what is there and not by how far the journal says it came.

Whatever goes wrong (an xl that fails or hangs, a full disk, an error in this program, a request to end it), the guest goes on before this ends, or
the message says where its state is.
"""

import typing as t

from .._errors import Failure
from . import files
from .interrupted import recover
from .move_journal import (
    ALONE,
    RESTORED,
    SAVED,
    SAVING,
    Journal,
    begin,
    is_saved,
    make_save_folder,
    write,
)
from .move_journal import LIVE as ARRIVING
from .move_plan import AWAY, INCOMING, LIVE, MIB, SAVE, ByNode, Move, is_there
from .move_verdict import has_run
from .move_ways import (
    Suspension,
    Ways,
    await_gone,
    come_to_rest,
    from_file,
    kept,
    look,
    may_suspend_yet,
    now_witnessed,
    reason_of,
    settle,
    take_back,
    wake,
    where,
)

__all__ = ["AWAY", "INCOMING", "Suspension", "Ways", "await_gone", "carry_out", "recover", "wake"]

# A saved file has records and page numbers beside the memory: 8 bytes a page, and a little.
_FILE_SPARE = 32 * MIB
# What goes wrong on the way back need not do so again.
_ATTEMPTS = 3
# For the journal, its temporary and a configuration.
_JOURNAL_SPARE = MIB


class _StillThere(Failure):
    """A way did not work, and the guest runs on as before."""


def carry_out(move: Move, ways: Ways) -> t.Dict[str, t.Any]:
    """Move a guest, see that it is where it should be, and say how: {domid, moved_by, note, memory_by_node}.

    Raises Failure that says where the guest's state is; `changed` in its result says whether anything is other than before.
    """
    try:
        return _carry_out(move, ways)
    except Failure:
        raise
    except Exception as error:
        # Before anything was begun: what comes later has its own way back.
        raise Failure(
            "guest {0!r} was not moved and runs on: {1}".format(move.name, reason_of(error)), changed=False
        ) from error


def _carry_out(move: Move, ways: Ways) -> t.Dict[str, t.Any]:
    free = ways.free_by_node()
    note = None
    if move.way == LIVE:
        _check_room(move, free, {})
        try:
            return _by_migration(move, ways)
        except _StillThere as failure:
            if not move.second:
                failure.result["changed"] = False
                raise
            note = failure.message
    else:
        _check_room(move, free, ways.memory().get(move.domid, {}))
    return dict(_by_file(move, ways), note=note)


def _check_room(move: Move, free: ByNode, own: ByNode) -> None:
    share = -(-move.need // len(move.nodes))
    for node in move.nodes:
        if node not in free:
            raise Failure(
                "guest {0!r}: there is no memory on node {1} of this host".format(move.name, node),
                changed=False,
            )
        if free[node] + own.get(node, 0) < share:
            raise Failure(
                "guest {0!r} was not moved and runs on: it needs {1} MiB free on node {2}, where there are {3} MiB; make room there, or "
                "plan again".format(move.name, -(-share // MIB), node, free[node] // MIB),
                changed=False,
            )


def _both_fit(move: Move, free: ByNode) -> bool:
    return all(free.get(node, 0) * len(move.nodes) >= move.need for node in move.nodes)


def _by_migration(move: Move, ways: Ways) -> t.Dict[str, t.Any]:
    # How its disks are when it is suspended xl does not say; that nobody has created it anew its log does.
    log = ways.witness(move.name, ())
    journal = begin(move, ARRIVING, ways.folders, ways.boot(), log)
    error = None  # type: t.Optional[BaseException]
    try:
        ways.xl.migrate(move.domid, journal.config)
    except BaseException as caught:
        error = caught
    if error is None or isinstance(error, Failure):
        here, others = look(move.name, move.domid, move.uuid, ways)
        arrived = [one for one in others if one.name == move.name and one.state != "dying"]
        away = here is None or here.gone
        if arrived and (away or has_run(arrived[-1])):
            if arrived[-1].state == "paused":
                ways.xl.unpause(arrived[-1].domid)
            return settle(journal, arrived[-1], here, move.nodes, LIVE, ways)
        if away:
            raise Failure(
                "guest {0!r} was lost while it migrated ({1}): see /var/log/xen, and create it anew".format(
                    move.name, error.message if error else "xl saw no error"
                ),
                changed=True,
            )
    ended = _way_back(journal, error or Failure("xl did not say why"), ways)
    if isinstance(ended, Failure) and ended.result.get("changed") is False:
        raise _StillThere(
            "it could not be migrated live ({0})".format(reason_of(error) if error else "xl did not say why")
        )
    raise ended


def _by_file(move: Move, ways: Ways) -> t.Dict[str, t.Any]:
    folders = ways.folders
    make_save_folder(folders)
    files.private_folder(folders.journals)
    for folder, size, what in (
        (folders.saves, move.size + _FILE_SPARE, "saving it"),
        (folders.journals, _JOURNAL_SPARE, "writing down what is done"),
    ):
        room = folders.room(folder)
        if room < size:
            raise Failure(
                "guest {0!r} was not moved and runs on: {4} takes {1} MiB in {2}, where there are {3} MiB; make room, or give another "
                "folder (save_dir)".format(move.name, -(-size // MIB), folder, room // MIB, what),
                changed=False,
            )
    journal = begin(move, SAVING, folders, ways.boot())
    try:
        files.make_new(journal.file)
        ways.xl.save(move.domid, journal.file)
        # On the disk before there is less than the whole guest beside it.
        files.sync(journal.file)
        journal = write(now_witnessed(journal, ways)._replace(stage=SAVED), folders)
        ways.xl.rename(move.domid, _away(move.uuid))
        if not _both_fit(move, ways.free_by_node()):
            journal = _leave_alone(journal, ways)
        new = ways.xl.restore(move.name, journal.config, journal.file)
        found = ways.memory().get(new.domid, {})
        old = look(move.name, move.domid, move.uuid, ways)[0]
        if not is_there(found, move.nodes) and old is not None:
            raise Failure(where(found, move.nodes))
        journal = write(now_witnessed(journal, ways)._replace(stage=RESTORED), folders)
        ways.xl.unpause(new.domid)
    except BaseException as error:
        ended = _way_back(journal, error, ways)
        if ended is error:
            raise
        raise ended from error
    return settle(journal, new, old, move.nodes, SAVE, ways)


def _leave_alone(journal: Journal, ways: Ways) -> Journal:
    """End the domain whose memory is in the way of its own successor; from here on the file is all there is."""
    if not is_saved(journal.file):
        raise Failure("{0} is not a whole saved guest".format(journal.file))
    journal = write(journal._replace(stage=ALONE), ways.folders)
    ways.xl.destroy(journal.domid)
    await_gone(journal.domid, ways)
    # What served its disks may have written to them as it closed them (qcow2).
    return write(now_witnessed(journal, ways), ways.folders)


def _way_back(journal: Journal, error: BaseException, ways: Ways) -> BaseException:
    """Have the guest go on after whatever went wrong; what to raise.

    That is a Failure which says where the guest is; for what ends this process (KeyboardInterrupt, SystemExit), that itself, with a warning.
    """
    failure = None
    reason = reason_of(error)
    for _attempt in range(_ATTEMPTS):
        try:
            failure = _rolled_back(journal, error, ways)
            break
        except BaseException as second:
            reason += "; " + reason_of(second)
    failure = failure or kept(journal, reason, ways)
    if isinstance(error, Exception):
        return failure
    ways.warn(failure.message)
    return error


def _rolled_back(journal: Journal, error: BaseException, ways: Ways) -> Failure:
    here, others = look(journal.name, journal.domid, journal.uuid, ways)
    reason = reason_of(error)
    went_on = [one for one in others if has_run(one) and not one.gone and one.name == journal.name]
    if went_on:
        settle(journal, went_on[-1], here, None, SAVE, ways)
        return Failure(
            "guest {0!r} was moved and runs as domain {1}, but: {2}".format(
                journal.name, went_on[-1].domid, reason
            ),
            changed=True,
        )
    if here is not None and not here.gone and not any(has_run(one) for one in others):
        if may_suspend_yet(error):
            here = come_to_rest(journal, here, ways) or here
        take_back(journal, here, others, ways)
        return Failure(
            "guest {0!r} was not moved, and runs on as before: {1}".format(journal.name, reason),
            changed=False,
        )
    if not isinstance(error, Failure) and journal.stage == ALONE and is_saved(journal.file):
        # It was not xl that failed.
        domid = from_file(journal, others, ways)["domid"]
        return Failure(
            "guest {0!r} runs again as domain {1}, from its saved file, after {2}".format(
                journal.name, domid, reason
            ),
            changed=True,
        )
    return kept(journal, reason, ways)


def _away(uuid: str) -> str:
    """A name for the domain that was, while its successor has the guest's own: of letters that need no care."""
    return uuid + AWAY
