# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PCI devices and DMI: what dom0's Linux is right about, and the one thing that Xen is asked for, the NUMA node. Pure."""

import typing as t

#: Fields of DMI as Linux calls them, without those that single out one machine.
DMI_FIELDS = (
    "bios_date",
    "bios_vendor",
    "bios_version",
    "board_name",
    "board_vendor",
    "board_version",
    "chassis_type",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_sku",
    "product_version",
    "sys_vendor",
)
#: Those that do.
DMI_SERIALS = (
    "board_asset_tag",
    "board_serial",
    "chassis_asset_tag",
    "chassis_serial",
    "product_serial",
    "product_uuid",
)

#: Base classes of the PCI Code and ID Assignment Specification, in the words of these facts.
CLASSES = {
    0x00: "unclassified",
    0x01: "storage",
    0x02: "network",
    0x03: "display",
    0x04: "multimedia",
    0x05: "memory",
    0x06: "bridge",
    0x07: "communication",
    0x08: "system",
    0x09: "input",
    0x0A: "docking",
    0x0B: "processor",
    0x0C: "serial_bus",
    0x0D: "wireless",
    0x0E: "intelligent_io",
    0x0F: "satellite",
    0x10: "encryption",
    0x11: "signal_processing",
    0x12: "accelerator",
    0x13: "instrumentation",
    0x40: "coprocessor",
}
#: Linux's drivers that keep a device for a guest: of the mainline kernel, of older and other ones.
_BACKENDS = ("pciback", "xen-pciback", "xen_pciback")
_LEAST_INVALID = 0xFFFFFFFE  # XEN_INVALID_DEV, XEN_INVALID_NODE_ID


class PciDevice(t.NamedTuple):
    """A PCI device. `address` is domain:bus:device.function; identities are hexadecimal, as lspci -n writes them.

    `node` is None where the firmware does not say where the device is. `parent` is the bridge above it by its address, or the root as Linux
    calls it, ``pci0000:40``; `buses` are a bridge's secondary and subordinate bus. `assignable`: kept for guests; `assigned_to`: the domain
    that has it. The names in `network`, `block`, `infiniband` and `gpu` are dom0's.
    """

    address: str
    class_name: str
    class_id: str
    vendor_id: str
    device_id: str
    subsystem_id: str
    revision: int
    vendor: t.Optional[str]
    device: t.Optional[str]
    node: t.Optional[int]
    driver: t.Optional[str]
    assignable: bool
    assigned_to: t.Optional[int]
    network: t.Tuple[str, ...]
    block: t.Tuple[str, ...]
    infiniband: t.Tuple[str, ...]
    gpu: t.Tuple[str, ...]
    parent: t.Optional[str]
    buses: t.Optional[t.Tuple[int, ...]]


def pci_devices(heard: t.Dict[str, t.Any], nodes: t.AbstractSet[int]) -> t.Optional[t.Tuple[PciDevice, ...]]:
    """The devices by address; None when nobody asked for them. `nodes` are those of the host."""
    if "pci_devices" not in heard:
        return None
    names = heard.get("pci_names", {})
    places = heard.get("pci_nodes", {})
    assigned = heard.get("pci_assigned", {})
    found = []
    for device in sorted(heard["pci_devices"], key=lambda device: _order(device["address"])):
        address = device["address"]
        vendor = "%04x" % device["vendor"]
        node = places.get(address)
        interfaces = device.get("interfaces", {})
        found.append(
            PciDevice(
                address=address,
                class_name=CLASSES.get(device["class"] >> 16, "other"),
                class_id="%06x" % device["class"],
                vendor_id=vendor,
                device_id="%04x" % device["device"],
                subsystem_id="%04x:%04x"
                % (device.get("subsystem_vendor", 0), device.get("subsystem_device", 0)),
                revision=device.get("revision", 0),
                vendor=names.get(vendor),
                device=names.get("%s:%04x" % (vendor, device["device"])),
                node=None if node is None or node >= _LEAST_INVALID or node not in nodes else node,
                driver=device.get("driver"),
                assignable=device.get("driver") in _BACKENDS,
                assigned_to=assigned.get(address),
                parent=device.get("parent") or None,
                buses=tuple(device["buses"]) if "buses" in device else None,
                **{
                    kind: tuple(interfaces.get(kind, ()))
                    for kind in ("network", "block", "infiniband", "gpu")
                },
            )
        )
    return tuple(found)


def _order(address: str) -> t.Tuple[int, str]:
    """Domains are numbers of unequal length."""
    return len(address), address


def dmi(heard: t.Dict[str, t.Any]) -> t.Optional[t.Dict[str, t.Optional[str]]]:
    """Every field of DMI, None for what the firmware does not say or nobody asked for; None altogether when it was not heard."""
    if "dmi" not in heard:
        return None
    said = heard["dmi"]
    return {field: said.get(field) for field in sorted(DMI_FIELDS + DMI_SERIALS)}
