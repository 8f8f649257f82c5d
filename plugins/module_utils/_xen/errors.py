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
    (errno.ENOENT, "cpupool_info"): (NoSuchCpupool, "There is no cpupool {pool}."),
    (errno.ENOSYS, "get_cpuinfo"): (
        NotSupported,
        "This hypervisor does not tell which CPUs are online (XENPF_get_cpuinfo): it is an Arm host, or a filter in "
        "dom0's kernel leaves this hypercall out.",
    ),
    (errno.EINVAL, "get_cpuinfo"): (Invalid, "Xen knows no CPU {cpu}."),
    (errno.ENOENT, "read"): (NoSuchEntry, "Xen's file system (hypfs) has no {path}."),
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


def explain(sentences: t.Mapping[t.Tuple[int, str], _Sentence]) -> None:
    """Add sentences by (errno, question). Files with operations that not every module needs bring theirs along."""
    _BY_QUESTION.update(sentences)


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
