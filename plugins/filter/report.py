# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that judge where guests are and print it for people. Each is documented in the .yml file of its name."""

from __future__ import annotations

import functools
import re
import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

from ..module_utils._errors import Failure, printable
from ..plugin_utils._report import metrics, text, verdict

#: What Python raises where a value has not the form that the code relies on.
_MISFITS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def warn(sentence: str) -> None:
    """Warn of what stands in data, without a character that a terminal would obey."""
    Display().warning(printable(sentence))


def spoken(function: t.Callable[..., t.Any], name: str) -> t.Callable[..., t.Any]:
    """The same function; its Failure becomes Ansible's error with the same sentence.

    So does what Python raises where a value has another form than the filter's documentation has.
    """

    @functools.wraps(function)
    def wrapper(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return function(*args, **kwargs)
        except Failure as error:
            raise AnsibleFilterError(error.message) from error
        except _MISFITS as error:
            # The value itself may be a secret, so that it is not in the chain of causes either.
            key = error.args[0] if isinstance(error, KeyError) else None
            detail = f" {key!r}" if isinstance(key, str) and re.fullmatch("[a-z_]{1,40}", key) else ""
            raise AnsibleFilterError(
                f"the filter dom0.xen.{name} cannot use what it was given ({type(error).__name__}{detail}): "
                f"see ansible-doc -t filter dom0.xen.{name} for the form"
            ) from None

    return wrapper


class FilterModule:
    """What Ansible asks a file of filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name → function."""
        return {
            "host_summary": spoken(text.host_summary, "host_summary"),
            "placement_summary": spoken(text.placement_summary, "placement_summary"),
            "plan_reasons": spoken(text.plan_reasons, "plan_reasons"),
            "placement_verdicts": spoken(verdict.judge_plan, "placement_verdicts"),
            "limit_verdicts": spoken(verdict.judge_limits, "limit_verdicts"),
            "verdict_metrics": spoken(metrics.verdict_metrics, "verdict_metrics"),
        }
