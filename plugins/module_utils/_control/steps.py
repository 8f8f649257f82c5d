# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Single changes of cpupools, CPUs and affinity, and what is known of them beforehand. Pure. Private to this collection.

:mod:`.cpupools` and :mod:`.pcpus` put them in order, :mod:`.pool_steps` carries them out.
"""

import typing as t

from .._topology.affinities import affinity_text
from .._topology.cpuset import CpuSet
from .._topology.model import CpuPool, Domain, Topology
from .journal import Moved, masks_to_restore

Masks = t.Dict[int, t.Tuple[CpuSet, CpuSet]]


class Step(t.NamedTuple):
    """One change. `kind` is one of those below; of the rest, what that kind needs.

    rename (pool, name, before), create (pool, name, value: scheduler), granularity (pool, value, before), add and remove (pool, cpus:
    one unit), move (pool, before: pool, domain, masks: those to set there, masks_before), pin (domain, masks, masks_before), loosen
    (pool, domain, masks_before: its affinity becomes "all" for a while), settle (domain, masks: what a killed run has left out),
    destroy (pool, name, value: scheduler, before: granularity).
    Of :mod:`.pcpus`: online (cpus), offline (cpus, before: those of them in no cpupool), smt (value: on or off, cpus, before likewise).
    `keep` are masks that must come back in the end, whatever happens between; the step that sets all of them is the last of it.
    """

    kind: str
    pool: int = 0
    name: str = ""
    value: str = ""
    before: t.Any = None
    cpus: CpuSet = CpuSet()
    domain: t.Optional[Domain] = None
    masks: t.Optional[Masks] = None
    masks_before: t.Optional[Masks] = None
    keep: t.Optional[Masks] = None


class Scene(t.NamedTuple):
    """As much of a host as :func:`settle` looks at, where the rest of a Topology is not known. The names are those of Topology."""

    domains: t.Optional[t.Tuple[Domain, ...]]
    cpupools: t.Tuple[CpuPool, ...]
    online_cpuset: CpuSet
    complete_cpuset: CpuSet


class Settled(t.NamedTuple):
    """`steps` put back what can be, `topology` is the host after them, `owed` are masks whose CPUs are not in the cpupool now."""

    steps: t.Tuple[Step, ...]
    topology: t.Any
    owed: t.Dict[int, Masks]


def settle(topology: t.Union[Topology, Scene], pending: t.Iterable[Moved]) -> Settled:
    """What a killed run has left to do, which comes before anything else: `pending` is what the journal has."""
    steps = []  # type: t.List[Step]
    owed = {}  # type: t.Dict[int, Masks]
    pools = {pool.id: pool.cpuset & topology.online_cpuset for pool in topology.cpupools}
    domains = list(topology.domains or ())
    found = masks_to_restore(t.cast(Topology, topology), pending)
    for index, domain in enumerate(domains):
        lost = found.get(domain.domid)
        if lost is None:
            continue
        here = pools.get(t.cast(int, domain.cpupool), CpuSet())
        if not all(hard & here for hard, _soft in lost.values()):
            owed[domain.domid] = lost
            continue
        steps.append(Step("settle", domain=domain, masks=lost, keep=lost))
        vcpus = [
            vcpu._replace(hard=lost[vcpu.vcpu][0], soft=lost[vcpu.vcpu][1]) if vcpu.vcpu in lost else vcpu
            for vcpu in domain.vcpus
        ]
        domains[index] = domain._replace(vcpus=tuple(vcpus))
    return Settled(tuple(steps), topology._replace(domains=tuple(domains)) if steps else topology, owed)


def put_back(title: str) -> str:
    """What was done with a domain that a killed run had left without its affinity."""
    return f"affinity of {title} put back, which a run that was killed had lifted"


def owed_note(domain: Domain) -> str:
    """Why the affinity of this one is not put back."""
    return (
        f"{domain.title} lost its affinity when a run was killed, and its cpupool has none of the CPUs of it now: finish what was begun, "
        "or give it another affinity."
    )


def affinity_difference(domain: Domain, now: Masks, everything: CpuSet) -> t.Dict[str, t.Any]:
    """An entry for --diff: a domain's masks before, and `now`."""
    was = {vcpu.vcpu: (vcpu.hard, vcpu.soft) for vcpu in domain.vcpus if vcpu.vcpu in now}
    return {
        "before_header": domain.title,
        "after_header": domain.title,
        "before": _told(was, everything),
        "after": _told(now, everything),
    }


def _told(told: Masks, everything: CpuSet) -> t.Dict[str, str]:
    return {
        f"vCPU {number}": f"hard {affinity_text(hard, everything)} / soft {affinity_text(soft, everything)}"
        for number, (hard, soft) in sorted(told.items())
    }
