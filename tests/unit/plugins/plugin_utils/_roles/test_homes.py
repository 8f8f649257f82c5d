# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.plugin_utils._roles.homes import created_homes
from hypothesis import given
from hypothesis import strategies as st

GIB = 1 << 30
UUID = "22b6bfee-b74d-43f6-8afc-60c988eac056"
FACTS = {
    "nodes": [
        {"os_index": 0, "cpuset": "0-3"},
        {"os_index": 1, "cpuset": "4-7"},
        {"os_index": 2, "cpuset": "8-15"},
        {"os_index": 3, "cpuset": ""},
    ]
}
# What libxl 4.17 wrote down on a test host, shortened.
RECORD = {
    "c_info": {"type": "pv", "name": "g", "domid": 4294967295, "uuid": UUID},
    "b_info": {
        "max_vcpus": 2,
        "vcpu_hard_affinity": [[4, 5, 6, 7], [4, 5, 6, 7]],
        "numa_placement": "False",
        "max_memkb": 65536,
    },
}


def domain(affinity="0", **more):
    return {"domid": 1, "name": "g", "uuid": UUID, "node_affinity": affinity, "memory_by_node": None, **more}


def record(**info):
    return json.dumps({**RECORD, "b_info": {"max_vcpus": 2, **info}}, indent=4)


def home(found):
    return found["domains"][0]["node_affinity"]


def test_who_was_moved_is_put_back_and_named():
    other = json.dumps({"c_info": {"type": "pv"}, "b_info": {}})
    found = created_homes([domain()], FACTS, other + "\n " + json.dumps(RECORD) + "\0")
    assert home(found) == "1"
    assert found["drifts"] == {
        "g": "g was created on node 1, and its vCPUs have been moved to node 0 since: the plan takes node 1 as its place."
    }


@pytest.mark.parametrize("affinity", ["1", None])
def test_who_was_not_moved_stays(affinity):
    given_domain = domain(affinity)
    assert created_homes([given_domain], FACTS, json.dumps(RECORD)) == {
        "domains": [given_domain],
        "drifts": {},
    }


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"vcpu_soft_affinity": [[8, 9], [10]]}, "2"),
        # Xen takes soft affinity within hard affinity, and hard affinity where they have nothing in common
        ({"vcpu_hard_affinity": [[0, 4], [5]], "vcpu_soft_affinity": [[4], [4]]}, "1"),
        ({"vcpu_hard_affinity": [[4], [5]], "vcpu_soft_affinity": [[8], [8]]}, "1"),
        ({"vcpu_hard_affinity": [[3], [4]]}, "0-1"),
        ({"vcpu_hard_affinity": [[8], [9]], "vnuma_nodes": [{"pnode": 0}, {"pnode": 1}]}, "0-1"),
    ],
)
def test_where_a_guest_was_created(info, expected):
    assert home(created_homes([domain("2" if expected != "2" else "0")], FACTS, record(**info))) == expected


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"vcpu_hard_affinity": [list(range(16))] * 2},
        # the second vCPU may run anywhere
        {"vcpu_hard_affinity": [[4]]},
        {"vcpu_hard_affinity": [["x"], [5]]},
        {"vcpu_hard_affinity": 5},
        {"vcpu_hard_affinity": [[-1], [5]]},
    ],
)
def test_of_who_was_created_anywhere_the_node_affinity_counts(info):
    assert created_homes([domain("0")], FACTS, record(**info)) == {"domains": [domain("0")], "drifts": {}}


def test_memory_that_was_measured_decides():
    measured = domain("0", memory_by_node={"1": GIB, "0": GIB >> 10})
    found = created_homes([measured], FACTS, record(vcpu_hard_affinity=[[8], [8]]))
    assert found["domains"] == [measured]
    assert "has its memory on node 1, and its vCPUs have been moved to node 0" in found["drifts"]["g"]


def test_a_node_without_cpus_stays_a_guests_node():
    assert home(created_homes([domain("0,3")], FACTS, json.dumps(RECORD))) == "1,3"


def test_dom0_is_nobodys_creation():
    dom0 = domain("0", domid=0)
    assert created_homes([dom0], FACTS, json.dumps(RECORD))["domains"] == [dom0]


@given(st.text(alphabet='{}[]":,0123456789abc\n', max_size=200))
def test_records_may_be_anything(text):
    assert created_homes([domain("0")], FACTS, text) == {"domains": [domain("0")], "drifts": {}}


@pytest.mark.parametrize("facts", [{}, {"nodes": 5}, {"nodes": [{"os_index": 0, "cpuset": "x"}]}])
def test_what_is_no_facts_is_refused(facts):
    with pytest.raises(Failure, match="These are not the facts"):
        created_homes([domain()], facts)
