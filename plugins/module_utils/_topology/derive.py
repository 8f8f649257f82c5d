# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what was heard to what is: RawHost in, Topology out. Pure, and one code path for every level.

`host.py` derives the host, and says what Xen means by its answers; this adds what the facts have besides.
"""

import typing as t

from . import devices, dmi, kinds
from .cache_policy import CachePolicy
from .caches import caches_of
from .cpuset import CpuSet
from .dom0_boot import dom0_boot
from .host import host_of, sources_of
from .locality import with_locality
from .model import Dom0Linux, Package, Pu, SubNuma, Topology, Unanswered
from .raw import RawHost


def derive(raw: RawHost, cpu_kinds: t.Sequence[kinds.Override] = ()) -> Topology:
    """Derive the model from what was heard. `cpu_kinds` replaces what was found out about kinds of CPUs.

    :class:`Failure` when no CPU was heard of, and for kinds that do not fit the host.
    """
    heard = raw.data
    sources = sources_of(raw)
    host = with_locality(host_of(raw, sources))
    caches = caches_of(CachePolicy(heard.get("cpu_policy", ())), host.pus, host.cores, sources.warnings)
    linux = heard.get("dom0_linux")
    return host._replace(
        dom0_linux=None if linux is None else Dom0Linux(*(linux.get(field) for field in Dom0Linux._fields)),
        warnings=tuple(sources.warnings),
        caches=caches,
        cpu_kinds=kinds.overridden(cpu_kinds, host.pus, host.cores, host.cpuset)
        if cpu_kinds
        else kinds.cpu_kinds(host.pus, host.cores, host.cpuset, sources.policy.hybrid),
        sub_numa=_sub_numa(host.packages, host.pus, host.cpuset),
        dom0_boot=dom0_boot(heard, sources.parameters, sources.firmware),
        unanswered=tuple(
            Unanswered(question, reason) for question, reason in sorted(heard.get("unanswered", {}).items())
        ),
        pci_devices=devices.pci_devices(heard, frozenset(host.complete_nodeset)),
        dmi=dmi.dmi(heard),
    )


def _sub_numa(packages: t.Iterable[Package], pus: t.Sequence[Pu], cpuset: CpuSet) -> t.Tuple[SubNuma, ...]:
    """Return the parts of packages that have several nodes."""
    several = {package.os_index for package in packages if len(package.nodeset) > 1}
    if not several:
        return ()
    parts = {}  # type: t.Dict[t.Tuple[int, int], t.List[int]]
    for pu in pus:
        if pu.package in several and pu.package is not None and pu.node is not None:
            parts.setdefault((pu.package, pu.node), []).append(pu.os_index)
    found = []
    for package, node in sorted(parts):
        complete = CpuSet(parts[package, node])
        found.append(SubNuma(package, node, complete & cpuset, complete))
    return tuple(found)
