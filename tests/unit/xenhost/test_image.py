# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

import io
import re
import tarfile
from pathlib import Path

import pytest
from ansible_collections.dom0.xen.tests.xenhost import cache, description, image
from ansible_collections.dom0.xen.tests.xenhost.errors import HostError

KEY = "ssh-ed25519 AAAA xenhost\n"
OWN = """\
http://mirror.example/debian/ bookworm main
http://mirror.example/debian/ bookworm contrib
http://mirror.example/debian/ bookworm-updates main
http://mirror.example/security/ bookworm-security main
http://mirror.example/debian/ bookworm-backports main
https://vendor.example/apt nodistro main
https://vendor.example/apt tool-bookworm main
"""


def host(suite="bookworm", name="odd", packages=(), disk="3GiB", cores=1, threads=1):
    cpus = {"cores": cores, "threads": threads}
    data = {
        "image": {"suite": suite, "packages": list(packages), "disk": disk},
        "cpu": cpus,
        "dom0": {"vcpus": 1},
    }
    data["numa"] = {"nodes": [{"cpus": f"0-{cores * threads - 1}", "memory": "2GiB"}]}
    return description.parse(name, data, "odd.toml")


def test_hosts_that_differ_in_hardware_share_an_image():
    assert image.key(host(), KEY) == image.key(host(name="other", cores=8, threads=2), KEY)


@pytest.mark.parametrize("change", [{"suite": "trixie"}, {"packages": ["gdb"]}, {"disk": "4GiB"}])
def test_what_changes_the_disk_changes_the_key(change):
    assert image.key(host(), KEY) != image.key(host(**change), KEY)


def test_another_ssh_key_and_another_builder_change_the_key(monkeypatch):
    before = image.key(host(), KEY)
    assert image.key(host(), KEY.replace("AAAA", "BBBB")) != before
    monkeypatch.setattr(image, "BUILDER", image.BUILDER + 1)
    assert image.key(host(), KEY) != before


@pytest.mark.parametrize(("suite", "release"), description.SUITES.items())
def test_each_suite_has_its_own_xen(suite, release):
    packages = image.packages(host(suite, packages=["gdb"]))
    assert {f"xen-hypervisor-{release}-amd64", f"xen-utils-{release}", "python3-cffi-backend", "gdb"} <= set(
        packages
    )
    assert list(packages) == sorted(set(packages))


def test_debian_comes_from_where_this_machine_gets_it():
    assert image.sources("bookworm", OWN, "bookworm") == [
        "deb http://mirror.example/debian/ bookworm main",
        "deb http://mirror.example/debian/ bookworm-updates main",
        "deb http://mirror.example/security/ bookworm-security main",
    ]


def test_another_suite_comes_from_the_same_place():
    assert image.sources("trixie", OWN, "bookworm") == [
        "deb http://mirror.example/debian/ trixie main",
        "deb http://mirror.example/debian/ trixie-updates main",
        "deb http://mirror.example/security/ trixie-security main",
    ]


@pytest.mark.parametrize(
    ("targets", "own"), [("", "bookworm"), (OWN, ""), (OWN, "noble"), ("garbage", "bookworm")]
)
def test_mmdebstrap_decides_where_nothing_is_known(targets, own):
    assert image.sources("bookworm", targets, own) == []


def test_mmdebstrap_is_told_everything_and_odd_paths_stay_one_word():
    argv = image.mmdebstrap_argv(
        host("trixie"), ['Acquire::http::Proxy "http://p";'], ["deb x trixie main"], Path("/c d")
    )
    assert argv[0] == "mmdebstrap"
    assert argv[-3:] == ["trixie", "/c d/root.tar", "deb x trixie main"]
    assert f"--include={','.join(image.packages(host('trixie')))}" in argv
    assert '--aptopt=Acquire::http::Proxy "http://p";' in argv
    assert "--essential-hook=tar-in '/c d/early.tar' /" in argv
    assert "--customize-hook=tar-in '/c d/late.tar' /" in argv


def read(entries):
    return {member.name: member for member in tarfile.open(fileobj=io.BytesIO(image.archive(entries)))}


def test_files_are_laid_over_with_their_directories_owners_and_modes():
    members = read(image.late_files(KEY, "secret"))
    assert all((member.uid, member.gid) == (0, 0) for member in members.values())
    assert members["root/.ssh"].isdir()
    assert members["root/.ssh"].mode == 0o700
    assert members["root/.ssh/id_ed25519"].mode == 0o600
    assert members["etc/hosts"].mode == 0o644
    assert members["boot/guest-kernel"].linkname == "../vmlinuz"
    assert members["etc/systemd/system/apt-daily.timer"].linkname == "/dev/null"
    names = list(members)
    assert names.index("root/.ssh") < names.index("root/.ssh/authorized_keys")


def test_the_same_files_give_the_same_archive():
    assert image.archive(image.late_files(KEY, "secret")) == image.archive(image.late_files(KEY, "secret"))


def test_the_key_opens_the_host_and_the_host_itself():
    by_path = {entry.path: entry.content for entry in image.late_files(KEY, "secret")}
    assert by_path["root/.ssh/authorized_keys"] == KEY
    assert by_path["root/.ssh/id_ed25519"] == "secret"
    assert "localhost" in by_path["etc/hosts"]


def test_a_failed_build_leaves_its_log_and_nothing_else(tmp_path, monkeypatch):
    here = cache.Cache(tmp_path)
    monkeypatch.setattr(image, "project_key", lambda _cache: (tmp_path / "key", KEY))
    (tmp_path / "key").write_text("secret")
    monkeypatch.setattr(image.tools, "require", lambda *programs: None)
    monkeypatch.setattr(image, "apt_options", list)
    monkeypatch.setattr(image, "own_sources", lambda suite: [])

    def run(argv, log, **options):
        log.write_text("E: no route to the mirror\n")
        raise HostError(f"mmdebstrap failed: E: no route to the mirror (all of it is in {log})")

    monkeypatch.setattr(image.tools, "run", run)
    kept = tmp_path / "images" / "failed.log"
    with pytest.raises(HostError, match=re.escape(f"no route to the mirror (all of it is in {kept})")):
        image.build(host(), here, lambda text: None)
    assert kept.read_text() == "E: no route to the mirror\n"
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["failed.log"]
