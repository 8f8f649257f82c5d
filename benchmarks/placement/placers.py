# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models of the placers that Xen hosts have today, one guest at a time, from what their sources do.

libxl: tools/libs/light/libxl_numa.c and libxl_dom.c of Xen 4.17 to 4.22. XAPI: topology.ml and softaffinity.ml of xen-api, policy
best_effort. Errors in these sources that only show beyond 2 TiB are not modelled.
"""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import Guest
from world import GIB, Kind

#: libxl leaves placement to Xen on hosts with more nodes.
MOST_NODES = 16


class Placer:
    """Free memory and guests of one host. `at`: nodes that each guest was given; `memory`: bytes of it on each node."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.free = [int(kind.gib * GIB)] * kind.nodes
        self.at: dict[str, tuple[int, ...]] = {}
        self.memory: dict[str, dict[int, int]] = {}
        self.guests: dict[str, Guest] = {}

    def start(self, guest: Guest) -> None:
        """Place a guest. Xen gives it memory of its nodes in turn, a GiB at a time, and of the others when these are full."""
        nodes = self.choose(guest)
        everything = tuple(range(self.kind.nodes))
        self.at[guest.name] = nodes
        self.guests[guest.name] = guest
        given = dict.fromkeys(everything, 0)
        left = guest.need
        for ring in (nodes, everything):
            turn = 0
            while left and any(self.free[node] for node in ring):
                node = ring[turn % len(ring)]
                turn += 1
                part = min(left, GIB, self.free[node])
                self.free[node] -= part
                given[node] += part
                left -= part
        self.memory[guest.name] = {node: size for node, size in given.items() if size}

    def stop(self, name: str) -> None:
        """The guest is gone."""
        for node, size in self.memory.pop(name).items():
            self.free[node] += size
        del self.at[name], self.guests[name]

    def choose(self, guest: Guest) -> tuple[int, ...]:
        """The nodes for a guest."""
        raise NotImplementedError


class Libxl(Placer):
    """The smallest set of nodes with the memory and as many CPUs as vCPUs; of these the one with the fewest vCPUs, then the most memory."""

    def choose(self, guest: Guest) -> tuple[int, ...]:
        """See the class."""
        kind = self.kind
        everything = tuple(range(kind.nodes))
        if kind.nodes > MOST_NODES:
            return everything
        load = [0] * kind.nodes
        for name, nodes in self.at.items():
            for node in nodes:
                load[node] += self.guests[name].vcpus
        pus = 2 * kind.cores
        for size in range(max(1, -(-guest.vcpus // pus)), kind.nodes + 1):
            best: tuple[t.Any, tuple[int, ...]] | None = None
            for nodes in itertools.combinations(everything, size):
                memory = sum(self.free[node] for node in nodes)
                if memory < guest.need or size * pus < guest.vcpus:
                    continue
                # vCPUs that could run there: a guest on several nodes counts once for the set
                vcpus = (
                    sum(
                        self.guests[name].vcpus
                        for name, at in self.at.items()
                        if not set(at).isdisjoint(nodes)
                    )
                    if size > 1
                    else load[nodes[0]]
                )
                key = (vcpus, -memory)
                if best is None or key < best[0]:
                    best = (key, nodes)
            if best is not None:
                return best[1]
        return everything


class Xapi(Placer):
    """Sets of nodes in the order of their distances; of the first class that fits the least used, by a counter of starts.

    Only a single node has an effect: for more than one the memory is striped over the whole host.
    """

    _orders: t.ClassVar[dict[t.Any, list[tuple[t.Any, list[tuple[int, ...]]]]]] = {}

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self.usage = [0] * kind.nodes
        key = (kind.nodes, str(kind.distances))
        if key not in self._orders:
            self._orders[key] = self._classes()
        self.classes = self._orders[key]

    def _classes(self) -> list[tuple[t.Any, list[tuple[int, ...]]]]:
        kind = self.kind
        found: dict[t.Any, list[tuple[int, ...]]] = {}
        for size in range(1, kind.nodes + 1):
            for nodes in itertools.combinations(range(kind.nodes), size):
                ways = [kind.distances[a][b] for a in nodes for b in nodes]
                found.setdefault((max(ways), sum(ways) / len(ways)), []).append(nodes)
        return sorted(found.items())

    def choose(self, guest: Guest) -> tuple[int, ...]:
        """See the class."""
        kind = self.kind
        everything = tuple(range(kind.nodes))
        for _distance, sets in self.classes:
            fitting = [
                nodes
                for nodes in sets
                if len(nodes) * kind.cores >= guest.vcpus
                and sum(self.free[node] for node in nodes) >= guest.need
            ]
            if not fitting:
                continue
            chosen = min(fitting, key=lambda nodes: (sum(self.usage[node] for node in nodes), nodes))
            for node in chosen:
                self.usage[node] += 1
            return chosen if len(chosen) == 1 else everything
        return everything


PLACERS: dict[str, type[Placer]] = {"libxl": Libxl, "XAPI": Xapi}
