# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may become of a move whose run was killed, by what is found of it. Pure. Private to this collection.

Two things must never run: memory that is older than the guest's disks, and two domains that write to the same disks. So a file, or a
domain that stood still, goes on by itself only where it is certain that the guest has not run since. Otherwise the user has to say.
"""

import typing as t

from .._toolstack.xl import DomainState
from .move_journal import ALONE, BACK, LEFT, LIVE, RESTORED, Journal

FINISH, TAKE_BACK, RESTORE, FORGET, ASK = "finish", "take_back", "restore", "forget", "ask"
#: Of domains that have not ended.
_STANDS = ("paused", "suspended")
_CHANGED = "it has been created anew, or its disks have changed, since"
_UNKNOWN = "nobody can say whether it has run since"


class Case(t.NamedTuple):
    """A move that was begun, and what is found of it.

    `boot` is which boot of the host this is. `here` is the domain that was to be moved, None when it is gone; `others` have its UUID and are, or were to
    be, its successor; `rivals` are neither, and have its name or UUID, or hold its disks. `saved` is whether the file is whole, `unchanged`
    whether neither its disks nor its log has changed since, None where that cannot be known, and `disks_changed` whether its disks have.
    """

    journal: Journal
    boot: str
    here: t.Optional[DomainState]
    others: t.Tuple[DomainState, ...]
    rivals: t.Tuple[DomainState, ...]
    saved: bool
    unchanged: t.Optional[bool]
    disks_changed: bool = False

    @property
    def successor(self) -> t.Optional[DomainState]:
        """The newest domain that has come to be the guest, if there is one."""
        arrived = [one for one in self.others if one.made and not one.gone and one.name == self.journal.name]
        return arrived[-1] if arrived else None

    @property
    def alive(self) -> t.Optional[DomainState]:
        """The domain that was to be moved, if it has not ended."""
        return self.here if self.here is not None and not self.here.gone else None

    @property
    def newer(self) -> t.Optional[DomainState]:
        """A domain that runs as the guest, or with its disks, and that this move has not made for certain."""
        rivals = [one for one in self.rivals if not one.gone]
        if rivals:
            return rivals[-1]
        successor = self.successor
        if successor is not None and has_run(successor) and self.journal.stage not in (LIVE, RESTORED):
            return successor
        return None


def has_run(domain: DomainState) -> bool:
    """Whether any of its vCPUs ever ran."""
    return domain.cpu_time > 0 or domain.state in ("running", "blocked")


def verdict(case: Case) -> t.Tuple[str, str]:
    """What to do, and where the user has to say it: why."""
    journal, here, successor = case.journal, case.alive, case.successor
    if case.boot != journal.boot or not journal.boot:
        # Domains of another boot have nothing to do with it. Where it is not known which that was, one that stands still may.
        if not case.saved and not (not journal.boot and here is not None and here.state in _STANDS):
            return FORGET, ""
        if journal.stage == LEFT:
            return ASK, journal.reason
        why = (
            "the host has booted since"
            if journal.boot
            else "a former version wrote it, which did not note when"
        )
        if journal.stage in (RESTORED, BACK):
            why += ", and the guest had gone on before that, so that the memory is certainly older than its disks"
        return ASK, why
    if case.rivals:
        rival = case.rivals[-1]
        return ASK, "domain {0} ({1}), which this move has not made, has its name, UUID or disks".format(
            rival.domid, rival.state
        )
    if journal.stage == LEFT:
        return (ASK, journal.reason) if case.saved or here is not None else (FORGET, "")
    if successor is not None and has_run(successor):
        if case.newer is not None or (here is not None and here.state not in _STANDS):
            return ASK, "the guest runs as domain {0}, which this move has not started".format(
                successor.domid
            )
        return FINISH, ""
    if any(has_run(one) for one in case.others):
        return ASK, "its successor ran, and has ended"
    if here is not None:
        return _standing(case, here)
    if successor is not None:
        # That xl began a new log is for this one.
        return (ASK, _CHANGED) if case.disks_changed else (FINISH, "")
    if not case.saved:
        return FORGET, ""
    if journal.stage == RESTORED:
        return ASK, "the guest went on from it, and has ended since"
    if journal.stage != ALONE or (case.here is not None and case.here.state != "dying"):
        return ASK, "the guest has ended since"
    if case.unchanged:
        return RESTORE, ""
    return ASK, _CHANGED if case.unchanged is False else _UNKNOWN


def _standing(case: Case, here: DomainState) -> t.Tuple[str, str]:
    """For a domain that was to be moved and is there."""
    names = [here.name] + [one.name for one in case.others]
    if case.journal.name in names or here.state not in _STANDS:
        # As long as it, or one half built beside it, had the name, no other can have lived.
        return TAKE_BACK, ""
    if case.journal.stage == LIVE and not case.others:
        return ASK, "its successor may have run, and is gone"
    if case.unchanged:
        return TAKE_BACK, ""
    return ASK, _CHANGED if case.unchanged is False else _UNKNOWN
