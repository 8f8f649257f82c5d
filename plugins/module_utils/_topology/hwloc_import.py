# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""hwloc XML of any machine, versions 1 to 3, as the model. docs/hwloc.md says what is taken over and what is not.

The XML is one more source: what it says becomes a `RawHost`, and :func:`derive` thinks about it as about any other. So a planner
can be tried on every machine whose XML somebody published.
"""

import collections
import re
import typing as t

from .._errors import Failure
from . import hwloc_devices, hwloc_distances, hwloc_kinds, hwloc_objects
from . import hwloc_names as names
from .cpuset import LARGEST_ID, CpuSet
from .derive import derive
from .hwloc_caches import caches_of
from .hwloc_elements import Element, lines, parse, short, told_mask, told_number, told_set
from .meanings import INVALID, PAGE_SIZE, PCPU_INVALID, PCPU_ONLINE, SCHEDULERS
from .model import IMPORTED, HwlocObject, Memory, Topology
from .raw import RawHost

LARGEST_NODE = 4095  # Linux numbers the memory of accelerators up to 255
MOST_NODES = 1024
LARGEST_MEMORY = 2**53  # bytes of one node
LARGEST_PART = 2**31 - 1  # number of a core or package
LARGEST = 2**64 - 1

PLAIN_MEMORY = "DRAM"  # hwloc's word

#: Objects that the model has a place for, the others that there are, and what else stands beside the tree.
_BRIDGE_ROOT = re.compile(r"([0-9a-f]{4,8}):\[([0-9a-f]{2})-[0-9a-f]{2}\]\Z")

KEPT = ("Machine", "System", "Package", "Core", "PU", "NUMANode")
NOT_KEPT = (
    ["Group", "Die", "Tile", "Module", "Cluster", "Misc", "Bridge", "PCIDev", "OSDev", "MemCache", "Cache"]
    + [f"L{level}Cache" for level in range(1, 6)]
    + [f"L{level}iCache" for level in range(1, 4)]
)
BESIDE = ("distances2hetero", "memattr", "memtier")
_KINDS = frozenset([*KEPT, *NOT_KEPT])

_XEN_VERSION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})(.*)\Z", re.ASCII | re.DOTALL)
_LEFT_OUT = re.compile(
    r"(?P<kind>Core|Package|NUMANode) P#(?P<number>[0-9]{1,10})(?: package=(?P<package>[0-9]{1,10}))? "
    r"cpuset=\S+ complete_cpuset=(?P<cpus>[0-9a-fx,]+):",
    re.ASCII,
)


def from_hwloc_xml(text: t.Any) -> Topology:
    """Read hwloc XML. What the model cannot represent is said in the topology's warnings.

    :class:`Failure` names the element that is damaged, or says why this is no hwloc XML of a machine.
    """
    return _Machine(parse(text)).topology()


class _Machine:
    """What one XML says, step by step on its way to a `RawHost`."""

    def __init__(self, document: Element) -> None:
        self.document = document
        self.version = _version(document)
        self.root = _root(document)
        self.warnings = []  # type: t.List[str]
        # objects of each kind in the order of the document; the Package and the Core around each PU
        self.objects = collections.defaultdict(list)  # type: t.Dict[str, t.List[Element]]
        self.around = {}  # type: t.Dict[Element, t.Tuple[t.Optional[Element], t.Optional[Element]]]
        # what hangs on the tree: the outermost I/O objects, each with what it hangs on; distances of hwloc 1
        self.io = []  # type: t.List[t.Tuple[Element, Element]]
        self.old_distances = []  # type: t.List[Element]
        # objects that are only kept, each with what is around it
        self.rest = []  # type: t.List[t.Tuple[Element, Element]]
        self.kept_objects: t.List[HwlocObject] = []
        self._collect()
        self.infos = {}  # type: t.Dict[str, t.List[str]]
        for holder in [*self.objects["Machine"], document]:  # hwloc 3 has them beside the tree
            for info in holder.below("info"):
                self.infos.setdefault(info.attributes.get("name", ""), []).append(
                    info.attributes.get("value", "")
                )
        # whether this collection wrote the XML, and of a Xen host
        self.ours = names.SOURCE in self.infos and "Xen" in self.infos.get(names.BACKEND, ())
        self.pus = {}  # type: t.Dict[int, Element]
        self.everything = CpuSet()
        # the number of the core, package and node of each CPU, as far as it is known
        self.places = {"core": {}, "package": {}, "node": {}}  # type: t.Dict[str, t.Dict[int, int]]
        self.online = CpuSet()
        self.memory = {}  # type: t.Dict[int, t.Optional[int]]
        self.spanned = {}  # type: t.Dict[int, t.Optional[int]]
        # CPUs that a node is near to though another has them, and what kinds of memory the nodes are
        self.shared = {}  # type: t.Dict[int, CpuSet]
        self.kinds = {}  # type: t.Dict[str, str]
        self.node_cpus = {}  # type: t.Dict[t.Optional[int], CpuSet]
        self.holes = set()  # type: t.Set[int]
        self.domains = {}  # type: t.Dict[str, int]
        self.low = {}  # type: t.Dict[str, int]
        self.kept = collections.Counter()  # type: t.Dict[str, int]
        self.free = {}  # type: t.Dict[int, t.Optional[int]]

    def topology(self) -> Topology:
        self._find_pus()
        self._find_packages()
        self._find_cores()
        self._find_nodes()
        self._keep_the_rest()
        found = caches_of(self.objects, self.everything, self.infos.get(names.CACHE, ()) if self.ours else ())
        if found.several:
            self.warnings.append(
                f"The XML has several caches of one level and type around the CPUs {found.several}: the first is taken."
            )
        devices = self._devices()
        self.kept.update(found.kept)
        self._say_what_is_lost()
        topology = self._derive(devices)
        warnings = []  # type: t.List[str]
        kinds = hwloc_kinds.read(self.document, topology, self.ours, warnings)
        return topology._replace(
            caches=found.caches,
            cpu_kinds=kinds,
            warnings=topology.warnings + tuple(warnings),
            hwloc_objects=tuple(self.kept_objects) or None,
            host_name=self.info(names.HOST_NAME) or None,
        )

    def info(self, name: str) -> t.Optional[str]:
        return self.infos[name][0] if name in self.infos else None

    def _collect(self) -> None:
        """Go through the tree once, in the order of the document."""
        trail = [(self.root, None, None, self.root, False)]  # type: t.List[t.Tuple[Element, t.Any, t.Any, Element, bool]]
        while trail:
            element, package, core, near, in_io = trail.pop()
            if element.kind == "Group" and hwloc_objects.is_die(element):
                element.kind = "Die"
            kind = element.kind
            if kind not in _KINDS:
                kind = "object of unknown type"
            self.objects[kind].append(element)
            if kind == "PU":
                self.around[element] = package, core
                if not element.children:
                    continue
            if "cpuset" in element.attributes and not in_io:
                near = element
            if kind == "Core":
                core = element
            elif kind == "Package":
                package = element
            elif kind == "Machine" and len(self.objects[kind]) > 1:
                raise _several(element)
            elif kind in hwloc_devices.IO:
                if not in_io:
                    self.io.append((element, near))
                in_io = True
            elif kind == "Misc" and self.version < 2 and "cpuset" in element.attributes:
                # what hwloc 2 calls so has no CPUs
                element.kind = "Group"
                self.rest.append((element, near))
            elif (
                kind in hwloc_objects.NORMAL
                or kind == hwloc_objects.MEMORY_CACHE
                or (kind == "Misc" and not in_io)
            ):
                self.rest.append((element, near))
            for child in reversed(element.children):
                if child.tag == "object":
                    trail.append((child, package, core, near, in_io))
                elif child.tag == "distances":
                    self.old_distances.append(child)

    # --- PUs

    def _find_pus(self) -> None:
        for element in self.objects["PU"]:
            cpu = element.number("os_index", LARGEST_ID)
            if cpu is None:
                raise Failure(f"{element}: a PU needs its os_index")
            if cpu in self.pus:
                raise Failure(f"{element}: there is another PU with this os_index")
            self.pus[cpu] = element
        if not self.pus:
            raise Failure(f"{self.root}: there is no PU in it: give the XML of a whole machine")
        self.online = with_object = CpuSet(self.pus)
        # hwloc 1 could be told to make objects of offline PUs
        online = self.root.bitmap("online_cpuset")
        if online is not None and online & self.online:
            self.online &= online
        self.everything = with_object | self.root.known_part("complete_cpuset")
        allowed = self.root.bitmap("allowed_cpuset")
        if allowed is not None and self.online - allowed:
            self.warnings.append(
                f"The CPUs {self.online - allowed} were closed to the one who wrote the XML (by a control group, for instance): "
                "they are taken for usable."
            )

    def _without(self, level: str) -> CpuSet:
        """Return the CPUs whose place at a level is not known yet."""
        return self.everything - CpuSet(self.places[level])

    # --- packages and cores

    def _find_packages(self) -> None:
        numbers = self._numbers([self.objects["Package"]], "Package")
        package_of = self.places["package"]
        for cpu, element in self.pus.items():
            package, _core = self.around[element]
            if package is not None:
                package_of[cpu] = numbers[package]
        self._place_offline("package", numbers)
        self._place_left_out("Package")
        stray = self._without("package") & self.online
        if stray:
            # nothing can be planned on CPUs of unknown place
            known = set(package_of.values())
            number = next(number for number in range(len(known) + 1) if number not in known)
            package_of.update(dict.fromkeys(stray, number))
            self.warnings.append(
                f"The XML has no Package around the CPUs {stray}: they are taken for package {number}."
            )

    def _find_cores(self) -> None:
        core_of, package_of_cpu = self.places["core"], self.places["package"]
        package_of = {}  # type: t.Dict[Element, t.Optional[int]]
        for cpu, element in self.pus.items():
            _package, core = self.around[element]
            if core is not None:
                package_of[core] = package_of_cpu.get(cpu)
        families = collections.defaultdict(list)  # type: t.Dict[t.Optional[int], t.List[Element]]
        for core in self.objects["Core"]:
            families[package_of.setdefault(core, None)].append(core)
        numbers = self._numbers(families.values(), "Core")
        for cpu, element in self.pus.items():
            _package, core = self.around[element]
            if core is not None:
                core_of[cpu] = numbers[core]
        for cpu, core in self._place_offline("core", numbers).items():
            package = package_of[core]
            if package is not None:
                package_of_cpu.setdefault(cpu, package)
        self._place_left_out("Core")
        stray = self._without("core") & self.online
        if stray:
            taken = set(core_of.values())
            unused = (number for number in range(len(taken) + len(stray)) if number not in taken)
            core_of.update(zip(stray, unused))
            self.warnings.append(
                f"The XML has no Core around the CPUs {stray}: each is taken for a core of its own."
            )

    def _numbers(self, families: t.Iterable[t.List[Element]], kind: str) -> t.Dict[Element, int]:
        """Return the os_index of each element; where members of a family have none, or share one, they are counted."""
        numbers = {}  # type: t.Dict[Element, int]
        counted = []  # type: t.List[Element]
        for family in families:
            told = [element.number("os_index", LARGEST_PART) for element in family]
            if None in told or len(set(told)) < len(told):
                counted += family
                told = list(range(len(family)))
            numbers.update(zip(family, t.cast("t.List[int]", told)))
        if counted:
            self.warnings.append(
                f"The {kind} objects in {lines(counted)} have no os_index, or share it with another beside them: they are numbered as they come."
            )
        return numbers

    def _place_offline(self, level: str, numbers: t.Dict[Element, int]) -> t.Dict[int, Element]:
        """Place CPUs without an object by the complete_cpuset of the objects of a level; return the object of each."""
        lost = self._without(level) - CpuSet(self.pus)
        places = {}  # type: t.Dict[int, Element]
        for element, number in numbers.items():
            # most objects have nothing offline, and reading all sets of a large machine takes long
            if element.attributes.get("complete_cpuset") != element.attributes.get("cpuset"):
                found = (element.bitmap("complete_cpuset") or CpuSet()) & lost
                self.places[level].update(dict.fromkeys(found, number))
                places.update(dict.fromkeys(found, element))
                lost -= found
        return places

    def _place_left_out(self, kind: str) -> None:
        """Place CPUs by what our own export said about objects of this kind that have no place in hwloc's tree."""
        level = kind.lower().replace("numanode", "node")
        lost = self._without(level)
        for value in self.infos.get(names.LEFT_OUT, ()):
            found = _LEFT_OUT.match(value)
            number = told_number(found.group("number"), LARGEST_PART) if found else None
            if found and number is not None and found.group("kind") == kind:
                package = told_number(found.group("package"), LARGEST_PART)
                cpus = CpuSet(
                    cpu
                    for cpu in told_mask(found.group("cpus")) & lost
                    if package is None or package == self.places["package"].get(cpu)
                )
                self.places[level].update(dict.fromkeys(cpus, number))
                lost -= cpus

    # --- NUMA nodes

    def _find_nodes(self) -> None:
        elements = self.objects["NUMANode"]
        if len(elements) > MOST_NODES:
            raise Failure(f"{elements[MOST_NODES]}: there are more than {MOST_NODES} NUMA nodes")
        if not elements:
            # hwloc 1 has none where the machine is not NUMA; the Machine has the memory then
            self._take_memory(0, self.root)
            self.places["node"].update(dict.fromkeys(self.everything, 0))
            return
        if self.ours:
            # an export adds a node where it has none to show, as hwloc wants one: Xen has no such node
            elements = [element for element in elements if element.info(names.MADE_UP) is None]
        numbers = {}  # type: t.Dict[Element, int]
        for element in elements:
            number = element.number("os_index", LARGEST_NODE)
            if number is None:
                raise Failure(f"{element}: a NUMA node needs its os_index")
            if number in self.memory:
                raise Failure(f"{element}: there is another NUMA node with this os_index")
            numbers[element] = number
            self._take_memory(number, element)
        self._share_out(numbers)

    def _take_memory(self, number: int, element: Element) -> None:
        self.memory[number] = element.number("local_memory", LARGEST_MEMORY)
        spanned = told_number(element.info(names.NODE_SPANNED), LARGEST_MEMORY)
        if self.memory[number] is None and (spanned is not None or not self.ours):
            # hwloc leaves a local_memory of 0 out; where the RAM of a Xen host is unknown, NODE_SPANNED is not there
            self.memory[number] = 0
        self.spanned[number] = self.memory[number] if spanned is None else spanned
        if element.info(names.NODE_HOLES) is not None:
            self.holes.add(number)
        self.free[number] = told_number(element.info(names.NODE_FREE), LARGEST_MEMORY)
        if self.free[number] is None and not self.ours:
            self.free[number] = self.memory[number]
        kind = element.attributes.get("subtype") or element.info("Type")
        if element.kind == "NUMANode" and kind:
            self.kinds[str(number)] = kind
        low = told_number(element.info(names.NODE_LOW), LARGEST_MEMORY)
        if low is not None and self.ours:
            self.low[str(number)] = low
        domain = told_number(element.info(names.PROXIMITY), LARGEST_PART)
        if domain is not None and self.ours:
            self.domains[str(number)] = domain

    def _share_out(self, numbers: t.Dict[Element, int]) -> None:
        """Give every CPU to one node, that with the fewest CPUs around it, and plain memory before memory of another kind."""
        self._place_left_out("NUMANode")
        local = {}  # type: t.Dict[Element, CpuSet]
        complete = {}  # type: t.Dict[Element, CpuSet]
        for element in numbers:
            told = element.info(names.LOCAL_CPUS)
            if told is None:
                local[element] = (element.bitmap("cpuset") or CpuSet()) & self.everything
                complete[element] = (
                    local[element] | (element.bitmap("complete_cpuset") or CpuSet()) & self.everything
                )
            else:
                local[element], complete[element] = (
                    CpuSet(),
                    told_set(told.partition("offline: ")[2]) & self.everything,
                )
        for sets in (local, complete):
            rest = self._without("node")
            for element in sorted(numbers, key=lambda element: (_is_special(element), len(sets[element]))):
                self.places["node"].update(dict.fromkeys(sets[element] & rest, numbers[element]))
                rest -= sets[element]
        self._keep_what_is_shared(local, numbers)

    def _keep_what_is_shared(self, local: t.Dict[Element, CpuSet], numbers: t.Dict[Element, int]) -> None:
        """Keep which CPUs a node is near to where it shares them with the node that they were given to."""
        self.node_cpus = {number: local[element] for element, number in numbers.items()}
        members = collections.defaultdict(list)  # type: t.Dict[int, t.List[int]]
        for cpu, node in self.places["node"].items():
            members[node].append(cpu)
        cpus_of = {number: CpuSet(members[number]) for number in numbers.values()}
        for element, number in numbers.items():
            lost = local[element] - cpus_of[number]
            if lost:
                self.shared[number] = local[element]
                others = CpuSet(other for other in cpus_of if cpus_of[other] & lost)
                left = "does without them" if lost != local[element] else "is taken for memory beside theirs"
                self.warnings.append(
                    f"NUMA node {number} shares the CPUs {lost} with the node{'s'[: len(others) > 1]} {others}: "
                    f"in the model a CPU has one node, so node {number} {left}."
                )

    # --- devices

    def _devices(self) -> t.Dict[str, t.Any]:
        """Return the sections about PCI devices and DMI, if there are any."""
        reader = hwloc_devices.Reader(LARGEST_NODE, self.ours, self.version)
        node_of = self.places["node"].get
        for element, near in self.io:
            # of nodes that share CPUs, the one that has them
            cpus = (near.bitmap("cpuset") or near.bitmap("complete_cpuset") or CpuSet()) & self.everything
            nodes = {node_of(cpu) for cpu in cpus}
            node = nodes.pop() if len(nodes) == 1 else None
            for other, device, kind in reader.read(element, node):
                here = self._complete(near)
                self.kept_objects.append(
                    hwloc_objects.os_device(other, here, device or near.kind, kind)
                    if other.kind == "OSDev"
                    else hwloc_objects.kept(other, here, device or near.kind)
                )
            root = _BRIDGE_ROOT.match(element.attributes.get("bridge_pci", ""))
            if root and near is not self.root and not self.ours and cpus != self.node_cpus.get(node):
                self.kept_objects.append(
                    hwloc_objects.host_bridge("pci%s:%s" % root.groups(), self._complete(near), near.kind)
                )
        self.kept.update(reader.kept)
        dmi = hwloc_devices.dmi_of(self.infos)
        return dict(reader.sections(), dmi=dmi) if dmi else reader.sections()

    def _complete(self, element: Element) -> CpuSet:
        """Return the CPUs of an object, offline ones too."""
        return (element.bitmap("complete_cpuset") or element.bitmap("cpuset") or CpuSet()) & self.everything

    def _keep_the_rest(self) -> None:
        """Keep the objects that the model has no use for."""
        for element, near in self.rest:
            if (
                element.kind == "Group"
                and self.ours
                and any(child.kind == "NUMANode" for child in element.children)
            ):
                continue  # made for that node, and will be again
            if element.kind == "Misc":
                found = hwloc_objects.kept(element, self._complete(near), near.kind)
            elif element.kind == hwloc_objects.MEMORY_CACHE:
                nodes = (element.bitmap("nodeset") or CpuSet()) & CpuSet(self.memory)
                found = hwloc_objects.memory_cache(element, self._complete(element), nodes)
            else:
                found = hwloc_objects.kept(element, self._complete(element))
            self.kept[element.attributes.get("type", "")] += 1
            self.kept_objects.append(found)

    # --- what is lost

    def _say_what_is_lost(self) -> None:
        lost = {
            kind: len(elements) - self.kept[kind]
            for kind, elements in self.objects.items()
            if kind not in KEPT
        }
        # a Group that a node of hwloc 2 hangs on says nothing beyond that node
        if self.version >= 2 and "Group" in lost:
            lost["Group"] -= sum(
                any(child.kind == "NUMANode" for child in group.children) for group in self.objects["Group"]
            )
        for tag in BESIDE:
            lost[tag] = len(self.document.below(tag))
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(lost.items()) if count)
        if told:
            self.warnings.append(f"The model has no place for these parts of the XML: {told}.")
        if not self.ours:
            self.warnings.append(
                "The XML describes a machine without a hypervisor: it is taken for an empty host, "
                "with one cpupool of all CPUs, no guests and all memory free."
            )

    # --- the raw host

    def _derive(self, devices: t.Dict[str, t.Any]) -> Topology:
        unplaced = told_set(self.info(names.UNPLACED)) & self.everything
        unknown = told_set(self.info(names.UNKNOWN)) - self.online
        online = self.online | unplaced
        size = self.everything.mask.bit_length()
        core_of, package_of, node_of = (self.places[level].get for level in ("core", "package", "node"))
        there, up, absent = ([size - 1, flag, INVALID, INVALID] for flag in (0, PCPU_ONLINE, PCPU_INVALID))
        infos = dict.fromkeys(self.everything, there)
        infos.update(dict.fromkeys(online, up))
        data = {
            "xen": self._xen(),
            "cputopo": [
                [core_of(cpu, INVALID), package_of(cpu, INVALID), node_of(cpu, INVALID)]
                for cpu in range(size)
            ],
            "pcpuinfo": [infos.get(cpu, absent) for cpu in range(size)],
            "numainfo": self._numainfo(),
            "node_memory": {
                str(node): size
                for node, size in sorted(self.memory.items())
                if size is not None and node not in self.holes
            },
            "node_low_memory": self.low,
            "node_domains": self.domains,
            "node_shared": {str(node): list(cpus) for node, cpus in sorted(self.shared.items())},
            "node_kinds": self.kinds,
            "physinfo": self._physinfo(),
            "page_size": PAGE_SIZE,
        }  # type: t.Dict[str, t.Any]
        if self.ours:
            data["px_max_mhz"] = hwloc_kinds.speeds(self.infos.get(names.PU_KHZ, ()), self.everything)
            data.update(self._cpupools())
        else:
            data.update(_empty_host(online))
        data.update(devices)
        scheduler = _scheduler_id(self.info(names.SCHEDULER))
        if scheduler is not None:
            data["sched_id"] = scheduler
        component = {"name": IMPORTED, "priority": 0, "state": "used", "reason": None}
        topology = derive(RawHost(data, [component], self.warnings))
        if not unknown:
            return topology
        return topology._replace(
            pus=tuple(pu._replace(online=None) if pu.os_index in unknown else pu for pu in topology.pus)
        )

    def _numainfo(self) -> t.Dict[str, t.Any]:
        size = max(self.memory, default=-1) + 1
        distances = hwloc_distances.Reader(
            self.document, list(self.memory), self.old_distances, self.warnings
        ).matrix()
        return {
            "memsize": [_raw(self.spanned.get(node)) for node in range(size)],
            "memfree": [_raw(self.free.get(node)) for node in range(size)],
            "distance": [
                [distances.get((source, target), INVALID) for target in range(size)]
                if (source, source) in distances
                else []
                for source in range(size)
            ],
        }

    def _physinfo(self) -> t.Dict[str, int]:
        """Return the memory of the whole machine and its clock, as far as they are told."""
        if self.ours:
            bytes_of = {
                field: told_number(self.info(names.MEMORY[field]), LARGEST) for field in Memory._fields
            }
        else:
            total = sum(size or 0 for size in self.memory.values())
            bytes_of = {"total": total, "free": total, "scrub": 0, "outstanding": 0}
        physinfo = {
            field + "_pages": size // PAGE_SIZE for field, size in bytes_of.items() if size is not None
        }
        khz = told_number(self.info(names.CPU_KHZ), LARGEST)
        if khz is not None:
            physinfo["cpu_khz"] = khz
        return physinfo

    def _xen(self) -> t.Dict[str, t.Any]:
        xen = {
            key: self.info(name)
            for key, name in (
                ("changeset", names.CHANGESET),
                ("capabilities", names.CAPABILITIES),
                ("commandline", names.COMMAND_LINE),
            )
            if name in self.infos
        }  # type: t.Dict[str, t.Any]
        found = _XEN_VERSION.match(self.info(names.VERSION) or "")
        if found:
            xen.update(major=int(found.group(1)), minor=int(found.group(2)), extraversion=found.group(3))
        return xen

    def _cpupools(self) -> t.Dict[str, t.Any]:
        if names.CPUPOOL not in self.infos:
            return {}
        pools, pool_names = [], {}
        rest = self.everything  # a CPU is in one pool at most
        for value in self.infos[names.CPUPOOL]:
            head, _between, name = value.partition(" name=")
            told = dict(part.partition("=")[::2] for part in head.split())
            number = told_number(told.get("id"), LARGEST_ID)
            if number is None:
                continue
            cpus = told_mask(told.get("cpuset")) & rest
            rest -= cpus
            pool = {"id": number, "cpus": list(cpus)}  # type: t.Dict[str, t.Any]
            for key, content in (
                ("sched_id", _scheduler_id(told.get("scheduler"))),
                ("n_dom", told_number(told.get("domains"), LARGEST)),
            ):
                if content is not None:
                    pool[key] = content
            pools.append(pool)
            if name:
                pool_names[str(number)] = name
        free = told_mask(self.info(names.CPUPOOL_FREE)) & self.everything
        return {"cpupools": pools, "cpupool_free": list(free), "cpupool_names": pool_names}


def _empty_host(online: CpuSet) -> t.Dict[str, t.Any]:
    return {
        "cpupools": [{"id": 0, "n_dom": 0, "cpus": list(online)}],
        "cpupool_free": [],
        "cpupool_names": {"0": "Pool-0"},
        "domains": [],
    }


def _is_special(element: Element) -> bool:
    """Tell whether a node is memory of another kind (HBM, NVM, of a GPU) that stands beside a processor's plain one."""
    return element.attributes.get("subtype") not in (None, "", PLAIN_MEMORY)


def _raw(value: t.Optional[int]) -> int:
    return INVALID if value is None else value


def _scheduler_id(name: t.Optional[str]) -> t.Optional[int]:
    return {known: number for number, known in SCHEDULERS.items()}.get(name or "")


def _several(element: Element) -> Failure:
    return Failure(f"the XML describes several machines, another in {element}: give the XML of one")


def _version(document: Element) -> int:
    """Return the major version of the XML; hwloc 1 did not write any."""
    if document.tag == "topologydiff":
        raise Failure(
            "this is the difference between two topologies (topologydiff): give the XML of one machine"
        )
    if document.tag != "topology":
        raise Failure(f"this is no hwloc XML: it begins with {document}, not with <topology>")
    version = document.attributes.get("version", "1.0")
    major = version.partition(".")[0]
    if major not in ("1", "2", "3"):
        raise Failure(
            f'{document}: version="{short(version)}" is not known here: write the XML anew with lstopo --export-xml-flags v2'
        )
    return int(major)


def _root(document: Element) -> Element:
    roots = document.below("object")
    if not roots:
        raise Failure(f"this XML describes no machine: there is no object in {document}")
    if len(roots) > 1:
        raise _several(roots[1])
    return roots[0]
