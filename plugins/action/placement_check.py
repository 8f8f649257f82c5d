# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The task dom0.xen.placement_check: whether a plan, from wherever it is, keeps every hard rule. On the control node."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ..module_utils._errors import Failure, printable
from ..plugin_utils._placement.check import check_plan
from ..plugin_utils._placement.left_out import warnings
from ..plugin_utils._placement.request import read_all
from ..plugin_utils._placement.sources import hosts_of_task, read_hosts
from ..plugin_utils._placement.spec import REQUEST_SPEC

ARGUMENT_SPEC = {
    **REQUEST_SPEC,
    "plan": {"type": "dict", "required": True},
    "fail": {"type": "bool", "default": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """Checks; connects to nobody."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """Return the rules that the plan breaks; fail when there are some, unless told not to."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        try:
            hosts = hosts_of_task(args, task_vars)
            request = read_all(hosts, args, task_vars.get("groups"))
            topologies, left_out = read_hosts(hosts, args, task_vars)
            found = check_plan(args["plan"], topologies, request.guests, request.reserve, request.settings)
        except Failure as failure:
            return {**result, "failed": True, "msg": failure.message, **failure.result}
        if left_out:
            result["warnings"] = printable(warnings(left_out))
        result.update(
            changed=False,
            valid=not found,
            violations=[
                {"guest": broken.guest, "rule": broken.rule, "text": broken.text} for broken in found
            ],
        )
        if found and args["fail"]:
            result.update(
                failed=True, msg="the plan breaks rules: " + " ".join(broken.text for broken in found)
            )
        return result
