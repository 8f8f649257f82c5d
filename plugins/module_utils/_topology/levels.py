# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The levels of a host, with one code path for all of them: the PUs that have the same place belong together. Pure."""

import typing as t

from .cpuset import CpuSet
from .model import Pu


class Group(t.NamedTuple):
    """The PUs that share one value at a level. `nodes` are the NUMA nodes that they belong to."""

    key: t.Tuple[int, ...]
    cpuset: CpuSet
    complete_cpuset: CpuSet
    nodes: CpuSet


#: The levels, and by which values of a PU one knows to which object of that level it belongs.
LEVELS = {
    "package": lambda pu: (pu.package,),
    "core": lambda pu: (pu.package, pu.core),
    "node": lambda pu: (pu.node,),
}  # type: t.Dict[str, t.Callable[[Pu], t.Tuple[t.Optional[int], ...]]]


def group(pus: t.Iterable[Pu], level: str) -> t.List[Group]:
    """Put together the PUs that have the same place at this level, ordered by that place; those of unknown place are left out."""
    place = LEVELS[level]
    members = {}  # type: t.Dict[t.Tuple[int, ...], t.List[Pu]]
    for pu in pus:
        key = place(pu)
        if None not in key:
            members.setdefault(t.cast("t.Tuple[int, ...]", key), []).append(pu)
    return [_group(key, members[key]) for key in sorted(members)]


def _group(key: t.Tuple[int, ...], members: t.List[Pu]) -> Group:
    complete = CpuSet([pu.os_index for pu in members])
    online = [pu.os_index for pu in members if usable(pu)]
    return Group(
        key,
        complete if len(online) == len(members) else CpuSet(online),
        complete,
        CpuSet({pu.node for pu in members if pu.node is not None}),
    )


def usable(pu: Pu) -> bool:
    """Tell whether the PU belongs to `cpuset`: online and its place known at every level."""
    return bool(pu.online) and None not in (pu.package, pu.core, pu.node)
