# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Distances between NUMA nodes in hwloc's words, both ways: ``distances2`` of hwloc 2 and later, ``distances`` of hwloc 1."""

import typing as t

from .._errors import Failure
from .cpuset import CpuSet
from .hwloc_elements import Element, lines, short
from .meanings import INVALID
from .model import Topology

#: SLIT's own value for "no way from here to there" (ACPI 6.5, 5.2.17); hwloc on bare Linux shows the same.
UNREACHABLE = 255

# HWLOC_DISTANCES_KIND_FROM_OS | HWLOC_DISTANCES_KIND_MEANS_LATENCY
_LATENCY_FROM_OS = 5
_MEANS_LATENCY = 4
_FROM_OS = 1
_NAME = "NUMALatency"
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
        f'  <distances2 type="NUMANode" nbobjs="{len(known)}" kind="{_LATENCY_FROM_OS}" name="{_NAME}" indexing="os">'
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


class Latencies(t.NamedTuple):
    """Latencies between NUMA nodes with the element that has them, and what hwloc says of them (hwloc_distances_kind_e)."""

    element: Element
    kind: int
    matrix: Matrix


def _rank(found: Latencies) -> t.Tuple[bool, bool, int]:
    """Order matrices: the firmware's own before what somebody measured, then those of more nodes first."""
    return (
        found.element.attributes.get("name") != _NAME,
        not found.kind & _FROM_OS,
        -len(found.matrix),
    )


def _called(found: Latencies) -> str:
    name = found.element.attributes.get("name")
    return f"line {found.element.line}" + (f" ({short(name)})" if name else "")


class Reader:
    """Reads the latencies between the NUMA nodes, in SLIT units where the machine's firmware told them.

    `nodes` are their numbers in the order of the document, `old` has the elements of hwloc 1. What is no such latency becomes one of
    the `warnings`.
    """

    def __init__(
        self,
        document: Element,
        nodes: t.List[int],
        old: t.Sequence[Element],
        warnings: t.List[str],
    ) -> None:
        self.document = document
        self.nodes = nodes
        self.old = old
        self.warnings = warnings

    def matrix(self) -> Matrix:
        """Return the distances, nothing where they are not told."""
        if len(self.nodes) == 1:
            return {(node, node): 10 for node in self.nodes}  # so says SLIT's definition
        found = sorted([*self._new(), *self._old()], key=_rank)
        if not found:
            self.warnings.append(
                "The XML does not tell the distances between the NUMA nodes: they are unknown."
            )
            return {}
        if len(found) > 1:
            self.warnings.append(
                f"The XML tells several latencies between the NUMA nodes: those in {_called(found[0])} are taken, "
                f"those in {', '.join(map(_called, found[1:]))} are passed over."
            )
        matrix = found[0].matrix
        if any(matrix[node, node] != 10 for node, _same in matrix):
            self.warnings.append(
                "The distances from the NUMA nodes to themselves are not all 10: they may not be in the units of ACPI's SLIT."
            )
        return matrix

    def _new(self) -> t.Iterator[Latencies]:
        """Read ``distances2``, of hwloc 2 and later, as far as they are latencies between nodes."""
        others = []
        for element in self.document.below("distances2"):
            kind = element.number("kind", _LARGEST) or 0
            if (
                element.kind == "NUMANode"
                and element.attributes.get("indexing") == "os"
                and kind & _MEANS_LATENCY
            ):
                matrix = self._between(element, element.numbers("indexes"), element.numbers("u64values"))
                yield Latencies(element, kind, matrix)
            else:
                others.append(element)
        self._say_others(others)

    def _old(self) -> t.Iterator[Latencies]:
        """Read ``distances``, of hwloc 1: they are between as many objects as there are nodes.

        They are written ``relative_depth`` levels below the object that they stand in; levels were left out of the tree after that was
        counted, which is why hwloc 2 goes by the number of objects alone.
        """
        others = []
        for element in self.old:
            if element.number("nbobjs", _LARGEST) == len(self.nodes):
                base = element.decimal("latency_base")
                values = [int(latency.decimal("value") * base + 0.5) for latency in element.below("latency")]
                yield Latencies(element, _LATENCY_FROM_OS, self._between(element, self.nodes, values))
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
