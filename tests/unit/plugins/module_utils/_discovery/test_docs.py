# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/components.md: its example is a component that works, its table is the registry."""

import os
import re
import sys
import types

import pytest
from ansible_collections.dom0.xen.plugins.module_utils import _discovery
from ansible_collections.dom0.xen.plugins.module_utils._discovery import registry
from ansible_collections.dom0.xen.plugins.module_utils._discovery.collecting import collect
from ansible_collections.dom0.xen.plugins.module_utils._discovery.component import Component, Heard
from ansible_collections.dom0.xen.plugins.module_utils._topology import shape
from ansible_collections.dom0.xen.plugins.module_utils._topology.recording import SECTIONS, from_recording
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import ROOT, recording

PAGE = os.path.join(ROOT, "docs", "components.md")
# docs/ does not travel with every copy of the collection
pytestmark = pytest.mark.skipif(not os.path.exists(PAGE), reason="docs/ is not here")


def page():
    with open(PAGE, encoding="utf-8") as stream:
        return stream.read()


@pytest.fixture
def example(monkeypatch):
    """The class of the page's example, as a file of the room would define it."""
    (text,) = re.findall(r"```python\n(.*?)```", page(), re.DOTALL)
    name = _discovery.__name__ + ".uptime"
    module = types.ModuleType(name)
    module.__package__ = _discovery.__name__
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(text, "uptime.py", "exec"), module.__dict__)
    # step 4 of the page
    monkeypatch.setitem(SECTIONS, "uptime_s", shape.whole)
    return module.Uptime


class Rest(Component):
    """Whoever gives the topology."""

    name = "rest"
    priority = 55
    provides = ("topology",)

    def collect(self, request, heard):
        return Heard(dict(recording("small-min").data))


def test_example_answers(example, tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/uptime").write_text("12345.67 999.00\n")
    host = collect([Rest(), example()], root=str(tmp_path))
    assert host.data["uptime_s"] == 12345
    assert [(entry["name"], entry["state"]) for entry in host.components] == [
        ("rest", "used"),
        ("uptime", "used"),
    ]
    assert host.warnings == []
    assert from_recording(host.to_recording()).data == host.data


@pytest.mark.parametrize("content", [None, "", "soon\n"])
def test_example_that_cannot_answer_is_passed_over_with_its_reason(example, tmp_path, content):
    (tmp_path / "proc").mkdir()
    if content is not None:
        (tmp_path / "proc/uptime").write_text(content)
    host = collect([Rest(), example()], root=str(tmp_path))
    assert "uptime_s" not in host.data
    (warning,) = host.warnings
    assert warning.startswith("uptime was passed over: ")
    assert host.components[1]["reason"].endswith("see that /proc is mounted.")


def test_table_is_the_registry():
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.*?) \|", page(), re.MULTILINE)
    told = [(name, int(priority), set(re.findall(r"`(\w+)`", provides))) for name, priority, provides in rows]
    assert [row[:2] for row in told] == [
        (component.name, component.priority) for component in registry.components()
    ]
    for (_name, _priority, provides), component in zip(told, registry.components()):
        assert {word for word in component.provides if not word.startswith("memory_by")} == provides
