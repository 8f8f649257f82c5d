# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The elements of an hwloc XML, read with care: the text may come from anywhere.

It is limited in size, depth and numbers. A document type with declarations of its own (that is where entities are) is refused, and
the one that is named is never fetched. Whatever is wrong is a :class:`Failure` that names the element and its line.
"""

import re
import typing as t
from xml.parsers import expat

from .._errors import Failure
from .cpuset import LARGEST_ID, CpuSet, CpuSetError

LARGEST_TEXT = (
    32 * 2**20
)  # characters; the export of a host with 4,096 CPUs has 5 million, and with all zeros written out 20
LARGEST_COUNT = 500000  # elements
LARGEST_DEPTH = 200
LARGEST_SET = 11 * (LARGEST_ID + 1) // 32  # characters of a set with every bit that a CPU can have

NO_INDEX = 2**32 - 1  # what hwloc 1 wrote where a later one writes -1 or nothing

#: What hwloc called things before 2.0.
_OLD_KINDS = {"Socket": "Package"}

_WHOLE = re.compile(r"[0-9]{1,20}\Z", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?\Z", re.ASCII)
_INFINITE = "0xf...f"
_EVERYTHING = CpuSet.from_mask((1 << LARGEST_ID + 1) - 1)
#: Names that come again and again, each as the one string that Python has of it in this code.
_NAMES = (
    ("object", "type", "os_index", "gp_index", "cpuset", "complete_cpuset", "nodeset", "complete_nodeset")
    + ("info", "name", "value", "depth")
    + ("cache_type", "cache_size", "cache_linesize", "cache_associativity")
)
_WITH_TEXT = frozenset(("indexes", "u64values"))


class Element:
    """An XML element. `kind` is an object's type, by its present name. `line` is where it begins; `text` is kept of elements with numbers.

    `sets` has the sets that were read so far, by their text: on a large machine most stand in several elements.
    """

    __slots__ = ("attributes", "children", "kind", "line", "sets", "tag", "text")

    def __init__(self, tag: str, attributes: t.Dict[str, str], line: int, sets: t.Dict[str, CpuSet]) -> None:
        self.tag = tag
        self.attributes = attributes
        kind = attributes.get("type", "")
        self.kind = _OLD_KINDS.get(kind, kind)
        self.line = line
        # a list from the first one on: most have none
        self.children = ()  # type: t.Any
        self.text = ""
        self.sets = sets

    def __str__(self) -> str:
        title = "<" + self.tag
        for name in ("type", "os_index"):
            if name in self.attributes:
                title += f' {name}="{short(self.attributes[name])}"'
        return f"{title}> in line {self.line}"

    def below(self, *tags: str) -> "t.List[Element]":
        """Return the children with these tags."""
        return [child for child in self.children if child.tag in tags]

    def info(self, name: str) -> t.Optional[str]:
        """Return the value of the first info of that name, None when there is none."""
        for child in self.below("info"):
            if child.attributes.get("name") == name:
                return child.attributes.get("value", "")
        return None

    def number(self, name: str, largest: int) -> t.Optional[int]:
        """Return the number in an attribute; None when it is not there or says that there is none."""
        value = self.attributes.get(name, "-1")
        if value == "-1" or (name == "os_index" and value == str(NO_INDEX)):
            return None
        found = told_number(value, largest)
        if found is None:
            raise Failure(f'{self}: {name}="{short(value)}" should be a number from 0 to {largest}')
        return found

    def decimal(self, name: str) -> float:
        """Return the number in an attribute, which may have a fraction."""
        value = self.attributes.get(name, "")
        if not _DECIMAL.match(value):
            raise Failure(f'{self}: {name}="{short(value)}" should be a number such as 1.5')
        return float(value)

    def bitmap(self, name: str) -> t.Optional[CpuSet]:
        """Return the set in an attribute, None when it is not there. One without end has all the numbers that there can be."""
        value = self.attributes.get(name)
        if value is None:
            return None
        found = self.sets.get(value)
        if found is None:
            try:
                found = self.sets[value] = _bitmap(value)
            except CpuSetError as error:
                raise Failure(f"{self}: {name} cannot be read: {short(error.message, 160)}") from None
        return found

    def known_part(self, name: str) -> CpuSet:
        """Return the set in an attribute without the tail that has no end; the empty set when it is not there."""
        value = self.attributes.get(name, "")
        if not value.startswith(_INFINITE):
            return self.bitmap(name) or CpuSet()
        whole = self.bitmap(name) or CpuSet()
        bits = 32 * value.count(",")
        return whole & CpuSet.from_mask((1 << bits) - 1)

    def numbers(self, tag: str) -> t.List[int]:
        """Return the numbers that stand in the children with this tag."""
        numbers = []
        for child in self.below(tag):
            for word in child.text.split():
                if not _WHOLE.match(word):
                    raise Failure(f"{child}: {short(word)!r} is no number")
                numbers.append(int(word))
        return numbers


def _bitmap(text: str) -> CpuSet:
    if len(text) > LARGEST_SET:
        raise CpuSetError(f"it has more than {LARGEST_SET} characters")
    return CpuSet.from_hwloc(text, _EVERYTHING)


def short(text: str, length: int = 40) -> str:
    """Cut a text that goes into a message."""
    return text if len(text) <= length else text[: length - 3] + "..."


def lines(elements: t.Sequence["Element"]) -> str:
    """Say where elements are, for a message."""
    numbers = [str(element.line) for element in elements]
    if len(numbers) == 1:
        return "line " + numbers[0]
    more = f" and {len(numbers) - 8} more" if len(numbers) > 8 else ""
    return "lines " + ", ".join(numbers[:8]) + more


def told_number(text: t.Optional[str], largest: int) -> t.Optional[int]:
    """Return the number that a text is; None when it is none, or too large."""
    if text is None or not _WHOLE.match(text):
        return None
    number = int(text)
    return number if number <= largest else None


def told_set(text: t.Optional[str]) -> CpuSet:
    """Read a set in list format out of an info; what somebody else wrote there is none."""
    try:
        return CpuSet.parse(text or "")
    except CpuSetError:
        return CpuSet()


def told_mask(text: t.Optional[str]) -> CpuSet:
    """Read a set in hwloc's format out of an info."""
    try:
        return CpuSet.from_hwloc((text or "0x0")[:LARGEST_SET])
    except CpuSetError:
        return CpuSet()


def parse(text: t.Any) -> Element:
    """Read XML; :class:`Failure` for what is none, is too large, or declares entities."""
    if not isinstance(text, str):
        raise Failure(f"hwloc XML must be given as text, not as {type(text).__name__}")
    if len(text) > LARGEST_TEXT:
        raise Failure(f"this XML has more than {LARGEST_TEXT} characters: no machine's topology has")
    builder = _Builder()
    try:
        # the text was decoded already, whatever encoding its first line names
        builder.parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        reason = expat.errors.messages.get(error.code, "it is damaged")
        raise Failure(f"this is no well-formed XML: {reason} in line {error.lineno}") from None
    return t.cast(Element, builder.root)


class _Builder:
    """Makes elements out of what the parser reports."""

    def __init__(self) -> None:
        self.root = None  # type: t.Optional[Element]
        self.open = []  # type: t.List[Element]
        self.count = 0
        self.sets = {}  # type: t.Dict[str, CpuSet]
        # with names of ours the parser's are the same objects, which is what dictionaries compare first
        self.parser = expat.ParserCreate("utf-8", None, {name: name for name in _NAMES})
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end

    def doctype(
        self, _name: str, _system: t.Optional[str], _public: t.Optional[str], has_declarations: t.Any
    ) -> None:
        """Refuse entities where they would be declared. The file that the document type names is not read by this parser."""
        if has_declarations:
            raise Failure(
                f"the XML declares entities or the like in its document type (line {self.parser.CurrentLineNumber}), which hwloc never does: "
                "it is not read"
            )

    def start(self, tag: str, attributes: t.Dict[str, str]) -> None:
        """Begin an element."""
        element = Element(tag, attributes, self.parser.CurrentLineNumber, self.sets)
        self.count += 1
        if self.count > LARGEST_COUNT:
            raise Failure(f"this XML has more than {LARGEST_COUNT} elements: no machine's topology has")
        above = self.open
        if not above:
            self.root = element
        elif len(above) < LARGEST_DEPTH:
            parent = above[-1]
            if parent.children:
                parent.children.append(element)
            else:
                parent.children = [element]
        else:
            raise Failure(
                f"{element} lies more than {LARGEST_DEPTH} elements deep: in no machine's topology does one"
            )
        above.append(element)
        if tag in _WITH_TEXT:
            # only there: most text is what indents the elements
            self.parser.CharacterDataHandler = self.characters

    def end(self, tag: str) -> None:
        """Close the innermost element."""
        self.open.pop()
        if tag in _WITH_TEXT:
            self.parser.CharacterDataHandler = None

    def characters(self, text: str) -> None:
        """Keep the text of matrices."""
        self.open[-1].text += text
