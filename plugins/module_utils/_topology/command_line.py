# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Xen's command line, word by word, and what a few of its words mean for placement. Pure.

Source: docs/misc/xen-command-line.pandoc of Xen; xen/common/kernel.c (_cmdline_parse, parse_bool).
"""

import re
import typing as t

from .model import Parameter

MOST_NODES = 64  # MAX_NUMNODES

_NO = frozenset(("no", "off", "false", "disable", "0"))


def parse(line: t.Optional[str]) -> t.Tuple[Parameter, ...]:
    """Return the words of the command line in their order."""
    found = []
    for word in (line or "").split():
        name, equals, value = word.partition("=")
        found.append(Parameter(name, value if equals else None))
    return tuple(found)


def last(parameters: t.Iterable[Parameter], name: str) -> t.Optional[str]:
    """Return the value of the last such word, "" for one without a value; None when there is none."""
    found = None
    for parameter in parameters:
        if parameter.name == name:
            found = parameter.value or ""
    return found


def switch(parameters: t.Iterable[Parameter], name: str) -> t.Optional[bool]:
    """Return how the last word sets a switch: ``smt``, ``smt=off``, ``no-smt``; None when there is none."""
    found = None
    for parameter in parameters:
        if parameter.name == name:
            found = parameter.value not in _NO
        elif parameter.name == "no-" + name:
            found = parameter.value in _NO
    return found


def made_up_nodes(parameters: t.Iterable[Parameter]) -> int:
    """Return how many NUMA nodes Xen was told to make up (``numa=fake=3``); 0 where it takes the firmware's.

    Another ``numa=`` after it does not take it back (numa_setup of xen/common/numa.c).
    """
    found = 0
    for parameter in parameters:
        asked = re.match("fake=([0-9]{0,9})", parameter.value or "") if parameter.name == "numa" else None
        if asked is not None:
            found = min(int(asked.group(1) or 0), MOST_NODES)
    return found


def numbers(text: str) -> t.Tuple[t.List[int], t.List[str]]:
    """Split a list such as ``0,3,strict`` into its numbers and its words."""
    there, words = [], []  # type: t.List[int], t.List[str]
    for item in text.split(","):
        if item.isdigit() and len(item) <= 10:
            there.append(int(item))
        elif item:
            words.append(item)
    return there, words
