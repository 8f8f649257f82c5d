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

To be saved or migrated a guest suspends itself. When an xl is killed while it stands still, nobody lets it go on: recover does, the way xl
does when it fails (:mod:`.._xen.suspended`). A request that the guest has not taken up is taken back; one that it has is waited for.
"""

import os
import typing as t

from .._errors import Failure
from .._toolstack.xl import DomainState, Xl
from .._topology.guests import uuid_text
from . import files
from .move_journal import Folders, Journal, begin, forget, is_saved, path_of, write
from .move_plan import LIVE, MIB, SAVE, ByNode, Move, is_there

# A saved file has records and page numbers beside the memory: 8 bytes a page, and a little.
_FILE_SPARE = 32 * MIB
# What xl itself puts behind names while a guest migrates (xl_migrate.c).
AWAY, INCOMING = "--migratedaway", "--incoming"
_POLL = 0.5
_GONE_WITHIN = 120.0
# Seconds in which a guest that took up a request to suspend has done so, or does not: Linux gives its tasks 20 to freeze.
_SUSPENDS_WITHIN = 30.0


class _StillThere(Failure):
    """A way did not work, and the guest runs on as before."""


class _Stuck(Failure):
    """A guest that is suspended cannot go on."""


def _nothing_to_recall(domid: int) -> bool:
    return False


class Suspension(t.NamedTuple):
    """What Xen and xenstore can do about it: `resume(domid)` lets a domain go on, if it is suspended, and tells xenstore; `recall(domid)`
    takes back a request to suspend that the domain has not taken up, and says whether there was one."""

    resume: t.Callable[[int], None]
    recall: t.Callable[[int], bool] = _nothing_to_recall


class Ways(t.NamedTuple):
    """The ways out: xl, memory of every domain by node in bytes, free memory of each node, disk, time, and `warn(sentence)`."""

    xl: Xl
    memory: t.Callable[[], t.Dict[int, ByNode]]
    free_by_node: t.Callable[[], ByNode]
    folders: Folders
    clock: t.Callable[[], float]
    sleep: t.Callable[[float], None]
    suspension: Suspension
    warn: t.Callable[[str], None] = lambda sentence: None


def carry_out(move: Move, ways: Ways) -> t.Dict[str, t.Any]:
    """Move a guest, see that it is where it should be, and say how: {domid, moved_by, note, memory_by_node}.

    Raises Failure that says where the guest's state is; `changed` in its result says whether anything is other than before.
    """
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
    journal = begin(move, "live", ways.folders)
    try:
        ways.xl.migrate(move.domid, journal.config)
        failure = None
    except Failure as error:
        failure = error
    here, others = _look(move.name, move.domid, move.uuid, ways)
    arrived = [domain for domain in others if domain.name == move.name and domain.state != "dying"]
    if not arrived and here is not None and not here.gone:
        _take_back(journal, here, others, ways)
        reason = failure.message if failure else "xl did not say why"
        raise _StillThere("it could not be migrated live ({0})".format(reason))
    if not arrived:
        raise Failure(
            "guest {0!r} was lost while it migrated ({1}): see /var/log/xen, and create it anew".format(
                move.name, failure.message if failure else "xl saw no error"
            ),
            changed=True,
        )
    return _settle(journal, arrived[-1], here, move.nodes, LIVE, ways)


def _by_file(move: Move, ways: Ways) -> t.Dict[str, t.Any]:
    folders = ways.folders
    files.private_folder(folders.saves, "give another folder for saved guests (save_dir)")
    room = folders.room(folders.saves)
    if room < move.size + _FILE_SPARE:
        raise Failure(
            "guest {0!r} was not moved and runs on: saving it takes {1} MiB in {2}, where there are {3} MiB; make room, or give another "
            "folder (save_dir)".format(
                move.name, -(-(move.size + _FILE_SPARE) // MIB), folders.saves, room // MIB
            ),
            changed=False,
        )
    journal = begin(move, "saving", ways.folders)
    try:
        files.make_new(journal.file)
        ways.xl.save(move.domid, journal.file)
        files.sync(journal.file)
        ways.xl.rename(move.domid, _away(move.uuid))
        if not _both_fit(move, ways.free_by_node()):
            # Its own memory is in the way, and from here on the file is all there is.
            journal = write(journal._replace(stage="alone"), ways.folders)
            ways.xl.destroy(move.domid)
            await_gone(move.domid, ways)
        new = ways.xl.restore(move.name, journal.config, journal.file)
    except Failure as failure:
        raise _rolled_back(journal, failure, ways) from failure
    found = ways.memory().get(new.domid, {})
    old = _look(move.name, move.domid, move.uuid, ways)[0]
    if not is_there(found, move.nodes) and old is not None:
        raise _rolled_back(journal, Failure(_where(move.name, found, move.nodes)), ways)
    journal = write(journal._replace(stage="restored"), ways.folders)
    ways.xl.unpause(new.domid)
    return _settle(journal, new, old, move.nodes, SAVE, ways)


def _rolled_back(journal: Journal, failure: Failure, ways: Ways) -> Failure:
    """The Failure for a move that was given up, once the domain that was there before goes on."""
    try:
        here, others = _look(journal.name, journal.domid, journal.uuid, ways)
        if here is not None and not here.gone:
            _take_back(journal, here, others, ways)
            return Failure(
                "guest {0!r} was not moved, and runs on as before: {1}".format(journal.name, failure.message),
                changed=False,
            )
    except Failure as second:
        failure = Failure("{0}; {1}".format(failure.message, second.message))
    return _kept(journal, failure)


def _kept(journal: Journal, failure: Failure) -> Failure:
    if not is_saved(journal.file):
        return Failure(
            "guest {0!r} was not moved: {1}; domain {2} of it is left as it was last seen".format(
                journal.name, failure.message, journal.domid
            ),
            changed=True,
        )
    return Failure(
        "guest {0!r} does not run: {1}. Its state is kept in {2}. Mend what is wrong and run this again, or restore it by hand: "
        "xl restore {3} {2}".format(journal.name, failure.message, journal.file, journal.config),
        changed=True,
        saved_file=journal.file,
    )


def _settle(
    journal: Journal,
    new: DomainState,
    old: t.Optional[DomainState],
    nodes: t.Optional[t.Sequence[int]],
    way: str,
    ways: Ways,
) -> t.Dict[str, t.Any]:
    """End the domain that was, once its successor is seen to live, and forget the move."""
    now = ways.xl.domain(new.domid)
    if now is None or now.gone:
        raise _kept(
            journal, Failure("it ended as soon as it went on (now {0})".format(now.state if now else "gone"))
        )
    if old is not None and old.state != "dying":
        ways.xl.destroy(old.domid)
        await_gone(old.domid, ways)
    forget(journal, ways.folders)
    found = ways.memory().get(new.domid, {})
    if nodes is not None and not is_there(found, nodes):
        raise Failure(
            "guest {0!r} was moved and runs: {1}".format(journal.name, _where(journal.name, found, nodes)),
            changed=True,
        )
    return {
        "domid": new.domid,
        "moved_by": way,
        "note": None,
        "memory_by_node": {str(node): found[node] for node in sorted(found)},
    }


def _where(name: str, found: ByNode, nodes: t.Sequence[int]) -> str:
    parts = ", ".join(
        "{0} MiB on node {1}".format(size // MIB, node) for node, size in sorted(found.items()) if size
    )
    return (
        "with its configuration its memory comes to be elsewhere than on node {0} ({1}): set cpus or cpus_soft in it to CPUs "
        "there".format(", ".join(str(node) for node in nodes), parts or "unknown")
    )


def recover(journal: Journal, ways: Ways) -> str:
    """Finish, or take back, a move whose run was killed. Returns a sentence about what was done.

    No xl of that run works any more: it would hold the host's lock. Raises Failure when the guest's state is in its file alone and cannot
    be restored, or in a domain that cannot go on.
    """
    here, others = _look(journal.name, journal.domid, journal.uuid, ways)
    alive = [domain for domain in others if not domain.gone]
    arrived = [domain for domain in alive if domain.made and domain.name == journal.name]
    if arrived and (here is None or here.gone or arrived[-1].cpu_time > 0 or journal.stage == "restored"):
        if arrived[-1].state == "paused":
            ways.xl.unpause(arrived[-1].domid)
        _settle(journal, arrived[-1], here, None, SAVE, ways)
        return "guest {0!r}: a move that was interrupted is finished".format(journal.name)
    here = _come_to_rest(journal, here, ways)
    if here is not None and not here.gone:
        try:
            _take_back(journal, here, others, ways)
            return "guest {0!r}: a move that was interrupted is taken back, it runs on as before".format(
                journal.name
            )
        except Failure as failure:
            if not isinstance(failure, _Stuck):
                raise
            if not is_saved(journal.file):
                raise Failure(
                    "guest {0!r} stands still: a move of it was interrupted while it was suspended and before it was saved, and domain {1}, "
                    "which alone has its state, {2}. Mend that and run this again; or give up what the guest had in memory: destroy "
                    "domain {1}, remove {3}, and create the guest anew".format(
                        journal.name, here.domid, failure.message, path_of(journal.uuid, ways.folders)
                    ),
                    changed=False,
                ) from failure
    elif not is_saved(journal.file):
        forget(journal, ways.folders)
        return "guest {0!r}: a move was interrupted, and the guest has ended since".format(journal.name)
    try:
        for domain in others + ([here] if here is not None else []):
            if domain.state != "dying":
                ways.xl.destroy(domain.domid)
            await_gone(domain.domid, ways)
        new = ways.xl.restore(journal.name, journal.config, journal.file)
        journal = write(journal._replace(stage="restored"), ways.folders)
        ways.xl.unpause(new.domid)
    except Failure as failure:
        raise _kept(journal, failure) from failure
    _settle(journal, new, None, None, SAVE, ways)
    return "guest {0!r}: a move that was interrupted is finished, from its saved file".format(journal.name)


def _look(
    name: str, domid: int, uuid: str, ways: Ways
) -> t.Tuple[t.Optional[DomainState], t.List[DomainState]]:
    """The domain that was moved from, and those that are, or were to be, its successor."""
    names = (name, name + INCOMING, name + AWAY)
    domains = ways.xl.domains()
    here = next((one for one in domains if one.domid == domid and uuid_text(one.uuid) == uuid), None)
    return here, [
        one
        for one in domains
        if one.domid != domid and (uuid_text(one.uuid) == uuid) and (one.name is None or one.name in names)
    ]


def _take_back(journal: Journal, here: DomainState, others: t.Sequence[DomainState], ways: Ways) -> None:
    """Let the domain that was there before go on, under its name, and nothing of a successor stay."""
    for domain in others:
        if domain.state != "dying":
            ways.xl.destroy(domain.domid)
        await_gone(domain.domid, ways)
    if here.name != journal.name:
        ways.xl.rename(here.domid, journal.name)
    if here.state == "suspended":
        wake(here.domid, journal.name, ways)
    elif here.state == "paused":
        # Perhaps somebody was killed right after it was resumed: xenstore hears of it in any case.
        ways.suspension.resume(here.domid)
        ways.xl.unpause(here.domid)
        _warn_unwatched(here.domid, journal.name, ways)
    forget(journal, ways.folders)


def _warn_unwatched(domid: int, name: str, ways: Ways) -> None:
    """No xl comes back to a domain that goes on after it was suspended: only create, restore and migrate-receive start one that watches."""
    ways.warn(
        "guest {0!r} (domain {1}) goes on after it was suspended, and the xl that watched over it has ended with that: nobody acts on its "
        "on_poweroff, on_reboot and on_crash until it is moved or restarted".format(name, domid)
    )


def wake(domid: int, name: str, ways: Ways) -> None:
    """Let a suspended domain go on as if it had not been asked to suspend. Raises Failure when it does not.

    It is paused meanwhile: `xl unpause` then also has the device model of an HVM guest go on.
    """
    try:
        ways.xl.pause(domid)
        ways.suspension.resume(domid)
        ways.xl.unpause(domid)
    except Failure as failure:
        raise _Stuck("cannot go on ({0})".format(failure.message)) from failure
    domain = ways.xl.domain(domid)
    if domain is None or domain.gone:
        raise _Stuck(
            "ended as soon as it went on (now {0}): its kernel does not know that a request to suspend can come to nothing".format(
                domain.state if domain else "gone"
            )
        )
    _warn_unwatched(domid, name, ways)


def _come_to_rest(journal: Journal, here: t.Optional[DomainState], ways: Ways) -> t.Optional[DomainState]:
    """The domain as it is once no request to suspend is on its way to it: one that a killed xl sent may be taken up only now."""
    asked = journal.stage == "live" or (os.path.exists(journal.file) and os.path.getsize(journal.file) > 0)
    if not asked or here is None or ways.suspension.recall(here.domid):
        return here
    deadline = ways.clock() + _SUSPENDS_WITHIN
    while here is not None and here.state in ("running", "blocked") and ways.clock() < deadline:
        ways.sleep(_POLL)
        here = ways.xl.domain(here.domid)
    return here


def await_gone(domid: int, ways: Ways, within: float = _GONE_WITHIN) -> bool:
    """Wait until Xen has a domain's memory back, or so many seconds have passed; whether it has."""
    deadline = ways.clock() + within
    while ways.xl.domain(domid) is not None:
        if ways.clock() >= deadline:
            return False
        ways.sleep(_POLL)
    return True


def _away(uuid: str) -> str:
    """A name for the domain that was, while its successor has the guest's own: of letters that need no care."""
    return uuid + AWAY
