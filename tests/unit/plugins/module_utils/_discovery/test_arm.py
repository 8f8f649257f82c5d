# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with Arm, of which there is none at hand: Xen gives all its CPUs the same place, and does not know half of the questions.

The recording is constructed after xen/arch/arm of Xen 4.17 (smpboot.c, sysctl.c, platform_hypercall.c): eight CPUs, one guest.
"""

import copy
import errno
import os

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._discovery import recordings
from ansible_collections.dom0.xen.plugins.module_utils._discovery.collecting import collect
from ansible_collections.dom0.xen.plugins.module_utils._discovery.hypercall import Hypercall
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._xen import _xen_ffi
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import RECORDINGS, recording

ARM = os.path.join("constructed", "arm")

#: What Xen on Arm does not know (arch_do_sysctl, no platform_op of that number); without PCI devices it is not asked about any.
UNKNOWN = ("get_cpuinfo", "machine_memory_map", "get_cpu_policy", "get_pmstat")


def test_each_cpu_is_a_core_of_its_own():
    topology = derive(recording(ARM))
    assert [str(core.cpuset) for core in topology.cores] == [str(cpu) for cpu in range(8)]
    assert topology.threads_per_core == 1
    assert (len(topology.packages), len(topology.nodes)) == (1, 1)
    assert topology.cpuset == topology.complete_cpuset == CpuSet(range(8))
    assert topology.xen.smt == "none"
    assert topology.caches == ()
    assert len(topology.warnings) == 2
    assert "as it does on Arm: each CPU is taken for a core of its own" in topology.warnings[1]
    assert [kind.threads_per_core for kind in topology.cpu_kinds] == [1]


def test_what_is_missing_is_said():
    facts = to_facts(derive(recording(ARM)))
    assert {entry["question"] for entry in facts["unanswered"]} == set(UNKNOWN) - {"get_cpuinfo"}
    assert "it is an Arm host" in facts["warnings"][0]
    assert {pu["online"] for pu in facts["pus"]} == {True}


@pytest.mark.skipif(_xen_ffi.ffi is None, reason="this Python has no _cffi_backend")
def test_the_recording_is_what_is_heard_from_such_a_hypervisor():
    """Through the same code as on a real host; records of domains are longer on Arm."""
    from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen

    wanted = recording(ARM)
    fake = FakeXen(copy.deepcopy(wanted.data), domaininfo_size=120)
    fake.faults.update(dict.fromkeys(UNKNOWN, errno.ENOSYS))
    heard = collect(
        [Hypercall()],
        subset=["domains"],
        open_xen=lambda: Xen(fake, machine="aarch64"),
        root="/nonexistent",
    )
    assert heard.components == wanted.components[:1]
    assert heard.warnings == wanted.warnings
    assert sorted(set(wanted.data) - set(heard.data)) == [
        "acpi",
        "cpupool_names",
        "dom0_linux",
        "domain_names",
    ]
    for section, value in heard.data.items():
        assert value == wanted.data[section], section


def test_it_is_written_as_the_collection_writes_recordings():
    with open(os.path.join(RECORDINGS, ARM + ".json"), encoding="utf-8") as stream:
        assert stream.read() == recordings.write(recording(ARM))
