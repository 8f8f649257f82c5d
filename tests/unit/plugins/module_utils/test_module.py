# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules share: failing in one sentence, finding an interpreter that can talk to Xen, gathering."""

import pytest

pytest.importorskip("ansible.module_utils.common.respawn")

from ansible.module_utils.common import respawn
from ansible_collections.dom0.xen.plugins.module_utils import _gathering, _module
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.plugins.module_utils._xen.errors import BindingMissing, NotXen


class Ended(Exception):
    """Stands for the end of the process."""


class Module:
    """Stands for AnsibleModule."""

    def __init__(self):
        self.failed = None
        self.params = {}

    def fail_json(self, **result):
        self.failed = result
        raise Ended


@pytest.fixture
def module():
    return Module()


def test_failure_ends_the_module(module):
    with pytest.raises(Ended), _module.failures(module):
        raise Failure("Half of it.", done=["a"])
    assert module.failed == {"msg": "Half of it.", "done": ["a"]}


def test_refusal_of_the_system_ends_the_module(module):
    with pytest.raises(Ended), _module.failures(module):
        raise PermissionError(13, "Permission denied", "/etc/xen")
    assert module.failed == {"msg": "The system refused: /etc/xen: Permission denied."}


def test_mistake_of_ours_is_not_hidden(module):
    with pytest.raises(ZeroDivisionError), _module.failures(module):
        1 / 0  # noqa: B018


def test_nothing_wrong(module):
    with _module.failures(module):
        pass
    assert module.failed is None


@pytest.fixture
def lacking(monkeypatch):
    """This interpreter lacks the binding; what is tried then is kept."""
    tried = {"respawned": False, "has": "/usr/libexec/platform-python", "under": None}

    def refuse(allow_unknown=False):
        raise BindingMissing("No _cffi_backend.")

    def probe(interpreters, name):
        tried["probed"] = (list(interpreters), name)
        return tried["has"]

    def spawn(interpreter):
        tried["under"] = interpreter
        raise Ended

    monkeypatch.setattr(Xen, "open", refuse)
    monkeypatch.setattr(respawn, "has_respawned", lambda: tried["respawned"])
    monkeypatch.setattr(respawn, "probe_interpreters_for_module", probe)
    monkeypatch.setattr(respawn, "respawn_module", spawn)
    return tried


def test_module_is_run_again_under_an_interpreter_that_has_it(module, lacking):
    with pytest.raises(Ended):
        _module.open_xen(module)
    assert lacking["under"] == "/usr/libexec/platform-python"
    interpreters, name = lacking["probed"]
    assert name == "_cffi_backend"
    assert interpreters[0] == "/usr/bin/python3"


def test_no_interpreter_has_it(module, lacking):
    lacking["has"] = None
    with pytest.raises(BindingMissing) as caught:
        _module.open_xen(module)
    assert lacking["under"] is None
    assert caught.value.result == {"interpreters_tried": list(_module.INTERPRETERS)}


def test_module_is_not_run_a_third_time(module, lacking):
    lacking["respawned"] = True
    with pytest.raises(BindingMissing):
        _module.open_xen(module)
    assert lacking["under"] is None


def test_other_failures_are_not_cured_by_another_interpreter(module, lacking, monkeypatch):
    def refuse(allow_unknown=False):
        raise NotXen("Not here.")

    monkeypatch.setattr(Xen, "open", refuse)
    with pytest.raises(NotXen):
        _module.open_xen(module)
    assert "probed" not in lacking


def test_unknown_hypervisor_may_be_allowed(module, monkeypatch):
    heard = []
    monkeypatch.setattr(Xen, "open", lambda allow_unknown=False: heard.append(allow_unknown))
    _module.open_xen(module)
    module.params = {"allow_unknown_xen": True}
    _module.open_xen(module)
    assert heard == [False, True]


def test_gather(module, monkeypatch):
    heard = {}
    module.params = {"source": "auto", "recording": None}

    def collect(components, **arguments):
        heard.update(arguments, components=components)
        return "host"

    monkeypatch.setattr(_gathering, "collect", collect)
    monkeypatch.setattr(Xen, "open", lambda allow_unknown=False: "xen")
    assert _gathering.gather(module, ["components"], {"domains"}) == "host"
    assert heard["subset"] == {"domains"}
    assert (heard["components"], heard["source"]) == (["components"], "auto")
    with pytest.raises(Failure, match="no-such-tool is not installed"):
        heard["run_command"](["no-such-tool"])
    assert heard["open_xen"]() == "xen"


def test_gather_from_the_source_that_the_user_names(module, monkeypatch):
    heard = {}
    monkeypatch.setattr(_gathering, "collect", lambda _components, **arguments: heard.update(arguments))
    module.params = {"source": "xl", "recording": None}
    _gathering.gather(module, [])
    assert heard["source"] == "xl"


def test_recording_without_a_path(module):
    module.params = {"source": "recording", "recording": None}
    with pytest.raises(Failure, match="set recording"):
        _gathering.gather(module, [])
