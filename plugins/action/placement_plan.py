# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The task dom0.xen.placement_plan: facts and wanted guests in, a plan out, all of it on the control node."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ..module_utils._errors import Failure
from ..module_utils._topology.facts import from_facts
from ..module_utils._topology.model import Topology
from ..plugin_utils._placement.plan import make_plan, summary
from ..plugin_utils._placement.request import read_request

# Guests, policies and reserves are checked by read_request, whose errors name the entry as well as the field.
ARGUMENT_SPEC = {
    "guests": {"type": "list", "elements": "raw", "required": True},
    "hosts": {"type": "list", "elements": "str"},
    "facts": {"type": "dict"},
    "defaults": {"type": "dict"},
    "reserve": {"type": "dict"},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """Plans; connects to nobody."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """Return the plan with a summary, or what is wrong with the request or the facts."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        try:
            hosts = _hosts(args, task_vars)
            guests, reserve = read_request(hosts, args["guests"], args["defaults"], args["reserve"])
            plan = make_plan({host: _topology(host, args, task_vars) for host in hosts}, guests, reserve)
        except Failure as failure:
            return {**result, "failed": True, "msg": failure.message, **failure.result}
        return {**result, "changed": False, **plan, "summary": summary(plan)}


def _hosts(args: t.Mapping[str, t.Any], task_vars: t.Mapping[str, t.Any]) -> list[str]:
    """Names of the hosts to plan for, each once."""
    if args["hosts"]:
        return list(dict.fromkeys(str(host) for host in args["hosts"]))
    if args["facts"]:
        return [str(host) for host in args["facts"]]
    return [str(task_vars["inventory_hostname"])]


def _topology(host: str, args: t.Mapping[str, t.Any], task_vars: t.Mapping[str, t.Any]) -> Topology:
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
        return from_facts(facts)
    except Failure as failure:
        raise Failure(f"the facts of the host {host} cannot be used: {failure.message}") from failure
