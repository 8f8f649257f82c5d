# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What surrounds QEMU, tried with other programs in its place."""

import json
import os
import socket
import subprocess
import sys
import threading

import pytest
from ansible_collections.dom0.xen.tests.xenhost import emulator, machine, qmp
from ansible_collections.dom0.xen.tests.xenhost.errors import HostError

STUBBORN = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); signal.pause()"
WILLING = "import signal; print('on', flush=True); signal.pause()"


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "odd"
    path.mkdir()
    return path


@pytest.fixture
def odd(directory):
    return emulator.Emulator("odd", directory, directory / "key")


def impostor(code, cwd, name="xenhost-odd"):
    process = subprocess.Popen([sys.executable, "-c", code, name], cwd=cwd, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"on\n"
    return process


def test_a_process_is_ours_by_name_and_directory(odd, directory, tmp_path):
    ours = impostor(WILLING, directory)
    elsewhere = impostor(WILLING, tmp_path)
    other = impostor(WILLING, directory, "another")
    try:
        assert odd.is_ours(ours.pid)
        assert not odd.is_ours(elsewhere.pid)
        assert not odd.is_ours(other.pid)
        assert not odd.is_ours(os.getpid())
        assert odd.processes() == [ours.pid]
    finally:
        for process in (ours, elsewhere, other):
            process.kill()
            process.wait()
    assert not odd.is_ours(ours.pid)
    assert odd.processes() == []


def test_one_that_has_only_just_been_started_is_known(odd):
    # While the kernel loads a program, its command line is empty.
    pid = odd.start([sys.executable, "-c", WILLING])
    try:
        assert odd.processes() == [pid]
    finally:
        odd.stop()
    assert odd.processes() == []


def test_stopping_what_does_not_run(odd):
    assert odd.stop() is False


def test_a_process_without_a_monitor_is_stopped_too(odd, directory):
    odd.start([sys.executable, "-c", WILLING, "xenhost-odd"])
    assert len(odd.processes()) == 1
    assert odd.stop() is True
    assert odd.processes() == []


def test_a_process_that_ignores_everything_is_killed(odd, directory, monkeypatch):
    monkeypatch.setattr(emulator, "STOP_LIMIT_S", 1)
    process = impostor(STUBBORN, directory)
    odd._process = process
    assert odd.stop() is True
    assert process.wait(60) == -9


def test_it_outlives_the_terminal(odd):
    pid = odd.start([sys.executable, "-c", WILLING, "xenhost-odd"])
    try:
        assert os.getsid(pid) == pid
    finally:
        odd.stop()


def test_an_emulator_that_ends_is_reported_with_its_last_words(odd, directory):
    (directory / machine.CONSOLE_LOG).write_text("booting\n\nPanic on CPU 0\n")
    odd.start([sys.executable, "-c", "import sys; sys.exit('bad option')"])
    with pytest.raises(HostError) as caught:
        odd.monitor()
    assert str(caught.value) == (
        "QEMU ended with status 1: bad option\nThe console's last lines:\nbooting\nPanic on CPU 0"
    )


def test_the_end_of_a_log(tmp_path):
    (tmp_path / "log").write_text("one\n\ntwo  \nthree\n")
    assert emulator.tail(tmp_path / "log", 2) == "two\nthree"
    with pytest.raises(HostError, match="There is no log"):
        emulator.tail(tmp_path / "none", 2)


class Server(threading.Thread):
    """Answers like QEMU's monitor, with what it is given."""

    def __init__(self, directory, answers):
        super().__init__(daemon=True)
        self.answers = answers
        self.heard = []
        self.listener = socket.socket(socket.AF_UNIX)
        back = os.getcwd()
        os.chdir(directory)
        try:
            self.listener.bind("qmp.sock")
        finally:
            os.chdir(back)
        self.listener.listen(1)
        self.start()

    def run(self):
        connection, _address = self.listener.accept()
        with connection, connection.makefile("rw") as stream:
            stream.write('{"QMP": {"version": {}}}\n')
            stream.flush()
            for answer in [[{"return": {}}], *self.answers]:
                self.heard.append(json.loads(stream.readline()))
                for line in answer:
                    stream.write(json.dumps(line) + "\n")
                stream.flush()


def test_the_monitor_skips_events_and_finds_the_answer(directory):
    server = Server(directory, [[{"event": "STOP"}, {"event": "RESUME"}, {"return": "saved\r\n"}]])
    with qmp.Monitor(directory / "qmp.sock") as monitor:
        assert monitor.human("savevm booted") == "saved"
    server.join(60)
    assert [line["execute"] for line in server.heard] == ["qmp_capabilities", "human-monitor-command"]
    assert server.heard[1]["arguments"] == {"command-line": "savevm booted"}


def test_a_refusal_of_the_monitor_is_a_sentence(directory):
    Server(directory, [[{"error": {"class": "GenericError", "desc": "No such device"}}]])
    with (
        qmp.Monitor(directory / "qmp.sock") as monitor,
        pytest.raises(HostError, match="refused eject: No such device"),
    ):
        monitor.execute("eject")


def test_a_monitor_that_hangs_up(directory):
    Server(directory, [])
    with qmp.Monitor(directory / "qmp.sock") as monitor, pytest.raises(ConnectionError):
        monitor.execute("quit")


def test_a_path_too_long_for_a_socket_is_reached(tmp_path):
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    Server(deep, [[{"return": "fine"}]])
    with qmp.Monitor(deep / "qmp.sock") as monitor:
        assert monitor.execute("query-status") == "fine"


def test_nobody_listens(directory):
    with pytest.raises(OSError, match="No such file"):
        qmp.Monitor(directory / "qmp.sock")
