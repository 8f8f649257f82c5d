# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian packages that `make test` unpacks without installing them (tools/workshop.py): programs that judge."""

from pathlib import Path

import pytest


def unpacked(package: str) -> Path:
    """The folder with the files of a package, and of those that were unpacked with it; skips the test where there is none."""
    for parent in Path(__file__).resolve().parents:
        for folder in (parent / ".cache" / "unpacked", parent / "unpacked"):
            if (folder / package).is_dir():
                return folder / package
    pytest.skip(f"{package} is not unpacked: make unit does that on Debian")
