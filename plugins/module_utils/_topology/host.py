# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what was heard to what is: RawHost in, Topology out. Pure, and one code path for every level.

What Xen means by its answers (xen/include/public/{sysctl,platform,domctl}.h and the code behind them):

* cputopoinfo lists present CPUs, online or not, and has no flag that tells which. An offline CPU keeps its place on some processors and
  loses it on others (package and core become 0xFFFFFFFF, the node stays).
* Whether a CPU is online: XENPF_get_cpuinfo's flags; without them, being in a cpupool or free for one.
* physinfo's threads_per_core and cores_per_socket describe CPU 0. They are not used to group CPUs.
* A node that Xen does not know has 0xFFFFFFFF bytes and distances of 0xFFFFFFFF.
* numainfo's memsize is what a node spans, holes included. Its RAM is the machine's memory map within what the SRAT gives to it.

Contradictions become warnings, never guesses. The only :class:`Failure` is for a host of which no CPU was heard.
"""

import typing as t

from . import command_line
from .cpuid import Policy
from .cpuset import CpuSet
from .firmware import Firmware
from .guests import dom0_vcpus, domains_of
from .hypervisor import cpupools, xen_of
from .levels import LEVELS, Group, group, usable
from .meanings import PAGE_SIZE, size_of
from .model import Component, Core, Memory, Package, Parameter, Topology
from .numa import nodes_of
from .places import pus_of
from .raw import RawHost


class Sources(t.NamedTuple):
    """What is read first, and once: the rest asks it. `warnings` grow while the host is derived."""

    parameters: t.Tuple[Parameter, ...]
    policy: Policy
    firmware: Firmware
    warnings: t.List[str]


def sources_of(raw: RawHost) -> Sources:
    """Read Xen's command line, the processor's own description and the firmware's tables."""
    heard = raw.data
    warnings = list(raw.warnings)
    return Sources(
        command_line.parse(heard.get("xen", {}).get("commandline")),
        Policy(heard.get("cpu_policy", ())),
        Firmware(heard, warnings),
        warnings,
    )


def host_of(raw: RawHost, sources: t.Optional[Sources] = None) -> Topology:
    """Derive what planning and changing need: :func:`.derive.derive` without what only facts have.

    That is caches, kinds of CPUs, parts of packages, devices, DMI, dom0's boot options and Linux, locality, and questions unanswered.
    :class:`Failure` when no CPU was heard of.
    """
    heard = raw.data
    parameters, policy, firmware, warnings = sources_of(raw) if sources is None else sources
    pus = pus_of(heard, parameters, policy, firmware, warnings)
    cpuset = CpuSet([pu.os_index for pu in pus if usable(pu)])
    complete_cpuset = CpuSet([pu.os_index for pu in pus])
    groups = {level: group(pus, level, cpuset) for level in LEVELS}
    cores = _cores(groups["core"], warnings)
    _doubt_threads(heard, cores, warnings)
    nodes, distances = nodes_of(heard, groups["node"], firmware, warnings)
    complete_nodeset = CpuSet(node.os_index for node in nodes)
    page_size = heard.get("page_size") or PAGE_SIZE
    xen = xen_of(heard, parameters, firmware, pus, cores, nodes)
    if xen.numa == "fake":
        warnings.append(
            "Xen was told to make up its NUMA nodes (numa=fake= on its command line): they do not tell which memory is near to which CPUs; "
            "boot Xen with numa=on to have the machine's own."
        )
    domains = domains_of(heard, page_size, complete_cpuset, complete_nodeset)
    physinfo = heard.get("physinfo", {})
    components = _components(raw)
    return Topology(
        xen=xen,
        pus=tuple(pus),
        cores=cores,
        packages=tuple(
            Package(found.key[0], found.cpuset, found.complete_cpuset, found.nodes)
            for found in groups["package"]
        ),
        nodes=nodes,
        distances=distances,
        cpupools=cpupools(heard, xen),
        cpupool_free=CpuSet(heard.get("cpupool_free", ())),
        domains=domains,
        dom0_vcpus=dom0_vcpus(heard, domains, complete_cpuset),
        dom0_linux=None,
        memory=Memory(*(size_of(physinfo.get(field + "_pages"), page_size) for field in Memory._fields)),
        cpu_khz=physinfo.get("cpu_khz"),
        cpuset=cpuset,
        complete_cpuset=complete_cpuset,
        allowed_cpuset=cpuset,
        nodeset=CpuSet(
            node.os_index for node in nodes if node.cpuset or node.memory_total or node.memory_spanned
        ),
        complete_nodeset=complete_nodeset,
        source=_source(components),
        components=components,
        warnings=tuple(warnings),
    )


def _components(raw: RawHost) -> t.Tuple[Component, ...]:
    return tuple(
        Component(
            component["name"],
            component["priority"],
            component["state"],
            component["reason"],
            component.get("hypercalls"),
        )
        for component in raw.components
    )


def _source(components: t.Iterable[Component]) -> str:
    used = [component for component in components if component.state == "used"]
    return max(used, key=lambda component: component.priority).name if used else "unknown"


def _doubt_threads(heard: t.Dict[str, t.Any], cores: t.Iterable[Core], warnings: t.List[str]) -> None:
    """Warn of cores with more threads than x86's processors have, where no processor describes itself: Xeon Phi alone has four.

    What `xl` prints may have one number for cores of several complexes or dies of a package.
    """
    most = max((len(core.complete_cpuset) for core in cores), default=0)
    x86 = "x86" in heard.get("xen", {}).get("capabilities", "")
    if most > 2 and x86 and not heard.get("cpu_policy"):
        warnings.append(
            f"Cores of {most} threads were told, and but for Xeon Phi no x86 processor has more than two: CPUs of several cores may have "
            "been taken for those of one; see whether the hypervisor itself can be asked (source: hypercall)."
        )


def _cores(groups: t.Iterable[Group], warnings: t.List[str]) -> t.Tuple[Core, ...]:
    cores = []
    for index, found in enumerate(
        sorted(groups, key=lambda found: (found.key[0], found.complete_cpuset.first()))
    ):
        package, core = found.key
        if len(found.nodes) > 1:
            warnings.append(
                f"Core {core} of package {package} has CPUs on the NUMA nodes {found.nodes}: its node is reported as unknown."
            )
        node = found.nodes.first() if len(found.nodes) == 1 else None
        cores.append(Core(index, package, core, node, found.cpuset, found.complete_cpuset))
    return tuple(cores)
