# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host as the modules find it that change guests or CPUs: what a killed run left is done first. Private to this collection."""

import typing as t

from ._control.journal import Journal
from ._discovery import authoritative
from ._discovery.component import DOMAINS
from ._module import open_xen
from ._topology.host import host_of
from ._topology.model import Topology

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class Settled(t.NamedTuple):
    """The host once what a killed run had left is done, and sentences, notes and entries for --diff on what was, or would be."""

    topology: Topology
    recovered: t.List[str]
    notes: t.List[str]
    diff: t.List[t.Dict[str, t.Any]]


def settled(module: "AnsibleModule") -> Settled:
    """Ask this host, and put back the affinities that a killed run has left lifted; in check mode only say so. Raises Failure.

    Whatever changes guests or CPUs does this first: it must not plan with masks that are there by mischance.
    """
    topology = host_of(authoritative.ask([DOMAINS], lambda: open_xen(module)))
    journal = Journal()
    pending = journal.load(None if module.check_mode else topology)
    if not pending:
        return Settled(topology, [], [], [])
    # Few hosts need it, and Python compiles anew what Ansible sends.
    from ._control.finish import finish_killed

    return Settled(
        *finish_killed(topology, journal, pending, None if module.check_mode else lambda: open_xen(module))
    )
