# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is worth repeating of what a tool of Xen's printed. Pure. Private to this collection."""

import re
import typing as t


def first_complaints(output: str, most: int = 3) -> str:
    """What is worth repeating of what xl printed: its first errors (what follows is mostly their consequence), on one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [
        line
        for line in lines
        if re.search(r"\berror\b|\bfail|\bcannot\b|\bunable\b|\binvalid\b", line, re.IGNORECASE)
    ]
    # "libxl: error: libxl_create.c:1234:function:Domain 7:what is wrong"
    short = [
        re.sub(r"^(?:libxl|xc|libxlu?): (?:error|detail): (?:[\w.-]+:\d+:\w+: ?)?", "", line)
        for line in errors or lines[-1:]
    ]
    chosen: t.List[str] = []
    for line in short:
        if line not in chosen:
            chosen.append(line)
    return "; ".join(chosen[:most])
