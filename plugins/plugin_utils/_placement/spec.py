# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""The options of a request as Ansible checks them, the same for planning and for checking a plan; documented in doc_fragments/_placement.py.

What is inside guests, policies, groups and reserves is checked by request.py, whose errors name the entry as well as the field.
"""

from __future__ import annotations

import typing as t

REQUEST_SPEC: dict[str, dict[str, t.Any]] = {
    "guests": {"type": "list", "elements": "raw", "required": True},
    "hosts": {"type": "list", "elements": "str"},
    "facts": {"type": "dict"},
    "defaults": {"type": "dict"},
    "reserve": {"type": "dict"},
    "cpu_allocation_ratio": {"type": "float"},
    "host_policies": {"type": "dict"},
    "groups": {"type": "list", "elements": "raw"},
    "rebalance": {"type": "str", "default": "none"},
    "max_moves": {"type": "int", "default": 3},
    "evacuate": {"type": "list", "elements": "str"},
    "labels": {"type": "dict"},
}
