# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carry out what :mod:`.cpupools` and :mod:`.pcpus` have decided. Private to this collection.

By hypercall and not by `xl cpupool-*`: those exit with 0 when a CPU could not be moved, cannot destroy a cpupool with a granularity
above "cpu", and cannot give one its granularity while it is made (seen with 4.17); and a process a step takes many times longer. What
`xl` keeps of a cpupool besides, its name in xenstore, is written as `xl` does, and before the cpupool is there: a run that is
killed in between leaves none without a name.
"""

import typing as t

from .._errors import Failure
from .._topology.cpuset import CpuSet
from .._topology.meanings import SCHEDULERS
from .._topology.model import Domain
from .._xen import changes, errors, sysctl
from . import granularity
from .journal import Journal, Moved
from .patience import Patience
from .pin import pin
from .pool_plan import PoolPlan
from .steps import Step, put_back

_SCHEDULER_IDS = {name: number for number, name in SCHEDULERS.items()}


def _no_names() -> t.Mapping[int, str]:
    return {}


class Hands(t.NamedTuple):
    """The ways to the host; `everything` are the CPUs that exist.

    `name(pool, text or None)` writes or removes a cpupool's name, `names` reads them all: only steps that change cpupools need them.
    """

    xen: t.Any
    journal: Journal
    everything: CpuSet
    name: t.Callable[[int, t.Optional[str]], None] = lambda pool, text: None
    names: t.Callable[[], t.Mapping[int, str]] = _no_names
    patience: Patience = Patience()


def carry_out(steps: t.Sequence[Step], hands: Hands, check: t.Callable[[], None]) -> t.List[str]:
    """Take all steps, then `check` (one of those below), and return notes: sentences on guests that have ended meanwhile.

    Raises :class:`Failure` when one fails. What had been done is then undone, last first; `rolled_back` and `not_rolled_back` in its
    result say what, as sentences.
    """
    notes = []  # type: t.List[str]
    done = []  # type: t.List[Step]
    try:
        for step in steps:
            if step.domain is not None:
                # Xen may have done a part of it when it refuses the rest.
                done.append(step)
            try:
                _take(step, hands)
            except errors.NoSuchDomain:
                if step.domain is None:
                    raise
                done = [other for other in done if other.domain is not step.domain]
                hands.journal.end(step.domain.domid)
                note = f"{step.domain.title} has ended meanwhile."
                notes += [] if note in notes else [note]
                continue
            if step.domain is None:
                done.append(step)
        check()
    except (Failure, OSError) as error:
        message = error.message if isinstance(error, Failure) else str(error)
        undone, left = _roll_back(done, hands)
        said = (
            "What had been done before was undone."
            if undone and not left
            else "Nothing had been done before."
        )
        if left:
            said = f"Not undone: {'; '.join(left)}."
        raise Failure(f"{message} {said}", rolled_back=undone, not_rolled_back=left) from error
    return notes


def described(step: Step) -> str:
    """A step as people read it."""
    title = step.domain.title if step.domain is not None else ""
    texts = {
        "rename": f"cpupool {step.before!r} renamed to {step.name!r}",
        "create": f"cpupool {step.name!r} made",
        "granularity": f"granularity of cpupool {step.name!r} set to {step.value}",
        "add": f"CPU {step.cpus} added to cpupool {step.name!r}",
        "remove": f"CPU {step.cpus} removed from cpupool {step.name!r}",
        "move": f"{title} moved to cpupool {step.name!r}",
        "pin": f"affinity of {title} set",
        "loosen": f"affinity of {title} lifted for a while",
        "settle": put_back(title),
        "destroy": f"cpupool {step.name!r} removed",
        "online": f"CPU {step.cpus} brought online",
        "offline": f"CPU {step.cpus} taken offline",
        "smt": f"SMT switched {step.value}",
    }
    return texts[step.kind]


def _take(step: Step, hands: Hands) -> None:
    xen, ask = hands.xen, hands.patience.ask
    if step.kind == "rename":
        hands.name(step.pool, step.name)
    elif step.kind == "create":
        hands.name(step.pool, step.name)
        try:
            changes.cpupool_create(xen, step.pool, _SCHEDULER_IDS[step.value])
        except errors.Exists:
            raise
        except Failure:
            hands.name(step.pool, None)
            raise
    elif step.kind == "granularity":
        changes.write_hypfs(xen, granularity.path(step.pool), step.value)
    elif step.kind == "add":
        ask(lambda: changes.cpupool_add_cpu(xen, step.pool, min(step.cpus)))
    elif step.kind == "remove":
        ask(lambda: changes.cpupool_remove_cpu(xen, step.pool, min(step.cpus)))
    elif step.domain is not None:
        _change_domain(step, step.domain, hands)
    elif step.kind == "online":
        ask(lambda: changes.cpu_hotplug(xen, changes.CPU_ONLINE, min(step.cpus)))
    elif step.kind == "offline":
        ask(lambda: changes.cpu_hotplug(xen, changes.CPU_OFFLINE, min(step.cpus)))
    elif step.kind == "smt":
        ask(
            lambda: changes.cpu_hotplug(
                xen, changes.SMT_ENABLE if step.value == "on" else changes.SMT_DISABLE
            )
        )
    else:
        ask(lambda: changes.cpupool_destroy(xen, step.pool))
        hands.name(step.pool, None)


def _change_domain(step: Step, domain: Domain, hands: Hands) -> None:
    """Move a domain, lift its affinity for a while, or set it. In between, the journal has what it shall be in the end."""
    keep = step.keep or {}
    masks = step.masks or {}
    if step.kind in ("move", "loosen") and keep:
        # Until it has moved it is where it was, and may have lost its affinity before.
        pools = {step.pool} if step.kind == "loosen" else {step.before, step.pool}
        hands.journal.begin(Moved(domain.domid, domain.uuid, tuple(sorted(pools)), keep))
    if step.kind == "loosen":
        masks = dict.fromkeys(keep, (hands.everything, hands.everything))
    elif step.kind == "move":
        hands.patience.ask(lambda: changes.cpupool_move_domain(hands.xen, step.pool, domain.domid))
    pin(hands.xen, domain, masks, hands.everything, hands.patience)
    if keep and step.kind != "loosen" and keep.keys() <= masks.keys():
        hands.journal.end(domain.domid)


def check_cpupools(plan: PoolPlan, hands: Hands) -> None:
    """Raise Failure when Xen, asked again, says something else than what was planned."""
    found = {pool.cpupool_id: pool for pool in sysctl.cpupools(hands.xen)}
    names = hands.names()
    for state in plan.after:
        pool = found.pop(state.id, None)
        cpus = None if pool is None else CpuSet.from_mask(pool.cpus)
        if cpus != state.cpus:
            raise Failure(
                f"cpupool {state.name!r} has CPU {cpus if cpus else 'none'} although {state.cpus} was set: something else changes cpupools."
            )
        if names.get(state.id, state.name) != state.name:
            raise Failure(
                f"cpupool {state.id} is called {names[state.id]!r} although {state.name!r} was written."
            )
    gone = {state.id for state in plan.before} - {state.id for state in plan.after}
    if gone & set(found):
        raise Failure("a cpupool that was removed is there again: something else changes cpupools.")


def check_online(wanted: CpuSet, hands: Hands) -> None:
    """Raise Failure when other CPUs are online than these."""
    found = CpuSet.from_mask(sysctl.cpupool_free(hands.xen))
    for pool in sysctl.cpupools(hands.xen):
        found |= CpuSet.from_mask(pool.cpus)
    if found != wanted:
        raise Failure(f"CPU {found} is online although {wanted} should be: something else switches CPUs.")


def _roll_back(done: t.Sequence[Step], hands: Hands) -> t.Tuple[t.List[str], t.List[str]]:
    undone = []  # type: t.List[str]
    left = []  # type: t.List[str]
    for step in reversed(done):
        backwards = inverse(step)
        if not backwards:
            continue
        try:
            for back in backwards:
                _take(back, hands)
            undone.append(described(step))
        except (Failure, OSError) as error:
            left.append(f"{described(step)} ({str(getattr(error, 'message', error)).rstrip('.')})")
    return undone, left


def inverse(step: Step) -> t.List[Step]:
    """The steps that take one back."""
    if step.kind == "rename":
        return [step._replace(name=step.before, before=step.name)]
    if step.kind == "create":
        return [step._replace(kind="destroy")]
    if step.kind == "granularity":
        return [step._replace(value=step.before, before=step.value)]
    if step.kind == "add":
        return [step._replace(kind="remove")]
    if step.kind == "remove":
        return [step._replace(kind="add")]
    if step.kind == "move":
        return [
            step._replace(
                pool=step.before, before=step.pool, masks=step.masks_before, masks_before=step.masks
            )
        ]
    if step.kind == "settle":
        # It was due whatever comes of this run.
        return []
    if step.kind in ("pin", "loosen"):
        return [step._replace(kind="pin", masks=step.masks_before, masks_before=step.masks)]
    if step.kind in ("online", "offline", "smt"):
        return _inverse_of_plugging(step)
    back = [step._replace(kind="create", before=None)]
    if step.before and step.before != granularity.CPU:
        back.append(step._replace(kind="granularity", value=step.before, before=granularity.CPU))
    return back


def _inverse_of_plugging(step: Step) -> t.List[Step]:
    if step.kind == "online" or step.value == "on":
        if step.kind == "smt":
            return [Step("smt", value="off", cpus=step.cpus, before=CpuSet())]
        return [Step("offline", cpus=step.cpus, before=CpuSet())]
    back = [step._replace(kind="online") if step.kind == "offline" else step._replace(value="on")]
    # Whatever comes online joins cpupool 0; what was free shall be so again.
    return back + [Step("remove", 0, cpus=CpuSet([cpu])) for cpu in step.before or ()]
