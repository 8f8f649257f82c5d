# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host as the modules find it that change guests or CPUs: what a killed run left is done first. Private to this collection."""

import typing as t

from ._control.pool_steps import Finished, finish_killed
from ._discovery import authoritative
from ._discovery.component import DOMAINS
from ._module import open_xen
from ._topology.host import host_of

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def settled(module: "AnsibleModule") -> Finished:
    """Ask this host, and put back the affinities that a killed run has left lifted; in check mode only say so. Raises Failure."""
    topology = host_of(authoritative.ask([DOMAINS], lambda: open_xen(module)))
    return finish_killed(topology, None if module.check_mode else lambda: open_xen(module))
