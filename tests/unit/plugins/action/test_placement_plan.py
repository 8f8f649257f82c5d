# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin: where its facts come from, what it returns, what it says when something is wrong; and its documentation."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import types
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible")

import yaml
from ansible.errors import AnsibleError
from ansible_collections.dom0.xen.plugins.action import placement_plan
from ansible_collections.dom0.xen.plugins.doc_fragments import _placement
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_export import to_hwloc_xml
from ansible_collections.dom0.xen.plugins.module_utils._topology.recording import from_recording
from ansible_collections.dom0.xen.plugins.modules import placement_plan as documentation
from ansible_collections.dom0.xen.plugins.plugin_utils._placement import exact, request
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import Policy, Reserve
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.settings import Settings
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts

Data = dict[str, t.Any]
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def facts() -> Data:
    return hosts.facts(
        [(2, 4000), (2, 1000)],
        spanned=[4096, 2048],
        domains=[hosts.domain(1, "web", 2, 512, [1], soft=range(4, 8))],
    )


def run(
    args: Data, hostvars: Data | None = None, check_mode: bool = False, groups: Data | None = None
) -> Data:
    """Run the plugin as the task executor does, without an executor."""
    task = types.SimpleNamespace(
        args=args,
        async_val=0,
        check_mode=check_mode,
        diff=False,
        action="dom0.xen.placement_plan",
        collections=[],
        environment=[],
    )
    connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="unused"))
    plugin = placement_plan.ActionModule(task, connection, types.SimpleNamespace(), None, None, None)
    plugin._load_name = "placement_plan"  # what Ansible's loader sets
    known = {"alpha": {}} if hostvars is None else hostvars
    return plugin.run(None, {"inventory_hostname": "alpha", "hostvars": known, "groups": groups or {}})


def known(facts: Data) -> Data:
    return {"ansible_facts": {"xen_topology": facts}}


WANTED = [{"name": "web", "vcpus": 2, "memory": 512}, {"name": "db", "vcpus": 1, "memory": "1GiB"}]


def test_facts_of_the_host_itself(facts: Data) -> None:
    result = run({"guests": WANTED}, {"alpha": known(facts)})
    assert not result.get("failed")
    assert result["changed"] is False
    assert [(entry["name"], entry["action"], entry["nodes"]) for entry in result["guests"]] == [
        ("web", "keep", [1]),
        ("db", "create", [0]),
    ]
    assert result["unplaced"] == []
    assert result["summary"][0] == "web: keep on node 1, soft affinity 4-7, 2 vCPUs, 512 MiB"


def test_check_mode_is_the_same(facts: Data) -> None:
    args = {"guests": WANTED, "facts": {"alpha": facts}}
    assert run(args, check_mode=True) == run(args)


def test_hosts_are_those_of_facts_unless_named(facts: Data) -> None:
    both = {"beta": facts, "gamma": facts}
    assert list(run({"guests": [], "facts": both})["hosts"]) == ["beta", "gamma"]
    assert list(run({"guests": [], "facts": both, "hosts": ["gamma", "gamma"]})["hosts"]) == ["gamma"]
    mixed = run({"guests": [], "facts": {"beta": facts}, "hosts": ["beta", "alpha"]}, {"alpha": known(facts)})
    assert list(mixed["hosts"]) == ["alpha", "beta"]


def test_defaults_and_reserve_are_passed_on(facts: Data) -> None:
    args = {
        "guests": WANTED[1:],
        "facts": {"alpha": facts},
        "defaults": {"pin": "hard"},
        "reserve": {"node_memory": "3000M"},
    }
    result = run(args)
    assert result["unplaced"][0]["name"] == "db"
    args["reserve"] = {}
    assert run(args)["guests"][0]["hard"] == "0-3"


def test_defaults_of_a_group_come_from_the_inventory(facts: Data) -> None:
    args = {
        "guests": WANTED[1:],
        "facts": {"alpha": facts},
        "host_policies": {"xen": {"defaults": {"pin": "hard"}}},
    }
    assert run(args, groups={"all": ["alpha"], "xen": ["alpha"]})["guests"][0]["hard"] == "0-3"
    assert run(args, groups={"all": ["alpha"], "xen": ["beta"]})["guests"][0]["hard"] == "all"
    refused = run(args, groups={"all": ["alpha"]})
    assert refused["failed"] is True
    assert (
        "host_policies.xen: 'xen' is not one of the hosts of this plan (alpha), and no group"
        in refused["msg"]
    )


@pytest.mark.parametrize(
    ("args", "hostvars", "told"),
    [
        (
            {"guests": []},
            {"alpha": {}},
            "there are no facts of the host alpha: run dom0.xen.topology_facts on it",
        ),
        ({"guests": []}, {"alpha": {"ansible_facts": {}}}, "there are no facts of the host alpha"),
        (
            {"guests": [], "hosts": ["zeta"]},
            {"alpha": {}},
            "the host zeta is neither in the inventory nor in the option facts",
        ),
        (
            {"guests": [], "facts": {"alpha": {"schema_version": "9.0"}}},
            None,
            "the facts of the host alpha cannot be used",
        ),
        (
            {"guests": [{"name": "a"}]},
            {"alpha": {}},
            "guests[0].vcpus: is missing; guests[0].memory: is missing",
        ),
        ({"guests": ["a"]}, {"alpha": {}}, "guests[0]: a guest is a dictionary"),
    ],
)
def test_what_is_wrong_is_said(args: Data, hostvars: Data | None, told: str) -> None:
    result = run(args, hostvars)
    assert result["failed"] is True
    assert told in result["msg"]
    assert "\n" not in result["msg"]


def test_unknown_and_missing_options_are_refused() -> None:
    with pytest.raises(AnsibleError, match="guest_list"):
        run({"guests": [], "guest_list": []})
    with pytest.raises(AnsibleError, match="guests"):
        run({})


def test_documentation_and_checks_agree() -> None:
    options = {
        **yaml.safe_load(documentation.DOCUMENTATION)["options"],
        **yaml.safe_load(_placement.ModuleDocFragment.DOCUMENTATION)["options"],
    }
    assert set(options) == set(placement_plan.ARGUMENT_SPEC)
    for name, spec in placement_plan.ARGUMENT_SPEC.items():
        assert options[name]["type"] == spec["type"]
        assert options[name].get("required", False) == spec.get("required", False)
    guest = options["guests"]["suboptions"]
    assert tuple(guest) == request.GUEST_KEYS
    assert tuple(options["groups"]["suboptions"]) == request._GROUP_KEYS
    assert tuple(options["rebalance"]["choices"]) == request.REBALANCE
    assert options["max_moves"]["default"] == Settings.max_moves
    assert [name for name, option in guest.items() if option.get("required")] == ["name", "vcpus", "memory"]
    for policy in (guest["policy"]["suboptions"], options["defaults"]["suboptions"]):
        # numa_policy may also be a number
        assert list(policy) == list(request.CHOICES)
        assert {name: tuple(option.get("choices", ())) for name, option in policy.items()} == {
            name: () if name == "numa_policy" else choices for name, choices in request.CHOICES.items()
        }
    assert {name: option["default"] for name, option in options["defaults"]["suboptions"].items()} == {
        name: getattr(Policy(), name) for name in request.CHOICES
    }
    assert {name: option["default"] for name, option in options["reserve"]["suboptions"].items()} == {
        name: getattr(Reserve(), name) for name in request._RESERVE_KEYS
    }


def test_what_is_returned_is_documented(facts: Data) -> None:
    returned = yaml.safe_load(documentation.RETURN)
    result = run(
        {"guests": [*WANTED, {"name": "huge", "vcpus": 1, "memory": "9T"}], "facts": {"alpha": facts}}
    )
    assert set(result) - {"changed"} == set(returned)
    assert list(result["guests"][0]) == list(returned["guests"]["contains"])
    assert list(result["unplaced"][0]) == list(returned["unplaced"]["contains"])
    sample = returned["hosts"]["sample"]["alpha"]
    assert list(result["hosts"]["alpha"]) == list(sample)
    assert list(result["hosts"]["alpha"]["nodes"][0]) == list(sample["nodes"][0])


def test_an_edited_plan_is_carried_out_or_refused(facts: Data) -> None:
    args = {"guests": WANTED, "facts": {"alpha": facts}}
    plan = json.loads(json.dumps(run(args)))
    again = run({**args, "given_plan": plan})
    assert not again.get("failed"), again
    assert [(entry["name"], entry["action"], entry["nodes"]) for entry in again["guests"]] == [
        ("web", "keep", [1]),
        ("db", "create", [0]),
    ]
    plan["guests"][1]["hard"] = "2-3"
    hard = run({**args, "given_plan": plan, "defaults": {"pin": "hard"}})
    assert hard["failed"] is True
    assert "web: its pin is soft, and its policy on alpha hard" in hard["msg"]
    # What the planner itself would not notice, the checker does.
    apart = run({**args, "given_plan": plan})
    assert (apart.get("failed"), apart["guests"][1]["hard"], apart["guests"][1]["soft"]) == (
        None,
        "2-3",
        "0-3",
    )
    plan["guests"][0]["action"] = "migrate"
    plan["guests"][0].update(nodes=[0], cpuset=None, hard=None, soft=None)
    moved = run({**args, "given_plan": plan})
    assert moved["failed"] is True
    assert moved["msg"] == (
        "the plan that was given breaks rules: web has the action migrate, which was not permitted."
    )


def test_the_page_about_the_plan_names_every_key(facts: Data) -> None:
    page = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
    result = run({"guests": WANTED, "facts": {"alpha": facts}})
    names = [*result, *result["guests"][0], *(level["level"] for level in result["objective"])]
    names += [choice for choices in request.CHOICES.values() for choice in choices]
    missing = [name for name in names if name != "changed" and f"`{name}`" not in page]
    assert missing == []


def test_a_play_plans_on_the_control_node(facts: Data, tmp_path: Path) -> None:
    """With Ansible itself: the module's name finds the action plugin, and no connection is needed."""
    if ROOT.parts[-3:] == ("ansible_collections", "dom0", "xen"):
        collections = ROOT.parents[2]
    else:
        collections = tmp_path / "collections"
        (collections / "ansible_collections" / "dom0").mkdir(parents=True)
        (collections / "ansible_collections" / "dom0" / "xen").symlink_to(ROOT)
    (tmp_path / "alpha.json").write_text(json.dumps(facts), encoding="utf-8")
    play = {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {
                "dom0.xen.placement_plan": {
                    "facts": {
                        "alpha": "{{ lookup('ansible.builtin.file', playbook_dir ~ '/alpha.json') | from_json }}"
                    },
                    "guests": [{"name": "db", "vcpus": "{{ 1 + 1 }}", "memory": "{{ 1 }}GiB"}],
                },
                "register": "placement",
            },
            {
                "ansible.builtin.copy": {
                    "content": "{{ placement | to_json }}",
                    "dest": str(tmp_path / "plan.json"),
                    "mode": "0600",
                },
                "delegate_to": "localhost",
            },
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    (tmp_path / "ansible.cfg").touch()
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")},
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
    }
    # The host of the play cannot be reached: its name belongs to nobody.
    inventory = "nobody.invalid,"
    command = [sys.executable, "-m", "ansible.cli.playbook", "-i", inventory, "play.yml"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    plan = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert [(entry["name"], entry["vcpus"], entry["memory_bytes"]) for entry in plan["guests"]] == [
        ("db", 2, 1 << 30)
    ]


def gap_facts() -> Data:
    """A host on which three guests of 600 MiB cannot each have a node, though the bounds of distance do not see it."""
    return hosts.facts([(4, 1000), (4, 1000)])


WIDE = [{"name": f"g{number}", "vcpus": 1, "memory": 600} for number in range(3)]


@pytest.mark.skipif(importlib.util.find_spec(exact.PACKAGE) is None, reason="highspy is not installed")
def test_the_exact_engine_proves_what_the_bounds_do_not() -> None:
    args = {"guests": WIDE, "facts": {"alpha": gap_facts()}}
    without = {level["level"]: level for level in run({**args, "engine": "builtin"})["objective"]}
    result = run({**args, "engine": "exact"})
    levels = {level["level"]: level for level in result["objective"]}
    assert result["search"]["exact"] in ("better", "no better")
    assert without["distance"]["gap"] > 0
    assert levels["distance"]["gap"] == levels["smt"]["gap"] == levels["peak_load"]["gap"] == 0
    auto = run({**args, "engine": "auto"})
    assert auto["search"].pop("asked") == ["distance", "peak_load"]
    assert {**auto, "search": None} == {**result, "search": None}
    assert run({**args, "engine": "exact"}) == result


def test_auto_asks_nobody_where_nothing_is_left_to_prove(facts: Data) -> None:
    result = run({"guests": WANTED, "facts": {"alpha": facts}})
    assert result["search"] == {
        "ended_by": "nothing left to improve",
        "exact": "nothing left to prove",
        "asked": [],
        "open": [],
    }


def test_without_the_library_auto_is_the_builtin_engine_and_exact_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "highspy.py").write_text("raise ImportError('no such thing here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    args = {"guests": WIDE, "facts": {"alpha": gap_facts()}}
    result = run(args)
    assert result["search"]["exact"] == "no highspy"
    assert {**result, "search": None} == {**run({**args, "engine": "builtin"}), "search": None}
    failed = run({**args, "engine": "exact"})
    assert failed["failed"]
    assert failed["msg"].startswith("engine exact needs the Python package highspy on the control node")


def test_a_recording_and_hwloc_xml_do_as_facts() -> None:
    recording = hosts.recording([(2, 4000), (2, 1000)])
    topology = derive(from_recording(recording))
    wanted = {"guests": [{"name": "db", "vcpus": 1, "memory": "1GiB"}]}
    places = []
    for given in (to_facts(topology), recording, to_hwloc_xml(topology).text):
        result = run({**wanted, "facts": {"alpha": given}})
        assert not result.get("failed"), result
        places.append(
            [(entry["name"], entry["host"], entry["nodes"], entry["soft"]) for entry in result["guests"]]
        )
    assert places == [[("db", "alpha", [0], "0-3")]] * 3
    broken = run({**wanted, "facts": {"alpha": "<topology"}})
    assert broken["failed"] and broken["msg"].startswith("the facts of the host alpha cannot be used: ")


def broken(facts: Data, **more: t.Any) -> Data:
    """Facts that cannot be used, of a host on which somebody runs nevertheless."""
    return {**facts, "complete_cpuset": "0-65535", **more}


LOST = "the facts of the host beta cannot be used: the topology facts are damaged: complete_cpuset is 0-65535, and pus has 0-7"


def test_one_bad_host_costs_that_host(facts: Data) -> None:
    args = {
        "guests": [
            {"name": "db", "vcpus": 1, "memory": 512},
            {"name": "there", "vcpus": 1, "memory": 512, "host": "beta"},
            {"name": "web", "vcpus": 2, "memory": 512},
        ],
        "facts": {"beta": broken(facts), "gamma": hosts.facts([(2, 4000), (2, 4000)], domains=[])},
    }
    result = run(args)
    assert not result.get("failed")
    assert result["warnings"] == [f"beta is left out: {LOST}."]
    assert [(entry["name"], entry["host"]) for entry in result["guests"]] == [("db", "gamma")]
    # who is asked to be there, and who runs there already and must not be started a second time
    assert [(entry["name"], entry["reasons"]) for entry in result["unplaced"]] == [
        ("there", [f"Its host is to be beta, and {LOST}."]),
        ("web", [f"A domain of its name is on beta, so that it is started nowhere else, and {LOST}."]),
    ]
    assert result["hosts"]["beta"] == {"nodes": [], "warnings": [f"Left out of the plan: {LOST}."]}
    assert list(result["hosts"]) == ["beta", "gamma"]
    missing = result["objective"][0]
    assert (missing["level"], missing["value"], missing["bound"], missing["gap"]) == ("unplaced", 2, 2, 0)
    assert "beta: warning: Left out of the plan: " + LOST + "." in result["summary"]


@pytest.mark.parametrize(
    "bad", [[], "junk", {"schema_version": "1.0"}, {"recording": 1}, "<topology/>", 3, True]
)
def test_facts_that_are_none_at_all(facts: Data, bad: t.Any) -> None:
    args = {"guests": WANTED, "facts": {"beta": bad, "gamma": facts}}
    result = run(args)
    assert [entry["name"] for entry in result["guests"]] == ["web", "db"]
    assert len(result["warnings"]) == 1
    # nobody knows who runs there
    (created,) = (entry for entry in result["guests"] if entry["action"] == "create")
    assert created["warnings"][-1].startswith("It may run on beta already")
    (kept,) = (entry for entry in result["guests"] if entry["action"] == "keep")
    assert not kept["warnings"]


def test_no_host_is_left(facts: Data) -> None:
    result = run({"guests": WANTED, "facts": {"beta": broken(facts), "gamma": {}}})
    assert result["failed"]
    assert result["msg"].startswith(LOST + "; the facts of the host gamma cannot be used: ")


def test_a_bad_host_cannot_be_emptied(facts: Data) -> None:
    args = {"guests": WANTED, "facts": {"beta": broken(facts), "gamma": facts}, "evacuate": ["beta"]}
    assert run(args)["msg"] == "beta cannot be emptied: " + LOST


def test_a_plan_is_carried_out_but_for_a_bad_host(facts: Data) -> None:
    good = hosts.facts([(2, 4000), (2, 4000)], domains=[])
    args = {
        "guests": [
            {"name": name, "vcpus": 1, "memory": 512, "host": host}
            for name, host in (("a", "beta"), ("b", "gamma"))
        ],
        "facts": {"beta": good, "gamma": good},
    }
    plan = run(args)
    assert {entry["name"]: entry["host"] for entry in plan["guests"]} == {"a": "beta", "b": "gamma"}
    del args["guests"][0]["host"]
    given = {"guests": plan["guests"], "unplaced": []}
    result = run({**args, "facts": {"beta": broken(good), "gamma": good}, "given_plan": given})
    assert [entry["name"] for entry in result["guests"]] == ["b"]
    assert result["unplaced"][0]["reasons"] == [f"The plan that was given has it on beta, and {LOST}."]
