# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An order of steps from the cpupools that are to those that shall be. Pure. Private to this collection.

:class:`Order` is a copy of the state. Each step is played on it before it is taken up, so that none comes before the one that it needs: a
CPU leaves a cpupool before it joins another, a domain moves to a cpupool that has CPUs, a cpupool with domains never loses its last
CPU, and no vCPU's hard affinity is without a CPU on the way.
"""

import typing as t

from .._errors import Failure
from .._topology.cpuset import CpuSet
from .._topology.model import CpuPool, Domain, Topology
from . import granularity as gran
from . import masks
from .journal import Moved
from .pool_plan import PoolState
from .steps import Masks, Step, settle

POOL_0 = "Pool-0"


class Pool:
    """A cpupool while the steps are played."""

    def __init__(
        self, number: int, name: str, scheduler: t.Optional[str], granularity: str, cpus: CpuSet
    ) -> None:
        self.id = number
        self.name = name
        self.scheduler = scheduler
        self.granularity = granularity
        self.cpus = cpus
        self.domains = set()  # type: t.Set[int]
        # What it shall have in the end; None: it shall be gone.
        self.target = cpus  # type: t.Optional[CpuSet]
        # The granularity that it shall get as soon as it has no CPU.
        self.regranulate = None  # type: t.Optional[str]
        # CPUs of cpupool 0 that it has until it has its own.
        self.lent = CpuSet()

    def state(self) -> PoolState:
        return PoolState(
            self.id, self.name, self.scheduler, self.granularity, self.cpus, frozenset(self.domains)
        )

    @property
    def finished(self) -> bool:
        return self.cpus == (self.target or CpuSet()) and self.regranulate is None


def pool_name(pool: CpuPool) -> str:
    """The cpupool's name; what Xen calls the first one where it has none."""
    return pool.name or (POOL_0 if pool.id == 0 else "")


class Order:
    """The state, and the `steps` that have led to it. `pending` is what a killed run has left in the journal; it is settled first."""

    def __init__(
        self, topology: Topology, granularities: gran.Granularities, pending: t.Iterable[Moved]
    ) -> None:
        self.topology = topology
        self.free = topology.cpupool_free & topology.online_cpuset
        self.pools = {
            pool.id: Pool(
                pool.id,
                pool_name(pool),
                pool.scheduler,
                granularities.get(pool.id, gran.CPU),
                pool.cpuset & topology.online_cpuset,
            )
            for pool in topology.cpupools
        }
        self.domains = {domain.domid: domain for domain in masks.scheduled(topology)}
        self.home = {}  # type: t.Dict[int, int]
        for domain in self.domains.values():
            self.home[domain.domid] = t.cast(int, domain.cpupool)
            self.pools[t.cast(int, domain.cpupool)].domains.add(domain.domid)
        #: The cpupool that each domain shall be in.
        self.goal = dict(self.home)
        #: Through which domains may go for a while, where there is no other way.
        self.by_way_of = None  # type: t.Optional[int]
        #: Domains of which the user has said where they shall be: the next run brings them there if this one is killed.
        self.named = set()  # type: t.Set[int]
        #: Domains that wait there, and for which cpupool.
        self._away = {}  # type: t.Dict[int, int]
        self._left = set()  # type: t.Set[int]
        settled = settle(topology, pending)
        self.steps = list(settled.steps)
        #: Masks that have been taken off a domain for a while, or by a killed run, and for which its cpupool has no CPU yet.
        self.owed = dict(settled.owed)
        #: The masks that vCPUs have.
        self.masks = {
            domain.domid: {vcpu.vcpu: (vcpu.hard, vcpu.soft) for vcpu in domain.vcpus}
            for domain in masks.scheduled(settled.topology)
        }

    def everywhere(self, hard: CpuSet) -> bool:
        """Whether this mask is no restriction."""
        return self.topology.complete_cpuset <= hard

    def moves(self, domid: int) -> bool:
        """Whether the domain is not where it shall be now."""
        return self._aim(domid) != self.home[domid]

    def pin(self, domid: int, wanted: Masks, last: bool = False) -> None:
        """Set masks; as the `last` step for what the domain is owed."""
        domain = self.domains[domid]
        have = {vcpu.vcpu: (vcpu.hard, vcpu.soft) for vcpu in domain.vcpus}
        before = {number: self.masks[domid].get(number, have[number]) for number in wanted}
        keep = dict(wanted) if last else None
        self.steps.append(Step("pin", domain=domain, masks=dict(wanted), masks_before=before, keep=keep))
        self.masks[domid].update(wanted)

    def send_away(self, pool: Pool) -> bool:
        """Have the domains that stay in this cpupool wait elsewhere until it is as it shall be; whether that is possible."""
        staying = sorted(domid for domid in pool.domains if self.goal[domid] == pool.id)
        if self.by_way_of in (None, pool.id) or 0 in staying or not staying or pool.id in self._left:
            return False
        unnamed = [self.domains[domid].title for domid in staying if domid not in self.named]
        if unnamed:
            raise Failure(
                f"{', '.join(unnamed)} would have to wait in cpupool {self.pools[self.by_way_of].name!r}: name all guests of "
                f"cpupool {pool.name!r} in its domains, so that the next run can bring them back if this one is killed"
            )
        self._left.add(pool.id)
        self._away.update((domid, pool.id) for domid in staying)
        return True

    def play(self) -> None:
        """Take every step that is possible, over and over, until all is as it shall be. Raises Failure when none is."""
        while True:
            self._away = {domid: pool for domid, pool in self._away.items() if not self.pools[pool].finished}
            if self._add_cpus() or self._remove_cpus() or self._set_granularity():
                continue
            if self._move_domains(whole=True):
                continue
            left = self._unfinished()
            if not left:
                return
            # An affinity that is in the way of its own move, or has CPUs there only later, is set again in the end. Only where that
            # does not help either, a CPU is lent, or domains wait elsewhere.
            if self._move_domains(whole=False) or self._loosen() or self._lend() or self._detour():
                continue
            way = (
                f"and {self.pools[0].name!r} has none to lend for a moment: allow its guests to wait in another cpupool (by_way_of)"
                if self.by_way_of is None
                else "and there is none to lend for a moment: leave a CPU free, or change fewer cpupools at once"
            )
            raise Failure(
                f"there is no way from here to there, one step after the other: {left}. A cpupool with guests needs a CPU all the time, {way}"
            )

    def _aim(self, domid: int) -> int:
        return t.cast(int, self.by_way_of) if domid in self._away else self.goal[domid]

    def _units(self, pool: Pool, cpus: CpuSet) -> t.List[CpuSet]:
        units = []  # type: t.List[CpuSet]
        for cpu in cpus:
            if not any(cpu in unit for unit in units):
                units.append(gran.unit(self.topology, pool.granularity, cpu))
        return units

    def _add(self, pool: Pool, unit: CpuSet) -> None:
        self.steps.append(Step("add", pool.id, pool.name, cpus=unit))
        pool.cpus |= unit
        self.free -= unit

    def _remove(self, pool: Pool, unit: CpuSet) -> None:
        self.steps.append(Step("remove", pool.id, pool.name, cpus=unit & pool.cpus))
        pool.cpus -= unit
        self.free |= unit

    def _sorted(self) -> t.List[Pool]:
        return sorted(self.pools.values(), key=lambda pool: pool.id)

    def _add_cpus(self) -> bool:
        for pool in self._sorted():
            if pool.target is None or pool.regranulate is not None:
                continue
            for unit in self._units(pool, (pool.target - pool.cpus) & self.free):
                if unit <= self.free:
                    self._add(pool, unit)
                    return True
        return False

    def _remove_cpus(self) -> bool:
        for pool in self._sorted():
            keep = CpuSet() if pool.target is None or pool.regranulate is not None else pool.target
            surplus = pool.cpus - keep
            if pool.cpus - pool.lent != keep:
                surplus -= pool.lent
            for unit in self._units(pool, surplus):
                if self._can_lose(pool, unit):
                    self._remove(pool, unit)
                    return True
        return False

    def _can_lose(self, pool: Pool, cpus: CpuSet) -> bool:
        """Whether its domains have a CPU each without these."""
        left = pool.cpus - cpus
        if not pool.domains:
            return True
        return bool(left) and not any(
            not hard & left and hard & pool.cpus and not self.everywhere(hard)
            for domid in pool.domains
            for hard, _soft in self.masks[domid].values()
        )

    def _set_granularity(self) -> bool:
        for pool in self.pools.values():
            if pool.regranulate is not None and not pool.cpus:
                self.steps.append(
                    Step("granularity", pool.id, pool.name, pool.regranulate, before=pool.granularity)
                )
                pool.granularity, pool.regranulate = pool.regranulate, None
                return True
        return False

    def _move_domains(self, whole: bool) -> bool:
        """Move one, with its affinity when that has CPUs there; without it, for the time being, when not `whole`."""
        for domid in sorted(self.domains):
            to = self.pools[self._aim(domid)]
            if self.home[domid] == to.id or not to.cpus:
                continue
            shall = self.masks[domid]
            if whole and not all(self.everywhere(hard) or hard & to.cpus for hard, _soft in shall.values()):
                continue
            domain = self.domains[domid]
            keep = {**self._confined(shall), **self.owed.get(domid, {})}
            self._refuse_split_units(domain, to, {**shall, **keep})
            self.steps.append(
                Step(
                    "move",
                    to.id,
                    to.name,
                    before=self.home[domid],
                    domain=domain,
                    masks=self._confined(shall) if whole else {},
                    masks_before=self._confined(shall),
                    keep=keep,
                )
            )
            if not whole:
                self._owe(domid, keep)
            self.pools[self.home[domid]].domains.discard(domid)
            to.domains.add(domid)
            self.home[domid] = to.id
            return True
        return False

    def _loosen(self) -> bool:
        """Let a domain run everywhere for a while, whose affinity keeps CPUs from leaving its cpupool."""
        for domid in sorted(self.domains, key=lambda domid: (not self.moves(domid), domid)):
            pool = self.pools[self.home[domid]]
            confined = self._confined(self.masks[domid])
            if confined and (self.moves(domid) or pool.cpus != pool.target):
                keep = {**confined, **self.owed.get(domid, {})}
                self.steps.append(
                    Step(
                        "loosen",
                        pool.id,
                        pool.name,
                        domain=self.domains[domid],
                        masks_before=confined,
                        keep=keep,
                    )
                )
                self._owe(domid, keep)
                return True
        return False

    def _lend(self) -> bool:
        """Give a cpupool that cannot let go of its last CPU one of cpupool 0, until it has its own."""
        first = self.pools[0]
        for pool in self._sorted():
            if pool is first or not pool.domains or not pool.target or pool.lent or pool.finished:
                continue
            for cpu in sorted(first.cpus, reverse=True):
                # Units are nested: the larger one is whole in both.
                lent = gran.unit(self.topology, pool.granularity, cpu) | gran.unit(
                    self.topology, first.granularity, cpu
                )
                # Xen keeps CPU 0 in cpupool 0.
                if 0 in lent or not lent <= first.cpus or not self._can_lose(first, lent):
                    continue
                for unit in self._units(first, lent):
                    self._remove(first, unit)
                for unit in self._units(pool, lent):
                    self._add(pool, unit)
                pool.lent = lent
                return True
        return False

    def _detour(self) -> bool:
        return any(self.send_away(pool) for pool in self._sorted() if pool.target and not pool.finished)

    def _confined(self, shall: Masks) -> Masks:
        """Those of the masks that are not "all"."""
        return {
            number: (hard, soft)
            for number, (hard, soft) in shall.items()
            if not (self.everywhere(hard) and self.everywhere(soft))
        }

    def _owe(self, domid: int, keep: Masks) -> None:
        if keep:
            self.owed[domid] = keep
        everywhere = (self.topology.complete_cpuset, self.topology.complete_cpuset)
        self.masks[domid] = dict.fromkeys(self.masks[domid], everywhere)

    def _refuse_split_units(self, domain: Domain, to: Pool, shall: Masks) -> None:
        size = gran.vcpus_in_unit(self.topology, to.granularity)
        units = {}  # type: t.Dict[int, t.Set[t.Tuple[CpuSet, CpuSet]]]
        for number, pair in shall.items():
            units.setdefault(number // size, set()).add(pair)
        if any(len(pairs) > 1 for pairs in units.values()):
            raise Failure(
                f"cpupool {to.name!r} schedules by {to.granularity}: there {size} neighbouring vCPUs have one affinity, and those of "
                f"{domain.title} differ; give each {size} the same first (vcpu_affinity)"
            )

    def _unfinished(self) -> str:
        left = [
            f"cpupool {pool.name!r} has {pool.cpus} and shall have {pool.target or 'none'}"
            for pool in self.pools.values()
            if not pool.finished
        ]
        left += [
            f"{self.domains[domid].title} is in {self.pools[pool].name!r} and shall be in {self.pools[self.goal[domid]].name!r}"
            for domid, pool in self.home.items()
            if self.goal[domid] != pool
        ]
        return ", ".join(left)
