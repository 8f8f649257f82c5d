# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cpupools that shall be, against those that are: one ordered list of steps. Pure. Private to this collection.

:func:`plan_cpupools` reads what is wanted, decides and checks everything. :mod:`.pool_order` finds an order in which each step is
possible, :mod:`.pool_steps` carries out.
"""

import re
import typing as t

from .._errors import Failure
from .._topology.cpuset import CpuSet
from .._topology.expression import resolve
from .._topology.meanings import SCHEDULERS
from .._topology.model import Domain, Topology
from . import granularity as gran
from . import masks
from .journal import Moved
from .pool_order import Order, Pool, pool_name
from .pool_plan import PoolPlan, PoolState
from .risks import risks
from .steps import Masks, Step, affinity_difference, owed_note

PRESENT, ABSENT = "present", "absent"

_SCHEDULER_IDS = {name: number for number, name in SCHEDULERS.items()}

#: What an entry for :func:`plan_cpupools` has, as an argument spec.
ENTRY: t.Dict[str, t.Dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": [PRESENT, ABSENT], "default": PRESENT},
    "former_name": {"type": "str"},
    "cpus": {"type": "raw"},
    "scheduler": {"type": "str", "choices": ["credit", "credit2", "null", "rtds"]},
    "granularity": {"type": "str", "choices": ["cpu", "core", "socket"]},
    "domains": {"type": "list", "elements": "str"},
    "evacuate_to": {"type": "str"},
}


class _Entry(t.NamedTuple):
    """One entry of the user's list, read: `pool` is the id that it has or gets, None for one that shall be absent and is."""

    where: str
    name: str
    pool: t.Optional[int]
    new: bool
    absent: bool
    cpus: t.Optional[CpuSet]
    asked: t.Mapping[str, t.Any]


def numa_split(topology: Topology) -> t.List[t.Dict[str, t.Any]]:
    """The entries that give every NUMA node with online CPUs a cpupool ``Pool-nodeN``; cpupool 0 becomes that of the first one."""
    nodes = [node for node in topology.nodes if node.cpuset]
    entries = []  # type: t.List[t.Dict[str, t.Any]]
    for node in nodes:
        entry = {"name": "Pool-node%d" % node.os_index, "cpus": "node:%d" % node.os_index}
        if not entries:
            entry["former_name"] = pool_name(next(pool for pool in topology.cpupools if pool.id == 0))
        entries.append(entry)
    return entries


def plan_cpupools(
    topology: Topology,
    granularities: gran.Granularities,
    wanted: t.Sequence[t.Mapping[str, t.Any]],
    policy: masks.Policy = masks.REFUSE,
    pending: t.Iterable[Moved] = (),
    by_way_of: t.Optional[str] = None,
) -> PoolPlan:
    """Compare what is wanted with what is.

    `wanted` is a list of {name, state, former_name, cpus, scheduler, granularity, domains, evacuate_to}; all but name may be absent
    or None. `policy` says what becomes of hard affinity that would be left without CPUs: see :mod:`.masks`. `pending` is what a run
    that was killed has left in the journal. `by_way_of` names the cpupool in which guests may wait for a while, where there is no way
    otherwise: None for not at all.

    Raises :class:`Failure` that names the entry, for what is unknown, contradicts itself, or cannot be.
    """
    return _Planner(topology, granularities, policy, pending, by_way_of).plan(wanted)


class _Planner:
    def __init__(
        self,
        topology: Topology,
        granularities: gran.Granularities,
        policy: masks.Policy,
        pending: t.Iterable[Moved],
        by_way_of: t.Optional[str],
    ) -> None:
        self.topology = topology
        self.policy = policy
        self.by_way_of = by_way_of
        self.notes = []  # type: t.List[str]
        self.order = Order(topology, granularities, pending)
        self.pools = self.order.pools
        self.domains = self.order.domains

    def plan(self, wanted: t.Sequence[t.Mapping[str, t.Any]]) -> PoolPlan:
        self.topology.check_names("cpupools cannot be told apart")
        order = self.order
        before = tuple(pool.state() for pool in self.pools.values())
        entries = self._read(wanted)
        self._rename_and_create(entries)
        self._set_targets(entries)
        self._set_homes(entries)
        self._set_detour()
        self._set_granularities(entries)
        later = self._mend()
        order.play()
        for domid in sorted(set(order.owed) | set(later)):
            shall = {**order.owed.get(domid, {}), **later.get(domid, {})}
            here = self.pools[order.home[domid]].cpus
            if all(hard & here for hard, _soft in shall.values()):
                order.pin(domid, shall, last=True)
            else:
                self.notes.append(owed_note(self.domains[domid]))
        for pool in sorted(self.pools.values(), key=lambda pool: pool.id):
            if pool.target is None:
                self._step(Step("destroy", pool.id, pool.name, pool.scheduler or "", before=pool.granularity))
                del self.pools[pool.id]
        return PoolPlan(
            tuple(order.steps),
            before,
            tuple(self.pools[number].state() for number in sorted(self.pools)),
            tuple((self.domains[domid], order.masks[domid]) for domid in sorted(self.domains)),
            tuple(entry.name for entry in entries),
            tuple(self.notes),
            tuple(risks(self.topology, order.steps)),
        )

    def _step(self, step: Step) -> None:
        self.order.steps.append(step)

    # --- what the user says

    def _read(self, wanted: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[_Entry]:
        by_name = {}  # type: t.Dict[str, int]
        for pool in self.pools.values():
            if pool.name and pool.name in by_name:
                raise Failure(
                    f"cpupools {by_name[pool.name]} and {pool.id} have the same name {pool.name!r}: rename one of them "
                    "(xl cpupool-rename takes a name only; use xenstore-write /local/pool/ID/name)"
                )
            by_name[pool.name] = pool.id
        by_name.pop("", None)
        unused = (number for number in range(len(self.pools) + len(wanted) + 1) if number not in self.pools)
        entries = []  # type: t.List[_Entry]
        for index, asked in enumerate(wanted):
            name = asked.get("name")
            where = f"cpupools[{index}]"
            if not isinstance(name, str) or not name or "\0" in name:
                raise Failure(f"{where}: name must be the name of a cpupool, not {name!r}")
            if re.match(r"[0-9]+\Z", name):
                raise Failure(
                    f"{where}: name {name!r} is a number, which xl takes for a cpupool's id: choose another name"
                )
            where = f"{where} ({name})"
            if any(entry.name == name for entry in entries):
                raise Failure(f"{where}: an earlier entry has the same name; join the two")
            try:
                entries.append(self._read_entry(where, name, asked, by_name, unused))
            except Failure as failure:
                message = (
                    failure.message if failure.message.startswith(where) else f"{where}: {failure.message}"
                )
                raise Failure(message) from None
        taken = [entry.pool for entry in entries if entry.pool is not None]
        for number in taken:
            if taken.count(number) > 1:
                both = [entry.where for entry in entries if entry.pool == number]
                raise Failure(f"{' and '.join(both)} mean the same cpupool: join the two")
        return entries

    def _read_entry(
        self,
        where: str,
        name: str,
        asked: t.Mapping[str, t.Any],
        by_name: t.Mapping[str, int],
        unused: t.Iterator[int],
    ) -> _Entry:
        former = asked.get("former_name")
        absent = asked.get("state") == ABSENT
        pool = by_name.get(name)
        if former is not None and former != name and former in by_name:
            if pool is not None:
                raise Failure(
                    f"there are both {name!r} and {former!r}, its former name: remove one of them first"
                )
            pool = by_name[former]
        if absent:
            for key in ("cpus", "scheduler", "granularity", "domains", "former_name"):
                if asked.get(key):
                    raise Failure(f"{key} says nothing for a cpupool that shall be absent: leave it out")
            if pool == 0:
                raise Failure("it is cpupool 0, in which dom0 is: Xen always has it")
            return _Entry(where, name, pool, False, True, None, asked)
        if asked.get("evacuate_to") is not None:
            raise Failure("evacuate_to is for a cpupool that shall be absent")
        cpus = None
        if asked.get("cpus") is not None:
            named = resolve(asked["cpus"], self.topology)
            cpus = named & self.topology.online_cpuset
            if not cpus:
                what = f"{named} is offline" if named else "it names no CPU"
                raise Failure(f"cpus {asked['cpus']!r} gives it no CPU, {what}: a cpupool needs at least one")
            if named - cpus:
                self.notes.append(
                    f"{where}: CPU {named - cpus} is offline, and is left out until it is online."
                )
        scheduler = asked.get("scheduler")
        if scheduler is not None and scheduler not in _SCHEDULER_IDS:
            raise Failure(f"there is no scheduler {scheduler!r}")
        if pool is None:
            if cpus is None:
                raise Failure("there is no such cpupool yet, and cpus does not say which CPUs it shall have")
            return _Entry(where, name, next(unused), True, False, cpus, asked)
        has = self.pools[pool].scheduler
        if scheduler is not None and scheduler != has:
            raise Failure(
                f"it has the scheduler {has}, and Xen gives a cpupool its scheduler only when it is made: remove it first "
                f"(state absent), then have it made with {scheduler}"
            )
        return _Entry(where, name, pool, False, False, cpus, asked)

    def _rename_and_create(self, entries: t.Sequence[_Entry]) -> None:
        for entry in entries:
            if entry.pool is not None and not entry.new and not entry.absent:
                pool = self.pools[entry.pool]
                if pool.name != entry.name:
                    self._step(Step("rename", pool.id, entry.name, before=pool.name))
                    pool.name = entry.name
        for entry in entries:
            if entry.new and entry.pool is not None:
                scheduler = entry.asked.get("scheduler") or self.topology.xen.scheduler or "credit2"
                made = Pool(entry.pool, entry.name, scheduler, gran.booted_with(self.topology), CpuSet())
                self.pools[made.id] = made
                self._step(Step("create", made.id, made.name, scheduler))

    def _set_targets(self, entries: t.Sequence[_Entry]) -> None:
        """Say for each cpupool which CPUs it shall have in the end."""
        owner = {}  # type: t.Dict[int, _Entry]
        for entry in entries:
            for cpu in entry.cpus or ():
                if cpu in owner:
                    raise Failure(
                        f"{entry.where} and {owner[cpu].where} both want CPU {cpu}: a CPU is in one cpupool"
                    )
                owner[cpu] = entry
        claimed = CpuSet(owner)
        said = {entry.pool: entry for entry in entries if entry.pool is not None}  # type: t.Dict[t.Optional[int], _Entry]
        released = CpuSet()
        for pool in self.pools.values():
            spoken = said.get(pool.id)
            if spoken is not None and spoken.absent:
                pool.target = None
                released |= pool.cpus
            elif spoken is not None and spoken.cpus is not None:
                pool.target = spoken.cpus
                released |= pool.cpus - spoken.cpus
            elif pool.id != 0:
                lost = pool.cpus & claimed
                if lost:
                    what = "gives no cpus" if spoken is not None else "is not in the list"
                    raise Failure(
                        f"{owner[min(lost)].where}: CPU {lost} is in cpupool {pool.name!r}, which {what}: say there which CPUs it keeps"
                    )
        first = self.pools[0]
        if 0 not in said or said[0].cpus is None:
            # Whatever nobody is to have belongs to cpupool 0, as it does when Xen boots.
            shaped = any(entry.cpus is not None or entry.absent for entry in entries)
            first.target = (first.cpus | (released | self.order.free if shaped else CpuSet())) - claimed
            if not first.target:
                raise Failure(
                    f"cpupool {first.name!r}, in which dom0 is, would have no CPU left: leave it at least one"
                )
        for pool in self.pools.values():
            for cpu in pool.target or ():
                together = gran.unit(self.topology, self._granularity_wanted(pool, said.get(pool.id)), cpu)
                if not together <= t.cast(CpuSet, pool.target):
                    raise Failure(
                        f"cpupool {pool.name!r} schedules by {self._granularity_wanted(pool, said.get(pool.id))}: CPUs {together} "
                        f"belong together, and it cannot have {together & t.cast(CpuSet, pool.target)} without the others"
                    )

    @staticmethod
    def _granularity_wanted(pool: Pool, entry: t.Optional[_Entry]) -> str:
        asked = None if entry is None else entry.asked.get("granularity")
        return pool.granularity if asked is None else str(asked)

    def _set_homes(self, entries: t.Sequence[_Entry]) -> None:
        """Say for each domain which cpupool it shall be in."""
        goal = self.order.goal
        named = {}  # type: t.Dict[int, str]
        for entry in entries:
            for ref in entry.asked.get("domains") or ():
                domain = self._guest(entry, ref)
                if named.setdefault(domain.domid, entry.where) != entry.where:
                    raise Failure(f"{entry.where} and {named[domain.domid]} both want {domain.title}")
                if domain.domid == 0 and entry.pool != self.order.home[0]:
                    raise Failure(f"{entry.where}: Domain-0 stays in its cpupool, Xen does not move it")
                goal[domain.domid] = t.cast(int, entry.pool)
        self.order.named = set(named)
        for entry in entries:
            if not entry.absent or entry.pool is None:
                continue
            left = sorted(domid for domid, pool in goal.items() if pool == entry.pool)
            to = entry.asked.get("evacuate_to")
            if to is None and left:
                titles = ", ".join(self.domains[domid].title for domid in left)
                raise Failure(
                    f"{entry.where}: {titles} would have no cpupool: say where they go (evacuate_to), or name them in another entry's domains"
                )
            for domid in left:
                goal[domid] = self._pool_called(f"{entry.where}: evacuate_to", t.cast(str, to))

    def _set_detour(self) -> None:
        if self.by_way_of is not None:
            self.order.by_way_of = self._pool_called("by_way_of", self.by_way_of)

    def _guest(self, entry: _Entry, ref: t.Any) -> Domain:
        try:
            domain = self.topology.domain(ref)
        except Failure as failure:
            raise Failure(f"{entry.where}: {failure.message}") from None
        if domain.domid not in self.domains:
            raise Failure(
                f"{entry.where}: {domain.title} is going away and is in no cpupool any more: leave it out"
            )
        return domain

    def _pool_called(self, where: str, name: str) -> int:
        for pool in self.pools.values():
            if pool.name == name and pool.target is not None:
                return pool.id
        raise Failure(f"{where} names {name!r}, and there will be no such cpupool")

    def _set_granularities(self, entries: t.Sequence[_Entry]) -> None:
        for entry in entries:
            asked = entry.asked.get("granularity")
            if asked is None or entry.pool is None:
                continue
            if asked not in gran.GRANULARITIES:
                raise Failure(
                    f"{entry.where}: granularity must be one of {', '.join(gran.GRANULARITIES)}, not {asked!r}"
                )
            pool = self.pools[entry.pool]
            if asked == pool.granularity:
                continue
            if pool.id == 0:
                raise Failure(
                    f"{entry.where}: it is cpupool 0, whose granularity ({pool.granularity}) is that of Xen's command line (sched-gran)"
                )
            staying = [domid for domid in pool.domains if self.order.goal[domid] == pool.id]
            if staying and not self.order.send_away(pool):
                titles = ", ".join(self.domains[domid].title for domid in sorted(staying))
                raise Failure(
                    f"{entry.where}: its granularity can be set only while it has no CPUs, and {titles} need some: allow them to wait "
                    "in another cpupool meanwhile (by_way_of), or move them there first"
                )
            if pool.cpus and entry.cpus is None:
                raise Failure(
                    f"{entry.where}: its granularity can be set only while it has no CPUs: say which it shall have afterwards (cpus, now "
                    f"{pool.cpus}), so that the next run can give it them if this one is killed"
                )
            pool.regranulate = asked

    # --- affinities

    def _mend(self) -> t.Dict[int, Masks]:
        """Deal with hard masks that would have no CPU in the end, before anything is taken away. Returns what is to be set last."""
        order, goal = self.order, self.order.goal
        later = {}  # type: t.Dict[int, Masks]
        refusals = []  # type: t.List[str]
        for domid, domain in sorted(self.domains.items()):
            target = t.cast(CpuSet, self.pools[goal[domid]].target)
            now = self.pools[order.home[domid]].cpus
            first = {}  # type: Masks
            last = {}  # type: Masks
            for number, (hard, soft) in {**order.masks[domid], **order.owed.get(domid, {})}.items():
                # One that has no CPU as it is was not broken by us.
                if (
                    order.everywhere(hard)
                    or hard & target
                    or (goal[domid] == order.home[domid] and not hard & now)
                ):
                    continue
                if self.policy == masks.REFUSE:
                    refusals.append(
                        f"hard affinity {hard} of vCPU {number} of {domain.title} would have no CPU in cpupool "
                        f"{self.pools[goal[domid]].name!r} ({target})"
                    )
                    continue
                try:
                    new = masks.instead(self.topology, hard, target, self.policy)
                except Failure as failure:
                    raise Failure(f"broken_affinity: {failure.message}, those of {domain.title}") from None
                if domid in order.owed:
                    last[number] = (new, soft)
                elif new & now and not order.moves(domid):
                    first[number] = (new, soft)
                else:
                    first[number] = (hard | new, soft)
                    last[number] = (new, soft)
            if first:
                order.pin(domid, first)
            if last:
                later[domid] = last
        if refusals:
            more = f" (and {len(refusals) - 1} more like it)" if len(refusals) > 1 else ""
            raise Failure(
                f"{refusals[0]}{more}, and Xen would let it run everywhere, for good: give it another affinity first, or say where it "
                "shall run (broken_affinity)",
                broken=refusals,
            )
        return later


# --- telling


def results(plan: PoolPlan, titles: t.Mapping[int, str]) -> t.List[t.Dict[str, t.Any]]:
    """What the user is told of each cpupool that was asked for: {name, id, changed, before, after}, None for one that is not there."""
    before = {state.id: state for state in plan.before}
    after = {state.id: state for state in plan.after}
    by_name = {state.name: state.id for state in plan.before}
    by_name.update({state.name: state.id for state in plan.after})
    found = []
    for name in plan.wanted:
        number = by_name.get(name)
        sides = [
            _told(side[number], titles) if number is not None and number in side else None
            for side in (before, after)
        ]
        found.append(
            {
                "name": name,
                "id": number,
                "changed": sides[0] != sides[1],
                "before": sides[0],
                "after": sides[1],
            }
        )
    return found


def _told(state: PoolState, titles: t.Mapping[int, str]) -> t.Dict[str, t.Any]:
    return {
        "name": state.name,
        "cpus": str(state.cpus),
        "scheduler": state.scheduler,
        "granularity": state.granularity,
        "domains": [titles.get(domid, str(domid)) for domid in sorted(state.domains)],
    }


def differences(
    plan: PoolPlan, titles: t.Mapping[int, str], everything: CpuSet
) -> t.List[t.Dict[str, t.Any]]:
    """Entries for --diff: one for each cpupool that changes, asked for or not, and one for each domain whose affinity does."""
    entries = []  # type: t.List[t.Dict[str, t.Any]]
    before = {state.id: state for state in plan.before}
    after = {state.id: state for state in plan.after}
    for number in sorted(set(before) | set(after)):
        if before.get(number) != after.get(number):
            header = "cpupool %s (id %d)" % ((after.get(number) or before[number]).name, number)
            entries.append(
                {
                    "before_header": header,
                    "after_header": header,
                    "before": _told(before[number], titles) if number in before else {},
                    "after": _told(after[number], titles) if number in after else {},
                }
            )
    for domain, now in plan.affinities:
        was = {vcpu.vcpu: (vcpu.hard, vcpu.soft) for vcpu in domain.vcpus if vcpu.vcpu in now}
        if was != now:
            entries.append(affinity_difference(domain, now, everything))
    return entries
