# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HYPERVISOR_sysctl: the whole host. Header: xen/include/public/sysctl.h.

Numbers come back as Xen says them, markers for "unknown" included. Sets of CPUs are ints, bit n for CPU n.
Every function raises a XenError with a sentence when Xen refuses.
"""

import errno
import typing as t

from . import errors
from ._xen_ffi import ffi
from .bitmap import bitmap

if t.TYPE_CHECKING:
    from .connection import Xen

PHYSINFO = 3
SCHED_ID = 4
GETDOMAININFOLIST = 6
CPUTOPOINFO = 16
NUMAINFO = 17
CPUPOOL_OP = 18
GET_CPU_POLICY = 29

CPUPOOL_INFO = 3
CPUPOOL_FREEINFO = 7

POLICY_RAW = 0

# XEN_INVALID_{CORE,SOCKET,NODE}_ID, XEN_INVALID_NODE_DIST, and XEN_INVALID_MEM_SZ: the last is 32 bits in a member of 64.
INVALID_32 = 0xFFFFFFFF

DOMAININFO_ROOM = 256  # bytes set aside for each domain, whatever Xen needs
DOMAININFO_LEAST = 96  # the members that are read end here
DOMAINS_AT_ONCE = 128
LEAVES_AT_FIRST = 256


class PhysInfo(t.NamedTuple):
    """struct xen_sysctl_physinfo. `nr_cpus` and `nr_nodes` count what is online; memory is in pages.

    threads_per_core and cores_per_socket are CPU 0's alone. max_cpu_id and max_node_id are the largest ids Xen could give, not the
    largest in use.
    """

    threads_per_core: int
    cores_per_socket: int
    nr_cpus: int
    max_cpu_id: int
    nr_nodes: int
    max_node_id: int
    cpu_khz: int
    capabilities: int
    total_pages: int
    free_pages: int
    scrub_pages: int
    outstanding_pages: int
    max_mfn: int


class CpuTopology(t.NamedTuple):
    """struct xen_sysctl_cputopo: where one CPU is; INVALID_32 for unknown. `core` is unique within `socket` only."""

    core: int
    socket: int
    node: int


class NumaInfo(t.NamedTuple):
    """struct xen_sysctl_numainfo. Index is the node's id; bytes; INVALID_32 in either for a node that is not there.

    memsize spans from the node's first page to its last, holes included. distance[from][to] is in SLIT units, INVALID_32 for unreachable.
    """

    memsize: t.Tuple[int, ...]
    memfree: t.Tuple[int, ...]
    distance: t.Tuple[t.Tuple[int, ...], ...]


class DomainInfo(t.NamedTuple):
    """struct xen_domctl_getdomaininfo. `flags` are XEN_DOMINF_*, cpu_time is in ns, `handle` 32 hex digits.

    max_vcpu_id is INVALID_32 for a domain without vCPUs; emulation_flags is None where the architecture has none.
    """

    domain: int
    flags: int
    tot_pages: int
    max_pages: int
    outstanding_pages: int
    shr_pages: int
    paged_pages: int
    cpu_time: int
    nr_online_vcpus: int
    max_vcpu_id: int
    handle: str
    cpupool: int
    emulation_flags: t.Optional[int]


class CpuidLeaf(t.NamedTuple):
    """struct xen_cpuid_leaf: the answer of CPUID to one leaf and subleaf; subleaf is INVALID_32 for a leaf that has none."""

    leaf: int
    subleaf: int
    a: int
    b: int
    c: int
    d: int


class CpupoolInfo(t.NamedTuple):
    """struct xen_sysctl_cpupool_op after XEN_SYSCTL_CPUPOOL_OP_INFO. `cpus` is a bit mask of its online CPUs."""

    cpupool_id: int
    sched_id: int
    n_dom: int
    cpus: int


def physinfo(xen: "Xen") -> PhysInfo:
    """XEN_SYSCTL_physinfo."""
    with xen.request("struct xen_sysctl") as op:
        xen.sysctl(op, PHYSINFO, "physinfo")
        heard = getattr(op.u, xen.layout.physinfo)
        info = PhysInfo(*[int(getattr(heard, name)) for name in PhysInfo._fields])
    xen.cpu_bits = info.max_cpu_id + 1
    xen.node_bits = info.max_node_id + 1
    return info


def cpu_bits(xen: "Xen") -> int:
    """How many bits a complete CPU mask of this host has."""
    if xen.cpu_bits is None:
        physinfo(xen)
    return t.cast(int, xen.cpu_bits)


def node_bits(xen: "Xen") -> int:
    """How many bits a complete node mask of this host has."""
    if xen.node_bits is None:
        physinfo(xen)
    return t.cast(int, xen.node_bits)


def sched_id(xen: "Xen") -> int:
    """XEN_SYSCTL_sched_id: the default scheduler, XEN_SCHEDULER_* (credit 5, credit2 6, arinc653 7, rtds 8, null 9)."""
    with xen.request("struct xen_sysctl") as op:
        xen.sysctl(op, SCHED_ID, "sched_id")
        return int(op.u.sched_id.sched_id)


def cputopoinfo(xen: "Xen") -> t.Tuple[CpuTopology, ...]:
    """XEN_SYSCTL_cputopoinfo: index is the CPU's number. Xen 4.11 stops at the last online CPU, later ones at the last present."""
    with xen.request("struct xen_sysctl") as op:
        xen.sysctl(op, CPUTOPOINFO, "cputopoinfo")
        # One more than there are: a full array would not show whether a CPU was added meanwhile.
        room = int(op.u.cputopoinfo.num_cpus) + 1
        while True:
            with xen.buffer("struct xen_sysctl_cputopo", room) as array:
                op.u.cputopoinfo.num_cpus = room
                op.u.cputopoinfo.cputopo = xen.address(array)
                xen.sysctl(op, CPUTOPOINFO, "cputopoinfo")
                count = int(op.u.cputopoinfo.num_cpus)
                if count < room:
                    return tuple(
                        CpuTopology(array[i].core, array[i].socket, array[i].node) for i in range(count)
                    )
            room *= 2


def numainfo(xen: "Xen") -> NumaInfo:
    """XEN_SYSCTL_numainfo."""
    with xen.request("struct xen_sysctl") as op:
        xen.sysctl(op, NUMAINFO, "numainfo")
        room = int(op.u.numainfo.num_nodes) + 1
        while True:
            with xen.buffer("struct xen_sysctl_meminfo", room) as memory, xen.buffer(
                "uint32_t", room * room
            ) as distance:
                op.u.numainfo.num_nodes = room
                op.u.numainfo.meminfo = xen.address(memory)
                op.u.numainfo.distance = xen.address(distance)
                xen.sysctl(op, NUMAINFO, "numainfo")
                # A row of the distances is as long as the number that comes back, not as the one that went in.
                count = int(op.u.numainfo.num_nodes)
                if count < room:
                    return NumaInfo(
                        tuple(int(memory[i].memsize) for i in range(count)),
                        tuple(int(memory[i].memfree) for i in range(count)),
                        tuple(
                            tuple(int(distance[i * count + j]) for j in range(count)) for i in range(count)
                        ),
                    )
            room *= 2


def domain_info(xen: "Xen", address: int) -> DomainInfo:
    """Read one struct xen_domctl_getdomaininfo from memory, in the layout of the running hypervisor."""
    heard = ffi.cast(xen.layout.domaininfo + " *", address)
    return DomainInfo(
        domain=heard.domain,
        flags=heard.flags,
        tot_pages=heard.tot_pages,
        max_pages=heard.max_pages,
        outstanding_pages=heard.outstanding_pages,
        shr_pages=heard.shr_pages,
        paged_pages=heard.paged_pages,
        cpu_time=heard.cpu_time,
        nr_online_vcpus=heard.nr_online_vcpus,
        max_vcpu_id=heard.max_vcpu_id,
        handle=bytes(ffi.buffer(heard.handle)).hex(),
        cpupool=heard.cpupool,
        emulation_flags=heard.emulation_flags if xen.layout.domaininfo_has_x86 else None,
    )


def getdomaininfolist(xen: "Xen", limit: t.Optional[int] = None) -> t.List[DomainInfo]:
    """XEN_SYSCTL_getdomaininfolist: all domains by ascending id, or the first `limit` of them; as many calls as that takes."""
    found: t.List[DomainInfo] = []
    at_once = DOMAINS_AT_ONCE if limit is None else min(limit, DOMAINS_AT_ONCE)
    with xen.request("struct xen_sysctl") as op, xen.buffer("uint8_t", at_once * DOMAININFO_ROOM) as memory:
        while limit is None or len(found) < limit:
            request = op.u.getdomaininfolist
            request.first_domain = found[-1].domain + 1 if found else 0
            request.max_domains = at_once
            request.buffer = xen.address(memory)
            xen.sysctl(op, GETDOMAININFOLIST, "getdomaininfolist")
            count = int(op.u.getdomaininfolist.num_domains)
            xen.check_room(count, at_once, "list of domains")
            start = xen.address(memory)
            for index in range(count):
                info = domain_info(xen, start + index * xen.layout.domaininfo_size)
                if found and info.domain <= found[-1].domain:
                    raise errors.UnknownInterface(
                        "Xen's list of domains is not in the form that interface version 0x%x should have: update the collection."
                        % xen.interface["sysctl"]
                    )
                found.append(info)
            if count < at_once:
                break
    return found if limit is None else found[:limit]


def cpupool_info(xen: "Xen", first: int = 0) -> t.Optional[CpupoolInfo]:
    """XEN_SYSCTL_CPUPOOL_OP_INFO: the cpupool with the lowest id that is not below `first`; None when there is none."""
    with xen.request("struct xen_sysctl") as op, bitmap(xen, cpu_bits(xen)) as cpus:
        request = op.u.cpupool_op
        request.op = CPUPOOL_INFO
        request.cpupool_id = first
        cpus.fill(request.cpumap)
        try:
            xen.sysctl(op, CPUPOOL_OP, "cpupool_info", pool=first)
        except errors.NoSuchCpupool:
            return None
        return CpupoolInfo(request.cpupool_id, request.sched_id, request.n_dom, cpus.value())


def cpupools(xen: "Xen") -> t.List[CpupoolInfo]:
    """All cpupools by ascending id."""
    found: t.List[CpupoolInfo] = []
    info = cpupool_info(xen)
    while info is not None and not (found and info.cpupool_id <= found[-1].cpupool_id):
        found.append(info)
        info = cpupool_info(xen, info.cpupool_id + 1)
    return found


def cpupool_free(xen: "Xen") -> int:
    """XEN_SYSCTL_CPUPOOL_OP_FREEINFO: online CPUs that no cpupool has, as a bit mask."""
    with xen.request("struct xen_sysctl") as op, bitmap(xen, cpu_bits(xen)) as cpus:
        op.u.cpupool_op.op = CPUPOOL_FREEINFO
        cpus.fill(op.u.cpupool_op.cpumap)
        xen.sysctl(op, CPUPOOL_OP, "cpupool_freeinfo")
        return cpus.value()


def cpu_policy(xen: "Xen", index: int = POLICY_RAW) -> t.List[CpuidLeaf]:
    """XEN_SYSCTL_get_cpu_policy (x86, Xen 4.12 and later): what CPUID says on the CPU that Xen was booted on.

    Index 0 is the raw policy, the hardware's own values. Raises NotSupported where the hypervisor does not have it.
    """
    room = LEAVES_AT_FIRST
    with xen.request("struct xen_sysctl") as op:
        while True:
            with xen.buffer("struct xen_cpuid_leaf", room) as leaves:
                policy = op.u.cpu_policy
                policy.index = index
                policy.nr_leaves = room
                policy.nr_msrs = 0
                policy.leaves = xen.address(leaves)
                policy.msrs = 0  # their number alone
                try:
                    xen.sysctl(op, GET_CPU_POLICY, "get_cpu_policy")
                except errors.XenError as error:
                    if error.errno != errno.ENOBUFS or room >= 64 * LEAVES_AT_FIRST:
                        raise
                else:
                    return [
                        CpuidLeaf(*[int(getattr(leaves[i], name)) for name in CpuidLeaf._fields])
                        for i in range(min(room, int(policy.nr_leaves)))
                    ]
            room *= 2
