# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kinds of CPUs, found out and given by the user."""

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.kinds import overrides
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    INVALID,
    SMALL,
    made_host,
)

#: Two cores with two threads, four without.
HYBRID = [(0, 0, 0), (0, 0, 0), (1, 0, 0), (1, 0, 0), (8, 0, 0), (9, 0, 0), (10, 0, 0), (11, 0, 0)]
HYBRID_LEAF = [7, 0, 0, 0, 0, 1 << 15]
INTEL = [0, INVALID, 13, 0x756E6547, 0x6C65746E, 0x49656E69]


def kinds(places=None, **sections):
    places = HYBRID if places is None else places
    return [
        (kind.efficiency, kind.threads_per_core, kind.max_khz, str(kind.complete_cpuset))
        for kind in derive(made_host(places, **sections)).cpu_kinds
    ]


def test_cpus_that_are_alike_are_one_kind():
    assert kinds(SMALL) == [(0, 2, None, "0-7")]
    assert kinds(SMALL, px_max_mhz={str(cpu): 2400 for cpu in range(8)}) == [(0, 2, 2400000, "0-7")]


def test_single_threads_on_a_host_with_threads_are_another_kind_of_unknown_rank():
    assert kinds() == [(None, 1, None, "4-7"), (None, 2, None, "0-3")]


def test_a_processor_that_says_it_is_hybrid_gives_the_rank():
    assert kinds(cpu_policy=[INTEL, HYBRID_LEAF]) == [(0, 1, None, "4-7"), (1, 2, None, "0-3")]


def test_frequencies_give_the_rank():
    speeds = {str(cpu): 5200 if cpu < 4 else 3900 for cpu in range(8)}
    assert kinds(px_max_mhz=speeds) == [(0, 1, 3900000, "4-7"), (1, 2, 5200000, "0-3")]
    # also where all cores have as many threads
    speeds = {str(cpu): 3000 if cpu < 4 else 2000 for cpu in range(8)}
    assert kinds(SMALL, px_max_mhz=speeds) == [(0, 2, 2000000, "4-7"), (1, 2, 3000000, "0-3")]


def test_cores_that_may_go_a_little_faster_are_no_kind_of_their_own():
    speeds = {str(cpu): 5000 + 100 * (cpu == 2) for cpu in range(8)}
    assert kinds(SMALL, px_max_mhz=speeds) == [(0, 2, 5100000, "0-7")]


def test_the_same_speed_with_and_without_threads_has_no_rank():
    assert [kind[0] for kind in kinds(px_max_mhz=dict.fromkeys(map(str, range(8)), 3000))] == [None, None]


def test_an_offline_cpu_is_of_the_kind_of_its_sisters():
    sections = {
        "pcpuinfo": [[7, int(cpu != 5), cpu, cpu] for cpu in range(8)],
        "cpupools": [{"id": 0, "cpus": [0, 1, 2, 3, 4, 6, 7]}],
        "physinfo": {"nr_cpus": 7},
        "px_max_mhz": {str(cpu): 5200 if cpu < 4 else 3900 for cpu in range(8) if cpu != 5},
    }
    topology = derive(made_host(HYBRID, **sections))
    thrifty = topology.cpu_kinds[0]
    assert (str(thrifty.cpuset), str(thrifty.complete_cpuset)) == ("4,6-7", "4-7")


def test_cpus_of_unknown_frequency_leave_the_rank_unknown():
    speeds = {str(cpu): 5200 for cpu in range(4)}
    assert [kind[0] for kind in kinds(px_max_mhz=speeds)] == [None, None]
    assert [kind[0] for kind in kinds(px_max_mhz=speeds, cpu_policy=[INTEL, HYBRID_LEAF])] == [None, None]


def test_caches_of_a_hybrid_are_told_for_the_first_kind():
    leaves = [
        INTEL,
        HYBRID_LEAF,
        [4, 0, 1 | 1 << 5 | 1 << 14, 63 | 7 << 22, 63, 0],
        [4, 1, 3 | 3 << 5 | 15 << 14, 63 | 7 << 22, 63, 0],
    ]
    caches = derive(made_host(HYBRID, cpu_policy=leaves)).caches
    assert [[str(cpus) for cpus in cache.cpusets] for cache in caches] == [["0-1", "2-3"], ["0-7"]]


# --- the user's word


def given(*pairs):
    return overrides([{"name": name, "cpus": cpus} for name, cpus in pairs])


def test_the_user_knows_better():
    topology = derive(made_host(SMALL), given(("thrifty", "6-7"), ("fast", "0-5")))
    assert [
        (kind.name, kind.efficiency, str(kind.cpuset), kind.threads_per_core, kind.source)
        for kind in topology.cpu_kinds
    ] == [("thrifty", 0, "6-7", 2, "user"), ("fast", 1, "0-5", 2, "user")]


def test_what_the_users_kinds_have_in_common():
    speeds = {str(cpu): 5200 if cpu < 4 else 3900 for cpu in range(8)}
    host = made_host(HYBRID, px_max_mhz=speeds)
    mixed = derive(host, given(("odd", "0,4"), ("rest", "1-3,5-7"))).cpu_kinds[0]
    assert (mixed.threads_per_core, mixed.max_khz) == (None, None)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([("a", "0-9")], "the kind 'a' names CPU 8-9, but this host has 0-7"),
        ([("a", "0-4"), ("b", "4-7")], "CPU 4 is named for several kinds"),
        ([("a", "0-4")], "leave out CPU 5-7"),
        ([("a", "all")], "'all' is no list of CPUs"),
    ],
)
def test_kinds_that_do_not_fit_are_refused(pairs, said):
    with pytest.raises(Failure, match=said):
        derive(made_host(SMALL), given(*pairs))


def test_no_option_is_no_override():
    assert overrides(None) == overrides([]) == []
    assert derive(made_host(SMALL)).cpu_kinds[0].complete_cpuset == CpuSet.parse("0-7")
