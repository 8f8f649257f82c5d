# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model as hwloc XML, version 2.0, which the tools of every hwloc from 2.0 on read. docs/hwloc.md says what is in it.

hwloc's tree has a Machine at the top, PUs at the bottom, and between them objects of which none crosses another's boundary. NUMA nodes
hang beside the tree, each on an object with the same CPUs; where there is none, a Group is made. What the tree has no place for is named
in an info of the Machine (:data:`LEFT_OUT`), so that nothing is lost.

Rules that are easily broken, and what then happens to a reader (hwloc/topology-xml.c, hwloc/topology-xml-nolibxml.c, hwloc/hwloc2.dtd):

* ``type`` is an object's first attribute, and only double quotes stand around values: the parser without libxml aborts or stops reading.
* Of the escapes only lt, gt, amp, quot, #9, #10 and #13: another drops the rest of the element.
* Every normal and memory object has all four sets, else the file is refused; a missing complete_cpuset makes some versions crash.
* An offline PU is never an object: it is only in the complete_cpuset of those around it.
* At least one NUMA node, and nothing that claims that the reader runs on this machine (no ``support`` elements).
"""

import re
import typing as t

from .._errors import Failure
from . import hwloc_devices
from .cpuset import CpuSet
from .model import Cache, Core, Memory, NumaNode, Package, Topology

#: Infos of the Machine. `hwloc_import` reads back those after BACKEND.
HOST_NAME = "HostName"
BACKEND = "Backend"
SOURCE = "XenSource"  # who told: always there, so it also marks our own files
IMPORTED = "hwloc_xml"  # the source of a topology that was read from such XML itself, of whatever machine
VERSION = "XenVersion"
CHANGESET = "XenChangeset"
CAPABILITIES = "XenCapabilities"
SCHEDULER = "XenScheduler"
COMMAND_LINE = "XenCommandLine"
CPU_KHZ = "XenCpuKHz"
CPUPOOL = "XenCpupool"  # id=0 scheduler=credit2 domains=1 cpuset=0x0000000f name=Pool-0; what is not known is left out
CPUPOOL_FREE = "XenCpupoolFree"
UNPLACED = "XenUnplacedPUs"  # online, but Xen does not say where
UNKNOWN = "XenUnknownPUs"  # nobody could tell whether they are online
CACHE = "XenCache"  # level=3 type=unified size=16777216 line=64 ways=16: of which it is not known which CPUs share one
LEFT_OUT = "XenLeftOut"  # Core P#1 package=0 cpuset=0x0 complete_cpuset=0x0000000c: why
MEMORY = {field: "XenMemory" + field.capitalize() for field in Memory._fields}  # bytes

#: Infos of a NUMA node.
PROXIMITY = "ACPIProximityDomain"
NODE_FREE = "XenMemoryFree"  # bytes
NODE_SPANNED = "XenMemorySpanned"  # bytes, holes included
NODE_HOLES = "XenMemoryHoles"  # local_memory is what the node spans, for want of its RAM
LOCAL_CPUS = "XenLocalCPUs"  # there when the node has no online CPU, for hwloc gives such a node the Machine's sets: none; offline: 4-7
NEAREST = "XenNearestNodes"
MADE_UP = "XenNUMA"

#: SLIT's own value for "no way from here to there" (ACPI 6.5, 5.2.17); hwloc on bare Linux shows the same.
UNREACHABLE = 255

# HWLOC_DISTANCES_KIND_FROM_OS | HWLOC_DISTANCES_KIND_MEANS_LATENCY
_LATENCY_FROM_OS = 5

_ESCAPES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
}
_SPECIAL = re.compile('[&<>"\\x00-\\x1f\\x7f-\\x9f\ud800-\udfff\ufffe\uffff]')

Infos = t.List[t.Tuple[str, str]]


class Exported(t.NamedTuple):
    """`text` is the XML. `warnings` are sentences about what the tree could not show."""

    text: str
    warnings: t.Tuple[str, ...]


class Object:
    """An object of hwloc's tree. `memory` are the NUMA nodes that hang on it, `children` the normal objects below."""

    __slots__ = (
        "attributes",
        "children",
        "complete_cpuset",
        "cpuset",
        "infos",
        "kind",
        "memory",
        "os_index",
    )

    def __init__(self, kind: str, os_index: t.Optional[int], cpuset: CpuSet, complete_cpuset: CpuSet) -> None:
        self.kind = kind
        self.os_index = os_index
        self.cpuset = cpuset
        self.complete_cpuset = complete_cpuset
        self.attributes = []  # type: t.List[t.Tuple[str, str]]
        self.infos = []  # type: Infos
        self.memory = []  # type: t.List[Object]
        self.children = []  # type: t.List[Object]


class Omission(t.NamedTuple):
    """An object that has no place in the tree. `crosses`: it lies across the boundary of a NUMA node; else its CPUs are all offline."""

    what: str
    cpuset: CpuSet
    complete_cpuset: CpuSet
    crosses: bool

    @property
    def why(self) -> str:
        """The reason, as the info has it."""
        if not self.crosses:
            return "has no CPU to show"
        return "crosses the boundary of a " + (
            "NUMA node" if "Cache" not in self.what else "package, core or NUMA node"
        )


def to_hwloc_xml(topology: Topology, host_name: str = "") -> Exported:
    """Write the topology as hwloc XML 2.0. :class:`Failure` when no CPU can be shown, or the topology contradicts itself."""
    if not topology.cpuset:
        raise Failure(
            "no CPU of this host is online with a known place, and hwloc knows no machine without a CPU: "
            "see the warnings of the topology facts"
        )
    omissions = []  # type: t.List[Omission]
    parts = _packages(topology, omissions) + _cores(topology, omissions)
    machine = Object("Machine", 0, topology.cpuset, topology.cpuset | topology.complete_cpuset)
    parts += _attach_nodes(topology, machine, parts, omissions)
    parts += _caches(topology, parts, omissions)
    _build_tree(topology, machine, parts)
    nodes = CpuSet(t.cast(int, node.os_index) for node in machine.memory) | CpuSet(
        t.cast(int, node.os_index) for part in parts for node in part.memory
    )
    distances, without_distance = _distances(topology, nodes)
    warnings = _lost_pus(topology) + _crossing(omissions)
    if without_distance:
        warnings.append(
            f"The distances from and to the NUMA nodes {without_distance} are not known and left out."
        )
    io = hwloc_devices.io_objects(topology.pci_devices)
    machine.infos = _machine_infos(topology, host_name, omissions)
    machine.infos += [(LEFT_OUT, f"PCIDev {address}: {why}") for address, why in io.left_out]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<!DOCTYPE topology SYSTEM "hwloc2.dtd">',
        '<topology version="2.0">',
    ]
    _Writer(lines, topology, machine, nodes, io).write(machine, "  ")
    lines += [*distances, *_cpu_kinds(topology), "</topology>", ""]
    return Exported("\n".join(lines), tuple(warnings))


def escape(text: str) -> str:
    """Write a text as the value of an attribute. Characters that XML or hwloc's own parser cannot have become question marks."""
    return _SPECIAL.sub(lambda found: _ESCAPES.get(found.group(), "?"), text)


# --- packages and cores


def _packages(topology: Topology, omissions: t.List[Omission]) -> t.List[Object]:
    return _placed(
        topology,
        [("Package", f"Package P#{package.os_index}", package) for package in topology.packages],
        omissions,
    )


def _cores(topology: Topology, omissions: t.List[Omission]) -> t.List[Object]:
    return _placed(
        topology,
        [("Core", f"Core P#{core.os_index} package={core.package}", core) for core in topology.cores],
        omissions,
    )


def _placed(
    topology: Topology,
    things: t.Sequence[t.Tuple[str, str, t.Union[Package, Core]]],
    omissions: t.List[Omission],
) -> t.List[Object]:
    """Make objects of those that have a place in the tree."""
    node_of = {cpu: node for node in topology.nodes for cpu in node.complete_cpuset}
    placed = []
    for kind, what, thing in things:
        around = {node_of[cpu] for cpu in thing.complete_cpuset if cpu in node_of}
        crosses = bool(thing.cpuset) and _crosses(thing, around)
        if crosses or not thing.cpuset:
            omissions.append(Omission(what, thing.cpuset, thing.complete_cpuset, crosses))
        else:
            placed.append(Object(kind, thing.os_index, thing.cpuset, thing.complete_cpuset))
    return placed


def _crosses(thing: t.Union[Package, Core], around: t.Iterable[NumaNode]) -> bool:
    """Tell whether a node, of those that share CPUs with the thing, neither lies within it nor contains it."""
    mine = thing.complete_cpuset
    return any(not (node.complete_cpuset <= mine or mine <= node.complete_cpuset) for node in around)


# --- NUMA nodes


def _attach_nodes(
    topology: Topology, machine: Object, parts: t.Iterable[Object], omissions: t.List[Omission]
) -> t.List[Object]:
    """Hang every node on the highest object that has just its CPUs; return the Groups that had to be made for that."""
    same_cpus = {}  # type: t.Dict[CpuSet, t.List[Object]]
    for part in [machine, *parts]:  # packages come before cores
        same_cpus.setdefault(part.cpuset, []).append(part)
    groups = []
    if len({node.os_index for node in topology.nodes}) < len(topology.nodes):
        raise Failure(
            "the topology contradicts itself: two NUMA nodes have the same number; gather the facts again"
        )
    for node in topology.nodes:
        if node.os_index not in topology.nodeset:
            what = f"NUMANode P#{node.os_index}"
            omissions.append(Omission(what, node.cpuset, node.complete_cpuset, False))
        elif not node.cpuset:
            machine.memory.append(_node(node))
        else:
            hosts = same_cpus.get(node.cpuset, [])
            host = next((host for host in hosts if node.complete_cpuset <= host.complete_cpuset), None)
            if host is None:
                host = _group(node, topology)
                groups.append(host)
            host.memory.append(_node(node))
    if not any(part.memory for part in [machine, *parts, *groups]):
        machine.memory.append(_made_up_node(topology))
    return groups


def _node(node: NumaNode) -> Object:
    made = Object("NUMANode", node.os_index, node.cpuset, node.complete_cpuset)
    if node.memory_total is not None:
        made.attributes.append(("local_memory", str(node.memory_total)))
        if node.memory_spanned is not None:
            made.infos.append((NODE_SPANNED, str(node.memory_spanned)))
    elif node.memory_spanned is not None:
        made.attributes.append(("local_memory", str(node.memory_spanned)))
        made.infos.append((NODE_HOLES, "unknown, counted as memory"))
    if node.proximity_domain is not None:
        made.infos.append((PROXIMITY, str(node.proximity_domain)))
    if node.memory_free is not None:
        made.infos.append((NODE_FREE, str(node.memory_free)))
    if not node.cpuset:
        made.infos.append((LOCAL_CPUS, f"none; offline: {node.complete_cpuset or 'none'}"))
        if node.nearest_cpu_nodes:
            made.infos.append((NEAREST, str(CpuSet(node.nearest_cpu_nodes))))
    return made


def _made_up_node(topology: Topology) -> Object:
    made = Object("NUMANode", 0, topology.cpuset, topology.complete_cpuset)
    if topology.memory.total is not None:
        made.attributes.append(("local_memory", str(topology.memory.total)))
    made.infos.append((MADE_UP, "Xen tells of no NUMA node: this one stands for the whole machine"))
    return made


def _group(node: NumaNode, topology: Topology) -> Object:
    """Make the object for a node whose CPUs are no package: a cluster within one, or several packages."""
    made = Object("Group", None, node.cpuset, node.complete_cpuset)
    if any(node.complete_cpuset < package.complete_cpuset for package in topology.packages):
        made.attributes.append(("subtype", "SubNUMACluster"))
    made.attributes += [("kind", "0"), ("subkind", "0")]
    return made


# --- caches


def _cache_kind(cache: Cache) -> str:
    return f"L{cache.level}{'i' if cache.type == 'instruction' else ''}Cache"


def _caches(topology: Topology, parts: t.Iterable[Object], omissions: t.List[Omission]) -> t.List[Object]:
    """Make the objects of the caches of which it is known which PUs share them."""
    levels = [topology.nodes, topology.packages, topology.cores]  # type: t.List[t.Sequence[t.Any]]
    owners = [
        {cpu: thing.complete_cpuset for thing in level for cpu in thing.complete_cpuset} for level in levels
    ]
    made = []
    seen = set()  # type: t.Set[CpuSet]
    for cache in topology.caches:
        kind = _cache_kind(cache)
        if kind not in _RANK:
            continue
        # caches of one kind share no CPUs, so that each kind is one more level to look at
        level = {}  # type: t.Dict[int, CpuSet]
        for members in cache.cpusets or ():
            cpuset = members & topology.cpuset
            if not cpuset:
                continue
            # what is shared by the same CPUs as a cache before has been looked at: L1 and L2 mostly are
            around = set() if members in seen else {o[cpu] for o in owners for cpu in members if cpu in o}
            if any(not (other <= members or members <= other) for other in around):
                omissions.append(Omission(f"Cache {kind}", cpuset, members, True))
                continue
            thing = Object(kind, None, cpuset, members)
            thing.attributes = [
                ("cache_size", str(cache.size)),
                ("depth", str(cache.level)),
                ("cache_linesize", str(cache.line_size or 0)),
                ("cache_associativity", str(cache.ways or 0)),
                ("cache_type", str(_CACHE_TYPES[cache.type])),
            ]
            made.append(thing)
            if members not in seen:
                level.update(dict.fromkeys(members, members))
                seen.add(members)
        owners.append(level)
    return made


def _cache_infos(topology: Topology) -> t.Iterator[t.Tuple[str, str]]:
    """Tell of the caches that cannot be objects, for want of knowing who shares them."""
    for cache in topology.caches:
        if cache.cpusets is None:
            told = [
                ("level", cache.level),
                ("type", cache.type),
                ("size", cache.size),
                ("line", cache.line_size),
                ("ways", cache.ways),
            ]  # type: t.List[t.Tuple[str, t.Union[str, int, None]]]
            yield CACHE, " ".join(f"{key}={value}" for key, value in told if value is not None)


# --- the tree

#: hwloc_obj_cache_type_e
_CACHE_TYPES = {"unified": 0, "data": 1, "instruction": 2}

#: Of objects with the same CPUs, which is above.
_RANK = {
    kind: rank
    for rank, kind in enumerate(
        ["Group", "Package"]
        + [
            f"L{level}{kind}Cache"
            for level in (5, 4, 3, 2, 1)
            for kind in (("", "i") if level < 4 else ("",))
        ]
        + ["Core"]
    )
}


def _build_tree(topology: Topology, machine: Object, parts: t.Iterable[Object]) -> None:
    """Put every part under the smallest one around it, the PUs at the bottom, siblings in the order of their first CPU."""
    owner = dict.fromkeys(machine.complete_cpuset, machine)  # type: t.Dict[int, Object]
    for part in sorted(parts, key=lambda part: (-len(part.complete_cpuset), _RANK[part.kind])):
        owners = {owner.get(cpu) for cpu in part.complete_cpuset | part.cpuset}
        parent = owners.pop()
        fits = parent is not None and part.cpuset <= parent.cpuset & part.complete_cpuset
        if parent is None or owners or not fits:
            raise Failure(
                f"the topology contradicts itself: {part.kind} {part.os_index} with the CPUs {part.complete_cpuset} "
                "overlaps another object or the machine's edge; gather the facts again"
            )
        parent.children.append(part)
        owner.update(dict.fromkeys(part.complete_cpuset, part))
    for cpu in topology.cpuset:
        itself = CpuSet.from_mask(1 << cpu)
        owner[cpu].children.append(Object("PU", cpu, itself, itself))
    for part in [machine, *parts]:
        part.children.sort(key=lambda child: child.complete_cpuset.first())


class _Writer:
    """Writes objects with what is below them. `nodes` are the NUMA nodes that are objects."""

    def __init__(
        self,
        lines: t.List[str],
        topology: Topology,
        machine: Object,
        nodes: CpuSet,
        io: hwloc_devices.Io,
    ) -> None:
        self.lines = lines
        self.topology = topology
        self.nodes = nodes
        self.gp_index = 0
        self.node_of = {}  # type: t.Dict[int, int]
        for holder in (machine.memory, topology.nodes):  # a node that was made up is only among the first
            for node in t.cast("t.Sequence[NumaNode]", holder):
                self.node_of.update(dict.fromkeys(node.complete_cpuset, 1 << node.os_index))
        self.known = {}  # type: t.Dict[int, str]
        # the Machine has the host bridges that are near to no node that is an object
        self.machine = machine
        self.bridges = dict(io.bridges)

    def io_of(self, thing: Object) -> t.List[hwloc_devices.IoObject]:
        """Take the host bridges that hang on this object."""
        here = [node.os_index for node in thing.memory]
        if thing is self.machine:
            here += [node for node in self.bridges if node is None or node not in self.nodes]
        found = []  # type: t.List[hwloc_devices.IoObject]
        for node in here:
            found += self.bridges.pop(node, [])
        return sorted(found, key=lambda bridge: dict(bridge.attributes)["bridge_pci"])

    def write_io(self, thing: hwloc_devices.IoObject, indent: str) -> None:
        """Write an I/O object, its infos, then the objects below it."""
        self.gp_index += 1
        told = "".join(f' {name}="{escape(value)}"' for name, value in thing.attributes)
        line = f'{indent}<object type="{thing.kind}" gp_index="{self.gp_index}"{told}'
        if not (thing.infos or thing.children):
            self.lines.append(line + "/>")
            return
        self.lines.append(line + ">")
        below = indent + "  "
        self.lines += [f'{below}<info name="{name}" value="{escape(value)}"/>' for name, value in thing.infos]
        for child in thing.children:
            self.write_io(child, below)
        self.lines.append(indent + "</object>")

    def write(self, thing: Object, indent: str) -> None:
        """Write the object, its infos, then the objects below it."""
        self.gp_index += 1
        os_index = "" if thing.os_index is None else f' os_index="{thing.os_index}"'
        more = "".join(f' {name}="{value}"' for name, value in thing.attributes)
        line = f'{indent}<object type="{thing.kind}"{os_index}{self.sets(thing)} gp_index="{self.gp_index}"{more}'
        bridges = self.io_of(thing) if self.bridges else []
        if not (thing.infos or thing.memory or thing.children or bridges):
            self.lines.append(line + "/>")
            return
        self.lines.append(line + ">")
        below = indent + "  "
        self.lines += [f'{below}<info name="{name}" value="{escape(value)}"/>' for name, value in thing.infos]
        for child in thing.memory + thing.children:
            self.write(child, below)
        for bridge in bridges:
            self.write_io(bridge, below)
        self.lines.append(indent + "</object>")

    def sets(self, thing: Object) -> str:
        """Write the four sets; the Machine also has the allowed ones, which mean nothing to Xen and are its own."""
        whole = thing.cpuset == thing.complete_cpuset
        cpuset = thing.cpuset.hwloc()
        complete_cpuset = cpuset if whole else thing.complete_cpuset.hwloc()
        allowed_cpuset = allowed_nodeset = ""
        if thing.kind == "Machine":
            nodes, complete_nodes = self.nodes.mask, (self.nodes | self.topology.complete_nodeset).mask
            allowed_cpuset = f' allowed_cpuset="{self.topology.allowed_cpuset.hwloc()}"'
            allowed_nodeset = f' allowed_nodeset="{self.nodes.hwloc()}"'
        elif thing.kind == "NUMANode":
            nodes = complete_nodes = 1 << t.cast(int, thing.os_index)
        else:
            complete_nodes = self.nodes_of(thing.complete_cpuset)
            nodes = (complete_nodes if whole else self.nodes_of(thing.cpuset)) & self.nodes.mask
        return (
            f' cpuset="{cpuset}" complete_cpuset="{complete_cpuset}"{allowed_cpuset}'
            f' nodeset="{self.mask(nodes)}" complete_nodeset="{self.mask(complete_nodes)}"{allowed_nodeset}'
        )

    def nodes_of(self, cpus: CpuSet) -> int:
        """Return the mask of the nodes that the CPUs belong to."""
        nodes = 0
        for cpu in cpus:
            nodes |= self.node_of.get(cpu, 0)
        return nodes

    def mask(self, nodes: int) -> str:
        """Write a mask of nodes; there are few, so each is written once."""
        if nodes not in self.known:
            self.known[nodes] = CpuSet.from_mask(nodes).hwloc()
        return self.known[nodes]


# --- what stands beside the tree


def _machine_infos(topology: Topology, host_name: str, omissions: t.Iterable[Omission]) -> Infos:
    xen = topology.xen
    told = [
        (HOST_NAME, host_name or None),
        (BACKEND, "Xen" if topology.source != IMPORTED or xen.version else None),
        (SOURCE, topology.source),
        (VERSION, xen.version),
        (CHANGESET, xen.changeset or None),
        (CAPABILITIES, " ".join(xen.capabilities) or None),
        (SCHEDULER, xen.scheduler),
        (COMMAND_LINE, xen.command_line),
        (CPU_KHZ, topology.cpu_khz),
    ]  # type: t.List[t.Tuple[str, t.Union[str, int, None]]]
    told += [(MEMORY[field], getattr(topology.memory, field)) for field in Memory._fields]
    told += _cpupool_infos(topology)
    told += _cache_infos(topology)
    told += hwloc_devices.dmi_infos(topology.dmi)
    told += [
        (name, str(cpus) or None)
        for name, cpus in ((UNPLACED, _unplaced(topology)), (UNKNOWN, _unknown(topology)))
    ]
    told += [
        (
            LEFT_OUT,
            f"{left.what} cpuset={left.cpuset.hwloc()} complete_cpuset={left.complete_cpuset.hwloc()}: {left.why}",
        )
        for left in omissions
    ]
    return [(name, str(value)) for name, value in told if value is not None]


def _cpupool_infos(topology: Topology) -> t.Iterator[t.Tuple[str, str]]:
    for pool in topology.cpupools:
        told = [
            ("id", pool.id),
            ("scheduler", pool.scheduler),
            ("domains", pool.domains),
            ("cpuset", pool.cpuset.hwloc()),
            ("name", pool.name),  # the last, for it may have spaces
        ]
        yield CPUPOOL, " ".join(f"{key}={value}" for key, value in told if value is not None)
    if topology.cpupool_free:
        yield CPUPOOL_FREE, topology.cpupool_free.hwloc()


def _unplaced(topology: Topology) -> CpuSet:
    return topology.online_cpuset - topology.cpuset


def _unknown(topology: Topology) -> CpuSet:
    return CpuSet(pu.os_index for pu in topology.pus if pu.online is None)


def _lost_pus(topology: Topology) -> t.List[str]:
    """Say of which PUs the tree tells less than it should, offline ones aside: those never have an object."""
    return [
        f"{what}: they are in complete_cpuset only."
        for cpus, what in (
            (
                _unplaced(topology),
                f"Xen does not say where the CPUs {_unplaced(topology)} sit although online",
            ),
            (_unknown(topology), f"It is not known whether the CPUs {_unknown(topology)} are online"),
        )
        if cpus
    ]


def _crossing(omissions: t.Iterable[Omission]) -> t.List[str]:
    """Say which objects could not be shown although their CPUs are online."""
    names = [left.what for left in omissions if left.crosses]
    if not names:
        return []
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return [
        f"Left out, since hwloc's tree has no place for what crosses the boundary of a NUMA node: {', '.join(names[:8])}{more}."
    ]


def _cpu_kinds(topology: Topology) -> t.List[str]:
    """Write the kinds of CPUs where there are several (read by hwloc 2.4 and later); the thriftiest has efficiency 0."""
    kinds = [kind for kind in topology.cpu_kinds if kind.cpuset]
    if len(kinds) < 2:
        return []
    lines = []
    for kind in kinds:
        efficiency = "" if kind.efficiency is None else f' forced_efficiency="{kind.efficiency}"'
        told = [
            ("XenKind", kind.name),
            ("XenThreadsPerCore", kind.threads_per_core),
            ("FrequencyMaxMHz", None if kind.max_khz is None else kind.max_khz // 1000),
        ]  # type: t.List[t.Tuple[str, t.Union[str, int, None]]]
        lines.append(f'  <cpukind cpuset="{kind.cpuset.hwloc()}"{efficiency}>')
        lines += [
            f'    <info name="{name}" value="{escape(str(value))}"/>'
            for name, value in told
            if value is not None
        ]
        lines.append("  </cpukind>")
    return lines


def _distances(topology: Topology, nodes: CpuSet) -> t.Tuple[t.List[str], CpuSet]:
    """Write the distances between the nodes that are objects; also return those nodes of which no distance is known.

    Xen says "no way" and "I do not know" with the same value. A node that has no distance to itself is one that Xen knows nothing of.
    """
    matrix = topology.distances.matrix
    index = {node: position for position, node in enumerate(topology.distances.nodes) if node in nodes}
    known = [node for node, position in index.items() if matrix[position][position] is not None]
    unknown = nodes - CpuSet(known)
    if len(known) < 2:
        # hwloc wants two at least, and a machine of one node has nothing to miss
        return [], unknown if len(nodes) > 1 else CpuSet()
    rows = [[matrix[index[source]][index[target]] for target in known] for source in known]
    lines = [
        f'  <distances2 type="NUMANode" nbobjs="{len(known)}" kind="{_LATENCY_FROM_OS}" name="NUMALatency" indexing="os">'
    ]
    lines.append(_numbers("indexes", known))
    lines += [
        _numbers("u64values", [UNREACHABLE if distance is None else distance for distance in row])
        for row in rows
    ]
    return [*lines, "  </distances2>"], unknown


def _numbers(tag: str, numbers: t.Iterable[int]) -> str:
    content = " ".join(map(str, numbers))
    return f'    <{tag} length="{len(content)}">{content}</{tag}>'
