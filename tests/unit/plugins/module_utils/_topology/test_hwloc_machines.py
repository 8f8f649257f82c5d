# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hwloc's XML of real machines has and Xen hosts have not, in the versions 1 to 3: what comes in, and what goes out again."""

import re

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_export import to_hwloc_xml
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_import import from_hwloc_xml


def sets(cpus, nodes):
    cpus, nodes = CpuSet.parse(cpus).hwloc(), CpuSet.parse(nodes).hwloc()
    return f'cpuset="{cpus}" complete_cpuset="{cpus}" nodeset="{nodes}" complete_nodeset="{nodes}"'


def node(number, cpus, more="", inside=""):
    return (
        f'<object type="NUMANode" os_index="{number}" {sets(cpus, str(number))} local_memory="1073741824"{more}>'
        f"{inside}</object>"
    )


def core(number, cpu, nodes, inside=""):
    return (
        f'<object type="Core" os_index="{number}" {sets(str(cpu), nodes)}>'
        f'<object type="PU" os_index="{cpu}" {sets(str(cpu), nodes)}/>{inside}</object>'
    )


def package(number, cpus, nodes, inside="", beside=""):
    """A package of cores with a CPU each."""
    cores = "".join(core(index, cpu, nodes) for index, cpu in enumerate(CpuSet.parse(cpus)))
    return f'<object type="Package" os_index="{number}" {sets(cpus, nodes)}>{inside}{cores}{beside}</object>'


def machine(cpus, nodes, inside, beside="", version='version="2.0"'):
    return (
        f'<topology {version}>\n<object type="Machine" os_index="0" {sets(cpus, nodes)}>\n{inside}\n</object>\n'
        f"{beside}\n</topology>\n"
    )


def nic(pci_type="0200 [8086:10d3] [8086:0000] 00", osdev="2", address="0000:00:02.0", inside=""):
    return (
        '<object type="Bridge" bridge_type="0-1" depth="0" bridge_pci="0000:[00-00]">'
        f'<object type="PCIDev" pci_busid="{address}" pci_type="{pci_type}" pci_link_speed="0.25">'
        f'<object type="OSDev" name="eth0" osdev_type="{osdev}"/>{inside}</object></object>'
    )


def through_facts(text):
    """Read XML, and what its facts say after they were written down and read back."""
    topology = from_hwloc_xml(text)
    assert from_facts(to_facts(topology)) == topology
    return topology


def again(topology):
    """Export, and read what was exported."""
    text = to_hwloc_xml(topology).text
    assert "Xen" not in text
    return through_facts(text)


# --- devices


@pytest.mark.parametrize("written", ["2.0", "3.0"])
@pytest.mark.parametrize("behind", ["", " 00", " 02"])
def test_programming_interface_behind_the_revision(written, behind):
    kind = nic("0200 [8086:10d3] [8086:0000] 00" + behind, {"2.0": "2", "3.0": "16"}[written])
    text = machine("0-1", "0", package(0, "0-1", "0", node(0, "0-1")) + kind, version=f'version="{written}"')
    topology = through_facts(text)
    (device,) = topology.pci_devices
    assert (device.address, device.class_name, device.class_id) == (
        "0000:00:02.0",
        "network",
        "0200" + (behind.strip() or "00"),
    )
    assert device.network == ("eth0",)
    assert again(topology).pci_devices == (device,)


@pytest.mark.parametrize(
    ("bits", "field"),
    [
        (1, "block"),
        (3, "block"),
        (4, "gpu"),
        (16, "network"),
        (32, "infiniband"),
        (48, "infiniband"),
        (8, None),
        (12, None),
        (64, None),
        (2**40, None),
    ],
)
def test_hwloc_3_has_bits_for_what_an_os_device_is(bits, field):
    text = machine(
        "0-1", "0", package(0, "0-1", "0", node(0, "0-1")) + nic(osdev=str(bits)), version='version="3.0"'
    )
    topology = through_facts(text)
    (device,) = topology.pci_devices
    fields = ("network", "block", "infiniband", "gpu")
    assert {name: getattr(device, name) for name in fields if getattr(device, name)} == (
        {field: ("eth0",)} if field else {}
    )
    back = again(topology)
    assert (back.pci_devices, back.hwloc_objects) == (topology.pci_devices, topology.hwloc_objects)
    assert to_hwloc_xml(topology).text.count('type="OSDev"') == 1


def test_memory_that_is_a_device_is_no_disk():
    inside = package(
        0, "0-1", "0", node(0, "0-1"), '<object type="OSDev" name="dax0.0" subtype="SPM" osdev_type="0"/>'
    ) + nic(inside='<object type="OSDev" name="mem0" subtype="CXLMem" osdev_type="0"/>')
    topology = through_facts(machine("0-1", "0", inside))
    assert topology.pci_devices[0].block == ()
    assert [(thing.name, thing.parent, str(thing.cpuset)) for thing in topology.hwloc_objects] == [
        ("dax0.0", "Package", "0-1"),
        ("mem0", "0000:00:02.0", "0-1"),
    ]
    assert sorted(again(topology).hwloc_objects, key=str) == sorted(topology.hwloc_objects, key=str)


def test_a_device_is_near_the_node_that_has_the_cpus():
    inside = "".join(
        package(number, cpus, f"{number},{number + 2}", node(number, cpus) + node(number + 2, cpus), beside)
        for number, cpus, beside in ((0, "0-1", ""), (1, "2-3", nic()))
    )
    topology = through_facts(machine("0-3", "0-3", inside))
    assert topology.pci_devices[0].node == 1
    assert again(topology).pci_devices[0].node == 1


def test_a_host_bridge_that_hangs_on_no_node_comes_back_to_its_place():
    beside = nic()
    inside = node(0, "0-3") + package(0, "0-1", "0") + package(1, "2-3", "0", beside=beside)
    topology = through_facts(machine("0-3", "0", inside))
    assert topology.pci_devices[0].node == 0
    text = to_hwloc_xml(topology).text
    assert text.index('type="Bridge"') > text.index('type="Package" os_index="1"')
    assert again(topology) == topology


# --- memory


def test_memory_beside_other_memory_of_the_same_cpus():
    inside = "".join(
        package(
            number,
            cpus,
            f"{number},{number + 2}",
            node(number + 2, cpus, ' subtype="HBM"') + node(number, cpus, ' subtype="DRAM"'),
        )
        for number, cpus in ((0, "0-1"), (1, "2-3"))
    )
    topology = through_facts(machine("0-3", "0-3", inside))
    assert [
        (node.os_index, str(node.cpuset), str(node.shared_cpuset), node.nearest_cpu_nodes, node.subtype)
        for node in topology.nodes
    ] == [
        (0, "0-1", "", (0,), "DRAM"),
        (1, "2-3", "", (1,), "DRAM"),
        (2, "", "0-1", (0,), "HBM"),
        (3, "", "2-3", (1,), "HBM"),
    ]
    assert again(topology).nodes == topology.nodes


def test_memory_of_several_nodes_hangs_on_what_is_around_them():
    inside = f'<object type="Package" os_index="0" {sets("0-3", "0-2")}>' + node(2, "0-3")
    for number, cpus in ((0, "0-1"), (1, "2-3")):
        inside += (
            f'<object type="Group" kind="1002" subkind="3" {sets(cpus, f"{number},2")}>{node(number, cpus)}'
        )
        inside += "".join(core(cpu, cpu, f"{number},2") for cpu in CpuSet.parse(cpus)) + "</object>"
    topology = through_facts(machine("0-3", "0-2", inside + "</object>"))
    assert topology.node(2)[1:6] == (CpuSet(), CpuSet(), 2**30, 2**30, (0, 1))
    assert again(topology) == topology


def test_a_node_without_memory_has_none():
    inside = node(0, "0") + f'<object type="NUMANode" os_index="1" {sets("1", "1")}/>'
    topology = through_facts(machine("0-1", "0-1", inside + core(0, 0, "0") + core(1, 1, "1")))
    assert [(node.memory_total, node.memory_free) for node in topology.nodes] == [(2**30, 2**30), (0, 0)]
    assert again(topology).nodes == topology.nodes


def test_a_cpu_without_a_node_stays_in_its_package():
    text = machine("0-1", "0", package(0, "0", "0", node(0, "0")) + package(1, "1", ""))
    topology = through_facts(text)
    assert [str(package.cpuset) for package in topology.packages] == ["0", "1"]
    assert (
        topology.warnings[-1]
        == "CPU 1 is online and on no NUMA node that is known: nothing will be placed there."
    )
    exported = to_hwloc_xml(topology)
    assert exported.warnings == ()
    assert not [said for said in (exported.text, *topology.warnings) if "Xen" in said]
    assert again(topology).pus == topology.pus


def test_sets_without_an_end_say_nothing_about_what_there_is():
    text = machine("0-1", "0", package(0, "0-1", "0", node(0, "0-1")))
    text = re.sub(r'complete_cpuset="0x00000003"', 'complete_cpuset="0xf...f"', text)
    topology = through_facts(text)
    assert (str(topology.complete_cpuset), len(topology.pus)) == ("0-1", 2)


# --- distances


def latencies(values, kind=5, name="NUMALatency"):
    return (
        f'<distances2 type="NUMANode" nbobjs="2" kind="{kind}"{f" name={chr(34)}{name}{chr(34)}" if name else ""} indexing="os">'
        f'<indexes length="4">0 1 </indexes><u64values length="{len(values)}">{values}</u64values></distances2>\n'
    )


TWO = package(0, "0", "0", node(0, "0")) + package(1, "1", "1", node(1, "1"))
SLIT, MEASURED = "10 21 21 10", "100 200 200 100"


@pytest.mark.parametrize(
    ("beside", "passed"),
    [
        (latencies(MEASURED, 6, "MyBench") + latencies(SLIT), "line 5 (MyBench)"),
        (latencies(SLIT) + latencies(MEASURED, 6, "MyBench"), "line 6 (MyBench)"),
        (latencies(MEASURED, 6, "") + latencies(SLIT, 5, ""), "line 5"),
        (latencies(MEASURED, 5, "Other") + latencies(SLIT, 6), "line 5 (Other)"),
    ],
)
def test_of_several_latencies_those_of_the_firmware_are_taken(beside, passed):
    topology = through_facts(machine("0-1", "0-1", TWO, beside))
    assert topology.distances.matrix == ((10, 21), (21, 10))
    (said,) = [warning for warning in topology.warnings if "several latencies" in warning]
    assert said.endswith(f"those in {passed} are passed over.")


OLD = (
    '<distances nbobjs="2" relative_depth="{depth}" latency_base="10.000000"><latency value="1.0"/><latency value="3.2"/>'
    '<latency value="3.2"/><latency value="1.0"/></distances>'
)


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_distances_of_hwloc_1_go_by_the_number_of_nodes(depth):
    topology = through_facts(machine("0-1", "0-1", OLD.format(depth=depth) + TWO, version=""))
    assert topology.distances.matrix == ((10, 32), (32, 10))
    inside = f'<object type="Socket" os_index="0" {sets("0-1", "0-1")}>' + OLD.format(depth=depth)
    for cpu in (0, 1):
        inside += f'<object type="NUMANode" os_index="{cpu}" {sets(str(cpu), str(cpu))}>{core(cpu, cpu, "0-1")}</object>'
    topology = through_facts(machine("0-1", "0-1", inside + "</object>", version=""))
    assert topology.distances.matrix == ((10, 32), (32, 10))


# --- what is only kept


def test_dies_groups_caches_of_memory_and_misc_objects_come_back():
    info = '<info name="Note" value="a &lt;b&gt;"/>'
    inside = (
        f'<object type="Group" subtype="Rack" name="left" kind="10" subkind="2" {sets("0-3", "0-1")}>{info}'
        f'<object type="Package" os_index="0" {sets("0-3", "0-1")}>'
    )
    for number, cpus in ((0, "0-1"), (1, "2-3")):
        cache = (
            f'<object type="MemCache" {sets(cpus, str(number))} cache_size="65536" depth="1" cache_linesize="64" '
            f'cache_associativity="1" cache_type="0">{info}{node(number, cpus)}</object>'
        )
        inside += f'<object type="Die" os_index="{number + 4}" {sets(cpus, str(number))}>{cache}'
        inside += "".join(core(cpu, cpu, str(number)) for cpu in CpuSet.parse(cpus)) + "</object>"
    misc = f'<object type="Misc" name="DIMM 0" subtype="MemoryModule" os_index="9">{info}</object>'
    inside += misc + "</object></object>" + nic(inside='<object type="Misc" name="port 1"/>')
    topology = through_facts(machine("0-3", "0-1", inside))
    assert sorted(thing.type for thing in topology.hwloc_objects) == [
        *["Die"] * 2,
        "Group",
        *["MemCache"] * 2,
        *["Misc"] * 2,
    ]
    assert not [warning for warning in topology.warnings if "no place for" in warning]
    back = again(topology)
    order = str
    assert sorted(back.hwloc_objects, key=order) == sorted(topology.hwloc_objects, key=order)
    assert back._replace(hwloc_objects=None) == topology._replace(hwloc_objects=None)


def test_two_thousand_caches_on_one_set():
    cache = f'<object type="L2Cache" {sets("0-1", "0")} cache_size="65536" depth="2" cache_linesize="64" cache_type="0"/>'
    topology = through_facts(machine("0-1", "0", package(0, "0-1", "0", node(0, "0-1") + 2000 * cache)))
    assert [(cache.level, cache.size, list(map(str, cache.cpusets))) for cache in topology.caches] == [
        (2, 65536, ["0-1"])
    ]
    assert (
        "The XML has several caches of one level and type around the CPUs 0-1: the first is taken."
        in topology.warnings
    )
    assert again(topology).caches == topology.caches


@pytest.mark.parametrize("told", [(1, 1), (0, 0), (3, 1)])
def test_kinds_that_are_forced_to_the_same_efficiency_have_no_order_but_their_frequencies(told):
    kinds = "".join(
        f'<cpukind cpuset="{hex(1 << cpu)}" forced_efficiency="{rank}"><info name="FrequencyMaxMHz" value="{mhz}"/></cpukind>'
        for cpu, rank, mhz in zip((0, 1), told, (2000, 3000))
    )
    topology = through_facts(machine("0-1", "0", package(0, "0-1", "0", node(0, "0-1")), kinds))
    thriftiest = 0 if told[0] <= told[1] else 1
    assert [str(kind.cpuset) for kind in topology.cpu_kinds] == [str(thriftiest), str(1 - thriftiest)]
    assert [kind.efficiency for kind in topology.cpu_kinds] == [0, 1]
    assert again(topology).cpu_kinds == topology.cpu_kinds
