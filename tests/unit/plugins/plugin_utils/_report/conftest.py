# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost

MIB = 1 << 20
# CPUs 0-3 are node 0 and 4-7 node 1, both in package 0; 8-15 are node 2, package 1; node 3 is memory alone, nearest to node 2.
HOMES = {0: range(4), 1: range(4, 8), 2: range(8, 16)}
DISTANCES = [[10, 12, 21, 28], [12, 10, 21, 28], [21, 21, 10, 17], [28, 28, 17, 10]]


@pytest.fixture
def facts():
    """Facts of a host with 16 PUs, SMT, two packages and four nodes, one of them without CPUs."""
    home = {cpu: node for node, cpus in HOMES.items() for cpu in cpus}
    return to_facts(
        derive(
            RawHost(
                data={
                    "xen": {
                        "major": 4,
                        "minor": 17,
                        "extraversion": ".7",
                        "capabilities": "xen-3.0-x86_64",
                        "changeset": "",
                        "commandline": "",
                        "interface": {"sysctl": 21, "domctl": 21, "platform": 50331649, "known": True},
                    },
                    "sched_id": 6,
                    "physinfo": {
                        "threads_per_core": 2,
                        "cores_per_socket": 4,
                        "nr_cpus": 16,
                        "max_cpu_id": 15,
                        "nr_nodes": 4,
                        "max_node_id": 63,
                        "cpu_khz": 2000000,
                        "capabilities": 0,
                        "total_pages": 1400000,
                        "free_pages": 900000,
                        "scrub_pages": 0,
                        "outstanding_pages": 0,
                        "max_mfn": 1500000,
                    },
                    "cputopo": [[cpu % 8 // 2, cpu // 8, home[cpu]] for cpu in range(16)],
                    "numainfo": {
                        "memsize": [1536 * MIB] * 3 + [1024 * MIB],
                        "memfree": [1200 * MIB, 1264 * MIB, 1280 * MIB, 768 * MIB],
                        "distance": DISTANCES,
                    },
                    "pcpuinfo": [[15, 1, cpu, cpu] for cpu in range(16)],
                    "cpupools": [{"id": 0, "sched_id": 6, "n_dom": 1, "cpus": list(range(16))}],
                    "cpupool_free": [],
                    "cpupool_names": {"0": "Pool-0"},
                    "dom0_linux": {"packages": 1, "cores": 2, "pus": 2, "nodes": 1},
                    "page_size": 4096,
                }
            )
        )
    )
