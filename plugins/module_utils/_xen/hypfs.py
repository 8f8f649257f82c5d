# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HYPERVISOR_hypfs_op: Xen's own small file system, from Xen 4.14 on. Header: xen/include/public/hypfs.h."""

import typing as t

from . import errors
from ._xen_ffi import ffi

if t.TYPE_CHECKING:
    from .connection import Xen

OP_READ = 1
TYPE_STRING = 2
ENC_PLAIN = 0
ROOM = 256  # bytes, for the entry and its content


def read_text(xen: "Xen", path: str) -> t.Optional[str]:
    """The text in this entry, None when there is no such entry or it is no plain text of moderate length.

    Raises NotSupported where the hypervisor has no hypfs.
    """
    name = path.encode("utf-8") + b"\0"
    with xen.buffer("char", len(name)) as where, xen.buffer("uint8_t", ROOM) as memory:
        ffi.buffer(where, len(name))[:] = name
        try:
            xen.hypfs_op(OP_READ, where, len(name), memory, ROOM, path=path)
        except errors.NoSuchEntry:
            return None
        entry = ffi.cast("struct xen_hypfs_direntry *", memory)
        start = ffi.sizeof("struct xen_hypfs_direntry")
        if entry.type != TYPE_STRING or entry.encoding != ENC_PLAIN or entry.content_len > ROOM - start:
            return None
        content = bytes(ffi.buffer(memory, start + entry.content_len))[start:]
    return content.split(b"\0", 1)[0].decode("utf-8", "replace")
