# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the raw CPU policy says: the widths of an APIC id's parts, and the caches. Pure.

It is CPUID as the CPU answered that Xen booted on. Sources: Intel SDM volume 2A, CPUID (leaves 0, 4, 7, 0Bh); AMD APM volume 3, appendix E
(8000_0005h, 8000_0006h, 8000_0008h); xen/arch/x86/cpu/{common,amd}.c for what Xen itself makes of them.
"""

import typing as t

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
    """One cache as the CPU describes it. `shift`: CPUs whose APIC ids agree above so many bits share it; None where it does not say."""

    level: int
    type: str
    size: int
    line_size: t.Optional[int]
    ways: t.Optional[int]
    shift: t.Optional[int]


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
    def hybrid(self) -> bool:
        """Tell whether the host has CPUs of several kinds (leaf 7, d, bit 15)."""
        return bool(self.leaf(7)[3] >> 15 & 1)

    def widths(self) -> t.Tuple[t.Optional[int], t.Optional[int]]:
        """Return the widths (smt, package) that Xen itself goes by on a processor of this vendor; None for one that it is not told."""
        if self.vendor in ("AuthenticAMD", "HygonGenuine"):
            # a width of zero means an older way, from the number of cores
            return None, self.leaf(0x80000008)[2] >> 12 & 0xF or None
        smt, core = self.leaf(0xB, 0), self.leaf(0xB, 1)
        # c has the kind of the level: 1 threads, 2 cores
        if smt[2] >> 8 & 0xFF == 1 and core[2] >> 8 & 0xFF == 2 and core[1]:
            return smt[0] & 0x1F, core[0] & 0x1F
        return None, None

    def caches(self) -> t.List[CacheLevel]:
        """Return the caches by level, those of data before those of instructions."""
        found = self._from_leaf_4() or self._from_amds_leaves()
        return sorted(found, key=lambda cache: (cache.level, cache.type))

    def _from_leaf_4(self) -> t.List[CacheLevel]:
        found = []
        for subleaf in range(64):
            a, b, c, _d = self.leaf(4, subleaf)
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
                    (a >> 14 & 0xFFF).bit_length(),
                )
            )
        return found

    def _from_amds_leaves(self) -> t.List[CacheLevel]:
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
