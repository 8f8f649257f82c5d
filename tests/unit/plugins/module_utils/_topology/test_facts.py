# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import copy
import json

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_forms import domain_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    INVALID,
    SMALL,
    made_domain,
    made_host,
    recording,
    recording_names,
)
from hypothesis import given
from hypothesis import strategies as st

#: Intel: L1 of two threads, L2 of a package; two threads a core, four a package.
LEAVES = [
    [0, INVALID, 11, 0x756E6547, 0x6C65746E, 0x49656E69],
    [4, 0, 1 | 1 << 5 | 1 << 14, 63 | 7 << 22, 63, 0],
    [4, 1, 3 | 2 << 5 | 3 << 14, 63 | 15 << 22, 4095, 0],
    [0xB, 0, 1, 2, 0x100, 0],
    [0xB, 1, 2, 4, 0x201, 0],
]


DEVICES = [
    {
        "address": "0000:40:00.0",
        "class": 0x060400,
        "vendor": 0x1B36,
        "device": 0xC,
        "driver": "pcieport",
        "parent": "pci0000:40",
        "buses": [65, 65],
    },
    {
        "address": "0000:41:00.0",
        "class": 0x020000,
        "vendor": 0x8086,
        "device": 0x10FB,
        "driver": None,
        "parent": "0000:40:00.0",
        "interfaces": {"network": ["eth0"], "block": ["sda"], "infiniband": ["mlx5_0"], "gpu": ["card0"]},
    },
]


def every_kind_of_value():
    """A host with offline CPUs of unknown place, a hole in the node numbers, pools, guests, and things that are unknown."""
    places = [place if cpu != 6 else (INVALID, INVALID, 1) for cpu, place in enumerate(SMALL)]
    guest = made_domain(3, vcpus=2, max_pages=INVALID, node_affinity=None)
    guest["vcpus"][1].update(online=0, hard=[4, 5], hard_all=False, soft=[], soft_all=False)
    return made_host(
        places,
        pci_devices=DEVICES,
        pci_nodes={"0000:41:00.0": 1},
        dmi={"sys_vendor": "QEMU"},
        pcpuinfo=[[7, int(cpu != 6), cpu, cpu] for cpu in range(8)],
        physinfo={"nr_cpus": 7},
        numainfo={
            "memsize": [2**32, 2**31, INVALID, 2**30],
            "memfree": [2**30, 0, INVALID, 2**29],
            "distance": [
                [10, 21, INVALID, 28],
                [21, 10, INVALID, 17],
                [INVALID] * 4,
                [INVALID, 17, INVALID, 10],
            ],
        },
        cpupools=[
            {"id": 0, "sched_id": 6, "n_dom": 2, "cpus": [0, 1, 2, 3, 5]},
            {"id": 2, "sched_id": 9, "cpus": [7]},
        ],
        cpupool_free=[4],
        domains=[made_domain(0, vcpus=2), guest],
        domain_names={"0": "Domain-0", "3": "web 1"},
        dom0_linux={"packages": 1, "cores": 2, "pus": 2, "nodes": None},
        memory_by_node={"0": {"0": 10, "3": 5}},
        xen={
            "major": 4,
            "minor": 17,
            "extraversion": ".7",
            "capabilities": "xen-3.0-x86_64 hvm-3.0-x86_64",
            "changeset": "",
            "commandline": "dom0_mem=1G dom0_nodes=5,relaxed numa=on loglvl",
            "interface": {"sysctl": 21, "domctl": 21, "platform": 50331649, "known": True},
        },
        memory_map=[[0, 2**32 + 2**31, 1], [2**33, 2**30, 1]],
        cpu_policy=LEAVES,
        px_max_mhz={str(cpu): 3000 for cpu in range(8)},
        sched_gran={"0": "core"},
        unanswered={"pcitopoinfo": "Nobody knows."},
        acpi={
            "madt": [[0, cpu, cpu, 1] for cpu in range(9)],
            "srat_cpus": [[0, cpu, 5 - cpu // 4, 1] for cpu in range(9)],
            "srat_memory": [[0, 2**32, 5, 1], [2**32, 2**31, 4, 1], [2**33, 2**30, 9, 1]],
        },
    )


HOST = every_kind_of_value()
FACTS = to_facts(derive(HOST))


def on_the_wire(facts):
    return json.loads(json.dumps(facts))


def test_keys_and_values():
    assert FACTS["schema_version"] == "1.0"
    assert FACTS["source"] == "hypercall"
    assert FACTS["components"] == [
        {"name": "hypercall", "priority": 55, "state": "used", "reason": None, "hypercalls": None}
    ]
    assert FACTS["xen"]["version"] == "4.17.7"
    assert FACTS["xen"]["scheduler"] == "credit2"
    assert FACTS["totals"] == {
        "pus": 9,
        "pus_online": 7,
        "cores": 5,
        "packages": 3,
        "nodes": 3,
        "threads_per_core": 2,
    }
    assert (FACTS["cpuset"], FACTS["cpuset_mask"]) == ("0-5,7", "0x000000bf")
    assert (FACTS["complete_cpuset"], FACTS["complete_cpuset_mask"]) == ("0-8", "0x000001ff")
    assert (FACTS["nodeset"], FACTS["nodeset_mask"]) == ("0-1,3", "0x0000000b")
    assert FACTS["memory"]["total_bytes"] == 1024 * 4096
    assert FACTS["memory"]["outstanding_claims_bytes"] is None
    assert FACTS["pus"][6] == {
        "os_index": 6,
        "online": False,
        "package": 1,
        "core": 1,
        "node": 1,
        "cpupool": None,
        "apic_id": 6,
        "acpi_id": 6,
        "present": True,
        "max_khz": 3000000,
    }
    # only the firmware lists it, and calls its node 3, of which Xen knows nothing
    assert FACTS["pus"][8] == {
        "os_index": 8,
        "online": False,
        "package": 2,
        "core": 0,
        "node": None,
        "cpupool": None,
        "apic_id": 8,
        "acpi_id": 8,
        "present": False,
        "max_khz": None,
    }
    assert FACTS["cores"][3] == {
        "logical_index": 3,
        "package": 1,
        "os_index": 1,
        "node": 1,
        "cpuset": "7",
        "complete_cpuset": "6-7",
    }
    assert FACTS["packages"][0]["nodeset"] == "0"
    assert FACTS["nodes"][2] == {
        "os_index": 3,
        "cpuset": "",
        "cpuset_mask": "0x0",
        "complete_cpuset": "",
        "complete_cpuset_mask": "0x0",
        "memory_total_bytes": 2**30,
        "memory_spanned_bytes": 2**30,
        "memory_free_bytes": 2**29,
        "memory_low_bytes": 0,
        "nearest_cpu_nodes": [1],
        "proximity_domain": 9,
        "shared_cpuset": "",
        "subtype": None,
    }
    assert [(node["memory_total_bytes"], node["proximity_domain"]) for node in FACTS["nodes"][:2]] == [
        (2**32, 5),
        (2**31, 4),
    ]
    assert FACTS["distances"] == {
        "nodes": [0, 1, 3],
        "matrix": [[10, 21, 28], [21, 10, 17], [None, 17, 10]],
        "from_firmware": False,
    }
    assert FACTS["caches"][1] == {
        "level": 2,
        "type": "unified",
        "size_bytes": 4 * 2**20,
        "line_bytes": 64,
        "ways": 16,
        "cpusets": ["0-3", "4-7", "8"],
    }
    assert FACTS["cpu_kinds"] == [
        {
            "name": None,
            "efficiency": None,
            "threads_per_core": threads,
            "max_khz": khz,
            "cpuset": cpus,
            "complete_cpuset": complete,
            "source": "xen",
        }
        for threads, khz, cpus, complete in ((1, None, "", "8"), (2, 3000000, "0-5,7", "0-7"))
    ]
    assert FACTS["xen"]["parameters"][1:] == [
        {"name": "dom0_nodes", "value": "5,relaxed"},
        {"name": "numa", "value": "on"},
        {"name": "loglvl", "value": None},
    ]
    assert (FACTS["xen"]["numa"], FACTS["xen"]["smt"], FACTS["xen"]["sched_gran"]) == ("on", "on", "core")
    assert FACTS["unanswered"] == [{"question": "pcitopoinfo", "reason": "Nobody knows."}]
    assert FACTS["dom0"]["boot"] == {
        "memory": "1G",
        "max_vcpus": None,
        "pinned": False,
        "proximity_domains": [5],
        "nodes": "0",
        "strict": False,
    }
    assert FACTS["cpupools"][1] == {
        "id": 2,
        "name": None,
        "scheduler": "null",
        "sched_gran": None,
        "cpuset": "7",
        "cpuset_mask": "0x00000080",
        "domains": None,
    }
    assert (FACTS["cpupool_free"], FACTS["cpupool_free_mask"]) == ("4", "0x00000010")
    assert FACTS["dom0"]["linux"] == {"packages": 1, "cores": 2, "pus": 2, "nodes": None}
    assert FACTS["dom0"]["vcpus"] == FACTS["domains"][0]["vcpus"]
    assert FACTS["domains"][0]["memory_by_node"] == {"0": 40960, "3": 20480}
    guest = dict(FACTS["domains"][1])
    assert guest.pop("vcpus")[1] == {
        "vcpu": 1,
        "online": False,
        "running": True,
        "blocked": False,
        "cpu": None,
        "hard": "4-5",
        "soft": "",
        "time_ns": 1000,
    }
    assert guest == {
        "domid": 3,
        "name": "web 1",
        "uuid": "00000000-0000-0000-0000-000000000003",
        "type": "pv",
        "state": "running",
        "cpupool": 0,
        "memory_bytes": 65536 * 4096,
        "max_memory_bytes": None,
        "max_vcpus": 2,
        "node_affinity": None,
        "memory_by_node": None,
        "locality": {
            "cpu_nodes": "0-1",
            "memory_nodes": None,
            "may_leave": None,
            "away": None,
            "remote_share": None,
            "distance": None,
            "worst_distance": None,
        },
    }
    assert FACTS["domains"][0]["locality"] == {
        "cpu_nodes": "0-1",
        "memory_nodes": "0,3",
        "may_leave": [],
        "away": [],
        "remote_share": 0.4667,
        "distance": 16.7333,
        "worst_distance": 16.7333,
    }


def test_domains_are_there_only_when_asked_for():
    facts = to_facts(derive(made_host(dom0_vcpus=made_domain(0)["vcpus"])))
    assert "domains" not in facts
    assert len(facts["dom0"]["vcpus"]) == 1
    assert facts["dom0"]["linux"] is None
    assert from_facts(facts).domains is None


def test_all_is_said_of_a_mask_that_covers_every_cpu_that_exists():
    guest = made_domain(3, vcpus=3)
    # every CPU by its number; every bit; all but one
    for vcpu, hard, every in ((0, list(range(8)), False), (1, [0], True), (2, list(range(7)), False)):
        guest["vcpus"][vcpu].update(hard=hard, hard_all=every)
    topology = derive(made_host(domains=[guest]))
    facts = domain_facts(topology.domains[0], topology)
    assert [vcpu["hard"] for vcpu in facts["vcpus"]] == ["all", "all", "0-6"]
    assert facts == to_facts(topology)["domains"][0]


@pytest.mark.parametrize("host", [HOST, made_host(), RawHost({"cputopo": [[0, 0, 0]]})])
def test_facts_read_back(host):
    topology = derive(host)
    facts = to_facts(topology)
    assert from_facts(on_the_wire(facts)) == topology
    assert to_facts(from_facts(on_the_wire(facts))) == on_the_wire(facts)


@pytest.mark.parametrize("name", recording_names())
def test_facts_of_real_hosts_read_back(name):
    topology = derive(recording(name))
    facts = on_the_wire(to_facts(topology))
    assert from_facts(facts) == topology
    assert to_facts(from_facts(facts)) == facts


@given(st.sets(st.integers(0, 7)), st.sets(st.integers(0, 7)))
def test_affinities_read_back(hard, soft):
    guest = made_domain(3)
    guest["vcpus"][0].update(hard=sorted(hard), soft=sorted(soft), hard_all=False, soft_all=False)
    vcpu = from_facts(on_the_wire(to_facts(derive(made_host(domains=[guest]))))).domains[0].vcpus[0]
    assert (vcpu.hard, vcpu.soft) == (CpuSet(hard), CpuSet(soft))


def test_masks_and_totals_are_for_readers_and_not_read_back():
    facts = on_the_wire(FACTS)
    for entry in [facts] + facts["cores"] + facts["packages"] + facts["nodes"] + facts["cpupools"]:
        for key in [key for key in entry if key.endswith("_mask")]:
            del entry[key]
    del facts["totals"], facts["xen"]["version"]
    assert to_facts(from_facts(facts)) == on_the_wire(FACTS)


def test_a_newer_minor_version_is_read_and_what_it_adds_is_left_out():
    newer = dict(on_the_wire(FACTS), schema_version="1.7", accelerators=[{"level": 3}])
    newer["pus"][0]["kind"] = "efficient"
    assert to_facts(from_facts(newer)) == on_the_wire(FACTS)


@pytest.mark.parametrize("version", ["2.0", "0.9", "10.0"])
def test_another_major_version_is_refused(version):
    with pytest.raises(
        Failure, match=f"schema version {version}, but this version of the collection reads 1.0"
    ):
        from_facts(dict(FACTS, schema_version=version))


@pytest.mark.parametrize(
    "facts",
    [None, [], "facts", {}, {"schema_version": 1}, {"schema_version": "one"}, {"schema_version": "1"}],
)
def test_what_is_no_facts_is_refused(facts):
    with pytest.raises(Failure, match="these are no topology facts"):
        from_facts(facts)


@pytest.mark.parametrize(
    ("path", "value", "spot"),
    [
        (("cpuset",), "0-3;5", "cpuset cannot be read"),
        (("cpuset",), None, "cpuset should be a text"),
        (("pus", 2, "online"), 1, r"pus\[2\].online should be true or false, not 1"),
        (("pus", 2, "node"), -1, r"pus\[2\].node should be a number"),
        (("nodes", 0, "memory_free_bytes"), "1024", r"nodes\[0\].memory_free_bytes should be a whole number"),
        (("distances", "matrix", 1, 2), 1.5, r"distances.matrix\[1\]\[2\] should be a whole number"),
        (("distances", "matrix", 1), [10], "distances.matrix should have 3 rows of 3 distances"),
        (("domains", 1, "vcpus", 0, "hard"), "node:1", r"domains\[1\].vcpus\[0\].hard cannot be read"),
        (("domains", 0, "memory_by_node"), {"a": 1}, r"domains\[0\].memory_by_node has the key 'a'"),
        (("dom0", "vcpus"), {}, "dom0.vcpus should be a list"),
        (("xen",), "4.17", "xen should be a dictionary"),
    ],
)
def test_damage_is_named_with_its_spot(path, value, spot):
    facts = on_the_wire(FACTS)
    inner = facts
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(Failure, match="the topology facts are damaged: " + spot):
        from_facts(facts)


def _keys(value, path=()):
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield path + (key,)
        yield from _keys(child, path + (key,))


#: Keys that were added after the first facts; those of an earlier minor version lack them.
ADDED = {
    ("components", 0, "hypercalls"),
    ("pus", 0, "present"),
    ("pus", 0, "max_khz"),
    ("nodes", 0, "memory_total_bytes"),
    ("nodes", 0, "memory_low_bytes"),
    ("nodes", 0, "proximity_domain"),
    ("nodes", 0, "shared_cpuset"),
    ("nodes", 0, "subtype"),
    ("distances", "from_firmware"),
    ("cpupools", 0, "sched_gran"),
    ("xen", "parameters"),
    ("xen", "numa"),
    ("xen", "smt"),
    ("xen", "sched_gran"),
    ("domains", 0, "locality"),
    ("dom0", "boot"),
    ("caches",),
    ("cpu_kinds",),
    ("sub_numa",),
    ("unanswered",),
}

REQUIRED = sorted(
    {
        path
        for path in (tuple(0 if isinstance(step, int) else step for step in path) for path in _keys(FACTS))
        if isinstance(path[-1], str)
        and not path[-1].endswith("_mask")
        and path[-1] not in ("schema_version", "domains", "pci_devices", "dmi", "version")
        and "totals" not in path
        and "memory_by_node" not in path[:-1]
        and path not in ADDED
    }
    | {("cpupools", 0, "domains")},
    key=str,
)


@pytest.mark.parametrize("path", sorted(ADDED, key=str), ids=lambda path: ".".join(map(str, path)))
def test_facts_from_before_a_key_was_added_are_read(path):
    facts = on_the_wire(FACTS)
    inner = facts
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    again = to_facts(from_facts(facts))
    for step in path:
        again = again[step]
    assert again in (None, [], True, "")


@pytest.mark.parametrize("path", REQUIRED, ids=lambda path: ".".join(map(str, path)))
def test_a_missing_key_is_named(path):
    facts = on_the_wire(FACTS)
    inner = facts
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    with pytest.raises(Failure, match=f"{path[-1]} is missing"):
        from_facts(facts)


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2**65), st.text(max_size=5), st.builds(list), st.builds(dict)
)
PATHS = sorted(_keys(FACTS), key=str)


@given(st.sampled_from(PATHS), st.booleans(), JUNK)
def test_damaged_facts_are_refused_or_understood_but_never_a_traceback(path, remove, junk):
    facts = copy.deepcopy(FACTS)
    inner = facts
    for step in path[:-1]:
        inner = inner[step]
    if remove:
        del inner[path[-1]]
    else:
        inner[path[-1]] = junk
    try:
        to_facts(from_facts(facts))
    except Failure as failure:
        assert str(failure)
