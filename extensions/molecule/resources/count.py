# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints, as JSON, how far guests have counted: {"web": ["0000000d541021ed", 62]}. Arguments: their names. Run in dom0 as root.

A guest with the initrd of counting_init.py says where it began and how far it is; one with the kernel of counting_kernel.py only how far.
"""

import glob
import json
import os
import re
import select
import subprocess
import sys
import time


def ask(*argv):
    """What a command prints."""
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout


def console(domid, patience=120):
    """The last whole line that a guest has counted, read from its console."""
    terminal = ask("xenstore-read", f"/local/domain/{domid}/console/tty").strip()
    descriptor = os.open(terminal, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    text, deadline, last = "", time.monotonic() + patience, None
    # What was said before nobody read it is still there: go on until it is quiet for less than a line takes.
    while time.monotonic() < deadline:
        ready = select.select([descriptor], [], [], 0.2 if last else 5)[0]
        if ready:
            text += os.read(descriptor, 65536).decode("latin-1")
        lines = re.findall(r"([0-9a-f]{16}) ([0-9a-f]{16})\r*\n", text)
        last = lines[-1] if lines else None
        if last and not ready:
            break
    if last is None:
        sys.exit(f"domain {domid} says nothing: {text!r}")
    return [last[0], int(last[1], 16)]


def register(domid):
    """How far a guest has counted that counts in a register."""
    (xenctx,) = glob.glob("/usr/lib/xen-*/bin/xenctx")
    return [None, int(re.search(r"esi: ([0-9a-f]+)", ask(xenctx, domid)).group(1), 16)]


if __name__ == "__main__":
    found = {}
    for domid in ask("xenstore-list", "/local/domain").split():
        name = ask("xenstore-read", f"/local/domain/{domid}/name")[:-1]
        if name in sys.argv[1:]:
            kind = json.loads(ask("xl", "list", "-l", domid))[0]["config"]["c_info"]["type"]
            found[name] = (console if kind == "pv" else register)(domid)
    sys.stdout.write(json.dumps(found))
