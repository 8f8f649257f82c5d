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

STATE_PATH = "/etc/dom0-xen/state.json"
PROGRAM_PATH = "/usr/local/lib/dom0-xen/restore.pyz"
UNIT_FOLDER = "/etc/systemd/system"
#: Where `systemctl enable` puts links to units for this target, which each of them names under [Install].
WANTS_FOLDER = UNIT_FOLDER + "/multi-user.target.wants"
BEFORE_GUESTS, AFTER_GUESTS = UNITS = ("dom0-xen-restore.service", "dom0-xen-restore-guests.service")

FORMAT = 1
SECTIONS = ("cpupools", "affinities")

State = t.Dict[str, t.Any]


def read_state(text: str) -> State:
    """The state from the text of its file. Raises Failure when it is none that this version reads."""
    try:
        state = json.loads(text)
    except ValueError as error:
        raise Failure(f"{STATE_PATH} cannot be read ({error}): write it again, or remove it") from error
    if not isinstance(state, dict) or state.get("state") != FORMAT:
        raise Failure(
            f"{STATE_PATH} is not of the format {FORMAT} that this version reads: write it again, or remove it"
        )
    for section in SECTIONS:
        entries = state.setdefault(section, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise Failure(f"{STATE_PATH}: {section} must be a list of objects: write it again, or remove it")
    return state


def merged(before: t.Optional[State], **sections: t.Any) -> State:
    """The state with those sections replaced that are not None, and what is not said (None) left out of their entries."""
    state = {"state": FORMAT, "cpupools": [], "broken_affinity": "refuse", "affinities": []}  # type: State
    state.update(before or {})
    for name, value in sections.items():
        if value is not None:
            state[name] = [_said(entry) for entry in value] if isinstance(value, list) else value
    return state


def _said(entry: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    return {key: value for key, value in entry.items() if value is not None}


def written(state: State) -> str:
    """The text of the state's file."""
    return json.dumps(state, indent=2, sort_keys=True) + "\n"


def unit(name: str, python: str) -> str:
    """The text of one of the UNITS."""
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
ExecStart={python} {PROGRAM_PATH}{words}

[Install]
WantedBy=multi-user.target
"""
