# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove everything that the developer tools left: running hosts, their images, environments, caches, test output.

Debian packages stay installed.
"""

from __future__ import annotations

import subprocess
import sys

from workshop import CACHE, ROOT, control_sockets, say

from tests.xenhost.cache import remove

LEFT = (
    ".ansible",
    ".hypothesis",
    ".ruff_cache",
    "collections",
    "tests/output",
    "changelogs/.plugin-cache.yaml",
    "extensions/.ansible",
)


def main() -> int:
    """Stop the hosts first; what they use is not removed under them."""
    remove(control_sockets())
    hosts = subprocess.run([sys.executable, "-m", "tests.xenhost", "clean"], cwd=ROOT, check=False)
    if hosts.returncode != 0:
        print("The emulated hosts could not be removed, so nothing else was either.", file=sys.stderr)
        return hosts.returncode
    for path in (
        *(ROOT / name for name in LEFT),
        *ROOT.glob("dom0-xen-*.tar.gz"),
    ):
        remove(path)
    for path in [path for path in ROOT.rglob("__pycache__") if CACHE not in path.parents]:
        remove(path)
    remove(CACHE)
    say(
        "Removed the emulated hosts, their images, and all caches of this checkout. Debian packages stay installed."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
