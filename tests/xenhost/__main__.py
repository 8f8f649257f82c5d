# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.xenhost``."""

import sys

from .cli import main

sys.exit(main())
