# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Hosts whose facts cannot be used: a plan goes on without them, names them, and starts nothing a second time that may run there."""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils._errors import Failure
from .model import Guest
from .request import Request
from .words import listing, sentence

Data = dict[str, t.Any]


class LeftOut(t.NamedTuple):
    """A host that is left out. `reason`: a clause. `names`: of the domains that its facts list, None when not even these can be read."""

    reason: str
    names: frozenset[str] | None

    @classmethod
    def of(cls, reason: str, facts: t.Any) -> LeftOut:
        """Keep what can be read of facts that cannot be used: the names of who runs there."""
        return cls(reason, _names(facts))


def _names(facts: t.Any) -> frozenset[str] | None:
    if not isinstance(facts, t.Mapping):
        return None
    domains = facts.get("domains")
    if isinstance(domains, (list, tuple)):
        names = [domain.get("name") if isinstance(domain, t.Mapping) else None for domain in domains]
    else:
        data = facts.get("data")
        named = data.get("domain_names") if isinstance(data, t.Mapping) else None
        if not isinstance(named, t.Mapping):
            return None
        names = list(named.values())
    if not all(isinstance(name, str) for name in names):
        return None
    return frozenset(str(name) for name in names)


def warnings(left_out: t.Mapping[str, LeftOut]) -> list[str]:
    """Tell the user which hosts are left out, a sentence each."""
    return [f"{host} is left out: {left.reason}." for host, left in left_out.items()]


class Rest(t.NamedTuple):
    """What can be planned without the hosts: the request, and entries of `unplaced` for the guests that cannot."""

    request: Request
    unplaced: list[Data]


def without(request: Request, left_out: t.Mapping[str, LeftOut], running: t.Container[str] = ()) -> Rest:
    """Take the guests out of a request that these hosts are needed for. `running`: names of domains on the hosts that are left.

    Raises :class:`Failure` when one of the hosts is to be emptied: nobody can tell of whom.
    """
    lost = [host for host in request.settings.evacuate if host in left_out]
    if lost:
        raise Failure(
            f"{listing(lost)} cannot be emptied: " + "; ".join(left_out[host].reason for host in lost)
        )
    unplaced = []
    kept = []
    given = request.settings.given
    for guest in request.guests:
        planned = given.guests.get(guest.name) if given is not None else None
        clauses = [
            clause
            for host, left in left_out.items()
            for clause in _why(guest, host, left, planned.host if planned else None, guest.name in running)
        ]
        if not clauses:
            kept.append(guest)
            continue
        unplaced.append(
            {
                "name": guest.name,
                "reasons": [sentence(clause) for clause in clauses],
                "nearest": "Gather the facts of this host again with dom0.xen.topology_facts, and plan again.",
                "helps": [],
            }
        )
    if not unplaced:
        return Rest(request, [])
    gone = {entry["name"] for entry in unplaced}
    settings = request.settings
    if given is not None:
        settings = dataclasses.replace(
            settings,
            given=given._replace(
                guests={name: place for name, place in given.guests.items() if name not in gone},
                unplaced={name: entry for name, entry in given.unplaced.items() if name not in gone},
            ),
        )
    return Rest(request._replace(guests=tuple(kept), settings=settings), unplaced)


def _why(
    guest: Guest, host: str, left: LeftOut, planned: str | None, runs_elsewhere: bool
) -> t.Iterator[str]:
    """Why the guest cannot be planned without the host."""
    if guest.host == host:
        yield f"its host is to be {host}, and {left.reason}"
    elif planned == host:
        yield f"the plan that was given has it on {host}, and {left.reason}"
    elif left.names is not None and guest.name in left.names and not runs_elsewhere:
        yield f"a domain of its name is on {host}, so that it is started nowhere else, and {left.reason}"


def add_to(plan: Data, left_out: t.Mapping[str, LeftOut], unplaced: t.Sequence[Data]) -> Data:
    """Return the plan with the hosts that were left out, and the guests that were for them."""
    silent = listing([host for host, left in left_out.items() if left.names is None] or [""])
    guests = []
    for entry in plan["guests"]:
        if silent and entry["action"] == "create":
            warning = (
                f"it may run on {silent} already, of which nothing is known: look there before it is created"
            )
            entry = {**entry, "warnings": [*entry["warnings"], sentence(warning)]}
        guests.append(entry)
    hosts = {
        **plan["hosts"],
        **{
            host: {"nodes": [], "warnings": [sentence(f"left out of the plan: {left.reason}")]}
            for host, left in left_out.items()
        },
    }
    return {
        **plan,
        "guests": guests,
        "unplaced": [*plan["unplaced"], *unplaced],
        "hosts": {host: hosts[host] for host in sorted(hosts)},
        "objective": [_with_more(level, len(unplaced)) for level in plan["objective"]],
    }


def _with_more(level: Data, count: int) -> Data:
    """Count the guests that no placement can have a place for."""
    if level["level"] != "unplaced":
        return level
    return {
        **level,
        "value": level["value"] + count,
        "bound": None if level["bound"] is None else level["bound"] + count,
    }
