# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was heard from a host, uninterpreted, as one plain value; and its form as a file, a *recording*.

The sections are listed in `recording.py`.
"""

import typing as t

#: Version of the recording's format.
RECORDING = 1


class RawHost:
    """What the discovery components heard.

    `data` has the sections. `components` is a list of {name, priority, state ("used" or "passed_over"), reason
    (text or None)}, with hypercalls (a number) where it made some. `warnings` are sentences for the user.
    """

    def __init__(
        self,
        data: t.Optional[t.Dict[str, t.Any]] = None,
        components: t.Iterable[t.Dict[str, t.Any]] = (),
        warnings: t.Iterable[str] = (),
    ) -> None:
        self.data = {} if data is None else data  # type: t.Dict[str, t.Any]
        self.components = list(components)  # type: t.List[t.Dict[str, t.Any]]
        self.warnings = list(warnings)  # type: t.List[str]

    def to_recording(self) -> t.Dict[str, t.Any]:
        """Return the value as a dict that JSON can hold."""
        return {
            "recording": RECORDING,
            "components": self.components,
            "warnings": self.warnings,
            "data": self.data,
        }
