# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The NUMA nodes: their memory and their distances. Pure."""

import typing as t

from .._errors import Failure
from .cpuset import CpuSet
from .firmware import Firmware
from .levels import Group
from .meanings import at
from .model import Distances, NumaNode
from .places import spans, told_distances

#: Each has a distance to each. Linux can be built for as many; Xen knows 64.
MOST_NODES = 1024


def nodes_of(
    heard: t.Dict[str, t.Any], groups: t.Sequence[Group], firmware: Firmware, warnings: t.List[str]
) -> t.Tuple[t.Tuple[NumaNode, ...], Distances]:
    """Return the nodes that have CPUs or memory, by OS index, and the distances between them."""
    info = heard.get("numainfo", {"memsize": (), "memfree": (), "distance": ()})
    by_id = {found.key[0]: found for found in groups}
    with_memory = [index for index in range(len(info["memsize"])) if at(info["memsize"], index)]
    ids = sorted({*by_id, *with_memory, *map(int, heard.get("node_memory", ()))})
    if len(ids) > MOST_NODES:
        raise Failure(
            f"Xen tells of {len(ids)} NUMA nodes, and no machine has more than {MOST_NODES}: these answers are damaged"
        )
    rows = info["distance"]
    matrix = tuple(
        tuple(at(rows[source], target) if source < len(rows) else None for target in ids) for source in ids
    )
    distances = Distances(tuple(ids), matrix, _from_firmware(heard, firmware))
    domain_of = {node: domain for domain, node in firmware.node_of.items()}
    spanned = [at(info["memsize"], index) for index in range(len(info["memsize"]))]
    told = spans(heard)
    ram = firmware.ram_by_node(told, spanned)
    ram.update((int(node), size) for node, size in heard.get("node_memory", {}).items())
    low = firmware.low_by_node(told)
    low.update((int(node), size) for node, size in heard.get("node_low_memory", {}).items())
    cpu_nodes = [found.key[0] for found in groups if found.cpuset]
    shared = {int(node): CpuSet(cpus) for node, cpus in heard.get("node_shared", {}).items()}
    beside = {
        node: tuple(sorted(found.key[0] for found in groups if found.cpuset & cpus))
        for node, cpus in shared.items()
    }
    nodes = []
    for index in ids:
        cpus = by_id.get(index, Group((index,), CpuSet(), CpuSet(), CpuSet()))
        nodes.append(
            NumaNode(
                index,
                cpus.cpuset,
                cpus.complete_cpuset,
                at(info["memsize"], index),
                at(info["memfree"], index),
                (index,) if cpus.cpuset else beside.get(index) or _nearest(index, cpu_nodes, distances),
                _believable(index, ram.get(index), info, warnings),
                domain_of.get(index),
                shared.get(index, CpuSet()),
                heard.get("node_kinds", {}).get(str(index)),
                low.get(index),
            )
        )
    return tuple(nodes), distances


def _from_firmware(heard: t.Dict[str, t.Any], firmware: Firmware) -> t.Optional[bool]:
    """Tell whether the distances are the firmware's; None where that cannot be told."""
    if not firmware.heard:
        return None
    return False if firmware.slit is None else firmware.is_source_of(told_distances(heard))


def _believable(
    node: int, ram: t.Optional[int], info: t.Dict[str, t.Any], warnings: t.List[str]
) -> t.Optional[int]:
    """Return the RAM of the node, None when Xen's own figures contradict it."""
    span, free = at(info["memsize"], node), at(info["memfree"], node)
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
