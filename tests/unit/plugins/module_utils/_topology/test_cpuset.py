# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pickle

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import (
    LARGEST_ID,
    LONGEST,
    CpuSet,
    CpuSetError,
)
from hypothesis import given
from hypothesis import strategies as st

NUMBERS = st.sets(st.integers(0, 300), max_size=60)


@given(NUMBERS)
def test_each_format_reads_back_what_it_wrote(numbers):
    cpus = CpuSet(numbers)
    assert CpuSet.parse(str(cpus)) == cpus
    assert CpuSet.from_hwloc(cpus.hwloc()) == cpus
    assert CpuSet.from_taskset(cpus.taskset()) == cpus
    assert CpuSet.from_mask(cpus.mask) == cpus
    assert pickle.loads(pickle.dumps(cpus)) == cpus
    assert list(cpus) == sorted(numbers)
    assert len(cpus) == len(numbers)
    assert bool(cpus) == bool(numbers)


@given(NUMBERS, NUMBERS)
def test_operators_are_those_of_python_sets(left, right):
    one, two = CpuSet(left), CpuSet(right)
    assert set(one & two) == left & right
    assert set(one | two) == left | right
    assert set(one - two) == left - right
    assert set(one ^ two) == left ^ right
    assert (one <= two) == (left <= right)
    assert (one < two) == (left < right)
    assert (one >= two) == (left >= right)
    assert (one > two) == (left > right)
    assert (one == two) == (left == right)
    assert (hash(one) == hash(two)) == (left == right)
    assert all((number in one) == (number in left) for number in range(-2, 303))


@given(NUMBERS)
def test_list_format_is_ascending_and_as_short_as_possible(numbers):
    bounds = [[int(end) for end in item.split("-")] for item in str(CpuSet(numbers)).split(",") if item]
    assert all(low < high for low, high in (item for item in bounds if len(item) == 2))
    # between two runs there is a gap
    assert all(right[0] - left[-1] > 1 for left, right in zip(bounds, bounds[1:]))


@given(st.text(alphabet="0123456789-,^x:abcf ", max_size=30))
def test_any_text_is_read_or_refused_with_a_sentence(text):
    for read in (CpuSet.parse, CpuSet.from_hwloc, CpuSet.from_taskset):
        try:
            assert isinstance(read(text), CpuSet)
        except CpuSetError as error:
            assert repr(text) in str(error)


@pytest.mark.parametrize(
    ("text", "listed", "hwloc", "taskset"),
    [
        ("", "", "0x0", "0"),
        ("0", "0", "0x00000001", "1"),
        ("0-3,8", "0-3,8", "0x0000010f", "10f"),
        (" 8 , 0-1,2-3,1 ", "0-3,8", "0x0000010f", "10f"),
        ("32", "32", "0x00000001,0x0", "100000000"),
        ("0,95", "0,95", "0x80000000,,0x00000001", "800000000000000000000001"),
        ("31-32", "31-32", "0x00000001,0x80000000", "180000000"),
        ("64,165", "64,165", "0x00000020,,,0x00000001,,0x0", "2" + "0" * 24 + "1" + "0" * 16),
    ],
)
def test_formats(text, listed, hwloc, taskset):
    cpus = CpuSet.parse(text)
    assert (str(cpus), cpus.hwloc(), cpus.taskset()) == (listed, hwloc, taskset)


def test_other_spellings_of_the_formats():
    # hwloc itself leaves words of zeros empty
    assert CpuSet.from_hwloc("0x00000001,,0x00000002") == CpuSet([1, 64])
    assert CpuSet.from_hwloc("0x00000001,,0x0") == CpuSet.from_hwloc("0x1,0x0,0x00000000") == CpuSet([64])
    assert CpuSet.from_hwloc("0x0,,0x0") == CpuSet()
    assert CpuSet.from_hwloc("0x3") == CpuSet([0, 1])
    assert CpuSet.from_taskset("0xFF") == CpuSet(range(8))
    # /proc/interrupts and its like
    assert CpuSet.from_taskset("1,00000000") == CpuSet([32])


@pytest.mark.parametrize(
    "text",
    ["a", "1-", "-1", "3-1", "1,,2", ",", "1;2", "0-3 8", "٣", "65536", "0-99999999999999999999", "0x1"],
)
def test_parse_refuses(text):
    with pytest.raises(CpuSetError) as caught:
        CpuSet.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "ff", "0x", "0x1,", ",0x1", ",,0x0", "0x1,,", "0x1,0x123456789", "0x1" + "0" * 16]
    + ["0xf...f,0x0", "0xf...f", "0xf...f0", "0xf...f,", "0x1 0x2", "-0x1"],
)
def test_from_hwloc_refuses(text):
    with pytest.raises(CpuSetError) as caught:
        CpuSet.from_hwloc(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0x100000000", "32"),
        ("0x0000000000000000000000000000f00000000001", "0,44-47"),
        ("0XF", "0-3"),
    ],
)
def test_a_single_word_may_be_long(text, cpus):
    assert str(CpuSet.from_hwloc(text)) == cpus


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0xf...f", "0-99"), ("0xf...f,0x1", "0,32-99"), ("0xf...f,,0x1", "0,64-99"), ("0xf...f,,,,0x1", "0")],
)
def test_a_set_without_an_end_ends_with_the_host(text, cpus):
    assert str(CpuSet.from_hwloc(text, CpuSet(range(100)))) == cpus


@pytest.mark.parametrize("text", ["", "0x", "g", "-1", "1,0", "1,000000000"])
def test_from_taskset_refuses(text):
    with pytest.raises(CpuSetError) as caught:
        CpuSet.from_taskset(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("number", [-1, LARGEST_ID + 1, 1.5, "1", True, None])
def test_only_whole_numbers_in_range_are_members(number):
    with pytest.raises(CpuSetError):
        CpuSet([number])


def test_masks_out_of_range_are_refused():
    for mask in (-1, 1 << LARGEST_ID + 1):
        with pytest.raises(CpuSetError):
            CpuSet.from_mask(mask)


def test_first():
    assert CpuSet([9, 4, 70]).first() == 4
    with pytest.raises(CpuSetError):
        CpuSet().first()


def test_it_cannot_be_changed():
    cpus = CpuSet([1])
    with pytest.raises(AttributeError):
        cpus._mask = 3
    assert cpus == CpuSet([1])


def test_it_does_not_mix_with_other_types():
    assert CpuSet([1]) != {1}
    for other in ({1}, 2, [1]):
        with pytest.raises(TypeError):
            CpuSet([1]) | other
        with pytest.raises(TypeError):
            CpuSet([1]) <= other  # noqa: B015


def test_a_large_set_is_no_trouble():
    every_other = CpuSet(range(0, 16384, 2))
    assert CpuSet.parse(str(every_other)) == every_other
    assert len(every_other) == 8192


def test_numbers_beyond_all_sets_are_in_none():
    assert 2**63 not in CpuSet([1])
    assert 65536 not in CpuSet([1])
    assert -1 not in CpuSet([1])


def test_zeros_in_front_of_a_number():
    assert str(CpuSet.parse("0" * 5000 + "1-" + "0" * 5000 + "3")) == "1-3"
    assert str(CpuSet.parse("0" * 5000)) == "0"


@pytest.mark.parametrize("read", [CpuSet.parse, CpuSet.from_hwloc, CpuSet.from_taskset])
def test_a_text_that_no_set_needs(read):
    with pytest.raises(CpuSetError, match="more than 1048576 characters"):
        read("1," * (LONGEST // 2) + "1")


@given(st.sets(st.integers(0, 2000)), st.integers(1, 40))
def test_many_gaps(members, step):
    spread = sorted({member * step % (LARGEST_ID + 1) for member in members})
    cpus = CpuSet(spread)
    assert list(cpus) == spread
    assert cpus.mask == sum(1 << number for number in spread)
    assert CpuSet.parse(str(cpus)) == CpuSet.parse(",".join(map(str, reversed(spread)))) == cpus


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40)), max_size=60))
def test_ranges_that_overlap(runs):
    text = ",".join(f"{low}-{low + more}" for low, more in runs)
    assert set(CpuSet.parse(text)) == {number for low, more in runs for number in range(low, low + more + 1)}
