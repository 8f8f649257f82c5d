# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that restores cpupools and affinity when a host boots. Private to this collection.

It is this collection's own code, which the module boot_state puts on the host as one file: what decides at boot is what decided in the
play, and there is no second reader of its words. It needs no Ansible.

It runs twice: before guests start, for cpupools and dom0, and with ``--guests`` after xendomains has started them. What it cannot do it
says, on standard output with the priority that systemd's journal understands, and goes on with the rest. Its exit status is 1 then.

A boot waits for it, and what it reads somebody may have edited: any error whatever costs the entry that it is in, and no wait is endless.
"""

import contextlib
import os
import sys
import typing as t

from ._control import affinity, boot_state, cpupools, masks, pool_plan, pool_steps
from ._control import granularity as gran
from ._control.files import read_own
from ._control.journal import Journal
from ._control.lock import host_lock
from ._discovery import authoritative
from ._discovery.component import DOMAINS
from ._errors import Failure, printable
from ._toolstack import xenstore
from ._topology.host import host_of
from ._topology.model import NamesUnknown, Topology
from ._xen.connection import Xen

# sd-daemon(3)
WARNING, INFO = "<4>", "<6>"

Entry = t.Mapping[str, t.Any]


class Host:
    """The ways to this host."""

    def look(self) -> Topology:
        """The host as it is now, with its domains."""
        return host_of(authoritative.ask([DOMAINS]))

    def apply_pools(self, topology: Topology, plan: pool_plan.PoolPlan, journal: Journal) -> t.List[str]:
        """Carry out; notes. Raises Failure."""
        with Xen.open() as xen, xenstore.Xenstore.open() as store:
            hands = pool_steps.Hands(
                xen,
                journal,
                topology.complete_cpuset,
                lambda pool, name: xenstore.name_cpupool(store, pool, name),
                lambda: xenstore.cpupool_names(store),
            )
            return pool_steps.carry_out(plan.steps, hands, lambda: pool_steps.check_cpupools(plan, hands))

    def apply_affinity(self, actions: t.Sequence[affinity.AffinityAction]) -> None:
        """Carry out. Raises Failure."""
        with Xen.open() as xen:
            affinity.apply_affinity(xen, actions)


class Restorer:
    """Restores a state on a host; `say(priority, sentence)` tells. `failed` is whether something could not be done."""

    def __init__(
        self, host: t.Any, say: t.Callable[[str, str], None], journal: t.Optional[Journal] = None
    ) -> None:
        self._host = host
        self._say = say
        self._journal = journal or Journal()
        self.failed = False
        self._missed = set()  # type: t.Set[str]
        self._warned = set()  # type: t.Set[str]

    def restore(self, state: boot_state.State) -> None:
        """Cpupools first, then affinity: each as a whole, and where that cannot be, entry by entry."""
        self._restore_pools(state["cpupools"], state.get("broken_affinity", masks.REFUSE))
        self._restore_affinities(state["affinities"])

    def _fail(self, what: str, error: Exception) -> None:
        self.failed = True
        self._say(WARNING, f"{what} could not be restored: {reason(error)}")

    def _look(self) -> Topology:
        """The host as it is now; what is unknown of it is said once."""
        topology = self._host.look()
        for warning in topology.warnings:
            if warning not in self._warned:
                self._say(INFO, warning)
            self._warned.add(warning)
        return t.cast(Topology, topology)

    def _restore_pools(self, entries: t.Sequence[Entry], policy: t.Any) -> None:
        if not entries:
            return
        try:
            self._pools(entries, policy)
        except Exception as error:
            if len(entries) == 1:
                self._fail(f"Cpupool {entries[0].get('name')!r}", error)
                return
            self._say(
                INFO, f"The cpupools cannot be restored together ({reason(error)}): one after the other"
            )
            for entry in entries:
                self._restore_pools([entry], policy)

    def _pools(self, entries: t.Sequence[Entry], policy: t.Any) -> None:
        topology = self._look()
        there = []
        for entry in entries:
            domains = [ref for ref in entry.get("domains", ()) if self._runs(topology, ref)]
            there.append(dict(entry, domains=domains))
        plan = cpupools.plan_cpupools(
            topology, gran.of_cpupools(topology), there, policy, self._journal.load(topology)
        )
        notes = list(plan.notes + plan.risks)
        if plan.steps:
            notes += self._host.apply_pools(topology, plan, self._journal)
        for step in plan.steps:
            self._say(INFO, pool_steps.described(step))
        for note in notes:
            self._say(WARNING, note)

    def _restore_affinities(self, entries: t.Sequence[Entry]) -> None:
        if not entries:
            return
        good = []
        topology = None
        for entry in entries:
            try:
                topology = topology or self._look()
                if self._runs(topology, entry.get("guest")):
                    affinity.plan_affinity(topology, [entry])
                    good.append(entry)
            except Exception as error:
                self._fail(f"Affinity of {entry.get('guest')!r}", error)
        self._apply_affinities(topology, good)

    def _apply_affinities(self, topology: t.Optional[Topology], entries: t.Sequence[Entry]) -> None:
        if not entries:
            return
        try:
            actions = affinity.plan_affinity(self._look() if topology is None else topology, entries)
            if any(action.changed for action in actions):
                self._host.apply_affinity(actions)
        except Exception as error:
            if len(entries) == 1:
                self._fail(f"Affinity of {entries[0].get('guest')!r}", error)
                return
            self._say(
                INFO, f"Affinity cannot be restored at once ({reason(error)}): one entry after the other"
            )
            for entry in entries:
                self._apply_affinities(None, [entry])
            return
        for action in actions:
            if action.changed:
                self._say(INFO, f"affinity of {action.title} set")
            for note in action.notes:
                self._say(WARNING, note)

    def _runs(self, topology: Topology, ref: t.Any) -> bool:
        try:
            topology.domain(ref)
        except NamesUnknown:
            raise
        except Failure:
            if str(ref) not in self._missed:
                self._say(INFO, f"{ref!r} does not run: nothing to restore of it now")
            self._missed.add(str(ref))
            return False
        return True


def reason(error: Exception) -> str:
    """What went wrong, as a sentence; of an error that was not foreseen, its kind too."""
    if isinstance(error, Failure):
        return error.message
    return str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"


def say(priority: str, sentence: str) -> None:
    """One line for the journal, whatever is in a guest's name, and whatever letters the locale has."""
    # Whether or not anybody listens: what is restored is what counts.
    with contextlib.suppress(OSError):
        os.write(1, f"{priority}{printable(sentence)}\n".encode("utf-8", "backslashreplace"))


def main(
    arguments: t.Optional[t.Sequence[str]] = None,
    host: t.Optional[Host] = None,
    path: str = boot_state.STATE_PATH,
    lock: t.Callable[[], t.Any] = lambda: host_lock(
        "what restores cpupools and affinity", patience=boot_state.LOCK_PATIENCE
    ),
    journal: t.Optional[Journal] = None,
) -> int:
    """Restore what `path` says; the exit status. `--guests` is for after the guests' start, and changes only what is said."""
    guests = "--guests" in (sys.argv[1:] if arguments is None else arguments)
    try:
        data = read_own(path)
        if data is None:
            raise Failure(f"there is no {path}")
        state, faults = boot_state.salvaged(data)
    except Exception as error:
        say(WARNING, f"Nothing was restored: {reason(error)}")
        return 1
    when = "now that guests have started" if guests else "before guests start"
    say(INFO, f"Restoring {len(state['cpupools'])} cpupools and {len(state['affinities'])} affinities {when}")
    for fault in faults:
        say(WARNING, f"It was left out: {fault}")
    restorer = Restorer(host or Host(), say, journal)
    try:
        with lock():
            restorer.restore(state)
    except Exception as error:
        say(WARNING, f"It was given up: {reason(error)}")
        return 1
    failed = restorer.failed or bool(faults)
    say(INFO, "Done, but for what is said above" if failed else "Done")
    return int(failed)
