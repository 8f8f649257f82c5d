# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the test host."""

from __future__ import annotations

import argparse
import io
import os
import shlex
import signal
import sys
import tarfile
import typing as t
from pathlib import Path

from . import cache, description, emulator, image, reach, run, tools
from .errors import HostError

PROGRAM = "python3 -m tests.xenhost"


def say(text: str) -> None:
    """Progress, for a person: on standard error, so that output can be piped."""
    print(f"xenhost: {text}", file=sys.stderr, flush=True)


class Commands:
    """One method a command."""

    def __init__(self) -> None:
        self.cache = cache.Cache(cache.default_root(os.environ))

    def instance(self, name: str) -> run.Instance:
        host, _plus, label = name.partition("+")
        return run.Instance(description.load(host), self.cache, say, label)

    def build(self, options: argparse.Namespace) -> int:
        for name in options.names:
            print(image.build(description.load(name), self.cache, say))
        return 0

    def prepare(self, options: argparse.Namespace) -> int:
        for name in options.names:
            print(self.instance(name).prepare())
        return 0

    def up(self, options: argparse.Namespace) -> int:
        for name in options.names:
            instance = self.instance(name)
            state = instance.up(restart=options.restart)
            say(f"{name} is up at {reach.ADDRESS}:{state['port']}; it started in {state['seconds']} s")
            print(shlex.join(instance.emulator.ssh_argv()))
        return 0

    def down(self, options: argparse.Namespace) -> int:
        if not options.names and not options.all:
            raise HostError("Say which host to stop, or --all.")
        for name in options.names:
            if self.instance(name).down(keep_code=options.keep_code):
                say(f"{name} is stopped")
        if options.all:
            for name in run.stop_all(self.cache):
                say(f"{name} is stopped")
        return 0

    def reset(self, options: argparse.Namespace) -> int:
        self.instance(options.name).reset()
        say(f"{options.name} boots again")
        return 0

    def status(self, options: argparse.Namespace) -> int:
        for name in [*description.names(), *run.labelled(self.cache)]:
            instance = self.instance(name)
            state = instance.state()
            line = (
                "not running"
                if state is None
                else f"runs at {reach.ADDRESS}:{state['port']} (process {state['pid']})"
            )
            print(f"{name:16} {line:40} {instance.host.summary}")
        return 0

    def ssh(self, options: argparse.Namespace) -> int:
        instance = self.instance(options.name)
        instance.host_variables()
        words = options.words[1:] if options.words[:1] == ["--"] else options.words
        argv = instance.emulator.ssh_argv(*words)
        tools.require("ssh")
        os.execvp(argv[0], argv)

    def put(self, options: argparse.Namespace) -> int:
        instance = self.instance(options.name)
        instance.host_variables()
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path in options.files:
                tar.add(path, path.name, filter=_of_root)
        folder = shlex.quote(options.folder)
        instance.emulator.ssh_bytes(f"tar -xf - -C {folder}", archive.getvalue())
        return 0

    def inventory(self, options: argparse.Namespace) -> int:
        text = reach.inventory(
            {name.partition("+")[0]: self.instance(name).host_variables() for name in options.names}
        )
        if options.output is None:
            print(text, end="")
        else:
            cache.write_atomically(options.output, text)
        return 0

    def console(self, options: argparse.Namespace) -> int:
        print(emulator.tail(self.instance(options.name).console_log(), options.lines))
        return 0

    def clean(self, options: argparse.Namespace) -> int:
        if options.stale:
            names = [*description.names(), *run.labelled(self.cache)]
            instances = [self.instance(name) for name in names]
            for path in run.stale(instances, self.cache):
                cache.remove(path)
                say(f"removed {path}")
            return 0
        for name in run.stop_all(self.cache):
            say(f"{name} is stopped")
        if self.cache.clean():
            say(f"removed {self.cache.root}")
        return 0

    def doctor(self, options: argparse.Namespace) -> int:
        wanted = tools.wanted()
        lost = tools.missing(wanted)
        for program, package in wanted.items():
            print(
                f"{program:20} {'MISSING, in package ' + package if program in lost else tools.find(program)}"
            )
        print(f"{'cache':20} {self.cache.root}")
        if lost:
            print(f"apt-get install {' '.join(sorted({wanted[program] for program in lost}))}")
        return 1 if lost else 0


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog=PROGRAM, description="Builds, boots, snapshots and stops real Xen hosts under QEMU."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text)

    known = f"one of: {', '.join(description.names())}; NAME+LABEL is another one of the same description"
    add("build", "build the disk image of hosts").add_argument("names", nargs="+", metavar="NAME", help=known)
    command = add(
        "prepare", "build, boot and save a snapshot, so that `up` is quick; nothing is left running"
    )
    command.add_argument("names", nargs="+", metavar="NAME", help=known)
    command = add(
        "up", "start hosts (built and booted if need be, else restored) and print how to reach them"
    )
    command.add_argument("names", nargs="+", metavar="NAME", help=known)
    command.add_argument("--restart", action="store_true", help="give a running host its pristine state back")
    command = add("down", "stop hosts; their state is gone")
    command.add_argument("names", nargs="*", metavar="NAME", help=known)
    command.add_argument("--all", action="store_true", help="stop every host")
    command.add_argument(
        "--keep-code", action="store_true", help="keep what Python has compiled there, for later starts"
    )
    command = add("reset", "press the reset button of a running host: it boots again, its disk as it is")
    command.add_argument("name", metavar="NAME", help=known)
    add("status", "say which hosts run")
    command = add("ssh", "log in to a running host, or run a command in it")
    command.add_argument("name", metavar="NAME", help=known)
    command.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    command = add("put", "copy files into a directory of a running host, all at once")
    command.add_argument("name", metavar="NAME", help=known)
    command.add_argument("folder", metavar="DIRECTORY", help="in the host; it must be there")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    command = add("inventory", "print an Ansible inventory of running hosts")
    command.add_argument("names", nargs="+", metavar="NAME", help=known)
    command.add_argument("--output", type=Path, metavar="FILE", help="write it to a file instead")
    command = add("console", "print the last lines of a host's serial console")
    command.add_argument("name", metavar="NAME", help=known)
    command.add_argument("--lines", type=int, default=40, metavar="N", help="how many lines (default: 40)")
    command = add("clean", "stop every host and remove images, snapshots and the key")
    command.add_argument(
        "--stale", action="store_true", help="only images and snapshots that no description needs"
    )
    add("doctor", "say which programs are missing and which Debian packages bring them")
    return top


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Run a command; its exit status. Errors are one sentence on standard error."""
    try:
        options = parser().parse_args(arguments)
        for number in (signal.SIGTERM, signal.SIGHUP):
            # Ended from outside, it still stops what it has just started.
            signal.signal(number, lambda received, _frame: sys.exit(128 + received))
        return int(getattr(Commands(), options.command)(options))
    except HostError as error:
        print(f"xenhost: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader (`head`, say) has enough; Python shall not complain about it while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"xenhost: {error.filename or 'The system'}: {error.strerror or error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("xenhost: interrupted", file=sys.stderr)
        return 130
