# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The component that lists PCI devices. dom0 drives them, so its Linux is right about them, except for one thing: their NUMA node.

The node is asked of Xen (section pci_nodes); what dom0's sysfs says about it is never looked at.
"""

import typing as t

from .component import PCI, Component, Heard, Request


class Pci(Component):
    """dom0's PCI devices, with the drivers and the names of network interfaces and disks that belong to them."""

    name = "pci"
    priority = 20
    provides = (PCI,)

    def collect(self, request: Request, heard: t.Dict[str, t.Any]) -> Heard:
        """List them. A host without PCI has none."""
        # Only for those who ask for devices, and compiling it takes the others time: Ansible does that anew in each run.
        from .pci_reading import read

        return read(request.root)
