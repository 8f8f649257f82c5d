# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Why here, why not there, and what would help: sentences with figures, in the state that the plan leads to."""

from __future__ import annotations

import dataclasses
import typing as t

from .candidates import candidates_of, how_many_more
from .effort import Effort
from .model import ALONE, VCPU, Guest, Host, Policy, Pool
from .options import Mover, Option, units_of
from .places import Place
from .problem import Problem
from .settings import Settings
from .state import LARGE, State
from .vnodes import shares_within
from .words import count, listing, mib, mib_down, need_clause, node_words, place_words, vcpus_of

#: Sentences about other places that a guest gets at most; the rest is summed up.
MOST_ALTERNATIVES = 6

#: On hosts with more nodes no smaller memory is looked for, as there are too many places.
MOST_CELLS = 8

#: Steps in which a smaller memory is looked for.
STEP = 64 << 20

#: What is told instead of reasons, and of what would help, once the limit of time has passed.
NO_TIME = "the time_limit had passed before more could be said"
MORE_TIME = "plan with a longer time_limit to see what would help"

#: Hosts that are looked at for what a guest without a place lacks.
MOST_HOSTS = 6


class Explainer:
    """Explains one solved problem."""

    def __init__(
        self,
        hosts: t.Sequence[Host],
        problem: Problem,
        state: State,
        settings: Settings,
        effort: Effort | None = None,
    ) -> None:
        self.hosts = {host.name: host for host in hosts}
        self.problem = problem
        self.state = state
        self.resource = {name: index for index, name in enumerate(problem.resources)}
        self.cell = problem.maker.cell
        self.large = len(problem.cells) >= LARGE
        self.settings = settings
        self.effort = effort
        #: What is told of guests without a place that are alike, by the shape that they share.
        self.told: dict[int, tuple[list[str], str, list[str]]] = {}

    def late(self) -> bool:
        """Whether the limit of time has passed, so that only the least is told."""
        return self.effort is not None and self.effort.late()

    # Guests that have a place.

    def placed(self, index: int) -> list[str]:
        """Say why the guest is where it is."""
        mover = self.problem.movers[index]
        option = t.cast(Option, self.state.at[index])
        guest, place = mover.guest, option.place
        if self.late():
            return [need_clause(guest), NO_TIME]
        self.state.take(index)
        try:
            sentences = [need_clause(guest)]
            if self.settings.given is not None:
                sentences.append(
                    f"the plan that was given has it on {self._words(place)}, and {self._room(place)}"
                )
            elif guest.nodes is not None:
                sentences.append(
                    f"{self._words(place)} {'is' if len(place.nodes) == 1 else 'are'} asked for, and {self._room(place)}"
                )
            elif guest.policy_on(place.host).numa_policy == "spread":
                sentences.append(
                    f"its numa_policy is spread: {self._words(place)}, all that have CPUs and memory; {self._room(place)}"
                )
            elif len(place.nodes) == 1:
                sentences += self._single(mover, option)
            else:
                sentences += self._several(mover, option)
            if len(self.hosts) > 1 and guest.host is not None:
                sentences.append(f"host {guest.host} is asked for")
            if option.shares is not None and len(set(option.shares.values())) > 1:
                each = listing(f"{mib(size)} on node {node}" for node, size in sorted(option.shares.items()))
                sentences.append(f"its virtual nodes have {each}")
            sentences += self._cores(guest, option) + self._bonds(guest, option)
            return sentences
        finally:
            self.state.put(index, option)

    def candidates(self, index: int) -> list[dict[str, t.Any]] | None:
        """Tell of the places that lost, when that was asked for."""
        return candidates_of(self.state, index) if self.settings.explain and not self.late() else None

    def how_many_more(self, guest: Guest) -> dict[str, t.Any]:
        """Tell how many more guests like this one would fit beside the plan."""
        found = how_many_more(self.state, Mover(guest), self.late)
        return {
            "name": guest.name,
            "more": found.least,
            "at_most": found.most,
            "proven": found.least == found.most,
        }

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
                + ("" if self.late() else self._fewer(index))
            )
        if option.crowding:
            found.append(
                f"{count(option.crowding, 'of its vCPUs has', 'of its vCPUs have')} to share a core with another one of its vCPUs: "
                f"{node_words(place.cpu_nodes)} {'has' if len(place.cpu_nodes) == 1 else 'have'} {count(place.cores, 'core')}"
            )
        if len(place.memory_nodes) > 1 and option.shares is None:
            found.append(
                "Xen deals its memory out to the nodes in turn, in pieces of up to 1 GiB: the shares are even only so far"
            )
        return found

    def _fewer(self, index: int) -> str:
        """What would have to be free for a guest to be on one node: the least, on its own host."""
        mover = self.problem.movers[index]
        option = self.state.take(index)
        try:
            host = self.hosts[option.place.host]
            pool = host.pools[option.place.pool]
            singles = [
                place
                for place in self.problem.maker.candidates(mover.guest, host, pool)
                if len(place.nodes) == 1
            ]
            ways = self._what_would_help(mover, host, singles)
        finally:
            self.state.put(index, option)
        return f"; to have it on one, {min(ways)[1]}" if ways else ""

    def _single(self, mover: Mover, option: Option) -> list[str]:
        place = option.place
        fitting = self._fitting(mover, option.place.host, 1)
        mine = f"{self._words(place)} has {self._free_words(place)}"
        if len(fitting) == 1:
            mine += f", the only node{self._there(option)} that fits"
        else:
            rank = self._most_room(option, fitting)
            mine += (
                f", {rank} among {len(fitting)} nodes{self._there(option)} that fit"
                if rank
                else f", one of {len(fitting)} nodes{self._there(option)} that fit"
            )
        return [mine, *self._alternatives(mover, option)]

    def _there(self, option: Option) -> str:
        """On a fleet only the guest's own host is told of."""
        return f" of {option.place.host}" if self.large else ""

    def _hosts_told(self, mover: Mover, own: str) -> list[Host]:
        """Hosts that the guest may be on; on a fleet only its own."""
        shape = self.problem.maker.shape(mover)
        if not self.large:
            return shape.hosts
        return [self.hosts[own]] if own in shape.host_names else []

    def _fitting(self, mover: Mover, host: str, size: int) -> list[Option]:
        """Options on so many nodes that have room now; on a fleet only those of one host."""
        maker = self.problem.maker
        shape = maker.shape(mover)
        found = []
        for other in self._hosts_told(mover, host):
            pool = t.cast(Pool, other.find_pool(mover.guest.pool))
            if size not in maker.sizes(shape, other, pool):
                continue
            for nodes in maker.sets(shape, other, pool, size, self.state.free):
                option = self.state.option_here(shape, other, pool, nodes)
                if option is not None and self.state.fits(option):
                    found.append(option)
        return found

    def _cores(self, guest: Guest, option: Option) -> list[str]:
        """What a guest with CPUs of its own gets."""
        host = option.place.host
        own = guest.dedicated_on(host)
        cores = sum(use[3] for use in option.uses)
        sentences = []
        if own:
            policy = guest.policy_on(host).thread_policy
            threads = ", whose other threads stay idle" if policy == "isolate" else ""
            sentences.append(
                f"{'its' if len(own) == guest.vcpus else f'{len(own)} of its'} {count(guest.vcpus, 'vCPU')} {'has' if guest.vcpus == 1 else 'have'} "
                f"{count(cores, 'core')} to {'itself' if guest.vcpus == 1 else 'themselves'}{threads} (thread_policy {policy})"
            )
        if option.trust is not None:
            sentences.append(f"it shares cores with trust group {option.trust} alone")
        return sentences

    def _bonds(self, guest: Guest, option: Option) -> list[str]:
        """Groups and devices that had a say."""
        sentences = []
        for membership in guest.groups:
            group = membership.group
            kept = "together with" if group.policy == "affinity" else "apart from"
            sentences.append(f"group {group.name} keeps it {kept} others by {group.scope}")
        host = self.hosts[option.place.host]
        for address, policy in guest.pci_devices:
            node = (host.devices or {}).get(address)
            at = "at a node that is not known" if node is None else f"at node {node}"
            sentences.append(f"PCI device {address} ({policy}) is {at}")
        return sentences

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
        singles = self._fitting(mover, place.host, 1)
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
        rivals = self._fitting(mover, place.host, len(place.nodes))
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
        for host in self._hosts_told(mover, option.place.host):
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
        pool = t.cast(Pool, host.find_pool(guest.pool))
        missing = self._missing_at(mover, host, (number,))
        if missing is None:
            return self._unfit(host, pool, (number,)), 0
        if missing:
            short = [amount for node, amount in missing.items() if node is not None]
            return ("lacks", max(short)) if short else ("host full", missing[None])
        maker = self.problem.maker
        other = maker.option(maker.shape(mover), host, pool, (number,))
        if other is None or not self.state.fits(other):
            place = t.cast(Place, maker.place(host, pool, (number,)))
            if guest.pci_devices and maker.device_fault(guest, host, place) is not None:
                return "far", 0
            own = guest.dedicated_on(host.name) or guest.trust_group is not None
            return "few cores" if own else self._rule(mover, host, place), 0
        after = self._load(host.name, pool.id, number) + guest.vcpus * VCPU
        mine_cells = [
            self._load(option.place.host, option.place.pool, node) for node in option.place.cpu_nodes
        ]
        mine = sum(mine_cells) + guest.vcpus * VCPU
        if not option.loads:
            return "fits", 0  # it brings no load that others would notice
        theirs = after * 1000 // max(1, pool.cells[number].cores)
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
            taken = any(
                self.state.free[self.resource[host, number]]
                < self.problem.capacity[self.resource[host, number]]
                for number in numbers
            )
            beside = " beside the rest of the plan" if taken else ""
            return f"{who} {'lack' if several else 'lacks'} {span}{beside}{reserve}"
        if verdict == "few CPUs":
            return f"{who} {'have' if several else 'has'} at most {count(max(figures), 'online CPU')} for {count(guest.vcpus, 'vCPU')}"
        if verdict == "few cores":
            return f"{who} {'have' if several else 'has'} too few cores that can be given away"
        if verdict == "far":
            return f"{who} {'have' if several else 'has'} room, but not its PCI device"
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
        return f"{who} would have the memory, but {verdict}"

    # Guests that have none.

    def unplaced(self, index: int) -> tuple[list[str], str, list[str]]:
        """Say why the guest has no place, the smallest thing that would change that, and everything small that would."""
        mover = self.problem.movers[index]
        guest = mover.guest
        if self.late():
            return [need_clause(guest), NO_TIME], MORE_TIME, [MORE_TIME]
        shape = self.problem.maker.shape(mover)
        if id(shape) not in self.told:
            self.told[id(shape)] = self._unplaced(mover)
        sentences, own, helps = self.told[id(shape)]
        return list(sentences), own, list(helps)

    def _unplaced(self, mover: Mover) -> tuple[list[str], str, list[str]]:
        """The same for any guest like this one: nothing in it depends on the name."""
        guest = mover.guest
        sentences = [need_clause(guest)]
        nearest: list[tuple[int, str]] = []
        hosts = self.problem.maker.shape(mover).hosts
        # On a fleet the roomiest hosts are told of.
        shown = sorted(hosts, key=lambda host: -self.state.free[self.resource[host.name, None]])[:MOST_HOSTS]
        for host in hosts if len(hosts) <= MOST_HOSTS else shown:
            pool = t.cast(Pool, host.find_pool(guest.pool))
            places = [
                place
                for place in self.problem.maker.candidates(guest, host, pool)
                if not self.large or len(place.nodes) <= 2
            ]
            sentences += self._why_not(mover, host, pool, places)
            nearest += self._what_would_help(mover, host, places)
        if len(hosts) > MOST_HOSTS:
            sentences.append(
                f"{count(len(hosts) - MOST_HOSTS, 'other host has', 'other hosts have')} less memory left"
            )
        if not hosts:
            sentences.append("every host that it could be on is to be emptied")
        helps = self._relaxed(mover)
        freed = ""
        if nearest:
            alone, together = (
                [item for item in nearest if (" together" in item[1]) == several] for several in (False, True)
            )
            best = sorted([*sorted(alone)[:1], *sorted(together)[:1]])
            freed = ", or ".join([best[0][1], *(text.removeprefix("free ") for _size, text in best[1:])])
            helps.append(freed)
        helps += self._leaving(mover, hosts)
        if len(self.problem.cells) <= MOST_CELLS:
            helps += self._smaller(mover)
        own = self._too_wide(guest, hosts) or next(iter(helps), "")
        helps += self._new_host(guest)
        return (
            sentences,
            own or "relax its policy, or give it another host",
            helps or [own or "relax its policy"],
        )

    def refused(self, index: int, host: Host, pool: Pool, nodes: tuple[int, ...]) -> str:
        """Say why the guest cannot have these nodes as things are."""
        mover, maker = self.problem.movers[index], self.problem.maker
        guest, policy = mover.guest, mover.guest.policy_on(host.name)
        words = node_words(nodes) + (f" of {host.name}" if len(self.hosts) > 1 else "")
        several = len(nodes) > 1
        place = maker.place(host, pool, nodes)
        if place is None:
            return f"{words} cannot serve a guest of cpupool {pool.name}: {self._unfit(host, pool, nodes)}"
        if not maker.permitted(guest, host, pool, place):
            asked = (
                f"numa_policy {policy.numa_policy} is asked for"
                if guest.nodes is None
                else f"{node_words(guest.nodes)} {'is' if len(guest.nodes) == 1 else 'are'} asked for"
            )
            return f"{words} {'are' if several else 'is'} not what the request permits: {asked}"
        if place.borrows and guest.nodes is None and policy.memory_only_nodes != "allow":
            return f"{words} {'have' if several else 'has'} memory without CPUs of the cpupool, and memory_only_nodes is {policy.memory_only_nodes}"
        fault = self._fault(mover, host, place)
        return fault.format(who=words, has="have" if several else "has", lacks="lack" if several else "lacks")

    def _too_wide(self, guest: Guest, hosts: t.Sequence[Host]) -> str:
        most = max((len(t.cast(Pool, host.find_pool(guest.pool)).cpuset) for host in hosts), default=0)
        if not hosts or guest.vcpus <= most:
            return ""
        return f"give it {count(most, 'vCPU')} at most, or a host with {guest.vcpus} online CPUs"

    def _leaving(self, mover: Mover, hosts: t.Sequence[Host]) -> list[str]:
        """The smallest guest of the plan that would have to go to make room."""
        state, maker = self.state, self.problem.maker
        shape = maker.shape(mover)
        needed = maker.needed(shape)
        if not needed or self.large:
            return []
        order = sorted(
            (index for index, option in enumerate(state.at) if option is not None),
            key=lambda index: (self.problem.movers[index].guest.need, index),
        )
        for other in order[:64]:
            option = state.take(other)
            try:
                if self._fitting(mover, option.place.host, needed):
                    guest = self.problem.movers[other].guest
                    return [
                        f"leave out {guest.name} ({mib(guest.memory)}, {count(guest.vcpus, 'vCPU')}, priority {guest.priority})"
                    ]
            finally:
                state.put(other, option)
        return []

    def _new_host(self, guest: Guest) -> list[str]:
        """An empty host that would have it, for a guest that may be on any."""
        tied = (
            guest.host is not None
            or guest.nodes is not None
            or guest.pool is not None
            or guest.policy.node_count not in (None, 1)
        )
        together = any(one.group.policy == "affinity" for one in guest.groups)
        if tied or together or any(policy == "required" for _address, policy in guest.pci_devices):
            return []
        # dom0 needs a core beside those that the guest has for itself.
        alone = bool(guest.dedicated_on("")) or guest.trust_group is not None
        return [f"add a host with a node of {count(guest.vcpus + alone, 'core')} and {mib(guest.need)} free"]

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
            if guest.nodes is not None
            or guest.policy_on(host.name).numa_policy not in ("preferred", "single")
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
        if bare and guest.nodes is None and guest.policy_on(host.name).memory_only_nodes == "avoid":
            free = sum(self._free_of(host.name, number) for number in bare)
            sentences.append(
                f"{where}{node_words(bare)} with {mib_down(free)} free {'have' if len(bare) > 1 else 'has'} no CPUs of the cpupool"
            )
        count_asked = guest.policy_on(host.name).node_count or 0
        if not sentences and count_asked > len(pool.cells):
            return [
                f"{where}cpupool {pool.name} has CPUs on {count(len(pool.cells), 'node')}, and numa_policy asks for {count_asked}"
            ]
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
        if guest.pci_devices and (fault := self.problem.maker.device_fault(guest, host, place)) is not None:
            return "{who} cannot have it: " + fault
        alone = bool(guest.dedicated_on(host.name)) or guest.trust_group is not None
        if alone and not self._groups_forbid(mover, place):
            return "{who} would have the memory, but {has} too few cores that can be given away"
        return "{who} would have the memory, but " + self._rule(mover, host, place)

    def _groups_forbid(self, mover: Mover, place: Place) -> list[str]:
        """Groups of the guest that keep it from a place as things are."""
        host = self.hosts[place.host]
        found = []
        for membership in mover.guest.groups:
            group = membership.group
            units = units_of(group.scope, host, place.nodes)
            if group.policy == "affinity":
                meeting = self.state.together.get(group.name)
                forbidden = len(units) != 1 or bool(meeting and meeting[1] and meeting[0] != units[0])
            else:
                there = [self.state.apart.get((group.name, unit)) for unit in units]
                forbidden = any(
                    one and one[1] and (one[0] != membership.part or membership.part == ALONE)
                    for one in there
                )
            if forbidden:
                found.append(
                    f"group {group.name} is to be kept {'together' if group.policy == 'affinity' else 'apart'}"
                )
        return found

    def _rule(self, mover: Mover, host: Host, place: Place) -> str:
        """The rule other than memory that keeps the guest from a place as things are."""
        groups = self._groups_forbid(mover, place)
        if groups:
            return groups[0]
        owned = [
            address
            for address, _policy in mover.guest.pci_devices
            if (host.name, address) in self.state.owners
        ]
        if owned:
            return f"PCI device {owned[0]} is another guest's"
        if host.cpu_allocation_ratio is not None:
            return "cpu_allocation_ratio permits no more vCPUs"
        return "no core would be left there for guests that share them"

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
            if any(amount > self._can_be_freed(host, node) for node, amount in missing.items()):
                continue  # the node is too small for it, whoever leaves
            if not self._nothing_else_forbids(mover, host, place, short, total):
                continue
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

    def _nothing_else_forbids(
        self, mover: Mover, host: Host, place: Place, short: t.Mapping[int, int], total: int
    ) -> bool:
        """Whether the guest would fit if that was freed: so many bytes of nodes, and of the host in all."""
        pool = t.cast(Pool, host.find_pool(mover.guest.pool))
        option = self.problem.maker.regardless_of_memory(mover, host, pool, place)
        if option is None:
            return False
        free = self.state.free
        more = {self.resource[host.name, node]: amount for node, amount in short.items()}
        if len(place.nodes) == 1 and more:
            more = dict.fromkeys(more, total)
        more[self.resource[host.name, None]] = total
        for resource, amount in more.items():
            free[resource] += amount
        try:
            return self.state.fits(option)
        finally:
            for resource, amount in more.items():
                free[resource] -= amount

    def _can_be_freed(self, host: Host, number: int | None) -> int:
        """Bytes of a node (None: of the host) that domains have, those that run, those that are being built and those of the plan."""
        nodes = list(host.nodes) if number is None else [number]
        running = sum(one.held.get(node, 0) for one in host.running for node in nodes) + host.claimed
        of_plan = sum(
            max(0, self.problem.capacity[self.resource[host.name, node]] - self._free_of(host.name, node))
            for node in nodes
        )
        return running + of_plan

    def _smaller(self, mover: Mover) -> list[str]:
        """The most memory that the guest could have as things are, in steps of 64 MiB."""
        guest = mover.guest
        low, high = 0, guest.memory // STEP
        while low < high:
            middle = (low + high + 1) // 2
            less = dataclasses.replace(guest, memory=middle * STEP)
            if self._first_fit(dataclasses.replace(mover, guest=less)) is not None:
                low = middle
            else:
                high = middle - 1
        return [f"give it {mib(low * STEP)} at most"] if low and low * STEP < guest.memory else []

    def _relaxed(self, mover: Mover) -> list[str]:
        """Say which wishes stand in the way, if without one of them there is room in the plan as it is."""
        guest = mover.guest
        tries: list[tuple[str, Guest]] = []
        if guest.nodes is not None:
            tries.append(("leave out nodes", dataclasses.replace(guest, nodes=None)))
        if guest.policy.numa_policy != "preferred":
            tries.append(("use numa_policy preferred", _with_policy(guest, numa_policy="preferred")))
        if guest.policy.memory_only_nodes == "avoid" and guest.nodes is None:
            tries.append(("use memory_only_nodes allow", _with_policy(guest, memory_only_nodes="allow")))
        if guest.host is not None and len(self.hosts) > 1:
            tries.append(("leave out host", dataclasses.replace(guest, host=None)))
        for membership in guest.groups:
            rest = tuple(other for other in guest.groups if other is not membership)
            tries.append(
                (f"take it out of group {membership.group.name}", dataclasses.replace(guest, groups=rest))
            )
        if guest.policy.cpu_policy != "shared":
            tries.append(("use cpu_policy shared", _with_policy(guest, cpu_policy="shared")))
        if guest.policy.thread_policy != "prefer" and guest.policy.cpu_policy != "shared":
            tries.append(("use thread_policy prefer", _with_policy(guest, thread_policy="prefer")))
        if guest.trust_group is not None:
            tries.append(("take it out of its trust group", dataclasses.replace(guest, trust_group=None)))
        if any(policy == "required" for _address, policy in guest.pci_devices):
            loose = tuple((address, "preferred") for address, _policy in guest.pci_devices)
            tries.append(("make its PCI devices preferred", dataclasses.replace(guest, pci_devices=loose)))
        found = []
        for advice, changed in tries:
            option = self._first_fit(dataclasses.replace(mover, guest=changed))
            if option is not None:
                found.append(f"{advice}: {self._words(option.place)} would have room")
        low = None if found else self._low_memory_would_do(mover)
        return found if low is None else [low]

    def _first_fit(self, mover: Mover) -> Option | None:
        """The cheapest option that has room now; on a fleet any."""
        maker = self.problem.maker
        if not self.large:
            return next((option for option in maker.options(mover) if self.state.fits(option)), None)
        shape = maker.shape(mover)
        for host, pool, sizes, _whole in maker.sized(shape):
            for size in sizes[:2]:
                for nodes in maker.sets(shape, host, pool, size, self.state.free):
                    option = maker.option(shape, host, pool, nodes)
                    if option is not None and self.state.fits(option):
                        return option
        return None

    def _low_memory_would_do(self, mover: Mover) -> str | None:
        guest = mover.guest
        for host in self.problem.maker.shape(mover).hosts:
            if not any(node.low_memory for node in host.nodes.values()):
                continue
            for place in self.problem.maker.candidates(guest, host, t.cast(Pool, host.find_pool(guest.pool))):
                # What the user's own reserve does not keep back as well.
                lows = {
                    self.resource[host.name, node]: host.nodes[node].reserved - host.nodes[node].asked
                    for node in place.nodes
                    if host.nodes[node].low_memory
                }
                demand = self.problem.maker.demand(mover, place)
                short = [resource for resource, amount in demand if amount > self.state.free[resource]]
                if guest.vcpus > place.pus or not short:
                    continue
                if all(
                    amount <= self.state.free[resource] + lows.get(resource, 0) for resource, amount in demand
                ):
                    return (
                        f"set {self.settings.reserve_label}.low_memory to false: {self._words(place)} would have room, though as long as there is other memory "
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
            number = self.problem.resources[resource][1]
            if lack > 0:
                # What is freed goes to the reserve first where that is more than what is free.
                missing[number] = lack + (0 if number is None else host.nodes[number].owed)
        if any(node is not None for node in missing) and self._stretches(mover, place):
            missing = {node: lack for node, lack in missing.items() if node is None}
        return missing

    def _stretches(self, mover: Mover, place: Place) -> bool:
        """Whether a guest with virtual nodes fits there with uneven shares."""
        if self.problem.maker.even(mover.guest, place) is None:
            return False
        held = mover.held if place.host == mover.held_host else {}
        room = {node: self._free_of(place.host, node) + held.get(node, 0) for node in place.memory_nodes}
        return shares_within(mover.guest, room) is not None

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
        return f"{mib_down(self._free(place))} left for it and {idle} of {count(place.cores, 'core')} idle"

    def _room(self, place: Place) -> str:
        return f"{'it has' if len(place.nodes) == 1 else 'they have'} {self._free_words(place)}"

    def _words(self, place: Place) -> str:
        return place_words(place, len(self.hosts) > 1)


def _with_policy(guest: Guest, **changes: str) -> Guest:
    policy: Policy = dataclasses.replace(guest.policy, **changes)
    return dataclasses.replace(guest, policy=policy)
