# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The single deeds of a move, of its end and of its way back. Private to this collection. :mod:`.moves` puts them in order."""

import contextlib
import os
import re
import typing as t

from .._errors import Failure
from .._toolstack.xl import DomainState, Xl
from .._topology.guests import uuid_text
from . import files
from .move_journal import BACK, LIVE, RESTORED, Folders, Journal, forget, is_saved, write
from .move_plan import AWAY, INCOMING, MIB, ByNode, is_there
from .move_verdict import Case, has_run
from .witness import Witness, boot_id, is_same, take

_POLL = 0.5
_GONE_WITHIN = 120.0
# Seconds in which a guest that took up a request to suspend has done so, or does not: Linux gives its tasks 20 to freeze.
_SUSPENDS_WITHIN = 30.0


class Stuck(Failure):
    """A guest that is suspended cannot go on."""


def _nothing_to_recall(domid: int) -> bool:
    return False


class Suspension(t.NamedTuple):
    """What Xen and xenstore can do about it: `resume(domid)` lets a domain go on, if it is suspended, and tells xenstore; `recall(domid)`
    takes back a request to suspend that the domain has not taken up, and says whether there was one."""

    resume: t.Callable[[int], None]
    recall: t.Callable[[int], bool] = _nothing_to_recall


class Ways(t.NamedTuple):
    """The ways out: xl, memory of every domain by node in bytes, free memory of each node, disk, time, and `warn(sentence)`.

    `boot()` says which boot of the host this is, `witness(name, disks)` how disks are (:mod:`.witness`), `holders(disks)` which domains
    can write to one of them, by number.
    """

    xl: Xl
    memory: t.Callable[[], t.Dict[int, ByNode]]
    free_by_node: t.Callable[[], ByNode]
    folders: Folders
    clock: t.Callable[[], float]
    sleep: t.Callable[[float], None]
    suspension: Suspension
    warn: t.Callable[[str], None] = lambda sentence: None
    boot: t.Callable[[], str] = boot_id
    witness: t.Callable[[str, t.Sequence[str]], Witness] = take
    holders: t.Callable[[t.Sequence[str]], t.Iterable[int]] = lambda disks: ()


def look(
    name: str, domid: int, uuid: str, ways: Ways
) -> t.Tuple[t.Optional[DomainState], t.List[DomainState]]:
    """The domain that was moved from, and those that are, or were to be, its successor."""
    return _sort(name, domid, uuid, ways.xl.domains())


def _sort(
    name: str, domid: int, uuid: str, domains: t.Sequence[DomainState]
) -> t.Tuple[t.Optional[DomainState], t.List[DomainState]]:
    names = (name, name + INCOMING, name + AWAY)
    here = next((one for one in domains if one.domid == domid and uuid_text(one.uuid) == uuid), None)
    return here, [
        one
        for one in domains
        if one.domid != domid and (uuid_text(one.uuid) == uuid) and (one.name is None or one.name in names)
    ]


def examine(journal: Journal, ways: Ways) -> Case:
    """See what there is of a move that was begun. Nothing is changed."""
    domains = ways.xl.domains()
    boot = ways.boot()
    here, others = _sort(journal.name, journal.domid, journal.uuid, domains)
    holders = set(ways.holders(journal.disks))
    own = set()  # type: t.Set[int]
    if boot == journal.boot or not journal.boot:
        own = {one.domid for one in others + ([here] if here is not None else [])}
    else:
        here, others = None, []
    rivals = [
        one
        for one in domains
        if one.domid not in own
        and one.domid != 0
        and (
            one.name == journal.name
            or uuid_text(one.uuid) == journal.uuid
            or (one.domid in holders and not one.gone)
        )
    ]
    unchanged, disks_changed = None, False
    if journal.witness is not None:
        now = ways.witness(journal.name, sorted(journal.witness.get("disks") or ()))
        unchanged = True if is_same(journal.witness, now) else None if journal.witness == now else False
        disks_changed = journal.witness.get("disks") != now["disks"]
    return Case(
        journal, boot, here, tuple(others), tuple(rivals), is_saved(journal.file), unchanged, disks_changed
    )


def take_back(journal: Journal, here: DomainState, others: t.Sequence[DomainState], ways: Ways) -> None:
    """Let the domain that was there before go on, under its name, and nothing of a successor stay."""
    if others or here.name != journal.name:
        # For a next run: no successor has gone on. On a full disk this one does it without.
        with contextlib.suppress(Failure):
            journal = write(now_witnessed(journal, ways)._replace(stage=BACK), ways.folders)
    _end(others, ways)
    if here.name != journal.name:
        ways.xl.rename(here.domid, journal.name)
    if here.state == "suspended":
        wake(here.domid, journal.name, ways)
    elif here.state == "paused":
        # Perhaps somebody was killed right after it was resumed: xenstore hears of it in any case.
        ways.suspension.resume(here.domid)
        ways.xl.unpause(here.domid)
        _warn_unwatched(here.domid, journal.name, ways)
    try:
        forget(journal, ways.folders)
    except Failure as failure:
        ways.warn("guest {0!r} runs on as before, but {1}".format(journal.name, failure.message))


def _end(domains: t.Iterable[DomainState], ways: Ways) -> None:
    for domain in domains:
        if domain.state != "dying":
            ways.xl.destroy(domain.domid)
        await_gone(domain.domid, ways)


def give_up(case: Case, ways: Ways) -> None:
    """End what stands still, or is half built, of a move; a guest that runs, and the file, stay."""
    left = [one for one in case.others if not has_run(one)]
    _end(left + ([case.here] if case.here is not None and not _runs(case.here) else []), ways)


def _runs(domain: DomainState) -> bool:
    return domain.state in ("running", "blocked")


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
        raise Stuck("cannot go on ({0})".format(failure.message)) from failure
    domain = ways.xl.domain(domid)
    if domain is None or domain.gone:
        raise Stuck(
            "ended as soon as it went on (now {0}): its kernel does not know that a request to suspend can come to nothing".format(
                domain.state if domain else "gone"
            )
        )
    _warn_unwatched(domid, name, ways)


def come_to_rest(journal: Journal, here: t.Optional[DomainState], ways: Ways) -> t.Optional[DomainState]:
    """The domain as it is once no request to suspend is on its way to it: one that a killed xl sent may be taken up only now."""
    asked = journal.stage == LIVE or (os.path.exists(journal.file) and os.path.getsize(journal.file) > 0)
    if not asked or here is None or ways.suspension.recall(here.domid):
        return here
    deadline = ways.clock() + _SUSPENDS_WITHIN
    while here is not None and _runs(here) and ways.clock() < deadline:
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


def from_file(journal: Journal, leftovers: t.Sequence[DomainState], ways: Ways) -> t.Dict[str, t.Any]:
    """Restore a guest whose state is in its file alone, and end what else there is of it. Raises Failure, and the file is kept."""
    try:
        _end(leftovers, ways)
        new = ways.xl.restore(journal.name, journal.config, journal.file)
        journal = write(now_witnessed(journal, ways)._replace(stage=RESTORED), ways.folders)
        ways.xl.unpause(new.domid)
    except Failure as failure:
        raise kept(journal, failure.message, ways) from failure
    return settle(journal, new, None, None, "save", ways)


def now_witnessed(journal: Journal, ways: Ways) -> Journal:
    """With how the guest's disks are at this moment, at which it stands still."""
    return journal._replace(witness=ways.witness(journal.name, journal.disks))


def kept(journal: Journal, reason: str, ways: Ways) -> Failure:
    """The Failure for a guest that does not run: where its state is."""
    if not is_saved(journal.file):
        domain = ways.xl.domain(journal.domid)
        return Failure(
            "guest {0!r} was not moved: {1}; domain {2} of it is {3}{4}: run this again to have it go on".format(
                journal.name,
                reason,
                journal.domid,
                "gone" if domain is None else domain.state,
                ""
                if domain is None or domain.name == journal.name
                else " and called {0!r}".format(domain.name),
            ),
            changed=True,
        )
    return Failure(
        "guest {0!r} does not run: {1}. Its state is kept in {2}. Mend what is wrong and run this again, or restore it by hand: "
        "xl restore {3} {2}".format(journal.name, reason, journal.file, journal.config),
        changed=True,
        saved_file=journal.file,
    )


def settle(
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
        raise kept(
            journal, "it ended as soon as it went on (now {0})".format(now.state if now else "gone"), ways
        )
    try:
        if old is not None and old.state != "dying":
            ways.xl.destroy(old.domid)
            await_gone(old.domid, ways)
        forget(journal, ways.folders)
    except BaseException as error:
        failure = Failure(
            "guest {0!r} was moved and runs as domain {1}, but what was there of it before could not be removed: {2}; run this again".format(
                journal.name, new.domid, reason_of(error)
            ),
            changed=True,
        )
        if isinstance(error, Exception):
            raise failure from error
        ways.warn(failure.message)
        raise
    try:
        found = ways.memory().get(new.domid, {})
    except Exception as error:
        raise Failure(
            "guest {0!r} was moved and runs as domain {1}, but where its memory is cannot be seen: {2}".format(
                journal.name, new.domid, reason_of(error)
            ),
            changed=True,
        ) from error
    if nodes is not None and not is_there(found, nodes):
        raise Failure(
            "guest {0!r} was moved and runs: {1}".format(journal.name, where(found, nodes)), changed=True
        )
    return {
        "domid": new.domid,
        "moved_by": way,
        "note": None,
        "memory_by_node": {str(node): found[node] for node in sorted(found)},
    }


def where(found: ByNode, nodes: t.Sequence[int]) -> str:
    """That memory is elsewhere, and what to do."""
    parts = ", ".join(
        "{0} MiB on node {1}".format(size // MIB, node) for node, size in sorted(found.items()) if size
    )
    return (
        "with its configuration its memory comes to be elsewhere than on node {0} ({1}): set cpus or cpus_soft in it to CPUs "
        "there".format(", ".join(str(node) for node in nodes), parts or "unknown")
    )


def reason_of(error: BaseException) -> str:
    """What went wrong, for a sentence."""
    if isinstance(error, Failure):
        return error.message
    if isinstance(error, OSError):
        return "the system refused: " + files.why(error, str(error.filename or "the host"))
    if isinstance(error, KeyboardInterrupt):
        return "it was told to end"
    return "{0}: {1}".format(type(error).__name__, error)


def may_suspend_yet(error: BaseException) -> bool:
    """Whether an xl ended in a way that may have left a request to suspend behind: it was killed, or gave up waiting for that."""
    return not isinstance(error, Failure) or bool(
        re.search("suspend|killed", str(error.message) + str(error.result.get("output", "")))
    )
