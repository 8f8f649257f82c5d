# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import fcntl
import os
import subprocess
import sys
import time

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._control.lock import host_lock
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 0.0
        self.sleeps = 0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.sleeps += 1


def test_it_is_held_by_one_at_a_time(tmp_path):
    path, clock = str(tmp_path / "lock"), Clock()
    with host_lock("a test", path):
        with pytest.raises(Failure) as caught, host_lock("a test", path, 10, clock, clock.sleep):
            pytest.fail("two hold the lock")
        since = time.strftime("%Y-%m-%dT", time.gmtime())
        assert "a test (process {0} since {1}".format(os.getpid(), since) in str(caught.value)
        assert "after 10 seconds" in str(caught.value)
        assert clock.now >= 10
    with host_lock("a test", path, 10, clock, clock.sleep):
        pass


def test_it_is_waited_for(tmp_path):
    path, clock = str(tmp_path / "lock"), Clock()
    holder = host_lock("a test", path)
    holder.__enter__()

    def sleep(seconds):
        clock.sleep(seconds)
        if clock.sleeps == 3:
            holder.__exit__(None, None, None)

    with host_lock("a test", path, 10, clock, sleep):
        assert clock.sleeps == 3


def test_children_do_not_inherit_it(tmp_path):
    path, clock = str(tmp_path / "lock"), Clock()
    code = "print('runs', flush=True); input()"
    with host_lock("a test", path):
        child = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False
        )
        # Until the child's program runs the kernel may not have closed what it must not inherit.
        assert child.stdout.readline() == b"runs\n"
    try:
        with host_lock("a test", path, 0, clock, clock.sleep):
            pass
    finally:
        child.communicate(b"\n")


def test_a_holder_that_is_killed_lets_go(tmp_path):
    path, clock = str(tmp_path / "lock"), Clock()
    code = "import fcntl,sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(Failure), host_lock("a test", path, 0, clock, clock.sleep):
        pytest.fail("two hold the lock")
    child.kill()
    child.communicate()
    with host_lock("a test", path, 0, clock, clock.sleep):
        pass


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "4194305 2026-11-29T16:40:02Z dom0.xen.guest\n",
            "dom0.xen.guest (process 4194305, which was killed, but not",
        ),
        ("1 2026-11-29T16:40:02Z dom0.xen.guest\n", "dom0.xen.guest (process 1 since 2026-11-29T16:40:02Z)"),
        ("", "it does not say which"),
    ],
)
def test_the_holder_is_named(tmp_path, line, words):
    path, clock = tmp_path / "lock", Clock()
    with open(str(path), "w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        holder.write(line)
        holder.flush()
        with pytest.raises(Failure) as caught, host_lock("a test", str(path), 0, clock, clock.sleep):
            pytest.fail("two hold the lock")
    assert words in str(caught.value)
    assert caught.value.result == {"changed": False}


def test_a_link_is_not_followed(tmp_path):
    target = tmp_path / "precious"
    target.write_text("text")
    os.symlink(str(target), str(tmp_path / "lock"))
    with pytest.raises(Failure, match="cannot be opened"), host_lock("a test", str(tmp_path / "lock")):
        pytest.fail("a link was followed")
    assert target.read_text() == "text"
