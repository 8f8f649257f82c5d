# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Sizes, numbers and names in sentences."""

from __future__ import annotations

import typing as t

from .model import MIB, VCPU, Guest
from .places import Place


def mib(size: int) -> str:
    """Write a size in whole MiB, rounded up, as what is lacking should not be told too small."""
    return f"{-(-size // MIB)} MiB"


def mib_down(size: int) -> str:
    """Write a size in whole MiB, rounded down, as what is free should not be told too large."""
    return f"{size // MIB} MiB"


def sentence(clause: str) -> str:
    """Make a sentence of a clause."""
    return clause[:1].upper() + clause[1:] + "."


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listing(things: t.Iterable[t.Any]) -> str:
    """Write things as people do: 0, 1 and 3."""
    words = [str(thing) for thing in things]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def node_words(nodes: t.Sequence[int]) -> str:
    """Name nodes: node 1, or nodes 0 and 1."""
    return f"node {nodes[0]}" if len(nodes) == 1 else f"nodes {listing(nodes)}"


def place_words(place: Place, several_hosts: bool) -> str:
    """Name a place: node 1, or node 1 of alpha where there are several hosts."""
    return node_words(place.nodes) + (f" of {place.host}" if several_hosts else "")


def vcpus_of(load: int) -> str:
    """Write a load in vCPUs or cores with at most one decimal."""
    tenths = (load * 10 + VCPU // 2) // VCPU
    return str(tenths // 10) if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10}"


def need_clause(guest: Guest) -> str:
    """Say what the guest takes from its nodes."""
    more = guest.need - guest.memory
    return f"needs {mib(guest.need)}: {mib(guest.memory)} of its own and {mib(more)} that Xen takes for it and its {count(guest.vcpus, 'vCPU')}"
