# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules share: how they fail, how they reach Xen, how they gather. The only file in module_utils that knows Ansible.

Private to this collection.
"""

import contextlib
import typing as t

from ._discovery import registry
from ._errors import Failure
from ._topology.raw import RawHost
from ._xen.connection import Xen
from ._xen.errors import BindingMissing

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

#: Interpreters of the system that may have `_cffi_backend` where the one in use lacks it, in the order in which to try them.
INTERPRETERS = ("/usr/bin/python3", "/usr/libexec/platform-python", "/usr/local/bin/python3")


@contextlib.contextmanager
def failures(module: "AnsibleModule") -> t.Iterator[None]:
    """Within it, whatever is meant for the user ends the module with that one sentence and with what was done so far."""
    try:
        yield
    except Failure as failure:
        module.fail_json(msg=failure.message, **failure.result)
    except OSError as error:
        where = "" if error.filename is None else "%s: " % error.filename
        module.fail_json(msg="The system refused: %s%s." % (where, error.strerror or error))


#: The argument of modules that change something through hypercalls.
WRITING_ARGUMENTS: t.Dict[str, t.Dict[str, t.Any]] = {"allow_unknown_xen": {"type": "bool", "default": False}}


def open_xen(module: "AnsibleModule") -> Xen:
    """Open the way to the hypervisor; to write to one that the tables do not know only where WRITING_ARGUMENTS say so.

    Where this interpreter lacks `_cffi_backend`, run the module again, once, under one that has it; this then does not return.
    Raises what :meth:`Xen.open` raises.
    """
    try:
        return Xen.open(allow_unknown=bool(module.params.get("allow_unknown_xen")))
    except BindingMissing as missing:
        _respawn()
        # Still here: nobody on this host has it.
        missing.result.update({"interpreters_tried": list(INTERPRETERS)})
        raise


def _respawn() -> None:
    """Run this module under another interpreter and end with its result; return when there is none, or when this is that run."""
    # Needed by few hosts, so loaded only there.
    from ansible.module_utils.common.respawn import (
        has_respawned,
        probe_interpreters_for_module,
        respawn_module,
    )

    if has_respawned():
        return
    interpreter = probe_interpreters_for_module(list(INTERPRETERS), "_cffi_backend")
    if interpreter:
        respawn_module(interpreter)


HYPERCALL = "hypercall"

#: Arguments of modules that gather: where the answers come from.
SOURCE_ARGUMENTS: t.Dict[str, t.Dict[str, t.Any]] = {
    "source": {
        "type": "str",
        "choices": [registry.AUTO, HYPERCALL, "xl", registry.RECORDING],
        "default": registry.AUTO,
    },
    "recording": {"type": "path"},
}


def gather(module: "AnsibleModule", subset: t.Iterable[str] = ()) -> RawHost:
    """Ask this host, `subset` besides its topology (see `_discovery/registry.py`), or replay a recording.

    The module's arguments say which, if it has SOURCE_ARGUMENTS. One that has none is going to change something, which
    only the hypervisor's own word is good enough for. Raises Failure when nobody can answer.
    """
    source = module.params.get("source", HYPERCALL)
    if source == registry.RECORDING:
        path = module.params["recording"]
        if not path:
            raise Failure("source is 'recording', so say which one: set recording to its path on this host.")
        # Few runs need it, and Python compiles anew what Ansible sends.
        from ._discovery import recordings

        host = recordings.read(path)
        recordings.narrow(host, frozenset(subset))
        return host
    return registry.collect(
        source=source,
        subset=subset,
        run_command=lambda argv: _run(module, argv),
        open_xen=lambda: open_xen(module),
    )


def _run(module: "AnsibleModule", argv: t.List[str]) -> t.Tuple[int, str, str]:
    """Run a program of the toolstack, speaking plain English. Raises Failure when it is not installed."""
    program = module.get_bin_path(argv[0])
    if not program:
        raise Failure(
            "%s is not installed on this host (Debian: xen-utils-VERSION; XCP-ng and XenServer: xen-dom0-tools)."
            % argv[0]
        )
    rc, out, err = module.run_command([program] + argv[1:], environ_update={"LC_ALL": "C", "LANGUAGE": "C"})
    return rc, out, err


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
