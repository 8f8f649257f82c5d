# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in dom0, with the collection on PYTHONPATH: how long the facts take without Ansible, and how many hypercalls. Prints JSON.

Of its imports only the collection's own count: what Ansible's module_utils/basic.py brings of Python's library is loaded before. They are
compiled as Ansible lets them be compiled, in each run anew: nothing is left behind for the next.
"""

import importlib
import json
import subprocess
import sys
import time

ROUNDS = 9

#: Of what Ansible brings, that which the collection needs too.
ANSIBLE_BRINGS = (
    "array",
    "contextlib",
    "dataclasses",
    "errno",
    "functools",
    "json",
    "os",
    "re",
    "selectors",
    "shlex",
    "socket",
    "struct",
    "subprocess",
    "tempfile",
    "typing",
)


#: What topology_facts imports of the collection.
OURS = (
    "_discovery.registry",
    "_topology.derive",
    "_topology.facts",
    "_topology.kinds",
    "_xen.connection",
)


def best(function):
    """Shortest of several times, in seconds, and the last result."""
    times = []
    for _round in range(ROUNDS):
        begin = time.monotonic()
        result = function()
        times.append(time.monotonic() - begin)
    return min(times), result


def imports():
    """Print how long this interpreter takes for the collection's own code."""
    for name in ANSIBLE_BRINGS:
        importlib.import_module(name)
    begin = time.monotonic()
    for name in OURS:
        importlib.import_module("ansible_collections.dom0.xen.plugins.module_utils." + name)
    sys.stdout.write(str(time.monotonic() - begin))


def main():
    """Measure."""
    from ansible_collections.dom0.xen.plugins.module_utils._discovery import registry
    from ansible_collections.dom0.xen.plugins.module_utils._discovery.collecting import collect as ask
    from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
    from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
    from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen

    # -B: nothing that is compiled is left behind for the next one
    once = [sys.executable, "-B", __file__, "imports"]
    calls = []

    def opened():
        xen = Xen.open()
        calls.append(xen)
        return xen

    def collect(*subset):
        return lambda: ask(registry.components(), subset=subset, open_xen=opened)

    figures = {"import": min(float(subprocess.check_output(once)) for _round in range(ROUNDS))}
    for name, subset in (
        ("collect_min", ()),
        ("collect_domains", ("domains",)),
        ("collect_pci", ("pci",)),
        ("collect", registry.SUBSETS),
    ):
        figures[name], raw = best(collect(*subset))
        figures["calls" + name[len("collect") :]] = calls[-1].calls
    figures["derive"], facts = best(lambda: to_facts(derive(raw)))
    figures["xl_info"], _done = best(
        lambda: subprocess.run(["xl", "info", "-n"], check=True, stdout=subprocess.PIPE)
    )
    figures["domains"] = len(facts["domains"])
    figures["vcpus"] = sum(len(domain["vcpus"]) for domain in facts["domains"])
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    if sys.argv[1:]:
        imports()
    else:
        main()
