# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask and pin for some minutes while guests come and go: does anything of ours touch memory that it should not?

Runs in dom0, as root, from a copy of the tree, with a kernel that sleeps:

    PYTHONMALLOC=debug python3 -X dev -X faulthandler tests/onhost/coming_and_going.py /boot/idle-kernel 300

Each round asks for everything that the facts have and sets the affinity of every vCPU of every guest, in this process and in a new one in turn,
for most of the work of a module is to start and to end. Guests that end between two questions are refusals, which are counted. Whatever
else is said, by Python, by its allocator or by a signal, ends it with status 1.
"""

import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "plugins"))

from module_utils._discovery import registry  # type: ignore[import-not-found]
from module_utils._discovery.collecting import AUTO, collect  # type: ignore[import-not-found]
from module_utils._topology.derive import derive  # type: ignore[import-not-found]
from module_utils._topology.facts import to_facts  # type: ignore[import-not-found]
from module_utils._xen import domctl, errors, numa_dump, pinning, sysctl  # type: ignore[import-not-found]
from module_utils._xen.connection import Xen  # type: ignore[import-not-found]

GUESTS_AT_ONCE = 4
_GUEST = 'name="{name}"\ntype="pv"\nkernel="{kernel}"\nmemory=16\nvcpus={vcpus}\n'


def run_command(argv: t.Sequence[str]) -> t.Tuple[int, str, str]:
    """Run a program; its status, output and complaints."""
    done = subprocess.run(  # noqa: UP022 - Python 3.6 has no capture_output
        list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False
    )
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def guests(kernel: str, over: threading.Event) -> None:
    """Create and destroy guests until it is over, a few at a time."""
    dice = random.Random(1)
    there: t.List[str] = []
    number = 0
    while not over.is_set() or there:
        if there and (over.is_set() or len(there) >= GUESTS_AT_ONCE or dice.random() < 0.3):
            run_command(["xl", "destroy", there.pop(dice.randrange(len(there)))])
            continue
        number += 1
        name = "moth-%d" % number
        with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
            file.write(_GUEST.format(name=name, kernel=kernel, vcpus=dice.randint(1, 5)))
            file.flush()
            if run_command(["xl", "create", "-q", "-p", file.name])[0] == 0:
                there.append(name)


def one_round(dice: random.Random) -> t.Dict[str, int]:
    """Ask for everything, set everything; how much of it there was."""
    counts = {"vcpus": 0, "gone": 0, "cut": 0}
    host = collect(registry.components(), AUTO, set(registry.SUBSETS), run_command)
    facts = to_facts(derive(host))
    assert facts["source"] == "hypercall", facts["components"]
    with Xen.open() as xen:
        pools = sysctl.cpupools(xen)
        online = pools[0].cpus
        assert online.bit_length() <= sysctl.cpu_bits(xen)
        for info in sysctl.getdomaininfolist(xen):
            if not info.domain or info.max_vcpu_id == sysctl.INVALID_32:
                continue
            for vcpu in range(info.max_vcpu_id + 1):
                hard = dice.getrandbits(online.bit_length()) & online or online
                soft = dice.getrandbits(sysctl.cpu_bits(xen) + 9) or 1
                try:
                    effect = pinning.setvcpuaffinity(xen, info.domain, vcpu, hard=hard, soft=soft)
                    assert effect.hard == hard, (effect, hard)
                    assert domctl.getvcpuaffinity(xen, info.domain, vcpu)[0] == hard
                    domctl.getvcpuinfo(xen, info.domain, vcpu)
                    domctl.getnodeaffinity(xen, info.domain)
                    counts["vcpus"] += 1
                except (errors.NoSuchDomain, errors.Invalid):
                    counts["gone"] += 1
        try:
            numa_dump.memory_by_node(xen, sleep=lambda _seconds: time.sleep(0.01))
        except numa_dump.DumpCut:
            counts["cut"] += 1
    return counts


def main() -> int:
    """Go on for as long as was asked; the exit status."""
    if sys.argv[1] == "once":
        print(one_round(random.Random()))
        return 0
    kernel, limit = sys.argv[1], time.monotonic() + float(sys.argv[2])
    over = threading.Event()
    moths = threading.Thread(target=guests, args=(kernel, over))
    moths.start()
    rounds, totals = [0, 0], {}  # type: t.List[int], t.Dict[str, int]
    alone = [sys.executable, "-X", "dev", "-X", "faulthandler", __file__, "once"]
    status = 0
    try:
        while time.monotonic() < limit and not status:
            for name, count in one_round(random.Random(rounds[0])).items():
                totals[name] = totals.get(name, 0) + count
            rounds[0] += 1
            ended, _said, complaints = run_command(alone)
            rounds[1] += 1
            if ended or complaints:
                print("the new process ended with status %d:\n%s" % (ended, complaints))
                status = 1
    finally:
        over.set()
        moths.join()
    print("%d rounds here, %d in processes of their own; %s" % (rounds[0], rounds[1], totals))
    return status


if __name__ == "__main__":
    os.environ.setdefault("PYTHONMALLOC", "debug")
    sys.exit(main())
