# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The planner's benchmarks: the models of other placers do what the sources say, and what the page claims holds on a few instances."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks" / "placement"
if not FOLDER.is_dir():
    pytest.skip("the benchmarks are not part of the collection's artifact", allow_module_level=True)
sys.path.insert(0, str(FOLDER))

import compare
import huawei
import moves
import placers
import world
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import MIB, Guest
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.options import Mover
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.problem import make_problem
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.search import solve
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.state import State

TINY = world.Kind(3, 2, 4, world.matrix(3, lambda a, b: 12 if a + b == 1 else 21))


def guest(name: str, vcpus: int, mib: int) -> Guest:
    return Guest(name, vcpus, mib * MIB)


def test_libxl_takes_the_fewest_nodes_then_the_fewest_vcpus_then_the_most_memory() -> None:
    placer = placers.Libxl(TINY)
    placer.start(guest("a", 2, 1000))
    placer.start(guest("b", 1, 2000))
    assert (placer.at["a"], placer.at["b"]) == ((0,), (1,))
    placer.start(guest("c", 1, 500))
    assert placer.at["c"] == (2,)
    placer.start(guest("d", 1, 100))  # one vCPU on nodes 1 and 2, and more memory on node 2
    assert placer.at["d"] == (2,)
    placer.start(guest("wide", 5, 100))  # four CPUs a node
    assert len(placer.at["wide"]) == 2
    placer.stop("wide")
    placer.start(guest("big", 1, 5000))
    assert len(placer.at["big"]) == 2
    assert sum(placer.memory["big"].values()) == guest("big", 1, 5000).need


def test_libxl_leaves_hosts_with_many_nodes_alone() -> None:
    kind = world.Kind(17, 1, 4, world.matrix(17, lambda a, b: 20))
    placer = placers.Libxl(kind)
    placer.start(guest("a", 1, 100))
    assert placer.at["a"] == tuple(range(17))


def test_xapi_counts_starts_and_stripes_what_does_not_fit_one_node() -> None:
    placer = placers.Xapi(TINY)
    for name in ("a", "b", "c", "d"):
        placer.start(guest(name, 1, 100))
    assert [placer.at[name] for name in "abcd"] == [(0,), (1,), (2,), (0,)]
    placer.stop("b")
    placer.start(guest("e", 1, 100))  # the counters do not shrink
    assert placer.at["e"] == (1,)
    placer.start(guest("wide", 3, 100))  # two cores a node
    assert placer.at["wide"] == (0, 1, 2)


@pytest.mark.parametrize("title", ["2 nodes", "8 nodes, NPS4", "8 nodes, Opteron"])
def test_the_planner_is_never_behind(title: str) -> None:
    result = compare.instance(world.KINDS[title], "huawei", 0.95, 0)
    assert result.proven
    for name in placers.PLACERS:
        assert result.rows["planner"].key <= result.rows[name].key


def test_a_history_is_the_same_for_the_same_seed() -> None:
    kind = world.KINDS["4 nodes, SNC"]
    assert world.history(kind, "huawei", 0.9, 3) == world.history(kind, "huawei", 0.9, 3)
    assert world.history(kind, "huawei", 0.9, 3) != world.history(kind, "huawei", 0.9, 4)


def test_three_moves_help() -> None:
    lines = moves.few_moves(1, lambda _line: None, ["8 nodes, NPS4"], ["huawei"])
    means = {line.split("|")[1].strip(): float(line.split("|")[2]) for line in lines[2:6]}
    assert means["3"] < means["0"]
    assert means["any number"] <= means["3"]


def test_published_requests_are_read_and_checked(tmp_path: Path) -> None:
    (tmp_path / "huawei-hosts.csv").write_text(
        "host,node0_free_vcpus,node0_free_memory_gib,node1_free_vcpus,node1_free_memory_gib\n0,8,16,4,8\n1,4,8,4,8\n"
    )
    (tmp_path / "huawei-vm-requests.csv").write_text(
        "sequence,vcpus,memory_gib,numa_nodes,group_policy,group,fault_domain\n"
        "C1,8,16,2,,,\nC1,4,8,1,anti-affinity,0,\nC1,4,8,1,anti-affinity,0,\nC1,2,4,1,affinity,0,\nC2,2,4,1,,,\n"
    )
    rooms, base = huawei.read_hosts(tmp_path, None)
    requests = huawei.read_requests(tmp_path, "C1")
    assert [request.need >> 30 for request in requests] == [16, 8, 8, 4]
    problem = make_problem(rooms, [Mover(request) for request in requests], base)
    state = solve(problem, (0, 0))
    assert None not in state.at
    assert huawei.faults(rooms, base, state) == []
    apart = huawei.read_as(requests, "none")
    assert all(request.groups == () for request in apart)
    # The same places, with two of the guests on the host that one of them has to keep away from.
    wrong = State(problem)
    for index in (1, 2):
        wrong.put(index, next(option for option in problem.options[index] if option.place.host == "h0000"))
    assert "anti-affinity 0" in huawei.faults(rooms, base, wrong)
