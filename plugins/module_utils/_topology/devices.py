# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PCI devices: what dom0's Linux is right about, and the one thing that Xen is asked for, the NUMA node. Pure."""

import typing as t

from .model import PciDevice

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
