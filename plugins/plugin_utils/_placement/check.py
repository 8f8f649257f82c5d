# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Whether a plan keeps every hard rule. Independent of the planner: it knows facts, the request and the plan as data, and computes anew.

A plan may come from anywhere: from the planner, from a file, or from somebody who edited one.
"""

from __future__ import annotations

import itertools
import typing as t

from ...module_utils._errors import Failure
from ...module_utils._topology.cpuset import CpuSet, CpuSetError
from ...module_utils._topology.model import Domain, Topology
from .capacity import core_scheduling, low_memory
from .check_steps import replay
from .model import Guest, Policy, Reserve
from .settings import PLAIN, Settings

ACTIONS = ("keep", "repin", "migrate", "move", "restart", "create")


class Violation(t.NamedTuple):
    """A rule that is broken. `guest` is None for what concerns a host or the whole plan."""

    guest: str | None
    rule: str
    text: str


class Seat:
    """A guest as the plan places it, with its masks read."""

    def __init__(self, guest: Guest, entry: t.Mapping[str, t.Any], topology: Topology) -> None:
        self.guest, self.entry, self.topology = guest, entry, topology
        self.host = str(entry["host"])
        self.policy: Policy = guest.policy_on(self.host)
        self.nodes = tuple(int(node) for node in entry["nodes"])
        self.pool = _pool(topology, str(entry["cpupool"]))
        # A guest that is not to be touched has no wish that could be carried out.
        frozen = guest.do_not_touch and entry["action"] == "keep"
        self.own = () if frozen else guest.dedicated_on(self.host)
        self.trust_group = None if frozen else guest.trust_group
        self.hard = [self._mask(text) for text in _each(entry["hard"], guest.vcpus)]
        self.soft = [self._mask(text) for text in _each(entry["soft"], guest.vcpus)]

    def _mask(self, text: str) -> CpuSet:
        return self.pool if text == "all" else CpuSet.parse(text)

    def cpus(self) -> CpuSet:
        """Online CPUs of its nodes in its cpupool."""
        found = CpuSet()
        for node in self.nodes:
            found |= self.topology.node(node).cpuset & self.pool
        return found

    def cores(self, cpus: CpuSet) -> CpuSet:
        """All online PUs of the cpupool on the cores that these CPUs are on."""
        found = CpuSet()
        for core in self.topology.cores:
            if core.complete_cpuset & cpus:
                found |= core.complete_cpuset & self.pool
        return found or cpus


def check_plan(
    plan: t.Mapping[str, t.Any],
    topologies: t.Mapping[str, Topology],
    guests: t.Sequence[Guest],
    reserve: Reserve,
    settings: Settings = PLAIN,
) -> list[Violation]:
    """Return what the plan breaks, nothing when it breaks nothing. Raises :class:`Failure` when it is no plan at all."""
    try:
        return _Check(plan, topologies, guests, reserve, settings).run()
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise Failure(
            f"this is no plan of dom0.xen.placement_plan for these hosts ({error.__class__.__name__}: {error} while reading it)"
        ) from error


class _Check:
    def __init__(
        self,
        plan: t.Mapping[str, t.Any],
        topologies: t.Mapping[str, Topology],
        guests: t.Sequence[Guest],
        reserve: Reserve,
        settings: Settings,
    ) -> None:
        self.plan, self.topologies, self.settings = plan, topologies, settings
        self.reserves = {name: settings.reserves.get(name, reserve) for name in topologies}
        self.guests = {guest.name: guest for guest in guests}
        self.running = {
            name: {domain.name: domain for domain in topology.domains or () if domain.domid and domain.name}
            for name, topology in topologies.items()
        }
        self.found: list[Violation] = []
        self.seats: list[Seat] = []

    def say(self, guest: str | None, rule: str, text: str) -> None:
        kept = text.startswith(("vCPU",) if guest is None else ("vCPU", guest))
        self.found.append(Violation(guest, rule, (text if kept else text[:1].upper() + text[1:]) + "."))

    def run(self) -> list[Violation]:
        self.everybody()
        for entry in self.plan["guests"]:
            name = entry["name"]
            if name not in self.guests or entry["host"] not in self.topologies:
                if name in self.guests:
                    self.say(
                        name, "host", f"{name} is to be on {entry['host']}, which is not one of the hosts"
                    )
                continue
            try:
                self.seats.append(Seat(self.guests[name], entry, self.topologies[entry["host"]]))
            except CpuSetError as error:
                self.say(name, "masks", f"a mask of {name} cannot be read: {error}")
        self.seats = [seat for seat in self.seats if self.place(seat)]
        for seat in self.seats:
            self.masks(seat)
            self.devices(seat)
            self.action(seat)
            self.virtual(seat)
        self.alone()
        self.trust()
        self.ratio()
        self.owners()
        self.groups()
        self.budget()
        self.memory()
        return self.found

    # Who.

    def everybody(self) -> None:
        """Every guest is placed or not, once."""
        named = [entry["name"] for entry in [*self.plan["guests"], *self.plan["unplaced"]]]
        for name in sorted(set(named)):
            if named.count(name) > 1:
                self.say(name, "guests", f"{name} is in the plan {named.count(name)} times")
            if name not in self.guests and not self._evacuated(name):
                self.say(name, "guests", f"{name} is in the plan, but was not asked for")
        for name in self.guests:
            if name not in named:
                self.say(name, "guests", f"{name} is asked for, but not in the plan")

    def _evacuated(self, name: str) -> bool:
        """A guest that is not asked for but runs on a host that is to be emptied. Its domain says what it is."""
        for host in self.settings.evacuate:
            domain = self.running.get(host, {}).get(name)
            if domain is not None:
                memory = -(-domain.memory // (1 << 20)) * (1 << 20)
                self.guests[name] = Guest(name, max(1, domain.max_vcpus), memory)
                return True
        return False

    # Where.

    def place(self, seat: Seat) -> bool:
        """Its host, cpupool and nodes. False when the nodes do not even exist: then nothing else can be said about it."""
        guest, topology, nodes = seat.guest, seat.topology, seat.nodes
        name = guest.name
        known = {node.os_index: node for node in topology.nodes}
        lost = [node for node in nodes if node not in known]
        if lost or not nodes:
            self.say(
                name, "nodes", f"{name} is to be on nodes {list(nodes)}, and {seat.host} has {sorted(known)}"
            )
            return False
        if guest.host not in (None, seat.host):
            self.say(name, "host", f"{name} is to be on {seat.host}, but {guest.host} is asked for")
        pool = str(guest.pool) if guest.pool is not None else None
        if pool is not None and pool not in (
            seat.entry["cpupool"],
            str(_pool_id(topology, seat.entry["cpupool"])),
        ):
            self.say(
                name, "pool", f"{name} is to be in cpupool {seat.entry['cpupool']}, but {pool} is asked for"
            )
        if seat.entry["action"] in ("keep", "repin"):
            return True  # it is where it runs; what the request wants of its nodes decides whether it may stay, and it does
        if seat.host in self.settings.evacuate:
            self.say(name, "evacuate", f"{name} is to go to {seat.host}, which is to be emptied")
        if not any(known[node].cpuset & seat.pool for node in nodes):
            self.say(name, "nodes", f"none of the nodes {list(nodes)} of {name} has a CPU of its cpupool")
        if all(known[node].memory_free is None for node in nodes):
            self.say(name, "nodes", f"none of the nodes {list(nodes)} of {name} has memory")
        if any(topology.distance(a, b) is None for a, b in itertools.permutations(nodes, 2)):
            self.say(name, "distance", f"the nodes {list(nodes)} of {name} cannot reach one another")
        if len(seat.cpus()) < guest.vcpus:
            self.say(
                name,
                "cpus",
                f"{name} has {guest.vcpus} vCPUs and its nodes have {len(seat.cpus())} online CPUs",
            )
        if guest.nodes is not None:
            if nodes != tuple(sorted(guest.nodes)):
                self.say(
                    name,
                    "nodes",
                    f"{name} is to be on nodes {list(nodes)}, but {list(guest.nodes)} are asked for",
                )
            return True
        count = seat.policy.node_count
        if count is not None and len(nodes) != count:
            self.say(
                name,
                "numa_policy",
                f"{name} is to be on {len(nodes)} nodes, and its numa_policy is {seat.policy.numa_policy}",
            )
        whole = tuple(
            node
            for node in sorted(known)
            if known[node].cpuset & seat.pool and known[node].memory_free is not None
        )
        if seat.policy.numa_policy == "spread" and nodes != whole:
            self.say(
                name,
                "numa_policy",
                f"{name} is to be on nodes {list(nodes)}, and spread asks for {list(whole)}",
            )
        if seat.policy.memory_only_nodes == "avoid":
            bare = [node for node in nodes if not known[node].cpuset & seat.pool]
            if bare:
                self.say(
                    name,
                    "memory_only_nodes",
                    f"{name} is to have memory of nodes {bare}, which have no CPUs of its cpupool",
                )
        return True

    def masks(self, seat: Seat) -> None:
        guest = seat.guest
        for kind, masks in (("hard", seat.hard), ("soft", seat.soft)):
            if len(masks) != guest.vcpus:
                self.say(
                    guest.name, "masks", f"{guest.name} has {guest.vcpus} vCPUs and {len(masks)} {kind} masks"
                )
        for vcpu, mask in enumerate(seat.hard):
            if not mask & seat.pool:
                self.say(
                    guest.name,
                    "masks",
                    f"vCPU {vcpu} of {guest.name} could run on no online CPU of its cpupool",
                )
        pinned = seat.hard if seat.policy.pin == "hard" else seat.soft if seat.policy.pin == "soft" else []
        if guest.cpus is not None and not guest.do_not_touch and any(mask != guest.cpus for mask in pinned):
            self.say(
                guest.name,
                "cpus",
                f"{guest.name} is to have CPUs {seat.entry['cpuset']}, but {guest.cpus} are asked for",
            )
        if seat.entry["action"] in ("keep", "repin"):
            return
        allowed = seat.cpus()
        for vcpu, mask in enumerate(pinned):
            if vcpu not in seat.own and seat.trust_group is None and not mask <= allowed:
                self.say(
                    guest.name,
                    "pin",
                    f"vCPU {vcpu} of {guest.name} may run on {mask - allowed}, beyond its nodes",
                )
        for vcpu in seat.own:
            if not seat.hard[vcpu] <= allowed:
                self.say(
                    guest.name,
                    "pin",
                    f"vCPU {vcpu} of {guest.name} may run on {seat.hard[vcpu] - allowed}, beyond its nodes",
                )

    def action(self, seat: Seat) -> None:
        """The action is one that what runs calls for and the request permits."""
        guest, entry = seat.guest, seat.entry
        name, action = guest.name, entry["action"]
        if action not in ACTIONS:
            self.say(
                name, "action", f"{name} has the action {action!r}, which is none of {', '.join(ACTIONS)}"
            )
            return
        homes = [host for host in self.topologies if name in self.running[host]]
        alive = [host for host in homes if self.running[host][name].state != "dying"]
        if action == "create" and alive:
            self.say(name, "action", f"{name} is to be created, but runs on {', '.join(alive)}")
        if action != "create" and not homes:
            self.say(name, "action", f"{name} has the action {action}, but does not run")
        if guest.do_not_touch and alive and action != "keep":
            self.say(name, "do_not_touch", f"{name} is not to be touched, but has the action {action}")
        if action in ("keep", "repin") and seat.host not in homes:
            self.say(name, "action", f"{name} has the action {action} on {seat.host}, but does not run there")
        live = self.settings.rebalance != "none" or bool(self.settings.evacuate)
        if action in ("migrate", "move") and not live:
            self.say(name, "rebalance", f"{name} has the action {action}, which was not permitted")

    def virtual(self, seat: Seat) -> None:
        """Virtual nodes are of the guest's nodes, have all of its memory and vCPUs, and each vCPU prefers the CPUs of its own."""
        vnodes, guest = seat.entry.get("vnuma"), seat.guest
        if vnodes is None:
            return
        name, nodes = guest.name, [int(vnode["node"]) for vnode in vnodes]
        if not guest.vnuma:
            self.say(name, "vnuma", f"{name} is to have virtual nodes, and none are asked for")
        if sorted(nodes) != sorted(seat.nodes) or len(nodes) < 2:
            self.say(
                name,
                "vnuma",
                f"{name} is to have virtual nodes of {nodes}, and is on nodes {list(seat.nodes)}",
            )
            return
        sizes = [int(vnode["memory_bytes"]) for vnode in vnodes]
        if sum(sizes) != guest.memory or any(size <= 0 or size % (1 << 20) for size in sizes):
            self.say(
                name,
                "vnuma",
                f"the virtual nodes of {name} have {sizes} bytes: whole MiB are needed, together its memory of {guest.memory}",
            )
        members = [CpuSet.parse(vnode["vcpus"]) for vnode in vnodes]
        every = CpuSet(vcpu for those in members for vcpu in those)
        if any(not those for those in members) or every != CpuSet(range(guest.vcpus)):
            self.say(
                name, "vnuma", f"the virtual nodes of {name} do not have each of its vCPUs, and one each"
            )
        elif sum(len(those) for those in members) != guest.vcpus:
            self.say(name, "vnuma", f"a vCPU of {name} is in two of its virtual nodes")
        elif seat.entry["action"] not in ("keep", "repin"):
            for node, those in zip(nodes, members, strict=True):
                there = seat.topology.node(node).cpuset & seat.pool
                for vcpu in those:
                    bound = seat.hard[vcpu] if vcpu in seat.own else seat.soft[vcpu]
                    if not bound <= there:
                        self.say(
                            name,
                            "vnuma",
                            f"vCPU {vcpu} of {name} is to prefer {bound}, and its virtual node is on {there}",
                        )

    # Cores.

    def alone(self) -> None:
        """Dedicated vCPUs have whole cores that nobody else of the plan may run on."""
        owned: dict[str, list[tuple[Seat, CpuSet]]] = {}
        for seat in self.seats:
            if not seat.own:
                continue
            guest = seat.guest
            grouped = core_scheduling(seat.topology)
            by_core: dict[CpuSet, int] = {}
            used = CpuSet()
            for vcpu in seat.own:
                mask = seat.hard[vcpu] & seat.pool
                core = seat.cores(mask)
                if len(mask) != 1 and not (grouped and mask == core):
                    self.say(
                        guest.name,
                        "cpu_policy",
                        f"vCPU {vcpu} of {guest.name} is dedicated and may run on {mask}",
                    )
                if len(mask) == 1 and mask & used:
                    self.say(
                        guest.name,
                        "cpu_policy",
                        f"vCPU {vcpu} of {guest.name} shares CPU {mask} with another of its vCPUs",
                    )
                used |= mask
                by_core[core] = by_core.get(core, 0) + 1
            for core, number in by_core.items():
                if seat.policy.thread_policy == "isolate" and number > 1:
                    self.say(
                        guest.name,
                        "thread_policy",
                        f"{number} vCPUs of {guest.name} are on the core {core}, and it is to be isolated",
                    )
                if seat.policy.thread_policy == "require" and len(core) < 2:
                    self.say(
                        guest.name,
                        "thread_policy",
                        f"the core {core} of {guest.name} has a single thread, and threads are required",
                    )
            owned.setdefault(seat.host, []).append((seat, seat.cores(used)))
        for host, owners in owned.items():
            for seat, cores in owners:
                for other in self.seats:
                    if other.host != host:
                        continue
                    vcpus = [
                        vcpu
                        for vcpu, mask in enumerate(other.hard)
                        if mask & cores and not (other is seat and vcpu in seat.own)
                    ]
                    if vcpus and not other.guest.do_not_touch:
                        self.say(
                            other.guest.name,
                            "cpu_policy",
                            f"vCPU {vcpus[0]} of {other.guest.name} may run on {other.hard[vcpus[0]] & cores}, which {seat.guest.name} is to have alone",
                        )

    def trust(self) -> None:
        """Guests of different trust groups never share a core."""
        by_group: dict[tuple[str, str | None], CpuSet] = {}
        for seat in self.seats:
            if core_scheduling(seat.topology) or seat.guest.do_not_touch:
                continue
            cpus = CpuSet()
            for vcpu, mask in enumerate(seat.hard):
                if vcpu not in seat.own:
                    cpus |= seat.cores(mask & seat.pool)
            key = (seat.host, seat.trust_group)
            by_group[key] = by_group.get(key, CpuSet()) | cpus
        for ((host, one), mine), ((other_host, other), theirs) in itertools.combinations(
            sorted(by_group.items(), key=lambda item: (item[0][0], item[0][1] or "")), 2
        ):
            if host == other_host and one != other and mine & theirs:
                names = " and ".join("guests of none" if group is None else group for group in (one, other))
                self.say(
                    None, "trust_group", f"trust groups {names} share the CPUs {mine & theirs} of {host}"
                )

    def ratio(self) -> None:
        """No node with anything new on it has more vCPUs than its limit."""
        for host, topology in self.topologies.items():
            limit = self.reserves[host].cpu_allocation_ratio
            if limit is None:
                continue
            load: dict[int, float] = {}
            taken = CpuSet()
            new: set[int] = set()
            for seat in self.seats:
                if seat.host != host:
                    continue
                taken |= seat.cores(CpuSet(cpu for vcpu in seat.own for cpu in seat.hard[vcpu] & seat.pool))
                shared = seat.guest.vcpus - len(seat.own)
                if seat.trust_group is not None and not core_scheduling(topology):
                    for vcpu, mask in enumerate(seat.hard):
                        taken |= mask if vcpu not in seat.own else CpuSet()
                    continue
                for node, part in _spread(topology, seat.cpus(), shared).items():
                    load[node] = load.get(node, 0) + part
                    if seat.entry["action"] not in ("keep", "repin") and shared:
                        new.add(node)
            for domain in topology.domains or ():
                if not domain.domid or domain.name in self.guests:
                    continue
                pool = next(
                    (pool.cpuset for pool in topology.cpupools if pool.id == domain.cpupool), topology.cpuset
                )
                for one in domain.vcpus:
                    wished = (one.hard & one.soft & pool or one.hard & pool) & topology.cpuset
                    for node, part in _spread(topology, wished or pool, 1 if one.online else 0).items():
                        load[node] = load.get(node, 0) + part
            for node in sorted(new):
                pus = len((topology.node(node).cpuset & topology.cpuset) - taken)
                if load[node] > limit * pus + 0.01 * (len(self.seats) + 1):
                    self.say(
                        None,
                        "cpu_allocation_ratio",
                        f"node {node} of {host} gets {load[node]:.1f} vCPUs for {pus} CPUs, and {limit} each are permitted",
                    )

    # Devices and groups.

    def devices(self, seat: Seat) -> None:
        for address, policy in seat.guest.pci_devices:
            device = next(
                (found for found in seat.topology.pci_devices or () if found.address == address), None
            )
            if device is None:
                self.say(seat.guest.name, "pci_devices", f"{seat.host} has no PCI device {address}")
            elif policy == "required" and device.node not in seat.nodes:
                self.say(
                    seat.guest.name,
                    "pci_devices",
                    f"PCI device {address} is at node {device.node}, and {seat.guest.name} on {list(seat.nodes)}",
                )

    def owners(self) -> None:
        owner: dict[tuple[str, str], str] = {}
        for host, topology in self.topologies.items():
            names = {domain.domid: domain.name for domain in topology.domains or ()}
            for device in topology.pci_devices or ():
                name = None if device.assigned_to is None else names.get(device.assigned_to)
                if device.assigned_to is not None and name not in self.guests:
                    owner[host, device.address] = name or f"domain {device.assigned_to}"
        for seat in self.seats:
            for address, _policy in seat.guest.pci_devices:
                first = owner.setdefault((seat.host, address), seat.guest.name)
                if first != seat.guest.name:
                    self.say(
                        seat.guest.name,
                        "pci_devices",
                        f"PCI device {address} of {seat.host} is to be {first}'s and {seat.guest.name}'s",
                    )

    def groups(self) -> None:
        members: dict[t.Any, list[tuple[Seat, int]]] = {}
        for seat in self.seats:
            for membership in seat.guest.groups:
                members.setdefault(membership.group, []).append((seat, membership.part))
        for group, seats in members.items():
            units = [(seat, part, _units(group.scope, seat)) for seat, part in seats]
            there = {
                frozenset(mine) for seat, _part, mine in units if seat.entry["action"] in ("keep", "repin")
            }
            if group.policy == "affinity" and len(there) > 1:
                continue  # those that run are not together: nobody can be with all of them
            for (one, part, mine), (other, other_part, theirs) in itertools.combinations(units, 2):
                names = f"{one.guest.name} and {other.guest.name}"
                still = {one.entry["action"], other.entry["action"]} <= {"keep", "repin"}
                if still:
                    continue  # they run so
                if group.policy == "affinity" and not _near(frozenset(mine), frozenset(theirs), there):
                    self.say(
                        one.guest.name,
                        "groups",
                        f"{names} of group {group.name} are not on one {group.scope}",
                    )
                if group.policy == "anti-affinity" and part != other_part and mine & theirs:
                    self.say(
                        one.guest.name, "groups", f"{names} of group {group.name} are on one {group.scope}"
                    )

    # Moves and memory.

    def budget(self) -> None:
        """No more guests are moved for the good of the whole than may be."""
        if self.settings.rebalance == "none":
            return
        moved = [
            seat.guest.name
            for seat in self.seats
            if seat.entry["action"] in ("migrate", "move", "restart") and not self._must_go(seat)
        ]
        if len(moved) > self.settings.max_moves:
            self.say(
                None, "max_moves", f"{len(moved)} guests are moved, and {self.settings.max_moves} may be"
            )

    def _must_go(self, seat: Seat) -> bool:
        """Whether the request itself does not let the guest stay where it runs."""
        source = seat.entry.get("from") or {}
        host, nodes = source.get("host"), tuple(source.get("nodes") or ())
        domain: Domain | None = self.running.get(str(host), {}).get(seat.guest.name)
        policy = seat.guest.policy_on(str(host))
        return (
            domain is None
            or domain.state in ("shutdown", "crashed")
            or host in self.settings.evacuate
            or seat.guest.host not in (None, host)
            or seat.guest.pool is not None
            or (seat.guest.nodes is not None and seat.guest.nodes != nodes)
            or (policy.node_count is not None and policy.node_count != len(nodes))
            or bool(seat.own)
            or seat.guest.trust_group is not None
        )

    def memory(self) -> None:
        """Every step fits, one after the other, and the steps lead to the plan."""
        free: dict[str, dict[int | None, int]] = {}
        for name, topology in self.topologies.items():
            reserve = self.reserves[name]
            low = low_memory(topology) if reserve.low_memory else {}
            nodes: dict[int | None, int] = {}
            for node in topology.nodes:
                if node.memory_free is not None:
                    kept = max(reserve.node_memory, low.get(node.os_index, 0))
                    nodes[node.os_index] = max(0, node.memory_free - kept)
            whole = sum(node.memory_free or 0 for node in topology.nodes)
            nodes[None] = whole - (topology.memory.outstanding or 0) - reserve.host_memory
            free[name] = nodes
        for guest, text in replay(self.plan, self.guests, self.topologies, free):
            self.say(guest, "steps", text)


def _each(masks: t.Any, vcpus: int) -> list[str]:
    """One text for each vCPU."""
    return [str(mask) for mask in masks] if isinstance(masks, (list, tuple)) else [str(masks)] * vcpus


def _pool(topology: Topology, name: str) -> CpuSet:
    for pool in topology.cpupools:
        if name in (pool.name, str(pool.id)):
            return pool.cpuset & topology.cpuset
    if topology.cpupools:
        raise KeyError(f"no cpupool {name}")
    return topology.cpuset


def _pool_id(topology: Topology, name: str) -> int:
    return next((pool.id for pool in topology.cpupools if pool.name == name), 0)


def _spread(topology: Topology, cpus: CpuSet, vcpus: int) -> dict[int, float]:
    """vCPUs on each node in proportion to the cores there."""
    cores = {
        node.os_index: topology.cores_of(node.cpuset & cpus) or len(node.cpuset & cpus)
        for node in topology.nodes
    }
    total = sum(cores.values())
    return {node: vcpus * number / total for node, number in cores.items() if number} if total else {}


def _near(mine: frozenset[t.Any], theirs: frozenset[t.Any], there: t.Collection[frozenset[t.Any]]) -> bool:
    """Whether two guests are in one unit. One that runs in several (`there`: those of guests that run) is in each of them."""
    for wide, other in ((mine, theirs), (theirs, mine)):
        if len(wide) > 1 and wide in there:
            return len(other) == 1 and other <= wide
    return mine == theirs and len(mine) == 1


def _units(scope: str, seat: Seat) -> set[t.Any]:
    if scope == "host":
        return {seat.host}
    if scope == "node":
        return {(seat.host, node) for node in seat.nodes}
    return {
        (seat.host, package.os_index)
        for package in seat.topology.packages
        if any(node in package.nodeset for node in seat.nodes)
    }
