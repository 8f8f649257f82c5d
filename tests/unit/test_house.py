# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The house keeps its floors: who may import whom under ``plugins/``.

`violations` reads the imports of a tree without running it. The first test holds the rules against the collection itself, the
others break each rule on purpose in a small tree of their own.
"""

from __future__ import annotations

import ast
import sys
import typing as t
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
COLLECTION = "ansible_collections.dom0.xen.plugins."

# Room -> floor. A room imports only from lower floors, and its own files. A new room starts with a line here.
FOUNDATION, GROUND, MIDDLE, STAIRS, LANDING, TOP = range(6)
FLOORS = {
    "module_utils._errors": FOUNDATION,
    "module_utils._topology": GROUND,
    "module_utils._xen": GROUND,
    "module_utils._toolstack": GROUND,
    "module_utils._discovery": MIDDLE,
    "module_utils._boot": MIDDLE,
    "module_utils._control": MIDDLE,
    "plugin_utils._placement": MIDDLE,
    "plugin_utils._report": MIDDLE,
    "plugin_utils._roles": MIDDLE,
    "module_utils._module": STAIRS,
    "module_utils._changing": LANDING,
    "module_utils._gathering": LANDING,
    "module_utils._settled": LANDING,
    "module_utils._unfinished": LANDING,
    "module_utils._restore": STAIRS,
    "modules": TOP,
    "action": TOP,
    "filter": TOP,
    "doc_fragments": TOP,
}
# These travel to managed hosts: the standard library, Ansible's own module_utils on the top floor, and the binding to libxencall.
TRAVELS = ("modules", "module_utils")
BINDING = "_cffi_backend"
# Rooms that think and do nothing else, with the modules that thinking takes.
PURE_ROOMS = ("module_utils._topology", "module_utils._boot")
PURE_MODULES = {
    "__future__",
    "abc",
    "bisect",
    "collections",
    "copy",
    "enum",
    "functools",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "posixpath",  # paths of another machine
    "string",
    "struct",  # bytes to numbers
    "textwrap",
    "typing",
    "uuid",
    "xml",  # parsers of texts
}
DOING = {"open", "print", "input", "exec", "eval", "compile", "__import__"}


class Import(t.NamedTuple):
    """One import: its line, the dotted name it asks for, and whether it ever runs (type checkers have some to themselves)."""

    line: int
    name: str
    runs: bool


def _name(path: Path, root: Path) -> str:
    """``module_utils._topology.cpuset`` for the file of that name under `root`."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(name: str) -> str:
    """The room that a dotted name is in: a kind of plugin, or one package or file of module_utils or plugin_utils."""
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] in ("module_utils", "plugin_utils") else parts[0]


def _imports(tree: ast.Module, package: str, files: set[str]) -> t.Iterator[Import]:
    """Every import of a file, wherever it stands; our own as names relative to ``plugins``, others as ``/name``."""
    idle = {id(node) for branch in ast.walk(tree) if _for_type_checkers(branch) for node in ast.walk(branch)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for name in _asked(node, package, files):
                yield Import(node.lineno, name, id(node) not in idle)


def _for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        "t.TYPE_CHECKING",
        "typing.TYPE_CHECKING",
        "TYPE_CHECKING",
    )


def _asked(node: ast.Import | ast.ImportFrom, package: str, files: set[str]) -> t.Iterator[str]:
    """The names that one statement in a file of `package` asks for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name[len(COLLECTION) :] if alias.name.startswith(COLLECTION) else "/" + alias.name
        return
    base = node.module or ""
    if node.level:
        parts = package.split(".") if package else []
        base = ".".join([*parts[: len(parts) - (node.level - 1)], *([base] if base else [])])
    elif (base + ".").startswith(COLLECTION):
        base = base[len(COLLECTION) :]
    else:
        yield "/" + base
        return
    for alias in node.names:
        # `from .room import file` names a file, `from .file import thing` does not.
        child = f"{base}.{alias.name}"
        yield child if child in files else base


def violations(root: Path) -> list[str]:
    """What breaks the rules of the house in the tree of plugins at `root`: one sentence each."""
    found: list[str] = []
    paths = sorted(root.rglob("*.py"))
    # Files, and the folders they are in.
    files = {name for path in paths for name in (_name(path, root), _name(path.parent, root)) if name}
    asks: dict[str, list[Import]] = {}
    for path in paths:
        file = _name(path, root)
        where = path.relative_to(root).as_posix()
        room = _room(file)
        if room not in FLOORS:
            if file not in (
                "module_utils",
                "plugin_utils",
            ):  # their empty __init__.py, if any, is nobody's room
                found.append(f"{where}: the room {room} is on no floor; give it a line in FLOORS")
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        package = file if path.name == "__init__.py" else file.rpartition(".")[0]
        asks[file] = list(_imports(tree, package, files))
        for wish in asks[file]:
            found += [f"{where}:{wish.line}: {complaint}" for complaint in _complaints(room, wish.name)]
        if room in PURE_ROOMS:
            for node in ast.walk(tree):
                if isinstance(node, ast.Name) and node.id in DOING:
                    found.append(f"{where}:{node.lineno}: {room} is pure and must not call {node.id}")
    return found + _circles(asks)


def _complaints(room: str, name: str) -> t.Iterator[str]:
    """Why a file of `room` must not import `name`."""
    if name.startswith("/"):
        yield from _outside_complaints(room, name[1:].split(".")[0], name[1:])
        return
    target = _room(name)
    if target not in FLOORS:
        yield f"imports {name}, which is in no room"
    elif target == room == "modules":
        yield f"imports {name}: a module travels without the other modules"
    elif target != room and FLOORS[target] >= FLOORS[room]:
        yield f"{room} must not import {target}: arrows point downwards only"
    if name.startswith("plugin_utils") and room.split(".")[0] in TRAVELS:
        yield f"{room} travels to managed hosts and must not import {name}, which stays behind"


def _outside_complaints(room: str, top: str, name: str) -> t.Iterator[str]:
    """Why a room must not import a module that is not ours."""
    if top == "ansible_collections":
        yield f"imports {name}: the collection depends on no other"
    if top == "ansible" and FLOORS[room] < STAIRS:
        yield f"{room} must not import {name}: only the top floor knows Ansible"
    if room in PURE_ROOMS and top not in PURE_MODULES:
        yield f"{room} is pure and must not import {name}"
    if room.split(".")[0] in TRAVELS and top not in sys.stdlib_module_names | {"ansible", BINDING}:
        yield f"{room} travels to managed hosts, which may lack {name}"
    if top == BINDING and room != "module_utils._xen":
        yield f"{room} must not import {BINDING}: module_utils._xen owns it"
    if top == "importlib" and FLOORS[room] < TOP:
        yield f"{room} must not import {name}: imports that a reader cannot see"


def _circles(asks: dict[str, list[Import]]) -> list[str]:
    """One sentence for each circle of files that import each other."""
    found: list[str] = []
    done: set[str] = set()

    def walk(file: str, trail: list[str]) -> None:
        if file in trail:
            circle = trail[trail.index(file) :]
            found.append(f"{' -> '.join([*circle, file])}: a circle of imports")
            return
        if file in done or file not in asks:
            return
        for wish in asks[file]:
            if wish.runs and wish.name != file:
                walk(wish.name, [*trail, file])
        done.add(file)

    for file in sorted(asks):
        walk(file, [])
    return found


def test_collection_keeps_the_rules():
    found = violations(PLUGINS)
    assert not found, "\n".join(found)


def test_ground_floor_is_there():
    rooms = {_room(_name(path, PLUGINS)) for path in PLUGINS.rglob("*.py")}
    assert {
        "module_utils._errors",
        "module_utils._topology",
        "module_utils._xen",
        "module_utils._toolstack",
    } <= rooms


def build(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


GOOD = {
    "module_utils/_errors.py": "class Failure(Exception):\n    pass\n",
    "module_utils/_topology/__init__.py": "",
    "module_utils/_topology/cpuset.py": "import re\nimport typing as t\nfrom .._errors import Failure\n",
    "module_utils/_topology/raw.py": "import typing as t\nif t.TYPE_CHECKING:\n    from .derive import derive\n",
    "module_utils/_topology/derive.py": "from .raw import RawHost\n",
    "module_utils/_topology/model.py": "from . import cpuset\nfrom .cpuset import CpuSet\n",
    "module_utils/_xen/binding.py": "try:\n    import _cffi_backend\nexcept ImportError:\n    _cffi_backend = None\n",
    "module_utils/_toolstack/xl.py": "import os\n",
    "module_utils/_discovery/registry.py": "import os\nfrom .._xen import binding\nfrom .._toolstack.xl import Xl\n",
    "module_utils/_module.py": "from ansible.module_utils.basic import AnsibleModule\nfrom ._discovery import registry\n",
    "modules/topology_facts.py": "from ..module_utils._module import open_xen\nfrom ansible.module_utils import basic\n",
    "plugin_utils/_placement/plan.py": "import jinja2\nfrom ...module_utils._topology.model import Topology\n",
    "action/placement_plan.py": "from ansible_collections.dom0.xen.plugins.plugin_utils._placement import plan\nimport ansible\n",
}

BROKEN = [
    ("module_utils/_errors.py", "from ._topology import cpuset", "arrows point downwards only"),
    (
        "module_utils/_topology/derive.py",
        "from .._xen import binding",
        "module_utils._topology must not import module_utils._xen",
    ),
    ("module_utils/_xen/sysctl.py", "from .._topology.cpuset import CpuSet", "arrows point downwards only"),
    (
        "module_utils/_toolstack/more.py",
        "def f():\n    from .._discovery import registry",
        "arrows point downwards only",
    ),
    ("module_utils/_control/guests.py", "from .._discovery import registry", "arrows point downwards only"),
    ("module_utils/_control/guests.py", "from .. import _discovery", "arrows point downwards only"),
    ("module_utils/_control/guests.py", "from .._module import open_xen", "arrows point downwards only"),
    ("module_utils/_module.py", "from ..modules import topology_facts", "arrows point downwards only"),
    ("modules/guest.py", "from . import topology_facts", "travels without the other modules"),
    ("modules/guest.py", "from ..plugin_utils._placement import plan", "stays behind"),
    ("module_utils/_discovery/dom0.py", "from ...plugin_utils._placement import plan", "stays behind"),
    (
        "module_utils/_discovery/dom0.py",
        "from ansible.module_utils.basic import AnsibleModule",
        "only the top floor knows Ansible",
    ),
    ("plugin_utils/_report/svg.py", "import ansible.errors", "only the top floor knows Ansible"),
    ("module_utils/_discovery/dom0.py", "import yaml", "may lack yaml"),
    ("module_utils/_discovery/dom0.py", "import _cffi_backend", "owns it"),
    ("module_utils/_discovery/dom0.py", "import importlib", "a reader cannot see"),
    ("module_utils/_topology/facts.py", "import os", "is pure and must not import os"),
    (
        "module_utils/_topology/facts.py",
        "def f(p):\n    from subprocess import run",
        "is pure and must not import subprocess",
    ),
    ("module_utils/_topology/facts.py", "def f(p):\n    return open(p).read()", "must not call open"),
    ("module_utils/_topology/cpuset.py", "from .model import Topology", "a circle of imports"),
    ("module_utils/_pantry/jam.py", "", "is on no floor"),
    (
        "action/placement_plan.py",
        "from ansible_collections.community.general.plugins import x",
        "depends on no other",
    ),
]


def test_good_house_stands(tmp_path):
    assert violations(build(tmp_path, GOOD)) == []


@pytest.mark.parametrize(("file", "text", "complaint"), BROKEN)
def test_broken_rule_is_found(tmp_path, file, text, complaint):
    found = violations(build(tmp_path, {**GOOD, file: text + "\n"}))
    assert any(
        sentence.startswith((file, "module_utils._topology.")) and complaint in sentence for sentence in found
    ), found
