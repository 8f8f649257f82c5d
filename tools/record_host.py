# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write down what this Xen host says about itself, as a recording that the tests and a bug report can use.

Runs in dom0, as root, from a copy of the tree; needs no Ansible. The recording has CPU and NUMA topology, memory figures, Xen's
version and command line, cpupools, and (unless left out) the domains with their names and UUIDs. It has no serial numbers and
nothing from inside a guest.

    python3 tools/record_host.py > host.json
    python3 tools/record_host.py --no-domains
    python3 tools/record_host.py --memory-by-node     costs the host dearly when its guests are large
"""

import argparse
import json
import pathlib
import sys
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "plugins"))

from module_utils._discovery import registry  # type: ignore[import-not-found]
from module_utils._errors import Failure  # type: ignore[import-not-found]


def lines_of(value: t.Any, indent: str = "") -> str:
    """JSON text in which a list of numbers, and whatever else fits, stays on one line."""
    flat = json.dumps(value, sort_keys=True)
    if len(indent) + len(flat) <= 110 or not isinstance(value, (dict, list)) or not value:
        return flat
    inner = indent + " "
    if isinstance(value, dict):
        parts = ["%s: %s" % (json.dumps(key), lines_of(value[key], inner)) for key in sorted(value)]
    else:
        parts = [lines_of(item, inner) for item in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    return "%s\n%s%s\n%s%s" % (first, inner, (",\n" + inner).join(parts), indent, last)


def main() -> int:
    """Print the recording; the exit status."""
    parser = argparse.ArgumentParser(description="Record what this Xen host says about itself, as JSON.")
    parser.add_argument("--no-domains", action="store_true", help="leave the guests out")
    parser.add_argument(
        "--memory-by-node", action="store_true", help="press Xen's debug key 'u'; see the manual first"
    )
    options = parser.parse_args()
    subset = set() if options.no_domains else {registry.DOMAINS}
    if options.memory_by_node:
        subset.add(registry.MEMORY_BY_NODE)
    try:
        host = registry.collect(subset=subset)
    except Failure as failure:
        print(failure.message, file=sys.stderr)
        return 1
    print(lines_of(host.to_recording()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
