# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the components hear, from a Xen that plays recordings, from a tree of files, from a xenstore."""

import copy
import errno

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._discovery import names, registry
from ansible_collections.dom0.xen.plugins.module_utils._discovery.acpi import Acpi
from ansible_collections.dom0.xen.plugins.module_utils._discovery.collecting import collect
from ansible_collections.dom0.xen.plugins.module_utils._discovery.component import Request
from ansible_collections.dom0.xen.plugins.module_utils._discovery.dom0 import Dom0
from ansible_collections.dom0.xen.plugins.module_utils._discovery.hypercall import Hypercall
from ansible_collections.dom0.xen.plugins.module_utils._discovery.memory_by_node import MemoryByNode
from ansible_collections.dom0.xen.plugins.module_utils._discovery.names import Names
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.xenstore import Xenstore, XenstoreError
from ansible_collections.dom0.xen.plugins.module_utils._topology.recording import from_recording
from ansible_collections.dom0.xen.plugins.module_utils._xen import _xen_ffi, errors
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    recording,
    recording_names,
)

needs_binding = pytest.mark.skipif(_xen_ffi.ffi is None, reason="this Python has no _cffi_backend")

if _xen_ffi.ffi is not None:
    from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen

OLD = ((4, 13), 0x12, 0x12)
NEW = ((4, 17), 0x15, 0x15)
# What this component does not hear.
OTHERS = {
    "domain_names",
    "cpupool_names",
    "dom0_linux",
    "acpi",
    "unanswered",
    "pci_devices",
    "pci_names",
    "pci_assigned",
    "dmi",
}


class Whole(MemoryByNode, Hypercall):
    """All that the hypervisor can be asked, as tools/record_host.py does."""


def fake_xen(name="small-guests", version=NEW):
    return FakeXen(copy.deepcopy(recording(name).data), *version)


def hear(fake, *subset, root="/nowhere"):
    """The component's answer, as it would stand in a recording."""
    request = Request(frozenset(subset) | {"topology"}, lambda: Xen(fake, machine="x86_64"), root=root)
    heard = Whole().collect(request, {})
    assert not fake.memory.live
    assert fake.opened == fake.closed == 1
    from_recording(
        {"recording": 1, "components": [], "warnings": list(heard.warnings), "data": heard.sections}
    )
    return heard


@needs_binding
@pytest.mark.parametrize("name", recording_names())
@pytest.mark.parametrize("version", [NEW, OLD])
def test_recording_is_heard_as_it_was_recorded(name, version):
    fake = fake_xen(name, version)
    heard_then = recording(name).data
    wanted = {section: value for section, value in heard_then.items() if section not in OTHERS}
    wanted["xen"].update(
        major=version[0][0],
        minor=version[0][1],
        interface={"sysctl": version[1], "domctl": version[2], "platform": 0x03000001, "known": True},
    )
    subset = {"domains", "memory_by_node"} & set(wanted)
    heard = hear(fake, *subset)
    # the fake passes on PCI devices only if sysfs has some
    wanted.pop("pci_nodes", None)
    heard.sections.pop("pci_nodes", None)
    # that no CPU has a frequency was heard without a reason once
    if wanted.get("px_max_mhz") == {}:
        del wanted["px_max_mhz"]
    missing = {"memory_map", "cpu_policy", "px_max_mhz", "sched_gran"} - set(wanted)
    assert len(heard.sections.pop("unanswered")) == len(missing)
    assert heard.sections == wanted
    assert heard.warnings == []


@needs_binding
def test_hypercalls_are_counted():
    fake = fake_xen()
    heard = hear(fake, "domains")
    assert heard.hypercalls == len(fake.asked)


@needs_binding
@pytest.mark.parametrize("name", ["quad", "quad-smt-off", "sparse-offline", "small-busy", "shuffled"])
@pytest.mark.parametrize("subset", [(), ("domains",)])
def test_hypercalls_are_as_many_as_the_documentation_says(name, subset):
    """docs/facts.md, "What it costs"."""
    fake = fake_xen(name)
    domains = fake.data["domains"] if subset else fake.data["domains"][:1]
    vcpus = sum(len(domain["vcpus"]) for domain in domains)
    expected = 19 + len(fake.data["pcpuinfo"]) + 2 * len(fake.data["cpupools"]) + 2 * vcpus
    if subset:
        expected += len(domains)
    # two where dom0 has no P-states, one where Xen refuses to tell of any
    expected += 2 if "px_max_mhz" in fake.data else 1
    heard = hear(fake, *subset, root="/")
    expected += "pcitopoinfo" in fake.asked
    assert heard.hypercalls == len(fake.asked) == expected


@needs_binding
def test_without_domains_dom0s_vcpus_are_heard():
    fake = fake_xen()
    heard = hear(fake)
    assert "domains" not in heard.sections
    assert heard.sections["dom0_vcpus"] == fake.data["domains"][0]["vcpus"]


@needs_binding
def test_online_cpus_that_are_filtered_are_a_warning():
    fake = fake_xen()
    fake.faults["get_cpuinfo"] = errno.ENOSYS
    heard = hear(fake)
    assert "pcpuinfo" not in heard.sections
    assert len(heard.warnings) == 1
    assert "cpupools instead" in heard.warnings[0]


@needs_binding
def test_cpus_beyond_the_last_online_one_are_heard():
    """Xen 4.11 ends the topology at the last online CPU; the platform's answer says how many are present."""
    fake = fake_xen("small-offline")
    fake.data["cputopo"] = fake.data["cputopo"][:6]
    heard = hear(fake)
    assert len(heard.sections["cputopo"]) == 6
    assert heard.sections["pcpuinfo"] == fake.data["pcpuinfo"]


@needs_binding
def test_platform_that_claims_too_much_does_not_go_on_for_ever():
    fake = fake_xen()
    fake.data["pcpuinfo"] = [[1 << 30, 1, cpu, cpu] for cpu in range(8)]
    assert len(hear(fake).sections["pcpuinfo"]) == 8


@needs_binding
@pytest.mark.parametrize("question", ["getnodeaffinity", "getvcpuinfo", "getvcpuaffinity"])
def test_domain_that_ends_meanwhile_is_left_out(question):
    fake = fake_xen()

    def end(domid):
        if domid == 3:
            fake.forget(3)

    fake.on[question] = end
    heard = hear(fake, "domains")
    assert [domain["domain"] for domain in heard.sections["domains"]] == [0, 2, 4]
    assert heard.warnings == []


@needs_binding
def test_domain_whose_number_is_taken_over_meanwhile_is_left_out():
    fake = fake_xen()

    def replace(domid):
        if domid == 3:
            fake.domain(3).update(handle="f" * 32, vcpus=[])

    fake.on["getvcpuaffinity"] = replace
    heard = hear(fake, "domains")
    assert [domain["domain"] for domain in heard.sections["domains"]] == [0, 2, 4]


@needs_binding
def test_gap_in_a_domains_vcpus():
    fake = fake_xen()
    del fake.domain(2)["vcpus"][1]
    domain = hear(fake, "domains").sections["domains"][1]
    assert [vcpu["vcpu"] for vcpu in domain["vcpus"]] == [0, 2, 3]


@needs_binding
def test_domain_without_vcpus():
    fake = fake_xen()
    fake.domain(2).update(max_vcpu_id=0xFFFFFFFF, vcpus=[], nr_online_vcpus=0)
    assert hear(fake, "domains").sections["domains"][1]["vcpus"] == []


@needs_binding
def test_node_affinity_of_all_nodes_names_those_that_exist():
    """A domain that was never told has all 64 bits set, or those of the nodes; both mean the same."""
    fake = fake_xen()
    fake.domain(2)["node_affinity"] = list(range(64))
    assert hear(fake, "domains").sections["domains"][1]["node_affinity"] == [0, 1]


@needs_binding
def test_affinity_to_more_cpus_than_there_are():
    fake = fake_xen()
    fake.data["physinfo"]["max_cpu_id"] = 15
    vcpus = hear(fake, "domains").sections["domains"][1]["vcpus"]
    assert (vcpus[0]["hard"], vcpus[0]["hard_all"]) == ([4, 5, 6, 7], False)
    assert (vcpus[0]["soft"], vcpus[0]["soft_all"]) == ([0, 1, 2, 3, 4, 5, 6, 7], True)


@needs_binding
def test_refusal_goes_up():
    fake = fake_xen()
    fake.faults["numainfo"] = errno.EACCES
    with pytest.raises(errors.NotPermitted, match="FLASK"):
        Hypercall().collect(Request(frozenset({"topology"}), lambda: Xen(fake, machine="x86_64")), {})
    assert fake.closed == 1


# ---- dom0's own view ----


def sysfs(root, cpus, nodes=0):
    """`cpus` has (package, core) of each CPU, None for one that is offline."""
    for number, place in enumerate(cpus):
        folder = root / ("sys/devices/system/cpu/cpu%d" % number)
        folder.mkdir(parents=True)
        if place:
            (folder / "topology").mkdir()
            (folder / "topology/physical_package_id").write_text("%d\n" % place[0])
            (folder / "topology/core_id").write_text("%d\n" % place[1])
    (root / "sys/devices/system/cpu/cpufreq").mkdir(parents=True)
    for number in range(nodes):
        (root / ("sys/devices/system/node/node%d" % number)).mkdir(parents=True)
    return Request(frozenset({"topology"}), lambda: None, None, str(root))


def test_dom0_sees_what_linux_claims(tmp_path):
    request = sysfs(tmp_path, [(0, 0), (0, 0), (0, 1), (1, 0), None], nodes=2)
    assert Dom0().collect(request, {}).sections == {
        "dom0_linux": {"packages": 2, "cores": 3, "pus": 4, "nodes": 2}
    }


def test_dom0_without_numa_has_one_node(tmp_path):
    assert Dom0().collect(sysfs(tmp_path, [(0, 0)]), {}).sections["dom0_linux"]["nodes"] == 1


def test_dom0_without_sysfs(tmp_path):
    request = Request(frozenset({"topology"}), lambda: None, None, str(tmp_path))
    nothing = {"packages": None, "cores": None, "pus": None, "nodes": None}
    assert Dom0().collect(request, {}).sections == {"dom0_linux": nothing}


# ---- names ----


class Store:
    """Stands for an open xenstore."""

    def __init__(self, tree):
        self.tree = tree

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def read(self, path):
        return self.tree.get(path)

    def directory(self, path):
        return sorted(
            {name[len(path) + 1 :].split("/")[0] for name in self.tree if name.startswith(path + "/")}
        )


TREE = {
    "/local/domain/0/name": b"Domain-0",
    "/local/domain/2/name": b"disc web",
    "/local/domain/7/name": b"other",
    "/local/pool/0/name": b"Pool-0",
}


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setattr(
        names.xenstore, "Xenstore", type("Fake", (), {"open": staticmethod(lambda: Store(TREE))})
    )


def ask_names(subset, heard):
    return Names().collect(Request(frozenset(subset), lambda: None), heard).sections


@pytest.mark.usefixtures("store")
def test_names_of_the_domains_that_were_heard():
    heard = {"domains": [{"domain": 0}, {"domain": 2}, {"domain": 5}]}
    assert ask_names({"topology", "domains"}, heard) == {
        "cpupool_names": {"0": "Pool-0"},
        "domain_names": {"0": "Domain-0", "2": "disc web"},
    }


@pytest.mark.usefixtures("store")
def test_names_of_domains_are_left_alone_unless_wanted():
    assert ask_names({"topology"}, {}) == {"cpupool_names": {"0": "Pool-0"}}


@needs_binding
def test_host_without_xenstore_is_read_all_the_same(monkeypatch):
    def refuse():
        raise XenstoreError("Nobody there.")

    monkeypatch.setattr(Xenstore, "open", refuse)
    fake = fake_xen()
    host = collect(
        registry.components(),
        subset={"domains"},
        open_xen=lambda: Xen(fake, machine="x86_64"),
        root="/nowhere",
    )
    assert host.warnings == [
        "xenstore was passed over: the names of domains and cpupools are unknown: Nobody there."
    ]
    assert len(host.data["domains"]) == 4
    assert "domain_names" not in host.data
    assert {entry["name"]: entry["state"] for entry in host.components} == {
        "hypercall": "used",
        "xl": "passed_over",
        "acpi": "used",
        "xenstore": "passed_over",
        "pci": "passed_over",
        "dmi": "passed_over",
        "dom0": "used",
    }


# ---- what not every hypervisor answers ----


@needs_binding
def test_hardware_is_heard(tmp_path):
    fake = fake_xen()
    policy = [[4, 0, 0x1C004121, 0x01C0003F, 63, 0], [3, 0xFFFFFFFF, 1, 2, 3, 4]]
    fake.data.update(
        memory_map=[[0, 4096, 1]],
        cpu_policy=policy,
        px_max_mhz={"0": 3000, "1": 3000},
        sched_gran={"0": "socket"},
        pci_nodes={"0000:00:1f.3": 0, "0000:40:00.0": 1},
    )
    for name in ("0000:00:1f.3", "0000:40:00.0", "0000:41:00.0", "10000:e1:00.0"):
        (tmp_path / "sys/bus/pci/devices" / name).mkdir(parents=True)
    heard = hear(fake, root=str(tmp_path))
    assert heard.sections["unanswered"] == {}
    assert heard.sections["memory_map"] == [[0, 4096, 1]]
    # what may be a serial number is left out
    assert heard.sections["cpu_policy"] == policy[:1]
    assert heard.sections["px_max_mhz"] == {"0": 3000, "1": 3000}
    assert heard.sections["sched_gran"] == {"0": "socket"}
    assert heard.sections["pci_nodes"] == {
        "0000:00:1f.3": 0,
        "0000:40:00.0": 1,
        "0000:41:00.0": 0xFFFFFFFE,
    }


@needs_binding
def test_what_is_not_answered_is_named_with_its_reason():
    fake = fake_xen()
    for section in ("memory_map", "cpu_policy", "sched_gran"):
        del fake.data[section]
    heard = hear(fake)
    assert set(heard.sections["unanswered"]) == {
        "machine_memory_map",
        "get_cpu_policy",
        "get_pmstat",
        "hypfs",
    }
    assert all(sentence.endswith(".") for sentence in heard.sections["unanswered"].values())
    assert heard.warnings == []


@needs_binding
def test_offline_cpus_are_not_asked_for_their_frequency():
    fake = fake_xen("small-offline")
    fake.data["px_max_mhz"] = {str(cpu): 3000 for cpu in range(8)}
    assert list(hear(fake).sections["px_max_mhz"]) == ["0", "1", "2", "4", "5", "7"]
    fake = fake_xen("small-offline")
    fake.data["px_max_mhz"] = {str(cpu): 3000 for cpu in range(8)}
    fake.faults["get_cpuinfo"] = errno.ENOSYS
    assert list(hear(fake).sections["px_max_mhz"]) == ["0", "1", "2", "4", "5", "7"]


@needs_binding
def test_frequencies_that_the_hardware_chooses_have_a_highest():
    fake = fake_xen()
    fake.hwp = True
    fake.data["px_max_mhz"] = {str(cpu): 5201 if cpu < 4 else 3900 for cpu in range(8)}
    sections = hear(fake).sections
    assert sections["px_max_mhz"] == fake.data["px_max_mhz"]
    assert "get_pmstat" not in sections["unanswered"]
    # what Xen does not scale at all is not asked for a second time
    fake = fake_xen()
    assert "get_pmstat" in hear(fake).sections["unanswered"]
    assert "pm_op" not in fake.asked
    fake = fake_xen()
    fake.hwp = True
    fake.data["px_max_mhz"] = {str(cpu): 3000 for cpu in range(8)}
    fake.faults["pm_op"] = errno.EINVAL
    assert "xen-acpi-processor" in hear(fake).sections["unanswered"]["get_pmstat"]


@needs_binding
def test_memory_by_node_takes_the_hypercall_where_there_is_one():
    fake = fake_xen()
    fake.numa_op = True
    wanted = fake.data["memory_by_node"]
    assert hear(fake, "memory_by_node").sections["memory_by_node"] == wanted
    assert "debug_keys" not in fake.asked


@needs_binding
def test_memory_by_node_falls_back_to_the_debug_key_only_if_that_is_allowed():
    fake = fake_xen()
    hear(fake, "memory_by_node")
    assert "debug_keys" in fake.asked
    fake = fake_xen()
    with pytest.raises(errors.NotSupported):
        hear(fake, "memory_by_hypercall")
    assert "debug_keys" not in fake.asked


# ---- ACPI ----


def table(signature, body, revision=3):
    head = signature + (36 + len(body)).to_bytes(4, "little") + bytes([revision, 0]) + bytes(26)
    whole = bytearray(head + body)
    whole[9] = -sum(whole) & 0xFF
    return bytes(whole)


def acpi_of(root, **tables):
    folder = root / "sys/firmware/acpi/tables"
    folder.mkdir(parents=True)
    for name, content in tables.items():
        (folder / name).write_bytes(content)
    return Acpi().collect(Request(frozenset(), None, root=str(root)), {})


def test_tables_of_the_firmware_are_read(tmp_path):
    madt = table(b"APIC", bytes(8) + bytes([0, 8, 5, 6, 1, 0, 0, 0]))
    srat = table(
        b"SRAT",
        bytes(12) + bytes([0, 16, 3, 6, 1]) + bytes(11),
    )
    slit = table(b"SLIT", (1).to_bytes(8, "little") + bytes([10]))
    heard = acpi_of(tmp_path, APIC=madt, SRAT=srat, SLIT=slit)
    assert heard.warnings == []
    assert heard.sections == {
        "acpi": {
            "madt": [[0, 5, 6, 1]],
            "srat_cpus": [[0, 6, 3, 1]],
            "srat_memory": [],
            "slit": [[10]],
        }
    }


def test_host_without_tables_is_no_fault(tmp_path):
    heard = Acpi().collect(Request(frozenset(), None, root=str(tmp_path)), {})
    assert heard.sections == {"acpi": {}}
    assert heard.warnings == []


def test_damaged_table_is_named_and_the_others_are_used(tmp_path):
    slit = table(b"SLIT", (1).to_bytes(8, "little") + bytes([10]))
    heard = acpi_of(tmp_path, APIC=b"APIC", SLIT=slit)
    assert heard.sections == {"acpi": {"slit": [[10]]}}
    assert len(heard.warnings) == 1
    assert "tables/APIC is not used: the ACPI table APIC has 4 bytes" in heard.warnings[0]


def test_table_that_cannot_be_read_is_said(tmp_path):
    (tmp_path / "sys/firmware/acpi/tables/SRAT").mkdir(parents=True)
    heard = Acpi().collect(Request(frozenset(), None, root=str(tmp_path)), {})
    assert len(heard.warnings) == 1
    assert "tables/SRAT cannot be read (Is a directory)" in heard.warnings[0]
