# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This fragment is private to the collection: it may change or go away in any release.

"""Where a module that gathers has its answers from, and what one that changes something may do."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of `SOURCE_ARGUMENTS` and others in module_utils/_module.py and _changing.py."""

    DOCUMENTATION = r"""
options:
  source:
    description:
      - Where the answers come from.
      - V(auto) asks the hypervisor, and where that is impossible reads what C(xl) prints. A warning says why, and what is unknown then.
      - With V(hypercall) or V(xl) it is that one, or an error that says why not.
      - V(recording) asks nobody. It replays the file O(recording) on any machine, whether there is a Xen or not. The answers are those
        of the host that was recorded, as they were then, byte for byte.
    type: str
    choices:
      - auto
      - hypercall
      - xl
      - recording
    default: auto
  recording:
    description:
      - Absolute path, on the managed host, of a recording that M(dom0.xen.topology_facts) made. Needed with O(source=recording).
    type: path
"""

    # For modules that change something through hypercalls: WRITING_ARGUMENTS.
    WRITING = r"""
options:
  allow_unknown_xen:
    description:
      - Whether to change something on a hypervisor that is newer than this collection knows. Such a one is read, with a warning, once its
        answers have passed checks; nothing is changed on it unless this is V(true). The structures that are written have not changed
        from Xen 4.11 to 4.22.
    type: bool
    default: false
"""

    # For modules that change a host: LOCK_ARGUMENTS in module_utils/_changing.py.
    LOCKING = r"""
options:
  lock_timeout:
    description:
      - Seconds to wait while another run of this collection changes the host, whether from this play or another one. After that the task fails
        and names who that is, and nothing was done.
      - Not in check mode, which changes nothing and does not wait.
    type: int
    default: 600
"""

    # For modules whose actions may meet errors of Xen: FAULT_ARGUMENTS in module_utils/_module.py.
    FAULTS = r"""
options:
  allow_known_faults:
    description:
      - Whether to do what would meet an error of this host's release of Xen, such as one that can hang the host when a CPU goes offline. Without,
        it is refused, with the release that mends it; with it, there is a warning. C(docs/faults.md) has the list.
      - A distribution may have mended an error without saying so in the number of its release.
    type: bool
    default: false
"""
