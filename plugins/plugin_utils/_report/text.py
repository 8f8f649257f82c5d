# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Facts and verdicts as plain text that a person reads in a terminal. Pure; no colour, widths are computed."""

from __future__ import annotations

import typing as t

from ...module_utils._errors import printable
from ...module_utils._topology.facts_reading import from_facts
from ...module_utils._topology.model import Dom0Linux, Topology
from .verdict import Row, mib

Data = t.Mapping[str, t.Any]

_RIGHT = "right"
_LEFT = "left"


def table(
    rows: t.Sequence[t.Sequence[str]], align: t.Sequence[str], indent: str = "  ", gap: str = "  "
) -> list[str]:
    """Lines of aligned columns. `align`: "left" or "right" for each column. No blanks at the ends of lines."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(align))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if side == _RIGHT else cell.ljust(width)
            for cell, width, side in zip(row, widths, align, strict=True)
        ]
        lines.append((indent + gap.join(cells)).rstrip())
    return lines


def _number(value: t.Any) -> str:
    return "?" if value is None else str(value)


def _size(value: t.Any) -> str:
    return "?" if value is None else mib(value)


def _counts(topology: Topology) -> list[str]:
    linux = topology.dom0_linux or Dom0Linux(None, None, None, None)
    online = len(topology.online_cpuset)
    pus = str(len(topology.pus))
    if online != len(topology.pus):
        pus += f" ({online} online)"
    threads = linux.pus // linux.cores if linux.cores and linux.pus else None
    rows = [
        ("", "hwloc" if topology.bare else "Xen", "dom0's lscpu"),
        ("packages", str(len(topology.packages)), _number(linux.packages)),
        ("cores", str(len(topology.cores)), _number(linux.cores)),
        ("PUs", pus, _number(linux.pus)),
        ("threads a core", str(topology.threads_per_core), _number(threads)),
        ("NUMA nodes", str(len(topology.nodes)), _number(linux.nodes)),
    ]
    return table(rows, (_LEFT, _RIGHT, _RIGHT))


def _nodes(topology: Topology) -> list[str]:
    distances = topology.distances
    rows = [("node", "CPUs", "cores", "memory free", *(f"to {node}" for node in distances.nodes))]
    for node, to_others in zip(topology.nodes, distances.matrix, strict=True):
        cells = [str(node.os_index), str(node.cpuset) or "none", str(topology.cores_of(node.complete_cpuset))]
        rows.append((*cells, _size(node.memory_free), *(_number(distance) for distance in to_others)))
    return table(rows, (_RIGHT, _LEFT, _RIGHT, _RIGHT, *(_RIGHT for _node in distances.nodes)))


def host_summary(facts: t.Any, name: str = "") -> str:
    """The host as Xen sees it, beside what Linux in dom0 makes of its virtual CPUs; then a row a node with distances.

    `facts`: ``ansible_facts["xen_topology"]``. Raises Failure when it is something else.
    """
    topology = from_facts(facts)
    name = name or topology.host_name or ""
    title = f"{printable(name)}: " if name else ""
    if topology.bare:
        title += "a machine without Xen"
    else:
        title += f"Xen {_number(topology.xen.version)}, scheduler {_number(topology.xen.scheduler)}"
    lines = [title, "", *_counts(topology), "", *_nodes(topology)]
    return "\n".join([*lines, *(f"  warning: {warning}" for warning in topology.warnings)])


def affinity_text(groups: t.Sequence[Data]) -> str:
    """Masks of a guest's vCPUs in few words: ``hard 4-7``, ``soft 0-3``, ``any CPU``; several groups name their vCPUs."""
    if not groups:
        return "-"
    texts = []
    for group in groups:
        parts = [f"{kind} {group[kind]}" for kind in ("hard", "soft") if group[kind] != "all"]
        mask = " ".join(parts) or "any CPU"
        texts.append(f"vCPU {group['vcpus']} {mask}" if len(groups) > 1 else mask)
    return ", ".join(texts)


def memory_text(row: Row) -> str:
    """Memory by node with shares: ``node 1: 256 MiB (100 %)``; what is less than half a MiB is left out."""
    by_node = row["memory_by_node"]
    if by_node is None:
        return "not measured" if row["verdict"] in ("good", "unproved", "shared") else "-"
    seen = {node: size for node, size in by_node.items() if size >= 1 << 19}
    total = sum(seen.values())
    if not total:
        return "none seen"
    return ", ".join(f"node {node}: {mib(size)} ({_share(size, total)})" for node, size in seen.items())


def _share(part: int, whole: int) -> str:
    """Percent, never rounded up to 100 nor down to 0."""
    percent = 100 * part / whole
    if part == whole:
        return "100 %"
    return f"{min(max(round(percent), 1), 99)} %"


_VERDICTS = {
    "good": "good",
    "bad": "BAD",
    "unproved": "good, memory not measured",
    "shared": "shared with ",
    "planned": "planned",
    "unplaced": "NOT PLACED",
}
_MEASURED = {
    "debug_key": "counted page by page by the hypervisor (debug key u)",
    "deltas": "free memory that each node lost while the guest was created",
}


def placement_summary(rows: t.Sequence[Row], name: str = "") -> str:
    """A row a guest: node planned, affinity, memory by node, verdict; below it what is wrong and worth knowing.

    `rows` as the filters ``placement_verdicts`` and ``limit_verdicts`` give them.
    """
    title = f"{printable(name) + ': ' if name else ''}guests"
    rows = printable(list(rows))
    if not rows:
        return f"{title}\n\n  none"
    cells = [("guest", "wanted on", "vCPUs", "affinity", "memory by node", "verdict")]
    cells += [
        (
            row["name"],
            f"node {row['nodes']}" if row["nodes"] else "any node",
            _number(row["vcpus"]),
            affinity_text(row["affinity"]),
            memory_text(row),
            _VERDICTS[row["verdict"]] + ", ".join(row.get("shared_with", [])),
        )
        for row in rows
    ]
    lines = [title, "", *table(cells, (_LEFT, _LEFT, _RIGHT, _LEFT, _LEFT, _LEFT))]
    remarks = [f"  {row['name']}: {text}" for row in rows for text in [*row["reasons"], *row["notes"]]]
    sources = sorted({row["memory_source"] for row in rows if row["memory_source"]})
    remarks += [f"  Memory by node: {_MEASURED[source]}." for source in sources]
    return "\n".join([*lines, *([""] if remarks else []), *remarks])


def plan_reasons(plan: Data) -> str:
    """Why each guest of a plan is where it is, a line a reason."""
    lines = ["why there", ""]
    for entry in plan.get("guests") or []:
        lines += [
            f"  {printable(entry['name'])}: {printable(reason)}"
            for reason in [*entry["reasons"], *(entry.get("warnings") or [])]
        ]
    return "\n".join(lines)
