# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a recording, as Xen would give it, of one of hwloc's published CPUID dumps (tests/hwloc/x86 in its repository).

    python3 tests/recordings/constructed/from_cpuid.py FOLDER EXPECTED.xml > NAME.json

FOLDER has the files pu0, pu1 and so on; EXPECTED.xml is what hwloc makes of them, and says which CPUs are a core and a package. Only the
leaves about caches and topology are kept, and leaf 8000_001Dh is not: Xen asks for it without a subleaf.
"""

from __future__ import annotations

import json
import os
import sys
from xml.etree import ElementTree

NONE = 2**32 - 1
LEAVES = (0, 1, 4, 7, 0xB, 0x80000005, 0x80000006, 0x80000008, 0x8000001E)


def leaves(path: str) -> list[list[int]]:
    """Read a dump: a line is a mask of the registers that were given, those registers, and the answer."""
    rows = []
    with open(path, encoding="ascii") as stream:
        for line in stream:
            asked, arrow, told = line.partition("=>")
            if arrow and not line.startswith("#"):
                given, leaf, _b, subleaf = (int(word, 16) for word in asked.split()[:4])
                rows.append([leaf, subleaf if given & 4 else NONE, *(int(word, 16) for word in told.split())])
    return rows


def apic_id(rows: list[list[int]]) -> int:
    """Return the APIC id: of leaf 0Bh, 8000_001Eh or 1, the first that has one."""
    answers = {(leaf, 0 if subleaf == NONE else subleaf): words for leaf, subleaf, *words in rows}
    if answers.get((0xB, 0), [0, 0])[1]:
        return answers[0xB, 0][3]
    return answers.get((0x8000001E, 0), [0])[0] or answers[1, 0][1] >> 24


def places(path: str) -> dict[int, tuple[int, int]]:
    """Return (core, package) of each CPU, counted as they come."""
    found: dict[int, tuple[int, int]] = {}
    trail = [(ElementTree.parse(path).getroot(), -1, -1)]
    counts = {"Core": 0, "Package": 0}
    while trail:
        element, core, package = trail.pop()
        kind = element.get("type")
        if kind == "PU":
            found[int(element.get("os_index", ""))] = core, package
        elif kind in counts:
            core, package = (counts[kind], package) if kind == "Core" else (core, counts[kind])
            counts[kind] += 1
        trail += [(child, core, package) for child in reversed(element.findall("object"))]
    return found


def main(folder: str, expected: str) -> None:
    """Write the recording to the standard output."""
    where = places(expected)
    count = max(where) + 1
    topology, infos = [], []
    for cpu in range(count):
        core, package = where.get(cpu, (NONE, NONE))
        topology.append([core, package, 0 if cpu in where else NONE])
        there = cpu in where
        number = apic_id(leaves(os.path.join(folder, f"pu{cpu}"))) if there else 0
        infos.append([count - 1, 1 if there else 2, number, cpu if there else 0])
    policy = [row for row in leaves(os.path.join(folder, "pu0")) if row[0] in LEAVES]
    data = {
        "cpu_policy": policy,
        "cpupool_free": [],
        "cpupools": [{"cpus": sorted(where), "id": 0, "n_dom": 1, "sched_id": 6}],
        "cputopo": topology,
        "numainfo": {"distance": [[10]], "memfree": [2**34], "memsize": [2**36]},
        "pcpuinfo": infos,
        "physinfo": {"nr_cpus": len(where)},
    }
    component = {"name": "hypercall", "priority": 55, "reason": None, "state": "used"}
    sections = ",\n".join(f"  {json.dumps(name)}: {json.dumps(data[name])}" for name in sorted(data))
    print(
        '{\n "components": [%s],\n "data": {\n%s\n },\n "recording": 1,\n "warnings": []\n}'
        % (json.dumps(component), sections)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
