# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks the hypervisor itself, as much as those need who change something. Everything in it is Xen's own word, read through `_xen`.

`hypercall.py` asks the rest.
"""

import typing as t

from .._xen import errors, hypfs, memory, platform, sysctl, version
from .component import DOMAINS, TOPOLOGY, Component, Heard, Request
from .domain_sections import domains, members, vcpus

#: CPUID leaves that tell vendor, features, caches, topology and name; the others say nothing about where a CPU is. Leaf 3, which may
#: hold a serial number, is not among them.
LEAVES = frozenset(
    (0, 1, 4, 7, 0xB, 0x1F) + tuple(range(0x80000000, 0x80000007)) + (0x80000008, 0x8000001D, 0x8000001E)
)


class Hypervisor(Component):
    """Hypercalls through libxencall."""

    name = "hypercall"
    priority = 55
    provides: t.Tuple[str, ...] = (TOPOLOGY, DOMAINS)
    excludes = ("xl",)

    def collect(self, request: Request, heard: t.Dict[str, t.Any]) -> Heard:
        """Ask Xen. Raises what opening it raises."""
        with request.open_xen() as xen:
            warnings = list(xen.warnings)
            sections = self.ask(xen, request, warnings)
            return Heard(sections, warnings, xen.calls)

    def ask(self, xen: t.Any, request: Request, warnings: t.List[str]) -> t.Dict[str, t.Any]:
        """The sections. Subclasses add theirs."""
        sections = _host(xen, warnings)
        cpus = len(sections["cputopo"])
        if DOMAINS in request.subset:
            sections["domains"] = domains(xen, cpus, len(sections["numainfo"]["memfree"]))
        else:
            sections["dom0_vcpus"] = vcpus(xen, sysctl.getdomaininfolist(xen, limit=1)[0], cpus)

        def ram() -> t.Any:
            return [list(region) for region in memory.machine_memory_map(xen)]

        def policy() -> t.Any:
            return [list(leaf) for leaf in sysctl.cpu_policy(xen) if leaf.leaf in LEAVES]

        def granularity() -> t.Any:
            found = {}
            for pool in sections["cpupools"]:
                text = hypfs.read_text(xen, "/cpupool/%d/sched-gran" % pool["id"])
                if text is not None:
                    found[str(pool["id"])] = text
            return found

        sections["unanswered"] = {}
        try_each(
            sections,
            ("memory_map", "machine_memory_map", ram),
            ("cpu_policy", "get_cpu_policy", policy),
            ("sched_gran", "hypfs", granularity),
        )
        return sections


def try_each(sections: t.Dict[str, t.Any], *questions: t.Tuple[str, str, t.Callable[[], t.Any]]) -> None:
    """Add the sections that not every hypervisor has an answer for; why one is not there goes into `unanswered`.

    Of each question its section, the name of the hypercall, and what to call.
    """
    for section, question, ask in questions:
        try:
            sections[section] = ask()
        except errors.XenError as error:
            sections["unanswered"][question] = error.message


def _host(xen: t.Any, warnings: t.List[str]) -> t.Dict[str, t.Any]:
    """The sections that do not depend on guests."""
    major, minor = xen.version
    numa = sysctl.numainfo(xen)
    topology = sysctl.cputopoinfo(xen)
    sections: t.Dict[str, t.Any] = {
        "xen": {
            "major": major,
            "minor": minor,
            "extraversion": version.extraversion(xen),
            "capabilities": version.capabilities(xen).strip(),
            "changeset": version.changeset(xen),
            "commandline": version.commandline(xen).strip(),
            "interface": dict(xen.interface),
        },
        "page_size": version.page_size(xen),
        "sched_id": sysctl.sched_id(xen),
        "physinfo": dict(sysctl.physinfo(xen)._asdict()),
        "cputopo": [list(place) for place in topology],
        "numainfo": {
            "memsize": list(numa.memsize),
            "memfree": list(numa.memfree),
            "distance": [list(row) for row in numa.distance],
        },
        "cpupools": [
            {
                "id": pool.cpupool_id,
                "sched_id": pool.sched_id,
                "n_dom": pool.n_dom,
                "cpus": members(pool.cpus),
            }
            for pool in sysctl.cpupools(xen)
        ],
        "cpupool_free": members(sysctl.cpupool_free(xen)),
    }
    try:
        sections["pcpuinfo"] = _pcpuinfo(xen, len(topology))
    except errors.XenError as error:
        warnings.append("%s Online CPUs are taken from the cpupools instead." % error.message)
    return sections


def _pcpuinfo(xen: t.Any, listed: int) -> t.List[t.List[int]]:
    """XENPF_get_cpuinfo of every CPU: of those that cputopoinfo lists, and of those beyond that Xen calls present."""
    found: t.List[t.List[int]] = []
    while len(found) < listed or len(found) <= found[-1][0]:
        found.append(list(platform.get_cpuinfo(xen, len(found))))
        if len(found) >= sysctl.cpu_bits(xen):
            break
    return found
