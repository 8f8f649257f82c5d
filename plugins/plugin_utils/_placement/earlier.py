# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Guests that do not run yet and have a place by an earlier plan: another place has to be worth it, as for guests that run."""

from __future__ import annotations

import dataclasses
import typing as t

from .options import Option
from .problem import Problem
from .search import by_size
from .settings import Worth
from .state import state_of

#: Places by the name of the guest: (host, nodes).
Places = t.Mapping[str, tuple[str, tuple[int, ...]]]


def with_places(problem: Problem, places: Places, worth: Worth) -> Problem:
    """Return the problem in which guests start from their places, as far as these have room together, and are moved if that is worth it."""
    state = state_of(problem, problem.stays)
    stays: list[Option | None] = list(problem.stays)
    for index in by_size(problem):
        mover = problem.movers[index]
        host, nodes = places.get(mover.guest.name, ("", ()))
        shape = problem.maker.shape(mover)
        if mover.held_host is not None or host not in shape.host_names:
            continue
        there = problem.maker.by_name[host]
        pool = there.find_pool(mover.guest.pool)
        option = None if pool is None else state.option_here(shape, there, pool, nodes)
        if option is not None and state.fits(option):
            state.put(index, option)
            stays[index] = option
    return priced(dataclasses.replace(problem, stays=tuple(stays)), worth)


def priced(problem: Problem, worth: Worth) -> Problem:
    """Return the problem with differences of load left out that are not worth another place, so that nobody is moved for them."""
    return dataclasses.replace(problem, coarse=worth.of_load(state_of(problem, problem.stays).peak()))
