# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said about the collection in several places is the same in all of them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def documentation(module: str) -> dict[str, object]:
    """The DOCUMENTATION of a module, read without running it."""
    tree = ast.parse((ROOT / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION":
            return yaml.safe_load(ast.literal_eval(node.value))
    raise AssertionError(f"{module} has no DOCUMENTATION")


def test_there_is_something_to_compare():
    assert "topology_facts" in MODULES
    assert "place_guests" in ROLES


def test_action_group_lists_every_module():
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert runtime["action_groups"] == {"xen": MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_module_says_which_action_group_it_is_in(module):
    fragments = documentation(module)["extends_documentation_fragment"]
    assert "dom0.xen._attributes" in fragments
    assert "dom0.xen._attributes.actiongroup_xen" in fragments


@pytest.mark.parametrize("name", MODULES + ROLES)
def test_readme_names_it(name):
    assert f"`dom0.xen.{name}`" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("role", ROLES)
def test_role_is_complete(role):
    for file in ("README.md", "meta/main.yml", "meta/argument_specs.yml", "tasks/main.yml"):
        assert (ROOT / "roles" / role / file).is_file(), file


@pytest.mark.parametrize("role", ROLES)
def test_role_readme_names_every_variable(role):
    specs = yaml.safe_load(
        (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    )
    readme = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    missing = [
        name for name in specs["argument_specs"]["main"].get("options", {}) if f"`{name}`" not in readme
    ]
    assert missing == []
