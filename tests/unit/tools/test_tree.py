# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The copy of the checkout has what git would commit now, and nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def tree(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[3] / "tools"))
    import tree

    return tree


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "checkout"
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    write(
        folder,
        {
            ".gitignore": "*.pyc\n",
            "galaxy.yml": "name: xen\n",
            "plugins/a.py": "one\n",
            "plugins/a.pyc": "no\n",
        },
    )
    (folder / "link").symlink_to("plugins")
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    return folder


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def content(folder: Path) -> dict[str, str]:
    """Relative path -> text, or where a link points; without git's data."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_file() and not name.startswith(".git/"):
            found[name] = path.read_text(encoding="utf-8")
    return found


EXPECTED = {
    ".gitignore": "*.pyc\n",
    "galaxy.yml": "name: xen\n",
    "plugins/a.py": "one\n",
    "link": "-> plugins",
}


def test_copies_what_git_knows(tree, source, tmp_path):
    tree.refresh(source, tmp_path / "copy")
    assert content(tmp_path / "copy") == EXPECTED


def test_follows_every_kind_of_change(tree, source, tmp_path):
    copy = tmp_path / "copy"
    tree.refresh(source, copy)
    write(source, {"plugins/a.py": "two two\n", "plugins/new/b.py": "not added yet\n"})
    (source / "galaxy.yml").unlink()
    write(source, {"galaxy.yml/inside": "a folder now\n"})
    (source / "link").unlink()
    write(source, {"link": "a file now\n"})
    tree.refresh(source, copy)
    assert content(copy) == {
        ".gitignore": "*.pyc\n",
        "galaxy.yml/inside": "a folder now\n",
        "plugins/a.py": "two two\n",
        "plugins/new/b.py": "not added yet\n",
        "link": "a file now\n",
    }


def test_comes_back(tree, source, tmp_path):
    copy = tmp_path / "copy"
    write(source, {"extra/deep/c.py": "c\n"})
    tree.refresh(source, copy)
    (source / "extra/deep/c.py").unlink()
    tree.refresh(source, copy)
    assert content(copy) == EXPECTED
    assert not (copy / "extra").exists()


def test_keeps_what_ansible_test_wrote(tree, source, tmp_path):
    copy = tmp_path / "copy"
    tree.refresh(source, copy)
    write(copy, {"tests/output/junit/x.xml": "<x/>\n", "stray": "gone\n"})
    tree.refresh(source, copy)
    assert content(copy) == {**EXPECTED, "tests/output/junit/x.xml": "<x/>\n"}


def test_copy_is_a_repository_of_its_own(tree, source, tmp_path):
    copy = tree.refresh(source, source / ".cache" / "copy")
    listed = subprocess.run(
        ["git", "ls-files", "--others"], cwd=copy, capture_output=True, text=True, check=True
    ).stdout
    assert set(listed.split()) == set(EXPECTED)


def test_needs_a_checkout(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(tree.SetupError, match="must be a git checkout"):
        tree.refresh(tmp_path, tmp_path / "copy")
