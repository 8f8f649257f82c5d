# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the pure part grows with the host, from 64 to 4,096 CPUs: derive, facts, hwloc XML. Needs no Xen. Prints JSON.

Time is that of the processor, the best of several rounds; run it with the collection on PYTHONPATH.
"""

import json
import sys
import time
import typing as t

from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_export import to_hwloc_xml
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_import import from_hwloc_xml
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import giant_host

SIZES = ((64, 1), (256, 4), (1024, 16), (4096, 64))
ROUNDS = 5


def best(function: t.Callable[[], t.Any]) -> t.Tuple[float, t.Any]:
    """The shortest of several times, in seconds of the processor, and the last result."""
    times = []
    result = None
    for _round in range(ROUNDS):
        begin = time.process_time()
        result = function()
        times.append(time.process_time() - begin)
    return min(times), result


def main() -> None:
    """Measure."""
    rows = []
    for cpus, nodes in SIZES:
        raw = giant_host(cpus, nodes)
        deriving, topology = best(lambda raw=raw: derive(raw))
        writing, facts = best(lambda topology=topology: to_facts(topology))
        reading, _topology = best(lambda facts=facts: from_facts(facts))
        exporting, xml = best(lambda topology=topology: to_hwloc_xml(topology).text)
        importing, _topology = best(lambda xml=xml: from_hwloc_xml(xml))
        rows.append(
            {
                "cpus": cpus,
                "nodes": nodes,
                "derive and facts": deriving + writing,
                "facts read back": reading,
                "hwloc export": exporting,
                "hwloc import": importing,
                "bytes of facts": len(json.dumps(facts)),
                "bytes of XML": len(xml),
            }
        )
    sys.stdout.write(json.dumps(rows))


if __name__ == "__main__":
    main()
