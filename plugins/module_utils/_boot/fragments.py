# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files in which words for Xen are set: a shell's settings, xen.cfg, and extlinux.conf. Pure: texts in, texts out.

What is written carries a mark, so that it is found again when other words are wanted, and every other byte stays as it is.
"""

import re
import typing as t

from .._errors import Failure

MARK = "dom0.xen.dom0"
_MARKED = re.compile(r"[ \t]*#[ \t]*" + re.escape(MARK) + r"(?:[ \t]+(?P<words>.*))?[ \t]*\Z")
#: What GRUB's own language reads as more than a letter of a word.
_SPECIAL = re.compile(r"[^A-Za-z0-9_.,:+/%@=\[\]-]")


class Assignment(t.NamedTuple):
    """A shell's assignment: the variable, its text as it stands, and its line (from 1)."""

    name: str
    text: str
    number: int


def assignments(text: str, names: t.Container[str]) -> t.List[Assignment]:
    """Return the assignments to some variables in a file of shell settings, in their order."""
    found = []
    for match in re.finditer(
        r"^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<plus>\+?)=(?P<text>(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.|[^\s\"'\\#;])*)",
        text,
        re.MULTILINE | re.DOTALL,
    ):
        if match.group("name") in names:
            before = "${0}".format(match.group("name")) if match.group("plus") else ""
            number = text.count("\n", 0, match.start("name")) + 1
            found.append(Assignment(match.group("name"), before + match.group("text"), number))
    return found


def quoted(word: str) -> str:
    """The word as GRUB's menu has to have it."""
    return "'{0}'".format(word) if _SPECIAL.search(word) else word


def added(name: str, words: t.Sequence[str]) -> str:
    """The line for a shell that adds words behind those that a variable has, with the mark."""
    return '{0}="${0} {1}" # {2}\n'.format(name, " ".join(words), MARK)


def shell_settings(text: str, name: str, words: t.Sequence[str]) -> str:
    """Return a file of shell settings with the one line that adds `words` to a variable, at its end; without words, without that line."""
    lines = [
        line for line in text.splitlines(True) if not (_MARKED.search(line.rstrip("\n")) and "=" in line)
    ]
    line = added(name, words) if words else None
    if line is not None and line in text.splitlines(True) and text.endswith(line):
        return text
    rest = "".join(lines)
    if line is None:
        return rest
    return rest + ("" if not rest or rest.endswith("\n") else "\n") + line


# --- xen.cfg, which xen.efi reads (xen/common/efi/boot.c: get_value, pre_parse)


def _cfg_lines(text: str) -> t.Iterator[t.Tuple[int, str, str, str]]:
    """(index, section, name, value) of the settings in the lines of the text."""
    section = ""
    # A last line without an end is not read.
    for index, line in enumerate(text.splitlines(True)):
        if not line.endswith(("\r", "\n")):
            return
        line = line.rstrip("\r\n")
        line = line.lstrip(" \t")
        if line.startswith(";"):
            continue
        line = line.partition("#")[0]
        if line.startswith("["):
            section = line[1:].partition("]")[0]
        elif "=" in line:
            name, _equals, value = line.partition("=")
            yield index, section, name, value.strip(" \t")


def cfg_section(text: str, section: t.Optional[str] = None) -> str:
    """The section that Xen boots: the one asked for, else the default of [global]. Raises Failure."""
    if section:
        return section
    for _index, where, name, value in _cfg_lines(text):
        if (where, name) == ("global", "default"):
            return value
    raise Failure("it has no default= in a section [global]: say there which section boots")


def cfg_options(text: str, section: str) -> t.Tuple[t.Optional[str], int]:
    """The options of a section, None where it has none, and the number of their line."""
    for index, where, name, value in _cfg_lines(text):
        if (where, name) == (section, "options"):
            return value, index + 1
    return None, 0


def cfg_edited(text: str, section: str, words: t.Sequence[str]) -> str:
    """Return xen.cfg with `words` behind the other options of the section, and those of an earlier edit gone. Raises Failure.

    Which words those are stands in a comment above the line.
    """
    lines = text.splitlines(True)
    options, number = cfg_options(text, section)
    ending = "\r\n" if "\r\n" in text else "\n"
    earlier = []  # type: t.List[str]
    if options is not None:
        above = _MARKED.match(lines[number - 2].rstrip("\r\n")) if number > 1 else None
        if above:
            earlier = (above.group("words") or "").split()
            del lines[number - 2]
            number -= 1
        line = lines[number - 1]
        head, _equals, _tail = line.partition("=")
        body = line.rstrip("\r\n")[len(head) + 1 :]
        kept, comment = re.match(r"([^#]*?)([ \t]*(?:#.*)?)\Z", body).groups()  # type: ignore[union-attr]
        there = kept
        if earlier:
            sequence = r"(?<!\S)" + r"[ \t]+".join(map(re.escape, earlier)) + r"(?!\S)[ \t]*"
            there = re.sub(sequence, "", kept, count=1).rstrip(" \t")
        lines[number - 1] = (
            head
            + "="
            + " ".join([part for part in [there] if part] + list(words))
            + comment
            + line[len(line.rstrip("\r\n")) :]
        )
        if words:
            lines.insert(number - 1, "# {0} {1}{2}".format(MARK, " ".join(words), ending))
        return "".join(lines)
    if not words:
        return text
    for index, line in enumerate(lines):
        if line.strip(" \t\r\n").startswith("[{0}]".format(section)):
            lines[index] = line if line.endswith(("\r", "\n")) else line + ending
            lines[index + 1 : index + 1] = [
                "# {0} {1}{2}".format(MARK, " ".join(words), ending),
                "options={0}{1}".format(" ".join(words), ending),
            ]
            return "".join(lines)
    raise Failure("it has no section [{0}], which is the one that boots".format(section))


# --- extlinux.conf (SYSLINUX), with Xen by mboot.c32


def extlinux_line(text: str) -> t.Tuple[t.Tuple[str, ...], str, int]:
    """The words for Xen of the label that boots by default, that label, and the number of the line. Raises Failure."""
    default = marked = None  # type: t.Optional[str]
    labels = {}  # type: t.Dict[str, t.Dict[str, t.Tuple[str, int]]]
    current = {}  # type: t.Dict[str, t.Tuple[str, int]]
    name = ""
    for number, line in enumerate(text.splitlines(), 1):
        word, rest = (line.split(None, 1) + ["", ""])[:2]
        word, rest = word.upper(), rest.strip()
        if word == "LABEL":
            name, current = rest, labels.setdefault(rest, {})
        elif word == "DEFAULT":
            default = rest
        elif word == "MENU" and rest.upper() == "DEFAULT" and name:
            marked = name
        elif word in ("KERNEL", "COM32", "LINUX"):
            current["KERNEL"] = (rest, number)
        elif word == "APPEND":
            current["APPEND"] = (rest, number)
    label = next((one for one in (marked, default) if one in labels), next(iter(labels), None))
    if label is None:
        raise Failure("it has no label")
    kernel, number = labels[label].get("KERNEL", ("", 0))
    append, where = labels[label].get("APPEND", ("", number))
    if kernel.split("/")[-1] != "mboot.c32":
        raise Failure(
            "its default label {0!r} starts {1}, not Xen by mboot.c32: set default= in update-extlinux.conf to a label with Xen".format(
                label, kernel or "nothing"
            )
        )
    # The first word is the file of Xen.
    return tuple(append.partition("---")[0].split()[1:]), label, where
