# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Who is where on a host, now and after a plan. Pure.

A *tenant* is a domain as it is drawn. On each CPU that its affinity singles out it has a mark: *hard* where it is confined to the CPU,
*soft* where it prefers it, *allowed* where hard affinity lets it be but soft affinity wishes it elsewhere. A tenant without any such
mask floats: it would be on every CPU, and is named beside the picture instead. Sizes are bytes.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils._errors import Failure
from ...module_utils._errors import shown as quoted
from ...module_utils._topology.cpuset import CpuSet, CpuSetError
from ...module_utils._topology.model import Domain, Topology, Vcpu
from . import palette
from .words import shown

#: As many vCPUs as Xen can give to a guest.
MOST_VCPUS = 8192
HARD, SOFT, ALLOWED = "hard", "soft", "allowed"
_STRENGTH = (ALLOWED, SOFT, HARD)

Data = t.Mapping[str, t.Any]
Masks = t.Sequence[t.Tuple[CpuSet, CpuSet, CpuSet]]  # vCPUs, their hard and their soft affinity


@dataclasses.dataclass(frozen=True)
class Tenant:
    """A domain as it is drawn. `colour` None is dom0; `action` is what the plan does with it, empty without a plan."""

    key: str
    name: str
    colour: int | None
    vcpus: int
    marks: t.Mapping[int, str]
    affinity: str
    memory: int
    memory_by_node: t.Mapping[int, int] | None
    floats: bool = False
    action: str = ""

    @property
    def changes(self) -> bool:
        """Whether the plan does anything with it."""
        return self.action not in ("", "keep")


@dataclasses.dataclass(frozen=True)
class _Found:
    """A tenant before it gets its key: `identity` is the same before and after."""

    identity: str
    is_dom0: bool
    name: str
    vcpus: int
    masks: Masks
    room: CpuSet
    memory: int
    memory_by_node: t.Mapping[int, int] | None
    action: str = ""


def tenants_now(topology: Topology) -> tuple[Tenant, ...]:
    """The domains that run, dom0 first; dom0 alone when the facts have no domains."""
    found = _running(topology)
    return _with_keys(found, found, topology)


def tenants_around(
    topology: Topology, plan: Data, host: str
) -> tuple[tuple[Tenant, ...], tuple[Tenant, ...]]:
    """The tenants before and after the plan; one has the same key and colour in both."""
    before = _running(topology)
    after = _planned(before, topology, plan, host)
    known = {one.identity for one in before}
    new = sorted((one for one in after if one.identity not in known), key=lambda one: one.name)
    everybody = [*before, *new]
    return _with_keys(before, everybody, topology), _with_keys(after, everybody, topology)


def _running(topology: Topology) -> list[_Found]:
    if topology.domains is None:
        return [_dom0_alone(topology)] if topology.dom0_vcpus else []
    return [_of_domain(domain, topology) for domain in topology.domains]


def _dom0_alone(topology: Topology) -> _Found:
    vcpus = topology.dom0_vcpus
    return _Found("#0", True, "Domain-0", len(vcpus), _group(vcpus), _room(topology, None), 0, None)


def _of_domain(domain: Domain, topology: Topology) -> _Found:
    by_node = domain.memory_by_node
    return _Found(
        identity=f"#{domain.domid}",
        is_dom0=domain.domid == 0,
        name=domain.name or f"domid {domain.domid}",
        vcpus=domain.max_vcpus,
        masks=_group(domain.vcpus),
        room=_room(topology, domain.cpupool),
        memory=domain.memory,
        memory_by_node=by_node,
    )


def _group(vcpus: t.Iterable[Vcpu]) -> Masks:
    groups: dict[tuple[CpuSet, CpuSet], list[int]] = {}
    for vcpu in vcpus:
        groups.setdefault((vcpu.hard, vcpu.soft), []).append(vcpu.vcpu)
    return [(CpuSet(ids), hard, soft) for (hard, soft), ids in groups.items()]


def _room(topology: Topology, pool: int | str | None) -> CpuSet:
    """The CPUs that a domain could run on were it not for its affinity: those of its cpupool, by id or name."""
    for one in topology.cpupools:
        if pool is not None and pool in (one.id, one.name):
            return one.cpuset
    return topology.cpuset or topology.online_cpuset


def _planned(before: t.Sequence[_Found], topology: Topology, plan: Data, host: str) -> list[_Found]:
    """What runs, with the guests of the plan as it wants them, and without those that it sends elsewhere."""
    after = {one.identity: one for one in before}
    for entry in plan["guests"]:
        here = _identity(entry, before, host)
        if entry.get("host") != host:
            # a guest of another host may have the same name
            if "from" not in entry or (entry["from"] or {}).get("host") == host:
                after.pop(here, None)
            continue
        known = after.get(here)
        after[here] = _of_entry(entry, here, known, topology)
    return list(after.values())


def _identity(entry: Data, before: t.Sequence[_Found], host: str) -> str:
    """Whom of those that run the entry means: by domain id where that is one of this host, else by name."""
    name = str(entry["name"])
    if entry.get("domid") is not None and entry.get("host") == host:
        return f"#{entry['domid']}"
    return next((one.identity for one in before if one.name == name and not one.is_dom0), name)


def _of_entry(entry: Data, identity: str, known: _Found | None, topology: Topology) -> _Found:
    name = str(entry["name"])
    vcpus = int(entry.get("vcpus") or (known.vcpus if known else 0))
    if not 0 <= vcpus <= MOST_VCPUS:
        raise Failure(
            f"the plan is damaged: {name}: vcpus should be at most {MOST_VCPUS}, not {quoted(vcpus)}"
        )
    by_node = entry.get("memory_by_node")
    return _Found(
        identity=identity,
        is_dom0=False,
        name=name,
        vcpus=vcpus,
        masks=_entry_masks(entry, vcpus, topology),
        room=_room(topology, entry.get("cpupool")),
        memory=int(entry.get("memory_bytes") or (known.memory if known else 0)),
        memory_by_node=None if by_node is None else {int(node): int(size) for node, size in by_node.items()},
        action=str(entry.get("action") or ""),
    )


def _entry_masks(entry: Data, vcpus: int, topology: Topology) -> Masks:
    hard, soft = (
        _each(entry.get(kind), vcpus, f"{entry['name']}: {kind}", topology) for kind in (HARD, SOFT)
    )
    groups: dict[tuple[CpuSet, CpuSet], list[int]] = {}
    for vcpu, masks in enumerate(zip(hard, soft, strict=True)):
        groups.setdefault(masks, []).append(vcpu)
    return [(CpuSet(ids), *masks) for masks, ids in groups.items()]


def _each(masks: t.Any, vcpus: int, where: str, topology: Topology) -> list[CpuSet]:
    """A mask for each vCPU, from one for all of them or a list with one for each."""
    if not isinstance(masks, list):
        return [_mask(masks, where, topology)] * vcpus
    if len(masks) != vcpus:
        raise Failure(f"the plan is damaged: {where}: {len(masks)} masks for {vcpus} vCPUs")
    return [_mask(mask, where, topology) for mask in masks]


def _mask(text: t.Any, where: str, topology: Topology) -> CpuSet:
    if text in (None, "all"):
        return topology.complete_cpuset
    try:
        return CpuSet.parse(str(text))
    except CpuSetError as error:
        raise Failure(f"the plan is damaged: {where}: {error}") from error


def _with_keys(
    some: t.Sequence[_Found], everybody: t.Sequence[_Found], topology: Topology
) -> tuple[Tenant, ...]:
    """Keys and colours go by the order of everybody: dom0, the others by domain id, then who is new by name."""
    guests = [one.identity for one in everybody if not one.is_dom0]
    numbers = {identity: number for number, identity in enumerate(guests)}
    return tuple(_tenant(one, numbers.get(one.identity), topology) for one in some)


def _tenant(found: _Found, number: int | None, topology: Topology) -> Tenant:
    return Tenant(
        key="d0" if number is None else palette.guest_key(number),
        # a name of blanks alone would not be seen
        name=shown(found.name) if found.name.strip() else f'"{found.name}"',
        colour=number,
        vcpus=found.vcpus,
        marks=_marks(found),
        affinity=_affinity_words(found, topology),
        memory=found.memory,
        memory_by_node=found.memory_by_node,
        floats=bool(found.masks) and not any(list(_split(*masks)) for masks in _within(found)),
        action=found.action,
    )


def _within(found: _Found) -> t.Iterator[tuple[CpuSet, CpuSet, CpuSet]]:
    """Hard and soft affinity within the room, and the room, for each group of vCPUs."""
    for _vcpus, hard, soft in found.masks:
        yield hard & found.room, soft & hard & found.room, found.room


def _marks(found: _Found) -> dict[int, str]:
    """The strongest mark that any of its vCPUs has on each CPU of its pool."""
    marks: dict[int, str] = {}
    for masks in _within(found):
        for cpus, mark in _split(*masks):
            for cpu in cpus:
                marks[cpu] = max(mark, marks.get(cpu, ALLOWED), key=_STRENGTH.index)
    return marks


def _split(hard: CpuSet, soft: CpuSet, room: CpuSet) -> t.Iterator[tuple[CpuSet, str]]:
    """The CPUs by mark for one pair of masks, both within the room. Soft affinity that leaves nothing or everything says nothing."""
    if soft and soft != hard:
        yield soft, SOFT
        if hard != room:
            yield hard - soft, ALLOWED
    elif hard != room:
        yield hard, HARD


def _affinity_words(found: _Found, topology: Topology) -> str:
    """``hard 4-7``, ``soft 0-3``, ``any CPU``; where vCPUs differ, each group by its numbers."""
    words = []
    for vcpus, hard, soft in found.masks:
        parts = [
            f"{kind} {mask & topology.complete_cpuset or 'none'}"
            for kind, mask in ((HARD, hard), (SOFT, soft))
            if not topology.complete_cpuset <= mask
        ]
        text = " ".join(parts) or "any CPU"
        words.append(f"vCPU {vcpus} {text}" if len(found.masks) > 1 else text)
    return ", ".join(words) or "not known"
