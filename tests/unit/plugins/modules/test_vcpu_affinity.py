# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""vcpu_affinity against a hypervisor that plays the recording of a real host."""

import contextlib
import copy
import errno

import pytest

pytest.importorskip("ansible.module_utils.basic")
pytest.importorskip("_cffi_backend")

from ansible_collections.dom0.xen.plugins.module_utils import _settled
from ansible_collections.dom0.xen.plugins.module_utils._control import patience
from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.plugins.modules import vcpu_affinity
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen
from ansible_collections.dom0.xen.tests.unit.plugins.modules.running import run, warnings_of


@pytest.fixture
def host(monkeypatch):
    """Domain-0, "disc web" (4 vCPUs, hard 4-7), "disc-db" (2 vCPUs, soft 0-3) and "disc-pvh" on eight CPUs."""
    heard = copy.deepcopy(recording("small-guests"))
    fake = FakeXen(heard.data)
    # what is heard is a copy, as it is on a real host
    monkeypatch.setattr(
        _settled.authoritative,
        "ask",
        lambda subset, open_xen: RawHost(copy.deepcopy(heard.data), heard.components),
    )
    monkeypatch.setattr(vcpu_affinity, "open_xen", lambda module: Xen(fake))
    monkeypatch.setattr(_settled, "open_xen", lambda module: Xen(fake))
    monkeypatch.setattr(vcpu_affinity, "host_lock", lambda module: contextlib.ExitStack())
    return fake


WANTED = [
    {"guest": "disc web", "hard": "node:0", "soft": "0-1"},
    {"guest": "3", "vcpus": "1", "hard": "4"},
    {"guest": "disc-pvh", "hard": "2-3"},
]


def masks(fake, domid):
    return [(vcpu["hard"], vcpu["soft"]) for vcpu in fake.domain(domid)["vcpus"]]


def test_sets_what_differs_and_then_nothing(monkeypatch, capsys, host):
    result = run(monkeypatch, capsys, vcpu_affinity, affinities=WANTED)
    assert result["changed"] is True
    assert masks(host, 2) == [([0, 1, 2, 3], [0, 1])] * 4
    assert masks(host, 3) == [(list(range(8)), [0, 1, 2, 3]), ([4], [0, 1, 2, 3])]
    assert [(guest["name"], guest["changed"]) for guest in result["guests"]] == [
        ("disc web", True),
        ("disc-db", True),
        ("disc-pvh", False),
    ]
    assert result["guests"][1]["vcpus"] == [
        {
            "vcpu": 1,
            "hard_before": "all",
            "hard": "4",
            "hard_effective": "4",
            "soft_before": "0-3",
            "soft": "0-3",
            "soft_effective": "",
        }
    ]
    assert [diff["before_header"] for diff in result["diff"]] == ["disc web (domid 2)", "disc-db (domid 3)"]
    assert result["diff"][1]["after"] == {"vCPU 1": "hard 4 / soft 0-3"}
    assert any("vCPU 1 of disc-db (domid 3)" in warning for warning in warnings_of(result))
    assert host.asked.count("setvcpuaffinity") == 5

    again = run(monkeypatch, capsys, vcpu_affinity, affinities=WANTED)
    assert again["changed"] is False
    assert again["diff"] == []
    assert host.asked.count("setvcpuaffinity") == 5


def test_check_mode_says_the_same_and_does_nothing(monkeypatch, capsys, host):
    before = copy.deepcopy(host.data)
    checked = run(monkeypatch, capsys, vcpu_affinity, check_mode=True, affinities=WANTED)
    assert host.asked == []
    assert host.data == before
    done = run(monkeypatch, capsys, vcpu_affinity, affinities=WANTED)
    assert checked == done


def test_all_reaches_cpus_that_do_not_exist_yet(monkeypatch, capsys, host):
    host.data["physinfo"]["max_cpu_id"] = 15
    run(monkeypatch, capsys, vcpu_affinity, affinities=[{"guest": "disc web", "hard": "all"}])
    vcpu = host.domain(2)["vcpus"][0]
    assert vcpu["hard"] == list(range(16)) or vcpu["hard_all"]


def test_nothing_is_set_when_one_entry_is_wrong(monkeypatch, capsys, host):
    result = run(monkeypatch, capsys, vcpu_affinity, affinities=[*WANTED, {"guest": "nobody", "hard": "0"}])
    assert result["failed"]
    assert result["msg"].startswith("affinities[3] (guest nobody): there is no domain 'nobody'")
    assert host.asked == []


def test_a_guest_that_ends_meanwhile(monkeypatch, capsys, host):
    def end_the_second(domid):
        if domid == 3:
            host.forget(3)

    before = masks(host, 2)
    host.on["setvcpuaffinity"] = end_the_second
    result = run(monkeypatch, capsys, vcpu_affinity, affinities=WANTED)
    assert result["failed"]
    assert result["msg"].startswith("disc-db (domid 3): ")
    assert "What had been set before was set back" in result["msg"]
    assert [(entry["domid"], entry["vcpus"]) for entry in result["rolled_back"]] == [(2, "0-3")]
    assert result["done"] == []
    assert masks(host, 2) == before
    assert "Traceback" not in str(result)


def test_a_pin_that_the_guest_holds_itself(monkeypatch, capsys, host):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(
        patience.Patience.__init__, "__defaults__", (0.0, *patience.Patience.__init__.__defaults__[1:])
    )
    host.faults["setvcpuaffinity"] = errno.EBUSY
    result = run(monkeypatch, capsys, vcpu_affinity, affinities=[{"guest": 2, "hard": "0"}])
    assert result["failed"]
    assert "force: true" in result["msg"]
    assert result["done"] == []
    # for a moment only: tried again
    host.faults["setvcpuaffinity"] = [errno.EBUSY, errno.EBUSY]
    monkeypatch.setattr(
        patience.Patience.__init__, "__defaults__", (10.0, *patience.Patience.__init__.__defaults__[1:])
    )
    result = run(monkeypatch, capsys, vcpu_affinity, affinities=[{"guest": 2, "hard": "0"}])
    assert result["changed"]
    assert masks(host, 2)[0][0] == [0]


PLAN = {
    "guests": [
        {"name": "disc web", "host": "alpha", "action": "repin", "hard": "0-3", "soft": "all", "nodes": [0]},
        {"name": "disc-db", "host": "alpha", "action": "restart", "hard": "4-7", "soft": "all", "nodes": [1]},
        {"name": "disc-db", "host": "beta", "action": "keep", "hard": "4-7", "soft": "all", "nodes": [1]},
        {"name": "new", "host": "alpha", "action": "create", "hard": "4-7", "soft": "all", "nodes": [1]},
    ]
}


def test_a_plan_pins_running_guests_to_their_memory(monkeypatch, capsys, host):
    checked = run(monkeypatch, capsys, vcpu_affinity, check_mode=True, plan=PLAN, plan_host="alpha")
    result = run(monkeypatch, capsys, vcpu_affinity, plan=PLAN, plan_host="alpha")
    assert checked == result
    assert [guest["name"] for guest in result["guests"]] == ["disc web"]
    assert masks(host, 2) == [([0, 1, 2, 3], list(range(8)))] * 4
    assert run(monkeypatch, capsys, vcpu_affinity, plan=PLAN, plan_host="alpha")["changed"] is False


def test_single_entries_take_what_the_plan_has(monkeypatch, capsys, host):
    wanted = [{"guest": "disc-db", "vcpus": 0, "hard": "planned", "nodes": "planned"}]
    refused = run(monkeypatch, capsys, vcpu_affinity, affinities=wanted, plan=PLAN)
    assert "more than one guest 'disc-db'" in refused["msg"]
    refused = run(monkeypatch, capsys, vcpu_affinity, affinities=wanted)
    assert "no plan is given" in refused["msg"]
    result = run(monkeypatch, capsys, vcpu_affinity, affinities=wanted, plan=PLAN, plan_host="beta")
    assert [vcpu["hard"] for vcpu in result["guests"][0]["vcpus"]] == ["4-7"]
    assert (result["guests"][0]["nodes_before"], result["guests"][0]["nodes"]) == ("0", "1")
    assert host.domain(3)["node_affinity"] == [1]
    result = run(monkeypatch, capsys, vcpu_affinity, affinities=[{"guest": "disc-db", "nodes": "auto"}])
    assert result["diff"][0]["before"] == {"nodes": "1"}
    assert result["diff"][0]["after"] == {"nodes": "0"}


@pytest.mark.parametrize("nodes", ["9", "none", "x", []])
def test_nodes_that_are_not_there(monkeypatch, capsys, host, nodes):
    result = run(monkeypatch, capsys, vcpu_affinity, affinities=[{"guest": "disc web", "nodes": nodes}])
    assert result["msg"].startswith("affinities[0] (guest disc web): nodes")
    assert host.asked == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"guest": "disc web"}, "affinities[0] (guest disc web): it has neither hard nor soft nor nodes"),
        ({"hard": "0"}, "missing required arguments: guest"),
        ({"guest": "disc web", "hard": "0", "cpus": "0"}, "Unsupported parameters"),
        ("disc web", "dict"),
    ],
)
def test_a_malformed_entry(monkeypatch, capsys, host, entry, said):
    result = run(monkeypatch, capsys, vcpu_affinity, affinities=[entry])
    assert result["failed"]
    assert said in result["msg"]
    assert host.asked == []


def test_no_entry(monkeypatch, capsys, host):
    result = run(monkeypatch, capsys, vcpu_affinity, affinities=[])
    assert (result["changed"], result["guests"], result["diff"]) == (False, [], [])


class Killed(BaseException):
    """SIGKILL: nothing after it runs."""


def test_a_run_that_is_killed_at_any_point_is_finished_by_the_next(monkeypatch, capsys, host):
    heard = copy.deepcopy(host.data)
    whole = run(monkeypatch, capsys, vcpu_affinity, affinities=WANTED)
    outcome = [masks(host, domid) for domid in (2, 3, 4)]
    assert whole["changed"]
    for point in range(host.asked.count("setvcpuaffinity")):
        host.data.clear()
        host.data.update(copy.deepcopy(heard))
        begun = host.asked.count("setvcpuaffinity")

        def kill(domid, last=begun + point + 1):
            if host.asked.count("setvcpuaffinity") == last:
                raise Killed

        host.on["setvcpuaffinity"] = kill
        with pytest.raises(Killed):
            run(monkeypatch, capsys, vcpu_affinity, affinities=WANTED)
        host.on.clear()
        run(monkeypatch, capsys, vcpu_affinity, affinities=WANTED)
        assert [masks(host, domid) for domid in (2, 3, 4)] == outcome


def test_what_a_killed_run_has_left_is_done_first(monkeypatch, capsys, host, left_by_a_killed_run):
    journal = left_by_a_killed_run(host, 2, hard=[4, 5], soft=[5])
    wanted = [{"guest": "disc web", "vcpus": "3", "hard": "6"}]
    checked = run(monkeypatch, capsys, vcpu_affinity, check_mode=True, affinities=wanted)
    assert masks(host, 2) == [(list(range(8)), list(range(8)))] * 4
    done = run(monkeypatch, capsys, vcpu_affinity, affinities=wanted)
    assert masks(host, 2) == [([4, 5], [5])] * 3 + [([6], [5])]
    assert done["changed"] is True
    assert done["recovered"] == checked["recovered"]
    assert done["recovered"] == [
        "affinity of disc web (domid 2) put back, which a run that was killed had lifted"
    ]
    assert done["diff"] == checked["diff"]
    assert done["diff"][0]["after"]["vCPU 0"] == "hard 4-5 / soft 5"
    assert journal.load() == []
    again = run(monkeypatch, capsys, vcpu_affinity, affinities=wanted)
    assert (again["changed"], again["recovered"], again["diff"]) == (False, [], [])


def test_what_a_killed_run_has_left_and_cannot_be_done_yet(monkeypatch, capsys, host, left_by_a_killed_run):
    journal = left_by_a_killed_run(host, 2, hard=[4, 5], soft=[5])
    host.pool(0)["cpus"] = [0, 1, 2, 3, 6, 7]
    host.data["cpupool_free"] = [4, 5]
    done = run(monkeypatch, capsys, vcpu_affinity, affinities=[{"guest": "disc-db", "hard": "1"}])
    assert any(
        "disc web (domid 2) lost its affinity when a run was killed" in text for text in warnings_of(done)
    )
    assert done["recovered"] == []
    assert len(journal.load()) == 1


def test_without_names_a_plan_is_not_for_nobody(monkeypatch, capsys, host):
    """Its guests are looked up by name: that none is found must not pass for nothing to do."""
    silent = {
        "name": "xenstore",
        "priority": 40,
        "state": "passed_over",
        "reason": "xenstored is not running.",
    }
    data = copy.deepcopy(host.data)
    for section in ("domain_names", "cpupool_names"):
        data.pop(section, None)
    monkeypatch.setattr(_settled.authoritative, "ask", lambda subset, open_xen: RawHost(data, [silent]))
    plan = {"guests": [{"name": "disc web", "host": "a", "action": "keep", "hard": "1", "soft": "1"}]}
    for arguments in ({"plan": plan}, {"affinities": [{"guest": "disc web", "hard": "1"}]}):
        result = run(monkeypatch, capsys, vcpu_affinity, **arguments)
        assert result["failed"]
        assert "cannot be looked up: xenstored is not running." in result["msg"]
