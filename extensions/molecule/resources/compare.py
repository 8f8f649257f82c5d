# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares facts with what Xen's own tools and lscpu print, field by field: one line a difference, and a status.

Standard input: {"facts": ansible_facts["xen_topology"], "info": `xl info -n`, "vcpus": `xl vcpu-list`, and if wanted "xenpm": `xenpm
get-cpu-topology`, "pools": `xl cpupool-list -c`, "domains": `xl list -n`, "lscpu": `lscpu`, "given": {"distances": [[..]], "nodes":
[[MiB, "CPUs"], ..]}}. The texts are parsed here on their own, not by the collection.

Where the tools are known to be wrong, a difference is not a fault: its line begins with "explained:" and says why. Anything else is one.
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


EXPLAINED = "explained: "


def bits(text: str, everything: int) -> set[int]:
    """A set in list format, or "all" of so many, or "none"."""
    if text == "all":
        return set(range(everything))
    found: set[int] = set()
    for part in text.split(",") if text and text != "none" else []:
        first, _dash, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def places(facts: dict[str, t.Any], tool: str, rows: list[tuple[int, ...]]) -> Problems:
    """CPUs with core, socket and node, as a tool lists them."""
    theirs = {row[0]: row[1:] for row in rows}
    for pu in facts["pus"]:
        cpu, ours = pu["os_index"], tuple(pu[key] for key in ("core", "package", "node"))
        if cpu in theirs and pu["online"] is False:
            yield (
                f"{EXPLAINED}{tool} shows CPU {cpu} like any other, but it is offline: Xen keeps its place (on this processor) and "
                "cputopoinfo, which is all that the tool asks, does not tell whether a CPU is online"
            )
        if cpu in theirs:
            yield from same(f"{tool}: core, socket, node of CPU {cpu}", ours, theirs.pop(cpu))
        elif pu["online"] is False:
            yield (
                f"{EXPLAINED}{tool} leaves CPU {cpu} out: it is offline, and on this processor Xen forgets the core of such a CPU, or Xen "
                "never brought it up; the firmware still tells where it is"
            )
        else:
            yield f"{tool} does not have CPU {cpu}, which is online"
    yield from (f"only {tool} has CPU {cpu}" for cpu in theirs)


def topology(facts: dict[str, t.Any], info: str) -> Problems:
    """CPUs, nodes and distances of `xl info -n`, and what it says about Xen."""
    rows = [tuple(map(int, re.findall(r"\d+", line))) for line in section(info, "cpu_topology")]
    yield from places(facts, "xl info -n", rows)
    nodes = [tuple(map(int, re.findall(r"\d+", line))) for line in section(info, "numa_info")]
    yield from same("node numbers", [n["os_index"] for n in facts["nodes"]], [n[0] for n in nodes])
    yield from same(
        "memory spanned, MiB",
        [n["memory_spanned_bytes"] // MIB for n in facts["nodes"]],
        [n[1] for n in nodes],
    )
    for node in facts["nodes"]:
        spanned, total = node["memory_spanned_bytes"] // MIB, node.get("memory_total_bytes")
        if total is not None and spanned != total // MIB:
            yield (
                f"{EXPLAINED}xl info -n gives node {node['os_index']} {spanned} MiB, but it has {total // MIB}: memsize is what the node "
                "spans, holes included"
            )
    yield from same(
        "memory free, MiB", [n["memory_free_bytes"] // MIB for n in facts["nodes"]], [n[2] for n in nodes]
    )
    matrix = facts["distances"]["matrix"]
    yield from same("distances", matrix, [list(n[3:]) for n in nodes])
    said = dict(re.findall(r"^(\w+) *: (.*)$", info, re.MULTILINE))
    xen = facts["xen"]
    yield from same("version", xen["version"], said["xen_version"])
    yield from same("capabilities", xen["capabilities"], said["xen_caps"].split())
    yield from same("scheduler", xen["scheduler"], said["xen_scheduler"])
    yield from same("changeset", xen["changeset"], said["xen_changeset"].strip())
    yield from same("command line", xen["command_line"].strip(), said["xen_commandline"].strip())
    yield from same("CPUs online", facts["totals"]["pus_online"], int(said["nr_cpus"]))
    yield from same("nodes online", facts["totals"]["nodes"], int(said["nr_nodes"]))
    yield from same("MHz", "%d.%03d" % divmod(facts["cpu_khz"], 1000), said["cpu_mhz"])
    yield from same("free CPUs", len(bits(facts["cpupool_free"], 0)), int(said["free_cpus"]))
    memory = facts["memory"]
    yield from same("total memory, MiB", memory["total_bytes"] // MIB, int(said["total_memory"]))
    claims = memory["outstanding_claims_bytes"]
    yield from same("free memory, MiB", (memory["free_bytes"] - claims) // MIB, int(said["free_memory"]))
    if claims:
        yield f"{EXPLAINED}xl info takes {claims // MIB} MiB of claims off free_memory, the facts have both"
    if int(said["threads_per_core"]) != facts["totals"]["threads_per_core"]:
        yield f"{EXPLAINED}xl info counts the online threads of CPU 0's core, the facts the most threads that any core has"
    yield from devices(facts, info)


def devices(facts: dict[str, t.Any], info: str) -> Problems:
    """The node of each PCI device of `xl info -n`."""
    if "pci_devices" not in facts:
        return
    theirs = {
        address: int(node)
        for address, node in re.findall(
            r"^([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) +(\d+) *$", info, re.MULTILINE
        )
    }
    ours = {
        device["address"]: device["node"] for device in facts["pci_devices"] if device["node"] is not None
    }
    yield from same("nodes of PCI devices", ours, theirs)


def xenpm(facts: dict[str, t.Any], text: str) -> Problems:
    """`xenpm get-cpu-topology`."""
    rows = [
        tuple(map(int, re.findall(r"\d+", line))) for line in text.splitlines() if re.match(r"CPU\d", line)
    ]
    yield from places(facts, "xenpm get-cpu-topology", rows)


def pools(facts: dict[str, t.Any], text: str) -> Problems:
    """`xl cpupool-list -c`."""
    theirs = {
        line[:19].rstrip(): bits(line[19:].strip(), 0) for line in text.splitlines()[1:] if line.strip()
    }
    ours = {pool["name"]: bits(pool["cpuset"], 0) for pool in facts["cpupools"]}
    yield from same("CPUs of the cpupools", ours, theirs)


def _shown(text: str, exist: int, shown: int) -> str:
    """An affinity as xl's print_bitmap shows it: only so many bits, "all" when they are all set."""
    members = sorted(cpu for cpu in bits(text, exist) if cpu < shown)
    if members == list(range(shown)):
        return "all"
    runs: list[list[int]] = []
    for cpu in members:
        if runs and runs[-1][-1] == cpu - 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs) or "none"


def _cpu(cpu: str, stays: bool) -> str:
    """The CPU that a vCPU is on, where it stays there between two questions; else whether it is on any."""
    return cpu if stays or cpu == "-" else "any"


def vcpus(facts: dict[str, t.Any], text: str) -> Problems:
    """Every vCPU of `xl vcpu-list`: whose it is, its hard and soft affinity, and the CPU that it is on where that cannot change."""
    row = re.compile(r"(.{32}) +(\d+) +(\d+) +(\S+) +\S+ +[\d.]+ +(\S.*?) / (\S.*?)\s*$")
    exist = max(pu["os_index"] for pu in facts["pus"]) + 1
    still = {domain["domid"] for domain in facts["domains"] if domain["state"] == "paused"}
    theirs = set()
    for line in text.splitlines()[1:]:
        match = row.match(line)
        if match is None:
            yield f"xl vcpu-list: cannot read {line!r}"
            continue
        name, domid, vcpu, cpu, hard, soft = match.groups()
        theirs.add((name.rstrip(), int(domid), int(vcpu), _cpu(cpu, int(domid) in still), hard, soft))
    ours = {
        (
            domain["name"],
            domain["domid"],
            vcpu["vcpu"],
            _cpu("-" if vcpu["cpu"] is None else str(vcpu["cpu"]), domain["domid"] in still),
            *(_shown(vcpu[kind], exist, exist) for kind in ("hard", "soft")),
        )
        for domain in facts["domains"]
        for vcpu in domain["vcpus"]
    }
    yield from (f"only the facts have {vcpu}" for vcpu in sorted(ours - theirs))
    yield from (f"only xl vcpu-list has {vcpu}" for vcpu in sorted(theirs - ours))


def domains(facts: dict[str, t.Any], text: str) -> Problems:
    """`xl list -n`: names, memory, vCPUs online and node affinity."""
    row = re.compile(r"(.{40}) +(\d+) +(\d+) +(\d+) +(\S+) +[\d.]+ (\S+)\s*$")
    theirs = set()
    for line in text.splitlines()[1:]:
        match = row.match(line)
        if match is None:
            yield f"xl list -n: cannot read {line!r}"
            continue
        name, domid, memory, online, _state, nodes = match.groups()
        theirs.add((name.rstrip(), int(domid), int(memory), int(online), nodes))
    count = facts["totals"]["nodes"]
    exist = max(node["os_index"] for node in facts["nodes"]) + 1
    ours = {
        (
            domain["name"],
            domain["domid"],
            domain["memory_bytes"] // MIB,
            sum(vcpu["online"] for vcpu in domain["vcpus"]),
            _shown(domain["node_affinity"], exist, count),
        )
        for domain in facts["domains"]
    }
    yield from (f"only the facts have {domain}" for domain in sorted(ours - theirs))
    yield from (f"only xl list -n has {domain}" for domain in sorted(theirs - ours))


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


ASKED = {
    "info": topology,
    "xenpm": xenpm,
    "pools": pools,
    "vcpus": vcpus,
    "domains": domains,
    "lscpu": lscpu,
    "given": given,
}


def main() -> int:
    """Print what differs; 1 if anything does that has no explanation."""
    # The texts come over a terminal.
    data = json.loads(sys.stdin.read().replace("\\r", ""))
    facts = data["facts"]
    lines = [line for key, compare in ASKED.items() if key in data for line in compare(facts, data[key])]
    lines = list(dict.fromkeys(lines))
    sys.stdout.write("\n".join(lines))
    return 1 if any(not line.startswith(EXPLAINED) for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
