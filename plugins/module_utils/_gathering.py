# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the modules gather that tell what a host is like: from the host itself, or from a recording. Private to this collection."""

import typing as t

from ._discovery.collecting import AUTO, RECORDING, collect
from ._discovery.component import Component
from ._errors import Failure
from ._module import open_xen
from ._toolstack import command
from ._topology.raw import RawHost

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

#: Arguments of modules that gather: where the answers come from.
SOURCE_ARGUMENTS: t.Dict[str, t.Dict[str, t.Any]] = {
    "source": {"type": "str", "choices": [AUTO, "hypercall", "xl", RECORDING], "default": AUTO},
    "recording": {"type": "path"},
}


def gather(
    module: "AnsibleModule", components: t.Sequence[Component], subset: t.Iterable[str] = ()
) -> RawHost:
    """Ask this host through `components`, `subset` besides its topology (see `_discovery/collecting.py`), or replay a recording.

    The module's arguments say which. Raises Failure when nobody can answer.
    """
    source = module.params["source"]
    if source == RECORDING:
        path = module.params["recording"]
        if not path:
            raise Failure("source is 'recording', so say which one: set recording to its path on this host.")
        # Few runs need it, and Python compiles anew what Ansible sends.
        from ._discovery import recordings

        host = recordings.read(path)
        recordings.narrow(host, frozenset(subset))
        return host
    return collect(
        components,
        source=source,
        subset=subset,
        run_command=command.run,
        open_xen=lambda: open_xen(module),
    )


def keep_recording(module: "AnsibleModule", host: RawHost, path: t.Optional[str]) -> t.Dict[str, t.Any]:
    """Write the recording to `path`, at once and whole, unless in check mode; without a path give it back. What goes into the result."""
    if not path:
        return {"changed": False, "recording": host.to_recording()}
    if not module.check_mode:
        from ._control import files
        from ._discovery import recordings

        # Readable for its owner only: it may name guests.
        files.write_whole(path, recordings.write(host).encode("utf-8"), alone=False)
    return {"changed": True, "recording_path": path}
