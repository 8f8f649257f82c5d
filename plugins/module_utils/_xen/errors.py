# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong between us and Xen, each as one sentence. Reads no host.

The hypervisor answers with an errno. What it means depends on what was asked, so sentences are looked up by
(errno, question) first, then by (errno, kind of hypercall), then by errno alone. Where Xen and its kernel driver give an
errno for several reasons, the sentence names them all.

Sources: xen/common/{sysctl,domctl}.c, xen/common/sched/{core,cpupool}.c, xen/xsm, and drivers/xen/privcmd.c of Linux.
"""

import errno
import os
import typing as t

from .._errors import Failure


class XenError(Failure):
    """Xen, or the way to it, refused. `errno` is a number or None; `operation` names what was asked."""

    errno: t.Optional[int] = None
    operation: t.Optional[str] = None


class NotXen(XenError):
    """This machine does not run on Xen."""


class NotControlDomain(XenError):
    """This machine runs on Xen, but is a guest."""


class NotPermitted(XenError):
    """Not root, or a policy of the kernel or of Xen forbids it."""


class BindingMissing(XenError):
    """This Python interpreter has no `_cffi_backend`; another one on the host may."""


class LibraryMissing(XenError):
    """libxencall.so.1 cannot be loaded."""


class UnknownInterface(XenError):
    """The hypervisor speaks an interface version that the tables do not have."""


class NoSuchDomain(XenError):
    """The domain does not exist, or does no longer."""


class NoSuchVcpu(NoSuchDomain):
    """The domain has no vCPU of this number. Xen says the same when the whole domain is gone."""


class NoSuchCpupool(XenError):
    """There is no cpupool of this number."""


class NoSuchEntry(XenError):
    """Xen's file system has no entry of this name."""


class NotSupported(XenError):
    """The hypervisor, or a filter before it, does not know this operation."""


class Invalid(XenError):
    """Xen understood the request and found a value in it that cannot be."""


class Exists(XenError):
    """It is there, or so, already."""


class Busy(XenError):
    """Possible, but not now."""


_Sentence = t.Tuple[t.Type[XenError], str]

# (errno, question). The question is the hypercall's name in the public headers, in lower case.
_BY_QUESTION: t.Dict[t.Tuple[int, str], _Sentence] = {
    (errno.ENOENT, "open"): (
        NotXen,
        "There is no /dev/xen/privcmd: load the kernel module xen-privcmd (modprobe xen-privcmd), and make sure that this "
        "machine was booted under Xen.",
    ),
    (errno.ENODEV, "open"): (
        NotXen,
        "There is no Xen behind /dev/xen/privcmd: load the kernel module xen-privcmd (modprobe xen-privcmd), and make sure that "
        "this machine was booted under Xen.",
    ),
    (errno.ENXIO, "open"): (
        NotXen,
        "There is no Xen behind /dev/xen/privcmd: load the kernel module xen-privcmd (modprobe xen-privcmd), and make sure that "
        "this machine was booted under Xen.",
    ),
    (errno.EACCES, "open"): (
        NotPermitted,
        "The device /dev/xen/privcmd may be opened by root only: run this task as root (become: true).",
    ),
    (errno.ESRCH, "getdomaininfo"): (
        NoSuchDomain,
        "There is no domain {domid}: it may have ended meanwhile.",
    ),
    (errno.ESRCH, "getvcpuinfo"): (
        NoSuchVcpu,
        "Domain {domid} has no vCPU {vcpu}, or the domain has ended meanwhile.",
    ),
    (errno.EINVAL, "getvcpuinfo"): (NoSuchVcpu, "Domain {domid} has no vCPU {vcpu}: name one that it has."),
    (errno.ESRCH, "getvcpuaffinity"): (
        NoSuchVcpu,
        "Domain {domid} has no vCPU {vcpu}, or the domain has ended meanwhile.",
    ),
    (errno.EINVAL, "getvcpuaffinity"): (
        NoSuchVcpu,
        "Domain {domid} has no vCPU {vcpu}: name one that it has.",
    ),
    (errno.ESRCH, "setvcpuaffinity"): (
        NoSuchVcpu,
        "Domain {domid} has no vCPU {vcpu}, or the domain has ended meanwhile: nothing was set for it.",
    ),
    (errno.EINVAL, "setvcpuaffinity"): (
        Invalid,
        "Xen refused the affinity of vCPU {vcpu} of domain {domid}: either the domain has no such vCPU, or the hard mask "
        "{hard} has no online CPU of the domain's cpupool; choose CPUs that are online and in that cpupool.",
    ),
    (errno.EBUSY, "setvcpuaffinity"): (
        Busy,
        "vCPU {vcpu} of domain {domid} is pinned by the guest itself for a moment: try again, or force it "
        "(force: true) to undo that pin.",
    ),
    (errno.EINVAL, "setnodeaffinity"): (
        Invalid,
        "Xen refused the node affinity of domain {domid}: none of the NUMA nodes {nodes} is online; choose nodes that are.",
    ),
    (errno.ENOENT, "cpupool_info"): (NoSuchCpupool, "There is no cpupool {pool}."),
    (errno.EEXIST, "cpupool_create"): (Exists, "There is a cpupool {pool} already."),
    (errno.ENOENT, "cpupool_create"): (
        Invalid,
        "Xen cannot make a cpupool with this scheduler (number {sched_id}): it was built without it; choose another one.",
    ),
    (errno.ENOSPC, "cpupool_create"): (
        Invalid,
        "Xen makes no more cpupools, for there are two for each CPU: remove one that is not needed.",
    ),
    (errno.ENOENT, "cpupool_destroy"): (
        NoSuchCpupool,
        "There is no cpupool {pool}: it was destroyed meanwhile.",
    ),
    (errno.EBUSY, "cpupool_destroy"): (
        Busy,
        "Cpupool {pool} still has CPUs or domains: something else changes cpupools on this host; try again.",
    ),
    (errno.ENOENT, "cpupool_add_cpu"): (
        NoSuchCpupool,
        "There is no cpupool {pool}: it was destroyed meanwhile.",
    ),
    (errno.ENODEV, "cpupool_add_cpu"): (
        Invalid,
        "Xen does not let CPU {cpu} join cpupool {pool}: it is offline, in another cpupool, or locked since somebody tried to take "
        "it offline while it was outside cpupool 0, which only a reboot of the host undoes.",
    ),
    (errno.EADDRNOTAVAIL, "cpupool_add_cpu"): (
        Busy,
        "CPU {cpu} is half-way out of another cpupool: put it back there (xl cpupool-cpu-add), then try again.",
    ),
    (errno.ENOENT, "cpupool_remove_cpu"): (
        NoSuchCpupool,
        "There is no cpupool {pool}: it was destroyed meanwhile.",
    ),
    (errno.EINVAL, "cpupool_remove_cpu"): (
        Invalid,
        "CPU {cpu} cannot leave cpupool {pool}: it is offline, or it is CPU 0, which stays in cpupool 0.",
    ),
    (errno.EADDRNOTAVAIL, "cpupool_remove_cpu"): (
        Invalid,
        "CPU {cpu} is not in cpupool {pool}, or another CPU is half-way out of a cpupool: try again.",
    ),
    (errno.EADDRINUSE, "cpupool_remove_cpu"): (
        Busy,
        "CPU {cpu} cannot leave cpupool {pool}: a vCPU is pinned to it for the moment; try again.",
    ),
    (errno.EBUSY, "cpupool_remove_cpu"): (
        Busy,
        "CPU {cpu} cannot leave cpupool {pool}: it is the last one of a cpupool with domains, or Xen is at work on it; try again.",
    ),
    (errno.ESRCH, "cpupool_move_domain"): (
        NoSuchDomain,
        "There is no domain {domid}: it may have ended meanwhile.",
    ),
    (errno.ENOENT, "cpupool_move_domain"): (
        NoSuchCpupool,
        "Xen does not move domain {domid} to cpupool {pool}: it was destroyed meanwhile, or it has no CPU; give it one first.",
    ),
    (errno.EINVAL, "cpupool_move_domain"): (
        NoSuchDomain,
        "Xen does not move domain {domid} to cpupool {pool}: the domain is in no cpupool any more, it is about to end.",
    ),
    (errno.EPERM, "cpupool_move_domain"): (
        NotPermitted,
        "Xen does not move domain {domid} to cpupool {pool}: Domain-0 stays where it is, or Xen's security policy (FLASK) says no; see "
        "xl dmesg.",
    ),
    (errno.EEXIST, "cpu_online"): (Exists, "CPU {cpu} is online already."),
    (errno.EEXIST, "cpu_offline"): (Exists, "CPU {cpu} is offline already."),
    (errno.EINVAL, "cpu_online"): (Invalid, "Xen knows no CPU {cpu}, or cannot bring it online."),
    (errno.EPERM, "cpu_online"): (
        NotPermitted,
        "CPU {cpu} stays offline: SMT is switched off, and it is a second thread of its core; switch SMT on first (smt: true).",
    ),
    (errno.EINVAL, "cpu_offline"): (
        Invalid,
        "Xen does not take CPU {cpu} offline: it is CPU 0, or there is no such CPU.",
    ),
    (errno.ENODEV, "cpu_offline"): (
        Invalid,
        "Xen does not take CPU {cpu} offline: it is in a cpupool other than cpupool 0; take it out of there first.",
    ),
    (errno.EBUSY, "cpu_offline"): (
        Busy,
        "CPU {cpu} cannot go offline now: a vCPU is pinned to it for the moment, or it is the last one of a cpupool with domains.",
    ),
    (errno.EBUSY, "smt_disable"): (
        Busy,
        "SMT cannot be switched while Xen runs: it was booted with a sched-gran above cpu, or it is busy; look at its command line.",
    ),
    (errno.EBUSY, "smt_enable"): (
        Busy,
        "SMT cannot be switched while Xen runs: it was booted with a sched-gran above cpu, or it is busy; look at its command line.",
    ),
    (errno.EOPNOTSUPP, "smt_disable"): (
        NotSupported,
        "This host's cores have one thread each: there is no SMT to switch.",
    ),
    (errno.EOPNOTSUPP, "smt_enable"): (
        NotSupported,
        "This host's cores have one thread each: there is no SMT to switch.",
    ),
    (errno.EBUSY, "write"): (
        Busy,
        "Xen does not change {path} now: a cpupool's granularity can be set only while it has no CPUs.",
    ),
    (errno.EINVAL, "write"): (Invalid, "Xen does not take {value} for {path}."),
    (errno.ENOENT, "write"): (NoSuchEntry, "Xen's file system (hypfs) has no {path}."),
    (errno.EACCES, "write"): (NotSupported, "This hypervisor does not let {path} be changed."),
    (errno.ENOSYS, "get_cpuinfo"): (
        NotSupported,
        "This hypervisor does not tell which CPUs are online (XENPF_get_cpuinfo): it is an Arm host, or a filter in "
        "dom0's kernel leaves this hypercall out.",
    ),
    (errno.EINVAL, "get_cpuinfo"): (Invalid, "Xen knows no CPU {cpu}."),
    (errno.ENODEV, "get_pmstat"): (NotSupported, "Xen does not scale the frequencies of this host's CPUs."),
    (errno.EOPNOTSUPP, "get_pmstat"): (
        NotSupported,
        "Xen leaves the frequencies of this host's CPUs to the hardware and lists none.",
    ),
    (errno.EINVAL, "get_pmstat"): (
        NotSupported,
        "Xen knows no frequencies of CPU {cpu}: dom0's kernel has not passed the firmware's on (module xen-acpi-processor).",
    ),
    (errno.ENODATA, "get_pmstat"): (NotSupported, "Xen keeps no statistics of the frequencies of CPU {cpu}."),
    (errno.ENODEV, "get_cpufreq_para"): (
        NotSupported,
        "Xen does not scale the frequencies of this host's CPUs.",
    ),
    (errno.EINVAL, "get_cpufreq_para"): (
        NotSupported,
        "Xen knows no frequencies of CPU {cpu}: dom0's kernel has not passed the firmware's on (module xen-acpi-processor).",
    ),
    (errno.ENOENT, "read"): (NoSuchEntry, "Xen's file system (hypfs) has no {path}."),
    (errno.ENOSYS, "numa_op"): (
        NotSupported,
        "This hypervisor has no hypercall for the memory of a domain on each node (XenServer's and XCP-ng's numa_op): use the "
        "debug key instead, or do not ask for the memory by node.",
    ),
    (errno.EOPNOTSUPP, "numa_op"): (
        NotSupported,
        "This hypervisor does not tell a domain's memory on each node, for it does not use the host's NUMA nodes.",
    ),
    (errno.EPERM, "readconsole"): (
        NotPermitted,
        "Reading Xen's console ring is forbidden by its security policy (FLASK: xen readconsole): allow it, or do not "
        "ask for what needs the debug key.",
    ),
    (errno.EPERM, "debug_keys"): (
        NotPermitted,
        "Debug keys are forbidden by Xen's security policy (FLASK: xen debug): allow them, or do not ask for what needs them.",
    ),
}

# (errno, kind), kind is one of version, sysctl, domctl, platform, memory, hvm, hypfs.
_BY_KIND: t.Dict[t.Tuple[int, str], _Sentence] = {
    (errno.ESRCH, "domctl"): (NoSuchDomain, "There is no domain {domid}: it may have ended meanwhile."),
    (errno.EACCES, "domctl"): (
        NotPermitted,
        "Xen's security policy (FLASK) forbids {what} on domain {domid}: allow it in the policy; Xen's log (xl dmesg) "
        "names the denied permission.",
    ),
}

_BY_ERRNO: t.Dict[int, _Sentence] = {
    errno.EPERM: (
        NotPermitted,
        "Xen or the kernel forbids {what}: this domain is not the one that Linux calls the initial domain, the kernel is "
        "locked down and filters hypercalls, or Xen's security policy (FLASK) says no; see dmesg and xl dmesg.",
    ),
    errno.EACCES: (
        NotPermitted,
        "Xen's security policy (FLASK) forbids {what}: allow it in the policy; Xen's log (xl dmesg) names the denied permission.",
    ),
    errno.ENOSYS: (
        NotSupported,
        "This hypervisor does not know {what}: it was built without it, or a filter in dom0's kernel leaves it out "
        "(dmesg says filter-hypercall then).",
    ),
    errno.EOPNOTSUPP: (NotSupported, "This hypervisor, or its hardware, does not support {what}."),
    errno.EFAULT: (
        XenError,
        "Xen could not read or write the memory of {what}: the host is short of memory, or a filter in dom0's kernel refused the "
        "address; free memory in dom0 and try again.",
    ),
    errno.ENOMEM: (
        XenError,
        "There is not enough memory for {what}: free some in Xen or in dom0 and try again.",
    ),
    errno.EBUSY: (Busy, "Xen is busy and could not do {what}: try again."),
    errno.EADDRINUSE: (Busy, "Xen is busy and could not do {what}: try again."),
    errno.EAGAIN: (Busy, "Xen is busy and could not do {what}: try again."),
    errno.EINVAL: (Invalid, "Xen refused {what}: one of the values is not valid for this host."),
}


def failure(error: int, kind: str, question: str, **values: t.Any) -> XenError:
    """The exception for errno `error` on hypercall `question` of the given `kind`; `values` fill the sentence's gaps."""
    fallback = (
        XenError,
        "Xen answered {what} with an error that was not foreseen ({reason}): see xl dmesg and dmesg.",
    )
    kind_of_failure, sentence = (
        _BY_QUESTION.get((error, question)) or _BY_KIND.get((error, kind)) or _BY_ERRNO.get(error) or fallback
    )
    what = question if kind in ("open", "library") else "%s %s" % (kind, question)
    message = sentence.format_map(_Gaps(values, what=what, reason=os.strerror(error)))
    exception = kind_of_failure(message)
    exception.errno = error
    exception.operation = what
    return exception


class _Gaps(dict):  # type: ignore[type-arg]
    """Values of a sentence; one that the caller does not know is left out of it rather than being an error of its own."""

    def __missing__(self, key: str) -> str:
        return "?"
