# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the raw CPU policy says: the widths of an APIC id's parts, and the caches. Pure.

It is CPUID as the CPU answered that Xen booted on. Sources: Intel SDM volume 2A, CPUID (leaves 0, 4, 7, 0Bh); AMD APM volume 3, appendix E
(8000_0005h, 8000_0006h, 8000_0008h, 8000_001Dh, 8000_001Eh); xen/arch/x86/cpu/{common,amd}.c for what Xen itself makes of them.
"""

import typing as t

from . import amd
from .amd import Sharing

Leaf = t.Tuple[int, int, int, int]

_NONE = 0xFFFFFFFF
_LARGEST_CACHE = 1 << 48  # bytes; what claims to be larger is no cache
_TYPES = {1: "data", 2: "instruction", 3: "unified"}
# AMD's code for the ways of L2 and L3; the others are reserved or say that there is no such cache.
_AMD_WAYS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 16, 10: 32, 11: 48, 12: 64, 13: 96, 14: 128, 15: -1}


class Widths(t.NamedTuple):
    """How many bits of an APIC id are below the core's number, and below the package's."""

    smt: int
    package: int


class CacheLevel(t.NamedTuple):
    """One cache as the CPU describes it. `sharing` is None where neither it nor its family says who shares one."""

    level: int
    type: str
    size: int
    line_size: t.Optional[int]
    ways: t.Optional[int]
    sharing: t.Optional[Sharing]


class Policy:
    """The leaves by number. `rows` is the section `cpu_policy` of the raw record: [[leaf, subleaf, a, b, c, d], ...]."""

    def __init__(self, rows: t.Iterable[t.Sequence[int]]) -> None:
        self._leaves = {}  # type: t.Dict[t.Tuple[int, int], Leaf]
        for leaf, subleaf, a, b, c, d in rows:
            key = (leaf, 0 if subleaf == _NONE else subleaf)
            self._leaves.setdefault(key, (a, b, c, d))

    def leaf(self, number: int, subleaf: int = 0) -> Leaf:
        """Return a, b, c, d; zeros for a leaf that is not there, which is what CPUID says too."""
        return self._leaves.get((number, subleaf), (0, 0, 0, 0))

    @property
    def vendor(self) -> str:
        """The vendor as CPUID spells it, for instance "GenuineIntel"; "" when unknown."""
        _a, b, c, d = self.leaf(0)
        text = b"".join((word & _NONE).to_bytes(4, "little") for word in (b, d, c))
        return text.decode("ascii", "replace").strip("\0 ")

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

    @property
    def amd(self) -> bool:
        """Tell whether it is AMD's, or Hygon's, which is AMD's by another name."""
        return self.vendor in ("AuthenticAMD", "HygonGenuine")

    @property
    def hybrid(self) -> bool:
        """Tell whether the host has CPUs of several kinds (leaf 7, d, bit 15)."""
        return bool(self.leaf(7)[3] >> 15 & 1)

    def widths(self) -> t.Tuple[t.Optional[int], t.Optional[int]]:
        """Return the widths (smt, package) that Xen itself goes by on a processor of this vendor; None for one that it is not told."""
        if self.amd:
            # a width of zero means an older way, from the number of cores
            return None, self.leaf(0x80000008)[2] >> 12 & 0xF or None
        smt, core = self.leaf(0xB, 0), self.leaf(0xB, 1)
        # c has the kind of the level: 1 threads, 2 cores
        if smt[2] >> 8 & 0xFF == 1 and core[2] >> 8 & 0xFF == 2 and core[1]:
            return smt[0] & 0x1F, core[0] & 0x1F
        return None, None

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
