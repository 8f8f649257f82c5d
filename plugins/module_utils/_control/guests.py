# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps that :mod:`.guest_plan` gives for guests, foretold or taken, and what becomes of each. Private to this collection.

:func:`forecast` says what they will come to; :func:`carry_out` takes them, one guest after the other, on a :class:`Host`. A run calls
decide and carry_out, check mode decide and forecast.
"""

import os
import time
import typing as t

from .._errors import Failure
from .._toolstack.xl import Xl, XlError
from .files import why
from .guest_plan import (
    ABSENT,
    AWAIT_END,
    CHANGING,
    CREATE,
    CREATE_PAUSED,
    DESTROY,
    DESTROYED,
    MOVE,
    PAUSE,
    RECOVER,
    REMOVE_CONFIG,
    RESUME,
    SHUTDOWN,
    STOPPED,
    UNPAUSE,
    Decision,
    Wanted,
    check_memory,
)
from .move_journal import Folders
from .move_plan import MIB, Move
from .move_ways import Suspension, Ways, wake

_POLL = 0.5
# Seconds that an ended domain stays before it counts as kept on purpose (on_poweroff = "preserve").
_KEPT = 30.0


class Host(t.NamedTuple):
    """The ways out: xl (with its list of domains), free memory of each NUMA node in bytes, and time; for moves also what each domain has
    of each node's memory, folders, and what is done about suspended ones, and who holds disks; `remove(path)` removes a configuration, `warn(sentence)`
    tells."""

    xl: Xl
    free_by_node: t.Callable[[], t.Dict[int, int]]
    clock: t.Callable[[], float] = time.monotonic
    sleep: t.Callable[[float], None] = time.sleep
    memory: t.Callable[[], t.Dict[int, t.Dict[int, int]]] = dict
    folders: Folders = Folders()
    suspension: Suspension = Suspension(lambda domid: None)
    remove: t.Callable[[str], None] = os.unlink
    warn: t.Callable[[str], None] = lambda sentence: None
    holders: t.Callable[[t.Sequence[str]], t.Iterable[int]] = lambda disks: ()

    def ways(self) -> Ways:
        """What a move needs of it."""
        return Ways(
            self.xl,
            self.memory,
            self.free_by_node,
            self.folders,
            self.clock,
            self.sleep,
            self.suspension,
            self.warn,
            holders=self.holders,
        )


Result = t.Dict[str, t.Any]


def forecast(decisions: t.Sequence[Decision], free: t.Mapping[int, int]) -> t.List[Result]:
    """What :func:`carry_out` would return, as far as it can be known before. Raises Failure for memory that will be lacking."""
    left = dict(free)
    freed = False
    results = []
    for decision in decisions:
        freed = freed or DESTROY in decision.steps or AWAIT_END in decision.steps
        if decision.creates and not freed:
            # Once guests end, memory comes back nobody knows where: then only the look right before a creation counts.
            check_memory(decision, left)
            for node, share in decision.need.items():
                left[node] -= share
        results.append(
            _result(decision, None if decision.creates else decision.domid, expected_state(decision))
        )
    return results


def expected_state(decision: Decision) -> str:
    """The state a guest is in once its steps are taken."""
    last = decision.steps[-1] if decision.steps else None
    if last in (CREATE, UNPAUSE, MOVE, RECOVER, RESUME):
        return "running"
    if last in (CREATE_PAUSED, PAUSE):
        return "paused"
    return ABSENT if last in (AWAIT_END, REMOVE_CONFIG) else decision.before


def carry_out(decisions: t.Sequence[Decision], host: Host) -> t.List[Result]:
    """Take the steps, guest by guest, and say for each what became of it::

        {name, domid, changed, before, state, steps, free_before, free_after, memory_delta_by_node, moved_by, note,
        memory_before_by_node, memory_by_node}

    free_before, free_after and memory_delta_by_node are {node: bytes} around a creation, else None; the delta is what the creation took
    from each node. Free memory is read right before each creation, and a guest is not created when its nodes lack what it needs. The last
    four are about a move (see :func:`moves.carry_out`), else None.

    When something goes wrong, Failure says what; its result has ``done``, the results so far, and ``changed``.
    """
    done = []  # type: t.List[Result]
    try:
        for decision in decisions:
            done.append(_carry_out(decision, host))
        _look_again(decisions, done, host)
    except Failure as failure:
        changed = bool(failure.result.get("changed")) or any(result["changed"] for result in done)
        raise Failure(failure.message, **dict(failure.result, done=done, changed=changed)) from failure
    return done


def _carry_out(decision: Decision, host: Host) -> Result:
    guest, domid = decision.wanted, decision.domid
    result = _result(decision, domid, decision.before)
    begun = False
    try:
        for step in decision.steps:
            if step in (CREATE, CREATE_PAUSED):
                domid = _create(decision, step == CREATE_PAUSED, result, host)
            elif step == AWAIT_END:
                _await_end(t.cast(int, domid), guest, host, SHUTDOWN in decision.steps)
                _clear(t.cast(int, domid), decision, host)
            elif step == MOVE:
                # Few tasks move a guest, and Python compiles anew what Ansible sends.
                from . import moves

                result.update(moves.carry_out(t.cast(Move, decision.move), host.ways()))
                domid = result["domid"]
            elif step == SHUTDOWN:
                _ask_to_end(t.cast(int, domid), guest, host)
            elif step == RESUME:
                wake(t.cast(int, domid), guest.name, host.ways())
            elif step == REMOVE_CONFIG:
                host.remove(t.cast(str, guest.config))
            else:
                getattr(host.xl, step)(domid)
            begun = begun or step in CHANGING
    except (Failure, OSError) as error:
        failure = error if isinstance(error, Failure) else Failure(why(error, error.filename or "the host"))
        changed = begun or bool(failure.result.get("changed"))
        message = failure.message
        if repr(guest.name) not in message:
            message = "guest {0!r}: {1}".format(guest.name, message)
        raise Failure(message, **dict(failure.result, changed=changed)) from error
    now = None if domid is None else host.xl.domain(domid)
    result.update(domid=now.domid if now else None, state=now.state if now else ABSENT)
    return result


def _create(decision: Decision, paused: bool, result: Result, host: Host) -> int:
    guest = decision.wanted
    before = host.free_by_node()
    check_memory(decision, before)
    domain = host.xl.create(guest.name, t.cast(str, guest.config), paused)
    after = host.free_by_node()
    result["free_before"] = _keyed(before)
    result["free_after"] = _keyed(after)
    result["memory_delta_by_node"] = _keyed(
        {node: free - after.get(node, 0) for node, free in before.items()}
    )
    if domain.gone:
        raise Failure(
            "it was created (domain {0}) and has ended at once ({1}): look into its console and its kernel's arguments, and see "
            "that on_reboot and on_crash do not start it over and over".format(domain.domid, domain.state),
            changed=True,
        )
    return domain.domid


def _clear(domid: int, decision: Decision, host: Host) -> None:
    """Make way for what comes after a clean end: what a guest leaves when it is kept to be looked at (on_poweroff = "preserve")."""
    if not (decision.creates or decision.wanted.state == ABSENT) or host.xl.domain(domid) is None:
        return
    if decision.creates and not decision.wanted.force:
        raise Failure(
            "domain {0} has shut down and its remains are kept (on_poweroff, or no xl watches over it any more), so that it cannot be created "
            "again: destroy them, or give force to have that done".format(domid),
            changed=True,
        )
    host.xl.destroy(domid)
    _await_end(domid, decision.wanted, host, clean=False)


def _ask_to_end(domid: int, guest: Wanted, host: Host) -> None:
    """Ask a domain to end; with force, one that cannot even be asked, as it does not listen, is destroyed."""
    try:
        host.xl.shutdown(domid)
    except XlError:
        if not guest.force:
            raise
        host.xl.destroy(domid)


def _await_end(domid: int, guest: Wanted, host: Host, clean: bool) -> None:
    """Wait until a domain is gone, or has ended and is kept. `clean`: it was asked to end, and may be destroyed if it does not."""
    start = host.clock()
    while True:
        domain = host.xl.domain(domid)
        waited = host.clock() - start
        if domain is None or (
            clean and domain.state in ("shutdown", "crashed") and waited >= min(_KEPT, guest.timeout)
        ):
            return
        if waited >= guest.timeout:
            break
        host.sleep(_POLL)
    if domain.state == "dying":
        raise Failure(
            "domain {0} has ended, but after {1:g} seconds Xen still holds memory of it: another domain has pages of it mapped; "
            "end that one, or wait longer (timeout)".format(domid, guest.timeout)
        )
    if clean and guest.force:
        host.xl.destroy(domid)
        _await_end(domid, guest, host, clean=False)
        return
    raise Failure(
        "domain {0} is still {1} {2:g} seconds after it was told to end: see what holds it, give it longer (timeout), or give "
        "force to have it destroyed then".format(domid, domain.state, guest.timeout)
    )


def _look_again(decisions: t.Sequence[Decision], done: t.Sequence[Result], host: Host) -> None:
    """See that what was created is still there, now that its kernel had some time, and that what was ended has not come back."""
    changed = [(decision, result) for decision, result in zip(decisions, done) if decision.changes]
    if not changed:
        return
    domains = host.xl.domains()
    problems = []
    for decision, result in changed:
        name = decision.wanted.name
        again = [
            domain.domid for domain in domains if domain.name == name and domain.domid != result["domid"]
        ]
        domain = next((domain for domain in domains if domain.domid == result["domid"]), None)
        result["state"] = domain.state if domain else ABSENT
        if decision.creates and (domain is None or domain.gone):
            what = "was started again as domain {0}".format(again[-1]) if again else result["state"]
            problems.append(
                "guest {0!r} was created (domain {1}) and ended soon after (now: {2}): look into its console and its kernel's "
                "arguments".format(name, result["domid"], what)
            )
        elif decision.wanted.state in (STOPPED, DESTROYED, ABSENT) and again:
            problems.append(
                "guest {0!r} ended and was started again as domain {1}: see on_poweroff in its configuration, and who else starts "
                "guests here".format(name, again[-1])
            )
    if problems:
        more = " (and {0} more like it)".format(len(problems) - 1) if len(problems) > 1 else ""
        raise Failure(problems[0] + more, problems=problems, changed=True)


def difference(result: Result) -> t.Dict[str, t.Any]:
    """One entry for a diff."""
    return {
        "before_header": result["name"],
        "after_header": result["name"],
        "before": dict({"state": result["before"]}, **_memory(result["memory_before_by_node"])),
        "after": dict(
            {"state": result["state"] if result["changed"] else result["before"]},
            **_memory(result["memory_by_node"]),
        ),
    }


def _memory(by_node: t.Optional[t.Mapping[str, int]]) -> t.Dict[str, str]:
    if not by_node:
        return {}
    parts = ["node {0}: {1} MiB".format(node, size // MIB) for node, size in by_node.items() if size]
    return {"memory": ", ".join(parts)}


def _result(decision: Decision, domid: t.Optional[int], state: str) -> Result:
    return {
        "name": decision.wanted.name,
        "domid": domid,
        "changed": decision.changes,
        "before": decision.before,
        "state": state,
        "steps": list(decision.steps),
        "free_before": None,
        "free_after": None,
        "memory_delta_by_node": None,
        "moved_by": decision.move.way if decision.move else None,
        "note": None,
        "memory_before_by_node": _keyed(decision.memory_before)
        if decision.memory_before is not None
        else None,
        "memory_by_node": _planned(decision.move) if decision.move is not None else None,
    }


def _planned(move: Move) -> t.Dict[str, int]:
    return _keyed({node: move.size // len(move.nodes) for node in move.nodes})


def _keyed(by_node: t.Mapping[int, int]) -> t.Dict[str, int]:
    return {str(node): by_node[node] for node in sorted(by_node)}
