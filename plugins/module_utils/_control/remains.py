# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Domains that an xl had begun to build when it was killed, before it named them. Private to this collection.

Xen makes the domain first, the toolstack writes its name to xenstore after that. One that never got its name is nobody's any more: no
command finds it by name, and it holds memory until it is destroyed. (One that was killed later has its name: see :mod:`.guest_plan`.)
"""

import typing as t

from .._errors import Failure
from .move_ways import await_gone

if t.TYPE_CHECKING:
    from .guests import Host

#: Seconds in which a toolstack that is alive names what it builds. An xl has them anyway: it holds a lock while it builds.
NAMED_WITHIN = 10.0
#: Seconds that Xen gets to take the memory back.
PATIENCE = 600.0


def sweep(host: "Host", act: bool) -> t.List[str]:
    """Destroy such domains, or with `act` False only find them; a sentence for each. Raises Failure when one lives on."""
    begun = _nameless(host)
    if not begun:
        return []
    host.sleep(NAMED_WITHIN)
    left = sorted(begun & _nameless(host))
    for domid, _uuid in left if act else ():
        host.xl.destroy(domid)
        if not await_gone(domid, host.ways(), PATIENCE):
            raise Failure(
                "domain {0}, which an xl had begun to build when it was killed, was destroyed, but after {1:g} seconds Xen still "
                "holds memory of it: another domain has pages of it mapped; end that one".format(
                    domid, PATIENCE
                ),
                changed=True,
            )
    return [
        "domain {0}, which an xl had begun to build and not yet named when it was killed, was destroyed".format(
            domid
        )
        for domid, _uuid in left
    ]


def _nameless(host: "Host") -> t.Set[t.Tuple[int, str]]:
    return {
        (domain.domid, domain.uuid)
        for domain in host.xl.domains()
        if domain.name is None and not domain.made and domain.state == "paused"
    }
