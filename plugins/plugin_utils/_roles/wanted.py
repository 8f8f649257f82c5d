# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The guests that the hosts of a play ask for, made one list for the planner. Pure.

Of an entry, only what the role ``place_guests`` uses itself is checked here; the rest goes to the planner, which checks its own.

There may be passwords in configurations, and Ansible prints the facts that a role sets: what becomes a fact has no configuration in it, and no
message quotes one. :func:`guest_texts` has them, for the arguments of a task alone.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

from ...module_utils._errors import Failure, printable, shown
from ...module_utils._toolstack import xlcfg
from .files import is_file_name

Entry = t.Dict[str, t.Any]

_STATES = ("running", "paused")
# What the role needs to apply a plan; everything else in an entry belongs to the planner.
_OURS = ("config", "config_template", "path", "state", "timeout")
_FIELD = re.compile("[A-Za-z_][A-Za-z0-9_]{0,63}")


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
        raise Failure(f"give the text of an xl configuration or a mapping of its keys, not {_kind(config)}")
    return xlcfg.edit("", {str(key): _plain(value) for key, value in config.items()})


def _kind(value: t.Any) -> str:
    """What a value is, in YAML's words, for messages that must not quote it."""
    kinds = (
        (bool, "a boolean"),
        (str, "a text"),
        (int, "a number"),
        (t.Mapping, "a mapping"),
        (t.Sequence, "a list"),
    )
    return next(
        (word for kind, word in kinds if isinstance(value, kind)), "nothing" if value is None else "that"
    )


def _plain(value: t.Any) -> t.Any:
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _is_seconds(timeout: t.Any) -> bool:
    """Whether a time is a number of seconds from 1 up, at most thirty years."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, str)):
        return False
    if isinstance(timeout, str) and not re.fullmatch(r"[0-9]{1,9}", timeout):
        return False
    return 1 <= int(timeout) < 1_000_000_000


def _checked(entry: t.Any, at: _At, fields: t.Collection[str] | None) -> Entry:
    """One entry, the planner's fields apart from the role's; of its configuration only a digest, to compare it by."""
    if not isinstance(entry, t.Mapping):
        raise at.fail(f"give a mapping with at least name, vcpus and memory, not {_kind(entry)}.")
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise at.fail(f"name must be a text, not {'an empty one' if name == '' else _kind(name)}.")
    at = at._replace(name=name if len(name) <= 80 else name[:80] + "...")
    if not all(isinstance(key, str) and _FIELD.fullmatch(key) for key in entry):
        raise at.fail(
            "each field's name is a word of letters, digits and underscores, and one of them is not."
        )
    if name.startswith("-") or name != printable(name):
        raise at.fail("xl cannot be given a name that starts with a dash or holds a control character.")
    if entry.get("path") is None and not is_file_name(name + ".cfg"):
        raise at.fail(
            "a name with a slash or a dot in front, or one this long, gives no file name: add path, where its configuration belongs."
        )
    state = entry.get("state", "running")
    if state not in _STATES:
        raise at.fail(f"state must be one of {', '.join(_STATES)}, not {shown(state)}.")
    path = entry.get("path")
    if path is not None and (not isinstance(path, str) or not path.startswith("/")):
        raise at.fail(f"path must be an absolute path on the host, not {shown(path)}.")
    if "config" in entry and "config_template" in entry:
        raise at.fail("config and config_template exclude each other: give one of them.")
    template = entry.get("config_template")
    if template is not None and (not isinstance(template, str) or not template or "\n" in template):
        raise at.fail(
            "config_template must be the path of a template, not "
            f"{'the text of one' if isinstance(template, str) else _kind(template)}."
        )
    timeout = entry.get("timeout")
    if timeout is not None and not _is_seconds(timeout):
        raise at.fail(f"timeout must be a whole number of seconds from 1 up, not {shown(timeout)}.")
    content = _own_text(entry, at)
    return {
        "name": name,
        # What stands under a name that the planner does not know may be anything; it will say that it does not know it.
        "plan": {
            key: value if fields is None or key in fields else None
            for key, value in entry.items()
            if key not in _OURS
        },
        "config_digest": None if content is None else hashlib.sha256(xlcfg.encode(content)).hexdigest(),
        "config_template": template,
        "path": path,
        "state": state,
        "timeout": None if timeout is None else int(timeout),
    }


def _own_text(entry: t.Mapping[str, t.Any], at: _At) -> str | None:
    """The text of the configuration that an entry brings itself."""
    if entry.get("config") is None:
        return None
    try:
        return config_text(entry["config"])
    except Failure as error:
        raise at.fail(f"config: {error.message}") from error


def asked_guests(guests: t.Any, host: str, fields: t.Collection[str] | None = None) -> dict[str, t.Any]:
    """What one host asks for, checked: {"guests": [entry]}, or {"fault": a sentence}.

    `fields` are those that the planner knows; the values of others are left out. An entry is as :func:`wanted_guests` gives it, without label,
    and with a digest of its configuration.
    """
    try:
        if isinstance(guests, (str, t.Mapping)) or not isinstance(guests, t.Sequence):
            raise Failure(f"{host}: place_guests_guests must be a list of guests, not {_kind(guests)}.")
        places: dict[str, int] = {}
        entries = []
        for index, raw in enumerate(guests):
            entry = _checked(raw, _At(host, index), fields)
            if entry["name"] in places:
                raise _At(host, index, entry["name"]).fail(
                    f"the same name stands in entry {places[entry['name']]} already."
                )
            places[entry["name"]] = index
            entries.append(entry)
    except Failure as failure:
        return {"fault": failure.message}
    return {"guests": entries}


def guest_texts(guests: t.Sequence[Entry], rendered: t.Mapping[str, str] | None = None) -> dict[str, str]:
    """Text of the configuration of each of a host's guests that has one; `rendered`: name → the text that its template gave."""
    found = {}
    for index, entry in enumerate(guests):
        text = _own_text(entry, _At("this host", index, entry["name"]))
        if text is not None:
            found[entry["name"]] = text
    for name, text in (rendered or {}).items():
        try:
            found[name] = config_text(text)
        except Failure as error:
            raise Failure(f"{name}: config_template: {error.message}") from error
    return found


def with_texts(configs: t.Iterable[Entry], texts: t.Mapping[str, str]) -> list[Entry]:
    """Entries for guest_config with the texts that they are made from, as :func:`guest_texts` gives them."""
    return [
        {**entry, "content": texts[entry["name"]]} if entry["name"] in texts else dict(entry)
        for entry in configs
    ]


def wanted_guests(lists: t.Mapping[str, t.Any], inventory: t.Iterable[str] = ()) -> list[Entry]:
    """Join the lists of the play's hosts (host → what :func:`asked_guests` gave) into one, in the order in which guests first appear.

    A guest that every host lists, in the same words, may go to any of them. One that a single host lists is that host's.
    Anything between is an error, because it is a slip more often than a wish. A guest whose ``host`` is in the `inventory` but not
    in the play (as with ``--limit``) is left out. Each item::

        {"name", "plan": {fields for placement_plan}, "config_template", "path", "state", "timeout",
         "label": where it stands, for the planner's messages}

    Raises Failure that names the host, the entry and the field.
    """
    per_host: dict[str, dict[str, tuple[int, Entry]]] = {}
    for asking, asked in lists.items():
        if not isinstance(asked, t.Mapping) or not ("fault" in asked or "guests" in asked):
            raise Failure(f"{asking}: give what dom0.xen.asked_guests returns, not {_kind(asked)}.")
        if "fault" in asked:
            raise Failure(asked["fault"])
        # joining ties guests to hosts: the caller's data are not touched
        per_host[str(asking)] = {
            entry["name"]: (index, {**entry, "plan": dict(entry["plan"])})
            for index, entry in enumerate(asked["guests"])
        }
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
            del joined[name]["config_digest"]
    return [entry for entry in joined.values() if entry["plan"].get("host") not in elsewhere]
