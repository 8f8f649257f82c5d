# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moving guests, on a made-up host: what goes wrong, and a run that is killed between any two of its deeds."""

import os

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._control import (
    guest_plan,
    guests,
    move_journal,
    move_plan,
    moves,
)
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xlcfg
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.xl import DomainState, Xl
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._control import mortal

MIB = 1 << 20
UUID = "0123456789abcdef0123456789abcdef"
DASHED = "01234567-89ab-cdef-0123-456789abcdef"
NAME = '-odd "name"\nof two lines'
TEXT = xlcfg.edit("", {"name": NAME, "vcpus": 2, "memory": 100, "cpus": ["4", "4"]})
LIVE = {
    "c_info": {"type": "pv"},
    "b_info": {"max_vcpus": 2, "max_memkb": 100 << 10, "target_memkb": 100 << 10},
}


class World(mortal.Mortal):
    """A host with one guest on node 0.

    fail    command -> how often it fails; "restore" fails after it has left a half-built domain, as an xl that is killed does
    late    the guest takes up a request to suspend only when somebody waits; a killed xl has sent it
    deaf    the guest does not hear of it at all
    """

    kept = ("free", "fail", "domains", "memory", "asked", "time", "next", "calls")

    def __init__(self, folder, **options):
        self.folders = move_journal.Folders(
            str(folder / "journals"), str(folder / "saves"), lambda folder: self.room
        )
        self.room = options.get("room", 1000 * MIB)
        self.kind = options.get("kind", "pv")
        self.free = {0: 500 * MIB, 1: options.get("free", 500) * MIB}
        self.fail = dict(options.get("fail", {}))
        self.lands = options.get("lands", 1)
        self.domains = {5: DomainState(5, NAME, "running", UUID, 10, 100 * MIB)}
        self.memory = {5: {0: 100 * MIB, 1: 0}}
        self.late, self.deaf, self.asked = options.get("late", False), options.get("deaf", False), False
        self.dies = options.get("dies", False)
        self.time = 0.0
        self.next = 6
        self.calls = []
        self.warned = []

    def ways(self):
        return moves.Ways(
            Xl(self.run, lambda: list(self.domains.values())),
            lambda: dict(self.memory),
            lambda: dict(self.free),
            self.folders,
            lambda: self.time,
            self.wait,
            moves.Suspension(self.resume, self.recall),
            self.warned.append,
        )

    def wait(self, seconds):
        self.time += seconds
        if self.asked and not self.deaf:
            self.asked = False
            self._set(5, state="suspended")

    def resume(self, domid):
        self.deed()
        if self.domains[domid].state == "suspended":
            if self.fail.get("resume", 0) > 0:
                self.fail["resume"] -= 1
                raise Failure("Xen does not know resumedomain.")
            self._set(domid, state="crashed" if self.dies else "paused")
        self.calls.append("resume")
        self.deed()

    def recall(self, domid):
        self.deed()
        there, self.asked = self.asked and self.deaf, self.asked and not self.deaf
        return there

    def run(self, argv):
        self.deed()
        command, arguments = argv[1], argv[2:]
        self.calls.append(command)
        if self.fail.get(command, 0) > 0:
            self.fail[command] -= 1
            if command == "restore":
                self._arrive(made=False)
            return 1, "", "libxl: error: libxl_x.c:1:f:Domain 5:no {0}".format(command)
        result = getattr(self, "_" + command)(*[item for item in arguments if item not in ("-p", "--", "-l")])
        self.deed()
        return 0, result or "", ""

    def _set(self, domid, **values):
        self.domains[int(domid)] = self.domains[int(domid)]._replace(**values)

    def _suspend(self):
        self.asked = True
        self.deed("asked")
        self.asked = False
        self._set(5, state="suspended")
        self.deed("suspended")

    def _save(self, domid, path):
        with open(path, "wb") as stream:
            self.deed()
            stream.write(b"Xen saved domain, xl format\n \0 \r")
            stream.flush()
            self._suspend()
            stream.write(bytes(64))
            stream.flush()
            self.deed("saved")
        self._set(domid, state="paused")

    def _pause(self, domid):
        if self.domains[int(domid)].state != "suspended":
            self._set(domid, state="paused")

    def _rename(self, domid, name):
        assert all(domain.name != name for domain in self.domains.values())
        self._set(domid, name=name)

    def _arrive(self, made=True, name=NAME):
        assert all(domain.name != name for domain in self.domains.values())
        self.domains[self.next] = DomainState(self.next, name, "paused", UUID, 0, 100 * MIB, made)
        self.memory[self.next] = {self.lands: 100 * MIB, 1 - self.lands: 0}
        self.free[self.lands] -= 100 * MIB
        assert self.free[self.lands] >= 0
        self.next += 1
        return self.next - 1

    def _restore(self, config, path):
        with open(config, "rb") as stream:
            text = xlcfg.parse(xlcfg.decode(stream.read()))
        assert (text.string("name"), text.string("uuid")) == (NAME, DASHED)
        assert os.path.exists(path)
        self._arrive()

    def _unpause(self, domid):
        if self.domains[int(domid)].state == "paused":
            self._set(domid, state="running", cpu_time=self.domains[int(domid)].cpu_time + 1)

    def _destroy(self, domid):
        del self.domains[int(domid)]
        for node, size in self.memory.pop(int(domid)).items():
            self.free[node] += size

    def _migrate(self, *arguments):
        domid = self._arrive(made=False, name=NAME + moves.INCOMING)
        self._suspend()
        self._set(domid, made=True)
        self.deed()
        self._rename(5, NAME + moves.AWAY)
        self.deed()
        self._rename(domid, NAME)
        self.deed()
        self._unpause(domid)
        self.deed()
        self._destroy(5)

    def move(self, way="auto"):
        live = dict(LIVE, c_info={"type": self.kind})
        text = xlcfg.edit(TEXT, {"type": self.kind})
        return move_plan.plan_move(self.domains[5], (1,), way, text, live, 110 * MIB)

    def go(self, way="auto"):
        return moves.carry_out(self.move(way), self.ways())

    def left(self):
        return [name for folder in self.folders[:2] if os.path.isdir(folder) for name in os.listdir(folder)]

    def guest(self):
        """The one domain there is: its state, and where its memory is."""
        ((domid, domain),) = self.domains.items()
        assert domain.name == NAME
        return domain.state, {node for node, size in self.memory[domid].items() if size}


def test_a_pv_guest_is_saved_and_restored(tmp_path):
    world = World(tmp_path)
    result = world.go()
    assert result == {
        "domid": 6,
        "moved_by": "save",
        "note": None,
        "memory_by_node": {"0": 0, "1": 100 * MIB},
    }
    assert world.calls == ["save", "rename", "restore", "unpause", "destroy"]
    assert (world.guest(), world.left()) == (("running", {1}), [])
    assert world.free == {0: 600 * MIB, 1: 400 * MIB}


def test_others_go_live_and_where_that_fails_are_saved(tmp_path):
    world = World(tmp_path, kind="pvh")
    assert world.go()["moved_by"] == "live"
    assert world.calls == ["migrate"]
    world = World(tmp_path, kind="hvm", fail={"migrate": 1})
    result = world.go()
    assert (result["moved_by"], "no migrate" in result["note"]) == ("save", True)
    assert (world.guest(), world.left()) == (("running", {1}), [])
    world = World(tmp_path, kind="hvm", fail={"migrate": 1})
    with pytest.raises(Failure, match="could not be migrated live"):
        world.go("live")
    assert (world.guest(), world.left()) == (("running", {0}), [])


@pytest.mark.parametrize("command", ["save", "rename", "restore"])
def test_what_fails_is_taken_back(tmp_path, command):
    world = World(tmp_path, fail={command: 1})
    with pytest.raises(Failure, match="was not moved, and runs on as before: .*no " + command) as caught:
        world.go()
    assert caught.value.result["changed"] is False
    assert (world.guest(), world.left()) == (("running", {0}), [])


def test_memory_that_would_land_elsewhere_is_taken_back(tmp_path):
    world = World(tmp_path, lands=0)
    with pytest.raises(Failure, match="runs on as before: .*100 MiB on node 0.*set cpus"):
        world.go()
    assert (world.guest(), world.left()) == (("running", {0}), [])


def test_without_room_for_both_the_file_is_the_bridge(tmp_path):
    world = World(tmp_path, free=50)
    # Half of it is on the node already.
    world.memory[5] = {0: 40 * MIB, 1: 60 * MIB}
    assert world.go()["moved_by"] == "save"
    assert world.calls == ["save", "rename", "destroy", "restore", "unpause"]
    assert (world.guest(), world.left()) == (("running", {1}), [])


def test_a_file_that_is_all_there_is_stays_and_is_named(tmp_path):
    world = World(tmp_path, free=50, fail={"restore": 1})
    world.memory[5] = {0: 40 * MIB, 1: 60 * MIB}
    with pytest.raises(Failure, match="Its state is kept in .*xl restore") as caught:
        world.go()
    assert os.path.exists(caught.value.result["saved_file"])
    assert caught.value.result["changed"] is True
    # The next run goes on from there.
    (journal,) = move_journal.journals(world.folders.journals)
    assert "from its saved file" in moves.recover(journal, world.ways())
    assert (world.guest(), world.left()) == (("running", {1}), [])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"free": 5}, "needs 110 MiB free on node 1, where there are 5 MiB"),
        ({"room": 50 * MIB}, "saving it takes 132 MiB in .*where there are 50 MiB"),
    ],
)
def test_room_is_looked_for_first(tmp_path, options, sentence):
    world = World(tmp_path, **options)
    with pytest.raises(Failure, match=sentence):
        world.go()
    assert (world.calls, world.guest(), world.left()) == ([], ("running", {0}), [])


def mend(world):
    """What the next run does about each move that was begun; the sentences."""
    return [moves.recover(journal, world.ways()) for journal in move_journal.journals(world.folders.journals)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kind": "pvh"},
        {"free": 50},
        {"lands": 0},
        {"fail": {"restore": 1}},
        {"deaf": True},
        {"fail": {"resume": 1}},
    ],
)
def test_killed_anywhere_the_next_run_ends_it(tmp_path, options):
    """A run is killed, for real, at every fourth of its deeds, those on files included, and so is the run that mends it; a third one mends.

    With EVERY_POINT=1 at each. (test_move_faults.py has each point too, in one process.)
    """
    stride = 1 if os.environ.get("EVERY_POINT") else 4
    kill, reached = len(str(options)) % stride, set()

    while True:
        kill += stride
        folder = tmp_path / str(kill)
        folder.mkdir()
        world = World(folder, **options)
        if options.get("free"):
            world.memory[5] = {0: 40 * MIB, 1: 60 * MIB}
        if world.in_child(folder / "host", kill, world.go) != mortal.KILLED:
            break
        # The mending run is killed, too: of its deeds at every fourth, and at others the next time.
        for again in range(1 + kill % 6, 20, 6):
            said = world.in_child(folder / "host", again, lambda world=world: mend(world))
            if said is None:
                break
            # It says so when it cannot, and the next one can.
            assert said == mortal.KILLED or "Mend that and run this again" in said, kill
        mend(world)
        state, nodes = world.guest()
        assert state == "running", kill
        reached.add(frozenset(nodes))
        assert not [name for name in world.left() if name.endswith((".move", ".save"))], kill
    assert kill > 20
    # Each end was reached in one of the ways: the old state, and where the move can come to an end, the new one.
    assert reached >= (
        {frozenset({0})} if "lands" in options else {frozenset({1})} if options == {} else set()
    )


def suspended(tmp_path, **options):
    """A world where a run was killed with its xl in the middle of saving, or (late) right after that had asked the guest to suspend."""
    kill = options.pop("kill", "suspended")
    world = World(tmp_path, **options)
    assert world.in_child(tmp_path / "host", kill, world.go) == mortal.KILLED
    return world


def test_a_guest_that_stands_still_is_let_go_on(tmp_path):
    world = suspended(tmp_path)
    assert world.domains[5].state == "suspended"
    assert "runs on as before" in mend(world)[0]
    assert world.calls[-3:] == ["pause", "resume", "unpause"]
    assert (world.guest(), world.left()) == (("running", {0}), [])
    (warning,) = world.warned
    assert "(domain 5) goes on after it was suspended" in warning
    assert "nobody acts on its on_poweroff" in warning


def test_a_request_to_suspend_that_is_under_way_is_waited_for(tmp_path):
    world = suspended(tmp_path, kill="asked")
    assert (world.domains[5].state, world.asked) == ("running", True)
    assert "runs on as before" in mend(world)[0]
    assert world.calls[-3:] == ["pause", "resume", "unpause"]
    assert (world.guest(), world.left()) == (("running", {0}), [])


def test_a_request_to_suspend_that_nobody_took_up_is_taken_back(tmp_path):
    world = suspended(tmp_path, kill="asked", deaf=True)
    assert "runs on as before" in mend(world)[0]
    assert (world.asked, world.time, world.calls[-1]) == (False, 0.0, "save")
    assert (world.guest(), world.left()) == (("running", {0}), [])
    # It has not been suspended, so whoever watches over it still does.
    assert world.warned == []


def test_a_guest_that_cannot_go_on_is_restored_or_its_loss_is_named(tmp_path):
    world = suspended(tmp_path, kill="saved", fail={"resume": 1})
    assert "from its saved file" in mend(world)[0]
    assert (world.guest(), world.left()) == (("running", {1}), [])
    (tmp_path / "x").mkdir()
    world = suspended(tmp_path / "x", dies=True)
    with pytest.raises(
        Failure, match="domain 5, which alone has its state, ended as soon as it went on"
    ) as caught:
        mend(world)
    assert "destroy domain 5, remove " in caught.value.message
    assert caught.value.result["changed"] is False


@pytest.mark.parametrize(
    ("state", "force", "steps"),
    [
        ("running", True, ("resume",)),
        ("destroyed", False, ("destroy", "await_end")),
        ("stopped", True, ("destroy", "await_end")),
        ("restarted", True, ("destroy", "await_end", "create")),
        ("running", False, None),
        ("stopped", False, None),
        ("paused", True, None),
        ("moved", True, None),
    ],
)
def test_a_guest_that_somebody_else_has_suspended(tmp_path, state, force, steps):
    world = World(tmp_path)
    world._set(5, state="suspended")
    wanted = guest_plan.Wanted(NAME, state, "/x", nodes=(1,) if state == "moved" else None, force=force)
    files = {"/x": xlcfg.encode(TEXT)}
    if steps is None:
        with pytest.raises(
            Failure, match="is suspended: somebody is saving or migrating it.*running and force"
        ):
            guest_plan.decide([wanted], world.ways().xl.domains(), files)
        return
    (decision,), _warnings = guest_plan.decide([wanted], world.ways().xl.domains(), files)
    assert (decision.steps, decision.changes) == (steps, True)
    if steps == ("resume",):
        ways = world.ways()
        host = guests.Host(ways.xl, lambda: world.free, suspension=ways.suspension, warn=ways.warn)
        (result,) = guests.carry_out([decision], host)
        assert ["nobody acts on its on_poweroff" in warning for warning in world.warned] == [True]
        assert (result["state"], result["before"], result["changed"]) == ("running", "suspended", True)


def test_a_move_is_decided_by_where_memory_is(tmp_path):
    world = World(tmp_path)
    wanted = guest_plan.Wanted(NAME, "moved", "/x", nodes=(1,))
    known = guest_plan.Known(lambda: world.memory, lambda domid: LIVE)
    files = {"/x": xlcfg.encode(TEXT)}
    (decision,), _warnings = guest_plan.decide([wanted], world.ways().xl.domains(), files, known=known)
    assert (decision.steps, decision.move.way) == (("move",), "save")
    (foretold,) = guests.forecast([decision], world.free)
    host = guests.Host(
        world.ways().xl, lambda: world.free, lambda: 0.0, lambda _s: None, lambda: world.memory, world.folders
    )
    (result,) = guests.carry_out([decision], host)
    for key in ("changed", "moved_by", "steps", "state", "before", "memory_before_by_node"):
        assert foretold[key] == result[key]
    assert guests.difference(result)["after"]["memory"] == "node 1: 100 MiB"
    (decision,), _warnings = guest_plan.decide([wanted], world.ways().xl.domains(), files, known=known)
    assert (decision.steps, decision.changes) == ((), False)
    with pytest.raises(Failure, match="does not run, so there is nothing to move"):
        guest_plan.decide([wanted], [], files, known=known)
    interrupted = known._replace(interrupted=frozenset([NAME]))
    (decision,), _warnings = guest_plan.decide([wanted], [], files, known=interrupted)
    assert decision.steps == ("recover",)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"state": "moved", "config": "/x"}, "nodes must say where"),
        ({"state": "moved", "nodes": [1]}, "config must be given to have it moved"),
        ({"state": "restarted"}, "config must be given to have it restarted"),
    ],
)
def test_what_a_move_needs(entry, sentence):
    with pytest.raises(Failure, match=sentence):
        guest_plan.wanted_guests([dict(entry, name="web")])
