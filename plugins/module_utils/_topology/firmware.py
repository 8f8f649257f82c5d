# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the firmware's tables add to Xen's answers: CPUs that Xen never brought up, ACPI's names of nodes, RAM of each node. Pure.

Xen numbers its nodes in the order in which proximity domains first appear in the SRAT (processors by x2APIC, then by APIC id, then
memory; xen/drivers/acpi/numa.c), and its CPUs in the order of the MADT, the boot CPU first (xen/arch/x86/mpparse.c). Neither is relied
on unless it agrees with all that Xen says itself.
"""

import collections
import typing as t

from .acpi import ENABLED, MADT_X2APIC, SRAT_X2APIC
from .cpuset import CpuSet

_RAM = 1  # E820
_NON_VOLATILE = 4  # SRAT memory flags
_PAGE = 4096
_FOUR_GIB = 1 << 32
_LARGEST_ADDRESS = 1 << 57  # more than any x86 or Arm processor has

#: A domain without memory has a node that spans nothing.
_NO_SPAN = frozenset((0,))
#: Nodes without CPUs of which Xen's number is looked for, each among all others; Xen itself knows 64 nodes.
MOST_NODES = 64

Range = t.Tuple[int, int]
#: What tells Xen's distance of a pair (from, to) with `get`: a dictionary, or `places.ToldDistances`.
Told = t.Any


class Processor(t.NamedTuple):
    """A CPU that only the firmware lists. `number` is the one that Xen would give it, None when that cannot be told."""

    number: t.Optional[int]
    apic_id: int
    acpi_id: int


class Firmware:
    """The sections `acpi` and `memory_map` of the raw record, looked at in the light of what Xen says."""

    def __init__(self, heard: t.Dict[str, t.Any], warnings: t.List[str]) -> None:
        acpi = heard.get("acpi", {})
        self._madt = acpi.get("madt")
        self._cpus = [row for row in acpi.get("srat_cpus", ()) if row[3] & ENABLED]
        self._memory = [row for row in acpi.get("srat_memory", ()) if row[3] & ENABLED and row[1]]
        self._warnings = warnings
        self.slit = acpi.get("slit")
        #: whether there was a look at the firmware at all
        self.heard = "madt" in acpi
        self.ram = None  # type: t.Optional[t.List[Range]]
        if "memory_map" in heard:
            self.ram = self._ram(heard["memory_map"])
        self.domain_of = self._domains_by_apic_id()
        #: proximity domain -> Xen's node
        self.node_of = {domain: int(node) for node, domain in heard.get("node_domains", {}).items()}  # type: t.Dict[int, int]
        #: what the domains show about Xen's use of them: "on", "off", None when they show nothing
        self.numa = None  # type: t.Optional[str]

    def _ram(self, regions: t.Iterable[t.Sequence[int]]) -> t.Optional[t.List[Range]]:
        """The ranges of RAM; None when one of them is where no processor has addresses."""
        ram = [(start, start + size) for start, size, kind in regions if kind == _RAM]
        if any(end > _LARGEST_ADDRESS for _start, end in ram):
            self._warnings.append(
                "The machine's memory map has RAM beyond all addresses: the memory of each node is unknown."
            )
            return None
        return joined(ram)

    # --- CPUs

    def _domains_by_apic_id(self) -> t.Dict[int, int]:
        found = {}  # type: t.Dict[int, int]
        torn = set()
        for _kind, apic_id, domain, _flags in self._cpus:
            if found.setdefault(apic_id, domain) != domain:
                torn.add(apic_id)
        for apic_id in sorted(torn):
            del found[apic_id]
            self._warnings.append(
                f"The firmware (SRAT) puts the CPU with APIC id {apic_id} in several proximity domains: it is not believed in that."
            )
        return found

    @property
    def lists_cpus(self) -> bool:
        """Whether there is a MADT with CPUs in it."""
        return bool(self._madt)

    def never_brought_up(self, apic_ids: t.Mapping[int, int]) -> t.List[Processor]:
        """Return the CPUs of the MADT that Xen does not have. `apic_ids` has Xen's CPUs, {number: APIC id}."""
        if not self._madt or not apic_ids:
            return []
        listed = [row for row in self._madt if row[3] & ENABLED]
        listed.sort(key=lambda row: row[0] == MADT_X2APIC)
        acpi_ids = {}  # type: t.Dict[int, int]
        for _kind, acpi_id, apic_id, _flags in listed:
            acpi_ids.setdefault(apic_id, acpi_id)
        there = set(apic_ids.values())
        if not there & set(acpi_ids):
            self._warnings.append(
                "The firmware (MADT) lists none of the CPUs that Xen has: CPUs that Xen never brought up stay unknown."
            )
            return []
        boot = apic_ids.get(0)
        order = ([boot] if boot in acpi_ids else []) + [apic_id for apic_id in acpi_ids if apic_id != boot]
        as_xen = all(number < len(order) and order[number] == apic_id for number, apic_id in apic_ids.items())
        return [
            Processor(number if as_xen else None, apic_id, acpi_ids[apic_id])
            for number, apic_id in enumerate(order)
            if apic_id not in there
        ]

    # --- proximity domains

    @property
    def domains(self) -> t.List[int]:
        """Proximity domains in the order in which Xen meets them."""
        wide = [row[2] for row in self._cpus if row[0] == SRAT_X2APIC]
        narrow = [row[2] for row in self._cpus if row[0] != SRAT_X2APIC]
        return list(dict.fromkeys(wide + narrow + [row[2] for row in self._memory]))

    def learn_nodes(
        self,
        seen: t.Iterable[t.Tuple[int, int]],
        spans: t.Mapping[int, int],
        fake: bool,
        distances: Told = None,
    ) -> None:
        """Find out which proximity domain is which node, from CPUs whose node Xen tells.

        `seen` has (APIC id, node) of each, `spans` the bytes from the first to the last page of each node that Xen has, `distances` those
        from node to node as far as Xen tells them, and `fake` tells whether Xen made up its nodes: then its CPUs and distances are the
        firmware's nevertheless, and only the memory is cut anew.
        """
        if not self._cpus and not self._memory:
            return
        nodes, domains = {}, {}  # type: t.Dict[int, t.Set[int]], t.Dict[int, t.Set[int]]
        for apic_id, node in seen:
            if apic_id in self.domain_of:
                domain = self.domain_of[apic_id]
                nodes.setdefault(domain, set()).add(node)
                domains.setdefault(node, set()).add(domain)
        known = {node for members in nodes.values() for node in members} | set(spans)
        several = any(len(members) > 1 for members in list(nodes.values()) + list(domains.values()))
        if fake:
            self.numa = "fake"
            self.node_of = {} if several else {domain: min(members) for domain, members in nodes.items()}
            return
        if len(self.domains) == 1:
            self.numa = "none"
            self.node_of = dict.fromkeys(self.domains, min(known)) if len(known) == 1 else {}
            return
        if len(known) == 1:
            self.numa = "off"
            return
        if several:
            self._warnings.append(
                "Xen's NUMA nodes and the firmware's proximity domains (SRAT) do not match one to one: what the firmware says about "
                "nodes is not used."
            )
            return
        self.numa = "on"
        self.node_of = {domain: min(members) for domain, members in nodes.items()}
        self._add_nodes_without_cpus(spans, {} if distances is None else distances)

    def _add_nodes_without_cpus(self, spans: t.Mapping[int, int], distances: Told) -> None:
        """Complete the map by the order in which Xen numbers, else by a span that only one domain and one node have.

        Either way the node must be as far from the others as its domain.
        """
        order = {domain: number for number, domain in enumerate(self.domains)}
        as_xen = all(order[domain] == node for domain, node in self.node_of.items() if domain in order)
        left = [domain for domain in order if domain not in self.node_of]
        taken = set(self.node_of.values())
        free = [node for node in spans if node not in taken]
        if len(left) > MOST_NODES or len(free) > MOST_NODES:
            # no table of a machine that Xen runs on
            return
        # where Xen did not take its distances from the table, they do not speak against anything
        far = self.is_source_of(distances) is not False
        spans_of = self._spans()
        rivals = collections.Counter(size for domain in left for size in spans_of.get(domain, _NO_SPAN))
        for domain in left:
            alike = [
                node
                for node in free
                if (not as_xen or node == order[domain])
                and spans[node] in spans_of.get(domain, _NO_SPAN)
                and not (far and self._differs(domain, node, distances))
            ]
            if len(alike) == 1 and (as_xen or rivals[spans[alike[0]]] == 1):
                self.node_of[domain] = alike[0]

    def _differs(self, domain: int, node: int, distances: Told) -> bool:
        """Tell whether the distances to the nodes that are known speak against this domain being this node."""
        pairs = [*self.node_of.items(), (domain, node)]
        return not all(
            alike
            for other in pairs
            for one, two in ((other, (domain, node)), ((domain, node), other))
            for alike in self._compare(one, two, distances)
        )

    def _compare(
        self, source: t.Tuple[int, int], target: t.Tuple[int, int], distances: Told
    ) -> t.Iterator[bool]:
        """Tell whether SLIT and Xen have the same distance between two pairs of domain and node; nothing where SLIT has none."""
        slit = self.slit or []
        if source != target and source[0] < len(slit) and target[0] < len(slit[source[0]]):
            told = slit[source[0]][target[0]]
            # what is less than 10 or is 255 does not become a distance
            if 10 <= told < 255:
                yield distances.get((source[1], target[1])) == told

    def is_source_of(self, distances: Told) -> t.Optional[bool]:
        """Tell whether Xen's distances between the nodes are those of the SLIT; None when there is nothing to compare."""
        pairs = list(self.node_of.items())
        found = None  # type: t.Optional[bool]
        for source in pairs:
            for target in pairs:
                for alike in self._compare(source, target, distances):
                    if not alike:
                        return False
                    found = True
        return found

    def _spans(self) -> t.Dict[int, t.Set[int]]:
        """The sizes that Xen may say a domain's node spans, by domain: to the end of its last range, or to the end of all RAM before."""
        edges = {}  # type: t.Dict[int, t.Tuple[int, int]]
        for start, size, domain, _flags in self._memory:
            first, last = edges.get(domain, (start, start + size))
            edges[domain] = min(first, start), max(last, start + size)
        top = max((end for _start, end in self.ram or ()), default=None)
        return {
            domain: {last - first, max(0, min(last, last if top is None else top) - first)}
            for domain, (first, last) in edges.items()
        }

    # --- memory

    def ram_by_node(
        self, spans: t.Mapping[int, int], spanned: t.Sequence[t.Optional[int]]
    ) -> t.Dict[int, t.Optional[int]]:
        """Return the RAM of each node in `spans`, bytes: the machine's memory map within what SRAT gives to the node; None if unknown.

        `spanned` has what Xen says of each node number; made-up nodes follow each other without gaps from address 0.
        """
        if self.ram is None:
            return dict.fromkeys(spans)
        whole = total(self.ram)
        if len(spans) == 1 and self.numa != "on":
            return dict.fromkeys(spans, whole)
        if self.numa == "fake":
            return self._ram_of_made_up_nodes(spans, spanned)
        if self.numa != "on":
            return dict.fromkeys(spans)
        volatile = [row for row in self._memory if not row[3] & _NON_VOLATILE]
        ranges = self._ranges(spans)
        found = {node: total(common(self.ram, ranges[node])) if node in ranges else None for node in spans}  # type: t.Dict[int, t.Optional[int]]
        given = joined((start, start + size) for start, size, _owner, _flags in volatile)
        if total(given) != sum(row[1] for row in volatile):
            self._warnings.append(
                "The firmware (SRAT) gives the same memory to several proximity domains: the memory of each node is unknown."
            )
            return dict.fromkeys(spans)
        homeless = whole - total(common(self.ram, given))
        if homeless:
            self._warnings.append(
                f"{homeless} bytes of this host's RAM are in no proximity domain of the firmware (SRAT): they are counted on no node."
            )
        return found

    def _ranges(self, spans: t.Iterable[int]) -> t.Dict[int, t.List[Range]]:
        """Return where the memory of each node is, by the SRAT; a node whose proximity domain is unknown is left out."""
        domain_of = {node: domain for domain, node in self.node_of.items()}
        owned = {}  # type: t.Dict[int, t.List[Range]]
        for start, size, owner, flags in self._memory:
            if not flags & _NON_VOLATILE:
                owned.setdefault(owner, []).append((start, start + size))
        return {node: joined(owned.get(domain_of[node], ())) for node in spans if node in domain_of}

    def low_by_node(self, spans: t.Mapping[int, int]) -> t.Dict[int, int]:
        """Return the RAM of each node, bytes, that Xen gives to guests last; nothing where that cannot be told.

        With several nodes it is what lies below an address: a quarter of what the first node spans that begins below 4 GiB, from its beginning,
        rounded up to a power of two, at most 4 GiB. Source: arch_get_dma_bitsize (xen/arch/x86/numa.c), alloc_domheap_pages (xen/common/page_alloc.c).
        """
        ranges = self._ranges(spans) if self.numa == "on" and len(spans) > 1 else {}
        if self.ram is None or set(ranges) != set(spans):
            return {}
        for node in sorted(spans):
            start = min((start for start, _end in ranges[node]), default=_FOUR_GIB)
            if spans[node] and start < _FOUR_GIB:
                # both are whole pages
                pages = start // _PAGE + spans[node] // _PAGE // 4
                limit = min(_PAGE << max(0, pages - 1).bit_length(), _FOUR_GIB)
                low = common(self.ram, [(0, limit)])
                return {other: total(common(low, ranges[other])) for other in spans}
        return {}

    def _ram_of_made_up_nodes(
        self, spans: t.Mapping[int, int], spanned: t.Sequence[t.Optional[int]]
    ) -> t.Dict[int, t.Optional[int]]:
        ram = self.ram or []
        found = {}  # type: t.Dict[int, t.Optional[int]]
        start = 0
        for node, size in enumerate(spanned):
            if size is None:
                return dict.fromkeys(spans)
            found[node] = total(common(ram, [(start, start + size)]))
            start += size
        if sum(size or 0 for size in found.values()) != total(ram):
            return dict.fromkeys(spans)
        return {node: found.get(node) for node in spans}


def joined(ranges: t.Iterable[Range]) -> t.List[Range]:
    """Return the ranges [start, end) in order, with those that touch or overlap made one and empty ones left out."""
    found = []  # type: t.List[Range]
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def common(first: t.Sequence[Range], second: t.Sequence[Range]) -> t.List[Range]:
    """Return what two ordered lists of ranges share."""
    found = []
    one, two = 0, 0
    while one < len(first) and two < len(second):
        start = max(first[one][0], second[two][0])
        end = min(first[one][1], second[two][1])
        if start < end:
            found.append((start, end))
        if first[one][1] < second[two][1]:
            one += 1
        else:
            two += 1
    return found


def total(ranges: t.Iterable[Range]) -> int:
    """Return how many bytes the ranges have together."""
    return sum(end - start for start, end in ranges)


def numbers(processors: t.Iterable[Processor]) -> CpuSet:
    """Return the numbers of those that have one."""
    return CpuSet(processor.number for processor in processors if processor.number is not None)
