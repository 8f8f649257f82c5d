# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters between topology facts and hwloc XML. Each is documented in the .yml file of its name."""

from __future__ import annotations

import typing as t

from ..module_utils._errors import printable
from ..module_utils._topology.facts import to_facts
from ..module_utils._topology.facts_reading import from_facts
from ..module_utils._topology.hwloc_export import to_hwloc_xml
from ..module_utils._topology.hwloc_import import from_hwloc_xml
from .report import spoken, warn


def facts_to_xml(facts: t.Any, host_name: str = "") -> str:
    """The XML; what it cannot show becomes a warning."""
    text, warnings = to_hwloc_xml(from_facts(facts), printable(host_name))
    for warning in warnings:
        warn(warning)
    return text


def xml_to_facts(text: t.Any) -> dict[str, t.Any]:
    """The facts; what they cannot show becomes a warning, and stands in them as well."""
    topology = from_hwloc_xml(text)
    for warning in topology.warnings:
        warn(warning)
    return to_facts(topology)


class FilterModule:
    """What Ansible asks a file of filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name → function."""
        return {
            "to_hwloc_xml": spoken(facts_to_xml, "to_hwloc_xml"),
            "from_hwloc_xml": spoken(xml_to_facts, "from_hwloc_xml"),
        }
