# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which unit tests a change can reach: its own, and those of all that imports it, directly or through others.

What a change is: the work tree against the commit that its branch left `origin/main` at, or against the last commit where there is no such branch.
"""

from __future__ import annotations

import ast
import subprocess
import typing as t
from pathlib import Path, PurePosixPath

PACKAGE = "ansible_collections.dom0.xen."
TESTS = "tests/unit/"
# Tests that look at the whole checkout, quickly.
ALWAYS = ("tests/unit/test_house.py", "tests/unit/test_metadata.py", "tests/unit/test_python36.py")


def _git(root: Path, *words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return [name for name in done.stdout.split("\0") if name] if done.returncode == 0 else []


def changed(root: Path) -> list[str]:
    """Paths of the files that differ, were added or have gone, relative to `root`."""
    base = _git(root, "merge-base", "HEAD", "origin/main")
    start = base[0].strip() if base else "HEAD"
    names = _git(root, "diff", "--name-only", "-z", start)
    return sorted({*names, *_git(root, "ls-files", "-z", "--others", "--exclude-standard")})


def imports(path: str, source: str) -> set[str]:
    """Dotted names below the collection that a file imports, wherever in it, absolute."""
    here = PurePosixPath(path).parent
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                parents = [here, *here.parents]
                base = PACKAGE + ".".join(parents[node.level - 1].parts)
            else:
                base = ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return {name[len(PACKAGE) :] for name in found if name.startswith(PACKAGE)}


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def tests(root: Path, changes: t.Iterable[str]) -> list[str]:
    """Test files that the changes can reach, with those that look at everything; none for no change.

    Code is followed through imports. For anything else (data, playbooks, documents) every test file counts that has the file's name in it.
    """
    changes = list(changes)
    if not changes:
        return []
    sources = {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for folder in ("plugins", "tests", "tools", "benchmarks")
        for path in (root / folder).rglob("*.py")
    }
    every = [
        path for path in sources if path.startswith(TESTS) and PurePosixPath(path).name.startswith("test_")
    ]
    if any(PurePosixPath(path).name in ("conftest.py", "pyproject.toml") for path in changes):
        return sorted(every)
    users: dict[str, set[str]] = {}
    for path, source in sources.items():
        for name in imports(path, source):
            users.setdefault(name, set()).add(path)
    reached, new = set(), set(changes)
    while new:
        path = new.pop()
        reached.add(path)
        if path.endswith(".py"):
            new |= users.get(_dotted(path), set()) - reached
    found = {path for path in every if path in reached}
    # What is not imported by its dotted name: tools, data, documents.
    names = {PurePosixPath(path).name for path in changes if not path.startswith("plugins/module_utils/")}
    stems = {PurePosixPath(name).stem for name in names if name.endswith(".py")}
    for path in every:
        if (
            any(name in sources[path] for name in names)
            or PurePosixPath(path).stem.removeprefix("test_") in stems
        ):
            found.add(path)
    return sorted(found | {path for path in ALWAYS if path in sources})


def travels(test: str) -> bool:
    """Whether a test file is of what managed hosts get, and so runs on the oldest Python too."""
    return test.startswith(("tests/unit/plugins/modules/", "tests/unit/plugins/module_utils/"))
