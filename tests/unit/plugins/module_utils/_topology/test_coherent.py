# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts that contradict themselves or are too large: refused with the spot, before anything computes with them."""

import copy

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology import coherent, shape
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    giant_host,
    made_domain,
    made_host,
    recording,
    recording_names,
)

FACTS = to_facts(
    derive(
        made_host(
            domains=[made_domain(0, vcpus=2), made_domain(3, vcpus=2)],
            cpu_policy=giant_host(8, 2).data["cpu_policy"],
            cpupools=[
                {"id": 0, "sched_id": 6, "n_dom": 1, "cpus": [0, 1, 2, 3, 4, 5]},
                {"id": 1, "sched_id": 6, "n_dom": 1, "cpus": [6]},
            ],
            cpupool_free=[7],
        )
    )
)


def damaged(*changes):
    """The facts with other values at some spots, each a path and the value."""
    facts = copy.deepcopy(FACTS)
    for path, value in changes:
        inner = facts
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
    return facts


@pytest.mark.parametrize("name", recording_names())
def test_what_this_collection_writes_is_read(name):
    from_facts(to_facts(derive(recording(name))))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([(["complete_cpuset"], "0-65535")], "complete_cpuset is 0-65535, and pus has 0-7"),
        ([(["complete_cpuset"], "0-6")], "complete_cpuset is 0-6, and pus has 0-7"),
        ([(["complete_nodeset"], "0-63")], "complete_nodeset is 0-63, and nodes has 0-1"),
        ([(["cpuset"], "0-8")], "cpuset has 8, which complete_cpuset has not"),
        ([(["allowed_cpuset"], "9")], "allowed_cpuset has 9"),
        ([(["nodeset"], "0-2")], "nodeset has 2, which complete_nodeset has not"),
        ([(["cpupool_free"], "7-9")], "cpupool_free has 8-9"),
        ([(["pus", 1, "os_index"], 0)], r"pus\[1\].os_index is 0 and follows 0"),
        ([(["nodes", 1, "os_index"], 0)], r"nodes\[1\].os_index is 0 and follows 0"),
        ([(["pus", 3, "node"], 5)], r"pus\[3\].node is 5, which nodes has not"),
        ([(["pus", 3, "node"], 1)], r"nodes\[0\].complete_cpuset is 0-3, and pus says 0-2"),
        ([(["pus", 3, "core"], 5)], "cores has 4 members, and pus names 5 different ones"),
        ([(["cores", 0, "complete_cpuset"], "0-2")], r"cores\[0\].complete_cpuset is 0-2, and pus says 0-1"),
        ([(["cores", 1, "os_index"], 0)], "cores has 4 members"),
        ([(["packages", 0, "complete_cpuset"], "0-7")], r"packages\[0\].complete_cpuset is 0-7"),
        ([(["nodes", 0, "cpuset"], "0-4")], r"nodes\[0\].cpuset has 4, which its complete_cpuset has not"),
        ([(["packages", 0, "nodeset"], "0-1")], r"packages\[0\].nodeset is 0-1, and pus says 0"),
        ([(["cpu_kinds", 0, "complete_cpuset"], "0-8")], r"cpu_kinds\[0\].complete_cpuset has 8"),
        ([(["cpupools", 1, "id"], 0)], r"cpupools\[1\].id is 0, which is that of another"),
        ([(["cpupools", 1, "cpuset"], "5-6")], r"cpupools\[1\].cpuset has 5, which another cpupool has"),
        ([(["cpupools", 1, "cpuset"], "70")], r"cpupools\[1\].cpuset has 70, which complete_cpuset has not"),
        ([(["domains", 1, "domid"], 0)], r"domains\[1\].domid is 0, which is that of another"),
        ([(["domains", 1, "vcpus", 1, "vcpu"], 0)], r"domains\[1\].vcpus\[1\].vcpu is 0"),
        ([(["domains", 1, "vcpus", 1, "hard"], "3-9")], r"domains\[1\].vcpus\[1\].hard has 8-9"),
        ([(["dom0", "vcpus", 0, "soft"], "8")], r"dom0.vcpus\[0\].soft has 8"),
        ([(["domains", 1, "node_affinity"], "0-9")], r"domains\[1\].node_affinity has 2-9"),
        ([(["distances", "nodes"], [0, 2])], "distances.nodes are not those of nodes"),
        ([(["distances", "matrix", 0], [10])], "distances.matrix should have 2 rows of 2 distances"),
        ([(["caches", 0, "cpusets", 1], "0")], r"caches\[0\].cpusets\[1\] has CPU 0, which another"),
        ([(["caches", 0, "cpusets", 1], "")], r"caches\[0\].cpusets\[1\] has no CPU"),
        ([(["caches", 0, "cpusets", 1], "8")], r"caches\[0\].cpusets\[1\] has 8"),
        ([(["caches", 0, "type"], "trace")], r"caches\[0\].type should be one of data, instruction, unified"),
        ([(["domains", 0, "state"], "gone")], r"domains\[0\].state should be one of running"),
        ([(["domains", 0, "type"], "vm")], r"domains\[0\].type should be one of pv, pvh, hvm"),
        ([(["domains", 0, "max_vcpus"], 2**32)], r"domains\[0\].max_vcpus should be"),
        ([(["xen", "numa"], "perhaps")], "xen.numa should be one of on, off, fake, none"),
        ([(["warnings"], ["x" * (shape.LONGEST_TEXT + 1)])], r"warnings\[0\] should be a text of at most"),
        ([(["warnings"], [""] * (shape.MOST + 1))], "warnings should have at most"),
        ([(["caches"], FACTS["caches"] * 100)], "caches should have at most"),
        ([(["distances", "nodes"], list(range(1025)))], "distances.nodes should have at most 1024 members"),
        ([(["domains"], FACTS["domains"] * 20000)], "domains should have at most 32752 members"),
        ([(["xen", "major"], 10**5000)], "xen.major should be a whole number from 0 up, not a number of"),
        (
            [(["dom0", "linux"], {"packages": 10**5000})],
            "dom0.linux.packages should be a whole number from 0 up, not a number of 16610 bits",
        ),
        ([(["memory", "total_bytes"], float("nan"))], "memory.total_bytes should be a whole number"),
    ],
)
def test_the_spot_is_named(changes, message):
    with pytest.raises(Failure, match="^the topology facts are damaged: " + message):
        from_facts(damaged(*changes))


def test_more_sets_than_there_is_memory_for_are_refused_before_they_are_read(monkeypatch):
    monkeypatch.setattr(coherent, "MOST_BITS", 8 * 4 - 1)
    with pytest.raises(
        Failure, match=r"damaged: 4 cores on CPUs up to 7 are more than this collection reads"
    ):
        from_facts(FACTS)


@pytest.mark.parametrize("version", ["1.²", "\u0661.0", "1." + "0" * 5000, "1", "", ".", "1.x", 1.0, None])
def test_a_version_that_is_none(version):
    with pytest.raises(Failure, match="schema_version is missing or damaged"):
        from_facts(dict(FACTS, schema_version=version))
