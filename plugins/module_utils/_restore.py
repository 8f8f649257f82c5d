# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that restores cpupools and affinity when a host boots. Private to this collection.

It is this collection's own code, which the module boot_state puts on the host as one file: what decides at boot is what decided in the
play, and there is no second reader of its words. It needs no Ansible.

It runs twice: before guests start, for cpupools and dom0, and with ``--guests`` after xendomains has started them. What it cannot do it
says, on standard output with the priority that systemd's journal understands, and goes on with the rest. Its exit status is 1 then.
"""

import sys
import typing as t

from ._control import affinity, boot_state, cpupools, masks, pool_plan, pool_steps
from ._control import granularity as gran
from ._control.journal import Journal
from ._control.lock import host_lock
from ._discovery import authoritative
from ._discovery.component import DOMAINS
from ._errors import Failure
from ._toolstack import xenstore
from ._topology.host import host_of
from ._topology.model import Topology
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

    def restore(self, state: boot_state.State) -> None:
        """Cpupools first, then affinity: each as a whole, and where that cannot be, entry by entry."""
        self._restore_pools(state["cpupools"], state.get("broken_affinity", masks.REFUSE))
        self._restore_affinities(state["affinities"])

    def _fail(self, what: str, failure: Failure) -> None:
        self.failed = True
        self._say(WARNING, f"{what} could not be restored: {failure.message}")

    def _restore_pools(self, entries: t.Sequence[Entry], policy: t.Any) -> None:
        if not entries:
            return
        try:
            self._pools(entries, policy)
        except Failure as failure:
            if len(entries) == 1:
                self._fail(f"Cpupool {entries[0].get('name')!r}", failure)
                return
            self._say(
                INFO, f"The cpupools cannot be restored together ({failure.message}): one after the other"
            )
            for entry in entries:
                self._restore_pools([entry], policy)

    def _pools(self, entries: t.Sequence[Entry], policy: t.Any) -> None:
        topology = self._host.look()
        there = []
        for entry in entries:
            domains = [ref for ref in entry.get("domains", ()) if self._runs(topology, ref)]
            there.append(dict(entry, domains=domains))
        plan = cpupools.plan_cpupools(
            topology, gran.of_cpupools(topology), there, policy, self._journal.load(topology)
        )
        notes = list(plan.notes)
        if plan.steps:
            notes += self._host.apply_pools(topology, plan, self._journal)
        for step in plan.steps:
            self._say(INFO, pool_steps.described(step))
        for note in notes:
            self._say(WARNING, note)

    def _restore_affinities(self, entries: t.Sequence[Entry]) -> None:
        topology = self._host.look()
        good = []
        for entry in entries:
            if not self._runs(topology, entry.get("guest")):
                continue
            try:
                affinity.plan_affinity(topology, [entry])
            except Failure as failure:
                self._fail(f"Affinity of {entry.get('guest')!r}", failure)
            else:
                good.append(entry)
        self._apply_affinities(topology, good)

    def _apply_affinities(self, topology: Topology, entries: t.Sequence[Entry]) -> None:
        if not entries:
            return
        try:
            actions = affinity.plan_affinity(topology, entries)
            self._host.apply_affinity(actions)
        except Failure as failure:
            if len(entries) == 1:
                self._fail(f"Affinity of {entries[0].get('guest')!r}", failure)
                return
            self._say(
                INFO, f"Affinity cannot be restored at once ({failure.message}): one entry after the other"
            )
            for entry in entries:
                self._apply_affinities(self._host.look(), [entry])
            return
        for action in actions:
            if action.changed:
                self._say(INFO, f"affinity of {action.title} set")
            for note in action.notes:
                self._say(WARNING, note)

    def _runs(self, topology: Topology, ref: t.Any) -> bool:
        try:
            topology.domain(ref)
        except Failure:
            if str(ref) not in self._missed:
                self._say(INFO, f"{ref!r} does not run: nothing to restore of it now")
            self._missed.add(str(ref))
            return False
        return True


def say(priority: str, sentence: str) -> None:
    """One line for the journal, whatever is in a guest's name."""
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in sentence)
    sys.stdout.write(f"{priority}{line}\n")
    sys.stdout.flush()


def main(
    arguments: t.Optional[t.Sequence[str]] = None,
    host: t.Optional[Host] = None,
    path: str = boot_state.STATE_PATH,
    lock: t.Callable[[], t.Any] = lambda: host_lock("what restores cpupools and affinity"),
    journal: t.Optional[Journal] = None,
) -> int:
    """Restore what `path` says; the exit status. `--guests` is for after the guests' start, and changes only what is said."""
    guests = "--guests" in (sys.argv[1:] if arguments is None else arguments)
    try:
        with open(path, encoding="utf-8") as stream:
            state = boot_state.read_state(stream.read())
    except (Failure, OSError) as error:
        say(WARNING, f"Nothing was restored: {getattr(error, 'message', error)}")
        return 1
    when = "now that guests have started" if guests else "before guests start"
    say(INFO, f"Restoring {len(state['cpupools'])} cpupools and {len(state['affinities'])} affinities {when}")
    restorer = Restorer(host or Host(), say, journal)
    try:
        with lock():
            restorer.restore(state)
    except (Failure, OSError) as error:
        say(WARNING, f"It was given up: {getattr(error, 'message', error)}")
        return 1
    say(INFO, "Done, but for what is said above" if restorer.failed else "Done")
    return int(restorer.failed)
