# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one kind of exception that is meant for the user. Private to this collection.

Below the ground floor: every room may import it, it imports nobody. Rooms derive their own classes from :class:`Failure`; the
top floor turns any of them into one clear message and never shows a traceback for them.

What hosts, guests and files say is data: :func:`printable` makes text of it that a terminal shows and does not obey.
"""

import re
import typing as t

# Control characters (C0, DEL, C1), invisible ones and those that change the direction of writing, separators of lines, surrogates, and what is
# no character. Named one by one: str.isprintable() depends on the release of Python, and names have to be the same on every host.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e007f]"
)


def printable(value: t.Any, keep: str = "") -> t.Any:
    """A text, or every text in a list or mapping, with what does not print spelled out as ``\\x1b``, but for characters in `keep`.

    Bytes that are not UTF-8, as "surrogateescape" decodes them, become ``\\xNN``.
    """
    if isinstance(value, str):
        return _UNPRINTABLE.sub(
            lambda match: match.group() if match.group() in keep else _spell(match), value
        )
    if isinstance(value, dict):
        return {printable(key, keep): printable(item, keep) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable(item, keep) for item in value]
    return value


def _spell(match: t.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:
        return "\\x{0:02x}".format(code - 0xDC00)
    return match.group().encode("unicode_escape").decode("ascii")


class Failure(Exception):
    """Something that cannot go on, said in one sentence: what is wrong and what to do about it.

    `message` is that sentence, made printable. `result` is a JSON-able dict with what had been done until then; it goes to the user beside
    the message, so that nothing half-done stays unsaid.
    """

    def __init__(self, message: str, **result: t.Any) -> None:
        self.message = printable(message)  # type: str
        super().__init__(self.message)
        self.result: t.Dict[str, t.Any] = result

    def __str__(self) -> str:
        return self.message


def shown(value: t.Any, most: int = 60) -> str:
    """Quote a value in a message: its repr in at most so many characters, without computing more of it than that.

    The value may be anything that came from outside. A number of thousands of digits, which Python refuses to write, is described.
    """
    return _cut(_repr(value, most, 2), most)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _repr(value: t.Any, most: int, depth: int) -> str:
    if isinstance(value, str):
        # str() for its subclasses that templates make
        return repr(str(value[: most + 1]))
    if isinstance(value, bytes):
        return repr(value[: most + 1])
    if isinstance(value, int) and value.bit_length() > 4 * most:
        return "a number of %d bits" % value.bit_length()
    if isinstance(value, (list, tuple, dict)):
        if not depth:
            return "..."
        marks = {list: "[]", tuple: "()", dict: "{}"}[
            dict if isinstance(value, dict) else list if isinstance(value, list) else tuple
        ]
        parts = []
        for item in value:
            text = _cut(_repr(item, most, depth - 1), most)
            if isinstance(value, dict):
                text += ": " + _cut(_repr(value[item], most, depth - 1), most)
            parts.append(text)
            if sum(map(len, parts)) > most:
                break
        comma = "," if len(parts) == 1 and marks == "()" else ""
        return marks[0] + ", ".join(parts) + comma + marks[1]
    try:
        return _cut(repr(value), most)
    except Exception:
        return "a value of type %s" % type(value).__name__
