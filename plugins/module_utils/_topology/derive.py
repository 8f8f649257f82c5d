# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what was heard to what is: RawHost in, Topology out. Pure, and one code path for every level.

What Xen means by its answers (xen/include/public/{sysctl,platform,domctl}.h and the code behind them):

* cputopoinfo lists present CPUs, online or not, and has no flag that tells which. An offline CPU keeps its place on some processors and
  loses it on others (package and core become 0xFFFFFFFF, the node stays).
* Whether a CPU is online: XENPF_get_cpuinfo's flags; without them, being in a cpupool or free for one.
* physinfo's threads_per_core and cores_per_socket describe CPU 0. They are not used to group CPUs.
* A node that Xen does not know has 0xFFFFFFFF bytes and distances of 0xFFFFFFFF.
* numainfo's memsize is what a node spans, holes included. Its RAM is the machine's memory map within what the SRAT gives to it.

Contradictions become warnings, never guesses. The only :class:`Failure` is for a host of which no CPU was heard, and for kinds of CPUs
that the user gives and that do not fit.
"""

import typing as t

from .._errors import Failure
from . import apic, command_line, devices, kinds
from .cpuid import Policy
from .cpuset import LARGEST_ID, CpuSet
from .firmware import Firmware
from .locality import Ground, locality
from .model import (
    Cache,
    Component,
    Core,
    CpuPool,
    Distances,
    Dom0Boot,
    Dom0Linux,
    Domain,
    Locality,
    Memory,
    NumaNode,
    Package,
    Parameter,
    Pu,
    SubNuma,
    Topology,
    Unanswered,
    Vcpu,
    Xen,
)
from .raw import RawHost

#: Xen's ~0U: "no such thing" for cores, packages, nodes, sizes, distances, pools and vCPU counts. 64-bit fields get it unextended.
INVALID = 0xFFFFFFFF

PCPU_ONLINE = 1  # XEN_PCPU_FLAGS_ONLINE
PCPU_INVALID = 2  # XEN_PCPU_FLAGS_INVALID: not present

SCHEDULERS = {4: "sedf", 5: "credit", 6: "credit2", 7: "arinc653", 8: "rtds", 9: "null"}

# XEN_DOMINF_*
_DYING, _HVM, _SHUTDOWN, _PAUSED, _BLOCKED = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
_REASON_SHIFT, _REASON_CRASH = 16, 3
# XEN_X86_EMU_*: a PVH guest has at most the local APIC, the I/O APIC and virtual PCI
_EMULATES_A_PC = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 8  # HPET, PM, RTC, PIC, VGA, PIT

PAGE_SIZE = 4096  # what every architecture of Xen uses


class Group(t.NamedTuple):
    """The PUs that share one value at a level. `nodes` are the NUMA nodes that they belong to."""

    key: t.Tuple[int, ...]
    cpuset: CpuSet
    complete_cpuset: CpuSet
    nodes: CpuSet


#: The levels, and which fields of a PU say to which object of that level it belongs.
LEVELS = {
    "package": ("package",),
    "core": ("package", "core"),
    "node": ("node",),
}  # type: t.Dict[str, t.Tuple[str, ...]]


def group(pus: t.Iterable[Pu], level: str) -> t.List[Group]:
    """Put together the PUs that have the same place at this level, ordered by that place; those of unknown place are left out."""
    members = {}  # type: t.Dict[t.Tuple[int, ...], t.List[Pu]]
    for pu in pus:
        key = tuple(getattr(pu, field) for field in LEVELS[level])
        if None not in key:
            members.setdefault(key, []).append(pu)
    return [
        Group(
            key,
            CpuSet(pu.os_index for pu in members[key] if usable(pu)),
            CpuSet(pu.os_index for pu in members[key]),
            CpuSet(pu.node for pu in members[key] if pu.node is not None),
        )
        for key in sorted(members)
    ]


def usable(pu: Pu) -> bool:
    """Tell whether the PU belongs to `cpuset`: online and its place known at every level."""
    return bool(pu.online) and None not in (pu.package, pu.core, pu.node)


def derive(raw: RawHost, cpu_kinds: t.Sequence[kinds.Override] = ()) -> Topology:
    """Derive the model from what was heard. `cpu_kinds` replaces what was found out about kinds of CPUs.

    :class:`Failure` when no CPU was heard of, and for kinds that do not fit the host.
    """
    heard = raw.data
    warnings = list(raw.warnings)
    parameters = command_line.parse(heard.get("xen", {}).get("commandline"))
    policy = Policy(heard.get("cpu_policy", ()))
    firmware = Firmware(heard, warnings)
    pus = _pus(heard, parameters, policy, firmware, warnings)
    cpuset = CpuSet(pu.os_index for pu in pus if usable(pu))
    complete_cpuset = CpuSet(pu.os_index for pu in pus)
    groups = {level: group(pus, level) for level in LEVELS}
    cores = _cores(groups["core"], warnings)
    nodes, distances = _nodes(heard, groups["node"], firmware, warnings)
    complete_nodeset = CpuSet(node.os_index for node in nodes)
    page_size = heard.get("page_size") or PAGE_SIZE
    xen = _xen(heard, parameters, firmware, pus, cores, nodes)
    pools = _cpupools(heard, xen)
    domains = _domains(heard, page_size, complete_cpuset, complete_nodeset)
    if domains is not None:
        domains = tuple(
            domain._replace(locality=_locality(domain, pools, cpuset, nodes, distances)) for domain in domains
        )
    caches = _caches(policy, pus, cores, warnings)
    physinfo = heard.get("physinfo", {})
    linux = heard.get("dom0_linux")
    components = _components(raw)
    return Topology(
        xen=xen,
        pus=tuple(pus),
        cores=cores,
        packages=tuple(
            Package(found.key[0], found.cpuset, found.complete_cpuset, found.nodes)
            for found in groups["package"]
        ),
        nodes=nodes,
        distances=distances,
        cpupools=pools,
        cpupool_free=CpuSet(heard.get("cpupool_free", ())),
        domains=domains,
        dom0_vcpus=_dom0_vcpus(heard, domains, complete_cpuset),
        dom0_linux=None if linux is None else Dom0Linux(*(linux.get(field) for field in Dom0Linux._fields)),
        memory=Memory(*(_bytes(physinfo.get(field + "_pages"), page_size) for field in Memory._fields)),
        cpu_khz=physinfo.get("cpu_khz"),
        cpuset=cpuset,
        complete_cpuset=complete_cpuset,
        allowed_cpuset=cpuset,
        nodeset=CpuSet(
            node.os_index for node in nodes if node.cpuset or node.memory_total or node.memory_spanned
        ),
        complete_nodeset=complete_nodeset,
        source=_source(components),
        components=components,
        warnings=tuple(warnings),
        caches=caches,
        cpu_kinds=kinds.overridden(cpu_kinds, pus, cores, cpuset)
        if cpu_kinds
        else kinds.cpu_kinds(pus, cores, cpuset, policy.hybrid),
        sub_numa=_sub_numa(groups["package"], pus),
        dom0_boot=_dom0_boot(heard, parameters, firmware),
        unanswered=tuple(
            Unanswered(question, reason) for question, reason in sorted(heard.get("unanswered", {}).items())
        ),
        pci_devices=devices.pci_devices(heard, frozenset(complete_nodeset)),
        dmi=devices.dmi(heard),
    )


def _components(raw: RawHost) -> t.Tuple[Component, ...]:
    return tuple(
        Component(
            component["name"],
            component["priority"],
            component["state"],
            component["reason"],
            component.get("hypercalls"),
        )
        for component in raw.components
    )


def _source(components: t.Iterable[Component]) -> str:
    used = [component for component in components if component.state == "used"]
    return max(used, key=lambda component: component.priority).name if used else "unknown"


def _bytes(pages: t.Optional[int], page_size: int) -> t.Optional[int]:
    return None if pages is None else pages * page_size


def _valid(value: int) -> t.Optional[int]:
    return None if value == INVALID else value


def _at(values: t.Sequence[t.Any], index: int) -> t.Optional[int]:
    return _valid(values[index]) if index < len(values) else None


def _are(cpus: CpuSet) -> str:
    return f"CPU {cpus} is" if len(cpus) == 1 else f"CPUs {cpus} are"


# --- PUs


def _pus(
    heard: t.Dict[str, t.Any],
    parameters: t.Sequence[Parameter],
    policy: Policy,
    firmware: Firmware,
    warnings: t.List[str],
) -> t.List[Pu]:
    topo = heard.get("cputopo", ())
    infos = heard.get("pcpuinfo", ())
    pool_of, pooled = _pool_members(heard, warnings)
    count = max(len(topo), len(infos), pooled.mask.bit_length())
    one_core_each = _constant_places(heard, topo)
    if one_core_each:
        warnings.append(
            "Xen gives every CPU of this host the same core and package and says that cores have one thread, "
            "as it does on Arm: each CPU is taken for a core of its own."
        )
    exist, denied = [], []
    for cpu in range(count):
        place = [_valid(value) for value in topo[cpu]] if cpu < len(topo) else [None, None, None]
        absent = cpu < len(infos) and infos[cpu][1] & PCPU_INVALID
        if absent and place == [None, None, None] and cpu not in pooled:
            continue
        if absent:
            denied.append(cpu)
        core, package, node = place
        if one_core_each and core is not None:
            core = cpu
        if node is not None and node > LARGEST_ID:
            node = None
        info = infos[cpu] if cpu < len(infos) and not absent else (0, 0, INVALID, INVALID)
        exist.append(Pu(cpu, None, package, core, node, pool_of.get(cpu), _valid(info[2]), _valid(info[3])))
    if not exist or not (topo or infos):
        raise Failure(
            "no CPU of this host was heard of, so nothing can be said about its topology: see which components were used"
        )
    if denied:
        warnings.append(
            f"Xen says that {_are(CpuSet(denied))} not present, yet names a place or a cpupool: taken for offline."
        )
    online = _online(heard, CpuSet(pu.os_index for pu in exist), pooled, warnings)
    speeds = heard.get("px_max_mhz", {})
    pus = [
        pu._replace(
            online=online[pu.os_index],
            max_khz=speeds[str(pu.os_index)] * 1000 if str(pu.os_index) in speeds else None,
        )
        for pu in exist
    ]
    pus = _placed(pus, policy, _never_brought_up(pus, firmware, warnings), warnings)
    pus = _on_nodes(pus, heard, parameters, firmware)
    lost = CpuSet(pu.os_index for pu in pus if pu.online and not usable(pu))
    if lost:
        warnings.append(f"{_are(lost)} online, but Xen does not say where: nothing will be placed there.")
    return pus


def _never_brought_up(pus: t.List[Pu], firmware: Firmware, warnings: t.List[str]) -> t.List[Pu]:
    """Return the CPUs that the firmware lists and Xen does not have, as far as Xen would have a number for them."""
    processors = firmware.never_brought_up({pu.os_index: pu.apic_id for pu in pus if pu.apic_id is not None})
    taken = {pu.os_index for pu in pus}
    found, nameless = [], []
    for number, apic_id, acpi_id in processors:
        if number is None or number in taken or number > LARGEST_ID:
            nameless.append(apic_id)
        else:
            found.append(Pu(number, False, None, None, None, None, apic_id, acpi_id, present=False))
    if nameless:
        said = ", ".join(str(apic_id) for apic_id in nameless[:8]) + (", ..." if len(nameless) > 8 else "")
        warnings.append(
            f"The firmware lists {len(nameless)} CPUs that Xen does not have and for which it would have no certain number: they are "
            f"left out (APIC ids {said})."
        )
    return found


def _placed(pus: t.List[Pu], policy: Policy, more: t.List[Pu], warnings: t.List[str]) -> t.List[Pu]:
    """Return all PUs, those without package and core placed by their APIC id as far as there is only one answer."""
    everybody = sorted(pus + more, key=lambda pu: pu.os_index)
    if all(None not in (pu.package, pu.core) for pu in everybody):
        return everybody
    owners = {}  # type: t.Dict[int, t.List[int]]
    for pu in everybody:
        if pu.apic_id is not None:
            owners.setdefault(pu.apic_id, []).append(pu.os_index)
    twice = {apic_id for apic_id, cpus in owners.items() if len(cpus) > 1}
    if twice:
        cpus = CpuSet(cpu for apic_id in twice for cpu in owners[apic_id])
        warnings.append(
            f"Xen gives {cpus} the same APIC id as another CPU: it says nothing about their place."
        )
    known = {
        pu.apic_id: (pu.package, pu.core)
        for pu in everybody
        if None not in (pu.package, pu.core, pu.apic_id) and pu.apic_id not in twice
    }
    wanted = [
        pu.apic_id
        for pu in everybody
        if pu.apic_id is not None and pu.apic_id not in twice and None in (pu.package, pu.core)
    ]
    places = apic.places(t.cast(t.Dict[int, t.Tuple[int, int]], known), wanted, policy.widths())
    return [
        pu._replace(package=places[pu.apic_id][0], core=places[pu.apic_id][1])
        # one that is online and nowhere is a contradiction, not a gap to be filled
        if pu.apic_id in places and pu.online is False and None in (pu.package, pu.core)
        else pu
        for pu in everybody
    ]


def _on_nodes(
    pus: t.List[Pu], heard: t.Dict[str, t.Any], parameters: t.Sequence[Parameter], firmware: Firmware
) -> t.List[Pu]:
    """Return the PUs, those of unknown node put on theirs by what the firmware says of their APIC id."""
    seen = [(pu.apic_id, pu.node) for pu in pus if pu.online and None not in (pu.apic_id, pu.node)]
    fake = (command_line.last(parameters, "numa") or "").startswith("fake")
    spans = _spans(heard)
    firmware.learn_nodes(t.cast(t.List[t.Tuple[int, int]], seen), spans, fake)
    only = min(spans) if len(spans) == 1 and firmware.numa in ("off", "none") else None

    def node(pu: Pu) -> t.Optional[int]:
        if pu.node is not None or pu.online is not False or pu.apic_id is None:
            return pu.node
        domain = firmware.domain_of.get(pu.apic_id)
        return only if domain is None or only is not None else firmware.node_of.get(domain)

    return [pu._replace(node=node(pu)) if pu.node is None else pu for pu in pus]


def _spans(heard: t.Dict[str, t.Any]) -> t.Dict[int, int]:
    """The bytes from the first to the last page of each node that Xen has and that has any."""
    sizes = heard.get("numainfo", {}).get("memsize", ())
    return {node: size for node, size in enumerate(sizes) if size and size != INVALID and node <= LARGEST_ID}


def _constant_places(heard: t.Dict[str, t.Any], topo: t.Sequence[t.Sequence[int]]) -> bool:
    """Tell whether Xen knows no topology at all: every CPU in core 0 of package 0, more of them online than a core has threads."""
    known = [place for place in topo if place[0] != INVALID]
    physinfo = heard.get("physinfo", {})
    return (
        len(known) > 1
        and all(place[0] == 0 and place[1] == 0 for place in known)
        and physinfo.get("threads_per_core") == 1
        # one online CPU is no contradiction: the others may be its siblings, switched off
        and physinfo.get("nr_cpus", 2) > 1
    )


def _pool_members(heard: t.Dict[str, t.Any], warnings: t.List[str]) -> t.Tuple[t.Dict[int, int], CpuSet]:
    """Return the cpupool of each CPU that is in one, and the CPUs that are in one or free for one."""
    pool_of = {}  # type: t.Dict[int, int]
    for pool in heard.get("cpupools", ()):
        for cpu in pool["cpus"]:
            if cpu in pool_of:
                warnings.append(
                    f"Xen says that CPU {cpu} is in cpupools {pool_of[cpu]} and {pool['id']}: the first is reported."
                )
            pool_of.setdefault(cpu, pool["id"])
    return pool_of, CpuSet(pool_of) | CpuSet(heard.get("cpupool_free", ()))


def _online(
    heard: t.Dict[str, t.Any], exist: CpuSet, pooled: CpuSet, warnings: t.List[str]
) -> t.Dict[int, t.Optional[bool]]:
    """Tell for each CPU whether it is online; None where nothing that was heard can tell."""
    infos = heard.get("pcpuinfo", ())
    count = heard.get("physinfo", {}).get("nr_cpus")
    whole_pools = "cpupools" in heard and "cpupool_free" in heard
    online = {}  # type: t.Dict[int, t.Optional[bool]]
    for cpu in exist:
        if cpu < len(infos):
            online[cpu] = bool(infos[cpu][1] & PCPU_ONLINE)
        elif cpu in pooled:
            online[cpu] = True
        elif whole_pools or count == len(pooled):
            online[cpu] = False
        elif count == len(exist):
            online[cpu] = True
        else:
            online[cpu] = None
    unknown = CpuSet(cpu for cpu in exist if online[cpu] is None)
    up = CpuSet(cpu for cpu in exist if online[cpu])
    if unknown:
        warnings.append(
            f"Nothing that could be asked tells whether {_are(unknown)} online: nothing will be placed there."
        )
    if infos and whole_pools and up != pooled:
        for odd, said in (
            (up - pooled, "online, yet in no cpupool and not free for one"),
            (pooled - up, "in a cpupool, yet offline"),
        ):
            if odd:
                warnings.append(f"Xen says that {_are(odd)} {said}: the CPU's own state is believed.")
    if count is not None and not unknown and count != len(up):
        warnings.append(f"Xen counts {count} online CPUs, but {len(up)} are found online ({up}).")
    return online


# --- cores and nodes


def _cores(groups: t.Iterable[Group], warnings: t.List[str]) -> t.Tuple[Core, ...]:
    cores = []
    for index, found in enumerate(
        sorted(groups, key=lambda found: (found.key[0], found.complete_cpuset.first()))
    ):
        package, core = found.key
        if len(found.nodes) > 1:
            warnings.append(
                f"Core {core} of package {package} has CPUs on the NUMA nodes {found.nodes}: its node is reported as unknown."
            )
        node = found.nodes.first() if len(found.nodes) == 1 else None
        cores.append(Core(index, package, core, node, found.cpuset, found.complete_cpuset))
    return tuple(cores)


def _nodes(
    heard: t.Dict[str, t.Any], groups: t.Iterable[Group], firmware: Firmware, warnings: t.List[str]
) -> t.Tuple[t.Tuple[NumaNode, ...], Distances]:
    """Return the nodes that have CPUs or memory, by OS index, and the distances between them."""
    info = heard.get("numainfo", {"memsize": (), "memfree": (), "distance": ()})
    by_id = {found.key[0]: found for found in groups}
    with_memory = [index for index in range(len(info["memsize"])) if _at(info["memsize"], index)]
    ids = sorted(set(by_id) | set(with_memory))
    rows = info["distance"]
    matrix = tuple(
        tuple(_at(rows[source], target) if source < len(rows) else None for target in ids) for source in ids
    )
    distances = Distances(
        tuple(ids), matrix, firmware.slit is not None and firmware.numa == "on" if firmware.heard else None
    )
    domain_of = {node: domain for domain, node in firmware.node_of.items()}
    spanned = [_at(info["memsize"], index) for index in range(len(info["memsize"]))]
    ram = firmware.ram_by_node(_spans(heard), spanned)
    ram.update((int(node), size) for node, size in heard.get("node_memory", {}).items())
    cpu_nodes = [found.key[0] for found in groups if found.cpuset]
    nodes = []
    for index in ids:
        cpus = by_id.get(index, Group((index,), CpuSet(), CpuSet(), CpuSet()))
        nodes.append(
            NumaNode(
                index,
                cpus.cpuset,
                cpus.complete_cpuset,
                _at(info["memsize"], index),
                _at(info["memfree"], index),
                (index,) if cpus.cpuset else _nearest(index, cpu_nodes, distances),
                _believable(index, ram.get(index), info, warnings),
                domain_of.get(index),
            )
        )
    return tuple(nodes), distances


def _believable(
    node: int, ram: t.Optional[int], info: t.Dict[str, t.Any], warnings: t.List[str]
) -> t.Optional[int]:
    """Return the RAM of the node, None when Xen's own figures contradict it."""
    span, free = _at(info["memsize"], node), _at(info["memfree"], node)
    if ram is None or ((span is None or ram <= span) and (free is None or free <= ram)):
        return ram
    warnings.append(
        f"The firmware gives {ram} bytes of RAM to NUMA node {node}, of which Xen says that it spans {span} bytes and has {free} free: "
        "its amount of memory is reported as unknown."
    )
    return None


def _nearest(node: int, cpu_nodes: t.Iterable[int], distances: Distances) -> t.Tuple[int, ...]:
    """Return the nodes with online CPUs from which `node` is reached at the least distance."""
    reach = {}  # type: t.Dict[int, int]
    for cpu_node in cpu_nodes:
        # the way from the CPU to the memory counts
        distance = distances.between(cpu_node, node)
        if distance is None:
            distance = distances.between(node, cpu_node)
        if distance is not None:
            reach[cpu_node] = distance
    least = min(reach.values(), default=None)
    return tuple(cpu_node for cpu_node in sorted(reach) if reach[cpu_node] == least)


# --- Xen, cpupools, domains


def _scheduler(sched_id: t.Optional[int]) -> t.Optional[str]:
    return None if sched_id is None else SCHEDULERS.get(sched_id, f"unknown-{sched_id}")


def _xen(
    heard: t.Dict[str, t.Any],
    parameters: t.Tuple[Parameter, ...],
    firmware: Firmware,
    pus: t.Sequence[Pu],
    cores: t.Sequence[Core],
    nodes: t.Sequence[NumaNode],
) -> Xen:
    xen = heard.get("xen", {})
    interface = xen.get("interface", {})
    return Xen(
        major=xen.get("major"),
        minor=xen.get("minor"),
        extraversion=xen.get("extraversion", ""),
        changeset=xen.get("changeset"),
        capabilities=tuple(xen.get("capabilities", "").split()),
        command_line=xen.get("commandline"),
        scheduler=_scheduler(heard.get("sched_id")),
        interface={key: interface.get(key) for key in ("sysctl", "domctl", "platform", "known")},
        parameters=parameters,
        numa=_numa(parameters, firmware, len(nodes)),
        smt=_smt(pus, cores),
        sched_gran=_sched_gran(heard, parameters, cores),
    )


def _numa(parameters: t.Sequence[Parameter], firmware: Firmware, nodes: int) -> t.Optional[str]:
    asked = command_line.last(parameters, "numa") or ""
    if nodes > 1:
        return "fake" if asked.startswith("fake") else "on"
    if command_line.switch(parameters, "numa") is False:
        return "off"
    # the firmware was looked at, and names no nodes at all
    return firmware.numa or ("none" if firmware.heard else None)


def _smt(pus: t.Sequence[Pu], cores: t.Sequence[Core]) -> t.Optional[str]:
    """Tell whether threads are in use; None while a CPU of unknown place may be a second thread."""
    if any(len(core.cpuset) > 1 for core in cores):
        return "on"
    if any(len(core.complete_cpuset) > 1 for core in cores):
        return "off"
    return None if any(None in (pu.package, pu.core) for pu in pus) or not cores else "none"


def _sched_gran(
    heard: t.Dict[str, t.Any], parameters: t.Sequence[Parameter], cores: t.Sequence[Core]
) -> t.Optional[str]:
    """The granularity of the cpupool that Xen boots with, from hypfs, else from the command line where that cannot be otherwise."""
    told = heard.get("sched_gran", {}).get("0")
    if told is not None:
        return t.cast(str, told)
    xen = heard.get("xen", {})
    if "commandline" not in xen:
        return None
    asked = command_line.last(parameters, "sched-gran")
    if (xen["major"], xen["minor"]) < (4, 13) or asked in (None, "cpu"):
        return "cpu"
    # Xen falls back to single CPUs when cores differ
    same = len({len(core.cpuset) for core in cores}) == 1
    return asked if asked in ("core", "socket") and same else None


def _dom0_boot(
    heard: t.Dict[str, t.Any], parameters: t.Sequence[Parameter], firmware: Firmware
) -> t.Optional[Dom0Boot]:
    if "commandline" not in heard.get("xen", {}):
        return None
    asked = command_line.last(parameters, "dom0_nodes")
    domains, words = command_line.numbers(asked or "")
    nodes = [firmware.node_of.get(domain) for domain in domains]
    return Dom0Boot(
        memory=command_line.last(parameters, "dom0_mem"),
        max_vcpus=command_line.last(parameters, "dom0_max_vcpus"),
        pinned=bool(command_line.switch(parameters, "dom0_vcpus_pin")),
        proximity_domains=None if asked is None else tuple(domains),
        nodes=None if asked is None or None in nodes else CpuSet(t.cast(t.List[int], nodes)),
        strict=None if asked is None else "relaxed" not in words,
    )


# --- caches and sub-NUMA


def _caches(
    policy: Policy, pus: t.Sequence[Pu], cores: t.Sequence[Core], warnings: t.List[str]
) -> t.Tuple[Cache, ...]:
    """Return the caches as the CPU that Xen booted on has them, shared by those whose APIC ids say so.

    On a host with several kinds of cores the inner caches are those of the first kind only: of the others they are unknown.
    """
    boot = next((core for core in cores if 0 in core.complete_cpuset), None)
    alike = CpuSet()
    for core in cores:
        if boot and (not policy.hybrid or len(core.complete_cpuset) == len(boot.complete_cpuset)):
            alike |= core.complete_cpuset
    found = []
    for level, kind, size, line_size, ways, shift in policy.caches():
        sets = None  # type: t.Optional[t.Tuple[CpuSet, ...]]
        if shift is not None:
            members = {}  # type: t.Dict[int, t.List[int]]
            for pu in pus:
                if pu.apic_id is not None and (level > 2 or pu.os_index in alike):
                    members.setdefault(pu.apic_id >> shift, []).append(pu.os_index)
            sets = tuple(sorted((CpuSet(cpus) for cpus in members.values()), key=CpuSet.first)) or None
        if sets is not None and not _fit(sets, pus, cores):
            warnings.append(
                f"The processor says that its L{level} {kind} cache is shared by CPUs that Xen has in different packages, or by parts of "
                "several cores: who shares it is reported as unknown."
            )
            sets = None
        found.append(Cache(level, kind, size, line_size, ways, sets))
    return tuple(found)


def _fit(sets: t.Sequence[CpuSet], pus: t.Sequence[Pu], cores: t.Sequence[Core]) -> bool:
    """Tell whether no set reaches over several packages, and none holds a part of a core and something else besides."""
    cache_of = {cpu: index for index, cpus in enumerate(sets) for cpu in cpus}
    packages = {}  # type: t.Dict[int, int]
    for pu in pus:
        index = cache_of.get(pu.os_index)
        if (
            index is not None
            and pu.package is not None
            and packages.setdefault(index, pu.package) != pu.package
        ):
            return False
    for core in cores:
        around = {cache_of[cpu] for cpu in core.complete_cpuset if cpu in cache_of}
        if len(around) > 1 and any(sets[index] - core.complete_cpuset for index in around):
            return False
    return True


def _sub_numa(packages: t.Iterable[Group], pus: t.Sequence[Pu]) -> t.Tuple[SubNuma, ...]:
    """Return the parts of packages that have several nodes."""
    several = {found.key[0] for found in packages if len(found.nodes) > 1}
    parts = {}  # type: t.Dict[t.Tuple[int, int], t.List[Pu]]
    for pu in pus:
        if pu.package in several and pu.package is not None and pu.node is not None:
            parts.setdefault((pu.package, pu.node), []).append(pu)
    return tuple(
        SubNuma(
            package,
            node,
            CpuSet(pu.os_index for pu in parts[package, node] if usable(pu)),
            CpuSet(pu.os_index for pu in parts[package, node]),
        )
        for package, node in sorted(parts)
    )


def _cpupools(heard: t.Dict[str, t.Any], xen: Xen) -> t.Tuple[CpuPool, ...]:
    granularities = heard.get("sched_gran", {})
    names = heard.get("cpupool_names", {})
    return tuple(
        CpuPool(
            pool["id"],
            names.get(str(pool["id"])),
            _scheduler(pool.get("sched_id")),
            CpuSet(pool["cpus"]),
            pool.get("n_dom"),
            granularities.get(str(pool["id"]), xen.sched_gran if pool["id"] == 0 else None),
        )
        for pool in sorted(heard.get("cpupools", ()), key=lambda pool: pool["id"])
    )


def _affinity(vcpu: t.Dict[str, t.Any], kind: str, complete_cpuset: CpuSet) -> CpuSet:
    # bits of CPUs that do not exist mean nothing to a reader, and "all" is said with them
    return complete_cpuset if vcpu.get(kind + "_all") else CpuSet(vcpu[kind]) & complete_cpuset


def _vcpus(vcpus: t.Iterable[t.Dict[str, t.Any]], complete_cpuset: CpuSet) -> t.Tuple[Vcpu, ...]:
    return tuple(
        Vcpu(
            vcpu["vcpu"],
            bool(vcpu["online"]),
            bool(vcpu["running"]),
            bool(vcpu["blocked"]),
            vcpu["cpu"] if vcpu["online"] and vcpu["cpu"] in complete_cpuset else None,
            _affinity(vcpu, "hard", complete_cpuset),
            _affinity(vcpu, "soft", complete_cpuset),
            vcpu["cpu_time"],
        )
        for vcpu in vcpus
    )


def domain_state(flags: int) -> str:
    """Name the state that XEN_DOMINF_* flags describe. A domain that waits for a CPU counts as running."""
    if flags & _DYING:
        return "dying"
    if flags & _SHUTDOWN:
        return "crashed" if flags >> _REASON_SHIFT & 0xFF == _REASON_CRASH else "shutdown"
    if flags & _PAUSED:
        return "paused"
    return "blocked" if flags & _BLOCKED else "running"


def domain_type(flags: int, emulation_flags: t.Optional[int]) -> t.Optional[str]:
    """Name the kind of guest; None for one with hardware support whose emulated devices are not known (HVM or PVH)."""
    if not flags & _HVM:
        return "pv"
    if emulation_flags is None:
        return None
    return "hvm" if emulation_flags & _EMULATES_A_PC else "pvh"


def uuid_text(handle: str) -> str:
    """Write 32 hexadecimal digits the way UUIDs are written."""
    digits = handle.replace("-", "").lower()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _domains(
    heard: t.Dict[str, t.Any], page_size: int, complete_cpuset: CpuSet, complete_nodeset: CpuSet
) -> t.Optional[t.Tuple[Domain, ...]]:
    """Return the domains by number; None when they were not asked for."""
    if "domains" not in heard:
        return None
    ordered = sorted(heard["domains"], key=lambda info: info["domain"])
    return tuple(_domain(info, heard, page_size, complete_cpuset, complete_nodeset) for info in ordered)


def _locality(
    domain: Domain,
    pools: t.Iterable[CpuPool],
    cpuset: CpuSet,
    nodes: t.Sequence[NumaNode],
    distances: Distances,
) -> Locality:
    cpus = next((pool.cpuset & cpuset for pool in pools if pool.id == domain.cpupool), cpuset)
    return locality(domain.vcpus, domain.memory_by_node, Ground(cpus, nodes, distances))


def _dom0_vcpus(
    heard: t.Dict[str, t.Any], domains: t.Optional[t.Tuple[Domain, ...]], complete_cpuset: CpuSet
) -> t.Tuple[Vcpu, ...]:
    for domain in domains or ():
        if domain.domid == 0:
            return domain.vcpus
    return _vcpus(heard.get("dom0_vcpus", ()), complete_cpuset)


def _domain(
    info: t.Dict[str, t.Any],
    heard: t.Dict[str, t.Any],
    page_size: int,
    complete_cpuset: CpuSet,
    complete_nodeset: CpuSet,
) -> Domain:
    key = str(info["domain"])
    by_node = heard.get("memory_by_node", {}).get(key)
    nodes = info.get("node_affinity")
    return Domain(
        domid=info["domain"],
        name=heard.get("domain_names", {}).get(key),
        uuid=uuid_text(info["handle"]),
        type=info["type"] if "type" in info else domain_type(info["flags"], info.get("emulation_flags")),
        state=domain_state(info["flags"]),
        cpupool=_valid(info["cpupool"]),
        memory=info["tot_pages"] * page_size,
        max_memory=info["max_pages"] * page_size if info["max_pages"] < INVALID else None,
        max_vcpus=0 if info["max_vcpu_id"] == INVALID else info["max_vcpu_id"] + 1,
        vcpus=_vcpus(info["vcpus"], complete_cpuset),
        node_affinity=None if nodes is None else CpuSet(nodes) & complete_nodeset,
        memory_by_node=None
        if by_node is None
        else {int(node): pages * page_size for node, pages in by_node.items()},
    )
