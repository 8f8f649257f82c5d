# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin that checks plans, and its documentation."""

from __future__ import annotations

import copy
import types
import typing as t

import pytest

pytest.importorskip("ansible")

import yaml
from ansible_collections.dom0.xen.plugins.action import placement_check, placement_plan
from ansible_collections.dom0.xen.plugins.doc_fragments import _placement
from ansible_collections.dom0.xen.plugins.modules import placement_check as documentation
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts

Data = dict[str, t.Any]

WANTED = [{"name": "web", "vcpus": 2, "memory": 512}, {"name": "db", "vcpus": 1, "memory": "1GiB"}]


@pytest.fixture(scope="module")
def facts() -> Data:
    return hosts.facts([(2, 4000), (2, 1000)], spanned=[4096, 2048])


def run(plugin: t.Any, args: Data) -> Data:
    task = types.SimpleNamespace(
        args=args,
        async_val=0,
        check_mode=False,
        diff=False,
        action="dom0.xen.placement_check",
        collections=[],
        environment=[],
    )
    connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="unused"))
    made = plugin.ActionModule(task, connection, types.SimpleNamespace(), None, None, None)
    made._load_name = "placement_check"
    return made.run(
        None, {"inventory_hostname": "alpha", "hostvars": {"alpha": {}}, "groups": {"xen": ["alpha"]}}
    )


def test_a_plan_and_one_that_was_edited(facts: Data) -> None:
    asked = {"guests": WANTED, "facts": {"alpha": facts}}
    plan = run(placement_plan, asked)
    result = run(placement_check, {**asked, "plan": plan})
    assert (result["valid"], result["violations"], result.get("failed")) == (True, [], None)
    edited = copy.deepcopy(plan)
    edited["guests"][0]["nodes"] = [5]
    result = run(placement_check, {**asked, "plan": edited})
    assert result["failed"] is True
    assert result["msg"].startswith("the plan breaks rules: ")
    assert {
        "guest": "db",
        "rule": "nodes",
        "text": "db is to be on nodes [5], and alpha has [0, 1].",
    } in result["violations"]
    assert not run(placement_check, {**asked, "plan": edited, "fail": False}).get("failed")


def test_defaults_of_a_group_hold_here_too(facts: Data) -> None:
    asked = {"guests": WANTED, "facts": {"alpha": facts}}
    plan = run(placement_plan, asked)
    hard = {
        **asked,
        "host_policies": {"xen": {"defaults": {"pin": "hard"}}},
        "labels": {"guests": ["first", "second"]},
    }
    assert {broken["rule"] for broken in run(placement_check, {**hard, "plan": plan})["violations"]} == {
        "pin"
    }
    wrong = run(placement_check, {**hard, "plan": plan, "guests": [*WANTED[:1], {"name": "db"}]})
    assert "second.vcpus: is missing" in wrong["msg"]


def test_one_bad_host_costs_that_host(facts: Data) -> None:
    bad = {**facts, "complete_nodeset": "0-63"}
    asked = {"guests": [*WANTED, {**WANTED[0], "name": "there", "host": "beta"}]}
    asked["facts"] = {"alpha": facts, "beta": bad}
    plan = run(placement_plan, asked)
    result = run(placement_check, {**asked, "plan": plan})
    assert (result["valid"], result.get("failed")) == (True, None)
    assert result["warnings"] == [
        "beta is left out: the facts of the host beta cannot be used: the topology facts are damaged: complete_nodeset is 0-63, "
        "and nodes has 0-1."
    ]
    plan["guests"][0]["host"] = "beta"
    broken = run(placement_check, {**asked, "plan": plan, "fail": False})["violations"]
    assert (plan["guests"][0]["name"], "host") in [(found["guest"], found["rule"]) for found in broken]


def test_what_is_no_plan(facts: Data) -> None:
    result = run(placement_check, {"guests": WANTED, "facts": {"alpha": facts}, "plan": {"a": 1}})
    assert result["failed"] is True
    assert "this is no plan of dom0.xen.placement_plan" in result["msg"]


def test_documentation_and_checks_agree() -> None:
    options = {
        **yaml.safe_load(documentation.DOCUMENTATION)["options"],
        **yaml.safe_load(_placement.ModuleDocFragment.DOCUMENTATION)["options"],
    }
    assert set(options) == set(placement_check.ARGUMENT_SPEC)
    for name, spec in placement_check.ARGUMENT_SPEC.items():
        assert options[name]["type"] == spec["type"]
        assert options[name].get("required", False) == spec.get("required", False)
        assert options[name].get("default") == spec.get("default")
