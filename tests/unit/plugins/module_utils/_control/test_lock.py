# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import fcntl
import os
import socket
import stat
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


def refused(path):
    """What is said when there is no lock to be had."""
    clock = Clock()
    with pytest.raises(Failure) as caught, host_lock("a test", str(path), 5, clock, clock.sleep):
        pytest.fail("it was locked")
    assert caught.value.result == {"changed": False}
    assert "Nothing was done" in caught.value.message or "nothing was done" in caught.value.message
    assert clock.sleeps == 0
    return caught.value.message


def test_a_link_is_not_followed(tmp_path):
    target = tmp_path / "precious"
    target.write_text("text")
    os.symlink(str(target), str(tmp_path / "lock"))
    assert "lock cannot be locked: it is a link" in refused(tmp_path / "lock")
    assert target.read_text() == "text"


def test_other_things_in_its_place_are_named(tmp_path):
    for name, make, words in (
        ("fifo", os.mkfifo, "it is a FIFO, not a file"),
        ("folder", os.mkdir, "it is a directory, not a file"),
        ("dangling", lambda path: os.symlink("/nowhere", path), "it is a link, not a file"),
    ):
        path = str(tmp_path / name)
        make(path)
        assert words in refused(path)
        assert os.path.lexists(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listener:
        listener.bind(str(tmp_path / "socket"))
        assert "it is a socket, not a file" in refused(tmp_path / "socket")
    (tmp_path / "file").write_text("")
    os.link(str(tmp_path / "file"), str(tmp_path / "other name"))
    assert "has 2 names" in refused(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_others_own_is_refused(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.write_text("")
    os.chown(str(theirs), 12345, 12345)
    assert "it belongs to user 12345" in refused(theirs)
    (tmp_path / "folder").mkdir()
    os.chown(str(tmp_path / "folder"), 12345, 12345)
    message = refused(tmp_path / "folder" / "lock")
    assert "folder is not trusted: it belongs to user 12345" in message
    assert os.listdir(str(tmp_path / "folder")) == []


def test_a_folder_that_others_can_write_to_is_refused(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o1777)
    assert "others than root can write to it" in refused(folder / "lock")
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    os.symlink(str(real), str(tmp_path / "link"))
    assert "it is a link" in refused(tmp_path / "link" / "lock")
    assert os.listdir(str(real)) == []


def test_nobody_else_gets_at_it(tmp_path):
    path = tmp_path / "run" / "lock"
    os.umask(os.umask(0))
    with host_lock("a test", str(path)):
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # One that an administrator has opened to others is closed again.
    path.chmod(0o666)
    with host_lock("a test", str(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("put", [False, True])
def test_one_that_was_removed_or_replaced_meanwhile_is_not_taken_for_it(tmp_path, put):
    """Who waits on a file that is not there any more would hold a lock that others do not see."""
    path, clock = tmp_path / "lock", Clock()
    first = host_lock("the first", str(path))
    first.__enter__()
    others = []

    def sleep(seconds):
        clock.sleep(seconds)
        if clock.sleeps == 1:
            path.unlink()
            if put:
                others.append(path.open("w"))
                fcntl.flock(others[0], fcntl.LOCK_EX)
            first.__exit__(None, None, None)
        if clock.sleeps == 4:
            for other in others:
                other.close()

    with host_lock("the second", str(path), 100, clock, sleep) as descriptor:
        assert os.path.samestat(os.fstat(descriptor), os.stat(str(path)))
        assert clock.sleeps == (4 if put else 1)
        third = Clock()
        with pytest.raises(Failure, match="the second"), host_lock("x", str(path), 1, third, third.sleep):
            pytest.fail("two hold the lock")
