# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Xen is and how it was started: the command line and what follows from it."""

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.command_line import parse, settings
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import SMALL, made_host
from hypothesis import given
from hypothesis import strategies as st


def started(line, places=SMALL, release=(4, 17), **sections):
    xen = {"major": release[0], "minor": release[1], "extraversion": "", "commandline": line}
    return derive(made_host(places, xen=xen, **sections))


# --- words


def test_words_keep_their_order_and_what_is_behind_the_first_equals_sign():
    assert parse("console=com1,vga  numa=fake=3 loglvl dom0_mem=") == (
        ("console", "com1,vga"),
        ("numa", "fake=3"),
        ("loglvl", None),
        ("dom0_mem", ""),
    )
    assert parse("") == parse(None) == ()


def test_the_last_word_counts():
    assert settings(parse("sched=credit sched=null")) == {("sched", ""): "null"}


@pytest.mark.parametrize(
    ("line", "boot"),
    [
        ("dom0_mem=min:1024M dom0_mem=max:4096M", {"memory": "min:1024M,max:4096M"}),
        ("dom0_mem=1G,max:1G dom0_mem=max:2G", {"memory": "1G,max:2G"}),
        ("dom0_nodes=6 dom0_nodes=4", {"proximity_domains": (4, 6), "strict": True}),
        ("dom0_nodes=6,relaxed dom0_nodes=4", {"proximity_domains": (4, 6), "strict": False}),
        ("dom0_max_vcpus=2-8 dom0_max_vcpus=-4", {"max_vcpus": "2-4"}),
        ("dom0_max_vcpus=-4", {"max_vcpus": "-4"}),
        ("cpufreq=dom0-kernel", {"pinned": True}),
        ("cpufreq=dom0-kernel dom0_vcpus_pin=off", {"pinned": False}),
        ("no-dom0_vcpus_pin dom0_vcpus_pin", {"pinned": True}),
    ],
)
def test_words_for_dom0_add_up_as_in_xen(line, boot):
    found = started("placeholder " + line).dom0_boot
    assert {name: getattr(found, name) for name in boot} == boot


@given(st.text(max_size=60))
def test_any_line_is_split(line):
    topology = started(line)
    assert [parameter.name for parameter in topology.xen.parameters] == [
        word.partition("=")[0] for word in line.split()
    ]


# --- what follows


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("", "on"),
        ("numa=on", "on"),
        ("numa=off", "on"),
        ("numa=fake=2", "fake"),
        ("numa=fake=2 numa=off", "fake"),
        # so many were not made: the firmware's are in use
        ("numa=fake=3", "on"),
        ("numa=fake=0", "on"),
        ("numa=fake=2 numa=fake=0", "on"),
        ("numa=fake=", "on"),
        ("numa=fake", "on"),
    ],
)
def test_numa_of_a_host_with_several_nodes(line, state):
    topology = started(line)
    assert topology.xen.numa == state
    assert ["make up its NUMA nodes" in warning for warning in topology.warnings] == [True] * (
        state == "fake"
    )


@pytest.mark.parametrize(
    ("line", "tables", "state"),
    [
        ("", None, None),
        ("numa=off", None, "off"),
        ("", {"madt": []}, "none"),
        ("", {"madt": [], "srat_cpus": [[0, 0, 7, 1]]}, "none"),
        # switched on, and yet Xen has one node of two: it refused the tables
        ("numa=on", {"madt": [], "srat_cpus": [[0, 0, 0, 1], [0, 2, 1, 1]]}, "off"),
    ],
)
def test_numa_of_a_host_with_one_node(line, tables, state):
    sections = {} if tables is None else {"acpi": tables}
    assert started(line, [(cpu, 0, 0) for cpu in range(4)], **sections).xen.numa == state


def test_threads():
    assert started("").xen.smt == "on"
    assert started("", [(0, 0, 0), (1, 0, 0)]).xen.smt == "none"
    off = {
        "pcpuinfo": [[7, 1 - cpu % 2, cpu, cpu] for cpu in range(8)],
        "cpupools": [{"id": 0, "cpus": [0, 2, 4, 6]}],
        "physinfo": {"nr_cpus": 4},
    }
    assert started("smt=0", **off).xen.smt == "off"
    # a CPU without a place may be a thread
    nowhere = [(0, 0, 0), (0xFFFFFFFF, 0xFFFFFFFF, 0)]
    half = {
        "pcpuinfo": [[1, 1, 0, 0], [1, 0, 0xFFFFFFFF, 1]],
        "cpupools": [{"id": 0, "cpus": [0]}],
        "physinfo": {"nr_cpus": 1},
    }
    assert started("", nowhere, **half).xen.smt is None


@pytest.mark.parametrize(
    ("line", "release", "told", "granularity"),
    [
        ("", (4, 17), None, "cpu"),
        ("sched-gran=core", (4, 17), {"0": "core"}, "core"),
        # asked for, and refused by Xen
        ("sched-gran=core", (4, 17), {"0": "cpu"}, "cpu"),
        ("sched-gran=socket", (4, 14), None, "socket"),
        ("sched-gran=nonsense", (4, 14), None, None),
        # too old to know it
        ("sched-gran=core", (4, 12), None, "cpu"),
    ],
)
def test_granularity(line, release, told, granularity):
    sections = {} if told is None else {"sched_gran": told}
    topology = started(line, release=release, **sections)
    assert topology.xen.sched_gran == granularity
    assert topology.cpupools[0].sched_gran == granularity


def test_granularity_of_cores_that_differ_is_unknown_where_only_the_command_line_tells():
    assert started("sched-gran=core", [(0, 0, 0), (0, 0, 0), (1, 0, 0)]).xen.sched_gran is None


def test_dom0s_share():
    tables = {"madt": [], "srat_cpus": [[0, cpu, 7 - cpu // 4, 1] for cpu in range(8)]}
    line = "dom0_mem=2G,max:2G dom0_max_vcpus=1-4 dom0_nodes=6,strict dom0_vcpus_pin"
    assert started(line, acpi=tables).dom0_boot == (
        "2G,max:2G",
        "1-4",
        True,
        (6,),
        CpuSet([1]),
        True,
    )
    # a domain that nobody knows
    boot = started("dom0_nodes=6,9,relaxed", acpi=tables).dom0_boot
    assert (boot.proximity_domains, boot.nodes, boot.strict) == ((6, 9), None, False)
    assert started("").dom0_boot == (None, None, False, None, None, None)
