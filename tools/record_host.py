# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write down what this Xen host says about itself, as a recording that the tests and a bug report can use.

Runs in dom0, as root, from a copy of the tree; needs no Ansible. The recording has CPU and NUMA topology, memory figures, Xen's
version and command line, cpupools, and (unless left out) the domains with their names and UUIDs. It has serial numbers only
with --serials, and nothing from inside a guest.

    python3 tools/record_host.py > host.json
    python3 tools/record_host.py --no-domains
    python3 tools/record_host.py --memory-by-node     costs the host dearly when its guests are large
"""

import argparse
import os
import pathlib
import subprocess
import sys
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "plugins"))

from module_utils._discovery import component, recordings, registry  # type: ignore[import-not-found]
from module_utils._discovery.collecting import AUTO, collect  # type: ignore[import-not-found]
from module_utils._discovery.hypercall import Hypercall  # type: ignore[import-not-found]
from module_utils._discovery.memory_by_node import MemoryByNode  # type: ignore[import-not-found]
from module_utils._errors import Failure  # type: ignore[import-not-found]


def run_command(argv: t.List[str]) -> t.Tuple[int, str, str]:
    """Run a program; its status, output and complaints."""
    try:
        done = subprocess.run(  # noqa: UP022 - Python 3.6 has no capture_output
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, LC_ALL="C"),
            check=False,
        )
    except OSError as error:
        raise Failure("%s cannot be run: %s." % (argv[0], error.strerror)) from error
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


class Whole(MemoryByNode, Hypercall):  # type: ignore[misc]
    """All that the hypervisor can be asked: no module needs both."""


def main() -> int:
    """Print the recording; the exit status."""
    parser = argparse.ArgumentParser(description="Record what this Xen host says about itself, as JSON.")
    parser.add_argument("--no-domains", action="store_true", help="leave the guests out")
    parser.add_argument(
        "--memory-by-node", action="store_true", help="press Xen's debug key 'u'; see the manual first"
    )
    parser.add_argument("--source", default=AUTO, help="auto (the default), hypercall or xl")
    parser.add_argument("--serials", action="store_true", help="serial numbers of the machine too")
    options = parser.parse_args()
    subset = set(registry.SUBSETS)
    if options.no_domains:
        subset.remove(component.DOMAINS)
    if options.serials:
        subset.add(component.SERIALS)
    if options.memory_by_node:
        subset.add(component.MEMORY_BY_NODE)
    try:
        host = collect([Whole(), *registry.components()[1:]], options.source, subset, run_command)
    except Failure as failure:
        print(failure.message, file=sys.stderr)
        return 1
    sys.stdout.write(recordings.write(host))
    return 0


if __name__ == "__main__":
    sys.exit(main())
