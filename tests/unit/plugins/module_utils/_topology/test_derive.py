# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What derive makes of real hosts, and of small made-up ones where a fault is wanted that no real host at hand has."""

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.guests import domain_state, domain_type
from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    GIB,
    INVALID,
    SMALL,
    made_domain,
    made_host,
    recording,
    recording_names,
)
from hypothesis import given
from hypothesis import strategies as st

parse = CpuSet.parse


def check_consistent(topology):
    """What holds on every host."""
    assert topology.cpuset <= topology.complete_cpuset
    assert topology.cpuset <= topology.online_cpuset
    assert topology.allowed_cpuset == topology.cpuset
    assert topology.nodeset <= topology.complete_nodeset
    assert [pu.os_index for pu in topology.pus] == list(topology.complete_cpuset)
    assert [node.os_index for node in topology.nodes] == list(topology.complete_nodeset)
    assert [core.logical_index for core in topology.cores] == list(range(len(topology.cores)))
    for level in (topology.packages, topology.cores, topology.nodes):
        whole = CpuSet()
        for thing in level:
            # nothing is in two places of one level
            assert not whole & thing.complete_cpuset
            whole |= thing.complete_cpuset
            assert thing.cpuset == thing.complete_cpuset & topology.cpuset
        # what is usable has its place, though its node may be unknown
        assert topology.cpuset <= whole or level is topology.nodes
    cpu_nodes = {node.os_index for node in topology.nodes if node.cpuset}
    for node in topology.nodes:
        assert set(node.nearest_cpu_nodes) <= cpu_nodes
        assert not node.cpuset or node.nearest_cpu_nodes == (node.os_index,)


# --- real hosts


def test_there_are_recordings_of_real_hosts():
    assert recording_names()


@pytest.mark.parametrize("name", recording_names())
def test_recordings_are_consistent_and_free_of_contradictions(name):
    topology = derive(recording(name))
    check_consistent(topology)
    # that one was told to make up its nodes
    assert ["numa=fake=" in warning for warning in topology.warnings] == [True] * (name == "quad-numa-fake")
    assert topology.source == "hypercall"
    assert len(topology.online_cpuset) == recording(name).data["physinfo"]["nr_cpus"]
    assert topology.threads_per_core >= 1
    assert topology.dom0_vcpus


def test_two_packages_as_two_nodes():
    """The host `small`: `xl info -n` says the same of it."""
    topology = derive(recording("small"))
    assert topology.xen.version == "4.17.7"
    assert [(pu.core, pu.package, pu.node) for pu in topology.pus] == [
        (cpu // 2 % 2, cpu // 4, cpu // 4) for cpu in range(8)
    ]
    assert [str(core.cpuset) for core in topology.cores] == ["0-1", "2-3", "4-5", "6-7"]
    assert topology.threads_per_core == 2
    assert [node.memory_spanned for node in topology.nodes] == [2 * GIB, 2 * GIB]
    assert [topology.distance(0, node) for node in (0, 1)] == [10, 21]
    assert topology.cpupools == ((0, "Pool-0", "credit2", parse("0-7"), 1, "cpu"),)
    # dom0 thinks otherwise
    assert topology.dom0_linux == (1, 1, 2, 1)


def test_two_cpus_taken_offline():
    """The same after `xen-hptool cpu-offline` of 3 and 6, which `xl info -n` shows as if nothing had happened."""
    topology = derive(recording("small-offline"))
    assert topology.cpuset == parse("0-2,4-5,7")
    assert topology.complete_cpuset == parse("0-7")
    assert [
        (pu.os_index, pu.package, pu.core, pu.node, pu.cpupool) for pu in topology.pus if not pu.online
    ] == [
        (3, 0, 1, 0, None),
        (6, 1, 1, 1, None),
    ]
    assert [str(core.cpuset) for core in topology.cores] == ["0-1", "2", "4-5", "7"]
    # physinfo says one core a socket now
    assert recording("small-offline").data["physinfo"]["cores_per_socket"] == 1
    assert len(topology.cores) == 4


def test_sub_numa_clustering_and_a_node_with_memory_alone():
    """The host `big`, as QEMU was told to build it."""
    topology = derive(recording("big"))
    assert len(topology.pus) == 16
    assert len(topology.cores) == 8
    assert [(str(package.cpuset), str(package.nodeset)) for package in topology.packages] == [
        ("0-7", "0-1"),
        ("8-15", "2"),
    ]
    assert [(node.os_index, str(node.cpuset), node.nearest_cpu_nodes) for node in topology.nodes] == [
        (0, "0-3", (0,)),
        (1, "4-7", (1,)),
        (2, "8-15", (2,)),
        (3, "", (2,)),
    ]
    assert topology.distances.matrix == (
        (10, 12, 21, 28),
        (12, 10, 21, 28),
        (21, 21, 10, 17),
        (28, 28, 17, 10),
    )
    assert topology.threads_per_core == 2
    assert str(topology.nodeset) == "0-3"
    # what the nodes span is more than the host has
    assert sum(node.memory_spanned for node in topology.nodes) > topology.memory.total
    assert topology.dom0_linux == (1, 1, 2, 1)


def test_offline_cpus_on_two_of_the_nodes():
    topology = derive(recording("big-offline"))
    assert topology.cpuset == parse("0-2,4-11,13-15")
    assert topology.complete_cpuset == parse("0-15")
    assert [str(node.cpuset) for node in topology.nodes] == ["0-2", "4-7", "8-11,13-15", ""]
    assert len(topology.cores) == 8
    assert topology.cores_of(topology.cpuset) == 8


def test_memory_of_guests_on_four_nodes():
    topology = derive(recording("big-guests"))
    for name, node in (("web", 2), ("db", 1)):
        guest = topology.domain(name)
        assert {home: size for home, size in guest.memory_by_node.items() if size} == {node: guest.memory}
        assert {vcpu.soft for vcpu in guest.vcpus} == {topology.node(node).cpuset}
    # dom0's memory lies on all nodes, wherever future memory would be taken from
    dom0 = topology.domains[0]
    assert all(dom0.memory_by_node[node] for node in range(4))
    assert sum(dom0.memory_by_node.values()) == pytest.approx(dom0.memory, rel=0.01)


def test_guests_and_where_their_memory_is():
    topology = derive(recording("small-guests"))
    assert [(domain.domid, domain.name, domain.type, domain.state) for domain in topology.domains] == [
        (0, "Domain-0", "pv", "running"),
        (2, "disc web", "pv", "paused"),
        (3, "disc-db", "pv", "paused"),
        (4, "disc-pvh", "pvh", "paused"),
    ]
    web = topology.domain("disc web")
    assert {str(vcpu.hard) for vcpu in web.vcpus} == {"4-7"}
    assert {vcpu.soft for vcpu in web.vcpus} == {topology.complete_cpuset}
    assert [vcpu.online for vcpu in web.vcpus] == [True, False, False, False]
    assert web.memory_by_node == {0: 0, 1: web.memory}
    assert {str(vcpu.soft) for vcpu in topology.domain("disc-db").vcpus} == {"0-3"}


# --- the levels


def test_a_host_where_everything_is_online():
    topology = derive(made_host())
    check_consistent(topology)
    assert topology.warnings == ()
    assert topology.xen.version == "4.17.7"
    assert topology.xen.scheduler == "credit2"
    assert topology.xen.capabilities == ("xen-3.0-x86_64", "hvm-3.0-x86_64")
    assert topology.cpuset == topology.complete_cpuset == parse("0-7")
    assert [
        (str(core.complete_cpuset), core.package, core.os_index, core.node) for core in topology.cores
    ] == [
        ("0-1", 0, 0, 0),
        ("2-3", 0, 1, 0),
        ("4-5", 1, 0, 1),
        ("6-7", 1, 1, 1),
    ]
    assert [
        (package.os_index, str(package.cpuset), str(package.nodeset)) for package in topology.packages
    ] == [
        (0, "0-3", "0"),
        (1, "4-7", "1"),
    ]
    assert [
        (node.os_index, str(node.cpuset), node.memory_spanned, node.memory_free) for node in topology.nodes
    ] == [
        (0, "0-3", 4 * GIB, GIB),
        (1, "4-7", 4 * GIB, GIB),
    ]
    assert topology.distance(0, 1) == 21
    assert topology.threads_per_core == 2
    assert topology.memory == (1024 * 4096, 512 * 4096, None, None)
    assert topology.cpupools[0][:4] == (0, "Pool-0", "credit2", parse("0-7"))
    assert topology.domains is None
    assert topology.dom0_vcpus == ()
    assert topology.source == "hypercall"


def test_cores_of_two_packages_with_the_same_id_are_two_cores():
    topology = derive(made_host([(5, 0, 0), (5, 1, 0)]))
    assert [(core.package, core.os_index, str(core.cpuset)) for core in topology.cores] == [
        (0, 5, "0"),
        (1, 5, "1"),
    ]


def test_a_package_may_hold_two_nodes_and_a_node_two_packages():
    split = derive(made_host([(0, 0, 0), (1, 0, 1)]))
    assert str(split.packages[0].nodeset) == "0-1"
    spanning = derive(made_host([(0, 0, 0), (0, 1, 0)]))
    assert str(spanning.nodes[0].cpuset) == "0-1"
    assert [str(package.nodeset) for package in spanning.packages] == ["0", "0"]


def test_a_core_across_two_nodes_is_said_and_has_no_node():
    topology = derive(made_host([(0, 0, 0), (0, 0, 1)]))
    assert topology.cores[0].node is None
    assert any("Core 0 of package 0" in warning and "0-1" in warning for warning in topology.warnings)


def test_threads_per_core_comes_from_the_cores_not_from_cpu_0():
    # a hybrid host: CPU 0 has a sibling, the others have none
    topology = derive(
        made_host([(0, 0, 0), (0, 0, 0), (1, 0, 0), (2, 0, 0)], physinfo={"threads_per_core": 1})
    )
    assert topology.threads_per_core == 2
    assert len(topology.cores) == 3
    # and the other way round
    assert derive(made_host([(0, 0, 0), (1, 0, 0)], physinfo={"threads_per_core": 2})).threads_per_core == 1


# --- offline CPUs


def offline(*cpus):
    return {
        "pcpuinfo": [[7, int(cpu not in cpus), cpu, cpu] for cpu in range(8)],
        "physinfo": {"nr_cpus": 8 - len(cpus)},
    }


def pool_without(*cpus):
    return {
        "cpupools": [
            {"id": 0, "sched_id": 6, "n_dom": 1, "cpus": [cpu for cpu in range(8) if cpu not in cpus]}
        ]
    }


def test_an_offline_cpu_that_keeps_its_place():
    topology = derive(made_host(**offline(3, 6), **pool_without(3, 6)))
    check_consistent(topology)
    assert topology.warnings == ()
    assert topology.cpuset == parse("0-2,4-5,7")
    assert topology.complete_cpuset == parse("0-7")
    assert [pu.os_index for pu in topology.pus if pu.online is False] == [3, 6]
    assert topology.pu(3)[1:6] == (False, 0, 1, 0, None)
    assert str(topology.cores[1].cpuset) == "2"
    assert str(topology.cores[1].complete_cpuset) == "2-3"
    assert str(topology.nodes[1].cpuset) == "4-5,7"
    assert topology.threads_per_core == 2


def test_an_offline_cpu_that_loses_its_package_and_core():
    places = [place if cpu != 6 else (INVALID, INVALID, 1) for cpu, place in enumerate(SMALL)]
    topology = derive(made_host(places, **offline(6), **pool_without(6)))
    check_consistent(topology)
    assert topology.warnings == ()
    # its APIC id tells what was lost
    assert topology.pu(6)[:8] == (6, False, 1, 1, 1, None, 6, 6)
    assert 6 in topology.complete_cpuset
    assert 6 not in topology.cpuset
    assert [str(package.complete_cpuset) for package in topology.packages] == ["0-3", "4-7"]
    assert str(topology.nodes[1].complete_cpuset) == "4-7"
    assert str(topology.nodes[1].cpuset) == "4-5,7"
    # no package and no core numbered ~0
    assert INVALID not in {core.package for core in topology.cores} | {
        package.os_index for package in topology.packages
    }


def test_a_core_that_is_off_as_a_whole_is_kept():
    topology = derive(made_host(**offline(2, 3), **pool_without(2, 3)))
    assert [str(core.cpuset) for core in topology.cores] == ["0-1", "", "4-5", "6-7"]
    assert topology.cores_of(topology.cpuset) == 3


def test_without_cpu_flags_the_cpupools_tell():
    free = dict(pool_without(3, 6), cpupool_free=[6])
    topology = derive(made_host(pcpuinfo=None, physinfo={"nr_cpus": 7}, **free))
    assert topology.warnings == ()
    assert topology.cpuset == parse("0-2,4-7")
    assert topology.pu(6).cpupool is None
    assert topology.pu(0).cpupool == 0
    assert topology.pu(0).apic_id is None


def test_without_flags_and_pools_the_count_tells_when_it_is_all_of_them():
    topology = derive(made_host(pcpuinfo=None, cpupools=None, cpupool_free=None))
    assert topology.warnings == ()
    assert topology.cpuset == parse("0-7")


def test_when_nothing_tells_nothing_is_guessed():
    topology = derive(made_host(pcpuinfo=None, cpupools=None, cpupool_free=None, physinfo={"nr_cpus": 6}))
    assert {pu.online for pu in topology.pus} == {None}
    assert not topology.cpuset
    assert topology.complete_cpuset == parse("0-7")
    assert len(topology.warnings) == 1
    assert "CPUs 0-7" in topology.warnings[0]


def test_pools_without_the_free_cpus_tell_half():
    half = dict(pool_without(3, 6), cpupool_free=None, pcpuinfo=None)
    unknown = derive(made_host(physinfo={"nr_cpus": 7}, **half))
    assert [pu.os_index for pu in unknown.pus if pu.online is None] == [3, 6]
    # the count settles it
    known = derive(made_host(physinfo={"nr_cpus": 6}, **half))
    assert [pu.os_index for pu in known.pus if pu.online is False] == [3, 6]
    assert known.warnings == ()


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        (offline(3), "CPU 3 is in a cpupool, yet offline"),
        (pool_without(5), "CPU 5 is online, yet in no cpupool"),
        ({"physinfo": {"nr_cpus": 5}}, "Xen counts 5 online CPUs, but 8 are found online"),
        (
            {
                "cpupools": [
                    {"id": pool, "sched_id": 6, "n_dom": 0, "cpus": list(range(8 - pool))} for pool in (0, 4)
                ]
            },
            "CPU 0 is in cpupools 0 and 4",
        ),
        ({"pcpuinfo": [[7, 1 if cpu != 2 else 2, cpu, cpu] for cpu in range(8)]}, "CPU 2 is not present"),
    ],
)
def test_contradictions_are_said(sections, said):
    topology = derive(made_host(**sections))
    check_consistent(topology)
    assert any(said in warning for warning in topology.warnings), topology.warnings


def test_flags_are_believed_over_pools():
    assert derive(made_host(**offline(3))).cpuset == parse("0-2,4-7")


def test_an_online_cpu_without_a_place_is_not_used_and_said():
    topology = derive(made_host([(0, 0, 0), (INVALID, INVALID, 0), (1, 0, 0)]))
    assert topology.cpuset == parse("0,2")
    assert topology.online_cpuset == parse("0-2")
    assert any("CPU 1 is online, but Xen does not say where" in warning for warning in topology.warnings)


def test_an_online_cpu_without_a_node_stays_in_its_package_and_is_said():
    topology = derive(made_host([(0, 0, 0), (1, 0, INVALID), (0, 1, INVALID)]))
    assert topology.cpuset == parse("0-2")
    assert [str(package.cpuset) for package in topology.packages] == ["0-1", "2"]
    assert [str(node.cpuset) for node in topology.nodes] == ["0"]
    assert topology.warnings == (
        "CPUs 1-2 are online and on no NUMA node that is known: nothing will be placed there.",
    )


@pytest.mark.parametrize(
    ("threads", "sections", "doubted"),
    [
        (4, {}, True),
        (2, {}, False),
        (4, {"cpu_policy": [[0, INVALID, 11, 0x756E6547, 0x6C65746E, 0x49656E69]]}, False),
        (4, {"xen": {"major": 4, "minor": 17, "extraversion": "", "capabilities": "xen-3.0-aarch64"}}, False),
    ],
)
def test_more_threads_than_a_core_has_are_doubted(threads, sections, doubted):
    topology = derive(made_host([(cpu // threads, 0, 0) for cpu in range(8)], **sections))
    assert any("may have been taken for those of one" in warning for warning in topology.warnings) is doubted


def test_a_core_on_two_nodes_is_counted_once():
    topology = derive(made_host([(0, 0, 0), (0, 0, 1), (1, 0, 1), (1, 0, 1)]))
    assert [topology.cores_of(node.cpuset) for node in topology.nodes] == [1, 1]
    assert topology.cores_of(topology.cpuset) == len(topology.cores) == 2


def test_an_offline_cpu_without_an_apic_id_is_in_an_unknown_place():
    places = [place if cpu != 6 else (INVALID, INVALID, 1) for cpu, place in enumerate(SMALL)]
    topology = derive(made_host(places, pcpuinfo=None, physinfo={"nr_cpus": 7}, **pool_without(6)))
    assert topology.pu(6)[:8] == (6, False, None, None, 1, None, None, None)
    assert [str(package.complete_cpuset) for package in topology.packages] == ["0-3", "4-5,7"]


def test_cpus_that_only_the_flags_know_are_placed_by_their_apic_id():
    # up to Xen 4.11 cputopoinfo ends at the last online CPU
    infos = [[9, int(cpu < 8), cpu, cpu] for cpu in range(10)] + [[9, 2, 0, 0]]
    topology = derive(made_host(pcpuinfo=infos))
    assert topology.complete_cpuset == parse("0-9")
    assert topology.cpuset == parse("0-7")
    assert topology.pu(9)[:8] == (9, False, 2, 0, None, None, 9, 9)
    assert topology.warnings == ()


def test_a_hole_in_the_numbers_of_cpus_is_no_cpu():
    places = [place if cpu != 5 else (INVALID, INVALID, INVALID) for cpu, place in enumerate(SMALL)]
    infos = [[7, 1 if cpu != 5 else 2, cpu if cpu != 5 else 0, cpu if cpu != 5 else 0] for cpu in range(8)]
    topology = derive(made_host(places, pcpuinfo=infos, physinfo={"nr_cpus": 7}, **pool_without(5)))
    check_consistent(topology)
    assert topology.complete_cpuset == parse("0-4,6-7")
    assert topology.pu(6).os_index == 6
    assert topology.warnings == ()
    with pytest.raises(Failure, match="no CPU 5 on this host: it has 0-4,6-7"):
        topology.pu(5)


# --- Arm


def test_constant_places_mean_one_core_a_cpu():
    topology = derive(made_host([(0, 0, 0)] * 4, physinfo={"threads_per_core": 1}, pcpuinfo=None))
    check_consistent(topology)
    assert [str(core.cpuset) for core in topology.cores] == ["0", "1", "2", "3"]
    assert topology.threads_per_core == 1
    assert topology.cores_of(parse("0-3")) == 4
    assert len(topology.warnings) == 1
    assert "Arm" in topology.warnings[0]


@pytest.mark.parametrize(
    ("places", "physinfo"),
    [
        # one core of two threads, both online
        ([(0, 0, 0)] * 2, {"threads_per_core": 2}),
        # the same with the second thread offline, of which physinfo then knows nothing
        ([(0, 0, 0)] * 2, {"threads_per_core": 1, "nr_cpus": 1}),
    ],
)
def test_one_core_with_two_threads_is_not_taken_for_arm(places, physinfo):
    count = physinfo.get("nr_cpus", 2)
    pools = {
        "cpupools": [{"id": 0, "cpus": list(range(count))}],
        "pcpuinfo": [[1, int(cpu < count), cpu, cpu] for cpu in range(2)],
    }
    topology = derive(made_host(places, physinfo=physinfo, **pools))
    assert len(topology.cores) == 1
    assert topology.threads_per_core == 2
    assert topology.warnings == ()


def test_a_host_with_one_cpu():
    topology = derive(made_host([(0, 0, 0)], physinfo={"threads_per_core": 1}))
    assert len(topology.cores) == 1
    assert topology.warnings == ()


# --- nodes


def numa(sizes, free, distance):
    return {"numainfo": {"memsize": sizes, "memfree": free, "distance": distance}}


def test_a_node_with_memory_alone_is_kept_and_knows_the_nearest_cpus():
    distance = [[10, 21, 28, 17], [21, 10, 17, 28], [28, 17, 10, 12], [17, 28, 12, 10]]
    topology = derive(made_host(**numa([GIB] * 3, [GIB // 2] * 3, distance)))
    check_consistent(topology)
    assert [node.os_index for node in topology.nodes] == [0, 1, 2]
    assert not topology.nodes[2].complete_cpuset
    assert topology.nodes[2].nearest_cpu_nodes == (1,)
    assert topology.nodes[2].memory_free == GIB // 2
    assert topology.nodeset == topology.complete_nodeset == parse("0-2")
    assert topology.warnings == ()


def test_nearest_nodes_are_all_that_tie():
    topology = derive(made_host(**numa([GIB] * 3, [0] * 3, [[10, 21, 17], [21, 10, 17], [17, 17, 10]])))
    assert topology.nodes[2].nearest_cpu_nodes == (0, 1)


def test_nearest_nodes_go_by_the_way_from_the_cpu_to_the_memory():
    topology = derive(made_host(**numa([GIB] * 3, [0] * 3, [[10, 21, 30], [21, 10, 17], [12, 40, 10]])))
    assert topology.nodes[2].nearest_cpu_nodes == (1,)
    # where that way is unknown, the way back
    topology = derive(
        made_host(**numa([GIB] * 3, [0] * 3, [[10, 21, INVALID], [21, 10, INVALID], [12, 40, 10]]))
    )
    assert topology.nodes[2].nearest_cpu_nodes == (0,)


def test_nearest_nodes_of_an_unreachable_node_are_unknown():
    unreachable = [[10, 21, INVALID], [21, 10, INVALID], [INVALID, INVALID, 10]]
    topology = derive(made_host(**numa([GIB] * 3, [0] * 3, unreachable)))
    assert topology.nodes[2].nearest_cpu_nodes == ()
    assert topology.distance(0, 2) is None
    assert topology.distance(2, 2) == 10


def test_a_node_whose_cpus_are_all_offline_is_like_one_without_cpus():
    topology = derive(made_host(**offline(4, 5, 6, 7), **pool_without(4, 5, 6, 7)))
    assert str(topology.nodes[1].complete_cpuset) == "4-7"
    assert not topology.nodes[1].cpuset
    assert topology.nodes[1].nearest_cpu_nodes == (0,)


def test_nodes_that_do_not_exist_are_left_out_and_the_others_keep_their_numbers():
    places = [(0, 0, 0), (0, 1, 3)]
    distance = [[10, INVALID, INVALID, 20], [INVALID] * 4, [INVALID] * 4, [22, INVALID, INVALID, 10]]
    topology = derive(
        made_host(places, **numa([GIB, INVALID, INVALID, GIB], [5, INVALID, INVALID, 7], distance))
    )
    check_consistent(topology)
    assert [node.os_index for node in topology.nodes] == [0, 3]
    assert topology.distances.nodes == (0, 3)
    assert topology.distances.matrix == ((10, 20), (22, 10))
    assert topology.node(3).memory_free == 7
    assert topology.distance(0, 1) is None
    with pytest.raises(Failure, match="no NUMA node 1 on this host: it has 0,3"):
        topology.node(1)


def test_a_node_with_cpus_and_without_memory():
    topology = derive(made_host(**numa([GIB, 0], [GIB, 0], [[10, 21], [21, 10]])))
    assert topology.nodes[1].memory_spanned == 0
    assert topology.nodeset == parse("0-1")
    # Xen marks it as invalid when it is not online
    topology = derive(made_host(**numa([GIB, INVALID], [GIB, INVALID], [[10, 21], [21, 10]])))
    assert topology.nodes[1].memory_spanned is None
    assert topology.nodes[1].memory_free is None


def test_numainfo_that_was_not_heard_leaves_memory_and_distances_unknown():
    topology = derive(made_host(numainfo=None))
    assert [node.memory_free for node in topology.nodes] == [None, None]
    assert topology.distance(0, 1) is None


def test_ragged_numainfo_is_read_as_far_as_it_goes():
    topology = derive(made_host(**numa([GIB, GIB, GIB], [GIB], [[10, 21], [21]])))
    assert [node.memory_free for node in topology.nodes] == [GIB, None, None]
    assert topology.distance(0, 1) == 21
    assert topology.distance(1, 1) is None
    assert topology.distance(2, 0) is None


def test_a_node_number_beyond_all_bounds_is_unknown():
    topology = derive(made_host([(0, 0, 0), (1, 0, INVALID - 1)]))
    assert topology.pu(1).node is None
    assert topology.complete_nodeset == parse("0")


# --- Xen and cpupools


def test_what_was_not_heard_is_unknown():
    topology = derive(RawHost({"cputopo": [[0, 0, 0]]}))
    check_consistent(topology)
    assert topology.xen.version is None
    assert topology.xen.scheduler is None
    assert topology.cpu_khz is None
    assert topology.memory == (None, None, None, None)
    assert topology.source == "unknown"
    assert topology.pu(0).online is None
    assert topology.dom0_linux is None


def test_a_host_of_which_no_cpu_was_heard_cannot_be_understood():
    for data in (
        {},
        {"physinfo": {"nr_cpus": 4}},
        {"cputopo": []},
        {"cpupools": [{"id": 0, "cpus": [0, 1]}]},
    ):
        with pytest.raises(Failure, match="no CPU of this host was heard of"):
            derive(RawHost(data))


def test_the_source_is_the_used_component_of_the_highest_priority():
    host = made_host()
    host.components[:] = [
        {"name": "hypercall", "priority": 55, "state": "passed_over", "reason": "no library"},
        {"name": "xl", "priority": 30, "state": "used", "reason": None},
        {"name": "dom0", "priority": 10, "state": "used", "reason": None},
    ]
    assert derive(host).source == "xl"


def test_schedulers_and_pools():
    pools = [
        {"id": 7, "sched_id": 9, "n_dom": 0, "cpus": [6, 7]},
        {"id": 0, "sched_id": 5, "n_dom": 3, "cpus": [0, 1, 2, 3]},
        {"id": 1, "sched_id": 77, "n_dom": 0, "cpus": []},
    ]
    topology = derive(made_host(cpupools=pools, cpupool_free=[4, 5], cpupool_names={"7": "fast"}))
    assert [pool[:4] for pool in topology.cpupools] == [
        (0, None, "credit", parse("0-3")),
        (1, None, "unknown-77", parse("")),
        (7, "fast", "null", parse("6-7")),
    ]
    assert topology.cpupool_free == parse("4-5")
    assert topology.pool_cpus(7) == parse("6-7")
    assert [pu.cpupool for pu in topology.pus] == [0, 0, 0, 0, None, None, 7, 7]
    assert topology.warnings == ()
    with pytest.raises(Failure, match="no cpupool 2 on this host: it has 0, 1, 7"):
        topology.pool_cpus(2)


# --- domains


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        (0x20, "running"),
        (0x10, "blocked"),
        # waits for a CPU: neither bit
        (0x00, "running"),
        (0x08 | 0x10, "paused"),
        (0x04, "shutdown"),
        (0x04 | 1 << 16, "shutdown"),
        (0x04 | 3 << 16, "crashed"),
        (0x04 | 0x10 | 3 << 16, "crashed"),
        (0x01 | 0x04 | 3 << 16, "dying"),
        # without a shutdown Xen leaves the reason at ~0
        (0xFFFF0020, "running"),
        (0xFFFF0008, "paused"),
    ],
)
def test_domain_states(flags, state):
    assert domain_state(flags) == state


@pytest.mark.parametrize(
    ("flags", "emulation", "kind"),
    [
        (0x20, 0, "pv"),
        # dom0 has a PIT, and is PV all the same
        (0x20, 0x100, "pv"),
        (0x22, 0x1, "pvh"),
        (0x22, 0x411, "pvh"),
        (0x22, 0x3FF, "hvm"),
        (0x22, None, None),
    ],
)
def test_domain_types(flags, emulation, kind):
    assert domain_type(flags, emulation) == kind


def test_a_domain():
    info = made_domain(
        3, vcpus=3, handle="6b1f0a525d0e4d2c9d7f0a4bb1c7a001", flags=1 << 4, node_affinity=[1, 40]
    )
    info["vcpus"][1].update(online=0, running=0, cpu=6)
    info["vcpus"][2].update(hard=[4, 5], hard_all=False, soft=[5, 90], soft_all=False, running=0, blocked=1)
    topology = derive(
        made_host(
            domains=[info, made_domain(0)],
            domain_names={"3": "disc web"},
            memory_by_node={"3": {"0": 1, "1": 65535}},
        )
    )
    assert [domain.domid for domain in topology.domains] == [0, 3]
    domain = topology.domains[1]
    assert domain.title == "disc web (domid 3)"
    assert topology.domains[0].title == "domid 0"
    assert domain.uuid == "6b1f0a52-5d0e-4d2c-9d7f-0a4bb1c7a001"
    assert (domain.type, domain.state, domain.cpupool, domain.max_vcpus) == ("pv", "blocked", 0, 3)
    assert (domain.memory, domain.max_memory) == (65536 * 4096, 65537 * 4096)
    assert domain.node_affinity == parse("1")
    assert domain.memory_by_node == {0: 4096, 1: 65535 * 4096}
    first, off, pinned = domain.vcpus
    assert (first.online, first.running, first.blocked, first.cpu) == (True, True, False, 0)
    assert first.hard == first.soft == topology.complete_cpuset
    assert (off.online, off.cpu) == (False, None)
    assert (pinned.blocked, pinned.hard, pinned.soft) == (True, parse("4-5"), parse("5"))
    assert topology.dom0_vcpus == topology.domains[0].vcpus


def test_a_domain_without_limit_pool_vcpus_and_node_affinity():
    info = made_domain(
        0, vcpus=0, max_pages=INVALID, cpupool=INVALID, max_vcpu_id=INVALID, node_affinity=None
    )
    domain = derive(made_host(domains=[info])).domains[0]
    assert (domain.max_memory, domain.cpupool, domain.max_vcpus, domain.node_affinity) == (
        None,
        None,
        0,
        None,
    )


def test_dom0s_vcpus_alone():
    topology = derive(made_host(dom0_vcpus=made_domain(0, vcpus=2)["vcpus"]))
    assert topology.domains is None
    assert len(topology.dom0_vcpus) == 2


# --- anything


PLACE = st.one_of(st.integers(0, 3), st.just(INVALID))
MAYBE_SIZE = st.one_of(st.just(INVALID), st.integers(0, 2**40))


@given(
    st.lists(st.tuples(PLACE, PLACE, PLACE), min_size=1, max_size=9),
    st.lists(st.tuples(st.just(8), st.integers(0, 3), PLACE, PLACE), max_size=11),
    st.lists(st.lists(st.integers(0, 9), max_size=9), max_size=3),
    st.lists(MAYBE_SIZE, max_size=4),
    st.lists(st.lists(st.one_of(st.integers(0, 40), st.just(INVALID)), max_size=4), max_size=4),
    st.integers(0, 9),
    st.integers(0, 2),
)
def test_a_strange_host_is_still_described(places, infos, pools, sizes, distance, count, threads):
    host = made_host(
        places,
        pcpuinfo=infos,
        cpupools=[{"id": index, "cpus": cpus} for index, cpus in enumerate(pools)],
        physinfo={"nr_cpus": count, "threads_per_core": threads},
        **numa(sizes, sizes, distance),
    )
    try:
        check_consistent(derive(host))
    except Failure:
        # nothing but CPUs that are not there
        assert all(infos[cpu][1] & 2 for cpu in range(len(places)))
