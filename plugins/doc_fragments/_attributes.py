# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This fragment is private to the collection: it may change or go away in any release.

"""What the modules can and cannot do: check mode, diff, idempotence, platform, action group."""

from __future__ import annotations


class ModuleDocFragment:
    """Pieces for C(attributes); a module names those that fit it and fills in C(support) where the piece leaves it open."""

    # Of every module. `check_mode`, `diff_mode` and `idempotent` want a `support` from the module or from a piece below.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Comes to the same decisions as a normal run and reports them, without changing anything on the host.
  diff_mode:
    description: Says what has changed, or in check mode would change, with one entry for each object.
  idempotent:
    description: Changes nothing, and reports no change, when run again with the same options on an unchanged host.
  platform:
    description: The systems that the module can work on.
    details:
      - The control domain (dom0) of a Xen host that runs Linux.
    platforms: posix
    support: full
"""

    # The module changes nothing at all and returns information.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module does not change anything.
  diff_mode:
    support: N/A
    details:
      - This module does not change anything.
  idempotent:
    support: full
    details:
      - This module does not change anything.
"""

    # The same for a module that returns C(ansible_facts).
    FACTS_MODULE = r"""
options: {}
attributes:
  facts:
    description: Returns the dictionary C(ansible_facts), which becomes part of the host's facts.
    support: full
  check_mode:
    support: full
    details:
      - This module does not change anything.
  diff_mode:
    support: N/A
    details:
      - This module does not change anything.
  idempotent:
    support: full
    details:
      - This module does not change anything.
"""

    # A module that changes something, and keeps all three promises.
    CHANGING_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

    # An action that does its work on the control node; the host is not contacted.
    CONTROL_NODE = r"""
options: {}
attributes:
  action:
    description: The work is done by an action plugin on the control node.
    support: full
  platform:
    description: The systems that the module can work on.
    details:
      - Runs on the control node. No connection to a host is made.
    platforms: posix
    support: full
"""

    # Member of the action group C(dom0.xen.xen). meta/runtime.yml lists the same modules.
    ACTIONGROUP_XEN = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/dom0.xen.xen) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - dom0.xen.xen
"""
