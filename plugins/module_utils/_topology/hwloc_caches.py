# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Caches in hwloc's words, both ways: objects where it is known which PUs share one, else infos of the Machine."""

import itertools
import re
import typing as t

from .._errors import Failure
from . import hwloc_names as names
from .cpuset import CpuSet
from .hwloc_elements import Element, told_number
from .hwloc_tree import RANK, Object, Omission, crosses, level_of
from .model import Cache, Topology

#: hwloc_obj_cache_type_e
_TYPES = {"unified": 0, "data": 1, "instruction": 2}
_TYPE_NAMES = {str(number): name for name, number in _TYPES.items()}
_KIND = re.compile(r"L([1-9])(i?)Cache\Z")
_LARGEST = 2**40
#: Kinds of caches; a machine has a handful.
MOST_FORMS = 256


# --- written


def cache_objects(topology: Topology, omissions: t.List[Omission]) -> t.List[Object]:
    """Make the objects of the caches of which it is known which PUs share them."""
    levels = [level_of(members) for members in (topology.nodes, topology.packages, topology.cores)]
    made = []
    seen = set()  # type: t.Set[CpuSet]
    for cache in topology.caches:
        kind = f"L{cache.level}{'i' if cache.type == 'instruction' else ''}Cache"
        if kind not in RANK:
            continue
        attributes = (
            f' cache_size="{cache.size or 0}" depth="{cache.level}" cache_linesize="{cache.line_size or 0}" '
            f'cache_associativity="{cache.ways or 0}" cache_type="{_TYPES[cache.type]}"'
        )
        # caches of one kind share no CPUs, so that each kind is one more level to look at
        level = {}  # type: t.Dict[int, CpuSet]
        for members in cache.cpusets or ():
            cpuset = members if members <= topology.cpuset else members & topology.cpuset
            if not cpuset:
                continue
            # what is shared by the same CPUs as a cache before has been looked at: L1 and L2 mostly are
            if members not in seen:
                if crosses(members, levels):
                    omissions.append(Omission(f"Cache {kind}", cpuset, members, True))
                    continue
                level.update(dict.fromkeys(members, members))
                seen.add(members)
            made.append(Object(kind, None, cpuset, members, attributes))
        if level:
            levels.append(level)
    return made


def cache_infos(topology: Topology) -> t.Iterator[t.Tuple[str, str]]:
    """Tell of the caches that cannot be objects, for want of knowing who shares them."""
    for cache in topology.caches:
        if cache.cpusets is None:
            told = [
                ("level", cache.level),
                ("type", cache.type),
                ("size", cache.size),
                ("line", cache.line_size),
                ("ways", cache.ways),
            ]  # type: t.List[t.Tuple[str, t.Union[str, int, None]]]
            yield names.CACHE, " ".join(f"{key}={value}" for key, value in told if value is not None)


# --- read


class Found(t.NamedTuple):
    """The caches, how many objects of each kind were taken for one, and the CPUs that have several caches of one level and type."""

    caches: t.Tuple[Cache, ...]
    kept: t.Dict[str, int]
    several: CpuSet


def caches_of(
    objects: t.Mapping[str, t.List[Element]], everything: CpuSet, infos: t.Iterable[str] = ()
) -> Found:
    """Read the caches among the objects, those of one level, type and form together, and the infos of our own export."""
    found = {}  # type: t.Dict[t.Tuple[t.Any, ...], t.List[CpuSet]]
    kept = {}  # type: t.Dict[str, int]
    taken = {}  # type: t.Dict[t.Tuple[t.Any, ...], int]
    several = 0
    for kind, elements in objects.items():
        name = _KIND.match(kind)
        if not name and kind != "Cache":
            continue
        # mostly all of a kind have one form
        for _written, alike in itertools.groupby(elements, _attributes):
            group = list(alike)
            form = _form(group[0], name)
            told = [element.bitmap("complete_cpuset") or element.bitmap("cpuset") for element in group]
            sets = [cpus if cpus <= everything else cpus & everything for cpus in told if cpus]
            if form is not None:
                # a CPU has one cache of a level and type: the first is taken
                mine = found.setdefault(form, [])
                before, there = taken.get(form[:2], 0), len(mine)
                for cpus in sets:
                    if cpus.mask & before:
                        several |= cpus.mask & before
                    elif cpus:
                        before |= cpus.mask
                        mine.append(cpus)
                taken[form[:2]] = before
                kept[kind] = kept.get(kind, 0) + len(mine) - there
    if sum([bool(sets) for sets in found.values()]) > MOST_FORMS:
        raise Failure(f"this XML has caches of more than {MOST_FORMS} kinds: no machine has")
    caches = [
        Cache._make([*form, tuple(sorted(found[form], key=CpuSet.first))])
        for form in sorted(found, key=lambda form: (form[:2], form[2] or 0, form[3] or 0, form[4] or 0))
        if found[form]
    ]
    caches += [cache for cache in map(_told, infos) if cache is not None]
    return Found(
        tuple(sorted(caches, key=lambda cache: (cache.level, cache.type))), kept, CpuSet.from_mask(several)
    )


def _attributes(element: Element) -> t.Tuple[t.Optional[str], ...]:
    """Return the attributes that say what a cache is."""
    told = element.attributes.get
    return (
        told("cache_size"),
        told("depth"),
        told("cache_type"),
        told("cache_linesize"),
        told("cache_associativity"),
    )


def _form(element: Element, name: "t.Optional[t.Match[str]]") -> t.Optional[t.Tuple[t.Any, ...]]:
    """Return level, type, size, line size and ways of a cache; None for what cannot be one."""
    level = int(name.group(1)) if name else element.number("depth", 9)
    told = element.attributes.get("cache_type", "2" if name and name.group(2) else "0")
    size = element.number("cache_size", _LARGEST)
    if not (level and told in _TYPE_NAMES):
        return None
    line_size = told_number(element.attributes.get("cache_linesize"), _LARGEST) or None
    ways = element.attributes.get("cache_associativity")
    return (
        level,
        _TYPE_NAMES[told],
        size or None,
        line_size,
        -1 if ways == "-1" else told_number(ways, _LARGEST) or None,
    )


def _told(info: str) -> t.Optional[Cache]:
    """Read our own info about caches of which nobody knows who shares them."""
    told = dict(part.partition("=")[::2] for part in info.split())
    level, size = told_number(told.get("level"), 9), told_number(told.get("size"), _LARGEST)
    if not (level and told.get("type") in _TYPES):
        return None
    ways = told.get("ways")
    return Cache(
        level,
        told["type"],
        size,
        told_number(told.get("line"), _LARGEST),
        -1 if ways == "-1" else told_number(ways, _LARGEST),
        None,
    )
