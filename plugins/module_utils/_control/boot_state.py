# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host shall have again after it has booted: the declared state, and the units that restore it. Pure. Private to this collection.

The state is {"state": 1, "cpupools": [..], "broken_affinity": .., "affinities": [..]}, in the words of the modules cpupool and
vcpu_affinity. Guests are in it by name or UUID: they have other numbers each time.
"""

import json
import typing as t

from .._errors import Failure
from . import affinity, cpupools

STATE_PATH = "/etc/dom0-xen/state.json"
#: Not below /usr/local, which the group staff may write to on Debian.
PROGRAM_PATH = "/var/lib/dom0-xen/restore.pyz"
UNIT_FOLDER = "/etc/systemd/system"
#: Where `systemctl enable` puts links to units for this target, which each of them names under [Install].
WANTS_FOLDER = UNIT_FOLDER + "/multi-user.target.wants"
BEFORE_GUESTS, AFTER_GUESTS = UNITS = ("dom0-xen-restore.service", "dom0-xen-restore-guests.service")

FORMAT = 1
#: What the entries of each section are, as the modules' arguments say it.
SECTIONS = {"cpupools": cpupools.ENTRY, "affinities": affinity.ENTRY}
#: Seconds that a boot may wait for a run that changes the host.
LOCK_PATIENCE = 60.0
#: Seconds after which systemd ends the program; what it had begun, the next run finishes.
MOST_SECONDS = 600

State = t.Dict[str, t.Any]
_TYPES = {"str": (str, "a text"), "bool": (bool, "true or false"), "list": (list, "a list of texts")}


def read_state(data: bytes) -> State:
    """The state from what is in its file. Raises Failure when there is anything in it that this version does not read."""
    state, faults = salvaged(data)
    if faults:
        raise Failure("{0}; write it again, or remove {1}".format("; ".join(faults), STATE_PATH))
    return state


def salvaged(data: bytes) -> t.Tuple[State, t.List[str]]:
    """As much of the state as can be read, and a sentence on each entry that cannot. Raises Failure when nothing can."""
    try:
        # Letters that are no UTF-8 come to be such as UTF-8 does not have: in the one entry that they are in.
        state = json.loads(data.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise Failure(f"{STATE_PATH} cannot be read ({error}): write it again, or remove it") from error
    if not isinstance(state, dict) or state.get("state") != FORMAT:
        raise Failure(
            f"{STATE_PATH} is not of the format {FORMAT} that this version reads: write it again, or remove it"
        )
    faults = []
    for section, spec in SECTIONS.items():
        entries = state.get(section, [])
        if not isinstance(entries, list):
            faults.append(f"{section} in {STATE_PATH} is no list")
            entries = []
        good = []
        for index, entry in enumerate(entries):
            fault = _fault(entry, spec)
            if fault is None:
                good.append(entry)
            else:
                faults.append(f"{section}[{index}] in {STATE_PATH} {fault}")
        state[section] = good
    return state, faults


def _fault(entry: t.Any, spec: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Optional[str]:
    """What is wrong with an entry, by the arguments that it came from; None for nothing."""
    if not isinstance(entry, dict):
        return "is no object"
    try:
        json.dumps(entry, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return "is not UTF-8"
    for key in sorted(set(entry) - set(spec)):
        return f"has {key!r}, which is unknown"
    for key, what in spec.items():
        value = entry.get(key)
        if value is None:
            if what.get("required"):
                return f"has no {key}"
            continue
        kind, words = _TYPES.get(what["type"], (object, ""))
        texts = value if isinstance(value, list) and kind is list else []
        if not isinstance(value, kind) or not all(isinstance(one, str) for one in texts):
            return f"has a {key} that is not {words}"
        if value not in what.get("choices", [value]):
            return f"has the {key} {value!r}, not one of {', '.join(what['choices'])}"
    return None


def merged(before: t.Optional[State], **sections: t.Any) -> State:
    """The state with those sections replaced that are not None, and what is not said (None) left out of their entries."""
    state = {"state": FORMAT, "cpupools": [], "broken_affinity": "refuse", "affinities": []}  # type: State
    state.update(before or {})
    for name, value in sections.items():
        if value is not None:
            state[name] = [_said(entry) for entry in value] if name in SECTIONS else value
    return state


def _said(entry: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    return {key: value for key, value in entry.items() if value is not None}


def written(state: State) -> str:
    """The text of the state's file."""
    return json.dumps(state, indent=2, sort_keys=True) + "\n"


def unit(name: str, python: str) -> str:
    """The text of one of the UNITS, which runs under the interpreter at the absolute path `python`."""
    if name == BEFORE_GUESTS:
        about, order = (
            "before guests start",
            "After=xen.service xenstored.service xen-init-dom0.service\nBefore=xendomains.service",
        )
        words = ""
    else:
        about, order = "of guests that have started", f"After={BEFORE_GUESTS} xendomains.service"
        words = " --guests"
    return f"""\
# Written by the module dom0.xen.boot_state.

[Unit]
Description=Restore Xen's cpupools and affinity {about} (dom0.xen)
{order}
ConditionPathExists=/proc/xen/capabilities

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec={MOST_SECONDS}
ExecStart={escaped(python)} -I {escaped(PROGRAM_PATH)}{words}

[Install]
WantedBy=multi-user.target
"""


def escaped(path: str) -> str:
    """A path as a word of ExecStart, in which systemd finds it again (systemd.service(5)). Raises Failure where it takes no such path."""
    if not path.isprintable() or any(char in path for char in "\"'\\"):
        raise Failure(
            f"systemd runs no program at {path!r}: quotes, backslashes and control characters must not be in its path"
        )
    return '"' + path.replace("%", "%%") + '"' if " " in path else path.replace("%", "%%")
