# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On which NUMA nodes the memory of each domain is, from Xen's debug key "u".

Xen has no hypercall for it (up to 4.22). The key makes Xen walk every page of every domain while it holds the domain's page lock, and
print into its console ring, which is small, shared and plain text. Costly on large hosts: only for those who ask for it.
Source: dump_numa() in xen/common/numa.c (xen/arch/x86/numa.c up to 4.17).
"""

import re
import time
import typing as t

from . import errors, memory_op, sysctl

if t.TYPE_CHECKING:
    from .connection import Xen

KEY = "u"
PATIENCE = 60.0  # seconds for the dump to be complete in the ring
PAUSE = 0.5

# Guests may write into the ring too, with their own number in front: only Xen's own lines count.
_LINE = re.compile(r"^\(XEN\)(?: *\[[^\]]*\])* ?(.*)$")
_START = re.compile(r"'u' pressed -> dumping numa info")
_NODE_OF_HOST = re.compile(r"^NODE([0-9]{1,9}) start->")
_DOMAINS = re.compile(r"^Memory location of each domain:")
_DOMAIN = re.compile(r"^(?:Domain |d)([0-9]{1,9}) \(total: [0-9]{1,19}\):")
_NODE = re.compile(r"^ +Node ([0-9]{1,9}): ([0-9]{1,19})$")

MemoryByNode = t.Dict[int, t.Dict[int, int]]

_CUT = (
    "Xen's console ring does not hold the whole dump of the domains' memory (%s): it is too small or something else is filling "
    "it; boot Xen with a larger one (conring_size=%dk on its command line), or do not ask for the memory by node."
)
LARGER_RING = 128  # KiB, what is recommended when it is not known how much is needed


class DumpCut(errors.XenError):
    """The console ring does not hold a complete dump."""


def parse_numa_dump(text: str) -> MemoryByNode:
    """Pages of each domain on each node: {domid: {node: pages}}, from the last complete dump in the console's `text`.

    Raises DumpCut when there is none. Whether all domains are there cannot be seen from the text.
    """
    # What follows the last end of a line may be half a number.
    whole = text.replace("\r", "").split("\n")[:-1]
    lines = [match.group(1) for match in map(_LINE.match, whole) if match]
    starts = [number for number, line in enumerate(lines) if _START.search(line)]
    reason = "its beginning is missing"
    ends = starts[1:] + [len(lines)]
    for start, end in reversed(list(zip(starts, ends))):
        try:
            return _parse_one(lines[start + 1 : end])
        except ValueError as error:
            reason = str(error)
    raise DumpCut(_CUT % (reason, LARGER_RING))


def _parse_one(lines: t.Sequence[str]) -> MemoryByNode:
    """The same from the lines of one dump; ValueError says what is missing."""
    nodes: t.Set[int] = set()
    found: MemoryByNode = {}
    current: t.Optional[t.Dict[int, int]] = None
    reached = False
    for line in lines:
        match = _NODE_OF_HOST.match(line)
        if match and not reached:
            nodes.add(int(match.group(1)))
            continue
        reached = reached or _DOMAINS.match(line) is not None
        if not reached:
            continue
        match = _DOMAIN.match(line)
        if match:
            current = found.setdefault(int(match.group(1)), {})
            continue
        match = _NODE.match(line)
        if match and current is not None:
            current[int(match.group(1))] = int(match.group(2))
    if not nodes:
        raise ValueError("the list of nodes is missing")
    if not found:
        raise ValueError("the list of domains is missing")
    for domid, pages in sorted(found.items()):
        if set(pages) != nodes:
            raise ValueError("the lines of domain %d are incomplete" % domid)
    return found


def memory_by_node(
    xen: "Xen",
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> MemoryByNode:
    """Press the key, read what it printed: {domid: {node: pages}} for every domain that was there before and after.

    Raises DumpCut when the ring does not hold it all, NotPermitted when a policy forbids the key or reading the ring.
    """
    before = {info.domain: info.handle for info in sysctl.getdomaininfolist(xen)}
    _text, index = memory_op.readconsole(xen)
    memory_op.debug_keys(xen, KEY)
    limit = clock() + PATIENCE
    while True:
        text, end = memory_op.readconsole(xen, index)
        printed = (end - index) & 0xFFFFFFFF
        if printed > len(text):
            # The ring has lost some of it. Twice what was printed, as the power of two that Xen wants.
            larger = 1 << max(15, (2 * printed - 1).bit_length())
            raise DumpCut(_CUT % ("its beginning is missing", larger // 1024))
        try:
            found = parse_numa_dump(text.decode("utf-8", "replace"))
            after = {info.domain: info.handle for info in sysctl.getdomaininfolist(xen)}
            stayed = [domid for domid, handle in before.items() if after.get(domid) == handle]
            missing = sorted(set(stayed) - set(found))
            if not missing:
                return found
            raise DumpCut(_CUT % ("domain %d is missing" % missing[0], LARGER_RING))
        except DumpCut:
            if clock() >= limit:
                raise
        sleep(PAUSE)
