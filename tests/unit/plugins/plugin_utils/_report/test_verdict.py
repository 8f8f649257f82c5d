# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.plugin_utils._report.verdict import judge_limits, judge_plan

MIB = 1 << 20


def domain(name="web", hard="all", soft="4-7", memory=None, vcpus=2, cpu=4, running=False):
    """A guest as domain_info returns it; `hard` and `soft` one mask for all vCPUs or a list with one for each."""
    masks = [
        (hard if isinstance(hard, str) else hard[i], soft if isinstance(soft, str) else soft[i])
        for i in range(vcpus)
    ]
    return {
        "domid": 3,
        "name": name,
        "uuid": "00000000-0000-4000-8000-000000000003",
        "type": "pv",
        "state": "blocked",
        "cpupool": 0,
        "memory_bytes": 256 * MIB,
        "max_memory_bytes": 256 * MIB,
        "max_vcpus": vcpus,
        "node_affinity": "1",
        "vcpus": [
            {
                "vcpu": i,
                "online": True,
                "running": running,
                "blocked": not running,
                "cpu": cpu,
                "hard": h,
                "soft": s,
                "time_ns": 1,
            }
            for i, (h, s) in enumerate(masks)
        ],
        "memory_by_node": None
        if memory is None
        else {str(node): size * MIB for node, size in memory.items()},
    }


def planned(name="web", action="create", hard="all", soft="4-7", nodes=(1,), host="xen1", **more):
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
        "reasons": [],
        "warnings": [],
        **more,
    }


def verdict(facts, entry, domains, unplaced=(), **options):
    (row,) = judge_plan({"guests": [entry], "unplaced": list(unplaced)}, facts, "xen1", domains, **options)
    return row


def test_a_guest_where_it_was_planned_is_good_and_its_row_says_everything(facts):
    assert verdict(facts, planned(), [domain(memory={1: 256})]) == {
        "name": "web",
        "host": "xen1",
        "domid": 3,
        "state": "blocked",
        "vcpus": 2,
        "nodes": "1",
        "affinity": [{"vcpus": "0-1", "hard": "all", "soft": "4-7"}],
        "memory_bytes": 256 * MIB,
        "memory_by_node": {"1": 256 * MIB},
        "memory_source": "debug_key",
        "verdict": "good",
        "reasons": [],
        "notes": [],
    }


def test_one_page_elsewhere_is_bad_when_pages_were_counted(facts):
    there = domain()
    there["memory_by_node"] = {"1": 256 * MIB - 4096, "0": 4096}
    row = verdict(facts, planned(), [there])
    assert (row["verdict"], row["reasons"]) == ("bad", ["4 KiB of its memory are on node 0."])


def test_the_hole_for_devices_of_an_hvm_guest_is_not_missed(facts):
    without_16_pages = domain(memory={0: 0, 1: 256 - 1 / 16})
    assert verdict(facts, planned(), [without_16_pages])["verdict"] == "good"
    row = verdict(facts, planned(), [domain(memory={0: 0, 1: 255})])
    assert row["reasons"] == ["Only 255 MiB of its 256 MiB were seen on any node."]


OWN = {"action": "keep", "hard": ["4", "5"], "soft": "all"}


def sharing(facts, domains, **step):
    loose = {"step": 1, "guest": "Domain-0", "action": "keep_off", "host": "xen1", "domid": 0, **step}
    (row,) = judge_plan({"guests": [planned(**OWN)], "steps": [loose]}, facts, "xen1", domains)
    return row


def test_who_has_cpus_that_others_may_use_too_is_told_with_whom(facts):
    there = domain(hard=["4", "5"], soft="all", memory={1: 256})
    row = sharing(facts, [there], hard="0-3,6-7")
    assert (row["verdict"], row["shared_with"]) == ("shared", ["Domain-0"])
    assert row["reasons"] == ["CPUs 4-5 are its own, and Domain-0 may run there."]
    # the masks that were read back count, where they were
    dom0 = {**domain("Domain-0", hard=["0-4", "0-3"]), "domid": 0}
    assert sharing(facts, [there, dom0], hard="0-3,6-7")["reasons"] == [
        "CPUs 4 are its own, and Domain-0 may run there."
    ]
    gone = {**domain("Domain-0", hard="0-3,6-7"), "domid": 0}
    assert sharing(facts, [there, gone], hard="0-3,6-7")["verdict"] == "good"
    # another host's
    assert sharing(facts, [there], hard="0-3,6-7", host="xen2")["verdict"] == "good"
    # what is wrong is worse
    assert sharing(facts, [domain(hard=["4", "6"], soft="all")], hard="0-3,6-7")["verdict"] == "bad"


def test_memory_that_was_not_measured_is_no_proof(facts):
    assert verdict(facts, planned(), [domain()])["verdict"] == "unproved"


@pytest.mark.parametrize(
    ("delta", "judged"),
    [
        ({"0": 0, "1": 260 * MIB}, "good"),
        ({"0": 15 * MIB, "1": 256 * MIB}, "good"),
        ({"0": -40 * MIB, "1": 256 * MIB}, "good"),
        ({"0": 17 * MIB, "1": 256 * MIB}, "bad"),
        ({"0": 256 * MIB, "1": 0}, "bad"),
        ({"1": 200 * MIB}, "bad"),
    ],
)
def test_deltas_are_judged_with_a_tolerance(facts, delta, judged):
    row = verdict(facts, planned(), [domain()], deltas={"web": delta}, tolerance=16 * MIB)
    assert (row["verdict"], row["memory_source"]) == (judged, "deltas")


def test_pages_that_were_counted_outrank_deltas(facts):
    row = verdict(facts, planned(), [domain(memory={1: 256})], deltas={"web": {"0": 256 * MIB}}, tolerance=0)
    assert (row["verdict"], row["memory_source"]) == ("good", "debug_key")


def test_a_guest_without_delta_ran_before(facts):
    assert verdict(facts, planned(action="keep"), [domain()], deltas={"web": None})["verdict"] == "unproved"


@pytest.mark.parametrize(
    ("hard", "soft", "said"),
    [
        ("all", "0-3", "vCPU 0-1 has soft affinity 0-3 instead of 4-7."),
        ("0-3", "4-7", "vCPU 0-1 has hard affinity 0-3 instead of all."),
        ("all", ["4-7", "all"], "vCPU 1 has soft affinity all instead of 4-7."),
    ],
)
def test_every_mask_must_be_the_planned_one(facts, hard, soft, said):
    row = verdict(facts, planned(), [domain(hard=hard, soft=soft, memory={1: 256})])
    assert row["verdict"] == "bad"
    assert said in row["reasons"]


def test_a_mask_that_names_every_cpu_is_the_same_as_all(facts):
    assert verdict(facts, planned(hard="0-15"), [domain(memory={1: 256})])["verdict"] == "good"


def test_a_memory_only_node_has_its_vcpus_on_the_nearest_node(facts):
    entry = planned(nodes=[3], soft="8-15")
    assert verdict(facts, entry, [domain(soft="8-15", memory={3: 256})])["verdict"] == "good"
    row = verdict(facts, planned(nodes=[3], soft="0-3"), [domain(soft="0-3", memory={3: 256})])
    assert row["reasons"] == ["vCPU 0-1 may run on node 0, away from nodes 2-3."]


def test_a_vcpu_seen_elsewhere_is_worth_a_note_only(facts):
    row = verdict(facts, planned(), [domain(memory={1: 256}, cpu=9, running=True)])
    assert row["verdict"] == "good"
    assert row["notes"] == [
        "Soft affinity is a wish: when asked, vCPU 0 was on CPU 9 (node 2); vCPU 1 was on CPU 9 (node 2)."
    ]


def test_a_guest_that_is_gone_is_bad(facts):
    row = verdict(facts, planned(), [])
    assert row["verdict"] == "bad"
    assert "not there any more" in row["reasons"][0]


def test_check_mode_judges_what_exists_and_plans_the_rest(facts):
    assert verdict(facts, planned(), [], check=True)["verdict"] == "planned"
    assert verdict(facts, planned(action="repin"), [domain(soft="all")], check=True)["verdict"] == "planned"
    assert verdict(facts, planned(action="keep"), [domain(soft="0-3")], check=True)["verdict"] == "bad"


def test_a_restart_is_not_done_by_itself(facts):
    row = verdict(facts, planned(action="restart", reasons=["Its memory is on node 0."]), [domain()])
    assert row["verdict"] == "bad"
    assert row["reasons"][1] == "Its memory is on node 0."


def test_unplaced_guests_have_a_row_and_other_hosts_guests_none(facts):
    plan = {
        "guests": [planned(host="xen2")],
        "unplaced": [{"name": "huge", "reasons": ["No node has 9 GiB."], "nearest": ""}],
    }
    (row,) = judge_plan(plan, facts, "xen1", [])
    assert (row["name"], row["verdict"], row["reasons"]) == ("huge", "unplaced", ["No node has 9 GiB."])


@pytest.mark.parametrize("nothing", [None, {}, {"nodes": []}, "facts"])
def test_without_facts_there_is_no_verdict(nothing):
    with pytest.raises(Failure, match="facts"):
        judge_plan({"guests": []}, nothing, "xen1", [])


def limits(facts, domains, **options):
    return {
        row["name"]: (row["verdict"], row["reasons"])
        for row in judge_limits(domains, facts, "xen1", **options)
    }


def test_by_default_every_guest_but_dom0_is_held_to_one_node(facts):
    rows = limits(
        facts,
        [
            domain("Domain-0", soft="all", memory={0: 256, 1: 256}),
            domain("web", memory={1: 256}),
            domain("wide", soft="4-9", memory={1: 256}),
            domain("split", memory={1: 128, 2: 128}),
            domain("away", soft="0-3", memory={1: 256}),
            domain("loose", soft="all", memory={1: 256}),
        ],
    )
    assert rows["web"] == ("good", [])
    assert rows["wide"][1][0] == "Its vCPUs may run on 2 nodes (1-2); allowed are 1."
    assert rows["split"][1][0] == "Its memory is on 2 nodes (1-2); allowed are 1."
    assert rows["away"] == ("bad", ["vCPU 0-1 may run on node 0, away from node 1."])
    assert rows["loose"][0] == "bad"
    assert "Domain-0" not in rows


def test_hard_affinity_bounds_what_soft_affinity_wishes(facts):
    assert limits(facts, [domain(hard="4-7", soft="all", memory={1: 256})]) == {"web": ("good", [])}
    assert limits(facts, [domain(hard="4-7", soft="0-3", memory={1: 256})]) == {"web": ("good", [])}


def test_guests_are_held_to_nodes_and_masks_in_the_words_of_xl(facts):
    wanted = {"name": "web", "nodes": [1], "soft": "node:1", "hard": "all"}
    assert limits(facts, [domain(memory={1: 256})], guests=[wanted]) == {"web": ("good", [])}
    assert limits(facts, [domain(memory={1: 256})], guests=[{**wanted, "nodes": "0-1"}])["web"][0] == "good"
    assert limits(facts, [domain(memory={1: 256})], guests=[{**wanted, "nodes": [2]}])["web"][1] == [
        "vCPU 0-1 may run on node 1, away from node 2.",
        "256 MiB of its memory are on node 1.",
    ]
    assert limits(facts, [domain(soft="4-5", memory={1: 256})], guests=[wanted])["web"][1] == [
        "vCPU 0-1 has soft affinity 4-5 instead of 4-7."
    ]


def test_without_memory_affinity_is_judged_and_nothing_is_proved(facts):
    assert limits(facts, [domain()]) == {"web": ("unproved", [])}
    assert limits(facts, [domain(soft="all")])["web"][0] == "bad"


def test_a_limit_of_its_own_goes_before_the_common_one(facts):
    wide = domain(soft="0-7", memory={0: 128, 1: 128})
    assert limits(facts, [wide], guests=[{"name": "web", "max_nodes": 2}])["web"][0] == "good"
    assert limits(facts, [wide], max_nodes=2)["web"][0] == "good"


def test_a_guest_that_is_not_there_is_bad(facts):
    assert limits(facts, [], guests=[{"name": "web"}]) == {
        "web": ("bad", ["There is no such guest on the host."])
    }


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("web", "verify_guests[1]: give a mapping"),
        ({"nodes": [1]}, "verify_guests[1]: give a mapping with at least the name"),
        ({"name": "web", "node": 1}, "verify_guests[1] (web): node is not a known field"),
        ({"name": "web", "nodes": [9]}, "verify_guests[1] (web).nodes: the host has no node 9"),
        ({"name": "web", "nodes": 1}, "verify_guests[1] (web).nodes: give node numbers"),
        ({"name": "web", "nodes": ["x"]}, "verify_guests[1] (web).nodes: give node numbers"),
        ({"name": "web", "max_nodes": 0}, "verify_guests[1] (web).max_nodes: give a whole number"),
        ({"name": "web", "hard": "node:7"}, "verify_guests[1] (web).hard:"),
    ],
)
def test_a_malformed_entry_is_named(facts, entry, said):
    with pytest.raises(Failure) as error:
        judge_limits([domain()], facts, "xen1", [{"name": "web"}, entry])
    assert error.value.message.startswith(said)


@pytest.mark.parametrize("limit", [0, "0", "several", []])
def test_a_limit_that_is_none_is_refused(facts, limit):
    with pytest.raises(Failure, match=r"^verify_max_nodes: give a whole number from 1 up, not "):
        judge_limits([domain()], facts, "xen1", max_nodes=limit)


@pytest.mark.parametrize(
    ("live", "keys", "said"),
    [
        ({"hard": "4-7", "soft": "all"}, {"cpus": ["4-7", "node:1"]}, []),
        ({"hard": "4-7", "soft": "4-7"}, {"cpus": "4-7"}, []),
        ({"hard": "4-7", "soft": "4"}, {"cpus": "4-7", "cpus_soft": ["4", 4], "pool": "Pool-0"}, []),
        ({"soft": "4-7"}, {}, []),
        (
            {"hard": "4-7"},
            {"cpus": ["0-3", "4-7"]},
            ["vCPU 0 has hard affinity 4-7, and its configuration says 0-3."],
        ),
        (
            {"hard": "4-7"},
            {},
            ["vCPU 0-1 has hard affinity 4-7, and its configuration says all."],
        ),
        (
            {"hard": "all"},
            {"cpus": "4-7"},
            [
                "vCPU 0-1 has hard affinity all, and its configuration says 4-7. Xen widens it like that, for good, when the last CPU of "
                "a mask goes offline or leaves the cpupool."
            ],
        ),
        (
            {"hard": "all"},
            {"cpus_soft": ["5", "4-7"]},
            ["vCPU 0 has soft affinity 4-7, and its configuration says 5."],
        ),
        ({}, {"pool": "fast"}, ["It is in cpupool Pool-0, and its configuration says fast."]),
    ],
)
def test_what_runs_is_held_to_what_a_restart_would_bring(facts, live, keys, said):
    rows = judge_limits([domain(**live)], facts, "xen1", configs=[{"name": "web", **keys}, {"vcpus": 1}])
    assert rows[0]["reasons"] == said
    assert (rows[0]["verdict"] == "bad") == bool(said)


def test_a_configuration_for_another_host_is_said_to_be(facts):
    rows = judge_limits([domain(hard="4-7")], facts, "xen1", configs=[{"name": "web", "cpus": "400"}])
    assert "that this host cannot give" in rows[0]["reasons"][0]


def test_a_guest_that_was_migrated_is_judged_like_the_others(facts):
    plan = {"guests": [planned(action="migrate")]}
    said = judge_plan(plan, facts, "xen1", [domain(memory={1: 256})])
    assert said[0]["verdict"] == "bad"
    assert judge_plan(plan, facts, "xen1", [domain(memory={1: 256})], applied=["web"])[0]["verdict"] == "good"
    assert judge_plan(plan, facts, "xen1", [], check=True, applied=["web"])[0]["verdict"] == "planned"
