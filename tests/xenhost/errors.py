# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception of the test host."""


class HostError(Exception):
    """Something went wrong; the message is one clear sentence that says what to do."""
