# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each bad situation, as a user meets it: one sentence out of the module, no traceback, nothing half-done.

A Xen that plays a recording and refuses as the real one would stands for what cannot be brought about on a test host;
tests/onhost/hypercalls.py and the Molecule scenarios ask a real one for the rest.
"""

import contextlib
import copy
import errno

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.dom0.xen.plugins.module_utils import _gathering
from ansible_collections.dom0.xen.plugins.module_utils._xen import _xen_ffi, connection
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.plugins.modules import topology_facts, vcpu_affinity
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from ansible_collections.dom0.xen.tests.unit.plugins.modules.running import run

if _xen_ffi.ffi is None:
    pytest.skip("this Python has no _cffi_backend", allow_module_level=True)

from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import (
    DOMCTL,
    SYSCTL,
    FakeXen,
)


@pytest.fixture
def fake(monkeypatch):
    """The hypervisor below us. There is no xenstore, no sysfs and no xl."""
    made = FakeXen(copy.deepcopy(recording("small-guests").data))
    monkeypatch.setattr(
        Xen, "open", lambda allow_unknown=False: Xen(made, allow_unknown=allow_unknown, machine="x86_64")
    )
    real = _gathering.collect
    monkeypatch.setattr(
        _gathering,
        "collect",
        lambda *components, **arguments: real(*components, root="/nonexistent", **arguments),
    )
    return made


def ask(monkeypatch, capsys, **arguments):
    result = run(monkeypatch, capsys, topology_facts, source="hypercall", **arguments)
    assert "Traceback" not in str(result)
    return result


def refused(result, *words):
    assert result["failed"], result
    assert "ansible_facts" not in result
    assert result["msg"].endswith(".")
    for word in words:
        assert word in result["msg"], result["msg"]


# What opening, and then each question, may be answered with.
ROWS = [
    ("open", errno.ENOENT, ["modprobe xen-privcmd"]),
    ("open", errno.ENODEV, ["modprobe xen-privcmd"]),
    ("open", errno.ENXIO, ["modprobe xen-privcmd"]),
    ("open", errno.EACCES, ["root", "become: true"]),
    ("open", errno.EPERM, ["initial domain", "locked down"]),
    # an older kernel in a guest, a kernel that is locked down, a policy
    ("version", errno.EPERM, ["initial domain", "locked down", "FLASK"]),
    ("sched_id", errno.EPERM, ["initial domain", "locked down", "FLASK"]),
    ("getdomaininfo", errno.EPERM, ["initial domain", "FLASK"]),
    # Xen without sysctls (CONFIG_SYSCTL), a filter of the kernel
    ("sched_id", errno.ENOSYS, ["was built without it", "filter"]),
    ("physinfo", errno.ENOSYS, ["was built without it", "filter"]),
    ("numainfo", errno.EOPNOTSUPP, ["does not support"]),
    # the version was right before: this is the policy
    ("physinfo", errno.EACCES, ["FLASK", "xl dmesg"]),
    ("cputopoinfo", errno.EACCES, ["FLASK", "cputopoinfo"]),
    ("numainfo", errno.EPERM, ["FLASK", "numainfo"]),
    ("cpupool_op", errno.EACCES, ["FLASK", "cpupool"]),
    ("getvcpuinfo", errno.EACCES, ["FLASK", "domain 0"]),
    ("getvcpuaffinity", errno.EACCES, ["FLASK", "domain 0"]),
    ("getnodeaffinity", errno.EACCES, ["FLASK", "domain 0"]),
    ("physinfo", errno.EFAULT, ["could not read or write the memory"]),
    ("cputopoinfo", errno.ENOMEM, ["not enough memory"]),
    ("numainfo", errno.ELOOP, ["not foreseen", "numainfo"]),
]


@pytest.mark.parametrize(
    ("question", "error", "words"), ROWS, ids=["%s-%s" % (row[0], errno.errorcode[row[1]]) for row in ROWS]
)
def test_what_gathering_may_be_refused_with(monkeypatch, capsys, fake, question, error, words):
    if question == "open":
        fake.open_errno = error
    else:
        fake.never_fault = 0
        fake.faults[question] = error
    refused(ask(monkeypatch, capsys), *words)
    assert fake.opened == fake.closed


def test_wrong_interface_versions(monkeypatch, capsys, fake):
    """All that the table has, and a few beyond, are refused."""
    fake.sysctl = 0x40
    refused(ask(monkeypatch, capsys), "sysctl", "too new", "FLASK")


def test_fault_that_passes(monkeypatch, capsys, fake):
    fake.never_fault = 0
    fake.faults["physinfo"] = [errno.EFAULT, errno.EFAULT]
    assert not ask(monkeypatch, capsys).get("failed")


# ---- hypervisors that answer less ----

#: What XenServer 9 lets through under Secure Boot (filter-hypercalls of its kernel).
LET_THROUGH = {
    "sched_id",
    "physinfo",
    "cpu_hotplug",
    "readconsole",
    "getdomaininfolist",
    "debug_keys",
    "get_pmstat",
    "pm_op",
    "cpupool_op",
    "numainfo",
    "cputopoinfo",
    "pcitopoinfo",
    "get_cpu_policy",
    "getdomaininfo",
    "getvcpuinfo",
    "getvcpuaffinity",
    "setvcpuaffinity",
    "getnodeaffinity",
    "setnodeaffinity",
    "numa_op",
}


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM], ids=["now", "before 2026"])
@pytest.mark.parametrize("name", ["small-guests", "small-offline", "big-offline"])
def test_xenserver_under_secure_boot(monkeypatch, capsys, fake, name, error):
    """Facts come; CPUs that are offline are known by the cpupools; what is missing is said."""
    whole = ask(monkeypatch, capsys)["ansible_facts"]["xen_topology"] if name == "small-guests" else None
    fake.data = copy.deepcopy(recording(name).data)
    for question in (
        set(SYSCTL.values()) | set(DOMCTL.values()) | {"get_cpuinfo", "machine_memory_map"}
    ) - LET_THROUGH:
        fake.faults[question] = error
    result = ask(monkeypatch, capsys)
    facts = result["ansible_facts"]["xen_topology"]
    online = set(fake.data["cpupools"][0]["cpus"])
    assert {pu["os_index"] for pu in facts["pus"] if pu["online"]} == online
    assert {pu["os_index"] for pu in facts["pus"] if pu["online"] is False} == set(
        range(len(facts["pus"]))
    ) - online
    assert any("cpupools instead" in warning for warning in result["warned"])
    assert [pu["apic_id"] for pu in facts["pus"]] == [None] * len(facts["pus"])
    if whole:
        assert facts["cores"] == whole["cores"]
        assert len(facts["domains"]) == len(whole["domains"])


def test_newer_than_the_table_is_read_with_a_warning(monkeypatch, capsys, fake):
    fake.release, fake.sysctl, fake.domctl = (4, 24), 0x17, 0x19
    result = ask(monkeypatch, capsys)
    assert result["ansible_facts"]["xen_topology"]["xen"]["interface"]["known"] is False
    assert any("newer than this collection knows" in warning for warning in result["warned"])


# ---- setting affinity ----


@pytest.fixture
def unlocked(monkeypatch):
    """No lock file on this machine."""
    monkeypatch.setattr(vcpu_affinity, "host_lock", lambda module: contextlib.ExitStack())


def pin(monkeypatch, capsys, **more):
    result = run(
        monkeypatch, capsys, vcpu_affinity, affinities=[{"guest": "2", "vcpus": [0], "hard": "0-3"}], **more
    )
    assert "Traceback" not in str(result)
    return result


@pytest.mark.usefixtures("unlocked")
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errno.EINVAL, ["hard mask", "no online CPU"]),
        (errno.ESRCH, ["has ended", "nothing was set"]),
        (errno.EBUSY, ["force: true"]),
        (errno.EACCES, ["FLASK", "domain 2"]),
        (errno.EPERM, ["FLASK"]),
    ],
    ids=["EINVAL", "ESRCH", "EBUSY", "EACCES", "EPERM"],
)
def test_what_setting_may_be_refused_with(monkeypatch, capsys, fake, error, words):
    fake.faults["setvcpuaffinity"] = error
    result = pin(monkeypatch, capsys)
    assert result["failed"]
    for word in words:
        assert word in result["msg"], result["msg"]
    assert fake.domain(2)["vcpus"][0]["hard"] == [4, 5, 6, 7]


@pytest.mark.usefixtures("unlocked")
def test_newer_than_the_table_is_written_to_only_when_told_so(monkeypatch, capsys, fake):
    fake.release, fake.sysctl, fake.domctl = (4, 24), 0x17, 0x19
    result = pin(monkeypatch, capsys)
    assert result["failed"]
    assert "nothing is changed on it" in result["msg"]
    assert "setvcpuaffinity" not in fake.asked
    assert "setnodeaffinity" not in fake.asked
    assert not pin(monkeypatch, capsys, allow_unknown_xen=True).get("failed")
    assert fake.domain(2)["vcpus"][0]["hard"] == [0, 1, 2, 3]


@pytest.mark.usefixtures("unlocked")
def test_what_xl_says_is_not_good_enough_to_change_something(monkeypatch, capsys, fake):
    fake.open_errno = errno.EPERM
    monkeypatch.setattr(connection, "check_control_domain", lambda root="/": None)
    result = pin(monkeypatch, capsys)
    assert result["failed"]
    assert "initial domain" in result["msg"]
