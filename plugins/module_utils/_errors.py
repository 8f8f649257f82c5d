# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one kind of exception that is meant for the user. Private to this collection.

Below the ground floor: every room may import it, it imports nobody. Rooms derive their own classes from :class:`Failure`; the
top floor turns any of them into one clear message and never shows a traceback for them.
"""

import typing as t


class Failure(Exception):
    """Something that cannot go on, said in one sentence: what is wrong and what to do about it.

    `message` is that sentence. `result` is a JSON-able dict with what had been done until then; it goes to the user beside
    the message, so that nothing half-done stays unsaid.
    """

    def __init__(self, message: str, **result: t.Any) -> None:
        super().__init__(message)
        self.message = message
        self.result: t.Dict[str, t.Any] = result

    def __str__(self) -> str:
        return self.message
