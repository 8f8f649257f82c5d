# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Domains and vCPUs as the hypervisor tells of them, in the form of the sections that have them."""

import typing as t

from .._xen import domctl, errors, sysctl


def domains(xen: t.Any, cpus: int, nodes_there: int) -> t.List[t.Dict[str, t.Any]]:
    """All domains with their vCPUs. One that ends while it is asked about is left out as if it had ended before."""
    found = []
    for info in sysctl.getdomaininfolist(xen):
        try:
            nodes = members(domctl.getnodeaffinity(xen, info.domain))
            domain = dict(info._asdict())
            domain["node_affinity"] = [node for node in nodes if node < nodes_there]
            domain["vcpus"] = vcpus(xen, info, cpus)
        except errors.NoSuchDomain:
            continue
        found.append(domain)
    return found


def vcpus(xen: t.Any, info: sysctl.DomainInfo, cpus: int) -> t.List[t.Dict[str, t.Any]]:
    """The vCPUs of one domain. Raises NoSuchDomain when it ends meanwhile."""
    if info.max_vcpu_id == sysctl.INVALID_32:
        return []
    everything = (1 << sysctl.cpu_bits(xen)) - 1
    there = (1 << cpus) - 1
    found = []
    for vcpu in range(info.max_vcpu_id + 1):
        try:
            state = domctl.getvcpuinfo(xen, info.domain, vcpu)
            hard, soft = domctl.getvcpuaffinity(xen, info.domain, vcpu)
        except errors.NoSuchVcpu:
            # Either the domain is gone, which this tells, or it has a gap in its vCPUs' numbers.
            if domctl.getdomaininfo(xen, info.domain).handle != info.handle:
                raise
            continue
        found.append(
            {
                "vcpu": vcpu,
                "online": state.online,
                "blocked": state.blocked,
                "running": state.running,
                "cpu_time": state.cpu_time,
                "cpu": state.cpu,
                "hard": members(hard & there),
                "soft": members(soft & there),
                "hard_all": hard == everything,
                "soft_all": soft == everything,
            }
        )
    return found


def members(mask: int) -> t.List[int]:
    """The numbers of the bits that are set."""
    return [number for number in range(mask.bit_length()) if mask >> number & 1]
