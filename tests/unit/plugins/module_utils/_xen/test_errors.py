# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every errno in every situation has its class and a sentence that says what to do."""

import errno
import re

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._xen import (
    changes,
    errors,
    hardware,
    memory_op,
    pinning,
)

VALUES = {
    "domid": 7,
    "vcpu": 3,
    "hard": "4-7",
    "soft": "none",
    "nodes": "2",
    "pool": 5,
    "cpu": 9,
    "path": "/cpupool/5/sched-gran",
    "sched_id": 7,
    "value": "core",
}

#: Files that bring sentences of their own.
BRINGS = (changes, hardware, memory_op, pinning)

# errno, kind of hypercall, question, class, words that the sentence must have
TABLE = [
    (errno.ENOENT, "open", "open", errors.NotXen, ["modprobe xen-privcmd"]),
    (errno.ENODEV, "open", "open", errors.NotXen, ["no Xen behind", "modprobe xen-privcmd"]),
    (errno.ENXIO, "open", "open", errors.NotXen, ["no Xen behind", "modprobe xen-privcmd"]),
    (errno.EACCES, "open", "open", errors.NotPermitted, ["root", "become: true"]),
    (errno.EPERM, "sysctl", "physinfo", errors.NotPermitted, ["sysctl physinfo", "locked down", "FLASK"]),
    (errno.EPERM, "domctl", "getvcpuinfo", errors.NotPermitted, ["domctl getvcpuinfo", "initial domain"]),
    (errno.EPERM, "sysctl", "debug_keys", errors.NotPermitted, ["Debug keys", "FLASK"]),
    (errno.EPERM, "sysctl", "readconsole", errors.NotPermitted, ["console ring", "FLASK"]),
    (errno.EACCES, "sysctl", "numainfo", errors.NotPermitted, ["FLASK", "sysctl numainfo", "xl dmesg"]),
    (errno.EACCES, "domctl", "getvcpuaffinity", errors.NotPermitted, ["FLASK", "domain 7"]),
    (errno.ENOSYS, "sysctl", "physinfo", errors.NotSupported, ["sysctl physinfo", "filter"]),
    (errno.ENOSYS, "platform", "get_cpuinfo", errors.NotSupported, ["which CPUs are online", "filter"]),
    (errno.EOPNOTSUPP, "domctl", "getnodeaffinity", errors.NotSupported, ["does not support"]),
    (errno.EFAULT, "sysctl", "cputopoinfo", errors.XenError, ["memory", "sysctl cputopoinfo"]),
    (errno.ENOMEM, "sysctl", "cputopoinfo", errors.XenError, ["not enough memory"]),
    (errno.ESRCH, "domctl", "getdomaininfo", errors.NoSuchDomain, ["no domain 7"]),
    (errno.ESRCH, "domctl", "getnodeaffinity", errors.NoSuchDomain, ["no domain 7"]),
    (errno.ESRCH, "domctl", "getvcpuinfo", errors.NoSuchVcpu, ["Domain 7", "no vCPU 3", "ended"]),
    (errno.EINVAL, "domctl", "getvcpuinfo", errors.NoSuchVcpu, ["Domain 7", "no vCPU 3"]),
    (errno.ESRCH, "domctl", "getvcpuaffinity", errors.NoSuchVcpu, ["no vCPU 3"]),
    (errno.EINVAL, "domctl", "getvcpuaffinity", errors.NoSuchVcpu, ["no vCPU 3"]),
    (errno.ESRCH, "domctl", "setvcpuaffinity", errors.NoSuchVcpu, ["nothing was set"]),
    (
        errno.EINVAL,
        "domctl",
        "setvcpuaffinity",
        errors.Invalid,
        ["vCPU 3 of domain 7", "4-7", "online", "cpupool"],
    ),
    (errno.EBUSY, "domctl", "setvcpuaffinity", errors.Busy, ["force: true"]),
    (errno.EINVAL, "domctl", "setnodeaffinity", errors.Invalid, ["domain 7", "nodes 2"]),
    (errno.ENOENT, "sysctl", "cpupool_info", errors.NoSuchCpupool, ["no cpupool 5"]),
    (errno.EEXIST, "sysctl", "cpupool_create", errors.Exists, ["cpupool 5 already"]),
    (errno.ENOENT, "sysctl", "cpupool_create", errors.Invalid, ["number 7", "built without"]),
    (errno.ENOSPC, "sysctl", "cpupool_create", errors.Invalid, ["no more cpupools"]),
    (errno.ENOENT, "sysctl", "cpupool_destroy", errors.NoSuchCpupool, ["no cpupool 5"]),
    (errno.EBUSY, "sysctl", "cpupool_destroy", errors.Busy, ["Cpupool 5", "CPUs or domains"]),
    (errno.ENOENT, "sysctl", "cpupool_add_cpu", errors.NoSuchCpupool, ["no cpupool 5"]),
    (errno.ENODEV, "sysctl", "cpupool_add_cpu", errors.Invalid, ["CPU 9", "offline", "locked", "reboot"]),
    (errno.EADDRNOTAVAIL, "sysctl", "cpupool_add_cpu", errors.Busy, ["CPU 9", "half-way"]),
    (errno.ENOENT, "sysctl", "cpupool_remove_cpu", errors.NoSuchCpupool, ["no cpupool 5"]),
    (errno.EINVAL, "sysctl", "cpupool_remove_cpu", errors.Invalid, ["CPU 9", "offline", "CPU 0"]),
    (errno.EADDRNOTAVAIL, "sysctl", "cpupool_remove_cpu", errors.Invalid, ["CPU 9 is not in cpupool 5"]),
    (errno.EADDRINUSE, "sysctl", "cpupool_remove_cpu", errors.Busy, ["CPU 9", "pinned", "try again"]),
    (errno.EBUSY, "sysctl", "cpupool_remove_cpu", errors.Busy, ["CPU 9", "last one"]),
    (errno.ESRCH, "sysctl", "cpupool_move_domain", errors.NoSuchDomain, ["no domain 7"]),
    (
        errno.ENOENT,
        "sysctl",
        "cpupool_move_domain",
        errors.NoSuchCpupool,
        ["cpupool 5", "destroyed", "no CPU"],
    ),
    (errno.EINVAL, "sysctl", "cpupool_move_domain", errors.NoSuchDomain, ["domain 7", "about to end"]),
    (errno.EPERM, "sysctl", "cpupool_move_domain", errors.NotPermitted, ["domain 7", "Domain-0", "FLASK"]),
    (errno.EEXIST, "sysctl", "cpu_online", errors.Exists, ["CPU 9 is online"]),
    (errno.EEXIST, "sysctl", "cpu_offline", errors.Exists, ["CPU 9 is offline"]),
    (errno.EINVAL, "sysctl", "cpu_online", errors.Invalid, ["no CPU 9"]),
    (errno.EPERM, "sysctl", "cpu_online", errors.NotPermitted, ["CPU 9", "smt: true"]),
    (errno.EINVAL, "sysctl", "cpu_offline", errors.Invalid, ["CPU 9 offline", "CPU 0"]),
    (errno.ENODEV, "sysctl", "cpu_offline", errors.Invalid, ["CPU 9", "cpupool other than"]),
    (errno.EBUSY, "sysctl", "cpu_offline", errors.Busy, ["CPU 9", "pinned", "last one"]),
    (errno.EBUSY, "sysctl", "smt_enable", errors.Busy, ["sched-gran"]),
    (errno.EBUSY, "sysctl", "smt_disable", errors.Busy, ["sched-gran"]),
    (errno.EOPNOTSUPP, "sysctl", "smt_enable", errors.NotSupported, ["one thread"]),
    (errno.EOPNOTSUPP, "sysctl", "smt_disable", errors.NotSupported, ["one thread"]),
    (errno.EBUSY, "hypfs", "write", errors.Busy, ["/cpupool/5/sched-gran", "no CPUs"]),
    (errno.EINVAL, "hypfs", "write", errors.Invalid, ["core", "/cpupool/5/sched-gran"]),
    (errno.ENOENT, "hypfs", "write", errors.NoSuchEntry, ["has no /cpupool/5/sched-gran"]),
    (errno.EACCES, "hypfs", "write", errors.NotSupported, ["/cpupool/5/sched-gran"]),
    (errno.EADDRINUSE, "sysctl", "cpu_online", errors.Busy, ["try again"]),
    (errno.EBUSY, "sysctl", "physinfo", errors.Busy, ["try again"]),
    (errno.EAGAIN, "sysctl", "physinfo", errors.Busy, ["try again"]),
    (errno.EINVAL, "platform", "get_cpuinfo", errors.Invalid, ["no CPU 9"]),
    (errno.ENODEV, "sysctl", "get_pmstat", errors.NotSupported, ["does not scale"]),
    (errno.EOPNOTSUPP, "sysctl", "get_pmstat", errors.NotSupported, ["to the hardware"]),
    (errno.EINVAL, "sysctl", "get_pmstat", errors.NotSupported, ["CPU 9", "xen-acpi-processor"]),
    (errno.ENODATA, "sysctl", "get_pmstat", errors.NotSupported, ["CPU 9"]),
    (errno.ENODEV, "sysctl", "get_cpufreq_para", errors.NotSupported, ["does not scale"]),
    (errno.EINVAL, "sysctl", "get_cpufreq_para", errors.NotSupported, ["CPU 9", "xen-acpi-processor"]),
    (errno.ENOENT, "hypfs", "read", errors.NoSuchEntry, ["no /cpupool/5/sched-gran"]),
    (errno.ENOSYS, "domctl", "numa_op", errors.NotSupported, ["XenServer", "debug key"]),
    (errno.EPERM, "domctl", "numa_op", errors.NotSupported, ["lets no hypercall through", "debug key"]),
    (errno.EOPNOTSUPP, "domctl", "numa_op", errors.NotSupported, ["does not use the host's NUMA nodes"]),
    (errno.EINVAL, "sysctl", "numainfo", errors.Invalid, ["sysctl numainfo"]),
    (
        errno.ELOOP,
        "sysctl",
        "numainfo",
        errors.XenError,
        ["not foreseen", "sysctl numainfo", "symbolic links"],
    ),
]


@pytest.mark.parametrize(
    ("error", "kind", "question", "expected", "words"),
    TABLE,
    ids=["%s-%s" % (errno.errorcode[row[0]], row[2]) for row in TABLE],
)
def test_sentence(error, kind, question, expected, words):
    failure = errors.failure(error, kind, question, **VALUES)
    assert failure.__class__ is expected
    assert isinstance(failure, Failure)
    assert failure.errno == error
    assert question in failure.operation
    for word in words:
        assert word in failure.message, failure.message
    assert re.match(r"[A-Z/v].*\.$", failure.message), "no sentence: %s" % failure.message
    assert "\n" not in failure.message
    assert "?" not in failure.message


def test_every_sentence_of_the_table_is_tested():
    tested = {(row[0], row[2]) for row in TABLE}
    assert set(errors._BY_QUESTION) <= tested
    assert {row[0] for row in errors._BY_KIND} | set(errors._BY_ERRNO) <= {row[0] for row in TABLE}


def test_value_that_nobody_gave_is_no_second_error():
    assert "domain ?" in errors.failure(errno.ESRCH, "domctl", "getdomaininfo").message


def test_vcpu_that_is_gone_can_be_caught_as_a_domain_that_is_gone():
    assert issubclass(errors.NoSuchVcpu, errors.NoSuchDomain)
