# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures on the emulated host what the documentation claims, and prints it. ``make bench`` runs this.

    python3 benchmarks/run.py                 everything
    python3 benchmarks/run.py pin_vcpus       one of: pin_vcpus, facts, scale (which needs no host)

The emulator is many times slower than iron, so what counts are ratios between ways that were measured in the same run. A host that
runs already is used as it is and left running.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import tree  # noqa: E402
from workshop import CACHE, SetupError  # noqa: E402

import demo  # noqa: E402

STATE = CACHE / "bench"
BENCHMARKS = ("pin_vcpus", "facts", "scale")
NEED_NO_HOST = ("scale",)


@contextlib.contextmanager
def running(host: str) -> t.Iterator[None]:
    """The test host, started here unless it runs, and stopped in the end if it was."""
    if demo.is_running(host):
        demo.say(f"{host} runs already: it is used as it is, and left running.")
        yield
        return
    demo.say(f"Starting {host} …")
    try:
        demo.ended(demo.run([*demo.XENHOST, "up", host], stdout=subprocess.DEVNULL), f"Starting {host}")
        yield
    finally:
        demo.stop(host)


def results_of(name: str) -> tuple[Path, Path]:
    """Where a benchmark's playbook leaves its figures and its output."""
    return STATE / f"{name}.json", STATE / f"{name}.log"


def measure(name: str, environment: dict[str, str]) -> dict[str, t.Any]:
    """Run a benchmark's playbook; what it measured."""
    results, log = results_of(name)
    results.unlink(missing_ok=True)
    playbook = ROOT / "benchmarks" / f"{name}.yml"
    command = [demo.program("ansible-playbook"), "-i", str(STATE / "inventory.yml"), str(playbook)]
    demo.say(f"Measuring {name} (its output is in {log}) …")
    with log.open("w", encoding="utf-8") as stream:
        status = demo.run(
            [*command, "-e", f"bench_results={results}"],
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    if status != 0 or not results.exists():
        demo.say("\n".join(log.read_text(encoding="utf-8").splitlines()[-40:]))
        raise demo.DemoError(f"{name} failed with status {status}: its last lines are above.")
    measured: dict[str, t.Any] = json.loads(results.read_text(encoding="utf-8"))
    return measured


def table(title: str, rows: t.Sequence[tuple[str, float]], unit: str, digits: int = 1) -> None:
    """Print figures with the ratio of each to the first."""
    width = max(len(name) for name, _value in rows)
    demo.say(f"\n{title}\n")
    for name, value in rows:
        ratio = f"{value / rows[0][1]:8.2f} x" if rows[0][1] else ""
        demo.say(f"  {name.ljust(width)}  {value:12,.{digits}f} {unit}{ratio}")


def pin_vcpus(environment: dict[str, str]) -> None:
    """One task for 64 vCPUs of 16 guests beside a loop of tasks, a script, and a shell task with all of them."""
    # So that Ansible tells of each command that it gives ssh.
    measured = measure("pin_vcpus", dict(environment, ANSIBLE_VERBOSITY="3"))
    ways = {
        "module": f"dom0.xen.vcpu_affinity, one task, {measured['vcpus']} vCPUs",
        "unchanged": "the same again, nothing to change",
        "script": "ansible.builtin.script, one task, xl vcpu-pin for each",
        "shell": "ansible.builtin.shell, one task, xl vcpu-pin for each",
        "loop": "ansible.builtin.command, a loop of xl vcpu-pin",
    }
    title = f"Pinning {measured['vcpus']} vCPUs of {measured['guests']} guests"
    table(title, [(name, float(measured["seconds"][way])) for way, name in ways.items()], "s")
    log = results_of("pin_vcpus")[1].read_text(encoding="utf-8")
    own = difference(*measured["counts"].pop("counting"))
    rows = []
    for way, name in ways.items():
        found = difference(*measured["counts"][way])
        rows.append((name, [found[what] - own[what] for what in COUNTED] + [round_trips(log, way)]))
    counts("The same, counted", rows, [*COUNTED.values(), "commands given to ssh and sftp"])


#: What is counted in dom0, by the names in pin_vcpus.yml and here.
COUNTED = {
    "calls": "calls to Xen",
    "programs": "programs started",
    "processes": "processes and threads started",
    "received": "bytes to the host",
    "sent": "bytes from the host",
}


def difference(before: str, after: str) -> dict[str, int]:
    """What was counted between two looks at kprobe_profile and /proc/net/dev."""
    was, now = ({**kernel(text), **network(text)} for text in (before, after))
    return {name: now[name] - was[name] for name in COUNTED}


def kernel(text: str) -> dict[str, int]:
    """Hits of each probe: lines of its name, hits, and misses, of which there must be none."""
    found = re.findall(r"^\s*(\w+)\s+(\d+)\s+(\d+)\s*$", text, re.MULTILINE)
    if any(int(missed) for _name, _hits, missed in found):
        raise demo.DemoError("dom0's Linux has missed some of what it was to count.")
    return {name: int(hits) for name, hits, _missed in found}


def network(text: str) -> dict[str, int]:
    """Bytes that all devices but the loopback have received and sent."""
    found = re.findall(r"^\s*(?!lo:)(\w+):\s*(\d+)((?:\s+\d+){7})\s+(\d+)", text, re.MULTILINE)
    return {
        "received": sum(int(received) for _device, received, _rest, _sent in found),
        "sent": sum(int(sent) for _device, _received, _rest, sent in found),
    }


def round_trips(log: str, way: str) -> int:
    """How often Ansible gave ssh or sftp something to do for one of the ways.

    The heading of a task may come after the first commands of it, so the clocks around it, which need no connection, are what is gone by.
    """
    clocks = rf"^TASK \[Clock: {way}\](.*?)^TASK \[Clock: done\]"
    (said,) = re.findall(clocks, log, re.MULTILINE | re.DOTALL)
    return said.count("SSH: EXEC ")


def counts(title: str, rows: t.Sequence[tuple[str, t.Sequence[int]]], columns: t.Sequence[str]) -> None:
    """Print counted things, one way a line and one thing a column."""
    width = max(len(name) for name, _values in rows)
    demo.say(f"\n{title}\n")
    demo.say("  " + " " * width + "".join(f"  {column}" for column in columns))
    for name, values in rows:
        cells = "".join(f"  {value:{len(column)},}" for value, column in zip(values, columns, strict=True))
        demo.say(f"  {name.ljust(width)}{cells}")


def facts(environment: dict[str, str]) -> None:
    """The facts module beside Ansible's own, and beside one `xl info -n`."""
    measured = measure("facts", environment)
    names = {
        "topology_facts": "dom0.xen.topology_facts",
        "topology_facts_min": "dom0.xen.topology_facts, gather_subset: min",
        "setup": "ansible.builtin.setup",
        "setup_min": "ansible.builtin.setup, gather_subset: min",
        "ping": "ansible.builtin.ping",
    }
    seconds = measured["seconds"]
    table(
        "Time of the task (best of the rounds)",
        [(name, min(seconds[key])) for key, name in names.items()],
        "s",
    )
    sizes = {
        key: payload(names[key].partition(",")[0], environment) for key in ("topology_facts", "setup", "ping")
    }
    table("Sent to the host (AnsiballZ)", [(names[key], sizes[key]) for key in sizes], "bytes", 0)
    table(
        "Sent back (JSON)",
        [(names[key], measured["bytes"][key]) for key in ("topology_facts", "topology_facts_min", "setup")],
        "bytes",
        0,
    )
    inside = measured["inside"]
    table(
        f"Inside dom0, after Python's and Ansible's start, {inside['domains']} domains with {inside['vcpus']} vCPUs",
        [("xl info -n", inside["xl_info"]), *((name, inside[key]) for name, key in _INSIDE)],
        "s",
        3,
    )
    demo.say(f"\n  hypercalls: {inside['calls']} for everything, {inside['calls_min']} without the domains")
    demo.say("  (the modules' own imports are compiled anew in each run, as Ansible does it)")


def scale(environment: dict[str, str]) -> None:
    """Deriving facts, and hwloc XML, of hosts from 64 to 4,096 CPUs."""
    argv = [sys.executable, str(ROOT / "benchmarks" / "scale.py")]
    paths = [str(CACHE), environment.get("PYTHONPATH", "")]
    environment = dict(environment, PYTHONPATH=os.pathsep.join(filter(None, paths)))
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise demo.DemoError(f"scale failed: {done.stderr.strip().splitlines()[-1]}")
    rows = json.loads(done.stdout)
    sizes = [f"{row['cpus']} CPUs, {row['nodes']} nodes" for row in rows]
    for key in rows[0]:
        if key not in ("cpus", "nodes"):
            unit, digits = ("bytes", 0) if key.startswith("bytes") else ("ms", 2)
            factor = 1 if unit == "bytes" else 1000
            table(
                key.capitalize(),
                [(size, row[key] * factor) for size, row in zip(sizes, rows, strict=True)],
                unit,
                digits,
            )


_INSIDE = (
    ("collect, all subsets", "collect"),
    ("collect, min", "collect_min"),
    ("collect, min and domains", "collect_domains"),
    ("collect, min and pci", "collect_pci"),
    ("derive and facts", "derive"),
    ("import the collection's own code", "import"),
)


def payload(module: str, environment: dict[str, str]) -> int:
    """Bytes of the file that Ansible sends for a module."""
    argv = [sys.executable, str(ROOT / "tools" / "payload.py"), module]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise demo.DemoError(
            f"The payload of {module} cannot be computed: {done.stderr.strip().splitlines()[-1]}"
        )
    return int(done.stdout)


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Run benchmarks; the exit status."""
    parser = argparse.ArgumentParser(prog="run.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of: {', '.join(BENCHMARKS)} (default: all)"
    )
    parser.add_argument("--host", default="big", help="test host (default: big)")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"{unknown[0]} is not one of {', '.join(BENCHMARKS)}")
    demo.catch_signals()
    try:
        tree.refresh()
        environment = demo.prepare(STATE)
        names = options.names or BENCHMARKS
        for name in names:
            if name in NEED_NO_HOST:
                globals()[name](environment)
        on_host = [name for name in names if name not in NEED_NO_HOST]
        if on_host:
            with running(options.host):
                inventory = [
                    *demo.XENHOST,
                    "inventory",
                    options.host,
                    "--output",
                    str(STATE / "inventory.yml"),
                ]
                demo.ended(demo.run(inventory), "Writing the inventory")
                for name in on_host:
                    globals()[name](environment)
    except (demo.DemoError, SetupError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    except demo.Interrupted as error:
        sys.stderr.write(f"bench: stopped by {error}\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
