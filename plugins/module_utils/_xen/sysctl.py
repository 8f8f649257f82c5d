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

READCONSOLE = 1
PHYSINFO = 3
SCHED_ID = 4
GETDOMAININFOLIST = 6
DEBUG_KEYS = 7
GET_PMSTAT = 10
CPU_HOTPLUG = 11
PM_OP = 12
CPUTOPOINFO = 16
NUMAINFO = 17
CPUPOOL_OP = 18
PCITOPOINFO = 22
GET_CPU_POLICY = 29

CPUPOOL_CREATE = 1
CPUPOOL_DESTROY = 2
CPUPOOL_INFO = 3
CPUPOOL_ADDCPU = 4
CPUPOOL_RMCPU = 5
CPUPOOL_MOVEDOMAIN = 6
CPUPOOL_FREEINFO = 7

PMSTAT_GET_PXSTAT = 0x12
GET_CPUFREQ_PARA = 0x11
CPUFREQ_NAME_LEN = 16
POLICY_RAW = 0

# XEN_SYSCTL_CPU_HOTPLUG_*
CPU_ONLINE = 0
CPU_OFFLINE = 1
SMT_ENABLE = 2
SMT_DISABLE = 3

# XEN_INVALID_{CORE,SOCKET,NODE}_ID, XEN_INVALID_NODE_DIST, and XEN_INVALID_MEM_SZ: the last is 32 bits in a member of 64.
INVALID_32 = 0xFFFFFFFF
INVALID_DEVICE = 0xFFFFFFFE  # XEN_INVALID_DEV

DOMAININFO_ROOM = 256  # bytes set aside for each domain, whatever Xen needs
DOMAININFO_LEAST = 96  # the members that are read end here
DOMAINS_AT_ONCE = 128
CONSOLE_AT_ONCE = 65536
LEAVES_AT_FIRST = 256
PX_STATES_MOST = 255  # their number is a byte
CPUFREQ_MOST = 1 << 16  # CPUs, frequencies or governors that are believed

_Answer = t.TypeVar("_Answer")


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


def pcitopoinfo(xen: "Xen", devices: t.Sequence[t.Tuple[int, int, int]]) -> t.List[int]:
    """XEN_SYSCTL_pcitopoinfo: the NUMA node of each PCI device, named by (segment, bus, devfn), in the same order.

    INVALID_32 where the firmware does not say, INVALID_DEVICE for one that Xen does not know. Xen may answer for 64 or more at once
    and stop there: as many calls as that takes. Raises NotSupported on hypervisors without PCI.
    """
    if not devices:
        return []
    count = len(devices)
    with xen.request("struct xen_sysctl") as op, xen.buffer(
        "struct physdev_pci_device", count
    ) as asked, xen.buffer("uint32_t", count) as nodes:
        for index, (segment, bus, devfn) in enumerate(devices):
            asked[index].seg, asked[index].bus, asked[index].devfn = segment, bus, devfn
        done = 0
        while done < count:
            request = op.u.pcitopoinfo
            request.num_devs = count - done
            request.devs = xen.address(asked + done)
            request.nodes = xen.address(nodes + done)
            xen.sysctl(op, PCITOPOINFO, "pcitopoinfo")
            processed = int(request.num_devs)
            if not 0 < processed <= count - done:
                raise errors.UnknownInterface(
                    "Xen's answer about PCI devices is not in the form that interface version 0x%x should have: update the "
                    "collection." % xen.interface["sysctl"]
                )
            done += processed
        return [int(nodes[index]) for index in range(count)]


def px_frequencies(xen: "Xen", cpus: t.Sequence[int]) -> t.Dict[int, t.List[int]]:
    """XEN_SYSCTL_get_pmstat, PMSTAT_get_pxstat: the frequencies of the P-states of each of these online CPUs, in MHz, the highest first.

    One call a CPU, as :func:`_of_each` makes them. A CPU that has no P-states is left out. Raises NotSupported where Xen does not scale
    frequencies, or does it another way (HWP), or knows no P-states.
    """
    # Older releases copy the table of transitions whatever its size, so there must be room for the largest.
    with xen.request("struct xen_sysctl") as op, xen.buffer(
        "struct pm_px_val", PX_STATES_MOST
    ) as states, xen.buffer("uint64_t", PX_STATES_MOST**2) as transitions:

        def ask(cpu: int) -> t.List[int]:
            request = op.u.get_pmstat
            request.type = PMSTAT_GET_PXSTAT
            request.cpuid = cpu
            request.total = PX_STATES_MOST
            request.trans_pt = xen.address(transitions)
            request.pt = xen.address(states)
            xen.sysctl(op, GET_PMSTAT, "get_pmstat", cpu=cpu)
            return [int(states[index].freq) for index in range(int(request.total))]

        return _of_each(cpus, ask)


def cpufreq_maxima(xen: "Xen", cpus: t.Sequence[int]) -> t.Dict[int, int]:
    """XEN_SYSCTL_pm_op, GET_CPUFREQ_PARA: the highest frequency of each of these online CPUs in kHz, as Xen's driver has it.

    It answers also where the hardware chooses the frequencies (HWP, Xen 4.18). Two calls a CPU: the first tells how much room the
    second needs. A CPU of which Xen knows nothing is left out. Raises NotSupported where Xen does not scale frequencies.
    """
    with xen.request("struct xen_sysctl") as op:

        def ask(cpu: int) -> int:
            para = op.u.pm_op.get_para
            para.cpu_num = para.freq_num = para.gov_num = 0
            counts = (0, 0, 0)
            while True:
                sizes = (4 * counts[0], 4 * counts[1], CPUFREQ_NAME_LEN * counts[2])
                with xen.buffer("uint8_t", sum(sizes)) as room:
                    op.u.pm_op.cmd = GET_CPUFREQ_PARA
                    op.u.pm_op.cpuid = cpu
                    start = xen.address(room)
                    para.affected_cpus = start
                    para.scaling_available_frequencies = start + sizes[0]
                    para.scaling_available_governors = start + sizes[0] + sizes[1]
                    try:
                        xen.sysctl(op, PM_OP, "get_cpufreq_para", cpu=cpu)
                    except errors.Busy:
                        before, counts = counts, (int(para.cpu_num), int(para.freq_num), int(para.gov_num))
                        if counts == before or max(counts) > CPUFREQ_MOST:
                            raise
                    else:
                        return int(para.cpuinfo_max_freq)

        return {cpu: khz for cpu, khz in _of_each(cpus, ask).items() if khz}


def _of_each(cpus: t.Sequence[int], ask: t.Callable[[int], _Answer]) -> t.Dict[int, _Answer]:
    """Ask of each CPU; but of the first and the last before the others, and where Xen knows nothing of either, of no other.

    Raises what the second of these raised, or the only one.
    """
    found: t.Dict[int, _Answer] = {}
    ordered = sorted(cpus)
    ordered = ordered[:1] + ordered[1:][-1:] + ordered[1:-1]
    for position, cpu in enumerate(ordered):
        try:
            found[cpu] = ask(cpu)
        except errors.XenError as error:
            if error.errno not in (errno.EINVAL, errno.ENODATA):
                raise
            if not found and position in (1, len(ordered) - 1):
                raise
    return found


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


def debug_keys(xen: "Xen", keys: str) -> None:
    """XEN_SYSCTL_debug_keys: press keys on Xen's console. What they print is in the ring when this returns."""
    text = keys.encode("ascii")
    with xen.request("struct xen_sysctl") as op, xen.buffer("char", len(text)) as memory:
        ffi.buffer(memory, len(text))[:] = text
        op.u.debug_keys.keys = xen.address(memory)
        op.u.debug_keys.nr_keys = len(text)
        xen.sysctl(op, DEBUG_KEYS, "debug_keys")


def readconsole(xen: "Xen", index: t.Optional[int] = None) -> t.Tuple[bytes, int]:
    """XEN_SYSCTL_readconsole: Xen's console ring, left as it is, and the index behind the last byte read.

    With the `index` of an earlier call only what came after it; all that is left when the ring has already lost some of that.
    """
    pieces: t.List[bytes] = []
    with xen.request("struct xen_sysctl") as op, xen.buffer("char", CONSOLE_AT_ONCE) as memory:
        while True:
            request = op.u.readconsole
            request.incremental = 0 if index is None else 1
            request.index = index or 0
            request.buffer = xen.address(memory)
            request.count = CONSOLE_AT_ONCE
            xen.sysctl(op, READCONSOLE, "readconsole")
            index = int(request.index)
            count = int(request.count)
            pieces.append(bytes(ffi.buffer(memory, count)))
            if count < CONSOLE_AT_ONCE:
                return b"".join(pieces), index
