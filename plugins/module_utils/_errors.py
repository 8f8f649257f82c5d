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
