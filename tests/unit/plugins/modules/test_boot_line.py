# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""boot_line from its arguments to its result, on files in a folder."""

import json

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.dom0.xen.plugins.modules import boot_line
from ansible_collections.dom0.xen.tests.unit.plugins.modules.running import run

# Debian's order of files, and what its 20_linux_xen writes; with NODROPIN as Fedora's.
UPDATE_GRUB = """#!/bin/sh
R=$(dirname "$0")/root
. "$R/default/grub"
[ -n "$NODROPIN" ] || for x in "$R"/default/grub.d/*.cfg; do [ -e "$x" ] && . "$x"; done
echo "multiboot2 /xen.gz placeholder ${GRUB_CMDLINE_XEN} ${GRUB_CMDLINE_XEN_DEFAULT} no-real-mode edd=off" > "$R/grub.cfg"
"""
WORDS = ("dom0_max_vcpus=4", "dom0_mem=4096M,max:4096M")


@pytest.fixture(autouse=True)
def marks(tmp_path, monkeypatch):
    monkeypatch.setattr(boot_line, "MARK_PATH", str(tmp_path / "var" / "mark.json"))
    monkeypatch.setattr(boot_line, "BOOT_ID", str(tmp_path / "boot_id"))
    monkeypatch.setattr(
        "ansible_collections.dom0.xen.plugins.module_utils._control.lock.PATH", str(tmp_path / "lock")
    )
    (tmp_path / "boot_id").write_text("first\n")


@pytest.fixture
def settle(tmp_path, monkeypatch, capsys):
    script = tmp_path / "update-grub"
    script.write_text(UPDATE_GRUB)
    script.chmod(0o755)
    root = tmp_path / "root"
    (root / "default" / "grub.d").mkdir(parents=True)
    (root / "default" / "grub").write_text("")

    def settle(words=WORDS, **arguments):
        return run(
            monkeypatch, capsys, boot_line,
            words=list(words), menu=str(root / "grub.cfg"), update_command=[str(script)],
            drop_in=str(root / "default" / "grub.d" / "dom0-xen.cfg"), **arguments,
        )  # fmt: skip

    return settle


@pytest.mark.parametrize("without_drop_ins", [False, True])
@pytest.mark.parametrize(
    ("grub", "xen_cfg"),
    [
        ("", ""),
        ('GRUB_CMDLINE_XEN_DEFAULT="dom0_mem=1024M,max:1024M dom0_max_vcpus=1"', ""),
        ("", 'GRUB_CMDLINE_XEN="iommu=1 dom0_mem=1G"\n'),
    ],
)
def test_words_are_in_effect_and_a_second_run_changes_nothing(
    settle, tmp_path, monkeypatch, grub, xen_cfg, without_drop_ins
):
    if without_drop_ins:
        monkeypatch.setenv("NODROPIN", "1")
    root = tmp_path / "root"
    (root / "default" / "grub").write_text(grub)
    (root / "default" / "grub.d" / "xen.cfg").write_text(xen_cfg)
    first = settle(running="placeholder")
    assert first["changed"], first
    assert first["line"].split()[-4:] == [*WORDS, "no-real-mode", "edd=off"]
    assert first["pending"] == list(WORDS)
    assert [entry["after_header"] for entry in first["diff"]] == first["files"]
    before = (root / "grub.cfg").stat().st_mtime_ns
    second = settle(running=first["line"])
    assert (second["changed"], second["files"], second["diff"], second["pending"]) == (False, [], [], [])
    assert (root / "grub.cfg").stat().st_mtime_ns == before


def test_what_cannot_be_had_is_refused_each_time(settle, tmp_path):
    root = tmp_path / "root"
    (root / "default" / "grub.d" / "xen.cfg").write_text(
        "\nGRUB_CMDLINE_XEN_DEFAULT='iommu=1 dom0_nodes=0'\n"
    )
    for check_mode in (True, False, False):
        result = settle(["dom0_nodes=1"], check_mode=check_mode)
        assert result["failed"]
        assert "xen.cfg, line 2" in result["msg"]
        assert result["msg"].endswith("in the entry that boots: dom0_nodes=1")
    assert [path.name for path in (root / "default" / "grub.d").iterdir()] == ["xen.cfg"]
    assert (root / "default" / "grub").read_text() == ""


def test_a_host_is_booted_once_for_the_same_line(settle, tmp_path):
    mark = tmp_path / "var" / "mark.json"
    assert settle(running="", claim_reboot=True, check_mode=True)["reboot"]
    assert not mark.exists()
    first = settle(running="", claim_reboot=True)
    assert first["reboot"]
    assert json.loads(mark.read_text()) == {"line": first["line"], "boot": "first"}
    # It was not booted: it may be.
    assert settle(running="", claim_reboot=True)["reboot"]
    (tmp_path / "boot_id").write_text("second\n")
    again = settle(running="", claim_reboot=True)
    assert again["failed"]
    assert "booted anew for this already, and Xen still runs without dom0_max_vcpus=4" in again["msg"]
    # Another line is another matter.
    other = settle([*WORDS, "smt=off"], running="", claim_reboot=True)
    assert other["reboot"]
    done = settle([*WORDS, "smt=off"], running=other["line"], claim_reboot=True)
    assert (done["reboot"], done["pending"], mark.exists()) == (False, [], False)


def test_nothing_asked_for(settle, tmp_path, monkeypatch, capsys):
    assert not settle([])["changed"]
    settle()
    assert settle([])["changed"]
    assert "dom0_max_vcpus" not in (tmp_path / "root" / "grub.cfg").read_text()
    nowhere = run(monkeypatch, capsys, boot_line, words=[], update_command=["no-such-command"])
    assert (nowhere["changed"], nowhere["layout"]) == (False, None)
    result = run(monkeypatch, capsys, boot_line, words=["smt=off"], update_command=["no-such-command"])
    assert result["msg"].endswith(
        "Put this on Xen's command line with the boot loader that there is: smt=off"
    )
