# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The levels of a host, with one code path for all of them: the PUs that have the same place belong together. Pure."""

import typing as t

from .cpuset import CpuSet
from .model import Pu


class Group(t.NamedTuple):
    """The PUs that share one value at a level; `cpuset` has the usable ones. `nodes` are the NUMA nodes that they belong to."""

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


def group(pus: t.Iterable[Pu], level: str, cpuset: CpuSet) -> t.List[Group]:
    """Put together the PUs that have the same place at this level, ordered by that place; those of unknown place are left out.

    `cpuset` has all usable PUs of the host.
    """
    place = LEVELS[level]
    # masks, for a large host has thousands of groups
    masks = {}  # type: t.Dict[t.Tuple[int, ...], int]
    nodes = {}  # type: t.Dict[t.Tuple[int, ...], int]
    for pu in pus:
        key = t.cast("t.Tuple[int, ...]", place(pu))
        if None not in key:
            masks[key] = masks.get(key, 0) | 1 << pu.os_index
            if pu.node is not None:
                nodes[key] = nodes.get(key, 0) | 1 << pu.node
    from_mask = CpuSet.from_mask
    return [
        Group(
            key,
            from_mask(masks[key] & cpuset.mask),
            from_mask(masks[key]),
            from_mask(nodes.get(key, 0)),
        )
        for key in sorted(masks)
    ]


def usable(pu: Pu) -> bool:
    """Tell whether the PU belongs to `cpuset`: online, and its package and core known."""
    return bool(pu.online and pu.package is not None and pu.core is not None)
