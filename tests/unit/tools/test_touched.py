# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Of a change, the tests that it can reach are run, and not many others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
UNIT = "tests/unit/plugins/"


@pytest.fixture
def touched(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import touched

    return touched


def test_imports_are_followed_through_others(touched):
    found = touched.tests(ROOT, ["plugins/module_utils/_topology/cpuset.py"])
    assert f"{UNIT}module_utils/_topology/test_cpuset.py" in found
    # Through the model, the facts and the plan.
    assert any(path.startswith(f"{UNIT}plugin_utils/_report/") for path in found)
    assert not any(path.startswith("tests/unit/xenhost/") for path in found)


def test_a_change_at_the_top_reaches_few(touched):
    found = touched.tests(ROOT, ["plugins/plugin_utils/_report/palette.py"])
    assert any(path.startswith(f"{UNIT}plugin_utils/_report/") for path in found)
    assert not any(path.startswith(f"{UNIT}module_utils/") for path in found)


def test_a_tool_reaches_its_test(touched):
    assert "tests/unit/tools/test_check.py" in touched.tests(ROOT, ["tools/check.py"])


def test_settings_of_all_tests_reach_all(touched):
    every = {str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "unit").rglob("test_*.py")}
    assert set(touched.tests(ROOT, ["conftest.py"])) == every


def test_no_change_no_test(touched):
    assert touched.tests(ROOT, []) == []


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("from .b import C", "plugins.x.b"),
        ("from ..b import C", "plugins.b"),
        ("from . import b", "plugins.x.b"),
        ("import ansible_collections.dom0.xen.plugins.y", "plugins.y"),
        ("def f():\n    from ansible_collections.dom0.xen.plugins.y import z", "plugins.y.z"),
    ],
)
def test_every_form_of_import_is_read(touched, line, name):
    assert name in touched.imports("plugins/x/a.py", line)


def test_a_change_is_what_differs_from_the_main_branch(touched, tmp_path):
    def git(*words):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "--quiet", "--initial-branch=main")
    for name in ("kept", "edited", "gone"):
        (tmp_path / name).write_text(name)
    git("add", "--all")
    git("commit", "--message=one")
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    assert touched.changed(tmp_path) == []
    (tmp_path / "committed").write_text("new")
    git("add", "--all")
    git("commit", "--message=two")
    (tmp_path / "edited").write_text("else")
    (tmp_path / "gone").unlink()
    (tmp_path / "untracked").write_text("new")
    assert touched.changed(tmp_path) == ["committed", "edited", "gone", "untracked"]
