# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""What a user asks of a placement, checked. Every fault is found in one go, and each names its entry and its field."""

from __future__ import annotations

import re
import typing as t
from fractions import Fraction

from ...module_utils._errors import Failure
from .model import MIB, Guest, Policy, Reserve

#: The most vCPUs that Xen can give to any guest (MAX_VIRT_CPUS of PV guests, xen/include/asm-x86/config.h).
MOST_VCPUS = 8192

CHOICES: dict[str, tuple[str, ...]] = {
    "numa_policy": ("single", "preferred", "spread"),
    "pin": ("soft", "hard"),
    "cpu_policy": ("shared",),
    "memory_only_nodes": ("avoid", "allow"),
}

_GUEST_KEYS = ("name", "vcpus", "memory", "host", "nodes", "pool", "priority", "policy")
_RESERVE_KEYS = ("node_memory", "host_memory", "low_memory")

_SIZE = re.compile(
    r"\s*([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*(?:([kmgt])(?:i?b)?)?\s*\Z", re.ASCII | re.IGNORECASE
)
_UNITS = {"k": 1 << 10, "m": MIB, "g": 1 << 30, "t": 1 << 40}
_YES = ("true", "yes", "on", "1")
_NO = ("false", "no", "off", "0")


class RequestError(Failure):
    """A request that cannot be used. The message names each faulty entry and field."""


class _Fault(Exception):
    """Why one value is wrong; becomes one part of a :class:`RequestError`."""


def read_size(value: t.Any, smallest: int = 0) -> int:
    """Bytes of a size: a number is MiB; a text may have a unit (K, M, G, T, each with an optional iB or B, all powers of 1024).

    Raises ValueError with a sentence. The size has to be a whole number of MiB, the unit in which xl keeps a guest's memory.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{_show(value)} is no size: give MiB as a number, or a text such as 512M or 4GiB")
    found = _SIZE.match(str(value))
    if not found:
        raise ValueError(f"{_show(value)} is no size: give MiB as a number, or a text such as 512M or 4GiB")
    size = Fraction(found.group(1)) * _UNITS[(found.group(2) or "m").lower()]
    if size % MIB:
        raise ValueError(f"{_show(value)} is not a whole number of MiB")
    if size < smallest:
        raise ValueError(f"{_show(value)} is too little: the least is {smallest // MIB} MiB")
    return int(size)


def read_request(
    hosts: t.Sequence[str],
    guests: t.Any,
    defaults: t.Any = None,
    reserve: t.Any = None,
) -> tuple[tuple[Guest, ...], Reserve]:
    """Check what a user wrote and turn it into values.

    `hosts`: names that the plan is for. `guests`: list of {name, vcpus, memory, host?, nodes?, pool?, priority?, policy?}.
    `defaults`: {numa_policy?, pin?, cpu_policy?, memory_only_nodes?} for guests whose policy does not say. `reserve`:
    {node_memory?, host_memory?, low_memory?}. Raises :class:`RequestError`.
    """
    faults: list[str] = []
    base = _read_policy(defaults, Policy(), "defaults", faults)
    kept = _read_reserve(reserve, faults)
    read: list[Guest] = []
    if not isinstance(guests, (list, tuple)):
        faults.append(f"guests: a list of guests is needed, not {_show(guests)}")
        guests = ()
    seen: dict[str, str] = {}
    for index, entry in enumerate(guests):
        label = f"guests[{index}]"
        guest = _read_guest(entry, label, base, hosts, faults)
        if guest is None:
            continue
        if guest.name in seen:
            faults.append(f"{label}.name: {guest.name!r} is already the name of {seen[guest.name]}")
        seen.setdefault(guest.name, label)
        read.append(guest)
    if faults:
        raise RequestError("the guests cannot be planned as they are given: " + "; ".join(faults))
    return tuple(read), kept


def _show(value: t.Any) -> str:
    """Quote a value in a message, without letting a huge one fill the screen."""
    text = repr(str(value) if isinstance(value, str) else value)
    return text if len(text) <= 60 else text[:57] + "..."


def _read_guest(
    entry: t.Any, label: str, base: Policy, hosts: t.Sequence[str], faults: list[str]
) -> Guest | None:
    if not isinstance(entry, t.Mapping):
        faults.append(f"{label}: a guest is a dictionary with name, vcpus and memory, not {_show(entry)}")
        return None
    before = len(faults)
    _refuse_others(entry, _GUEST_KEYS, label, faults)

    def take(key: str, reader: t.Callable[[t.Any], t.Any], needed: bool = False) -> t.Any:
        if entry.get(key) is None:
            if needed:
                faults.append(f"{label}.{key}: is missing")
            return None
        try:
            return reader(entry[key])
        except (_Fault, ValueError) as fault:
            faults.append(f"{label}.{key}: {fault}")
            return None

    def host_of(value: t.Any) -> str:
        if value not in hosts:
            raise _Fault(f"{_show(value)} is not one of the hosts of this plan ({', '.join(hosts)})")
        return str(value)

    name = take("name", _name, needed=True)
    vcpus = take("vcpus", lambda value: _whole(value, 1, MOST_VCPUS), needed=True)
    memory = take("memory", lambda value: read_size(value, MIB), needed=True)
    host = take("host", host_of)
    nodes = take("nodes", _node_ids)
    pool = take("pool", _text)
    priority = take("priority", lambda value: _whole(value, -1000, 1000))
    policy = _read_policy(entry.get("policy"), base, f"{label}.policy", faults)
    if nodes is not None and len(nodes) > 1 and policy.numa_policy == "single":
        faults.append(f"{label}.nodes: {len(nodes)} nodes are named, but numa_policy is single")
    if len(faults) > before:
        return None
    return Guest(name, vcpus, memory, host, nodes, pool, priority or 0, policy, label)


def _read_policy(given: t.Any, base: Policy, label: str, faults: list[str]) -> Policy:
    if given is None:
        return base
    if not isinstance(given, t.Mapping):
        faults.append(f"{label}: a dictionary is needed, not {_show(given)}")
        return base
    _refuse_others(given, tuple(CHOICES), label, faults)
    values: dict[str, str] = {}
    for key, choices in CHOICES.items():
        value = given.get(key)
        if value is None:
            values[key] = getattr(base, key)
        elif value in choices:
            values[key] = str(value)
        else:
            faults.append(f"{label}.{key}: {_show(value)} is none of {', '.join(choices)}")
            values[key] = choices[0]
    return Policy(**values)


def _read_reserve(given: t.Any, faults: list[str]) -> Reserve:
    if given is None:
        return Reserve()
    if not isinstance(given, t.Mapping):
        faults.append(f"reserve: a dictionary is needed, not {_show(given)}")
        return Reserve()
    _refuse_others(given, _RESERVE_KEYS, "reserve", faults)
    values: dict[str, t.Any] = {}
    readers: dict[str, t.Callable[[t.Any], t.Any]] = {
        "node_memory": read_size,
        "host_memory": read_size,
        "low_memory": _yes_no,
    }
    for key, reader in readers.items():
        if given.get(key) is None:
            continue
        try:
            values[key] = reader(given[key])
        except (_Fault, ValueError) as fault:
            faults.append(f"reserve.{key}: {fault}")
    return Reserve(**values)


def _refuse_others(
    given: t.Mapping[t.Any, t.Any], known: t.Sequence[str], label: str, faults: list[str]
) -> None:
    for key in sorted((key for key in given if key not in known), key=str):
        # Whatever stands there must not break the sentence into lines.
        shown = key if isinstance(key, str) and key.isprintable() else repr(key)
        faults.append(f"{label}.{shown}: no such field; there are {', '.join(known)}")


def _whole(value: t.Any, least: int, most: int) -> int:
    digits = isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,9}\s*", value, re.ASCII)
    if isinstance(value, bool) or not (isinstance(value, int) or digits):
        raise _Fault(f"{_show(value)} is no whole number")
    number = int(value)
    if not least <= number <= most:
        raise _Fault(f"{number} is not between {least} and {most}")
    return number


def _text(value: t.Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    if not isinstance(value, str) or not value.strip():
        raise _Fault(f"{_show(value)} is no name")
    return str(value)


def _name(value: t.Any) -> str:
    name = _text(value)
    if "/" in name or not name.isprintable():
        raise _Fault(f"{_show(value)} cannot be a guest's name: it has a slash or an unprintable character")
    if name == "Domain-0":
        raise _Fault("Domain-0 is the control domain and cannot be placed")
    return name


def _node_ids(value: t.Any) -> tuple[int, ...]:
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        value = [value]
    if not value:
        raise _Fault("the list is empty: leave it out to let the plan choose")
    return tuple(sorted({_whole(node, 0, 65535) for node in value}))


def _yes_no(value: t.Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in _YES:
        return True
    if str(value).lower() in _NO:
        return False
    raise _Fault(f"{_show(value)} is neither true nor false")
