# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which discovery components tell of domains and their memory."""

import typing as t

from .acpi import Acpi
from .component import Component
from .memory_by_node import MemoryByNode
from .names import Names
from .xl import Xl

COMPONENTS: t.Tuple[t.Type[Component], ...] = (MemoryByNode, Xl, Acpi, Names)


def components() -> t.List[Component]:
    """All of them, highest priority first."""
    return [kind() for kind in COMPONENTS]
