# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.plugin_utils._roles.steps import place_steps
from ansible_collections.dom0.xen.plugins.plugin_utils._roles.wanted import (
    asked_guests,
    guest_texts,
    wanted_guests,
)

MIB = 1 << 20


def planned(name, action="create", host="xen1", hard="all", soft="4-7", nodes=(1,)):
    return {
        "name": name,
        "host": host,
        "action": action,
        "domid": None if action == "create" else 3,
        "nodes": list(nodes),
        "vcpus": 2,
        "memory_bytes": 256 * MIB,
        "hard": hard,
        "soft": soft,
    }


WANTED = wanted_guests(
    {
        "xen1": asked_guests(
            [{"name": name, "vcpus": 2, "memory": 256, "config": {"type": "pv"}} for name in "abcd"], "xen1"
        )
    }
)


def test_steps_hold_everything_that_the_modules_need_in_the_order_of_the_plan():
    plan = {"guests": [planned("b"), planned("a", hard="0-3", soft="all", nodes=(0,))]}
    assert place_steps(plan, WANTED, "xen1", "/srv/xen/") == {
        "configs": [
            {
                "path": "/srv/xen/b.cfg",
                "name": "b",
                "vcpus": 2,
                "memory": 256,
                "cpus": [],
                "cpus_soft": "4-7",
            },
            {
                "path": "/srv/xen/a.cfg",
                "name": "a",
                "vcpus": 2,
                "memory": 256,
                "cpus": "0-3",
                "cpus_soft": [],
            },
        ],
        "guests": [
            {"name": "b", "config": "/srv/xen/b.cfg", "state": "running", "nodes": [1], "memory": 256},
            {"name": "a", "config": "/srv/xen/a.cfg", "state": "running", "nodes": [0], "memory": 256},
        ],
        "affinities": [
            {"guest": "b", "hard": "all", "soft": "4-7"},
            {"guest": "a", "hard": "0-3", "soft": "all"},
        ],
        "present": ["b", "a"],
        "rounds": [],
        "applied": [],
        "keep_off": [],
        "loose": [],
    }


def test_other_domains_are_kept_off_where_that_is_allowed():
    step = {"step": 0, "guest": "Domain-0", "action": "keep_off", "host": "xen1", "domid": 0, "hard": "2-7"}
    plan = {"guests": [planned("a")], "steps": [step, {**step, "host": "xen2", "hard": "0"}]}
    steps = place_steps(plan, WANTED, "xen1", keep_off=["Domain-0", "nobody"])
    assert steps["keep_off"] == [{"guest": "0", "hard": "2-7"}]
    assert steps["loose"] == ["0"]
    steps = place_steps(plan, WANTED, "xen1")
    assert (steps["keep_off"], steps["loose"]) == ([], ["0"])


def test_other_hosts_and_guests_that_need_a_restart_are_left_alone():
    plan = {
        "guests": [
            planned("a", host="xen2"),
            planned("b", "restart"),
            planned("c", "keep"),
            planned("d", "repin"),
        ]
    }
    steps = place_steps(plan, WANTED, "xen1")
    assert [guest["name"] for guest in steps["guests"]] == ["c", "d"]
    assert steps["present"] == ["c", "d"]


def test_in_check_mode_only_guests_that_exist_are_pinned_and_read():
    steps = place_steps({"guests": [planned("a"), planned("b", "keep")]}, WANTED, "xen1", check=True)
    assert [config["name"] for config in steps["configs"]] == ["a", "b"]
    assert [affinity["guest"] for affinity in steps["affinities"]] == ["b"]
    assert steps["present"] == ["b"]


def test_an_entry_may_say_where_its_file_is():
    wanted = wanted_guests({"xen1": asked_guests([{"name": "a", "path": "/vm/a", "timeout": 9}], "xen1")})
    steps = place_steps({"guests": [planned("a")]}, wanted, "xen1")
    assert "content" not in steps["configs"][0]
    assert steps["configs"][0]["path"] == "/vm/a"
    assert steps["guests"][0]["timeout"] == 9


def test_a_plan_of_another_list_is_refused():
    with pytest.raises(Failure, match="'z'"):
        place_steps({"guests": [planned("z")]}, WANTED, "xen1")


def test_a_guest_with_a_mask_for_each_vcpu_gets_an_entry_for_each():
    entry = planned("a", hard=["0", "2-3"], soft="all", nodes=(0,))
    steps = place_steps({"guests": [entry]}, WANTED, "xen1")
    assert steps["configs"][0]["cpus"] == ["0", "2-3"]
    assert steps["configs"][0]["cpus_soft"] == []
    assert steps["affinities"] == [
        {"guest": "a", "vcpus": 0, "hard": "0", "soft": "all"},
        {"guest": "a", "vcpus": 1, "hard": "2-3", "soft": "all"},
    ]


def step(guest, action, nodes, host="xen1"):
    return {"guest": guest, "action": action, "host": host, "nodes": nodes}


MOVING = {
    "guests": [
        planned("a", "migrate", soft="0-3", nodes=(0,)),
        planned("b", "migrate"),
        planned("c", "restart", nodes=(0,)),
        planned("d", "create"),
        planned("e", "move"),
    ],
    # a has to get out of the way of b first
    "steps": [
        step("a", "migrate", [2]),
        step("b", "migrate", [1]),
        step("a", "migrate", [0]),
        step("c", "restart", [0]),
        step("x", "migrate", [0], "xen2"),
        step("e", "move", [0]),
        step("d", "create", [1]),
    ],
}


def test_guests_that_run_are_moved_in_the_plans_order_where_that_is_allowed():
    steps = place_steps(MOVING, WANTED, "xen1", allowed=["migrate", "restart"])
    told = [[(g["name"], g["state"], g["nodes"]) for g in one["guests"]] for one in steps["rounds"]]
    assert told == [
        [("a", "moved", [2]), ("b", "moved", [1])],
        [("a", "moved", [0]), ("c", "restarted", [0])],
    ]
    first, second = (
        [(c["name"], c["cpus"], c["cpus_soft"]) for c in one["configs"]] for one in steps["rounds"]
    )
    assert first == [("a", "node:2", []), ("b", [], "4-7")]
    assert second == [("a", [], "0-3"), ("c", [], "4-7")]
    assert steps["applied"] == ["a", "b", "c"]
    assert [guest["name"] for guest in steps["guests"]] == ["d"]
    assert steps["present"] == ["a", "b", "c", "d"]
    assert place_steps(MOVING, WANTED, "xen1", check=True, allowed=["migrate"])["present"] == []


def test_what_is_not_allowed_is_left_alone():
    steps = place_steps(MOVING, WANTED, "xen1", allowed=["restart", "move"])
    assert steps["applied"] == ["c"]
    steps = place_steps(MOVING, WANTED, "xen1")
    assert (steps["rounds"], steps["applied"], steps["present"]) == ([], [], ["d"])


def test_a_guest_that_is_stopped_to_let_others_pass_is_started_again():
    plan = {
        "guests": [planned("a", "restart", nodes=(0,)), planned("b", "migrate")],
        "steps": [step("a", "stop", [1]), step("b", "migrate", [1]), step("a", "start", [0])],
    }
    steps = place_steps(plan, WANTED, "xen1", allowed=["migrate", "restart"])
    assert [[g["state"] for g in one["guests"]] for one in steps["rounds"]] == [
        ["stopped", "moved"],
        ["running"],
    ]
    assert [c["name"] for c in steps["rounds"][0]["configs"]] == ["b"]


VNUMA = [
    {"node": 0, "memory_bytes": 129 * MIB, "vcpus": "0", "distances": [10, 21]},
    {"node": 1, "memory_bytes": 127 * MIB, "vcpus": "1", "distances": None},
]


def hvm(config):
    own = [{"name": "a", "vcpus": 2, "memory": 256, **config}]
    return {"wanted": wanted_guests({"xen1": asked_guests(own, "xen1")}), "texts": guest_texts(own)}


@pytest.mark.parametrize("config", [{"config": {"type": "hvm"}}, {"config": 'builder = "hvm"'}, {}])
def test_virtual_nodes_are_written_as_planned(config):
    plan = {"guests": [{**planned("a", soft=["0-3", "4-7"], nodes=(0, 1)), "vnuma": VNUMA}]}
    (written,) = place_steps(plan, host="xen1", **hvm(config))["configs"]
    assert written["vnuma"] == [
        {"node": 0, "memory": 129, "vcpus": "0", "distances": [10, 21]},
        {"node": 1, "memory": 127, "vcpus": "1"},
    ]
    assert (written["maxmem"], written["memory"], written["cpus_soft"]) == (256, 256, ["0-3", "4-7"])
    assert "keep_vnuma" not in written
    # the module reads from the configuration what it takes of each node
    (guest,) = place_steps(plan, host="xen1", **hvm(config))["guests"]
    assert guest["nodes"] == [0, 1]
    assert "memory" not in guest
    plan["guests"][0]["action"] = "keep"
    assert place_steps(plan, host="xen1", **hvm(config))["configs"] == [{**written, "keep_vnuma": True}]


@pytest.mark.parametrize("kind", ["pv", "pvh"])
def test_virtual_nodes_are_for_hvm_guests(kind):
    plan = {"guests": [{**planned("a", nodes=(0, 1)), "vnuma": VNUMA}]}
    with pytest.raises(Failure, match=f"^a: virtual NUMA nodes are for HVM guests, .* a {kind} guest"):
        place_steps(plan, host="xen1", **hvm({"config": {"type": kind}}))
