# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hold what becomes of hwloc XML on its way through the facts against what hwloc's own lstopo makes of the same file.

    python3 benchmarks/hwloc_files.py FILE.xml ...

Each file is read, turned into facts, written again, and both are shown to lstopo (Debian package hwloc-nox). A line says what differs; the last
one counts. hwloc 2 does not read version 3, so such a file is given to it with the version and the types of OS devices of version 2.
"""

from __future__ import annotations

import collections
import os
import re
import subprocess
import sys
import tempfile
import typing as t
from xml.etree import ElementTree

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import conftest  # noqa: F401, I001  # pylint: disable=unused-import
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_export import to_hwloc_xml
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_import import from_hwloc_xml

#: Types of OS devices of hwloc 3 in hwloc 2, as hwloc 3 writes them for it.
TYPES = {
    "1": "0",
    "2": "0",
    "3": "0",
    "4": "1",
    "8": "5",
    "12": "5",
    "16": "2",
    "32": "3",
    "48": "3",
    "64": "4",
}
LSTOPO = ["lstopo-no-graphics", "--of", "xml", "--whole-io", "--no-collapse", "--disallowed", "--input"]

Found = t.Dict[str, t.Any]


def for_hwloc_2(text: str) -> str:
    """The text as hwloc 2 reads it."""
    if '<topology version="3' not in text:
        return text
    text = text.replace('<topology version="3.0"', '<topology version="2.0"')
    return re.sub(
        r'(name="(nvml|rsmi)?[^"]*"[^>]*) osdev_type="([0-9]+)"',
        lambda found: (
            f'{found.group(1)} osdev_type="{1 if found.group(2) else TYPES.get(found.group(3), 0)}"'
        ),
        text,
    )


def seen_by_lstopo(text: str) -> Found | None:
    """What lstopo makes of it; None where it refuses."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HWLOC_")}
    with tempfile.NamedTemporaryFile("w", suffix=".xml", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        told = subprocess.run(
            [*LSTOPO, stream.name], env=environment, capture_output=True, text=True, check=False
        )
    return summary(told.stdout) if told.returncode == 0 else None


def summary(text: str) -> Found:
    """Objects by type with their CPUs, memory, devices with their CPUs, distances between nodes."""
    found: Found = collections.defaultdict(list)
    trail: list[tuple[t.Any, str | None]] = [(ElementTree.fromstring(text), None)]
    while trail:
        element, cpus = trail.pop()
        for thing in element.findall("object"):
            kind, here = thing.get("type"), thing.get("cpuset", cpus)
            name = thing.get("pci_busid") or thing.get("name") or ""
            if kind not in ("Bridge", "Machine"):
                more = (
                    (thing.get("os_index"), thing.get("local_memory") or "0")
                    if kind == "NUMANode"
                    else (name,)
                )
                found[kind].append((here, *more))
            trail.append((thing, here))
    for matrix in ElementTree.fromstring(text).findall("distances2"):
        if matrix.get("type") == "NUMANode" and int(matrix.get("kind", "0")) & 4:
            nodes = (matrix.findtext("indexes") or "").split()
            values = iter(" ".join(part.text or "" for part in matrix.findall("u64values")).split())
            found["latencies"].append(sorted((a, b, next(values)) for a in nodes for b in nodes))
    return {kind: sorted(things) for kind, things in found.items()}


def differences(text: str) -> list[str]:
    """What is not the same; Failure where the file is refused."""
    exported = to_hwloc_xml(from_facts(to_facts(from_hwloc_xml(text)))).text
    before, after = seen_by_lstopo(for_hwloc_2(text)), seen_by_lstopo(exported)
    if before is None:
        return []
    if after is None:
        return ["lstopo refuses what was written"]
    told = []
    for kind in sorted({*before, *after}):
        old, new = before.get(kind, []), after.get(kind, [])
        if kind == "latencies":
            if old and new and new[0] not in old:
                told.append("latencies differ")
        elif len(old) != len(new):
            told.append(f"{kind} {len(old)}, now {len(new)}")
        elif old != new:
            told.append(f"{kind} in another place")
    return told


def main(paths: t.Sequence[str]) -> None:
    """Print a line for each file that is not the same afterwards, and how many are."""
    same = refused = 0
    for path in paths:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
        try:
            told = differences(text)
        except Failure as failure:
            told, refused = [f"refused: {failure}"], refused + 1
        same += not told
        if told:
            print(f"{os.path.basename(path)}: {', '.join(told)}")
    print(f"{same} of {len(paths)} files are the same for lstopo, {refused} are refused.")


if __name__ == "__main__":
    main(sys.argv[1:])
