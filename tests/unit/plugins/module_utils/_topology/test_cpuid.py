# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Widths of APIC ids, places from them, and caches."""

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.amd import Sharing
from ansible_collections.dom0.xen.plugins.module_utils._topology.apic import fitting, place, places
from ansible_collections.dom0.xen.plugins.module_utils._topology.cache_policy import CacheLevel
from ansible_collections.dom0.xen.plugins.module_utils._topology.cache_policy import CachePolicy as Policy
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuid import Widths
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from hypothesis import given
from hypothesis import strategies as st

NONE = (None, None)
INTEL = [0, 0xFFFFFFFF, 13, 0x756E6547, 0x6C65746E, 0x49656E69]
AMD = [0, 0xFFFFFFFF, 13, 0x68747541, 0x444D4163, 0x69746E65]


# --- widths that the processor tells


def test_intel_tells_both_widths():
    policy = Policy([INTEL, [0xB, 0, 1, 2, 0x100, 0], [0xB, 1, 4, 10, 0x201, 0]])
    assert policy.vendor == "GenuineIntel"
    assert policy.widths() == (1, 4)


def test_amd_tells_the_packages_width_and_its_leaf_0xb_is_not_asked():
    leaves = [AMD, [0xB, 0, 1, 2, 0x100, 0], [0xB, 1, 4, 10, 0x201, 0]]
    assert Policy(leaves).widths() == NONE
    assert Policy([*leaves, [0x80000008, 0xFFFFFFFF, 0, 0, 7 << 12 | 63, 0]]).widths() == (None, 7)


@pytest.mark.parametrize(
    "leaves",
    [
        [],
        [INTEL],
        # the wrong kinds of levels, no processors at the second
        [INTEL, [0xB, 0, 1, 2, 0x200, 0], [0xB, 1, 4, 10, 0x101, 0]],
        [INTEL, [0xB, 0, 1, 2, 0x100, 0], [0xB, 1, 4, 0, 0x201, 0]],
    ],
)
def test_a_processor_that_tells_nothing(leaves):
    assert Policy(leaves).widths() == NONE


def test_hybrid():
    assert not Policy([INTEL]).hybrid
    assert Policy([INTEL, [7, 0, 0, 0, 0, 1 << 15]]).hybrid


# --- places


@given(st.integers(0, 4), st.integers(0, 6), st.sets(st.integers(0, 300), min_size=1))
def test_the_true_widths_are_always_among_those_that_fit(smt, more, ids):
    true = Widths(smt, smt + more)
    known = {apic_id: place(apic_id, true) for apic_id in ids}
    longest = max(max(ids).bit_length(), true.package)
    assert true in fitting(known, longest)


@given(
    st.integers(0, 3),
    st.integers(0, 5),
    st.sets(st.integers(0, 200), min_size=1),
    st.sets(st.integers(0, 200)),
    st.booleans(),
)
def test_what_is_said_of_a_place_is_true(smt, more, ids, wanted, told):
    true = Widths(smt, smt + more)
    known = {apic_id: place(apic_id, true) for apic_id in ids}
    found = places(known, wanted, true if told else NONE)
    for apic_id in wanted:
        package, core = place(apic_id, true)
        assert found[apic_id][0] in (None, package)
        assert found[apic_id][1] in (None, core)


def test_what_the_processor_says_is_not_believed_against_the_cpus():
    # QEMU's AMD model says (1, 2), and (0, 2) is what fits
    known = {apic_id: (apic_id >> 2, apic_id & 3) for apic_id in (0, 1, 2, 4, 5)}
    assert places(known, [3, 7], (1, 2)) == {3: (0, 3), 7: (1, 3)}


def test_several_answers_are_unknown():
    # one package online: where the next one begins cannot be seen
    known = {0: (0, 0), 1: (0, 0), 2: (0, 1), 3: (0, 1)}
    assert places(known, [4, 8], NONE) == {4: NONE, 8: NONE}
    # the processor knows
    assert places(known, [4, 8], (1, 2)) == {4: (1, 0), 8: (2, 0)}
    assert places(known, [4, 8], (None, 3)) == {4: (0, 2), 8: (1, 0)}
    # and what it says of threads must fit too
    assert places(known, [4], (0, 2)) == {4: NONE}


def test_the_package_may_be_known_without_the_core():
    # one thread of each core online: whether the id's last bit is a thread's is told by the others only
    known = {0: (0, 0), 4: (1, 0)}
    assert places(known, [1, 5], NONE) == {1: (0, None), 5: (1, None)}


def test_nothing_known_or_nothing_that_fits():
    assert places({}, [3], (1, 2)) == {3: NONE}
    assert places({0: (0, 0), 1: (7, 9)}, [3], (1, 2)) == {3: NONE}


# --- caches


def test_intels_caches():
    rows = [
        [4, 0, 1 | 1 << 5 | 1 << 14, 63 | 7 << 22, 63, 0],
        [4, 1, 2 | 1 << 5 | 1 << 14, 63 | 7 << 22, 63, 0],
        [4, 2, 3 | 2 << 5 | 1 << 14, 63 | 15 << 22, 1023, 0],
        # 36 ids are set aside: rounded up to 64. Fully associative
        [4, 3, 3 | 3 << 5 | 1 << 9 | 35 << 14, 63 | 10 << 22, 1 << 15, 0],
        [4, 4, 0, 0, 0, 0],
        [4, 5, 3 | 4 << 5, 63, 0, 0],
    ]
    too_large = [4, 0, 1 | 1 << 5, 2**32 - 1, 2**32 - 1, 0]
    assert Policy([INTEL, too_large]).caches() == []
    assert Policy([INTEL, *rows]).caches() == [
        CacheLevel(1, "data", 32768, 64, 8, Sharing(1)),
        CacheLevel(1, "instruction", 32768, 64, 8, Sharing(1)),
        CacheLevel(2, "unified", 2**20, 64, 16, Sharing(1)),
        CacheLevel(3, "unified", 64 * 11 * (2**15 + 1), 64, -1, Sharing(6)),
    ]


def test_amds_caches_have_sizes_and_no_sharing():
    rows = [
        AMD,
        [0x80000005, 0xFFFFFFFF, 0, 0, 32 << 24 | 8 << 16 | 64, 64 << 24 | 0xFF << 16 | 64],
        [0x80000006, 0xFFFFFFFF, 0, 0, 512 << 16 | 6 << 12 | 64, 64 << 18 | 9 << 12 | 64],
    ]
    assert Policy(rows).caches() == [
        CacheLevel(1, "data", 32768, 64, 8, None),
        CacheLevel(1, "instruction", 65536, 64, -1, None),
        CacheLevel(2, "unified", 524288, 64, 8, None),
        CacheLevel(3, "unified", 2**25, 64, None, None),
    ]


def test_no_policy_no_caches():
    assert Policy([]).caches() == []
    assert Policy([]).vendor == ""


@given(st.lists(st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6), max_size=6))
def test_any_numbers_are_a_policy(rows):
    policy = Policy(rows)
    policy.caches()
    policy.widths()
    assert policy.hybrid in (True, False)
    assert isinstance(policy.vendor, str)


def test_the_policies_of_real_hosts():
    intel, amd = (Policy(recording(name).data["cpu_policy"]) for name in ("sparse", "shuffled"))
    assert (intel.vendor, intel.widths()) == ("GenuineIntel", (2, 4))
    assert (amd.vendor, amd.widths()) == ("AuthenticAMD", (None, 2))
    assert [(cache.level, cache.sharing) for cache in intel.caches()] == [
        (1, Sharing(0)),
        (1, Sharing(0)),
        (2, Sharing(2)),
        (3, Sharing(4)),
    ]
    assert {cache.sharing for cache in amd.caches()} == {None}
