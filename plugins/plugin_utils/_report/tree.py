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
from ...module_utils._topology.model import Cache, Topology
from .words import size_text

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
    """One level: what it has in a topology, each with its CPUs, those offline too, and what one of them is called."""

    kind: str
    things: t.Callable[[Topology], t.Iterable[tuple[t.Any, CpuSet]]]
    label: t.Callable[[t.Any], str]


def _complete(things: t.Iterable[t.Any]) -> t.Iterable[tuple[t.Any, CpuSet]]:
    return ((thing, thing.complete_cpuset) for thing in things)


def shared_caches(topology: Topology) -> list[tuple[Cache, CpuSet]]:
    """The caches that several cores share; what a core has to itself is said in words instead."""
    core_of = {cpu: number for number, core in enumerate(topology.cores) for cpu in core.complete_cpuset}
    return [
        (cache, cpus)
        for cache in topology.caches
        for cpus in cache.cpusets or ()
        if len({core_of.get(cpu) for cpu in cpus}) > 1
    ]


def cache_name(cache: Cache) -> str:
    """``L1d 32 KiB``, ``L3 16 MiB``."""
    return f"L{cache.level}{_CACHE_TYPES.get(cache.type, '')} {size_text(cache.size)}"


_CACHE_TYPES = {"data": "d", "instruction": "i"}

#: From the outermost inwards; of two with the same CPUs the earlier is the outer one.
LEVELS = (
    Level(PACKAGE, lambda host: _complete(host.packages), lambda thing: f"package {thing.os_index}"),
    Level(NODE, lambda host: _complete(host.nodes), lambda thing: f"node {thing.os_index}"),
    Level(CACHE, shared_caches, cache_name),
    Level(CORE, lambda host: _complete(host.cores), lambda thing: f"core {thing.os_index}"),
    Level(
        PU,
        lambda host: ((pu, CpuSet([pu.os_index])) for pu in host.pus),
        lambda thing: str(thing.os_index),
    ),
)


def tree(topology: Topology) -> tuple[Box, list[str]]:
    """The host's boxes, and a sentence for each object that has no place among them because it crosses others.

    Nodes without CPUs come last: those beside other memory of a package there, the rest in the host.
    """
    objects = [
        (-len(cpus), rank, Box(level.kind, level.label(thing), thing, cpus))
        for rank, level in enumerate(LEVELS)
        for thing, cpus in level.things(topology)
    ]
    root = Box(HOST, "", topology, topology.complete_cpuset)
    innermost = dict.fromkeys(root.cpus, root)
    crossing: list[str] = []
    beside: list[Box] = []
    for _size, _rank, box in sorted(objects, key=lambda found: found[:2]):
        parents = {id(innermost[cpu]): innermost[cpu] for cpu in box.cpus if cpu in innermost}
        if not box.cpus:
            if box.kind == NODE:
                beside.append(box)
        elif len(parents) > 1:
            crossing.append(
                f"{box.label} (CPUs {box.cpus}) crosses the boundaries of others and is not drawn."
            )
        else:
            (parent,) = parents.values()
            parent.children.append(box)
            innermost.update(dict.fromkeys(box.cpus, box))
    packages = [box for box in root.walk() if box.kind == PACKAGE]
    for box in beside:
        # memory beside that of a processor stands in its box, other memory without CPUs in the host's
        cpus = box.thing.shared_cpuset
        around = next((package for package in packages if cpus and cpus <= package.cpus), root)
        around.children.append(box)
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
