# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.
"""The three ways to show hosts and a plan, as the filters offer them: a page, a drawing, a text. Pure."""

from __future__ import annotations

import typing as t

from ...module_utils._errors import Failure, printable
from ...module_utils._errors import shown as quoted
from . import fleet, overview, page, terminal
from .picture import Data, Picture, left_out_words, picture, read_hosts, read_plan
from .svg import Drawing, Stock

_Drawn = t.TypeVar("_Drawn")
NARROWEST, WIDEST = 320, 4000


#: Is given a sentence for each host that is left out.
Warn = t.Callable[[str], None]


def _silent(_sentence: str) -> None:
    """Nobody asked."""


def to_html(facts: t.Any, plan: t.Any = None, title: str = "", warn: Warn = _silent) -> str:
    """One page about one host or many, with a plan before and after it. `facts`: of one host, or host → facts."""
    return _drawn(facts, "", plan, warn, lambda hosts, read, lost: page.page(hosts, read, str(title), lost))


def to_svg(
    facts: t.Any,
    name: str = "",
    plan: t.Any = None,
    view: str = "after",
    width: int = 720,
    warn: Warn = _silent,
) -> str:
    """A drawing of one host, or of a fleet in rows. `view` "before" or "after" the plan; `width` of one host's boxes."""
    if view not in ("before", "after"):
        raise Failure(f'view is "before" or "after" the plan, not {quoted(view)}')
    wide = _number(width, "width", NARROWEST, WIDEST)

    def draw(hosts: t.Sequence[Picture], read: Data | None, lost: t.Sequence[str]) -> str:
        if len(hosts) > 1 or lost:
            return overview.fleet_svg(fleet.rows(hosts, read), lost)
        return Drawing(hosts[0], wide, Stock()).alone(hosts[0].views[-1 if view == "after" else 0])

    return _drawn(facts, name, plan, warn, draw)


def to_text(facts: t.Any, name: str = "", plan: t.Any = None, width: int = 100, warn: Warn = _silent) -> str:
    """The same in plain text: one host in full, or a fleet in rows. `width`: columns of the terminal."""
    wide = _number(width, "width", 40, WIDEST)

    def draw(hosts: t.Sequence[Picture], read: Data | None, lost: t.Sequence[str]) -> str:
        if len(hosts) > 1 or lost:
            return "\n".join([terminal.fleet_text(hosts, read, wide), *terminal.notes(lost, wide)])
        return terminal.host_text(hosts[0], read, wide)

    return str(printable(_drawn(facts, name, plan, warn, draw), "\n"))


def _drawn(
    facts: t.Any,
    name: str,
    plan: t.Any,
    warn: Warn,
    draw: t.Callable[[t.Sequence[Picture], Data | None, t.Sequence[str]], _Drawn],
) -> _Drawn:
    hosts = read_hosts(facts, str(name))
    read = read_plan(plan)
    lost = left_out_words(hosts.left_out)
    for sentence in lost:
        warn(sentence)
    try:
        pictures = [picture(host, topology, read) for host, topology in hosts.topologies.items()]
        return draw(pictures, read, lost)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        if read is None:
            raise
        raise Failure(f"the plan is damaged: {quoted(error)} while it was read") from error


def _number(value: t.Any, name: str, least: int, most: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if not least <= number <= most:
        raise Failure(f"{name} is a number from {least} to {most}, not {quoted(value)}")
    return number
