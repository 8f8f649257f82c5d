# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The component that reads what xl and xenpm print: for a host where the hypervisor cannot be asked directly.

It says less than the hypervisor does. What it leaves unknown is a warning, and nothing is filled in: no APIC ids, no interface versions,
no memory by node; sizes are whole MiB; masks that xl has cut off are left out with the guests that have them.
"""

import typing as t

from .._xen.connection import check_control_domain
from .component import DOMAINS, TOPOLOGY, Component, Heard, Request


class Xl(Component):
    """xl's and xenpm's text."""

    name = "xl"
    priority = 50
    provides = (TOPOLOGY, DOMAINS)

    def collect(self, request: Request, heard: t.Dict[str, t.Any]) -> Heard:
        """Ask the tools. Raises Failure where they are not installed, fail, or print what cannot be read."""
        # In a guest xl may hang for good where it opens privcmd.
        check_control_domain(request.root)
        # Few hosts need it, and compiling it takes the others time: Ansible does that anew in each run.
        from .xl_reading import read

        return read(request)
