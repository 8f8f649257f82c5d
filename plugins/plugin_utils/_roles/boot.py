# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""What dom0 is given on Xen's command line, checked, and in Xen's words. Pure.

Source: docs/misc/xen-command-line.pandoc of Xen. Nothing comes out that means something to a shell within double quotes.
"""

from __future__ import annotations

import re
import typing as t

from ...module_utils._errors import Failure
from ...module_utils._topology import faults
from ...module_utils._topology.command_line import parse
from ...module_utils._topology.xen_options import missing, settings

Data = t.Mapping[str, t.Any]

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\[\]-]*(=[A-Za-z0-9_.,:;+/%@<=-]*)?\Z")
_SIZE = re.compile(r"([0-9]{1,15}) ?([KMGT])?(i?B)?\Z", re.IGNORECASE)
_SETTINGS = (
    "max_vcpus",
    "vcpus_pin",
    "nodes",
    "nodes_strict",
    "memory",
    "sched_gran",
    "smt",
    "credit2_runqueue",
    "arguments",
    "allow_known_faults",
)
_GRANULARITIES = ("cpu", "core", "socket")
_RUNQUEUES = ("cpu", "core", "socket", "node", "all")


def _fail(name: str, text: str) -> Failure:
    return Failure(f"dom0_{name}: {text}")


def _choice(name: str, value: t.Any, choices: t.Sequence[str]) -> str:
    if value not in choices:
        raise _fail(name, f"give one of {', '.join(choices)}, not {value!r}.")
    return str(value)


def _switch(name: str, value: t.Any) -> bool:
    text = str(value).lower()
    if text not in ("true", "false", "yes", "no", "on", "off"):
        raise _fail(name, f"give true or false, not {value!r}.")
    return text in ("true", "yes", "on")


def _vcpus(value: t.Any, pus: int | None) -> str:
    match = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", str(value))
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= low <= high:
        raise _fail("max_vcpus", f"give a number from 1, or a range such as 2-8, not {value!r}.")
    if pus is not None and low > pus:
        raise _fail("max_vcpus", f"{low} are more than the {pus} CPUs of this host: give fewer.")
    return str(value)


def _memory(value: t.Any, total: int | None) -> str:
    """``dom0_mem`` with its maximum equal: dom0 then neither balloons nor keeps tables for more."""
    match = None if isinstance(value, bool) else _SIZE.match(str(value))
    scale = 1 << (10 * ("KMGT".index((match[2] or "M").upper()) + 1)) if match else 0
    size = int(match[1]) * scale if match else 0
    if size < 1 << 20 or size % (1 << 10):
        raise _fail(
            "memory", f"give a number of MiB, or a size such as 4GiB, of at least 1 MiB, not {value!r}."
        )
    if total is not None and size >= total:
        raise _fail(
            "memory", f"{size >> 20} MiB leave nothing of this host's {total >> 20} MiB: give dom0 less."
        )
    text = f"{size >> 20}M" if size % (1 << 20) == 0 else f"{size >> 10}K"
    return f"{text},max:{text}"


def _nodes(value: t.Any, strict: bool | None, facts: Data | None) -> str:
    """``dom0_nodes``: Xen's nodes, translated to the proximity domains that Xen wants there."""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        value = str(value).split(",")
    try:
        wanted = sorted({int(node) for node in value})
    except (TypeError, ValueError):
        raise _fail("nodes", f"give numbers of NUMA nodes, not {value!r}.") from None
    if facts is None:
        raise _fail("nodes", "the host's facts are needed to know what its firmware calls these nodes.")
    known = {node["os_index"]: node for node in facts.get("nodes") or []}
    domains = []
    for node in wanted:
        if node not in known:
            raise _fail("nodes", f"the host has no node {node}; it has {', '.join(map(str, known))}.")
        domain = known[node].get("proximity_domain")
        if domain is None:
            raise _fail(
                "nodes",
                f"what the firmware calls node {node} is not known, and Xen wants its name for it (proximity domain, "
                "ACPI's SRAT): leave dom0_nodes out, or read the SRAT and give dom0_arguments yourself.",
            )
        if not known[node].get("cpuset"):
            raise _fail("nodes", f"node {node} has no CPU online for dom0 to run on: name another.")
        domains.append(str(domain))
    # Xen takes them strictly where nothing is said.
    return ",".join(domains + ([] if strict is None else ["strict" if strict else "relaxed"]))


def boot_arguments(settings: Data, facts: Data | None = None) -> str:
    """The words for Xen's command line that `settings` (any of _SETTINGS; None = not set) ask for, in a fixed order.

    `facts` of the host are needed to translate ``nodes``, and used to refuse what the host cannot give. Raises Failure that names the
    role's variable.
    """
    for name in settings:
        if name not in _SETTINGS:
            raise _fail(name, f"is not known; known are {', '.join(_SETTINGS)}.")
    given = {name: value for name, value in settings.items() if value not in (None, "", [])}
    words = []
    totals = (facts or {}).get("totals") or {}
    if "max_vcpus" in given:
        words.append(f"dom0_max_vcpus={_vcpus(given['max_vcpus'], totals.get('pus'))}")
    if "vcpus_pin" in given:
        words.append("dom0_vcpus_pin" if _switch("vcpus_pin", given["vcpus_pin"]) else "dom0_vcpus_pin=no")
    if "nodes" in given:
        if given.get("vcpus_pin") is not None and _switch("vcpus_pin", given["vcpus_pin"]):
            raise _fail(
                "vcpus_pin",
                "pins vCPU n to CPU n, whatever its node; give either it or dom0_nodes, not both.",
            )
        strict = _switch("nodes_strict", given["nodes_strict"]) if "nodes_strict" in given else None
        words.append(f"dom0_nodes={_nodes(given['nodes'], strict, facts)}")
    if "memory" in given:
        total = ((facts or {}).get("memory") or {}).get("total_bytes")
        words.append(f"dom0_mem={_memory(given['memory'], total)}")
    granularity = _choice("sched_gran", given.get("sched_gran", "cpu"), _GRANULARITIES)
    if "sched_gran" in given:
        words.append(f"sched-gran={granularity}")
    if "smt" in given:
        words.append(f"smt={'on' if _switch('smt', given['smt']) else 'off'}")
    if "credit2_runqueue" in given:
        words.append(f"credit2_runqueue={_choice('credit2_runqueue', given['credit2_runqueue'], _RUNQUEUES)}")
    extra = given.get("arguments", [])
    for word in extra.split() if isinstance(extra, str) else extra:
        if not isinstance(word, str) or not _WORD.match(word):
            raise _fail(
                "arguments",
                f"{word!r} is no word of Xen's command line: letters, digits and =,.:;-_+/%@<[] only.",
            )
        words.append(word)
    _refuse_twice(words)
    if not _switch("allow_known_faults", given.get("allow_known_faults", False)):
        _refuse_hang(words, facts)
    return " ".join(words)


def _refuse_hang(words: t.Sequence[str], facts: Data | None) -> None:
    """Refuse ``dom0_nodes`` where this release of Xen hangs with it while it boots, and does not run with it already."""
    xen = (facts or {}).get("xen") or {}
    asked = [word for word in words if word.startswith("dom0_nodes=")]
    line = xen.get("command_line")
    if not asked or (line and not boot_pending(" ".join(asked), line)):
        return
    then = settings((*parse(line), *parse(" ".join(words))))
    release = faults.release_of(xen.get("major"), xen.get("minor"), xen.get("extraversion"))
    (fault,) = [fault for fault in faults.FAULTS if fault.name == "dom0_nodes"]
    if then.get(("sched", ""), "credit2") == "credit2" and release is not None and faults.has(fault, release):
        raise _fail(
            "nodes",
            f"{fault.action} on Xen {'.'.join(map(str, release))}: {fault.happens} ({fault.source}); {faults.remedy(fault, release)}. "
            "Install that, boot with sched=credit (dom0_arguments), or set dom0_allow_known_faults to do it all the same.",
        )


def known_faults(facts: Data) -> list[dict[str, str]]:
    """What of the errors in the table this host's Xen has, as {action, happens, mended, source}."""
    xen = facts.get("xen") or {}
    release = faults.release_of(xen.get("major"), xen.get("minor"), xen.get("extraversion"))
    return [
        {
            "action": fault.action,
            "happens": fault.happens,
            "mended": faults.remedy(fault, release),
            "source": fault.source,
        }
        for fault in faults.FAULTS
        if faults.has(fault, release)
    ]


def _refuse_twice(words: t.Sequence[str]) -> None:
    """Refuse words of which one takes another's effect away. Those that add up (``iommu=1 iommu=verbose``) are fine."""
    taken: set[tuple[str, str]] = set()
    for word in words:
        there = settings(parse(word)).keys() - {("dom0_nodes", "")}
        if taken & there or words.count(word) > 1:
            name = word.partition("=")[0].removeprefix("no-")
            raise _fail(
                "arguments", f"{name} is there twice, or sets what another word sets: give it in one place."
            )
        taken |= there


def boot_pending(wanted: str, running: str | None) -> list[str]:
    """The words of `wanted` that have no effect on the command line Xen runs with: they wait for a reboot.

    Such a word is not there, or is overridden, or others add to it, as a second ``dom0_nodes`` does.
    """
    return [
        parameter.name if parameter.value is None else f"{parameter.name}={parameter.value}"
        for parameter in missing(parse(wanted), parse(running))
    ]
