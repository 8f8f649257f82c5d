# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Where a task gets its hosts' topologies from: facts in hostvars or given to it, recordings, hwloc XML."""

from __future__ import annotations

import typing as t

from ...module_utils._errors import Failure
from ...module_utils._topology.derive import derive
from ...module_utils._topology.facts import from_facts
from ...module_utils._topology.hwloc_import import from_hwloc_xml
from ...module_utils._topology.model import Topology
from ...module_utils._topology.recording import from_recording


def hosts_of_task(args: t.Mapping[str, t.Any], task_vars: t.Mapping[str, t.Any]) -> list[str]:
    """Names of the hosts to plan for, each once."""
    if args["hosts"]:
        return list(dict.fromkeys(str(host) for host in args["hosts"]))
    if args["facts"]:
        return [str(host) for host in args["facts"]]
    return [str(task_vars["inventory_hostname"])]


def topology_of(host: str, args: t.Mapping[str, t.Any], task_vars: t.Mapping[str, t.Any]) -> Topology:
    """Return the topology of a host. Raises :class:`Failure` when nothing is known about it, or what is cannot be used."""
    facts = (args["facts"] or {}).get(host)
    if facts is None:
        hostvars = task_vars.get("hostvars") or {}
        if host not in hostvars:
            raise Failure(
                f"the host {host} is neither in the inventory nor in the option facts: correct its name in hosts"
            )
        facts = (hostvars[host].get("ansible_facts") or {}).get("xen_topology")
    if facts is None:
        raise Failure(
            f"there are no facts of the host {host}: run dom0.xen.topology_facts on it before planning, "
            "and see whether that succeeded and the host can be reached"
        )
    try:
        return read_topology(facts)
    except Failure as failure:
        raise Failure(f"the facts of the host {host} cannot be used: {failure.message}") from failure


def read_topology(given: t.Any) -> Topology:
    """Read facts, a recording of a host, or hwloc XML, whichever it is.

    A machine from hwloc XML that does not tell of domains is taken to run none.
    """
    if isinstance(given, str) and given.lstrip().startswith("<"):
        topology = from_hwloc_xml(given)
        return topology if topology.domains is not None else topology._replace(domains=())
    if isinstance(given, t.Mapping) and "recording" in given and "schema_version" not in given:
        return derive(from_recording(given))
    return from_facts(given)
