# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is restored at boot, what is said about what cannot be, and that one entry's trouble is not another's."""

import contextlib
import copy
import errno

import pytest

pytest.importorskip("_cffi_backend")

from ansible_collections.dom0.xen.plugins.module_utils import _restore
from ansible_collections.dom0.xen.plugins.module_utils._control import affinity, boot_state, pool_steps
from ansible_collections.dom0.xen.plugins.module_utils._control.journal import Journal
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen


class Booted:
    """A host with the guests "disc web", "disc-db" and "disc-pvh", none of them pinned, and the first cpupool alone."""

    def __init__(self):
        self.heard = copy.deepcopy(recording("small-guests"))
        self.heard.data["sched_gran"] = {"0": "cpu"}
        self.names = self.heard.data.setdefault("cpupool_names", {})
        self.fake = FakeXen(self.heard.data)

    def look(self):
        return derive(RawHost(copy.deepcopy(self.heard.data), self.heard.components))

    def name(self, pool, text):
        self.names.pop(str(pool), None)
        if text is not None:
            self.names[str(pool)] = text

    def apply_pools(self, topology, plan, journal):
        with Xen(self.fake, machine="x86_64") as xen:
            hands = pool_steps.Hands(
                xen,
                journal,
                topology.complete_cpuset,
                self.name,
                lambda: {int(key): name for key, name in self.names.items()},
            )
            return pool_steps.carry_out(plan.steps, hands, lambda: pool_steps.check_cpupools(plan, hands))

    def apply_affinity(self, actions):
        with Xen(self.fake, machine="x86_64") as xen:
            affinity.apply_affinity(xen, actions)


@pytest.fixture
def host():
    return Booted()


@pytest.fixture
def restore(host, tmp_path, capfd):
    def run(*arguments, **state):
        path = tmp_path / "state.json"
        path.write_text(boot_state.written(boot_state.merged(None, **state)))
        journal = Journal(str(tmp_path / "moves.json"))
        status = _restore.main(list(arguments), host, str(path), contextlib.ExitStack, journal)
        return status, capfd.readouterr().out.splitlines()

    return run


POOLS = [{"name": "web pool", "cpus": "node:1", "domains": ["disc web", "nobody"]}]


def test_cpupools_then_affinity(host, restore):
    pins = [{"guest": "disc web", "vcpus": "0", "hard": "6"}, {"guest": "Domain-0", "hard": "node:0"}]
    status, said = restore(cpupools=POOLS, affinities=pins)
    assert status == 0
    assert host.fake.domain(2)["cpupool"] == 1
    assert [vcpu["hard"] for vcpu in host.fake.domain(2)["vcpus"]] == [[6]] + [[4, 5, 6, 7]] * 3
    assert [vcpu["hard"] for vcpu in host.fake.domain(0)["vcpus"]] == [[0, 1, 2, 3]] * 2
    assert "<6>'nobody' does not run: nothing to restore of it now" in said
    assert said[0] == "<6>Restoring 1 cpupools and 2 affinities before guests start"
    assert said[-1] == "<6>Done"
    status, said = restore("--guests", cpupools=POOLS, affinities=pins)
    assert (status, len(said)) == (0, 3)


def test_what_cannot_be_is_said_and_the_rest_is_done(host, restore):
    pools = [{"name": "gone", "cpus": "12-13"}, *POOLS]
    pins = [
        {"guest": "disc web", "hard": "0"},
        {"guest": "disc-db", "hard": "1"},
        {"guest": "disc-db", "nodes": "7"},
    ]
    status, said = restore(cpupools=pools, affinities=pins)
    assert status == 1
    assert any(
        line.startswith("<4>Cpupool 'gone' could not be restored: ") and "12-13" in line for line in said
    )
    assert any(line.startswith("<4>Affinity of 'disc web' could not be restored: ") for line in said)
    assert any(
        line.startswith("<4>Affinity of 'disc-db' could not be restored: ") and "7" in line for line in said
    )
    assert host.fake.pool(1)["cpus"] == [4, 5, 6, 7]
    assert [vcpu["hard"] for vcpu in host.fake.domain(3)["vcpus"]] == [[1], [1]]
    assert said[-1] == "<6>Done, but for what is said above"


def test_a_refusal_of_xen_leaves_the_others(host, restore):
    host.fake.on["setvcpuaffinity"] = lambda domid: host.fake.faults.update(
        setvcpuaffinity=errno.EPERM if domid == 2 else 0
    )
    status, said = restore(affinities=[{"guest": "disc web", "hard": "0"}, {"guest": "disc-db", "hard": "1"}])
    assert status == 1
    assert [vcpu["hard"] for vcpu in host.fake.domain(3)["vcpus"]] == [[1], [1]]
    assert any("one entry after the other" in line for line in said)
    assert sum(line.startswith("<4>") for line in said) == 1


@pytest.mark.parametrize("text", ["", "[]", '{"state": 2}', "[" * 100000, None])
def test_a_state_that_cannot_be_read(host, tmp_path, capfd, text):
    path = tmp_path / "state.json"
    if text is not None:
        path.write_text(text)
    assert _restore.main([], host, str(path), contextlib.ExitStack) == 1
    said = capfd.readouterr().out.splitlines()
    assert len(said) == 1
    assert said[0].startswith("<4>Nothing was restored: ")


def test_names_that_are_unknown_are_no_guests_that_do_not_run(host, restore):
    """With xenstored dead, each entry that needs a name fails with what to do, and those that do not are restored."""
    host.heard.data.pop("domain_names")
    host.names.clear()
    reason = "xenstored is not running: start it (systemctl start xen)."
    host.heard.components = [{"name": "xenstore", "priority": 40, "state": "passed_over", "reason": reason}]
    uuid = host.look().domain(3).uuid
    status, said = restore(
        cpupools=POOLS, affinities=[{"guest": "disc web", "hard": "0"}, {"guest": uuid, "hard": "1"}]
    )
    assert status == 1
    for what in ("Cpupool 'web pool'", "Affinity of 'disc web'"):
        assert any(line.startswith("<4>" + what) and reason in line for line in said)
    assert not any("does not run" in line for line in said)
    assert [vcpu["hard"] for vcpu in host.fake.domain(3)["vcpus"]] == [[1], [1]]


@pytest.mark.parametrize(
    "wrong",
    [{"hard": {"a": [1]}}, {"vcpus": {}, "hard": "1"}, {"vcpus": float("inf"), "hard": "1"}, {"nodes": True}],
)
def test_words_of_a_wrong_kind_cost_one_entry(host, restore, wrong):
    """What a task would be refused may be in a file that somebody has edited."""
    status, said = restore(affinities=[dict(wrong, guest="disc web"), {"guest": "disc-db", "hard": "1"}])
    assert status == 1
    assert sum(line.startswith("<4>Affinity of 'disc web' could not be restored: ") for line in said) == 1
    assert [vcpu["hard"] for vcpu in host.fake.domain(3)["vcpus"]] == [[1], [1]]


@pytest.mark.parametrize("policy", [7, {"a": 1}, ["x"], "no such policy"])
def test_a_policy_of_a_wrong_kind(host, restore, policy):
    _status, said = restore(
        cpupools=POOLS, broken_affinity=policy, affinities=[{"guest": "disc-db", "hard": "1"}]
    )
    assert said[-1].startswith("<6>Done")
    assert [vcpu["hard"] for vcpu in host.fake.domain(3)["vcpus"]] == [[1], [1]]


def test_an_error_that_was_not_foreseen_costs_one_entry(host, restore, monkeypatch):
    real = affinity.plan_affinity

    def plan(topology, entries, *more):
        if entries[0]["guest"] == "disc web":
            raise ZeroDivisionError("oh")
        return real(topology, entries, *more)

    monkeypatch.setattr(_restore.affinity, "plan_affinity", plan)
    status, said = restore(affinities=[{"guest": "disc web", "hard": "0"}, {"guest": "disc-db", "hard": "1"}])
    assert status == 1
    assert "<4>Affinity of 'disc web' could not be restored: ZeroDivisionError: oh" in said
    assert [vcpu["hard"] for vcpu in host.fake.domain(3)["vcpus"]] == [[1], [1]]


def test_a_host_that_cannot_be_asked(host, restore):
    def look():
        raise OSError(5, "Input/output error")

    host.look = look
    status, said = restore(cpupools=POOLS, affinities=[{"guest": "disc web", "hard": "0"}])
    assert status == 1
    assert sum(line.startswith("<4>") and "Input/output error" in line for line in said) == 2
    assert said[-1] == "<6>Done, but for what is said above"


def test_nobody_listens(monkeypatch):
    """The journal may be away, or its pipe full of holes: what is restored does not depend on it."""

    def write(descriptor, data):
        raise BrokenPipeError

    monkeypatch.setattr(_restore.os, "write", write)
    _restore.say(_restore.INFO, "x")


def test_names_stay_on_one_line(capfd):
    _restore.say(_restore.INFO, "cpupool 'two\nlines\x1b[0m' made")
    assert capfd.readouterr().out == "<6>cpupool 'two\\nlines\\x1b[0m' made\n"


def test_sections_are_replaced_one_by_one():
    first = boot_state.merged(None, cpupools=[{"name": "a", "cpus": "1", "scheduler": None}])
    second = boot_state.merged(first, affinities=[{"guest": "web", "hard": "1"}], cpupools=None)
    assert second["cpupools"] == [{"name": "a", "cpus": "1"}]
    assert boot_state.read_state(boot_state.written(second).encode()) == second
    assert boot_state.merged(second, cpupools=[], broken_affinity="nearest")["cpupools"] == []
    with pytest.raises(Failure, match="format 1"):
        boot_state.read_state(b'{"state": 3}')
