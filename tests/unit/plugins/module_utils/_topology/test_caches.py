# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who shares a cache: on recordings that were constructed of CPUID dumps which hwloc publishes, against what hwloc makes of these."""

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology import amd
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_export import to_hwloc_xml
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_import import from_hwloc_xml
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    INVALID,
    made_host,
    recording,
)

KIB, MIB = 2**10, 2**20


def caches(name):
    """Level, type, size, number of caches, CPUs of the first."""
    return [
        (cache.level, cache.type, cache.size, len(cache.cpusets), str(cache.cpusets[0]))
        for cache in derive(recording("constructed/" + name)).caches
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # two packages of 24 cores with two threads; three cores of a complex of four are there
        (
            "zen",
            [
                (1, "data", 32 * KIB, 48, "0,48"),
                (1, "instruction", 64 * KIB, 48, "0,48"),
                (2, "unified", 512 * KIB, 48, "0,48"),
                (3, "unified", 8 * MIB, 16, "0-2,48-50"),
            ],
        ),
        # two of 64 cores, SMT switched off in the firmware
        (
            "zen3-smt-off",
            [
                (1, "data", 32 * KIB, 128, "0"),
                (1, "instruction", 32 * KIB, 128, "0"),
                (2, "unified", 512 * KIB, 128, "0"),
                (3, "unified", 32 * MIB, 16, "0-7"),
            ],
        ),
        # two of 96 cores with two threads
        (
            "zen4",
            [
                (1, "data", 32 * KIB, 192, "0,192"),
                (1, "instruction", 32 * KIB, 192, "0,192"),
                (2, "unified", MIB, 192, "0,192"),
                (3, "unified", 32 * MIB, 24, "0-7,192-199"),
            ],
        ),
        # four of two dies with six cores, two of which are a module
        (
            "piledriver",
            [
                (1, "data", 16 * KIB, 48, "0"),
                (1, "instruction", 64 * KIB, 24, "0-1"),
                (2, "unified", 2 * MIB, 24, "0-1"),
                (3, "unified", 6 * MIB, 8, "0-5"),
            ],
        ),
        # two of two dies with six cores
        (
            "magny-cours",
            [
                (1, "data", 64 * KIB, 24, "0"),
                (1, "instruction", 64 * KIB, 24, "0"),
                (2, "unified", 512 * KIB, 24, "0"),
                (3, "unified", 5 * MIB, 4, "0-5"),
            ],
        ),
        # two fast cores with two threads, eight thrifty ones, and two that have no L3 cache
        (
            "arrow-lake",
            [
                (1, "data", 48 * KIB, 2, "0-1"),
                (1, "instruction", 64 * KIB, 2, "0-1"),
                (2, "unified", 2 * MIB, 2, "0-1"),
                (3, "unified", 12 * MIB, 1, "0-11"),
            ],
        ),
    ],
)
def test_caches_are_those_that_hwloc_finds(name, expected):
    assert caches(name) == expected


def row(leaf, a=0, b=0, c=0, d=0, subleaf=INVALID):
    return [leaf, subleaf, a, b, c, d]


def signature(family, model):
    if family < 0xF:
        return family << 8 | model << 4
    return (family - 0xF) << 20 | (model >> 4) << 16 | 0xF00 | (model & 0xF) << 4


def amd_host(family, model, cores, step, total_mib, *more, hypervisor=0):
    """One package of cores with two threads; each `step` cores begin at another multiple of as many APIC ids."""
    places, infos = [], []
    for core in range(cores):
        for thread in range(2):
            places.append((core, 0, 0))
            infos.append([2 * cores - 1, 1, 2 * core + thread, len(infos)])
    policy = [
        row(0, 16, 0x68747541, 0x444D4163, 0x69746E65),
        row(1, signature(family, model), 0, hypervisor << 31),
        row(0x80000006, 0, 0, 512 << 16 | 6 << 12 | 64, total_mib * 2 << 18 | 9 << 12 | 64),
        row(0x80000008, 0, 0, 8 << 12 | 2 * cores - 1),
        row(0x8000001E, 0, 0x100),
        *more,
    ]
    return derive(
        made_host(places, pcpuinfo=infos, cpu_policy=policy, cpupools=None, physinfo={"nr_cpus": 2 * cores})
    )


def last(topology):
    (cache,) = [cache for cache in topology.caches if cache.level == 3]
    return cache.size, None if cache.cpusets is None else [len(cpus) for cpus in cache.cpusets]


@pytest.mark.parametrize(
    ("family", "model", "cores", "total", "expected"),
    [
        (0x17, 0x01, 8, 16, (8, [8, 8])),  # Naples
        (0x17, 0x31, 16, 64, (16, [8] * 4)),  # Rome
        (0x17, 0x60, 8, 8, (4, [8, 8])),  # Renoir
        (0x19, 0x01, 16, 64, (32, [16, 16])),  # Milan
        (0x19, 0x21, 8, 96, (96, [16])),  # Vermeer with stacked cache
        (0x19, 0xA0, 16, 32, (16, [16, 16])),  # Bergamo, dense
        (0x1A, 0x02, 16, 64, (32, [16, 16])),  # Turin
        (0x1A, 0x11, 32, 64, (32, [32, 32])),  # Turin, dense
        (0x1A, 0x44, 16, 64, (32, [16, 16])),  # Granite Ridge
        (0x1A, 0x24, 12, 24, (None, None)),  # Strix Point: complexes of two sizes
        (0x1A, 0x50, 32, 128, (None, None)),  # not known yet
        (0x0F, 0x41, 2, 2, (None, None)),  # had none
    ],
)
def test_complexes_by_family_and_model(family, model, cores, total, expected):
    size, shared = last(amd_host(family, model, cores, 8, total))
    assert (size, shared) == (expected[0] and expected[0] * MIB, expected[1])


def test_a_size_that_no_complex_has_is_none():
    # of the others nothing is known, so the total must not be taken for the size of the one
    assert last(amd_host(0x19, 0x11, 8, 8, 384)) == (None, [16])
    # nor is it cut where it cannot be
    assert last(amd_host(0x19, 0x11, 24, 8, 64)) == (None, [16] * 3)


def test_what_a_cache_says_of_itself_goes_before_family_and_model():
    # an L3 cache of 24 MiB for eight threads
    l3 = row(0x8000001D, 3 | 3 << 5 | 7 << 14, 63 | 11 << 22, 32767, 0)
    assert last(amd_host(0x19, 0x11, 8, 8, 48, l3)) == (24 * MIB, [8, 8])
    # whatever subleaf Xen got there: of the others the family tells
    l1 = row(0x8000001D, 1 | 1 << 5 | 1 << 14, 63 | 7 << 22, 63, 0)
    topology = amd_host(0x19, 0x11, 8, 8, 32, l1)
    assert last(topology) == (32 * MIB, [16])
    assert topology.caches[0][:3] == (1, "data", 32 * KIB)


def test_in_a_virtual_machine_the_family_says_nothing():
    assert last(amd_host(0x19, 0x11, 8, 8, 32, hypervisor=1)) == (None, None)


def test_the_table_has_no_model_twice():
    seen = set()
    for found in amd.COMPLEXES:
        models = {(found.family, model) for model in range(found.first_model, found.last_model + 1)}
        assert not models & seen
        seen |= models


HYBRID = row(7, d=1 << 15)
LEAF_4 = [
    row(4, 1 | 1 << 5 | 1 << 14, 63 | 11 << 22, 63, 0, subleaf=0),
    row(4, 3 | 2 << 5 | 7 << 14, 63 | 15 << 22, 2047, 0, subleaf=1),
    row(4, 3 | 3 << 5 | 63 << 14, 63 | 11 << 22, 16383, 0, subleaf=2),
]


def hybrid(ids, speeds=None):
    """Cores without a second thread, of which the first is fast."""
    infos = [[len(ids) - 1, 1, apic_id, cpu] for cpu, apic_id in enumerate(ids)]
    policy = [row(0, 32, 0x756E6547, 0x6C65746E, 0x49656E69), HYBRID, *LEAF_4]
    more = {} if speeds is None else {"px_max_mhz": {str(cpu): mhz for cpu, mhz in enumerate(speeds)}}
    places = [(cpu, 0, 0) for cpu in range(len(ids))]
    host = made_host(
        places, pcpuinfo=infos, cpu_policy=policy, cpupools=None, physinfo={"nr_cpus": len(ids)}, **more
    )
    return [cache.cpusets and [str(cpus) for cpus in cache.cpusets] for cache in derive(host).caches]


def test_thrifty_cores_have_not_the_caches_of_fast_ones():
    # four thrifty cores share an L2 cache, a fast one has one; SMT is off
    assert hybrid([0, 8, 16, 18, 20, 22]) == [["0", "1"], ["0", "1"], ["0-5"]]
    assert hybrid([0, 8, 16, 24], [5000, 4900, 3900, 3900]) == [["0", "1"], ["0", "1"], ["0-3"]]
    # where nothing tells them apart nothing is said
    assert hybrid([0, 8, 16, 24]) == [None, None, ["0-3"]]


def test_cores_beyond_the_l3_cache_of_the_first_have_none_that_is_known():
    assert hybrid([0, 8, 16, 18, 20, 22, 64, 66])[2] == ["0-5"]


def test_a_cache_of_unknown_size_is_written_and_read():
    topology = amd_host(0x19, 0x11, 8, 8, 384)
    facts = to_facts(topology)
    assert facts["caches"][-1]["size_bytes"] is None
    assert from_facts(facts) == topology
    assert from_hwloc_xml(to_hwloc_xml(topology).text).caches == topology.caches
