# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every errno in every situation has its class and a sentence that says what to do."""

import errno
import re

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._xen import errors

VALUES = {
    "domid": 7,
    "vcpu": 3,
    "hard": "4-7",
    "soft": "none",
    "nodes": "2",
    "pool": 5,
    "cpu": 9,
    "path": "/cpupool/0/sched-gran",
}

# errno, kind of hypercall, question, class, words that the sentence must have
TABLE = [
    (errno.ENOENT, "open", "open", errors.NotXen, ["modprobe xen-privcmd"]),
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
    (errno.ENODEV, "sysctl", "cpupool_op", errors.Invalid, ["offline"]),
    (errno.EADDRINUSE, "sysctl", "cpupool_op", errors.Busy, ["in use"]),
    (errno.EBUSY, "sysctl", "cpupool_op", errors.Busy, ["try again"]),
    (errno.EAGAIN, "sysctl", "cpupool_op", errors.Busy, ["try again"]),
    (errno.EINVAL, "platform", "get_cpuinfo", errors.Invalid, ["no CPU 9"]),
    (errno.ENODEV, "sysctl", "get_pmstat", errors.NotSupported, ["does not scale"]),
    (errno.EOPNOTSUPP, "sysctl", "get_pmstat", errors.NotSupported, ["to the hardware"]),
    (errno.ENOENT, "hypfs", "read", errors.NoSuchEntry, ["no /cpupool/0/sched-gran"]),
    (errno.ENOSYS, "domctl", "numa_op", errors.NotSupported, ["XenServer", "debug key"]),
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
