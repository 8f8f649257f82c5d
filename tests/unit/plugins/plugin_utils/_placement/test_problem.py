# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.dom0.xen.plugins.plugin_utils._placement.capacity import host_room
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import (
    MIB,
    Guest,
    Host,
    Policy,
    Reserve,
)
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.options import Mover, Option
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.places import (
    MOST_SETS_OF_A_SIZE,
    make_place,
    places_of,
)
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.problem import Base, make_problem
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts


def room(nodes: t.Sequence[tuple[int, int | None]], name: str = "alpha", **more: t.Any) -> Host:
    return host_room(name, hosts.host(nodes, **more), Reserve(low_memory=False))


def options(
    guest: Guest, *rooms: Host, committed: t.Mapping[tuple[str, int], int] | None = None
) -> list[Option]:
    return list(make_problem(rooms, [Mover(guest)], Base(committed=dict(committed or {}))).options[0])


def nodes_of(found: t.Iterable[Option]) -> list[tuple[int, ...]]:
    return [option.place.nodes for option in found]


def guest(vcpus: int, mib: int, **more: t.Any) -> Guest:
    policy = Policy(**more.pop("policy", {}))
    return Guest("a", vcpus, mib * MIB, policy=policy, **more)


def test_places_come_by_size_then_by_distance() -> None:
    host = room([(1, 9)] * 3, distance=[[10, 21, 12], [21, 10, 21], [12, 21, 10]])
    places = places_of(host, host.pools[0])
    assert [place.nodes for place in places] == [(0,), (1,), (2,), (0, 2), (0, 1), (1, 2), (0, 1, 2)]
    # half of all accesses go to the other node, at distance 12 and at distance 21
    assert [place.distance for place in places][:5] == [0, 0, 0, 100, 550]


def test_a_place_needs_cpus_and_memory_and_ways() -> None:
    host = room(
        [(1, None), (1, 9), (0, 9), (1, 9)],
        distance=[[10, 20, 20, 20], [20, 10, 20, hosts.NONE], [20] * 4, [20, 20, 20, 10]],
    )
    pool = host.pools[0]
    assert make_place(host, pool, [0]) is None
    assert make_place(host, pool, [2]) is None
    assert make_place(host, pool, [1, 3]) is None
    assert make_place(host, pool, [1, 9]) is None
    both = make_place(host, pool, [0, 1])
    assert both is not None and (both.cpu_nodes, both.memory_nodes, both.borrows) == ((0, 1), (1,), False)
    lent = make_place(host, pool, [0, 2])
    assert lent is not None and (lent.cpu_nodes, lent.memory_nodes, lent.borrows) == ((0,), (2,), True)


def test_with_many_nodes_only_neighbours_are_combined() -> None:
    size = 24
    line = [[10 + abs(a - b) for b in range(size)] for a in range(size)]
    host = room([(1, 9)] * size, distance=line)
    by_size: dict[int, set[tuple[int, ...]]] = {}
    for place in places_of(host, host.pools[0]):
        by_size.setdefault(len(place.nodes), set()).add(place.nodes)
    assert sorted(by_size) == [*range(1, 17), 24]
    assert all(len(found) <= MOST_SETS_OF_A_SIZE for found in by_size.values())
    assert (4, 5, 6) in by_size[3]
    assert (4, 5, 30) not in by_size[3]


def test_a_guest_with_more_vcpus_than_cpus_does_not_go_there() -> None:
    host = room([(1, 900), (2, 900)])
    assert nodes_of(options(guest(3, 100), host, committed={("alpha", 0): 9})) == [(1,), (0, 1)]
    assert nodes_of(options(guest(7, 100), host)) == []


def test_a_core_for_each_vcpu_comes_before_fewest_nodes_while_there_are_cores_to_spare() -> None:
    host = room([(4, 4000), (4, 4000)])
    roomy = options(guest(6, 100), host)
    assert nodes_of(roomy) == [(0, 1), (0,), (1,)]
    assert [option.cost[:2] for option in roomy] == [(0, 0), (0, 2), (0, 2)]
    busy = options(guest(6, 100), host, committed={("alpha", 0): 3})
    assert nodes_of(busy) == [(0,), (1,), (0, 1)]
    assert [option.cost[:2] for option in busy] == [(0, 0), (0, 0), (1, 0)]
    # no more than one node is no more than one node
    assert nodes_of(options(guest(6, 100, policy={"numa_policy": "single"}), host)) == [(0,), (1,)]


def test_policies_choose_the_candidates() -> None:
    host = room([(2, 900), (2, 900), (0, 900)])
    assert nodes_of(options(guest(1, 100), host)) == [(0,), (1,), (0, 1)]
    assert nodes_of(options(guest(1, 100, policy={"numa_policy": "single"}), host)) == [(0,), (1,)]
    assert nodes_of(options(guest(1, 100, policy={"numa_policy": "spread"}), host)) == [(0, 1)]
    assert nodes_of(options(guest(1, 100, nodes=(1, 2)), host)) == [(1, 2)]
    lent = nodes_of(options(guest(1, 1000, policy={"memory_only_nodes": "allow"}), host))
    assert lent == [(0, 1), (0, 2), (1, 2), (0, 1, 2)]
    assert all(option.cost[0] == 0 for option in options(guest(1, 100, nodes=(0, 1)), host))


def test_what_one_node_can_hold_makes_two_an_excess() -> None:
    host = room([(2, 900), (2, 2000)])
    assert [(option.place.nodes, option.excess) for option in options(guest(1, 1500), host)] == [
        ((1,), 0),
        ((0, 1), 1),
    ]
    assert [(option.place.nodes, option.excess) for option in options(guest(1, 850), host)] == [
        ((0,), 0),
        ((1,), 0),
        ((0, 1), 1),
    ]


def test_needed_nodes_are_counted_over_all_hosts() -> None:
    small, large = room([(2, 600), (2, 600)], "small"), room([(2, 2000)], "large")
    found = [(option.place.host, option.excess) for option in options(guest(1, 1000), large, small)]
    assert found == [("large", 0), ("small", 1)]
    assert [option.place.host for option in options(guest(1, 1000, host="small"), large, small)] == ["small"]


def test_a_cpupool_bounds_the_cpus_and_lends_no_memory() -> None:
    host = room([(2, 900), (2, 900)], pools=[("fast", [4, 5, 6, 7])])
    assert nodes_of(options(guest(1, 100), host)) == [(0,)]
    found = options(guest(1, 100, pool="fast"), host)
    assert [(option.place.nodes, str(option.place.cpuset)) for option in found] == [((1,), "4-7")]
    assert options(guest(1, 100, pool="slow"), host) == []


def test_what_a_running_guest_holds_is_not_needed_twice() -> None:
    host = room([(2, 300), (2, 900)])
    wanted = Guest("a", 1, 800 * MIB)
    assert nodes_of(make_problem([host], [Mover(wanted)]).options[0]) == [(1,)]
    again = make_problem([host], [Mover(wanted, "alpha", {0: 800 * MIB})]).options[0]
    assert nodes_of(again) == [(0,), (1,), (0, 1)]


def test_the_host_as_a_whole_has_a_limit() -> None:
    host = room([(2, 900), (2, 900)], claimed=1500)
    assert nodes_of(options(guest(1, 200), host)) == [(0,), (1,), (0, 1)]
    assert nodes_of(options(guest(1, 400), host)) == []
