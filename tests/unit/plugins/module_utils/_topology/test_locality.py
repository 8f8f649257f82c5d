# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict on where a domain's vCPUs and its memory are."""

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    GIB,
    INVALID,
    made_domain,
    made_host,
    recording,
)

ALL = list(range(8))


def verdict(*vcpus, memory, **sections):
    """The locality of a domain whose vCPUs are (hard, soft, cpu), on two nodes of four CPUs, distance 21."""
    guest = made_domain(3, vcpus=len(vcpus))
    for entry, (hard, soft, cpu) in zip(guest["vcpus"], vcpus):
        entry.update(hard=hard, soft=soft, hard_all=False, soft_all=False, cpu=cpu)
    by_node = {} if memory is None else {"memory_by_node": {"3": memory}}
    return derive(made_host(domains=[guest], **dict(by_node, **sections))).domains[0].locality


def test_pinned_to_its_memory():
    found = verdict(([4, 5], ALL, 4), memory={"0": 0, "1": 1000})
    assert (str(found.cpu_nodes), str(found.memory_nodes)) == ("1", "1")
    assert (found.may_leave, found.away) == ((), ())
    assert (found.remote_share, found.distance, found.worst_distance) == (0.0, 10.0, 10.0)


def test_pinned_away_from_its_memory():
    found = verdict(([4, 5], ALL, 4), memory={"0": 1000, "1": 0})
    assert (found.may_leave, found.away) == ((0,), (0,))
    assert (found.remote_share, found.distance, found.worst_distance) == (1.0, 21.0, 21.0)


def test_soft_affinity_tells_where_it_should_run_and_hard_where_it_may():
    found = verdict((ALL, [0, 1], 0), (ALL, ALL, 5), memory={"0": 1000})
    assert (found.may_leave, found.away) == ((0, 1), (1,))
    # the first at home; the second on one half of its CPUs
    assert (found.remote_share, found.distance, found.worst_distance) == (0.25, 12.75, 15.5)


def test_memory_on_both_nodes():
    found = verdict(([0], ALL, 0), memory={"0": 750, "1": 250})
    assert str(found.memory_nodes) == "0-1"
    assert found.may_leave == ()
    assert (found.remote_share, found.distance) == (0.25, 12.75)


def test_a_few_stray_pages_make_no_node():
    assert str(verdict((ALL, ALL, 0), memory={"0": 1000, "1": 9}).memory_nodes) == "0"


def test_a_soft_affinity_outside_the_hard_one_is_none():
    found = verdict(([0, 1], [6, 7], 0), memory={"0": 1000})
    assert (found.distance, found.worst_distance) == (10.0, 10.0)


def test_cpus_outside_the_pool_do_not_count():
    pools = [{"id": 0, "cpus": [0, 1, 2, 3]}, {"id": 1, "cpus": [4, 5, 6, 7]}]
    found = verdict((ALL, ALL, 0), memory={"0": 1000}, cpupools=pools)
    assert str(found.cpu_nodes) == "0"
    assert found.may_leave == ()
    assert found.worst_distance == 10.0


def test_memory_of_a_node_without_cpus_is_at_home_on_the_nearest_one():
    distance = [[10, 21, 28], [21, 10, 17], [28, 17, 10]]
    numa = {"memsize": [GIB] * 3, "memfree": [0] * 3, "distance": distance}
    found = verdict(([4], ALL, 4), ([0], ALL, 0), memory={"2": 1000}, numainfo=numa)
    assert (found.may_leave, found.away) == ((1,), (1,))
    assert (found.remote_share, found.distance) == (1.0, 22.5)


def test_a_distance_that_is_unknown_makes_the_average_unknown():
    numa = {"memsize": [GIB] * 2, "memfree": [0] * 2, "distance": [[10, INVALID], [INVALID, 10]]}
    found = verdict((ALL, ALL, 0), memory={"0": 1000}, numainfo=numa)
    assert (found.remote_share, found.distance) == (0.5, None)
    # where it runs only at home, nothing is missing
    assert verdict(([0], ALL, 0), memory={"0": 1000}, numainfo=numa).distance == 10.0


@pytest.mark.parametrize("memory", [None, {}, {"0": 0}])
def test_without_its_memory_only_the_nodes_of_its_cpus_are_known(memory):
    found = verdict(([0, 4], ALL, 0), memory=memory)
    assert str(found.cpu_nodes) == "0-1"
    assert found[1:] == (None,) * 6


def test_a_domain_that_can_run_nowhere():
    found = verdict(([90], ALL, 0), memory={"0": 1000})
    assert str(found.cpu_nodes) == ""
    assert (found.remote_share, found.distance) == (None, None)


def test_vcpus_that_are_offline_do_not_count():
    guest = made_domain(3, vcpus=2)
    guest["vcpus"][1].update(online=0, hard=[7], hard_all=False)
    guest["vcpus"][0].update(hard=[0], hard_all=False)
    found = derive(made_host(domains=[guest], memory_by_node={"3": {"0": 9}})).domains[0].locality
    assert str(found.cpu_nodes) == "0"
    assert found.may_leave == ()


def test_real_guests():
    topology = derive(recording("big-guests"))
    web = topology.domain("web").locality
    assert (str(web.memory_nodes), web.may_leave, web.remote_share, web.distance) == ("2", (0,), 0.0, 10.0)
    assert web.worst_distance > 15
    dom0 = topology.domains[0].locality
    assert str(dom0.memory_nodes) == "0-3"
    assert dom0.remote_share > 0.5
