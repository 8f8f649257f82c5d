# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a kernel for PVH guests that counts, and that can be saved and migrated.

    python3 counting_kernel.py FILE

It counts in the register ESI, where xenctx(1) shows it, and sleeps for a second or two after each number: a guest that never slept would take
most of an emulator's time. It takes part in being suspended: it opens
an event channel to dom0, and when that fires it suspends itself by SCHEDOP_shutdown. Its number, 3, is to be written to
device/suspend/event-channel in the guest's xenstore by whoever starts it, as that is the one thing which would take it a driver. Where that
hypercall returns 0 it is in a new domain, and begins with a new channel; where 1 nothing came of it, and it goes on with the one it has. Like
every guest with drivers for Xen it says how events shall interrupt it (HVM_PARAM_CALLBACK_IRQ), by which Xen's tools know it for one; as it
never enables interrupts none comes.

The formats: ELF-32 (System V ABI), Xen's PVH entry (docs/misc/pvh.pandoc) and hypercalls: memory_op 12 with XENMEM_add_to_physmap 7,
sched_op 29 with SCHEDOP_poll 3 and SCHEDOP_shutdown 2, event_channel_op 32 with EVTCHNOP_alloc_unbound 6, hvm_op 34 with HVMOP_set_param 0
(xen/include/public).
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

BASE = 0x100000
PAGE = 4096
DATA = BASE + PAGE // 2
SHARED_INFO = BASE + 4 * PAGE
SYSTEM_TIME = SHARED_INFO + 48  # vcpu_info[0].time.system_time, nanoseconds
PENDING = SHARED_INFO + 2048  # evtchn_pending of a 32-bit shared_info, behind 32 vcpu_info of 64 bytes
SELF, DOM0, SUSPEND = 0x7FF0, 0, 2
# xen/include/public/elfnote.h
XEN_VERSION, GUEST_OS, PHYS32_ENTRY = 5, 6, 18

PHYSMAP = struct.pack("<HHIII", SELF, 0, 0, 0, SHARED_INFO >> 12)
SHUTDOWN = struct.pack("<I", SUSPEND)
CALLBACK = struct.pack("<HHIQ", SELF, 0, 0, 2 << 56 | 0xF3)  # HVM_PARAM_CALLBACK_IRQ: a vector
CHANNEL = struct.pack("<HHI", SELF, DOM0, 0)
# Xen writes the system time when the guest gets its CPU, as of its last calibration, which is a second ago at most: this is always ahead.
PAUSE_NS = 2_000_000_000


def hypercall(number: int, command: int, argument: int) -> bytes:
    """mov eax, number; mov ebx, command; mov ecx, argument; vmmcall."""
    return b"\xb8%b\xbb%b\xb9%b\x0f\x01\xd9" % tuple(
        struct.pack("<I", n) for n in (number, command, argument)
    )


def code() -> bytes:
    """Map the shared page, open the channel, count until it fires, suspend; and again, in whatever domain it wakes."""
    shutdown = DATA + len(PHYSMAP)
    callback = shutdown + len(SHUTDOWN)
    channel = callback + len(CALLBACK)
    poll = channel + len(CHANNEL)
    machine = b"\x31\xf6\xbc" + struct.pack("<I", DATA + PAGE)  # xor esi, esi; mov esp
    start = len(machine)
    machine += hypercall(12, 7, DATA) + hypercall(34, 0, callback) + hypercall(32, 6, channel)
    machine += b"\x8b\x15" + struct.pack("<I", channel + 4)  # mov edx, the port
    again = len(machine)
    machine += b"\x46"  # inc esi
    machine += b"\xa1" + struct.pack("<I", SYSTEM_TIME)  # mov eax, [SYSTEM_TIME]
    machine += b"\x8b\x0d" + struct.pack("<I", SYSTEM_TIME + 4)  # mov ecx, its upper half
    machine += b"\x05" + struct.pack("<I", PAUSE_NS) + b"\x83\xd1\x00"  # add eax, PAUSE_NS; adc ecx, 0
    machine += b"\xa3" + struct.pack("<I", poll + 8)  # mov [timeout], eax
    machine += b"\x89\x0d" + struct.pack("<I", poll + 12)  # mov its upper half, ecx
    machine += hypercall(29, 3, poll)  # until then, or until the channel fires
    machine += b"\xf0\x0f\xb3\x15" + struct.pack("<I", PENDING)  # lock btr [PENDING], edx
    machine += b"\x73" + struct.pack("<b", again - (len(machine) + 2))  # jnc
    machine += hypercall(29, 2, shutdown)
    machine += b"\x85\xc0\x75" + struct.pack("<b", again - (len(machine) + 4))  # test eax, eax; jnz
    return machine + b"\xe9" + struct.pack("<i", start - (len(machine) + 5))  # jmp


def note(kind: int, body: bytes) -> bytes:
    """One of Xen's ELF notes."""
    return struct.pack("<III", 4, len(body), kind) + b"Xen\0" + body + bytes(-len(body) % 4)


def kernel() -> bytes:
    """The whole file."""
    notes = note(PHYS32_ENTRY, struct.pack("<I", BASE)) + note(GUEST_OS, b"count\0")
    notes += note(XEN_VERSION, b"xen-3.0\0")
    header = b"\x7fELF" + bytes((1, 1, 1)) + bytes(9)
    header += struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, BASE, 52, 0, 0, 52, 32, 2, 0, 0, 0)
    header += struct.pack("<IIIIIIII", 1, PAGE, BASE, BASE, PAGE, 5 * PAGE, 7, PAGE)
    header += struct.pack("<IIIIIIII", 4, 52 + 64, 0, 0, len(notes), len(notes), 4, 4)
    file = (header + notes).ljust(PAGE, b"\0") + code().ljust(PAGE // 2, b"\x90")
    data = PHYSMAP + SHUTDOWN + CALLBACK + CHANNEL
    poll = struct.pack("<IIQ", DATA + len(data) - 4, 1, 0)  # one port, the channel's
    return (file + data + poll).ljust(2 * PAGE, b"\0")


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(kernel())
