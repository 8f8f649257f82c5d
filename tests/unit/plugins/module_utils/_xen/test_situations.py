# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every bad situation that Xen's sources and dom0's kernel have: its errno, the sentence that a user reads, and who tries it.

A real host stands first, with a check of tests/onhost/hypercalls.py or a task of the scenario `errors`; where nobody can bring the
situation about on a test host, the playing hypervisor stands for it alone.
"""

import errno
import os
import re
import typing as t

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._xen import (
    changes,
    errors,
    hardware,
    memory_op,
    pinning,
)
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import ROOT

#: These bring sentences of their own; a program that loads one of them has those.
BRINGING = (changes, hardware, memory_op, pinning)

ONHOST = "tests/onhost/hypercalls.py"
SCENARIO = "extensions/molecule/errors/verify.yml"
IN_A_GUEST = "extensions/molecule/errors/tasks/guest.yml"
HERE = "tests/unit/plugins/module_utils/_xen/"
OPENING = HERE + "test_connection.py"
PROBING = HERE + "test_probe.py"
CALLS = HERE + "test_hypercalls.py"
CHANGES = HERE + "test_changing.py"
MODULES = "tests/unit/plugins/modules/test_error_table.py"

Proof = t.Tuple[str, str]


class Situation(t.NamedTuple):
    """`error` is the errno with the kind and the name of the call that is answered so; None where no call is made."""

    what: str
    error: t.Optional[t.Tuple[int, str, str]]
    kind: t.Type[errors.XenError]
    words: t.Tuple[str, ...]
    proofs: t.Tuple[Proof, ...]


def row(
    what: str,
    error: t.Optional[t.Tuple[int, str, str]],
    kind: t.Type[errors.XenError],
    words: str,
    *proofs: Proof,
) -> Situation:
    return Situation(what, error, kind, tuple(words.split("|")), proofs)


SITUATIONS = (
    # opening
    row(
        "not Xen at all",
        None,
        errors.NotXen,
        "booted under Xen",
        (SCENARIO, "Ask a machine that is no Xen host"),
        (OPENING, "test_others_are_told_why_not"),
    ),
    row(
        "the kernel's module is not loaded",
        (errno.ENOENT, "open", "open"),
        errors.NotXen,
        "modprobe xen-privcmd",
        (MODULES, "test_what_gathering_may_be_refused_with"),
        (OPENING, "test_others_are_told_why_not"),
    ),
    row(
        "a device without Xen behind it (ENXIO)",
        (errno.ENXIO, "open", "open"),
        errors.NotXen,
        "no Xen behind",
        (MODULES, "test_what_gathering_may_be_refused_with"),
    ),
    row(
        "a device without Xen behind it (ENODEV)",
        (errno.ENODEV, "open", "open"),
        errors.NotXen,
        "no Xen behind",
        (MODULES, "test_what_gathering_may_be_refused_with"),
    ),
    row(
        "not root",
        (errno.EACCES, "open", "open"),
        errors.NotPermitted,
        "root|become: true",
        (ONHOST, "another user than root"),
        (SCENARIO, "Ask as another user than root"),
        (OPENING, "test_device_refuses"),
    ),
    row(
        "a guest, whose kernel may wait for ever when the device is opened (XSA-482): it is not opened",
        None,
        errors.NotControlDomain,
        "dom0",
        (IN_A_GUEST, "See what it said"),
        (OPENING, "test_others_are_told_why_not"),
    ),
    row(
        "a control domain that is not Linux's initial domain, or a kernel that is locked down",
        (errno.EPERM, "version", "version"),
        errors.NotPermitted,
        "initial domain|locked down",
        (MODULES, "test_what_gathering_may_be_refused_with"),
        (OPENING, "test_handle_is_closed_when_probing_fails"),
    ),
    row(
        "a guest with an older kernel asks about the host",
        (errno.EPERM, "sysctl", "sched_id"),
        errors.NotPermitted,
        "forbids",
        (MODULES, "test_what_gathering_may_be_refused_with"),
        (PROBING, "test_other_refusals_end_the_search"),
    ),
    row(
        "a guest with an older kernel asks about a domain",
        (errno.EPERM, "domctl", "getdomaininfo"),
        errors.NotPermitted,
        "forbids",
        (MODULES, "test_what_gathering_may_be_refused_with"),
    ),
    row(
        "no such domain",
        (errno.ESRCH, "domctl", "getdomaininfo"),
        errors.NoSuchDomain,
        "no domain 7",
        (ONHOST, "no such domain"),
        (SCENARIO, "Pin it nevertheless"),
        (CALLS, "test_nothing_of_a_domain_that_is_not_there"),
    ),
    row(
        "libxencall is not there",
        None,
        errors.LibraryMissing,
        "libxencall",
        (SCENARIO, "Hide one part after the other"),
        (OPENING, "test_missing_library"),
    ),
    # every hypercall
    row(
        "wrong interface version",
        (errno.EACCES, "sysctl", "physinfo"),
        errors.NotPermitted,
        "FLASK",
        (ONHOST, "wrong %s version"),
        (MODULES, "test_wrong_interface_versions"),
    ),
    row(
        "no interface version within reach of the table",
        None,
        errors.UnknownInterface,
        "too new",
        (ONHOST, "far newer than the table"),
        (PROBING, "test_far_beyond_the_table"),
    ),
    row(
        "FLASK denies a question about the host",
        (errno.EACCES, "sysctl", "cputopoinfo"),
        errors.NotPermitted,
        "FLASK|cputopoinfo|xl dmesg",
        (MODULES, "test_what_gathering_may_be_refused_with"),
    ),
    row(
        "FLASK denies a question about a domain",
        (errno.EACCES, "domctl", "getvcpuaffinity"),
        errors.NotPermitted,
        "FLASK|domain 7",
        (MODULES, "test_what_gathering_may_be_refused_with"),
    ),
    row(
        "FLASK denies to set affinity",
        (errno.EACCES, "domctl", "setvcpuaffinity"),
        errors.NotPermitted,
        "FLASK|domain 7",
        (MODULES, "test_what_setting_may_be_refused_with"),
    ),
    row(
        "FLASK denies cpupools",
        (errno.EACCES, "sysctl", "cpupool_info"),
        errors.NotPermitted,
        "FLASK|cpupool",
        (MODULES, "test_what_gathering_may_be_refused_with"),
    ),
    row(
        "an operation that Xen does not have",
        (errno.ENOSYS, "sysctl", "nonsense"),
        errors.NotSupported,
        "does not know",
        (ONHOST, "unknown sysctl"),
        (ONHOST, "unknown domctl"),
        (ONHOST, "unknown platform_op"),
    ),
    row(
        "the same under FLASK",
        (errno.EPERM, "sysctl", "numainfo"),
        errors.NotPermitted,
        "FLASK|numainfo",
        (MODULES, "test_what_gathering_may_be_refused_with"),
    ),
    row(
        "the same with EOPNOTSUPP",
        (errno.EOPNOTSUPP, "sysctl", "numainfo"),
        errors.NotSupported,
        "does not support",
        (MODULES, "test_what_gathering_may_be_refused_with"),
    ),
    row(
        "Xen was built without sysctls",
        (errno.ENOSYS, "sysctl", "sched_id"),
        errors.NotSupported,
        "built without",
        (MODULES, "test_what_gathering_may_be_refused_with"),
    ),
    row(
        "XenServer's kernel filters hypercalls (ENOSYS, before 2026 EPERM)",
        (errno.ENOSYS, "platform", "get_cpuinfo"),
        errors.NotSupported,
        "filter",
        (MODULES, "test_xenserver_under_secure_boot"),
        (CALLS, "test_get_cpuinfo_where_it_is_filtered"),
    ),
    row(
        "the filter finds calls in a call (ELOOP)",
        (errno.ELOOP, "sysctl", "numainfo"),
        errors.XenError,
        "not foreseen",
        (MODULES, "test_what_gathering_may_be_refused_with"),
    ),
    row(
        "memory that Xen cannot reach",
        (errno.EFAULT, "sysctl", "cputopoinfo"),
        errors.XenError,
        "memory|short of memory",
        (ONHOST, "memory that is not there"),
        (OPENING, "test_fault_is_tried_again_where_memory_may_fault"),
        (OPENING, "test_memory_of_python_is_refused_by_the_fake"),
        (MODULES, "test_fault_that_passes"),
    ),
    row(
        "PCI devices without room for them",
        (errno.EINVAL, "sysctl", "pcitopoinfo"),
        errors.Invalid,
        "not valid",
        (ONHOST, "PCI devices without room for them"),
    ),
    # affinity
    row(
        "a vCPU beyond the domain's, to set",
        (errno.EINVAL, "domctl", "setvcpuaffinity"),
        errors.Invalid,
        "no such vCPU",
        (ONHOST, "setting that of no vCPU"),
        (CALLS, "test_vcpu_that_is_not_there"),
    ),
    row(
        "a vCPU beyond the domain's, to ask",
        (errno.EINVAL, "domctl", "getvcpuaffinity"),
        errors.NoSuchVcpu,
        "no vCPU 3",
        (ONHOST, "affinity of no vCPU"),
        (CALLS, "test_vcpu_that_is_not_there"),
    ),
    row(
        "a vCPU that was never made",
        (errno.ESRCH, "domctl", "setvcpuaffinity"),
        errors.NoSuchVcpu,
        "nothing was set",
        (CALLS, "test_vcpu_that_is_not_there"),
        (MODULES, "test_what_setting_may_be_refused_with"),
    ),
    row(
        "a hard mask without an online CPU of the cpupool",
        (errno.EINVAL, "domctl", "setvcpuaffinity"),
        errors.Invalid,
        "hard mask 4-7 has no online CPU",
        (ONHOST, "hard mask without an online CPU"),
        (ONHOST, "empty hard mask"),
        (CALLS, "test_setvcpuaffinity_without_an_online_cpu"),
        (MODULES, "test_what_setting_may_be_refused_with"),
    ),
    row(
        "a vCPU that is pinned for the moment",
        (errno.EBUSY, "domctl", "setvcpuaffinity"),
        errors.Busy,
        "force: true",
        (CALLS, "test_setvcpuaffinity_while_the_guest_holds_its_pin"),
        (MODULES, "test_what_setting_may_be_refused_with"),
    ),
    row(
        "node affinity to nodes that are not online",
        (errno.EINVAL, "domctl", "setnodeaffinity"),
        errors.Invalid,
        "none of the NUMA nodes 2 is online",
        (ONHOST, "nodes that are not there"),
        (CALLS, "test_nodeaffinity_without_an_online_node"),
    ),
    # SMT, cpupools, CPUs
    row(
        "SMT with sched-gran above cpu, or while Xen is busy",
        (errno.EBUSY, "sysctl", "smt_disable"),
        errors.Busy,
        "sched-gran",
        (CHANGES, "test_smt"),
    ),
    row(
        "SMT where cores have one thread",
        (errno.EOPNOTSUPP, "sysctl", "smt_enable"),
        errors.NotSupported,
        "one thread",
        (ONHOST, "no SMT to switch"),
        (CHANGES, "test_smt"),
    ),
    row(
        "a second thread comes online while SMT is off",
        (errno.EPERM, "sysctl", "cpu_online"),
        errors.NotPermitted,
        "smt: true",
        (CHANGES, "test_smt"),
    ),
    row(
        "no such cpupool",
        (errno.ENOENT, "sysctl", "cpupool_destroy"),
        errors.NoSuchCpupool,
        "no cpupool 5",
        (ONHOST, "the end of no cpupool"),
        (CHANGES, "test_what_xen_refuses_of_cpupools"),
    ),
    row(
        "a cpupool that is there already",
        (errno.EEXIST, "sysctl", "cpupool_create"),
        errors.Exists,
        "cpupool 5 already",
        (ONHOST, "a cpupool that is there already"),
        (CHANGES, "test_what_xen_refuses_of_cpupools"),
    ),
    row(
        "a cpupool with a scheduler that Xen lacks",
        (errno.ENOENT, "sysctl", "cpupool_create"),
        errors.Invalid,
        "number 7|built without",
        (ONHOST, "a scheduler that is none"),
        (CHANGES, "test_what_xen_refuses_of_cpupools"),
    ),
    row(
        "one cpupool too many",
        (errno.ENOSPC, "sysctl", "cpupool_create"),
        errors.Invalid,
        "no more cpupools",
        (CHANGES, "test_what_xen_refuses_of_cpupools"),
    ),
    row(
        "the end of a cpupool with CPUs or domains",
        (errno.EBUSY, "sysctl", "cpupool_destroy"),
        errors.Busy,
        "CPUs or domains",
        (ONHOST, "the end of cpupool 0"),
        (CHANGES, "test_what_xen_refuses_of_cpupools"),
    ),
    row(
        "a CPU that is not free, or offline",
        (errno.ENODEV, "sysctl", "cpupool_add_cpu"),
        errors.Invalid,
        "offline|another cpupool",
        (ONHOST, "a CPU that is not free"),
        (ONHOST, "an offline CPU for a cpupool"),
        (CHANGES, "test_what_xen_refuses_of_cpupools"),
    ),
    row(
        "CPU 0 out of cpupool 0",
        (errno.EINVAL, "sysctl", "cpupool_remove_cpu"),
        errors.Invalid,
        "CPU 0, which stays",
        (ONHOST, "CPU 0 out of cpupool 0"),
        (ONHOST, "an offline CPU out of a cpupool"),
        (CHANGES, "test_what_xen_refuses_of_cpupools"),
    ),
    row(
        "a CPU out of a cpupool that does not have it",
        (errno.EADDRNOTAVAIL, "sysctl", "cpupool_remove_cpu"),
        errors.Invalid,
        "not in cpupool 5",
        (ONHOST, "a CPU out of another cpupool"),
        (CHANGES, "test_what_xen_refuses_of_cpupools"),
    ),
    row(
        "a CPU that a vCPU is pinned to for the moment",
        (errno.EADDRINUSE, "sysctl", "cpupool_remove_cpu"),
        errors.Busy,
        "try again",
        (CHANGES, "test_what_xen_refuses_of_cpupools"),
    ),
    row(
        "Xen is at work on a CPU",
        (errno.EAGAIN, "sysctl", "cpupool_remove_cpu"),
        errors.Busy,
        "try again",
        (HERE + "test_errors.py", "test_sentence"),
    ),
    row(
        "a guest in a cpupool without CPUs",
        (errno.ENOENT, "sysctl", "cpupool_move_domain"),
        errors.NoSuchCpupool,
        "no CPU",
        (ONHOST, "a guest in a cpupool without CPUs"),
        (CHANGES, "test_what_xen_refuses_of_cpupools"),
    ),
    row(
        "Domain-0 in another cpupool",
        (errno.EPERM, "sysctl", "cpupool_move_domain"),
        errors.NotPermitted,
        "Domain-0 stays",
        (ONHOST, "Domain-0 elsewhere"),
        (CHANGES, "test_what_xen_refuses_of_cpupools"),
    ),
    row(
        "CPU 0 offline",
        (errno.EINVAL, "sysctl", "cpu_offline"),
        errors.Invalid,
        "it is CPU 0",
        (ONHOST, "CPU 0 offline"),
        (CHANGES, "test_cpus_go_offline_and_come_back_to_cpupool_0"),
    ),
    row(
        "a CPU that is offline already",
        (errno.EEXIST, "sysctl", "cpu_offline"),
        errors.Exists,
        "offline already",
        (ONHOST, "a CPU that is offline already"),
        (CHANGES, "test_cpus_go_offline_and_come_back_to_cpupool_0"),
    ),
    row(
        "a CPU that is online already",
        (errno.EEXIST, "sysctl", "cpu_online"),
        errors.Exists,
        "online already",
        (ONHOST, "a CPU that is online already"),
        (CHANGES, "test_cpus_go_offline_and_come_back_to_cpupool_0"),
    ),
    row(
        "a CPU that does not exist",
        (errno.EINVAL, "sysctl", "cpu_online"),
        errors.Invalid,
        "knows no CPU",
        (ONHOST, "a CPU that is not there"),
    ),
)

VALUES = {"domid": 7, "vcpu": 3, "hard": "4-7", "nodes": "2", "pool": 5, "cpu": 9, "sched_id": 7}


@pytest.mark.parametrize(
    "situation",
    [each for each in SITUATIONS if each.error],
    ids=[each.what for each in SITUATIONS if each.error],
)
def test_errno_has_its_sentence(situation):
    failure = errors.failure(*situation.error, **VALUES)
    assert failure.__class__ is situation.kind
    for word in situation.words:
        assert word in failure.message, failure.message


@pytest.mark.parametrize("situation", SITUATIONS, ids=[each.what for each in SITUATIONS])
def test_somebody_tries_it(situation):
    """The tests that the table names are there, under these names."""
    assert situation.proofs
    for path, name in situation.proofs:
        full = os.path.join(ROOT, path)
        if path.startswith("extensions") and not os.path.exists(full):
            pytest.skip("the scenarios are not here")
        with open(full, encoding="utf-8") as stream:
            text = stream.read()
        found = r"^def %s\(" if name.startswith("test_") else '"%s"' if path == ONHOST else r"- name: %s$"
        assert re.search(found % re.escape(name), text, re.MULTILINE), (path, name)


def test_nothing_is_tried_on_a_real_host_without_standing_here():
    """Each refusal that a real host is asked for is one of these situations, or one of a few that no table lists."""
    with open(os.path.join(ROOT, ONHOST), encoding="utf-8") as stream:
        asked = set(re.findall(r'refused\(\s*"([^"]+)"', stream.read()))
    named = {name for each in SITUATIONS for path, name in each.proofs if path == ONHOST}
    assert named <= asked
    assert asked - named == {
        "nodes of no domain",
        "vCPU of no domain",
        "no such vCPU",
        "setting that of no domain",
        "a CPU for no cpupool",
        "no domain in a cpupool",
        "frequencies of an emulated CPU",
        "highest frequency of one",
        "memory by node in one call",
        "writing to it",
    }
