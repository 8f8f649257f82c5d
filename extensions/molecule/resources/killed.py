# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills the program that restores cpupools at many points, and sees that guests keep their affinity and the next run finishes.

    python3 killed.py GUEST=HARD/SOFT,... ...      what `xl vcpu-list` shows of each vCPU of each guest, in their order

Runs in dom0, where boot_state has put the program. It goes to and fro between two states. The program is loaded once, and each run is a child
of that, which counts what it does to the host and its files, and kills itself right before one of these deeds: how fast the host is does not
matter. After a kill each guest must be in its old or its new cpupool, with its affinity, or with that in the journal; after the next run, with
its affinity in the new one, and nothing left over. What is seen is asked of xl. Prints a line a kill; any deviation is an error.
"""

import importlib
import json
import os
import re
import signal
import subprocess
import sys

PROGRAM = "/var/lib/dom0-xen/restore.pyz"
STATE = "/etc/dom0-xen/state.json"
JOURNAL = "/run/dom0-xen/moves.json"
# Kills on the way to each of the two states.
POINTS = 6
# What a run does that changes something, by module and name.
DEEDS = {
    "_xen.changes": (
        "cpupool_create",
        "cpupool_destroy",
        "cpupool_add_cpu",
        "cpupool_remove_cpu",
        "cpupool_move_domain",
    ),
    "_xen.pinning": ("setvcpuaffinity",),
    "_toolstack.xenstore": ("name_cpupool",),
}
FILE_DEEDS = ("rename", "unlink")


def states(guests):
    """The two states: everything in the first cpupool, and each guest in one of its own."""
    cpus = ["12-15", "8-11"]
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


def run(last=None):
    """Run the program in a child that kills itself right before its deed `last`; (how many there were, what it was about to do)."""
    sys.stdout.flush()
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        count(mouth, last)
        os._exit(restore.main([]))
    os.close(mouth)
    with open(ear, encoding="utf-8") as stream:
        deeds = stream.read().splitlines()
    status = os.waitpid(child, 0)[1]
    if status not in ((0,) if last is None else (0, signal.SIGKILL)):
        sys.exit("a run ended with %d" % status)
    return len(deeds), deeds[-1] if status else None


def count(mouth, last):
    """In the child: tell of each deed before it is done, and do the last one no more."""
    done = []

    def watched(name, real):
        def call(*arguments, **more):
            done.append(name)
            os.write(mouth, (name + "\n").encode("utf-8"))
            if len(done) == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **more)

        return call

    for path, names in DEEDS.items():
        module = importlib.import_module("dom0_xen." + path)
        for name in names:
            setattr(module, name, watched(name, getattr(module, name)))
    for name in FILE_DEEDS:
        setattr(os, name, watched(name, getattr(os, name)))


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
    lengths = []
    for way in wanted:
        write(way)
        lengths.append(run()[0])
    for point in range(2 * POINTS):
        new = wanted[point % 2]
        before = homes(guests)
        write(new)
        # The same distance between all points of a way, the first before anything is done, the last before the end.
        last = 1 + (lengths[point % 2] - 1) * (point // 2) // (POINTS - 1)
        about = run(last)[1]
        if about is None:
            sys.exit("a run came to its end before deed %d" % last)
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
                    sys.exit(
                        "killed before deed %d: %s has %s, not %s, and no note" % (last, name, have, want)
                    )
        run()
        after = homes(guests)
        here = {name: "Pool-0" if new is wanted[1] else "pool of %s" % name for name in guests}
        if after != here or affinities(guests) != guests or os.path.exists(JOURNAL):
            sys.exit("after deed %d: %s %s" % (last, after, affinities(guests)))
        moved = [name for name in guests if between[name] != before[name]]
        sys.stdout.write(
            "killed before deed %d of %d (%s): moved %s, noted %d\n"
            % (last, lengths[point % 2], about, moved, len(journal))
        )


if __name__ == "__main__":
    sys.path[:1] = [PROGRAM]
    from dom0_xen import _restore as restore

    main()
