# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PCI devices and DMI: from a tree of files, and from xenstore."""

import os

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._discovery import pci, pci_reading, registry
from ansible_collections.dom0.xen.plugins.module_utils._discovery.component import Request
from ansible_collections.dom0.xen.plugins.module_utils._discovery.dmi import Dmi
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xenstore
from ansible_collections.dom0.xen.plugins.module_utils._topology import devices
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.recording import from_recording
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import made_host

UEVENT = "DRIVER=%s\nPCI_CLASS=%X\nPCI_ID=%s\nPCI_SUBSYS_ID=1AF4:1100\nPCI_SLOT_NAME=%s\nMODALIAS=pci:x\n"

PCI_IDS = """\
# a comment
1af4  Red Hat, Inc.
\t1000  Virtio network device
\t1001  Virtio block device
\t\t1af4 0002  a subsystem
1b36  Red Hat, Inc. (QEMU)
\t000c  QEMU PCIe Root port
8086  Intel Corporation
C 01  Mass storage controller
"""


def device(root, path, kind, ids, driver="", config=b""):
    """A device at sys/devices/`path`, and the links that lead to it."""
    address = path.rsplit("/", 1)[-1]
    folder = root / "sys/devices" / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "uevent").write_text(UEVENT % (driver, kind, ids, address))
    (folder / "revision").write_text("0x02\n")
    (folder / "config").write_bytes(config)
    (folder / "numa_node").write_text("0\n")
    if driver:
        home = root / "sys/bus/pci/drivers" / driver
        home.mkdir(parents=True, exist_ok=True)
        (folder / "driver").symlink_to("../" * 8 + "bus/pci/drivers/" + driver)
    listed = root / "sys/bus/pci/devices"
    listed.mkdir(parents=True, exist_ok=True)
    (listed / address).symlink_to("../../../devices/" + path)


def interface(root, folder, name, path):
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / name).symlink_to("../../devices/" + path)


@pytest.fixture
def tree(tmp_path):
    device(tmp_path, "pci0000:00/0000:00:02.0", 0x020000, "1AF4:1000", "virtio-pci")
    device(tmp_path, "pci0000:00/0000:00:01.0", 0x010000, "1AF4:1001", "virtio-pci")
    bridge = bytes(0x18) + bytes([0x40, 0x41, 0x41]) + bytes(64 - 0x1B)
    device(tmp_path, "pci0000:40/0000:40:00.0", 0x060400, "1B36:000C", "pcieport", bridge)
    device(tmp_path, "pci0000:40/0000:40:00.0/0000:41:00.0", 0x020000, "8086:10FB", "pciback")
    device(tmp_path, "pci10000:e0/10000:e1:00.0", 0x010802, "8086:0A54")
    interface(tmp_path, "sys/class/net", "lo", "virtual/net/lo")
    interface(tmp_path, "sys/class/net", "enp0s2", "pci0000:00/0000:00:02.0/virtio1/net/enp0s2")
    interface(tmp_path, "sys/block", "vda", "pci0000:00/0000:00:01.0/virtio0/block/vda")
    interface(tmp_path, "sys/block", "cciss!c0d0", "pci10000:e0/10000:e1:00.0/cciss0/block/cciss!c0d0")
    interface(tmp_path, "sys/block", "loop0", "virtual/block/loop0")
    interface(tmp_path, "sys/class/drm", "card0-VGA-1", "pci0000:00/0000:00:02.0/drm/card0/card0-VGA-1")
    (tmp_path / "usr/share/misc").mkdir(parents=True)
    (tmp_path / "usr/share/misc/pci.ids").write_text(PCI_IDS)
    return tmp_path


def heard(root):
    request = Request(frozenset({"pci"}), None, None, str(root))
    return pci.Pci().collect(request, {}).sections


def found(root, **more):
    host = made_host(**dict(heard(root), **more))
    from_recording(host.to_recording())
    return {item.address: item for item in derive(host).pci_devices}


def test_devices_with_drivers_names_and_interfaces(tree):
    all_of_them = found(tree)
    assert list(all_of_them) == [
        "0000:00:01.0",
        "0000:00:02.0",
        "0000:40:00.0",
        "0000:41:00.0",
        "10000:e1:00.0",
    ]
    card = all_of_them["0000:00:02.0"]
    assert (card.class_name, card.class_id, card.vendor_id, card.device_id) == (
        "network",
        "020000",
        "1af4",
        "1000",
    )
    assert (card.vendor, card.device) == ("Red Hat, Inc.", "Virtio network device")
    assert (card.subsystem_id, card.revision, card.driver) == ("1af4:1100", 2, "virtio-pci")
    assert (card.network, card.gpu, card.parent) == (("enp0s2",), (), "pci0000:00")
    assert all_of_them["0000:00:01.0"].block == ("vda",)
    assert all_of_them["10000:e1:00.0"].block == ("cciss/c0d0",)
    assert all_of_them["10000:e1:00.0"].driver is None


def test_bridges(tree):
    all_of_them = found(tree)
    bridge, behind = all_of_them["0000:40:00.0"], all_of_them["0000:41:00.0"]
    assert (bridge.class_name, bridge.buses, bridge.parent) == ("bridge", (0x41, 0x41), "pci0000:40")
    assert (behind.parent, behind.vendor, behind.device) == ("0000:40:00.0", "Intel Corporation", None)


def test_node_is_xens_and_never_linuxs(tree):
    nodes = {"0000:00:01.0": 0xFFFFFFFF, "0000:40:00.0": 1, "0000:41:00.0": 0xFFFFFFFE, "10000:e1:00.0": 7}
    found_nodes = [item.node for item in found(tree, pci_nodes=nodes).values()]
    # unknown to the firmware, not asked about, known, unknown to Xen, a node that the host does not have
    assert found_nodes == [None, None, 1, None, None]


def test_devices_of_guests(tree):
    all_of_them = found(tree, pci_assigned={"0000:41:00.0": 5})
    assert (all_of_them["0000:41:00.0"].assignable, all_of_them["0000:41:00.0"].assigned_to) == (True, 5)
    assert (all_of_them["0000:00:02.0"].assignable, all_of_them["0000:00:02.0"].assigned_to) == (False, None)


def test_facts_of_devices_and_dmi_can_be_read_back(tree):
    topology = derive(made_host(**dict(heard(tree), dmi={"sys_vendor": "QEMU"})))
    facts = to_facts(topology)
    assert facts["dmi"]["sys_vendor"] == "QEMU"
    assert facts["dmi"]["product_serial"] is None
    assert from_facts(facts) == topology
    assert "pci_devices" not in to_facts(derive(made_host()))
    assert "dmi" not in to_facts(derive(made_host()))


def test_device_that_goes_away_is_left_out(tree):
    os.unlink(str(tree / "sys/devices/pci0000:00/0000:00:02.0/uevent"))
    assert "0000:00:02.0" not in found(tree)


def test_nothing_there(tmp_path):
    assert heard(tmp_path) == {"pci_devices": [], "pci_names": {}}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([(0x1AF4, 0x1001)], {"1af4": "Red Hat, Inc.", "1af4:1001": "Virtio block device"}),
        ([(0x1AF4, 0x000C)], {"1af4": "Red Hat, Inc."}),
        ([(0x8086, 0x0001)], {"8086": "Intel Corporation"}),
        ([(0xFFFF, 0)], {}),
    ],
)
def test_names_of_vendors_and_devices(wanted, expected):
    assert pci_reading.names(PCI_IDS.encode(), wanted) == expected
    assert pci_reading.names(b"", wanted) == {}


def test_every_class_has_a_word():
    assert len(set(devices.CLASSES.values())) == len(devices.CLASSES)


# ---- DMI ----


@pytest.fixture
def firmware(tmp_path):
    folder = tmp_path / "sys/class/dmi/id"
    folder.mkdir(parents=True)
    for field, text in (("sys_vendor", "QEMU\n"), ("product_serial", "123\n"), ("board_name", "  \n")):
        (folder / field).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("subset", "expected"),
    [
        ({"dmi"}, {"sys_vendor": "QEMU"}),
        ({"dmi", "serials"}, {"sys_vendor": "QEMU", "product_serial": "123"}),
    ],
)
def test_dmi(firmware, subset, expected):
    request = Request(frozenset(subset), None, None, str(firmware))
    assert Dmi().collect(request, {}).sections == {"dmi": expected}


def test_dmi_of_a_machine_that_has_none(tmp_path):
    request = Request(frozenset({"dmi"}), None, None, str(tmp_path))
    assert Dmi().collect(request, {}).sections == {"dmi": {}}


def test_serials_are_in_no_recording_unless_asked_for(firmware, tree):
    everything = frozenset(registry.SUBSETS)
    request = Request(everything, None, None, str(firmware))
    assert "123" not in str(Dmi().collect(request, {}).sections)


# ---- xenstore ----


class Store:
    """Stands for a connection; `values` by path."""

    def __init__(self, values):
        self.values = values

    def directory(self, path):
        below = [name[len(path) + 1 :] for name in self.values if name.startswith(path + "/")]
        return sorted({name.split("/")[0] for name in below})

    def read(self, path):
        return self.values.get(path)


def test_assigned_devices():
    folder = "/local/domain/0/backend/pci/"
    store = Store(
        {
            folder + "5/0/num_devs": b"2",
            folder + "5/0/dev-0": b"0000:41:00.0",
            folder + "5/0/dev-1": b"0000:03:1f.07",
            folder + "5/0/vdev-0": b"0000:00:00.0",
            folder + "12/0/dev-0": b"0000:03:1F.1",
            folder + "12/0/dev-1": b"what is this",
        }
    )
    assert xenstore.assigned_devices(store) == {"0000:41:00.0": 5, "0000:03:1f.7": 5, "0000:03:1f.1": 12}
    assert xenstore.assigned_devices(Store({})) == {}
