# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hypercalls that change cpupools and CPUs, and hypfs, against a hypervisor that plays the recording of a real host."""

import copy
import errno

import pytest

pytest.importorskip("_cffi_backend")

from ansible_collections.dom0.xen.plugins.module_utils._xen import changes, errors, hypfs, sysctl
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen

WEB = 2
CREDIT, CREDIT2 = 5, 6


@pytest.fixture
def fake():
    return FakeXen(dict(copy.deepcopy(recording("small-guests").data), sched_gran={"0": "cpu"}))


@pytest.fixture
def xen(fake):
    with Xen(fake, machine="x86_64") as opened:
        yield opened
    assert not fake.memory.live, "a hypercall buffer was not freed"


def test_a_cpupool_from_its_making_to_its_end(fake, xen):
    changes.cpupool_create(xen, 1, CREDIT)
    assert sysctl.cpupool_info(xen, 1) == (1, CREDIT, 0, 0)
    for cpu in (4, 5):
        changes.cpupool_remove_cpu(xen, 0, cpu)
    assert sysctl.cpupool_free(xen) == 0x30
    for cpu in (4, 5):
        changes.cpupool_add_cpu(xen, 1, cpu)
    assert sysctl.cpupool_free(xen) == 0
    changes.cpupool_move_domain(xen, 1, WEB)
    assert sysctl.cpupool_info(xen, 1) == (1, CREDIT, 1, 0x30)
    changes.cpupool_move_domain(xen, 0, WEB)
    for cpu in (4, 5):
        changes.cpupool_remove_cpu(xen, 1, cpu)
    changes.cpupool_destroy(xen, 1)
    assert sysctl.cpupool_info(xen, 1) is None
    assert fake.steps[0] == (1, 1, None)


def test_what_xen_refuses_of_cpupools(fake, xen):
    with pytest.raises(errors.Exists, match="cpupool 0 already"):
        changes.cpupool_create(xen, 0, CREDIT2)
    with pytest.raises(errors.Invalid, match=r"scheduler \(number 7\)"):
        changes.cpupool_create(xen, 1, 7)
    with pytest.raises(errors.NoSuchCpupool):
        changes.cpupool_destroy(xen, 5)
    with pytest.raises(errors.Busy, match="still has CPUs or domains"):
        changes.cpupool_destroy(xen, 0)
    with pytest.raises(errors.Invalid, match="CPU 3 join cpupool 0"):
        changes.cpupool_add_cpu(xen, 0, 3)
    changes.cpupool_create(xen, 1, CREDIT2)
    with pytest.raises(errors.Invalid, match="CPU 3 is not in cpupool 1"):
        changes.cpupool_remove_cpu(xen, 1, 3)
    with pytest.raises(errors.NoSuchCpupool, match="has no CPU"):
        changes.cpupool_move_domain(xen, 1, WEB)
    with pytest.raises(errors.Invalid, match="CPU 0, which stays"):
        changes.cpupool_remove_cpu(xen, 0, 0)
    for pool in range(2, 16):
        changes.cpupool_create(xen, pool, CREDIT2)
    with pytest.raises(errors.Invalid, match="no more cpupools"):
        changes.cpupool_create(xen, 16, CREDIT2)
    with pytest.raises(errors.NotPermitted, match="Domain-0 stays"):
        changes.cpupool_move_domain(xen, 0, 0)
    with pytest.raises(errors.NoSuchDomain):
        changes.cpupool_move_domain(xen, 1, 77)
    fake.faults["remove_cpu"] = errno.EADDRINUSE
    with pytest.raises(errors.Busy, match="pinned to it for the moment"):
        changes.cpupool_remove_cpu(xen, 0, 3)


def test_cpu_0_may_leave_cpupool_0_before_4_17():
    older = FakeXen(
        copy.deepcopy(recording("small-bullseye-offline").data), (4, 14), sysctl=0x13, domctl=0x12
    )
    with Xen(older, machine="x86_64") as xen:
        changes.cpupool_remove_cpu(xen, 0, 0)
        assert not sysctl.cpupool_info(xen).cpus & 1


def test_cpus_go_offline_and_come_back_to_cpupool_0(fake, xen):
    changes.cpu_hotplug(xen, changes.CPU_OFFLINE, 5)
    assert sysctl.physinfo(xen).nr_cpus == 7
    assert sysctl.cpupool_info(xen).cpus == 0xDF
    with pytest.raises(errors.Exists, match="offline already"):
        changes.cpu_hotplug(xen, changes.CPU_OFFLINE, 5)
    changes.cpu_hotplug(xen, changes.CPU_ONLINE, 5)
    assert sysctl.cpupool_info(xen).cpus == 0xFF
    with pytest.raises(errors.Exists, match="online already"):
        changes.cpu_hotplug(xen, changes.CPU_ONLINE, 5)
    with pytest.raises(errors.Invalid, match="CPU 0"):
        changes.cpu_hotplug(xen, changes.CPU_OFFLINE, 0)


def test_smt(fake, xen):
    changes.cpu_hotplug(xen, changes.SMT_DISABLE)
    assert sysctl.cpupool_info(xen).cpus == 0x55
    with pytest.raises(errors.NotPermitted, match="smt: true"):
        changes.cpu_hotplug(xen, changes.CPU_ONLINE, 1)
    changes.cpu_hotplug(xen, changes.SMT_ENABLE)
    assert sysctl.cpupool_info(xen).cpus == 0xFF
    fake.faults["cpu_hotplug"] = errno.EBUSY
    with pytest.raises(errors.Busy, match="sched-gran"):
        changes.cpu_hotplug(xen, changes.SMT_DISABLE)
    del fake.faults["cpu_hotplug"]
    fake.data["cputopo"] = [[cpu, 0, 0] for cpu in range(8)]
    for operation in (changes.SMT_DISABLE, changes.SMT_ENABLE):
        with pytest.raises(errors.NotSupported, match="one thread each"):
            changes.cpu_hotplug(xen, operation)


def test_granularity_of_a_cpupool(fake, xen):
    assert hypfs.read_text(xen, "/cpupool/0/sched-gran") == "cpu"
    changes.cpupool_create(xen, 1, CREDIT2)
    changes.write_hypfs(xen, "/cpupool/1/sched-gran", "core")
    assert hypfs.read_text(xen, "/cpupool/1/sched-gran") == "core"
    changes.cpupool_remove_cpu(xen, 0, 4)
    changes.cpupool_remove_cpu(xen, 0, 5)
    changes.cpupool_add_cpu(xen, 1, 4)
    assert sysctl.cpupool_info(xen, 1).cpus == 0x30
    with pytest.raises(errors.Busy, match="only while it has no CPUs"):
        changes.write_hypfs(xen, "/cpupool/1/sched-gran", "cpu")
    with pytest.raises(errors.NoSuchEntry, match="/cpupool/7/sched-gran"):
        changes.write_hypfs(xen, "/cpupool/7/sched-gran", "cpu")
