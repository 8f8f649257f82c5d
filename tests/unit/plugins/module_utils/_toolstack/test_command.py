# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands that print, fail, hang, and leave others in the background: real processes."""

import contextlib
import itertools
import os
import signal
import sys
import time

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import command
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.xl import first_complaints


def test_what_it_prints():
    code = "import os, sys; sys.stdout.buffer.write(b'out \\xff'); sys.stderr.write(os.environ['LC_ALL']); sys.exit(3)"
    assert command.run([sys.executable, "-c", code]) == (3, "out \\xff", "C")


def test_much_on_both_sides():
    code = "import sys; [print('x' * 9999, file=stream) for _one in range(100) for stream in (sys.stdout, sys.stderr)]"
    status, out, err = command.run([sys.executable, "-c", code])
    assert (status, len(out), len(err)) == (0, 1000000, 1000000)


def test_words_are_not_a_shells():
    words = ["a b", "$(id)", "b\u00e4ume", "\n", ""]
    code = "import os, sys; print([os.fsencode(word) for word in sys.argv[1:]])"
    status, out, _err = command.run([sys.executable, "-c", code, *words])
    assert (status, out.strip()) == (0, repr([word.encode("utf-8") for word in words]))


def test_not_installed():
    with pytest.raises(Failure, match="no-such-tool is not installed"):
        command.run(["no-such-tool"])


def test_found_where_administrators_commands_are(monkeypatch, tmp_path):
    """The path of a user, or none at all, does not lead to /usr/sbin; and the folder one happens to be in is nobody's path."""
    monkeypatch.setattr(command, "_FOLDERS", str(tmp_path / "sbin"))
    (tmp_path / "sbin").mkdir()
    for folder, word in (("sbin", "right"), ("here", "wrong")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "xl").write_text("#!/bin/sh\necho " + word + "\n")
        (tmp_path / folder / "xl").chmod(0o755)
    monkeypatch.chdir(tmp_path / "here")
    for path in ("/nowhere", ""):
        monkeypatch.setenv("PATH", path)
        assert command.run(["xl"])[1] == "right\n"
    monkeypatch.delenv("PATH")
    assert command.run(["xl"])[1] == "right\n"


def gone(process):
    """Whether no such process runs any more; it may still have to be waited for."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(
        "/proc/%d/stat" % process
    ) as stream:
        return stream.read().rpartition(")")[2].split()[0] in "ZX"
    return True


@pytest.fixture
def late(monkeypatch, tmp_path):
    """Time stands still until the command makes the file "late" in the folder; then every limit is over."""
    there = tmp_path / "late"
    # The first look at the clock sets the limit, and the command may be quicker than that.
    looks = itertools.count()
    monkeypatch.setattr(command.time, "monotonic", lambda: 1e9 if next(looks) and there.exists() else 0.0)
    return str(there)


HANGS = """
trap "" TERM
sleep 10000 &
echo $$ $!
echo "libxl: error: first" >&2
touch "$0"
sleep 10000
"""


def test_one_that_hangs_is_killed_with_what_it_started(late):
    status, out, err = command.run(["sh", "-c", HANGS, late], limit=1.5)
    assert status == -signal.SIGKILL
    processes = [int(word) for word in out.split()]
    assert len(processes) == 2
    while not all(gone(process) for process in processes):
        time.sleep(0.01)
    said = first_complaints(err)
    assert said.startswith(
        "it failed to end within 1.5 seconds and was killed: see that xenstored is running"
    )
    assert command.how_to_start() in said
    assert said.endswith("first")


def test_what_is_left_in_the_background_is_not_waited_for():
    """As xl leaves the process that watches over a guest, here with the pipes that it got."""
    code = "import os, time\nif os.fork() == 0:\n    os.setsid(); print(os.getpid(), flush=True); time.sleep(10000)\ntime.sleep(0.3)"
    status, out, _err = command.run([sys.executable, "-c", code], limit=600)
    assert status == 0
    assert not gone(int(out))
    os.kill(int(out), signal.SIGKILL)


def test_one_that_closes_its_output_and_hangs_has_a_limit(late):
    code = 'exec >&- 2>&-; touch "$0"; exec sleep 10000'
    assert command.run(["sh", "-c", code, late])[0] == -signal.SIGKILL


def test_it_does_not_outlive_an_error_of_ours(monkeypatch, tmp_path):
    """A run that ends in the middle, by Ctrl-C for instance, leaves no command behind that goes on alone."""
    real = command._ended

    def interrupted(process, pieces, deadline):
        assert process.stdout.readline() == b"up\n"
        (tmp_path / "process").write_text(str(process.pid))
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_ended", interrupted)
    with pytest.raises(KeyboardInterrupt):
        command.run([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(10000)"])
    assert gone(int((tmp_path / "process").read_text()))
    assert real is not command._ended


def test_the_unit_to_start_is_the_hosts_own(monkeypatch):
    for there, said in ((True, "systemctl restart xen"), (False, "systemctl start xenstored")):
        monkeypatch.setattr(command.os.path, "exists", lambda path, there=there: there)
        assert command.how_to_start() == said
