# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A set of CPU or NUMA node numbers, and the ways in which people and tools write one down."""

import itertools
import re
import typing as t

from .._errors import Failure, shown

#: No CPU or node has a number beyond this one (Xen can be built for 16,383 CPUs); a slip such as ``0-99999999`` is refused.
LARGEST_ID = 65535

#: Characters of a set in any format. All the numbers that there can be, one by one and with blanks between them, have half a million.
LONGEST = 2**20

#: Up to so many numbers or ranges are quicker put into an integer one by one, beyond that it would take the square of their number.
_FEW = 16

_RANGE = re.compile(r"([0-9]+)(?:-([0-9]+))?\Z", re.ASCII)
#: The first and the last word are always there, between them any may be missing.
_HWLOC = re.compile(r"0x[0-9a-f]{1,8}(?:,+0x[0-9a-f]{1,8})*\Z", re.ASCII | re.IGNORECASE)
#: hwloc reads a single word of any length; the words of several have 32 bits.
_ONE_WORD = re.compile(r"0x0*[0-9a-f]{1,16}\Z", re.ASCII | re.IGNORECASE)
_ENDLESS = "0xf...f"
_NOTHING = "0x0"
_ONES = re.compile("1+")
_TASKSET = re.compile(r"(?:0x)?[0-9a-f]+(?:,[0-9a-f]{8})*\Z", re.ASCII | re.IGNORECASE)

#: How many bits of a number are set; Python 3.10 and later know it.
_count = getattr(int, "bit_count", None) or (lambda mask: bin(mask).count("1"))


class CpuSetError(Failure):
    """A text or a number that does not name a set of CPUs or nodes. The message quotes it."""


class CpuSet:
    """An immutable set of CPU or node numbers (0 to :data:`LARGEST_ID`), kept as one integer, :attr:`mask`.

    Like ``frozenset`` it has ``& | - ^``, ``<= < >= >`` (subset and superset), ``in``, ``len`` and truth, and can be a dictionary's
    key. It iterates in ascending order. To sort a list of sets use ``key=lambda cpus: cpus.mask``.
    """

    __slots__ = ("_mask",)
    _mask: int

    def __init__(self, numbers: t.Iterable[int] = ()) -> None:
        """Make the set of these numbers; :class:`CpuSetError` for one that is negative, too large or no integer."""
        members = numbers if isinstance(numbers, (list, tuple)) else list(numbers)
        for number in members:
            # thousands of numbers, and nearly all are plain ones, whose class is quicker to compare than to ask
            plain = number.__class__ is int or (isinstance(number, int) and not isinstance(number, bool))
            if not plain or not 0 <= number <= LARGEST_ID:
                raise CpuSetError(
                    f"{shown(number)} is no CPU or node number: give whole numbers from 0 to {LARGEST_ID}"
                )
        mask = 0
        if len(members) <= _FEW:
            for number in members:
                mask |= 1 << number
        else:
            bitmap = bytearray((max(members) >> 3) + 1)
            for number in members:
                bitmap[number >> 3] |= 1 << (number & 7)
            mask = int.from_bytes(bitmap, "little")
        _put(self, mask)

    def __setattr__(self, name: str, value: t.Any) -> None:
        raise AttributeError("a CpuSet cannot be changed")

    def __reduce__(self) -> t.Tuple[t.Any, ...]:
        return (CpuSet.from_mask, (self._mask,))

    @classmethod
    def from_mask(cls, mask: int) -> "CpuSet":
        """Make the set whose member *n* is bit *n* of `mask`."""
        if mask < 0 or mask.bit_length() > LARGEST_ID + 1:
            raise CpuSetError(f"a mask has bits from 0 to {LARGEST_ID}, and this one has others")
        made = _new(cls)
        _put(made, mask)
        return made

    @classmethod
    def parse(cls, text: str) -> "CpuSet":
        """Read the list format, ``0-3,8``, as Linux's ``cpulist`` files have it; an empty text is the empty set."""
        stripped = _short_enough(text).strip()
        runs = [read_range(item.strip(), text) for item in stripped.split(",")] if stripped else []
        return cls.from_mask(mask_of(runs))

    @classmethod
    def from_hwloc(cls, text: str, everything: t.Optional["CpuSet"] = None) -> "CpuSet":
        """Read hwloc's format: words of 32 bits, most significant first, ``0x00000001,0x000000ff``; an empty word is zero.

        A single word may be longer. ``0xf...f`` before the words sets all bits above them; `everything` says how many there are.
        """
        stripped = _short_enough(text).strip()
        if _ONE_WORD.match(stripped):
            return cls.from_mask(int(stripped, 16))
        endless = stripped.startswith(_ENDLESS)
        if endless:
            # hwloc's words behind it may begin with an empty one
            stripped = _NOTHING + stripped[len(_ENDLESS) :]
        if not _HWLOC.match(stripped) or (endless and stripped[len(_NOTHING) :][:1] not in ("", ",")):
            raise CpuSetError(
                f"{shown(text)} is no hwloc mask: it has words such as 0x000000ff, separated by commas, the most significant first"
            )
        if endless:
            if everything is None:
                raise CpuSetError(
                    f"{shown(text)} has no end: give the topology of the host whose CPUs are meant"
                )
            bits = min(32 * stripped.count(","), LARGEST_ID + 1)
            return cls.from_hwloc(stripped) | cls.from_mask(everything.mask >> bits << bits)
        # on a large machine most sets are a word or two, and a hundred empty ones behind them
        words = stripped[: -len(_NOTHING)].rstrip(",") if stripped.endswith("," + _NOTHING) else stripped
        if "," not in words:
            mask = int(words, 16)
        else:
            mask = int("".join([word[2:].zfill(8) for word in words.split(",")]), 16)
        return cls.from_mask(mask << 32 * stripped.count(",", len(words)))

    @classmethod
    def from_taskset(cls, text: str) -> "CpuSet":
        """Read one hexadecimal number, ``ff`` or ``0xff``, as taskset prints it, or in groups of eight digits as Linux does."""
        stripped = _short_enough(text).strip()
        if not _TASKSET.match(stripped):
            raise CpuSetError(f"{shown(text)} is no taskset mask: it is one hexadecimal number such as ff")
        return cls.from_mask(int(stripped.replace(",", ""), 16))

    @property
    def mask(self) -> int:
        """The set as an integer: bit *n* is set when *n* is a member."""
        return self._mask

    def __str__(self) -> str:
        return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in self.ranges())

    def __repr__(self) -> str:
        return f"CpuSet.parse({str(self)!r})"

    def hwloc(self) -> str:
        """Write hwloc's format: words of 32 bits, most significant first, ``0x00000001,0x000000ff``; empty is ``0x0``.

        As hwloc does, leave empty what is zero; only the last word is always there: ``0x00000001,,0x0``.
        """
        if not self._mask:
            return _NOTHING
        zeros = self.first() // 32
        digits = "%x" % (self._mask >> 32 * zeros)
        if len(digits) <= 8:
            words = "0x" + digits.zfill(8)
        else:
            digits = digits.zfill(-(-len(digits) // 8) * 8)
            parts = [digits[start : start + 8] for start in range(0, len(digits), 8)]
            words = ",".join(["0x" + part if part != "00000000" else "" for part in parts])
        return words + "," * zeros + _NOTHING if zeros else words

    def taskset(self) -> str:
        """Write one hexadecimal number without a prefix, ``ff``, as taskset reads it."""
        return f"{self._mask:x}"

    def ranges(self) -> t.Iterator[t.Tuple[int, int]]:
        """Go through the runs of neighbouring members, ascending, as (first, last)."""
        rest, base = self._mask, 0
        for _time in range(_FEW):
            if not rest:
                return
            gap = (rest & -rest).bit_length() - 1
            rest >>= gap
            run = (~rest & rest + 1).bit_length() - 1
            yield base + gap, base + gap + run - 1
            rest >>= run
            base += gap + run
        # each step above looks at all that is left
        for run_of_ones in _ONES.finditer("{:b}".format(rest)[::-1]) if rest else ():
            yield base + run_of_ones.start(), base + run_of_ones.end() - 1

    def first(self) -> int:
        """Return the lowest member; :class:`CpuSetError` when there is none."""
        if not self._mask:
            raise CpuSetError("the empty set has no first member")
        return (self._mask & -self._mask).bit_length() - 1

    def __iter__(self) -> t.Iterator[int]:
        # nearly all sets are one run
        rest = self._mask
        base = (rest & -rest).bit_length() - 1
        rest = (rest >> base) + 1 if rest else 0
        if not rest & (rest - 1):
            return iter(range(base, base + rest.bit_length() - 1))
        return itertools.chain.from_iterable(range(low, high + 1) for low, high in self.ranges())

    def __len__(self) -> int:
        return _count(self._mask)

    def __bool__(self) -> bool:
        return self._mask != 0

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and 0 <= number <= LARGEST_ID and bool(self._mask >> number & 1)

    def __hash__(self) -> int:
        # that of an integer is its remainder by 2**61 - 1: of all the masks with one bit there would be 61
        return hash((self._mask, self._mask.bit_length()))

    def __eq__(self, other: object) -> bool:
        return self._mask == other._mask if isinstance(other, CpuSet) else NotImplemented

    def __le__(self, other: "CpuSet") -> bool:
        return self._mask | other._mask == other._mask if isinstance(other, CpuSet) else NotImplemented

    def __lt__(self, other: "CpuSet") -> bool:
        return self <= other and self._mask != other._mask if isinstance(other, CpuSet) else NotImplemented

    def __ge__(self, other: "CpuSet") -> bool:
        return other <= self if isinstance(other, CpuSet) else NotImplemented

    def __gt__(self, other: "CpuSet") -> bool:
        return other < self if isinstance(other, CpuSet) else NotImplemented

    def __and__(self, other: "CpuSet") -> "CpuSet":
        return CpuSet.from_mask(self._mask & other._mask) if isinstance(other, CpuSet) else NotImplemented

    def __or__(self, other: "CpuSet") -> "CpuSet":
        return CpuSet.from_mask(self._mask | other._mask) if isinstance(other, CpuSet) else NotImplemented

    def __xor__(self, other: "CpuSet") -> "CpuSet":
        return CpuSet.from_mask(self._mask ^ other._mask) if isinstance(other, CpuSet) else NotImplemented

    def __sub__(self, other: "CpuSet") -> "CpuSet":
        return CpuSet.from_mask(self._mask & ~other._mask) if isinstance(other, CpuSet) else NotImplemented


#: How a set comes into being, past its own refusal to be changed.
_new = object.__new__
_put = CpuSet.__dict__["_mask"].__set__


def _short_enough(text: str) -> str:
    if len(text) > LONGEST:
        raise CpuSetError(
            f"{shown(text)} has more than {LONGEST} characters: no set of CPUs or nodes needs them"
        )
    return text


def read_range(item: str, text: str) -> t.Tuple[int, int]:
    """Return the first and the last of one number ``8`` or range ``0-3``. `text` is the whole of which it is a part, for the message."""
    found = _RANGE.match(item)
    if not found:
        raise CpuSetError(
            f"{shown(text)} is no list of CPUs or nodes: {shown(item)} is neither a number nor a range such as 0-3"
        )
    # a number of a thousand digits must not be computed with
    low, high = (
        int(digits or "0") if len(digits) <= 5 else LARGEST_ID + 1
        for digits in (found.group(1).lstrip("0"), (found.group(2) or found.group(1)).lstrip("0"))
    )
    if max(low, high) > LARGEST_ID:
        raise CpuSetError(
            f"{shown(text)} goes beyond {LARGEST_ID}, the largest number that a CPU or node can have"
        )
    if high < low:
        raise CpuSetError(
            f"{shown(text)} is no list of CPUs or nodes: the range {shown(item)} runs backwards"
        )
    return low, high


def mask_of(runs: t.Sequence[t.Tuple[int, int]]) -> int:
    """Return the mask of all numbers in these ranges, which may overlap."""
    mask = 0
    if len(runs) <= _FEW:
        for low, high in runs:
            mask |= (1 << high + 1) - (1 << low)
        return mask
    ordered = sorted(runs)
    bits = bytearray(b"0") * (max(high for _low, high in ordered) + 1)
    done = 0
    for low, high in ordered:
        if high >= done:
            start = max(low, done)
            bits[start : high + 1] = b"1" * (high + 1 - start)
            done = high + 1
    bits.reverse()
    return int(bytes(bits), 2)
