# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where vCPUs may and should run, and from which nodes memory is taken: what is wanted against what is, as actions; and carrying those out.

:func:`plan_affinity` is pure and checks everything before anything is done. :func:`apply_affinity` sets, one hypercall for each vCPU
that changes, reads back, and undoes what it has set when something goes wrong. :func:`guest_result` and :func:`guest_diff` say the same
of a plan and of what was done.

The masks are the ones that Xen keeps (XEN_DOMCTL_getvcpuaffinity), CPUs that are offline or in another cpupool included. What is in
effect at the moment is their part within the online CPUs of the domain's cpupool, and for soft affinity within hard affinity too.
Where a cpupool schedules by core or package, the vCPUs of a unit have one affinity: it is asked for one and set for all of them.
"""

import typing as t
from functools import partial

from .._errors import Failure
from .._topology.affinities import affinity_text
from .._topology.cpuset import CpuSet, CpuSetError
from .._topology.expression import resolve
from .._topology.model import Domain, Topology
from .._xen import domctl, errors, pinning, sysctl
from . import granularity as gran
from .patience import Patience

#: Instead of CPUs or nodes: what a plan of placement_plan has for the guest.
PLANNED = "planned"
#: Instead of nodes: Xen derives them from the affinity of the vCPUs.
AUTO = "auto"

#: What an entry for :func:`plan_affinity` has, as an argument spec.
ENTRY: t.Dict[str, t.Dict[str, t.Any]] = {
    "guest": {"type": "str", "required": True},
    "vcpus": {"type": "raw", "default": "all"},
    "hard": {"type": "raw"},
    "soft": {"type": "raw"},
    "nodes": {"type": "raw"},
    "force": {"type": "bool", "default": False},
}


class VcpuAffinity(t.NamedTuple):
    """One vCPU: the masks before and those wanted, within the CPUs that exist, and what of the wanted ones is in effect."""

    vcpu: int
    hard_before: CpuSet
    hard: CpuSet
    soft_before: CpuSet
    soft: CpuSet
    hard_effective: CpuSet
    soft_effective: CpuSet
    force: bool

    @property
    def changed(self) -> bool:
        """Whether anything has to be set."""
        return (self.hard, self.soft) != (self.hard_before, self.soft_before)


class NodeAffinity(t.NamedTuple):
    """The NUMA nodes of a domain's future memory, before and wanted. `auto`, `auto_before`: Xen derives them from the vCPUs' affinity.

    Xen does not tell whether it does: it is taken to when the nodes are those that it would come to.
    """

    before: CpuSet
    wanted: CpuSet
    auto_before: bool
    auto: bool

    @property
    def changed(self) -> bool:
        """Whether anything has to be set."""
        return self.before != self.wanted


class AffinityAction(t.NamedTuple):
    """One guest with all of its vCPUs that were asked for, or change with them. `nodes` is None unless it was asked for.

    `everything` is the host's complete_cpuset; `notes` are sentences.
    """

    domid: int
    name: t.Optional[str]
    uuid: str
    title: str
    vcpus: t.Tuple[VcpuAffinity, ...]
    nodes: t.Optional[NodeAffinity]
    everything: CpuSet
    notes: t.Tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether any of the vCPUs, or the nodes, change."""
        return any(vcpu.changed for vcpu in self.vcpus) or (self.nodes is not None and self.nodes.changed)


class _Wish:
    """What the entries together ask of one vCPU."""

    hard = None  # type: t.Optional[CpuSet]
    soft = None  # type: t.Optional[CpuSet]
    force = False


class _Guest:
    """What they ask of one guest. `nodes` is None, AUTO or the nodes."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.wishes = {}  # type: t.Dict[int, _Wish]
        self.nodes = None  # type: t.Union[None, str, CpuSet]


def plan_affinity(
    topology: Topology,
    wanted: t.Sequence[t.Mapping[str, t.Any]],
    plan: t.Optional[t.Mapping[str, t.Any]] = None,
    host: t.Optional[str] = None,
) -> t.List[AffinityAction]:
    """Compare what is wanted with what is: one action for each guest, in the order in which they are first named.

    `wanted` is a list of {guest, vcpus, hard, soft, nodes, force}; `hard`, `soft` and `nodes` may be absent or None, not all three. The
    entries count in their order: a later one wins over an earlier one for the same vCPU and the same mask. "planned" stands for what
    `plan` (the form of docs/plan.md) has for the guest of that name on `host`, or on whichever host when that is None.

    Raises :class:`Failure` that names the entry: unknown guest, vCPU, CPU or node; a guest that is going away; a hard mask in which the
    guest's cpupool has no online CPU; different masks for vCPUs that Xen schedules as one.
    """
    guests = {}  # type: t.Dict[int, _Guest]
    for index, entry in enumerate(wanted):
        try:
            domain = topology.domain(entry["guest"])
            guest = guests.get(domain.domid) or _Guest(domain)
            _read_entry(topology, guest, _with_plan(entry, domain.name, plan, host))
        except Failure as failure:
            # affinities is what the module calls the list
            raise Failure(f"affinities[{index}] (guest {entry['guest']}): {failure.message}") from None
        guests[domain.domid] = guest
    return [_action(topology, guest) for guest in guests.values()]


def planned_guests(
    plan: t.Mapping[str, t.Any], host: t.Optional[str], running: t.Iterable[str]
) -> t.List[t.Dict[str, t.Any]]:
    """Entries for all guests of a plan that run and stay where they are (its actions keep and repin): re-pinned to their memory."""
    names = set(running)
    return [
        {"guest": guest["name"], "hard": PLANNED, "soft": PLANNED}
        for guest in plan.get("guests", ())
        if guest.get("action") in ("keep", "repin")
        and host in (None, guest.get("host"))
        and guest["name"] in names
    ]


def without_plan(
    wanted: t.Optional[t.Sequence[t.Mapping[str, t.Any]]],
    plan: t.Optional[t.Mapping[str, t.Any]],
    host: t.Optional[str],
) -> t.List[t.Dict[str, t.Any]]:
    """Entries that say the same without the plan, for guests by name, whether or not they run; None: all guests of the plan on `host`."""
    if wanted is None:
        names = [
            guest["name"] for guest in (plan or {}).get("guests", ()) if host in (None, guest.get("host"))
        ]
        wanted = [{"guest": name, "hard": PLANNED, "soft": PLANNED} for name in names]
    found = []
    for index, entry in enumerate(wanted):
        try:
            found.append(_with_plan(entry, entry["guest"], plan, host))
        except Failure as failure:
            raise Failure(f"affinities[{index}] (guest {entry['guest']}): {failure.message}") from None
    return found


def _with_plan(
    entry: t.Mapping[str, t.Any],
    name: t.Optional[str],
    plan: t.Optional[t.Mapping[str, t.Any]],
    host: t.Optional[str],
) -> t.Dict[str, t.Any]:
    """The entry with "planned" replaced by what the plan has for the guest called `name`."""
    asked = [key for key in ("hard", "soft", "nodes") if entry.get(key) == PLANNED]
    if not asked:
        return dict(entry)
    if plan is None:
        raise Failure(
            f"{asked[0]} is {PLANNED!r}, and no plan is given: give it what placement_plan returned"
        )
    found = [
        guest
        for guest in plan.get("guests", ())
        if guest.get("name") == name and host in (None, guest.get("host"))
    ]
    if len(found) != 1:
        where = "" if host is None else f" for host {host}"
        raise Failure(f"the plan has {'more than one' if found else 'no'} guest {name!r}{where}: plan again")
    return dict(entry, **{key: found[0][key] for key in asked})


def _read_entry(topology: Topology, guest: _Guest, entry: t.Mapping[str, t.Any]) -> None:
    masks = _masks(topology, guest.domain, entry)
    if entry.get("nodes") is not None:
        guest.nodes = _nodes(topology, entry["nodes"])
    for vcpu in _vcpus(guest.domain, entry.get("vcpus")):
        if masks:
            wish = guest.wishes.setdefault(vcpu, _Wish())
            wish.hard = masks.get("hard", wish.hard)
            wish.soft = masks.get("soft", wish.soft)
            wish.force = bool(entry.get("force"))


def _nodes(topology: Topology, wanted: t.Any) -> t.Union[str, CpuSet]:
    if wanted == AUTO:
        return AUTO
    try:
        texts = wanted if isinstance(wanted, (list, tuple)) else [wanted]
        nodes = CpuSet.parse(",".join(str(text) for text in texts))
    except CpuSetError:
        raise Failure(
            f"nodes {wanted!r} cannot be read: write 'auto', or node numbers such as 0-1,3"
        ) from None
    known = topology.complete_nodeset
    if not nodes or nodes - known:
        raise Failure(f"nodes {wanted!r} names no node, or one that this host has not: it has {known}")
    return nodes


def _masks(topology: Topology, domain: Domain, entry: t.Mapping[str, t.Any]) -> t.Dict[str, CpuSet]:
    masks = {}
    for kind in ("hard", "soft"):
        if entry.get(kind) is not None:
            masks[kind] = resolve(entry[kind], topology)
            if not masks[kind]:
                raise Failure(
                    f"{kind} names no CPU at all: give at least one, or 'all' to lift the restriction"
                )
    if not masks and entry.get("nodes") is None:
        raise Failure("it has neither hard nor soft nor nodes: give at least one of them")
    if domain.state == "dying" or domain.cpupool is None:
        raise Failure(f"{domain.title} is going away, its vCPUs are not scheduled any more: leave it out")
    usable = _usable(topology, domain)
    if "hard" in masks and not masks["hard"] & usable:
        raise Failure(
            f"hard {str(masks['hard'])!r} leaves {domain.title} no CPU to run on, "
            f"{_why_not(topology, masks['hard'])}: its cpupool {domain.cpupool} has {usable} online"
        )
    return masks


def _usable(topology: Topology, domain: Domain) -> CpuSet:
    """Return the CPUs that the domain's vCPUs can run on at the moment."""
    return CpuSet() if domain.cpupool is None else topology.pool_cpus(domain.cpupool) & topology.online_cpuset


def _why_not(topology: Topology, cpus: CpuSet) -> str:
    """Say why none of these CPUs can be used, all of which are offline or in another cpupool."""
    offline = cpus - topology.online_cpuset
    reasons = [f"{offline} offline"] if offline else []
    for pool in topology.cpupools:
        there = (cpus & pool.cpuset) - offline
        if there:
            reasons.append(f"{there} in cpupool {pool.id}")
    free = (cpus & topology.cpupool_free) - offline
    if free:
        reasons.append(f"{free} in no cpupool")
    return "with " + " and ".join(reasons) if reasons else "as things are"


def _vcpus(domain: Domain, wanted: t.Any) -> CpuSet:
    there = CpuSet(vcpu.vcpu for vcpu in domain.vcpus)
    if not there:
        raise Failure(f"{domain.title} has no vCPUs yet, it is just being made: try again when it is there")
    if wanted is None or wanted == "all":
        return there
    try:
        texts = wanted if isinstance(wanted, (list, tuple)) else [wanted]
        vcpus = CpuSet.parse(",".join(str(text) for text in texts))
    except CpuSetError:
        raise Failure(
            f"vcpus {wanted!r} cannot be read: write 'all', or vCPU numbers such as 0-3,6"
        ) from None
    if not vcpus:
        raise Failure("vcpus names no vCPU at all: write 'all', or vCPU numbers such as 0-3,6")
    missing = vcpus - there
    if missing:
        raise Failure(f"{domain.title} has no vCPU {missing}: it has {there}")
    return vcpus


def _action(topology: Topology, guest: _Guest) -> AffinityAction:
    domain = guest.domain
    notes = list(_join_units(topology, guest))
    usable = _usable(topology, domain)
    vcpus = []
    for vcpu in domain.vcpus:
        wish = guest.wishes.get(vcpu.vcpu)
        if wish is not None:
            hard = vcpu.hard if wish.hard is None else wish.hard
            soft = vcpu.soft if wish.soft is None else wish.soft
            vcpus.append(
                VcpuAffinity(
                    vcpu.vcpu,
                    vcpu.hard,
                    hard,
                    vcpu.soft,
                    soft,
                    hard & usable,
                    hard & soft & usable,
                    wish.force,
                )
            )
    return AffinityAction(
        domain.domid,
        domain.name,
        domain.uuid,
        domain.title,
        tuple(vcpus),
        _node_affinity(topology, guest, vcpus),
        topology.complete_cpuset,
        tuple(notes + list(_notes(topology, domain, vcpus))),
    )


def _join_units(topology: Topology, guest: _Guest) -> t.Iterator[str]:
    """Where Xen schedules several vCPUs as one, give all of them the wish of any. Raises Failure when the wishes differ."""
    domain = guest.domain
    grain = gran.of_cpupools(topology).get(t.cast(int, domain.cpupool), gran.CPU)
    size = gran.vcpus_in_unit(topology, grain)
    if size < 2 or not guest.wishes:
        return
    there = [vcpu.vcpu for vcpu in domain.vcpus]
    asked = CpuSet(guest.wishes)
    for first in sorted({number // size * size for number in guest.wishes}):
        unit = [number for number in there if first <= number < first + size]
        together = _Wish()
        for kind in ("hard", "soft"):
            masks = {getattr(guest.wishes[number], kind) for number in unit if number in guest.wishes} - {
                None
            }
            if len(masks) > 1:
                raise Failure(
                    f"vCPUs {CpuSet(unit)} of {domain.title} are scheduled as one, since cpupool {domain.cpupool} schedules by {grain}, "
                    f"and have one {kind} affinity: ask for the same, not for {' and '.join(sorted(map(str, masks)))}"
                )
            setattr(together, kind, masks.pop() if masks else None)
        together.force = any(guest.wishes[number].force for number in unit if number in guest.wishes)
        for number in unit:
            guest.wishes[number] = together
    more = CpuSet(guest.wishes) - asked
    if more:
        change = "changes" if len(more) == 1 else "change"
        yield (
            f"{domain.title}: {_named(more)} {change} too, since cpupool {domain.cpupool} schedules by {grain}, {size} neighbouring "
            "vCPUs as one."
        )


def _node_affinity(
    topology: Topology, guest: _Guest, vcpus: t.Sequence[VcpuAffinity]
) -> t.Optional[NodeAffinity]:
    if guest.nodes is None:
        return None
    domain = guest.domain
    masks = {vcpu.vcpu: (vcpu.hard, vcpu.soft) for vcpu in domain.vcpus}
    derived = _derived_nodes(topology, domain, masks.values())
    masks.update({vcpu.vcpu: (vcpu.hard, vcpu.soft) for vcpu in vcpus})
    before = (domain.node_affinity or CpuSet()) & topology.complete_nodeset
    if guest.nodes == AUTO:
        return NodeAffinity(
            before, _derived_nodes(topology, domain, masks.values()), before == derived, auto=True
        )
    return NodeAffinity(before, t.cast(CpuSet, guest.nodes), before == derived, auto=False)


def _derived_nodes(topology: Topology, domain: Domain, masks: t.Iterable[t.Tuple[CpuSet, CpuSet]]) -> CpuSet:
    """What Xen derives (domain_update_node_affinity): the nodes of the soft masks within the hard ones, else of the hard ones."""
    usable = _usable(topology, domain)
    hard, soft = CpuSet(), CpuSet()
    for its_hard, its_soft in masks:
        hard |= its_hard & usable
        soft |= its_soft
    cpus = hard & soft or hard
    return CpuSet(node.os_index for node in topology.nodes if node.complete_cpuset & cpus)


def _notes(topology: Topology, domain: Domain, vcpus: t.Iterable[VcpuAffinity]) -> t.Iterator[str]:
    """Say what is allowed and yet may not be what was meant."""
    alike = {}  # type: t.Dict[t.Tuple[CpuSet, CpuSet], t.List[VcpuAffinity]]
    for vcpu in vcpus:
        alike.setdefault((vcpu.hard, vcpu.soft), []).append(vcpu)
    for (hard, soft), group in alike.items():
        who = f"{_named(CpuSet(vcpu.vcpu for vcpu in group))} of {domain.title}"
        idle = hard - group[0].hard_effective
        if idle and hard != topology.complete_cpuset:
            yield f"{who}: of hard affinity {hard}, {idle} is offline or outside the cpupool, and does not count until that changes."
        if not group[0].soft_effective and group[0].hard_effective:
            yield f"{who}: no CPU of soft affinity {soft} is among those that hard affinity allows ({group[0].hard_effective}), so it has no effect."


def _named(vcpus: CpuSet) -> str:
    return f"vCPU {vcpus}" if len(vcpus) == 1 else f"vCPUs {vcpus}"


class _Set(t.NamedTuple):
    """Something that was set, and how to set it back. `vcpu` is None for the nodes."""

    action: AffinityAction
    vcpu: t.Optional[int]
    undo: t.Callable[[], t.Any]


def apply_affinity(
    xen: t.Any, actions: t.Sequence[AffinityAction], patience: t.Optional[Patience] = None
) -> t.List[AffinityAction]:
    """Set what changes, and return the actions with the masks that Xen then has and that it says are in effect.

    `xen` is an open `_xen.connection.Xen`. While a vCPU is pinned for the moment, it is tried again, as long as `patience` says. Raises
    :class:`Failure` when Xen refuses, a guest has vanished, or Xen has other masks than those set. Then everything is set back, the last
    first; its result {"rolled_back", "done"} says what was, and what was not because Xen refused that too, as [{name, domid, uuid, vcpus}].
    """
    every_bit = (1 << sysctl.cpu_bits(xen)) - 1
    patience = patience or Patience()
    done = []  # type: t.List[_Set]
    results = []
    for action in actions:
        if action.changed:
            try:
                action = _apply(xen, action, every_bit, done, patience)
            except Failure as failure:
                undone, left = _set_back(done, patience)
                raise Failure(
                    f"{action.title}: {failure.message} {_so_far(undone, left)}",
                    done=left,
                    rolled_back=undone,
                ) from failure
        results.append(action)
    return results


def _apply(
    xen: t.Any, action: AffinityAction, every_bit: int, done: t.List[_Set], patience: Patience
) -> AffinityAction:
    def bits(mask: CpuSet) -> int:
        # "all" means CPUs that appear later, too
        return every_bit if action.everything <= mask else mask.mask

    vcpus = []
    for vcpu in action.vcpus:
        if vcpu.changed:
            hard = (vcpu.hard, vcpu.hard_before) if vcpu.hard != vcpu.hard_before else None
            soft = (vcpu.soft, vcpu.soft_before) if vcpu.soft != vcpu.soft_before else None
            new, old = (
                partial(
                    pinning.setvcpuaffinity,
                    xen,
                    action.domid,
                    vcpu.vcpu,
                    hard=bits(hard[side]) if hard else None,
                    soft=bits(soft[side]) if soft else None,
                    force=vcpu.force,
                )
                for side in (0, 1)
            )
            effective = patience.ask(new)
            done.append(_Set(action, vcpu.vcpu, old))
            if effective.hard is not None:
                vcpu = vcpu._replace(hard_effective=CpuSet.from_mask(effective.hard) & action.everything)
            if effective.soft is not None:
                vcpu = vcpu._replace(soft_effective=CpuSet.from_mask(effective.soft) & action.everything)
        vcpus.append(vcpu)
    nodes = action.nodes
    if nodes is not None and nodes.changed:
        every_node = (1 << sysctl.node_bits(xen)) - 1
        sides = (
            every_node if nodes.auto else nodes.wanted.mask,
            every_node if nodes.auto_before else nodes.before.mask,
        )
        pinning.setnodeaffinity(xen, action.domid, sides[0])
        done.append(_Set(action, None, partial(pinning.setnodeaffinity, xen, action.domid, sides[1])))
    # only now: with a scheduling granularity above "cpu" a later one may have changed an earlier one
    for vcpu in vcpus:
        if vcpu.changed:
            _check(action, vcpu, domctl.getvcpuaffinity(xen, action.domid, vcpu.vcpu))
    if nodes is not None and nodes.changed:
        found = CpuSet.from_mask(domctl.getnodeaffinity(xen, action.domid))
        if not nodes.auto and found != nodes.wanted:
            raise Failure(f"it has the node affinity {found} although {nodes.wanted} was set.")
        action = action._replace(nodes=nodes._replace(wanted=found))
    return action._replace(vcpus=tuple(vcpus))


def _set_back(
    done: t.Sequence[_Set], patience: Patience
) -> t.Tuple[t.List[t.Dict[str, t.Any]], t.List[t.Dict[str, t.Any]]]:
    """Undo, the last first; return what was undone and what was not."""
    undone, left = [], []
    for step in reversed(done):
        try:
            patience.ask(step.undo)
            undone.append(step)
        except errors.NoSuchDomain:
            # It has ended; nothing of it is left to be set back.
            continue
        except Failure:
            left.append(step)
    return _listed(reversed(undone)), _listed(reversed(left))


def _listed(steps: t.Iterable[_Set]) -> t.List[t.Dict[str, t.Any]]:
    """[{name, domid, uuid, vcpus}] of what was set."""
    entries = {}  # type: t.Dict[int, t.Dict[str, t.Any]]
    for step in steps:
        action = step.action
        entry = entries.setdefault(
            action.domid, {"name": action.name, "domid": action.domid, "uuid": action.uuid, "vcpus": ""}
        )
        if step.vcpu is not None:
            entry["vcpus"] = str(CpuSet.parse(entry["vcpus"]) | CpuSet([step.vcpu]))
    return list(entries.values())


def _check(action: AffinityAction, vcpu: VcpuAffinity, masks: t.Tuple[int, int]) -> None:
    for kind, wanted, mask in (("hard", vcpu.hard, masks[0]), ("soft", vcpu.soft, masks[1])):
        found = CpuSet.from_mask(mask) & action.everything
        if found != wanted:
            raise Failure(
                f"vCPU {vcpu.vcpu} has the {kind} affinity {affinity_text(found, action.everything)} "
                f"although {affinity_text(wanted, action.everything)} was set: another program sets it too, or Xen schedules "
                "whole groups of vCPUs (sched-gran), whose affinity is one."
            )


def _so_far(undone: t.Sequence[t.Mapping[str, t.Any]], left: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    if left:
        parts = [
            (f"{_named(CpuSet.parse(entry['vcpus']))} of " if entry["vcpus"] else "nodes of ")
            + f"{entry['name'] or 'domid'} ({entry['domid']})"
            for entry in left
        ]
        return f"Set before that, and not to be set back: {', '.join(parts)}."
    return "What had been set before was set back." if undone else "Nothing had been set before."


def guest_result(action: AffinityAction) -> t.Dict[str, t.Any]:
    """Return what the user is told of one guest."""

    def text(mask: CpuSet) -> str:
        return affinity_text(mask, action.everything)

    return {
        "name": action.name,
        "domid": action.domid,
        "uuid": action.uuid,
        "changed": action.changed,
        "nodes_before": None if action.nodes is None else str(action.nodes.before),
        "nodes": None if action.nodes is None else str(action.nodes.wanted),
        "vcpus": [
            {
                "vcpu": vcpu.vcpu,
                "hard_before": text(vcpu.hard_before),
                "hard": text(vcpu.hard),
                "hard_effective": str(vcpu.hard_effective),
                "soft_before": text(vcpu.soft_before),
                "soft": text(vcpu.soft),
                "soft_effective": str(vcpu.soft_effective),
            }
            for vcpu in action.vcpus
        ],
    }


def guest_diff(action: AffinityAction) -> t.Dict[str, t.Any]:
    """Return the difference for one guest in the form that Ansible shows with --diff."""

    def masks(which: str) -> t.Dict[str, str]:
        lines = {}
        for vcpu in action.vcpus:
            hard, soft = (
                affinity_text(getattr(vcpu, kind + which), action.everything) for kind in ("hard", "soft")
            )
            lines[f"vCPU {vcpu.vcpu}"] = f"hard {hard} / soft {soft}"
        if action.nodes is not None:
            lines["nodes"] = str(action.nodes.before if which else action.nodes.wanted)
        return lines

    return {
        "before_header": action.title,
        "after_header": action.title,
        "before": masks("_before"),
        "after": masks(""),
    }
