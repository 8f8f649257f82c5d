# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check that plain data (from JSON, from facts) has the shape that the code relies on, and name the spot where it has not.

A shape is a function that takes a value and raises :class:`MisfitError` when it does not fit. Shapes are built from smaller ones.
"""

import re
import typing as t

from .._errors import Failure, shown
from .cpuset import LARGEST_ID, CpuSet, CpuSetError

#: Characters of a text: a warning may name every CPU of a large host, one by one.
LONGEST_TEXT = 2**17
#: Members of a list, and keys of a dictionary, where nothing smaller is said.
MOST = LARGEST_ID + 1
MOST_DOMAINS = 32752  # DOMID_FIRST_RESERVED, xen/include/public/xen.h
MOST_NODES = 1024  # see `numa.py`
MOST_CORES = 16384  # as many as the CPUs that Xen can be built for
MOST_CACHES = 256  # kinds of them: a processor has a handful

_KEY = re.compile(r"(?:0|[1-9][0-9]{0,4})\Z", re.ASCII)
_DIGITS = re.compile(r"[0-9]+\Z", re.ASCII)
_PCI_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\Z", re.ASCII)

Shape = t.Callable[[t.Any], None]


class MisfitError(Exception):
    """A value that does not fit. `where` grows from the inside to the outside while the exception travels up."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = ""


def fit(value: t.Any, shape: Shape, what: str) -> None:
    """Raise :class:`Failure` with `what`, the spot and the problem unless `value` has this shape."""
    try:
        shape(value)
    except MisfitError as misfit:
        raise Failure(
            "{}: {} {}".format(what, misfit.where.lstrip(".") or "the whole", misfit.problem)
        ) from None


def _shown(value: t.Any) -> str:
    return shown(value, 40)


def _number(value: t.Any, low: int, high: int, name: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise MisfitError(f"should be {name}, not {_shown(value)}")


def whole(value: t.Any) -> None:
    """Accept a whole number from 0 to what 64 bits hold."""
    _number(value, 0, 2**64 - 1, "a whole number from 0 up")


def pages(value: t.Any) -> None:
    """Accept a number of pages that, in bytes, 64 bits hold whatever the size of a page."""
    _number(value, 0, 2**44 - 1, "a number of pages")


def word(value: t.Any) -> None:
    """Accept what 32 bits hold."""
    _number(value, 0, 2**32 - 1, "a number of 32 bits")


def number_id(value: t.Any) -> None:
    """Accept the number of a CPU, node, vCPU, domain or pool."""
    _number(value, 0, LARGEST_ID, f"a number from 0 to {LARGEST_ID}")


def signed(value: t.Any) -> None:
    """Accept any whole number that 64 bits hold."""
    _number(value, -(2**63), 2**64 - 1, "a whole number")


def fraction(value: t.Any) -> None:
    """Accept a number from 0 to what 64 bits hold, whole or not."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 2**64:
        raise MisfitError(f"should be a number from 0 up, not {_shown(value)}")


def text(value: t.Any) -> None:
    """Accept a text."""
    if not isinstance(value, str):
        raise MisfitError(f"should be a text, not {_shown(value)}")
    if len(value) > LONGEST_TEXT:
        raise MisfitError(f"should be a text of at most {LONGEST_TEXT} characters, and has {len(value)}")


def is_number(text: str, most: int = 9) -> bool:
    """Tell whether a text is a number of at most so many decimal digits, which int() reads whatever it is."""
    return bool(_DIGITS.match(text)) and len(text) <= most


def pci_address(value: t.Any) -> None:
    """Accept the address of a PCI device in full, ``0000:00:1f.2``."""
    text(value)
    if not _PCI_ADDRESS.match(value):
        raise MisfitError(f"should be the address of a PCI device such as 0000:00:1f.2, not {_shown(value)}")


def yes_no(value: t.Any) -> None:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise MisfitError(f"should be true or false, not {_shown(value)}")


def id_list(value: t.Any) -> None:
    """Accept a text in list format, ``0-3,8``."""
    if not isinstance(value, str):
        raise MisfitError(f"should be a text, not {_shown(value)}")
    try:
        CpuSet.parse(value)
    except CpuSetError as error:
        raise MisfitError(f"cannot be read: {error}") from None


def one_of(*choices: t.Any) -> Shape:
    """Accept one of these values."""

    def check(value: t.Any) -> None:
        # True is 1 to Python
        if isinstance(value, (dict, list, bool)) or value not in choices:
            raise MisfitError(
                "should be one of {}, not {}".format(
                    ", ".join(str(choice) for choice in choices), _shown(value)
                )
            )

    return check


def maybe(shape: Shape) -> Shape:
    """Accept None or what `shape` accepts."""

    def check(value: t.Any) -> None:
        if value is not None:
            shape(value)

    return check


def items(shape: Shape, most: int = MOST) -> Shape:
    """Accept a list of at most so many members, all of which fit `shape`."""

    def check(value: t.Any) -> None:
        if not isinstance(value, (list, tuple)):
            raise MisfitError(f"should be a list, not {_shown(value)}")
        _check_count(value, most)
        for index, item in enumerate(value):
            try:
                shape(item)
            except MisfitError as misfit:
                misfit.where = f"[{index}]{misfit.where}"
                raise

    return check


def _check_count(value: t.Sized, most: int) -> None:
    if len(value) > most:
        raise MisfitError(f"should have at most {most} members, and has {len(value)}")


def unique(shape: Shape, key: str, name: str) -> Shape:
    """Accept a list of dictionaries that fits `shape`, in which no two have the same value of `key`, which is what `name` says."""

    def check(value: t.Any) -> None:
        shape(value)
        seen = set()  # type: t.Set[t.Any]
        for index, item in enumerate(value):
            if item[key] in seen:
                misfit = MisfitError(f"is {_shown(item[key])}, which is the {name} of another beside it")
                misfit.where = f"[{index}].{key}"
                raise misfit
            seen.add(item[key])

    return check


def row(*shapes: Shape) -> Shape:
    """Accept a list of exactly as many members, each fitting its own shape."""

    def check(value: t.Any) -> None:
        if not isinstance(value, (list, tuple)) or len(value) != len(shapes):
            raise MisfitError(f"should be a list of {len(shapes)} values, not {_shown(value)}")
        for index, shape in enumerate(shapes):
            try:
                shape(value[index])
            except MisfitError as misfit:
                misfit.where = f"[{index}]{misfit.where}"
                raise

    return check


def keyed(shape: Shape) -> Shape:
    """Accept a dictionary whose keys are numbers written as text (JSON has no other keys) and whose values fit `shape`."""

    def check(value: t.Any) -> None:
        if not isinstance(value, dict):
            raise MisfitError(f"should be a dictionary, not {_shown(value)}")
        _check_count(value, MOST)
        for key, item in value.items():
            if not isinstance(key, str) or not _KEY.match(key) or int(key) > LARGEST_ID:
                raise MisfitError(
                    f"has the key {_shown(key)} where a number from 0 to {LARGEST_ID}, as a text, should be"
                )
            try:
                shape(item)
            except MisfitError as misfit:
                misfit.where = f".{key}{misfit.where}"
                raise

    return check


def named(shape: Shape) -> Shape:
    """Accept a dictionary whose keys are texts and whose values fit `shape`."""

    def check(value: t.Any) -> None:
        if not isinstance(value, dict):
            raise MisfitError(f"should be a dictionary, not {_shown(value)}")
        _check_count(value, MOST)
        for key, item in value.items():
            if not isinstance(key, str):
                raise MisfitError(f"has the key {_shown(key)} where a text should be")
            try:
                shape(item)
            except MisfitError as misfit:
                misfit.where = (
                    f".{key if key.isprintable() and len(key) <= 40 else _shown(key)}{misfit.where}"
                )
                raise

    return check


def record(required: t.Mapping[str, Shape], optional: t.Optional[t.Mapping[str, Shape]] = None) -> Shape:
    """Accept a dictionary with all `required` keys; `optional` ones are checked where present, others are left alone."""

    def check(value: t.Any) -> None:
        if not isinstance(value, dict):
            raise MisfitError(f"should be a dictionary, not {_shown(value)}")
        key = ""
        try:
            for key, shape in required.items():
                if key not in value:
                    raise MisfitError("is missing")
                shape(value[key])
            for key, shape in (optional or {}).items():
                if key in value:
                    shape(value[key])
        except MisfitError as misfit:
            misfit.where = f".{key}{misfit.where}"
            raise

    return check
