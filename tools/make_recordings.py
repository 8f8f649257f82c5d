# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the recordings in tests/recordings anew, from real hosts in the emulator.

    python3 tools/make_recordings.py               all of them
    python3 tools/make_recordings.py NAME ...      some
    python3 tools/make_recordings.py --list        which there are

Each take starts its test host in its pristine state, brings it into the state that the take is about, and writes two files:
``NAME.json``, what the collection heard, without serial numbers; ``NAME.txt``, what Xen's own tools print about the same host at the
same time, each command after a ``$``. One host runs at a time.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = ROOT / "tests" / "recordings"
XENHOST = (sys.executable, "-m", "tests.xenhost")

#: What Xen's own tools are asked.
SAID = (
    "xl info -n",
    "xenpm get-cpu-topology",
    "xl cpupool-list -c",
    "xl cpupool-list",
    "xl vcpu-list",
    "xl list -n",
    "xl list -v -c -n",
    "xl list -l",
)

_GUEST = """name="{name}"
type="{kind}"
kernel="{kernel}"
memory={memory}
{more}
"""


class Take(t.NamedTuple):
    """One recording: the host, shell commands that bring it into its state, and options of tools/record_host.py."""

    host: str
    commands: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def guest(name: str, memory: int, *lines: str, kind: str = "pv", kernel: str = "/boot/idle-kernel") -> str:
    """A shell command that creates a paused guest; memory in MiB."""
    text = _GUEST.format(name=name, kind=kind, kernel=kernel, memory=memory, more="\n".join(lines))
    return f"cat > /root/guest.cfg <<'EOF'\n{text}EOF\nxl create -q -p /root/guest.cfg"


_OFFLINE = "for cpu in {}; do xen-hptool cpu-offline $cpu; done"
_SMALL_GUESTS = (
    # numbers of domains do not begin where those of others end
    guest("before", 32) + " && xl destroy before",
    guest("disc web", 128, "vcpus=1", "maxvcpus=4", 'cpus=["4-7","4-7","4-7","4-7"]'),
    guest("disc-db", 192, "vcpus=1", "maxvcpus=2", 'cpus_soft="0-3"'),
    "ln -s /boot/vmlinuz-* /root/pvh-kernel",
    # without vcpus= xl passes over a list of CPUs
    guest(
        "disc-pvh",
        128,
        "vcpus=1",
        'cpus=["2-3"]',
        'cpus_soft="0-3"',
        kind="pvh",
        kernel="/root/pvh-kernel",
    ),
)
# Many masks, a name that is hard to parse, a second pool whose name has a space, and a CPU in no pool.
_BUSY = (
    guest("odd one 1", 32, "vcpus=3", 'cpus=["4", "5-6", "all"]', 'cpus_soft=["1-2,6", "all", "0"]'),
    "xl cpupool-cpu-remove Pool-0 2 && xl cpupool-cpu-remove Pool-0 7",
    'printf \'name="pool two"\\nsched="credit"\\ncpus=["7"]\\n\' > /root/pool.cfg && xl cpupool-create /root/pool.cfg',
    guest("123", 32, "vcpus=1", "maxvcpus=2", 'pool="pool two"'),
    "xl unpause 123 || xl unpause $(xl domid 123)",
)

TAKES = {
    "amd": Take("amd"),
    "amd-offline": Take("amd", (_OFFLINE.format("3 6"),)),
    "big": Take("big"),
    "big-guests": Take(
        "big",
        (
            guest("web", 128, "vcpus=1", "maxvcpus=2", 'cpus_soft="8-15"'),
            guest("db", 256, "vcpus=1", "maxvcpus=4", 'cpus_soft="4-7"'),
        ),
        ("--memory-by-node",),
    ),
    "big-offline": Take("big", (_OFFLINE.format("3 12"),)),
    "quad": Take("quad"),
    "quad-maxcpus": Take("quad-maxcpus"),
    "quad-numa-fake": Take("quad-numa-fake"),
    "quad-numa-off": Take("quad-numa-off"),
    "quad-smt-off": Take("quad-smt-off"),
    "shuffled": Take("shuffled"),
    "shuffled-maxcpus": Take("shuffled-maxcpus"),
    "shuffled-offline": Take("shuffled", (_OFFLINE.format("2 5"),)),
    "small": Take("small"),
    "small-bullseye": Take("small-bullseye", _BUSY),
    "small-bullseye-offline": Take("small-bullseye", (_OFFLINE.format("3 6"),)),
    "small-busy": Take("small", _BUSY),
    "small-guests": Take("small", _SMALL_GUESTS, ("--memory-by-node",)),
    "small-min": Take("small", (), ("--no-domains",)),
    "small-offline": Take("small", (_OFFLINE.format("3 6"),)),
    "small-trixie": Take("small-trixie", _BUSY),
    "small-trixie-offline": Take("small-trixie", (_OFFLINE.format("1 4 5"),)),
    "sparse": Take("sparse"),
    "sparse-offline": Take("sparse", (_OFFLINE.format("5 9 10 11 12 13 14 15 16 17"),)),
}


class TakeFailed(Exception):
    """A take cannot go on; one sentence."""


def run(argv: t.Sequence[str], data: bytes = b"") -> bytes:
    """Run a program and return its output. Raises TakeFailed with its complaints."""
    done = subprocess.run(argv, cwd=ROOT, input=data, capture_output=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise TakeFailed(f"{' '.join(argv)[:200]} failed (status {done.returncode}): {said}")
    return done.stdout


def ssh(host: str, command: str, data: bytes = b"") -> bytes:
    """Run a shell command in dom0."""
    return run([*XENHOST, "ssh", host, "--", command], data)


def program() -> bytes:
    """A tar archive of what the recorder needs in dom0."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path in [
            *sorted((ROOT / "plugins" / "module_utils").rglob("*.py")),
            ROOT / "tools" / "record_host.py",
        ]:
            tar.add(path, str(path.relative_to(ROOT)))
    return out.getvalue()


def take(name: str, archive: bytes) -> None:
    """Make one recording. Raises TakeFailed."""
    wanted = TAKES[name]
    print(f"{name}: starting {wanted.host}", flush=True)
    run([*XENHOST, "up", wanted.host, "--restart"])
    try:
        ssh(wanted.host, "tar -x -f - -C /root", archive)
        for command in wanted.commands:
            ssh(wanted.host, command)
        ask = "; ".join(f"echo '$ {command}'; {command} 2>&1" for command in SAID)
        said = ssh(wanted.host, ask)
        heard = ssh(wanted.host, " ".join(["python3 /root/tools/record_host.py", *wanted.options]))
        json.loads(heard)
        (RECORDINGS / f"{name}.json").write_bytes(heard)
        (RECORDINGS / f"{name}.txt").write_bytes(said)
        print(f"{name}: {len(heard)} bytes heard", flush=True)
    finally:
        run([*XENHOST, "down", wanted.host])


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Take what is asked for; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="recordings to take (default: all)")
    parser.add_argument("--list", action="store_true", help="name the recordings and their hosts")
    options = parser.parse_args(arguments)
    if options.list:
        for name, wanted in TAKES.items():
            print(f"{name:24} {wanted.host}")
        return 0
    unknown = [name for name in options.names if name not in TAKES]
    if unknown:
        print(f"There is no recording {unknown[0]!r}: choose from {', '.join(TAKES)}.", file=sys.stderr)
        return 2
    try:
        archive = program()
        for name in options.names or sorted(TAKES, key=lambda name: TAKES[name].host):
            take(name, archive)
    except TakeFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
