# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors of this host's Xen that steps on cpupools and CPUs would meet. Pure. Private to this collection."""

import typing as t

from .._errors import Failure
from .._topology import faults
from .._topology.cpuset import CpuSet
from .._topology.model import Topology
from .steps import Step


def risks(topology: Topology, steps: t.Iterable[Step]) -> t.List[str]:
    """Sentences on errors of this host's Xen that the steps would meet, see :mod:`.._topology.faults`."""
    pools = {pool.id: pool for pool in topology.cpupools}
    has = {pool.id: pool.cpuset & topology.online_cpuset for pool in topology.cpupools}
    leaving = {}  # type: t.Dict[int, t.Tuple[CpuSet, bool]]
    offline, plugged, moved = CpuSet(), CpuSet(), []  # type: CpuSet, CpuSet, t.List[str]
    for step in steps:
        if step.kind in ("offline", "online", "smt"):
            plugged |= step.cpus
            if step.kind == "offline" or (step.kind, step.value) == ("smt", "off"):
                offline |= step.cpus
        elif step.kind == "add":
            has[step.pool] = has.get(step.pool, CpuSet()) | step.cpus
        elif step.kind == "remove" and step.pool in pools:
            has[step.pool] -= step.cpus
            if pools[step.pool].scheduler == "credit":
                cpus, empty = leaving.get(step.pool, (CpuSet(), False))
                leaving[step.pool] = cpus | step.cpus, empty or not has[step.pool]
        elif step.kind == "move" and step.domain is not None and step.before in pools and step.pool in pools:
            grains = {pools[step.before].sched_gran, pools[step.pool].sched_gran}
            if len(grains) > 1 and None not in grains:
                moved.append(step.domain.title)
    found = []
    for number, (cpus, empty) in sorted(leaving.items()):
        subject = "CPU {0} leaves cpupool {1!r}, whose scheduler is credit".format(
            cpus, pools[number].name or number
        )
        found.append(faults.sentence("credit_leave", topology.xen, subject))
        if empty:
            found.append(faults.sentence("credit_empty", topology.xen, subject))
    if offline:
        found += [
            faults.sentence(name, topology.xen, "CPU {0}".format(offline))
            for name in ("offline_hang", "offline_interrupts")
        ]
    if plugged and any(pool.sched_gran in ("core", "socket") for pool in topology.cpupools):
        found.append(faults.sentence("core_hotplug", topology.xen, "CPU {0}".format(plugged)))
    if moved:
        found.append(faults.sentence("move_granularity", topology.xen, ", ".join(moved)))
    return [sentence for sentence in found if sentence is not None]


def refuse_risks(found: t.Sequence[str], allow: bool) -> None:
    """Raise Failure with what the steps would meet, unless the user allows it."""
    if found and not allow:
        raise Failure(
            "this would meet errors of this host's Xen. {0}. Nothing was done: install a release that mends it, or set allow_known_faults to "
            "do it all the same".format(". ".join(found))
        )
