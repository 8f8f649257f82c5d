# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What only a real hypervisor can say: runs in dom0, as root, from a copy of the tree, with nothing but Python.

Each check asks Xen for something and compares. What is changed on the way (the affinity of a vCPU of dom0, a CPU that goes offline) is put
back. Ends with status 1, after naming every check that failed. tests/unit/plugins/module_utils/_xen/test_situations.py names those
that stand for a bad situation.
"""

import os
import pathlib
import sys
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "plugins"))

from module_utils._xen import (  # type: ignore[import-not-found]
    changes,
    domctl,
    errors,
    hardware,
    hypfs,
    layouts,
    memory,
    memory_op,
    pinning,
    platform,
    probe,
    sysctl,
    version,
)
from module_utils._xen.connection import Xen  # type: ignore[import-not-found]

NO_DOMAIN = 0x7FEF
NO_VCPU = 4095
bad: t.List[str] = []


def check(what: str, holds: bool, seen: t.Any = "") -> None:
    """Note whether something holds."""
    print("%-4s %s %s" % ("ok" if holds else "BAD", what, seen))
    if not holds:
        bad.append(what)


def refused(what: str, kind: t.Type[errors.XenError], question: t.Callable[[], t.Any]) -> None:
    """Check that a question is refused with exactly this kind of failure."""
    try:
        answer = question()
    except errors.XenError as failure:
        check(what, failure.__class__ is kind, failure.message)
    else:
        check(what, False, answer)


def refusals(xen: Xen) -> None:
    """Values that cannot be."""
    refused("no such domain", errors.NoSuchDomain, lambda: domctl.getdomaininfo(xen, NO_DOMAIN))
    refused("nodes of no domain", errors.NoSuchDomain, lambda: domctl.getnodeaffinity(xen, NO_DOMAIN))
    refused("vCPU of no domain", errors.NoSuchVcpu, lambda: domctl.getvcpuinfo(xen, NO_DOMAIN, 0))
    refused("no such vCPU", errors.NoSuchVcpu, lambda: domctl.getvcpuinfo(xen, 0, NO_VCPU))
    refused("affinity of no vCPU", errors.NoSuchVcpu, lambda: domctl.getvcpuaffinity(xen, 0, NO_VCPU))
    refused(
        "setting that of no vCPU", errors.Invalid, lambda: pinning.setvcpuaffinity(xen, 0, NO_VCPU, hard=1)
    )
    refused(
        "setting that of no domain",
        errors.NoSuchVcpu,
        lambda: pinning.setvcpuaffinity(xen, NO_DOMAIN, 0, hard=1),
    )
    refused("empty hard mask", errors.Invalid, lambda: pinning.setvcpuaffinity(xen, 0, 0, hard=0))
    refused("nodes that are not there", errors.Invalid, lambda: pinning.setnodeaffinity(xen, 0, 1 << 40))
    beyond = platform.get_cpuinfo(xen, sysctl.cpu_bits(xen) + 100)
    check("CPU that is not there", beyond.flags == platform.FLAG_INVALID, beyond)


def odd_requests(xen: Xen) -> None:
    """Operations that Xen does not have, and memory that it cannot write."""
    nonsense = 0x7FFF

    def sysctl_op(command: int, **values: int) -> None:
        with xen.request("struct xen_sysctl") as op:
            for member in values:
                setattr(
                    op.u.cputopoinfo if command == sysctl.CPUTOPOINFO else op.u.pcitopoinfo,
                    member,
                    values[member],
                )
            xen.sysctl(op, command, "nonsense")

    def domctl_op() -> None:
        with xen.request("struct xen_domctl") as op:
            xen.domctl(op, nonsense, "nonsense", 0)

    def platform_op() -> None:
        with xen.request("struct xen_platform_op") as op:
            xen.platform_op(op, nonsense, "nonsense")

    refused("unknown sysctl", errors.NotSupported, lambda: sysctl_op(nonsense))
    refused("unknown domctl", errors.NotSupported, domctl_op)
    refused("unknown platform_op", errors.NotSupported, platform_op)
    # nothing is mapped in a process's first page
    refused(
        "memory that is not there",
        errors.XenError,
        lambda: sysctl_op(sysctl.CPUTOPOINFO, num_cpus=1, cputopo=16),
    )
    refused(
        "PCI devices without room for them",
        errors.Invalid,
        lambda: sysctl_op(hardware.PCITOPOINFO, num_devs=1),
    )


def pools_and_cpus(xen: Xen) -> None:
    """Changes of cpupools and CPUs that Xen refuses: nothing is changed."""
    before = sysctl.cpupools(xen), sysctl.physinfo(xen).nr_cpus
    pools, _online = before
    there = pools[0].cpus
    missing = max(pool.cpupool_id for pool in pools) + 77
    check("no such cpupool", sysctl.cpupool_info(xen, missing) is None)
    refused(
        "a cpupool that is there already",
        errors.Exists,
        lambda: changes.cpupool_create(xen, 0, pools[0].sched_id),
    )
    refused("the end of no cpupool", errors.NoSuchCpupool, lambda: changes.cpupool_destroy(xen, missing))
    refused("the end of cpupool 0", errors.Busy, lambda: changes.cpupool_destroy(xen, 0))
    refused("a scheduler that is none", errors.Invalid, lambda: changes.cpupool_create(xen, missing, 99))
    refused("a CPU for no cpupool", errors.NoSuchCpupool, lambda: changes.cpupool_add_cpu(xen, missing, 1))
    refused("a CPU that is not free", errors.Invalid, lambda: changes.cpupool_add_cpu(xen, 0, 0))
    if xen.version >= (4, 17):
        refused("CPU 0 out of cpupool 0", errors.Invalid, lambda: changes.cpupool_remove_cpu(xen, 0, 0))
    # the domain that asks is refused before the cpupool is looked for
    refused("Domain-0 elsewhere", errors.NotPermitted, lambda: changes.cpupool_move_domain(xen, missing, 0))
    refused(
        "no domain in a cpupool", errors.NoSuchDomain, lambda: changes.cpupool_move_domain(xen, 0, NO_DOMAIN)
    )
    guests = [info.domain for info in sysctl.getdomaininfolist(xen) if info.domain]
    changes.cpupool_create(xen, missing, pools[0].sched_id)
    try:
        if guests:
            refused(
                "a guest in a cpupool without CPUs",
                errors.NoSuchCpupool,
                lambda: changes.cpupool_move_domain(xen, missing, guests[0]),
            )
        refused(
            "a CPU out of another cpupool",
            errors.Invalid,
            lambda: changes.cpupool_remove_cpu(xen, missing, 1),
        )
    finally:
        changes.cpupool_destroy(xen, missing)
    refused("CPU 0 offline", errors.Invalid, lambda: changes.cpu_hotplug(xen, changes.CPU_OFFLINE, 0))
    refused(
        "a CPU that is online already", errors.Exists, lambda: changes.cpu_hotplug(xen, changes.CPU_ONLINE, 0)
    )
    refused(
        "a CPU that is not there",
        errors.Invalid,
        lambda: changes.cpu_hotplug(xen, changes.CPU_ONLINE, sysctl.cpu_bits(xen) + 100),
    )
    check("cpupools as they were", (sysctl.cpupools(xen), sysctl.physinfo(xen).nr_cpus) == before, bin(there))


def offline(xen: Xen) -> None:
    """One CPU goes offline and comes back; what Xen refuses of it meanwhile."""
    cpu = (sysctl.cpupools(xen)[0].cpus).bit_length() - 1
    changes.cpu_hotplug(xen, changes.CPU_OFFLINE, cpu)
    try:
        refused(
            "a CPU that is offline already",
            errors.Exists,
            lambda: changes.cpu_hotplug(xen, changes.CPU_OFFLINE, cpu),
        )
        refused(
            "hard mask without an online CPU",
            errors.Invalid,
            lambda: pinning.setvcpuaffinity(xen, 0, 0, hard=1 << cpu),
        )
        refused("an offline CPU for a cpupool", errors.Invalid, lambda: changes.cpupool_add_cpu(xen, 0, cpu))
        refused(
            "an offline CPU out of a cpupool",
            errors.Invalid,
            lambda: changes.cpupool_remove_cpu(xen, 0, cpu),
        )
    finally:
        changes.cpu_hotplug(xen, changes.CPU_ONLINE, cpu)
    check("it is back", bool(sysctl.cpupools(xen)[0].cpus >> cpu & 1), cpu)


def threads(xen: Xen) -> None:
    """SMT where there is none. Elsewhere it would be switched, which is not tried here."""
    places = sysctl.cputopoinfo(xen)
    if len(set(places)) == len(places):
        refused(
            "no SMT to switch", errors.NotSupported, lambda: changes.cpu_hotplug(xen, changes.SMT_DISABLE)
        )


def affinity(xen: Xen) -> None:
    """Set, read back, put back."""
    vcpu = sysctl.getdomaininfolist(xen, limit=1)[0].max_vcpu_id
    before = domctl.getvcpuaffinity(xen, 0, vcpu)
    online = sysctl.cpupool_info(xen, 0)
    cpus = online.cpus if online else 0
    first = cpus & -cpus
    hard, soft = cpus & ~first, first | (cpus & ~first) >> 1
    try:
        effect = pinning.setvcpuaffinity(xen, 0, vcpu, hard=hard, soft=soft)
        check("effective masks", effect == (hard, soft & hard), effect)
        check("masks as set", domctl.getvcpuaffinity(xen, 0, vcpu) == (hard, soft))
    finally:
        pinning.setvcpuaffinity(xen, 0, vcpu, hard=before[0], soft=before[1])
    check("masks put back", domctl.getvcpuaffinity(xen, 0, vcpu) == before)


def machine(xen: Xen) -> None:
    """What the hypervisor knows of the machine, against its own other figures."""
    info, page = sysctl.physinfo(xen), version.page_size(xen)
    regions = memory.machine_memory_map(xen)
    ram = sum(region.size for region in regions if region.type == memory.RAM)
    # Xen counts whole pages only, and keeps a few regions of its own.
    check("RAM in the memory map", 0 <= ram - info.total_pages * page < 16 << 20, (len(regions), ram))
    leaves = {(leaf.leaf, leaf.subleaf): leaf for leaf in sysctl.cpu_policy(xen)}
    check("CPU policy", leaves[0, sysctl.INVALID_32].a >= 0xB and (0xB, 0) in leaves, len(leaves))
    check(
        "unknown PCI device", hardware.pcitopoinfo(xen, [(0x7FFF, 0xFF, 0xFF)]) == [hardware.INVALID_DEVICE]
    )
    there = sorted(path.name for path in pathlib.Path("/sys/bus/pci/devices").iterdir())
    asked = [
        (int(name[:4], 16), int(name[5:7], 16), int(name[8:10], 16) << 3 | int(name[11])) for name in there
    ]
    nodes = hardware.pcitopoinfo(xen, asked)
    known = {*range(info.max_node_id + 1), sysctl.INVALID_32}
    check("PCI devices", bool(nodes) and set(nodes) <= known, len(nodes))
    many = hardware.pcitopoinfo(xen, (asked * 400)[:400])
    check("PCI devices in pieces", many == (nodes * 400)[:400])
    try:
        granularity = hypfs.read_text(xen, "/cpupool/0/sched-gran")
    except errors.NotSupported:
        granularity = None
    wanted = ("cpu", "core", "socket") if xen.version >= (4, 15) else (None,)
    check("granularity in hypfs", granularity in wanted, granularity)
    refused("frequencies of an emulated CPU", errors.NotSupported, lambda: hardware.px_frequencies(xen, [0]))
    refused("highest frequency of one", errors.NotSupported, lambda: hardware.cpufreq_maxima(xen, [0]))
    refused("memory by node in one call", errors.NotSupported, lambda: memory_op.node_pages(xen, 0, 2))


def interface(xen: Xen) -> None:
    """Interface versions, right, wrong and unknown."""
    check("known hypervisor", bool(xen.interface["known"]), xen.interface)
    check(
        "first guess was right",
        layouts.RELEASES[xen.version] == (xen.interface["sysctl"], xen.interface["domctl"]),
    )
    size = probe.domaininfo_size(xen)
    check("size of a domain's record", size == xen.layout.domaininfo_size, size)
    for name, question in (
        ("sysctl", lambda: sysctl.physinfo(xen)),
        ("domctl", lambda: domctl.getvcpuinfo(xen, 0, 0)),
        ("platform", lambda: platform.get_cpuinfo(xen, 0)),
    ):
        right = xen.interface[name]
        xen.interface[name] = right + 1
        refused("wrong %s version" % name, errors.NotPermitted, question)
        xen.interface[name] = right


def tables() -> None:
    """What happens when the tables do not have this release, and when they end before it."""
    known = dict(layouts.RELEASES)
    with Xen.open() as xen:
        release, right = xen.version, dict(xen.interface)
    del layouts.RELEASES[release]
    with Xen.open() as xen:
        check("release that the table lacks", xen.interface == right, xen.interface)
    layouts.RELEASES.update(known)
    wide = layouts.SYSCTL_VERSIONS
    layouts.SYSCTL_VERSIONS = tuple(version for version in wide if version < right["sysctl"])
    layouts.RELEASES[release] = (layouts.SYSCTL_VERSIONS[-1], right["domctl"])
    with Xen.open() as xen:
        check(
            "newer than the table", xen.interface["known"] is False and len(xen.warnings) == 1, xen.warnings
        )
        refused("writing to it", errors.UnknownInterface, lambda: pinning.setvcpuaffinity(xen, 0, 0, hard=1))
    layouts.SYSCTL_VERSIONS = (1, 2)
    layouts.RELEASES[release] = (2, right["domctl"])
    refused("far newer than the table", errors.UnknownInterface, Xen.open)
    layouts.SYSCTL_VERSIONS = wide
    layouts.RELEASES.update(known)


def main() -> int:
    """Run all checks; the exit status."""
    with Xen.open() as xen:
        interface(xen)
        machine(xen)
        refusals(xen)
        odd_requests(xen)
        pools_and_cpus(xen)
        affinity(xen)
        threads(xen)
        offline(xen)
    tables()
    # The last one: there is no way back.
    os.setresuid(65534, 65534, 65534)
    refused("another user than root", errors.NotPermitted, Xen.open)
    print("%d failed%s" % (len(bad), ": " + ", ".join(bad) if bad else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
