# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PCI devices, what dom0 makes of them, and DMI, in hwloc's words, both ways. docs/hwloc.md says what is in it.

hwloc hangs a host bridge on the normal object that its bus is near to, with bridges and devices below it, and "OS devices" (network
interfaces, disks) below those. Which object that is comes from Xen, a device at a time; where the firmware is silent it is the Machine,
which to hwloc means "near to all", and an info says that it is unknown.
"""

import re
import typing as t

from .cpuset import LARGEST_ID
from .hwloc_elements import Element, told_number
from .model import PciDevice

#: Infos of the Machine: hwloc's names for the fields of DMI.
DMI_NAMES = {
    "bios_date": "DMIBIOSDate",
    "bios_vendor": "DMIBIOSVendor",
    "bios_version": "DMIBIOSVersion",
    "board_asset_tag": "DMIBoardAssetTag",
    "board_name": "DMIBoardName",
    "board_serial": "DMIBoardSerial",
    "board_vendor": "DMIBoardVendor",
    "board_version": "DMIBoardVersion",
    "chassis_asset_tag": "DMIChassisAssetTag",
    "chassis_serial": "DMIChassisSerial",
    "chassis_type": "DMIChassisType",
    "chassis_vendor": "DMIChassisVendor",
    "chassis_version": "DMIChassisVersion",
    "product_family": "DMIProductFamily",
    "product_name": "DMIProductName",
    "product_serial": "DMIProductSerial",
    "product_sku": "DMIProductSKU",
    "product_uuid": "DMIProductUUID",
    "product_version": "DMIProductVersion",
    "sys_vendor": "DMISysVendor",
}

NODE = "XenNUMANode"  # of a PCI device and of a host bridge: the node that Xen has, or "unknown"
DRIVER = "LinuxDriver"
ASSIGNABLE = "XenAssignable"
ASSIGNED_TO = "XenAssignedTo"  # the domain's id

#: hwloc_obj_osdev_type_e of hwloc 2
_OS_DEVICES = (("block", 0), ("gpu", 1), ("network", 2), ("infiniband", 3))
_OS_DEVICE_FIELDS = {number: field for field, number in _OS_DEVICES}
#: hwloc 3 has bits, of which an OS device may have several. The first that fits gives the type that hwloc 3 itself writes for hwloc 2.
_BITS = ((1 << 0 | 1 << 1, 0), (1 << 5, 3), (1 << 4, 2), (1 << 6, 4), (1 << 3, 5), (1 << 2, 1))
_COPROCESSOR = 5
_LARGEST_TYPE = 2**32 - 1
_ROOT = re.compile(r"pci([0-9a-f]{4,8}):([0-9a-f]{2})\Z")
_HIGHEST_DOMAIN = 0xFFFF
_DEEPEST = 64  # bridges above a device

# domains above ffff are those of Intel's VMD; hwloc 1 and 2 write four digits at least
_BUSID = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\Z")
# hwloc 3, also where it writes for hwloc 2, has the programming interface behind the revision
_PCI_TYPE = re.compile(
    r"([0-9a-f]{4}) \[([0-9a-f]{4}):([0-9a-f]{4})\] \[([0-9a-f]{4}):([0-9a-f]{4})\] ([0-9a-f]{2})(?: ([0-9a-f]{2}))?\Z"
)
_BUSES = re.compile(r"([0-9a-f]{4,8}):\[([0-9a-f]{2})-([0-9a-f]{2})\]\Z")

#: Objects without sets: they hang on the tree and are no part of it.
IO = frozenset(("Bridge", "PCIDev", "OSDev"))

Infos = t.List[t.Tuple[str, str]]


class IoObject:
    """An object without sets. Attributes stand in their order, texts not escaped yet."""

    __slots__ = ("attributes", "children", "infos", "kind")

    def __init__(self, kind: str, attributes: Infos, infos: t.Iterable[t.Tuple[str, t.Any]] = ()) -> None:
        self.kind = kind
        self.attributes = attributes
        self.infos = [(name, str(value)) for name, value in infos if value is not None]  # type: Infos
        self.children = []  # type: t.List[IoObject]


class Io(t.NamedTuple):
    """What hangs on the tree: host bridges by the node that each is near to, None for the Machine; `left_out`: addresses, with the reason."""

    bridges: t.Dict[t.Optional[int], t.List[IoObject]]
    left_out: t.Tuple[t.Tuple[str, str], ...]


# --- written


def dmi_infos(dmi: t.Optional[t.Dict[str, t.Optional[str]]]) -> Infos:
    """Return DMI as infos, as far as it is known."""
    return [
        (DMI_NAMES[field], value)
        for field, value in sorted((dmi or {}).items())
        if value is not None and field in DMI_NAMES
    ]


def io_objects(devices: t.Optional[t.Sequence[PciDevice]], bare: bool) -> Io:
    """Make the trees of I/O objects, one for each root of a PCI bus, in the order of their buses. `bare`: of a machine without Xen."""
    shown = [device for device in devices or () if _domain(device.address) <= _HIGHEST_DOMAIN]
    known = {device.address: device for device in shown}
    roots = {}  # type: t.Dict[t.Tuple[int, int], t.List[PciDevice]]
    below = {}  # type: t.Dict[str, t.List[PciDevice]]
    for device in shown:
        if device.parent in known and _is_bridge(known[device.parent]) and device.parent != device.address:
            below.setdefault(device.parent, []).append(device)
        else:
            roots.setdefault(_root_of(device), []).append(device)
    bridges = {}  # type: t.Dict[t.Optional[int], t.List[IoObject]]
    placed = set()  # type: t.Set[str]
    for (domain, bus), members in sorted(roots.items()):
        seen = set()  # type: t.Set[str]
        children = [_device(member, below, 1, seen, bare) for member in members]
        placed |= seen
        everybody = [known[address] for address in seen]
        nodes = sorted({device.node for device in everybody if device.node is not None})
        node = nodes[0] if len(nodes) == 1 else None
        last = max(max((_bus(device.address),) + (device.buses or ())) for device in everybody)
        bridge = IoObject(
            "Bridge",
            [
                ("bridge_type", "0-1"),
                ("depth", "0"),
                ("bridge_pci", "%04x:[%02x-%02x]" % (domain, bus, max(bus, last))),
            ],
            [] if bare else [(NODE, node if node is not None else "several" if nodes else "unknown")],
        )
        bridge.children = children
        bridges.setdefault(node, []).append(bridge)
    return Io(
        bridges,
        tuple(
            (
                device.address,
                "is below itself, or below more bridges than a machine has"
                if device.address in known
                else "hwloc has no PCI domain above ffff",
            )
            for device in devices or ()
            if device.address not in placed
        ),
    )


def _device(
    device: PciDevice,
    below: t.Dict[str, t.List[PciDevice]],
    depth: int,
    seen: t.Set[str],
    bare: bool,
) -> IoObject:
    seen.add(device.address)
    what = [
        ("pci_busid", device.address),
        (
            "pci_type",
            "%s [%s:%s] [%s] %02x %s"
            % (
                device.class_id[:4],
                device.vendor_id,
                device.device_id,
                device.subsystem_id,
                device.revision,
                device.class_id[4:],
            ),
        ),
        ("pci_link_speed", "0.000000"),
    ]
    infos = [
        ("PCIVendor", device.vendor),
        ("PCIDevice", device.device),
        (NODE, None if bare else "unknown" if device.node is None else device.node),
        (DRIVER, device.driver),
        (ASSIGNABLE, "yes" if device.assignable and not bare else None),
        (ASSIGNED_TO, None if bare else device.assigned_to),
    ]
    if not _is_bridge(device):
        made = IoObject("PCIDev", what, infos)
    else:
        buses = device.buses or (0, 0)
        bridge = [
            ("bridge_type", "1-1"),
            ("depth", str(depth)),
            ("bridge_pci", "%04x:[%02x-%02x]" % (_domain(device.address), buses[0], buses[1])),
        ]
        made = IoObject("Bridge", bridge + what, infos)
        # a device that claims to be below itself is not gone through again
        made.children = [
            _device(child, below, depth + 1, seen, bare)
            for child in below.get(device.address, ())
            if child.address not in seen and depth < _DEEPEST
        ]
    for field, kind in _OS_DEVICES:
        for name in getattr(device, field):
            made.children.append(IoObject("OSDev", [("name", name), ("osdev_type", str(kind))]))
    return made


def _is_bridge(device: PciDevice) -> bool:
    """Whether it is a PCI-to-PCI bridge that has buses behind it."""
    return device.class_id.startswith("0604") and device.buses is not None and len(device.buses) == 2


def _domain(address: str) -> int:
    return int(address.partition(":")[0], 16)


def _bus(address: str) -> int:
    return int(address.split(":")[1], 16)


def _root_of(device: PciDevice) -> t.Tuple[int, int]:
    """Domain and bus of the root that a device hangs on; its own bus where the parent is none that is known."""
    match = _ROOT.match(device.parent or "")
    if match and int(match.group(1), 16) == _domain(device.address):
        return int(match.group(1), 16), int(match.group(2), 16)
    return _domain(device.address), _bus(device.address)


# --- read


def dmi_of(infos: t.Mapping[str, t.List[str]]) -> t.Dict[str, str]:
    """Return what the infos of a Machine have of DMI."""
    return {field: infos[name][0] for field, name in DMI_NAMES.items() if name in infos}


class Reader:
    """Reads I/O objects as the sections of a `RawHost`. `ours`: they come from our own export, which says of each device where it is.

    `version` is the major version of the XML. `kept` counts the objects of each kind that were taken over.
    """

    def __init__(self, largest_node: int, ours: bool, version: int) -> None:
        self.largest_node = largest_node
        self.ours = ours
        self.version = version
        self.kept = {}  # type: t.Dict[str, int]
        self.devices = {}  # type: t.Dict[str, t.Dict[str, t.Any]]
        self.nodes = {}  # type: t.Dict[str, int]
        self.names = {}  # type: t.Dict[str, str]
        self.assigned = {}  # type: t.Dict[str, int]

    def sections(self) -> t.Dict[str, t.Any]:
        """Return the sections about PCI devices, if there are any."""
        if not self.devices:
            return {}
        return {
            "pci_devices": list(self.devices.values()),
            "pci_nodes": self.nodes,
            "pci_names": self.names,
            "pci_assigned": self.assigned,
        }

    def read(
        self, root: Element, node: t.Optional[int]
    ) -> t.List[t.Tuple[Element, t.Optional[str], t.Optional[int]]]:
        """Take over an I/O object and those below it. `node` is the one that the object it hangs on belongs to, if that is just one.

        Return the OS devices and Misc objects that are not taken over, each with the PCI device that it hangs on and an OS device's type.
        """
        others = []  # type: t.List[t.Tuple[Element, t.Optional[str], t.Optional[int]]]
        trail = [(root, None, None)]  # type: t.List[t.Tuple[Element, t.Any, t.Any]]
        while trail:
            element, parent, device = trail.pop()
            if element.kind in ("Bridge", "PCIDev"):
                device = _read_device(element, parent)
                if device is not None and device["address"] not in self.devices:
                    self._keep(element, device, node)
                    parent = device["address"]
                elif device is not None:
                    device = None  # there is one of this address already
                elif element.kind == "Bridge":
                    buses = _BUSES.match(element.attributes.get("bridge_pci", ""))
                    parent = "pci%s:%s" % buses.group(1, 2) if buses else None
                    self._count("Bridge")
            elif element.kind == "OSDev":
                kind = self._type(element)
                field = _OS_DEVICE_FIELDS.get(kind)  # type: ignore[arg-type]
                called = element.attributes.get("name")
                self._count("OSDev")
                if field and called and device is not None and not _is_memory(element):
                    device["interfaces"].setdefault(field, []).append(called)
                else:
                    others.append((element, device and device["address"], kind))
            elif element.kind == "Misc":
                self._count("Misc")
                others.append((element, device and device["address"], None))
            trail += [(child, parent, device) for child in reversed(element.below("object"))]
        return others

    def _type(self, element: Element) -> t.Optional[int]:
        """Return an OS device's type as hwloc 2 has it; None where there is none that it knows."""
        told = told_number(element.attributes.get("osdev_type"), _LARGEST_TYPE)
        if told is None or self.version < 3:
            return told
        found = next((number for bits, number in _BITS if told & bits), None)
        if found == _COPROCESSOR and element.attributes.get("name", "").startswith(("nvml", "rsmi")):
            return 1
        return found

    def _count(self, kind: str) -> None:
        self.kept[kind] = self.kept.get(kind, 0) + 1

    def _keep(self, element: Element, device: t.Dict[str, t.Any], near: t.Optional[int]) -> None:
        self._count(element.kind)
        address = device["address"]
        self.devices[address] = device
        vendor = "%04x" % device["vendor"]
        for key, name in ((vendor, "PCIVendor"), ("%s:%04x" % (vendor, device["device"]), "PCIDevice")):
            told = element.info(name)
            if told:
                self.names[key] = told
        node = told_number(element.info(NODE), self.largest_node) if self.ours else near
        if node is not None:
            self.nodes[address] = node
        owner = told_number(element.info(ASSIGNED_TO), LARGEST_ID)
        if owner is not None:
            self.assigned[address] = owner


def _is_memory(element: Element) -> bool:
    """Tell what hwloc 2 counts among the disks and hwloc 3 no longer does: memory that is a device."""
    return (
        element.attributes.get("name", "").startswith("dax") or element.attributes.get("subtype") == "CXLMem"
    )


def _read_device(element: Element, parent: t.Optional[str]) -> t.Optional[t.Dict[str, t.Any]]:
    """Return a PCI device or bridge as its section has it; None for a host bridge, and for what cannot be read."""
    address = element.attributes.get("pci_busid", "")
    kind = _PCI_TYPE.match(element.attributes.get("pci_type", ""))
    if not _BUSID.match(address) or not kind:
        return None
    numbers = [int(part, 16) for part in kind.groups("00")]
    device = {
        "address": address,
        "class": numbers[0] << 8 | numbers[6],
        "vendor": numbers[1],
        "device": numbers[2],
        "subsystem_vendor": numbers[3],
        "subsystem_device": numbers[4],
        "revision": numbers[5],
        "driver": element.info(DRIVER),
        "parent": parent,
        "interfaces": {},
    }  # type: t.Dict[str, t.Any]
    buses = _BUSES.match(element.attributes.get("bridge_pci", ""))
    if element.kind == "Bridge" and buses:
        device["buses"] = [int(buses.group(2), 16), int(buses.group(3), 16)]
    return device
