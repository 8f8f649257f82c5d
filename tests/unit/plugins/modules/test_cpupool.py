# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""cpupool against a hypervisor that plays the recording of a real host."""

import contextlib
import copy
import errno

import pytest

pytest.importorskip("ansible.module_utils.basic")
pytest.importorskip("_cffi_backend")

from ansible_collections.dom0.xen.plugins.module_utils._control.journal import Journal
from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.plugins.modules import cpupool
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen
from ansible_collections.dom0.xen.tests.unit.plugins.modules.running import run


@pytest.fixture
def host(monkeypatch, tmp_path):
    """Domain-0, "disc web" (hard 4-7), "disc-db" (soft 0-3) and "disc-pvh" (hard 2-3) on eight CPUs."""
    heard = copy.deepcopy(recording("small-guests"))
    fake = FakeXen(heard.data)
    names = heard.data.setdefault("cpupool_names", {})

    def name(store, pool, text):
        names.pop(str(pool), None)
        if text is not None:
            names[str(pool)] = text

    def lock(module):
        if not module.check_mode:
            fake.locked_runs.append(1)
        return contextlib.ExitStack()

    monkeypatch.setattr(
        cpupool.authoritative,
        "ask",
        lambda subset, open_xen: RawHost(copy.deepcopy(heard.data), heard.components),
    )
    monkeypatch.setattr(cpupool, "open_xen", lambda module: Xen(fake))
    fake.locked_runs = []
    monkeypatch.setattr(cpupool, "host_lock", lock)
    monkeypatch.setattr(cpupool, "Journal", lambda: Journal(str(tmp_path / "moves.json")))
    monkeypatch.setattr(cpupool.xenstore.Xenstore, "open", contextlib.ExitStack)
    monkeypatch.setattr(cpupool.xenstore, "name_cpupool", name)
    monkeypatch.setattr(
        cpupool.xenstore, "cpupool_names", lambda store: {int(key): text for key, text in names.items()}
    )
    return fake


WANTED = [{"name": "web pool", "cpus": "node:1", "domains": ["disc web"]}]


def test_check_mode_says_the_same_and_does_nothing(monkeypatch, capsys, host):
    before = copy.deepcopy(host.data)
    checked = run(monkeypatch, capsys, cpupool, check_mode=True, cpupools=WANTED)
    assert host.data == before
    assert host.locked_runs == []
    done = run(monkeypatch, capsys, cpupool, cpupools=WANTED)
    assert host.locked_runs == [1]
    assert checked == done
    assert done["changed"] is True
    assert done["cpupools"][0]["after"] == {
        "name": "web pool",
        "cpus": "4-7",
        "scheduler": "credit2",
        "granularity": "cpu",
        "domains": ["disc web"],
    }
    assert [entry["before_header"] for entry in done["diff"]] == [
        "cpupool Pool-0 (id 0)",
        "cpupool web pool (id 1)",
    ]
    assert [vcpu["hard"] for vcpu in host.domain(2)["vcpus"]] == [[4, 5, 6, 7]] * 4
    again = run(monkeypatch, capsys, cpupool, cpupools=WANTED)
    assert (again["changed"], again["steps"], again["diff"]) == (False, [], [])


def test_a_split_over_the_nodes_names_the_guest_that_is_in_its_way(monkeypatch, capsys, host):
    refused = run(monkeypatch, capsys, cpupool, numa_split=True)
    assert refused["failed"]
    assert "disc web" in refused["msg"]
    assert len(refused["broken"]) == 4
    done = run(monkeypatch, capsys, cpupool, numa_split=True, broken_affinity="nearest")
    assert [pool["name"] for pool in done["cpupools"]] == ["Pool-node0", "Pool-node1"]
    assert done["diff"][-1]["before_header"] == "disc web (domid 2)"
    assert done["diff"][-1]["after"]["vCPU 0"] == "hard 0-3 / soft all"


@pytest.mark.parametrize("arguments", [{}, {"cpupools": WANTED, "numa_split": True}])
def test_exactly_one_wish(monkeypatch, capsys, host, arguments):
    result = run(monkeypatch, capsys, cpupool, **arguments)
    assert result["failed"]
    assert "one of the two" in result["msg"]


def test_a_failure_says_what_was_undone(monkeypatch, capsys, host):
    before = copy.deepcopy(host.data)
    host.faults["add_cpu"] = [0, errno.ENODEV]
    result = run(monkeypatch, capsys, cpupool, cpupools=WANTED)
    assert result["failed"]
    assert "cpupool 'web pool' made" in result["rolled_back"]
    assert result["not_rolled_back"] == []
    assert host.data == before


def test_a_guest_waits_elsewhere_while_its_cpupool_gets_another_granularity(monkeypatch, capsys, host):
    host.data["sched_gran"] = {"0": "cpu"}
    run(monkeypatch, capsys, cpupool, cpupools=WANTED)
    wanted = [dict(WANTED[0], granularity="core")]
    refused = run(monkeypatch, capsys, cpupool, cpupools=wanted)
    assert "by_way_of" in refused["msg"]
    checked = run(monkeypatch, capsys, cpupool, check_mode=True, cpupools=wanted, by_way_of="Pool-0")
    done = run(monkeypatch, capsys, cpupool, cpupools=wanted, by_way_of="Pool-0")
    assert done == checked
    assert done["cpupools"][0]["after"]["granularity"] == "core"
    assert "disc web (domid 2) moved to cpupool 'Pool-0'" in done["steps"]
    assert run(monkeypatch, capsys, cpupool, cpupools=wanted, by_way_of="Pool-0")["changed"] is False
