# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The exact engine beside the built-in one and beside the bounds."""

from __future__ import annotations

import importlib.util
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.plugin_utils._placement import bounds, exact
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.capacity import host_room
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.choose import by_load
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import (
    MIB,
    Group,
    Guest,
    Host,
    Membership,
    Policy,
    Reserve,
)
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.options import Mover
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.problem import Problem, make_problem
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.search import by_size, greedy, solve
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.state import LEVELS, State
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement import hosts, small
from hypothesis import given, settings
from hypothesis import strategies as st

needs_solver = pytest.mark.skipif(
    importlib.util.find_spec(exact.PACKAGE) is None,
    reason=f"the Python package {exact.PACKAGE} is not installed",
)

CREW = Membership(Group("crew", "affinity", "node"), 0)
POLICIES = (
    Policy(),
    Policy("single"),
    Policy("2"),
    Policy(cpu_policy="dedicated"),
    Policy(cpu_policy="dedicated", thread_policy="isolate"),
)


def room(nodes: t.Sequence[tuple[int, int]], ratio: float | None = None, name: str = "alpha") -> Host:
    return host_room(name, hosts.host(nodes), Reserve(low_memory=False, cpu_allocation_ratio=ratio))


def guest(name: str, vcpus: int, mib: int, **more: t.Any) -> Guest:
    return Guest(name, vcpus, mib * MIB, **more)


def start_of(problem: Problem) -> State:
    return greedy(problem, by_size(problem), by_load)


def solved(problem: Problem, start: State) -> exact.Exact | None:
    """What the engine makes of a placement of which nothing is known to be the best."""
    return exact.Engine("exact")(problem, start, {}, lambda _state: None)


def proven(found: exact.Exact) -> set[str]:
    return {level for level in LEVELS if found.bounds.get(level, 0) >= found.state.value(level)}


@needs_solver
def test_it_places_what_one_after_the_other_leaves_out() -> None:
    # 500 + 400 and 300 + 300 + 300 fit exactly; by load one of 300 is left out.
    guests = [
        guest(f"g{n}", 1, (size - 3) * 256 // 257, policy=Policy("single"))
        for n, size in enumerate([500, 400, 300, 300, 300])
    ]
    problem = make_problem([room([(4, 900), (4, 900)])], [Mover(one) for one in guests])
    start = start_of(problem)
    assert None in start.at
    found = solved(problem, start)
    assert found is not None
    assert None not in found.state.at
    assert {"unplaced", "spanning"} <= proven(found)


@needs_solver
def test_the_same_input_has_the_same_answer() -> None:
    guests = [guest(f"g{n}", 1 + n % 3, 90 + 37 * n) for n in range(8)]
    problem = make_problem([room([(4, 900), (4, 900), (2, 500)])], [Mover(one) for one in guests])
    answers = [solved(problem, start_of(problem)) for _time in range(2)]
    first, second = (t.cast(exact.Exact, answer) for answer in answers)
    assert first.state.assignment() == second.state.assignment()
    assert first.bounds == second.bounds


@needs_solver
def test_groups_trust_and_devices_of_cores_are_kept() -> None:
    guests = [
        guest("a", 2, 100, trust_group="red"),
        guest("b", 2, 100, trust_group="blue"),
        guest("c", 1, 100, policy=Policy(cpu_policy="dedicated")),
        guest("d", 1, 100, groups=(CREW,)),
        guest("e", 1, 300, groups=(CREW,)),
    ]
    problem = make_problem([room([(2, 500), (3, 500)])], [Mover(one) for one in guests])
    found = solved(problem, start_of(problem))
    assert found is not None
    assert None not in found.state.at
    nodes = [option.place.nodes for option in found.state.at if option is not None]
    assert nodes[3] == nodes[4]


sizes = st.integers(1, 9)
wishes = st.lists(
    st.tuples(
        st.integers(1, 3),
        sizes,
        st.sampled_from(POLICIES),
        st.sampled_from([None, None, "red", "blue"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@needs_solver
@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), sizes), min_size=1, max_size=3),
    wishes,
    st.sampled_from([None, None, 1.0]),
)
def test_never_worse_than_the_built_in_engine_and_never_below_the_bounds(
    nodes: list[tuple[int, int]], wanted: list[t.Any], ratio: float | None
) -> None:
    movers = [
        Mover(
            guest(
                f"g{n}", vcpus, 100 * size, policy=policy, trust_group=trust, groups=(CREW,) if tied else ()
            )
        )
        for n, (vcpus, size, policy, trust, tied) in enumerate(wanted)
    ]
    problem = make_problem([room([(cores, 100 * size) for cores, size in nodes], ratio)], movers)
    built_in = solve(problem, (0, 0))
    found = solved(problem, built_in)
    assert found is not None
    levels = [level for level in LEVELS[:7] if level in proven(found)]
    assert {"unplaced", "spanning", "crowding", "distance", "device", "smt"} <= set(levels)
    best = found.state.key()[: len(levels)]
    assert best <= built_in.key()[: len(levels)]
    missing = sum(1 for option in found.state.at if option is None)
    assert bounds.fewest_unplaced(problem) <= missing
    assert bounds.least_spanning(problem, missing) <= found.state.spanning
    own: t.Any
    for own in ("crowding", "distance", "device"):
        assert bounds.least_own_cost(problem, own, missing) <= getattr(found.state, own)
    assert bounds.least_smt(problem, missing) <= found.state.smt
    assert bounds.least_peak(problem, missing) <= found.state.peak()
    assert bounds.least_imbalance(problem, missing) <= found.state.imbalance


@needs_solver
def test_places_on_more_nodes_than_needed_are_left_out_where_all_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Three guests with three places each are nine columns; those on one node alone are six.
    movers = [Mover(guest(f"g{n}", 1, size)) for n, size in enumerate([500, 501, 502])]
    problem = make_problem([room([(4, 900), (4, 900)])], movers)
    assert [len(options) for options in problem.options] == [3, 3, 3]
    monkeypatch.setattr(exact, "MOST_COLUMNS", 8)
    found = solved(problem, start_of(problem))
    assert found is not None
    # One of them has to be on two nodes. Other places on two were not looked at, and nothing is claimed.
    assert found.state.key()[:2] == (0, 1) and "spanning" not in proven(found)


def test_too_large_a_problem_is_left_to_the_built_in_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "MOST_COLUMNS", 3)
    problem = make_problem(
        [room([(4, 900), (4, 900)])], [Mover(guest(f"g{n}", 1, 700 + n)) for n in range(4)]
    )
    assert solved(problem, start_of(problem)) is None


def test_a_missing_library_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "highspy.py").write_text("raise ImportError('no such thing here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    problem = make_problem([room([(4, 900)])], [Mover(guest("g", 1, 100))])
    with pytest.raises(
        Failure, match=f"engine exact needs the Python package {exact.PACKAGE} .*pip install"
    ) as failure:
        solved(problem, start_of(problem))
    assert sys.executable in failure.value.message


def test_a_solver_that_breaks_down_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "highspy.py").write_text("raise SystemExit('out of order')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    problem = make_problem([room([(4, 900)])], [Mover(guest("g", 1, 100))])
    with pytest.raises(Failure, match="broke down: out of order; use engine builtin"):
        solved(problem, start_of(problem))


@needs_solver
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("engine", ["auto", "exact"])
def test_nothing_that_is_called_proven_can_be_bettered(engine: str, seed: int) -> None:
    facts, request = small.case(9_000 + seed, 4)
    assert small.false_claims(facts, request, engine) == []
