# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""topology_facts: what goes in, what comes out, how it fails."""

import copy

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import from_facts, to_facts
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

    def gather(module, subset=()):
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
    monkeypatch.setattr(topology_facts, "gather", lambda module, subset: recording(name))
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
    def gather(module, subset):
        raise Failure("No way in.", tried=["a"])

    monkeypatch.setattr(topology_facts, "gather", gather)
    result = run(monkeypatch, capsys, topology_facts)
    assert (result["failed"], result["msg"], result["tried"]) == (True, "No way in.", ["a"])
    assert "ansible_facts" not in result


def test_warnings_are_shown_and_kept(monkeypatch, capsys):
    raw = recording("small")
    raw.warnings.append("xenstore was passed over: it sleeps.")
    monkeypatch.setattr(topology_facts, "gather", lambda module, subset: raw)
    result = run(monkeypatch, capsys, topology_facts)
    assert result["warned"] == ["xenstore was passed over: it sleeps."]
    assert result["ansible_facts"]["xen_topology"]["warnings"] == result["warned"]
