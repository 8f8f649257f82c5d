# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares facts with what Xen's own tools and lscpu print: one line a difference, and a status.

Standard input: {"facts": ansible_facts["xen_topology"], "info": `xl info -n`, "vcpus": `xl vcpu-list`, "lscpu": `lscpu`,
"given": {"distances": [[..]], "nodes": [[MiB, "CPUs"], ..]}}. The texts are parsed here on their own, not by the collection.
"""

from __future__ import annotations

import json
import re
import sys
import typing as t

MIB = 1 << 20
Problems = t.Iterator[str]


def same(what: str, ours: t.Any, theirs: t.Any) -> Problems:
    """One line when two values differ."""
    if ours != theirs:
        yield f"{what}: facts have {ours!r}, the other has {theirs!r}"


def section(text: str, title: str) -> list[str]:
    """Lines of `xl info -n` below a title and its head line, up to the next title."""
    lines = text.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith(title)) + 2
    end = next((i for i in range(begin, len(lines)) if not re.match(r" *\d+:", lines[i])), len(lines))
    return lines[begin:end]


def topology(facts: dict[str, t.Any], info: str) -> Problems:
    """CPUs, nodes and distances of `xl info -n`, and what it says about Xen."""
    theirs = [tuple(map(int, re.findall(r"\d+", line))) for line in section(info, "cpu_topology")]
    ours = [tuple(pu[key] for key in ("os_index", "core", "package", "node")) for pu in facts["pus"]]
    yield from same("CPU, core, socket, node", ours, theirs)
    nodes = [tuple(map(int, re.findall(r"\d+", line))) for line in section(info, "numa_info")]
    yield from same(
        "memory spanned, MiB",
        [n["memory_spanned_bytes"] // MIB for n in facts["nodes"]],
        [n[1] for n in nodes],
    )
    yield from same(
        "memory free, MiB", [n["memory_free_bytes"] // MIB for n in facts["nodes"]], [n[2] for n in nodes]
    )
    yield from same("distances", facts["distances"]["matrix"], [list(n[3:]) for n in nodes])
    said = dict(re.findall(r"^(\w+) *: (.*)$", info, re.MULTILINE))
    xen = facts["xen"]
    yield from same("version", xen["version"], said["xen_version"])
    yield from same("scheduler", xen["scheduler"], said["xen_scheduler"])
    yield from same("command line", xen["command_line"].strip(), said["xen_commandline"].strip())
    yield from same("CPUs online", facts["totals"]["pus_online"], int(said["nr_cpus"]))
    yield from same("total memory, MiB", facts["memory"]["total_bytes"] // MIB, int(said["total_memory"]))


def vcpus(facts: dict[str, t.Any], text: str) -> Problems:
    """Every vCPU of `xl vcpu-list`: whose it is, and its hard and soft affinity."""
    row = re.compile(r"(.{32}) +(\d+) +(\d+) +(\S+) +\S+ +[\d.]+ +(\S.*?) / (\S.*?)\s*$")
    theirs = set()
    for line in text.splitlines()[1:]:
        match = row.match(line)
        if match is None:
            yield f"xl vcpu-list: cannot read {line!r}"
            continue
        name, domid, vcpu, cpu, hard, soft = match.groups()
        theirs.add((name.rstrip(), int(domid), int(vcpu), cpu != "-", hard, soft))
    ours = {
        (domain["name"], domain["domid"], vcpu["vcpu"], vcpu["online"], vcpu["hard"], vcpu["soft"])
        for domain in facts["domains"]
        for vcpu in domain["vcpus"]
    }
    yield from (f"only the facts have {vcpu}" for vcpu in sorted(ours - theirs))
    yield from (f"only xl vcpu-list has {vcpu}" for vcpu in sorted(theirs - ours))


def lscpu(facts: dict[str, t.Any], text: str) -> Problems:
    """What Linux in dom0 believes."""
    said = dict(re.findall(r"^ *([^:\n]+?): +(\S.*)$", text, re.MULTILINE))
    sockets, cores, threads = (
        int(said[key]) for key in ("Socket(s)", "Core(s) per socket", "Thread(s) per core")
    )
    theirs = {"packages": sockets, "cores": sockets * cores, "pus": sockets * cores * threads}
    ours = {key: facts["dom0"]["linux"][key] for key in theirs}
    yield from same("dom0's Linux", ours, theirs)


def given(facts: dict[str, t.Any], wanted: dict[str, t.Any]) -> Problems:
    """What the emulator was told to be."""
    yield from same("distances given", facts["distances"]["matrix"], wanted["distances"])
    yield from same(
        "CPUs given", [n["cpuset"] for n in facts["nodes"]], [cpus for _memory, cpus in wanted["nodes"]]
    )


def main() -> int:
    """Print what differs; 1 if anything does."""
    # The texts come over a terminal.
    data = json.loads(sys.stdin.read().replace("\\r", ""))
    facts = data["facts"]
    problems = [
        *topology(facts, data["info"]),
        *vcpus(facts, data["vcpus"]),
        *lscpu(facts, data["lscpu"]),
        *given(facts, data["given"]),
    ]
    sys.stdout.write("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
