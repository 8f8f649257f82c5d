# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each hypercall against a Xen that plays recordings of real hosts."""

import copy
import errno
import types

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._xen import (
    _xen_ffi,
    domctl,
    errors,
    hardware,
    hypfs,
    memory,
    memory_op,
    pinning,
    platform,
    sysctl,
    version,
)
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    recording,
    recording_names,
)

if _xen_ffi.ffi is None:
    pytest.skip("this Python has no _cffi_backend", allow_module_level=True)

from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen

WEB, DB, PVH = 2, 3, 4


@pytest.fixture
def fake():
    return FakeXen(copy.deepcopy(recording("small-guests").data))


@pytest.fixture
def xen(fake):
    with Xen(fake, machine="x86_64") as opened:
        yield opened
    assert not fake.memory.live, "a hypercall buffer was not freed"


# ---- xen_version ----


def test_version(xen):
    assert version.version(xen) == (4, 17)
    assert version.extraversion(xen) == ".7"
    assert "hvm-3.0-x86_64" in version.capabilities(xen)
    assert "dom0_max_vcpus=2" in version.commandline(xen)
    assert version.page_size(xen) == 4096


def test_version_text_may_fill_its_field(fake, xen):
    fake.data["xen"]["extraversion"] = "." + "7" * 20
    assert version.extraversion(xen) == "." + "7" * 14


# ---- sysctl ----


def test_physinfo(fake, xen):
    assert dict(sysctl.physinfo(xen)._asdict()) == fake.data["physinfo"]


def test_width_of_masks_is_asked_for_once(fake, xen):
    fake.asked.clear()
    assert (sysctl.cpu_bits(xen), sysctl.cpu_bits(xen), sysctl.node_bits(xen)) == (8, 8, 64)
    assert fake.asked == ["physinfo"]


@pytest.mark.parametrize("name", recording_names())
def test_cputopoinfo(name):
    data = recording(name).data
    with Xen(FakeXen(data), machine="x86_64") as xen:
        assert [list(place) for place in sysctl.cputopoinfo(xen)] == data["cputopo"]


def test_cputopoinfo_while_cpus_are_added(fake, xen):
    """The first question counts fewer CPUs than the second finds."""
    fake.cpu_count = 2
    fake.asked.clear()
    assert len(sysctl.cputopoinfo(xen)) == 8
    assert len(fake.asked) > 2


def test_cputopoinfo_marks_what_is_unknown(fake, xen):
    fake.data["cputopo"][3] = [sysctl.INVALID_32] * 3
    assert sysctl.cputopoinfo(xen)[3] == (sysctl.INVALID_32, sysctl.INVALID_32, sysctl.INVALID_32)


def test_numainfo(fake, xen):
    numa = sysctl.numainfo(xen)
    assert list(numa.memsize) == fake.data["numainfo"]["memsize"]
    assert list(numa.memfree) == fake.data["numainfo"]["memfree"]
    assert numa.distance == ((10, 21), (21, 10))


def test_numainfo_rows_are_as_long_as_the_answer(fake, xen):
    """Room for more nodes than there are must not shift the rows of distances."""
    nodes = 5
    fake.data["numainfo"] = {
        "memsize": [node << 30 for node in range(nodes)],
        "memfree": [sysctl.INVALID_32 if node == 3 else node for node in range(nodes)],
        "distance": [[10 * row + column for column in range(nodes)] for row in range(nodes)],
    }
    numa = sysctl.numainfo(xen)
    assert [list(row) for row in numa.distance] == fake.data["numainfo"]["distance"]
    assert numa.memfree[3] == sysctl.INVALID_32


def test_sched_id(xen):
    assert sysctl.sched_id(xen) == 6


def test_getdomaininfolist(fake, xen):
    found = sysctl.getdomaininfolist(xen)
    assert [info.domain for info in found] == [0, WEB, DB, PVH]
    for info, domain in zip(found, fake.data["domains"]):
        assert dict(info._asdict()) == {key: domain[key] for key in info._fields}


def test_getdomaininfolist_with_a_limit(xen):
    assert [info.domain for info in sysctl.getdomaininfolist(xen, limit=1)] == [0]


@pytest.mark.parametrize("count", [127, 128, 129, 300])
def test_getdomaininfolist_of_many(fake, xen, count):
    model = fake.data["domains"][1]
    fake.data["domains"] = [dict(model, domain=5 * number, tot_pages=number) for number in range(count)]
    found = sysctl.getdomaininfolist(xen)
    assert [(info.domain, info.tot_pages) for info in found] == [
        (5 * number, number) for number in range(count)
    ]
    assert [info.domain for info in sysctl.getdomaininfolist(xen, limit=3)] == [0, 5, 10]


def test_getdomaininfolist_of_no_domain(fake, xen):
    fake.data["domains"] = []
    assert sysctl.getdomaininfolist(xen) == []


def test_getdomaininfolist_in_a_form_that_is_not_the_known_one(fake, xen):
    fake.domaininfo_size = 128
    with pytest.raises(errors.UnknownInterface, match="list of domains"):
        sysctl.getdomaininfolist(xen)


@pytest.mark.parametrize("count", [65, 2**31, 2**32 - 1])
@pytest.mark.parametrize(
    ("answer", "ask"),
    [
        ("_getdomaininfolist", lambda xen: sysctl.getdomaininfolist(xen, limit=64)),
        ("_readconsole", memory_op.readconsole),
    ],
)
def test_a_count_beyond_the_buffer_is_not_believed(fake, xen, monkeypatch, answer, ask, count):
    def claim(u):
        fake._put(u + 16, "I", count if answer == "_getdomaininfolist" else max(count, 2**20))

    monkeypatch.setattr(fake, answer, claim)
    with pytest.raises(errors.UnknownInterface, match="where there was room for"):
        ask(xen)


def test_records_of_an_older_xen():
    fake = FakeXen(copy.deepcopy(recording("small-guests").data), (4, 13), 0x12, 0x12)
    with Xen(fake, machine="x86_64") as xen:
        found = sysctl.getdomaininfolist(xen)
    assert [(info.domain, info.emulation_flags) for info in found] == [(0, 256), (WEB, 0), (DB, 0), (PVH, 1)]


def test_records_on_arm():
    fake = FakeXen(copy.deepcopy(recording("small-guests").data), domaininfo_size=120)
    with Xen(fake, machine="aarch64") as xen:
        found = sysctl.getdomaininfolist(xen)
    assert [(info.domain, info.emulation_flags) for info in found] == [
        (0, None),
        (WEB, None),
        (DB, None),
        (PVH, None),
    ]


def test_cpupools(fake, xen):
    fake.data["cpupools"] = [
        {"id": 0, "sched_id": 6, "n_dom": 3, "cpus": [0, 1, 2, 3]},
        {"id": 4, "sched_id": 9, "n_dom": 0, "cpus": [7]},
    ]
    fake.data["cpupool_free"] = [5]
    assert sysctl.cpupools(xen) == [(0, 6, 3, 0x0F), (4, 9, 0, 0x80)]
    assert sysctl.cpupool_free(xen) == 0x20
    # Xen answers with the next pool.
    assert sysctl.cpupool_info(xen, 1) == (4, 9, 0, 0x80)
    assert sysctl.cpupool_info(xen, 5) is None


def test_console(fake, xen):
    text, index = memory_op.readconsole(xen)
    assert text == fake.written
    fake.written += b"(XEN) more\n"
    assert memory_op.readconsole(xen, index) == (b"(XEN) more\n", index + 11)
    assert memory_op.readconsole(xen, index + 11) == (b"", index + 11)


def test_console_larger_than_one_answer(fake, xen):
    fake.ring = 1 << 20
    fake.written = b"".join(b"(XEN) line %d\n" % number for number in range(20000))
    text, index = memory_op.readconsole(xen)
    assert text == fake.written
    assert index == len(fake.written)


def test_console_has_moved_on(fake, xen):
    _text, index = memory_op.readconsole(xen)
    fake.written += b"x" * (2 * fake.ring)
    text, _index = memory_op.readconsole(xen, index)
    assert text == b"x" * fake.ring


def test_debug_keys(fake, xen):
    memory_op.debug_keys(xen, "u")
    assert b"Memory location of each domain" in fake.written


# ---- domctl ----


def test_getdomaininfo(fake, xen):
    assert domctl.getdomaininfo(xen, DB).handle == fake.domain(DB)["handle"]


@pytest.mark.parametrize("domid", [1, 99, -1, 0x7FF0, 1 << 20])
def test_domain_that_is_not_there(xen, domid):
    with pytest.raises(errors.NoSuchDomain, match="no domain %d" % domid):
        domctl.getdomaininfo(xen, domid)


@pytest.mark.parametrize(
    "question",
    [
        lambda xen: domctl.getvcpuinfo(xen, 1, 0),
        lambda xen: domctl.getvcpuaffinity(xen, 1, 0),
        lambda xen: pinning.setvcpuaffinity(xen, 1, 0, hard=1),
        lambda xen: domctl.getnodeaffinity(xen, 1),
        lambda xen: pinning.setnodeaffinity(xen, 1, 1),
    ],
)
def test_nothing_of_a_domain_that_is_not_there(xen, question):
    with pytest.raises(errors.NoSuchDomain) as caught:
        question(xen)
    assert "omain 1" in caught.value.message


def test_getvcpuinfo(fake, xen):
    vcpu = fake.domain(0)["vcpus"][0]
    assert domctl.getvcpuinfo(xen, 0, 0) == tuple(
        vcpu[key] for key in ("online", "blocked", "running", "cpu_time", "cpu")
    )


def test_vcpu_that_is_not_there(fake, xen):
    with pytest.raises(errors.NoSuchVcpu, match="no vCPU 4"):
        domctl.getvcpuinfo(xen, WEB, 4)
    with pytest.raises(errors.NoSuchVcpu, match="no vCPU 4"):
        domctl.getvcpuaffinity(xen, WEB, 4)
    del fake.domain(WEB)["vcpus"][1]
    with pytest.raises(errors.NoSuchVcpu, match="no vCPU 1"):
        domctl.getvcpuinfo(xen, WEB, 1)


def test_getvcpuaffinity(xen):
    assert domctl.getvcpuaffinity(xen, WEB, 3) == (0xF0, 0xFF)
    assert domctl.getvcpuaffinity(xen, DB, 1) == (0xFF, 0x0F)


def test_setvcpuaffinity_hard(xen):
    assert pinning.setvcpuaffinity(xen, WEB, 0, hard=0x3C) == (0x3C, None)
    assert domctl.getvcpuaffinity(xen, WEB, 0) == (0x3C, 0xFF)
    assert domctl.getvcpuaffinity(xen, WEB, 1) == (0xF0, 0xFF)


def test_setvcpuaffinity_soft(xen):
    assert pinning.setvcpuaffinity(xen, WEB, 0, soft=0x1F) == (None, 0x10)
    assert domctl.getvcpuaffinity(xen, WEB, 0) == (0xF0, 0x1F)


def test_setvcpuaffinity_both_and_what_takes_effect(fake, xen):
    fake.data["cpupools"][0]["cpus"] = [0, 1, 2, 3, 4]
    assert pinning.setvcpuaffinity(xen, WEB, 0, hard=0xF8, soft=0x70) == (0x18, 0x10)


def test_setvcpuaffinity_leaves_out_bits_that_no_cpu_can_have(xen):
    assert pinning.setvcpuaffinity(xen, WEB, 0, hard=0xFFF0).hard == 0xF0


def test_setvcpuaffinity_without_an_online_cpu(fake, xen):
    fake.data["cpupools"][0]["cpus"] = [0, 1, 2, 3]
    with pytest.raises(errors.Invalid) as caught:
        pinning.setvcpuaffinity(xen, WEB, 0, hard=0xB0)
    assert "4-5,7" in caught.value.message
    assert domctl.getvcpuaffinity(xen, WEB, 0) == (0xF0, 0xFF)


def test_setvcpuaffinity_needs_a_mask(xen):
    with pytest.raises(errors.Invalid, match="at least one"):
        pinning.setvcpuaffinity(xen, WEB, 0)


def test_setvcpuaffinity_while_the_guest_holds_its_pin(fake, xen):
    fake.faults["setvcpuaffinity"] = errno.EBUSY
    with pytest.raises(errors.Busy, match="force: true"):
        pinning.setvcpuaffinity(xen, WEB, 0, hard=0xF0)


def test_setvcpuaffinity_with_force(fake, xen):
    flags = []
    write = fake._setvcpuaffinity

    def listen(u, domain):
        flags.append(fake._get(u, "II")[1])
        write(u, domain)

    fake._setvcpuaffinity = listen
    pinning.setvcpuaffinity(xen, WEB, 0, hard=0xF0, force=True)
    pinning.setvcpuaffinity(xen, WEB, 0, soft=0xF0)
    pinning.setvcpuaffinity(xen, WEB, 0, hard=0xF0, soft=0xF0)
    assert flags == [5, 2, 3]


def test_nodeaffinity(xen):
    assert domctl.getnodeaffinity(xen, WEB) == 0b10
    pinning.setnodeaffinity(xen, WEB, 0b01)
    assert domctl.getnodeaffinity(xen, WEB) == 0b01


def test_nodeaffinity_without_an_online_node(xen):
    with pytest.raises(errors.Invalid, match="2,5-6"):
        pinning.setnodeaffinity(xen, WEB, 0b1100100)


@pytest.mark.parametrize("cpus", [8, 9, 64, 65, 300])
def test_wide_masks(fake, xen, cpus):
    fake.data["physinfo"]["max_cpu_id"] = cpus - 1
    fake.data["cputopo"] = [[cpu, 0, 0] for cpu in range(cpus)]
    fake.data["cpupools"][0]["cpus"] = list(range(cpus))
    mask = 1 << (cpus - 1) | 1
    assert pinning.setvcpuaffinity(xen, WEB, 0, hard=mask) == (mask, None)
    assert domctl.getvcpuaffinity(xen, WEB, 0)[0] == mask


def test_numbers():
    assert domctl.numbers(0) == "none"
    assert domctl.numbers(0b1) == "0"
    assert domctl.numbers(0b111100110) == "1-2,5-8"


# ---- platform_op ----


def test_get_cpuinfo(fake, xen):
    assert list(platform.get_cpuinfo(xen, 5)) == fake.data["pcpuinfo"][5]


def test_get_cpuinfo_of_no_cpu(xen):
    assert platform.get_cpuinfo(xen, 8).flags == platform.FLAG_INVALID


def test_get_cpuinfo_where_it_is_filtered(fake, xen):
    del fake.data["pcpuinfo"]
    with pytest.raises(errors.NotSupported, match="filter"):
        platform.get_cpuinfo(xen, 0)


# ---- the hardware ----


def test_memory_map(fake, xen):
    fake.data["memory_map"] = [[0, 0x9FC00, 1], [0x100000000, 1 << 33, 1], [0xFED00000, 4096, 2]]
    assert memory.machine_memory_map(xen) == [tuple(region) for region in fake.data["memory_map"]]


def test_memory_map_of_more_entries_than_usual(fake, xen):
    fake.data["memory_map"] = [[index << 21, 1 << 20, 1 + index % 2] for index in range(3000)]
    fake.asked.clear()
    assert len(memory.machine_memory_map(xen)) == 3000
    assert fake.asked == ["machine_memory_map"] * 3


def test_memory_map_that_is_refused_for_good(fake, xen):
    fake.faults["machine_memory_map"] = errno.EINVAL
    with pytest.raises(errors.Invalid):
        memory.machine_memory_map(xen)


def test_cpu_policy(fake, xen):
    fake.data["cpu_policy"] = [[0, 0xFFFFFFFF, 13, 1, 2, 3], [4, 0, 0x1C004121, 0x01C0003F, 63, 0]]
    assert sysctl.cpu_policy(xen) == [tuple(leaf) for leaf in fake.data["cpu_policy"]]


def test_cpu_policy_of_more_leaves_than_usual(fake, xen):
    fake.data["cpu_policy"] = [[0x80000000 + index, 0xFFFFFFFF, 0, 0, 0, 0] for index in range(900)]
    assert len(sysctl.cpu_policy(xen)) == 900


def test_cpu_policy_without_end(fake, xen):
    fake.data["cpu_policy"] = []
    fake.faults["get_cpu_policy"] = errno.ENOBUFS
    with pytest.raises(errors.XenError):
        sysctl.cpu_policy(xen)


@pytest.mark.parametrize("at_once", [1, 64, 1000])
def test_nodes_of_pci_devices_come_in_pieces(fake, xen, at_once):
    names = ["%04x:%02x:%02x.%x" % (0, bus, device, 0) for bus in range(5) for device in range(32)]
    fake.data["pci_nodes"] = {name: index % 3 for index, name in enumerate(names) if index != 7}
    fake.pci_at_once = at_once
    devices = [(0, bus, device << 3) for bus in range(5) for device in range(32)]
    fake.asked.clear()
    nodes = hardware.pcitopoinfo(xen, devices)
    assert nodes == [index % 3 if index != 7 else hardware.INVALID_DEVICE for index in range(160)]
    assert len(fake.asked) == -(-160 // at_once)


def test_no_pci_device_is_no_question(fake, xen):
    fake.asked.clear()
    assert hardware.pcitopoinfo(xen, []) == []
    assert fake.asked == []


def test_pci_answer_that_goes_nowhere(fake, xen):
    fake.data["pci_nodes"] = {}
    fake.pci_at_once = 0
    with pytest.raises(errors.UnknownInterface):
        hardware.pcitopoinfo(xen, [(0, 0, 0)])


def test_frequencies(fake, xen):
    fake.data["px_max_mhz"] = {"0": 3401, "2": 2200}
    assert hardware.px_frequencies(xen, range(4)) == {0: [3401, 3301, 3201], 2: [2200, 2100, 2000]}


@pytest.mark.parametrize(("cpus", "asked"), [([3], 1), ([1, 3], 2), (range(8), 2)])
def test_cpus_without_frequencies_are_not_all_asked(fake, xen, cpus, asked):
    fake.data["px_max_mhz"] = {}
    fake.asked.clear()
    with pytest.raises(errors.NotSupported, match="xen-acpi-processor"):
        hardware.px_frequencies(xen, cpus)
    assert fake.asked == ["get_pmstat"] * asked


def test_frequencies_of_the_last_cpu_alone(fake, xen):
    fake.data["px_max_mhz"] = {"7": 2000}
    assert hardware.px_frequencies(xen, range(8)) == {7: [2000, 1900, 1800]}
    assert hardware.px_frequencies(xen, []) == {}


@pytest.mark.parametrize("refusal", [errno.ENODEV, errno.EOPNOTSUPP, errno.ENOSYS])
def test_frequencies_that_xen_does_not_know(fake, xen, refusal):
    fake.faults["get_pmstat"] = refusal
    fake.asked.clear()
    with pytest.raises(errors.NotSupported):
        hardware.px_frequencies(xen, range(8))
    assert fake.asked == ["get_pmstat"]


def test_highest_frequencies_where_the_hardware_chooses(fake, xen):
    fake.hwp = True
    fake.data["px_max_mhz"] = {"0": 5201, "2": 3900}
    with pytest.raises(errors.NotSupported):
        hardware.px_frequencies(xen, [0, 2])
    fake.asked.clear()
    assert hardware.cpufreq_maxima(xen, range(4)) == {0: 5201000, 2: 3900000}
    # the first question of each CPU tells how much room the second needs
    assert fake.asked == ["pm_op"] * 6


def test_highest_frequencies_that_nobody_knows(fake, xen):
    with pytest.raises(errors.NotSupported, match="does not scale"):
        hardware.cpufreq_maxima(xen, range(8))
    fake.data["px_max_mhz"] = {}
    with pytest.raises(errors.NotSupported, match="xen-acpi-processor"):
        hardware.cpufreq_maxima(xen, range(8))
    fake.data["px_max_mhz"] = {"0": 0}
    assert hardware.cpufreq_maxima(xen, [0]) == {}


def test_an_answer_about_frequencies_that_never_comes(fake, xen):
    fake.data["px_max_mhz"] = {"0": 3000}
    fake.faults["pm_op"] = errno.EAGAIN
    fake.asked.clear()
    with pytest.raises(errors.Busy):
        hardware.cpufreq_maxima(xen, [0])
    assert len(fake.asked) == 1


def test_text_in_hypfs(fake, xen):
    fake.data["sched_gran"] = {"0": "core"}
    assert hypfs.read_text(xen, "/cpupool/0/sched-gran") == "core"
    assert hypfs.read_text(xen, "/cpupool/1/sched-gran") is None


def test_hypervisor_without_hypfs(fake, xen):
    del fake.data["sched_gran"]
    with pytest.raises(errors.NotSupported):
        hypfs.read_text(xen, "/cpupool/0/sched-gran")


def test_memory_by_node_from_the_hypercall_that_some_have(fake, xen):
    fake.numa_op = True
    assert memory_op.node_pages(xen, WEB, 2) == [0, fake.domain(WEB)["tot_pages"]]
    with pytest.raises(errors.NoSuchDomain):
        memory_op.node_pages(xen, 99, 2)


@pytest.mark.parametrize(("command", "version"), [(90, 0), (43, None)])
def test_stable_domctls_want_no_interface_version(xen, monkeypatch, command, version):
    # get_domain_state is one
    op = types.SimpleNamespace()
    monkeypatch.setattr(type(xen), "_call", lambda *_arguments: 0)
    monkeypatch.setattr(type(xen), "address", lambda _xen, _buffer: 0)
    xen.domctl(op, command, "getdomaininfo", WEB)
    assert op.interface_version == (xen.interface["domctl"] if version is None else version)
    assert op.domain == WEB


def test_memory_by_node_on_others_is_refused_with_what_to_do(xen):
    with pytest.raises(errors.NotSupported, match="debug key"):
        memory_op.node_pages(xen, WEB, 2)
