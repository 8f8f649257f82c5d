# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Distances between NUMA nodes in hwloc's words, both ways: ``distances2`` of hwloc 2 and later, ``distances`` of hwloc 1."""

import typing as t

from .._errors import Failure
from .cpuset import CpuSet
from .hwloc_elements import LARGEST_DEPTH, Element, lines
from .meanings import INVALID
from .model import Topology

#: SLIT's own value for "no way from here to there" (ACPI 6.5, 5.2.17); hwloc on bare Linux shows the same.
UNREACHABLE = 255

# HWLOC_DISTANCES_KIND_FROM_OS | HWLOC_DISTANCES_KIND_MEANS_LATENCY
_LATENCY_FROM_OS = 5
_MEANS_LATENCY = 4
_LARGEST = 2**64 - 1

Matrix = t.Dict[t.Tuple[int, int], int]


# --- written


def written(topology: Topology, nodes: CpuSet) -> t.Tuple[t.List[str], CpuSet]:
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


# --- read


class Reader:
    """Reads the latencies between the NUMA nodes, in SLIT units where the machine's firmware told them.

    `nodes` are their numbers in the order of the document, `depths` says how deep in the tree they lie, `old` has the elements of
    hwloc 1 with the depths of what they stand in. What is no such latency becomes one of the `warnings`.
    """

    def __init__(
        self,
        document: Element,
        nodes: t.List[int],
        depths: t.AbstractSet[int],
        old: t.Sequence[t.Tuple[int, Element]],
        warnings: t.List[str],
    ) -> None:
        self.document = document
        self.nodes = nodes
        self.depths = depths
        self.old = old
        self.warnings = warnings

    def matrix(self) -> Matrix:
        """Return the distances, nothing where they are not told."""
        if len(self.nodes) == 1:
            return {(node, node): 10 for node in self.nodes}  # so says SLIT's definition
        found = [*self._new(), *self._old()]
        if not found:
            self.warnings.append(
                "The XML does not tell the distances between the NUMA nodes: they are unknown."
            )
            return {}
        matrix = found[0]
        if any(matrix[node, node] != 10 for node, _same in matrix):
            self.warnings.append(
                "The distances from the NUMA nodes to themselves are not all 10: they may not be in the units of ACPI's SLIT."
            )
        return matrix

    def _new(self) -> t.Iterator[Matrix]:
        """Read ``distances2``, of hwloc 2 and later, as far as they are latencies between nodes."""
        others = []
        for element in self.document.below("distances2"):
            kind = element.number("kind", _LARGEST) or 0
            if (
                element.kind == "NUMANode"
                and element.attributes.get("indexing") == "os"
                and kind & _MEANS_LATENCY
            ):
                yield self._between(element, element.numbers("indexes"), element.numbers("u64values"))
            else:
                others.append(element)
        self._say_others(others)

    def _old(self) -> t.Iterator[Matrix]:
        """Read ``distances``, of hwloc 1: they are between all objects so many levels below the one that they stand in."""
        others = []
        for depth, element in self.old:
            count = element.number("nbobjs", _LARGEST)
            below = element.number("relative_depth", LARGEST_DEPTH)
            if depth == 0 and count == len(self.nodes) and below in self.depths:
                base = element.decimal("latency_base")
                values = [int(latency.decimal("value") * base + 0.5) for latency in element.below("latency")]
                yield self._between(element, self.nodes, values)
            else:
                others.append(element)
        self._say_others(others)

    def _say_others(self, others: t.List[Element]) -> None:
        if others:
            self.warnings.append(
                f"The distances in {lines(others)} are no latencies between all NUMA nodes: they are left out."
            )

    def _between(self, element: Element, nodes: t.List[int], values: t.List[int]) -> Matrix:
        strange = sorted(set(nodes) - set(self.nodes))
        if strange:
            raise Failure(f"{element}: there is no NUMA node {strange[0]}")
        if not nodes or len(values) != len(nodes) ** 2 or len(set(nodes)) < len(nodes):
            raise Failure(
                f"{element}: {len(nodes)} different NUMA nodes have {len(nodes) ** 2} distances, and here are {len(values)}"
            )
        cells = [(source, target) for source in nodes for target in nodes]
        return {
            (source, target): INVALID
            if value >= INVALID or (source != target and value >= UNREACHABLE)
            else value
            for (source, target), value in zip(cells, values)
        }
