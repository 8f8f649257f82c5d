# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The places that a guest can have, with what each takes and costs. What breaks a hard rule never becomes an option.

Options are made when somebody looks at them: on a fleet most are never looked at.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .capacity import split_load
from .model import NORMAL_WEIGHT, VCPU, Guest, Host, Pool, Running, deal, split_evenly
from .places import Place, all_sets, make_place, places_of, sets_of, sizes_of, useful_nodes
from .vnodes import LEAST_SHARE, Shares, even_shares, has_virtual_nodes, mean_way, shares_within, taken_with

Resource = tuple[str, "int | None"]

#: (cell, weighted load, vCPUs that count for the ratio, cores of its own, vCPUs of its trust group); all but cores in thousandths.
Use = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Option:
    """One place for one guest. `demand`: bytes of each resource, the host as a whole last; `uses`: what it takes of each cell.

    Costs: `excess` nodes beyond what the guest needs; `crowding`, vCPUs beyond the cores where its host has cores to spare;
    `distance`, vCPUs times the place's distance; `device`, ways to its PCI devices and to dom0's nodes, thousandths of (SLIT / 10 - 1).
    `cost` is the four in the order of the objective. `loads`: weighted load on each cell. `trust`: its trust group where that has to have
    cores of its own. `apart`: (group, unit, part) that nobody of another part may be in; `together`: (group, unit) that all must be in.
    `shares`: memory of each node of a guest with virtual nodes, None for a guest without.
    """

    place: Place
    demand: tuple[tuple[int, int], ...]
    uses: tuple[Use, ...]
    excess: int
    crowding: int
    distance: int
    device: int
    cost: tuple[int, int, int, int]
    loads: tuple[tuple[int, int], ...]
    trust: str | None = None
    apart: tuple[tuple[str, t.Any, int], ...] = ()
    together: tuple[tuple[str, t.Any], ...] = ()
    devices: tuple[tuple[str, str], ...] = ()
    strict: bool = False
    shares: Shares | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Mover:
    """A guest whose place is to be found.

    `held`: bytes that its running self has on each node of `held_host`, not needed twice. `stay`: where it runs, when it may stay there.
    """

    guest: Guest
    held_host: str | None = None
    held: t.Mapping[int, int] = field(default_factory=dict)
    stay: Running | None = None


@dataclass(frozen=True)
class Cells:
    """The cores of each node of each cpupool, as columns.

    `names`: (host, pool, node). `dedicable`: cores that no domain outside the plan is pinned to. `threads`: PUs that each core has at
    least, `widest` at most. `ratio`: the most vCPUs for each PU, in thousandths, None without a limit.
    """

    names: tuple[tuple[str, int, int], ...]
    cores: tuple[int, ...]
    pus: tuple[int, ...]
    threads: tuple[int, ...]
    widest: tuple[int, ...]
    dedicable: tuple[int, ...]
    ratio: tuple[int | None, ...]

    @classmethod
    def of(cls, hosts: t.Sequence[Host]) -> Cells:
        """Make the columns of these hosts."""
        rows = [
            (
                (host.name, pool.id, number),
                cell.cores,
                cell.pus,
                cell.threads,
                max((len(core) for core in cell.siblings), default=1),
                sum(1 for core in cell.siblings if core not in cell.blocked),
                None if host.cpu_allocation_ratio is None else int(host.cpu_allocation_ratio * VCPU),
            )
            for host in hosts
            for pool in host.pools.values()
            for number, cell in sorted(pool.cells.items())
        ]
        columns = tuple(zip(*rows, strict=True)) or ((),) * 7
        return cls(*columns)

    def __iter__(self) -> t.Iterator[tuple[str, int, int]]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def hosts_of(guest: Guest, hosts: t.Sequence[Host]) -> list[Host]:
    """Hosts that may have the guest: the one it asks for or all, if they have its cpupool and are not closed."""
    return [
        host
        for host in hosts
        if guest.host in (None, host.name) and not host.closed and host.find_pool(guest.pool) is not None
    ]


#: (place, demand, crowding, uses, shares)
Draft = tuple[Place, tuple[tuple[int, int], ...], int, tuple[Use, ...], "Shares | None"]


class Shape:
    """Guests that are alike in everything but their names share a shape, and with it their options."""

    def __init__(self, mover: Mover, hosts: t.Sequence[Host]) -> None:
        self.mover = mover
        self.guest = guest = mover.guest
        self.need = guest.need
        self.hosts = hosts_of(guest, hosts)
        self.host_names = {host.name for host in self.hosts}
        self.needed = -1  # not known yet
        self.least_crowding = 0
        self.sized: list[tuple[Host, Pool, list[int], int]] | None = None
        self.made: dict[tuple[str, tuple[int, ...]], Option | None] = {}
        #: (name, part) of its groups that are kept apart by host.
        self.apart = tuple(
            (one.group.name, one.part)
            for one in guest.groups
            if one.group.policy == "anti-affinity" and one.group.scope == "host"
        )
        #: Shared with the shapes that differ in nothing but their groups.
        self.drafts: dict[tuple[str, tuple[int, ...]], Draft | None] = {}
        self.every: tuple[Option, ...] | None = None
        # Whether every single node costs it nothing beside crowding, and any host will do: then an index of cells can choose.
        self.plain = (
            guest.host is None
            and guest.nodes is None
            and guest.pool is None
            and not guest.pci_devices
            and not guest.host_policies
            and not mover.held
            and guest.policy.numa_policy in ("preferred", "single", "1")
            and guest.policy.backend_locality == "ignore"
        )


class OptionMaker:
    """Knows which places a guest may have, and makes its options."""

    def __init__(
        self,
        hosts: t.Sequence[Host],
        resources: tuple[Resource, ...],
        capacity: tuple[int, ...],
        cells: Cells,
        roomy: t.Mapping[tuple[str, int], bool],
        owned: t.Collection[tuple[str, str]] = (),
    ) -> None:
        self.hosts = hosts
        self.by_name = {host.name: host for host in hosts}
        self.number = {host.name: index for index, host in enumerate(hosts)}
        self.resource = {name: index for index, name in enumerate(resources)}
        self.capacity = capacity
        self.cells = cells
        self.cell = {name: index for index, name in enumerate(cells)}
        self.roomy = roomy
        self.owned = owned
        self.places: dict[tuple[str, int], list[Place]] = {}
        self.useful: dict[tuple[str, int], int] = {}
        self.known: dict[tuple[str, int, tuple[int, ...]], Place | None] = {}
        self.shapes: dict[t.Any, Shape] = {}
        self.drafts: dict[t.Any, dict[tuple[str, tuple[int, ...]], Draft | None]] = {}

    # Shapes.

    def shape(self, mover: Mover) -> Shape:
        """Return the shape of a guest. What one that may stay holds counts for its staying alone."""
        guest = mover.guest
        if mover.stay is not None:
            mover = Mover(guest)
        key = (
            guest.memory,
            guest.vcpus,
            guest.weight,
            guest.host,
            guest.nodes,
            guest.pool,
            guest.policy,
            # one mapping for all guests that ask for the same
            id(guest.host_policies) if guest.host_policies else 0,
            guest.dedicated_vcpus,
            guest.pci_devices,
            guest.trust_group,
            guest.vnuma,
            mover.held_host,
            tuple(sorted(mover.held.items())),
        )
        found = self.shapes.get((key, guest.groups))
        if found is None:
            found = self.shapes[key, guest.groups] = Shape(mover, self.hosts)
            found.drafts = self.drafts.setdefault(key, found.drafts)
        return found

    def options(self, mover: Mover, most_excess: int | None = None) -> tuple[Option, ...]:
        """Return all options of a guest, the cheapest first; with `most_excess` only those on so many nodes beyond the needed."""
        shape = self.shape(mover)
        if shape.every is not None:
            return shape.every
        made = self._sorted(
            option
            for host, pool, sizes, _whole in self.sized(shape)
            for size in sizes
            if most_excess is None or max(0, size - self.needed(shape)) <= most_excess
            for nodes in self.sets(shape, host, pool, size, self.capacity)
            if (option := self.option(shape, host, pool, nodes)) is not None
        )
        if most_excess is None:
            shape.every = made
        return made

    def omitted(self, shape: Shape) -> int | None:
        """Return how many nodes beyond the needed a guest has at least in a place that is not among its options; None when all are."""
        if shape.guest.nodes is not None:
            return None
        found = []
        for host, pool, sizes, _whole in self.sized(shape):
            policy = shape.guest.policy_on(host.name)
            useful = len(useful_nodes(host, pool))
            if policy.numa_policy == "spread":
                continue
            every = [policy.node_count] if policy.node_count is not None else range(1, useful + 1)
            for size in every:
                room = len(self._with_room(shape, host, pool, size))
                if room >= size and (size not in sizes or not all_sets(room, size)):
                    found.append(max(0, size - self.needed(shape)))
                    break
        return min(found, default=None)

    def _sorted(self, options: t.Iterable[Option]) -> tuple[Option, ...]:
        return tuple(
            sorted(
                options, key=lambda option: (option.cost, self.number[option.place.host], option.place.nodes)
            )
        )

    def sized(self, shape: Shape) -> list[tuple[Host, Pool, list[int], int]]:
        """Return the guest's hosts with its cpupool there, the numbers of nodes that it may have there, and the host's resource."""
        if shape.sized is None:
            pools = [(host, t.cast(Pool, host.find_pool(shape.guest.pool))) for host in shape.hosts]
            shape.sized = [
                (host, pool, self.sizes(shape, host, pool), self.resource[host.name, None])
                for host, pool in pools
            ]
        return shape.sized

    def needed(self, shape: Shape) -> int:
        """Return how many nodes the guest needs: the fewest with room for it when they are empty, and with the least crowding."""
        if shape.needed >= 0:
            return shape.needed
        least: tuple[int, int] | None = None
        for host, pool, sizes, whole in self.sized(shape):
            if least == (0, 1):
                break
            if host.name != shape.mover.held_host and self.capacity[whole] < shape.need:
                continue
            for size in sizes:
                if least is not None and least[0] == 0 and size >= least[1]:
                    break
                for nodes in self.sets(shape, host, pool, size, self.capacity):
                    draft = self._draft(shape, host, pool, nodes)
                    if draft is None or _too_many_parts(shape.guest, host, draft[0]):
                        continue
                    found = (draft[2], len(nodes))
                    if least is None or found < least:
                        least = found
                        if found[0] == 0:
                            break
        shape.least_crowding, shape.needed = (0, 0) if least is None else least
        return shape.needed

    # Candidates.

    def sizes(self, shape: Shape, host: Host, pool: Pool) -> list[int]:
        """Return the numbers of nodes that the guest's policy permits on a host, ascending."""
        guest = shape.guest
        if guest.nodes is not None:
            return [len(guest.nodes)]
        policy = guest.policy_on(host.name)
        if policy.numa_policy == "spread":
            return [len([1 for number in pool.cells if host.nodes[number].memory_free is not None])]
        if policy.node_count is not None:
            return [policy.node_count]
        key = (host.name, pool.id)
        if key not in self.useful:
            self.useful[key] = len(useful_nodes(host, pool))
        return sizes_of(self.useful[key])

    def sets(
        self, shape: Shape, host: Host, pool: Pool, size: int, free: t.Sequence[int]
    ) -> t.Iterable[tuple[int, ...]]:
        """Return the sets of so many nodes that the policy permits and that could have room, going by `free` bytes of each resource."""
        guest = shape.guest
        if guest.nodes is not None:
            return [guest.nodes]
        if guest.policy_on(host.name).numa_policy == "spread":
            every = tuple(
                number for number in sorted(pool.cells) if host.nodes[number].memory_free is not None
            )
            return [every] if every else []
        useful = self._with_room(shape, host, pool, size, free)
        return sets_of(host, useful, size) if len(useful) >= size else []

    def _with_room(
        self, shape: Shape, host: Host, pool: Pool, size: int, free: t.Sequence[int] | None = None
    ) -> list[int]:
        """The nodes that have room for the guest's share when it is on so many, by `free` or on an empty host."""
        guest = shape.guest
        free = self.capacity if free is None else free
        allow = guest.policy_on(host.name).memory_only_nodes == "allow"
        least = 0 if host.name == shape.mover.held_host else shape.need // size
        if guest.vnuma and size > 1:
            least = min(least, LEAST_SHARE)
        return [
            number
            for number, node in sorted(host.nodes.items())
            if (number in pool.cells or (allow and node.memory_free is not None))
            and (node.memory_free is None or free[self.resource[host.name, number]] >= least)
        ]

    def candidates(self, guest: Guest, host: Host, pool: Pool) -> list[Place]:
        """Return the places that the guest's policy permits, whether or not there is room."""
        if guest.nodes is not None:
            asked = self.place(host, pool, guest.nodes)
            return [] if asked is None else [asked]
        policy = guest.policy_on(host.name)
        if policy.numa_policy == "spread":
            every = [number for number in pool.cells if host.nodes[number].memory_free is not None]
            whole = self.place(host, pool, tuple(sorted(every)))
            return [] if whole is None else [whole]
        key = (host.name, pool.id)
        if key not in self.places:
            self.places[key] = places_of(host, pool)
        count = policy.node_count
        allow = policy.memory_only_nodes == "allow"
        return [
            place
            for place in self.places[key]
            if (allow or not place.borrows) and count in (None, len(place.nodes))
        ]

    def place(self, host: Host, pool: Pool, nodes: tuple[int, ...]) -> Place | None:
        """Return the place that these nodes make, None when they make none; see :func:`.places.make_place`."""
        key = (host.name, pool.id, nodes)
        if key not in self.known:
            self.known[key] = make_place(host, pool, nodes)
        return self.known[key]

    # One option.

    def option(self, shape: Shape, host: Host, pool: Pool, nodes: tuple[int, ...]) -> Option | None:
        """Return the option that these nodes are for the guest, None when a hard rule or an empty host's memory forbids it."""
        key = (host.name, nodes)
        if key in shape.made:
            return shape.made[key]
        draft = self._draft(shape, host, pool, nodes)
        made = None
        if draft is not None and not _too_many_parts(shape.guest, host, draft[0]):
            place, demand, crowding, uses, shares = draft
            made = self._option(
                shape.guest, host, place, demand, uses, self._excess(shape, host, place), crowding, shares
            )
        shape.made[key] = made
        return made

    def regardless_of_memory(self, mover: Mover, host: Host, pool: Pool, place: Place) -> Option | None:
        """Return the option that a place would be if its nodes had the memory, None when another hard rule forbids it."""
        guest = mover.guest
        if guest.vcpus > place.pus or _too_many_parts(guest, host, place):
            return None
        if guest.pci_devices and self.device_fault(guest, host, place) is not None:
            return None
        uses = self.uses(guest, host, pool, place)
        if uses is None:
            return None
        return self._option(
            guest, host, place, self.demand(mover, place), uses, 0, 0, self.even(guest, place)
        )

    def option_within(
        self, shape: Shape, option: Option, free: t.Sequence[int], shares: Shares | None = None
    ) -> Option | None:
        """Return the option with memory shared out as `free` bytes of each resource allow, or with these `shares`.

        None where nothing but even shares are possible, or where these do not fit either.
        """
        if option.shares is None:
            return None
        place, host = option.place, self.by_name[option.place.host]
        if shares is None:
            held = shape.mover.held if host.name == shape.mover.held_host else {}
            room = {
                node: free[self.resource[host.name, node]] + held.get(node, 0) for node in place.memory_nodes
            }
            shares = shares_within(shape.guest, room)
        if shares is None or shares == option.shares:
            return None
        demand = self.demand(shape.mover, place, shares)
        return self._option(
            shape.guest, host, place, demand, option.uses, option.excess, option.crowding, shares
        )

    def _excess(self, shape: Shape, host: Host, place: Place) -> int:
        free_choice = (
            shape.guest.nodes is None and shape.guest.policy_on(host.name).numa_policy == "preferred"
        )
        return max(0, len(place.nodes) - self.needed(shape)) if free_choice else 0

    def _option(
        self,
        guest: Guest,
        host: Host,
        place: Place,
        demand: tuple[tuple[int, int], ...],
        uses: tuple[Use, ...],
        excess: int,
        crowding: int,
        shares: Shares | None = None,
    ) -> Option:
        distance = guest.vcpus * place.distance
        if shares is not None and shares != even_shares(guest.memory, place.memory_nodes):
            distance = mean_way(guest, host, shares)
        device = self.device_cost(guest, host, place.cpu_nodes)
        apart, together = _units(guest, host, place)
        trust = guest.trust_group if any(use[4] for use in uses) else None
        return Option(
            place,
            demand,
            uses,
            excess,
            crowding,
            distance,
            device,
            (excess, crowding, distance, device),
            tuple((use[0], use[1]) for use in uses if use[1]),
            trust,
            apart,
            together,
            tuple((host.name, address) for address, _policy in guest.pci_devices),
            bool(apart or together or guest.pci_devices),
            shares,
        )

    def stay(self, mover: Mover) -> Option | None:
        """Return the option that leaves a running guest where it is; None for one that has to move or does not run."""
        if mover.stay is None:
            return None
        running, guest = mover.stay, mover.guest
        host = self.by_name[t.cast(str, mover.held_host)]
        pool = host.pools[running.pool]
        place = self.place(host, pool, running.nodes)
        uses = None if place is None else self.uses(guest, host, pool, place)
        if place is None or uses is None:
            return None
        demand = [(self.resource[host.name, node], size) for node, size in sorted(running.held.items())]
        demand.append((self.resource[host.name, None], sum(running.held.values())))
        crowding = max(0, guest.vcpus - place.cores) if self.roomy[host.name, pool.id] else 0
        return self._option(
            guest, host, place, tuple(demand), uses, self._excess(self.shape(mover), host, place), crowding
        )

    def _draft(self, shape: Shape, host: Host, pool: Pool, nodes: tuple[int, ...]) -> Draft | None:
        """What the guest would be on these nodes, None when it cannot be there even alone; its groups are another matter."""
        key = (host.name, nodes)
        if key not in shape.drafts:
            shape.drafts[key] = self._new_draft(shape, host, pool, nodes)
        return shape.drafts[key]

    def _new_draft(self, shape: Shape, host: Host, pool: Pool, nodes: tuple[int, ...]) -> Draft | None:
        guest = shape.guest
        place = self.place(host, pool, nodes)
        if place is None or guest.vcpus > place.pus or not self.permitted(guest, host, pool, place):
            return None
        if place.borrows and guest.nodes is None and guest.policy_on(host.name).memory_only_nodes != "allow":
            return None
        if guest.pci_devices and self.device_fault(guest, host, place) is not None:
            return None
        demand, capacity = self.demand(shape.mover, place), self.capacity
        shares = self.even(guest, place)
        if shares is not None and any(amount > capacity[resource] for resource, amount in demand[:-1]):
            held = shape.mover.held if host.name == shape.mover.held_host else {}
            room = {node: capacity[self.resource[host.name, node]] + held.get(node, 0) for node in shares}
            shares = shares_within(guest, room)
            if shares is None:
                return None
            demand = self.demand(shape.mover, place, shares)
        for resource, amount in demand:
            if amount > capacity[resource]:
                return None
        uses = self.uses(guest, host, pool, place)
        if uses is None:
            return None
        shared = guest.vcpus - len(guest.dedicated_on(host.name))
        crowding = max(0, shared - place.cores) if self.roomy[host.name, pool.id] else 0
        return place, demand, crowding, uses, shares

    def permitted(self, guest: Guest, host: Host, pool: Pool, place: Place) -> bool:
        """Whether the guest's wishes about nodes permit the place."""
        if guest.nodes is not None:
            return place.nodes == guest.nodes
        policy = guest.policy_on(host.name)
        if policy.numa_policy == "preferred":
            return True
        if policy.numa_policy == "spread":
            return all(
                number in place.nodes for number in pool.cells if host.nodes[number].memory_free is not None
            )
        return len(place.nodes) == policy.node_count

    def even(self, guest: Guest, place: Place) -> Shares | None:
        """Return even shares of a guest that has virtual nodes there, None for one that has none."""
        if guest.vnuma and has_virtual_nodes(guest, place.host, place.memory_nodes, place.cpu_nodes):
            return even_shares(guest.memory, place.memory_nodes)
        return None

    def taken(self, guest: Guest, place: Place, shares: Shares | None = None) -> dict[int, int]:
        """Return the bytes of each node that the guest takes there, evenly where no `shares` are given."""
        shares = self.even(guest, place) if shares is None else shares
        return split_evenly(guest.need, place.memory_nodes) if shares is None else taken_with(guest, shares)

    def demand(self, mover: Mover, place: Place, shares: Shares | None = None) -> tuple[tuple[int, int], ...]:
        """Return the bytes of each resource that the guest takes there; the last one is the host as a whole."""
        taken = self.taken(mover.guest, place, shares)
        if place.host == mover.held_host and mover.stay is None:
            taken = {node: max(0, amount - mover.held.get(node, 0)) for node, amount in taken.items()}
        demand = [(self.resource[place.host, node], amount) for node, amount in taken.items()]
        demand.append((self.resource[place.host, None], sum(taken.values())))
        return tuple(demand)

    def uses(self, guest: Guest, host: Host, pool: Pool, place: Place) -> tuple[Use, ...] | None:
        """Return what the guest takes of each cell of the place; None when there are not enough cores that it could have for itself."""
        weights = {node: pool.cells[node].cores for node in place.cpu_nodes}
        own = guest.dedicated_on(host.name)
        shared = (guest.vcpus - len(own)) * VCPU
        parts = split_load(shared, weights)
        loads = (
            parts
            if guest.weight == NORMAL_WEIGHT
            else split_load(shared * guest.weight // NORMAL_WEIGHT, weights)
        )
        apart = guest.trust_group is not None and not host.core_scheduling
        cores = (
            cores_needed(len(own), guest.policy_on(host.name).thread_policy, pool, place.cpu_nodes)
            if own
            else {}
        )
        if cores is None:
            return None
        uses = []
        for node in place.cpu_nodes:
            cell = self.cell[host.name, pool.id, node]
            part, load = parts.get(node, 0), loads.get(node, 0)
            trusted = part if apart else 0
            alone = cores.get(node, 0) + -(-trusted // (VCPU * self.cells.threads[cell]))
            if alone > self.cells.dedicable[cell]:
                return None
            uses.append((cell, 0 if apart else load, 0 if apart else part, cores.get(node, 0), trusted))
        return tuple(uses)

    # PCI devices and dom0's backends.

    def device_fault(self, guest: Guest, host: Host, place: Place) -> str | None:
        """Say why the guest's PCI devices forbid the place, None when they do not."""
        if host.devices is None:
            return f"the facts of {host.name} do not list PCI devices"
        for address, policy in guest.pci_devices:
            if address not in host.devices:
                return f"{host.name} has no PCI device {address}"
            if (host.name, address) in self.owned:
                return f"PCI device {address} of {host.name} belongs to a running guest"
            node = host.devices[address]
            if policy == "required" and node is None:
                return f"it is not known at which node PCI device {address} of {host.name} is"
            if policy == "required" and node not in place.nodes:
                return f"PCI device {address} of {host.name} is at node {node}"
        return None

    def device_cost(self, guest: Guest, host: Host, nodes: t.Sequence[int]) -> int:
        """Ways from the guest's cores on these nodes to its devices and to dom0's nodes, in thousandths of (SLIT / 10 - 1)."""
        cost = 0
        for address, _policy in guest.pci_devices:
            at = (host.devices or {}).get(address)
            if at is not None:
                cost += _way(host, nodes, [at])
        if guest.policy_on(host.name).backend_locality == "preferred" and host.backends:
            cost += _way(host, nodes, host.backends)
        return cost


def cores_needed(vcpus: int, thread_policy: str, pool: Pool, nodes: t.Sequence[int]) -> dict[int, int] | None:
    """Whole cores of each node that so many dedicated vCPUs take when they are dealt out to the nodes; None when a node cannot do it.

    With "isolate" each vCPU has a core and the core's other threads stay idle; with "prefer" vCPUs fill the threads of a core before
    the next one; "require" is the same and wants cores with at least two threads.
    """
    cores: dict[int, int] = {}
    for node, count in deal(vcpus, nodes).items():
        cell = pool.cells[node]
        if thread_policy == "require" and cell.threads < 2:
            return None
        cores[node] = count if thread_policy == "isolate" else -(-count // cell.threads)
    return cores


def _way(host: Host, sources: t.Sequence[int], targets: t.Sequence[int]) -> int:
    """Mean excess of the way over a local one, thousandths of (SLIT / 10 - 1); what cannot be reached counts as 255."""
    ways = [(host.distance(a, b) or 255) - 10 for a in sources for b in targets]
    return sum(ways) * 100 // len(ways)


def units_of(scope: str, host: Host, nodes: t.Sequence[int]) -> tuple[t.Any, ...]:
    """Return the hosts, packages or nodes that nodes of a host are in."""
    if scope == "host":
        return (host.name,)
    if scope == "node":
        return tuple((host.name, node) for node in nodes)
    return tuple(sorted({(host.name, package) for node in nodes for package in host.packages.get(node, ())}))


def _units(
    guest: Guest, host: Host, place: Place
) -> tuple[tuple[tuple[str, t.Any, int], ...], tuple[tuple[str, t.Any], ...]]:
    apart: list[tuple[str, t.Any, int]] = []
    together: list[tuple[str, t.Any]] = []
    for membership in guest.groups:
        group = membership.group
        for unit in units_of(group.scope, host, place.nodes):
            if group.policy == "affinity":
                together.append((group.name, unit))
            else:
                apart.append((group.name, unit, membership.part))
    return tuple(apart), tuple(together)


def _too_many_parts(guest: Guest, host: Host, place: Place) -> bool:
    """Whether the place is in several units of which an affinity group of the guest wants one."""
    return any(
        membership.group.policy == "affinity"
        and len(units_of(membership.group.scope, host, place.nodes)) != 1
        for membership in guest.groups
    )
