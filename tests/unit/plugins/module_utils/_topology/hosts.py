# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts for the tests: recordings of real ones, and small ones put together for what no real host at hand does."""

import copy
import json
import os
import typing as t

from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost

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
        return RawHost.from_recording(json.load(stream))


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
