# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starting and stopping, with QEMU's part played by records."""

import dataclasses
import json
import signal
import subprocess
import sys
import threading

import pytest
from ansible_collections.dom0.xen.tests.xenhost import cache, description, image, machine, run, tools
from ansible_collections.dom0.xen.tests.xenhost.errors import HostError

DATA = {"cpu": {"cores": 2}, "numa": {"nodes": [{"cpus": "0-1", "memory": "2GiB"}]}}
HOST = description.parse("odd", DATA, "odd.toml")


@pytest.fixture
def here(tmp_path, monkeypatch):
    here = cache.Cache(tmp_path)
    monkeypatch.setattr(tools, "require", lambda *programs: None)
    monkeypatch.setattr(image, "project_key", lambda _cache: (tmp_path / "key", "ssh-ed25519 AAAA\n"))
    monkeypatch.setattr(run.Instance, "qemu_version", lambda self: "QEMU 1")
    return here


@pytest.fixture
def said():
    return []


class Doubled(run.Instance):
    """An instance whose machines are notes in ``log``; ``broken`` snapshots cannot be continued from."""

    broken = 0

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.log = []
        self.alive = False
        self.emulator.is_ours = lambda pid: self.alive
        self.emulator.stop = self.stopped

    def stopped(self):
        self.log.append("stop")
        was, self.alive = self.alive, False
        return was

    def _boot(self, saved, built):
        self.log.append("boot")
        saved.mkdir(parents=True)

    def _restore(self, saved):
        self.log.append("restore")
        if self.broken:
            self.broken -= 1
            raise HostError("it does not load")
        self.alive = True
        self.directory.mkdir(parents=True, exist_ok=True)
        state = {"pid": 1, "port": 40022, "machine": saved.name, "image": self.image_key()}
        (self.directory / "state.json").write_text(json.dumps(state))
        return state


@pytest.fixture
def odd(here, said, monkeypatch):
    monkeypatch.setattr(image, "build", lambda host, cache, say: here.part("images"))
    return Doubled(HOST, here, said.append)


def test_the_first_start_boots_and_each_restores(odd):
    odd.up()
    assert odd.log == ["boot", "stop", "restore"]
    odd.log.clear()
    odd.alive = False
    odd.up()
    assert odd.log == ["stop", "restore"]


def test_a_host_that_runs_is_left_alone(odd):
    first = odd.up()
    odd.log.clear()
    assert odd.up() == first
    assert odd.log == []


def test_a_restart_gives_back_the_pristine_state(odd):
    odd.up()
    odd.log.clear()
    odd.up(restart=True)
    assert odd.log == ["stop", "restore"]


def test_a_snapshot_that_does_not_load_is_made_anew(odd, said):
    odd.prepare()
    odd.broken = 1
    odd.log.clear()
    assert odd.up()["port"] == 40022
    assert odd.log == ["stop", "restore", "stop", "boot", "restore"]
    assert said == ["the snapshot cannot be used, booting anew (it does not load)"]


def test_a_host_that_does_not_start_at_all_is_not_tried_for_ever(odd):
    odd.broken = 9
    with pytest.raises(HostError, match="does not load"):
        odd.up()
    assert odd.log.count("restore") == 2
    assert not odd.alive


def test_a_host_of_an_older_description_is_not_taken_away(odd, said, here):
    odd.up()
    newer = Doubled(dataclasses.replace(HOST, xen_arguments=("smt=0",)), here, said.append)
    newer.alive = True
    assert newer.up()["machine"] == odd.machine_key()
    assert newer.log == []
    assert said == ["odd runs from an older description; `up --restart` renews it"]


def test_another_description_or_qemu_needs_another_snapshot(odd, here, monkeypatch):
    keys = {odd.machine_key()}
    keys.add(run.Instance(dataclasses.replace(HOST, vendor="AuthenticAMD"), here, print).machine_key())
    keys.add(run.Instance(dataclasses.replace(HOST, packages=("gdb",)), here, print).machine_key())
    monkeypatch.setattr(run.Instance, "qemu_version", lambda self: "QEMU 2")
    keys.add(odd.machine_key())
    assert len(keys) == 4
    assert all(key.startswith("odd-") for key in keys)


def test_the_state_of_a_process_that_is_gone_is_not_believed(odd):
    odd.up()
    odd.alive = False
    assert odd.state() is None
    with pytest.raises(HostError, match="odd is not running: start it with `up odd`"):
        odd.host_variables()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"pid": "x"}', '{"port": 1}'])
def test_a_broken_state_file_means_not_running(odd, text):
    odd.up()
    (odd.directory / "state.json").write_text(text)
    assert odd.state() is None


def test_a_running_host_is_reached_where_it_says(odd):
    odd.up()
    assert odd.host_variables()["ansible_port"] == 40022


def test_stopping_a_host_that_never_ran_makes_nothing(odd, here):
    assert odd.down() is False
    assert not (here.root / "locks").exists()


WILLING = "import signal; print('on', flush=True); signal.pause()"


@pytest.fixture
def running(here):
    """Processes that pass for QEMUs in run directories, by directory name."""
    processes = {}
    for name in ("odd", "odd-0123456789abcdef.boot", "even"):
        directory = here.part("run") / name
        directory.mkdir()
        argv = [sys.executable, "-c", WILLING, f"{machine.NAME_PREFIX}{name}"]
        processes[name] = subprocess.Popen(argv, cwd=directory, stdout=subprocess.PIPE)
    for process in processes.values():
        assert process.stdout.readline() == b"on\n"
        # Reap it when it ends: a child that nobody waited for would still be found by its number.
        threading.Thread(target=process.wait, daemon=True).start()
    yield processes
    for process in processes.values():
        process.kill()


def test_stopping_a_host_stops_its_preparation_and_no_other(here, running):
    assert run.Instance(HOST, here, print).down() is True
    assert running["odd"].wait(60) == running["odd-0123456789abcdef.boot"].wait(60) == -signal.SIGTERM
    assert running["even"].poll() is None
    assert [path.name for path in (here.root / "run").iterdir()] == ["even"]


def test_stopping_all_needs_no_description(here, running):
    assert run.stop_all(here) == ["even", "odd", "odd-0123456789abcdef.boot"]
    assert all(process.wait(60) == -signal.SIGTERM for process in running.values())
    assert list((here.root / "run").iterdir()) == []


def test_stale_is_what_nobody_leads_to(odd, here):
    odd.up()
    for part, name in (("machines", "odd-0123456789abcdef"), ("images", "0123"), ("images", odd.image_key())):
        (here.part(part) / name).mkdir()
    assert [path.name for path in run.stale([odd], here)] == ["odd-0123456789abcdef", "0123"]
    # What a running host was started from is kept, whatever its description says now.
    changed = Doubled(dataclasses.replace(HOST, packages=("gdb",)), here, print)
    changed.alive = True
    assert odd.machine_key() not in {path.name for path in run.stale([changed], here)}


def test_the_snapshot_is_in_the_disk_that_qemu_is_given():
    assert machine.DISK in " ".join(machine.argv(HOST, restore=True))


def test_hosts_of_one_description_have_labels(here):
    host = description.load("small")
    one, other = (run.Instance(host, here, print, label) for label in ("", "place"))
    assert (one.name, other.name) == ("small", "small+place")
    assert one.directory != other.directory
    assert other.emulator.ssh_argv("true")[-2:] == ["small+place", "true"]
    other.directory.mkdir(parents=True)
    assert run.labelled(here) == ["small+place"]
    with pytest.raises(HostError, match="small letters"):
        run.Instance(host, here, print, "../x")
