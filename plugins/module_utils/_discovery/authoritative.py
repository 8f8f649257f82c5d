# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host is like for those who are going to change it: only the hypervisor itself is good enough for that."""

import typing as t

from .._topology.raw import RawHost
from .._xen.connection import Xen
from .acpi import Acpi
from .collecting import collect
from .component import Component
from .hypervisor import Hypervisor
from .names import Names

COMPONENTS: t.Tuple[t.Type[Component], ...] = (Hypervisor, Acpi, Names)


def ask(subset: t.Iterable[str] = (), open_xen: t.Callable[[], t.Any] = Xen.open, root: str = "/") -> RawHost:
    """Ask this host, `subset` (DOMAINS) besides its topology. Raises Failure when the hypervisor does not answer."""
    return collect(
        [kind() for kind in COMPONENTS], Hypervisor.name, subset=subset, open_xen=open_xen, root=root
    )
