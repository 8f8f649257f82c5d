# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Damaged recordings: an error that names what is wrong, or a description with warnings; never a traceback."""

import copy

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.recording import from_recording
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from hypothesis import given
from hypothesis import strategies as st

NAMES = ("shuffled-maxcpus", "sparse-offline", "small-guests", "quad")


def spots(value, path=()):
    """All places in a recording, those of long lists only at their ends."""
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = [(index, item) for index, item in enumerate(value) if index < 2 or index == len(value) - 1]
    else:
        children = []
    for key, child in children:
        yield path + (key,)
        yield from spots(child, path + (key,))


WHOLE = {name: recording(name).to_recording() for name in NAMES}
SPOTS = {name: sorted(spots(WHOLE[name]), key=str) for name in NAMES}
NUMBERS = st.one_of(
    st.integers(0, 20), st.sampled_from([0xFF, 0xFFFF, 0xFFFFFFFE, 0xFFFFFFFF, 2**33, 2**63, 2**64 - 1])
)
JUNK = st.one_of(
    NUMBERS,
    st.none(),
    st.booleans(),
    st.integers(-5, -1),
    st.text(max_size=4),
    st.floats(),
    st.lists(NUMBERS, max_size=6),
    st.lists(st.lists(NUMBERS, min_size=3, max_size=6), max_size=4),
    st.dictionaries(st.text(max_size=2), NUMBERS, max_size=2),
)


@pytest.mark.parametrize("name", NAMES)
@given(st.data())
def test_one_value_is_another(name, data):
    damaged = copy.deepcopy(WHOLE[name])
    for _time in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(SPOTS[name]))
        inner = damaged
        try:
            for step in path[:-1]:
                inner = inner[step]
            if data.draw(st.booleans()) and isinstance(inner[path[-1]], int):
                inner[path[-1]] = data.draw(NUMBERS)
            elif data.draw(st.booleans()):
                inner[path[-1]] = data.draw(JUNK)
            else:
                del inner[path[-1]]
        except (KeyError, IndexError, TypeError):
            # what was changed before is no longer there
            continue
    check(damaged)


def check(damaged):
    try:
        topology = derive(from_recording(damaged))
    except Failure as failure:
        assert str(failure)
        return
    facts = to_facts(topology)
    assert from_facts(facts) == topology
    # what is offline or unknown is never offered
    assert topology.cpuset <= topology.online_cpuset


SECTIONS = sorted({section for name in NAMES for section in WHOLE[name]["data"]})


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_a_section_that_was_not_heard(name, section):
    damaged = copy.deepcopy(WHOLE[name])
    damaged["data"].pop(section, None)
    check(damaged)


@pytest.mark.parametrize("section", SECTIONS)
@given(st.data())
def test_a_section_of_another_host(section, data):
    """Sections that fit each for itself and not together."""
    first, second = data.draw(st.permutations(NAMES))[:2]
    damaged = copy.deepcopy(WHOLE[first])
    if section in WHOLE[second]["data"]:
        damaged["data"][section] = copy.deepcopy(WHOLE[second]["data"][section])
    check(damaged)
