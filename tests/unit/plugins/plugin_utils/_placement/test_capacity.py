# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.capacity import (
    host_room,
    low_memory,
    split_load,
)
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import (
    MIB,
    Host,
    Reserve,
    memory_need,
    split_evenly,
)
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts
from hypothesis import given
from hypothesis import strategies as st

OPEN = Reserve(low_memory=False)


def room(*args: object, reserve: Reserve = OPEN, **more: object) -> Host:
    return host_room("alpha", hosts.host(*args, **more), reserve)  # type: ignore[arg-type]


def test_need_of_a_guest() -> None:
    # 1024 MiB, 4 MiB for the vCPUs, 4 MiB for the pages' bookkeeping, 2 MiB
    assert memory_need(1024 * MIB, 4) == 1034 * MIB
    assert memory_need(MIB, 1) == 4 * MIB + 4096


@given(st.integers(1, 1 << 45), st.lists(st.integers(0, 63), min_size=1, max_size=8, unique=True))
def test_even_split_is_even_whole_and_enough(amount: int, nodes: list[int]) -> None:
    parts = split_evenly(amount, nodes)
    assert 0 <= sum(parts.values()) - amount < 4096
    assert max(parts.values()) - min(parts.values()) <= 4096
    assert all(part % 4096 == 0 for part in parts.values())


@given(st.integers(0, 10**6), st.dictionaries(st.integers(0, 63), st.integers(0, 64), max_size=8))
def test_load_is_divided_without_loss(load: int, weights: dict[int, int]) -> None:
    parts = split_load(load, weights)
    assert sum(parts.values()) == (load if sum(weights.values()) else 0)
    for key, part in parts.items():
        assert abs(part * sum(weights.values()) - load * weights[key]) < sum(weights.values())


def test_memory_of_nodes_and_reserve() -> None:
    found = room([(2, 1000), (2, None), (0, 300)], reserve=Reserve(400 * MIB, 200 * MIB, False), claimed=50)
    assert [node.usable // MIB for node in found.nodes.values()] == [600, 0, 0]
    assert [node.reserved // MIB for node in found.nodes.values()] == [400, 0, 300]
    assert found.room == (1300 - 50 - 200) * MIB


@pytest.mark.parametrize(
    ("spanned", "bits_of_mib"),
    [(2048, 512), (1536, 512), (1024, 256), (4096, 1024), (18000, 4096), (262144, 4096), (6144, 2048)],
)
def test_low_memory_is_a_quarter_rounded_up_to_a_power_of_two(spanned: int, bits_of_mib: int) -> None:
    # Of a real host whose node 0 has 1536 MiB, Xen 4.17 said at boot: "DMA width 29 bits".
    assert low_memory(hosts.host([(2, 1000), (2, 1000)], spanned=[spanned, 2048])) == {0: bits_of_mib * MIB}


def test_low_memory_is_kept_on_the_first_node_of_several() -> None:
    two = room([(2, 1000), (2, 1000)], spanned=[2048, 2048], reserve=Reserve(100 * MIB))
    assert [node.usable // MIB for node in two.nodes.values()] == [488, 900]
    assert [node.low_memory // MIB for node in two.nodes.values()] == [512, 0]
    one = room([(2, 1000)], reserve=Reserve())
    assert one.nodes[0].usable == 1000 * MIB


def test_low_memory_is_kept_where_the_facts_say_that_it_lies() -> None:
    machine = derive(recording("shuffled"))
    assert {node: size // MIB for node, size in low_memory(machine).items()} == {
        1: 127,
        2: 639,
        3: 640,
        4: 640,
    }
    kept = host_room("alpha", machine, Reserve())
    # of these nodes there is nothing else
    assert [number for number, node in kept.nodes.items() if node.usable == 0] == [2, 3, 4]


def test_cores_are_counted_once_and_only_where_a_cpu_is_online() -> None:
    # node 0: core 0 = CPUs 0, 1; core 1 = CPUs 2, 3
    found = room([(2, 100), (2, 100)], offline=[1, 2, 3])
    cells = found.pools[0].cells
    assert (cells[0].cores, cells[0].pus, str(cells[0].cpuset)) == (1, 1, "0")
    assert (cells[1].cores, cells[1].pus) == (2, 4)
    assert (found.nodes[0].cores, str(found.nodes[0].cpuset)) == (1, "0")


def test_cpupools_have_their_own_cells() -> None:
    found = room([(2, 100), (2, 100)], pools=[("fast", [2, 3, 4, 5, 6, 7])])
    assert sorted(found.pools) == [0, 1]
    assert list(found.pools[0].cells) == [0]
    assert {node: cell.cores for node, cell in found.pools[1].cells.items()} == {0: 1, 1: 2}
    assert found.find_pool("fast") is found.find_pool("1") is found.pools[1]
    assert found.find_pool(None) is found.pools[0]
    assert found.find_pool("slow") is None


def test_load_lies_where_vcpus_may_run() -> None:
    found = room(
        [(3, 900), (1, 900)],
        dom0_vcpus=2,
        domains=[
            hosts.domain(1, "soft", 2, 64, [1], soft=[6, 7]),
            hosts.domain(2, "hard", 1, 64, [0], hard=[0, 1], soft=[6, 7]),
            hosts.domain(3, "both", 1, 64, [1], hard=[0, 6], soft=[6, 7]),
        ],
    )
    loads = {running.name: dict(running.loads) for running in found.running}
    assert loads == {
        "Domain-0": {0: 1500, 1: 500},
        "soft": {1: 2000},
        "hard": {0: 1000},  # the soft affinity has no CPU of the hard one
        "both": {1: 1000},
    }


def test_memory_is_where_it_was_measured_else_where_the_node_affinity_says() -> None:
    found = room(
        [(2, 900), (2, 900), (2, None)],
        domains=[
            hosts.domain(1, "told", 1, 300, [0, 1]),
            hosts.domain(2, "found", 1, 300, [0], by_node={0: 4, 1: 296}),
            hosts.domain(3, "tiny", 1, 10, [0], by_node={0: 4, 1: 6}),
            hosts.domain(4, "anywhere", 1, 300),
            hosts.domain(5, "bare", 1, 300, [1, 2]),
        ],
    )
    told = {running.name: running for running in found.running}
    assert (told["told"].nodes, told["told"].nodes_measured) == ((0, 1), False)
    assert told["told"].held == {0: 150 * MIB, 1: 150 * MIB}
    # 4 MiB are the pages that Xen itself gave it, not a node it is on
    assert (told["found"].nodes, told["found"].nodes_measured) == ((1,), True)
    assert told["tiny"].nodes == (1,)
    assert told["anywhere"].nodes == (0, 1)
    assert (told["bare"].nodes, dict(told["bare"].held)) == ((1, 2), {1: 300 * MIB})


def test_distances() -> None:
    found = room([(1, 9), (1, 9), (1, 9)], distance=[[10, 5, hosts.NONE], [20, 10, 30], [21, 30, 10]])
    assert [found.distance(*pair) for pair in ((0, 0), (0, 1), (1, 0), (0, 2))] == [10, 10, 20, None]


def test_facts_without_domains_are_refused() -> None:
    with pytest.raises(
        Failure, match=r"the facts of alpha do not tell which domains run.*topology_facts and gather_subset"
    ):
        room([(1, 100)], domains=None)
