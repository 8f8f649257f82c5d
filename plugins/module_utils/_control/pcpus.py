# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CPUs that shall be online or offline, against those that are: an ordered list of steps. Pure. Private to this collection.

What comes online comes first, then affinities that would break are set anew, then CPUs leave. One that is in a cpupool other than
cpupool 0 is taken out of it before it goes offline: Xen refuses it otherwise, and lets no cpupool have it again until the next boot
(seen with 4.17). :mod:`.pool_steps` carries the steps out.
"""

import typing as t

from .._errors import Failure
from .._topology.affinities import affinity_text
from .._topology.cpuset import CpuSet
from .._topology.expression import resolve
from .._topology.model import Domain, Topology
from . import granularity as gran
from . import masks
from .risks import risks
from .steps import Masks, Step


class PcpuPlan(t.NamedTuple):
    """`online` before and after; `affinities` are the domains whose masks change, with the new ones; `notes` are sentences,
    `risks` those on errors of Xen that the steps would meet.
    """

    steps: t.Tuple[Step, ...]
    before: CpuSet
    after: CpuSet
    affinities: t.Tuple[t.Tuple[Domain, Masks], ...]
    notes: t.Tuple[str, ...]
    risks: t.Tuple[str, ...] = ()


def second_threads(topology: Topology) -> CpuSet:
    """The CPUs that are not the first thread of their core: those that smt=off leaves out."""
    found = CpuSet()
    for core in topology.cores:
        threads = [topology.pu(cpu) for cpu in core.complete_cpuset]
        threads.sort(key=lambda pu: (pu.os_index if pu.apic_id is None else pu.apic_id, pu.os_index))
        found |= CpuSet(pu.os_index for pu in threads[1:])
    return found


def plan_pcpus(
    topology: Topology,
    granularities: gran.Granularities,
    online: t.Any = None,
    offline: t.Any = None,
    smt: t.Optional[bool] = None,
    policy: masks.Policy = masks.REFUSE,
) -> PcpuPlan:
    """Compare what is wanted with what is. `online` and `offline` are expressions for CPUs, `smt` whether second threads shall run.

    CPUs that nobody mentions stay as they are. Raises :class:`Failure` for what is unknown, contradicts itself, or cannot be: CPU 0
    offline, the last CPU of a cpupool with domains, a hard affinity that would be left without CPUs (see :mod:`.masks`).
    """
    up = CpuSet() if online is None else resolve(online, topology)
    down = CpuSet() if offline is None else resolve(offline, topology)
    threads = second_threads(topology)
    if up & down:
        raise Failure(f"CPU {up & down} shall be both online and offline")
    if 0 in down:
        raise Failure("CPU 0 cannot go offline: Xen needs it")
    before = topology.online_cpuset
    if smt is not None and not threads:
        raise Failure("this host's cores have one thread each: there is no SMT to switch")
    if smt is False and up & threads:
        raise Failure(
            f"CPU {up & threads} shall be online, but is a second thread of its core, and smt is to be off"
        )
    steps = []  # type: t.List[Step]
    rising = up - before
    if smt and threads - down - before:
        _check_smt(topology)
        rising |= threads - before
        steps.append(Step("smt", value="on", cpus=threads - before))
        up_singly = rising - threads
    else:
        up_singly = rising
    steps += [Step("online", cpus=CpuSet([cpu])) for cpu in up_singly]
    falling = down & (before | rising)
    smt_off = smt is False and bool(threads & before)
    if smt_off:
        _check_smt(topology)
        falling |= threads & before
    notes = [f"CPU {rising - falling} comes online in cpupool 0."] if rising - falling else []
    pools = {pool.id: pool.cpuset for pool in topology.cpupools}
    pools[0] = pools.get(0, CpuSet()) | rising
    affinities = _mend(topology, pools, falling, policy)
    for domain, wanted in affinities:
        have = {vcpu.vcpu: (vcpu.hard, vcpu.soft) for vcpu in domain.vcpus if vcpu.vcpu in wanted}
        steps.append(Step("pin", domain=domain, masks=wanted, masks_before=have))
    freed = topology.cpupool_free & falling
    for pool in topology.cpupools:
        leaving = pool.cpuset & falling
        grain = granularities.get(pool.id, gran.CPU)
        for cpu in leaving:
            together = gran.unit(topology, grain, cpu)
            if not together <= falling:
                raise Failure(
                    f"cpupool {pool.name or pool.id!r} schedules by {grain}: CPUs {together} go offline together or not at all"
                )
            if pool.id != 0 and cpu == min(together):
                steps.append(Step("remove", pool.id, pool.name or "", cpus=together))
                freed |= together
        if leaving and leaving == pool.cpuset and pool.id != 0:
            notes.append(f"cpupool {pool.name or pool.id!r} has no CPU any more.")
    if smt_off:
        steps.append(Step("smt", value="off", cpus=threads & before, before=freed & threads))
        falling_singly = falling - threads
    else:
        falling_singly = falling
    steps += [Step("offline", cpus=CpuSet([cpu]), before=freed & CpuSet([cpu])) for cpu in falling_singly]
    return PcpuPlan(
        tuple(steps),
        before,
        (before | rising) - falling,
        tuple(affinities),
        tuple(notes),
        tuple(risks(topology, steps)),
    )


def _check_smt(topology: Topology) -> None:
    booted = gran.booted_with(topology)
    if booted != gran.CPU:
        raise Failure(
            f"SMT cannot be switched: Xen was booted with sched-gran={booted}, and then it does not allow that until the next boot"
        )


def _mend(
    topology: Topology, pools: t.Mapping[int, CpuSet], falling: CpuSet, policy: masks.Policy
) -> t.List[t.Tuple[Domain, Masks]]:
    """The masks to set before the CPUs `falling` go; Failure where there would be none, or the policy is to refuse."""
    found = []  # type: t.List[t.Tuple[Domain, Masks]]
    refusals = []  # type: t.List[str]
    emptied = {}  # type: t.Dict[int, t.List[str]]
    for domain in masks.scheduled(topology):
        here = pools[t.cast(int, domain.cpupool)]
        left = here - falling
        if not here & falling:
            continue
        if not left:
            emptied.setdefault(t.cast(int, domain.cpupool), []).append(domain.title)
            continue
        hurt = [vcpu for vcpu in masks.broken(topology, domain, left) if vcpu.hard & here]
        if not hurt:
            continue
        if policy == masks.REFUSE:
            refusals += [masks.refusal(domain, hurt, left)]
            continue
        try:
            found.append(
                (
                    domain,
                    {
                        vcpu.vcpu: (masks.instead(topology, vcpu.hard, left, policy), vcpu.soft)
                        for vcpu in hurt
                    },
                )
            )
        except Failure as failure:
            raise Failure(f"broken_affinity: {failure.message}, those of {domain.title}") from None
    for pool, titles in sorted(emptied.items()):
        raise Failure(
            f"cpupool {pool} would have no CPU left, and {', '.join(titles)} are in it: leave it at least one, or move them first"
        )
    if refusals:
        more = f" (and {len(refusals) - 1} more like it)" if len(refusals) > 1 else ""
        raise Failure(
            f"{refusals[0]}{more}, and Xen would let it run everywhere, for good: give it another affinity first, or say where it shall "
            "run (broken_affinity)",
            broken=refusals,
        )
    return found


def affinity_results(plan: PcpuPlan, everything: CpuSet) -> t.List[t.Dict[str, t.Any]]:
    """What the user is told of the domains whose hard affinity is set anew: {name, domid, uuid, vcpus: [{vcpu, hard_before, hard}]}."""
    return [
        {
            "name": domain.name,
            "domid": domain.domid,
            "uuid": domain.uuid,
            "vcpus": [
                {
                    "vcpu": vcpu.vcpu,
                    "hard_before": affinity_text(vcpu.hard, everything),
                    "hard": affinity_text(wanted[vcpu.vcpu][0], everything),
                }
                for vcpu in domain.vcpus
                if vcpu.vcpu in wanted
            ],
        }
        for domain, wanted in plan.affinities
    ]


def differences(plan: PcpuPlan, everything: CpuSet) -> t.List[t.Dict[str, t.Any]]:
    """Entries for --diff: the CPUs, and each domain whose affinity is set anew."""
    entries = []  # type: t.List[t.Dict[str, t.Any]]
    if plan.before != plan.after:
        entries.append(
            {
                "before_header": "CPUs",
                "after_header": "CPUs",
                "before": {"online": str(plan.before), "offline": str(everything - plan.before)},
                "after": {"online": str(plan.after), "offline": str(everything - plan.after)},
            }
        )
    for told, (domain, _wanted) in zip(affinity_results(plan, everything), plan.affinities):
        entries.append(
            {
                "before_header": domain.title,
                "after_header": domain.title,
                "before": {f"vCPU {vcpu['vcpu']}": f"hard {vcpu['hard_before']}" for vcpu in told["vcpus"]},
                "after": {f"vCPU {vcpu['vcpu']}": f"hard {vcpu['hard']}" for vcpu in told["vcpus"]},
            }
        )
    return entries
