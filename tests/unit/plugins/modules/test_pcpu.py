# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pcpu against a hypervisor that plays the recording of a real host."""

import contextlib
import copy
import errno

import pytest

pytest.importorskip("ansible.module_utils.basic")
pytest.importorskip("_cffi_backend")

from ansible_collections.dom0.xen.plugins.module_utils import _settled
from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.plugins.modules import pcpu
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen
from ansible_collections.dom0.xen.tests.unit.plugins.modules.running import run, warnings_of

ALL = list(range(8))


@pytest.fixture
def host(monkeypatch):
    """Domain-0, "disc web" (4 vCPUs, hard 4-7), "disc-db" (2 vCPUs, soft 0-3) and "disc-pvh" (hard 2-3) on eight CPUs."""
    heard = copy.deepcopy(recording("small-guests"))
    heard.data["sched_gran"] = {"0": "cpu"}
    fake = FakeXen(heard.data)
    monkeypatch.setattr(
        _settled.authoritative,
        "ask",
        lambda subset, open_xen: RawHost(copy.deepcopy(heard.data), heard.components),
    )
    monkeypatch.setattr(pcpu, "open_xen", lambda module: Xen(fake))
    monkeypatch.setattr(_settled, "open_xen", lambda module: Xen(fake))
    monkeypatch.setattr(pcpu, "host_lock", lambda module: contextlib.ExitStack())
    return fake


def online(fake):
    return [cpu for cpu, row in enumerate(fake.data["pcpuinfo"]) if row[1] & 1]


def masks(fake, domid):
    return [vcpu["hard"] for vcpu in fake.domain(domid)["vcpus"]]


def test_offline_and_back(monkeypatch, capsys, host):
    before = copy.deepcopy(host.data)
    checked = run(monkeypatch, capsys, pcpu, check_mode=True, offline="5,7")
    assert host.data == before
    done = run(monkeypatch, capsys, pcpu, offline="5,7")
    assert checked == done
    assert (done["online"], done["offline"], done["online_before"]) == ("0-4,6", "5,7", "0-7")
    assert done["diff"][0]["after"] == {"online": "0-4,6", "offline": "5,7"}
    assert online(host) == [0, 1, 2, 3, 4, 6]
    assert masks(host, 2) == [[4, 5, 6, 7]] * 4
    again = run(monkeypatch, capsys, pcpu, offline="5,7")
    assert (again["changed"], again["steps"], again["diff"]) == (False, [], [])
    back = run(monkeypatch, capsys, pcpu, online="all")
    assert back["steps"] == ["CPU 5 brought online", "CPU 7 brought online"]
    assert any("CPU 5,7 comes online in cpupool 0" in warning for warning in warnings_of(back))
    assert online(host) == ALL


def test_affinity_that_would_break_is_shown_and_refused_or_set_anew(monkeypatch, capsys, host):
    refused = run(monkeypatch, capsys, pcpu, offline="node:1")
    assert refused["failed"]
    assert "hard affinity 4-7 of vCPU 0-3 of disc web (domid 2) would have no CPU any more" in refused["msg"]
    assert len(refused["broken"]) == 1
    assert online(host) == ALL
    checked = run(monkeypatch, capsys, pcpu, check_mode=True, offline="node:1", broken_affinity="nearest")
    done = run(monkeypatch, capsys, pcpu, offline="node:1", broken_affinity="nearest")
    assert checked == done
    assert done["affinities"][0]["vcpus"][0] == {"vcpu": 0, "hard_before": "4-7", "hard": "0-3"}
    assert masks(host, 2) == [[0, 1, 2, 3]] * 4
    assert online(host) == [0, 1, 2, 3]


def test_the_rest_of_the_node_is_nearest(monkeypatch, capsys, host):
    for vcpu in host.domain(2)["vcpus"]:
        vcpu["hard"] = [6]
    done = run(monkeypatch, capsys, pcpu, offline="6", broken_affinity="nearest")
    assert done["affinities"][0]["vcpus"][0]["hard"] == "4-5,7"
    done = run(monkeypatch, capsys, pcpu, offline="4,5,6,7", broken_affinity="core:0.1")
    assert masks(host, 2) == [[2, 3]] * 4


def test_smt(monkeypatch, capsys, host):
    done = run(monkeypatch, capsys, pcpu, smt=False)
    assert done["steps"] == ["SMT switched off"]
    assert online(host) == [0, 2, 4, 6]
    assert run(monkeypatch, capsys, pcpu, smt=False)["changed"] is False
    refused = run(monkeypatch, capsys, pcpu, smt=False, online="1")
    assert "second thread" in refused["msg"]
    done = run(monkeypatch, capsys, pcpu, smt=True, offline="7")
    assert done["steps"] == ["SMT switched on", "CPU 7 taken offline"]
    assert online(host) == [0, 1, 2, 3, 4, 5, 6]
    assert run(monkeypatch, capsys, pcpu, smt=True, offline="7")["changed"] is False


def test_a_cpu_of_another_cpupool_is_taken_out_first(monkeypatch, capsys, host):
    host.data["cpupools"].append({"id": 1, "sched_id": 6, "n_dom": 0, "cpus": [6, 7]})
    host.pool(0)["cpus"] = [0, 1, 2, 3, 4, 5]
    done = run(monkeypatch, capsys, pcpu, smt=False)
    assert done["steps"][0].startswith("CPU 7 removed from cpupool")
    assert host.locked == set()
    assert (host.pool(0)["cpus"], host.pool(1)["cpus"]) == ([0, 2, 4], [6])
    done = run(monkeypatch, capsys, pcpu, offline="6")
    assert any("has no CPU any more" in warning for warning in warnings_of(done))


def test_the_last_cpu_of_a_cpupool_with_guests_stays(monkeypatch, capsys, host):
    host.data["cpupools"].append({"id": 1, "sched_id": 6, "n_dom": 1, "cpus": [6, 7]})
    host.pool(0)["cpus"] = [0, 1, 2, 3, 4, 5]
    host.domain(2)["cpupool"] = 1
    refused = run(monkeypatch, capsys, pcpu, offline="6-7", broken_affinity="nearest")
    assert refused["failed"]
    assert "cpupool 1 would have no CPU left, and disc web (domid 2) are in it" in refused["msg"]


def test_a_core_that_is_scheduled_as_one(monkeypatch, capsys, host):
    host.data["cpupools"].append({"id": 1, "sched_id": 6, "n_dom": 0, "cpus": [4, 5, 6, 7]})
    host.data["sched_gran"]["1"] = "core"
    host.pool(0)["cpus"] = [0, 1, 2, 3]
    for vcpu in host.domain(2)["vcpus"]:
        vcpu.update(hard=ALL, hard_all=True)
    refused = run(monkeypatch, capsys, pcpu, offline="7")
    assert "CPUs 6-7 go offline together or not at all" in refused["msg"]
    run(monkeypatch, capsys, pcpu, offline="6-7")
    assert host.pool(1)["cpus"] == [4, 5]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "one of the following is required"),
        ({"offline": "0"}, "CPU 0 cannot go offline"),
        ({"offline": "1", "online": "1-2"}, "CPU 1 shall be both"),
        ({"offline": "9"}, "names CPU 9"),
        (
            {"offline": "node:1", "broken_affinity": "7"},
            "broken_affinity: '7' has none of the CPUs that remain",
        ),
    ],
)
def test_refusals(monkeypatch, capsys, host, arguments, said):
    result = run(monkeypatch, capsys, pcpu, **arguments)
    assert result["failed"]
    assert said in result["msg"]
    assert "Traceback" not in str(result)


def test_smt_cannot_be_switched_with_another_granularity(monkeypatch, capsys, host):
    host.data["sched_gran"]["0"] = "core"
    result = run(monkeypatch, capsys, pcpu, smt=False)
    assert "booted with sched-gran=core" in result["msg"]


def test_a_failure_in_the_middle_takes_everything_back(monkeypatch, capsys, host):
    before = copy.deepcopy(host.data)
    host.faults["cpu_hotplug"] = [0, errno.EIO]
    result = run(monkeypatch, capsys, pcpu, offline="node:1", broken_affinity="nearest")
    assert result["failed"]
    assert result["rolled_back"] == ["CPU 4 taken offline", "affinity of disc web (domid 2) set"]
    assert result["not_rolled_back"] == []
    assert host.data == before


class Killed(BaseException):
    """SIGKILL: nothing after it runs."""


def killer(point):
    """What ends the run at its call number `point`, counted from 0."""
    calls = iter(range(point + 1))

    def kill(_about):
        if next(calls) == point:
            raise Killed

    return kill


def test_a_run_that_is_killed_at_any_point_is_finished_by_the_next(monkeypatch, capsys, host):
    host.data["cpupools"].append({"id": 1, "sched_id": 6, "n_dom": 0, "cpus": [6, 7]})
    host.pool(0)["cpus"] = [0, 1, 2, 3, 4, 5]
    heard = copy.deepcopy(host.data)
    wanted = {"offline": "4-7", "broken_affinity": "nearest"}
    run(monkeypatch, capsys, pcpu, **wanted)
    outcome = (online(host), masks(host, 2), copy.deepcopy(host.data["cpupools"]))
    changing = ("setvcpuaffinity", "remove_cpu", "cpu_hotplug")
    points = sum(host.asked.count(question) for question in changing)
    assert points == 4 + 2 + 4
    for point in range(points):
        host.data.clear()
        host.data.update(copy.deepcopy(heard))
        host.on.update(dict.fromkeys(changing, killer(point)))
        with pytest.raises(Killed):
            run(monkeypatch, capsys, pcpu, **wanted)
        host.on.clear()
        run(monkeypatch, capsys, pcpu, **wanted)
        assert (online(host), masks(host, 2), host.data["cpupools"]) == outcome
        assert host.locked == set()


def test_what_a_killed_run_has_left_is_done_first(monkeypatch, capsys, host, left_by_a_killed_run):
    journal = left_by_a_killed_run(host, 2, hard=[5], soft=[5])
    refused = run(monkeypatch, capsys, pcpu, check_mode=True, offline="5")
    assert "hard affinity 5 of vCPU 0-3 of disc web (domid 2) would have no CPU any more" in refused["msg"]
    checked = run(monkeypatch, capsys, pcpu, check_mode=True, offline="5", broken_affinity="nearest")
    done = run(monkeypatch, capsys, pcpu, offline="5", broken_affinity="nearest")
    assert checked == done
    assert len(done["recovered"]) == 1
    assert masks(host, 2) == [[4, 6, 7]] * 4
    assert journal.load() == []


@pytest.mark.parametrize("check_mode", [True, False])
def test_what_would_meet_an_error_of_xen_is_refused_unless_allowed(monkeypatch, capsys, host, check_mode):
    host.data["cpupools"].append({"id": 1, "sched_id": 5, "n_dom": 0, "cpus": [6, 7]})
    host.pool(0)["cpus"] = [0, 1, 2, 3, 4, 5]
    refused = run(monkeypatch, capsys, pcpu, check_mode, offline="7")
    assert "CPU 7 leaves cpupool 1, whose scheduler is credit" in refused["msg"]
    assert "Xen 4.22.0 mends that. Nothing was done" in refused["msg"]
    done = run(monkeypatch, capsys, pcpu, check_mode, offline="7", allow_known_faults=True)
    assert done["changed"]
    assert any("whose scheduler is credit" in warning for warning in warnings_of(done))


@pytest.mark.parametrize(
    ("release", "sentences"),
    [
        ((14, ".6"), ["Xen 4.15.4 or 4.16.3 or 4.17.0 mends", "Xen 4.17.5 or 4.18.3 or 4.19.0 mends"]),
        ((17, ".4"), ["Xen 4.17.5 or"]),
        ((17, ".5"), []),
    ],
)
def test_a_cpu_goes_offline_where_xen_is_known_to_bear_it(monkeypatch, capsys, host, release, sentences):
    host.data["xen"].update(minor=release[0], extraversion=release[1])
    result = run(monkeypatch, capsys, pcpu, offline="7")
    assert bool(result.get("failed")) is bool(sentences)
    assert all(sentence in result["msg"] for sentence in sentences)
    # Nothing goes offline then.
    assert not run(monkeypatch, capsys, pcpu, online="all").get("failed")
