# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""What is different on some hosts, said of a host or of a group of the inventory, put together field by field."""

from __future__ import annotations

import typing as t

from .words import listing

#: (part of an entry, field in it); the field is empty where the part is one.
Field = tuple[str, str]

#: Hosts that are named in one message; the rest is counted.
MOST_NAMED = 3


class Said(t.NamedTuple):
    """What one entry says. `label`: where it stands, for messages."""

    label: str
    fields: t.Mapping[Field, t.Any]


def for_hosts(
    hosts: t.Sequence[str],
    said: t.Mapping[str, Said],
    inventory: t.Mapping[str, t.Collection[str]],
    own_label: str,
    faults: list[str],
) -> dict[str, dict[Field, t.Any]]:
    """Put together what `said` has for each host under its own name and under those of its groups (`inventory`: their hosts).

    What a host's own entry says counts. Groups of a host that say different things of a field are a fault, so that no order of groups matters.
    """
    groups = [(said[name], inventory[name]) for name in sorted(set(said) - set(hosts)) if name in inventory]
    members = [(one, set(of_it)) for one, of_it in groups]
    disputes: dict[tuple[str, str, str], list[str]] = {}
    found: dict[str, dict[Field, t.Any]] = {}
    for host in hosts:
        own = said[host].fields if host in said else {}
        first: dict[Field, Said] = {}
        for one, of_it in members:
            for field in one.fields if host in of_it else ():
                if field in own:
                    continue
                other = first.setdefault(field, one)
                if other.fields[field] != one.fields[field]:
                    name = ".".join(part for part in field if part)
                    disputes.setdefault((other.label, one.label, name), []).append(host)
        values = {**{field: one.fields[field] for field, one in first.items()}, **own}
        if values or host in said:
            found[host] = values
    for (first_label, second_label, name), of_hosts in sorted(disputes.items()):
        more = len(of_hosts) - MOST_NAMED
        named = of_hosts if more <= 0 else [*of_hosts[:MOST_NAMED], f"{more} more"]
        faults.append(
            f"{first_label} and {second_label} say different things of {name} for {listing(named)}: say it in {own_label}.{of_hosts[0]}"
            + (" and so on" if len(of_hosts) > 1 else "")
        )
    return found
