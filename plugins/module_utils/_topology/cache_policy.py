# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the raw CPU policy says of caches. Pure. Sources as in `cpuid.py`."""

import typing as t

from . import amd
from .amd import Sharing
from .cpuid import Policy

_LARGEST_CACHE = 1 << 48  # bytes; what claims to be larger is no cache
_TYPES = {1: "data", 2: "instruction", 3: "unified"}
# AMD's code for the ways of L2 and L3; the others are reserved or say that there is no such cache.
_AMD_WAYS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 16, 10: 32, 11: 48, 12: 64, 13: 96, 14: 128, 15: -1}


class CacheLevel(t.NamedTuple):
    """One cache as the CPU describes it. `sharing` is None where neither it nor its family says who shares one."""

    level: int
    type: str
    size: int
    line_size: t.Optional[int]
    ways: t.Optional[int]
    sharing: t.Optional[Sharing]


class CachePolicy(Policy):
    """The leaves, and the caches that they describe."""

    @property
    def model(self) -> t.Tuple[int, int]:
        """Family and model as the manufacturers count them."""
        a = self.leaf(1)[0]
        family, model = a >> 8 & 0xF, a >> 4 & 0xF
        if family == 0xF:
            family += a >> 20 & 0xFF
        if family >= 6:
            model |= (a >> 16 & 0xF) << 4
        return family, model

    @property
    def uneven(self) -> bool:
        """Tell whether other CPUs of the host may have other caches than the one that Xen booted on."""
        return self.hybrid or (self.amd and amd.uneven(*self.model))

    def caches(self) -> t.List[CacheLevel]:
        """Return the caches by level, those of data before those of instructions."""
        found = self._from_leaf(4) or self._from_amds_leaves()
        return sorted(found, key=lambda cache: (cache.level, cache.type))

    def _from_leaf(self, number: int) -> t.List[CacheLevel]:
        found = []
        for subleaf in range(64):
            a, b, c, _d = self.leaf(number, subleaf)
            if a & 0x1F == 0:
                break
            if a & 0x1F not in _TYPES or not 1 <= a >> 5 & 7 <= 5:
                continue
            line, partitions, ways = (b & 0xFFF) + 1, (b >> 12 & 0x3FF) + 1, (b >> 22) + 1
            size = line * partitions * ways * (c + 1)
            if size > _LARGEST_CACHE:
                continue
            found.append(
                CacheLevel(
                    a >> 5 & 7,
                    _TYPES[a & 0x1F],
                    size,
                    line,
                    -1 if a >> 9 & 1 else ways,
                    # so many ids are set aside for those that share it, rounded up to a power of two
                    Sharing((a >> 14 & 0xFFF).bit_length()),
                )
            )
        return found

    def _from_amds_leaves(self) -> t.List[CacheLevel]:
        """Take what leaf 8000_001Dh describes, the other caches from the older leaves.

        Within a virtual machine neither the APIC ids nor the sizes are those of such a processor: then its family says nothing.
        """
        found = [] if not self.amd else self._from_leaf(0x8000001D)
        family, model = self.model
        size_leaf = self.leaf(0x80000008)[2]
        apic_id, core, node_leaf, _d = self.leaf(0x8000001E)
        threads = (core >> 8 & 0xFF) + 1 if family >= 0x17 or apic_id or core or node_leaf else 0
        real = self.amd and not self.leaf(1)[2] >> 31
        outer = amd.outer(family, model, size_leaf, node_leaf, threads) if real else None
        if family == 0x15 and outer is not None:
            # six cores of a die do not begin at a power of two
            die = outer._replace(largest=None)
            found = [cache._replace(sharing=die) if cache.level == 3 else cache for cache in found]
        described = {(cache.level, cache.type) for cache in found}
        for cache in self._from_old_leaves():
            if (cache.level, cache.type) in described:
                continue
            sharing = outer if cache.level == 3 else None
            if real and cache.level < 3:
                sharing = amd.inner(family, cache.level, cache.type, threads)
            found.append(cache._replace(sharing=sharing))
        return found

    def _from_old_leaves(self) -> t.List[CacheLevel]:
        found = []
        _a, _b, data, instruction = self.leaf(0x80000005)
        for word, kind in ((data, "data"), (instruction, "instruction")):
            ways = word >> 16 & 0xFF
            if word >> 24:
                found.append(
                    CacheLevel(
                        1, kind, (word >> 24) * 1024, word & 0xFF, -1 if ways == 0xFF else ways or None, None
                    )
                )
        _a, _b, second, third = self.leaf(0x80000006)
        for level, word, size in ((2, second, (second >> 16) * 1024), (3, third, (third >> 18) * 512 * 1024)):
            if size and word >> 12 & 0xF:
                found.append(
                    CacheLevel(level, "unified", size, word & 0xFF, _AMD_WAYS.get(word >> 12 & 0xF), None)
                )
        return found
