# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.plugin_utils._report.text import (
    host_summary,
    placement_summary,
    plan_reasons,
)

MIB = 1 << 20


def row(name="web", **more):
    return {
        "name": name,
        "host": "xen1",
        "domid": 3,
        "state": "paused",
        "vcpus": 2,
        "nodes": "1",
        "affinity": [{"vcpus": "0-1", "hard": "all", "soft": "4-7"}],
        "memory_bytes": 256 * MIB,
        "memory_by_node": {"1": 256 * MIB},
        "memory_source": "debug_key",
        "verdict": "good",
        "reasons": [],
        "notes": [],
        **more,
    }


def test_the_host_as_xen_sees_it_stands_beside_what_dom0_claims(facts):
    assert host_summary(facts, "xen1").splitlines() == [
        "xen1: Xen 4.17.7, scheduler credit2",
        "",
        "                  Xen  dom0's lscpu",
        "  packages          2             1",
        "  cores             8             2",
        "  PUs              16             2",
        "  threads a core    2             1",
        "  NUMA nodes        4             1",
        "",
        "  node  CPUs  cores  memory free  to 0  to 1  to 2  to 3",
        "     0  0-3       2     1200 MiB    10    12    21    28",
        "     1  4-7       2     1264 MiB    12    10    21    28",
        "     2  8-15      4     1280 MiB    21    21    10    17",
        "     3  none      0      768 MiB    28    28    17    10",
    ]


def test_offline_cpus_unknown_figures_and_warnings_are_said(facts):
    for pu in facts["pus"][-2:]:
        pu["online"] = False
    facts["dom0"]["linux"] = None
    facts["nodes"][3]["memory_free_bytes"] = None
    facts["distances"]["matrix"][0][3] = None
    facts["warnings"] = ["The SLIT has holes."]
    lines = host_summary(facts).splitlines()
    assert lines[0] == "Xen 4.17.7, scheduler credit2"
    assert "  PUs             16 (14 online)             ?" in lines
    assert lines[-5].endswith("    ?")
    assert lines[-2].split() == ["3", "none", "0", "?", "28", "28", "17", "10"]
    assert lines[-1] == "  warning: The SLIT has holes."


@pytest.mark.parametrize("other", [None, [], {"totals": {}}, {"xen": {"version": "4.17"}}])
def test_something_else_than_facts_is_refused_in_a_sentence(other):
    with pytest.raises(Failure, match="xen_topology"):
        host_summary(other)


def test_guests_have_a_row_each_in_aligned_columns():
    rows = [
        row(),
        row(
            "database",
            vcpus=12,
            nodes="1-2",
            affinity=[{"vcpus": "0-11", "hard": "4-15", "soft": "all"}],
            memory_by_node={"1": 700 * MIB, "2": 68 * MIB},
        ),
        row(
            "new",
            verdict="planned",
            memory_by_node=None,
            memory_source=None,
            affinity=[{"vcpus": "", "hard": "all", "soft": "0-3"}],
        ),
    ]
    assert placement_summary(rows, "xen1").splitlines() == [
        "xen1: guests",
        "",
        "  guest     wanted on  vCPUs  affinity   memory by node                                verdict",
        "  web       node 1         2  soft 4-7   node 1: 256 MiB (100 %)                       good",
        "  database  node 1-2      12  hard 4-15  node 1: 700 MiB (91 %), node 2: 68 MiB (9 %)  good",
        "  new       node 1         2  soft 0-3   -                                             planned",
        "",
        "  Memory by node: counted page by page by the hypervisor (debug key u).",
    ]


def test_what_is_wrong_stands_below_the_table():
    rows = [
        row(verdict="bad", reasons=["3 MiB of its memory are on node 0."]),
        row("ok", notes=["When asked, it slept."]),
    ]
    lines = placement_summary(rows).splitlines()
    assert lines[3].endswith("  BAD")
    assert "  web: 3 MiB of its memory are on node 0." in lines
    assert "  ok: When asked, it slept." in lines


@pytest.mark.parametrize(
    ("affinity", "said"),
    [
        ([{"vcpus": "0-1", "hard": "all", "soft": "all"}], "any CPU"),
        (
            [{"vcpus": "0", "hard": "0", "soft": "all"}, {"vcpus": "1", "hard": "1", "soft": "0-3"}],
            "vCPU 0 hard 0, vCPU 1 hard 1 soft 0-3",
        ),
        ([], "  -  "),
    ],
)
def test_affinity_in_few_words(affinity, said):
    assert said in placement_summary([row(affinity=affinity)])


def test_a_share_never_looks_complete_when_it_is_not():
    near = {"1": 256 * MIB - 4096, "0": MIB}
    assert "node 1: 256 MiB (99 %), node 0: 1 MiB (1 %)" in placement_summary([row(memory_by_node=near)])


def test_memory_that_nobody_measured_is_said_so():
    text = placement_summary([row(verdict="unproved", memory_by_node=None, memory_source=None)])
    assert "not measured" in text
    assert "counted" not in text


def test_who_shares_cpus_is_named_in_the_table():
    assert "shared with Domain-0" in placement_summary([row(verdict="shared", shared_with=["Domain-0"])])


def test_no_guests():
    assert placement_summary([], "xen1") == "xen1: guests\n\n  none"


def test_the_reasons_of_a_plan():
    plan = {
        "guests": [{"name": "web", "reasons": ["Node 1 has room.", "It is idle."], "warnings": ["Tight."]}]
    }
    assert plan_reasons(plan).splitlines()[2:] == [
        "  web: Node 1 has room.",
        "  web: It is idle.",
        "  web: Tight.",
    ]
