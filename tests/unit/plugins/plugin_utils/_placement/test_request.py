# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import MIB, Guest, Policy, Reserve
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.request import (
    RequestError,
    read_request,
    read_size,
)
from hypothesis import example, given
from hypothesis import strategies as st

PLAIN = {"name": "a", "vcpus": 1, "memory": 512}


def read_one(**changes: t.Any) -> Guest:
    guests, _reserve = read_request(["alpha", "beta"], [{**PLAIN, **changes}])
    return guests[0]


@pytest.mark.parametrize(
    ("given_size", "mib"),
    [
        (512, 512),
        ("512", 512),
        (" 512 ", 512),
        ("512M", 512),
        ("512 MiB", 512),
        ("512mb", 512),
        ("2048K", 2),
        ("4GiB", 4096),
        ("1.5g", 1536),
        ("2T", 2 << 20),
        (512.0, 512),
        (0, 0),
    ],
)
def test_sizes(given_size: t.Any, mib: int) -> None:
    assert read_size(given_size) == mib * MIB


@pytest.mark.parametrize(
    "given_size", ["", "lots", "-1", -1, "1e3", True, None, [], "5 P", "0.3G", "1K", 1.5, "9" * 5000]
)
def test_what_is_no_size(given_size: t.Any) -> None:
    with pytest.raises(ValueError, match=r"is no size|is not a whole number of MiB"):
        read_size(given_size)


def test_a_size_that_is_too_little() -> None:
    with pytest.raises(ValueError, match="the least is 1 MiB"):
        read_size(0, MIB)


def test_the_whole_of_a_guest() -> None:
    guest = read_one(
        vcpus="4",
        memory="1GiB",
        host="beta",
        nodes=[3, "1", 3],
        pool=2,
        priority=7,
        policy={"pin": "hard", "memory_only_nodes": "allow"},
    )
    policy = Policy("preferred", "hard", "shared", "allow")
    assert guest == Guest("a", 4, 1024 * MIB, "beta", (1, 3), "2", 7, policy, "guests[0]")


def test_defaults_are_for_guests_that_do_not_say() -> None:
    listed = [PLAIN, {"name": "b", "vcpus": 1, "memory": 1, "policy": {"pin": "soft"}}]
    guests, reserve = read_request(
        ["alpha"], listed, {"pin": "hard", "numa_policy": "single"}, {"node_memory": "1G", "low_memory": "no"}
    )
    assert [guest.policy for guest in guests] == [Policy("single", "hard"), Policy("single", "soft")]
    assert reserve == Reserve(1024 * MIB, 0, False)


def test_none_is_the_same_as_nothing() -> None:
    assert read_one(host=None, nodes=None, pool=None, priority=None, policy=None) == read_one()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": None}, "guests[0].name: is missing"),
        ({"name": ""}, "guests[0].name: '' is no name"),
        ({"name": "a/b"}, "guests[0].name: 'a/b' cannot be a guest's name"),
        ({"name": "a\nb"}, "guests[0].name: 'a\\nb' cannot be a guest's name"),
        ({"name": "Domain-0"}, "guests[0].name: Domain-0 is the control domain"),
        ({"vcpus": None}, "guests[0].vcpus: is missing"),
        ({"vcpus": 0}, "guests[0].vcpus: 0 is not between 1 and 8192"),
        ({"vcpus": "two"}, "guests[0].vcpus: 'two' is no whole number"),
        ({"vcpus": True}, "guests[0].vcpus: True is no whole number"),
        ({"vcpus": 1.5}, "guests[0].vcpus: 1.5 is no whole number"),
        ({"memory": None}, "guests[0].memory: is missing"),
        ({"memory": "lots"}, "guests[0].memory: 'lots' is no size"),
        ({"memory": 0}, "guests[0].memory: 0 is too little"),
        ({"host": "gamma"}, "guests[0].host: 'gamma' is not one of the hosts of this plan (alpha, beta)"),
        ({"nodes": []}, "guests[0].nodes: the list is empty"),
        ({"nodes": ["x"]}, "guests[0].nodes: 'x' is no whole number"),
        ({"nodes": [0, -1]}, "guests[0].nodes: -1 is not between 0 and 65535"),
        (
            {"nodes": [0, 1], "policy": {"numa_policy": "single"}},
            "guests[0].nodes: 2 nodes are named, but numa_policy is single",
        ),
        ({"pool": []}, "guests[0].pool: [] is no name"),
        ({"priority": 1001}, "guests[0].priority: 1001 is not between -1000 and 1000"),
        ({"policy": "hard"}, "guests[0].policy: a dictionary is needed, not 'hard'"),
        ({"policy": {"pin": "loose"}}, "guests[0].policy.pin: 'loose' is none of soft, hard"),
        (
            {"policy": {"pinning": "hard"}},
            "guests[0].policy.pinning: no such field; there are numa_policy, pin",
        ),
        ({"vcpu": 3}, "guests[0].vcpu: no such field; there are name, vcpus, memory"),
    ],
)
def test_errors_name_the_entry_and_the_field(changes: dict[str, t.Any], told: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_one(**changes)
    assert told in caught.value.message


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(RequestError) as caught:
        read_request(
            ["alpha"], [PLAIN, 3, {**PLAIN, "vcpus": 0}, PLAIN], {"pin": 1}, {"node_memory": "x", "extra": 1}
        )
    for told in (
        "guests[1]: a guest is",
        "guests[2].vcpus: 0",
        "guests[3].name: 'a' is already the name of guests[0]",
    ):
        assert told in caught.value.message
    for told in (
        "defaults.pin: 1 is none of",
        "reserve.node_memory: 'x' is no size",
        "reserve.extra: no such field",
    ):
        assert told in caught.value.message


@pytest.mark.parametrize(
    ("guests", "defaults", "reserve", "told"),
    [
        ("a", None, None, "guests: a list of guests is needed"),
        ([], [], None, "defaults: a dictionary is needed"),
        ([], None, 5, "reserve: a dictionary is needed"),
        ([], None, {"low_memory": "perhaps"}, "reserve.low_memory: 'perhaps' is neither true nor false"),
    ],
)
def test_what_is_no_request(guests: t.Any, defaults: t.Any, reserve: t.Any, told: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_request(["alpha"], guests, defaults, reserve)
    assert told in caught.value.message


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["name", "vcpus", "memory", "host", "nodes", "pool", "priority", "policy"])


@given(st.lists(ANYTHING | st.dictionaries(FIELDS, ANYTHING)), ANYTHING, ANYTHING)
@example([], None, {"\n": None})
def test_whatever_is_given_only_a_request_error_comes_back(
    guests: t.Any, defaults: t.Any, reserve: t.Any
) -> None:
    try:
        read, _kept = read_request(["alpha"], guests, defaults, reserve)
    except RequestError as error:
        assert "\n" not in error.message
    else:
        assert len(read) == len(guests)
