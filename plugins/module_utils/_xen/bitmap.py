# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bit masks between Python ints and `struct xenctl_bitmap`. Header: xen/include/public/domctl.h."""

import contextlib
import typing as t

from ._xen_ffi import ffi

if t.TYPE_CHECKING:
    from .connection import Xen


class Bitmap:
    """Memory for `bits` bits that Xen may use. Bit n of the int is bit n of the map."""

    def __init__(self, memory: t.Any, address: int, bits: int) -> None:
        self._memory = memory
        self._address = address
        self._bits = bits

    def fill(self, struct: t.Any, mask: int = 0) -> None:
        """Put `mask` into the memory and the memory's address into a `struct xenctl_bitmap`. Bits beyond the map are left out."""
        length = (self._bits + 7) // 8
        ffi.buffer(self._memory, length)[:] = (mask & ((1 << self._bits) - 1)).to_bytes(length, "little")
        struct.bitmap = self._address
        struct.nr_bits = self._bits

    def value(self) -> int:
        """What the memory holds now."""
        return int.from_bytes(bytes(ffi.buffer(self._memory, (self._bits + 7) // 8)), "little")


@contextlib.contextmanager
def bitmap(xen: "Xen", bits: int) -> t.Iterator[Bitmap]:
    """A zeroed bitmap in a hypercall buffer."""
    with xen.buffer("uint8_t", (bits + 7) // 8) as memory:
        yield Bitmap(memory, xen.address(memory), bits)
