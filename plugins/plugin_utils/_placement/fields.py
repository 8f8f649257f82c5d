# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Single values that a user wrote: sizes, numbers, names, sets. Each reader returns the value or says in a clause what is wrong."""

from __future__ import annotations

import re
import typing as t
from fractions import Fraction

from ...module_utils._errors import shown
from ...module_utils._topology.cpuset import LARGEST_ID, CpuSet, CpuSetError
from .model import MIB

_SIZE = re.compile(
    r"\s*([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*(?:([kmgt])(?:i?b)?)?\s*\Z", re.ASCII | re.IGNORECASE
)
#: Bytes: the physical addresses of any processor end far below.
LARGEST_SIZE = 1 << 57
#: Characters of a name.
LONGEST_NAME = 4096
_UNITS = {"k": 1 << 10, "m": MIB, "g": 1 << 30, "t": 1 << 40}
_YES = ("true", "yes", "on", "1")
_NO = ("false", "no", "off", "0")
_PCI = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\Z", re.ASCII)


class Fault(Exception):
    """Why one value is wrong; becomes one part of a request's error."""


def read_size(value: t.Any, smallest: int = 0) -> int:
    """Bytes of a size: a number is MiB; a text may have a unit (K, M, G, T, each with an optional iB or B, all powers of 1024).

    Raises ValueError with a sentence. The size has to be a whole number of MiB, the unit in which xl keeps a guest's memory.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{show(value)} is no size: give MiB as a number, or a text such as 512M or 4GiB")
    found = None if isinstance(value, int) and value.bit_length() > 64 else _SIZE.match(str(value))
    if not found:
        raise ValueError(f"{show(value)} is no size: give MiB as a number, or a text such as 512M or 4GiB")
    size = Fraction(found.group(1)) * _UNITS[(found.group(2) or "m").lower()]
    if size % MIB:
        raise ValueError(f"{show(value)} is not a whole number of MiB")
    if size > LARGEST_SIZE:
        raise ValueError(f"{show(value)} is more memory than any machine has")
    if size < smallest:
        raise ValueError(f"{show(value)} is too little: the least is {smallest // MIB} MiB")
    return int(size)


#: Quotes a value in a message.
show = shown


def refuse_others(
    given: t.Mapping[t.Any, t.Any], known: t.Sequence[str], label: str, faults: list[str]
) -> None:
    """Add a fault for each key that is not known."""
    for key in sorted((key for key in given if key not in known), key=str):
        # Whatever stands there must not break the sentence into lines.
        shown = key if isinstance(key, str) and key.isprintable() else repr(key)
        faults.append(f"{label}.{shown}: no such field; there are {', '.join(known)}")


def whole(value: t.Any, least: int, most: int) -> int:
    """Read a whole number."""
    digits = isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,9}\s*", value, re.ASCII)
    if isinstance(value, bool) or not (isinstance(value, int) or digits):
        raise Fault(f"{show(value)} is no whole number")
    number = int(value)
    if not least <= number <= most:
        raise Fault(f"{show(number)} is not between {least} and {most}")
    return number


def text(value: t.Any) -> str:
    """Read a name; a number will do."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= 64:
        return str(int(value))
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_NAME:
        raise Fault(f"{show(value)} is no name")
    return str(value)


def guest_name(value: t.Any) -> str:
    """Read the name of a guest."""
    name = text(value)
    if "/" in name or not name.isprintable():
        raise Fault(f"{show(value)} cannot be a guest's name: it has a slash or an unprintable character")
    if name == "Domain-0":
        raise Fault("Domain-0 is the control domain and cannot be placed")
    return name


def node_ids(value: t.Any) -> tuple[int, ...]:
    """Read a list of node numbers."""
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        value = [value]
    if not value:
        raise Fault("the list is empty: leave it out to let the plan choose")
    if len(value) > LARGEST_ID + 1:
        raise Fault(f"the list has {len(value)} members")
    return tuple(sorted({whole(node, 0, 65535) for node in value}))


def yes_no(value: t.Any) -> bool:
    """Read a truth value."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) or value in (0, 1):
        if str(value).lower() in _YES:
            return True
        if str(value).lower() in _NO:
            return False
    raise Fault(f"{show(value)} is neither true nor false")


def vcpu_ids(value: t.Any) -> tuple[int, ...]:
    """Read numbers of vCPUs: a list, or a text such as 0-1,3."""
    if isinstance(value, str):
        try:
            return tuple(CpuSet.parse(value))
        except CpuSetError as error:
            raise Fault(str(error)) from error
    return node_ids(value)


def cpus(value: t.Any) -> CpuSet:
    """Read CPUs: a list of numbers, or a text such as 0-1,3."""
    if not isinstance(value, str):
        return CpuSet(node_ids(value))
    try:
        found = CpuSet.parse(value)
    except CpuSetError as error:
        raise Fault(str(error)) from error
    if not found:
        raise Fault("there is no CPU in it: leave it out to let the plan choose")
    return found


def ratio(value: t.Any) -> float:
    """Read how many vCPUs there may be for each PU."""
    return number_between(value, 0.1, 1000)


def number_between(value: t.Any, least: float, most: float) -> float:
    """Read a number, to three decimals."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise Fault(f"{show(value)} is no number") from None
    if isinstance(value, bool) or not least <= number <= most:
        raise Fault(f"{show(value)} is not between {least} and {most}")
    return round(number, 3)


def pci_address(value: t.Any) -> str:
    """Read the address of a PCI device, in full: 0000:03:00.0."""
    found = _PCI.match(value.lower()) if isinstance(value, str) else None
    if not found:
        raise Fault(f"{show(value)} is no address of a PCI device such as 0000:03:00.0")
    return f"{(found.group(1) or '0000'):>04}:{found.group(2)}"


def pci_devices(value: t.Any) -> tuple[tuple[str, str], ...]:
    """Read PCI devices: a list of addresses, or of {address, policy?: "required" (default) or "preferred"}."""
    if isinstance(value, (str, t.Mapping)) or not isinstance(value, (list, tuple)):
        value = [value]
    found: dict[str, str] = {}
    for item in value:
        entry = item if isinstance(item, t.Mapping) else {"address": item}
        more = sorted(str(key) for key in entry if key not in ("address", "policy"))
        if more:
            raise Fault(f"{', '.join(more)}: no such field; there are address, policy")
        policy = entry.get("policy") or "required"
        if policy not in ("required", "preferred"):
            raise Fault(f"policy: {show(policy)} is none of required, preferred")
        found[pci_address(entry.get("address"))] = str(policy)
    return tuple(sorted(found.items()))


def read_places(plan: t.Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Read the places of a plan. Raises :class:`Fault` when it is none."""
    try:
        return {
            text(entry["name"]): (text(entry["host"]), node_ids(entry["nodes"])) for entry in plan["guests"]
        }
    except (Fault, LookupError, TypeError, ValueError, AttributeError) as error:
        raise Fault(f"{show(plan)} is no plan of dom0.xen.placement_plan") from error
