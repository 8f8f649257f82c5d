# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.plugin_utils._roles.boot import (
    boot_arguments,
    boot_pending,
    known_faults,
)
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording

FACTS = {
    "totals": {"pus": 8},
    "memory": {"total_bytes": 4 << 30},
    "nodes": [
        {"os_index": 0, "proximity_domain": 3, "cpuset": "0-3"},
        {"os_index": 1, "proximity_domain": 1, "cpuset": "4-7"},
        {"os_index": 2, "proximity_domain": 0, "cpuset": ""},
        {"os_index": 3, "proximity_domain": None, "cpuset": ""},
    ],
}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ""),
        ({"max_vcpus": None, "nodes": [], "arguments": ""}, ""),
        ({"max_vcpus": 4}, "dom0_max_vcpus=4"),
        ({"max_vcpus": "2-8"}, "dom0_max_vcpus=2-8"),
        ({"vcpus_pin": True}, "dom0_vcpus_pin"),
        ({"vcpus_pin": "False"}, "dom0_vcpus_pin=no"),
        ({"nodes": [0, 1]}, "dom0_nodes=3,1"),
        ({"nodes": "1", "nodes_strict": "yes", "vcpus_pin": False}, "dom0_vcpus_pin=no dom0_nodes=1,strict"),
        ({"memory": 1024}, "dom0_mem=1024M,max:1024M"),
        ({"memory": "2GiB"}, "dom0_mem=2048M,max:2048M"),
        ({"memory": "1500000K"}, "dom0_mem=1500000K,max:1500000K"),
        ({"smt": False, "sched_gran": "core"}, "sched-gran=core smt=off"),
        ({"credit2_runqueue": "node", "arguments": "conring_size=256k no-watchdog"},
         "credit2_runqueue=node conring_size=256k no-watchdog"),
        ({"nodes": [1], "nodes_strict": False}, "dom0_nodes=1,relaxed"),
        ({"memory": "1GiB", "arguments": ["dom0_mem=min:512M"]}, "dom0_mem=1024M,max:1024M dom0_mem=min:512M"),
    ],
)  # fmt: skip
def test_words(settings, words):
    assert boot_arguments(settings, FACTS) == words


@pytest.mark.parametrize(
    "words",
    [
        ["numa=fake=2", "xpti=dom0=false,domu=true", "ept=ad=0", "crashkernel=256M,below=4G", "iommu=yes,verbose=yes"],
        ["dom0_mem=3%,min:2G", "crashkernel=256M@16M"],
        ["crashkernel=1G-2G:64M,2G-:128M<4G", "ivrs_ioapic[4]=00:14.0", "cpufreq=hwp;xen"],
        ["iommu=1", "iommu=verbose"],
        ["pci-phantom=1:0,1", "pci-phantom=2:0,1", "dom0_nodes=0", "dom0_nodes=1"],
    ],
)  # fmt: skip
def test_words_that_xen_documents_are_taken(words):
    assert boot_arguments({"arguments": words}) == " ".join(words)


def test_nodes_are_translated_on_a_host_whose_firmware_has_them_in_another_order():
    """QEMU was given CPUs 4-5, none, 6-7, 2-3, 0-1 for the domains 0 to 4 (tests/xenhost/hosts/shuffled.toml)."""
    facts = to_facts(derive(recording("shuffled")))
    assert boot_arguments({"nodes": [0]}, facts) == "dom0_nodes=4"
    assert boot_arguments({"nodes": "3,1,2", "nodes_strict": True}, facts) == "dom0_nodes=3,0,2,strict"
    with pytest.raises(Failure, match="node 4 has no CPU online"):
        boot_arguments({"nodes": [4]}, facts)


@pytest.mark.parametrize(
    ("settings", "facts", "sentence"),
    [
        ({"max_vcpus": 0}, FACTS, "dom0_max_vcpus: give a number from 1"),
        ({"max_vcpus": "8-2"}, FACTS, "or a range such as 2-8"),
        ({"max_vcpus": 9}, FACTS, "more than the 8 CPUs"),
        ({"vcpus_pin": "maybe"}, FACTS, "dom0_vcpus_pin: give true or false"),
        ({"nodes": [5]}, FACTS, "dom0_nodes: the host has no node 5; it has 0, 1, 2, 3"),
        ({"nodes": [2]}, FACTS, "node 2 has no CPU online"),
        ({"nodes": [3]}, FACTS, "what the firmware calls node 3 is not known"),
        ({"nodes": ["x"]}, FACTS, "give numbers of NUMA nodes"),
        ({"nodes": [0]}, None, "the host's facts are needed"),
        ({"nodes": [0], "vcpus_pin": True}, FACTS, "give either it or dom0_nodes"),
        ({"memory": "lots"}, FACTS, "dom0_memory: give a number of MiB"),
        ({"memory": "4GiB"}, FACTS, "leave nothing of this host's 4096 MiB"),
        ({"sched_gran": "die"}, FACTS, "dom0_sched_gran: give one of cpu, core, socket"),
        ({"credit2_runqueue": "x"}, FACTS, "dom0_credit2_runqueue: give one of"),
        ({"arguments": ["a;b"]}, FACTS, "'a;b' is no word"),
        ({"arguments": ['x="$(reboot)"']}, FACTS, "is no word"),
        ({"arguments": ["smt=off"], "smt": True}, FACTS, "smt is there twice"),
        ({"arguments": ["dom0_mem=1G", "dom0_mem=min:1G,2G"]}, FACTS, "dom0_mem is there twice"),
        ({"arguments": ["smt=off", "no-smt"]}, FACTS, "smt is there twice"),
        ({"arguments": ["iommu=1", "iommu=off"]}, FACTS, "iommu is there twice"),
        (
            {"arguments": ["cpufreq=dom0-kernel"], "vcpus_pin": False},
            FACTS,
            "cpufreq is there twice, or sets what another word sets",
        ),
        ({"colour": 1}, FACTS, "dom0_colour: is not known"),
    ],
)
def test_what_cannot_be_is_refused(settings, facts, sentence):
    with pytest.raises(Failure, match=sentence):
        boot_arguments(settings, facts)


@pytest.mark.parametrize(
    ("release", "line", "more", "refused"),
    [
        ((4, 14, ".6"), "dom0_mem=1G", {}, True),
        ((4, 16, ".2"), "dom0_mem=1G", {}, False),
        ((4, 14, ".6"), "sched=credit", {}, False),
        ((4, 14, ".6"), "sched=credit", {"arguments": ["sched=credit2"]}, True),
        ((4, 14, ".6"), "", {"arguments": ["sched=credit"]}, False),
        ((4, 14, ".6"), "", {"allow_known_faults": True}, False),
        # It has booted with it.
        ((4, 14, ".6"), "dom0_nodes=1", {}, False),
        ((None, None, ""), None, {}, False),
    ],
)
def test_nodes_with_which_xen_hangs_are_refused(release, line, more, refused):
    xen = {"major": release[0], "minor": release[1], "extraversion": release[2], "command_line": line}
    asked = {"nodes": [1], **more}
    if not refused:
        assert "dom0_nodes=1" in boot_arguments(asked, {**FACTS, "xen": xen})
        return
    with pytest.raises(
        Failure, match=r"the host hangs while it boots.*Xen 4.15.4 or 4.16.2 or 4.17.0 mends that"
    ):
        boot_arguments(asked, {**FACTS, "xen": xen})
    asked = {"arguments": ["dom0_nodes=1", *more.get("arguments", [])]}
    with pytest.raises(Failure, match="dom0_allow_known_faults"):
        boot_arguments(asked, {**FACTS, "xen": xen})


def test_known_faults():
    found = known_faults({"xen": {"major": 4, "minor": 14, "extraversion": ".6"}})
    assert {"action", "happens", "mended", "source"} == set(found[0])
    assert sum(one["action"] == "taking a CPU offline" for one in found) == 2
    assert known_faults({"xen": {}}) == []


def test_pending_is_what_xen_does_not_run_with():
    assert boot_pending("a=1 b c=2", "a=1 b c=2 other") == []
    assert boot_pending("a=1 b c=2", "a=2 c=2") == ["a=1", "b"]
    # The last word counts, but for what adds up.
    assert boot_pending("a=1", "a=1 a=2") == ["a=1"]
    assert boot_pending("dom0_nodes=1", "placeholder dom0_nodes=0 dom0_nodes=1") == ["dom0_nodes=1"]
    assert boot_pending("iommu=verbose", "placeholder iommu=verbose iommu=1") == []
    assert boot_pending("a=1", None) == ["a=1"]
    assert boot_pending("", "x") == []
