# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The defects of other ways to look at a Xen host, each on a recording of a real host that shows it.

hwloc's Xen backend (libxl), `xl info -n` and dom0's own Linux were measured on hosts like these. What they say wrongly is named with
each test; what is right is asserted here. docs/hwloc-xen-backend.md has the list, and what it names is held against what there is.
"""

import json
import os
import re

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_export import to_hwloc_xml
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    RECORDINGS,
    ROOT,
    recording,
    said,
)

PAGE = os.path.join(ROOT, "docs", "hwloc-xen-backend.md")
SCENARIOS = os.path.join(ROOT, "extensions", "molecule")

MIB = 2**20
parse = CpuSet.parse


def host(name):
    return derive(recording(name))


#: Recording, PUs online, MiB of RAM (whole ones).
TRUTH = [
    ("small-offline", 6, 4095),
    ("quad", 16, 5119),
    ("quad-smt-off", 8, 5119),
    ("quad-maxcpus", 6, 5119),
    ("quad-numa-off", 16, 5119),
    ("sparse", 18, 6143),
]


@pytest.mark.parametrize(("name", "pus", "mib"), TRUTH)
def test_pus_and_memory_are_the_true_ones(name, pus, mib):
    topology = host(name)
    assert topology.warnings == ()
    assert len(topology.cpuset) == len(topology.online_cpuset) == pus
    assert sum(node.memory_total for node in topology.nodes) // MIB == mib
    # Xen's own count leaves out parts of pages
    assert topology.memory.total <= sum(node.memory_total for node in topology.nodes)
    facts = to_facts(topology)
    assert facts["totals"]["pus_online"] == pus
    assert sum(node["memory_total_bytes"] for node in facts["nodes"]) // MIB == mib


@pytest.mark.parametrize(("name", "pus", "mib"), TRUTH)
def test_hwloc_gets_the_true_ones(name, pus, mib):
    text = to_hwloc_xml(host(name)).text
    assert text.count('type="PU"') == pus
    sizes = [int(part.split('"')[0]) for part in text.split('local_memory="')[1:]]
    assert sum(sizes) // MIB == mib


def test_offline_cpus_that_keep_their_place_are_not_shown_as_usable():
    """Defect 1: six online CPUs shown as eight; with smt=0 eight as sixteen."""
    assert "  3:       1        0        0" in said("small-offline")["xl info -n"]
    small = host("small-offline")
    assert (small.cpuset, small.complete_cpuset) == (parse("0-2,4-5,7"), parse("0-7"))
    parked = host("quad-smt-off")
    assert (parked.cpuset, parked.complete_cpuset) == (parse("0,2,4,6,8,10,12,14"), parse("0-15"))
    assert parked.xen.smt == "off"
    assert {len(core.complete_cpuset) for core in parked.cores} == {2}


def test_offline_cpus_that_lose_their_place_keep_their_core():
    """Defect 2: on AMD package and core become ~0; PUs hang without a core, packages come twice."""
    assert recording("shuffled-offline").data["cputopo"][2] == [0xFFFFFFFF, 0xFFFFFFFF, 1]
    before, after = host("shuffled"), host("shuffled-offline")
    assert after.cpuset == parse("0-1,3-4,6-7")
    assert [pu[2:5] for pu in after.pus] == [pu[2:5] for pu in before.pus]
    assert [core.complete_cpuset for core in after.cores] == [core.complete_cpuset for core in before.cores]
    assert [package.complete_cpuset for package in after.packages] == [parse("0-3"), parse("4-7")]


def test_cpus_that_xen_never_brought_up_exist_in_their_place():
    """The same for CPUs of which Xen knows nothing: maxcpus=3 on AMD."""
    assert len(recording("shuffled-maxcpus").data["pcpuinfo"]) == 3
    whole, part = host("shuffled"), host("shuffled-maxcpus")
    assert (part.cpuset, part.complete_cpuset) == (parse("0-2"), parse("0-7"))
    assert [pu.present for pu in part.pus] == [True] * 3 + [False] * 5
    assert [pu[2:5] + pu[6:8] for pu in part.pus] == [pu[2:5] + pu[6:8] for pu in whole.pus]
    assert [node.complete_cpuset for node in part.nodes] == [node.complete_cpuset for node in whole.nodes]


def test_a_package_that_is_off_as_a_whole_is_placed():
    """Ten of eighteen CPUs with sparse APIC ids off, among them all of package 1."""
    before, after = host("sparse"), host("sparse-offline")
    assert [pu.apic_id for pu in before.pus] == [
        package << 4 | core << 2 | thread for package in (0, 1) for core in range(3) for thread in range(3)
    ]
    assert after.cpuset == parse("0-4,6-8")
    assert [pu[2:5] for pu in after.pus] == [pu[2:5] for pu in before.pus]


def test_a_node_with_memory_alone_is_kept():
    """Defect 3: it vanishes with its RAM and its distances."""
    topology = host("quad")
    node = topology.node(3)
    assert (str(node.complete_cpuset), node.memory_total // MIB, node.nearest_cpu_nodes) == ("", 1024, (2,))
    assert topology.distance(2, 3) == 17
    assert 3 in topology.nodeset


@pytest.mark.parametrize("name", [name for name, _pus, _mib in TRUTH])
def test_memory_is_ram_and_not_what_a_node_spans(name):
    """Defect 4: holes are counted as memory; with one node dom0's own memory is shown."""
    topology = host(name)
    for node in topology.nodes:
        assert node.memory_free <= node.memory_total <= node.memory_spanned
    dom0 = topology.domains[0].memory
    assert topology.memory.total > 3 * dom0
    if name == "sparse":
        assert [node.memory_spanned // MIB for node in topology.nodes] == [6144, 2048]
        assert [node.memory_total // MIB for node in topology.nodes] == [4095, 2048]


def test_caches_are_the_hosts():
    """Defect 5: CPUID runs on whatever CPU dom0's vCPU is on, in the guise that Xen gives to dom0."""
    caches = {(cache.level, cache.type): cache for cache in host("sparse").caches}
    assert [str(cpus) for cpus in caches[3, "unified"].cpusets] == ["0-8", "9-17"]
    assert [str(cpus) for cpus in caches[2, "unified"].cpusets] == [
        "0-2",
        "3-5",
        "6-8",
        "9-11",
        "12-14",
        "15-17",
    ]
    # where nothing says who shares, nobody is made up, and the size of all together is not that of one
    assert [(cache.level, cache.size, cache.cpusets) for cache in host("shuffled").caches] == [
        (1, 65536, None),
        (1, 65536, None),
        (2, 524288, None),
        (3, None, None),
    ]


def test_parts_of_a_package_are_groups_only_where_there_are_several():
    """Defect 6: a die is invented for each node, above packages when a node spans several."""
    assert [(part.package, part.node, str(part.cpuset)) for part in host("quad").sub_numa] == [
        (0, 0, "0-3"),
        (0, 1, "4-7"),
    ]
    for name in ("small", "sparse", "quad-numa-off"):
        assert host(name).sub_numa == ()
    assert "Die" not in to_hwloc_xml(host("quad")).text


@pytest.mark.parametrize("name", ["quad", "small-offline"])
def test_no_binding_is_promised(name):
    """Defect 7: the XML claims to be of this system; binding then binds dom0's vCPUs."""
    text = to_hwloc_xml(host(name)).text
    assert "<support" not in text
    assert "thissystem" not in text.lower()


def test_cpupools_are_told():
    """Defect 8: they are ignored."""
    topology = host("small-busy")
    assert [(pool.name, str(pool.cpuset), pool.scheduler) for pool in topology.cpupools] == [
        ("Pool-0", "0-1,3-6", "credit2"),
        ("pool two", "7", "credit"),
    ]
    assert topology.cpupool_free == parse("2")
    assert [pu.cpupool for pu in topology.pus] == [0, 0, None, 0, 0, 0, 0, 1]


def test_pci_devices_have_xens_node_or_none():
    """Defect 9: their node is lost without a word where the firmware is silent."""
    nodes = recording("quad").data["pci_nodes"]
    assert {node for node in nodes.values() if node < 64} == {1, 2}
    # of the others the firmware says nothing, and that is told
    assert set(nodes.values()) - {1, 2} == {0xFFFFFFFF}


def test_devices_have_the_names_that_dom0_gives_them():
    """Defect 9, too: OS devices with garbage for names."""
    devices = host("big").pci_devices
    named = {
        device.address: device.network + device.block + device.infiniband + device.gpu for device in devices
    }
    assert {address: names for address, names in named.items() if names} == {
        "0000:00:01.0": ("vda",),
        "0000:00:02.0": ("enp0s2",),
    }
    assert {device.node for device in devices if named[device.address]} == {None}
    text = to_hwloc_xml(host("big")).text
    assert re.findall('type="OSDev"[^>]* name="([^"]*)"', text) == ["vda", "enp0s2"]
    nodes = re.findall('name="XenNUMANode" value="([^"]*)"', text)
    # every device and host bridge says where it is, or that nobody knows
    assert len(nodes) == len(devices) + text.count('bridge_type="0-1"')
    assert set(nodes) == {"1", "2", "unknown"}


def test_distances_go_by_the_numbers_of_the_nodes():
    """Defect 10: rows shift. Here ACPI's order of the nodes is another than Xen's, and one of them has no CPU."""
    topology = host("shuffled")
    firmware = recording("shuffled").data["acpi"]["slit"]
    domains = {node.os_index: node.proximity_domain for node in topology.nodes}
    assert domains == {0: 4, 1: 3, 2: 0, 3: 2, 4: 1}
    for source in topology.nodes:
        for target in topology.nodes:
            expected = firmware[source.proximity_domain][target.proximity_domain]
            assert topology.distance(source.os_index, target.os_index) == expected
    assert topology.distances.from_firmware


@pytest.mark.parametrize("name", ["quad", "shuffled"])
def test_hwloc_gets_the_distances_by_the_numbers_of_the_nodes(name):
    """Defect 10, in the XML."""
    topology = host(name)
    text = to_hwloc_xml(topology).text
    nodes = [int(node) for node in re.findall("<indexes[^>]*>([^<]*)<", text)[0].split()]
    rows = [row.split() for row in re.findall("<u64values[^>]*>([^<]*)<", text)]
    assert nodes == [node.os_index for node in topology.nodes]
    assert [node.os_index for node in topology.nodes if not node.complete_cpuset]
    assert {(a, b): int(rows[i][j]) for i, a in enumerate(nodes) for j, b in enumerate(nodes)} == {
        (a, b): topology.distance(a, b) for a in nodes for b in nodes
    }


@pytest.mark.parametrize(
    "name", [name for name, _pus, _mib in TRUTH] + ["shuffled", "shuffled-maxcpus", "sparse-offline"]
)
def test_no_noise(name):
    """Defect 11: complaints at every run, about nothing."""
    assert host(name).warnings == ()


def test_dom0s_view_is_never_taken_for_the_hosts():
    """Defect 12: without rights dom0's view is shown instead, silently. (That rights are asked for is tested with the components.)"""
    for name in ("quad", "sparse"):
        topology = host(name)
        assert topology.source == "hypercall"
        assert topology.dom0_linux.pus == 2
        assert len(topology.pus) > 2


@pytest.mark.parametrize("name", ["quad", "shuffled-maxcpus"])
def test_the_xml_is_of_the_version_that_everybody_reads(name):
    """Defect 13: version 3.0, which the distributions' tools refuse."""
    assert '<topology version="2.0">' in to_hwloc_xml(host(name)).text


def test_the_same_answers_give_the_same_facts():
    """Defect 14: global state, results that nobody checked."""
    raw = recording("quad")
    before = json.dumps(raw.to_recording(), sort_keys=True)
    first = json.dumps(to_facts(derive(raw)))
    assert json.dumps(to_facts(derive(raw))) == first
    assert json.dumps(raw.to_recording(), sort_keys=True) == before


@pytest.mark.parametrize("name", [name for name, _pus, _mib in TRUTH])
def test_an_answer_that_is_missing_is_never_made_up(name):
    """Defect 14, too: without any one of the answers a CPU is online, and a node has so much RAM, as with it, or it is not known."""
    whole = host(name)
    states = {pu.os_index: pu.online for pu in whole.pus}
    for section in sorted(recording(name).data):
        raw = recording(name)
        del raw.data[section]
        try:
            part = derive(raw)
        except Failure:
            # without the list of CPUs there is nothing to tell
            assert section == "cputopo", section
            continue
        assert part.cpuset <= whole.cpuset, section
        for pu in part.pus:
            assert pu.online in (states[pu.os_index], None), section
        for node in part.nodes:
            assert node.memory_total in (whole.node(node.os_index).memory_total, None), section
        known = {cpu for core in part.cores for cpu in core.cpuset}
        assert known <= set(whole.cpuset), section


def test_what_was_not_covered_is():
    """Defect 15: free memory, guests, kinds of CPUs, scheduling granularity. (Arm: test_derive.py.)"""
    topology = host("small-busy")
    assert all(node.memory_free for node in topology.nodes)
    assert [domain.name for domain in topology.domains] == ["Domain-0", "odd one 1", "123"]
    assert topology.xen.sched_gran == "cpu"
    assert [pool.sched_gran for pool in topology.cpupools] == ["cpu", "cpu"]
    assert [(kind.threads_per_core, str(kind.cpuset)) for kind in topology.cpu_kinds] == [(2, "0-7")]


def test_state_of_numa():
    assert {name: host(name).xen.numa for name in ("quad", "quad-numa-off", "shuffled")} == {
        "quad": "on",
        "quad-numa-off": "off",
        "shuffled": "on",
    }
    fake = host("quad-numa-fake")
    assert fake.xen.numa == "fake"
    # Xen takes 0 to 2 GiB, 2 to 4 GiB and the rest; from 2 to 4 GiB this machine has devices and no RAM
    assert [node.memory_spanned for node in fake.nodes] == [2 << 30, 2 << 30, 3 << 30]
    assert [node.memory_total for node in fake.nodes] == [2146946048, 0, 3 << 30]
    assert [node.memory_free == 0 for node in fake.nodes] == [False, True, False]
    # the rest is as without it
    assert [pu[:6] for pu in fake.pus] == [pu[:6] for pu in host("quad").pus]
    assert [node.proximity_domain for node in fake.nodes] == [0, 1, 2]
    assert fake.distances.from_firmware is True
    assert fake.distances.matrix == tuple(row[:3] for row in host("quad").distances.matrix[:3])
    assert ["numa=on" in warning for warning in fake.warnings] == [True]
    off = host("quad-numa-off")
    assert len(off.nodes) == 1
    assert off.nodes[0].complete_cpuset == parse("0-15")


def test_a_host_whose_kernel_filters_hypercalls_is_described_all_the_same():
    """XenServer 9 lets XENPF_get_cpuinfo, the memory map and hypfs not through; here a host whose recording lacks them."""
    raw = recording("quad-smt-off")
    whole = derive(raw)
    for section in ("pcpuinfo", "memory_map", "sched_gran"):
        del raw.data[section]
    part = derive(raw)
    assert part.warnings == ()
    assert (part.cpuset, part.complete_cpuset) == (whole.cpuset, whole.complete_cpuset)
    assert [pu[1:6] for pu in part.pus] == [pu[1:6] for pu in whole.pus]
    # the table's order, the sizes and the distances leave one answer
    assert [node.proximity_domain for node in part.nodes] == [0, 1, 2, 3]
    # what nothing else tells is unknown
    assert {pu.apic_id for pu in part.pus} == {None}
    assert {node.memory_total for node in part.nodes} == {None}
    assert {cache.cpusets for cache in part.caches} == {None}


# --- the page that lists the defects

# docs/ and the scenarios do not travel with every copy of the collection
listed = pytest.mark.skipif(
    not os.path.exists(PAGE) or not os.path.isdir(SCENARIOS), reason="docs/ or extensions/ is not here"
)


def rows(columns):
    """The rows of the page's tables that have so many columns, without their heads."""
    with open(PAGE, encoding="utf-8") as stream:
        found = [
            [cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in stream
            if line[:1] == "|"
        ]
    return [row for row in found if len(row) == columns and (row[0].isdigit() or row[0][:1] == "`")]


def sources(folder, ending):
    """The texts of all files below a folder, by name."""
    found = {}
    for path, _folders, names in os.walk(folder):
        for name in names:
            if name.endswith(ending):
                with open(os.path.join(path, name), encoding="utf-8") as stream:
                    found.setdefault(name[: -len(ending)], []).append(stream.read())
    return found


@listed
def test_every_defect_has_a_test_that_exists():
    table = {int(row[0]): re.findall("`([^`]*)`", row[3]) for row in rows(4) if row[0].isdigit()}
    assert sorted(table) == list(range(1, 16))
    tests = sources(os.path.join(ROOT, "tests", "unit"), ".py")
    for number, named in table.items():
        for name in named:
            if "::" in name:
                file, _between, function = name.partition("::")
                texts, wanted = tests.get(file, []), rf"^def {function}\("
            else:
                scenario, _between, step = name.partition(": ")
                texts = sources(os.path.join(SCENARIOS, scenario), ".yml").get("verify", [])
                wanted = rf"^ *- name: {re.escape(step)}$"
            assert any(re.search(wanted, text, re.MULTILINE) for text in texts), (number, name)
        # each stands on a real host, or on the recording of one
        assert any("test_truth::" in name or "::" not in name for name in named), number


@listed
def test_every_test_of_a_defect_is_in_the_list():
    with open(os.path.splitext(__file__)[0] + ".py", encoding="utf-8") as stream:
        text = stream.read()
    own = re.findall(r'^def (test_\w+)\([^)]*\):\n    """Defect (\d+)', text, re.MULTILINE)
    assert {int(number) for _name, number in own} == set(range(1, 16))
    named = {int(row[0]): row[3] for row in rows(4) if row[0].isdigit()}
    for name, number in own:
        assert f"`test_truth::{name}`" in named[int(number)], (name, number)


@listed
def test_figures_of_the_list_are_those_that_are_tested():
    told = [(row[0].strip("`"), *map(int, row[2].split(", "))) for row in rows(4) if not row[0].isdigit()]
    assert sorted(told) == sorted(TRUTH)
    for name, _pus, _mib in told:
        assert os.path.exists(os.path.join(RECORDINGS, name + ".json"))
