# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Xen cannot do right now it may do in a moment. Private to this collection."""

import time
import typing as t

from .._xen.errors import Busy

#: Seconds. A pin that dom0 holds on itself lasts for milliseconds; a limit, so that nobody waits for ever.
LIMIT = 10.0
_POLL = 0.05

Answer = t.TypeVar("Answer")


class Patience:
    """How long to go on when Xen says that it is busy."""

    def __init__(
        self,
        limit: float = LIMIT,
        clock: t.Callable[[], float] = time.monotonic,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._sleep = sleep

    def ask(self, call: t.Callable[[], Answer]) -> Answer:
        """Return what `call` returns; call again while it raises Busy, until the limit, then raise that."""
        deadline = self._clock() + self._limit
        while True:
            try:
                return call()
            except Busy:
                if self._clock() >= deadline:
                    raise
            self._sleep(_POLL)
