# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import stat
import threading
from pathlib import Path

import pytest
from ansible_collections.dom0.xen.tests.xenhost import cache
from ansible_collections.dom0.xen.tests.xenhost.errors import HostError


@pytest.fixture
def here(tmp_path):
    return cache.Cache(tmp_path / "xenhost")


@pytest.mark.parametrize(
    ("environment", "root"),
    [
        ({"XENHOST_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/dom0-xen/xenhost"),
        ({"HOME": "/c"}, "/c/.cache/dom0-xen/xenhost"),
        ({"XENHOST_CACHE": "", "HOME": "/c"}, "/c/.cache/dom0-xen/xenhost"),
    ],
)
def test_where_it_is(environment, root):
    assert cache.default_root(environment) == Path(root)


def test_keys_depend_on_content_alone():
    assert cache.content_key({"a": 1, "b": [2]}) == cache.content_key({"b": [2], "a": 1})
    assert cache.content_key({"a": 1}) != cache.content_key({"a": 2})


def test_a_build_appears_when_it_is_done(here):
    with here.building("images", "key") as directory:
        (directory / "disk").write_text("all of it")
        assert not (here.root / "images" / "key").exists()
    assert (here.root / "images" / "key" / "disk").read_text() == "all of it"
    assert os.listdir(here.root / "images") == ["key"]


def test_a_failed_build_leaves_nothing_and_spares_what_was_there(here):
    with here.building("images", "key") as directory:
        (directory / "disk").write_text("old")

    def fail():
        with here.building("images", "key") as directory:
            (directory / "disk").write_text("half")
            raise HostError("no")

    with pytest.raises(HostError):
        fail()
    assert os.listdir(here.root / "images") == ["key"]
    assert (here.root / "images" / "key" / "disk").read_text() == "old"


def test_what_a_killed_build_left_is_no_obstacle(here):
    (here.part("images") / "key.new").mkdir()
    (here.root / "images" / "key.new" / "scrap").write_text("")
    with here.building("images", "key") as directory:
        assert os.listdir(directory) == []


def test_a_lock_makes_the_second_wait_and_says_so(here):
    said, order = [], []
    waiting = threading.Event()

    def say(text):
        said.append(text)
        waiting.set()

    def second():
        with here.lock("image-1", say):
            order.append("second")

    with here.lock("image-1", said.append):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(60)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]
    assert said == ["waiting for another run that works on image-1"]


def test_clean_removes_ours_alone(here):
    for name in ("images", "key"):
        (here.part(name) / "thing").write_text("")
    (here.root / "letter.txt").write_text("not ours")
    assert here.clean() is True
    assert os.listdir(here.root) == ["letter.txt"]
    assert here.clean() is False


def test_clean_does_not_touch_a_directory_that_was_never_ours(tmp_path):
    (tmp_path / "images").mkdir()
    assert cache.Cache(tmp_path).clean() is False
    assert (tmp_path / "images").is_dir()


def test_clean_removes_an_empty_root(here):
    here.part("run")
    here.clean()
    assert not here.root.exists()


def test_a_directory_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="set XENHOST_CACHE to a directory of yours"):
        cache.Cache(tmp_path / "file").part("run")


def test_files_are_written_whole_and_with_their_mode(tmp_path):
    path = tmp_path / "state"
    path.write_text("old")
    cache.write_atomically(path, "new", 0o600)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["state"]


def test_remove_takes_a_link_and_not_what_it_points_to(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    cache.remove(tmp_path / "link")
    cache.remove(tmp_path / "nothing")
    assert os.listdir(tmp_path) == ["target"]


def test_what_goes_away_by_itself_while_it_is_removed_is_no_fault(tmp_path, monkeypatch):
    run = tmp_path / "run"
    run.mkdir()
    (run / "ssh.sock").write_text("")
    remove_tree = cache.shutil.rmtree

    def overtaken(path):
        if (run / "ssh.sock").exists():
            (run / "ssh.sock").unlink()
            raise FileNotFoundError(2, "No such file or directory", "ssh.sock")
        remove_tree(path)

    monkeypatch.setattr(cache.shutil, "rmtree", overtaken)
    cache.remove(run)
    assert not run.exists()


MOUNTINFO = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 22 0:5 / /made/a.new/root/proc rw - proc proc rw
41 40 0:6 / /made/a.new/root/proc/sys/x rw - proc proc rw
42 22 0:7 / /made/a.newer/proc rw - proc proc rw
43 22 0:8 / /made/a.new/with\040blank rw - tmpfs tmpfs rw
"""


def test_mounts_of_a_killed_build_are_found_the_deepest_first():
    found = cache.mounts_below(Path("/made/a.new"), MOUNTINFO)
    assert found == ["/made/a.new/root/proc/sys/x", "/made/a.new/with blank", "/made/a.new/root/proc"]
