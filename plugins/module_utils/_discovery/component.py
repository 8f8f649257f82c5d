# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a discovery component is. It knows nobody; each component is a file of its own that imports this one."""

import typing as t

TOPOLOGY = "topology"
DOMAINS = "domains"
#: By the hypercall where the hypervisor has it, else with the debug key, which costs the host dearly.
MEMORY_BY_NODE = "memory_by_node"
#: By the hypercall or not at all.
MEMORY_BY_HYPERCALL = "memory_by_hypercall"

PCI = "pci"
DMI = "dmi"
#: Serial numbers too, where a component meets some.
SERIALS = "serials"


class Request(t.NamedTuple):
    """What is wanted, and the ways out of this process that a component may use."""

    subset: t.FrozenSet[str]
    open_xen: t.Callable[[], t.Any]
    run_command: t.Optional[t.Callable[[t.List[str]], t.Tuple[int, str, str]]] = None
    root: str = "/"


class Heard(t.NamedTuple):
    """What a component answers: sections, sentences for the user, hypercalls made."""

    sections: t.Dict[str, t.Any]
    warnings: t.Sequence[str] = ()
    hypercalls: t.Optional[int] = None


class Component:
    """One source. Subclass it, fill in the four attributes, write `collect`.

    name       what users and facts call it
    priority   the higher one is asked first
    provides   what it can answer: "topology", "domains" and so on; a supplement, which provides none, is asked besides
    excludes   names of components that are not asked once this one has answered
    """

    name = ""
    priority = 0
    provides: t.Tuple[str, ...] = ()
    excludes: t.Tuple[str, ...] = ()

    def collect(self, request: Request, heard: t.Dict[str, t.Any]) -> Heard:
        """Ask. `heard` has the sections so far, for looking only. Raises Failure when this source cannot answer."""
        raise NotImplementedError
