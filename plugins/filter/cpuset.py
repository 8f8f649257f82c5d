# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that translates sets of CPUs or NUMA nodes. It is documented in cpuset.yml."""

from __future__ import annotations

import typing as t

from ..module_utils._topology.cpuset import LARGEST_ID, CpuSet, CpuSetError
from ..module_utils._topology.expression import resolve
from ..module_utils._topology.facts_reading import from_facts
from ..module_utils._topology.model import Topology
from .report import spoken


def _list(text: str, everything: CpuSet | None) -> CpuSet:
    """Read the list format, and as hwloc's tools do a range without an end at its end, V(4-)."""
    head, dash, rest = text.strip().rpartition("-")
    first = head.rpartition(",")[2].strip()
    if not dash or rest or not first.isdecimal():
        return CpuSet.parse(text)
    if everything is None:
        raise CpuSetError(f"{text!r} has no end: give the topology of the host whose CPUs are meant")
    closed = CpuSet.parse(head)
    return closed | everything & CpuSet.parse(f"{first}-{LARGEST_ID}")


READERS: dict[str, t.Callable[[str, CpuSet | None], CpuSet]] = {
    "list": _list,
    "hwloc": CpuSet.from_hwloc,
    "taskset": lambda text, _everything: CpuSet.from_taskset(text),
}


def _xl(cpus: CpuSet) -> str:
    if not cpus:
        raise CpuSetError(
            "xl has no way to write that no CPU at all is meant: leave the key out of the configuration instead"
        )
    return str(cpus)


WRITERS: dict[str, t.Callable[[CpuSet], str | list[int]]] = {
    "list": str,
    "xl": _xl,
    "hwloc": CpuSet.hwloc,
    "taskset": CpuSet.taskset,
    "numbers": list,
}


def cpuset(value: t.Any, to: str = "list", topology: t.Any = None, **more: t.Any) -> str | list[int]:
    """Translate `value` into the format `to`. `more` may hold `from`, which Python does not allow as an argument's name."""
    source = more.pop("from", "auto")
    if more:
        raise CpuSetError(
            f"the filter dom0.xen.cpuset has no option {', '.join(more)}: it has to, from and topology"
        )
    if to not in WRITERS:
        raise CpuSetError(f"{to!r} is no format to write: choose one of {', '.join(WRITERS)}")
    return WRITERS[to](_read(value, source, None if topology is None else from_facts(topology)))


def _read(value: t.Any, source: str, topology: Topology | None) -> CpuSet:
    if source == "auto":
        source = "hwloc" if isinstance(value, str) and value.strip()[:2].lower() == "0x" else "xl"
    if source in ("xl", "numbers"):
        return resolve(value, topology)
    if source not in READERS:
        raise CpuSetError(
            f"{source!r} is no format to read: choose one of auto, xl, numbers, {', '.join(READERS)}"
        )
    if not isinstance(value, str):
        raise CpuSetError(f"{value!r} is no text, so it cannot be read as {source}")
    return READERS[source](value, None if topology is None else topology.complete_cpuset)


class FilterModule:
    """What Ansible asks a file of filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name → function."""
        return {"cpuset": spoken(cpuset, "cpuset")}
