# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The component that notes what Linux in dom0 believes about its CPUs and nodes.

That is a view of dom0's virtual CPUs, never of the host. It is kept to be shown beside the truth, and used for nothing else.
Source: sysfs (Documentation/admin-guide/cputopology.rst of Linux).
"""

import os
import re
import typing as t

from .component import Component, Heard, Request


class Dom0(Component):
    """dom0's own sysfs."""

    name = "dom0"
    priority = 10

    def collect(self, request: Request, heard: t.Dict[str, t.Any]) -> Heard:
        """Count what sysfs shows; None for what it does not show."""
        system = os.path.join(request.root, "sys/devices/system")
        packages, cores, pus = set(), set(), 0
        for cpu in _numbered(os.path.join(system, "cpu"), "cpu"):
            package = _number(os.path.join(cpu, "topology/physical_package_id"))
            core = _number(os.path.join(cpu, "topology/core_id"))
            # An offline CPU has no topology folder.
            if package is None or core is None:
                continue
            pus += 1
            packages.add(package)
            cores.add((package, core))
        nodes = _numbered(os.path.join(system, "node"), "node")
        claims = {
            "packages": len(packages) or None,
            "cores": len(cores) or None,
            "pus": pus or None,
            # A kernel without NUMA shows no nodes at all, and means one.
            "nodes": len(nodes) or (1 if pus else None),
        }
        return Heard({"dom0_linux": claims})


def _numbered(folder: str, prefix: str) -> t.List[str]:
    """Paths in `folder` that are `prefix` and a number."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [os.path.join(folder, name) for name in sorted(names) if re.match("^%s[0-9]+$" % prefix, name)]


def _number(path: str) -> t.Optional[int]:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None
