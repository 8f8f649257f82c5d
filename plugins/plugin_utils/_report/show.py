# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.
"""The three ways to show hosts and a plan, as the filters offer them: a page, a drawing, a text. Pure."""

from __future__ import annotations

import typing as t

from ...module_utils._errors import Failure
from . import fleet, overview, page, terminal
from .picture import Data, Picture, picture, read_hosts, read_plan
from .svg import Drawing, Stock

_Drawn = t.TypeVar("_Drawn")
NARROWEST, WIDEST = 320, 4000


def to_html(facts: t.Any, plan: t.Any = None, title: str = "") -> str:
    """One page about one host or many, with a plan before and after it. `facts`: of one host, or host → facts."""
    return _drawn(facts, "", plan, lambda hosts, read: page.page(hosts, read, title))


def to_svg(facts: t.Any, name: str = "", plan: t.Any = None, view: str = "after", width: int = 720) -> str:
    """A drawing of one host, or of a fleet in rows. `view` "before" or "after" the plan; `width` of one host's boxes."""
    if view not in ("before", "after"):
        raise Failure(f'view is "before" or "after" the plan, not {view!r}')
    wide = _number(width, "width", NARROWEST, WIDEST)

    def draw(hosts: t.Sequence[Picture], read: Data | None) -> str:
        if len(hosts) > 1:
            return overview.fleet_svg(fleet.rows(hosts, read))
        return Drawing(hosts[0], wide, Stock()).alone(hosts[0].views[-1 if view == "after" else 0])

    return _drawn(facts, name, plan, draw)


def to_text(facts: t.Any, name: str = "", plan: t.Any = None, width: int = 100) -> str:
    """The same in plain text: one host in full, or a fleet in rows. `width`: columns of the terminal."""
    wide = _number(width, "width", 40, WIDEST)

    def draw(hosts: t.Sequence[Picture], read: Data | None) -> str:
        if len(hosts) > 1:
            return terminal.fleet_text(hosts, read, wide)
        return terminal.host_text(hosts[0], read, wide)

    return _drawn(facts, name, plan, draw)


def _drawn(
    facts: t.Any, name: str, plan: t.Any, draw: t.Callable[[t.Sequence[Picture], Data | None], _Drawn]
) -> _Drawn:
    hosts = read_hosts(facts, str(name))
    read = read_plan(plan)
    try:
        return draw([picture(host, topology, read) for host, topology in hosts.items()], read)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if read is None:
            raise
        raise Failure(f"the plan is damaged: {error!r} while it was read") from error


def _number(value: t.Any, name: str, least: int, most: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if not least <= number <= most:
        raise Failure(f"{name} is a number from {least} to {most}, not {value!r}")
    return number
