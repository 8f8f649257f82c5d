# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Which cores exactly: those of dedicated vCPUs, those of trust groups, and what is left for everybody else; and the masks that follow."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...module_utils._topology.cpuset import CpuSet
from .capacity import split_load
from .model import VCPU, Cell, Guest, Host, Pool, deal

#: (hard, soft) of each vCPU.
Masks = tuple[tuple[CpuSet, CpuSet], ...]


@dataclass(frozen=True)
class Claim:
    """A guest with its place, as far as cores are concerned. `masks`: (hard, soft) of each vCPU as it has them or is to have them, if known.

    `home`: the node of each vCPU of a guest that has virtual nodes.
    """

    guest: Guest
    host: Host
    pool: Pool
    cpu_nodes: tuple[int, ...]
    masks: Masks = ()
    home: tuple[int, ...] = ()


@dataclass
class Cores:
    """`own`: for each guest its vCPUs that have a mask of their own. `trusted`: CPUs of (host, pool, node, trust group).

    `exclusive`: CPUs of each (host, pool) that somebody has for himself. `caches`: for guests that keep to one last-level cache its CPUs.
    """

    own: dict[str, dict[int, CpuSet]] = field(default_factory=dict)
    trusted: dict[tuple[str, int, int, str], CpuSet] = field(default_factory=dict)
    exclusive: dict[tuple[str, int], CpuSet] = field(default_factory=dict)
    caches: dict[str, CpuSet] = field(default_factory=dict)


@dataclass(frozen=True)
class Affinity:
    """Masks for each vCPU, None for any CPU, and `cpuset`, all CPUs that the plan has for the guest. `every`: those of its cpupool.

    `cache`: those of the last-level cache that its shared vCPUs keep to, None for no such.
    """

    cpuset: CpuSet
    hard: tuple[CpuSet | None, ...]
    soft: tuple[CpuSet | None, ...]
    every: CpuSet
    cache: CpuSet | None = None

    def text(self, kind: str) -> str | list[str]:
        """Write the masks in list format or "all": one for all vCPUs, or when they differ a list with one for each."""
        masks = self.hard if kind == "hard" else self.soft
        texts = ["all" if mask is None else str(mask) for mask in masks]
        return texts[0] if len(set(texts)) == 1 else texts

    def matches(self, now: t.Sequence[tuple[CpuSet, CpuSet]]) -> bool:
        """Tell whether a domain's masks, (hard, soft) for each vCPU, are these. vCPUs beyond the guest's are like its last one."""
        last = len(self.hard) - 1
        return all(
            masks == (self.hard[min(vcpu, last)] or self.every, self.soft[min(vcpu, last)] or self.every)
            for vcpu, masks in enumerate(now)
        )


def choose_cores(claims: t.Iterable[Claim]) -> Cores:
    """Give out whole cores. A guest with masks keeps the cores that these are on where they will do; the others get the lowest numbers."""
    cores = Cores()
    taken: dict[tuple[str, int], CpuSet] = {}
    ordered = sorted(claims, key=lambda claim: claim.guest.name)
    with_own = [claim for claim in ordered if claim.guest.dedicated_on(claim.host.name)]
    fresh = []
    for claim in with_own:
        kept = _kept(claim, taken.get((claim.host.name, claim.pool.id), CpuSet()))
        if kept is None:
            fresh.append(claim)
            continue
        cores.own[claim.guest.name] = kept
        for mask in kept.values():
            _take(taken, claim, _whole_cores(claim.pool, mask))
    for claim in fresh:
        cores.own[claim.guest.name] = _fresh(claim, taken)
    groups: dict[tuple[str, int, int, str], tuple[Claim, int]] = {}
    by_node: dict[tuple[str, int, int], list[Claim]] = {}
    for claim in ordered:
        for node in claim.cpu_nodes:
            by_node.setdefault((claim.host.name, claim.pool.id, node), []).append(claim)
        group = claim.guest.trust_group
        if group is None or claim.host.core_scheduling:
            continue
        for node, part in _shared_parts(claim).items():
            key = (claim.host.name, claim.pool.id, node, group)
            first, sum_of_parts = groups.get(key, (claim, 0))
            groups[key] = (first, sum_of_parts + part)
    for (host, pool, node, group), (claim, part) in sorted(groups.items(), key=lambda item: item[0]):
        cell = claim.pool.cells[node]
        number = -(-part // (VCPU * cell.threads))
        chosen = CpuSet()
        for core in _available(cell, taken.get((host, pool), CpuSet()))[:number]:
            chosen |= core
        cores.trusted[host, pool, node, group] = chosen
        _take(taken, claim, chosen)
    cores.exclusive = taken
    for (host, pool, node), there in by_node.items():
        cores.caches |= _share_caches(there, node, taken.get((host, pool), CpuSet()))
    return cores


def _share_caches(claims: t.Sequence[Claim], node: int, taken: CpuSet) -> dict[str, CpuSet]:
    """Give guests of one node that fit a last-level cache one each, so that no cache has more load for each core than the node.

    A guest fits a cache that has a core for each of its shared vCPUs. One with masks keeps to the cache that these are on where that will
    do. The guests of the node that fit none, or are on other nodes too, use all caches alike.
    """
    cell = claims[0].pool.cells[node]
    free = [core for core in cell.siblings if not core & taken]
    room = {cache: sum(1 for core in free if core <= cache) for cache in cell.caches}
    sharing = [claim for claim in claims if _shared_parts(claim).get(node) and not _apart(claim)]
    whole = sum(_shared_parts(claim)[node] for claim in sharing)
    load = dict.fromkeys(room, 0)

    def fits(claim: Claim, cache: CpuSet) -> bool:
        part = _shared_parts(claim)[node]
        after = load[cache] + part
        return part <= room[cache] * VCPU and after * len(free) <= room[cache] * max(whole, len(free) * VCPU)

    chosen: dict[str, CpuSet] = {}
    ordered = sorted(
        (
            claim
            for claim in sharing
            if room
            and claim.guest.cpus is None
            and len(claim.cpu_nodes) == 1
            and claim.guest.policy_on(claim.host.name).cache_policy == "preferred"
        ),
        key=lambda claim: (_now(claim, room) is None, -claim.guest.vcpus, claim.guest.name),
    )
    for claim in ordered:
        now = _now(claim, room)
        homes = [cache for cache in ([now] if now is not None else room) if fits(claim, cache)]
        homes = homes or [cache for cache in room if fits(claim, cache)]
        if homes:
            best = min(homes, key=lambda cache: (load[cache] * 1000 // room[cache], cache.first()))
            chosen[claim.guest.name] = CpuSet(cpu for core in free if core <= best for cpu in core)
            load[best] += _shared_parts(claim)[node]
    return chosen


def _apart(claim: Claim) -> bool:
    return claim.guest.trust_group is not None and not claim.host.core_scheduling


def _now(claim: Claim, caches: t.Iterable[CpuSet]) -> CpuSet | None:
    """The cache that a guest's masks keep it to."""
    now = {soft if soft < claim.pool.cpuset else hard for hard, soft in claim.masks}
    return next((cache for cache in caches if now and all(mask and mask <= cache for mask in now)), None)


def affinity_of(claim: Claim, cores: Cores) -> Affinity:
    """Return the masks of a guest."""
    guest, host, pool = claim.guest, claim.host, claim.pool
    exclusive = cores.exclusive.get((host.name, pool.id), CpuSet())
    rest = pool.cpuset - exclusive
    shared = CpuSet()
    apart = guest.trust_group is not None and not host.core_scheduling
    for node in claim.cpu_nodes:
        if apart:
            shared |= cores.trusted.get((host.name, pool.id, node, t.cast(str, guest.trust_group)), CpuSet())
        else:
            shared |= pool.cells[node].cpuset & rest
    if guest.cpus is not None:
        shared = guest.cpus
    pin = guest.policy_on(host.name).pin
    cache = cores.caches.get(guest.name) if pin != "none" else None
    masks: tuple[CpuSet | None, CpuSet | None]
    if apart or pin == "hard":
        masks = (shared, cache)
    else:
        # Nobody may run where somebody is to be alone.
        shared = cache or shared
        masks = (rest if exclusive else None, shared if pin == "soft" else None)
    own = cores.own.get(guest.name, {})
    each = [(own[vcpu], None) if vcpu in own else masks for vcpu in range(guest.vcpus)]
    if not own:
        # A vCPU is at home where the memory is that the guest takes to be near it; with hard affinity it may leave, but not the guest's nodes.
        for vcpu, node in enumerate(claim.home):
            each[vcpu] = (masks[0], pool.cells[node].cpuset & rest)
    cpuset = shared if len(own) < guest.vcpus else CpuSet()
    for mask in own.values():
        cpuset |= mask
    return Affinity(
        cpuset, tuple(hard for hard, _soft in each), tuple(soft for _hard, soft in each), pool.cpuset, cache
    )


def _shared_parts(claim: Claim) -> dict[int, int]:
    shared = claim.guest.vcpus - len(claim.guest.dedicated_on(claim.host.name))
    return split_load(shared * VCPU, {node: claim.pool.cells[node].cores for node in claim.cpu_nodes})


def _take(taken: dict[tuple[str, int], CpuSet], claim: Claim, cpus: CpuSet) -> None:
    key = (claim.host.name, claim.pool.id)
    taken[key] = taken.get(key, CpuSet()) | cpus


def _available(cell: Cell, taken: CpuSet) -> list[CpuSet]:
    """Cores that can be given away, the lowest numbers first."""
    return [
        core
        for core in sorted(cell.siblings, key=lambda core: core.first())
        if core not in cell.blocked and not core & taken
    ]


def _by_cache(cell: Cell, free: list[CpuSet], wanted: int) -> list[CpuSet]:
    """The same cores, those first of the cache with the fewest that are enough; where none has enough, of the caches with the most."""
    homes = [[core for core in free if core <= cache] for cache in cell.caches]
    homes.sort(key=lambda home: (len(home) < wanted, len(home) if len(home) >= wanted else -len(home)))
    return [core for home in homes for core in home] if sum(map(len, homes)) == len(free) else free


def _whole_cores(pool: Pool, cpus: CpuSet) -> CpuSet:
    whole = CpuSet()
    for cell in pool.cells.values():
        for core in cell.siblings:
            if core & cpus:
                whole |= core
    return whole


def _fresh(claim: Claim, taken: dict[tuple[str, int], CpuSet]) -> dict[int, CpuSet]:
    """Deal the guest's dedicated vCPUs out to its nodes, and there to free cores."""
    own = claim.guest.dedicated_on(claim.host.name)
    isolate = claim.guest.policy_on(claim.host.name).thread_policy == "isolate"
    masks: dict[int, CpuSet] = {}
    vcpus = iter(own)
    for node, number in deal(len(own), claim.cpu_nodes).items():
        cell = claim.pool.cells[node]
        wanted = number if isolate else -(-number // cell.threads)
        free = _by_cache(
            cell, _available(cell, taken.get((claim.host.name, claim.pool.id), CpuSet())), wanted
        )
        used = CpuSet()
        for place in range(number):
            core = free[place if isolate else place // cell.threads]
            used |= core
            if claim.host.core_scheduling:
                masks[next(vcpus)] = core
            else:
                thread = 0 if isolate else place % cell.threads
                masks[next(vcpus)] = CpuSet([list(core)[thread]])
        _take(taken, claim, used)
    return masks


def _kept(claim: Claim, taken: CpuSet) -> dict[int, CpuSet] | None:
    """Those of a guest's masks that are for its dedicated vCPUs, when they are what a fresh choice might have been; else None."""
    own = claim.guest.dedicated_on(claim.host.name)
    if len(claim.masks) < claim.guest.vcpus or claim.host.core_scheduling:
        return None
    isolate = claim.guest.policy_on(claim.host.name).thread_policy == "isolate"
    masks = {vcpu: claim.masks[vcpu][0] for vcpu in own}
    vcpus = iter(own)
    every = CpuSet()
    for node, number in deal(len(own), claim.cpu_nodes).items():
        cell = claim.pool.cells[node]
        available = _available(cell, taken)
        on: dict[CpuSet, int] = {}
        for _place in range(number):
            mask = masks[next(vcpus)]
            homes = [core for core in available if mask <= core]
            if len(mask) != 1 or not homes or mask & every:
                return None
            every |= mask
            on[homes[0]] = on.get(homes[0], 0) + 1
        allowed = 1 if isolate else cell.threads
        if any(there > allowed for there in on.values()) or len(on) != -(-number // allowed):
            return None
    return masks
