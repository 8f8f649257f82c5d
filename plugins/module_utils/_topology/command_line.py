# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Xen's command line: its words, and the settings that they come to. Pure.

A *setting* is one variable of Xen that words assign: ``(option, part)``, with part "" for what the option itself says. Of most options
the last word counts. Of those that are read in another way a :class:`Grammar` says how: here of what every module looks at, in
`dom0_boot.py` of what the facts tell, in `xen_options.py` of all.

Source: docs/misc/xen-command-line.pandoc of Xen; xen/common/kernel.c (parse_params, parse_bool, parse_boolean); and the function behind
each custom_param(), Xen 4.12 to 4.23-dev.
"""

import re
import typing as t

from .model import Parameter

MOST_NODES = 64  # MAX_NUMNODES

_NO = frozenset(("no", "off", "false", "disable", "0"))
_YES = frozenset(("yes", "on", "true", "enable", "1"))


Setting = t.Tuple[str, str]
Settings = t.Dict[Setting, t.Any]


def no_parts(found: Settings, option: str, part: str) -> None:
    """For a grammar without lists of parts."""


class Grammar(t.NamedTuple):
    """How options are read. `special` has a function for each that is like no other.

    parts        options whose value is a list of parts, each a setting of its own that stays as it is when a later word does not name it,
                 and the function that reads one part
    lists        options of which each word adds something to a list
    switches     options of which any value that is no switch's leaves them as they were
    """

    special: t.Mapping[str, t.Callable[[Settings, str], None]]
    parts: t.FrozenSet[str] = frozenset()
    assign_part: t.Callable[[Settings, str, str], None] = no_parts
    lists: t.FrozenSet[str] = frozenset()
    switches: t.FrozenSet[str] = frozenset()


def parse(line: t.Optional[str]) -> t.Tuple[Parameter, ...]:
    """Return the words of the command line in their order."""
    found = []
    for word in (line or "").split():
        name, equals, value = word.partition("=")
        found.append(Parameter(name, value if equals else None))
    return tuple(found)


def switch_value(text: str) -> t.Optional[bool]:
    """Return what Xen's parse_bool makes of a text; None for one that is no switch."""
    return True if text in _YES else False if text in _NO else None


def made_up_nodes(parameters: t.Iterable[Parameter]) -> int:
    """Return how many NUMA nodes Xen was told to make up (``numa=fake=3``); 0 where it takes the firmware's.

    Another ``numa=`` after it does not take it back (numa_setup of xen/common/numa.c).
    """
    return t.cast(int, settings(parameters).get(("numa", "fake"), 0))


def settings(parameters: t.Iterable[Parameter], grammar: t.Optional[Grammar] = None) -> Settings:
    """Return what the words come to, as Xen reads them from left to right. Without a `grammar`, only of ``numa`` and options of plain text.

    Values are bool for switches, a number or text for others, (subtracted, pages, percent) for ``dom0_mem``, and a tuple of numbers for
    ``dom0_nodes``. What was added to another list is a part of its own.
    """
    found = {}  # type: Settings
    for parameter in parameters:
        _assign(found, parameter.name, parameter.value, grammar or PLAIN)
    return found


def _assign(found: Settings, name: str, value: t.Optional[str], grammar: Grammar) -> None:
    """Let one word have its effect."""
    # Xen keeps 127 characters of a word.
    if value is not None:
        value = value[: max(0, 126 - len(name))]
    negated = name.startswith("no-")
    option = name[3:] if negated else name
    if negated and value:
        # A switch is turned round; what is none is refused then.
        flag = switch_value(value)
        if flag is not None and option in grammar.switches:
            found[(option, "")] = not flag
        return
    text = "no" if negated else value or ""
    if option in grammar.special:
        grammar.special[option](found, text)
    elif option in grammar.lists:
        found[(option, text)] = True
    elif option in grammar.parts:
        for part in text.split(","):
            grammar.assign_part(found, option, part)
    elif option:
        flag = switch_value(text) if text else True
        if flag is not None or option not in grammar.switches:
            found[(option, "")] = text if flag is None else flag


def _numa(found: Settings, text: str) -> None:
    match = re.match("fake=([0-9]{0,9})", text)
    if match is not None:
        found[("numa", "fake")] = min(int(match.group(1) or 0), MOST_NODES)
        found[("numa", "")] = True
    elif text.startswith("off"):
        found[("numa", "")] = False
    elif text.startswith("on"):
        found[("numa", "")] = True
    elif text.startswith("noacpi"):
        found[("numa", "noacpi")] = True


PLAIN = Grammar({"numa": _numa})
