# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Xen is and how it was started: version, scheduler, command line, cpupools. Pure."""

import typing as t

from . import command_line
from .cpuset import CpuSet
from .firmware import Firmware
from .meanings import scheduler
from .model import Core, CpuPool, NumaNode, Parameter, Pu, Xen


def xen_of(
    heard: t.Dict[str, t.Any],
    parameters: t.Tuple[Parameter, ...],
    firmware: Firmware,
    pus: t.Sequence[Pu],
    cores: t.Sequence[Core],
    nodes: t.Sequence[NumaNode],
) -> Xen:
    """Return the hypervisor with its state."""
    xen = heard.get("xen", {})
    interface = xen.get("interface", {})
    return Xen(
        major=xen.get("major"),
        minor=xen.get("minor"),
        extraversion=xen.get("extraversion", ""),
        changeset=xen.get("changeset"),
        capabilities=tuple(xen.get("capabilities", "").split()),
        command_line=xen.get("commandline"),
        scheduler=scheduler(heard.get("sched_id")),
        interface={key: interface.get(key) for key in ("sysctl", "domctl", "platform", "known")},
        parameters=parameters,
        numa=_numa(parameters, firmware, len(nodes)),
        smt=_smt(pus, cores),
        sched_gran=_sched_gran(heard, parameters, cores),
    )


def _numa(parameters: t.Sequence[Parameter], firmware: Firmware, nodes: int) -> t.Optional[str]:
    if nodes > 1:
        # where Xen cannot make up so many it takes the firmware's
        return "fake" if command_line.made_up_nodes(parameters) == nodes else "on"
    if command_line.settings(parameters).get(("numa", "")) is False:
        return "off"
    # the firmware was looked at, and names no nodes at all
    return firmware.numa or ("none" if firmware.heard else None)


def _smt(pus: t.Sequence[Pu], cores: t.Sequence[Core]) -> t.Optional[str]:
    """Tell whether threads are in use; None while a CPU of unknown place may be a second thread."""
    if any(len(core.cpuset) > 1 for core in cores):
        return "on"
    if any(len(core.complete_cpuset) > 1 for core in cores):
        return "off"
    return None if any(None in (pu.package, pu.core) for pu in pus) or not cores else "none"


def _sched_gran(
    heard: t.Dict[str, t.Any], parameters: t.Sequence[Parameter], cores: t.Sequence[Core]
) -> t.Optional[str]:
    """The granularity of the cpupool that Xen boots with, from hypfs, else from the command line where that cannot be otherwise."""
    told = heard.get("sched_gran", {}).get("0")
    if told is not None:
        return t.cast(str, told)
    xen = heard.get("xen", {})
    if "commandline" not in xen:
        return None
    asked = command_line.settings(parameters).get(("sched-gran", ""))
    if asked in (None, "cpu"):
        return "cpu"
    # hwloc XML may have a command line and no version
    if xen.get("major") is None or xen.get("minor") is None:
        return None
    if (xen["major"], xen["minor"]) < (4, 13):
        return "cpu"
    # Xen falls back to single CPUs when cores differ
    same = len({len(core.cpuset) for core in cores}) == 1
    return asked if asked in ("core", "socket") and same else None


def cpupools(heard: t.Dict[str, t.Any], xen: Xen) -> t.Tuple[CpuPool, ...]:
    """Return the cpupools by number. A CPU that Xen names for several is the first's."""
    granularities = heard.get("sched_gran", {})
    names = heard.get("cpupool_names", {})
    members = {}  # type: t.Dict[int, CpuSet]
    taken = CpuSet()
    for pool in heard.get("cpupools", ()):
        members[pool["id"]] = CpuSet(pool["cpus"]) - taken
        taken |= members[pool["id"]]
    return tuple(
        CpuPool(
            pool["id"],
            names.get(str(pool["id"])),
            scheduler(pool.get("sched_id")),
            members[pool["id"]],
            pool.get("n_dom"),
            granularities.get(str(pool["id"]), xen.sched_gran if pool["id"] == 0 else None),
        )
        for pool in sorted(heard.get("cpupools", ()), key=lambda pool: pool["id"])
    )
