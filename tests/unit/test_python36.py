# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What travels to managed hosts is Python 3.6: in its syntax, and in what it takes from the standard library."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
TRAVELS = [PLUGINS / "modules", PLUGINS / "module_utils"]

COMPILE = """
import sys
for path in sys.argv[1:]:
    with open(path, "rb") as stream:
        compile(stream.read(), path, "exec")
"""


def check_features(paths: list[Path]) -> subprocess.CompletedProcess[str]:
    """Let vermin look for anything that came after Python 3.6, annotations included: 3.6 evaluates them."""
    options = ["--target=3.6-", "--eval-annotations", "--violations", "--no-tips"]
    argv = [sys.executable, "-c", "from vermin import main; main()", *options, *map(str, paths)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_features_are_those_of_36():
    pytest.importorskip("vermin")
    done = check_features(TRAVELS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "later",
    [
        "if (n := 1): pass",
        "from __future__ import annotations",
        "import dataclasses",
        "def f(a: list[int]): pass",
        "print(f'{1=}')",
        "import time\ntime.time_ns()",
    ],
)
def test_later_feature_is_found(tmp_path, later):
    pytest.importorskip("vermin")
    (tmp_path / "later.py").write_text(later + "\n", encoding="utf-8")
    done = check_features([tmp_path])
    assert done.returncode == 1
    assert "Target versions not met" in done.stdout


def test_python36_itself_compiles_it():
    python = shutil.which("python3.6")
    if not python or subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode != 0:
        pytest.skip("no Python 3.6 on PATH")
    files = [str(path) for folder in TRAVELS for path in sorted(folder.rglob("*.py"))]
    assert files
    done = subprocess.run([python, "-c", COMPILE, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
