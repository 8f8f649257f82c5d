# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Verdicts as metrics for the textfile collector of Prometheus' node exporter. Pure.

Source: the exposition formats of Prometheus, text-based format 0.0.4. Sizes are bytes, times are seconds since 1970.
"""

from __future__ import annotations

import typing as t

from ...module_utils._errors import Failure, printable, shown
from ...module_utils._topology.facts_reading import from_facts
from ...module_utils._topology.model import Topology

Data = t.Mapping[str, t.Any]
Labels = t.Tuple[t.Tuple[str, str], ...]

#: Name, what it is. The roles/verify/README.md repeats this list, and a test compares the two.
METRICS = {
    "xen_guest_placement_ok": "Whether a guest is where it belongs: 1, or 0 when anything about it is not as it should be.",
    "xen_guest_placement_problems": "How many things about a guest are not as they should be.",
    "xen_guest_placement_measured": "Whether it was measured where the memory of a guest is: 1, or 0 when affinity alone was judged.",
    "xen_guest_vcpus": "How many vCPUs a guest has.",
    "xen_guest_memory_bytes": "Memory of a guest on a NUMA node, where it was measured.",
    "xen_guest_memory_nodes": "On how many NUMA nodes the memory of a guest is, where it was measured.",
    "xen_node_memory_free_bytes": "Free memory of a NUMA node.",
    "xen_placement_check_timestamp_seconds": "When this was found out.",
}


def _escaped(text: str) -> str:
    return str(printable(text, "\n")).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}" if labels else ""


def verdict_metrics(rows: t.Iterable[Data], facts: t.Any, time: float) -> str:
    """The file: `rows` as the judges of :mod:`.verdict` make them, the host's facts, and when they were gathered.

    Raises Failure for facts that cannot be used, and for rows that are none.
    """
    topology = from_facts(facts)
    try:
        return _written(rows, topology, int(time))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise Failure(
            f"These are no verdicts of the filters placement_verdicts and limit_verdicts, or no time: {shown(error)} while reading them."
        ) from error


def _written(rows: t.Iterable[Data], topology: Topology, time: int) -> str:
    values: dict[str, list[tuple[Labels, float]]] = {name: [] for name in METRICS}
    for row in rows:
        guest = (("guest", str(row["name"])),)
        values["xen_guest_placement_ok"].append((guest, int(not row["reasons"])))
        values["xen_guest_placement_problems"].append((guest, len(row["reasons"])))
        values["xen_guest_placement_measured"].append((guest, int(row["memory_by_node"] is not None)))
        if row["vcpus"] is not None:
            values["xen_guest_vcpus"].append((guest, row["vcpus"]))
        if row["memory_by_node"] is not None:
            for node, size in sorted(row["memory_by_node"].items(), key=lambda item: int(item[0])):
                values["xen_guest_memory_bytes"].append((guest + (("node", str(node)),), size))
            nodes = sum(1 for size in row["memory_by_node"].values() if size)
            values["xen_guest_memory_nodes"].append((guest, nodes))
    for node in topology.nodes:
        if node.memory_free is not None:
            label = (("node", str(node.os_index)),)
            values["xen_node_memory_free_bytes"].append((label, node.memory_free))
    values["xen_placement_check_timestamp_seconds"].append(((), time))
    lines = []
    for name, samples in values.items():
        if samples:
            lines += [f"# HELP {name} {METRICS[name]}", f"# TYPE {name} gauge"]
            lines += [f"{name}{_labels(labels)} {value}" for labels, value in samples]
    return "\n".join(lines) + "\n"
