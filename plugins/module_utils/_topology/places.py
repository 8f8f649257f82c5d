# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which CPUs there are, whether they are online, and where they are. Pure."""

import typing as t

from .._errors import Failure
from . import apic, command_line
from .cpuid import Policy
from .cpuset import LARGEST_ID, CpuSet
from .firmware import Firmware
from .levels import usable
from .meanings import INVALID, PCPU_INVALID, PCPU_ONLINE, at
from .model import Parameter, Pu

#: What stands for a CPU in the rows of `cputopo` and `pcpuinfo` that has none there.
_NOWHERE = (INVALID, INVALID, INVALID)
_UNHEARD = (0, 0, INVALID, INVALID)


def pus_of(
    heard: t.Dict[str, t.Any],
    parameters: t.Sequence[Parameter],
    policy: Policy,
    firmware: Firmware,
    warnings: t.List[str],
) -> t.List[Pu]:
    """Return all PUs, by number; :class:`Failure` when no CPU was heard of."""
    topo = heard.get("cputopo", ())
    infos = heard.get("pcpuinfo", ())
    pool_of, pooled = _pool_members(heard, warnings)
    count = max(len(topo), len(infos), pooled.mask.bit_length())
    one_core_each = _constant_places(heard, topo)
    if one_core_each:
        warnings.append(
            "Xen gives every CPU of this host the same core and package and says that cores have one thread, "
            "as it does on Arm: each CPU is taken for a core of its own."
        )
    exist = []  # type: t.List[t.List[t.Any]]
    denied = []
    for cpu in range(count):
        core, package, node = topo[cpu] if cpu < len(topo) else _NOWHERE
        _present, flags, apic_id, acpi_id = infos[cpu] if cpu < len(infos) else _UNHEARD
        if flags & PCPU_INVALID:
            if core == package == node == INVALID and cpu not in pooled:
                continue
            denied.append(cpu)
            apic_id = acpi_id = INVALID
        if one_core_each and core != INVALID:
            core = cpu
        if node > LARGEST_ID:
            node = INVALID
        told = (cpu, package, core, node, apic_id, acpi_id)
        exist.append([None if value == INVALID else value for value in told])
    if not exist or not (topo or infos):
        raise Failure(
            "no CPU of this host was heard of, so nothing can be said about its topology: see which components were used"
        )
    if denied:
        warnings.append(
            f"Xen says that {_are(CpuSet(denied))} not present, yet names a place or a cpupool: taken for offline."
        )
    online = _online(heard, CpuSet([found[0] for found in exist]), pooled, warnings)
    speeds = {int(cpu): mhz * 1000 for cpu, mhz in heard.get("px_max_mhz", {}).items()}
    pus = [
        Pu(cpu, online[cpu], package, core, node, pool_of.get(cpu), apic_id, acpi_id, True, speeds.get(cpu))
        for cpu, package, core, node, apic_id, acpi_id in exist
    ]
    pus = _placed(pus, policy, _never_brought_up(pus, firmware, warnings), warnings)
    pus = _on_nodes(pus, heard, parameters, firmware)
    lost = CpuSet([pu.os_index for pu in pus if pu.online and not usable(pu)])
    if lost:
        warnings.append(f"{_are(lost)} online, but Xen does not say where: nothing will be placed there.")
    without_node = CpuSet([pu.os_index for pu in pus if usable(pu) and pu.node is None])
    if without_node:
        warnings.append(
            f"{_are(without_node)} online and on no NUMA node that is known: nothing will be placed there."
        )
    return pus


def _constant_places(heard: t.Dict[str, t.Any], topo: t.Sequence[t.Sequence[int]]) -> bool:
    """Tell whether Xen knows no topology at all: every CPU in core 0 of package 0, more of them online than a core has threads."""
    known = [place for place in topo if place[0] != INVALID]
    physinfo = heard.get("physinfo", {})
    return (
        len(known) > 1
        and all(place[0] == 0 and place[1] == 0 for place in known)
        and physinfo.get("threads_per_core") == 1
        # one online CPU is no contradiction: the others may be its siblings, switched off
        and physinfo.get("nr_cpus", 2) > 1
    )


def _pool_members(heard: t.Dict[str, t.Any], warnings: t.List[str]) -> t.Tuple[t.Dict[int, int], CpuSet]:
    """Return the cpupool of each CPU that is in one, and the CPUs that are in one or free for one."""
    pool_of = {}  # type: t.Dict[int, int]
    for pool in heard.get("cpupools", ()):
        for cpu in pool["cpus"]:
            if cpu in pool_of:
                warnings.append(
                    f"Xen says that CPU {cpu} is in cpupools {pool_of[cpu]} and {pool['id']}: the first is reported."
                )
            pool_of.setdefault(cpu, pool["id"])
    return pool_of, CpuSet(pool_of) | CpuSet(heard.get("cpupool_free", ()))


def _online(
    heard: t.Dict[str, t.Any], exist: CpuSet, pooled: CpuSet, warnings: t.List[str]
) -> t.Dict[int, t.Optional[bool]]:
    """Tell for each CPU whether it is online; None where nothing that was heard can tell."""
    infos = heard.get("pcpuinfo", ())
    count = heard.get("physinfo", {}).get("nr_cpus")
    whole_pools = "cpupools" in heard and "cpupool_free" in heard
    online = {}  # type: t.Dict[int, t.Optional[bool]]
    for cpu in exist:
        if cpu < len(infos):
            online[cpu] = bool(infos[cpu][1] & PCPU_ONLINE)
        elif cpu in pooled:
            online[cpu] = True
        elif whole_pools or count == len(pooled):
            online[cpu] = False
        elif count == len(exist):
            online[cpu] = True
        else:
            online[cpu] = None
    unknown = CpuSet([cpu for cpu, state in online.items() if state is None])
    up = CpuSet([cpu for cpu, state in online.items() if state])
    if unknown:
        warnings.append(
            f"Nothing that could be asked tells whether {_are(unknown)} online: nothing will be placed there."
        )
    if infos and whole_pools and up != pooled:
        for odd, said in (
            (up - pooled, "online, yet in no cpupool and not free for one"),
            (pooled - up, "in a cpupool, yet offline"),
        ):
            if odd:
                warnings.append(f"Xen says that {_are(odd)} {said}: the CPU's own state is believed.")
    if count is not None and not unknown and count != len(up):
        warnings.append(f"Xen counts {count} online CPUs, but {len(up)} are found online ({up}).")
    return online


def _never_brought_up(pus: t.List[Pu], firmware: Firmware, warnings: t.List[str]) -> t.List[Pu]:
    """Return the CPUs that the firmware lists and Xen does not have, as far as Xen would have a number for them."""
    if not firmware.lists_cpus:
        return []
    processors = firmware.never_brought_up({pu.os_index: pu.apic_id for pu in pus if pu.apic_id is not None})
    taken = {pu.os_index for pu in pus}
    found, nameless = [], []
    for number, apic_id, acpi_id in processors:
        if number is None or number in taken or number > LARGEST_ID:
            nameless.append(apic_id)
        else:
            found.append(Pu(number, False, None, None, None, None, apic_id, acpi_id, present=False))
    if nameless:
        said = ", ".join(str(apic_id) for apic_id in nameless[:8]) + (", ..." if len(nameless) > 8 else "")
        warnings.append(
            f"The firmware lists {len(nameless)} CPUs that Xen does not have and for which it would have no certain number: they are "
            f"left out (APIC ids {said})."
        )
    return found


def _placed(pus: t.List[Pu], policy: Policy, more: t.List[Pu], warnings: t.List[str]) -> t.List[Pu]:
    """Return all PUs, those without package and core placed by their APIC id as far as there is only one answer."""
    everybody = sorted(pus + more, key=lambda pu: pu.os_index) if more else pus
    if not any(pu.package is None or pu.core is None for pu in everybody):
        return everybody
    owners = {}  # type: t.Dict[int, t.List[int]]
    for pu in everybody:
        if pu.apic_id is not None:
            owners.setdefault(pu.apic_id, []).append(pu.os_index)
    twice = {apic_id for apic_id, cpus in owners.items() if len(cpus) > 1}
    if twice:
        cpus = CpuSet(cpu for apic_id in twice for cpu in owners[apic_id])
        warnings.append(
            f"Xen gives {cpus} the same APIC id as another CPU: it says nothing about their place."
        )
    known = {
        pu.apic_id: (pu.package, pu.core)
        for pu in everybody
        if None not in (pu.package, pu.core, pu.apic_id) and pu.apic_id not in twice
    }
    wanted = [
        pu.apic_id
        for pu in everybody
        if pu.apic_id is not None and pu.apic_id not in twice and None in (pu.package, pu.core)
    ]
    places = apic.places(t.cast(t.Dict[int, t.Tuple[int, int]], known), wanted, policy.widths())
    return [
        pu._replace(package=places[pu.apic_id][0], core=places[pu.apic_id][1])
        # one that is online and nowhere is a contradiction, not a gap to be filled
        if pu.apic_id in places and pu.online is False and None in (pu.package, pu.core)
        else pu
        for pu in everybody
    ]


def _on_nodes(
    pus: t.List[Pu], heard: t.Dict[str, t.Any], parameters: t.Sequence[Parameter], firmware: Firmware
) -> t.List[Pu]:
    """Return the PUs, those of unknown node put on theirs by what the firmware says of their APIC id."""
    seen = [
        (pu.apic_id, pu.node) for pu in pus if pu.online and pu.apic_id is not None and pu.node is not None
    ]
    there = spans(heard)
    fake = bool(there) and command_line.made_up_nodes(parameters) == len(there)
    firmware.learn_nodes(seen, there, fake, told_distances(heard))
    only = min(there) if len(there) == 1 and firmware.numa in ("off", "none") else None

    def node(pu: Pu) -> t.Optional[int]:
        if pu.node is not None or pu.online is not False or pu.apic_id is None:
            return pu.node
        domain = firmware.domain_of.get(pu.apic_id)
        return only if domain is None or only is not None else firmware.node_of.get(domain)

    return [pu._replace(node=node(pu)) if pu.node is None else pu for pu in pus]


class ToldDistances:
    """The distances that Xen tells, by (from, to). The rows stand as they came: a dictionary of all pairs would be many times as large."""

    def __init__(self, rows: t.Sequence[t.Sequence[int]] = ()) -> None:
        self._rows = rows

    def get(self, pair: t.Tuple[int, int]) -> t.Optional[int]:
        """Return the distance from one node to another, None where Xen tells none."""
        source, target = pair
        return at(self._rows[source], target) if source < len(self._rows) else None


def told_distances(heard: t.Dict[str, t.Any]) -> ToldDistances:
    """Return the distances that Xen tells."""
    return ToldDistances(heard.get("numainfo", {}).get("distance", ()))


def spans(heard: t.Dict[str, t.Any]) -> t.Dict[int, int]:
    """Return the bytes from the first to the last page of each node that Xen has and that has any."""
    sizes = heard.get("numainfo", {}).get("memsize", ())
    return {node: size for node, size in enumerate(sizes) if size and size != INVALID and node <= LARGEST_ID}


def _are(cpus: CpuSet) -> str:
    return f"CPU {cpus} is" if len(cpus) == 1 else f"CPUs {cpus} are"
