# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Where a task gets its hosts' topologies from: facts in hostvars or given to it, recordings, hwloc XML."""

from __future__ import annotations

import typing as t

from ...module_utils._errors import Failure
from ...module_utils._topology.derive import derive
from ...module_utils._topology.facts_reading import from_facts
from ...module_utils._topology.hwloc_import import from_hwloc_xml
from ...module_utils._topology.model import Topology
from ...module_utils._topology.recording import from_recording
from .left_out import LeftOut


def hosts_of_task(args: t.Mapping[str, t.Any], task_vars: t.Mapping[str, t.Any]) -> list[str]:
    """Names of the hosts to plan for, each once."""
    if args["hosts"]:
        return list(dict.fromkeys(str(host) for host in args["hosts"]))
    if args["facts"]:
        return [str(host) for host in args["facts"]]
    return [str(task_vars["inventory_hostname"])]


class Known(t.NamedTuple):
    """What is known about the hosts of a task: topologies by name, and those whose facts cannot be used."""

    topologies: dict[str, Topology]
    left_out: dict[str, LeftOut]


def read_hosts(
    hosts: t.Sequence[str], args: t.Mapping[str, t.Any], task_vars: t.Mapping[str, t.Any]
) -> Known:
    """Read the facts of each host. One whose facts cannot be used costs that host, not the others.

    Raises :class:`Failure` for a host that is not known or has no facts at all, and when no host is left.
    """
    given = {host: _facts_of(host, args, task_vars) for host in hosts}
    known = Known({}, {})
    for host, facts in given.items():
        try:
            known.topologies[host] = read_topology(facts)
        except Failure as failure:
            reason = f"the facts of the host {host} cannot be used: {failure.message.rstrip('.')}"
            known.left_out[host] = LeftOut.of(reason, facts)
    if not known.topologies:
        raise Failure("; ".join(left.reason for left in known.left_out.values()))
    return known


def _facts_of(host: str, args: t.Mapping[str, t.Any], task_vars: t.Mapping[str, t.Any]) -> t.Any:
    facts = (args["facts"] or {}).get(host)
    if facts is None:
        hostvars = task_vars.get("hostvars") or {}
        if host not in hostvars:
            raise Failure(
                f"the host {host} is neither in the inventory nor in the option facts: correct its name in hosts"
            )
        gathered = hostvars[host].get("ansible_facts")
        facts = gathered.get("xen_topology") if isinstance(gathered, t.Mapping) else gathered
    if facts is None:
        raise Failure(
            f"there are no facts of the host {host}: run dom0.xen.topology_facts on it before planning, "
            "and see whether that succeeded and the host can be reached"
        )
    return facts


def running_on(topologies: t.Mapping[str, Topology]) -> set[str]:
    """Names of the domains of all these hosts."""
    return {
        domain.name
        for topology in topologies.values()
        for domain in topology.domains or ()
        if domain.name is not None
    }


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
