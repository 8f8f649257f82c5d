# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares facts with what Xen's own tools and lscpu print, field by field: one line a difference, and a status.

Standard input: {"facts": ansible_facts["xen_topology"], "info": `xl info -n`, "vcpus": `xl vcpu-list`, and if wanted "xenpm": `xenpm
get-cpu-topology`, "pools": `xl cpupool-list -c`, "domains": `xl list -n`, "lscpu": `lscpu`, "given": {"distances": [[..]], "nodes":
[[MiB, "CPUs"], ..]}}. The texts are parsed here on their own, not by the collection.

Every field that these five commands print is compared, named in NOT_IN_FACTS, or a difference. What only Linux or the emulator knows is
asked with "lscpu" and "given". The facts must have been gathered before the tools were asked: times only grow.

Where the tools are known to be wrong, a difference is not a fault: its line begins with "explained:" and says why; docs/facts.md has the
list. Anything else is one.
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

#: What `xl info -n` prints, and the facts are not about: dom0's kernel, features of the CPU, how Xen was built, memory that guests share.
NOT_IN_FACTS = {
    *(
        "host",
        "release",
        "version",
        "machine",
        "hw_caps",
        "virt_caps",
        "xen_pagesize",
        "platform_params",
        "xend_config_format",
    ),
    *("cc_compiler", "cc_compile_by", "cc_compile_domain", "cc_compile_date", "build_id"),
    *("sharing_freed_memory", "sharing_used_memory"),
}


def head(tool: str, text: str, columns: str) -> Problems:
    """One line when a tool's first line does not name the columns that are read here."""
    yield from same(f"columns of {tool}", columns.split(), text.splitlines()[0].split())


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
    yield from figures(facts, info)
    yield from devices(facts, info)


def figures(facts: dict[str, t.Any], info: str) -> Problems:
    """What `xl info` prints one to a line."""
    said = {key.strip(): value for key, value in re.findall(r"^([a-z][a-z_ ]{22}):(.*)$", info, re.MULTILINE)}
    xen, totals, memory = facts["xen"], facts["totals"], facts["memory"]
    claims = memory["outstanding_claims_bytes"]
    (core,) = (core for core in facts["cores"] if 0 in bits(core["cpuset"], 0))
    threads = len(bits(core["cpuset"], 0))
    (package,) = (package for package in facts["packages"] if 0 in bits(package["cpuset"], 0))
    cores = sum(core["package"] == package["os_index"] for core in facts["cores"])
    # as Xen counts them: the CPUs that are online there, divided
    counted = len(bits(package["cpuset"], 0)) // threads
    ours = {
        "xen_major": str(xen["major"]),
        "xen_minor": str(xen["minor"]),
        "xen_extra": xen["extraversion"],
        "xen_version": xen["version"],
        "xen_caps": " ".join(xen["capabilities"]),
        "xen_scheduler": xen["scheduler"],
        "xen_changeset": xen["changeset"],
        "xen_commandline": xen["command_line"].strip(),
        "nr_cpus": str(totals["pus_online"]),
        "nr_nodes": str(totals["nodes"]),
        "threads_per_core": str(threads),
        "cores_per_socket": str(counted),
        "cpu_mhz": "%d.%03d" % divmod(facts["cpu_khz"], 1000),
        "free_cpus": str(len(bits(facts["cpupool_free"], 0))),
        "total_memory": str(memory["total_bytes"] // MIB),
        "free_memory": str((memory["free_bytes"] - claims) // MIB),
        "outstanding_claims": str(claims // MIB),
    }
    for key, value in ours.items():
        yield from same(f"xl info: {key}", value, said.pop(key, "nothing").strip())
    highest, last = max(pu["os_index"] for pu in facts["pus"]), int(said.pop("max_cpu_id"))
    if highest != last:
        yield (
            f"{EXPLAINED}xl info has {last} for max_cpu_id, the highest CPU is {highest}: Xen keeps numbers for more CPUs than there are, "
            "or with maxcpus= for fewer"
        )
    if claims:
        yield f"{EXPLAINED}xl info takes {claims // MIB} MiB of claims off free_memory, the facts have both"
    if threads != totals["threads_per_core"]:
        yield f"{EXPLAINED}xl info counts the online threads of CPU 0's core, the facts the most threads that any core has"
    if counted != cores:
        yield (
            f"{EXPLAINED}xl info has {counted} for cores_per_socket, CPU 0's package has {cores} cores: Xen divides the CPUs that are online "
            "there by the threads of CPU 0's core that are"
        )
    unread = set(said) - NOT_IN_FACTS - {"cpu_topology", "device topology", "numa_info"}
    yield from (f"xl info says {key}, which nobody compares" for key in sorted(unread))


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
    yield from head("xenpm get-cpu-topology", text, "CPU core socket node")
    rows = [
        tuple(map(int, re.findall(r"\d+", line))) for line in text.splitlines() if re.match(r"CPU\d", line)
    ]
    yield from places(facts, "xenpm get-cpu-topology", rows)


def pools(facts: dict[str, t.Any], text: str) -> Problems:
    """`xl cpupool-list -c`."""
    yield from head("xl cpupool-list -c", text, "Name CPU list")
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


def seconds(what: str, ours_ns: int, theirs: str, stays: bool) -> Problems:
    """Time that somebody has run, whole tenths of a second here: the same if it stays, else not less than it was before."""
    ours, later = ours_ns / 1e9, float(theirs)
    if later < ours - 0.06 or (stays and later > ours + 0.06):
        yield f"{what}: facts have {ours:.1f} s, the other has {later} s"


def vcpus(facts: dict[str, t.Any], text: str) -> Problems:
    """Every vCPU of `xl vcpu-list`: whose it is, whether it is there, its time, its hard and soft affinity, and the CPU that it is on and
    its state where these cannot change.
    """
    yield from head("xl vcpu-list", text, "Name ID VCPU CPU State Time(s) Affinity (Hard / Soft)")
    row = re.compile(r"(.{32,}?) +(\d+) +(\d+) +(\S+) +([-rbp]{3}) +([\d.]+) +(\S.*?) / (\S.*?)\s*$")
    exist = max(pu["os_index"] for pu in facts["pus"]) + 1
    still = {domain["domid"] for domain in facts["domains"] if domain["state"] == "paused"}
    times = {
        (domain["domid"], vcpu["vcpu"]): vcpu["time_ns"]
        for domain in facts["domains"]
        for vcpu in domain["vcpus"]
    }
    theirs = set()
    for line in text.splitlines()[1:]:
        match = row.match(line)
        if match is None:
            yield f"xl vcpu-list: cannot read {line!r}"
            continue
        name, domid, vcpu, cpu, state, time, hard, soft = match.groups()
        stays = int(domid) in still
        theirs.add(
            (name.rstrip(), int(domid), int(vcpu), _cpu(cpu, stays), _vcpu_state(state, stays), hard, soft)
        )
        key = int(domid), int(vcpu)
        if key in times:
            yield from seconds(f"time of vCPU {vcpu} of domain {domid}", times[key], time, stays)
    ours = {
        (
            domain["name"],
            domain["domid"],
            vcpu["vcpu"],
            _cpu("-" if vcpu["cpu"] is None else str(vcpu["cpu"]), domain["domid"] in still),
            _vcpu_state(
                ("r" if vcpu["running"] else "-") + ("b" if vcpu["blocked"] else "-") + "-"
                if vcpu["online"]
                else "--p",
                domain["domid"] in still,
            ),
            *(_shown(vcpu[kind], exist, exist) for kind in ("hard", "soft")),
        )
        for domain in facts["domains"]
        for vcpu in domain["vcpus"]
    }
    yield from (f"only the facts have {vcpu}" for vcpu in sorted(ours - theirs))
    yield from (f"only xl vcpu-list has {vcpu}" for vcpu in sorted(theirs - ours))


def _vcpu_state(state: str, stays: bool) -> str:
    """The letters of a vCPU; of one that is online in a domain that runs, only that it is."""
    return state if stays or state.endswith("p") else "any"


def _state(state: str) -> str:
    """A domain's state: that of one that runs changes between two questions."""
    return "any" if state in ("running", "blocked") else state


def _state_of(letters: str) -> str:
    """The state behind the six letters of `xl list`."""
    if "d" in letters:
        return "dying"
    if "s" in letters:
        return "crashed" if letters[4] == "c" else "shutdown"
    return "paused" if "p" in letters else "running"


def domains(facts: dict[str, t.Any], text: str) -> Problems:
    """`xl list -n`: names, memory, vCPUs online, state, time and node affinity."""
    yield from head("xl list -n", text, "Name ID Mem VCPUs State Time(s) NODE Affinity")
    row = re.compile(r"(.{40,}?) +(\d+) +(\d+) +(\d+) +([-rbpscwSd?]{6}) +([\d.]+) (\S+)\s*$")
    known = {domain["domid"]: domain for domain in facts["domains"]}
    theirs = set()
    for line in text.splitlines()[1:]:
        match = row.match(line)
        if match is None:
            yield f"xl list -n: cannot read {line!r}"
            continue
        name, domid, memory, online, letters, time, nodes = match.groups()
        state = _state(_state_of(letters))
        theirs.add((name.rstrip(), int(domid), int(memory), int(online), state, nodes))
        if int(domid) in known:
            ran = sum(vcpu["time_ns"] for vcpu in known[int(domid)]["vcpus"])
            yield from seconds(f"time of domain {domid}", ran, time, state == "paused")
    count = facts["totals"]["nodes"]
    exist = max(node["os_index"] for node in facts["nodes"]) + 1
    if exist > count:
        yield f"{EXPLAINED}xl list -n shows the first {count} bits of a node affinity, but node numbers go up to {exist - 1}"
    ours = {
        (
            domain["name"],
            domain["domid"],
            domain["memory_bytes"] // MIB,
            sum(vcpu["online"] for vcpu in domain["vcpus"]),
            _state(domain["state"]),
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
