# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which discovery components there are, and how they are chosen.

The registry asks them by priority, highest first. What a higher one has said is not said again by a lower one, and a component may
exclude others. A new component is a file with a subclass of `component.Component`, and its name in `COMPONENTS`.
"""

import typing as t

from .._errors import Failure
from .._topology.raw import RawHost
from .._xen.connection import Xen
from .acpi import Acpi
from .component import (
    DMI,
    DOMAINS,
    MEMORY_BY_HYPERCALL,
    MEMORY_BY_NODE,
    PCI,
    SERIALS,
    TOPOLOGY,
    Component,
    Heard,
    Request,
)
from .dmi import Dmi
from .dom0 import Dom0
from .hypercall import Hypercall
from .names import Names
from .pci import Pci
from .xl import Xl

__all__ = (
    "AUTO",
    "DOMAINS",
    "MEMORY_BY_HYPERCALL",
    "MEMORY_BY_NODE",
    "RECORDING",
    "SERIALS",
    "SUBSETS",
    "TOPOLOGY",
    "collect",
    "components",
    "resolve_subset",
)

COMPONENTS: t.Tuple[t.Type[Component], ...] = (Hypercall, Xl, Acpi, Names, Pci, Dmi, Dom0)

#: What a user may choose with gather_subset. The topology is always there; what costs the host dearly is only given on its own demand.
SUBSETS = (DOMAINS, PCI, DMI)

AUTO = "auto"

#: The source that is no component: a file is replayed instead of asking anybody (`recordings.py`).
RECORDING = "recording"

RunCommand = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


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


def collect(
    source: str = AUTO,
    subset: t.Iterable[str] = (),
    run_command: t.Optional[RunCommand] = None,
    open_xen: t.Callable[[], t.Any] = Xen.open,
    available: t.Optional[t.Sequence[Component]] = None,
    root: str = "/",
) -> RawHost:
    """Ask the components and return what they heard.

    `source` is "auto" or the name of the one component that shall give the topology; supplements are asked in both cases.
    `subset` adds to the topology (DOMAINS, MEMORY_BY_NODE). `open_xen` opens the hypervisor, `available` replaces the components.

    A component that cannot answer is passed over: its reason is in `components` and, unless somebody else gave what it would have
    given, in `warnings`. Raises the first Failure when nobody gave the topology, and that of a source which was named.
    """
    everybody = list(components() if available is None else available)
    chosen = [
        component for component in everybody if component.name == source and TOPOLOGY in component.provides
    ]
    if source != AUTO and not chosen:
        names = [component.name for component in everybody if TOPOLOGY in component.provides]
        raise Failure("There is no source '%s': choose from %s." % (source, ", ".join([AUTO] + names)))

    request = Request(frozenset(subset) | {TOPOLOGY}, open_xen, run_command, root)
    host = RawHost()
    failures: t.List[Failure] = []
    given: t.Set[str] = set()
    excluded: t.Dict[str, str] = {}
    for component in everybody:
        reason: t.Optional[str] = None
        answer: t.Optional[Heard] = None
        if TOPOLOGY in component.provides and chosen and component not in chosen:
            reason = "source is %s" % source
        elif component.name in excluded:
            reason = "%s has answered" % excluded[component.name]
        elif component.provides and not set(component.provides) & request.subset:
            reason = "nobody asked for what it knows"
        elif component.provides and given >= (set(component.provides) & request.subset):
            reason = "nothing left to ask it for"
        else:
            try:
                answer = component.collect(request, host.data)
            except Failure as failure:
                if component in chosen:
                    raise
                reason = failure.message
                if TOPOLOGY in component.provides:
                    failures.append(failure)
                host.warnings.append("%s was passed over: %s" % (component.name, reason))
        entry: t.Dict[str, t.Any] = {
            "name": component.name,
            "priority": component.priority,
            "state": "passed_over" if answer is None else "used",
            "reason": reason,
        }
        if answer is not None:
            for section, value in answer.sections.items():
                host.data.setdefault(section, value)
            host.warnings.extend(answer.warnings)
            given.update(set(component.provides) & request.subset)
            excluded.update(dict.fromkeys(component.excludes, component.name))
            if answer.hypercalls is not None:
                entry["hypercalls"] = answer.hypercalls
        host.components.append(entry)
    if TOPOLOGY not in given:
        raise failures[0] if failures else Failure("No source can give this host's topology.")
    for lacking in sorted({DOMAINS, MEMORY_BY_NODE} & request.subset):
        if lacking not in host.data:
            host.warnings.append(
                "'%s' was asked for, and no source that was used could tell: it is unknown." % lacking
            )
    return host
