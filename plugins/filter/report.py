# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that judge where guests are and print it for people. Each is documented in the .yml file of its name."""

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleFilterError

from ..module_utils._errors import Failure
from ..plugin_utils._report import metrics, text, verdict


def spoken(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    """The same function; its Failure becomes Ansible's error with the same sentence."""

    @functools.wraps(function)
    def wrapper(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return function(*args, **kwargs)
        except Failure as error:
            raise AnsibleFilterError(error.message) from error

    return wrapper


class FilterModule:
    """What Ansible asks a file of filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name → function."""
        return {
            "host_summary": spoken(text.host_summary),
            "placement_summary": spoken(text.placement_summary),
            "plan_reasons": spoken(text.plan_reasons),
            "placement_verdicts": spoken(verdict.judge_plan),
            "limit_verdicts": spoken(verdict.judge_limits),
            "verdict_metrics": spoken(metrics.verdict_metrics),
        }
