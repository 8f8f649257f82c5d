# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.dom0.xen.tests.xenhost import cli, tools

pytest.importorskip("tomllib")


@pytest.fixture(autouse=True)
def cache_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XENHOST_CACHE", str(tmp_path / "xenhost"))
    return tmp_path / "xenhost"


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    commands = [
        "build",
        "prepare",
        "up",
        "down",
        "status",
        "ssh",
        "put",
        "inventory",
        "console",
        "clean",
        "doctor",
    ]
    assert all(f"\n    {command}" in text for command in commands)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["up", "huge"], "xenhost: There is no test host 'huge'; described are:"),
        (["ssh", "small"], "xenhost: small is not running: start it with `up small`."),
        (["inventory", "big"], "xenhost: big is not running: start it with `up big`."),
        (["console", "small"], "xenhost: There is no log"),
        (["down"], "xenhost: Say which host to stop, or --all."),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments, sentence, capsys):
    assert cli.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(sentence)
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["status"], ["down", "--all"], ["down", "small"], ["clean"], ["doctor"]]
)
def test_looking_and_tidying_leave_nothing_behind(arguments, cache_directory):
    cli.main(arguments)
    assert not cache_directory.exists()


def test_status_lists_every_host(capsys):
    assert cli.main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(line.split()[0] for line in lines)
    assert any(line.startswith("small ") and "not running" in line for line in lines)


def test_doctor_names_the_packages_of_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(
        tools, "find", lambda program: None if program in ("mke2fs", "ssh", "ssh-keygen") else "/bin/x"
    )
    assert cli.main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "apt-get install e2fsprogs openssh-client"
    assert [line.split()[0] for line in lines if "MISSING" in line] == ["mke2fs", "ssh", "ssh-keygen"]


def test_doctor_is_content_when_nothing_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(tools, "find", lambda program: f"/usr/bin/{program}")
    assert cli.main(["doctor"]) == 0
    assert "MISSING" not in capsys.readouterr().out


def test_a_missing_program_is_a_sentence_with_its_package(monkeypatch, capsys):
    monkeypatch.setattr(
        tools, "find", lambda program: None if program == "mmdebstrap" else f"/usr/bin/{program}"
    )
    monkeypatch.setattr(cli.image, "project_key", lambda cache: (cache.root, "ssh-ed25519 AAAA\n"))
    assert cli.main(["build", "small"]) == 1
    assert capsys.readouterr().err == "xenhost: mmdebstrap not found: apt-get install mmdebstrap\n"


def test_a_host_that_does_not_run_has_no_reset_button(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XENHOST_CACHE", str(tmp_path))
    assert cli.main(["reset", "small"]) == 1
    assert "small is not running" in capsys.readouterr().err


def test_a_program_that_fails_is_quoted(tmp_path):
    with pytest.raises(cli.HostError, match="sh failed with status 3: no space left"):
        tools.run(["sh", "-c", "echo trying; echo no space left >&2; exit 3"])
    log = tmp_path / "log"
    with pytest.raises(cli.HostError, match=r"sh failed with status 4: worse \(all of it is in .*log\)"):
        tools.run(["sh", "-c", "echo bad; echo worse; exit 4"], log)
    assert log.read_text() == "bad\nworse\n"
    with pytest.raises(cli.HostError, match="status 1: E: Unable to locate package nonsense"):
        tools.run(
            ["sh", "-c", "echo I: begin; echo E: Unable to locate package nonsense; echo E: failed; exit 1"]
        )


@pytest.fixture
def interruptible():
    """What is started in the background has SIGINT ignored, pytest perhaps too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_program_is_asked_to_end_and_may_tidy(tmp_path):
    started, tidied = tmp_path / "started", tmp_path / "tidied"
    program = f"trap 'echo yes > {tidied}; exit 1' TERM; echo yes > {started}; while :; do sleep 0.1; done"
    test = threading.Thread(target=lambda: interrupt_when(started), daemon=True)
    test.start()
    with pytest.raises(KeyboardInterrupt):
        tools.run(["sh", "-c", program], tmp_path / "log")
    assert tidied.read_text() == "yes\n"


def interrupt_when(path):
    while not path.exists():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)


def test_a_reader_that_has_enough_is_no_error():
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; sys.stdin.read(1); from tests.xenhost.cli import main; sys.exit(main(['status']))",
        ],
        cwd=Path(cli.__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    process.stdout.close()
    process.stdin.write(b"x")
    process.stdin.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 0


def test_an_error_of_the_system_is_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli.run.Instance, "host_variables", lambda self: {})
    assert cli.main(["inventory", "small", "--output", str(tmp_path / "none" / "hosts.yml")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("xenhost: ")
    assert error.endswith("No such file or directory.\n")
