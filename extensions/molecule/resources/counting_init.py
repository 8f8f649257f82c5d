# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes an initrd whose only program counts: a guest in which one can see whether it went on or began anew.

    python3 counting_init.py FILE

With it and any Linux kernel a PV guest boots in little memory, and twice a second writes to its console a number that it took from the CPU's
time stamp when it began, and a count. After a restart the first would be another one and the second would begin with 1. The formats: cpio
"newc" (Linux, Documentation/driver-api/early-userspace/buffer-format.rst), ELF-64 (System V ABI), system calls write and nanosleep.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

BASE = 0x400000
TEXT = BASE + 0x800  # the line that is written
PAUSE = BASE + 0x840  # struct timespec
LINE = b" " * 33 + b"\r\n"
HALF_A_SECOND = struct.pack("<QQ", 0, 500_000_000)


def hexadecimal(load: bytes, place: int) -> bytes:
    """Machine code that writes rax, which `load` fills, as 16 digits to `place`."""
    code = load
    code += b"\xbf" + struct.pack("<I", place + 15)  # mov edi, the last digit
    code += b"\xb9\x10\x00\x00\x00"  # mov ecx, 16
    again = len(code)
    code += b"\x89\xc2\x83\xe2\x0f"  # mov edx, eax; and edx, 15
    code += (
        b"\x80\xc2\x30\x80\xfa\x3a\x72\x03\x80\xc2\x27"  # add dl, '0'; cmp dl, ':'; jb +3; add dl, 'a'-':'
    )
    code += b"\x88\x17\xff\xcf"  # mov [rdi], dl; dec edi
    code += b"\x48\xc1\xe8\x04\xff\xc9"  # shr rax, 4; dec ecx
    return code + b"\x75" + struct.pack("<b", again - (len(code) + 2))  # jnz


def program() -> bytes:
    """The whole ELF file."""
    code = (
        b"\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0\x48\x89\xc3"  # rdtsc; shl rdx, 32; or rax, rdx; mov rbx, rax
    )
    code += b"\x4d\x31\xe4"  # xor r12, r12
    again = len(code)
    code += b"\x49\xff\xc4"  # inc r12
    code += hexadecimal(b"\x48\x89\xd8", TEXT) + hexadecimal(b"\x4c\x89\xe0", TEXT + 17)
    code += b"\xb8\x01\0\0\0\xbf\x01\0\0\0\xbe" + struct.pack("<I", TEXT)  # write(1, TEXT,
    code += b"\xba" + struct.pack("<I", len(LINE)) + b"\x0f\x05"  # the line's length)
    code += b"\xb8\x23\0\0\0\xbf" + struct.pack("<I", PAUSE) + b"\x31\xf6\x0f\x05"  # nanosleep(PAUSE, NULL)
    code += b"\xe9" + struct.pack("<i", again - (len(code) + 5))  # jmp
    head = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, BASE + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    head += struct.pack("<IIQQQQQQ", 1, 7, 0, BASE, BASE, 0x1000, 0x1000, 0x1000)
    file = (head + code).ljust(TEXT - BASE, b"\0") + LINE
    return (file.ljust(PAUSE - BASE, b"\0") + HALF_A_SECOND).ljust(0x1000, b"\0")


def member(number: int, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One file of the archive."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    entry = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    entry += bytes(-len(entry) % 4)
    return entry + data + bytes(-len(data) % 4)


def archive() -> bytes:
    """The initrd: the program as /init, and the console that it writes to."""
    return b"".join(
        (
            member(1, "dev", 0o40755),
            member(2, "dev/console", 0o20600, device=(5, 1)),
            member(3, "init", 0o100755, program()),
            member(4, "TRAILER!!!", 0),
        )
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(archive())
