# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""How long to search: a number of steps, which always ends at the same point, and at the user's wish a limit of time."""

from __future__ import annotations

import typing as t


class Effort:
    """Steps that may still be made. `expired` tells whether the time is up; it is asked now and then.

    `ended` is "steps" or "time" once one of them has run out.
    """

    def __init__(self, steps: int, expired: t.Callable[[], bool] | None = None) -> None:
        self.left = steps
        self.expired = expired
        self.ended: str | None = None
        self.whole: Effort | None = None

    def spend(self, steps: int) -> None:
        """Count steps that were made."""
        self.left -= steps
        if self.whole is not None:
            self.whole.spend(steps)

    def over(self) -> bool:
        """Tell whether it is time to stop."""
        if self.ended is None:
            if self.expired is not None and self.expired():
                self._end("time")
            elif self.left <= 0:
                self.ended = "steps"
                if self.whole is not None and self.whole.left <= 0:
                    self.whole.ended = "steps"
        return self.ended is not None

    def late(self) -> bool:
        """Tell whether a limit of time has passed, however many steps are left."""
        return self.expired is not None and self.expired()

    def part(self, share: int) -> Effort:
        """Return a fraction of what is left, which is spent here too."""
        part = Effort(self.left // share, self.expired)
        part.whole = self
        return part

    def _end(self, reason: str) -> None:
        self.ended = reason
        if self.whole is not None:
            self.whole._end(reason)
