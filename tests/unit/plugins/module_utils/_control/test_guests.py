# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._control import guests, remains
from ansible_collections.dom0.xen.plugins.module_utils._control.guest_plan import (
    Decision,
    Wanted,
    decide,
)
from ansible_collections.dom0.xen.plugins.module_utils._control.guests import carry_out, forecast
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.xl import DomainState, Xl
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._control import mortal
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._control.test_guest_plan import (
    configs,
    want,
)

MIB = 1 << 20
DOM0 = DomainState(0, "Domain-0", "running")


class World(mortal.Mortal):
    """A host: domains, free memory by node, and time that passes while somebody sleeps. `xl` does to it what xl does.

    plans     name -> what that guest does: "end" (gone at once), "crash", "reborn", "preserve", "deaf", "zombie"
    """

    kept = ("domains", "next", "free", "plans", "calls", "now", "due", "looks")

    def __init__(self, *domains, **options):
        self.domains = {domain.domid: domain for domain in (DOM0,) + domains}
        self.next = max(self.domains) + 1
        self.free = dict(options.get("free", {0: 1000 * MIB, 1: 1000 * MIB}))
        self.plans = options.get("plans", {})
        self.fail = options.get("fail", {})
        self.calls = []
        self.now = 0.0
        self.due = []
        self.looks = 0
        self.host = guests.Host(
            Xl(self.run, self.list), lambda: dict(self.free), lambda: self.now, self.sleep
        )

    def sleep(self, seconds):
        self.now += seconds
        for item in [item for item in self.due if item[0] <= self.now]:
            self.due.remove(item)
            # By its name, so that it can come back from a child.
            (getattr(self, item[1]) if isinstance(item[1], str) else item[1])(*item[2:])

    def list(self):
        self.looks += 1
        for domain in list(self.domains.values()):
            # From the fifth look on it runs under another number.
            if self.plans.get(domain.name) == "reborn" and self.looks > 4:
                self.plans = {}
                self._rename(domain.domid)
        return sorted(self.domains.values())

    def run(self, argv):
        self.deed()
        self.calls.append(argv[1:])
        command, last = argv[1], argv[-1]
        if command in self.fail:
            return 1, "", self.fail[command]
        domain = self.domains.get(int(last)) if last.isdigit() else None
        if command == "create":
            self._create(last.split("/")[-1], "-p" in argv)
        elif command == "destroy":
            self.domains[domain.domid] = domain._replace(state="dying")
            if self.plans.get(domain.name) != "zombie":
                self.due.append((self.now + 2, "_mark", domain.domid, None))
        elif command == "shutdown":
            self._shutdown(domain)
        else:
            self.domains[domain.domid] = domain._replace(state="paused" if command == "pause" else "running")
        self.deed()
        return 0, "", ""

    def _create(self, name, paused):
        plan = self.plans.get(name)
        self.free[1] -= 100 * MIB
        if plan != "end":
            state = "crashed" if plan == "crash" else "paused" if paused else "running"
            for begun in (
                DomainState(self.next, None, "paused", made=False),
                DomainState(self.next, name, "paused", made=False),
            ):
                self.domains[self.next] = begun
                self.deed()
            self.domains[self.next] = DomainState(self.next, name, state)
        self.next += 1

    def _rename(self, domid):
        self.domains[self.next] = self.domains.pop(domid)._replace(domid=self.next)
        self.next += 1

    def _shutdown(self, domain):
        plan = self.plans.get(domain.name)
        if plan == "preserve":
            self.due.append((self.now + 5, "_mark", domain.domid, "shutdown"))
        elif plan != "deaf":
            self.due.append((self.now + 5, "_mark", domain.domid, None))

    def _mark(self, domid, state):
        """Let a domain be in that state, with None no more."""
        domain = self.domains.pop(domid, None)
        if domain is not None and state is not None:
            self.domains[domid] = domain._replace(state=state)


def run(world, *wanted):
    decisions, _warnings = decide(wanted, world.list(), configs(*[guest.name for guest in wanted]))
    return carry_out(decisions, world.host)


def test_a_restart_and_what_becomes_of_remains():
    world = World(DomainState(7, "web", "running"), plans={"web": "preserve"})
    with pytest.raises(Failure, match="its remains are kept .on_poweroff."):
        run(world, want("web", "restarted"))
    world = World(DomainState(7, "web", "running"))
    (result,) = run(world, want("web", "restarted"))
    assert (result["before"], result["state"], result["domid"]) == ("running", "running", 8)
    assert result["changed"]


def test_absent_takes_the_configuration_away():
    world = World(DomainState(7, "web", "running"), plans={"web": "preserve"})
    removed = []
    world.host = world.host._replace(remove=removed.append)
    (result,) = run(world, want("web", "absent"))
    assert (removed, result["state"], 7 in world.domains) == (["/etc/xen/web"], "absent", False)
    again = decide([want("web", "absent")], world.list(), {"/etc/xen/web": FileNotFoundError(2, "no")})[0][0]
    assert not again.changes


def test_creation_reads_memory_around_it():
    world = World()
    (result,) = run(world, want("web", nodes=(1,)))
    assert result == {
        "name": "web",
        "domid": 1,
        "changed": True,
        "before": "absent",
        "state": "running",
        "steps": ["create"],
        "free_before": {"0": 1000 * MIB, "1": 1000 * MIB},
        "free_after": {"0": 1000 * MIB, "1": 900 * MIB},
        "memory_delta_by_node": {"0": 0, "1": 100 * MIB},
        "moved_by": None,
        "note": None,
        "memory_before_by_node": None,
        "memory_by_node": None,
    }
    json.dumps(result)
    assert guests.difference(result)["before"] == {"state": "absent"}
    assert guests.difference(result)["after"] == {"state": "running"}


def test_a_second_run_does_nothing():
    world = World()
    wanted = [want("a"), want("b", "paused"), Wanted("c", "stopped"), Wanted("d", "destroyed")]
    assert [result["changed"] for result in run(world, *wanted)] == [True, True, False, False]
    calls = len(world.calls)
    again = run(world, *wanted)
    assert [result["changed"] for result in again] == [False] * 4
    assert [result["state"] for result in again] == ["running", "paused", "absent", "absent"]
    assert len(world.calls) == calls


def test_forecast_says_what_a_run_comes_to():
    running, paused = DomainState(3, "a", "running"), DomainState(4, "b", "paused")
    wanted = [want("a", "paused"), want("b"), want("c"), want("d", "paused"), want("e", "stopped")]
    world = World(running, paused, DomainState(5, "e", "blocked"))
    decisions, _warnings = decide(wanted, world.list(), configs(*"abcde"))
    expected = forecast(decisions, world.free)
    assert not world.calls
    done = carry_out(decisions, world.host)
    for key in ("name", "changed", "before", "state", "steps"):
        assert [result[key] for result in expected] == [result[key] for result in done]


@pytest.mark.parametrize(
    ("nodes", "free", "sentence"),
    [
        ((1,), {0: 900 * MIB, 1: 90 * MIB}, "needs 105 MiB free on node 1, where there are 90 MiB"),
        ((0, 1), {0: 900 * MIB, 1: 40 * MIB}, "needs 53 MiB free on node 1, where there are 40 MiB"),
        ((0, 1), {0: 4 * MIB, 1: 40 * MIB}, "on node 0, 1, where there are 4, 40 MiB"),
        ((2,), {0: 900 * MIB, 1: 900 * MIB}, "no memory on node 2 of this host; nodes with memory are 0, 1"),
    ],
)
def test_no_creation_where_memory_is_lacking(nodes, free, sentence):
    world = World(free=free)
    with pytest.raises(Failure, match=sentence):
        run(world, want("web", nodes=nodes))
    assert not world.calls
    decisions, _warnings = decide([want("web", nodes=nodes)], world.list(), configs("web"))
    with pytest.raises(Failure, match=sentence):
        forecast(decisions, free)


def test_forecast_counts_guests_together_until_memory_comes_back():
    free = {0: 250 * MIB}
    two = [want("a", nodes=(0,)), want("b", nodes=(0,))]
    three = two + [want("c", nodes=(0,))]
    decisions, _warnings = decide(three, [DOM0], configs(*"abc"))
    assert len(forecast(decisions[:2], free)) == 2
    with pytest.raises(Failure, match="guest 'c' was not created"):
        forecast(decisions, free)
    ending = Decision(Wanted("x", "destroyed"), 9, "running", ("destroy", "await_end"))
    assert len(forecast([ending] + decisions, free)) == 4


def test_what_was_done_before_a_failure_is_said():
    world = World(free={0: 1000 * MIB, 1: 250 * MIB})
    decisions, _warnings = decide([want(name, nodes=(1,)) for name in "abc"], world.list(), configs(*"abc"))
    with pytest.raises(Failure, match="guest 'c' was not created") as caught:
        carry_out(decisions, world.host)
    assert [result["name"] for result in caught.value.result["done"]] == ["a", "b"]
    assert caught.value.result["changed"] is True
    json.dumps(caught.value.result)


def test_a_failed_creation_carries_what_xl_said():
    world = World(fail={"create": "libxl: error: libxl_create.c:1:domcreate: Domain 1:no memory\n"})
    with pytest.raises(
        Failure, match="guest 'web' could not be created from /etc/xen/web: Domain 1:no memory"
    ) as caught:
        run(world, want("web"))
    assert caught.value.result["changed"] is False
    assert "domcreate" in caught.value.result["output"]


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        ("end", "without an error, but it is not there"),
        ("crash", r"created \(domain 1\) and has ended at once \(crashed\)"),
        ("reborn", r"created \(domain 1\) and ended soon after \(now: was started again as domain 2\)"),
    ],
)
def test_a_guest_that_dies_right_after_its_start_is_reported(plan, sentence):
    world = World(plans={"web": plan})
    with pytest.raises(Failure, match=sentence):
        run(world, want("web"))


def test_stopping_waits_until_the_guest_is_gone():
    world = World(DomainState(3, "web", "blocked"))
    (result,) = run(world, Wanted("web", "stopped"))
    assert (result["state"], result["domid"], result["changed"]) == ("absent", None, True)
    assert world.now >= 5


def test_a_guest_that_does_not_shut_down_is_reported_or_destroyed():
    world = World(DomainState(3, "web", "running"), plans={"web": "deaf"})
    with pytest.raises(
        Failure, match="domain 3 is still running 60 seconds after it was told to end"
    ) as caught:
        run(world, Wanted("web", "stopped", timeout=60))
    assert caught.value.result["changed"] is True
    (result,) = run(world, Wanted("web", "stopped", timeout=60, force=True))
    assert result["state"] == "absent"
    assert [call[0] for call in world.calls] == ["shutdown", "shutdown", "destroy"]


def test_a_guest_that_cannot_be_asked_is_reported_or_destroyed():
    world = World(DomainState(3, "web", "running"))
    world.fail["shutdown"] = "shutdown failed (rc=-9)"
    with pytest.raises(Failure, match="domain 3 could not be asked to shut down"):
        run(world, Wanted("web", "stopped"))
    (result,) = run(world, Wanted("web", "stopped", force=True))
    assert result["state"] == "absent"
    assert [call[0] for call in world.calls] == ["shutdown", "shutdown", "destroy"]


def test_a_guest_that_is_kept_after_shutdown_has_stopped():
    world = World(DomainState(3, "web", "running"), plans={"web": "preserve"})
    (result,) = run(world, Wanted("web", "stopped"))
    assert (result["state"], result["domid"]) == ("shutdown", 3)
    assert run(world, Wanted("web", "stopped"))[0]["changed"] is False


def test_memory_that_xen_cannot_take_back_is_reported():
    world = World(DomainState(3, "web", "running"), plans={"web": "zombie"})
    with pytest.raises(Failure, match="after 60 seconds Xen still holds memory of it"):
        run(world, Wanted("web", "destroyed", timeout=60))


def test_a_guest_that_comes_back_by_itself_is_not_stopped():
    world = World(DomainState(3, "web", "running"))

    def restart(domain):
        world.due.append((world.now + 5, lambda: world._rename(3)))

    world._shutdown = restart
    with pytest.raises(Failure, match="started again as domain 4: see on_poweroff"):
        run(world, Wanted("web", "stopped"))


def test_crashed_remains_make_room_for_a_new_start():
    world = World(DomainState(3, "web", "crashed"))
    (result,) = run(world, want("web", force=True))
    assert (result["domid"], result["state"], result["steps"]) == (
        4,
        "running",
        ["destroy", "await_end", "create"],
    )


BEGUN = DomainState(7, None, "paused", "7" * 32, made=False)


def test_what_a_killed_xl_had_not_even_named_is_destroyed():
    world = World(BEGUN, DomainState(8, "web", "paused", made=False))
    said = remains.sweep(world.host, act=True)
    assert sorted(world.domains) == [0, 8]
    assert world.calls == [["destroy", "7"]]
    assert len(said) == 1
    assert said[0].startswith("domain 7, which an xl had begun to build")


def test_in_check_mode_it_is_only_found():
    world = World(BEGUN)
    assert len(remains.sweep(world.host, act=False)) == 1
    assert (sorted(world.domains), world.calls) == ([0, 7], [])


@pytest.mark.parametrize(
    "other",
    [
        BEGUN._replace(made=True),
        BEGUN._replace(name="web"),
        BEGUN._replace(state="running"),
        BEGUN._replace(state="dying"),
    ],
)
def test_what_may_be_somebodys_is_left_alone_and_not_waited_for(other):
    world = World(other)
    assert remains.sweep(world.host, act=True) == []
    assert (world.calls, world.now) == ([], 0.0)


@pytest.mark.parametrize("now", [BEGUN._replace(name="web"), BEGUN._replace(uuid="8" * 32)])
def test_a_toolstack_that_is_slow_to_name_it_gets_time(now):
    world = World(BEGUN)
    world.due.append((5.0, lambda: world.domains.update({7: now})))
    assert remains.sweep(world.host, act=True) == []
    assert world.calls == []


def test_one_whose_memory_stays_is_said():
    world = World(BEGUN, plans={None: "zombie"})
    with pytest.raises(Failure, match="domain 7, .* still holds memory of it") as caught:
        remains.sweep(world.host, act=True)
    assert caught.value.result["changed"]


@pytest.mark.parametrize(
    ("actual", "state", "expected"),
    [
        (None, "running", "running"),
        (None, "paused", "paused"),
        ("running", "paused", "paused"),
        ("paused", "running", "running"),
        ("running", "stopped", None),
        ("running", "destroyed", None),
        ("running", "restarted", "running"),
    ],
)
def test_killed_anywhere_the_next_run_has_the_guest_as_wanted(tmp_path, actual, state, expected):
    kill = 0
    while True:
        kill += 1
        world = World(*([DomainState(7, "web", actual)] if actual else []))
        if world.in_child(tmp_path / "host", kill, lambda world=world: run(world, want("web", state))) != (
            mortal.KILLED
        ):
            break
        remains.sweep(world.host, act=True)
        run(world, want("web", state))
        found = [(domain.name, domain.state, domain.made) for domain in world.list() if domain.domid]
        assert found == ([("web", expected, True)] if expected else []), kill
    assert kill > 2
