# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import copy
import json

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import (
    domain_facts,
    from_facts,
    to_facts,
)
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


def every_kind_of_value():
    """A host with offline CPUs of unknown place, a hole in the node numbers, pools, guests, and things that are unknown."""
    places = [place if cpu != 6 else (INVALID, INVALID, 1) for cpu, place in enumerate(SMALL)]
    guest = made_domain(3, vcpus=2, max_pages=INVALID, node_affinity=None)
    guest["vcpus"][1].update(online=0, hard=[4, 5], hard_all=False, soft=[], soft_all=False)
    return made_host(
        places,
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
        "pus": 8,
        "pus_online": 7,
        "cores": 4,
        "packages": 2,
        "nodes": 3,
        "threads_per_core": 2,
    }
    assert (FACTS["cpuset"], FACTS["cpuset_mask"]) == ("0-5,7", "0x000000bf")
    assert (FACTS["complete_cpuset"], FACTS["complete_cpuset_mask"]) == ("0-7", "0x000000ff")
    assert (FACTS["nodeset"], FACTS["nodeset_mask"]) == ("0-1,3", "0x0000000b")
    assert FACTS["memory"]["total_bytes"] == 1024 * 4096
    assert FACTS["memory"]["outstanding_claims_bytes"] is None
    assert FACTS["pus"][6] == {
        "os_index": 6,
        "online": False,
        "package": None,
        "core": None,
        "node": 1,
        "cpupool": None,
        "apic_id": 6,
        "acpi_id": 6,
    }
    assert FACTS["cores"][3] == {
        "logical_index": 3,
        "package": 1,
        "os_index": 1,
        "node": 1,
        "cpuset": "7",
        "cpuset_mask": "0x00000080",
        "complete_cpuset": "7",
        "complete_cpuset_mask": "0x00000080",
    }
    assert FACTS["packages"][0]["nodeset"] == "0"
    assert FACTS["nodes"][2] == {
        "os_index": 3,
        "cpuset": "",
        "cpuset_mask": "0x0",
        "complete_cpuset": "",
        "complete_cpuset_mask": "0x0",
        "memory_spanned_bytes": 2**30,
        "memory_free_bytes": 2**29,
        "nearest_cpu_nodes": [1],
    }
    assert FACTS["distances"] == {"nodes": [0, 1, 3], "matrix": [[10, 21, 28], [21, 10, 17], [None, 17, 10]]}
    assert FACTS["cpupools"][1] == {
        "id": 2,
        "name": None,
        "scheduler": "null",
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
    newer = dict(on_the_wire(FACTS), schema_version="1.7", caches=[{"level": 3}])
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


REQUIRED = sorted(
    {
        tuple(0 if isinstance(step, int) else step for step in path)
        for path in _keys(FACTS)
        if isinstance(path[-1], str)
        and not path[-1].endswith("_mask")
        and path[-1] not in ("schema_version", "domains", "version")
        and "totals" not in path
        and "memory_by_node" not in path[:-1]
    }
    | {("cpupools", 0, "domains")},
    key=str,
)


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
