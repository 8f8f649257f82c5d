# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""guest_config on real files: what is written, how, and what is said."""

import contextlib
import functools
import os
import signal
import stat

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.dom0.xen.plugins.module_utils._control.lock import host_lock
from ansible_collections.dom0.xen.plugins.module_utils._discovery import authoritative
from ansible_collections.dom0.xen.plugins.modules import guest_config
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._control import mortal
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from ansible_collections.dom0.xen.tests.unit.plugins.modules.running import run, warnings_of


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run the module with these guests, the lock beside the files."""
    monkeypatch.setattr(guest_config, "host_lock", lambda module: host_lock("a test", str(tmp_path / "lock")))

    def _call(*guests, **options):
        return run(
            monkeypatch,
            capsys,
            guest_config,
            options.pop("check_mode", False),
            guests=list(guests),
            **options,
        )

    return _call


@pytest.fixture
def cfg(tmp_path):
    path = tmp_path / "web.cfg"
    path.write_bytes(b'name = "web" # caf\xe9\nvcpus = 2\ncpus = "0-3"\n')
    path.chmod(0o640)
    return path


WANTED = b'name = "web" # caf\xe9\nvcpus = 2\ncpus = ["4", "4"]\n'


def test_check_mode_says_the_same_and_writes_nothing(call, cfg, tmp_path):
    before = cfg.read_bytes()
    foretold = call({"path": str(cfg), "cpus": "4"}, check_mode=True)
    assert cfg.read_bytes() == before
    assert os.listdir(str(tmp_path)) == ["web.cfg"]
    done = call({"path": str(cfg), "cpus": "4"})
    assert cfg.read_bytes() == WANTED
    for key in ("changed", "guests", "diff"):
        assert foretold[key] == done[key]
    assert done["changed"] is True
    assert done["guests"][0]["before"] == {"name": "web", "vcpus": 2, "cpus": "0-3"}
    assert done["guests"][0]["repaired"] is True
    again = call({"path": str(cfg), "cpus": "4"})
    assert (again["changed"], again["diff"]) == (False, [])


def test_mode_and_links_stay(call, cfg, tmp_path):
    auto = tmp_path / "auto"
    auto.mkdir()
    link = auto / "web.cfg"
    link.symlink_to("../web.cfg")
    result = call({"path": str(link), "cpus": "4"})
    assert result["guests"][0]["path"] == str(cfg)
    assert os.readlink(str(link)) == "../web.cfg"
    assert stat.S_IMODE(cfg.stat().st_mode) == 0o640
    assert cfg.read_bytes() == WANTED
    # nothing that would be started at boot, or mistaken for a configuration
    assert sorted(os.listdir(str(tmp_path))) == ["auto", "lock", "web.cfg"]
    assert os.listdir(str(auto)) == ["web.cfg"]


def test_the_same_file_by_two_names_is_noticed(call, cfg, tmp_path):
    (tmp_path / "other.cfg").symlink_to("web.cfg")
    result = call({"path": str(cfg), "cpus": "4"}, {"path": str(tmp_path / "other.cfg"), "cpus": "5"})
    assert "guests[0] has the same path" in result["msg"]


def test_new_files(call, tmp_path):
    umask = os.umask(0o077)
    try:
        result = call({"path": str(tmp_path / "new.cfg"), "content": "# new", "name": "n", "cpus": ["1"]})
    finally:
        os.umask(umask)
    assert result["changed"] is True
    assert (tmp_path / "new.cfg").read_bytes() == b'# new\nname = "n"\nvcpus = 1\ncpus = ["1"]\n'
    assert stat.S_IMODE((tmp_path / "new.cfg").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", ["0640", 0o640, "u=rw,g=r,o="])
def test_owner_group_and_mode_are_as_copy_has_them(call, cfg, tmp_path, mode):
    cfg.chmod(0o644)
    ours, new = {"path": str(cfg)}, {"path": str(tmp_path / "new.cfg"), "content": "a = 1\n"}
    foretold = call(ours, new, mode=mode, check_mode=True)
    assert stat.S_IMODE(cfg.stat().st_mode) == 0o644
    done = call(ours, new, mode=mode)
    assert (foretold["guests"], foretold["diff"]) == (done["guests"], done["diff"])
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("web.cfg", "new.cfg")] == [0o640] * 2
    assert done["diff"][0]["before"].startswith("# mode 0644\n")
    assert done["diff"][0]["after"].startswith("# mode 0640\n")
    # each file may say otherwise; owner and group as names and numbers
    again = call(dict(ours, mode="0600", owner="root"), new, mode=mode, group=0, backup=True)
    assert [entry["changed"] for entry in again["guests"]] == [True, False]
    assert stat.S_IMODE(cfg.stat().st_mode) == 0o600
    assert "backup_file" not in again["guests"][0]


def test_nothing_is_done_where_owner_group_or_mode_cannot_be(call, cfg, tmp_path):
    before = cfg.read_bytes()
    for wrong in ({"mode": "worse"}, {"owner": "nobody-of-that-name"}, {"group": "no group of that name"}):
        new = {"path": str(tmp_path / "new.cfg"), "content": "a = 1\n"}
        for guests in (
            ({"path": str(cfg), "cpus": "4"}, dict(new, **wrong)),
            (dict(wrong, path=str(cfg), cpus="4"),),
        ):
            assert call(*guests)["exit_status"] == 1
    assert cfg.read_bytes() == before
    assert sorted(os.listdir(str(tmp_path))) == ["lock", "web.cfg"]


def test_a_file_gets_its_mode_before_what_is_new_is_in_it(call, cfg, monkeypatch):
    cfg.chmod(0o644)
    seen = []
    real = guest_config.files.write_whole

    def write_whole(path, data, **options):
        seen.append(stat.S_IMODE(os.stat(path).st_mode))
        real(path, data, **options)

    monkeypatch.setattr(guest_config.files, "write_whole", write_whole)
    result = call({"path": str(cfg), "cpus": "4"}, mode="0600", backup=True)
    assert seen == [0o600]
    assert stat.S_IMODE(os.stat(result["guests"][0]["backup_file"]).st_mode) == 0o600


def test_backups(call, cfg, tmp_path):
    result = call({"path": str(cfg), "cpus": "4"}, backup=True)
    copy = result["guests"][0]["backup_file"]
    assert os.path.dirname(copy) == str(tmp_path)
    with open(copy, "rb") as stream:
        assert b'"0-3"' in stream.read()
    auto = tmp_path / "auto"
    auto.mkdir()
    (auto / "db.cfg").write_bytes(b'name = "db"\n')
    result = call({"path": str(auto / "db.cfg"), "vcpus": 4}, backup=True)
    assert os.path.basename(result["guests"][0]["backup_file"]).startswith(".db.cfg.")
    assert sorted(name for name in os.listdir(str(auto)) if not name.startswith(".")) == ["db.cfg"]
    assert "backup_file" not in call({"path": str(cfg), "cpus": "4"}, backup=True)["guests"][0]


def test_expressions_beyond_xl_ask_the_host_once(call, cfg, monkeypatch):
    asked = []

    def ask(subset=(), open_xen=None):
        asked.append(tuple(subset))
        return recording("small")

    monkeypatch.setattr(authoritative, "ask", ask)
    call({"path": str(cfg), "cpus": "0-1"})
    assert asked == []
    assert call({"path": str(cfg), "cpus": "node:1"})["guests"][0]["after"]["cpus"] == ["4-7", "4-7"]
    asked.clear()
    result = call({"path": str(cfg), "cpus": "package:1", "cpus_soft": "core:0.0"})
    assert result["guests"][0]["after"]["cpus"] == ["4-7", "4-7"]
    assert result["guests"][0]["after"]["cpus_soft"] == ["0-1", "0-1"]
    assert asked == [()]
    assert "package 9" in call({"path": str(cfg), "cpus": "package:9"})["msg"]


def test_keys_that_xl_does_not_know_are_named(call, tmp_path):
    (tmp_path / "a.cfg").write_bytes(b"maxcpus = 4\nvcpus = 2\ncolour = 1\nmaxvcpus = 2\n")
    (warning,) = warnings_of(call({"path": str(tmp_path / "a.cfg"), "memory": 64}))
    assert warning.endswith("a.cfg: xl knows no key maxcpus (maxvcpus?), colour, and passes over it")


def test_warnings_name_the_file(call, tmp_path):
    (tmp_path / "a.cfg").write_bytes(b'cpus = "all,^0"\n')
    result = call({"path": str(tmp_path / "a.cfg"), "vcpus": 1})
    assert any("a.cfg" in text and "all,^0" in text for text in warnings_of(result))


def test_failures_are_sentences(call, cfg, tmp_path):
    broken = tmp_path / "broken.cfg"
    broken.write_bytes(b"vcpus = 2\r\n")
    before = cfg.read_bytes()
    result = call({"path": str(cfg), "cpus": "4"}, {"path": str(broken), "cpus": "4"})
    assert result["exit_status"] == 1
    assert "guests[1]" in result["msg"]
    assert "Unix line ends" in result["msg"]
    assert cfg.read_bytes() == before
    missing = call(
        {"path": str(cfg), "cpus": "4"}, {"path": str(tmp_path / "no" / "x.cfg"), "content": "a = 1"}
    )
    assert "x.cfg could not be written" in missing["msg"]
    assert [entry["path"] for entry in missing["done"]] == [str(cfg)]
    assert missing["changed"] is True


def test_what_a_killed_run_left_is_cleared_away(call, cfg, tmp_path):
    left = tmp_path / ".web.cfg.dom0-xen-abc"
    left.write_bytes(b"half")
    other = tmp_path / ".web.cfg.swp"
    other.write_bytes(b"an editor's")
    call({"path": str(cfg), "cpus": "4"})
    assert (left.exists(), other.exists()) == (False, True)


@pytest.mark.parametrize("point", range(1, 13))
def test_killed_at_any_call_each_file_is_the_old_or_the_new_one(call, cfg, tmp_path, monkeypatch, point):
    """SIGKILL, for real, of a child right before one of the calls that touch files; then the next run."""
    second = tmp_path / "db.cfg"
    second.write_bytes(cfg.read_bytes())
    old = cfg.read_bytes()
    guests = [{"path": str(path), "cpus": "4"} for path in (cfg, second)]
    child = os.fork()
    if child == 0:  # pragma: no cover
        calls = [0]

        def deadly(real):
            def wrapper(*args, **options):
                calls[0] += 1
                if calls[0] == point:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **options)

            return wrapper

        for name in ("open", "fsync", "rename", "unlink", "fchmod"):
            monkeypatch.setattr(os, name, deadly(getattr(os, name)))
        try:
            call(*guests)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert {cfg.read_bytes(), second.read_bytes()} <= {old, WANTED}
    call(*guests)
    assert {cfg.read_bytes(), second.read_bytes()} == {WANTED}
    assert stat.S_IMODE(cfg.stat().st_mode) == 0o640
    assert [name for name in os.listdir(str(tmp_path)) if name.startswith(".")] == []


def _append(said, ask):
    # A SystemExit out of nowhere comes with no result.
    with contextlib.suppress(IndexError):
        said.append(ask())


@pytest.mark.parametrize("fault", mortal.FAULTS)
def test_whatever_goes_wrong_each_file_is_the_old_or_the_new_one(call, cfg, tmp_path, fault):
    second = tmp_path / "db.cfg"
    old = cfg.read_bytes()
    guests = [{"path": str(path), "cpus": "4"} for path in (cfg, second)]
    point, reached = 0, True
    while reached:
        point += 1
        cfg.write_bytes(old)
        second.write_bytes(old)
        said = []
        act = functools.partial(_append, said, lambda: call(*guests))
        reached, _error = mortal.Mortal().with_fault(point, mortal.FAULTS[fault](), act)
        assert {cfg.read_bytes(), second.read_bytes()} <= {old, WANTED}, point
        assert [name for name in os.listdir(str(tmp_path)) if name.startswith(".")] == [], point
        if fault in ("ENOSPC", "EIO") and reached and said[0]["exit_status"] == 1:
            done = [entry["path"] for entry in said[0].get("done", [])]
            # The first two are of the lock.
            assert point < 3 or fault in said[0]["msg"], point
            assert all((tmp_path / path).read_bytes() == WANTED for path in done), point
    assert point > 8


def test_passwords_are_told_to_nobody(call, cfg, monkeypatch, tmp_path):
    logged = []
    monkeypatch.setattr(
        guest_config.AnsibleModule, "log", lambda self, *said, **more: logged.append((said, more))
    )
    cfg.write_bytes(b'name = "web"\nvncpasswd = "hush-hush"\nvcpus = 1\n')
    content = 'name = "db"\nvfb = ["type=vnc,vncpasswd=hush-hush"]\nspicepasswd = "silence"\n'
    result = call({"path": str(cfg), "vcpus": 2}, {"path": str(tmp_path / "db.cfg"), "content": content})
    assert result["changed"] is True
    assert (tmp_path / "db.cfg").read_text() == content
    for word in ("hush-hush", "silence"):
        assert word not in str(result) + str(logged)


def test_what_ansible_hands_over_itself_is_starred_out_nowhere(call, tmp_path):
    vnuma = [{"node": 0, "memory": 256, "vcpus": "0"}]
    guest = {
        "path": str(tmp_path / "w.cfg"),
        "content": 'type = "pv"',
        "memory": 256,
        "vcpus": 1,
        "vnuma": vnuma,
    }
    assert "xl refuses it for a PV guest" in call(guest, _ansible_selinux_special_fs=["fuse", "nfs"])["msg"]
