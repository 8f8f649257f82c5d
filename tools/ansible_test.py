# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test with a package index as its only outside world.

ansible-test bootstraps pip in each of its virtual environments with a script that it downloads from a server of its own. It takes
a script of the same name from its cache instead, if there is one: a few lines there run pip from pip's own wheel.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from workshop import HOME, SetupError, variables

# ansible-test runs it with get-pip.py's arguments: what to install, then switches that only get-pip.py knows.
_BOOTSTRAP = '''\
"""Install pip and what else is asked for, with the pip of the wheel beside this file."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "{wheel}"))

from pip._internal.cli.main import main

wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(main(["install", "--upgrade", "--force-reinstall"] + wanted))
'''


def seed(venv: Path) -> None:
    """Put the bootstrap scripts that this environment's ansible-test asks for where it looks for them."""
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    sources = list(venv.glob("lib/python3*/site-packages/ansible_test/_internal/python_requirements.py"))
    versions = sorted(
        {
            version
            for path in sources
            for version in re.findall(r"\bpip='([\d.]+)'", path.read_text(encoding="utf-8"))
        }
    )
    if not versions:
        raise SetupError(
            f"{venv} holds no ansible-test, or one that names its pip in a way not known here; see tools/ansible_test.py."
        )
    for version in versions:
        wheel = _wheel(cache, version)
        if not wheel:
            download = [str(venv / "bin" / "python"), "-m", "pip", "download", "--quiet", "--no-deps"]
            download += ["--dest", str(cache), f"pip=={version}"]
            done = subprocess.run(
                download,
                env=variables(venv),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            wheel = _wheel(cache, version)
            if not wheel:
                raise SetupError(
                    f"pip {version}, which ansible-test bootstraps, cannot be had from the package index: "
                    f"{done.stderr.strip()}"
                )
        script = cache / f"get_pip_{version.replace('.', '_')}.py"
        script.write_text(_BOOTSTRAP.format(wheel=wheel.name), encoding="utf-8")


def _wheel(cache: Path, version: str) -> Path | None:
    return next(cache.glob(f"pip-{version}-*.whl"), None)
