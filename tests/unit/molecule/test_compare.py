# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts of every recorded host agree, field by field, with what Xen's own tools printed on it then; and the comparison finds faults."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import typing as t

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    ROOT,
    recording,
    said,
    said_names,
)

SCRIPT = f"{ROOT}/extensions/molecule/resources/compare.py"
if not os.path.exists(SCRIPT):
    pytest.skip("the scenarios are not here", allow_module_level=True)
spec = importlib.util.spec_from_file_location("compare", SCRIPT)
assert spec and spec.loader
compare = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compare)

TEXTS = {
    "info": "xl info -n",
    "xenpm": "xenpm get-cpu-topology",
    "pools": "xl cpupool-list -c",
    "vcpus": "xl vcpu-list",
    "domains": "xl list -n",
}


def lines(facts: dict[str, t.Any], texts: dict[str, str], *keys: str) -> list[str]:
    return [line for key in keys or TEXTS for line in compare.ASKED[key](facts, texts[TEXTS[key]])]


#: The tools were asked before the recording was made: memory came free or was taken then, by the tools too, and dom0 went on running.
MOVED_ON = (
    "memory free",
    "xl info: free_memory",
    "time of domain 0",
    "time of vCPU 0 of domain 0",
    "time of vCPU 1 of domain 0",
)


def at_once(found: list[str]) -> list[str]:
    """What differs, and would if all had been asked in one moment."""
    return [line for line in found if not line.startswith((compare.EXPLAINED, *MOVED_ON))]


@pytest.mark.parametrize("name", said_names())
def test_every_recorded_host_agrees_with_its_own_tools(name: str) -> None:
    facts = json.loads(json.dumps(to_facts(derive(recording(name)))))
    keys = [key for key in TEXTS if "domains" in facts or key not in ("vcpus", "domains")]
    found = lines(facts, said(name), *keys)
    assert at_once(found) == []
    offline = {str(pu["os_index"]) for pu in facts["pus"] if not pu["online"]}
    # every CPU that is off is explained, for each of the two tools that do not see it
    assert all(sum(f"s CPU {cpu} " in line for line in found) == 2 for cpu in offline)
    assert [line for line in found if line.startswith(compare.EXPLAINED)] or not offline


@pytest.mark.parametrize(
    ("key", "path", "value"),
    [
        ("info", ("pus", 3, "core"), 7),
        ("info", ("pus", 3, "node"), 1),
        ("info", ("nodes", 0, "memory_spanned_bytes"), 1 << 30),
        ("info", ("distances", "matrix", 0, 1), 20),
        ("info", ("xen", "version"), "4.99"),
        ("info", ("cpupool_free",), "2-3"),
        ("xenpm", ("pus", 0, "package"), 1),
        ("pools", ("cpupools", 1, "cpuset"), "6"),
        ("vcpus", ("domains", 1, "vcpus", 0, "hard"), "5"),
        ("vcpus", ("domains", 1, "name"), "odd"),
        ("domains", ("domains", 2, "node_affinity"), "0"),
        ("domains", ("domains", 1, "memory_bytes"), 1 << 30),
        ("domains", ("domains", 1, "state"), "shutdown"),
        ("domains", ("domains", 1, "vcpus", 0, "time_ns"), 10**9),
        ("vcpus", ("domains", 1, "vcpus", 0, "time_ns"), 10**9),
        ("vcpus", ("domains", 1, "vcpus", 0, "blocked"), True),
        ("vcpus", ("domains", 1, "vcpus", 1, "online"), True),
        ("info", ("xen", "minor"), 19),
        ("info", ("xen", "extraversion"), ".9"),
        ("info", ("memory", "total_bytes"), 1 << 32),
        ("info", ("cores", 0, "cpuset"), "0"),
        ("info", ("packages", 0, "cpuset"), "0-1"),
    ],
)
def test_faults_are_found(key: str, path: tuple[t.Any, ...], value: t.Any) -> None:
    facts = copy.deepcopy(to_facts(derive(recording("small-trixie"))))
    inside: t.Any = facts
    for step in path[:-1]:
        inside = inside[step]
    assert inside[path[-1]] != value
    inside[path[-1]] = value
    assert at_once(lines(facts, said("small-trixie"), key))


@pytest.mark.parametrize(
    ("key", "old", "new", "says"),
    [
        ("info", "free_cpus  ", "lost_cpus  ", "nobody compares"),
        ("info", "nr_cpus                : 8\n", "", "xl info: nr_cpus"),
        ("xenpm", "socket", "die", "columns of xenpm"),
        ("pools", "CPU list", "CPUs", "columns of xl cpupool-list"),
        ("vcpus", "State", "Mood", "columns of xl vcpu-list"),
        ("domains", "Mem VCPUs", "VCPUs Mem", "columns of xl list -n"),
        ("domains", "--p---", "p", "cannot read"),
    ],
)
def test_a_tool_that_prints_something_else_is_found(key: str, old: str, new: str, says: str) -> None:
    facts = to_facts(derive(recording("small-trixie")))
    texts = said("small-trixie")
    assert old in texts[TEXTS[key]]
    texts[TEXTS[key]] = texts[TEXTS[key]].replace(old, new)
    assert any(says in line for line in lines(facts, texts, key))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("small-offline", "CPU 0's package has 2 cores"),
        ("quad-smt-off", "online threads of CPU 0's core"),
        ("big", "gives node 1 3584 MiB, but it has 1535"),
        ("amd-offline", "xenpm get-cpu-topology leaves CPU 3 out"),
        ("quad-maxcpus", "like any other, but it is offline"),
    ],
)
def test_what_the_tools_have_wrong_is_explained(name: str, words: str) -> None:
    facts = json.loads(json.dumps(to_facts(derive(recording(name)))))
    found = [line for line in lines(facts, said(name), "info", "xenpm") if line.startswith(compare.EXPLAINED)]
    assert any(words in line for line in found), found


def test_a_node_affinity_beyond_the_tools_bits_is_explained() -> None:
    facts = json.loads(json.dumps(to_facts(derive(recording("small-trixie")))))
    facts["nodes"][1]["os_index"] = 2
    assert any("shows the first 2 bits" in line for line in lines(facts, said("small-trixie"), "domains"))
