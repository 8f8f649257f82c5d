# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules under a Python that cannot talk to Xen go on under one that can, before they lock or write anything.

The one that is started waits for the host's lock, and whoever started it waits for its end: held by that one it would be for ever.
"""

import contextlib
import importlib
import os

import pytest

pytest.importorskip("ansible.module_utils.common.respawn")

from ansible.module_utils.common import respawn
from ansible_collections.dom0.xen.plugins.module_utils import _changing
from ansible_collections.dom0.xen.plugins.module_utils._control import files
from ansible_collections.dom0.xen.plugins.module_utils._xen import connection
from ansible_collections.dom0.xen.tests.unit.plugins.modules.running import run

#: Each module that changes a host, with arguments that it takes.
CHANGING = {
    "boot_line": {"words": ["smt=off"]},
    "boot_state": {"affinities": [{"guest": "web", "hard": "1"}]},
    "cpupool": {"numa_split": True},
    "guest": {"guests": [{"name": "web", "state": "stopped"}]},
    "guest_config": {"guests": [{"path": "/nowhere/web.cfg", "content": "", "cpus": "package:1"}]},
    "pcpu": {"smt": False},
    "vcpu_affinity": {"affinities": [{"guest": "web", "hard": "1"}]},
}


def load(name):
    return importlib.import_module("ansible_collections.dom0.xen.plugins.modules." + name)


def test_no_module_is_left_out():
    folder = os.path.dirname(load("guest").__file__)
    found = set()
    for name in os.listdir(folder):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), encoding="utf-8") as stream:
                if "host_lock" in stream.read():
                    found.add(name[: -len(".py")])
    assert found == set(CHANGING)


@pytest.fixture
def did(monkeypatch):
    """What a module does that matters here, in a host's control domain whose Python lacks the binding; another one has it."""
    done = []

    def note(what):
        def call(*arguments, **more):
            done.append(what)
            raise SystemExit(what)

        return call

    monkeypatch.setattr(connection, "ffi", None)
    monkeypatch.setattr(connection, "check_control_domain", lambda root="/": None)
    monkeypatch.setattr(respawn, "has_respawned", lambda: False)
    monkeypatch.setattr(
        respawn, "probe_interpreters_for_module", lambda interpreters, module: "/usr/bin/python3"
    )
    monkeypatch.setattr(respawn, "respawn_module", note("started anew"))
    monkeypatch.setattr(_changing.lock, "host_lock", note("locked"))
    for name in ("write_whole", "link_whole", "private_folder", "make_new", "remove"):
        monkeypatch.setattr(files, name, note(name))
    return done


@pytest.mark.parametrize("name", sorted(CHANGING))
def test_it_is_started_anew_before_anything_is_locked(monkeypatch, capsys, did, name):
    module = load(name)
    monkeypatch.setattr(capsys, "readouterr", lambda: type("Read", (), {"out": "{}"}))
    assert run(monkeypatch, capsys, module, **CHANGING[name])["exit_status"] == "started anew"
    assert did == ["started anew"]


# What Xen is booted with is in files alone.
@pytest.mark.parametrize("name", sorted(set(CHANGING) - {"boot_line"}))
def test_where_none_has_the_binding_it_says_so(monkeypatch, capsys, did, name):
    """The lock is asked for then, and given back: nobody waits for it. What needs no hypervisor goes on."""
    monkeypatch.setattr(respawn, "probe_interpreters_for_module", lambda interpreters, module: None)
    monkeypatch.setattr(_changing.lock, "host_lock", lambda what, patience: contextlib.ExitStack())
    module = load(name)
    result = run(monkeypatch, capsys, module, **CHANGING[name])
    assert result["failed"]
    assert "_cffi_backend" in result["msg"]
    assert did == []
