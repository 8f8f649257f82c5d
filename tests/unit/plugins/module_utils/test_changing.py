# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.dom0.xen.plugins.module_utils import _changing


class Module:
    def __init__(self, check_mode):
        self._name, self.check_mode, self.params = "dom0.xen.guest", check_mode, {"lock_timeout": 7}


@pytest.mark.parametrize(("check_mode", "asked"), [(False, ["binding", ("dom0.xen.guest", 7)]), (True, [])])
def test_the_lock_is_held_for_the_module_but_in_check_mode(monkeypatch, check_mode, asked):
    found = []

    @contextlib.contextmanager
    def lock(what, patience):
        found.append((what, patience))
        yield 5

    monkeypatch.setattr(_changing.lock, "host_lock", lock)
    monkeypatch.setattr(_changing, "use_binding", lambda: found.append("binding"))
    with _changing.host_lock(Module(check_mode)) as descriptor:
        assert descriptor == (None if check_mode else 5)
    assert found == asked
