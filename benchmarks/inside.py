# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in dom0, with the collection on PYTHONPATH: how long the facts take without Ansible, and how many hypercalls. Prints JSON."""

import json
import subprocess
import sys
import time

ROUNDS = 5


def best(function):
    """Shortest of several times, in seconds, and the last result."""
    times = []
    for _round in range(ROUNDS):
        begin = time.monotonic()
        result = function()
        times.append(time.monotonic() - begin)
    return min(times), result


def main():
    """Measure."""
    begin = time.monotonic()
    from ansible_collections.dom0.xen.plugins.module_utils._discovery import registry
    from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
    from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
    from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen

    imported = time.monotonic() - begin
    calls = []

    def opened():
        xen = Xen.open()
        calls.append(xen)
        return xen

    collect, raw = best(lambda: registry.collect(subset=[registry.DOMAINS], open_xen=opened))
    everything = calls[-1].calls
    registry.collect(open_xen=opened)
    derive_time, facts = best(lambda: to_facts(derive(raw)))
    xl_info, _done = best(lambda: subprocess.run(["xl", "info", "-n"], check=True, stdout=subprocess.PIPE))
    figures = {
        "import": imported,
        "collect": collect,
        "derive": derive_time,
        "xl_info": xl_info,
        "calls": everything,
        "calls_min": calls[-1].calls,
        "domains": len(facts["domains"]),
        "vcpus": sum(len(domain["vcpus"]) for domain in facts["domains"]),
    }
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main()
