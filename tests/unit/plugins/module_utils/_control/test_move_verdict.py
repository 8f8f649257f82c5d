# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of a move that was interrupted, in every combination of what may be found."""

import itertools

from ansible_collections.dom0.xen.plugins.module_utils._control.move_journal import STAGES, Journal
from ansible_collections.dom0.xen.plugins.module_utils._control.move_verdict import (
    ASK,
    FINISH,
    FORGET,
    RESTORE,
    TAKE_BACK,
    Case,
    has_run,
    verdict,
)
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.xl import DomainState

UUID = "0123456789abcdef0123456789abcdef"
STATES = ("running", "paused", "suspended", "crashed", "dying")


def domains(domid, names):
    yield None
    for name, state, cpu_time in itertools.product(names, STATES, (0, 7)):
        yield DomainState(domid, name, state, UUID, cpu_time)


def test_nothing_runs_whose_disks_may_be_newer_in_any_case():
    cases = 0
    for stage, boot, here, other, rival, saved, unchanged, changed in itertools.product(
        STAGES,
        ("", "then", "now"),
        domains(5, ("db", "x--migratedaway")),
        domains(6, ("db", "db--incoming")),
        (None, DomainState(7, "db", "running", "f" * 32, 3)),
        (True, False),
        (True, False, None),
        (True, False),
    ):
        journal = Journal("db", 5, UUID, stage, "/c", "/f", boot)
        case = Case(
            journal,
            "now",
            here,
            (other,) if other else (),
            (rival,) if rival else (),
            saved,
            unchanged,
            changed,
        )
        what, why = verdict(case)
        cases += 1
        assert (what == ASK) == bool(why) or stage == "left", case
        if boot != "now" or rival or stage == "left":
            assert what in (ASK, FORGET), case
        if what == FORGET:
            # Nothing that could be of use is thrown away.
            assert not saved, case
        if what == RESTORE:
            assert (saved, unchanged, stage, other) == (True, True, "alone", None) or not has_run(other), case
            assert here is None or here.state == "dying", case
        if what == TAKE_BACK:
            assert here is not None, case
            assert not here.gone, case
            # No successor ever ran, and where another could have been created in between, there are no traces of one.
            assert other is None or not has_run(other), case
            named = "db" in (here.name, other.name if other else None)
            assert named or here.state == "running" or unchanged, case
        if what == FINISH:
            assert other is not None, case
            assert other.name == "db", case
            assert not other.gone, case
            assert here is None or here.state != "running", case
    assert cases > 50000
