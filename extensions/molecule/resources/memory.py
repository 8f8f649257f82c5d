# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints, as JSON, the pages of each guest on each node: {"web": {"1": 65536}}, nodes with none left out.

Standard input: what `xl list`, and after `xl debug-keys u` what `xl dmesg`, print, one behind the other. Parsed here on its own, not by
the collection.
"""

from __future__ import annotations

import json
import re
import sys

if __name__ == "__main__":
    # It comes over a terminal.
    text = sys.stdin.read().replace("\r", "")
    names = {
        domid: name
        for name, domid in re.findall(r"^(\S.*?) +(\d+) +\d+ +\d+ +\S+ +[\d.]+ *$", text, re.MULTILINE)
    }
    pages: dict[str, dict[str, int]] = {}
    domain = None
    # The last dump counts.
    for line in text.rpartition("Memory location of each domain")[2].splitlines():
        if match := re.search(r"(?:Domain |\bd)(\d+) \(total: \d+\)", line):
            domain = pages.setdefault(names.get(match[1], match[1]), {})
        elif (match := re.search(r"Node (\d+): (\d+)", line)) and domain is not None and int(match[2]):
            domain[match[1]] = int(match[2])
    sys.stdout.write(json.dumps(pages))
