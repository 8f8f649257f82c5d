# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The guests that the hosts of a play ask for, made one list for the planner. Pure.

Of an entry, only what the role ``place_guests`` uses itself is checked here; the rest goes to the planner, which checks its own.
"""

from __future__ import annotations

import typing as t

from ...module_utils._errors import Failure
from ...module_utils._toolstack import xlcfg

Entry = t.Dict[str, t.Any]

_STATES = ("running", "paused")
# What the role needs to apply a plan; everything else in an entry belongs to the planner.
_OURS = ("config", "config_template", "path", "state", "timeout")


class _At(t.NamedTuple):
    """Where an entry stands, for messages."""

    host: str
    place: int
    name: str = ""

    def fail(self, text: str) -> Failure:
        name = f" ({self.name})" if self.name else ""
        return Failure(f"{self.host}: place_guests_guests[{self.place}]{name}: {text}")


def config_text(config: t.Any) -> str:
    """An xl configuration from a mapping of its keys, ``{"type": "pv", "vif": ["bridge=xenbr0"]}``; text stays as it is.

    Values are strings, numbers, booleans (1 and 0) and lists of them. Raises Failure for what the language cannot say, and for
    text that xl would refuse.
    """
    if isinstance(config, str):
        text = config if not config or config.endswith("\n") else config + "\n"
        xlcfg.parse(text)
        return text
    if not isinstance(config, t.Mapping):
        raise Failure(f"give the text of an xl configuration or a mapping of its keys, not {config!r}")
    return xlcfg.edit("", {str(key): _plain(value) for key, value in config.items()})


def _plain(value: t.Any) -> t.Any:
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _checked(entry: t.Any, at: _At) -> Entry:
    """One entry with its own text of configuration made; the planner's fields apart from the role's."""
    if not isinstance(entry, t.Mapping):
        raise at.fail(f"give a mapping with at least name, vcpus and memory, not {entry!r}.")
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise at.fail(f"name must be a text, not {name!r}.")
    at = at._replace(name=name)
    if "/" in name and "path" not in entry:
        raise at.fail("a name with a slash gives no file name: add path, where its configuration belongs.")
    if name.startswith("-") or "\n" in name or "\0" in name:
        raise at.fail("xl cannot be given a name that starts with a dash or holds a newline or NUL.")
    state = entry.get("state", "running")
    if state not in _STATES:
        raise at.fail(f"state must be one of {', '.join(_STATES)}, not {state!r}.")
    path = entry.get("path")
    if path is not None and (not isinstance(path, str) or not path.startswith("/")):
        raise at.fail(f"path must be an absolute path on the host, not {path!r}.")
    if "config" in entry and "config_template" in entry:
        raise at.fail("config and config_template exclude each other: give one of them.")
    template = entry.get("config_template")
    if template is not None and (not isinstance(template, str) or not template):
        raise at.fail(f"config_template must be the path of a template, not {template!r}.")
    timeout = entry.get("timeout")
    if timeout is not None and (isinstance(timeout, bool) or not str(timeout).isdigit() or int(timeout) < 1):
        raise at.fail(f"timeout must be a whole number of seconds from 1 up, not {timeout!r}.")
    content = None
    if entry.get("config") is not None:
        try:
            content = config_text(entry["config"])
        except Failure as error:
            raise at.fail(f"config: {error.message}") from error
    return {
        "name": name,
        "plan": {key: value for key, value in entry.items() if key not in _OURS},
        "content": content,
        "config_template": template,
        "path": path,
        "state": state,
        "timeout": None if timeout is None else int(timeout),
    }


def _list_of(host: str, guests: t.Any) -> dict[str, tuple[int, Entry]]:
    """One host's entries by name, with their places."""
    if isinstance(guests, (str, t.Mapping)) or not isinstance(guests, t.Sequence):
        raise Failure(f"{host}: place_guests_guests must be a list of guests, not {guests!r}.")
    found: dict[str, tuple[int, Entry]] = {}
    for index, raw in enumerate(guests):
        entry = _checked(raw, _At(host, index))
        name = entry["name"]
        if name in found:
            raise _At(host, index, name).fail(f"the same name stands in entry {found[name][0]} already.")
        found[name] = (index, entry)
    return found


def wanted_guests(lists: t.Mapping[str, t.Any], inventory: t.Iterable[str] = ()) -> list[Entry]:
    """Join the lists of the play's hosts (host → ``place_guests_guests``) into one, in the order in which guests first appear.

    A guest that every host lists, in the same words, may go to any of them. One that a single host lists is that host's.
    Anything between is an error, because it is a slip more often than a wish. A guest whose ``host`` is in the `inventory` but not
    in the play (as with ``--limit``) is left out. Each item::

        {"name", "plan": {fields for placement_plan}, "content": str|None, "config_template", "path", "state", "timeout",
         "label": where it stands, for the planner's messages}

    Raises Failure that names the host, the entry and the field.
    """
    per_host = {str(host): _list_of(str(host), guests) for host, guests in lists.items()}
    elsewhere = {str(host) for host in inventory} - set(per_host)
    joined: dict[str, Entry] = {}
    for host, entries in per_host.items():
        for name, (index, entry) in entries.items():
            if name in joined:
                continue
            at = _At(host, index, name)
            listed = [other for other in per_host if name in per_host[other]]
            for other in listed:
                if per_host[other][name][1] != entry:
                    raise at.fail(
                        f"{other} lists a guest of this name that is not the same; give them different names."
                    )
            if len(listed) == 1 and len(per_host) > 1:
                if entry["plan"].get("host") not in (None, host):
                    raise at.fail(f"only this host lists it, yet host is {entry['plan']['host']}.")
                entry["plan"]["host"] = host
            elif len(listed) < len(per_host):
                lost = [other for other in per_host if other not in listed]
                raise at.fail(
                    f"{', '.join(listed)} list it, {', '.join(lost)} do not: list it for all, or for the one host it belongs to."
                )
            joined[name] = {**entry, "label": f"{host}: place_guests_guests[{index}]"}
    return [entry for entry in joined.values() if entry["plan"].get("host") not in elsewhere]
