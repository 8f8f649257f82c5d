# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Xen's command line asks for dom0. Pure."""

import typing as t

from . import command_line
from .cpuset import CpuSet
from .firmware import Firmware
from .model import Dom0Boot, Parameter


def dom0_boot(
    heard: t.Dict[str, t.Any], parameters: t.Sequence[Parameter], firmware: Firmware
) -> t.Optional[Dom0Boot]:
    """Return what the command line asks for dom0; None without a command line."""
    if "commandline" not in heard.get("xen", {}):
        return None
    found = command_line.settings(parameters)
    domains = found.get(("dom0_nodes", ""))
    nodes = [firmware.node_of.get(domain) for domain in domains or ()]
    return Dom0Boot(
        memory=command_line.dom0_memory(parameters),
        max_vcpus=command_line.dom0_vcpus(found),
        pinned=found.get(("dom0_vcpus_pin", "")) is True,
        proximity_domains=domains,
        nodes=None if domains is None or None in nodes else CpuSet(t.cast(t.List[int], nodes)),
        strict=None if domains is None else not found.get(("dom0_nodes", "relaxed"), False),
    )
