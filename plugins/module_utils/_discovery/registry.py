# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Discovery components: what one is, which there are, and how they are chosen.

A component asks one source and gives the sections that it heard, uninterpreted (`_topology/raw.py` lists them). The registry asks them
by priority, highest first. What a higher one has said is not said again by a lower one, and a component may exclude others.
"""

import typing as t

from .._errors import Failure
from .._topology.raw import RawHost

TOPOLOGY = "topology"
DOMAINS = "domains"
MEMORY_BY_NODE = "memory_by_node"

#: What a user may choose with gather_subset. The topology is always there; what costs the host dearly is only given on its own demand.
SUBSETS = (DOMAINS,)

AUTO = "auto"


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
    provides   what it can answer: "topology", "domains", "memory_by_node"; a supplement, which provides none, is asked besides
    excludes   names of components that are not asked once this one has answered
    """

    name = ""
    priority = 0
    provides = ()  # type: t.Tuple[str, ...]
    excludes = ()  # type: t.Tuple[str, ...]

    def collect(self, request: Request, heard: t.Dict[str, t.Any]) -> Heard:
        """Ask. `heard` has the sections so far, for looking only. Raises Failure when this source cannot answer."""
        raise NotImplementedError


def components() -> t.List[Component]:
    """All components, highest priority first."""
    # Imported here because each of them imports this module.
    from .dom0 import Dom0
    from .hypercall import Hypercall
    from .names import Names

    return sorted((Hypercall(), Names(), Dom0()), key=lambda component: -component.priority)


def resolve_subset(words: t.Sequence[str]) -> t.FrozenSet[str]:
    """What gather_subset means, with the grammar of Ansible's own fact modules. Nothing at all means "all".

    "min" is always in it and adds nothing. A "!" in front excludes; a name that is also asked for by itself stays. Raises Failure
    for an unknown name that is asked for; excluding one is no error.
    """
    wanted = set()  # type: t.Set[str]
    named = set()  # type: t.Set[str]
    excluded = set()  # type: t.Set[str]
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
    run_command: t.Optional[t.Callable[[t.List[str]], t.Tuple[int, str, str]]] = None,
    open_xen: t.Optional[t.Callable[[], t.Any]] = None,
    available: t.Optional[t.Sequence[Component]] = None,
    root: str = "/",
) -> RawHost:
    """Ask the components and return what they heard.

    `source` is "auto" or the name of the one component that shall give the topology; supplements are asked in both cases.
    `subset` adds to the topology (DOMAINS, MEMORY_BY_NODE). `open_xen` opens the hypervisor, `available` replaces the components.

    A component that cannot answer is passed over: its reason is in `components` and, unless somebody else gave what it would have
    given, in `warnings`. Raises the first Failure when nobody gave the topology, and that of a source which was named.
    """
    if open_xen is None:
        from .._xen.connection import Xen

        open_xen = Xen.open
    everybody = list(components() if available is None else available)
    chosen = [
        component for component in everybody if component.name == source and TOPOLOGY in component.provides
    ]
    if source != AUTO and not chosen:
        names = [component.name for component in everybody if TOPOLOGY in component.provides]
        raise Failure("There is no source '%s': choose from %s." % (source, ", ".join([AUTO] + names)))

    request = Request(frozenset(subset) | {TOPOLOGY}, open_xen, run_command, root)
    host = RawHost()
    failures = []  # type: t.List[Failure]
    given = set()  # type: t.Set[str]
    excluded = {}  # type: t.Dict[str, str]
    for component in everybody:
        reason = None  # type: t.Optional[str]
        answer = None  # type: t.Optional[Heard]
        if component.provides and chosen and component not in chosen:
            reason = "source is %s" % source
        elif component.name in excluded:
            reason = "%s has answered" % excluded[component.name]
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
        entry = {
            "name": component.name,
            "priority": component.priority,
            "state": "passed_over" if answer is None else "used",
            "reason": reason,
        }  # type: t.Dict[str, t.Any]
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
    return host
