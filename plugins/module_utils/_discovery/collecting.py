# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How discovery components are asked: one after the other, by priority. What one has answered, the next is not asked again; it may exclude others."""

import contextlib
import signal
import threading
import typing as t

from .._errors import Failure
from .._topology.raw import RawHost
from .._xen.connection import Xen
from .component import DOMAINS, MEMORY_BY_NODE, TOPOLOGY, Component, Heard, Request

AUTO = "auto"

#: The source that is no component: a file is replayed instead of asking anybody (`recordings.py`).
RECORDING = "recording"

#: Seconds for a component that reads what dom0's kernel shows of the host: a device that is gone may never answer.
FILES_LIMIT = 60.0

RunCommand = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


def collect(
    available: t.Sequence[Component],
    source: str = AUTO,
    subset: t.Iterable[str] = (),
    run_command: t.Optional[RunCommand] = None,
    open_xen: t.Callable[[], t.Any] = Xen.open,
    root: str = "/",
) -> RawHost:
    """Ask the components `available`, by their order, and return what they heard.

    `source` is "auto" or the name of the one component that shall give the topology; supplements are asked in both cases.
    `subset` adds to the topology (DOMAINS, MEMORY_BY_NODE). `open_xen` opens the hypervisor.

    A component that cannot answer is passed over: its reason is in `components` and, unless somebody else gave what it would have
    given, in `warnings`. Raises the first Failure when nobody gave the topology, and that of a source which was named.
    """
    everybody = list(available)
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
                with contextlib.ExitStack() as limits:
                    # The others ask Xen, which answers at once, or have a limit for each command.
                    if (
                        TOPOLOGY not in component.provides
                        and threading.current_thread() is threading.main_thread()
                    ):
                        limits.enter_context(_within(FILES_LIMIT))
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


@contextlib.contextmanager
def _within(seconds: float) -> t.Iterator[None]:
    """Raise Failure in the block when it is not done in time, unless it waits inside the kernel where nothing can call it off."""

    def end(_signal: int, _frame: t.Any) -> None:
        raise Failure("there was no answer within %g seconds: see the log of dom0's kernel (dmesg)" % seconds)

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
