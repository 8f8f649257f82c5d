# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How affinity is written, in facts and in the results of modules. Pure."""

from .cpuset import CpuSet

#: An affinity that covers every CPU that exists.
ALL = "all"


def affinity_text(mask: CpuSet, complete_cpuset: CpuSet) -> str:
    """Write an affinity: "all" when it covers every CPU that exists, else those that it names in list format."""
    return ALL if complete_cpuset <= mask else str(mask & complete_cpuset)
