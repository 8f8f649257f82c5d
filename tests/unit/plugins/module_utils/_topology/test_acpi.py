# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parser of the firmware's tables, on tables put together here by the specification, and on damaged ones."""

import contextlib
import struct

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.acpi import (
    AcpiError,
    parse_madt,
    parse_slit,
    parse_srat,
)
from hypothesis import given
from hypothesis import strategies as st

PARSERS = {b"APIC": parse_madt, b"SRAT": parse_srat, b"SLIT": parse_slit}


def table(signature, body, revision=3, more=b""):
    """A table with its head and a right sum; `more` follows its end."""
    whole = bytearray(struct.pack("<4sIBB26x", signature, 36 + len(body), revision, 0) + body)
    whole[9] = -sum(whole) & 0xFF
    return bytes(whole) + more


def madt(*entries):
    return table(b"APIC", struct.pack("<II", 0xFEE00000, 1) + b"".join(entries))


def srat(*entries, revision=3):
    return table(b"SRAT", struct.pack("<IQ", 1, 0) + b"".join(entries), revision)


def slit(count, *distances):
    return table(b"SLIT", struct.pack("<Q", count) + bytes(distances))


def lapic(acpi_id, apic_id, flags=1):
    return struct.pack("<BBBBI", 0, 8, acpi_id, apic_id, flags)


def x2apic(acpi_id, apic_id, flags=1):
    return struct.pack("<BBHIII", 9, 16, 0, apic_id, flags, acpi_id)


def cpu_affinity(apic_id, domain, flags=1):
    low, high = domain & 0xFF, (domain >> 8).to_bytes(3, "little")
    return struct.pack("<BBBBIB3sI", 0, 16, low, apic_id, flags, 0, high, 0)


def x2apic_affinity(apic_id, domain, flags=1):
    return struct.pack("<BBHIIIII", 2, 24, 0, domain, apic_id, flags, 0, 0)


def memory_affinity(address, length, domain, flags=1):
    return struct.pack("<BBIHQQIIQ", 1, 40, domain, 0, address, length, 0, flags, 0)


WHOLE = {
    b"APIC": madt(lapic(0, 0), b"\x01\x0c" + bytes(10), lapic(1, 2, 0), x2apic(300, 70000, 3)),
    b"SRAT": srat(
        cpu_affinity(0, 0x01020304),
        x2apic_affinity(70000, 5),
        memory_affinity(1 << 32, 3 << 30, 5),
        b"\x05\x08" + bytes(6),
        memory_affinity(0, 0, 9, 0),
    ),
    b"SLIT": slit(2, 10, 21, 255, 10),
}


def test_processors_come_in_the_order_of_the_table():
    assert parse_madt(WHOLE[b"APIC"]) == [[0, 0, 0, 1], [0, 1, 2, 0], [9, 300, 70000, 3]]


def test_affinities():
    cpus, memory = parse_srat(WHOLE[b"SRAT"])
    assert cpus == [[0, 0, 0x01020304, 1], [2, 70000, 5, 1]]
    assert memory == [[1 << 32, 3 << 30, 5, 1], [0, 0, 9, 0]]


def test_before_revision_2_a_proximity_domain_is_one_byte():
    cpus, memory = parse_srat(srat(cpu_affinity(0, 0x01020304), memory_affinity(0, 1, 0x0101), revision=1))
    assert cpus[0][2] == 4
    assert memory[0][2] == 1


def test_distances():
    assert parse_slit(WHOLE[b"SLIT"]) == [[10, 21], [255, 10]]


def test_an_entry_may_be_longer_than_we_know():
    longer = bytearray(lapic(7, 9) + b"new!")
    longer[1] += 4
    assert parse_madt(madt(bytes(longer), lapic(8, 10))) == [[0, 7, 9, 1], [0, 8, 10, 1]]


def test_what_follows_the_table_is_not_looked_at():
    assert parse_madt(table(b"APIC", bytes(8) + lapic(1, 1), more=b"xyz")) == [[0, 1, 1, 1]]


@pytest.mark.parametrize(
    ("signature", "data", "said"),
    [
        (b"APIC", b"", "APIC has 0 bytes"),
        (b"APIC", WHOLE[b"SLIT"], "begins with b'SLIT'"),
        (b"SRAT", WHOLE[b"SRAT"][:-1], "SRAT says that it has"),
        (b"SLIT", WHOLE[b"SLIT"][:-1] + b"\x0b", "sum of the bytes of the ACPI table SLIT"),
        (b"APIC", madt(b"\x00\x00"), "entry at byte 44 has no end"),
        (b"APIC", madt(b"\x00"), "entry at byte 44 has no end"),
        (b"APIC", madt(lapic(0, 0)[:-1]), "entry at byte 44 has no end"),
        (b"APIC", madt(b"\x00\x03\x00"), "an entry of type 0 has 3 bytes, not 8"),
        (b"APIC", madt(b"\x09\x03\x00"), "an entry of type 9 has 3 bytes, not 16"),
        (b"SRAT", srat(b"\x00\x04\x00\x00"), "type 0 has 4 bytes, not 16"),
        (b"SRAT", srat(b"\x01\x04\x00\x00"), "type 1 has 4 bytes, not 40"),
        (b"SRAT", srat(b"\x02\x04\x00\x00"), "type 2 has 4 bytes, not 24"),
        (b"SLIT", table(b"SLIT", b"\x01"), "ends before the number of localities"),
        (b"SLIT", slit(3, 10, 20, 10), "3 localities need more bytes"),
        (b"SLIT", slit(1 << 60, 10), "localities need more bytes"),
    ],
)
def test_what_is_wrong_is_named(signature, data, said):
    with pytest.raises(AcpiError, match=said):
        PARSERS[signature](data)


@given(st.sampled_from(sorted(PARSERS)), st.binary(max_size=200))
def test_any_body_is_read_or_refused(signature, body):
    try:
        PARSERS[signature](table(signature, body))
    except AcpiError as error:
        assert signature.decode("ascii") in error.message


@given(st.sampled_from(sorted(PARSERS)), st.data())
def test_any_damage_is_read_or_refused(signature, data):
    whole = bytearray(WHOLE[signature])
    for _time in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        # so that damage behind the head is reached
        whole[9] = (whole[9] - sum(whole)) & 0xFF
    with contextlib.suppress(AcpiError):
        PARSERS[signature](bytes(whole[: data.draw(st.integers(0, len(whole)))]))
