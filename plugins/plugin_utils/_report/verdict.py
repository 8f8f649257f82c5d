# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Is a guest where it was wanted? Wanted against what the hypervisor says, one row a guest. Pure.

Two askers, one judge: a plan says exactly which nodes and masks a guest has (:func:`judge_plan`); an administrator may also
ask only for limits, such as "nobody on more than one node" (:func:`judge_limits`). Sizes are bytes.

A row is a JSON-able dict::

    {"name", "host", "domid": int|None, "state": str|None, "vcpus": int|None, "nodes": "1" or "" (any),
     "affinity": [{"vcpus": "0-3", "hard": "all", "soft": "4-7"}], "memory_bytes": int|None,
     "memory_by_node": {"1": bytes}|None, "memory_source": "debug_key"|"deltas"|None,
     "verdict": "good"|"bad"|"unproved"|"shared"|"planned"|"unplaced", "reasons": [str], "notes": [str]}

``good``: everything asked was measured and is right. ``bad``: something is not, `reasons` say what. ``unproved``: what was
measured is right, but where the memory is was not measured. ``shared``: it is as it was planned, but domains that the plan leaves alone may run on CPUs
that it has for itself; the row names them in ``shared_with``. ``planned``: nothing has been done yet (check mode). ``unplaced``:
the plan found no room for it, on any host.
"""

from __future__ import annotations

import typing as t

from ...module_utils._errors import Failure, printable, shown
from ...module_utils._topology.cpuset import CpuSet, CpuSetError
from ...module_utils._topology.expression import resolve
from ...module_utils._topology.facts_reading import from_facts
from ...module_utils._topology.model import Topology

Row = t.Dict[str, t.Any]
Data = t.Mapping[str, t.Any]
NodeBytes = t.Dict[int, int]


class Wanted(t.NamedTuple):
    """What a guest is held to. None and the empty set of nodes: anything goes."""

    name: str
    nodes: CpuSet  # its memory and its vCPUs belong to these nodes
    max_nodes: int | None  # its memory and its vCPUs may be on so many nodes
    hard: CpuSet | None  # every vCPU has exactly this hard affinity
    soft: CpuSet | None  # every vCPU has exactly this soft affinity


class Memory(t.NamedTuple):
    """Memory by node as it was measured, and how far the way it was measured can be off (bytes)."""

    source: str
    by_node: NodeBytes
    tolerance: int


def nodes_text(nodes: CpuSet) -> str:
    """``node 1`` or ``nodes 0-2``."""
    return f"node{'' if len(nodes) == 1 else 's'} {nodes}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def mib(size: float) -> str:
    """A size for people: ``512 MiB``, ``3.5 MiB``, and ``4 KiB`` below a tenth of a MiB. Decimals only below 100 MiB."""
    value = size / (1 << 20)
    if 0 < abs(value) < 0.1:
        return f"{size / 1024:.0f} KiB"
    return f"{value:.0f} MiB" if abs(value) >= 100 or abs(value - round(value)) < 0.05 else f"{value:.1f} MiB"


def _mask(text: str | None, topology: Topology) -> CpuSet:
    """A mask of the facts or of a plan: list format, or ``all``."""
    return topology.complete_cpuset if text in (None, "all") else CpuSet.parse(text)


def _mask_text(mask: CpuSet, topology: Topology) -> str:
    return "all" if topology.complete_cpuset and mask >= topology.complete_cpuset else str(mask)


def _nodes_of(cpus: CpuSet, topology: Topology) -> CpuSet:
    return CpuSet(node.os_index for node in topology.nodes if node.complete_cpuset & cpus)


def _with_neighbours(nodes: CpuSet, topology: Topology) -> CpuSet:
    """The nodes and, for those without CPUs, the nearest that have some: vCPUs can be no closer to such memory."""
    near: set[int] = set(nodes)
    for node in topology.nodes:
        if node.os_index in nodes and not node.cpuset:
            near.update(node.nearest_cpu_nodes)
    return CpuSet(near)


def _affinity(domain: Data) -> list[dict[str, str]]:
    """The vCPUs' masks, vCPUs with the same masks in one entry, in the order of the vCPUs."""
    groups: dict[tuple[str, str], list[int]] = {}
    for vcpu in domain.get("vcpus") or []:
        groups.setdefault((str(vcpu["hard"]), str(vcpu["soft"])), []).append(int(vcpu["vcpu"]))
    return [{"vcpus": str(CpuSet(ids)), "hard": hard, "soft": soft} for (hard, soft), ids in groups.items()]


def _check_masks(wanted: Wanted, domain: Data, topology: Topology) -> list[str]:
    """Exact masks: each that is not as wanted, in a sentence."""
    reasons = []
    for group in _affinity(domain):
        for kind, mask in (("hard", wanted.hard), ("soft", wanted.soft)):
            if mask is None:
                continue
            actual = _mask(group[kind], topology)
            if actual & topology.complete_cpuset != mask & topology.complete_cpuset:
                reasons.append(
                    f"vCPU {group['vcpus']} has {kind} affinity {_mask_text(actual, topology)}"
                    f" instead of {_mask_text(mask, topology)}."
                )
    return reasons


def _reach(domain: Data, topology: Topology) -> dict[CpuSet, list[int]]:
    """For each set of nodes, the vCPUs whose masks keep them there. Soft counts where hard leaves it any CPU."""
    reach: dict[CpuSet, list[int]] = {}
    for group in _affinity(domain):
        hard, soft = (_mask(group[kind], topology) for kind in ("hard", "soft"))
        reach.setdefault(_nodes_of(hard & soft or hard, topology), []).extend(CpuSet.parse(group["vcpus"]))
    return {nodes: sorted(vcpus) for nodes, vcpus in reach.items()}


def _check_vcpu_nodes(allowed: CpuSet, domain: Data, topology: Topology) -> list[str]:
    return [
        f"vCPU {CpuSet(vcpus)} may run on {nodes_text(nodes)}, away from {nodes_text(allowed)}."
        for nodes, vcpus in _reach(domain, topology).items()
        if not nodes <= allowed
    ]


#: What an HVM guest may lack of its memory: there is none behind the hole for devices below 1 MiB (16 pages were seen to be missing).
_HOLE = (1 << 20) - 4096


def _check_memory(wanted: Wanted, memory: Memory, size: int | None) -> list[str]:
    """Memory on other nodes than wanted, on too many of them, or not found at all."""
    tolerance = memory.tolerance
    found = {node: amount for node, amount in memory.by_node.items() if amount > tolerance}
    reasons = []
    if wanted.nodes:
        away = {node: amount for node, amount in found.items() if node not in wanted.nodes}
        reasons += [
            f"{mib(amount)} of its memory are on node {node}." for node, amount in sorted(away.items())
        ]
    if wanted.max_nodes is not None and len(found) > wanted.max_nodes:
        reasons.append(
            f"Its memory is on {_plural(len(found), 'node')} ({CpuSet(found)}); allowed are {wanted.max_nodes}."
        )
    total = sum(amount for amount in memory.by_node.values() if amount > 0)
    if size is not None and not reasons and total < size - max(tolerance, _HOLE):
        reasons.append(f"Only {mib(total)} of its {mib(size)} were seen on any node.")
    return reasons


def _persistent_masks(keys: Data, name: str, count: int) -> list[str] | None:
    """What a configuration says of each vCPU, in xl's words; None when it says nothing that lasts."""
    value = keys.get(name)
    if value is None:
        return None
    if isinstance(value, list):
        return [str(item) for item in value[:count]] + ["all"] * (count - len(value))
    return [str(value)] * count


def _check_persistent(keys: Data, domain: Data, topology: Topology) -> list[str]:
    """Where what runs is not what its configuration says, and so would change with the next start, or has changed since the last.

    `keys` are the placement keys of the configuration, as guest_config returns them.
    """
    vcpus = sorted(domain.get("vcpus") or [], key=lambda vcpu: int(vcpu["vcpu"]))
    reasons = []
    for key, kind in (("cpus", "hard"), ("cpus_soft", "soft")):
        wanted = _persistent_masks(keys, key, len(vcpus))
        if wanted is None and kind == "soft":
            continue  # automatic placement sets it when the guest starts
        differ: dict[tuple[CpuSet, CpuSet], list[int]] = {}
        for vcpu, text in zip(vcpus, wanted or ["all"] * len(vcpus), strict=True):
            try:
                mask = resolve(text, topology)
            except CpuSetError as error:
                reasons.append(f"Its configuration has {key} that this host cannot give: {error}")
                break
            actual = _mask(str(vcpu[kind]), topology)
            if actual & topology.complete_cpuset != mask & topology.complete_cpuset:
                differ.setdefault((actual, mask), []).append(int(vcpu["vcpu"]))
        for (actual, mask), ids in differ.items():
            widened = (
                " Xen widens it like that, for good, when the last CPU of a mask goes offline or leaves the cpupool."
                if kind == "hard" and actual >= topology.complete_cpuset
                else ""
            )
            reasons.append(
                f"vCPU {CpuSet(ids)} has {kind} affinity {_mask_text(actual, topology)}, and its configuration says "
                f"{_mask_text(mask, topology)}.{widened}"
            )
    pools = {pool.id: pool.name for pool in topology.cpupools}
    pool = pools.get(domain.get("cpupool"))  # type: ignore[arg-type]
    if (
        keys.get("pool") is not None
        and pool is not None
        and str(keys["pool"]) not in (pool, str(domain.get("cpupool")))
    ):
        reasons.append(f"It is in cpupool {pool}, and its configuration says {keys['pool']}.")
    return reasons


def _running_elsewhere(nodes: CpuSet, domain: Data, topology: Topology) -> list[str]:
    """Soft affinity is a wish: say which vCPUs were running elsewhere at the moment of asking."""
    home = {pu.os_index: pu.node for pu in topology.pus}
    away = [
        f"vCPU {vcpu['vcpu']} was on CPU {vcpu['cpu']} (node {home.get(vcpu['cpu'])})"
        for vcpu in domain.get("vcpus") or []
        if vcpu.get("running") and vcpu.get("cpu") is not None and home.get(vcpu["cpu"]) not in nodes
    ]
    return [f"Soft affinity is a wish: when asked, {'; '.join(away)}."] if away else []


def judge(
    wanted: Wanted,
    domain: Data,
    memory: Memory | None,
    topology: Topology,
    host: str,
    size: int | None = None,
) -> Row:
    """One guest's row. `size`: bytes of memory that must have been found when memory was measured at all."""
    reasons = _check_masks(wanted, domain, topology)
    allowed = _with_neighbours(wanted.nodes, topology) if wanted.nodes else CpuSet()
    if allowed:
        reasons += _check_vcpu_nodes(allowed, domain, topology)
    if wanted.max_nodes is not None:
        reach = CpuSet(node for nodes in _reach(domain, topology) for node in nodes)
        if len(reach) > wanted.max_nodes:
            reasons.append(
                f"Its vCPUs may run on {_plural(len(reach), 'node')} ({reach}); allowed are {wanted.max_nodes}."
            )
    if memory is not None:
        reasons += _check_memory(wanted, memory, size)
        if wanted.max_nodes is not None and not wanted.nodes:
            home = CpuSet(node for node, amount in memory.by_node.items() if amount > memory.tolerance)
            reasons += _check_vcpu_nodes(_with_neighbours(home, topology), domain, topology)
    return {
        "name": wanted.name,
        "host": host,
        "domid": domain.get("domid"),
        "state": domain.get("state"),
        "vcpus": len(domain.get("vcpus") or []) or domain.get("max_vcpus"),
        "nodes": str(wanted.nodes),
        "affinity": _affinity(domain),
        "memory_bytes": size if size is not None else domain.get("memory_bytes"),
        "memory_by_node": None if memory is None else {str(n): b for n, b in sorted(memory.by_node.items())},
        "memory_source": None if memory is None else memory.source,
        "verdict": "bad" if reasons else "unproved" if memory is None else "good",
        "reasons": reasons,
        "notes": _running_elsewhere(allowed, domain, topology) if allowed else [],
    }


def _topology(facts: Data, host: str) -> Topology:
    if not isinstance(facts, t.Mapping) or "schema_version" not in facts:
        raise Failure(f"There are no facts of {host}: run dom0.xen.topology_facts on it first.")
    return from_facts(facts)


def _by_name(domains: t.Iterable[Data]) -> dict[str, Data]:
    return {str(domain["name"]): domain for domain in domains if domain.get("name") is not None}


def _measured(domain: Data | None) -> Memory | None:
    """What domain_info brought from the debug key: exact, to the page."""
    by_node = domain.get("memory_by_node") if domain else None
    if by_node is None:
        return None
    return Memory("debug_key", {int(node): int(amount) for node, amount in by_node.items()}, 0)


#: Actions of a plan that the roles leave to people.
_BY_HAND = {"restart": "restarted", "migrate": "migrated within its host", "move": "moved to this host"}


def _planned_masks(entry: Data, kind: str) -> list[str]:
    """A plan has one mask for all vCPUs, or one for each."""
    masks = entry[kind]
    return [str(mask) for mask in masks] if isinstance(masks, list) else [str(masks)]


def _planned_affinity(entry: Data) -> list[dict[str, str]]:
    """What a plan wants, vCPUs with the same masks in one entry; the vCPUs are not named when all have the same."""
    hard, soft = _planned_masks(entry, "hard"), _planned_masks(entry, "soft")
    if len(hard) == len(soft) == 1:
        return [{"vcpus": "", "hard": hard[0], "soft": soft[0]}]
    number = max(len(hard), len(soft))
    hard, soft = (masks * number if len(masks) == 1 else masks for masks in (hard, soft))
    vcpus = [
        {"vcpu": vcpu, "hard": one, "soft": other}
        for vcpu, (one, other) in enumerate(zip(hard, soft, strict=True))
    ]
    return _affinity({"vcpus": vcpus})


def _check_each_vcpu(entry: Data, domain: Data, topology: Topology) -> list[str]:
    """Masks that a plan has for each vCPU: each that is not as wanted, in a sentence."""
    reasons = []
    for kind in ("hard", "soft"):
        masks = _planned_masks(entry, kind)
        if len(masks) == 1:
            continue
        for vcpu in domain.get("vcpus") or []:
            number = int(vcpu["vcpu"])
            if number >= len(masks):
                continue
            actual, mask = _mask(str(vcpu[kind]), topology), _mask(masks[number], topology)
            if actual & topology.complete_cpuset != mask & topology.complete_cpuset:
                reasons.append(
                    f"vCPU {number} has {kind} affinity {_mask_text(actual, topology)} instead of {_mask_text(mask, topology)}."
                )
    return reasons


def _sharing(
    entry: Data, steps: t.Sequence[Data], present: t.Mapping[str, Data], topology: Topology
) -> dict[str, CpuSet]:
    """The domains that may run on CPUs that a guest has for itself, with these CPUs. `steps` are the plan's, to keep domains off such CPUs.

    The domain's masks count where they were read back, else what the plan says.
    """
    found = {}
    masks = [_mask(mask, topology) for mask in _planned_masks(entry, "hard")]
    for step in steps:
        # CPUs of other cpupools are nobody's there
        apart = _pool_of(int(step["domid"]), topology) - _mask(step["hard"], topology)
        own = CpuSet(cpu for mask in masks for cpu in mask & apart)
        domain = present.get(str(step["guest"]))
        if domain is not None:
            own &= CpuSet(cpu for vcpu in domain["vcpus"] for cpu in _mask(str(vcpu["hard"]), topology))
        if own:
            found[str(step["guest"])] = own
    return found


def _pool_of(domid: int, topology: Topology) -> CpuSet:
    """The CPUs of a domain's cpupool; all where that is not known."""
    pools = {domain.cpupool for domain in topology.domains or () if domain.domid == domid}
    return next((pool.cpuset for pool in topology.cpupools if pool.id in pools), topology.complete_cpuset)


def _absent(name: str, host: str | None, verdict: str, reasons: list[str], entry: Data | None = None) -> Row:
    entry = entry or {}
    planned = _planned_affinity(entry) if "hard" in entry else []
    return {
        "name": name,
        "host": host,
        "domid": None,
        "state": None,
        "vcpus": entry.get("vcpus"),
        "nodes": str(CpuSet(entry.get("nodes") or ())),
        "affinity": planned,
        "memory_bytes": entry.get("memory_bytes"),
        "memory_by_node": None,
        "memory_source": None,
        "verdict": verdict,
        "reasons": reasons,
        "notes": [],
    }


def judge_plan(
    plan: Data,
    facts: Data,
    host: str,
    domains: t.Iterable[Data],
    deltas: t.Mapping[str, t.Mapping[str, int] | None] | None = None,
    tolerance: int = 0,
    check: bool = False,
    applied: t.Container[str] = (),
) -> list[Row]:
    """Rows of the guests that `plan` puts on `host`, in the plan's order, and of those that it could not place at all.

    `domains` as domain_info returns them; memory by node is taken from there when it was asked for, else from `deltas`, the
    free memory that each node lost around the guest's creation (module guest); `tolerance` (bytes a node) is for those, as
    Xen and dom0 may take or give memory at the same moment. With `check` a guest that does not exist yet is only planned. `applied` names
    the guests that were migrated or restarted, or with `check` would be.
    """
    topology = _topology(facts, host)
    present = _by_name(domains)
    loose = [
        step for step in plan.get("steps") or [] if step["action"] == "keep_off" and step["host"] == host
    ]
    rows = []
    for entry in plan["guests"]:
        if entry["host"] != host:
            continue
        name = str(entry["name"])
        domain = present.get(name)
        if check and name in applied:
            rows.append(_absent(name, host, "planned", [], entry))
            continue
        if entry["action"] in _BY_HAND and name not in applied:
            why = list(entry.get("reasons") or [])
            rows.append(
                _absent(
                    name,
                    host,
                    "bad",
                    [f"It would have to be {_BY_HAND[entry['action']]}, which is not done by itself.", *why],
                    entry,
                )
            )
            continue
        if domain is None:
            if check and entry["action"] == "create":
                rows.append(_absent(name, host, "planned", [], entry))
            else:
                rows.append(
                    _absent(
                        name,
                        host,
                        "bad",
                        ["It is not there any more: see its log under /var/log/xen."],
                        entry,
                    )
                )
            continue
        memory = _measured(domain)
        delta = (deltas or {}).get(name)
        if memory is None and delta is not None:
            memory = Memory("deltas", {int(node): int(amount) for node, amount in delta.items()}, tolerance)
        wanted = Wanted(
            name,
            CpuSet(entry["nodes"]),
            None,
            None if isinstance(entry["hard"], list) else _mask(entry["hard"], topology),
            None if isinstance(entry["soft"], list) else _mask(entry["soft"], topology),
        )
        if check and entry["action"] != "keep":
            rows.append(_absent(name, host, "planned", [], entry))
            continue
        row = judge(wanted, domain, memory, topology, host, int(entry["memory_bytes"]))
        wrong = _check_each_vcpu(entry, domain, topology)
        sharing = _sharing(entry, loose, present, topology)
        row["reasons"] += [
            *wrong,
            *(f"CPUs {cpus} are its own, and {other} may run there." for other, cpus in sharing.items()),
        ]
        if wrong:
            row["verdict"] = "bad"
        elif sharing and row["verdict"] != "bad":
            row.update(verdict="shared", shared_with=list(sharing))
        rows.append(row)
    for entry in plan.get("unplaced") or []:
        rows.append(_absent(str(entry["name"]), None, "unplaced", list(entry.get("reasons") or [])))
    return t.cast(t.List[Row], printable(rows))


_LIMITS = ("name", "nodes", "max_nodes", "hard", "soft")


def _limit(value: t.Any, where: str) -> int:
    """On how many nodes a guest may be."""
    try:
        limit = int(value)
    except (TypeError, ValueError, OverflowError):
        limit = 0
    if limit < 1:
        raise Failure(f"{where}: give a whole number from 1 up, not {shown(value)}.")
    return limit


def _wanted(entry: t.Any, index: int, topology: Topology, max_nodes: int | None) -> Wanted:
    """One checked entry of the list of guests that an administrator gives."""
    where = f"verify_guests[{index}]"
    if not isinstance(entry, t.Mapping) or not isinstance(entry.get("name"), str) or not entry["name"]:
        raise Failure(f"{where}: give a mapping with at least the name of a guest, not {shown(entry)}.")
    for key in entry:
        if key not in _LIMITS:
            raise Failure(
                f"{where} ({entry['name']}): {key} is not a known field; known are {', '.join(_LIMITS)}."
            )
    masks: dict[str, CpuSet | None] = {"hard": None, "soft": None}
    for kind in masks:
        if entry.get(kind) is not None:
            try:
                masks[kind] = resolve(entry[kind], topology)
            except CpuSetError as error:
                raise Failure(f"{where} ({entry['name']}).{kind}: {error}") from error
    nodes = entry.get("nodes")
    try:
        nodes = (
            CpuSet() if nodes is None else CpuSet.parse(nodes) if isinstance(nodes, str) else CpuSet(nodes)
        )
    except (CpuSetError, TypeError, ValueError):
        raise Failure(
            f'{where} ({entry["name"]}).nodes: give node numbers, such as [0, 1] or "0-1", not {shown(nodes)}.'
        ) from None
    if not nodes <= topology.complete_nodeset:
        unknown = nodes - topology.complete_nodeset
        raise Failure(f"{where} ({entry['name']}).nodes: the host has no {nodes_text(unknown)}.")
    limit = entry.get("max_nodes", None if nodes else max_nodes)
    if limit is not None:
        limit = _limit(limit, f"{where} ({entry['name']}).max_nodes")
    return Wanted(str(entry["name"]), nodes, limit, masks["hard"], masks["soft"])


def judge_limits(
    domains: t.Iterable[Data],
    facts: Data,
    host: str,
    guests: t.Iterable[t.Any] | None = None,
    max_nodes: int | None = 1,
    ignore: t.Iterable[str] = ("Domain-0",),
    configs: t.Iterable[Data] = (),
) -> list[Row]:
    """Rows of the guests named in `guests`, or of every guest but those in `ignore`, held to what is asked of them.

    `configs` are placement keys of configurations, as guest_config returns them before a change; a guest whose name is in one is held to that, too.

    An entry of `guests`: ``name`` and any of ``nodes``, ``max_nodes``, ``hard``, ``soft``. `max_nodes` holds for guests that have
    neither nodes nor a limit of their own. Raises Failure naming the entry and the field, as they are called in the role ``verify``.
    """
    max_nodes = None if max_nodes is None else _limit(max_nodes, "verify_max_nodes")
    topology = _topology(facts, host)
    present = _by_name(domains)
    persistent = {str(keys["name"]): keys for keys in configs if keys.get("name") is not None}
    skip = set(ignore)
    entries = list(guests or []) or [{"name": name} for name in present if name not in skip]
    rows = []
    for index, entry in enumerate(entries):
        wanted = _wanted(entry, index, topology, max_nodes)
        domain = present.get(wanted.name)
        if domain is None:
            rows.append(_absent(wanted.name, host, "bad", ["There is no such guest on the host."]))
        else:
            row = judge(wanted, domain, _measured(domain), topology, host)
            if wanted.name in persistent:
                row["reasons"] += _check_persistent(persistent[wanted.name], domain, topology)
                row["verdict"] = "bad" if row["reasons"] else row["verdict"]
            rows.append(row)
    return t.cast(t.List[Row], printable(rows))
