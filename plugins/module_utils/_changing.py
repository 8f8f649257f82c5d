# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules share that change a host: one at a time. Private to this collection."""

import contextlib
import typing as t

from ._control import lock
from ._module import use_binding

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

#: How long to wait for another run that changes this host.
LOCK_ARGUMENTS: t.Dict[str, t.Dict[str, t.Any]] = {
    "lock_timeout": {"type": "int", "default": int(lock.PATIENCE)}
}


@contextlib.contextmanager
def host_lock(module: "AnsibleModule") -> t.Iterator[t.Optional[int]]:
    """Hold the host's lock, whose descriptor the block gets, for the module; in check mode, which changes nothing, hold none.

    First the module goes on under an interpreter that can talk to Xen: the one that it starts would wait for a lock that this one holds.

    Raises Failure that names the holder, see :func:`._control.lock.host_lock`.
    """
    if module.check_mode:
        yield None
        return
    use_binding()
    with lock.host_lock(module._name, patience=module.params["lock_timeout"]) as descriptor:
        yield descriptor
