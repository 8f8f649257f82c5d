# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recordings: written, read back, and damaged."""

import copy
import json

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._discovery import recordings
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.recording import from_recording
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    recording,
    recording_names,
)


def bytes_of(host):
    return json.dumps(to_facts(derive(host)), sort_keys=True).encode("utf-8")


@pytest.mark.parametrize("name", recording_names())
def test_facts_of_a_replay_are_the_same_bytes(tmp_path, name):
    path = tmp_path / "host.json"
    path.write_text(recordings.write(recording(name)), encoding="utf-8")
    assert bytes_of(recordings.read(str(path))) == bytes_of(recording(name))


@pytest.mark.parametrize("name", recording_names())
def test_same_host_gives_the_same_text(name):
    text = recordings.write(recording(name))
    assert recordings.write(from_recording(json.loads(text))) == text
    assert max(map(len, text.splitlines())) < 400


def test_without_domains_dom0s_vcpus_stay():
    host = recording("small-guests")
    vcpus = host.data["domains"][0]["vcpus"]
    recordings.narrow(host, frozenset())
    assert not {"domains", "domain_names", "memory_by_node"} & set(host.data)
    assert host.data["dom0_vcpus"] == vcpus
    assert host.warnings == recording("small-guests").warnings


def test_what_was_not_recorded_is_said():
    host = recording("small-min")
    recordings.narrow(host, frozenset({"domains"}))
    assert "without the subset 'domains'" in host.warnings[-1]


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 200000, "no JSON"),
        (b"[]", "no recording"),
        (b'{"recording": 99}', "format 99"),
        (b'{"recording": 1, "components": [], "warnings": [], "data": {"cputopo": [[0, 0]]}}', "cputopo"),
        (b'{"recording": 1, "components": [], "warnings": [], "data": {"page_size": 1e999}}', "page_size"),
    ],
)
def test_damage_is_named(tmp_path, data, wrong):
    path = tmp_path / "host.json"
    path.write_bytes(data)
    with pytest.raises(Failure, match=wrong) as caught:
        recordings.read(str(path))
    assert str(path) in caught.value.message


def test_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "LARGEST", 10)
    path = tmp_path / "host.json"
    path.write_bytes(b" " * 11)
    with pytest.raises(Failure, match="more than 10 bytes"):
        recordings.read(str(path))


def test_not_there(tmp_path):
    with pytest.raises(Failure, match="No such file"):
        recordings.read(str(tmp_path / "none.json"))


hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 20),
    st.sampled_from([2**31, 0xFFFFFFFF, 2**64 - 1, 2**70, -1]),
    st.text(max_size=4),
    st.lists(st.integers(0, 9), max_size=3),
    st.dictionaries(st.sampled_from(["0", "1", "x"]), st.integers(0, 9), max_size=2),
)


def spots(value, path=()):
    """Every place in a value."""
    yield path
    if isinstance(value, dict):
        children = [(key, value[key]) for key in sorted(value)]
    else:
        children = list(enumerate(value)) if isinstance(value, list) else []
    for key, child in children:
        yield from spots(child, path + (key,))


@pytest.mark.parametrize("name", recording_names())
@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=60)
def test_damaged_recordings_never_give_a_traceback(name, data):
    """A value is replaced, or left out: it is refused with a sentence, or it gives facts."""
    value = copy.deepcopy(recording(name).to_recording())
    for _damage in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(spots(value))[1:]))
        inside = value
        for key in path[:-1]:
            inside = inside[key]
        if data.draw(st.booleans()):
            del inside[path[-1]]
        else:
            inside[path[-1]] = data.draw(VALUES)
    try:
        to_facts(derive(from_recording(value)))
    except Failure as failure:
        assert failure.message
