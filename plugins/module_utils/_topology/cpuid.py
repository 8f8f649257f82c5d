# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the raw CPU policy says: the widths of an APIC id's parts. `cache_policy.py` has what it says of caches. Pure.

It is CPUID as the CPU answered that Xen booted on. Sources: Intel SDM volume 2A, CPUID (leaves 0, 4, 7, 0Bh); AMD APM volume 3, appendix E
(8000_0005h, 8000_0006h, 8000_0008h, 8000_001Dh, 8000_001Eh); xen/arch/x86/cpu/{common,amd}.c for what Xen itself makes of them.
"""

import typing as t

Leaf = t.Tuple[int, int, int, int]

_NONE = 0xFFFFFFFF


class Widths(t.NamedTuple):
    """How many bits of an APIC id are below the core's number, and below the package's."""

    smt: int
    package: int


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
