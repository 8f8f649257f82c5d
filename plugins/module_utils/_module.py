# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules share: how they fail, how they reach Xen. The only file in module_utils that knows Ansible.

Private to this collection.
"""

import contextlib
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ._errors import Failure, printable
from ._xen.connection import Xen, has_binding
from ._xen.errors import BindingMissing

#: Interpreters of the system that may have `_cffi_backend` where the one in use lacks it, in the order in which to try them.
INTERPRETERS = ("/usr/bin/python3", "/usr/libexec/platform-python", "/usr/local/bin/python3")


class Module(AnsibleModule):  # type: ignore[misc]  # ansible-core has no types
    """A module that prints nothing which a terminal would obey, whatever hosts, guests and files are called."""

    def exit_json(self, **result: t.Any) -> None:
        """End with this result."""
        result = printable(result, "\n")
        for entry in result.get("diff", ()):
            # printed as they are, a line each
            entry.update({key: printable(entry[key]) for key in entry if key.endswith("_header")})
        super().exit_json(**result)

    def fail_json(self, msg: str, **result: t.Any) -> None:
        """End with this sentence, and with what was done so far."""
        super().fail_json(printable(msg), **printable(result, "\n"))

    def warn(self, warning: str, **more: t.Any) -> None:
        """Warn in a sentence."""
        super().warn(printable(warning), **more)


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


#: The argument of modules whose actions may meet errors of Xen, see _topology/faults.py.
FAULT_ARGUMENTS: t.Dict[str, t.Dict[str, t.Any]] = {"allow_known_faults": {"type": "bool", "default": False}}
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


def use_binding() -> None:
    """See to it that this runs under an interpreter that can talk to Xen, if there is one, before anything is locked or written.

    Where this one lacks `_cffi_backend`, run the module again, once, under one that has it; this then does not return.
    """
    if not has_binding():
        _respawn()


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
