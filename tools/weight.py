# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of this collection's own source Ansible sends to a host with a module: the files that import statements lead to.

Ansible follows every import statement, wherever it stands: in a function or for type checkers alone too. `payload.py` prints what is
sent in the end, a unit test holds each module to a budget.
"""

from __future__ import annotations

import ast
import functools
import typing as t
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[1] / "plugins"
COLLECTION = "ansible_collections.dom0.xen.plugins."


def modules() -> list[str]:
    """The modules that run on hosts: what else is in the folder documents an action that stays on the control node."""
    actions = {path.stem for path in (PLUGINS / "action").glob("*.py")}
    return sorted(path.stem for path in (PLUGINS / "modules").glob("*.py") if path.stem not in actions)


def own_files(module: str, lazy: bool = True) -> dict[Path, int]:
    """The files of the collection that go with a module, itself included, and their bytes; empty ones do not count.

    Without `lazy` only those that are compiled whatever the module is asked: imports inside functions and for type checkers are left out.
    """
    found: dict[Path, int] = {}
    waiting = [PLUGINS / "modules" / f"{module}.py"]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = path.stat().st_size
        waiting += _leads_to(path, lazy)
    return {path: size for path, size in found.items() if size}


@functools.cache
def _leads_to(path: Path, lazy: bool) -> tuple[Path, ...]:
    found = [path.parent / "__init__.py"] if (path.parent / "__init__.py").exists() else []
    for node in _imports(ast.parse(path.read_text(encoding="utf-8")), lazy):
        found += _named(node, path)
    return tuple(found)


def _imports(node: ast.AST, lazy: bool) -> t.Iterator[ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom):
            yield child
        is_lazy = isinstance(child, ast.FunctionDef) or (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        )
        if lazy or not is_lazy:
            yield from _imports(child, lazy)


def _named(node: ast.ImportFrom, path: Path) -> t.Iterator[Path]:
    """The files of the collection that one statement in `path` names."""
    name = (node.module or "").split(".") if node.module else []
    if node.level:
        folder = path.parents[node.level - 1].joinpath(*name)
    elif (node.module or "").startswith(COLLECTION):
        folder = PLUGINS.joinpath(*name[COLLECTION.count(".") :])
    else:
        return
    for alias in node.names:
        for file in (folder / f"{alias.name}.py", folder.with_suffix(".py"), folder / "__init__.py"):
            if file.exists():
                yield file
                break
