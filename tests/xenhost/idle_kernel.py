# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest kernel that Xen starts as a PV guest: it gives its CPU back and sleeps, for ever. Pure.

A guest with it has vCPUs, affinity and memory like any other, and is created in a fraction of the time that a Linux kernel takes to be
unpacked in an emulator. The formats: ELF-64 (System V ABI), Xen's ELF notes (xen/include/public/elfnote.h), SCHEDOP_poll
(xen/include/public/sched.h, hypercall 29).
"""

from __future__ import annotations

import struct

BASE = 0x100000  # where the guest's memory begins, virtually
PAGE = 4096
CODE = BASE  # the first page
HYPERCALLS = BASE + PAGE  # Xen fills this one: 32 bytes for each hypercall
SCHED_OP, SCHEDOP_POLL = 29, 3

# xen/include/public/elfnote.h
ENTRY, HYPERCALL_PAGE, VIRT_BASE, PADDR_OFFSET, XEN_VERSION, GUEST_OS, LOADER = 1, 2, 3, 4, 5, 6, 8


def code() -> bytes:
    """``for (;;) sched_op(SCHEDOP_poll, {no ports, no timeout})``: sleeps with events masked, and again should it be woken."""
    poll = struct.pack("<QII Q", 0, 0, 0, 0)  # ports, nr_ports, padding, timeout
    start = len(poll)
    machine = b"\xbf" + struct.pack("<I", SCHEDOP_POLL)  # mov edi, SCHEDOP_poll
    machine += b"\xbe" + struct.pack("<I", CODE)  # mov esi, the structure above
    after_call = CODE + start + len(machine) + 5
    machine += b"\xe8" + struct.pack("<i", HYPERCALLS + 32 * SCHED_OP - after_call)  # call
    machine += b"\xeb" + struct.pack("<b", -(len(machine) + 2))  # jmp to the first instruction
    return poll + machine


def note(kind: int, value: int | str) -> bytes:
    """One of Xen's ELF notes."""
    body = value.encode() + b"\0" if isinstance(value, str) else struct.pack("<Q", value)
    padded = body + b"\0" * (-len(body) % 4)
    return struct.pack("<III", 4, len(body), kind) + b"Xen\0" + padded


def kernel() -> bytes:
    """The whole file."""
    entry = CODE + len(struct.pack("<QII Q", 0, 0, 0, 0))
    notes = b"".join(
        note(kind, value)
        for kind, value in (
            (ENTRY, entry),
            (HYPERCALL_PAGE, HYPERCALLS),
            (VIRT_BASE, 0),
            (PADDR_OFFSET, 0),
            (XEN_VERSION, "xen-3.0"),
            (GUEST_OS, "idle"),
            (LOADER, "generic"),
        )
    )
    load_at = PAGE
    notes_at = 64 + 2 * 56
    size = 2 * PAGE
    header = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, entry, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 7, load_at, CODE, CODE, size, size, PAGE)
    noted = struct.pack("<IIQQQQQQ", 4, 4, notes_at, 0, 0, len(notes), len(notes), 4)
    file = (header + load + noted + notes).ljust(load_at, b"\0")
    return file + code().ljust(size, b"\0")
