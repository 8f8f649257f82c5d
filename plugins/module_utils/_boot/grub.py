# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GRUB's generated menu: the entry that boots when nobody touches a key, and the line that it starts Xen with. Pure.

grub.cfg is a script. It is run here as GRUB does, with the variables that it sets itself and those of the environment block (grubenv). What
only the firmware knows (`grub_platform`, whether a file is there) is left open: both ways are gone, a variable has then several values,
and an answer is given only for what holds in all of them.

Source: GRUB's manual; grub-core/script/{lexer,parser}, grub-core/normal/menu.c (get_entry_number, menuentry_eq), util/grub.d/*.in of GRUB
2.02 to 2.12.
"""

import itertools
import re
import typing as t

from .._errors import Failure

#: More ways than this through a menu are not followed.
_MOST_WAYS = 64
_DEEPEST = 20
_LOADERS = ("multiboot", "multiboot2", "xen_hypervisor", "chainloader")
_XEN = re.compile(r"xen([-_.].*|)\Z", re.IGNORECASE)
# Variables that the firmware or GRUB itself sets.
_PLATFORM = {"grub_platform": ("pc", "efi"), "grub_cpu": ("i386", "x86_64")}

Read = t.Callable[[str], t.Optional[str]]


class Line(t.NamedTuple):
    """A line that starts Xen: the words for it, GRUB's command, the file of Xen, the entry's titles, the number of the line."""

    words: t.Tuple[str, ...]
    command: str
    image: str
    entry: str
    number: int


class NotUnderstood(Failure):
    """The menu has something that is not understood here, so that nothing can be said about it."""


def parse_environment(text: str) -> t.Dict[str, str]:
    """Return the variables of an environment block (grubenv)."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[name] = re.sub(r"\\(.)", r"\1", value)
    return found


def default_lines(
    text: str, environment: t.Optional[t.Mapping[str, str]] = None, read: Read = lambda name: None
) -> t.List[Line]:
    """Return the lines that the next boot may start Xen with, each way through the menu that the firmware may take.

    `environment` is what :func:`parse_environment` gives, None where there is no such file; `read` gives the text of another file that the
    menu names, "" for one that is not there, and None where that is not known. Raises NotUnderstood, also when what boots is not Xen.
    """
    run = _Run(environment, read)
    run.block(_Parser(text).block(), run.variables, True, run.entries, 0)
    if not run.entries:
        # What the script loads itself, without a menu.
        return _lines(run, run.loaded, "")
    found = []  # type: t.List[Line]
    for default in run.variables.get("default", ("0",)):
        chosen, titles = _chosen(run, run.entries, default, ())
        inner = _Run(environment, read)
        inner.functions, inner.variables = run.functions, dict(run.variables)
        inner.block(chosen.body, inner.variables, True, inner.entries, 0)
        found += _lines(inner, inner.loaded, ">".join(titles))
    return found


def _lines(run: "_Run", loaded: t.List[t.Tuple[str, t.List[t.List[str]], int]], entry: str) -> t.List[Line]:
    where = "the entry {0!r} that boots by default".format(entry) if entry else "the menu"
    found = []  # type: t.List[Line]
    for command, ways, number in loaded:
        ours = [words for words in ways if words and _XEN.match(words[0].rpartition("/")[2])]
        if found and ours:
            raise NotUnderstood("{0} loads Xen more than once".format(where))
        found += [Line(tuple(words[1:]), command, words[0], entry, number) for words in ours]
    if not found:
        raise NotUnderstood(
            "{0} does not start Xen{1}: choose one that does (GRUB_DEFAULT, or grub-set-default)".format(
                where,
                ", but " + ", ".join(sorted({words[0] for _c, ways, _n in loaded for words in ways if words}))
                if loaded
                else "",
            )
        )
    return found


class _Entry(t.NamedTuple):
    titles: t.Tuple[str, ...]
    identity: t.Tuple[str, ...]
    children: t.Optional[t.List[t.Any]]
    body: t.List[t.Any]
    sure: bool


def _chosen(
    run: "_Run", entries: t.List[_Entry], default: str, path: t.Tuple[str, ...]
) -> t.Tuple[_Entry, t.Tuple[str, ...]]:
    """The entry that `default` names: a number, a title or an id, and behind ``>`` the same for the submenu. GRUB takes the first if none."""
    head, rest = _split(default)
    index = 0
    if re.match(r"[0-9]+\Z", head):
        index = int(head) if int(head) < len(entries) else 0
        if not all(entry.sure for entry in entries[: index + 1]):
            raise NotUnderstood(
                "whether the menu has all entries before number {0} depends on the firmware: name the entry by its title or id in "
                "GRUB_DEFAULT".format(index)
            )
    elif head:
        named = [at for at, entry in enumerate(entries) if head in entry.titles + entry.identity]
        if not named and not all(entry.sure and (entry.titles or entry.identity) for entry in entries):
            raise NotUnderstood(
                "the default entry {0!r} is none of those in the menu; others come from files that it reads when it runs (blscfg, source), "
                "which are not followed: choose an entry of the menu with Xen (grub2-set-default)".format(
                    head
                )
            )
        index = named[0] if named else 0
    entry = entries[index]
    if not entry.sure:
        raise NotUnderstood(
            "whether the default entry {0!r} is in the menu depends on the firmware".format(head)
        )
    titles = path + entry.titles[:1]
    if entry.children is None:
        return entry, titles
    if not entry.children:
        raise NotUnderstood("the submenu {0!r}, which is the default, is empty".format(">".join(titles)))
    if not rest:
        # Upstream's GRUB takes the first entry then; others, such as Fedora's of 2.02, look for the same name or number once more.
        other = _chosen(run, entry.children, default, titles)
        if _chosen(run, entry.children, "0", titles) != other:
            raise NotUnderstood(
                "the default entry {0!r} is a submenu, and which of its entries boots depends on the release of GRUB: name one, such as "
                "{0}>0".format(default)
            )
        return other
    return _chosen(run, entry.children, rest, titles)


def _split(default: str) -> t.Tuple[str, str]:
    """What stands before the first single ``>``, with ``>>`` as one ``>``, and what stands behind it."""
    head = ""
    at = 0
    while at < len(default):
        if default[at] == ">":
            if default[at + 1 : at + 2] != ">":
                return head, default[at + 1 :]
            at += 1
        head += default[at]
        at += 1
    return head, ""


# --- the script


class _Command(t.NamedTuple):
    words: t.List[
        t.Any
    ]  # each a list of parts (kind, text): kind is "text", "quoted", "variable" or "quoted variable"
    block: t.Optional[t.List[t.Any]]
    number: int


class _If(t.NamedTuple):
    branches: t.List[t.Tuple[t.List[t.Any], t.List[t.Any]]]
    otherwise: t.List[t.Any]
    number: int


class _Loop(t.NamedTuple):
    body: t.List[t.Any]
    number: int


_BARE = re.compile(r"[^ \t\r\n'\"\\$;{}|&<>#]+|#")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z0-9_@?#*]+)\}|([A-Za-z_][A-Za-z0-9_]*|[0-9@?#*]))")


class _Parser:
    """Tokens are (kind, value, line): kind "word" with its parts, "end" of a command, or "mark" for a brace."""

    def __init__(self, text: str) -> None:
        self._tokens = list(self._scan(text))
        self._at = 0
        self._depth = 0

    @staticmethod
    def _scan(text: str) -> t.Iterator[t.Tuple[str, t.Any, int]]:
        at, number, size = 0, 1, len(text)
        parts = []  # type: t.List[t.Tuple[str, str]]
        inside = False  # a word has begun, be it empty
        while at < size:
            char = text[at]
            if inside and (char in " \t\r\n;{}|&<>"):
                yield "word", parts, number
                parts, inside = [], False
            if char in " \t\r":
                at += 1
            elif char == "\n" or char == ";":
                yield "end", char, number
                number += char == "\n"
                at += 1
            elif char == "#" and not inside:
                at = text.find("\n", at) if text.find("\n", at) >= 0 else size
            elif char in "{}":
                yield "mark", char, number
                at += 1
            elif char in "|&<>":
                raise NotUnderstood("line {0} of the menu has a {1!r} outside of quotes".format(number, char))
            elif char == "\\":
                if text[at + 1 : at + 2] == "\n":
                    number += 1
                else:
                    parts.append(("quoted", text[at + 1 : at + 2]))
                    inside = True
                at += 2
            elif char == "'":
                end = text.find("'", at + 1)
                if end < 0:
                    raise NotUnderstood("line {0} of the menu has a quote that is not closed".format(number))
                parts.append(("quoted", text[at + 1 : end]))
                number += text.count("\n", at, end)
                inside, at = True, end + 1
            elif char == '"':
                inside, at = True, at + 1
                parts.append(("quoted", ""))
                while at < size and text[at] != '"':
                    match = _VARIABLE.match(text, at)
                    if match is not None:
                        parts.append(("quoted variable", match.group(1) or match.group(2)))
                        at = match.end()
                        continue
                    if text[at] == "\\" and text[at + 1 : at + 2] in ('"', "\\", "$", "\n"):
                        at += 1
                        if text[at] == "\n":
                            number += 1
                            at += 1
                            continue
                    number += text[at] == "\n"
                    parts.append(("quoted", text[at]))
                    at += 1
                if at >= size:
                    raise NotUnderstood("the menu ends within a quote")
                at += 1
            elif char == "$":
                match = _VARIABLE.match(text, at)
                inside = True
                if match is None:
                    parts.append(("text", "$"))
                    at += 1
                else:
                    parts.append(("variable", match.group(1) or match.group(2)))
                    at = match.end()
            else:
                match = t.cast("t.Match[str]", _BARE.match(text, at))
                parts.append(("text", match.group()))
                inside, at = True, match.end()
        if inside:
            yield "word", parts, number
        yield "end", "", number

    def block(self, ends: t.Sequence[str] = ()) -> t.List[t.Any]:
        """Statements up to one of the words `ends`, which is taken as well and kept in `ended`."""
        found = []  # type: t.List[t.Any]
        self._depth += 1
        if self._depth > 4 * _DEEPEST:
            raise NotUnderstood("the menu is nested too deeply")
        while True:
            while self._at < len(self._tokens) and self._tokens[self._at][0] == "end":
                self._at += 1
            if self._at >= len(self._tokens):
                if ends:
                    raise NotUnderstood("the menu ends where {0} should come".format(" or ".join(ends)))
                self._depth -= 1
                return found
            kind, value, number = self._tokens[self._at]
            bare = value if kind == "mark" else _plain(value)
            if bare in ends:
                self._at += 1
                self._depth -= 1
                self.ended = bare
                return found
            if kind == "mark":
                raise NotUnderstood("line {0} of the menu has a {1!r} too many".format(number, value))
            found.append(self._statement(bare, number))

    ended = ""  # type: t.Optional[str]

    def _statement(self, bare: t.Optional[str], number: int) -> t.Any:
        if bare == "if":
            self._at += 1
            branches = []
            while True:
                condition = self.block(("then",))
                body = self.block(("elif", "else", "fi"))
                branches.append((condition, body))
                if self.ended != "elif":
                    break
            return _If(branches, self.block(("fi",)) if self.ended == "else" else [], number)
        if bare in ("for", "while", "until"):
            self.block(("do",))
            return _Loop(self.block(("done",)), number)
        words = []  # type: t.List[t.Any]
        block = None  # type: t.Optional[t.List[t.Any]]
        while self._at < len(self._tokens):
            kind, value, _number = self._tokens[self._at]
            if kind == "end":
                break
            self._at += 1
            if kind == "mark":
                if value == "}":
                    self._at -= 1
                    break
                block = self.block(("}",))
                break
            words.append(value)
        return _Command(words, block, number)


def _plain(parts: t.List[t.Tuple[str, str]]) -> t.Optional[str]:
    """A word without quotes and variables, as reserved words are."""
    return "".join(text for _kind, text in parts) if all(kind == "text" for kind, _text in parts) else None


Variables = t.Dict[str, t.Tuple[str, ...]]


class _Run:
    """What a script has done so far: variables with the values that each may have, entries, and what was loaded."""

    def __init__(self, environment: t.Optional[t.Mapping[str, str]], read: Read) -> None:
        self._environment = environment
        self._read = read
        self.variables = dict(_PLATFORM)  # type: Variables
        self.functions = {}  # type: t.Dict[str, t.List[t.Any]]
        self.entries = []  # type: t.List[_Entry]
        self.loaded = []  # type: t.List[t.Tuple[str, t.List[t.List[str]], int]]

    def block(
        self,
        statements: t.Iterable[t.Any],
        variables: Variables,
        sure: bool,
        entries: t.List[_Entry],
        depth: int,
    ) -> t.Optional[bool]:
        """Run statements; return whether the last one succeeded, None when that is not known."""
        if depth > _DEEPEST:
            raise NotUnderstood("the menu is nested too deeply")
        outcome = True  # type: t.Optional[bool]
        for statement in statements:
            if isinstance(statement, _If):
                outcome = self._if(statement, variables, sure, entries, depth + 1)
            elif isinstance(statement, _Loop):
                self._maybe([statement.body, []], variables, entries, depth + 1)
                outcome = None
            else:
                outcome = self._command(statement, variables, sure, entries, depth + 1)
        return outcome

    def _if(
        self, statement: _If, variables: Variables, sure: bool, entries: t.List[_Entry], depth: int
    ) -> t.Optional[bool]:
        possible = []  # type: t.List[t.List[t.Any]]
        for condition, body in statement.branches:
            holds = self.block(condition, variables, sure, entries, depth)
            if holds is not False:
                possible.append(body)
            if holds is True:
                break
        else:
            possible.append(statement.otherwise)
        if len(possible) == 1:
            return self.block(possible[0], variables, sure, entries, depth)
        self._maybe(possible, variables, entries, depth)
        return None

    def _maybe(
        self, bodies: t.List[t.List[t.Any]], variables: Variables, entries: t.List[_Entry], depth: int
    ) -> None:
        """Go each of several ways, and let variables have the values of all of them."""
        ways = []
        for body in bodies:
            way = dict(variables)
            self.block(body, way, False, entries, depth)
            ways.append(way)
        for name in {name for way in ways for name in way}:
            values = tuple(dict.fromkeys(value for way in ways for value in way.get(name, ("",))))
            if len(values) > _MOST_WAYS:
                raise NotUnderstood("the menu has too many ways to set {0}".format(name))
            variables[name] = values

    def _command(
        self, command: _Command, variables: Variables, sure: bool, entries: t.List[_Entry], depth: int
    ) -> t.Optional[bool]:
        first = _plain(command.words[0]) if command.words else None
        if first == "function" and len(command.words) > 1:
            self.functions[_plain(command.words[1]) or ""] = command.block or []
            return True
        if first in ("menuentry", "submenu"):
            self._entry(first, command, variables, sure, entries, depth)
            return True
        if command.block is not None and not command.words:
            return self.block(command.block, variables, sure, entries, depth)
        ways = self._expand(command.words, variables, command.number)
        names = {words[0] if words else "" for words in ways}
        if len(names) > 1:
            raise NotUnderstood(
                "line {0} of the menu: which command it is depends on the firmware".format(command.number)
            )
        name = names.pop()
        if name in self.functions:
            return self.block(self.functions[name], variables, sure, entries, depth)
        arguments = [words[1:] for words in ways]
        if name in ("[", "test"):
            outcomes = {self._test(words[: -1 if name == "[" else None]) for words in arguments}
            return outcomes.pop() if len(outcomes) == 1 else None
        if name == "set" or "=" in name:
            self._set(arguments if name == "set" else ways, variables)
            return True
        if name == "unset":
            for words in arguments:
                for word in words:
                    variables.pop(word, None)
            return True
        if name == "load_env":
            for key, value in (self._environment or {}).items():
                variables[key] = (value,)
            return self._environment is not None
        if name in ("source", "configfile", "normal", "."):
            return self._source(name, arguments, variables, sure, entries, depth)
        if name == "blscfg":
            entries.append(_Entry((), (), None, [], False))
            return None
        if name in _LOADERS:
            options = [
                list(itertools.dropwhile(lambda word: word.startswith("--"), words)) for words in arguments
            ]
            if not sure:
                raise NotUnderstood(
                    "line {0} of the menu: whether {1} runs depends on the firmware".format(
                        command.number, name
                    )
                )
            self.loaded.append((name, options, command.number))
            return True
        return {"true": True, "false": False}.get(name)

    def _entry(
        self,
        kind: str,
        command: _Command,
        variables: Variables,
        sure: bool,
        entries: t.List[_Entry],
        depth: int,
    ) -> None:
        titles, identities = [], []
        for words in self._expand(command.words[1:], variables, command.number):
            rest = []
            at = 0
            while at < len(words):
                if words[at] in ("--class", "--users", "--hotkey", "--source", "--id"):
                    if words[at] == "--id" and at + 1 < len(words):
                        identities.append(words[at + 1])
                    at += 2
                    continue
                if not words[at].startswith("--"):
                    rest.append(words[at])
                at += 1
            titles += rest[:1]
        children = None  # type: t.Optional[t.List[_Entry]]
        body = command.block or []
        if kind == "submenu":
            children = []
            self.block(body, dict(variables), sure, children, depth)
        entries.append(
            _Entry(tuple(dict.fromkeys(titles)), tuple(dict.fromkeys(identities)), children, body, sure)
        )

    def _source(
        self,
        name: str,
        arguments: t.List[t.List[str]],
        variables: Variables,
        sure: bool,
        entries: t.List[_Entry],
        depth: int,
    ) -> t.Optional[bool]:
        paths = {words[0] if words else "" for words in arguments}
        path = paths.pop() if len(paths) == 1 else ""
        text = self._read(path) if path else None
        if text is None:
            # What it has may be entries behind those that are there.
            entries.append(_Entry((), (), None, [], False))
            return None
        return self.block(_Parser(text).block(), variables, sure, entries, depth)

    def _set(self, ways: t.List[t.List[str]], variables: Variables) -> None:
        found = {}  # type: t.Dict[str, t.List[str]]
        for words in ways:
            for word in words:
                name, equals, value = word.partition("=")
                if equals:
                    found.setdefault(name, []).append(value)
        for name, values in found.items():
            variables[name] = tuple(dict.fromkeys(values))

    def _expand(self, words: t.List[t.Any], variables: Variables, number: int) -> t.List[t.List[str]]:
        """The words with their variables replaced, once for each way that these may be."""
        names = sorted({text for parts in words for kind, text in parts if kind.endswith("variable")})
        choices = [
            # GRUB says by these what it can.
            variables.get(name, ("y",) if name.startswith("feature_") else ("",))
            for name in names
        ]
        count = 1
        for choice in choices:
            count *= len(choice)
        if count > _MOST_WAYS:
            raise NotUnderstood("line {0} of the menu can be too many different things".format(number))
        ways = []  # type: t.List[t.List[str]]
        for values in itertools.product(*choices):
            way = _words(words, dict(zip(names, values)))
            if way not in ways:
                ways.append(way)
        return ways

    def _test(self, words: t.List[str]) -> t.Optional[bool]:
        """What ``[ ... ]`` comes to; None when only the firmware knows."""
        for joint, known in (("-o", True), ("-a", False)):
            if joint in words:
                at = words.index(joint)
                sides = {self._test(words[:at]), self._test(words[at + 1 :])}
                return known if known in sides else None if None in sides else not known
        if words[:1] == ["!"]:
            inner = self._test(words[1:])
            return None if inner is None else not inner
        if len(words) == 3 and words[1] in ("=", "==", "!="):
            return (words[0] == words[2]) is (words[1] != "!=")
        if len(words) == 2 and words[0] in ("-n", "-z"):
            return (words[1] != "") is (words[0] == "-n")
        if len(words) == 2 and words[0] in ("-s", "-f", "-e"):
            if words[1].rpartition("/")[2] == "grubenv":
                return self._environment is not None
            text = self._read(words[1])
            return None if text is None else text != ""
        if len(words) < 2:
            return bool(words and words[0])
        return None


def _words(words: t.List[t.Any], values: t.Mapping[str, str]) -> t.List[str]:
    found = []  # type: t.List[str]
    for parts in words:
        pieces, open_ended = [""], False
        for kind, text in parts:
            if kind != "variable":
                pieces[-1] += values[text] if kind == "quoted variable" else text
                open_ended = True
                continue
            # Without quotes a value is split where it has blanks.
            split = values[text].split()
            if values[text][:1].isspace() and pieces[-1]:
                pieces.append("")
            if split:
                pieces[-1] += split[0]
                pieces += split[1:]
                open_ended = True
            if values[text][-1:].isspace() and split:
                pieces.append("")
        found += [piece for piece in pieces if piece] if not open_ended or len(pieces) > 1 else pieces
    return found
