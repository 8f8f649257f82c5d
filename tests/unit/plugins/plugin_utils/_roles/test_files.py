# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest
from ansible_collections.dom0.xen.plugins.plugin_utils._roles.files import file_name, is_file_name
from hypothesis import given
from hypothesis import strategies as st

NASTY = [
    "../../etc/cron.d/x", "..", ".", "", ".hidden", "a/b", "a\nb", "a\0b", "x" * 300, "ä" * 200, "-rf", "a b", "~", "a\udc80", "$(id)",
]  # fmt: skip


@pytest.mark.parametrize("name", ["xen1", "xen1.example.com", "192.0.2.1", "fe80::1", "_x", "user@host"])
def test_a_plain_name_stays(name):
    assert file_name(name) == name


def test_other_names_stay_in_the_folder_and_apart(tmp_path):
    for name in NASTY:
        (tmp_path / (file_name(name) + ".svg")).write_text(name, encoding="utf-8", errors="surrogatepass")
    assert len(os.listdir(tmp_path)) == len(NASTY)
    assert not [name for name in os.listdir(tmp_path) if name.startswith((".", "-"))]


@given(st.lists(st.text(st.characters(codec=None), max_size=40), unique=True, max_size=5))
def test_any_name_gives_one_that_is_safe(names):
    made = [file_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert all(is_file_name(name) and name.isascii() and name.isprintable() for name in made)
