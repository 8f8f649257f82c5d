# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""A host as boxes in boxes: packages, nodes, caches, cores, threads. Pure.

What lies in what follows from the sets of CPUs alone, so that nodes in packages and packages in nodes are both drawn as they are. The
levels are data: a new one is a line in :data:`LEVELS`.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils._topology.cpuset import CpuSet
from ...module_utils._topology.model import Topology

HOST, PACKAGE, NODE, CACHE, CORE, PU = "host", "package", "node", "cache", "core", "pu"


@dataclasses.dataclass(eq=False)
class Box:
    """One object of the host. `thing` is the object of the model, `cpus` its CPUs, those offline too."""

    kind: str
    label: str
    thing: t.Any
    cpus: CpuSet
    children: list[Box] = dataclasses.field(default_factory=list)

    def walk(self) -> t.Iterator[Box]:
        """The box and all within it, outer ones first."""
        yield self
        for child in self.children:
            yield from child.walk()


class Level(t.NamedTuple):
    """One level: which objects it has in a topology, and what one of them is called."""

    kind: str
    things: t.Callable[[Topology], t.Iterable[t.Any]]
    label: t.Callable[[t.Any], str]
    cpus: t.Callable[[t.Any], CpuSet]


def _complete(thing: t.Any) -> CpuSet:
    return t.cast(CpuSet, thing.complete_cpuset)


#: From the outermost inwards; of two with the same CPUs the earlier is the outer one.
LEVELS = (
    Level(PACKAGE, lambda host: host.packages, lambda thing: f"package {thing.os_index}", _complete),
    Level(NODE, lambda host: host.nodes, lambda thing: f"node {thing.os_index}", _complete),
    Level(CORE, lambda host: host.cores, lambda thing: f"core {thing.os_index}", _complete),
    Level(
        PU, lambda host: host.pus, lambda thing: str(thing.os_index), lambda thing: CpuSet([thing.os_index])
    ),
)


def tree(topology: Topology) -> tuple[Box, list[str]]:
    """The host's boxes, and a sentence for each object that has no place among them because it crosses others.

    Nodes without CPUs are the host's last children.
    """
    objects = [
        (-len(level.cpus(thing)), rank, Box(level.kind, level.label(thing), thing, level.cpus(thing)))
        for rank, level in enumerate(LEVELS)
        for thing in level.things(topology)
    ]
    root = Box(HOST, "", topology, topology.complete_cpuset)
    innermost = dict.fromkeys(root.cpus, root)
    crossing: list[str] = []
    for _size, _rank, box in sorted(objects, key=lambda found: found[:2]):
        parents = {id(innermost[cpu]): innermost[cpu] for cpu in box.cpus if cpu in innermost}
        if not box.cpus:
            if box.kind == NODE:
                root.children.append(box)
        elif len(parents) > 1:
            crossing.append(
                f"{box.label} (CPUs {box.cpus}) crosses the boundaries of others and is not drawn."
            )
        else:
            (parent,) = parents.values()
            parent.children.append(box)
            innermost.update(dict.fromkeys(box.cpus, box))
    for box in root.walk():
        box.children.sort(key=lambda child: (not child.cpus, min(child.cpus, default=0)))
    _gather_homeless(root)
    return root, crossing


def _gather_homeless(box: Box) -> None:
    """Threads that lie in no core, though there are cores: put them in a box that says so."""
    for child in box.children:
        _gather_homeless(child)
    homeless = [child for child in box.children if child.kind == PU]
    if homeless and box.kind != CORE:
        cpus = CpuSet(number for child in homeless for number in child.cpus)
        place = Box(CORE, "core not known", None, cpus, homeless)
        box.children = [child for child in box.children if child.kind != PU]
        at = next((index for index, child in enumerate(box.children) if not child.cpus), len(box.children))
        box.children.insert(at, place)
