# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""domain_info: which domains, in which order, with which memory."""

import copy

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.guests import uuid_text
from ansible_collections.dom0.xen.plugins.modules import domain_info
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from ansible_collections.dom0.xen.tests.unit.plugins.modules.running import run


@pytest.fixture
def asked(monkeypatch):
    kept = []

    def gather(module, components, subset=()):
        kept.append(set(subset))
        raw = copy.deepcopy(recording("small-guests"))
        if "memory_by_node" not in subset:
            del raw.data["memory_by_node"]
        return raw

    monkeypatch.setattr(domain_info, "gather", gather)
    return kept


@pytest.mark.parametrize("check_mode", [False, True])
def test_all_domains(monkeypatch, capsys, asked, check_mode):
    result = run(monkeypatch, capsys, domain_info, check_mode)
    assert result["changed"] is False
    assert [domain["domid"] for domain in result["domains"]] == [0, 2, 3, 4]
    assert [domain["type"] for domain in result["domains"]] == ["pv", "pv", "pv", "pvh"]
    assert {domain["memory_by_node"] is None for domain in result["domains"]} == {True}
    assert asked == [{"domains"}]


def test_some_domains_in_the_order_of_the_question(monkeypatch, capsys, asked):
    guests = [uuid_text(recording("small-guests").data["domains"][3]["handle"]).upper(), "disc web", "3", 0]
    result = run(monkeypatch, capsys, domain_info, guests=guests)
    assert [domain["domid"] for domain in result["domains"]] == [4, 2, 3, 0]


def test_no_domain(monkeypatch, capsys, asked):
    assert run(monkeypatch, capsys, domain_info, guests=[])["domains"] == []


def test_memory_by_node(monkeypatch, capsys, asked):
    result = run(monkeypatch, capsys, domain_info, guests=["disc web", "disc-db"], memory_by_node="debug_key")
    assert [domain["memory_by_node"] for domain in result["domains"]] == [
        {"0": 0, "1": 134217728},
        {"0": 201326592, "1": 0},
    ]
    assert asked == [{"domains", "memory_by_node"}]


def test_unknown_domain(monkeypatch, capsys, asked):
    result = run(monkeypatch, capsys, domain_info, guests=["disc-db", "nobody"])
    assert result["failed"]
    assert "nobody" in result["msg"]
    assert "domains" not in result


def test_unknown_choice(monkeypatch, capsys, asked):
    result = run(monkeypatch, capsys, domain_info, memory_by_node="guess")
    assert result["failed"]
    assert "debug_key" in result["msg"]
    assert asked == []


def test_failure_is_one_sentence(monkeypatch, capsys):
    def gather(module, components, subset):
        raise Failure("The ring is cut.")

    monkeypatch.setattr(domain_info, "gather", gather)
    assert run(monkeypatch, capsys, domain_info)["msg"] == "The ring is cut."


def test_memory_by_node_from_the_hypercall_alone(monkeypatch, capsys, asked):
    run(monkeypatch, capsys, domain_info, memory_by_node="hypercall")
    assert asked == [{"domains", "memory_by_hypercall"}]


def test_verdict_on_where_they_are(monkeypatch, capsys, asked):
    result = run(monkeypatch, capsys, domain_info, guests=["disc-db"], memory_by_node="debug_key")
    verdict = result["domains"][0]["locality"]
    assert (verdict["memory_nodes"], verdict["may_leave"]) == ("0", [0])
    assert (verdict["distance"], verdict["worst_distance"]) == (10.0, 15.5)
