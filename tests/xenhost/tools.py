# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs the test host needs, the Debian packages that bring them, and how they are run."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import typing as t
from pathlib import Path

from .errors import HostError

PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "tar": "tar",
    "mke2fs": "e2fsprogs",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
# Needed in addition by a user who is not root: ownership inside the image is kept by fakeroot and user namespaces.
UNPRIVILEGED_PACKAGES = {"fakeroot": "fakeroot", "newuidmap": "uidmap"}

_ENDING_LIMIT_S = 60


def wanted() -> dict[str, str]:
    """Program → Debian package, for the user we run as."""
    return dict(PACKAGES) if os.geteuid() == 0 else {**PACKAGES, **UNPRIVILEGED_PACKAGES}


def find(program: str) -> str | None:
    """Path of a program, looked for in the administrator's directories too (mke2fs lives there)."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return shutil.which(program, path=path)


def missing(programs: t.Iterable[str]) -> list[str]:
    """Those of the programs that are not installed."""
    return [program for program in programs if find(program) is None]


def require(*programs: str) -> None:
    """Raise HostError naming the packages to install when a program is missing."""
    lost = missing(programs)
    if lost:
        packages = sorted({wanted()[program] for program in lost})
        raise HostError(f"{', '.join(lost)} not found: apt-get install {' '.join(packages)}")


def run(argv: t.Sequence[str], log: Path | None = None, **options: t.Any) -> str:
    """Run a program to its end and return its output. With ``log`` the output goes to that file instead.

    Raises HostError with the last line of what it said when it fails or is missing.
    """
    program = find(argv[0])
    if program is None:
        raise HostError(f"{argv[0]} not found: apt-get install {wanted().get(argv[0], argv[0])}")
    options.setdefault("stdin", subprocess.DEVNULL)
    with contextlib.ExitStack() as stack:
        out: t.Any = subprocess.PIPE if log is None else stack.enter_context(log.open("ab"))
        error = subprocess.PIPE if log is None else subprocess.STDOUT
        process = stack.enter_context(
            subprocess.Popen(
                [program, *argv[1:]], stdout=out, stderr=error, text=True, errors="replace", **options
            )
        )
        try:
            printed, complained = process.communicate()
        except BaseException:
            # Asked to end it may tidy; killed it could not.
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=_ENDING_LIMIT_S)
            process.kill()
            raise
    if process.returncode != 0:
        said = (complained or printed) if log is None else log.read_text(errors="replace")
        where = f" (all of it is in {log})" if log else ""
        raise HostError(f"{argv[0]} failed with status {process.returncode}: {_complaint(said)}{where}")
    return printed or ""


def _complaint(said: str) -> str:
    """The line of a program's output that tells most: its first error, else its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E: ", "dpkg: error"))]
    return errors[0] if errors else lines[-1] if lines else "it said nothing"
