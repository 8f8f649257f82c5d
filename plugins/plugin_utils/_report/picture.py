# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.
"""What a picture of a host shows, before anything is drawn: boxes, tenants, memory of each node, and what a plan changes. Pure.

Sizes are bytes. Every picture (SVG, HTML, text) is drawn from this one value.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils._errors import Failure
from ...module_utils._topology.cpuset import CpuSet
from ...module_utils._topology.facts_reading import from_facts
from ...module_utils._topology.model import Cache, CpuKind, NumaNode, PciDevice, Topology
from .tenants import Tenant, tenants_around, tenants_now
from .tree import Box, cache_name, tree
from .words import count, shown, size_text

Data = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class NodeMemory:
    """Memory of a node. `rest` is in no tenant's hands as far as is known: Xen's own, holes in the address range, not measured."""

    total: int | None
    free: int | None
    shares: tuple[tuple[Tenant, int], ...]
    rest: int


@dataclasses.dataclass(frozen=True)
class View:
    """The host at one time. `title` is "now", "before" or "after"."""

    title: str
    tenants: tuple[Tenant, ...]
    memory: t.Mapping[int, NodeMemory]

    def on(self, cpu: int) -> tuple[tuple[Tenant, str], ...]:
        """The tenants with a mark on the CPU, and the mark."""
        return tuple((tenant, tenant.marks[cpu]) for tenant in self.tenants if cpu in tenant.marks)


@dataclasses.dataclass(frozen=True)
class Picture:
    """One host. `views` are one, or two with a plan: before and after."""

    name: str
    topology: Topology
    root: Box
    views: tuple[View, ...]
    notes: tuple[str, ...]

    @property
    def noun(self) -> str:
        """What it is where it has no name: a machine without Xen is no Xen host."""
        return "Machine" if self.topology.bare else "Xen host"

    @property
    def pools(self) -> bool:
        """Whether it has to be said which cpupool a CPU is in."""
        return len(self.topology.cpupools) > 1 or bool(self.topology.cpupool_free)

    @property
    def changes(self) -> bool:
        """Whether the plan changes anything that is drawn."""
        drawn = [
            [(tenant.key, tenant.marks, tenant.memory_by_node) for tenant in view.tenants]
            for view in self.views
        ]
        return drawn[0] != drawn[-1]

    def counts(self) -> str:
        """``2 packages, 4 nodes, 8 cores, 16 CPUs (2 offline)``."""
        host = self.topology
        offline = sum(1 for pu in host.pus if pu.online is False)
        cpus = count(len(host.pus), "CPU") + (f" ({offline} offline)" if offline else "")
        parts = [count(len(host.packages), "package"), count(len(host.nodes), "node")]
        return ", ".join([*parts, count(len(host.cores), "core"), cpus])

    def caches(self) -> str:
        """``L1d 32 KiB for 1 CPU, L3 16 MiB for 8 CPUs``; empty where Xen did not tell."""
        return ", ".join(_cache_words(cache) for cache in self.topology.caches)

    @property
    def kinds(self) -> tuple[CpuKind, ...]:
        """The kinds of CPUs, none where all are alike."""
        kinds = self.topology.cpu_kinds
        return kinds if len(kinds) > 1 else ()

    def kinds_of(self, cpus: CpuSet) -> list[int]:
        """Which of the kinds the CPUs are of."""
        return [index for index, kind in enumerate(self.kinds) if cpus & kind.complete_cpuset]

    def kind_words(self, cpus: CpuSet) -> str:
        """``kind 1``, or what the user calls it; several where the CPUs are of several, empty where all of the host's are alike."""
        return ", ".join(_kind_name(index, self.kinds[index]) for index in self.kinds_of(cpus))

    def all_kinds(self) -> str:
        """``kind 0: CPUs 16-23, 1 thread a core, at most 3.8 GHz; kind 1: ..``, the thriftiest first where that is known."""
        order = " (thriftiest first)" if all(kind.efficiency is not None for kind in self.kinds) else ""
        kinds = "; ".join(_about_kind(index, kind) for index, kind in enumerate(self.kinds))
        return f"Kinds of CPUs{order}: {kinds}" if kinds else ""

    def devices(self, node: int | None) -> list[PciDevice]:
        """The PCI devices at a node, or None for those of which nobody knows where they are. Without the parts of the chipset."""
        found = self.topology.pci_devices or ()
        return [device for device in found if device.node == node and device.class_id[:2] not in _CHIPSET]

    def device_words(self, device: PciDevice) -> str:
        """``0000:41:00.0 network eth0``, with the guest that has it; where Linux has no name for it, what the device calls itself."""
        names = [*device.network, *device.block, *device.infiniband, *device.gpu]
        kind = [] if device.class_name == _NO_CLASS and device.device else [device.class_name]
        words = " ".join(
            shown(word) for word in (device.address, *kind, *(names or [device.device or ""])) if word
        )
        owner = self.owner(device)
        return f"{words} ({owner})" if owner else words

    def owner(self, device: PciDevice) -> str:
        """The guest that has the device, or that it is kept for guests; empty when it is dom0's."""
        if device.assigned_to is None:
            return "kept for guests" if device.assignable else ""
        for domain in self.topology.domains or ():
            if domain.domid == device.assigned_to:
                return f"given to {shown(domain.name or f'domid {domain.domid}')}"
        return f"given to domid {device.assigned_to}"


#: Bridges, memory controllers, system peripherals, signal processing: no guest asks where they are.
_CHIPSET = ("05", "06", "08", "11")
_NO_CLASS = "unclassified"


def _kind_name(index: int, kind: CpuKind) -> str:
    return shown(kind.name or f"kind {index}")


def _about_kind(index: int, kind: CpuKind) -> str:
    words = [f"CPUs {kind.complete_cpuset}"]
    if kind.threads_per_core:
        words.append(f"{count(kind.threads_per_core, 'thread')} a core")
    if kind.max_khz:
        words.append(f"at most {kind.max_khz / 1e6:.3g} GHz")
    return f"{_kind_name(index, kind)}: {', '.join(words)}"


def _cache_words(cache: Cache) -> str:
    if cache.cpusets is None:
        return f"{cache_name(cache)}, shared by whom is not known"
    # on a host with several kinds of cores not all share it with as many
    *fewer, most = sorted(set(map(len, cache.cpusets))) or [0]
    return f"{cache_name(cache)} for {''.join(f'{number} or ' for number in fewer)}{count(most, 'CPU')}"


class Hosts(t.NamedTuple):
    """Topologies by name of host, and why facts of others cannot be used. `fleet`: they came as a dictionary of hosts."""

    topologies: dict[str, Topology]
    left_out: dict[str, str]
    fleet: bool


def read_hosts(facts: t.Any, name: str = "") -> Hosts:
    """Read one host's facts, or a dictionary of such facts, in which a host whose facts cannot be used costs that host alone.

    Raises Failure for anything else, and when no host is left.
    """
    if not isinstance(facts, t.Mapping) or "schema_version" in facts or not facts:
        return Hosts({name: from_facts(facts)}, {}, False)
    hosts = Hosts({}, {}, True)
    for host, of_host in facts.items():
        try:
            hosts.topologies[str(host)] = from_facts(of_host)
        except Failure as failure:
            hosts.left_out[str(host)] = failure.message.rstrip(".")
    if not hosts.topologies:
        raise Failure("; ".join(f"{host}: {reason}" for host, reason in hosts.left_out.items()))
    return hosts


def left_out_words(left_out: t.Mapping[str, str]) -> list[str]:
    """A sentence for each host that is not drawn."""
    return [
        f"{shown(host)} is left out, its facts cannot be used: {shown(reason)}."
        for host, reason in left_out.items()
    ]


def read_plan(plan: t.Any) -> Data | None:
    """The plan of dom0.xen.placement_plan; None where there is none. Raises Failure for anything else."""
    if not plan:
        return None
    entries = plan.get("guests") if isinstance(plan, t.Mapping) else None
    if not isinstance(entries, t.Sequence) or isinstance(entries, str):
        raise Failure("this is no plan: give the result of dom0.xen.placement_plan")
    for index, entry in enumerate(entries):
        if not isinstance(entry, t.Mapping) or "name" not in entry or "host" not in entry:
            raise Failure(f"the plan is damaged: guests[{index}] should have at least a name and a host")
    return t.cast(Data, plan)


def picture(name: str, topology: Topology, plan: Data | None = None) -> Picture:
    """What there is to show of a host, with a plan also what becomes of it."""
    root, crossing = tree(topology)
    now = {
        node.os_index: (node.memory_total or node.memory_spanned, node.memory_free) for node in topology.nodes
    }
    if plan is None:
        views = [_view("now", tenants_now(topology), now)]
    else:
        before, after = tenants_around(topology, plan, name)
        views = [_view("before", before, now), _view("after", after, _after(now, before, after, plan, name))]
    return Picture(
        name=shown(name or topology.host_name or ""),
        topology=topology,
        root=root,
        views=tuple(views),
        notes=tuple(shown(note) for note in (*topology.warnings, *crossing, *_plan_warnings(plan, name))),
    )


Sizes = t.Dict[int, t.Tuple[t.Optional[int], t.Optional[int]]]


def _view(title: str, tenants: tuple[Tenant, ...], sizes: Sizes) -> View:
    memory = {}
    for node, (total, free) in sizes.items():
        shares = tuple(
            (tenant, size)
            for tenant in tenants
            for size in [(tenant.memory_by_node or {}).get(node, 0)]
            if size > 0
        )
        known = sum(size for _tenant, size in shares) + (free or 0)
        memory[node] = NodeMemory(total, free, shares, max((total or known) - known, 0))
    return View(title, tenants, memory)


def _after(now: Sizes, before: t.Sequence[Tenant], after: t.Sequence[Tenant], plan: Data, host: str) -> Sizes:
    """Total and free memory of each node after the plan: its own figure where it has one, else what guests take and give back."""
    said = {
        int(node["os_index"]): node.get("memory_free_after_bytes")
        for node in ((plan.get("hosts") or {}).get(host) or {}).get("nodes") or []
    }
    sizes: Sizes = {}
    for node, (total, free) in now.items():
        if said.get(node) is not None:
            sizes[node] = total, max(int(said[node]), 0)
        elif free is None:
            sizes[node] = total, None
        else:
            taken, given = (
                sum((tenant.memory_by_node or {}).get(node, 0) for tenant in side) for side in (after, before)
            )
            sizes[node] = total, max(free - taken + given, 0)
    return sizes


def _plan_warnings(plan: Data | None, host: str) -> list[str]:
    if plan is None:
        return []
    return [str(text) for text in ((plan.get("hosts") or {}).get(host) or {}).get("warnings") or []]


def cpu_words(pu: t.Any, view: View, picture: Picture) -> str:
    """One sentence on a CPU: where it is, whether it is online, and whose it is."""
    place = [
        f"{word} {number}"
        for word, number in (("core", pu.core), ("package", pu.package), ("node", pu.node))
        if number is not None
    ]
    place += [words for words in [picture.kind_words(CpuSet([pu.os_index]))] if words]
    state = {True: "", False: ", offline", None: ", not known whether online"}[pu.online]
    pool = pool_name(pu, picture)
    marks = [
        f"{tenant.name} ({mark}{', ' + tenant.action if tenant.changes else ''})"
        for tenant, mark in view.on(pu.os_index)
    ]
    said = f"CPU {pu.os_index}{state}: {', '.join(place) or 'place not known'}{', ' + pool if pool else ''}"
    return f"{said}; {', '.join(marks)}" if marks else said


def pool_name(pu: t.Any, picture: Picture) -> str:
    """The CPU's cpupool where there are several; a CPU in none is said to be free."""
    if not picture.pools:
        return ""
    for pool in picture.topology.cpupools:
        if pool.id == pu.cpupool:
            return f"cpupool {shown(pool.name or pool.id)}"
    return "in no cpupool" if pu.online else ""


def memory_words(node: NumaNode, memory: NodeMemory) -> str:
    """``949 MiB of 1.5 GiB free``, in the words of the facts where something is unknown."""
    if memory.total is None and memory.free is None:
        return "no memory"
    if memory.total is None:
        return f"{size_text(memory.free)} free"
    return f"{size_text(memory.free)} of {size_text(memory.total)} free"


def share_words(memory: NodeMemory) -> list[str]:
    """Whose the memory is, one share a text, the rest and what is free at the end."""
    words = [f"{tenant.name} {size_text(size)}" for tenant, size in memory.shares]
    if memory.rest:
        words.append(f"rest {size_text(memory.rest)}")
    return [*words, f"free {size_text(memory.free)}"]
