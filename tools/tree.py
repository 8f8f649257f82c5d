# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkout as Ansible wants a collection: a copy at ``.cache/ansible_collections/dom0/xen``.

Ansible's tools insist on that path and see through symbolic links, so it is a copy: of the files that git knows or would add,
as they are in the work tree now. Only what differs is copied.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
from pathlib import Path

from workshop import CACHE, ROOT, SetupError

TREE = CACHE / "ansible_collections" / "dom0" / "xen"
# The copy's own: git's data, and what ansible-test writes.
_KEPT = (".git", os.path.join("tests", "output"))


def tracked(folder: Path = ROOT) -> list[str]:
    """Relative paths of the files that git tracks, or would on ``git add --all``, and that exist.

    Raises SetupError when the folder is not a git checkout.
    """
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(listing, cwd=folder, capture_output=True, check=False)
    except FileNotFoundError:
        raise SetupError("git is not found; on Debian: apt-get install git.") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise SetupError(f"{folder} must be a git checkout: git ls-files failed ({said}).")
    names = dict.fromkeys(os.fsdecode(done.stdout).split("\0"))
    return [
        name for name in names if name and (os.path.islink(folder / name) or os.path.isfile(folder / name))
    ]


def refresh(source: Path = ROOT, target: Path = TREE) -> Path:
    """Bring the copy up to date and return its path."""
    wanted = set(tracked(source))
    target.mkdir(parents=True, exist_ok=True)
    for folder, subfolders, names in os.walk(target, topdown=True):
        here = os.path.relpath(folder, target)
        subfolders[:] = [
            name for name in subfolders if os.path.normpath(os.path.join(here, name)) not in _KEPT
        ]
        links = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        for name in [*names, *links]:
            if os.path.normpath(os.path.join(here, name)) not in wanted:
                os.unlink(os.path.join(folder, name))
    _remove_empty_folders(target)
    for name in wanted:
        _copy(source / name, target / name)
    if not (target / ".git").exists():
        # A repository of its own, or the tools would ask the one around it, which ignores this folder.
        subprocess.run(["git", "init", "--quiet", target], check=True)
    return target


def _remove_empty_folders(target: Path) -> None:
    for folder, _subfolders, _names in os.walk(target, topdown=False):
        kept = any(Path(folder).is_relative_to(target / name) for name in _KEPT)
        if not kept and Path(folder) != target and not os.listdir(folder):
            os.rmdir(folder)


def _copy(source: Path, target: Path) -> None:
    """Copy one file or symbolic link, unless it is there already."""
    if source.is_symlink():
        if not target.is_symlink() or os.readlink(target) != os.readlink(source):
            _clear(target)
            target.symlink_to(os.readlink(source))
        return
    if not target.is_symlink() and target.is_file() and filecmp.cmp(source, target, shallow=True):
        return
    _clear(target)
    shutil.copy2(source, target)


def _clear(target: Path) -> None:
    """Make room for a file: its folder exists, nothing is at its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.is_dir():
        shutil.rmtree(target)


if __name__ == "__main__":
    print(refresh())
