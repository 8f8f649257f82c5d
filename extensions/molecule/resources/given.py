# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints, as JSON, the NUMA layout that a test host's description gives to the emulator. Argument: the host. Run in the checkout."""

from __future__ import annotations

import json
import sys

from tests.xenhost.description import load


def ranges(cpus: tuple[int, ...]) -> str:
    """CPUs in list format."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and runs[-1][-1] == cpu - 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


if __name__ == "__main__":
    host = load(sys.argv[1])
    nodes = [[node.memory_mib, ranges(node.cpus)] for node in host.nodes]
    sys.stdout.write(json.dumps({"distances": host.distances, "nodes": nodes}))
