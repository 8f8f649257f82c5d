# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who shares a cache on AMD's and Hygon's processors where leaf 8000_001Dh does not say so. Pure.

Xen asks for that leaf without naming a subleaf, so that mostly one cache at best is described. The older leaf 8000_0006h has the size of
*all* L3 caches of a package, and no word about sharing. So the processor's family and model decide, on APIC ids, as in Linux:
``cacheinfo_amd_init_llc_id`` and ``cacheinfo_hygon_init_llc_id`` (arch/x86/kernel/cpu/cacheinfo.c), hwloc/topology-x86.c, and AMD's
Processor Programming References, "ApicId Enumeration": the threads of a core complex have so many bits of the id, whether all its cores
are there or not.
"""

import typing as t

MIB = 1 << 20


class Complex(t.NamedTuple):
    """Core complexes, each with an L3 cache: of which processors, the bits of the APIC id within one, and the largest cache that there is."""

    family: int
    first_model: int
    last_model: int
    bits: int
    largest: int


#: What is not here is not known: of family 1Ah models 20h to 2Fh (Strix Point) the complexes differ in size.
COMPLEXES = (
    Complex(0x17, 0x00, 0xFF, 3, 16 * MIB),  # Zen, Zen+, Zen 2: four cores
    Complex(0x18, 0x00, 0xFF, 3, 16 * MIB),  # Hygon Dhyana: as Zen
    Complex(0x19, 0x00, 0xFF, 4, 96 * MIB),  # Zen 3, Zen 4 and the dense Zen 4c: eight cores
    Complex(0x1A, 0x00, 0x0F, 4, 96 * MIB),  # Zen 5 (Turin): eight cores
    Complex(0x1A, 0x10, 0x1F, 5, 32 * MIB),  # Zen 5c (Turin Dense): sixteen cores
    Complex(0x1A, 0x40, 0x4F, 4, 96 * MIB),  # Granite Ridge
    Complex(0x1A, 0x60, 0x7F, 4, 32 * MIB),  # Krackan Point, Strix Halo
)
#: (family, first model, last model) with complexes of different sizes in one package.
UNEVEN = ((0x1A, 0x20, 0x2F),)

_K10_TWO_DIES = 0x09  # Magny-Cours
_BULLDOZER = 0x15


class Sharing(t.NamedTuple):
    """Who shares a cache: CPUs whose APIC ids agree above `shift` bits. With `run`, those bits are cut in runs of so many ids, each a
    cache. `by_core`: the threads of a core, whatever their ids. `largest` is set where the size that is known is that of a package.
    """

    shift: int = 0
    run: t.Optional[int] = None
    by_core: bool = False
    largest: t.Optional[int] = None


def uneven(family: int, model: int) -> bool:
    """Tell whether the caches of the CPU that Xen booted on say nothing about those of others."""
    return any(family == of and first <= model <= last for of, first, last in UNEVEN)


def inner(family: int, level: int, kind: str, threads: int) -> t.Optional[Sharing]:
    """Return who shares a cache of level 1 or 2; None where that is not known. `threads` of a core or module, 0 = unknown."""
    if family >= 0x17:
        return Sharing(by_core=True)
    if family == _BULLDOZER:
        # two cores are a module, and each has a data cache
        if (level, kind) == (1, "data"):
            return Sharing()
        return Sharing((threads - 1).bit_length()) if threads else None
    if family in (0x0F, 0x10, 0x11, 0x12, 0x14):
        return Sharing()
    return Sharing() if family == 0x16 and level == 1 else None


def outer(family: int, model: int, size_leaf: int, node_leaf: int, threads: int) -> t.Optional[Sharing]:
    """Return who shares an L3 cache; None where that is not known.

    `size_leaf` is c of leaf 8000_0008h, `node_leaf` c of leaf 8000_001Eh, `threads` those of a core, 0 = unknown.
    """
    for found in COMPLEXES:
        if found.family == family and found.first_model <= model <= found.last_model:
            # where SMT was switched off in the firmware, ids have no bit for the thread
            return Sharing(found.bits - (threads == 1), largest=found.largest)
    bits, cores = size_leaf >> 12 & 0xF, (size_leaf & 0xFF) + 1
    if family == 0x10 and bits:
        dies = 2 if model == _K10_TWO_DIES else 1
    elif family == _BULLDOZER and bits and node_leaf:
        dies = (node_leaf >> 8 & 7) + 1
    else:
        return None
    # dies of a package have their cores one behind the other, from the first id on
    return Sharing(bits, max(1, cores // dies), largest=8 * MIB)
