# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What comes back from an export, what other machines' XML becomes, and what bad XML is answered with."""

import json
import re

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology import hwloc_elements
from ansible_collections.dom0.xen.plugins.module_utils._topology import hwloc_names as names
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_export import to_hwloc_xml
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_import import from_hwloc_xml
from ansible_collections.dom0.xen.plugins.module_utils._topology.kinds import overrides
from ansible_collections.dom0.xen.plugins.module_utils._topology.model import Distances
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    GIB,
    INVALID,
    made_host,
)
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hwloc_hosts import (
    HOSTS,
    check_rules,
    numa,
)
from hypothesis import given
from hypothesis import strategies as st

# --- there and back


def expected(topology):
    """What an import can know of a host that was exported; docs/hwloc.md says the same in words."""
    shown = topology.nodeset
    known = [
        node
        for node in topology.distances.nodes
        if node in shown and (topology.distance(node, node) is not None)
    ]
    if len(known) < 2:
        known = []
    nodes = topology.distances.nodes
    matrix = tuple(
        tuple(topology.distance(a, b) if a in known and b in known else None for b in nodes) for a in nodes
    )
    if len(shown) == 1:
        matrix = tuple(tuple(10 if a == b and a in shown else None for b in nodes) for a in nodes)
    return {
        "pus": tuple(
            pu._replace(
                apic_id=None,
                acpi_id=None,
                core=None if pu.package is None else pu.core,
                present=True,
            )
            for pu in topology.pus
        ),
        "cores": topology.cores,
        "packages": topology.packages,
        "nodes": tuple(
            node
            if node.os_index in shown
            else node._replace(
                memory_spanned=None,
                memory_free=None,
                memory_total=None,
                memory_low=None,
                nearest_cpu_nodes=(),
                proximity_domain=None,
            )
            for node in topology.nodes
        ),
        "distances": Distances(nodes, matrix),
        "xen": topology.xen._replace(
            changeset=topology.xen.changeset or None,
            interface=dict.fromkeys(topology.xen.interface),
            # of a host with one node an import can tell what the command line does
            numa=topology.xen.numa
            if len(topology.nodes) > 1 or ("numa", "off") in topology.xen.parameters
            else None,
        ),
        # a pool that is made later may have another granularity than the command line's
        "cpupools": tuple(pool._replace(sched_gran=None) if pool.id else pool for pool in topology.cpupools),
        "domains": None,
        "dom0_boot": topology.dom0_boot,
        "dom0_vcpus": (),
        "dom0_linux": None,
        "source": "hwloc_xml",
    }


SAME = [
    "memory",
    "cpu_khz",
    "cpupool_free",
    "cpuset",
    "complete_cpuset",
    "allowed_cpuset",
    "nodeset",
    "complete_nodeset",
]


def check_round_trip(topology):
    text = to_hwloc_xml(topology).text
    back = from_hwloc_xml(text)
    wanted = expected(topology)
    wanted.update({field: getattr(topology, field) for field in SAME})
    for field, value in wanted.items():
        assert getattr(back, field) == value, field
    kinds = [kind for kind in topology.cpu_kinds if kind.cpuset]
    if len(kinds) == len(topology.cpu_kinds):
        assert back.cpu_kinds == topology.cpu_kinds
    elif len(kinds) > 1:
        # those without an online CPU are left out, so the others may have other ranks
        assert {kind._replace(efficiency=None) for kind in back.cpu_kinds} == {
            kind._replace(efficiency=None) for kind in kinds
        }
    facts = to_facts(back)
    # a command line may hold what does not print, and facts spell that out
    assert from_facts(facts)._replace(xen=back.xen) == back
    assert to_facts(from_facts(facts)) == facts
    # and once more, which must change nothing
    again = from_hwloc_xml(to_hwloc_xml(back).text)
    assert again._replace(warnings=()) == back._replace(warnings=())
    return back


@pytest.mark.parametrize("name", sorted(set(HOSTS) - {"odd-characters"}))
def test_what_was_exported_comes_back(name):
    check_round_trip(HOSTS[name])


#: A version of Xen, started with dom0 on the node that ACPI calls 3.
BOOTED_ON_NODE_3 = {"major": 4, "minor": 17, "extraversion": ".7", "commandline": "dom0_nodes=3"}


def test_good_host_comes_back_without_a_warning():
    assert from_hwloc_xml(to_hwloc_xml(HOSTS["big"]).text).warnings == ()


def test_caches_devices_and_dmi_come_back():
    before = HOSTS["devices"]
    after = check_round_trip(before)
    assert after.caches == before.caches
    assert after.dmi == before.dmi
    # hwloc 2 has no domains above ffff
    expected_devices = [device for device in before.pci_devices if device.address != "10000:e1:00.0"]
    odd = {"0000:c0:00.0": {"parent": "pci0000:c0"}}
    assert list(after.pci_devices) == [
        device._replace(**odd.get(device.address, {})) for device in expected_devices
    ]
    assert not any("no place for" in warning for warning in after.warnings)


def test_frequencies_of_cpus_and_acpis_numbers_of_nodes_come_back():
    host = made_host(
        px_max_mhz={"0": 3900, "1": 3900, "5": 3700}, node_domains={"0": 3, "1": 0}, xen=BOOTED_ON_NODE_3
    )
    before = derive(host)
    assert {pu.max_khz for pu in before.pus} == {3900000, 3700000, None}
    assert before.dom0_boot.nodes == CpuSet([0])
    after = check_round_trip(before)
    assert [node.proximity_domain for node in after.nodes] == [3, 0]
    text = to_hwloc_xml(before).text
    # a line for all CPUs that are alike, not one for each
    assert text.count("XenPUMaxKHz") == 2
    # of another machine they would mean nothing
    foreign = text.replace('name="Backend" value="Xen"', 'name="Backend" value="Linux"')
    other = from_hwloc_xml(foreign)
    assert {pu.max_khz for pu in other.pus} == {node.proximity_domain for node in other.nodes} == {None}


@pytest.mark.parametrize(
    "told", ["", "khz=x cpuset=0x1", "khz=9 cpuset=2", "khz=99999999999999 cpuset=0x1", "cpuset=0x1"]
)
def test_frequencies_that_make_no_sense_are_none(told):
    text = to_hwloc_xml(derive(made_host(px_max_mhz={"1": 3900}))).text
    spoilt = re.sub('(name="XenPUMaxKHz" value=)"[^"]*"', rf'\1"{told}"', text)
    assert spoilt != text
    assert {pu.max_khz for pu in from_hwloc_xml(spoilt).pus} == {None}


def test_caches_of_unknown_sharing_come_back():
    host = HOSTS["devices"]
    topology = host._replace(caches=tuple(cache._replace(cpusets=None) for cache in host.caches))
    assert from_hwloc_xml(to_hwloc_xml(topology).text).caches == topology.caches


def test_odd_characters_come_back():
    back = check_round_trip(HOSTS["odd-characters"])
    assert back.xen.command_line == "a=\"b\" <c> & 'd'\t\n\r\u00e9 \u20ac end"
    assert (back.xen.version, back.xen.extraversion) == ("4.20-rc1", "-rc1")


PLACE = st.one_of(st.integers(0, 2), st.just(INVALID))
SIZE = st.sampled_from([None, None, 0, 1, 3])


@st.composite
def strange_hosts(draw):
    """Hosts whose packages, cores and nodes overlap as they like; some CPUs offline, some of unknown place or state."""
    node_count = 4
    places = draw(
        st.lists(st.tuples(PLACE, PLACE, st.sampled_from([0, 1, 2, 3, INVALID])), min_size=1, max_size=10)
    )
    count = len(places)
    asked = draw(st.integers(0, count))
    flags = draw(st.lists(st.sampled_from([1, 1, 1, 0]), min_size=asked, max_size=asked))
    known = draw(st.lists(st.booleans(), min_size=node_count, max_size=node_count))
    ways = draw(
        st.lists(
            st.lists(st.one_of(st.integers(10, 254), st.just(INVALID)), min_size=4, max_size=4),
            min_size=node_count,
            max_size=node_count,
        )
    )
    distance = [
        [INVALID if not (known[a] and known[b]) else 10 if a == b else ways[a][b] for b in range(node_count)]
        for a in range(node_count)
    ]
    pools = draw(st.sampled_from([None, "one", "two"]))
    online = [cpu for cpu, flag in enumerate(flags) if flag]
    half = len(online) // 2
    sections = {
        None: {"cpupools": None, "cpupool_free": None},
        "one": {"cpupools": [{"id": 0, "sched_id": 6, "n_dom": 1, "cpus": online}]},
        "two": {
            "cpupools": [{"id": 0, "cpus": online[:half]}, {"id": 7, "sched_id": 9, "cpus": []}],
            "cpupool_free": online[half:],
            "cpupool_names": {"7": draw(st.text("ab =<&", max_size=5))},
        },
    }[pools]
    return made_host(
        places,
        numainfo=numa([draw(SIZE) for _node in range(node_count)], distance),
        pcpuinfo=[[count - 1, flag, cpu, cpu] for cpu, flag in enumerate(flags)],
        physinfo={"nr_cpus": draw(st.integers(0, count)), "total_pages": draw(st.integers(0, 2**50))},
        px_max_mhz=draw(
            st.dictionaries(
                st.sampled_from([str(cpu) for cpu in range(count)]), st.sampled_from([900, 3600, 3900])
            )
        ),
        node_domains=draw(
            st.dictionaries(st.sampled_from("0123"), st.integers(0, 2**31 - 1)).filter(
                lambda domains: len(set(domains.values())) == len(domains)
            )
        ),
        **sections,
    )


def test_a_cpu_without_a_node_gets_none_from_the_node_that_an_export_adds():
    # the only node has CPUs that are nowhere in hwloc's tree, so hwloc is shown one that stands for the machine
    places = [[INVALID, INVALID, 0], [INVALID, INVALID, 0], [0, 0, INVALID]]
    back = check_round_trip(derive(made_host(places, numainfo=numa([1, None, None, None]))))
    assert [pu.node for pu in back.pus] == [0, 0, None]
    assert [node.os_index for node in back.nodes] == [0]


@given(strange_hosts())
def test_whatever_a_host_is_like_its_export_keeps_the_rules_and_comes_back(raw):
    topology = derive(raw)
    topology = topology._replace(
        # a pool without a name and one with an empty name are the same in XML
        cpupools=tuple(pool._replace(name=pool.name or None) for pool in topology.cpupools)
    )
    if not topology.cpuset:
        with pytest.raises(Failure):
            to_hwloc_xml(topology)
        return
    check_rules(to_hwloc_xml(topology).text)
    check_round_trip(topology)


# --- other machines

EMPTY_HOST = (
    "The XML describes a machine without a hypervisor: it is taken for an empty host, "
    "with one cpupool of all CPUs, no guests and all memory free."
)
NO_DISTANCES = "The XML does not tell the distances between the NUMA nodes: they are unknown."


def sets(cpuset, nodeset="0x1", complete=None):
    cpus = f'cpuset="{cpuset}" complete_cpuset="{complete or cpuset}"'
    return f'{cpus} nodeset="{nodeset}" complete_nodeset="{nodeset}"'


def pu(number):
    return f'<object type="PU" os_index="{number}" {sets(CpuSet([number]).hwloc())}/>'


def machine(inside, beside="", attributes=None, version="2.0"):
    attributes = attributes or sets("0x0000000f", "0x3")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE topology SYSTEM "hwloc2.dtd">\n'
        f'<topology version="{version}">\n<object type="Machine" os_index="0" {attributes}>\n{inside}\n</object>\n{beside}\n</topology>\n'
    )


HYBRID_MEMORY = machine(
    f"""
<info name="OSName" value="Linux"/>
<object type="Package" os_index="0" {sets("0x0000000f", "0xf")}>
  <object type="NUMANode" os_index="0" {sets("0x0000000f", "0x1")} local_memory="8589934592"><page_type size="4096" count="2097152"/></object>
  <object type="NUMANode" os_index="2" {sets("0x0000000f", "0x4")} local_memory="1073741824"/>
  <object type="L3Cache" {sets("0x0000000f")} cache_size="1" depth="3" cache_type="0">
    <object type="Die" os_index="0" {sets("0x00000003", "0x3")}>
      <object type="NUMANode" os_index="1" {sets("0x00000003", "0x2")} local_memory="4294967296"/>
      <object type="Core" os_index="4" {sets("0x00000001")}>{pu(0)}</object>
      <object type="Core" os_index="5" {sets("0x00000002")}>{pu(1)}</object>
    </object>
    <object type="Die" os_index="1" {sets("0x0000000c")}>
      <object type="Core" os_index="6" {sets("0x00000004")}>{pu(2)}</object>
      <object type="Core" os_index="7" {sets("0x00000008", complete="0x00000018")}>{pu(3)}</object>
    </object>
  </object>
</object>
<object type="Bridge" gp_index="9" bridge_type="0-1" depth="0" bridge_pci="0000:[00-01]">
  <object type="PCIDev" gp_index="10" pci_busid="0000:00:01.0"><object type="OSDev" name="sda" osdev_type="0"/></object>
</object>""",
    '<distances2 type="NUMANode" nbobjs="3" kind="5" name="NUMALatency" indexing="os">'
    '<indexes length="2">0 1 </indexes><indexes length="1">2</indexes><u64values length="1">10 17 28 17 10\n28 </u64values>'
    '<u64values length="1">28 28 10</u64values></distances2>'
    '<distances2 type="NUMANode" nbobjs="1" kind="9" name="NUMABandwidth" indexing="os"/>'
    '<support name="discovery.pu"/><cpukind cpuset="0x3"/>',
    sets("0x0000000f", "0x7", complete="0x0000003f") + ' allowed_cpuset="0x00000007" allowed_nodeset="0x7"',
)


def test_hwloc_2_with_several_kinds_of_memory():
    topology = from_hwloc_xml(HYBRID_MEMORY)
    assert [(pu.os_index, pu.online, pu.package, pu.core, pu.node) for pu in topology.pus] == [
        (0, True, 0, 4, 1),
        (1, True, 0, 5, 1),
        (2, True, 0, 6, 0),
        (3, True, 0, 7, 0),
        (4, False, 0, 7, None),
        (5, False, None, None, None),
    ]
    assert [
        (node.os_index, str(node.cpuset), node.memory_spanned, node.memory_free, node.nearest_cpu_nodes)
        for node in topology.nodes
    ] == [
        (0, "2-3", 8 * GIB, 8 * GIB, (0,)),
        (1, "0-1", 4 * GIB, 4 * GIB, (1,)),
        (2, "", GIB, GIB, (0, 1)),
    ]
    assert topology.distances.matrix == ((10, 17, 28), (17, 10, 28), (28, 28, 10))
    assert topology.memory == (13 * GIB, 13 * GIB, 0, 0)
    assert [(pool.id, pool.name, str(pool.cpuset)) for pool in topology.cpupools] == [(0, "Pool-0", "0-3")]
    assert topology.domains == ()
    assert topology.xen.version is None
    assert [(component.name, component.state) for component in topology.components] == [("hwloc_xml", "used")]
    assert topology.warnings == (
        "The CPUs 3 were closed to the one who wrote the XML (by a control group, for instance): they are taken for usable.",
        "NUMA node 0 shares the CPUs 0-1 with the node 1: in the model a CPU has one node, so node 0 does without them.",
        "NUMA node 2 shares the CPUs 0-3 with the nodes 0-1: in the model a CPU has one node, "
        "so node 2 is taken for memory beside theirs.",
        "The model has no place for these parts of the XML: 1 PCIDev.",
        EMPTY_HOST,
        "The distances in line 27 are no latencies between all NUMA nodes: they are left out.",
        "The kinds of CPUs in line 27 share CPUs, or leave some out: they are told apart by their threads instead.",
    )


def with_kinds(*kinds):
    """A machine of one core with two threads and two with one, and the kinds of CPUs as given: a mask, attributes, infos."""
    written = "".join(
        f'<cpukind cpuset="{mask}"{attributes}>'
        + "".join(f'<info name="{name}" value="{value}"/>' for name, value in infos.items())
        + "</cpukind>"
        for mask, attributes, infos in kinds
    )
    text = machine(
        f"""<object type="Package" os_index="0" {sets("0x0000000f")}>
<object type="NUMANode" os_index="0" {sets("0x0000000f")} local_memory="4294967296"/>
<object type="Core" os_index="0" {sets("0x00000003")}>{pu(0)}{pu(1)}</object>
<object type="Core" os_index="1" {sets("0x00000004")}>{pu(2)}</object>
<object type="Core" os_index="2" {sets("0x00000008")}>{pu(3)}</object>
</object>""",
        written,
        sets("0x0000000f"),
    )
    topology = from_hwloc_xml(text)
    assert from_facts(to_facts(topology)) == topology
    return topology


def kinds_of(topology):
    return [
        (kind.name, kind.efficiency, kind.threads_per_core, kind.max_khz, str(kind.cpuset), kind.source)
        for kind in topology.cpu_kinds
    ]


@pytest.mark.parametrize(
    ("fast", "slow", "attributes"),
    [
        ({"CoreType": "IntelCore"}, {"CoreType": "IntelAtom"}, ("", "")),
        ({"FrequencyMaxMHz": "5200"}, {"FrequencyMaxMHz": "3900"}, ("", "")),
        ({}, {}, (' forced_efficiency="7"', ' forced_efficiency="3"')),
        # what the file forces counts more than its other words
        (
            {"CoreType": "IntelAtom", "FrequencyMaxMHz": "1"},
            {"CoreType": "IntelCore", "FrequencyMaxMHz": "2"},
            (' forced_efficiency="1"', ' forced_efficiency="0"'),
        ),
    ],
    ids=["type", "frequency", "forced", "forced first"],
)
def test_kinds_of_cpus(fast, slow, attributes):
    topology = with_kinds(("0x00000003", attributes[0], fast), ("0x0000000c", attributes[1], slow))
    assert [(kind.efficiency, kind.threads_per_core, str(kind.cpuset)) for kind in topology.cpu_kinds] == [
        (0, 1, "2-3"),
        (1, 2, "0-1"),
    ]
    assert [kind.name for kind in topology.cpu_kinds] == [slow.get("CoreType"), fast.get("CoreType")]
    told = [infos.get("FrequencyMaxMHz") for infos in (slow, fast)]
    assert [kind.max_khz for kind in topology.cpu_kinds] == [mhz and int(mhz) * 1000 for mhz in told]
    assert {kind.source for kind in topology.cpu_kinds} == {"hwloc_xml"}


def test_kinds_of_which_nobody_knows_the_order():
    topology = with_kinds(
        ("0x00000003", ' forced_efficiency="1"', {"CoreType": "IntelCore"}), ("0x0000000c", "", {})
    )
    assert kinds_of(topology) == [
        ("IntelCore", None, 2, None, "0-1", "hwloc_xml"),
        (None, None, 1, None, "2-3", "hwloc_xml"),
    ]


@pytest.mark.parametrize("masks", [("0x00000003", "0x00000004"), ("0x00000007", "0x0000000c")])
def test_kinds_that_leave_cpus_out_or_share_some(masks):
    topology = with_kinds(*[(mask, "", {}) for mask in masks])
    assert [(kind.source, kind.threads_per_core) for kind in topology.cpu_kinds] == [("xen", 1), ("xen", 2)]
    assert any("kinds of CPUs in lines" in warning for warning in topology.warnings)


HYBRID_HOST = [(0, 0, 0), (0, 0, 0), (1, 0, 0), (1, 0, 0), (2, 0, 0), (3, 0, 0), (4, 0, 0)]


@pytest.mark.parametrize(
    ("speeds", "given"),
    [
        ({}, ()),
        ({cpu: 5201 if cpu < 4 else 3900 for cpu in range(7)}, ()),
        ({}, (("thrifty & <slow>", "4-6"), ("fast", "0-3"))),
        ({cpu: 4000 - cpu for cpu in range(7)}, (("odd", "0,3,5"), ("rest", "1-2,4,6"))),
    ],
    ids=["threads", "frequencies", "named", "mixed"],
)
@pytest.mark.parametrize("off", [(), (1, 5)], ids=["all online", "some offline"])
def test_kinds_of_cpus_come_back(speeds, given, off):
    host = made_host(
        HYBRID_HOST,
        pcpuinfo=[[6, int(cpu not in off), cpu, cpu] for cpu in range(7)],
        cpupools=[{"id": 0, "sched_id": 6, "n_dom": 1, "cpus": [cpu for cpu in range(7) if cpu not in off]}],
        physinfo={"nr_cpus": 7 - len(off)},
        px_max_mhz={str(cpu): mhz for cpu, mhz in speeds.items() if cpu not in off},
    )
    before = derive(host, overrides([{"name": name, "cpus": cpus} for name, cpus in given]))
    assert len(before.cpu_kinds) == 2
    text = to_hwloc_xml(before).text
    check_rules(text)
    after = from_hwloc_xml(text)
    assert after.warnings == before.warnings == ()
    assert after.cpu_kinds == before.cpu_kinds
    assert from_facts(to_facts(after)) == after


OLD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc.dtd">
<topology>
  <object type="Machine" os_level="-1" os_index="0" cpuset="0x0000000f" complete_cpuset="0x0000001f" online_cpuset="0x00000007"
          allowed_cpuset="0x0000000f" nodeset="0xf...f" complete_nodeset="0xf...f,0x00000003" allowed_nodeset="0xf...f">
    <info name="Backend" value="Linux"/>
    <distances nbobjs="2" relative_depth="1" latency_base="10.000000">
      <latency value="1.000000"/><latency value="2.100000"/><latency value="2.000000"/><latency value="1.000000"/>
    </distances>
    <distances nbobjs="4" relative_depth="4" latency_base="1.000000"/>
    <object type="NUMANode" os_level="-1" os_index="0" cpuset="0x00000003" complete_cpuset="0x00000013" local_memory="2147483648">
      <page_type size="4096" count="524288"/>
      <object type="Socket" os_level="-1" os_index="3" cpuset="0x00000003" complete_cpuset="0x00000013">
        <object type="Cache" cpuset="0x00000003" complete_cpuset="0x00000013" cache_size="1" depth="2">
          <object type="Core" os_level="-1" os_index="0" cpuset="0x00000003" complete_cpuset="0x00000003">
            <object type="PU" os_level="-1" os_index="0" cpuset="0x00000001" complete_cpuset="0x00000001"/>
            <object type="PU" os_level="-1" os_index="1" cpuset="0x00000002" complete_cpuset="0x00000002"/>
          </object>
        </object>
      </object>
    </object>
    <object type="NUMANode" os_level="-1" os_index="1" cpuset="0x0000000c" complete_cpuset="0x0000000c" local_memory="2147483648">
      <object type="Socket" os_level="-1" os_index="4294967295" cpuset="0x0000000c" complete_cpuset="0x0000000c">
        <object type="Core" os_level="-1" os_index="0" cpuset="0x0000000c" complete_cpuset="0x0000000c">
          <object type="PU" os_level="-1" os_index="2" cpuset="0x00000004" complete_cpuset="0x00000004"/>
          <object type="PU" os_level="-1" os_index="3" cpuset="0x00000008" complete_cpuset="0x00000008"/>
        </object>
      </object>
    </object>
  </object>
</topology>
"""


def test_hwloc_1():
    topology = from_hwloc_xml(OLD)
    assert [(pu.os_index, pu.online, pu.package, pu.core, pu.node) for pu in topology.pus] == [
        (0, True, 0, 0, 0),
        (1, True, 0, 0, 0),
        (2, True, 1, 0, 1),
        (3, False, 1, 0, 1),
        (4, False, 0, None, 0),
    ]
    assert topology.distances.matrix == ((10, 21), (20, 10))
    assert [node.memory_spanned for node in topology.nodes] == [2 * GIB, 2 * GIB]
    assert topology.warnings == (
        "The Package objects in lines 13, 23 have no os_index, or share it with another beside them: they are numbered as they come.",
        EMPTY_HOST,
        "The distances in line 10 are no latencies between all NUMA nodes: they are left out.",
    )


def test_hwloc_1_without_numa():
    text = re.sub(r"</?object type=.NUMANode[^>]*>|</object>(?=\s*<object type=.NUMANode)", "", OLD)
    text = text.replace("    </object>\n  </object>\n</topology>", "  </object>\n</topology>")
    text = text.replace('type="Machine"', 'type="Machine" local_memory="4294967296"')
    topology = from_hwloc_xml(text)
    assert [(node.os_index, str(node.cpuset), node.memory_spanned) for node in topology.nodes] == [
        (0, "0-2", 4 * GIB)
    ]
    assert topology.distances.matrix == ((10,),)


def test_hwloc_3_has_infos_beside_the_tree():
    text = to_hwloc_xml(HOSTS["big"]).text
    found = re.findall(r"\n    <info [^\n]*", text)
    moved = re.sub(r"\n    <info [^\n]*", "", text).replace("</topology>", "".join(found) + "</topology>")
    moved = moved.replace('version="2.0"', 'version="3.0"')
    assert from_hwloc_xml(moved) == from_hwloc_xml(text)


def test_machine_below_a_system():
    inside = f'<object type="Machine" os_index="0" {sets("0x3")}>{pu(0)}{pu(1)}</object>'
    text = machine(inside).replace('type="Machine"', 'type="System"', 1)
    assert str(from_hwloc_xml(text).cpuset) == "0-1"


def test_cpus_without_package_core_or_node_are_said():
    bare = from_hwloc_xml(
        machine(
            f'<object type="NUMANode" os_index="0" {sets("0x1")}/>'
            f'<object type="Core" os_index="0" {sets("0x3", complete="0x13")}>{pu(0)}{pu(1)}</object>{pu(2)}{pu(3)}',
            attributes=sets("0xf", "0x1", complete="0x1f"),
        )
    )
    assert [(pu.os_index, pu.online, pu.package, pu.core, pu.node) for pu in bare.pus] == [
        (0, True, 0, 0, 0),
        (1, True, 0, 0, None),
        (2, True, 0, 1, None),
        (3, True, 0, 2, None),
        (4, False, 0, 0, None),
    ]
    assert str(bare.cpuset) == "0-3"
    assert bare.warnings == (
        "The XML has no Package around the CPUs 0-3: they are taken for package 0.",
        "The XML has no Core around the CPUs 2-3: each is taken for a core of its own.",
        EMPTY_HOST,
        "CPUs 1-3 are online and on no NUMA node that is known: nothing will be placed there.",
    )
    half = from_hwloc_xml(
        machine(f'<object type="Package" os_index="0" {sets("0x1")}>{pu(0)}</object>{pu(1)}')
    )
    assert [(pu.os_index, pu.package, pu.core) for pu in half.pus[:2]] == [(0, 0, 0), (1, 1, 1)]


def test_node_without_memory_and_without_distances():
    topology = from_hwloc_xml(
        machine(
            f'<object type="NUMANode" os_index="0" {sets("0x3", "0x1")}/><object type="NUMANode" os_index="1" {sets("0xc", "0x2")} '
            f'local_memory="1048576"/>{pu(0)}{pu(1)}{pu(2)}{pu(3)}'
        )
    )
    assert [(node.memory_spanned, node.memory_free) for node in topology.nodes] == [
        (0, 0),
        (2**20, 2**20),
    ]
    assert topology.distances.matrix == ((None, None), (None, None))
    assert NO_DISTANCES in topology.warnings


def test_distances_not_in_slit_units_are_said():
    beside = (
        '<distances2 type="NUMANode" nbobjs="2" kind="6" indexing="os"><indexes length="3">0 1</indexes>'
        '<u64values length="11">100 255 300 99999999999999999999</u64values></distances2>'
    )
    nodes = "".join(
        f'<object type="NUMANode" os_index="{node}" {sets(hex(1 << node), hex(1 << node))} local_memory="4096"/>'
        for node in range(2)
    )
    topology = from_hwloc_xml(machine(nodes + pu(0) + pu(1), beside))
    assert topology.distances.matrix == ((100, None), (None, None))
    assert any("not all 10" in warning for warning in topology.warnings)


def test_lstopos_own_copy_of_an_export_says_the_same():
    # lstopo gives nodes without local CPUs the sets of the machine, and puts their bit into every nodeset
    text = to_hwloc_xml(HOSTS["node-offline"]).text
    copied = re.sub(
        r'(type="NUMANode" os_index="[13]") cpuset="[^"]*" complete_cpuset="[^"]*"',
        r'\1 cpuset="0x0000ff0f" complete_cpuset="0x0000ffff"',
        text,
    )
    assert copied != text
    assert from_hwloc_xml(copied) == from_hwloc_xml(text)


# --- bad XML


def broken(old, new, text=HYBRID_MEMORY):
    assert old in text
    return text.replace(old, new, 1)


BAD = [
    (None, "hwloc XML must be given as text, not as NoneType"),
    (b"<topology/>", "hwloc XML must be given as text, not as bytes"),
    ("", "no well-formed XML: no element found in line 1"),
    ("lstopo: command not found", "no well-formed XML: syntax error in line 1"),
    (HYBRID_MEMORY[:900], "no well-formed XML"),
    ("<html/>", "no hwloc XML: it begins with <html> in line 1"),
    ("<topologydiff/>", "difference between two topologies"),
    ("<topology/>", "there is no object in <topology> in line 1"),
    ('<topology version="9.0"><object/></topology>', 'version="9.0" is not known here'),
    ("<topology><object/></topology>", "<object> in line 1: there is no PU in it"),
    (
        "<topology><object type='Machine'/>\n<object type='Machine'/></topology>",
        'several machines, another in <object type="Machine"> in line 2',
    ),
    (machine('<object type="Machine"/>'), 'several machines, another in <object type="Machine"> in line 5'),
    (
        broken('"PU" os_index="1"', '"PU" os_index="0"'),
        '<object type="PU" os_index="0"> in line 14: there is another PU',
    ),
    (broken('"PU" os_index="1"', '"PU"'), '<object type="PU"> in line 14: a PU needs its os_index'),
    (broken('"PU" os_index="1"', '"PU" os_index="one"'), 'os_index="one" should be a number from 0 to 65535'),
    (broken('"PU" os_index="1"', '"PU" os_index="65536"'), "should be a number from 0 to 65535"),
    (
        broken('"Core" os_index="5"', '"Core" os_index="2147483648"'),
        "should be a number from 0 to 2147483647",
    ),
    (
        broken('"NUMANode" os_index="1"', '"NUMANode" os_index="0"'),
        "there is another NUMA node with this os_index",
    ),
    (broken('"NUMANode" os_index="1"', '"NUMANode"'), "a NUMA node needs its os_index"),
    (broken('"NUMANode" os_index="1"', '"NUMANode" os_index="4096"'), "should be a number from 0 to 4095"),
    (broken('local_memory="8589934592"', 'local_memory="8G"'), 'local_memory="8G" should be a number'),
    (
        broken(
            'cpuset="0x0000000f"',
            'cpuset="0-3"',
            broken('complete_cpuset="0x0000003f"', 'complete_cpuset="0-5"'),
        ),
        'os_index="0"> in line 4: complete_cpuset cannot be read',
    ),
    (
        broken('complete_cpuset="0x0000003f"', 'complete_cpuset="{}"'.format("0x1," * 9999)),
        "more than 22528 characters",
    ),
    (broken("28 28 10</u64", "28 28</u64"), "3 different NUMA nodes have 9 distances, and here are 8"),
    (broken("28 28 10</u64", "28 28 x</u64"), "<u64values> in line 27: 'x' is no number"),
    (broken(">2</indexes>", ">5</indexes>"), "there is no NUMA node 5"),
    (broken(">2</indexes>", ">1</indexes>"), "3 different NUMA nodes have"),
    (
        broken('latency_base="10.000000"', 'latency_base="ten"', OLD),
        'latency_base="ten" should be a number such as 1.5',
    ),
    (
        broken('<latency value="2.100000"/>', "", OLD),
        "2 different NUMA nodes have 4 distances, and here are 3",
    ),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_xml_is_refused_with_a_sentence(text, message):
    with pytest.raises(Failure) as caught:
        from_hwloc_xml(text)
    assert message in caught.value.message
    assert "\n" not in caught.value.message and len(caught.value.message) < 400


LAUGHS = '<!ENTITY a "ha">' + "".join(
    '<!ENTITY {} "{}">'.format(chr(98 + index), f"&{chr(97 + index)};" * 10) for index in range(9)
)


@pytest.mark.parametrize(
    "declarations",
    [
        LAUGHS,
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY % a SYSTEM "http://127.0.0.1:9/x.dtd"> %a;',
        '<!ATTLIST object type CDATA "PU">',
    ],
)
def test_declared_entities_are_refused(declarations):
    text = HYBRID_MEMORY.replace('SYSTEM "hwloc2.dtd"', f"[{declarations}]").replace("Linux", "&a;")
    with pytest.raises(Failure, match="declares entities or the like in its document type"):
        from_hwloc_xml(text)


def test_document_type_is_not_fetched(tmp_path):
    dtd = tmp_path / "evil.dtd"
    dtd.write_text('<!ENTITY a "Xen">')
    text = broken('"hwloc2.dtd"', f'"{dtd}"').replace("OSName", "Backend").replace("Linux", "&a;")
    topology = from_hwloc_xml(text)
    # the entity stays unknown, and so nothing makes this an export of ours
    assert EMPTY_HOST in topology.warnings


def test_text_elements_and_depth_are_limited(monkeypatch):
    from_hwloc_xml(HYBRID_MEMORY)
    for limit, value, message in (
        ("LARGEST_TEXT", 1000, "more than 1000 characters"),
        ("LARGEST_COUNT", 20, "more than 20 elements"),
        ("LARGEST_DEPTH", 5, "more than 5 elements deep"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(hwloc_elements, limit, value)
            with pytest.raises(Failure, match=message):
                from_hwloc_xml(HYBRID_MEMORY)


def test_depth_without_end_is_refused():
    with pytest.raises(Failure, match="deep"):
        from_hwloc_xml("<object>" * 100000)


def test_too_many_nodes():
    nodes = "".join(f'<object type="NUMANode" os_index="{node}"/>' for node in range(1025))
    with pytest.raises(Failure, match="more than 1024 NUMA nodes"):
        from_hwloc_xml(machine(nodes + pu(0)))


CACHE = '<object type="L3Cache" cpuset="0x1" complete_cpuset="0x1" cache_size="%d" depth="3" cache_type="0"/>'


@pytest.mark.parametrize("size", [lambda number: 1024, lambda number: 1024 + number])
def test_many_caches_of_one_set(size):
    """A CPU has one cache of a level and type, or the tree would be as deep as there are caches."""
    topology = from_hwloc_xml(machine("".join(CACHE % size(number) for number in range(2000)) + pu(0)))
    assert [(cache.size, cache.cpusets) for cache in topology.caches] == [(1024, (CpuSet([0]),))]
    assert any("1999 L3Cache" in warning for warning in topology.warnings)
    to_hwloc_xml(topology)


def test_more_kinds_of_caches_than_a_machine_has():
    pus = "".join(pu(number) for number in range(300))
    caches = "".join(
        (CACHE % (1024 + number)).replace("0x1", "0x%s" % CpuSet([number]).hwloc()[2:])
        for number in range(300)
    )
    with pytest.raises(Failure, match="caches of more than 256 kinds"):
        from_hwloc_xml(machine(caches + pus))


@pytest.mark.parametrize(("line", "granularity"), [("console=vga", "cpu"), ("sched-gran=core", None)])
def test_a_command_line_without_a_version(line, granularity):
    topology = from_hwloc_xml(machine('<info name="%s" value="%s"/>' % (names.COMMAND_LINE, line) + pu(0)))
    assert (topology.xen.command_line, topology.xen.version) == (line, None)
    assert topology.xen.sched_gran == granularity


def test_sets_without_an_end():
    text = broken('complete_cpuset="0x0000003f"', 'complete_cpuset="0xf...f,0x0000003f"')
    topology = from_hwloc_xml(text)
    # what has no end says nothing about what there is
    assert str(topology.complete_cpuset) == "0-5"
    assert str(topology.cpuset) == "0-3"
    element = hwloc_elements.Element("object", {"cpuset": "0xf...f"}, 1, {})
    assert str(element.bitmap("cpuset")) == "0-65535"


EXPORT = to_hwloc_xml(HOSTS["node-offline"]).text
PIECES = st.sampled_from(
    [
        "",
        "<",
        ">",
        '"',
        "0",
        "9",
        "-",
        "x",
        "&",
        "a",
        "PU",
        "Core",
        "<object>",
        "</object>",
        "=",
        "\0",
        "\u20ac",
        "f...f",
    ]
    + re.findall(r'[a-z_]+="[^"]*"', EXPORT)[::9]
    + re.findall("<[^>]*>", EXPORT)[::7]
)


@given(
    st.sampled_from([EXPORT, HYBRID_MEMORY, OLD]),
    st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 30), PIECES), min_size=1, max_size=4),
)
def test_damaged_xml_gives_a_sentence_or_a_sound_topology(text, damages):
    for start, length, piece in damages:
        start %= len(text)
        text = text[:start] + piece + text[start + length :]
    try:
        topology = from_hwloc_xml(text)
    except Failure as failure:
        assert failure.message and "\n" not in failure.message
        return
    assert from_facts(json.loads(json.dumps(to_facts(topology)))) == topology


@given(
    st.lists(
        st.tuples(
            st.sampled_from(re.findall('="([0-9][^"]*)"', EXPORT + HYBRID_MEMORY + OLD)),
            st.text("0123456789xf,-.", max_size=24),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_damaged_numbers_give_a_sentence_or_a_sound_topology(changes):
    for text in (EXPORT, HYBRID_MEMORY, OLD):
        for old, new in changes:
            text = text.replace(f'"{old}"', f'"{new}"')
        try:
            topology = from_hwloc_xml(text)
        except Failure as failure:
            assert failure.message and "\n" not in failure.message
            continue
        assert from_facts(json.loads(json.dumps(to_facts(topology)))) == topology
