# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what Linux in dom0 has of PCI devices.

Sources: sysfs (Documentation/ABI/testing/sysfs-bus-pci of Linux), the file pci.ids of the pciutils project where the host has it.
"""

import os
import re
import typing as t

from .component import Heard

ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\Z")
PCI_IDS = ("usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids", "usr/share/pci.ids")
PCI_IDS_MOST = 16 << 20  # bytes; the file has 1.5 million
_NEXT_VENDOR = re.compile(rb"\n[^\t#\n]")

#: What Linux makes of devices: the folder that lists them, with what these facts call them.
INTERFACES = (
    ("network", "sys/class/net"),
    ("block", "sys/block"),
    ("infiniband", "sys/class/infiniband"),
    ("gpu", "sys/class/drm"),
)
_BRIDGE = 0x0604


def read(root: str) -> Heard:
    """List the devices. A host without PCI has none."""
    folder = os.path.join(root, "sys/bus/pci/devices")
    try:
        addresses = sorted(name for name in os.listdir(folder) if ADDRESS.match(name))
    except OSError:
        addresses = []
    interfaces = _interfaces(root)
    devices = []
    for address in addresses:
        device = _device(os.path.join(folder, address))
        if device is not None:
            device.update(address=address, interfaces=interfaces.get(address, {}))
            devices.append(device)
    sections: t.Dict[str, t.Any] = {"pci_devices": devices}
    wanted = {(device["vendor"], device["device"]) for device in devices}
    sections["pci_names"] = names(_pci_ids(root), wanted)
    return Heard(sections)


def _read(path: str, size: int = 4096) -> bytes:
    """What is in the file, nothing when it cannot be read: a device may go away at any moment."""
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except OSError:
        return b""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _device(path: str) -> t.Optional[t.Dict[str, t.Any]]:
    """One device; None when it went away meanwhile."""
    said = dict(
        line.partition("=")[::2]
        for line in _read(os.path.join(path, "uevent")).decode("ascii", "replace").splitlines()
    )
    ids = [_pair(said.get(key, "")) for key in ("PCI_ID", "PCI_SUBSYS_ID")]
    kind = re.match(r"[0-9A-Fa-f]{1,6}\Z", said.get("PCI_CLASS", ""))
    if ids[0] is None or kind is None:
        return None
    revision = re.match(rb"0x([0-9a-f]{2})\s*\Z", _read(os.path.join(path, "revision")))
    above = os.path.basename(os.path.dirname(_link(path)))
    device: t.Dict[str, t.Any] = {
        "class": int(kind.group(), 16),
        "vendor": ids[0][0],
        "device": ids[0][1],
        "subsystem_vendor": ids[1][0] if ids[1] else 0,
        "subsystem_device": ids[1][1] if ids[1] else 0,
        "revision": int(revision.group(1), 16) if revision else 0,
        "driver": os.path.basename(_link(os.path.join(path, "driver"))) or said.get("DRIVER") or None,
        # a bridge's address, or the root that it hangs on, "pci0000:40"
        "parent": above,
    }
    if device["class"] >> 8 == _BRIDGE:
        # PCI-to-PCI bridge: secondary and subordinate bus number (PCI Local Bus Specification, type 1 header)
        config = _read(os.path.join(path, "config"), 64)
        if len(config) == 64:
            device["buses"] = [config[0x19], config[0x1A]]
    return device


def _pair(text: str) -> t.Optional[t.Tuple[int, int]]:
    match = re.match(r"([0-9A-Fa-f]{4}):([0-9A-Fa-f]{4})\Z", text)
    return (int(match.group(1), 16), int(match.group(2), 16)) if match else None


def _interfaces(root: str) -> t.Dict[str, t.Dict[str, t.List[str]]]:
    """The names of network interfaces, disks and so on, by the address of the device that each belongs to."""
    found: t.Dict[str, t.Dict[str, t.List[str]]] = {}
    for kind, folder in INTERFACES:
        try:
            listed = sorted(os.listdir(os.path.join(root, folder)))
        except OSError:
            continue
        for name in listed:
            if kind == "gpu" and not re.match(r"card[0-9]+\Z", name):
                continue  # its connectors
            above = [
                part for part in _link(os.path.join(root, folder, name)).split("/") if ADDRESS.match(part)
            ]
            if above:
                # the kernel writes ! for / in names
                found.setdefault(above[-1], {}).setdefault(kind, []).append(name.replace("!", "/"))
    return found


def _pci_ids(root: str) -> bytes:
    for path in PCI_IDS:
        text = _read(os.path.join(root, path), PCI_IDS_MOST)
        if text:
            return text
    return b""


def names(text: bytes, wanted: t.Iterable[t.Tuple[int, int]]) -> t.Dict[str, str]:
    """Look up vendors and devices in the text of pci.ids: names by "8086" and "8086:2918". What it does not have is left out.

    The file has more than a megabyte and is sorted by vendor: it is gone through once, and only names are decoded.
    """
    text = b"\n" + text
    devices: t.Dict[int, t.List[int]] = {}
    for vendor, device in sorted(wanted):
        devices.setdefault(vendor, []).append(device)
    found: t.Dict[str, str] = {}
    end = 0
    for vendor, its in devices.items():
        title = b"\n%04x  " % vendor
        start = text.find(title, end)
        if start < 0:
            start = text.find(title)
        if start < 0:
            continue
        after = _NEXT_VENDOR.search(text, start + 1)
        end = after.start() if after else len(text)
        key = "%04x" % vendor
        found[key] = _line(text, start + len(title))
        for device in its:
            title = b"\n\t%04x  " % device
            line = text.find(title, start, end)
            if line >= 0:
                found["%s:%04x" % (key, device)] = _line(text, line + len(title))
    return found


def _line(text: bytes, start: int) -> str:
    """The rest of the line, without the blanks at its end."""
    end = text.find(b"\n", start)
    return text[start : end if end >= 0 else len(text)].decode("utf-8", "replace").strip()
