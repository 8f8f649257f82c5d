# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills the program that restores cpupools at many points, and sees that guests keep their affinity and the next run finishes.

    python3 killed.py GUEST=HARD/SOFT,... ...      what `xl vcpu-list` shows of each vCPU of each guest, in their order

Runs in dom0, where boot_state has put the program. It goes to and fro between two states. So that each kill hits its work and not Python's
start, the program is loaded once, and each run is a child of that. After a kill each guest must be in its old or its
new cpupool, with its affinity, or with that in the journal; after the next run, with its affinity in the new one, and nothing left over. What is
seen is asked of xl. Prints a line a kill; any deviation is an error.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time

PROGRAM = "/usr/local/lib/dom0-xen/restore.pyz"
STATE = "/etc/dom0-xen/state.json"
JOURNAL = "/run/dom0-xen-moves.json"
POINTS = 12


def states(guests):
    """The two states: everything in the first cpupool, and each guest in one of its own."""
    cpus = ["4-7", "8-11"]
    names = sorted(guests)
    pools = [
        {"name": "pool of %s" % name, "cpus": cpus[index], "domains": [name]}
        for index, name in enumerate(names)
    ]
    gone = [{"name": pool["name"], "state": "absent", "evacuate_to": "Pool-0"} for pool in pools]
    return [pools, gone]


def write(pools):
    """Declare these."""
    with open(STATE, "w", encoding="utf-8") as stream:
        json.dump({"state": 1, "cpupools": pools, "affinities": [], "broken_affinity": "refuse"}, stream)


def ask(*argv):
    """What a command prints."""
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout


def affinities(guests):
    """{guest: [HARD/SOFT of each vCPU]}"""
    return {
        name: [
            re.search(r"(\S+) / (\S+)\s*$", line).expand(r"\1/\2")
            for line in ask("xl", "vcpu-list", "--", name).splitlines()[1:]
        ]
        for name in guests
    }


def homes(guests):
    """{guest: its cpupool's name}"""
    found = {}
    for name in guests:
        line = ask("xl", "list", "-c", "--", name).splitlines()[-1]
        found[name] = re.search(r"\d\.\d\s+(\S.*?)\s*$", line).group(1)
    return found


def start():
    """Run the program in a child; its pid."""
    sys.path[:1] = [PROGRAM]
    from dom0_xen import _restore

    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(_restore.main([]))
    return child


def finish(child):
    """Wait for a run that nobody kills."""
    status = os.waitpid(child, 0)[1]
    if status != 0:
        sys.exit("a run that was not killed ended with %d" % status)


def main():
    """Go to and fro, and kill."""
    guests = {}
    for argument in sys.argv[1:]:
        name, masks = argument.rsplit("=", 1)
        # A mask has commas only between the vCPUs: none of these names two ranges.
        guests[name] = masks.split(",")
    wanted = states(guests)
    write(wanted[1])
    # As the host itself does when it boots.
    subprocess.run(["python3", PROGRAM], check=True, stdout=subprocess.DEVNULL)
    write(wanted[0])
    finish(start())
    write(wanted[1])
    begin = time.monotonic()
    finish(start())
    whole = time.monotonic() - begin
    interrupted = 0
    for point in range(POINTS):
        new = wanted[point % 2]
        before = homes(guests)
        write(new)
        child = start()
        time.sleep(whole * (point + 0.5) / POINTS)
        os.kill(child, signal.SIGKILL)
        killed = os.waitpid(child, 0)[1] == signal.SIGKILL
        interrupted += killed
        between, kept = homes(guests), affinities(guests)
        journal = []
        if os.path.exists(JOURNAL):
            with open(JOURNAL, encoding="utf-8") as stream:
                journal = json.load(stream)
        domids = {entry["domid"] for entry in journal}
        for name, masks in guests.items():
            noted = int(ask("xl", "domid", "--", name)) in domids
            for have, want in zip(kept[name], masks, strict=True):
                if have != want and not (noted and have == "all/all"):
                    sys.exit("killed at point %d: %s has %s, not %s, and no note" % (point, name, have, want))
        finish(start())
        after = homes(guests)
        here = {name: "Pool-0" if new is wanted[1] else "pool of %s" % name for name in guests}
        if after != here or affinities(guests) != guests or os.path.exists(JOURNAL):
            sys.exit("after point %d: %s %s" % (point, after, affinities(guests)))
        moved = [name for name in guests if between[name] != before[name]]
        end = "killed" if killed else "ended"
        sys.stdout.write("point %d: %s, moved %s, noted %d\n" % (point, end, moved, len(journal)))
    if not interrupted:
        sys.exit("no run was interrupted")


if __name__ == "__main__":
    main()
