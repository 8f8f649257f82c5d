# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.

"""Names of files made from names of hosts and guests, which may hold anything. Pure."""

from __future__ import annotations

import hashlib
import re

# Linux takes 255 bytes; what writes a file has something in front or behind while it does.
_LONGEST = 200
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]*")


def is_file_name(name: str) -> bool:
    """Whether a file of this name stays in its folder, is no hidden one, and can be made."""
    size = len(name.encode("utf-8", "surrogatepass"))
    return 0 < size <= _LONGEST and not name.startswith(".") and "/" not in name and "\0" not in name


def file_name(name: str) -> str:
    """The name of a file for something that is called `name`: itself where it is plain, else what is plain of it and a digest.

    Different names give different ones: only those with a digest have a percent sign. It stays in its folder, and is no hidden file.
    """
    text = str(name)
    if _PLAIN.fullmatch(text) and is_file_name(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return re.sub(r"[^A-Za-z0-9_.@+-]+", "-", text)[:60].strip(".-") + "%" + digest
