# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model as hwloc XML, version 2.0, which the tools of every hwloc from 2.0 on read. docs/hwloc.md says what is in it.

`hwloc_tree` makes the tree, this file writes it down. What the tree has no place for is named in an info of the Machine
(:data:`hwloc_names.LEFT_OUT`), so that nothing is lost.

Rules that are easily broken, and what then happens to a reader (hwloc/topology-xml.c, hwloc/topology-xml-nolibxml.c, hwloc/hwloc2.dtd):

* ``type`` is an object's first attribute, and only double quotes stand around values: the parser without libxml aborts or stops reading.
* Of the escapes only lt, gt, amp, quot, #9, #10 and #13: another drops the rest of the element.
* Every normal and memory object has all four sets, else the file is refused; a missing complete_cpuset makes some versions crash.
* An offline PU is never an object: it is only in the complete_cpuset of those around it.
* At least one NUMA node, and nothing that claims that the reader runs on this machine (no ``support`` elements).
"""

import typing as t

from .._errors import Failure
from . import hwloc_devices, hwloc_distances, hwloc_kinds, hwloc_objects, hwloc_tree
from . import hwloc_names as names
from .cpuset import CpuSet
from .hwloc_caches import cache_infos, cache_objects
from .hwloc_elements import LARGEST_TEXT
from .hwloc_tree import Infos, Object, Omission, escape
from .model import Memory, Topology


class Exported(t.NamedTuple):
    """`text` is the XML. `warnings` are sentences about what the tree could not show."""

    text: str
    warnings: t.Tuple[str, ...]


def to_hwloc_xml(topology: Topology, host_name: str = "") -> Exported:
    """Write the topology as hwloc XML 2.0. :class:`Failure` when no CPU can be shown, or the topology contradicts itself."""
    if not topology.cpuset:
        raise Failure(
            "no CPU of this host is online with a known place, and hwloc knows no machine without a CPU: "
            "see the warnings of the topology facts"
        )
    _check_size(topology)
    omissions = []  # type: t.List[Omission]
    parts = hwloc_tree.packages(topology, omissions) + hwloc_tree.cores(topology, omissions)
    machine = Object("Machine", 0, topology.cpuset, topology.cpuset | topology.complete_cpuset)
    levels = [hwloc_tree.level_of(members) for members in (topology.nodes, parts)]
    parts += hwloc_objects.parts(topology, levels, omissions)
    parts += hwloc_tree.attach_nodes(topology, machine, parts, omissions)
    parts += cache_objects(topology, omissions)
    hwloc_tree.build(topology, machine, parts)
    nodes = CpuSet(number for part in [machine, *parts] for node in part.memory for number in node.nodes)
    distances, without_distance = hwloc_distances.written(topology, nodes)
    warnings = _lost_pus(topology) + _crossing(omissions)
    if without_distance:
        warnings.append(
            f"The distances from and to the NUMA nodes {without_distance} are not known and left out."
        )
    io = hwloc_devices.io_objects(topology.pci_devices, topology.bare)
    hwloc_objects.put_memory_caches(topology, machine)
    hwloc_objects.hang(topology, machine, io)
    machine.infos = _machine_infos(topology, host_name, omissions)
    if not topology.bare:
        machine.infos += [(names.LEFT_OUT, f"PCIDev {address}: {why}") for address, why in io.left_out]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<!DOCTYPE topology SYSTEM "hwloc2.dtd">',
        '<topology version="2.0">',
    ]
    _Writer(lines, topology, machine, nodes, io).write(machine, "  ")
    lines += [*distances, *_cpu_kinds(topology), "</topology>", ""]
    return Exported("\n".join(lines), tuple(warnings))


def _check_size(topology: Topology) -> None:
    """Refuse what would become larger than any XML that is read, before it is made: sets are as long as the highest number in them."""
    size = sum([cpu // 32 + 50 for cpu in topology.cpuset])
    things = [*topology.packages, *topology.cores, *topology.nodes]  # type: t.List[t.Any]
    size += sum([thing.complete_cpuset.mask.bit_length() // 32 + 50 for thing in things])
    for cache in topology.caches:
        size += sum([cpus.mask.bit_length() // 32 + 50 for cpus in cache.cpusets or ()])
    if 2 * size > LARGEST_TEXT:
        raise Failure(
            f"the hwloc XML of this host would have more than {2 * size >> 20} million characters, and {LARGEST_TEXT >> 20} are the most that "
            "are read: it has too many CPUs, or too high numbers of them"
        )


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
        # a node that was made up is only among the first
        nodes_there = [*machine.memory, *topology.nodes]  # type: t.List[t.Any]
        for node in nodes_there:
            bit = 1 << node.os_index
            cpus = node.complete_cpuset | getattr(node, "shared_cpuset", CpuSet())
            self.node_of.update({cpu: self.node_of.get(cpu, 0) | bit for cpu in cpus})
        self.cpus_of = {}  # type: t.Dict[int, int]
        for cpu, bit in self.node_of.items():
            self.cpus_of[bit] = self.cpus_of.get(bit, 0) | 1 << cpu
        self.known = {}  # type: t.Dict[int, str]
        # the Machine has the host bridges that are near to no node that is an object
        self.machine = machine
        self.bridges = dict(io.bridges)

    def io_of(self, thing: Object) -> t.List[hwloc_devices.IoObject]:
        """Take the host bridges that hang on this object."""
        here = [number for node in thing.memory for number in node.nodes]  # type: t.List[t.Optional[int]]
        if thing is self.machine:
            here += [node for node in self.bridges if node is None or node not in self.nodes]
        found = []  # type: t.List[hwloc_devices.IoObject]
        for node in here:
            found += self.bridges.pop(node, [])
        return sorted([*found, *thing.io], key=_io_order)

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

    def write(self, thing: Object, indent: str, around: t.Optional[Object] = None, sets: str = "") -> None:
        """Write the object, its infos, then the objects below it. `sets` are those of the object around it, as they are written."""
        self.gp_index += 1
        if (
            around is None
            or around is self.machine
            or thing.nodes
            or (thing.cpuset is not around.cpuset and thing.cpuset != around.cpuset)
            or (
                thing.complete_cpuset is not around.complete_cpuset
                and thing.complete_cpuset != around.complete_cpuset
            )
        ):
            sets = self.sets(thing)
        os_index = "" if thing.os_index is None else f' os_index="{thing.os_index}"'
        line = f'{indent}<object type="{thing.kind}"{os_index}{sets} gp_index="{self.gp_index}"{thing.attributes}'
        bridges = self.io_of(thing) if self.bridges or thing.io else []
        if not (thing.children or thing.infos or thing.memory or bridges):
            self.lines.append(line + "/>")
            return
        self.lines.append(line + ">")
        below = indent + "  "
        for name, value in thing.infos:
            self.lines.append(f'{below}<info name="{name}" value="{escape(value)}"/>')
        for child in thing.memory:
            self.write(child, below)
        for child in thing.children:
            self.write(child, below, thing, sets)
        for bridge in bridges:
            self.write_io(bridge, below)
        self.lines.append(indent + "</object>")

    def sets(self, thing: Object) -> str:
        """Write the four sets; the Machine also has the allowed ones, which mean nothing to Xen and are its own."""
        whole = thing.cpuset is thing.complete_cpuset or thing.cpuset == thing.complete_cpuset
        cpuset = thing.cpuset.hwloc()
        complete_cpuset = cpuset if whole else thing.complete_cpuset.hwloc()
        allowed_cpuset = allowed_nodeset = ""
        if thing is self.machine:
            nodes, complete_nodes = self.nodes.mask, (self.nodes | self.topology.complete_nodeset).mask
            allowed_cpuset = f' allowed_cpuset="{self.topology.allowed_cpuset.hwloc()}"'
            allowed_nodeset = f' allowed_nodeset="{self.nodes.hwloc()}"'
        elif thing.nodes:
            nodes = complete_nodes = thing.nodes.mask
        else:
            complete_nodes = self.nodes_of(thing.complete_cpuset)
            nodes = (complete_nodes if whole else self.nodes_of(thing.cpuset)) & self.nodes.mask
        return (
            f' cpuset="{cpuset}" complete_cpuset="{complete_cpuset}"{allowed_cpuset}'
            f' nodeset="{self.mask(nodes)}" complete_nodeset="{self.mask(complete_nodes)}"{allowed_nodeset}'
        )

    def nodes_of(self, cpus: CpuSet) -> int:
        """Return the mask of the nodes that the CPUs belong to."""
        nodes = self.node_of.get(cpus.first(), 0) if cpus else 0
        # most objects lie within one node
        if cpus.mask & ~self.cpus_of.get(nodes, 0):
            for cpu in cpus:
                nodes |= self.node_of.get(cpu, 0)
        return nodes

    def mask(self, nodes: int) -> str:
        """Write a mask of nodes; there are few, so each is written once."""
        if nodes not in self.known:
            self.known[nodes] = CpuSet.from_mask(nodes).hwloc()
        return self.known[nodes]


def _io_order(thing: hwloc_devices.IoObject) -> t.Tuple[str, str]:
    """Host bridges come first, in the order of their buses."""
    told = dict(thing.attributes)
    return thing.kind, told.get("bridge_pci", "")


# --- what stands beside the tree


def _machine_infos(topology: Topology, host_name: str, omissions: t.Iterable[Omission]) -> Infos:
    xen = topology.xen
    host_name = host_name or topology.host_name or ""
    dmi = hwloc_devices.dmi_infos(topology.dmi)
    if topology.bare:
        return ([(names.HOST_NAME, host_name)] if host_name else []) + dmi
    told = [
        (names.HOST_NAME, host_name or None),
        (names.BACKEND, "Xen"),
        (names.SOURCE, topology.source),
        (names.VERSION, xen.version),
        (names.CHANGESET, xen.changeset or None),
        (names.CAPABILITIES, " ".join(xen.capabilities) or None),
        (names.SCHEDULER, xen.scheduler),
        (names.COMMAND_LINE, xen.command_line),
        (names.CPU_KHZ, topology.cpu_khz),
    ]  # type: t.List[t.Tuple[str, t.Union[str, int, None]]]
    told += [(names.MEMORY[field], getattr(topology.memory, field)) for field in Memory._fields]
    told += _cpupool_infos(topology)
    told += hwloc_kinds.speed_infos(topology)
    told += cache_infos(topology)
    told += dmi
    told += [
        (name, str(cpus) or None)
        for name, cpus in ((names.UNPLACED, _unplaced(topology)), (names.UNKNOWN, _unknown(topology)))
    ]
    told += [
        (
            names.LEFT_OUT,
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
        yield names.CPUPOOL, " ".join(f"{key}={value}" for key, value in told if value is not None)
    if topology.cpupool_free:
        yield names.CPUPOOL_FREE, topology.cpupool_free.hwloc()


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
    crossing = [left.what for left in omissions if left.crosses]
    if not crossing:
        return []
    more = f" and {len(crossing) - 8} more" if len(crossing) > 8 else ""
    return [
        f"Left out, since hwloc's tree has no place for what crosses the boundary of a NUMA node: {', '.join(crossing[:8])}{more}."
    ]


def _cpu_kinds(topology: Topology) -> t.List[str]:
    lines = []
    for kind in hwloc_kinds.written(topology):
        efficiency = "" if kind.efficiency is None else f' forced_efficiency="{kind.efficiency}"'
        lines.append(f'  <cpukind cpuset="{kind.cpuset.hwloc()}"{efficiency}>')
        lines += [f'    <info name="{name}" value="{escape(value)}"/>' for name, value in kind.infos]
        lines.append("  </cpukind>")
    return lines
