# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model as hwloc's tree: a Machine at the top, PUs at the bottom, and between them objects of which none crosses another's boundary.

NUMA nodes hang beside the tree, each on an object with the same CPUs; where there is none, a Group is made. What the tree has no
place for is an :class:`Omission`.
"""

import collections
import re
import typing as t

from .._errors import Failure
from . import hwloc_names as names
from .cpuset import LARGEST_ID, CpuSet
from .hwloc_elements import LARGEST_DEPTH
from .model import Core, NumaNode, Package, Topology

#: Of objects with the same CPUs, which is above.
RANK = {
    kind: rank
    for rank, kind in enumerate(
        ["Group", "Package", "Die"]
        + [
            f"L{level}{kind}Cache"
            for level in (5, 4, 3, 2, 1)
            for kind in (("", "i") if level < 4 else ("",))
        ]
        + ["Core"]
    )
}

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

#: The members of one level of the machine by their CPUs; none has a CPU of another.
Level = t.Dict[int, CpuSet]


def escape(text: str) -> str:
    """Write a text as the value of an attribute. Characters that XML or hwloc's own parser cannot have become question marks."""
    return _SPECIAL.sub(lambda found: _ESCAPES.get(found.group(), "?"), text)


_NONE = CpuSet()


class Object:
    """An object of hwloc's tree. `memory` are the NUMA nodes that hang on it, `children` the normal objects below, `io` what else hangs on it.

    `attributes` are those beside its number and its sets, as they stand in the element. `nodes` are those that a memory object stands for.
    """

    __slots__ = (
        "attributes",
        "children",
        "complete_cpuset",
        "cpuset",
        "infos",
        "io",
        "kind",
        "memory",
        "nodes",
        "os_index",
    )

    def __init__(
        self,
        kind: str,
        os_index: t.Optional[int],
        cpuset: CpuSet,
        complete_cpuset: CpuSet,
        attributes: str = "",
    ) -> None:
        self.kind = kind
        self.os_index = os_index
        self.cpuset = cpuset
        self.complete_cpuset = complete_cpuset
        self.attributes = attributes
        # most of thousands of objects have none of these
        self.infos = ()  # type: t.Sequence[t.Tuple[str, str]]
        self.memory = ()  # type: t.Sequence[Object]
        self.children = ()  # type: t.Sequence[Object]
        self.io = ()  # type: t.Sequence[t.Any]
        self.nodes = _NONE


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


def level_of(members: t.Iterable[t.Any]) -> Level:
    """Return the members of a level (nodes, packages, cores) by their CPUs."""
    return {cpu: member.complete_cpuset for member in members for cpu in member.complete_cpuset}


def crosses(cpus: CpuSet, levels: t.Iterable[Level]) -> bool:
    """Tell whether a member of a level, of those that share CPUs with these, neither lies within them nor contains them."""
    first = cpus.first() if cpus else -1
    for level in levels:
        around = level.get(first)
        if around is not None and cpus <= around:
            continue
        if any(not level[cpu] <= cpus for cpu in cpus if cpu in level):
            return True
    return False


# --- packages and cores


def packages(topology: Topology, omissions: t.List[Omission]) -> t.List[Object]:
    """Make objects of the packages that have a place in the tree."""
    things = [("Package", f"Package P#{package.os_index}", package) for package in topology.packages]
    return _placed(topology, things, omissions)


def cores(topology: Topology, omissions: t.List[Omission]) -> t.List[Object]:
    """Make objects of the cores that have a place in the tree."""
    things = [("Core", f"Core P#{core.os_index} package={core.package}", core) for core in topology.cores]
    return _placed(topology, things, omissions)


def _placed(
    topology: Topology,
    things: t.Sequence[t.Tuple[str, str, t.Union[Package, Core]]],
    omissions: t.List[Omission],
) -> t.List[Object]:
    nodes = level_of(topology.nodes)
    placed = []
    for kind, what, thing in things:
        crossing = bool(thing.cpuset) and crosses(thing.complete_cpuset, [nodes])
        if crossing or not thing.cpuset:
            omissions.append(Omission(what, thing.cpuset, thing.complete_cpuset, crossing))
        else:
            placed.append(Object(kind, thing.os_index, thing.cpuset, thing.complete_cpuset))
    return placed


# --- NUMA nodes


def attach_nodes(
    topology: Topology, machine: Object, parts: t.Iterable[Object], omissions: t.List[Omission]
) -> t.List[Object]:
    """Hang every node on the highest object that has just its CPUs; return the Groups that had to be made for that."""
    parts = list(parts)
    same_cpus = {}  # type: t.Dict[CpuSet, t.List[Object]]
    for part in [machine, *parts]:  # packages come before cores
        same_cpus.setdefault(part.cpuset, []).append(part)
    levels = [level_of(members) for members in (topology.nodes, parts)]
    groups = []  # type: t.List[Object]
    if len({node.os_index for node in topology.nodes}) < len(topology.nodes):
        raise Failure(
            "the topology contradicts itself: two NUMA nodes have the same number; gather the facts again"
        )
    # a node that is near to CPUs of another comes after that one: so does the import know whose they are
    for node in sorted(topology.nodes, key=lambda node: bool(node.shared_cpuset)):
        made = _node(node, topology)
        if node.os_index not in topology.nodeset and not topology.bare:
            what = f"NUMANode P#{node.os_index}"
            omissions.append(Omission(what, node.cpuset, node.complete_cpuset, False))
            continue
        # hwloc keeps an object without a CPU if it has memory; of a Xen host an info says more
        hosts = same_cpus.get(made.cpuset, []) if made.cpuset or topology.bare else [machine]
        host = next((host for host in hosts if made.complete_cpuset <= host.complete_cpuset), None)
        if host is None and node.shared_cpuset and crosses(made.complete_cpuset, levels):
            host = machine
        elif host is None:
            host = _group(made, topology)
            groups.append(host)
            same_cpus.setdefault(host.cpuset, []).append(host)
            levels.append(dict.fromkeys(host.complete_cpuset, host.complete_cpuset))
        host.memory = [*host.memory, made]
    if not any(part.memory for part in [machine, *parts, *groups]):
        machine.memory = [_made_up_node(topology)]
    return groups


def _node(node: NumaNode, topology: Topology) -> Object:
    cpuset = node.cpuset | node.shared_cpuset & topology.cpuset
    made = Object("NUMANode", node.os_index, cpuset, node.complete_cpuset | node.shared_cpuset)
    made.nodes = CpuSet([node.os_index])
    subtype = "" if node.subtype is None else f' subtype="{escape(node.subtype)}"'
    infos = []  # type: Infos
    made.infos = infos
    if topology.bare:
        made.attributes = f'{subtype} local_memory="{node.memory_total or 0}"'
        return made
    if node.memory_total is not None:
        made.attributes = f' local_memory="{node.memory_total}"'
        if node.memory_spanned is not None:
            infos.append((names.NODE_SPANNED, str(node.memory_spanned)))
    elif node.memory_spanned is not None:
        made.attributes = f' local_memory="{node.memory_spanned}"'
        infos.append((names.NODE_HOLES, "unknown, counted as memory"))
    if node.proximity_domain is not None:
        infos.append((names.PROXIMITY, str(node.proximity_domain)))
    if node.memory_free is not None:
        infos.append((names.NODE_FREE, str(node.memory_free)))
    if node.memory_low is not None:
        infos.append((names.NODE_LOW, str(node.memory_low)))
    if not node.cpuset:
        infos.append((names.LOCAL_CPUS, f"none; offline: {node.complete_cpuset or 'none'}"))
        if node.nearest_cpu_nodes:
            infos.append((names.NEAREST, str(CpuSet(node.nearest_cpu_nodes))))
    return made


def _made_up_node(topology: Topology) -> Object:
    made = Object("NUMANode", 0, topology.cpuset, topology.complete_cpuset)
    made.nodes = CpuSet([0])
    if topology.memory.total is not None:
        made.attributes = f' local_memory="{topology.memory.total}"'
    if not topology.bare:
        made.infos = [(names.MADE_UP, "Xen tells of no NUMA node: this one stands for the whole machine")]
    return made


def _group(node: Object, topology: Topology) -> Object:
    """Make the object for a node whose CPUs are no package: a cluster within one, or several packages."""
    within = any(node.complete_cpuset < package.complete_cpuset for package in topology.packages)
    subtype = ' subtype="SubNUMACluster"' if within else ""
    return Object("Group", None, node.cpuset, node.complete_cpuset, subtype + ' kind="0" subkind="0"')


# --- the tree


def _first(thing: Object) -> int:
    """What has no CPU comes last."""
    return thing.complete_cpuset.first() if thing.complete_cpuset else LARGEST_ID + 1


def build(topology: Topology, machine: Object, parts: t.Iterable[Object]) -> None:
    """Put every part under the smallest one around it, the PUs at the bottom, siblings in the order of their first CPU."""
    owner = dict.fromkeys(machine.complete_cpuset, machine)  # type: t.Dict[int, Object]
    # the CPUs of each object that are in none of those below it; masks, for this is asked once for every object
    rest = {machine: machine.complete_cpuset.mask}
    depth = {machine: 0}
    below = collections.defaultdict(list)  # type: t.Dict[Object, t.List[Object]]
    for part in sorted(parts, key=lambda part: (-len(part.complete_cpuset), RANK[part.kind])):
        cpus = part.complete_cpuset
        mask = cpus.mask
        parent = owner.get(cpus.first()) if mask else machine
        if parent is None or mask & ~rest[parent] or part.cpuset.mask & ~(mask & parent.cpuset.mask):
            raise Failure(
                f"the topology contradicts itself: {part.kind} {part.os_index} with the CPUs {part.complete_cpuset} "
                "overlaps another object or the machine's edge; gather the facts again"
            )
        depth[part] = depth[parent] + 1
        if depth[part] > LARGEST_DEPTH:
            raise Failure(
                f"more than {LARGEST_DEPTH} objects lie in one another: in no machine's topology do they"
            )
        below[parent].append(part)
        rest[parent] ^= mask
        rest[part] = mask
        owner.update(dict.fromkeys(cpus, part))
    for cpu in topology.cpuset:
        itself = CpuSet.from_mask(1 << cpu)
        below[owner[cpu]].append(Object("PU", cpu, itself, itself))
    for part, children in below.items():
        if len(children) > 1:
            children.sort(key=_first)
        part.children = children
