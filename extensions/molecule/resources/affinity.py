# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints, as JSON, where the vCPUs of each guest may run: {"web": {"hard": [[0, 1], ..], "soft": [[0], ..], "cores": [0, ..]}, ..}.

`hard` and `soft` have a list of CPUs for each vCPU, `cores` the cores that any of them may run on. Arguments: how many CPUs the host has,
which is what "all" stands for, and how many of them make a core, in the order of their numbers. Standard input: what `xl vcpu-list`
prints. Parsed here on its own, not by the collection.
"""

from __future__ import annotations

import json
import re
import sys


def cpus(mask: str, everything: int) -> list[int]:
    """The CPUs of a mask in xl's words."""
    if mask == "all":
        return list(range(everything))
    found: list[int] = []
    for part in mask.split(","):
        first, _dash, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


if __name__ == "__main__":
    everything, threads = map(int, sys.argv[1:])
    guests: dict[str, dict[str, list]] = {}
    # It comes over a terminal.
    for line in sys.stdin.read().replace("\r", "").splitlines():
        if match := re.match(r"(\S.*?) +\d+ +\d+ +\S+ +\S+ +[\d.]+ +(\S+) / (\S+) *$", line):
            guest = guests.setdefault(match[1], {"hard": [], "soft": [], "cores": []})
            guest["hard"].append(cpus(match[2], everything))
            guest["soft"].append(cpus(match[3], everything))
            guest["cores"] = sorted({*guest["cores"], *(cpu // threads for cpu in guest["hard"][-1])})
    sys.stdout.write(json.dumps(guests))
