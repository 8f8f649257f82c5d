# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Large hosts: what is done grows as the host does, and no faster. Counted, not timed; benchmarks/ has the times."""

import json
import sys

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_export import to_hwloc_xml
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_import import from_hwloc_xml
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import giant_host

SMALL, LARGE = (256, 4), (1024, 16)
GROWTH = LARGE[0] / SMALL[0]


def calls_of(function, *arguments):
    """How many functions, ours and Python's own, a call runs."""
    count = 0

    def note(_frame, event, _argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function(*arguments)
    finally:
        sys.setprofile(before)
    return count


STEPS = {
    "derive": (lambda host: host, derive),
    "facts": (derive, to_facts),
    "facts read back": (lambda host: to_facts(derive(host)), from_facts),
    "export": (derive, to_hwloc_xml),
    "import": (lambda host: to_hwloc_xml(derive(host)).text, from_hwloc_xml),
}


@pytest.mark.parametrize("step", sorted(STEPS))
def test_work_grows_with_the_host(step):
    prepare, function = STEPS[step]
    small, large = (calls_of(function, prepare(giant_host(*size))) for size in (SMALL, LARGE))
    assert small > 1000
    # a little more, for the distances between nodes grow with their square
    assert large / small < 1.25 * GROWTH


def test_facts_grow_with_the_host():
    small, large = (len(json.dumps(to_facts(derive(giant_host(*size))))) for size in (SMALL, LARGE))
    assert large / small < 1.1 * GROWTH


def test_a_host_with_4096_cpus():
    topology = derive(giant_host(4096, 64))
    assert topology.warnings == ()
    assert (len(topology.pus), len(topology.cores), len(topology.nodes)) == (4096, 2048, 64)
    assert len(topology.cpuset) == 4094
    assert [len(cache.cpusets) for cache in topology.caches] == [2048, 2048, 2048, 64]
    assert {node.memory_total for node in topology.nodes} == {64 * 2**30}
    facts = to_facts(topology)
    assert from_facts(facts) == topology
    # masks of thousands of digits stand beside a few hundred sets only
    assert len(json.dumps(facts)) < 1500000
