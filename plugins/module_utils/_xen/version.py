# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HYPERVISOR_xen_version: what the hypervisor is. Header: xen/include/public/version.h. Needs no interface version."""

import typing as t

from ._xen_ffi import ffi

if t.TYPE_CHECKING:
    from .connection import Xen

VERSION = 0
EXTRAVERSION = 1
CAPABILITIES = 3
CHANGESET = 4
PAGESIZE = 7
COMMANDLINE = 9

# Sizes of the answers, in bytes: xen_extraversion_t and its sisters.
_SIZES = {EXTRAVERSION: 16, CAPABILITIES: 1024, CHANGESET: 64, COMMANDLINE: 1024}


def _text(xen: "Xen", command: int, question: str) -> str:
    size = _SIZES[command]
    with xen.buffer("char", size) as memory:
        xen.version_op(command, memory, question)
        return bytes(ffi.buffer(memory, size)).split(b"\0", 1)[0].decode("utf-8", "replace")


def version(xen: "Xen") -> t.Tuple[int, int]:
    """(major, minor), for example (4, 17)."""
    answer = xen.version_op(VERSION, None, "version")
    return answer >> 16, answer & 0xFFFF


def extraversion(xen: "Xen") -> str:
    """What follows the minor number, for example ".7"."""
    return _text(xen, EXTRAVERSION, "extraversion")


def capabilities(xen: "Xen") -> str:
    """Guest kinds that it can run, separated by spaces: "xen-3.0-x86_64 hvm-3.0-x86_64 "."""
    return _text(xen, CAPABILITIES, "capabilities")


def changeset(xen: "Xen") -> str:
    """The commit that it was built from, as its builder wrote it; may be empty."""
    return _text(xen, CHANGESET, "changeset")


def commandline(xen: "Xen") -> str:
    """Xen's own command line, without the name of its file; cut by Xen after 1023 bytes."""
    return _text(xen, COMMANDLINE, "commandline")


def page_size(xen: "Xen") -> int:
    """Bytes of one page, the unit of everything that Xen counts in pages."""
    return xen.version_op(PAGESIZE, None, "pagesize")
