# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CPUs of different kinds on one host: Xen has no word for them, its other answers give them away. Pure.

PUs are of one kind when their cores have the same number of threads and about the same highest frequency. Kinds are ordered, as by
hwloc, from the thriftiest to the fastest, by frequency where Xen tells it for all; where it does not and the processor says that it has
several kinds of cores, those without a second thread are the thrifty ones; else there is no order.
"""

import typing as t

from .._errors import Failure
from .cpuset import CpuSet
from .model import Core, CpuKind, Pu

#: Frequencies that differ by less than this part are one kind: a few cores may be allowed to go a little faster than their sisters.
ALIKE = 0.1


class Override(t.NamedTuple):
    """A kind as the user gives it: a name, its CPUs."""

    name: str
    cpus: CpuSet


def overrides(given: t.Optional[t.Iterable[t.Mapping[str, str]]]) -> t.List[Override]:
    """Read the module's option: [{name, cpus}], the thriftiest kind first. :class:`Failure` for CPUs that are no list such as 0-3,8."""
    return [Override(kind["name"], CpuSet.parse(kind["cpus"])) for kind in given or ()]


def cpu_kinds(
    pus: t.Sequence[Pu], cores: t.Iterable[Core], cpuset: CpuSet, hybrid: bool
) -> t.Tuple[CpuKind, ...]:
    """Return the kinds, thriftiest first; PUs of unknown place belong to none."""
    by_threads = {}  # type: t.Dict[int, int]
    for core in cores:
        threads = len(core.complete_cpuset)
        by_threads[threads] = by_threads.get(threads, 0) | core.complete_cpuset.mask
    by_speed = {}  # type: t.Dict[t.Optional[int], t.List[int]]
    for pu in pus:
        by_speed.setdefault(pu.max_khz, []).append(pu.os_index)
    speed_of = _speeds(by_speed)
    members = {}  # type: t.Dict[t.Tuple[int, t.Optional[int]], CpuSet]
    for max_khz, numbers in by_speed.items():
        cpus = CpuSet(numbers)
        for threads, mask in by_threads.items():
            key = threads, speed_of.get(max_khz)
            alike = cpus & CpuSet.from_mask(mask)
            if alike:
                members[key] = alike | members.get(key, CpuSet())
    _give_the_unknown_their_speed(members)
    keys = sorted(members, key=lambda key: (key[1] or 0, key[0]))
    speeds = [speed for _threads, speed in keys]
    if None in speeds:
        ordered = len(keys) == 1 or (hybrid and not any(speeds))
    else:
        ordered = hybrid or len(set(speeds)) == len(keys)
    return tuple(
        CpuKind(
            None,
            rank if ordered else None,
            key[0],
            key[1],
            members[key] & cpuset,
            members[key],
            "xen",
        )
        for rank, key in enumerate(keys)
    )


def _speeds(values: t.Iterable[t.Optional[int]]) -> t.Dict[t.Optional[int], int]:
    """Give each frequency the highest of those that are about the same."""
    found = {}  # type: t.Dict[t.Optional[int], int]
    top = None  # type: t.Optional[int]
    for value in sorted({value for value in values if value is not None}, reverse=True):
        if top is None or value < top * (1 - ALIKE):
            top = value
        found[value] = top
    return found


def _give_the_unknown_their_speed(members: t.Dict[t.Tuple[int, t.Optional[int]], CpuSet]) -> None:
    """An offline PU has no frequency: it is of the kind of those with as many threads, if there is just one such."""
    for key in [key for key in members if key[1] is None]:
        alike = [other for other in members if other[0] == key[0] and other[1] is not None]
        if len(alike) == 1:
            members[alike[0]] |= members.pop(key)


def overridden(
    overrides: t.Sequence[Override], pus: t.Sequence[Pu], cores: t.Iterable[Core], cpuset: CpuSet
) -> t.Tuple[CpuKind, ...]:
    """Return the kinds as the user gives them, the thriftiest first.

    :class:`Failure` for a CPU that does not exist or is named twice, and when CPUs are left over.
    """
    everything = CpuSet(pu.os_index for pu in pus)
    threads = {pu: len(core.complete_cpuset) for core in cores for pu in core.complete_cpuset}
    by_number = {pu.os_index: pu for pu in pus}
    named = CpuSet()
    found = []
    for rank, override in enumerate(overrides):
        if override.cpus - everything:
            raise Failure(
                f"the kind {override.name!r} names CPU {override.cpus - everything}, but this host has {everything}"
            )
        if override.cpus & named:
            raise Failure(f"CPU {override.cpus & named} is named for several kinds of CPUs: name it once")
        named |= override.cpus
        counts = {threads.get(cpu) for cpu in override.cpus}
        speeds = {by_number[cpu].max_khz for cpu in override.cpus}
        found.append(
            CpuKind(
                override.name,
                rank,
                counts.pop() if len(counts) == 1 else None,
                speeds.pop() if len(speeds) == 1 else None,
                override.cpus & cpuset,
                override.cpus,
                "user",
            )
        )
    if everything - named:
        raise Failure(f"the kinds of CPUs that were given leave out CPU {everything - named}: name every CPU")
    return tuple(found)
