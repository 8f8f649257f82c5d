# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Xen's command line asks for dom0. Pure."""

import re
import typing as t

from .command_line import Grammar, Settings, settings
from .cpuset import CpuSet
from .firmware import Firmware
from .model import Dom0Boot, Parameter

_AMOUNT = re.compile(
    r"(?:(?P<part>min|max):)?(?P<minus>-)?"
    r"(?:(?P<size>0[xX][0-9a-fA-F]{1,15}|0|[1-9][0-9]{0,17})(?P<unit>[BKMGTbkmgt])?(?:\+(?P<more>[0-9]{1,2})%)?|(?P<percent>[0-9]{1,2})%)\Z"
)


def _dom0_mem(found: Settings, text: str) -> None:
    for item in text.split(","):
        match = _AMOUNT.match(item)
        if match is None:
            return  # Xen reads no further
        # Without a unit it is KiB.
        unit = "BKMGT".index((match.group("unit") or "K").upper())
        found[("dom0_mem", match.group("part") or "")] = (
            bool(match.group("minus")),
            int(match.group("size") or "0", 0) << 10 * unit >> 12,  # pages
            int(match.group("more") or match.group("percent") or 0),
        )


def _dom0_max_vcpus(found: Settings, text: str) -> None:
    match = re.match(r"([0-9]{0,9})(-?)([0-9]{0,9})\Z", text)
    if match is None:
        return
    low, dash, high = match.groups()
    if low or not dash:
        found[("dom0_max_vcpus", "min")] = max(1, int(low or 0))
    if not dash:
        found[("dom0_max_vcpus", "max")] = max(1, int(low or 0))
    elif high:
        found[("dom0_max_vcpus", "max")] = int(high)


def _dom0_nodes(found: Settings, text: str) -> None:
    named: t.Set[int] = set()
    for item in text.split(","):
        if re.match(r"[0-9]{1,10}\Z", item):
            named.add(int(item))
        elif item in ("relaxed", "strict"):
            found[("dom0_nodes", "relaxed")] = item == "relaxed"
    if named:
        found[("dom0_nodes", "")] = tuple(sorted(named.union(found.get(("dom0_nodes", ""), ()))))


def _cpufreq(found: Settings, text: str) -> None:
    found[("cpufreq", "")] = text
    # setup_cpufreq_option of xen/drivers/cpufreq/cpufreq.c
    if re.split("[,:;=]", text)[0] == "dom0-kernel":
        found[("dom0_vcpus_pin", "")] = True


#: What is like no other option.
SPECIAL = {
    "cpufreq": _cpufreq,
    "dom0_max_vcpus": _dom0_max_vcpus,
    "dom0_mem": _dom0_mem,
    "dom0_nodes": _dom0_nodes,
}  # type: t.Dict[str, t.Callable[[Settings, str], None]]
_GRAMMAR = Grammar(SPECIAL, switches=frozenset(("dom0_vcpus_pin",)))


def dom0_boot(
    heard: t.Dict[str, t.Any], parameters: t.Sequence[Parameter], firmware: Firmware
) -> t.Optional[Dom0Boot]:
    """Return what the command line asks for dom0; None without a command line."""
    if "commandline" not in heard.get("xen", {}):
        return None
    found = settings(parameters, _GRAMMAR)
    domains = found.get(("dom0_nodes", ""))
    nodes = [firmware.node_of.get(domain) for domain in domains or ()]
    return Dom0Boot(
        memory=dom0_memory(parameters),
        max_vcpus=dom0_vcpus(found),
        pinned=found.get(("dom0_vcpus_pin", "")) is True,
        proximity_domains=domains,
        nodes=None if domains is None or None in nodes else CpuSet(t.cast(t.List[int], nodes)),
        strict=None if domains is None else not found.get(("dom0_nodes", "relaxed"), False),
    )


def dom0_memory(parameters: t.Iterable[Parameter]) -> t.Optional[str]:
    """Return the parts of all ``dom0_mem=`` as one word would have them."""
    there = {}  # type: t.Dict[str, str]
    for parameter in parameters:
        for item in (parameter.value or "").split(",") if parameter.name == "dom0_mem" else ():
            match = _AMOUNT.match(item)
            if match is None:
                break
            there[match.group("part") or ""] = item
    return ",".join(there[part] for part in ("", "min", "max") if part in there) or None


def dom0_vcpus(found: Settings) -> t.Optional[str]:
    """Return the bounds of all ``dom0_max_vcpus=`` as one word would have them."""
    low, high = found.get(("dom0_max_vcpus", "min")), found.get(("dom0_max_vcpus", "max"))
    if low == high:
        return None if low is None else str(low)
    return "{0}-{1}".format("" if low is None else low, "" if high is None else high)
