# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that are hard to draw, and names that are hard to write."""

from __future__ import annotations

import random
import typing as t

from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.kinds import Override
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import read_request
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    made_domain,
    made_host,
    recording,
)
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement.hosts import domain, facts

Facts = dict[str, t.Any]

HOSTILE = (
    "<script>alert(1)</script>",
    "\"quoted\" & 'single'",
    "a" * 120,
    "数据库服务器-一号-非常非常长的名字",
    "\u202eevil\x1b[31m",
    "</title></style></svg><img src=//example.com/x onerror=alert(1)>",
    "]]>&lt;b&gt;&#x41;",
    "Ünïcödé ÀÉ",
    "🐘 db",
    "   ",
    "{{ lookup('pipe', 'id') }}",
    "javascript:alert(1)",
)


def recorded(name: str) -> Facts:
    """Facts of a real host."""
    return to_facts(derive(recording(name)))


def wide(seed: int = 1) -> Facts:
    """256 CPUs on eight nodes, some offline, and forty guests with all kinds of affinity and hostile names."""
    chance = random.Random(seed)
    guests = []
    for number in range(40):
        node = chance.randrange(8)
        cpus = list(range(node * 32, node * 32 + 32))
        masks: list[dict[str, t.Any]] = [
            {"hard": cpus[:8]},
            {"soft": cpus},
            {"hard": cpus, "soft": cpus[8:12]},
            {},
        ]
        name = HOSTILE[number] if number < len(HOSTILE) else f"guest-{number}"
        vcpus = chance.randrange(1, 17)
        guests.append(
            domain(number + 1, name, vcpus, 4096, [node], by_node={node: 4096}, **masks[number % 4])
        )
    return facts([(16, 65536)] * 8, domains=guests, dom0_vcpus=8, offline=[3, 17, 200, 201, 202, 203])


def crowd() -> Facts:
    """Seventy guests on two nodes, each with soft affinity for all of its node; a third node without CPUs."""
    guests = [
        domain(
            number + 1,
            f"vm{number}",
            2,
            256,
            [node],
            soft=range(16 * node, 16 * node + 16),
            by_node={node: 256},
        )
        for number in range(70)
        for node in [number % 2]
    ]
    return facts([(8, 32768), (8, 32768), (0, 16384)], domains=guests)


def pools() -> Facts:
    """Three cpupools, dom0 pinned, one guest floating in its pool."""
    guests = [domain(1, "floats", 2, 256, pool=1), domain(2, "pinned", 2, 256, hard=[9], pool=1)]
    made = facts([(4, 8192), (4, 8192)], domains=guests, pools=[("fast", range(8, 12)), ("empty", [])])
    for vcpu in made["domains"][0]["vcpus"]:
        vcpu["hard"] = "0-1"
    return made


def devices() -> Facts:
    """A real host whose PCI devices are said to be at nodes, one of them passed through, and many more of long names."""
    made = recorded("small-trixie")
    first = next(device for device in made["pci_devices"] if device["class_id"].startswith("02"))
    found = [dict(first, node=0, network=["enp1s0"]), dict(first, node=1, assignable=True, assigned_to=1)]
    found += [dict(first, node=1, network=["a-name-that-is-far-too-long-" * 3]) for _number in range(9)]
    made["pci_devices"] += [
        dict(device, address=f"0000:{81 + number}:00.0") for number, device in enumerate(found)
    ]
    return made


def hybrid() -> Facts:
    """Six fast cores of two threads, each with an L2 of its own, and eight thrifty ones of one, four of which share an L2; two guests, pinned."""
    places = [(cpu // 2, 0, 0) for cpu in range(12)] + [(cpu - 6, 0, 0) for cpu in range(12, 20)]
    guests = []
    for number, cpus in enumerate(([0, 1, 2, 3], [12, 13])):
        guests.append(made_domain(number + 1, vcpus=len(cpus)))
        for vcpu, cpu in zip(guests[-1]["vcpus"], cpus, strict=True):
            vcpu.update(hard=[cpu], hard_all=False)
    speeds = {str(cpu): 5000 if cpu < 12 else 3800 for cpu in range(20)}
    made = to_facts(derive(made_host(places, domains=guests, px_max_mhz=speeds)))
    own = [f"{cpu}-{cpu + 1}" for cpu in range(0, 12, 2)]
    made["caches"] = [
        {
            "level": level,
            "type": "unified",
            "size_bytes": size,
            "line_bytes": 64,
            "ways": None,
            "cpusets": cpusets,
        }
        for level, size, cpusets in ((2, 2 << 20, [*own, "12-15", "16-19"]), (3, 24 << 20, ["0-19"]))
    ]
    return made


def named_kinds() -> Facts:
    """A real host of which the user says that CPUs are of kinds with hostile names, across cores and packages."""
    kinds = [Override("{{ slow }}", CpuSet.parse("0-2,8-11")), Override(HOSTILE[2], CpuSet.parse("3-7"))]
    kinds.append(Override("<b>fast", CpuSet.parse("12-15")))
    return to_facts(derive(recording("big-guests"), kinds))


def fleet(size: int) -> dict[str, Facts]:
    """Hosts of some kinds with a few guests each."""
    chance = random.Random(3)
    hosts = {}
    for number in range(size):
        guests = [
            domain(
                guest + 1,
                f"vm-{number}-{guest}",
                chance.randrange(1, 8),
                1024,
                [node],
                soft=range(8 * node, 8 * node + 8),
                by_node={node: 1024},
            )
            for guest in range(chance.randrange(1, 9))
            for node in [chance.randrange(2)]
        ]
        nodes: list[tuple[int, int | None]] = [(4, chance.randrange(4, 33) * 1024)] * 2
        nodes += [(0, 16384)] if number % 9 == 0 else []
        name = f"xen{number:03}.example.com"
        hosts[name] = facts(nodes, domains=guests, dom0_vcpus=4, offline=[5] if number % 7 == 0 else [])
    return hosts


def planned(hosts: dict[str, Facts], guests: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """A real plan for the hosts."""
    wanted, reserve = read_request(list(hosts), guests, None, None)
    return make_plan({name: from_facts(found) for name, found in hosts.items()}, wanted, reserve)


def big_plan() -> tuple[dict[str, Facts], dict[str, t.Any]]:
    """A real host, and a plan with a guest to re-pin, two to create, and one without a place."""
    hosts = {"big-guests": recorded("big-guests")}
    wanted = [
        {"name": "db", "vcpus": 4, "memory": "256MiB", "policy": {"pin": "hard"}},
        {"name": "<b>new", "vcpus": 2, "memory": "400MiB"},
        {"name": "large", "vcpus": 8, "memory": "1500MiB"},
        {"name": "huge", "vcpus": 8, "memory": "15000MiB"},
    ]
    return hosts, planned(hosts, wanted)
