# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import copy
import json

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.recording import from_recording
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    made_domain,
    made_host,
)
from hypothesis import given
from hypothesis import strategies as st

HOST = made_host(
    domains=[made_domain(0, vcpus=2), made_domain(3)],
    domain_names={"0": "Domain-0", "3": "web1"},
    dom0_linux={"pus": 2},
)


def test_a_recording_is_json_and_reads_back():
    written = json.loads(json.dumps(HOST.to_recording()))
    read = from_recording(written)
    assert read.data == HOST.data
    assert read.components == HOST.components
    assert read.to_recording() == written


@pytest.mark.parametrize("thing", [None, [], "text", {}, {"data": {}}])
def test_what_is_no_recording(thing):
    with pytest.raises(Failure, match="no recording of a host"):
        from_recording(thing)


@pytest.mark.parametrize("version", [0, 2, "1", True, None])
def test_another_format(version):
    with pytest.raises(Failure, match="has format"):
        from_recording(dict(HOST.to_recording(), recording=version))


@pytest.mark.parametrize(
    ("path", "value", "spot"),
    [
        (("data", "cputopo"), 5, "data.cputopo should be a list"),
        (("data", "cputopo", 3), [0, 0], r"data.cputopo\[3\] should be a list of 3 values"),
        (("data", "cputopo", 3, 1), -1, r"data.cputopo\[3\]\[1\] should be a whole number"),
        (
            ("data", "cputopo", 3, 1),
            True,
            r"data.cputopo\[3\]\[1\] should be a whole number from 0 up, not True",
        ),
        (("data", "xen", "major"), "4", "data.xen.major should be a whole number"),
        (("data", "xen", "interface", "known"), 1, "data.xen.interface.known should be true or false"),
        (("data", "numainfo", "distance", 0, 1), None, r"data.numainfo.distance\[0\]\[1\] should be"),
        (
            ("data", "cpupools", 0, "cpus"),
            [70000],
            r"data.cpupools\[0\].cpus\[0\] should be a number from 0 to 65535",
        ),
        (("data", "domain_names"), {"zero": "x"}, "data.domain_names has the key 'zero'"),
        (("data", "domain_names", "3"), None, "data.domain_names.3 should be a text"),
        (
            ("data", "domains", 1, "vcpus", 0, "hard"),
            "all",
            r"data.domains\[1\].vcpus\[0\].hard should be a list",
        ),
        (("components", 0, "state"), "maybe", r"components\[0\].state should be one of used, passed_over"),
        (("warnings",), {}, "warnings should be a list"),
        (("data",), [], "data should be a dictionary"),
    ],
)
def test_damage_is_named_with_its_spot(path, value, spot):
    recording = copy.deepcopy(HOST.to_recording())
    inner = recording
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(Failure, match="the recording is damaged: " + spot):
        from_recording(recording)


@pytest.mark.parametrize(
    "path", [("data", "domains", 1, "flags"), ("data", "numainfo", "memsize"), ("components",), ("data",)]
)
def test_a_missing_key_is_named(path):
    recording = copy.deepcopy(HOST.to_recording())
    inner = recording
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    with pytest.raises(Failure, match=f"{path[-1]} is missing"):
        from_recording(recording)


def _spots(value, path=()):
    yield path
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield from _spots(child, path + (key,))


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**65),
    st.floats(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
    st.just([[]]),
    st.just({"0": None}),
)


@given(st.data())
def test_a_damaged_recording_is_refused_or_understood_but_never_a_traceback(data):
    recording = copy.deepcopy(HOST.to_recording())
    for _damage in range(data.draw(st.integers(1, 3))):
        spot = data.draw(st.sampled_from([spot for spot in _spots(recording) if spot]))
        inner = recording
        for step in spot[:-1]:
            inner = inner[step]
        if data.draw(st.booleans()):
            del inner[spot[-1]]
        else:
            inner[spot[-1]] = copy.deepcopy(data.draw(JUNK))
    try:
        to_facts(derive(from_recording(recording)))
    except Failure as failure:
        assert str(failure)
