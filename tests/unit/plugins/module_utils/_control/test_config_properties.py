# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What guest_config decides about real configurations: it says what was asked, and every other byte is the one that was there."""

import glob
import os

import pytest

hypothesis = pytest.importorskip("hypothesis")
from ansible_collections.dom0.xen.plugins.module_utils._control import config  # noqa: E402
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xlcfg  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

CORPUS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "_toolstack", "corpus")
FILES = sorted(glob.glob(os.path.join(CORPUS, "*.cfg")) + glob.glob(os.path.join(CORPUS, "*.bin")))
DATA = {}
for _path in FILES:
    with open(_path, "rb") as _stream:
        DATA[os.path.basename(_path)] = _stream.read()

cpus = st.sampled_from(["0", "0-3", "node:1", "nodes:0-1,^2", "all,^0", 5])
wishes = st.fixed_dictionaries(
    {"vcpus": st.integers(1, 8)},
    optional={
        "memory": st.integers(64, 1024),
        "cpus": cpus,
        "cpus_soft": cpus,
        "pool": st.sampled_from(["Pool-0", 'odd "name"', "back\\slash"]),
        "cpu_weight": st.integers(1, 65535),
        "cap": st.integers(0, 800),
        "name": st.text(st.characters(min_codepoint=1, blacklist_categories=("Cs",)), min_size=1, max_size=8),
    },
)


def told_apart(text, keys):
    """The text in pieces: everything but the statements of `keys`, and how many of those stood where."""
    pieces, at = [], 0
    for statement in xlcfg.parse(text).statements:
        if statement.key in keys:
            pieces += [text[at : statement.start], "<{0}>".format(statement.key)]
            at = statement.end
    return "".join(pieces + [text[at:]])


@hypothesis.given(st.sampled_from(sorted(DATA)), wishes)
@hypothesis.settings(deadline=None)
def test_it_says_what_was_asked_and_no_other_byte_moves(name, wish):
    data = DATA[name]
    # What a wish brings along: room for the vCPUs, lists in step with them, virtual nodes out of the way.
    entry = dict(wish, path="/x", maxvcpus=wish["vcpus"], maxmem=wish.get("memory", 8192), vnuma=[])
    entry["memory"] = entry["maxmem"]
    entry.setdefault("cpus", "0-7")
    entry.setdefault("cpus_soft", [])
    change = config.plan_config(entry, data)
    after = xlcfg.parse(change.after)
    for key in ("vcpus", "memory", "maxmem", "maxvcpus", "cpu_weight", "cap"):
        if key in entry:
            assert after.integer(key) == entry[key]
    for key in ("name", "pool"):
        if key in entry:
            assert after.string(key) == entry[key]
    for key in ("cpus", "cpus_soft"):
        if entry[key] != []:
            assert [str(item) for item in after.get(key)] == [str(entry[key])] * entry["vcpus"]
    # Byte for byte: what was not named is a prefix of what is there now, and only named keys follow it.
    removed = {"vnuma"} | {key for key in ("cpus_soft",) if entry[key] == []}
    before = xlcfg.edit(xlcfg.decode(data), dict.fromkeys(removed))
    keys = set(entry) - {"path"}
    left, right = told_apart(before, keys), told_apart(change.after, keys)
    assert right.startswith(left)
    rest = right[len(left) :].strip("\n")
    assert all(line.strip("<>") in keys for line in rest.split("\n") if line)
    # A second run finds nothing to do, and the bytes survive the way to the disk and back.
    again = config.plan_config(entry, xlcfg.encode(change.after))
    assert not again.changed
    assert xlcfg.decode(xlcfg.encode(change.after)) == change.after


@pytest.mark.parametrize("name", sorted(DATA))
def test_a_file_that_has_what_is_asked_stays_byte_for_byte(name):
    parsed = xlcfg.parse(xlcfg.decode(DATA[name]))
    entry = {key: parsed.integer(key) for key in ("vcpus", "memory", "cpu_weight", "cap")}
    entry.update({key: parsed.string(key) for key in ("name", "pool")})
    change = config.plan_config(dict(entry, path="/x", vnuma=None), DATA[name])
    if not change.repaired:
        assert xlcfg.encode(change.after) == DATA[name]
