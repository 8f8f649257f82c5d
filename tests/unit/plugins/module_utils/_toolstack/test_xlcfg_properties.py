# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Edit, then parse: it says what was asked, and nothing else moved. Over the corpus and over generated texts."""

import glob
import os
import re

import pytest

hypothesis = pytest.importorskip("hypothesis")
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xlcfg  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

TEXTS = []
_corpus = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
# The one with bytes that are no UTF-8 is a .bin: Ansible's sanity tests read every .cfg as text.
for _path in sorted(glob.glob(os.path.join(_corpus, "*.cfg")) + glob.glob(os.path.join(_corpus, "*.bin"))):
    with open(_path, "rb") as _stream:
        TEXTS.append(xlcfg.decode(_stream.read()))

KEYS = ["cpus", "cpus_soft", "vcpus", "memory", "name", "pool", "disk", "extra", "x.new_1"]
# Anything a file can hold: all of Unicode that is not a surrogate, and bytes that are no UTF-8 at all.
characters = st.one_of(
    st.sampled_from("ab '\"\\\n\t;#[]=,0"),
    st.characters(min_codepoint=1, blacklist_categories=("Cs",)),
    st.integers(0xDC80, 0xDCFF).map(chr),
)
strings = st.text(characters, max_size=12).filter(lambda text: xlcfg.decode(xlcfg.encode(text)) == text)
atoms = st.one_of(strings, st.integers(-(2**63), 2**63 - 1))
values = st.recursive(atoms, lambda inner: st.lists(inner, max_size=4), max_leaves=8)
changes = st.dictionaries(st.sampled_from(KEYS), st.one_of(st.none(), values), max_size=4)

_blank = st.sampled_from(["", " ", "\t "])
_inside = st.sampled_from(["", " ", "\n", " # why\n", "\n\t"])
_atom = st.one_of(
    st.sampled_from(
        ["1", "0x1f", "010", "09", "12ab", "'a;b'", '"#"', r"'\''", r'"\\"', r'"\t\n"', r'"\012"', '"\udcff"']
    ),
)
_value = st.recursive(
    _atom,
    lambda inner: st.builds(
        lambda open_, items, comma: "[" + open_ + ",".join(items) + ("," if items and comma else "") + "]",
        _inside,
        st.lists(st.builds(lambda a, v, b: a + v + b, _inside, inner, _inside), max_size=3),
        st.booleans(),
    ),
    max_leaves=5,
)
_end = st.sampled_from(["\n", "\n\n", ";", " ; ", " # c = 1\n", ";;\n", "\n# \udce9\n"])
_statement = st.builds(
    lambda *parts: "".join(parts), _blank, st.sampled_from(KEYS), _blank, st.just("="), _blank, _value, _end
)
texts = st.one_of(
    st.sampled_from(TEXTS),
    st.builds(
        lambda parts, cut: "".join(parts).rstrip("\n;") if cut else "".join(parts),
        st.lists(_statement, max_size=6),
        st.booleans(),
    ),
)


def readable(text):
    try:
        xlcfg.parse(text)
    except xlcfg.ConfigSyntaxError:
        return False
    return True


def same(have, want):
    """Equal as far as xl can tell: it reads a quoted number and a bare one alike."""
    if isinstance(want, list):
        return isinstance(have, list) and len(have) == len(want) and all(map(same, have, want))
    return not isinstance(have, list) and str(have) == str(want)


def skeleton(text, touched):
    """The text without the statements of `touched` keys: what an edit has to leave alone, in its order."""
    pieces, at = [], 0
    for statement in xlcfg.parse(text).statements:
        if statement.key in touched:
            pieces.append(text[at : statement.start])
            at = statement.end
    return "".join(pieces + [text[at:]])


def squeezed(text):
    """Without the blanks and separators that go with a removed statement."""
    return re.sub(r"[ \t\n;]+", "", text)


@hypothesis.settings(deadline=None, max_examples=75)
@hypothesis.given(texts, changes)
def test_edit_then_parse(text, wanted):
    hypothesis.assume(readable(text))
    before, after = xlcfg.parse(text), xlcfg.parse(xlcfg.edit(text, wanted))
    for key in set(KEYS) | set(before.keys()):
        if key not in wanted:
            assert after.get(key) == before.get(key)
        elif wanted[key] is None:
            assert after.get(key) is None
        elif isinstance(wanted[key], int):
            assert after.integer(key) == wanted[key]
        else:
            assert same(after.get(key), wanted[key])


@hypothesis.settings(deadline=None, max_examples=75)
@hypothesis.given(texts, changes)
def test_untouched_bytes_are_the_same(text, wanted):
    hypothesis.assume(readable(text))
    edited = xlcfg.edit(text, wanted)
    assert squeezed(skeleton(edited, wanted)) == squeezed(skeleton(text, wanted))
    assert xlcfg.edit(edited, wanted) == edited
    untouched = [s for s in xlcfg.parse(text).statements if s.key not in wanted]
    still = [s for s in xlcfg.parse(edited).statements if s.key not in wanted]
    assert [text[s.start : s.end] for s in untouched] == [edited[s.start : s.end] for s in still]


@hypothesis.settings(deadline=None, max_examples=75)
@hypothesis.given(texts, st.sampled_from(KEYS), values)
def test_a_value_set_in_place_moves_nothing_else(text, key, value):
    hypothesis.assume(readable(text))
    statement = xlcfg.parse(text).last(key)
    edited = xlcfg.edit(text, {key: value})
    if statement is None:
        assert edited.startswith(text)
        return
    assert edited[: statement.operator_start] == text[: statement.operator_start]
    assert edited.endswith(text[statement.value.end :])


@hypothesis.settings(deadline=None, max_examples=75)
@hypothesis.given(values)
def test_what_is_written_is_read(value):
    text = "a = " + xlcfg.render(value) + "\n"
    assert same(xlcfg.parse(text).get("a"), value)
    assert xlcfg.holds(xlcfg.parse(text), "a", value)


def test_the_corpus_is_there():
    assert len(TEXTS) >= 8
    assert all(map(readable, TEXTS))
