# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet, CpuSetError
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.expression import resolve
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import GIB, SMALL, made_host
from hypothesis import given
from hypothesis import strategies as st

# node 2 has memory only
HOST = derive(
    made_host(
        SMALL,
        numainfo={
            "memsize": [4 * GIB] * 3,
            "memfree": [GIB] * 3,
            "distance": [[10, 21, 28], [21, 10, 17], [28, 17, 10]],
        },
    )
)


@pytest.mark.parametrize(
    ("expression", "cpus"),
    [
        ("3", "3"),
        ("0-3,6", "0-3,6"),
        ("0-3,^1", "0,2-3"),
        ("all", "0-7"),
        ("all,^7", "0-6"),
        # from left to right: what comes later wins
        ("^7,all", "0-7"),
        ("^1,0-3", "0-3"),
        ("0-3,^0-1,0", "0,2-3"),
        ("node:1", "4-7"),
        ("nodes:0-1", "0-7"),
        ("nodes:all", "0-7"),
        ("node:0,^node:1", "0-3"),
        ("nodes:0-2,^4", "0-3,5-7"),
        ("all,^node:0", "4-7"),
        ("package:0", "0-3"),
        ("packages:0-1", "0-7"),
        ("core:1.0", "4-5"),
        ("core:0.1,^3", "2"),
        (" 0 - 0 ".replace(" - ", "-") + ", ^ 5,node: 1 ", "0,4-7"),
        ("0,,1", "0-1"),
        ("0,", "0"),
        (",2, ,", "2"),
        ("none", ""),
        ("", ""),
        ([], ""),
        (["0-1", 4], "0-1,4"),
        (["all,^0", "0"], "0-7"),
        (5, "5"),
    ],
)
def test_expressions(expression, cpus):
    assert resolve(expression, HOST) == CpuSet.parse(cpus)


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("8", "CPU 8, which this host has not: it has 0-7"),
        ("6-9", "CPU 8-9"),
        ("node:5", "NUMA node 5, which this host has not: it has 0, 1, 2"),
        ("package:2", "package 2"),
        ("core:0.7", "core 7 of package 0"),
        ("core:3", "core:0.3"),
        ("socket:0", "'socket'"),
        ("^1", "names no CPU"),
        ("0,^0", "names no CPU"),
        ("node:2", "names no CPU"),
        ("all,^all", "^all"),
        ("0,none", "'none'"),
        (",", "names no CPU"),
        ("all,^nodes:all", "^nodes:all"),
        ("0-3, ^ node : all", "takes all CPUs away"),
        ("0-", "'0-'"),
        ("0-31:2", "'0-31:2'"),
        ("0-3 5", "'0-3 5'"),
        ("3-1", "backwards"),
        ("node:", "''"),
        (None, "None"),
        (True, "True"),
        ({"a": 1}, "'a'"),
        ([["0"]], "['0']"),
        ([True], "True"),
        (1.5, "1.5"),
    ],
)
def test_what_cannot_be_understood_is_quoted(expression, part):
    with pytest.raises(CpuSetError) as caught:
        resolve(expression, HOST)
    assert part in str(caught.value)


def test_places_mean_their_offline_cpus_too():
    host = derive(made_host(pcpuinfo=[[7, int(cpu != 5), cpu, cpu] for cpu in range(8)]))
    assert resolve("node:1", host) == CpuSet.parse("4-7")
    assert host.cpuset == CpuSet.parse("0-4,6-7")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=8))
def test_items_count_from_left_to_right(items):
    wanted, words = set(), []
    for remove, one, two in items:
        low, high = min(one, two), max(one, two)
        words.append(f"{'^' if remove else ''}{low}-{high}")
        change = set(range(low, high + 1))
        wanted = wanted - change if remove else wanted | change
    text = ",".join(words)
    if wanted:
        assert set(resolve(text, HOST)) == wanted
    else:
        with pytest.raises(CpuSetError):
            resolve(text, HOST)


@given(st.text(alphabet="0123456789-,^:. alnodepckgr", max_size=25))
def test_any_text_is_read_or_refused_with_a_sentence(text):
    try:
        assert resolve(text, HOST) <= HOST.complete_cpuset
    except CpuSetError as error:
        assert repr(text) in str(error)
