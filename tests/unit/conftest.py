# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all unit tests share."""

try:
    from hypothesis import settings
except ImportError:
    # not every place that runs some of the tests has it
    pass
else:
    # no test judges by the clock
    settings.register_profile("dom0.xen", deadline=None)
    settings.load_profile("dom0.xen")
