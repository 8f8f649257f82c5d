# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changes cpupools and CPUs: HYPERVISOR_sysctl, and HYPERVISOR_hypfs_op for the granularity of a cpupool.

Headers: xen/include/public/{sysctl,hypfs}.h. Every function raises a XenError with a sentence when Xen refuses.
"""

import errno
import typing as t

from . import errors
from ._xen_ffi import ffi
from .bitmap import bitmap
from .sysctl import CPUPOOL_OP, cpu_bits

if t.TYPE_CHECKING:
    from .connection import Xen

CPU_HOTPLUG = 11

CPUPOOL_CREATE = 1
CPUPOOL_DESTROY = 2
CPUPOOL_ADDCPU = 4
CPUPOOL_RMCPU = 5
CPUPOOL_MOVEDOMAIN = 6

# XEN_SYSCTL_CPU_HOTPLUG_*
CPU_ONLINE = 0
CPU_OFFLINE = 1
SMT_ENABLE = 2
SMT_DISABLE = 3

HYPFS_WRITE = 2

errors.explain(
    {
        (errno.EEXIST, "cpupool_create"): (errors.Exists, "There is a cpupool {pool} already."),
        (errno.ENOENT, "cpupool_create"): (
            errors.Invalid,
            "Xen cannot make a cpupool with this scheduler (number {sched_id}): it was built without it; choose another one.",
        ),
        (errno.ENOSPC, "cpupool_create"): (
            errors.Invalid,
            "Xen makes no more cpupools, for there are two for each CPU: remove one that is not needed.",
        ),
        (errno.ENOENT, "cpupool_destroy"): (
            errors.NoSuchCpupool,
            "There is no cpupool {pool}: it was destroyed meanwhile.",
        ),
        (errno.EBUSY, "cpupool_destroy"): (
            errors.Busy,
            "Cpupool {pool} still has CPUs or domains: something else changes cpupools on this host; try again.",
        ),
        (errno.ENOENT, "cpupool_add_cpu"): (
            errors.NoSuchCpupool,
            "There is no cpupool {pool}: it was destroyed meanwhile.",
        ),
        (errno.ENODEV, "cpupool_add_cpu"): (
            errors.Invalid,
            "Xen does not let CPU {cpu} join cpupool {pool}: it is offline, in another cpupool, or locked since somebody tried to take "
            "it offline while it was outside cpupool 0, which only a reboot of the host undoes.",
        ),
        (errno.EADDRNOTAVAIL, "cpupool_add_cpu"): (
            errors.Busy,
            "CPU {cpu} is half-way out of another cpupool: put it back there (xl cpupool-cpu-add), then try again.",
        ),
        (errno.ENOENT, "cpupool_remove_cpu"): (
            errors.NoSuchCpupool,
            "There is no cpupool {pool}: it was destroyed meanwhile.",
        ),
        (errno.EINVAL, "cpupool_remove_cpu"): (
            errors.Invalid,
            "CPU {cpu} cannot leave cpupool {pool}: it is offline, or it is CPU 0, which stays in cpupool 0.",
        ),
        (errno.EADDRNOTAVAIL, "cpupool_remove_cpu"): (
            errors.Invalid,
            "CPU {cpu} is not in cpupool {pool}, or another CPU is half-way out of a cpupool: try again.",
        ),
        (errno.EADDRINUSE, "cpupool_remove_cpu"): (
            errors.Busy,
            "CPU {cpu} cannot leave cpupool {pool}: a vCPU is pinned to it for the moment; try again.",
        ),
        (errno.EBUSY, "cpupool_remove_cpu"): (
            errors.Busy,
            "CPU {cpu} cannot leave cpupool {pool}: it is the last one of a cpupool with domains, or Xen is at work on it; try again.",
        ),
        (errno.ESRCH, "cpupool_move_domain"): (
            errors.NoSuchDomain,
            "There is no domain {domid}: it may have ended meanwhile.",
        ),
        (errno.ENOENT, "cpupool_move_domain"): (
            errors.NoSuchCpupool,
            "Xen does not move domain {domid} to cpupool {pool}: it was destroyed meanwhile, or it has no CPU; give it one first.",
        ),
        (errno.EINVAL, "cpupool_move_domain"): (
            errors.NoSuchDomain,
            "Xen does not move domain {domid} to cpupool {pool}: the domain is in no cpupool any more, it is about to end.",
        ),
        (errno.EPERM, "cpupool_move_domain"): (
            errors.NotPermitted,
            "Xen does not move domain {domid} to cpupool {pool}: Domain-0 stays where it is, or Xen's security policy (FLASK) says no; see "
            "xl dmesg.",
        ),
        (errno.EEXIST, "cpu_online"): (errors.Exists, "CPU {cpu} is online already."),
        (errno.EEXIST, "cpu_offline"): (errors.Exists, "CPU {cpu} is offline already."),
        (errno.EINVAL, "cpu_online"): (errors.Invalid, "Xen knows no CPU {cpu}, or cannot bring it online."),
        (errno.EPERM, "cpu_online"): (
            errors.NotPermitted,
            "CPU {cpu} stays offline: SMT is switched off, and it is a second thread of its core; switch SMT on first (smt: true).",
        ),
        (errno.EINVAL, "cpu_offline"): (
            errors.Invalid,
            "Xen does not take CPU {cpu} offline: it is CPU 0, or there is no such CPU.",
        ),
        (errno.ENODEV, "cpu_offline"): (
            errors.Invalid,
            "Xen does not take CPU {cpu} offline: it is in a cpupool other than cpupool 0; take it out of there first.",
        ),
        (errno.EBUSY, "cpu_offline"): (
            errors.Busy,
            "CPU {cpu} cannot go offline now: a vCPU is pinned to it for the moment, or it is the last one of a cpupool with domains.",
        ),
        (errno.EBUSY, "smt_disable"): (
            errors.Busy,
            "SMT cannot be switched while Xen runs: it was booted with a sched-gran above cpu, or it is busy; look at its command line.",
        ),
        (errno.EBUSY, "smt_enable"): (
            errors.Busy,
            "SMT cannot be switched while Xen runs: it was booted with a sched-gran above cpu, or it is busy; look at its command line.",
        ),
        (errno.EOPNOTSUPP, "smt_disable"): (
            errors.NotSupported,
            "This host's cores have one thread each: there is no SMT to switch.",
        ),
        (errno.EOPNOTSUPP, "smt_enable"): (
            errors.NotSupported,
            "This host's cores have one thread each: there is no SMT to switch.",
        ),
        (errno.EBUSY, "write"): (
            errors.Busy,
            "Xen does not change {path} now: a cpupool's granularity can be set only while it has no CPUs.",
        ),
        (errno.EINVAL, "write"): (errors.Invalid, "Xen does not take {value} for {path}."),
        (errno.ENOENT, "write"): (errors.NoSuchEntry, "Xen's file system (hypfs) has no {path}."),
        (errno.EACCES, "write"): (errors.NotSupported, "This hypervisor does not let {path} be changed."),
    }
)


def _change_cpupool(xen: "Xen", op_number: int, question: str, pool: int, **values: int) -> int:
    xen.check_writable()
    with xen.request("struct xen_sysctl") as op, bitmap(xen, cpu_bits(xen)) as cpus:
        request = op.u.cpupool_op
        request.op = op_number
        request.cpupool_id = pool
        for name, value in values.items():
            setattr(request, name, value)
        # Nothing is in it; a filter in XenServer's kernel checks the pointer all the same.
        cpus.fill(request.cpumap)
        xen.sysctl(op, CPUPOOL_OP, question, pool=pool, **values)
        return int(request.cpupool_id)


def cpupool_create(xen: "Xen", pool: int, sched_id: int) -> None:
    """XEN_SYSCTL_CPUPOOL_OP_CREATE: a cpupool of this id, with the scheduler XEN_SCHEDULER_*, and without CPUs.

    Raises Exists when there is one of that id, Invalid for a scheduler that this Xen was built without.
    """
    _change_cpupool(xen, CPUPOOL_CREATE, "cpupool_create", pool, sched_id=sched_id)


def cpupool_destroy(xen: "Xen", pool: int) -> None:
    """XEN_SYSCTL_CPUPOOL_OP_DESTROY: give up a cpupool that has neither CPUs nor domains; else Busy. NoSuchCpupool."""
    _change_cpupool(xen, CPUPOOL_DESTROY, "cpupool_destroy", pool)


def cpupool_add_cpu(xen: "Xen", pool: int, cpu: int) -> None:
    """XEN_SYSCTL_CPUPOOL_OP_ADDCPU: a free CPU joins the cpupool, with all of its core or package where the granularity says so.

    Raises Invalid when it is not free or not online, Busy when another change has hold of it.
    """
    _change_cpupool(xen, CPUPOOL_ADDCPU, "cpupool_add_cpu", pool, cpu=cpu)


def cpupool_remove_cpu(xen: "Xen", pool: int, cpu: int) -> None:
    """XEN_SYSCTL_CPUPOOL_OP_RMCPU: a CPU leaves the cpupool and is free, with all of its core or package as in :func:`cpupool_add_cpu`.

    Domains whose hard affinity keeps no CPU of the cpupool may then run on all of them, for good: Xen widens their masks.
    Raises Busy for the last CPU of a cpupool with domains, or one that a vCPU is pinned to for the moment; Invalid when it is not
    in this cpupool, when it is offline, and from Xen 4.17 on for CPU 0 in cpupool 0.
    """
    _change_cpupool(xen, CPUPOOL_RMCPU, "cpupool_remove_cpu", pool, cpu=cpu)


def cpupool_move_domain(xen: "Xen", pool: int, domid: int) -> None:
    """XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN. All vCPUs of the domain have hard and soft affinity "all" afterwards.

    Raises NotPermitted for Domain-0, which stays where it is; NoSuchDomain; NoSuchCpupool also for one without CPUs.
    """
    _change_cpupool(xen, CPUPOOL_MOVEDOMAIN, "cpupool_move_domain", pool, domid=domid)


def cpu_hotplug(xen: "Xen", operation: int, cpu: int = 0) -> None:
    """XEN_SYSCTL_cpu_hotplug: CPU_ONLINE and CPU_OFFLINE one CPU; SMT_ENABLE and SMT_DISABLE all sibling threads (Xen 4.13).

    A CPU that comes online joins cpupool 0. One in another cpupool must not be offlined: Xen refuses, and keeps it locked so that
    no cpupool can ever take it again (seen with 4.17); free it first.
    Raises Exists when it is so already, Busy when Xen cannot do it now, Invalid for CPU 0, NotSupported without SMT.
    """
    question = {CPU_ONLINE: "cpu_online", CPU_OFFLINE: "cpu_offline", SMT_ENABLE: "smt_enable"}
    xen.check_writable()
    with xen.request("struct xen_sysctl") as op:
        op.u.cpu_hotplug.cpu = cpu
        op.u.cpu_hotplug.op = operation
        xen.sysctl(op, CPU_HOTPLUG, question.get(operation, "smt_disable"), cpu=cpu)


def write_hypfs(xen: "Xen", path: str, text: str) -> None:
    """XEN_HYPFS_OP_write_contents: change the text in this entry. Raises Busy, Invalid, NoSuchEntry, NotSupported."""
    xen.check_writable()
    name, content = (word.encode("ascii") + b"\0" for word in (path, text))
    with xen.buffer("char", len(name)) as where, xen.buffer("uint8_t", len(content)) as memory:
        ffi.buffer(where, len(name))[:] = name
        ffi.buffer(memory, len(content))[:] = content
        xen.hypfs_op(HYPFS_WRITE, where, len(name), memory, len(content), "write", path=path, value=text)
