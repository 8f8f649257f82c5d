# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a killed run of cpupool has left, for what changes guests only: little of the host is asked. Private to this collection."""

import typing as t

from ._control.finish import Finished, finish_killed
from ._control.journal import Journal
from ._control.steps import Scene
from ._discovery.domain_sections import domains
from ._module import open_xen
from ._toolstack import xenstore
from ._topology.cpuset import CpuSet
from ._topology.guests import domains_of
from ._topology.meanings import PAGE_SIZE
from ._topology.model import CpuPool, Topology
from ._xen import sysctl

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def finish(module: "AnsibleModule") -> Finished:
    """Put back the affinities that a killed run has left lifted; in check mode only say so. Raises Failure."""
    with open_xen(module) as xen:
        host = scene(xen)
    journal = Journal()
    pending = journal.load(None if module.check_mode else t.cast(Topology, host))
    return finish_killed(host, journal, pending, None if module.check_mode else lambda: open_xen(module))


def scene(xen: t.Any) -> Scene:
    """The domains with their names and vCPUs, the cpupools, and the CPUs that Xen has."""
    everything = CpuSet(range(len(sysctl.cputopoinfo(xen))))
    found = domains(xen, len(everything), 0)
    with xenstore.Xenstore.open() as store:
        names = xenstore.domain_names(store, [domain["domain"] for domain in found])
    sections = {"domains": found, "domain_names": {str(domid): name for domid, name in names.items()}}
    pools = tuple(
        CpuPool(pool.cpupool_id, None, None, CpuSet.from_mask(pool.cpus), pool.n_dom)
        for pool in sysctl.cpupools(xen)
    )
    online = CpuSet.from_mask(sysctl.cpupool_free(xen))
    for pool in pools:
        online |= pool.cpuset
    return Scene(domains_of(sections, PAGE_SIZE, everything, CpuSet()), pools, online, everything)
