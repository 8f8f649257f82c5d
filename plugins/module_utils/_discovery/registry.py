# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which discovery components facts have. A new one is a file with a subclass of `component.Component`, and its name in `COMPONENTS`."""

import typing as t

from .._errors import Failure
from .acpi import Acpi
from .component import DMI, DOMAINS, PCI, TOPOLOGY, Component
from .dmi import Dmi
from .dom0 import Dom0
from .hypercall import Hypercall
from .names import Names
from .pci import Pci
from .xl import Xl

COMPONENTS: t.Tuple[t.Type[Component], ...] = (Hypercall, Xl, Acpi, Names, Pci, Dmi, Dom0)

#: What a user may choose with gather_subset. The topology is always there; what costs the host dearly is only given on its own demand.
SUBSETS = (DOMAINS, PCI, DMI)


def components() -> t.List[Component]:
    """All components, highest priority first."""
    return sorted((kind() for kind in COMPONENTS), key=lambda component: -component.priority)


def resolve_subset(words: t.Sequence[str]) -> t.FrozenSet[str]:
    """What gather_subset means, with the grammar of Ansible's own fact modules. Nothing at all means "all".

    "min" is always in it and adds nothing. A "!" in front excludes; a name that is also asked for by itself stays. Raises Failure
    for an unknown name that is asked for; excluding one is no error.
    """
    wanted: t.Set[str] = set()
    named: t.Set[str] = set()
    excluded: t.Set[str] = set()
    for word in words or ["all"]:
        if word.startswith("!"):
            excluded.update(SUBSETS if word == "!all" else [word[1:]])
        elif word == "all":
            wanted.update(SUBSETS)
        elif word in SUBSETS:
            named.add(word)
        elif word not in ("min", TOPOLOGY):
            choices = ", ".join(("all", "min") + SUBSETS)
            raise Failure(
                "gather_subset knows no '%s': choose from %s, or one of these with ! in front."
                % (word, choices)
            )
    return frozenset(named | (wanted - excluded))
