# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Why here, why not there, and what would help: sentences with figures, in the state that the plan leads to."""

from __future__ import annotations

import dataclasses
import typing as t

from .model import MIB, VCPU, Guest, Host, Policy, Pool
from .problem import Mover, Option, Place, Problem, hosts_of
from .search import State

#: Sentences about other places that a guest gets at most; the rest is summed up.
MOST_ALTERNATIVES = 6


def mib(size: int) -> str:
    """Write a size in whole MiB, rounded up, as what is lacking should not be told too small."""
    return f"{-(-size // MIB)} MiB"


def mib_down(size: int) -> str:
    """Write a size in whole MiB, rounded down, as what is free should not be told too large."""
    return f"{size // MIB} MiB"


def sentence(clause: str) -> str:
    """Make a sentence of a clause."""
    return clause[:1].upper() + clause[1:] + "."


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listing(things: t.Iterable[t.Any]) -> str:
    """Write things as people do: 0, 1 and 3."""
    words = [str(thing) for thing in things]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def node_words(nodes: t.Sequence[int]) -> str:
    """Name nodes: node 1, or nodes 0 and 1."""
    return f"node {nodes[0]}" if len(nodes) == 1 else f"nodes {listing(nodes)}"


def vcpus_of(load: int) -> str:
    """Write a load in vCPUs or cores with at most one decimal."""
    tenths = (load * 10 + VCPU // 2) // VCPU
    return str(tenths // 10) if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10}"


def need_sentence(guest: Guest) -> str:
    """Say what the guest takes from its nodes."""
    more = guest.need - guest.memory
    return f"needs {mib(guest.need)}: {mib(guest.memory)} of its own and {mib(more)} that Xen takes for it and its {count(guest.vcpus, 'vCPU')}"


class Explainer:
    """Explains one solved problem."""

    def __init__(self, hosts: t.Sequence[Host], problem: Problem, state: State) -> None:
        self.hosts = {host.name: host for host in hosts}
        self.problem = problem
        self.state = state
        self.resource = {name: index for index, name in enumerate(problem.resources)}
        self.cell = {name: index for index, name in enumerate(problem.cells)}

    # Guests that have a place.

    def placed(self, index: int) -> list[str]:
        """Say why the guest is where it is."""
        mover = self.problem.movers[index]
        option = t.cast(Option, self.state.at[index])
        guest, place = mover.guest, option.place
        self.state.take(index)
        try:
            sentences = [need_sentence(guest)]
            if guest.nodes is not None:
                sentences.append(
                    f"{self._words(place)} {'is' if len(place.nodes) == 1 else 'are'} asked for, and {self._room(place)}"
                )
            elif guest.policy.numa_policy == "spread":
                sentences.append(
                    f"its numa_policy is spread: {self._words(place)}, all that have CPUs and memory; {self._room(place)}"
                )
            elif len(place.nodes) == 1:
                sentences += self._single(mover, option)
            else:
                sentences += self._several(mover, option)
            if len(self.hosts) > 1 and guest.host is not None:
                sentences.append(f"host {guest.host} is asked for")
            return sentences
        finally:
            self.state.put(index, option)

    def warnings(self, index: int) -> list[str]:
        """Say what the plan cannot promise for the guest."""
        option = t.cast(Option, self.state.at[index])
        place = option.place
        found = []
        if place.borrows:
            bare = [node for node in place.memory_nodes if node not in place.cpu_nodes]
            found.append(
                f"memory of {node_words(bare)}, without CPUs of its cpupool, cannot be asked for through CPU affinity: it takes vnuma= in xl.cfg"
            )
        if option.excess:
            found.append(
                f"is on {count(len(place.nodes), 'node')}, {count(option.excess, 'node')} more than it needs"
            )
        if option.crowding:
            found.append(
                f"{count(option.crowding, 'of its vCPUs has', 'of its vCPUs have')} to share a core with another one of its vCPUs: "
                f"{node_words(place.cpu_nodes)} {'has' if len(place.cpu_nodes) == 1 else 'have'} {count(place.cores, 'core')}"
            )
        if len(place.memory_nodes) > 1:
            found.append(
                "Xen deals its memory out to the nodes in turn, in pieces of up to 1 GiB: the shares are even only so far"
            )
        return found

    def _single(self, mover: Mover, option: Option) -> list[str]:
        place = option.place
        fitting = [
            other
            for other in self.problem.maker.options(mover)
            if len(other.place.nodes) == 1 and self.state.fits(other)
        ]
        mine = f"{self._words(place)} has {self._free_words(place)}"
        if len(fitting) == 1:
            mine += ", the only node that fits"
        else:
            rank = self._most_room(option, fitting)
            mine += (
                f", {rank} among {len(fitting)} nodes that fit"
                if rank
                else f", one of {len(fitting)} nodes that fit"
            )
        return [mine, *self._alternatives(mover, option)]

    def _most_room(self, option: Option, fitting: t.Sequence[Option]) -> str:
        others = [other for other in fitting if other is not option]
        free, idle = self._free(option.place), self._idle(option.place)
        most_memory = all(free >= self._free(other.place) for other in others)
        most_cores = all(idle >= self._idle(other.place) for other in others)
        if most_memory and most_cores:
            return "the most room"
        return "the most idle cores" if most_cores else "the most memory" if most_memory else ""

    def _several(self, mover: Mover, option: Option) -> list[str]:
        place = option.place
        guest = mover.guest
        host = self.hosts[place.host]
        singles = [
            other
            for other in self.problem.maker.options(mover)
            if len(other.place.nodes) == 1 and self.state.fits(other)
        ]
        sentences = []
        if singles and not option.crowding and all(other.crowding for other in singles):
            cores = max(other.place.cores for other in singles)
            sentences.append(
                f"no single node has a core for each of its {count(guest.vcpus, 'vCPU')} (the most is {cores}), and there are cores to spare"
            )
        elif singles:
            sentences.append(
                f"{self._words(singles[0].place)} would have room, but the whole plan is better with it on several nodes"
            )
        else:
            sentences.append(
                "no single node can take it: " + "; ".join(self._alternatives(mover, option, own=True))
            )
        way = max(t.cast(int, host.distance(a, b)) for a in place.nodes for b in place.nodes if a != b)
        rivals = [
            other
            for other in self.problem.maker.options(mover)
            if len(other.place.nodes) == len(place.nodes) and self.state.fits(other)
        ]
        text = f"{self._words(place)} together have {self._free_words(place)}, at distance {way}"
        if len(rivals) == 1:
            text += f"; no other {len(place.nodes)} nodes fit"
        elif all(option.distance <= other.distance for other in rivals):
            text += f", the nearest of {len(rivals)} sets of {len(place.nodes)} nodes that fit"
        sentences.append(text)
        return sentences

    def _alternatives(self, mover: Mover, option: Option, own: bool = False) -> list[str]:
        """One clause for each single node that the guest is not on, nodes with the same verdict together."""
        guest = mover.guest
        groups: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for host in hosts_of(guest, list(self.hosts.values())):
            pool = t.cast(Pool, host.find_pool(guest.pool))
            for number, node in sorted(host.nodes.items()):
                alone = (number,)
                if not own and host.name == option.place.host and alone == option.place.nodes:
                    continue
                cell = pool.cells.get(number)
                if cell is None or node.memory_free is None:
                    verdict, figure = ("no memory" if cell is not None else "no CPUs"), 0
                elif cell.pus < guest.vcpus:
                    verdict, figure = "few CPUs", cell.pus
                else:
                    verdict, figure = self._verdict(mover, option, number, host)
                groups.setdefault((host.name, verdict), []).append((number, figure))
        clauses = [self._clause(host, verdict, found, guest) for (host, verdict), found in groups.items()]
        if len(clauses) > MOST_ALTERNATIVES:
            left = len(clauses) - MOST_ALTERNATIVES
            clauses = [*clauses[:MOST_ALTERNATIVES], f"and so on for {count(left, 'more group')} of nodes"]
        return clauses

    def _verdict(self, mover: Mover, option: Option, number: int, host: Host) -> tuple[str, int]:
        guest = mover.guest
        missing = self._missing_at(mover, host, (number,))
        if missing is None:
            return "not possible", 0
        if missing:
            short = [amount for node, amount in missing.items() if node is not None]
            return ("lacks", max(short)) if short else ("host full", missing[None])
        pool = t.cast(Pool, host.find_pool(guest.pool))
        after = self._load(host.name, pool.id, number) + guest.vcpus * VCPU
        mine_cells = [
            self._load(option.place.host, option.place.pool, node) for node in option.place.cpu_nodes
        ]
        mine = sum(mine_cells) + guest.vcpus * VCPU
        theirs = after * 1000 // pool.cells[number].cores
        ours = mine * 1000 // option.place.cores
        if theirs > ours:
            return "busier", theirs
        return "fits", theirs

    def _clause(self, host: str, verdict: str, found: t.Sequence[tuple[int, int]], guest: Guest) -> str:
        numbers = [number for number, _figure in found]
        figures = [figure for _number, figure in found]
        who = node_words(numbers) + (f" of {host}" if len(self.hosts) > 1 else "")
        several = len(numbers) > 1
        if verdict == "lacks":
            low, high = mib(min(figures)), mib(max(figures))
            span = low if low == high else f"{low.removesuffix(' MiB')} to {high}"
            kept = sum(self.hosts[host].nodes[number].reserved for number in numbers)
            reserve = f", with {mib(kept)} kept in reserve" if kept else ""
            return f"{who} {'lack' if several else 'lacks'} {span}{reserve}"
        if verdict == "few CPUs":
            return f"{who} {'have' if several else 'has'} at most {count(max(figures), 'online CPU')} for {count(guest.vcpus, 'vCPU')}"
        if verdict == "busier":
            return f"{who} would fit but be busier, with {vcpus_of(min(figures) // 1000)} vCPUs a core"
        if verdict == "host full":
            return f"{who} would fit, but the host as a whole lacks {mib(max(figures))}"
        if verdict == "no CPUs":
            return f"{who} {'have' if several else 'has'} no CPUs of the cpupool"
        if verdict == "no memory":
            return f"{who} {'have' if several else 'has'} no memory"
        if verdict == "fits":
            return f"{who} would do as well"
        return f"{who} {'are' if several else 'is'} not possible for this guest"

    # Guests that have none.

    def unplaced(self, index: int) -> tuple[list[str], str]:
        """Say why the guest has no place, and the smallest thing that would change that."""
        mover = self.problem.movers[index]
        guest = mover.guest
        sentences = [need_sentence(guest)]
        nearest: list[tuple[int, str]] = []
        for host in hosts_of(guest, list(self.hosts.values())):
            pool = t.cast(Pool, host.find_pool(guest.pool))
            places = self.problem.maker.candidates(guest, host, pool)
            sentences += self._why_not(mover, host, pool, places)
            nearest += self._what_would_help(mover, host, places)
        relaxed = self._relaxed(mover)
        if relaxed is not None:
            return sentences, relaxed
        if nearest:
            alone, together = (
                [item for item in nearest if (" together" in item[1]) == several] for several in (False, True)
            )
            best = sorted([*sorted(alone)[:1], *sorted(together)[:1]])
            return sentences, ", or ".join(
                [best[0][1], *(text.removeprefix("free ") for _size, text in best[1:])]
            )
        pools = [
            t.cast(Pool, host.find_pool(guest.pool)) for host in hosts_of(guest, list(self.hosts.values()))
        ]
        most = max(len(pool.cpuset) for pool in pools)
        if guest.vcpus > most:
            return (
                sentences,
                f"give it {count(most, 'vCPU')} at most, or a host with {guest.vcpus} online CPUs",
            )
        return sentences, "relax its policy, or give it another host"

    def _why_not(self, mover: Mover, host: Host, pool: Pool, places: t.Sequence[Place]) -> list[str]:
        guest = mover.guest
        where = f"on {host.name}, " if len(self.hosts) > 1 else ""
        if guest.nodes is not None and not places:
            return [
                f"{where}{node_words(guest.nodes)} cannot serve a guest of cpupool {pool.name}: {self._unfit(host, pool, guest.nodes)}"
            ]
        sentences = []
        shown = (
            places
            if guest.nodes is not None or guest.policy.numa_policy == "spread"
            else [p for p in places if len(p.nodes) == 1]
        )
        groups: dict[str, list[tuple[int, ...]]] = {}
        for place in shown:
            groups.setdefault(self._fault(mover, host, place), []).append(place.nodes)
        for fault, sets in groups.items():
            nodes = sorted({node for nodes in sets for node in nodes})
            several = len(nodes) > 1
            sentences.append(
                where
                + fault.format(
                    who=node_words(nodes),
                    has="have" if several else "has",
                    lacks="lack" if several else "lacks",
                )
            )
        bare = [
            number
            for number, node in sorted(host.nodes.items())
            if number not in pool.cells and node.memory_free
        ]
        if bare and guest.nodes is None and guest.policy.memory_only_nodes == "avoid":
            free = sum(self._free_of(host.name, number) for number in bare)
            sentences.append(
                f"{where}{node_words(bare)} with {mib_down(free)} free {'have' if len(bare) > 1 else 'has'} no CPUs of the cpupool"
            )
        return sentences or [f"{where}no node of cpupool {pool.name} has both CPUs and memory"]

    def _fault(self, mover: Mover, host: Host, place: Place) -> str:
        guest = mover.guest
        if guest.vcpus > place.pus:
            return "{who} {has} " + f"{count(place.pus, 'online CPU')} for {count(guest.vcpus, 'vCPU')}"
        missing = self._missing_at(mover, host, place.nodes) or {}
        short = {node: amount for node, amount in missing.items() if node is not None}
        if short:
            kept = sum(host.nodes[node].reserved for node in short)
            text = (
                "{who} {lacks} " + mib(max(short.values())) + (" each" if len(place.memory_nodes) > 1 else "")
            )
            free = min(self._free_of(host.name, node) for node in short)
            text += f" ({mib_down(free)} left by the rest of the plan"
            return text + (f", {mib(kept)} kept in reserve)" if kept else ")")
        if missing:
            return "{who} would fit, but the host as a whole lacks " + mib(missing[None])
        return "{who} would fit, but only beside guests that then would not"

    def _unfit(self, host: Host, pool: Pool, nodes: t.Sequence[int]) -> str:
        unknown = [node for node in nodes if node not in host.nodes]
        if unknown:
            return f"{host.name} has no {node_words(unknown)}"
        if not any(node in pool.cells for node in nodes):
            return "no CPU of the cpupool is there"
        if all(host.nodes[node].memory_free is None for node in nodes):
            return "no memory is there"
        if any(host.distance(a, b) is None for a in nodes for b in nodes):
            return "they cannot reach one another"
        return "one of them has neither CPUs of the cpupool nor memory"

    def _what_would_help(self, mover: Mover, host: Host, places: t.Sequence[Place]) -> list[tuple[int, str]]:
        """(bytes to free, sentence) for the single node and for the set of nodes that lack least."""
        best: dict[bool, tuple[int, int, str]] = {}
        for order, place in enumerate(places):
            if mover.guest.vcpus > place.pus:
                continue
            missing = self._missing_at(mover, host, place.nodes)
            if not missing:
                continue
            short = {node: amount for node, amount in missing.items() if node is not None}
            total = max(sum(short.values()), missing.get(None, 0))
            several = len(place.nodes) > 1
            of = f" of {host.name}" if len(self.hosts) > 1 else ""
            if not short:
                text = f"free {mib(total)} on {host.name} anywhere"
            elif not several:
                text = f"free {mib(total)} on {node_words(place.nodes)}{of}"
            else:
                each = listing(f"{mib(amount)} on node {node}" for node, amount in short.items())
                text = f"free {mib(total)} on {node_words(place.nodes)}{of} together ({each})"
            if several not in best or (total, order) < best[several][:2]:
                best[several] = (total, order, text)
        return [(total, text) for total, _order, text in best.values()]

    def _relaxed(self, mover: Mover) -> str | None:
        """Say which wish stands in the way, if without it there is room in the plan as it is."""
        guest = mover.guest
        tries: list[tuple[str, Guest]] = []
        if guest.nodes is not None:
            tries.append(("leave out nodes", dataclasses.replace(guest, nodes=None)))
        if guest.policy.numa_policy != "preferred":
            loose = _with_policy(guest, numa_policy="preferred")
            tries.append(("use numa_policy preferred", loose))
        if guest.policy.memory_only_nodes == "avoid" and guest.nodes is None:
            tries.append(("use memory_only_nodes allow", _with_policy(guest, memory_only_nodes="allow")))
        if guest.host is not None and len(self.hosts) > 1:
            tries.append(("leave out host", dataclasses.replace(guest, host=None)))
        for advice, changed in tries:
            trial = dataclasses.replace(mover, guest=changed)
            for option in self.problem.maker.options(trial):
                if self.state.fits(option):
                    return f"{advice}: {self._words(option.place)} would have room"
        return self._low_memory_would_do(mover)

    def _low_memory_would_do(self, mover: Mover) -> str | None:
        guest = mover.guest
        for host in hosts_of(guest, list(self.hosts.values())):
            for place in self.problem.maker.candidates(guest, host, t.cast(Pool, host.find_pool(guest.pool))):
                lows = {self.resource[host.name, node]: host.nodes[node].low_memory for node in place.nodes}
                demand = self.problem.maker.demand(mover, place)
                short = [resource for resource, amount in demand if amount > self.state.free[resource]]
                if guest.vcpus > place.pus or not short:
                    continue
                if all(
                    amount <= self.state.free[resource] + lows.get(resource, 0) for resource, amount in demand
                ):
                    return (
                        f"set reserve.low_memory to false: {self._words(place)} would have room, though as long as there is other memory "
                        "Xen takes that first, on whatever node"
                    )
        return None

    # Figures.

    def _missing_at(self, mover: Mover, host: Host, nodes: tuple[int, ...]) -> dict[int | None, int] | None:
        """Bytes that each node (None: the host as a whole) lacks for the guest now; None when the nodes make no place."""
        pool = t.cast(Pool, host.find_pool(mover.guest.pool))
        place = self.problem.maker.place(host, pool, nodes)
        if place is None:
            return None
        missing = {}
        for resource, amount in self.problem.maker.demand(mover, place):
            lack = amount - self.state.free[resource]
            if lack > 0:
                missing[self.problem.resources[resource][1]] = lack
        return missing

    def _free_of(self, host: str, node: int) -> int:
        return self.state.free[self.resource[host, node]]

    def _load(self, host: str, pool: int, node: int) -> int:
        return self.state.load[self.cell[host, pool, node]]

    def _free(self, place: Place) -> int:
        return sum(self._free_of(place.host, node) for node in place.memory_nodes)

    def _idle(self, place: Place) -> int:
        cells = [self.cell[place.host, place.pool, node] for node in place.cpu_nodes]
        return sum(max(0, self.problem.cores[cell] * VCPU - self.state.load[cell]) for cell in cells)

    def _free_words(self, place: Place) -> str:
        idle = vcpus_of(self._idle(place))
        return f"{mib_down(self._free(place))} free and {idle} of {count(place.cores, 'core')} idle"

    def _room(self, place: Place) -> str:
        return f"{'it has' if len(place.nodes) == 1 else 'they have'} {self._free_words(place)}"

    def _words(self, place: Place) -> str:
        return node_words(place.nodes) + (f" of {place.host}" if len(self.hosts) > 1 else "")


def _with_policy(guest: Guest, **changes: str) -> Guest:
    policy: Policy = dataclasses.replace(guest.policy, **changes)
    return dataclasses.replace(guest, policy=policy)
