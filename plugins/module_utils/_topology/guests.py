# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The domains: their state, their vCPUs and where these may run, their memory. Pure."""

import typing as t

from .cpuset import LARGEST_ID, CpuSet
from .meanings import INVALID
from .model import Domain, Vcpu

# XEN_DOMINF_*
_DYING, _HVM, _SHUTDOWN, _PAUSED, _BLOCKED = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
_REASON_SHIFT, _REASON_CRASH = 16, 3
# XEN_X86_EMU_*: a PVH guest has at most the local APIC, the I/O APIC and virtual PCI
_EMULATES_A_PC = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 8  # HPET, PM, RTC, PIC, VGA, PIT


def domains_of(
    heard: t.Dict[str, t.Any], page_size: int, complete_cpuset: CpuSet, complete_nodeset: CpuSet
) -> t.Optional[t.Tuple[Domain, ...]]:
    """Return the domains by number; None when they were not asked for."""
    if "domains" not in heard:
        return None
    ordered = sorted(heard["domains"], key=lambda info: info["domain"])
    return tuple(_domain(info, heard, page_size, complete_cpuset, complete_nodeset) for info in ordered)


def _domain(
    info: t.Dict[str, t.Any],
    heard: t.Dict[str, t.Any],
    page_size: int,
    complete_cpuset: CpuSet,
    complete_nodeset: CpuSet,
) -> Domain:
    key = str(info["domain"])
    by_node = heard.get("memory_by_node", {}).get(key)
    nodes = info.get("node_affinity")
    return Domain(
        domid=info["domain"],
        name=heard.get("domain_names", {}).get(key),
        uuid=uuid_text(info["handle"]),
        type=info["type"] if "type" in info else domain_type(info["flags"], info.get("emulation_flags")),
        state=domain_state(info["flags"]),
        # Xen's mark for none is beyond all numbers
        cpupool=info["cpupool"] if info["cpupool"] <= LARGEST_ID else None,
        memory=info["tot_pages"] * page_size,
        max_memory=info["max_pages"] * page_size if info["max_pages"] < INVALID else None,
        max_vcpus=0 if info["max_vcpu_id"] == INVALID else info["max_vcpu_id"] + 1,
        vcpus=_vcpus(info["vcpus"], complete_cpuset),
        node_affinity=None if nodes is None else CpuSet(nodes) & complete_nodeset,
        memory_by_node=None
        if by_node is None
        else {int(node): pages * page_size for node, pages in by_node.items()},
    )


def dom0_vcpus(
    heard: t.Dict[str, t.Any], domains: t.Optional[t.Tuple[Domain, ...]], complete_cpuset: CpuSet
) -> t.Tuple[Vcpu, ...]:
    """Return dom0's vCPUs, also when the domains were not asked for."""
    for domain in domains or ():
        if domain.domid == 0:
            return domain.vcpus
    return _vcpus(heard.get("dom0_vcpus", ()), complete_cpuset)


def _vcpus(vcpus: t.Iterable[t.Dict[str, t.Any]], complete_cpuset: CpuSet) -> t.Tuple[Vcpu, ...]:
    return tuple(
        Vcpu(
            vcpu["vcpu"],
            bool(vcpu["online"]),
            bool(vcpu["running"]),
            bool(vcpu["blocked"]),
            vcpu["cpu"] if vcpu["online"] and vcpu["cpu"] in complete_cpuset else None,
            _affinity(vcpu, "hard", complete_cpuset),
            _affinity(vcpu, "soft", complete_cpuset),
            vcpu["cpu_time"],
        )
        for vcpu in vcpus
    )


def _affinity(vcpu: t.Dict[str, t.Any], kind: str, complete_cpuset: CpuSet) -> CpuSet:
    # bits of CPUs that do not exist mean nothing to a reader, and "all" is said with them
    return complete_cpuset if vcpu.get(kind + "_all") else CpuSet(vcpu[kind]) & complete_cpuset


def domain_state(flags: int) -> str:
    """Name the state that XEN_DOMINF_* flags describe. A domain that waits for a CPU counts as running."""
    if flags & _DYING:
        return "dying"
    if flags & _SHUTDOWN:
        return "crashed" if flags >> _REASON_SHIFT & 0xFF == _REASON_CRASH else "shutdown"
    if flags & _PAUSED:
        return "paused"
    return "blocked" if flags & _BLOCKED else "running"


def domain_type(flags: int, emulation_flags: t.Optional[int]) -> t.Optional[str]:
    """Name the kind of guest; None for one with hardware support whose emulated devices are not known (HVM or PVH)."""
    if not flags & _HVM:
        return "pv"
    if emulation_flags is None:
        return None
    return "hvm" if emulation_flags & _EMULATES_A_PC else "pvh"


def uuid_text(handle: str) -> str:
    """Write 32 hexadecimal digits the way UUIDs are written."""
    digits = handle.replace("-", "").lower()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
