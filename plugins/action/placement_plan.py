# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The task dom0.xen.placement_plan: facts and wanted guests in, a plan out, all of it on the control node."""

from __future__ import annotations

import time
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._errors import Failure, printable
from ..module_utils._topology.model import Topology
from ..plugin_utils._placement.check import check_plan
from ..plugin_utils._placement.effort import Effort
from ..plugin_utils._placement.exact import ENGINES, Engine
from ..plugin_utils._placement.left_out import add_to, warnings, without
from ..plugin_utils._placement.plan import Plan, make_plan, summary
from ..plugin_utils._placement.request import Request, read_all
from ..plugin_utils._placement.search import MOST_LOOKS
from ..plugin_utils._placement.sources import hosts_of_task, read_hosts, running_on
from ..plugin_utils._placement.spec import REQUEST_SPEC

ARGUMENT_SPEC = {
    **REQUEST_SPEC,
    "capacity": {"type": "list", "elements": "raw"},
    "earlier_plan": {"type": "dict"},
    "given_plan": {"type": "dict"},
    "explain": {"type": "bool", "default": False},
    "move_worth": {"type": "dict"},
    "engine": {"type": "str", "choices": list(ENGINES), "default": "auto"},
    "time_limit": {"type": "float"},
}

#: Warnings about hosts that are shown on the terminal; all of them are in the plan.
MOST_WARNINGS = 20

#: Seconds after which a search says how far it is.
QUIET = 5


def _refuse_what_breaks_rules(plan: Plan, topologies: t.Mapping[str, Topology], request: Request) -> None:
    """Hold a plan that somebody may have edited against every hard rule, by the checker that shares nothing with the planner."""
    found = check_plan(plan, topologies, request.guests, request.reserve, request.settings)
    if found:
        raise Failure("the plan that was given breaks rules: " + " ".join(broken.text for broken in found))


def _warnings_of(plan: Plan) -> list[str]:
    """What the plan warns of about hosts, for the terminal."""
    found = [f"{host}: {text}" for host, entry in plan["hosts"].items() for text in entry["warnings"]]
    if len(found) > MOST_WARNINGS:
        found[MOST_WARNINGS:] = [f"{len(found) - MOST_WARNINGS} more warnings stand in hosts of the plan."]
    return found


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """Plans; connects to nobody."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """Return the plan with a summary, or what is wrong with the request or the facts."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        begin = time.monotonic()
        limit = args["time_limit"]
        expired = None if limit is None else lambda: time.monotonic() - begin >= limit

        def tell(line: str) -> None:
            """Say how far a long search is."""
            passed = time.monotonic() - begin
            if passed >= QUIET:
                Display().display(printable(f"placement_plan, {passed:.0f} s: {line}"))

        try:
            hosts = hosts_of_task(args, task_vars)
            request = read_all(hosts, args, task_vars.get("groups"))
            topologies, left_out = read_hosts(hosts, args, task_vars)
            request, unplaced = without(request, left_out, running_on(topologies))
            plan = make_plan(
                topologies,
                request.guests,
                request.reserve,
                request.settings,
                Effort(MOST_LOOKS, expired),
                Engine(args["engine"], None if limit is None else lambda: limit - (time.monotonic() - begin)),
                tell,
            )
            if request.settings.given is not None:
                _refuse_what_breaks_rules(plan, topologies, request)
            told = _warnings_of(plan)
            if left_out:
                plan = add_to(plan, left_out, unplaced)
                told += warnings(left_out)
            if told:
                result["warnings"] = printable(told)
        except Failure as failure:
            return {**result, "failed": True, "msg": failure.message, **failure.result}
        return {**result, "changed": False, **plan, "summary": printable(summary(plan), "\n")}
