# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""topology_facts: what goes in, what comes out, how it fails."""

import copy
import json
import os

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.dom0.xen.plugins.module_utils import _gathering
from ansible_collections.dom0.xen.plugins.module_utils._discovery import recordings
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.modules import topology_facts
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    recording,
    recording_names,
)
from ansible_collections.dom0.xen.tests.unit.plugins.modules.running import run


@pytest.fixture
def asked(monkeypatch):
    """Gathering is replaced; the subsets that it was asked for are kept."""
    kept = []

    def gather(module, components, subset=()):
        kept.append(set(subset))
        raw = copy.deepcopy(recording("small-guests"))
        if "domains" not in subset:
            raw.data["dom0_vcpus"] = raw.data.pop("domains")[0]["vcpus"]
        return raw

    monkeypatch.setattr(topology_facts, "gather", gather)
    return kept


@pytest.mark.parametrize("check_mode", [False, True])
def test_facts(monkeypatch, capsys, asked, check_mode):
    result = run(monkeypatch, capsys, topology_facts, check_mode)
    assert result["exit_status"] == 0
    assert result["changed"] is False
    assert list(result["ansible_facts"]) == ["xen_topology"]
    facts = result["ansible_facts"]["xen_topology"]
    assert facts["totals"] == {
        "pus": 8,
        "pus_online": 8,
        "cores": 4,
        "packages": 2,
        "nodes": 2,
        "threads_per_core": 2,
    }
    assert facts["dom0"]["linux"] == {"packages": 1, "cores": 1, "pus": 2, "nodes": 1}
    assert [domain["name"] for domain in facts["domains"]] == ["Domain-0", "disc web", "disc-db", "disc-pvh"]
    assert asked == [{"domains"}]


@pytest.mark.parametrize("name", recording_names())
def test_facts_of_every_recording_can_be_read_back(monkeypatch, capsys, name):
    monkeypatch.setattr(topology_facts, "gather", lambda module, components, subset: recording(name))
    facts = run(monkeypatch, capsys, topology_facts)["ansible_facts"]["xen_topology"]
    assert to_facts(from_facts(facts)) == facts


@pytest.mark.parametrize(
    ("words", "domains"), [(["min"], False), (["!all"], False), ("all,!domains", False), (["domains"], True)]
)
def test_gather_subset(monkeypatch, capsys, asked, words, domains):
    facts = run(monkeypatch, capsys, topology_facts, gather_subset=words)["ansible_facts"]["xen_topology"]
    assert ("domains" in facts) is domains
    assert len(facts["dom0"]["vcpus"]) == 2


@pytest.mark.usefixtures("asked")
def test_unknown_subset(monkeypatch, capsys):
    result = run(monkeypatch, capsys, topology_facts, gather_subset=["network"])
    assert result["exit_status"] == 1
    assert result["failed"]
    assert "'network'" in result["msg"]


def test_failure_is_one_sentence(monkeypatch, capsys):
    def gather(module, components, subset):
        raise Failure("No way in.", tried=["a"])

    monkeypatch.setattr(topology_facts, "gather", gather)
    result = run(monkeypatch, capsys, topology_facts)
    assert (result["failed"], result["msg"], result["tried"]) == (True, "No way in.", ["a"])
    assert "ansible_facts" not in result


def test_warnings_are_shown_and_kept(monkeypatch, capsys):
    raw = recording("small")
    raw.warnings.append("xenstore was passed over: it sleeps.")
    monkeypatch.setattr(topology_facts, "gather", lambda module, components, subset: raw)
    result = run(monkeypatch, capsys, topology_facts)
    assert result["warned"] == ["xenstore was passed over: it sleeps."]
    assert result["ansible_facts"]["xen_topology"]["warnings"] == result["warned"]


# ---- sources and recordings ----


@pytest.fixture
def asked_of_this_host(monkeypatch):
    """The registry is replaced by one that has heard a recorded host; how it was asked is kept."""
    kept = []

    def collect(_components, source, subset, run_command, open_xen):
        kept.append(source)
        host = copy.deepcopy(recording("small-guests"))
        recordings.narrow(host, frozenset(subset))
        return host

    monkeypatch.setattr(_gathering, "collect", collect)
    return kept


def test_source_is_passed_on(monkeypatch, capsys, asked_of_this_host):
    run(monkeypatch, capsys, topology_facts)
    run(monkeypatch, capsys, topology_facts, source="xl")
    run(monkeypatch, capsys, topology_facts, source="hypercall")
    assert asked_of_this_host == ["auto", "xl", "hypercall"]
    result = run(monkeypatch, capsys, topology_facts, source="sysfs")
    assert result["failed"]


@pytest.mark.usefixtures("asked_of_this_host")
def test_replay_gives_the_same_bytes(monkeypatch, capsys, tmp_path):
    path = str(tmp_path / "host.json")
    first = run(monkeypatch, capsys, topology_facts, record=True, recording=path)
    assert (first["changed"], first["recording_path"]) == (True, path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    again = run(monkeypatch, capsys, topology_facts, source="recording", recording=path)
    assert again["changed"] is False
    assert json.dumps(again["ansible_facts"]) == json.dumps(first["ansible_facts"])
    # and asked of somewhere else about less
    less = run(
        monkeypatch, capsys, topology_facts, source="recording", recording=path, gather_subset=["min"]
    )["ansible_facts"]["xen_topology"]
    whole = first["ansible_facts"]["xen_topology"]
    assert less == {key: value for key, value in whole.items() if key != "domains"}


@pytest.mark.parametrize(("serials", "said"), [(False, None), (True, "123")])
def test_serials_of_a_recording_are_shown_on_demand(monkeypatch, capsys, tmp_path, serials, said):
    host = recording("small-guests")
    host.data["dmi"] = {"sys_vendor": "QEMU", "product_serial": "123"}
    path = tmp_path / "host.json"
    path.write_text(json.dumps(host.to_recording()), encoding="utf-8")
    result = run(
        monkeypatch,
        capsys,
        topology_facts,
        source="recording",
        recording=str(path),
        gather_subset=["dmi"],
        serials=serials,
    )
    dmi = result["ansible_facts"]["xen_topology"]["dmi"]
    assert (dmi["sys_vendor"], dmi["product_serial"]) == ("QEMU", said)


def test_serials_are_asked_for_on_demand(monkeypatch, capsys, asked):
    run(monkeypatch, capsys, topology_facts, gather_subset=["dmi"])
    run(monkeypatch, capsys, topology_facts, gather_subset=["dmi"], serials=True)
    assert asked == [{"dmi"}, {"dmi", "serials"}]


@pytest.mark.usefixtures("asked_of_this_host")
def test_recording_is_returned_where_no_file_is_named(monkeypatch, capsys):
    result = run(monkeypatch, capsys, topology_facts, record=True)
    assert result["changed"] is False
    host = recording("small-guests")
    recordings.narrow(host, frozenset({"domains"}))
    assert result["recording"] == json.loads(json.dumps(host.to_recording()))


@pytest.mark.usefixtures("asked_of_this_host")
def test_check_mode_writes_no_recording(monkeypatch, capsys, tmp_path):
    path = tmp_path / "host.json"
    result = run(monkeypatch, capsys, topology_facts, check_mode=True, record=True, recording=str(path))
    assert (result["changed"], result["recording_path"]) == (True, str(path))
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({"source": "recording"}, "set recording"),
        ({"source": "recording", "recording": "/nonexistent/host.json"}, "/nonexistent/host.json"),
        ({"source": "recording", "recording": "/nonexistent/host.json", "record": True}, "nothing to record"),
    ],
)
def test_recording_that_cannot_be(monkeypatch, capsys, arguments, wrong):
    result = run(monkeypatch, capsys, topology_facts, **arguments)
    assert result["failed"]
    assert wrong in result["msg"]


@pytest.mark.usefixtures("asked_of_this_host")
def test_recording_that_cannot_be_written(monkeypatch, capsys, tmp_path):
    path = str(tmp_path / "no" / "such" / "folder.json")
    result = run(monkeypatch, capsys, topology_facts, record=True, recording=path)
    assert result["failed"]
    assert path in result["msg"]


def test_kinds_of_cpus_that_the_user_knows(monkeypatch, capsys, asked):
    kinds = [{"name": "thrifty", "cpus": "4-7"}, {"name": "fast", "cpus": "0-3"}]
    facts = run(monkeypatch, capsys, topology_facts, cpu_kinds=kinds)["ansible_facts"]["xen_topology"]
    assert [(kind["name"], kind["efficiency"], kind["cpuset"]) for kind in facts["cpu_kinds"]] == [
        ("thrifty", 0, "4-7"),
        ("fast", 1, "0-3"),
    ]


def test_kinds_that_leave_cpus_out_are_one_sentence(monkeypatch, capsys, asked):
    result = run(monkeypatch, capsys, topology_facts, cpu_kinds=[{"name": "all", "cpus": "0-3"}])
    assert result["failed"]
    assert "leave out CPU 4-7" in result["msg"]
