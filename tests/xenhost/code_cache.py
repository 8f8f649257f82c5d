# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the code that Python compiles from zip archives. Installed in test hosts; this file does not run on the machine with the emulator.

Ansible sends a module as a zip archive of sources, which Python compiles anew in each task. Emulated, that is a third of a task's time. Here
each source is compiled once and kept under the digest of its bytes, so what runs is what the source says. Without :data:`FOLDER` nothing is kept:
benchmarks remove it, as they measure what a task costs on any host.
"""

import importlib
import marshal
import os
import types
import zipimport

FOLDER = "/var/cache/xenhost-code"
_compile_source = vars(zipimport)["_compile_source"]


def _compiled(pathname: str, source: bytes) -> types.CodeType:
    """Compile `source`, or take its code from :data:`FOLDER`."""
    # hashlib loads OpenSSL, which takes longer than most of what is compiled.
    path = os.path.join(FOLDER, importlib.import_module("_sha1").sha1(source).hexdigest())
    try:
        with open(path, "rb") as stream:
            kept = marshal.load(stream)
        if isinstance(kept, types.CodeType):
            return kept
    except (OSError, ValueError, EOFError, TypeError):
        pass
    code: types.CodeType = _compile_source(pathname, source)
    temporary = "%s.%d" % (path, os.getpid())
    try:
        with open(temporary, "wb") as stream:
            marshal.dump(code, stream)
        os.replace(temporary, path)
    except OSError:
        # Another user than root, or a full disk: it is compiled each time.
        pass
    return code


if os.path.isdir(FOLDER):
    setattr(zipimport, "_compile_source", _compiled)
