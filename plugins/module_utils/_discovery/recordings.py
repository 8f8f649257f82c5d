# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recordings: what was heard from a host as the text of a file, and back, on any machine."""

import json
import typing as t

from .._errors import Failure
from .._topology.dmi import DMI_SERIALS
from .._topology.raw import RawHost
from .._topology.recording import from_recording
from .component import DMI, DOMAINS, PCI, SERIALS

LARGEST = 64 << 20  # bytes; 4,096 CPUs with a thousand guests are below ten million

_WIDTH = 110


def text(value: t.Any, indent: str = "") -> str:
    """JSON in which whatever fits stays on one line, keys sorted: the same value gives the same text."""
    flat = json.dumps(value, sort_keys=True)
    if len(indent) + len(flat) <= _WIDTH or not isinstance(value, (dict, list)) or not value:
        return flat
    inner = indent + " "
    if isinstance(value, dict):
        parts = ["%s: %s" % (json.dumps(key), text(value[key], inner)) for key in sorted(value)]
    else:
        parts = [text(item, inner) for item in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    return "%s\n%s%s\n%s%s" % (first, inner, (",\n" + inner).join(parts), indent, last)


def write(host: RawHost) -> str:
    """The recording of a host, as the text of a file."""
    return text(host.to_recording()) + "\n"


def read(path: str) -> RawHost:
    """Read a recording from a file. Raises Failure when there is none, or it is damaged; the sentence says where."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise Failure("The recording %s cannot be read: %s." % (path, error.strerror or error)) from error
    if len(data) > LARGEST:
        raise Failure("The recording %s has more than %d bytes: no host's recording has." % (path, LARGEST))
    try:
        recording = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Failure("The recording %s is damaged: it is no JSON (%s)." % (path, error)) from error
    try:
        return from_recording(recording)
    except Failure as failure:
        raise Failure("%s: %s." % (path, failure.message)) from failure


#: What each subset puts into a recording.
SECTIONS = {
    DOMAINS: ("domains", "domain_names", "memory_by_node"),
    PCI: ("pci_devices", "pci_names", "pci_assigned"),
    DMI: ("dmi",),
}


def narrow(host: RawHost, subset: t.AbstractSet[str]) -> None:
    """Leave out what is in the recording and not in `subset`, as the host itself would have if it had not been asked for it.

    What is wanted and was not recorded becomes a warning.
    """
    if DOMAINS not in subset:
        for domain in host.data.get("domains", ()):
            if domain["domain"] == 0:
                host.data.setdefault("dom0_vcpus", domain["vcpus"])
    if SERIALS not in subset and "dmi" in host.data:
        host.data["dmi"] = {key: text for key, text in host.data["dmi"].items() if key not in DMI_SERIALS}
    for name, sections in SECTIONS.items():
        if name not in subset:
            for section in sections:
                host.data.pop(section, None)
        elif sections[0] not in host.data:
            host.warnings.append(
                "The recording was made without the subset '%s': it is not in these facts." % name
            )
