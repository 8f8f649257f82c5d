# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects of hwloc's tree that the model only keeps: dies, groups, memory-side caches, Misc, OS devices of no PCI device, both ways.

Dies and groups are sets of CPUs. A memory-side cache stands before NUMA nodes. The others hang on an object of the tree or on a PCI device. A
host bridge is kept where it hangs on an object that is no NUMA node's, so that its devices come back to the same place.
"""

import typing as t

from .cpuset import CpuSet
from .hwloc_devices import Io, IoObject
from .hwloc_elements import Element
from .hwloc_tree import Level, Object, Omission, crosses, escape
from .model import HwlocObject, Topology

NORMAL = ("Die", "Group")
MEMORY_CACHE = "MemCache"
HANGING = ("OSDev", "Misc")
_BRIDGE = "Bridge"
_DIE = "104"  # HWLOC_GROUP_KIND_INTEL_DIE

#: The attributes that are kept, by the type of the object.
_ATTRIBUTES = {
    "Group": ("kind", "subkind", "dont_merge"),
    MEMORY_CACHE: (
        "cache_size",
        "depth",
        "cache_linesize",
        "cache_associativity",
        "cache_type",
    ),
}  # type: t.Dict[str, t.Tuple[str, ...]]
_LARGEST_INDEX = 2**32 - 2


# --- read


def is_die(group: Element) -> bool:
    """Tell a die from other groups: as one it was written before hwloc 2.1, and is for hwloc 1."""
    return (
        "Die" in (group.attributes.get("subtype"), group.info("Type")) or group.attributes.get("kind") == _DIE
    )


def kept(element: Element, cpus: CpuSet, parent: t.Optional[str] = None) -> HwlocObject:
    """Return the element as it is kept. `cpus` are its own, or those of what it hangs on; `parent` is a PCI address or a type of object."""
    told = element.attributes.get
    return HwlocObject(
        element.kind,
        element.number("os_index", _LARGEST_INDEX),
        told("name"),
        told("subtype"),
        cpus,
        CpuSet(),
        parent,
        {name: told(name, "") for name in _ATTRIBUTES.get(element.kind, ()) if told(name) is not None},
        tuple(
            (info.attributes.get("name", ""), info.attributes.get("value", ""))
            for info in element.below("info")
        ),
    )


def memory_cache(element: Element, cpus: CpuSet, nodes: CpuSet) -> HwlocObject:
    """Return a memory-side cache as it is kept; `nodes` are the NUMA nodes behind it."""
    return kept(element, cpus)._replace(nodeset=nodes)


def os_device(element: Element, cpus: CpuSet, parent: t.Optional[str], kind: t.Optional[int]) -> HwlocObject:
    """Return an OS device as it is kept, with its type as hwloc 2 has it."""
    made = kept(element, cpus, parent)
    return made if kind is None else made._replace(attributes={"osdev_type": str(kind)})


def host_bridge(root: str, cpus: CpuSet, parent: str) -> HwlocObject:
    """Return where a host bridge hangs; `root` is what Linux calls it, ``pci0000:40``."""
    return HwlocObject(_BRIDGE, None, root, None, cpus, CpuSet(), parent, {}, ())


# --- written


def parts(topology: Topology, levels: t.Iterable[Level], omissions: t.List[Omission]) -> t.List[Object]:
    """Make the dies and groups that have a place in a tree with these levels."""
    levels = list(levels)
    made = []
    for thing in topology.hwloc_objects or ():
        if thing.type not in NORMAL:
            continue
        cpuset = thing.cpuset & topology.cpuset
        crossing = bool(cpuset) and crosses(thing.cpuset, levels)
        if crossing or not cpuset:
            omissions.append(Omission(_called(thing), cpuset, thing.cpuset, crossing))
            continue
        part = Object(
            thing.type, thing.os_index, cpuset, thing.cpuset & topology.complete_cpuset, _texts(thing)
        )
        part.infos = thing.infos
        made.append(part)
    return made


def put_memory_caches(topology: Topology, machine: Object) -> None:
    """Put the memory-side caches between the objects of the tree and the NUMA nodes that hang on them."""
    caches = [thing for thing in topology.hwloc_objects or () if thing.type == MEMORY_CACHE]
    if not caches:
        return
    for host in [host for host in _walk(machine) if host.memory]:
        # an outer one comes before those within it
        for cache in reversed(caches):
            inside = [node for node in host.memory if node.nodes and node.nodes <= cache.nodeset]
            if not inside or sum(len(node.nodes) for node in inside) < len(cache.nodeset):
                continue
            around = Object(
                MEMORY_CACHE, cache.os_index, inside[0].cpuset, inside[0].complete_cpuset, _texts(cache)
            )
            around.infos = cache.infos
            around.memory = inside
            around.nodes = cache.nodeset
            at = list(host.memory).index(inside[0])
            rest = [node for node in host.memory if node not in inside]
            host.memory = [*rest[:at], around, *rest[at:]]


def hang(topology: Topology, machine: Object, io: Io) -> None:
    """Hang what is kept on the objects of the tree, or on the PCI devices of `io`; on the Machine where those are not there."""
    things = [thing for thing in topology.hwloc_objects or () if thing.type in (*HANGING, _BRIDGE)]
    if not things:
        return
    hosts = {}  # type: t.Dict[t.Tuple[str, CpuSet], Object]
    around = {}  # type: t.Dict[Object, Object]
    for host in _walk(machine):
        hosts.setdefault((host.kind, host.complete_cpuset), host)
        around.update(dict.fromkeys(host.memory, host))
    devices = {}  # type: t.Dict[str, IoObject]
    bridges = {}  # type: t.Dict[str, t.Tuple[t.List[IoObject], IoObject]]
    for family in io.bridges.values():
        for bridge in family:
            bridges[_root(bridge)] = family, bridge
            for device in _walk_io(bridge):
                devices[dict(device.attributes).get("pci_busid", "")] = device
    for thing in things:
        host = hosts.get((thing.parent or "", thing.cpuset), machine)
        while thing.type != "Misc" and host in around:
            host = around[host]  # only hwloc 1 has devices on the nodes themselves
        if thing.type == _BRIDGE:
            if thing.name in bridges and host is not machine:
                family, bridge = bridges[thing.name]
                family.remove(bridge)
                host.io = [*host.io, bridge]
            continue
        named = [("name", thing.name), ("subtype", thing.subtype)] + sorted(thing.attributes.items())
        number = [] if thing.os_index is None else [("os_index", str(thing.os_index))]
        made = IoObject(
            thing.type, number + [(name, value) for name, value in named if value is not None], thing.infos
        )
        if thing.parent in devices:
            devices[thing.parent].children.append(made)
        else:
            host.io = [*host.io, made]


def _walk(thing: Object) -> t.Iterator[Object]:
    trail = [thing]
    while trail:
        found = trail.pop()
        yield found
        trail += [*found.memory, *found.children]


def _walk_io(thing: IoObject) -> t.Iterator[IoObject]:
    trail = [thing]
    while trail:
        found = trail.pop()
        yield found
        trail += found.children


def _root(bridge: IoObject) -> str:
    return "pci" + dict(bridge.attributes)["bridge_pci"].partition("-")[0].replace("[", "")


def _called(thing: HwlocObject) -> str:
    return thing.type if thing.os_index is None else f"{thing.type} P#{thing.os_index}"


def _texts(thing: HwlocObject) -> str:
    """Write the attributes beside number and sets."""
    named = [("name", thing.name), ("subtype", thing.subtype)] + sorted(thing.attributes.items())
    return "".join(f' {name}="{escape(value)}"' for name, value in named if value is not None)
