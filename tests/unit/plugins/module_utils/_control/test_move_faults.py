# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moves with a fault at each of their steps: no memory runs that is older than the disk, no two domains run on it, and what is said is true.

A guest's disk is a file here, which every life of the guest writes to. The figures in docs/reliability.md are counted here.
"""

import contextlib
import errno
import os

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._control import (
    guest_plan,
    interrupted,
    move_journal,
    move_plan,
    moves,
    witness,
)
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xlcfg
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.xl import DomainState
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._control import mortal
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._control.test_moves import (
    LIVE,
    MIB,
    NAME,
    TEXT,
    UUID,
    World,
)


class Dead(BaseException):
    """The run was killed. Nothing that it would still do has any effect: each further deed raises this again."""


class Life(World):
    """A host whose guest writes to a disk. `fault` comes in the place of the deed with the number `point`; a full disk stays full."""

    def __init__(self, folder, **options):
        super().__init__(folder, **options)
        self.point, self.fault, self.dead, self.full = None, None, False, False
        self.image = folder / "image"
        self.age, self.ages, self.saved_age = 0, {5: 0}, None
        self.this_boot = "first"
        # xl begins a new one for each domain that it creates under the guest's name.
        self.log = 1
        self._write()

    def _write(self):
        self.age += 1
        self.image.write_text("x" * self.age)
        os.utime(str(self.image), (self.age, self.age))

    def _starts(self, domid):
        others = [one for one in self.domains.values() if one.state == "running" and one.domid != domid]
        assert not others, "two write to one disk"
        assert self.ages[domid] == self.age, "memory that is older than the disk runs"
        self._write()
        self.ages[domid] = self.age

    def _set(self, domid, **values):
        if values.get("state") == "suspended":
            # It has written until now.
            self._write()
            self.ages[int(domid)] = self.age
        super()._set(domid, **values)
        if values.get("state") == "running":
            self._starts(int(domid))

    def _arrive(self, made=True, name=NAME):
        self.log += name == NAME
        domid = super()._arrive(made, name)
        self.ages[domid] = self.saved_age
        return domid

    def _migrate(self, *arguments):
        self.saved_age = None
        super()._migrate(*arguments)

    def _suspend(self):
        self._write()
        self.ages[5] = self.saved_age = self.age
        for domid in self.domains:
            # What arrives live has what this one had.
            if self.ages[domid] is None:
                self.ages[domid] = self.age
        super()._suspend()
        self.saved_age = self.ages[5]
        for domid, domain in self.domains.items():
            if domain.name == NAME + moves.INCOMING:
                self.ages[domid] = self.age

    def _save(self, domid, path):
        if self.full:
            raise _XlFails
        super()._save(domid, path)

    def run(self, argv):
        try:
            return super().run(argv)
        except _XlFails:
            return 1, "", "libxl: error: libxl_x.c:1:f:Domain 5:cannot write: No space left on device"

    def deed(self, name=None):
        if self.dead:
            raise Dead
        self.deeds += 1
        if self.deeds == self.point:
            self.dead = isinstance(self.fault, Dead)
            self.full = self.full or getattr(self.fault, "errno", None) == errno.ENOSPC
            raise self.fault

    def ways(self):
        return (
            super()
            .ways()
            ._replace(
                boot=lambda: self.this_boot,
                witness=lambda name, disks: dict(witness.take(name, disks), log=[self.log]),
                holders=lambda disks: [one.domid for one in self.domains.values() if one.domid in self.ages],
            )
        )

    def move(self, way="auto"):
        live = dict(LIVE, c_info={"type": self.kind}, disks=[{"pdev_path": str(self.image), "readwrite": 1}])
        text = xlcfg.edit(TEXT, {"type": self.kind, "disk": [str(self.image)]})
        return move_plan.plan_move(self.domains[5], (1,), way, text, live, 110 * MIB)

    @contextlib.contextmanager
    def files(self):
        """Within it deeds on files count, too, and come to nothing when the disk is full."""
        with pytest.MonkeyPatch.context() as patch:
            for name in mortal.FILE_DEEDS + ("mkdir",):
                patch.setattr(os, name, self._file_deed(name, getattr(os, name)))
            yield

    def _file_deed(self, name, real):
        def call(*arguments, **more):
            self.deed()
            if self.full and name in ("fsync", "mkdir"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            result = None if name == "fsync" else real(*arguments, **more)
            self.deed()
            return result

        return call

    def attempt(self, act):
        """Do something, with the fault; what it ends with."""
        self.deeds = 0
        with self.files():
            try:
                act()
            except (Failure, Dead, type(self.fault)) as error:
                return error
        return None

    def heals(self):
        """The fault is over."""
        self.point, self.dead, self.full = None, False, False

    def boots(self):
        """The host boots, with its files as they are."""
        self.this_boot, self.next, self.asked = "second", 1, False
        self.domains, self.memory, self.ages = {}, {}, {}
        self.free = {0: 500 * MIB, 1: 500 * MIB}

    def starts_afresh(self, uuid="f" * 32):
        """Somebody creates the guest from its configuration."""
        self.log += 1
        domid, self.next = self.next, self.next + 1
        self.domains[domid] = DomainState(domid, NAME, "paused", uuid, 0, 100 * MIB)
        self.memory[domid] = {0: 100 * MIB, 1: 0}
        self.ages[domid] = self.age
        self._unpause(domid)
        return domid

    def ends(self, domid):
        """It shuts down by itself."""
        self._write()
        del self.domains[domid], self.memory[domid], self.ages[domid]

    def mend(self, state="running", saved=None):
        journals = move_journal.journals(self.folders.journals)
        wanted = [guest_plan.Wanted(NAME, state, "/x", saved=saved)]
        return interrupted.mend(journals, wanted, self.ways())

    def waits(self):
        """What is on disk of a move. (A run that was killed before it was begun leaves its configuration, for the next move to replace.)"""
        return [name for name in self.left() if name.endswith((".move", ".save"))]

    def reasons(self):
        """Why nothing is done by itself about what waits."""
        return " ".join(entry["reason"] for entry in self.mend("stopped").left)

    def running(self):
        return [one.domid for one in self.domains.values() if one.state == "running" and one.name == NAME]


class _XlFails(Exception):
    """An xl that cannot write."""


OPTIONS = {
    "saved, room for both": {},
    "saved, its own memory in the way": {"free": 50},
    "live": {"kind": "pvh"},
    "live, then saved": {"kind": "hvm", "fail": {"migrate": 1}},
    "lands elsewhere": {"lands": 0},
    "restoring fails": {"fail": {"restore": 1}},
}
FAULTS = dict(mortal.FAULTS, error=lambda: ZeroDivisionError("an error of this program"))


def begin(folder, options):
    folder.mkdir()
    world = Life(folder, **dict(options, fail=dict(options.get("fail", {}))))
    if options.get("free"):
        world.memory[5] = {0: 40 * MIB, 1: 60 * MIB}
    return world


#: Of the points of a move, every so manieth is tried; which ones differs from test to test. With EVERY_POINT=1 all are.
STRIDE = 1 if os.environ.get("EVERY_POINT") else 13
TRIED = []


def each_point(tmp_path, options, fault):
    """A world for each point of a move, after a run with the fault there, and what it ended with."""
    point = len(tmp_path.name) % STRIDE + len(TRIED) % STRIDE - STRIDE
    while True:
        point += STRIDE
        if point < 1:
            continue
        TRIED.append(point)
        world = begin(tmp_path / str(point), options)
        world.point, world.fault = point, fault()
        error = world.attempt(world.go)
        if world.deeds < point:
            assert point > 25
            return
        mortal.TRIALS[str(world.fault) or type(world.fault).__name__] += 1
        world.heals()
        yield world, error, point


@pytest.mark.parametrize("options", OPTIONS, ids=list(OPTIONS))
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_goes_wrong_the_guest_goes_on_or_it_is_said_where_it_is(tmp_path, options, fault):
    for world, error, point in each_point(tmp_path, OPTIONS[options], FAULTS[fault]):
        said = " ".join([getattr(error, "message", "")] + world.warned)
        if not world.running():
            # Only where the guest's memory was in the way of itself.
            assert options == "saved, its own memory in the way", (point, said)
            assert "Its state is kept in " + str(world.folders.saves) in said, (point, said)
        elif isinstance(error, Failure) and "runs on as before" in error.message:
            assert world.running() == [5], point
        elif error is not None and isinstance(error, type(world.fault)) and not isinstance(error, Failure):
            assert fault in ("SystemExit", "KeyboardInterrupt"), (point, error)
        world.mend()
        ((_domid, domain),) = world.domains.items()
        assert (domain.name, domain.state) == (NAME, "running"), point
        assert not world.waits(), point


@pytest.mark.parametrize("options", OPTIONS, ids=list(OPTIONS))
def test_killed_at_any_point_the_next_run_ends_it(tmp_path, options):
    for world, _error, point in each_point(tmp_path, OPTIONS[options], Dead):
        world.mend()
        ((_domid, domain),) = world.domains.items()
        assert (domain.name, domain.state, world.waits()) == (NAME, "running", []), point


@pytest.mark.parametrize("fresh", ["runs", "ran", "never"])
@pytest.mark.parametrize("options", OPTIONS, ids=list(OPTIONS))
def test_after_a_boot_nothing_is_restored_by_itself(tmp_path, options, fresh):
    for world, _error, point in each_point(tmp_path, OPTIONS[options], Dead):
        world.boots()
        saved = [name for name in world.left() if name.endswith(".save")]
        whole = saved and move_journal.is_saved(os.path.join(world.folders.saves, saved[0]))
        why = world.reasons()
        domid = None if fresh == "never" else world.starts_afresh(UUID if point % 2 else "f" * 32)
        if fresh == "ran":
            world.ends(domid)
        world.calls.clear()
        for state in ("destroyed", "absent", "stopped"):
            mended = world.mend(state)
            assert (world.calls, len(mended.left)) == ([], int(bool(whole))), point
        if whole and fresh != "runs":
            with pytest.raises(Failure, match="saved: discard removes it; saved: restore") as caught:
                world.mend()
            assert saved[0] in caught.value.message
            assert caught.value.result["changed"] is False
        else:
            mended = world.mend()
            assert [saved[0] in entry["message"] for entry in mended.left] == [True] * bool(whole), point
        assert world.calls == []
        assert world.running() == ([domid] if fresh == "runs" else []), point
        world.fail = {}
        if whole and fresh == "never" and "certainly older" not in why:
            # The user knows better.
            assert "from its saved file" in world.mend(saved="restore").recovered[0]
            assert len(world.running()) == 1
        else:
            assert bool(world.mend(saved="discard").recovered) == bool(whole), point
            assert world.running() == ([domid] if fresh == "runs" else []), point
        assert not world.waits(), point


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=list(OPTIONS))
def test_a_guest_that_was_started_afresh_stays_and_its_old_memory_never_runs(tmp_path, options, ended):
    """In the same boot: the run was killed, somebody created the guest anew, perhaps it ended again, and only then comes the next task."""
    for world, _error, point in each_point(tmp_path, OPTIONS[options], Dead):
        if any(one.name == NAME for one in world.domains.values()):
            # xl does not create it then.
            continue
        domid = world.starts_afresh()
        if ended:
            world.ends(domid)
        with contextlib.suppress(Failure):
            world.mend()
        assert world.running() == ([] if ended else [domid]), point
        with contextlib.suppress(Failure):
            world.mend("destroyed")
        assert world.running() == ([] if ended else [domid]), point
        if not ended:
            world.ends(domid)
        with contextlib.suppress(Failure):
            world.mend()
        assert world.running() == [], point
        world.mend(saved="discard")
        assert not world.waits(), point
        assert not world.domains, point
