# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hard affinity that a change of CPUs would leave without any CPU. Pure. Private to this collection.

Xen then lets the vCPU run everywhere, for good and without a word (xen/common/sched/core.c, "Breaking affinity"). So whoever takes
CPUs away looks here first, and either refuses or says where those vCPUs shall run instead.
"""

import typing as t

from .._errors import Failure
from .._topology.cpuset import CpuSet
from .._topology.expression import resolve
from .._topology.model import Domain, Topology, Vcpu

REFUSE, NEAREST = "refuse", "nearest"

#: "refuse", "nearest", or an expression for CPUs.
Policy = t.Any


def scheduled(topology: Topology) -> t.List[Domain]:
    """The domains whose vCPUs are in a cpupool; one that is dying is not."""
    return [
        domain for domain in topology.domains or () if domain.state != "dying" and domain.cpupool is not None
    ]


def broken(topology: Topology, domain: Domain, left: CpuSet) -> t.List[Vcpu]:
    """The domain's vCPUs that may run on some CPU, but on none of those that are `left`."""
    everything = topology.complete_cpuset
    return [vcpu for vcpu in domain.vcpus if not everything <= vcpu.hard and not vcpu.hard & left]


def refusal(domain: Domain, vcpus: t.Sequence[Vcpu], left: CpuSet) -> str:
    """Which masks would break, in a sentence's words."""
    masks = sorted({str(vcpu.hard) for vcpu in vcpus})
    numbers = CpuSet(vcpu.vcpu for vcpu in vcpus)
    return f"hard affinity {' and '.join(masks)} of vCPU {numbers} of {domain.title} would have no CPU any more (there are {left or 'none'})"


def instead(topology: Topology, mask: CpuSet, left: CpuSet, policy: Policy) -> CpuSet:
    """Where a vCPU of this mask shall run when only the CPUs `left` remain. Raises Failure when the policy gives none of them.

    "nearest" is what remains of the NUMA nodes that the mask is on, else of the nodes nearest to those.
    """
    if policy != NEAREST:
        chosen = resolve(policy, topology)
        if not chosen & left:
            raise Failure(f"{policy!r} has none of the CPUs that remain ({left})")
        return chosen
    homes = [node.os_index for node in topology.nodes if node.complete_cpuset & mask]
    best = None  # type: t.Optional[t.Tuple[int, CpuSet]]
    for node in topology.nodes:
        here = node.complete_cpuset & left
        if here:
            known = [topology.distance(home, node.os_index) for home in homes]
            distance = min(
                [0 if node.os_index in homes else far for far in known if far is not None] or [255]
            )
            if best is None or distance < best[0]:
                best = (distance, here)
            elif distance == best[0]:
                best = (distance, best[1] | here)
    return left if best is None else best[1]
