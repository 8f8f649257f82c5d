# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The component that asks the hypervisor itself, for all that facts have."""

import errno
import os
import re
import typing as t

from .._xen import errors, hardware, platform
from .component import Request
from .hypervisor import Hypervisor, try_each

_PCI_ADDRESS = re.compile(r"([0-9a-f]{4}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])\Z")


class Hypercall(Hypervisor):
    """Also how fast the CPUs are and where PCI devices are."""

    def ask(self, xen: t.Any, request: Request, warnings: t.List[str]) -> t.Dict[str, t.Any]:
        """The sections."""
        sections = super().ask(xen, request, warnings)
        online = _online(sections)
        devices = _pci_devices(request.root)
        names = sorted(devices)

        def frequencies() -> t.Any:
            try:
                states = hardware.px_frequencies(xen, online)
                return {str(cpu): max(states[cpu]) for cpu in sorted(states) if states[cpu]}
            except errors.NotSupported as error:
                # Where the hardware chooses the frequencies Xen has no statistics, but its driver knows the highest.
                if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
                    raise
            maxima = hardware.cpufreq_maxima(xen, online)
            return {str(cpu): maxima[cpu] // 1000 for cpu in sorted(maxima)}

        def nodes() -> t.Any:
            return dict(zip(names, hardware.pcitopoinfo(xen, [devices[name] for name in names])))

        try_each(sections, ("px_max_mhz", "get_pmstat", frequencies), ("pci_nodes", "pcitopoinfo", nodes))
        return sections


def _online(sections: t.Dict[str, t.Any]) -> t.List[int]:
    """The CPUs that are worth asking about their frequency."""
    if "pcpuinfo" in sections:
        return [cpu for cpu, info in enumerate(sections["pcpuinfo"]) if info[1] & platform.FLAG_ONLINE]
    pooled = [cpu for pool in sections["cpupools"] for cpu in pool["cpus"]]
    return sorted(set(pooled) | set(sections["cpupool_free"]))


def _pci_devices(root: str) -> t.Dict[str, t.Tuple[int, int, int]]:
    """The PCI devices that dom0's Linux lists, by name: Xen wants to be told which ones are meant. (segment, bus, devfn)"""
    try:
        names = os.listdir(os.path.join(root, "sys/bus/pci/devices"))
    except OSError:
        return {}
    found = {}
    for name in names:
        match = _PCI_ADDRESS.match(name)
        if match:
            segment, bus, device, function = (int(part, 16) for part in match.groups())
            found[name] = (segment, bus, device << 3 | function)
    return found
