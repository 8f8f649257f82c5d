# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import jinja2
import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.dom0.xen.plugins.filter.cpuset import READERS, WRITERS, FilterModule
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import made_host
from hypothesis import given
from hypothesis import strategies as st

cpuset = FilterModule().filters()["cpuset"]
FACTS = json.loads(json.dumps(to_facts(derive(made_host()))))


@given(
    st.sets(st.integers(0, 200), min_size=1),
    st.sampled_from(sorted(WRITERS)),
    st.sampled_from(sorted(WRITERS)),
)
def test_every_format_translates_into_every_other_and_back(numbers, one, other):
    written = cpuset(sorted(numbers), to=one)
    assert cpuset(cpuset(written, to=other, **{"from": one}), to="numbers", **{"from": other}) == sorted(
        numbers
    )


@pytest.mark.parametrize(
    ("value", "options", "result"),
    [
        ("0-3,8", {}, "0-3,8"),
        ([8, 0, 1], {}, "0-1,8"),
        (["0-1", 4], {"to": "numbers"}, [0, 1, 4]),
        (5, {"to": "hwloc"}, "0x00000020"),
        ("", {"to": "hwloc"}, "0x0"),
        ([], {"to": "taskset"}, "0"),
        ("0x00000001,0x00000003", {}, "0-1,32"),
        ("10", {}, "10"),
        ("10", {"from": "taskset"}, "4"),
        ("ffffffffff", {"from": "taskset", "to": "xl"}, "0-39"),
        ("0-7,^2", {"from": "xl"}, "0-1,3-7"),
        ("node:1,^4-5", {"topology": FACTS, "to": "hwloc"}, "0x000000c0"),
        ("all", {"topology": FACTS}, "0-7"),
        ("core:1.0", {"topology": FACTS}, "4-5"),
        # as hwloc's tools read them
        ("0x100000000", {}, "32"),
        ("0XF", {}, "0-3"),
        ("0xf...f", {"topology": FACTS}, "0-7"),
        ("0xf...f,0x1", {"topology": FACTS}, "0"),
        ("0-", {"from": "list", "topology": FACTS}, "0-7"),
        ("1,4-", {"from": "list", "topology": FACTS}, "1,4-7"),
        # as xl does
        ("0,,1", {}, "0-1"),
        ("0,", {}, "0"),
    ],
)
def test_translations(value, options, result):
    assert cpuset(value, **options) == result


@pytest.mark.parametrize(
    ("value", "options", "said"),
    [
        ("node:1", {}, "'node:1' cannot be resolved without the topology"),
        ("all", {}, "without the topology"),
        ("9", {"topology": FACTS}, "names CPU 9, which this host has not"),
        ("0-3", {"topology": {}}, "these are no topology facts"),
        ("ff", {}, "'ff'"),
        ("0-3", {"from": "hwloc"}, "is no hwloc mask"),
        ("^1,0", {"from": "list"}, "'^1'"),
        (
            "0",
            {"to": "cpulist"},
            "'cpulist' is no format to write: choose one of list, xl, hwloc, taskset, numbers",
        ),
        (
            "0",
            {"from": "bits"},
            "'bits' is no format to read: choose one of auto, xl, numbers, list, hwloc, taskset",
        ),
        ([1], {"from": "hwloc"}, "[1] is no text"),
        ([], {"to": "xl"}, "xl has no way"),
        ("0", {"form": "xl"}, "has no option form"),
        ({"a": 1}, {}, "does not name CPUs"),
    ],
)
def test_refusals_are_sentences_of_ansible(value, options, said):
    with pytest.raises(AnsibleFilterError) as caught:
        cpuset(value, **options)
    assert said in str(caught.value)


def test_the_option_from_can_be_written_in_a_template():
    environment = jinja2.Environment()
    environment.filters["cpuset"] = cpuset
    assert environment.from_string("{{ '10f' | cpuset('hwloc', from='taskset') }}").render() == "0x0000010f"


def test_the_documented_formats_are_those_there_are():
    path = __import__(cpuset.__module__, fromlist=["x"]).__file__[: -len(".py")] + ".yml"
    with open(path, encoding="utf-8") as stream:
        options = yaml.safe_load(stream)["DOCUMENTATION"]["options"]
    assert set(options["to"]["choices"]) == set(WRITERS)
    assert set(options["from"]["choices"]) == {"auto", "xl", "numbers"} | set(READERS)
