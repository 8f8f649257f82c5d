# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepares, starts and stops test hosts.

A host is prepared once: booted, waited for until Xen's daemons answer, and saved as a snapshot inside its disk. Every
start then continues from a copy of that: what a run does to its host is gone with the next start.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import typing as t
from pathlib import Path

from . import code_cache, image, machine, reach, tools
from .cache import Cache, content_key, remove, write_atomically
from .description import Host
from .emulator import Emulator
from .errors import HostError

Say = t.Callable[[str], None]

# An idle machine of two cores boots a host in about a minute; a busy one took more than ten.
BOOT_LIMIT_S = 40 * 60
RESTORE_LIMIT_S = 10 * 60
_CODE_LIMIT = 24 * 1024 * 1024
_STATE = "state.json"
_ABOUT = "about.json"


class Instance:
    """One described host: its snapshot, and the process that runs it."""

    def __init__(self, host: Host, cache: Cache, say: Say, label: str = "") -> None:
        if not re.fullmatch("[a-z0-9_-]{0,40}", label):
            raise HostError(f"{host.name}+{label}: a label has small letters, digits, _ and - only.")
        self.host = host
        # Several hosts of one description run side by side under labels.
        self.name = f"{host.name}+{label}" if label else host.name
        self.cache = cache
        self.say = say
        self.key = image.key_path(cache)
        self.directory = cache.root / "run" / self.name
        self.emulator = Emulator(self.name, self.directory, self.key)

    def state(self) -> dict[str, t.Any] | None:
        """``{"pid", "port", "machine", "image", "started", "seconds"}`` of the running host; None when it does not run."""
        try:
            state = json.loads((self.directory / _STATE).read_text(encoding="utf-8"))
            pid = int(state["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return dict(state) if self.emulator.is_ours(pid) else None

    def console_log(self) -> Path:
        """What the host wrote to its serial console: of its latest boot or run."""
        boots = self.directory.parent.glob(f"{_boots(self.host.name)}/{machine.CONSOLE_LOG}")
        logs = [log for log in (*boots, self.emulator.console_log) if log.exists()]
        return max(logs, key=lambda log: log.stat().st_mtime, default=self.emulator.console_log)

    def image_key(self) -> str:
        """Key of the host's image."""
        _private, public = image.project_key(self.cache)
        return image.key(self.host, public)

    def machine_key(self) -> str:
        """Key of the host's snapshot: another description, image or QEMU gives another."""
        argv = machine.argv(self.host)
        facts = {"argv": argv, "image": self.image_key(), "qemu": self.qemu_version()}
        return f"{self.host.name}-{content_key(facts)}"

    def qemu_version(self) -> str:
        """The first line of what QEMU says about itself."""
        return tools.run([machine.QEMU, "--version"]).splitlines()[0]

    def host_variables(self) -> dict[str, t.Any]:
        """The inventory variables of the running host. Raises HostError when it does not run."""
        state = self.state()
        if state is None:
            raise HostError(f"{self.name} is not running: start it with `up {self.name}`.")
        return reach.host_variables(int(state["port"]), self.key)

    def prepare(self) -> Path:
        """Directory of the host's snapshot, built and booted for if need be. A running host is left alone."""
        tools.require(machine.QEMU, "qemu-img", "ssh")
        built = image.build(self.host, self.cache, self.say)
        key = self.machine_key()
        saved = self.cache.part("machines") / key
        with self.cache.lock(f"machine-{key}", self.say):
            if not saved.exists():
                self._boot(saved, built)
        return saved

    def up(self, restart: bool = False) -> dict[str, t.Any]:
        """Start the host unless it runs; its state. Raises HostError, with nothing left running."""
        state = self._running()
        if state is not None and not restart:
            return state
        saved = self.prepare()
        with self.cache.lock(f"host-{self.name}", self.say):
            state = self._running()
            if state is not None and not restart:
                return state
            self.emulator.stop()
            try:
                return self._restore(saved)
            except HostError as error:
                self.emulator.stop()
                self.say(f"the snapshot cannot be used, booting anew ({error})")
            remove(saved)
            return self._restore(self.prepare())

    def _running(self) -> dict[str, t.Any] | None:
        state = self.state()
        if state is not None and state["machine"] != self.machine_key():
            self.say(f"{self.name} runs from an older description; `up --restart` renews it")
        return state

    def down(self, keep_code: bool = False) -> bool:
        """Stop the host and, if it has no label, a preparation of it; False when there was nothing to stop.

        With `keep_code` what Python has compiled in it is kept for later starts, see :mod:`.code_cache`.
        """
        prepared = [] if "+" in self.name else _stop(self.cache, _boots(self.host.name))
        if not self.directory.exists():
            return bool(prepared)
        with self.cache.lock(f"host-{self.name}", self.say):
            if keep_code and self.state() is not None:
                with contextlib.suppress(HostError, OSError):
                    self._keep_code()
            return bool(prepared + _stop(self.cache, self.name))

    def _code(self) -> Path:
        """The archive of what Python has compiled in hosts with this image."""
        return self.cache.part("code") / f"{self.image_key()}.tar"

    def _keep_code(self) -> None:
        kept = self._code()
        archive = self.emulator.ssh_bytes(f"tar -cf - -C {code_cache.FOLDER} .")
        if len(archive) > (kept.stat().st_size if kept.exists() else 0):
            write_atomically(kept, archive)

    def _give_code(self) -> None:
        kept = self._code()
        # Sources that have changed leave their code behind: begin anew from time to time.
        if kept.exists() and kept.stat().st_size < _CODE_LIMIT:
            self.emulator.ssh_bytes(f"tar -xf - -C {code_cache.FOLDER}", kept.read_bytes())
        else:
            remove(kept)

    def reset(self) -> None:
        """Press the running host's reset button: it boots again, with its disk as it is. Raises HostError when it does not run."""
        self.host_variables()
        with self.emulator.monitor() as monitor:
            monitor.execute("system_reset")

    def _boot(self, saved: Path, built: Path) -> None:
        """Boot the host beside a running one and put its snapshot into ``saved``."""
        directory = self.directory.with_name(f"{saved.name}.boot")
        emulator = Emulator(self.host.name, directory, self.key)
        emulator.stop()
        started = time.monotonic()
        self.say(f"booting {self.host.name} for the first time (a minute or two, more on a busy machine)")
        _lay_out(directory, built)
        disk = directory / machine.DISK
        backing = os.path.relpath(built / image.DISK, directory)
        tools.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", backing, machine.DISK],
            cwd=directory,
        )
        try:
            emulator.start(machine.argv(self.host))
            emulator.open_port()
            emulator.wait(BOOT_LIMIT_S)
            seconds = round(time.monotonic() - started, 1)
            self.say(f"booted in {seconds:.0f} s; saving a snapshot")
            with emulator.monitor() as monitor:
                refusal = monitor.human(f"savevm {machine.SNAPSHOT}")
            if refusal:
                raise HostError(f"QEMU could not save the snapshot: {refusal}")
        finally:
            emulator.stop()
        about = {"host": self.host.name, "image": built.name, "boot_seconds": seconds}
        with self.cache.building("machines", saved.name) as made:
            os.rename(disk, made / machine.DISK)
            write_atomically(made / _ABOUT, json.dumps(about) + "\n")
        remove(directory)

    def _restore(self, saved: Path) -> dict[str, t.Any]:
        """Continue from a copy of the snapshot in ``saved``."""
        started = time.monotonic()
        built = self.cache.part("images") / self.image_key()
        _lay_out(self.directory, built)
        disk = self.directory / machine.DISK
        tools.run(["cp", "--reflink=auto", "--sparse=always", str(saved / machine.DISK), str(disk)])
        try:
            pid = self.emulator.start(machine.argv(self.host, restore=True))
            port = self.emulator.open_port()
            self.emulator.wait(RESTORE_LIMIT_S)
            # The host's clock stands where it was saved. A Python that a signal ends there says where it was.
            self.emulator.ssh(f"date -u -s @{time.time():.3f}; echo PYTHONFAULTHANDLER=1 >> /etc/environment")
            self._give_code()
        except BaseException:
            self.emulator.stop()
            raise
        seconds = round(time.monotonic() - started, 1)
        state = {"pid": pid, "port": port, "machine": saved.name, "image": built.name}
        state |= {"started": round(time.time()), "seconds": seconds}
        write_atomically(self.directory / _STATE, json.dumps(state) + "\n")
        return state


def _lay_out(directory: Path, built: Path) -> None:
    """An empty run directory with the image's boot files in it."""
    remove(directory)
    directory.mkdir(parents=True)
    (directory / "boot").symlink_to(os.path.relpath(built, directory))


def _boots(name: str) -> str:
    """Pattern of the run directories in which a host is booted for its snapshot (``small`` is not ``small-hvm``)."""
    return f"{name}-{'[0-9a-f]' * 16}.boot"


def _stop(cache: Cache, pattern: str) -> list[str]:
    """Stop what runs in the run directories of these names and remove them; the names of those that ran."""
    stopped = []
    for directory in sorted((cache.root / "run").glob(pattern)):
        if Emulator(directory.name, directory, image.key_path(cache)).stop():
            stopped.append(directory.name)
        remove(directory)
    return stopped


def labelled(cache: Cache) -> list[str]:
    """Names of the hosts with labels that have a run directory."""
    return sorted(directory.name for directory in (cache.root / "run").glob("*+*"))


def stop_all(cache: Cache) -> list[str]:
    """Stop every host, also one whose description is gone; their names."""
    return _stop(cache, "*")


def stale(instances: t.Iterable[Instance], cache: Cache) -> list[Path]:
    """Snapshots and images that no described host leads to and no running host uses."""
    used: set[str] = set()
    for instance in instances:
        state = instance.state() or {}
        used |= {
            instance.machine_key(),
            instance.image_key(),
            state.get("machine", ""),
            state.get("image", ""),
        }
    parts = [cache.part(name) for name in ("machines", "images")]
    return [path for part in parts for path in sorted(part.iterdir()) if path.name not in used]
