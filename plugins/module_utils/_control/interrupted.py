# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moves whose run was killed: finished, taken back, or left for the user to say. Private to this collection.

:mod:`.move_verdict` decides by what is there, and not by how far the journal says that the run came.

To be saved or migrated a guest suspends itself. When an xl is killed while it stands still, nobody lets it go on: this does, the way xl
does when it fails (:mod:`.._xen.suspended`). A request that the guest has not taken up is taken back; one that it has is waited for.
"""

import os
import time
import typing as t

from .._errors import Failure
from .guest_plan import ABSENT, DESTROYED, DISCARD, GO_ON, STOPPED, Wanted
from .move_journal import LEFT, RESTORED, Journal, forget, is_saved, path_of, write
from .move_plan import SAVE
from .move_verdict import ASK, FINISH, FORGET, RESTORE, TAKE_BACK, Case, has_run, verdict
from .move_ways import (
    Stuck,
    Ways,
    come_to_rest,
    examine,
    from_file,
    give_up,
    now_witnessed,
    settle,
    take_back,
)

# The states in which a guest need not be made anew.
_ENDED = (STOPPED, DESTROYED, ABSENT)


class Mended(t.NamedTuple):
    """What became of moves whose run was killed: sentences about what was done, entries {name, file, begun, reason, message} for what waits for
    the user, the guests that have nothing of it done in check mode, and warnings."""

    recovered: t.List[str]
    left: t.List[t.Dict[str, t.Any]]
    interrupted: t.FrozenSet[str]
    warnings: t.List[str]


def mend(journals: t.Iterable[Journal], wanted: t.Sequence[Wanted], ways: Ways, act: bool = True) -> Mended:
    """See to the moves that were begun and not ended, of the guests that are wanted in some way; of others only say that there are some.

    Where the user has to say what becomes of a saved file, has not (`saved`), and the guest would have to be made anew, Failure says so before
    anything is done. With `act` False nothing is done.
    """
    by_name = {guest.name: guest for guest in wanted}
    cases = [(case,) + verdict(case) for case in [examine(journal, ways) for journal in journals]]
    left = []  # type: t.List[t.Dict[str, t.Any]]
    recovered = []  # type: t.List[str]
    interrupted = set()  # type: t.Set[str]
    warnings = []  # type: t.List[str]
    problems = []  # type: t.List[str]
    for case, what, why in cases:
        guest = by_name.get(case.journal.name)
        if what == ASK and (guest is None or guest.saved is None):
            left.append(_left(case, why))
            if guest is not None and case.newer is None and guest.state not in _ENDED:
                problems.append(left[-1]["message"])
            else:
                warnings.append(left[-1]["message"])
        elif guest is None:
            warnings.append(
                "guest {0!r}: a move of it was interrupted; name it in a task of this module to have that mended".format(
                    case.journal.name
                )
            )
    if problems:
        raise Failure(problems[0], problems=problems, left=left, changed=False)
    for case, what, why in cases:
        guest = by_name.get(case.journal.name)
        if guest is not None and act:
            try:
                recovered += _mend(case, what, why, guest, ways)
            except Failure as failure:
                changed = bool(recovered) or bool(failure.result.get("changed"))
                raise Failure(
                    failure.message, **dict(failure.result, recovered=recovered, changed=changed)
                ) from failure
        elif guest is not None and (what != ASK or guest.saved is not None):
            interrupted.add(guest.name)
        elif act and what == ASK:
            note_left(case, why, ways)
    return Mended(recovered, left, frozenset(interrupted), warnings)


def _mend(case: Case, what: str, why: str, guest: Wanted, ways: Ways) -> t.List[str]:
    """For a guest that is wanted; sentences about what was done."""
    if guest.saved == DISCARD and what in (ASK, RESTORE):
        return [discard(case, ways)]
    if guest.saved == GO_ON and what == ASK:
        return [restore(case, ways)]
    if what == ASK or (what == RESTORE and guest.state in (DESTROYED, ABSENT)):
        if guest.state in (DESTROYED, ABSENT):
            give_up(case, ways)
            if not case.saved:
                forget(case.journal, ways.folders)
            else:
                _leave(case.journal, why or "the guest was ended as asked", ways)
        note_left(case, why, ways)
        return []
    if what == TAKE_BACK and guest.state == DESTROYED:
        give_up(case, ways)
        if case.alive is None or case.alive.state not in ("running", "blocked"):
            forget(case.journal, ways.folders)
            return ["guest {0!r}: a move that was interrupted was given up with it".format(guest.name)]
    return [carry_on(case, what, ways)]


def _left(case: Case, why: str) -> t.Dict[str, t.Any]:
    return {
        "name": case.journal.name,
        "file": case.journal.file if case.saved else None,
        "begun": case.journal.begun or None,
        "reason": why,
        "message": sentence(case, why),
    }


def recover(journal: Journal, ways: Ways) -> str:
    """Finish, or take back, a move whose run was killed. Returns a sentence about what was done, or why it is the user who has to say it.

    No xl of that run works any more: it would hold the host's lock. Raises Failure when the guest's state is in its file alone and cannot
    be restored, or in a domain that cannot go on.
    """
    case = examine(journal, ways)
    what, why = verdict(case)
    if what == ASK:
        note_left(case, why, ways)
        return sentence(case, why)
    return carry_on(case, what, ways)


def note_left(case: Case, why: str, ways: Ways) -> None:
    """Have it on disk that the guest has lived on, so far as that is known now: later nothing of it may be left to see."""
    if case.rivals:
        _leave(case.journal, why, ways)


def _leave(journal: Journal, why: str, ways: Ways) -> None:
    if journal.stage != LEFT:
        write(journal._replace(stage=LEFT, reason=why), ways.folders)


def carry_on(case: Case, what: str, ways: Ways) -> str:
    """Do what :func:`verdict` says, unless that is ASK; a sentence about it. Raises Failure."""
    journal, here = case.journal, case.here
    if what == FORGET:
        give_up(case, ways)
        forget(journal, ways.folders)
        return "guest {0!r}: a move was interrupted, and the guest has ended since".format(journal.name)
    if what == FINISH:
        successor = t.cast(t.Any, case.successor)
        if successor.state == "paused":
            if not has_run(successor):
                journal = write(now_witnessed(journal, ways)._replace(stage=RESTORED), ways.folders)
            ways.xl.unpause(successor.domid)
        settle(journal, successor, here, None, SAVE, ways)
        return "guest {0!r}: a move that was interrupted is finished".format(journal.name)
    if what == TAKE_BACK:
        here = come_to_rest(journal, here, ways)
        if here is None or here.gone:
            return recover(journal, ways)
        try:
            take_back(journal, here, case.others, ways)
            return "guest {0!r}: a move that was interrupted is taken back, it runs on as before".format(
                journal.name
            )
        except Stuck as failure:
            if not is_saved(journal.file) or case.unchanged is False:
                raise Failure(  # pylint: disable=bad-exception-cause  # Stuck is an exception
                    "guest {0!r} stands still: a move of it was interrupted while it was suspended and before it was saved, and domain {1}, "
                    "which alone has its state, {2}. Mend that and run this again; or give up what the guest had in memory: destroy "
                    "domain {1}, remove {3} (saved: discard does both), and create the guest anew".format(
                        journal.name, here.domid, failure.message, path_of(journal.uuid, ways.folders)
                    ),
                    changed=False,
                ) from failure
    from_file(journal, list(case.others) + ([here] if here is not None else []), ways)
    return "guest {0!r}: a move that was interrupted is finished, from its saved file".format(journal.name)


def restore(case: Case, ways: Ways) -> str:
    """What `saved: restore` asks for: have the guest go on from what is kept of it. Raises Failure."""
    journal, newer = case.journal, case.newer
    if newer is not None:
        raise Failure(
            "guest {0!r} cannot be restored from {1} while domain {2} is there, which has its name, UUID or disks: end that first, or give "
            "saved: discard".format(journal.name, journal.file, newer.domid),
            changed=False,
        )
    if case.alive is not None:
        return carry_on(case, TAKE_BACK, ways)
    if not case.saved:
        raise Failure(
            "guest {0!r} cannot be restored: {1} is not a whole saved guest; give saved: discard".format(
                journal.name, journal.file
            ),
            changed=False,
        )
    return carry_on(case, RESTORE, ways)


def discard(case: Case, ways: Ways) -> str:
    """What `saved: discard` asks for: remove what is kept of the guest as it was. One that runs stays. Raises Failure."""
    journal = case.journal
    give_up(case, ways)
    if (
        case.alive is not None
        and case.alive.state in ("running", "blocked")
        and case.alive.name != journal.name
    ):
        ways.xl.rename(case.alive.domid, journal.name)
    forget(journal, ways.folders)
    return "guest {0!r}: what an interrupted move had kept of it ({1}) was discarded, as asked".format(
        journal.name, journal.file
    )


def sentence(case: Case, why: str) -> str:
    """What is found of a guest that the user has to say something about."""
    journal = case.journal
    kept_in = "domain {0} has".format(case.alive.domid) if case.alive is not None else "nothing has"
    if case.saved:
        kept_in = "{0} (of {1}) has".format(journal.file, _time_of(journal.file))
    return (
        "guest {0!r}: a move of it{1}{2} was interrupted, and {3} its memory as it was then. It was not restored, as {4}: memory that is older "
        "than a guest's disks destroys what is on them. Say what becomes of it: saved: discard removes it; saved: restore has the guest go on "
        "from it, for where it has certainly not run since".format(
            journal.name,
            " to node " + ", ".join(str(node) for node in journal.nodes) if journal.nodes else "",
            ", begun " + journal.begun if journal.begun else "",
            kept_in,
            why,
        )
    )


def _time_of(path: str) -> str:
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(os.path.getmtime(path)))
    except OSError:
        return "unknown time"
