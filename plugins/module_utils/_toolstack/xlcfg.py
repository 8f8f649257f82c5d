# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guest configurations as xl reads them: parse, look up, edit without touching any other byte. Private to this collection.

The language, as libxlutil's scanner and grammar define it (xl.cfg(5), "SYNTAX", is the short form; where the two differ, the
library is followed, because it is what starts the guest):

* a file is statements ``key = value`` or ``key += value``, ended by a newline or ``;``; empty statements are fine, and the last
  one needs no end;
* a key is ``[a-z][._0-9a-z]*``: lower case only;
* a value is a string in ``'`` or ``"``, a bare number ``[0-9][0-9a-fx]*`` (no sign), or a list ``[a, b, …]``, which may nest, run
  over several lines and end with a comma; newlines are allowed nowhere else inside a statement;
* blanks are space and tab: a carriage return is an error outside comments and strings;
* ``#`` starts a comment that must end with a newline: on a last line without one it is an error (a lone ``#`` is not);
* in strings ``\\`` escapes ``\\ ' " a b f n r t v``; an octal escape must have two more digits and yields nothing at all, a
  hexadecimal one is never accepted, nor is any other letter;
* of several assignments to a key the last one counts; ``+=`` (Xen 4.13) joins strings or lists with what came before, and a number
  made that way is not read as a number.

One thing is stricter here: the library overlooks a single character it cannot read when it is the very last of the file.

Text is `str`. Files are bytes in no certain encoding: :func:`decode` and :func:`encode` carry every byte through unchanged.
"""

import re
import typing as t

from .._errors import Failure

# One alternative a token. No flags, explicit classes: Python's \s, \d and `.` know more characters than the scanner does.
_TOKEN = re.compile(
    r"(?P<blank>[ \t]+)"
    r"|(?P<key>[a-z][._0-9a-z]*)"
    r"|(?P<number>[0-9][0-9a-fx]*)"
    r"|(?P<newline>\n|\#[^\n]*\n|\#\Z)"
    r"|(?P<string>'(?:[^'\\\n]|\\[^\n])*'|\"(?:[^\"\\\n]|\\[^\n])*\")"
    r"|(?P<mark>\+=|[,\[\]=;])"
)
_KEY = re.compile(r"[a-z][._0-9a-z]*\Z")
# strtol(3) with base 0, as xl calls it: leading blanks, a sign, 0x and 0 prefixes, and nothing behind.
_INTEGER = re.compile(
    r"[ \t\n\v\f\r]*(?P<sign>[+-]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0(?P<octal>[0-7]*)|(?P<decimal>[1-9][0-9]*))\Z"
)
# What the library does with an octal escape: strtoul(3) over the next three characters, and the result thrown away.
_OCTAL_REST = re.compile(r"[ \t\v\f\r]*[+-]?[0-9]+")
_ESCAPES = {
    "\\": "\\", "'": "'", '"': '"', "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
}  # fmt: skip
# In UTF-8, and the bytes that they are in Windows' code page 1252.
_TYPOGRAPHIC = tuple(
    "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a\u00ab\u00bb\u2032\u2033\u00b4`\udc91\udc92\udc93\udc94"
)
# Statements and expressions that no xl configuration has.
_PYTHON = re.compile(
    r"^[ \t]*(?:import[ \t]+\w|from[ \t]+[\w.]+[ \t]+import\b|def[ \t]+\w+[ \t]*\(|class[ \t]+\w+.*:"
    r"|(?:if|elif|for|while|with)\b.*:[ \t]*(?:#.*)?$|(?:else|try|finally|except.*):[ \t]*(?:#.*)?$|(?:print|return|raise)\b[^=]*$)"
    r"|^[ \t]*[a-zA-Z_]\w*[ \t]*=[ \t]*(?:[a-zA-Z_][\w.]*[ \t]*\(|\"{3}|'{3}|\{|\(|(?:None|True|False)\b)"
    r"|^[ \t]*[a-zA-Z_]\w*[ \t]*\+?=[ \t]*(?:\[[ \t]*)?(?:'[^'\n]*'|\"[^\"\n]*\"|\[[^\[\n]*\])[ \t]*[%+][ \t]*[\"'(\[a-zA-Z_]",
    re.MULTILINE,
)
_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1
_LONG_DIGITS = 19
_DEEPEST = 50

Plain = t.Union[str, int, t.List[t.Any]]
Wanted = t.Union[str, int, t.Sequence[t.Any]]


class ConfigSyntaxError(Failure):
    """xl would refuse this text. `line` and `column` count from 1, `reason` says what is wrong.

    What stands there is not quoted: it may be a piece of a password whose quotes are missing.
    """

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__("line {0}, column {1}: {2}".format(line, column, reason))
        self.reason = reason
        self.line = line
        self.column = column


class Atom(t.NamedTuple):
    """A string or a bare number: `text` as xl gets it, `quote` (``'``, ``"`` or empty for a number), its place in the text."""

    text: str
    quote: str
    start: int
    end: int


class Items(t.NamedTuple):
    """A list, with the place of its brackets."""

    items: t.Tuple[t.Any, ...]
    start: int
    end: int


Value = t.Union[Atom, Items]


class Statement(t.NamedTuple):
    """One assignment. ``text[start:end]`` is all of it, without blanks, separator or comment around it."""

    key: str
    operator: str
    operator_start: int
    value: Value
    start: int
    end: int
    line: int


class Config:
    """A parsed configuration: `text`, its `statements` in order, and what xl would find under a key."""

    def __init__(self, text: str, statements: t.Iterable[Statement]) -> None:
        self.text = text
        self.statements = tuple(statements)
        self._values = {}  # type: t.Dict[str, Value]
        self._last = {}  # type: t.Dict[str, Statement]
        for statement in self.statements:
            self._values[statement.key] = self._joined(statement)
            self._last[statement.key] = statement

    def _joined(self, statement: Statement) -> Value:
        before = self._values.get(statement.key)
        value = statement.value
        if statement.operator == "=":
            return value
        if isinstance(value, Items) and (before is None or isinstance(before, Items)):
            return value._replace(items=(before.items if before else ()) + value.items)
        if isinstance(value, Atom) and (before is None or isinstance(before, Atom)):
            # Quoted, because xl never takes the outcome for a number.
            return value._replace(text=(before.text if before else "") + value.text, quote=value.quote or '"')
        line, column = _place(self.text, statement.operator_start)
        raise ConfigSyntaxError("a list and a single value cannot be added to each other", line, column)

    def keys(self) -> t.List[str]:
        """Every key that has a value, in the order of first appearance."""
        return list(self._values)

    def value(self, key: str) -> t.Optional[Value]:
        """The effective value with its place (of the last statement), or None."""
        return self._values.get(key)

    def last(self, key: str) -> t.Optional[Statement]:
        """The statement that decides about `key`, or None."""
        return self._last.get(key)

    def get(self, key: str) -> t.Optional[Plain]:
        """The effective value: None, a string, an int (bare numbers that xl can read as one), or a list of such."""
        value = self._values.get(key)
        return None if value is None else plain(value)

    def string(self, key: str) -> t.Optional[str]:
        """The value as xl gets it where it wants a string (a bare number is its digits); Failure for a list."""
        value = self._values.get(key)
        if value is None:
            return None
        if isinstance(value, Items):
            raise Failure(
                "line {0}: {1} is a list, xl wants a single value there".format(self._last[key].line, key)
            )
        return value.text

    def integer(self, key: str) -> t.Optional[int]:
        """The value as xl gets it where it wants a number, quoted or not; Failure where xl would warn and ignore it."""
        text = self.string(key)
        if text is None:
            return None
        number = to_integer(text)
        if number is None or self._last[key].operator == "+=":
            raise Failure(
                "line {0}: {1} must be a number, xl would ignore what it is".format(self._last[key].line, key)
            )
        return number


def decode(data: bytes) -> str:
    """Bytes of a file as text in which every byte survives, whatever the encoding. The way back is :func:`encode`."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The bytes that :func:`decode` was given."""
    return text.encode("utf-8", "surrogateescape")


def to_integer(text: str) -> t.Optional[int]:
    """What strtol(3) with base 0 makes of the whole of `text`; None when it is not a number or does not fit a long."""
    match = _INTEGER.match(text)
    if not match:
        return None
    if match.group("hex"):
        number = int(match.group("hex"), 16)
    elif match.group("decimal"):
        # Python computes long with a number of thousands of digits, or not at all
        if len(match.group("decimal")) > _LONG_DIGITS:
            return None
        number = int(match.group("decimal"))
    else:
        number = int(match.group("octal") or "0", 8)
    number = -number if match.group("sign") == "-" else number
    return number if _LONG_MIN <= number <= _LONG_MAX else None


def plain(value: Value) -> Plain:
    """A value without its place: str, int or list."""
    if isinstance(value, Items):
        return [plain(item) for item in value.items]
    if not value.quote:
        number = to_integer(value.text)
        if number is not None:
            return number
    return value.text


def parse(text: str) -> Config:
    """Read a configuration as xl does. Raises ConfigSyntaxError where xl would refuse it."""
    return Config(text, _Parser(text).statements())


def edit(text: str, changes: t.Mapping[str, t.Optional[Wanted]]) -> str:
    """Return `text` with `changes` made: a key with a value is set, a key with None is removed.

    Only the statements concerned change; every other byte stays. A key that already has the value wanted (as xl would read it)
    is left alone, however it is written. Where a key is assigned several times, setting changes the last one, the only one xl
    heeds; removing removes all. A statement is removed with its line unless something else stands on it. New keys are
    appended in the order of `changes`. Values are str, int, or lists of them.

    Raises ConfigSyntaxError where xl would refuse `text`, and Failure for a key or value that the language cannot express.
    """
    before = parse(text)
    config = before
    for key, value in changes.items():
        if not _KEY.match(key):
            # No more of it than its first word: a whole setting may have been given for a key.
            raise Failure(
                "what begins with {0!r} cannot be a key of an xl configuration: use lower-case letters, digits, dots, underscores".format(
                    t.cast("t.Match[str]", re.match("[A-Za-z_]{0,20}", key)).group()
                )
            )
        if value is None:
            while config.last(key) is not None:
                config = parse(_without(config, t.cast(Statement, config.last(key))))
        elif not holds(config, key, value):
            config = parse(_with(config, key, value))
    _verify(before, config, changes)
    return config.text


def holds(config: Config, key: str, wanted: Wanted) -> bool:
    """Whether xl would already read `wanted` under `key`."""
    statement, value = config.last(key), config.value(key)
    if statement is None or value is None:
        return False
    if isinstance(wanted, int):
        # xl does not take a number from a `+=`.
        return isinstance(value, Atom) and statement.operator == "=" and to_integer(value.text) == int(wanted)
    return _equal(value, wanted)


def render(value: Wanted, quote: str = '"') -> str:
    """Write a value in the language. Raises Failure for what it has no way to say."""
    if isinstance(value, int):
        if not _LONG_MIN <= value <= _LONG_MAX:
            raise Failure("a number is larger than any that xl reads")
        return str(int(value)) if value >= 0 else quote + str(int(value)) + quote
    if isinstance(value, str):
        if "\0" in value:
            raise Failure("a value with a NUL byte cannot stand in an xl configuration")
        return quote + value.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n") + quote
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(render(item, quote) for item in value) + "]"
    raise Failure(
        "an xl configuration holds strings, numbers and lists, not what Python calls {0}".format(
            type(value).__name__
        )
    )


def _equal(value: Value, wanted: Wanted) -> bool:
    if isinstance(value, Items):
        return (
            isinstance(wanted, (list, tuple))
            and len(wanted) == len(value.items)
            and all(_equal(have, want) for have, want in zip(value.items, wanted))
        )
    # Inside lists xl takes strings, so 2 and "2" are the same, and 0x2 is not.
    return isinstance(wanted, (str, int)) and value.text == (
        wanted if isinstance(wanted, str) else str(int(wanted))
    )


def _with(config: Config, key: str, value: Wanted) -> str:
    text, statement = config.text, config.last(key)
    if statement is None:
        return text + ("" if not text or text.endswith("\n") else "\n") + key + " = " + render(value) + "\n"
    old = statement.value
    operator_end = statement.operator_start + len(statement.operator)
    return "".join(
        (
            text[: statement.operator_start],
            "=",
            text[operator_end : old.start],
            render(value, _quote_of(old) or '"'),
            text[old.end :],
        )
    )


def _quote_of(value: Value) -> str:
    """The kind of quote that the author of a value used, so that its successor looks alike."""
    if isinstance(value, Items):
        return next((quote for quote in map(_quote_of, value.items) if quote), "")
    return value.quote


def _without(config: Config, statement: Statement) -> str:
    text = config.text
    start, end = statement.start, statement.end
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    before, after = text[line_start:start], text[end:line_end]
    if not before.strip(" \t;") and not after.strip(" \t;"):
        return text[:line_start] + text[line_end + 1 :]
    behind = t.cast("t.Match[str]", re.match(r"[ \t]*(;[ \t]*)?", after))
    ahead = re.search(r"[ \t]*;[ \t]*\Z", before)
    if behind.group(1) or not ahead:
        return text[:start] + text[end + behind.end() :]
    return text[: line_start + ahead.start()] + text[end:]


def _verify(before: Config, after: Config, changes: t.Mapping[str, t.Optional[Wanted]]) -> None:
    """Read the result back: better no edit than a wrong one."""
    for key, value in changes.items():
        if (after.last(key) is not None) if value is None else not holds(after, key, value):
            raise Failure(
                "the edit of {0} did not come out as asked; nothing was changed, please report this".format(
                    key
                )
            )
    others = [
        [(s.key, s.operator, plain(s.value)) for s in config.statements if s.key not in changes]
        for config in (before, after)
    ]
    if others[0] != others[1]:
        raise Failure("the edit would have changed other keys; nothing was changed, please report this")


def _place(text: str, offset: int) -> t.Tuple[int, int]:
    """Line and column (from 1) of an offset."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


class _Token(t.NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _Parser:
    """Recursive descent over the grammar above. One token of look-ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._offset = 0
        self._token = self._scan()

    def statements(self) -> t.Iterator[Statement]:
        while self._token.kind != "end":
            if self._at("newline") or self._at("mark", ";"):
                self._next()
                continue
            yield self._assignment()
            if not (self._at("newline") or self._at("mark", ";") or self._at("end")):
                raise self._error("a newline or ';' must stand between two settings")

    def _assignment(self) -> Statement:
        key = self._token
        if key.kind != "key":
            raise self._error("a setting starts with its key, in lower case")
        self._next()
        operator = self._token
        if operator.text not in ("=", "+="):
            raise self._error("'=' or '+=' must follow the key")
        self._next()
        value = self._value(0)
        return Statement(
            key=key.text,
            operator=operator.text,
            operator_start=operator.start,
            value=value,
            start=key.start,
            end=value.end,
            line=_place(self._text, key.start)[0],
        )

    def _value(self, depth: int) -> Value:
        token = self._token
        if token.kind == "number":
            self._next()
            return Atom(token.text, "", token.start, token.end)
        if token.kind == "string":
            self._next()
            return Atom(self._unquote(token), token.text[0], token.start, token.end)
        if not self._at("mark", "["):
            raise self._error("a value is a quoted string, a number or a list in brackets")
        if depth == _DEEPEST:
            raise self._error("lists are nested too deeply")
        return self._list(depth)

    def _list(self, depth: int) -> Items:
        start = self._token.start
        items = []  # type: t.List[Value]
        self._next()
        self._newlines()
        while not self._at("mark", "]"):
            items.append(self._value(depth + 1))
            self._newlines()
            if self._at("mark", ","):
                self._next()
                self._newlines()
            elif not self._at("mark", "]"):
                raise self._error("',' or ']' must follow a value in a list")
        end = self._token.end
        self._next()
        return Items(tuple(items), start, end)

    def _newlines(self) -> None:
        while self._at("newline"):
            self._next()

    def _unquote(self, token: _Token) -> str:
        source = token.text[1:-1]
        if "\0" in source:
            raise self._error("a string cannot hold a NUL byte", token)
        if "\\" not in source:
            return source
        out = []  # type: t.List[str]
        at = 0
        while at < len(source):
            char = source[at]
            at += 1
            if char != "\\":
                out.append(char)
                continue
            char = source[at]  # the scanner let no string end with a lone backslash
            at += 1
            if char in _ESCAPES:
                out.append(_ESCAPES[char])
                continue
            rest = _OCTAL_REST.match(source[at : at + 3]) if char in "01234567" else None
            if rest is None or rest.end() < 2:
                raise self._error(
                    "xl knows no such escape as there is in this string; a backslash itself is written twice",
                    token,
                )
            at += rest.end()
        return "".join(out)

    def _at(self, kind: str, text: t.Optional[str] = None) -> bool:
        return self._token.kind == kind and text in (None, self._token.text)

    def _next(self) -> None:
        self._token = self._scan()

    def _scan(self) -> _Token:
        while self._offset < len(self._text):
            match = _TOKEN.match(self._text, self._offset)
            start = self._offset
            if match is None:
                raise self._unreadable(start)
            self._offset = match.end()
            if match.lastgroup != "blank":
                return _Token(t.cast(str, match.lastgroup), match.group(), start, match.end())
        return _Token("end", "", self._offset, self._offset)

    def _unreadable(self, start: int) -> ConfigSyntaxError:
        line = self._text[start:].partition("\n")[0]
        reasons = {
            "\r": "xl refuses carriage returns: save the file with Unix line ends",
            "#": "a comment on the last line must end with a newline, else xl refuses it",
            "'": "the string is not closed on its line",
            '"': "the string is not closed on its line",
        }
        reason = reasons.get(line[:1], "xl does not know this character here")
        if line[:1] in _TYPOGRAPHIC:
            reason = "these are typographic quotes, as word processors and web pages have them: write plain ones, \" or '"
        elif line[:1] in tuple("+-.():"):
            reason = "xl configurations are not Python: strings stand in quotes and numbers have no sign"
        elif line[:1].isalpha():
            reason = "keys are lower case, and strings stand in quotes"
        return self._error(reason, _Token("unreadable", "", start, start))

    def _error(self, reason: str, token: t.Optional[_Token] = None) -> ConfigSyntaxError:
        if _PYTHON.search(self._text):
            reason += ". This configuration is written in Python, as xm took it, which xl does not run: write plain settings, see xl.cfg(5)"
        return ConfigSyntaxError(reason, *_place(self._text, (token or self._token).start))
