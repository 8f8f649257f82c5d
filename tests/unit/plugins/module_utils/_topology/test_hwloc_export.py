# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The export, held against the rules of hwloc's format and, for the shapes that hosts have, against the tree that it should be."""

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology import hwloc_export
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_export import escape, to_hwloc_xml
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import made_host
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hwloc_hosts import (
    HOSTS,
    MADE,
    bits,
    check_rules,
    offline,
    outline,
)
from hypothesis import given
from hypothesis import strategies as st


def machine_of(topology):
    return check_rules(to_hwloc_xml(topology).text)


def infos(thing, name):
    return [info.get("value") for info in thing.findall("info") if info.get("name") == name]


def objects(machine, kind):
    return [thing for thing in machine.iter("object") if thing.get("type") == kind]


def mask(cpus):
    return CpuSet.parse(cpus).mask


@pytest.mark.parametrize("name", sorted(HOSTS))
def test_every_export_keeps_the_rules_and_shows_the_host(name):
    topology = HOSTS[name]
    machine = machine_of(topology)
    assert {int(pu.get("os_index")) for pu in objects(machine, "PU")} == set(topology.cpuset)
    assert bits(machine.get("cpuset")) == topology.cpuset.mask
    assert bits(machine.get("complete_cpuset")) == topology.complete_cpuset.mask
    assert bits(machine.get("nodeset")) == topology.nodeset.mask
    assert bits(machine.get("complete_nodeset")) == topology.complete_nodeset.mask
    shown = {int(node.get("os_index")): node for node in objects(machine, "NUMANode")}
    assert set(shown) == set(topology.nodeset)
    for number, node in shown.items():
        assert bits(node.get("cpuset")) == topology.node(number).cpuset.mask
        assert bits(node.get("complete_cpuset")) == topology.node(number).complete_cpuset.mask
        size, spanned = topology.node(number).memory_total, topology.node(number).memory_spanned
        assert int(node.get("local_memory", "0")) == (spanned or 0 if size is None else size)
    assert infos(machine, "Backend") == ["Xen"]
    assert infos(machine, "XenVersion") == [topology.xen.version]


TREES = {
    "small": """
Machine
  Package 0
    NUMANode 0
    Core 0: 0 1
    Core 1: 2 3
  Package 1
    NUMANode 1
    Core 0: 4 5
    Core 1: 6 7""",
    "big": """
Machine
  NUMANode 3
  Package 0
    Group
      NUMANode 0
      Core 0: 0 1
      Core 1: 2 3
    Group
      NUMANode 1
      Core 2: 4 5
      Core 3: 6 7
  Package 1
    NUMANode 2
    Core 0: 8 9
    Core 1: 10 11
    Core 2: 12 13
    Core 3: 14 15""",
    "smt-off": """
Machine
  NUMANode 3
  Package 0
    Group
      NUMANode 0
      Core 0: 0
      Core 1: 2
    Group
      NUMANode 1
      Core 2: 4
      Core 3: 6
  Package 1
    NUMANode 2
    Core 0: 8
    Core 1: 10
    Core 2: 12
    Core 3: 14""",
    "node-offline": """
Machine
  NUMANode 1
  NUMANode 3
  Package 0
    NUMANode 0
    Core 0: 0 1
    Core 1: 2 3
  Package 1
    NUMANode 2
    Core 0: 8 9
    Core 1: 10 11
    Core 2: 12 13
    Core 3: 14 15""",
    "wide": """
Machine
  Group
    NUMANode 0
    Package 0
      Core 0: 0 1
      Core 1: 2 3
    Package 1
      Core 0: 4 5
      Core 1: 6 7
  Group
    NUMANode 1
    Package 2
      Core 0: 8 9
      Core 1: 10 11
    Package 3
      Core 0: 12 13
      Core 1: 14 15""",
    "one-node": """
Machine
  NUMANode 0
  Package 0
    Core 0: 0 1
    Core 1: 2 3
  Package 1
    Core 0: 4 5
    Core 1: 6 7""",
    "package-crossing": """
Machine
  Group
    NUMANode 0
    Package 0
      Core 0: 0 1
      Core 1: 2 3
    Core 0: 4 5
  Core 1: 6 7
    NUMANode 1""",
    "core-crossing": """
Machine
  Group: 0 2 4 6
    NUMANode 0
  Group: 1 3 5 7
    NUMANode 1""",
}


@pytest.mark.parametrize("name", sorted(TREES))
def test_tree(name):
    assert outline(machine_of(HOSTS[name])) == TREES[name].strip().split("\n")


def test_cluster_within_a_package_is_told_from_a_node_of_several_packages():
    assert [group.get("subtype") for group in objects(machine_of(HOSTS["big"]), "Group")] == [
        "SubNUMACluster"
    ] * 2
    assert [group.get("subtype") for group in objects(machine_of(HOSTS["wide"]), "Group")] == [None, None]


def test_offline_cpus_are_in_complete_sets_only():
    machine = machine_of(HOSTS["core-offline"])
    package = objects(machine, "Package")[0]
    assert [int(pu.get("os_index")) for pu in objects(machine, "PU")] == [0, 1, 4, 5, 6, 7]
    assert (bits(package.get("cpuset")), bits(package.get("complete_cpuset"))) == (mask("0-1"), mask("0-3"))
    assert infos(machine, "XenLeftOut") == [
        "Core P#1 package=0 cpuset=0x0 complete_cpuset=0x0000000c: has no CPU to show"
    ]
    assert to_hwloc_xml(HOSTS["core-offline"]).warnings == ()


def test_nodes_without_cpus_say_so_and_name_the_nearest():
    machine = machine_of(HOSTS["node-offline"])
    nodes = {node.get("os_index"): node for node in objects(machine, "NUMANode")}
    assert infos(nodes["3"], "XenLocalCPUs") == ["none; offline: none"]
    assert infos(nodes["3"], "XenNearestNodes") == ["2"]
    assert nodes["3"].get("complete_cpuset") == "0x0"
    assert infos(nodes["1"], "XenLocalCPUs") == ["none; offline: 4-7"]
    assert infos(nodes["1"], "XenNearestNodes") == ["0"]
    assert bits(nodes["1"].get("complete_cpuset")) == mask("4-7")
    assert infos(nodes["0"], "XenLocalCPUs") == []


def test_nodeset_of_every_object_names_the_nodes_of_its_cpus():
    machine = machine_of(HOSTS["big"])
    assert [bits(package.get("nodeset")) for package in objects(machine, "Package")] == [
        mask("0-1"),
        mask("2"),
    ]
    assert bits(objects(machine, "PU")[5].get("nodeset")) == mask("1")


def test_what_crosses_a_node_is_said():
    text, warnings = to_hwloc_xml(HOSTS["package-crossing"])
    assert warnings == (
        "Left out, since hwloc's tree has no place for what crosses the boundary of a NUMA node: Package P#1.",
    )
    assert infos(check_rules(text), "XenLeftOut") == [
        "Package P#1 cpuset=0x000000f0 complete_cpuset=0x000000f0: crosses the boundary of a NUMA node"
    ]
    many = to_hwloc_xml(derive(made_host([(cpu // 2, 0, cpu % 2) for cpu in range(40)]))).warnings
    assert len(many) == 1 and many[0].endswith("Core P#7 package=0 and 12 more.")


def test_cpus_of_unknown_place_or_state_are_said():
    text, warnings = to_hwloc_xml(HOSTS["unplaced"])
    assert warnings == (
        "Xen does not say where the CPUs 6-7 sit although online: they are in complete_cpuset only.",
    )
    assert infos(check_rules(text), "XenUnplacedPUs") == ["6-7"]
    text, warnings = to_hwloc_xml(HOSTS["state-unknown"])
    assert warnings == ("It is not known whether the CPUs 6-7 are online: they are in complete_cpuset only.",)


def test_distances():
    def matrix(name):
        text, warnings = to_hwloc_xml(HOSTS[name])
        lines = [line.strip() for line in text.split("\n")]
        check_rules(text)
        return [line for line in lines if line.startswith(("<indexes", "<u64values"))], warnings

    assert matrix("unreachable")[0] == [
        '<indexes length="7">0 1 2 3</indexes>',
        '<u64values length="12">10 12 255 28</u64values>',
        '<u64values length="12">12 10 255 28</u64values>',
        '<u64values length="11">21 21 10 17</u64values>',
        '<u64values length="11">28 28 17 10</u64values>',
    ]
    assert matrix("sparse-nodes") == (
        [
            '<indexes length="3">1 3</indexes>',
            '<u64values length="5">10 28</u64values>',
            '<u64values length="5">28 10</u64values>',
        ],
        (),
    )
    assert matrix("one-node") == ([], ())
    assert matrix("no-distances") == (
        [],
        ("The distances from and to the NUMA nodes 0-3 are not known and left out.",),
    )


def test_cpupools():
    machine = machine_of(HOSTS["pools"])
    assert infos(machine, "XenCpupool") == [
        "id=0 scheduler=credit2 domains=2 cpuset=0x0000000f name=Pool-0",
        'id=3 scheduler=rtds cpuset=0x00000030 name=rt <name=1> & "more"',
    ]
    assert infos(machine, "XenCpupoolFree") == ["0x000000c0"]


def test_host_name():
    assert infos(check_rules(to_hwloc_xml(HOSTS["small"], 'a"b').text), "HostName") == ['a"b']
    assert infos(machine_of(HOSTS["small"]), "HostName") == []


def test_host_of_which_no_node_is_known_gets_one():
    # no real Xen says so, but facts can
    topology = HOSTS["small"]._replace(nodes=(), nodeset=CpuSet(), complete_nodeset=CpuSet())
    machine = machine_of(topology)
    (node,) = objects(machine, "NUMANode")
    assert (node.get("os_index"), bits(node.get("cpuset"))) == ("0", mask("0-7"))
    assert node.get("local_memory") == str(topology.memory.total)
    assert bits(objects(machine, "PU")[0].get("nodeset")) == 1
    assert infos(node, "XenNUMA")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cpuset": CpuSet()}, "no CPU of this host is online with a known place"),
        ({"packages": HOSTS["wide"].packages}, "contradicts itself: Package 2 with the CPUs 8-11"),
        ({"nodes": HOSTS["small"].nodes * 2}, "contradicts itself: two NUMA nodes have the same number"),
        (
            {
                "packages": (
                    HOSTS["small"].packages[0],
                    HOSTS["small"].packages[1]._replace(cpuset=CpuSet([3])),
                )
            },
            "contradicts itself: Package 1 with the CPUs 4-7",
        ),
        (
            {"packages": (HOSTS["small"].packages[0]._replace(complete_cpuset=CpuSet()),)},
            "contradicts itself: Package 0",
        ),
    ],
)
def test_topologies_that_cannot_be_shown(change, message):
    topology = HOSTS["small"]._replace(**change)
    with pytest.raises(Failure) as caught:
        to_hwloc_xml(topology)
    assert message in caught.value.message


def test_escapes():
    assert escape('<a href="x">&\'\t\n\r') == "&lt;a href=&quot;x&quot;&gt;&amp;'&#9;&#10;&#13;"
    assert escape("\0\x01\x1f\x7f\x85\ud800\ufffe\uffff") == "????????"
    assert escape("\u00e9\u20ac\U0001f600") == "\u00e9\u20ac\U0001f600"


@given(st.text())
def test_any_command_line_can_be_written(text):
    xen = {"major": 4, "minor": 17, "commandline": text}
    machine = machine_of(derive(made_host(xen=xen)))
    (written,) = infos(machine, "XenCommandLine")
    assert [a == b for a, b in zip(written, text) if b.isprintable()].count(False) == 0
    assert len(written) == len(text)


def test_thousands_of_cpus_take_words_of_32_bits():
    machine = machine_of(derive(made_host([(cpu // 2, 0, 0) for cpu in range(130)], **offline([128], 130))))
    assert machine.get("cpuset") == "0x00000002,0xffffffff,0xffffffff,0xffffffff,0xffffffff"
    assert machine.get("complete_cpuset") == "0x00000003,0xffffffff,0xffffffff,0xffffffff,0xffffffff"


# --- caches, devices, DMI


def children(thing, kind):
    return [child for child in thing.findall("object") if child.get("type") == kind]


def test_caches_are_where_their_cpus_are():
    machine = machine_of(HOSTS["devices"])
    assert outline(machine)[:8] == [
        "Machine",
        "  Package 0",
        "    NUMANode 0",
        "    L3Cache",
        "      L2Cache",
        "        L1Cache",
        "          L1iCache",
        "            Core 0: 0 1",
    ]
    (first,) = objects(machine, "L3Cache")[:1]
    names = ("cache_size", "depth", "cache_linesize", "cache_associativity", "cache_type")
    assert [first.get(name) for name in names] == ["4194304", "3", "64", "16", "0"]
    assert [len(objects(machine, kind)) for kind in ("L1Cache", "L1iCache", "L2Cache", "L3Cache")] == [
        4,
        4,
        4,
        2,
    ]


def test_caches_of_unknown_sharing_are_infos():
    host = HOSTS["devices"]
    topology = host._replace(caches=tuple(cache._replace(cpusets=None) for cache in host.caches))
    machine = machine_of(topology)
    assert not objects(machine, "L3Cache")
    assert infos(machine, "XenCache")[-1] == "level=3 type=unified size=4194304 line=64 ways=16"


def test_cache_that_crosses_a_node_is_left_out_and_named():
    host = HOSTS["devices"]
    odd = host.caches[-1]._replace(cpusets=(CpuSet.parse("2-5"),))
    exported = to_hwloc_xml(host._replace(caches=host.caches[:-1] + (odd,)))
    machine = check_rules(exported.text)
    assert not objects(machine, "L3Cache")
    assert any(info.startswith("Cache L3Cache cpuset=0x0000003c") for info in infos(machine, "XenLeftOut"))
    assert any("Cache L3Cache" in warning for warning in exported.warnings)


def test_cache_without_an_online_cpu_is_no_object():
    topology = derive(
        made_host(**dict(offline([4, 5, 6, 7], 8), cpu_policy=MADE["devices"].data["cpu_policy"]))
    )
    assert len(objects(machine_of(topology), "L3Cache")) == 1


def test_devices_hang_where_xen_says():
    machine = machine_of(HOSTS["devices"])
    here = {bridge.get("bridge_pci"): bridge for bridge in children(machine, "Bridge")}
    # nobody knows where, two nodes at one root
    assert list(here) == ["0000:[00-00]", "0000:[80-80]"]
    assert [infos(bridge, "XenNUMANode") for bridge in here.values()] == [["unknown"], ["several"]]
    packages = children(machine, "Package")
    near = [[bridge.get("bridge_pci") for bridge in children(package, "Bridge")] for package in packages]
    # the one whose parent is nobody hangs on its own bus
    assert near == [["0000:[c0-c0]"], ["0000:[40-42]"]]


def test_bridges_devices_and_what_dom0_makes_of_them():
    machine = machine_of(HOSTS["devices"])
    (root,) = children(children(machine, "Package")[1], "Bridge")
    (upper,) = children(root, "Bridge")
    (lower,) = children(upper, "Bridge")
    assert [bridge.get("depth") for bridge in (root, upper, lower)] == ["0", "1", "2"]
    assert (upper.get("bridge_pci"), upper.get("pci_busid")) == ("0000:[41-42]", "0000:40:00.0")
    card, screen = children(lower, "PCIDev")
    assert [(child.get("name"), child.get("osdev_type")) for child in children(card, "OSDev")] == [
        ('eth "0" <&>', "2"),
        ("mlx5_0", "3"),
    ]
    assert [infos(card, name) for name in ("PCIVendor", "PCIDevice", "LinuxDriver", "XenNUMANode")] == [
        ["Intel Corporation"],
        ["82599ES"],
        ["ixgbe"],
        ["1"],
    ]
    assert (infos(screen, "XenAssignedTo"), infos(screen, "XenNUMANode")) == (["7"], ["unknown"])
    (disks,) = children(children(machine, "Bridge")[0], "PCIDev")
    assert [child.get("name") for child in children(disks, "OSDev")] == ["sda", "sdb"]


def test_device_in_a_domain_that_hwloc_cannot_have_is_named():
    machine = machine_of(HOSTS["devices"])
    assert "10000:e1:00.0" not in [device.get("pci_busid") for device in objects(machine, "PCIDev")]
    assert infos(machine, "XenLeftOut") == ["PCIDev 10000:e1:00.0: hwloc has no PCI domain above ffff"]


def test_devices_that_claim_to_be_below_each_other():
    host = HOSTS["devices"]
    loop = [
        device._replace(parent="0000:41:00.0") if device.address == "0000:40:00.0" else device
        for device in host.pci_devices
    ]
    machine = machine_of(host._replace(pci_devices=tuple(loop)))
    assert "PCIDev 0000:42:00.0: is below itself, or below more bridges than a machine has" in infos(
        machine, "XenLeftOut"
    )


def test_dmi():
    machine = machine_of(HOSTS["devices"])
    assert infos(machine, "DMISysVendor") == ["Maker & <Sons>"]
    assert infos(machine, "DMIProductSerial") == ["123"]
    assert infos(machine, "DMIProductName") == []


def test_kinds_of_cpus_where_there_are_several():
    hybrid = [(0, 0, 0), (0, 0, 0), (1, 0, 0), (2, 0, 0)]
    topology = derive(made_host(hybrid))
    text = to_hwloc_xml(topology).text
    assert len(topology.cpu_kinds) == text.count("<cpukind ") == 2
    assert "<cpukind" not in to_hwloc_xml(HOSTS["small"]).text
    check_rules(text)


def test_more_bridges_below_each_other_than_a_machine_has():
    devices = [
        {
            "address": "%04x:00:00.0" % number,
            "class": 0x060400,
            "vendor": 1,
            "device": 2,
            "parent": "%04x:00:00.0" % (number - 1) if number else None,
            "buses": [1, 2],
        }
        for number in range(2000)
    ]
    text = to_hwloc_xml(derive(made_host(pci_devices=devices))).text
    assert "PCIDev 07cf:00:00.0: is below itself, or below more bridges than a machine has" in text


def test_xml_that_nothing_would_read_is_not_made(monkeypatch):
    host = derive(made_host())
    monkeypatch.setattr(hwloc_export, "LARGEST_TEXT", 1000)
    with pytest.raises(Failure, match="would have more than 0 million characters"):
        to_hwloc_xml(host)
