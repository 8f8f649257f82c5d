# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts for the tests: recordings of real ones, and small ones put together for what no real host at hand does."""

import copy
import json
import os
import typing as t

from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost
from ansible_collections.dom0.xen.plugins.module_utils._topology.recording import from_recording

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 5))
RECORDINGS = os.path.join(ROOT, "tests", "recordings")

INVALID = 0xFFFFFFFF
GIB = 2**30


def recording_names() -> t.List[str]:
    """Name the recordings of real hosts that are checked in."""
    return sorted(name[: -len(".json")] for name in os.listdir(RECORDINGS) if name.endswith(".json"))


def recording(name: str) -> RawHost:
    """Read the recording of a real host."""
    with open(os.path.join(RECORDINGS, name + ".json"), encoding="utf-8") as stream:
        return from_recording(json.load(stream))


def said_names() -> t.List[str]:
    """Name the recordings beside which there is what Xen's own tools printed then."""
    return sorted(name[: -len(".txt")] for name in os.listdir(RECORDINGS) if name.endswith(".txt"))


def said(name: str) -> t.Dict[str, str]:
    """What Xen's own tools printed when the recording was made, by command."""
    with open(os.path.join(RECORDINGS, name + ".txt"), encoding="utf-8") as stream:
        parts = stream.read().split("$ ")[1:]
    return {command: text for command, _newline, text in (part.partition("\n") for part in parts)}


#: Two packages of two cores of two threads; node 0 is package 0, node 1 is package 1.
SMALL = [(cpu // 2 % 2, cpu // 4, cpu // 4) for cpu in range(8)]


def made_host(places: t.Sequence[t.Sequence[int]] = SMALL, **sections: t.Any) -> RawHost:
    """Put a host together: `places` has (core, package, node) for each CPU. A section given as None is one that was not heard."""
    cpus = list(range(len(places)))
    nodes = max([place[2] for place in places if place[2] < 64], default=0) + 1
    data = {
        "xen": {
            "major": 4,
            "minor": 17,
            "extraversion": ".7",
            "capabilities": "xen-3.0-x86_64 hvm-3.0-x86_64",
            "changeset": "",
            "commandline": "dom0_mem=1G numa=on",
            "interface": {"sysctl": 21, "domctl": 21, "platform": 50331649, "known": True},
        },
        "sched_id": 6,
        "page_size": 4096,
        "physinfo": {
            "nr_cpus": len(cpus),
            "threads_per_core": 2,
            "cpu_khz": 2000000,
            "total_pages": 1024,
            "free_pages": 512,
        },
        "cputopo": [list(place) for place in places],
        "numainfo": {
            "memsize": [4 * GIB] * nodes,
            "memfree": [GIB] * nodes,
            "distance": [
                [10 if source == target else 21 for target in range(nodes)] for source in range(nodes)
            ],
        },
        "pcpuinfo": [[len(cpus) - 1, 1, cpu, cpu] for cpu in cpus],
        "cpupools": [{"id": 0, "sched_id": 6, "n_dom": 1, "cpus": cpus}],
        "cpupool_free": [],
        "cpupool_names": {"0": "Pool-0"},
    }
    for name, section in copy.deepcopy(sections).items():
        if section is None:
            del data[name]
        elif name == "physinfo":
            data[name].update(section)
        else:
            data[name] = section
    return RawHost(data, [{"name": "hypercall", "priority": 55, "state": "used", "reason": None}])


def made_domain(
    domid: int, name: t.Optional[str] = None, vcpus: int = 1, **fields: t.Any
) -> t.Dict[str, t.Any]:
    """Put one member of the section `domains` together; every vCPU may run everywhere."""
    info = {
        "domain": domid,
        "flags": 1 << 5,
        "tot_pages": 65536,
        "max_pages": 65537,
        "max_vcpu_id": vcpus - 1,
        "handle": f"{domid:032x}",
        "cpupool": 0,
        "emulation_flags": 0,
        "node_affinity": [0, 1],
        "vcpus": [
            {
                "vcpu": vcpu,
                "online": 1,
                "blocked": 0,
                "running": 1,
                "cpu_time": 1000,
                "cpu": vcpu,
                "hard": list(range(8)),
                "soft": list(range(8)),
                "hard_all": True,
                "soft_all": True,
            }
            for vcpu in range(vcpus)
        ],
    }
    info.update(fields)
    return info


def giant_host(cpus: int, nodes: int) -> RawHost:
    """Put a large Intel-like host together, with all sections: a package a node, two threads a core, two CPUs offline, 64 GiB a node."""
    per = cpus // nodes
    width = (per - 1).bit_length()
    apic_ids = [cpu // per << width | cpu % per for cpu in range(cpus)]
    online = [cpu for cpu in range(cpus) if cpu not in (3, cpus - 1)]
    size = 64 * GIB
    distance = [[10 if source == target else 20 for target in range(nodes)] for source in range(nodes)]
    return made_host(
        [(cpu % per // 2, cpu // per, cpu // per) for cpu in range(cpus)],
        physinfo={"nr_cpus": len(online), "total_pages": nodes * size // 4096},
        pcpuinfo=[[cpus - 1, int(cpu not in (3, cpus - 1)), apic_ids[cpu], cpu] for cpu in range(cpus)],
        cpupools=[{"id": 0, "sched_id": 6, "n_dom": 1, "cpus": online}],
        numainfo={"memsize": [size] * nodes, "memfree": [size // 2] * nodes, "distance": distance},
        memory_map=[[node * size, size, 1] for node in range(nodes)],
        cpu_policy=[
            [0, INVALID, 13, 0x756E6547, 0x6C65746E, 0x49656E69],
            [4, 0, 1 | 1 << 5 | 1 << 14, 63 | 7 << 22, 63, 0],
            [4, 1, 2 | 1 << 5 | 1 << 14, 63 | 7 << 22, 63, 0],
            [4, 2, 3 | 2 << 5 | 1 << 14, 63 | 15 << 22, 1023, 0],
            [4, 3, 3 | 3 << 5 | per - 1 << 14, 63 | 15 << 22, 65535, 0],
            [0xB, 0, 1, 2, 0x100, 0],
            [0xB, 1, width, per, 0x201, 0],
        ],
        px_max_mhz={str(cpu): 3000 for cpu in online},
        acpi={
            "madt": [[9, cpu, apic_ids[cpu], 1] for cpu in range(cpus)],
            "srat_cpus": [[2, apic_ids[cpu], cpu // per, 1] for cpu in range(cpus)],
            "srat_memory": [[node * size, size, node, 1] for node in range(nodes)],
            "slit": distance,
        },
    )
