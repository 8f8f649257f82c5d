# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are written whole or not at all, with a fault at each of the writer's calls, and folders that others could write to."""

import errno
import os
import stat

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._control import files
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure

CALLS = ("open", "fdopen", "fchmod", "fsync", "rename", "listdir", "lstat", "listxattr")
FAULTS = [OSError(number, os.strerror(number)) for number in (errno.ENOSPC, errno.EIO, errno.EROFS)] + [
    KeyboardInterrupt(),
    SystemExit(1),
    MemoryError(),
]


class Watch:
    """The calls that are made of `os`, with a fault in the place of the one with the number `point`."""

    def __init__(self, monkeypatch, point=None, fault=None):
        self.calls, self.point, self.fault = [], point, fault
        for name in CALLS:
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name, real):
        def call(*arguments, **more):
            self.calls.append(name)
            if len(self.calls) == self.point:
                raise self.fault
            return real(*arguments, **more)

        return call


def test_content_comes_to_the_disk_before_the_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda one: (synced.append(os.readlink("/proc/self/fd/%d" % one)), real(one))
    )
    path = str(tmp_path / "x")
    rename = os.rename
    monkeypatch.setattr(os, "rename", lambda old, new: (synced.append("rename"), rename(old, new)))
    files.write_whole(path, b"new")
    assert [os.path.dirname(synced[0])] + synced[1:] == [str(tmp_path), "rename", str(tmp_path)]
    synced.clear()
    files.remove(path)
    files.remove(path)
    assert synced == [str(tmp_path)]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_fault_at_any_call_leaves_the_old_file_or_the_new_one_and_nothing_else(tmp_path, fault):
    point = 0
    while True:
        point += 1
        path = tmp_path / "x"
        path.write_bytes(b"old")
        with pytest.MonkeyPatch.context() as patch:
            watch = Watch(patch, point, fault)
            said = None
            try:
                files.write_whole(str(path), b"new", keep=True)
            except Failure as failure:
                said = failure.message
            except BaseException as error:
                assert error is fault
        if len(watch.calls) < point:
            break
        assert path.read_bytes() in (b"old", b"new"), point
        assert os.listdir(str(tmp_path)) == ["x"], point
        if isinstance(fault, OSError):
            assert errno.errorcode[fault.errno] in said
            assert ("may not be on the disk" in said) == (path.read_bytes() == b"new")
    assert (said, path.read_bytes(), point > 8) == (None, b"new", True)


def test_what_is_replaced_hands_on_its_owner_and_mode_and_a_new_file_is_roots_alone(tmp_path):
    path = tmp_path / "x"
    os.umask(os.umask(0o022))
    files.write_whole(str(path), b"1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(str(path), 12, 34)
    before = path.stat()
    files.write_whole(str(path), b"2", keep=True)
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    files.write_whole(str(path), b"3")
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) == (0o600, os.geteuid())


def test_links_are_replaced_not_followed(tmp_path):
    target, path = tmp_path / "target", tmp_path / "x"
    target.write_bytes(b"others")
    path.symlink_to(target)
    files.write_whole(str(path), b"new", keep=True)
    assert (target.read_bytes(), path.read_bytes(), path.is_symlink()) == (b"others", b"new", False)
    files.link_whole(str(path), str(target))
    assert (path.is_symlink(), path.resolve()) == (True, target.resolve())
    assert sorted(os.listdir(str(tmp_path))) == ["target", "x"]


def test_what_others_write_beside_it_stays(tmp_path):
    beside = tmp_path / ".x.dom0-xen-0123456789abcdef"
    beside.write_bytes(b"half")
    files.write_whole(str(tmp_path / "x"), b"new", alone=False)
    assert beside.exists()
    files.write_whole(str(tmp_path / "x"), b"new")
    assert not beside.exists()


def _link(path):
    (path.parent / "real").mkdir(mode=0o700)
    path.symlink_to(path.parent / "real")


def _mode(mode):
    def make(path):
        path.mkdir()
        path.chmod(mode)

    return make


def _below(make):
    def made(path):
        make(path.parent / "above")
        (path.parent / "above" / "folder").mkdir(mode=0o700)

    return made


def _others(path):
    path.mkdir(mode=0o700)
    os.chown(str(path), 65534, 65534)


@pytest.mark.parametrize(
    ("make", "where", "fault"),
    [
        (_link, "folder", "is a link"),
        (_mode(0o777), "folder", "others than root can write"),
        (_mode(0o1777), "folder", "others than root can write"),
        (lambda path: path.write_bytes(b""), "folder", "no folder"),
        (_below(_mode(0o777)), "above/folder", "above is not trusted: others than root"),
        (_below(_mode(0o777)), "above/not/there", "above is not trusted: others than root"),
        (_below(_others), "above/folder", "above is not trusted: it belongs to user 65534"),
        (_others, "folder", "it belongs to user 65534"),
    ],
)
def test_a_folder_that_others_can_write_to_is_refused_by_name(tmp_path, make, where, fault):
    if "65534" in fault and os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    make(tmp_path / "folder")
    with pytest.raises(Failure, match=fault) as caught:
        files.private_folder(str(tmp_path / where), "give another one")
    assert str(tmp_path) in caught.value.message
    assert ("or give another one" in caught.value.message, caught.value.result["changed"]) == (True, False)
    assert not (tmp_path / "above" / "not").exists()


def test_a_folder_is_made_for_root_alone_and_may_be_below_a_sticky_one(tmp_path):
    _mode(0o1777)(tmp_path / "tmp")
    (tmp_path / "to").symlink_to(tmp_path / "tmp")
    path = tmp_path / "to" / "a" / "b"
    files.private_folder(str(path))
    files.private_folder(str(path) + "/")
    assert [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)] == [0o700, 0o700]


def test_only_a_file_of_roots_own_is_read(tmp_path):
    path = tmp_path / "x"
    assert files.read_own(str(path)) is None
    files.make_new(str(path))
    with pytest.raises(Failure, match="is there already"):
        files.make_new(str(path))
    path.write_bytes(b"mine")
    assert files.read_own(str(path)) == b"mine"
    with pytest.raises(Failure, match="more than 3"):
        files.read_own(str(path), 3)
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(str(tmp_path / "fifo"))
    (tmp_path / "wide").write_bytes(b"")
    (tmp_path / "wide").chmod(0o666)
    for name, fault in (
        ("link", "a link"),
        ("fifo", "no file"),
        ("", "no file"),
        ("wide", "can write to it"),
    ):
        with pytest.raises(Failure, match="is not trusted: .*" + fault):
            files.read_own(str(tmp_path / name))
