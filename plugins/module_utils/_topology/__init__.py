# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Xen host is made of: sets, the raw record of a host, the model derived from it, facts. Private to this collection.

Pure: no input or output, nothing of Ansible, nothing of the other rooms.
"""
