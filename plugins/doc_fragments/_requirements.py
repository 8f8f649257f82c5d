# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This fragment is private to the collection: it may change or go away in any release.

"""What a module needs on the host that it runs on."""

from __future__ import annotations


class ModuleDocFragment:
    """Requirements and notes; a module names the pieces that it needs."""

    # For modules that make hypercalls.
    DOCUMENTATION = r"""
options: {}
requirements:
  - root in the control domain (dom0)
  - the Python module C(_cffi_backend) (package C(python3-cffi-backend) on Debian)
  - C(libxencall.so.1) (comes with Xen's own tools)
notes:
  - Run it on the host itself, in its control domain (dom0) and as C(root), for example with C(become=true). Xen answers nobody else.
  - Only the small extension module C(_cffi_backend) is needed. The package cffi, a compiler and Xen's headers are not.
  - When the Python interpreter in use lacks C(_cffi_backend), the module runs itself again under a Python of the system that has it.
"""

    # For modules that also need the xl toolstack.
    XL = r"""
options: {}
requirements:
  - the C(xl) toolstack (package C(xen-utils-common) and the C(xen-utils-VERSION) of the running Xen on Debian)
notes:
  - Works with hosts whose guests are managed by C(xl). A host that is managed by XAPI (XenServer, XCP-ng) has another toolstack.
"""
