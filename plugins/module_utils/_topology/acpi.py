# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the firmware's tables say about CPUs, nodes and distances: bytes in, plain numbers out. Pure.

Source: ACPI specification, chapter 5.2 (MADT with signature "APIC", SRAT, SLIT). Entries of other kinds than those below are passed
over, as are parts of an entry that a newer revision added.

============  =================================================================================================================
madt          [[type, acpi_id, apic_id, flags], ...] in the table's order; type 0 local APIC, 9 local x2APIC; flags 1 enabled,
              2 may be brought online
srat_cpus     [[type, apic_id, proximity_domain, flags], ...]; type 0 local APIC, 2 local x2APIC; flags 1 enabled
srat_memory   [[address, length [bytes], proximity_domain, flags], ...]; flags 1 enabled, 2 hot-pluggable, 4 non-volatile
slit          [[SLIT units]], from the proximity domain of the row to that of the column; 255 = unreachable
============  =================================================================================================================
"""

import struct
import typing as t

from .._errors import Failure

Rows = t.List[t.List[int]]

_HEAD = 36
_LENGTH_AT = 4
_REVISION_AT = 8

MADT_APIC, MADT_X2APIC = 0, 9
SRAT_APIC, SRAT_MEMORY, SRAT_X2APIC = 0, 1, 2
ENABLED = 1

#: A matrix of distances has no more rows than this; Xen knows 64 nodes, Linux 1024.
_MOST_LOCALITIES = 4096


class AcpiError(Failure):
    """A table that is not what the specification says. The message names the table and the spot."""


def _body(data: bytes, signature: bytes) -> bytes:
    """Check the head and the sum, and return the table without what follows its end."""
    name = signature.decode("ascii")
    if len(data) < _HEAD:
        raise AcpiError(f"the ACPI table {name} has {len(data)} bytes, less than the head of a table")
    if data[:4] != signature:
        raise AcpiError(f"the ACPI table {name} begins with {data[:4]!r} where its name should be")
    length = struct.unpack_from("<I", data, _LENGTH_AT)[0]
    if not _HEAD <= length <= len(data):
        raise AcpiError(f"the ACPI table {name} says that it has {length} bytes, but there are {len(data)}")
    if sum(data[:length]) & 0xFF:
        raise AcpiError(f"the sum of the bytes of the ACPI table {name} is wrong: it is damaged")
    return data[:length]


def _entries(data: bytes, signature: bytes, start: int) -> t.Iterator[t.Tuple[int, bytes]]:
    """Go through the entries of a table as (type, whole entry)."""
    name = signature.decode("ascii")
    table = _body(data, signature)
    position = start
    while position < len(table):
        length = table[position + 1] if position + 1 < len(table) else 0
        if length < 2 or position + length > len(table):
            raise AcpiError(f"the ACPI table {name} is damaged: its entry at byte {position} has no end")
        yield table[position], table[position : position + length]
        position += length


def _need(entry: bytes, least: int, name: str) -> None:
    if len(entry) < least:
        raise AcpiError(
            f"the ACPI table {name} is damaged: an entry of type {entry[0]} has {len(entry)} bytes, not {least}"
        )


def parse_madt(data: bytes) -> Rows:
    """Return the processors of the MADT (file "APIC"); :class:`AcpiError` names what is wrong."""
    rows = []
    for kind, entry in _entries(data, b"APIC", _HEAD + 8):
        if kind == MADT_APIC:
            _need(entry, 8, "APIC")
            acpi_id, apic_id, flags = struct.unpack_from("<BBI", entry, 2)
        elif kind == MADT_X2APIC:
            _need(entry, 16, "APIC")
            apic_id, flags, acpi_id = struct.unpack_from("<III", entry, 4)
        else:
            continue
        rows.append([kind, acpi_id, apic_id, flags])
    return rows


def parse_srat(data: bytes) -> t.Tuple[Rows, Rows]:
    """Return the processors and the memory of the SRAT; :class:`AcpiError` names what is wrong."""
    cpus, memory = [], []
    # before revision 2 a proximity domain has one byte, and what now are its others is reserved
    wide = len(data) > _REVISION_AT and data[_REVISION_AT] >= 2
    for kind, entry in _entries(data, b"SRAT", _HEAD + 12):
        if kind == SRAT_APIC:
            _need(entry, 16, "SRAT")
            low, apic_id, flags = struct.unpack_from("<BBI", entry, 2)
            domain = low | (int.from_bytes(entry[9:12], "little") << 8 if wide else 0)
            cpus.append([kind, apic_id, domain, flags])
        elif kind == SRAT_X2APIC:
            _need(entry, 24, "SRAT")
            domain, apic_id, flags = struct.unpack_from("<III", entry, 4)
            cpus.append([kind, apic_id, domain, flags])
        elif kind == SRAT_MEMORY:
            _need(entry, 40, "SRAT")
            domain, _reserved, address, length, _more, flags = struct.unpack_from("<IHQQII", entry, 2)
            memory.append([address, length, domain if wide else domain & 0xFF, flags])
    return cpus, memory


def parse_slit(data: bytes) -> Rows:
    """Return the distances of the SLIT; :class:`AcpiError` names what is wrong."""
    table = _body(data, b"SLIT")
    if len(table) < _HEAD + 8:
        raise AcpiError("the ACPI table SLIT is damaged: it ends before the number of localities")
    count = struct.unpack_from("<Q", table, _HEAD)[0]
    start = _HEAD + 8
    if count > _MOST_LOCALITIES or len(table) < start + count * count:
        raise AcpiError(
            f"the ACPI table SLIT is damaged: {count} localities need more bytes than the {len(table)} that it has"
        )
    return [list(table[start + row * count : start + (row + 1) * count]) for row in range(count)]
