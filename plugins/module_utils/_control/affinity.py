# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where vCPUs may and should run: what is wanted against what is, as actions; and carrying those out.

:func:`plan_affinity` is pure and checks everything before anything is done. :func:`apply_affinity` sets, one hypercall for each vCPU
that changes, and reads back. :func:`guest_result` and :func:`guest_diff` say the same of a plan and of what was done.

The masks are the ones that Xen keeps (XEN_DOMCTL_getvcpuaffinity), CPUs that are offline or in another cpupool included. What is in
effect at the moment is their part within the online CPUs of the domain's cpupool, and for soft affinity within hard affinity too.
"""

import re
import typing as t

from .._errors import Failure
from .._topology.cpuset import CpuSet, CpuSetError
from .._topology.expression import resolve
from .._topology.facts import affinity_text
from .._topology.model import Domain, Topology
from .._xen import domctl, sysctl

_SCHED_GRAN = re.compile(r"(?:^|\s)sched-gran=(\S+)")


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


class AffinityAction(t.NamedTuple):
    """One guest with all of its vCPUs that were asked for. `everything` is the host's complete_cpuset; `notes` are sentences."""

    domid: int
    name: t.Optional[str]
    uuid: str
    title: str
    vcpus: t.Tuple[VcpuAffinity, ...]
    everything: CpuSet
    notes: t.Tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether any of the vCPUs changes."""
        return any(vcpu.changed for vcpu in self.vcpus)


class _Wish:
    """What the entries together ask of one vCPU."""

    hard = None  # type: t.Optional[CpuSet]
    soft = None  # type: t.Optional[CpuSet]
    force = False


def plan_affinity(topology: Topology, wanted: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[AffinityAction]:
    """Compare what is wanted with what is: one action for each guest, in the order in which they are first named.

    `wanted` is a list of {guest, vcpus, hard, soft, force}; `hard` or `soft` may be absent or None, not both. The entries count in
    their order: a later one wins over an earlier one for the same vCPU and the same mask.

    Raises :class:`Failure` that names the entry: unknown guest, vCPU or CPU; a guest that is going away; a hard mask in which the
    guest's cpupool has no online CPU.
    """
    wishes = {}  # type: t.Dict[int, t.Dict[int, _Wish]]
    domains = {}  # type: t.Dict[int, Domain]
    for index, entry in enumerate(wanted):
        try:
            domain = topology.domain(entry["guest"])
            masks = _masks(topology, domain, entry)
            vcpus = _vcpus(domain, entry.get("vcpus"))
        except Failure as failure:
            # affinities is what the module calls the list
            raise Failure(f"affinities[{index}] (guest {entry['guest']}): {failure.message}") from None
        domains[domain.domid] = domain
        for vcpu in vcpus:
            wish = wishes.setdefault(domain.domid, {}).setdefault(vcpu, _Wish())
            wish.hard = masks.get("hard", wish.hard)
            wish.soft = masks.get("soft", wish.soft)
            wish.force = bool(entry.get("force"))
    return [_action(topology, domains[domid], wishes[domid]) for domid in wishes]


def _masks(topology: Topology, domain: Domain, entry: t.Mapping[str, t.Any]) -> t.Dict[str, CpuSet]:
    masks = {}
    for kind in ("hard", "soft"):
        if entry.get(kind) is not None:
            masks[kind] = resolve(entry[kind], topology)
            if not masks[kind]:
                raise Failure(
                    f"{kind} names no CPU at all: give at least one, or 'all' to lift the restriction"
                )
    if not masks:
        raise Failure("it has neither hard nor soft: give at least one of them")
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


def _action(topology: Topology, domain: Domain, wishes: t.Mapping[int, _Wish]) -> AffinityAction:
    usable = _usable(topology, domain)
    vcpus = []
    for vcpu in domain.vcpus:
        wish = wishes.get(vcpu.vcpu)
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
        topology.complete_cpuset,
        tuple(_notes(topology, domain, vcpus)),
    )


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
    granularity = _SCHED_GRAN.findall(topology.xen.command_line or "")
    if granularity and granularity[-1] != "cpu" and len(alike) > 1:
        yield (
            f"{domain.title}: this Xen schedules whole groups of vCPUs (sched-gran={granularity[-1]}), and all vCPUs of a group "
            "have one affinity: give neighbours the same."
        )


def _named(vcpus: CpuSet) -> str:
    return f"vCPU {vcpus}" if len(vcpus) == 1 else f"vCPUs {vcpus}"


def apply_affinity(xen: t.Any, actions: t.Sequence[AffinityAction]) -> t.List[AffinityAction]:
    """Set what changes, and return the actions with the masks that Xen then has and that it says are in effect.

    `xen` is an open `_xen.connection.Xen`. Raises :class:`Failure` when Xen refuses, a guest has vanished, or Xen has other masks
    than those set; its result {"done": [{name, domid, uuid, vcpus}]} and its message say what had been set until then.
    """
    every_bit = (1 << sysctl.cpu_bits(xen)) - 1
    done = []  # type: t.List[t.Dict[str, t.Any]]
    results = []
    for action in actions:
        if action.changed:
            try:
                action = _apply(xen, action, every_bit, done)
            except Failure as failure:
                raise Failure(f"{action.title}: {failure.message} {_so_far(done)}", done=done) from failure
        results.append(action)
    return results


def _apply(
    xen: t.Any, action: AffinityAction, every_bit: int, done: t.List[t.Dict[str, t.Any]]
) -> AffinityAction:
    def bits(mask: CpuSet) -> int:
        # "all" means CPUs that appear later, too
        return every_bit if action.everything <= mask else mask.mask

    set_now = CpuSet()
    entry = {"name": action.name, "domid": action.domid, "uuid": action.uuid, "vcpus": ""}
    vcpus = []
    for vcpu in action.vcpus:
        if vcpu.changed:
            effective = domctl.setvcpuaffinity(
                xen,
                action.domid,
                vcpu.vcpu,
                hard=bits(vcpu.hard) if vcpu.hard != vcpu.hard_before else None,
                soft=bits(vcpu.soft) if vcpu.soft != vcpu.soft_before else None,
                force=vcpu.force,
            )
            if not set_now:
                done.append(entry)
            set_now |= CpuSet([vcpu.vcpu])
            entry["vcpus"] = str(set_now)
            if effective.hard is not None:
                vcpu = vcpu._replace(hard_effective=CpuSet.from_mask(effective.hard) & action.everything)
            if effective.soft is not None:
                vcpu = vcpu._replace(soft_effective=CpuSet.from_mask(effective.soft) & action.everything)
        vcpus.append(vcpu)
    # only now: with a scheduling granularity above "cpu" a later one may have changed an earlier one
    for vcpu in vcpus:
        if vcpu.changed:
            _check(action, vcpu, domctl.getvcpuaffinity(xen, action.domid, vcpu.vcpu))
    return action._replace(vcpus=tuple(vcpus))


def _check(action: AffinityAction, vcpu: VcpuAffinity, masks: t.Tuple[int, int]) -> None:
    for kind, wanted, mask in (("hard", vcpu.hard, masks[0]), ("soft", vcpu.soft, masks[1])):
        found = CpuSet.from_mask(mask) & action.everything
        if found != wanted:
            raise Failure(
                f"vCPU {vcpu.vcpu} has the {kind} affinity {affinity_text(found, action.everything)} "
                f"although {affinity_text(wanted, action.everything)} was set: another program sets it too, or Xen schedules "
                "whole groups of vCPUs (sched-gran), whose affinity is one."
            )


def _so_far(done: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    if not done:
        return "Nothing had been set before."
    parts = [
        f"{_named(CpuSet.parse(entry['vcpus']))} of {entry['name'] or 'domid'} ({entry['domid']})"
        for entry in done
    ]
    return f"Set before that: {', '.join(parts)}."


def guest_result(action: AffinityAction) -> t.Dict[str, t.Any]:
    """Return what the user is told of one guest."""

    def text(mask: CpuSet) -> str:
        return affinity_text(mask, action.everything)

    return {
        "name": action.name,
        "domid": action.domid,
        "uuid": action.uuid,
        "changed": action.changed,
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
        return lines

    return {
        "before_header": action.title,
        "after_header": action.title,
        "before": masks("_before"),
        "after": masks(""),
    }
