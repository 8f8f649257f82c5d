# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""boot_state: the files that it writes, and that the program in them runs."""

import contextlib
import copy
import json
import subprocess
import sys

import pytest

pytest.importorskip("ansible.module_utils.basic")
pytest.importorskip("_cffi_backend")

from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost
from ansible_collections.dom0.xen.plugins.modules import boot_state
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from ansible_collections.dom0.xen.tests.unit.plugins.modules.running import run

POOLS = [{"name": "web pool", "cpus": "node:1", "domains": ["disc web"]}]
PINS = [{"guest": "disc web", "hard": "4"}]


@pytest.fixture
def files(monkeypatch, tmp_path):
    """Where the files go. The first cpupool has been renamed."""
    heard = copy.deepcopy(recording("small-guests"))
    heard.data["cpupool_names"] = {"0": "first"}
    monkeypatch.setattr(
        boot_state.authoritative,
        "ask",
        lambda subset, open_xen: RawHost(copy.deepcopy(heard.data), heard.components),
    )
    monkeypatch.setattr(boot_state, "open_xen", lambda module: contextlib.ExitStack())
    monkeypatch.setattr(boot_state, "host_lock", lambda module: contextlib.ExitStack())
    monkeypatch.setattr(boot_state.boot_state, "STATE_PATH", str(tmp_path / "etc" / "state.json"))
    monkeypatch.setattr(boot_state.boot_state, "PROGRAM_PATH", str(tmp_path / "lib" / "restore.pyz"))
    monkeypatch.setattr(boot_state.boot_state, "UNIT_FOLDER", str(tmp_path / "units"))
    monkeypatch.setattr(boot_state.boot_state, "WANTS_FOLDER", str(tmp_path / "units" / "wants"))
    return tmp_path


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


ALL = [
    "etc/state.json",
    "lib/restore.pyz",
    "units/dom0-xen-restore-guests.service",
    "units/dom0-xen-restore.service",
    "units/wants/dom0-xen-restore-guests.service",
    "units/wants/dom0-xen-restore.service",
]


def test_written_once_and_removed_once(monkeypatch, capsys, files):
    checked = run(monkeypatch, capsys, boot_state, check_mode=True, cpupools=POOLS)
    assert names(files) == []
    done = run(monkeypatch, capsys, boot_state, cpupools=POOLS)
    assert checked == done
    assert names(files) == ALL
    assert run(monkeypatch, capsys, boot_state, cpupools=POOLS)["changed"] is False
    link = files / "units" / "wants" / "dom0-xen-restore.service"
    assert link.resolve() == (files / "units" / "dom0-xen-restore.service").resolve()
    link.unlink()
    assert run(monkeypatch, capsys, boot_state)["files"] == [str(link)]
    more = run(monkeypatch, capsys, boot_state, affinities=PINS)
    assert more["files"] == [str(files / "etc" / "state.json")]
    assert [entry["name"] for entry in more["boot_state"]["cpupools"]] == ["web pool"]
    assert '"hard": "4"' in more["diff"][0]["after"]
    gone = run(monkeypatch, capsys, boot_state, state="absent")
    assert (len(gone["files"]), names(files)) == (6, [])
    assert run(monkeypatch, capsys, boot_state, state="absent")["changed"] is False


def test_the_first_cpupool_has_its_own_name_at_boot(monkeypatch, capsys, files):
    done = run(monkeypatch, capsys, boot_state, cpupools=[{"name": "first", "cpus": "0-3"}])
    assert done["boot_state"]["cpupools"][0]["former_name"] == "Pool-0"
    done = run(monkeypatch, capsys, boot_state, numa_split=True)
    assert [(entry["name"], entry.get("former_name")) for entry in done["boot_state"]["cpupools"]] == [
        ("Pool-node0", "Pool-0"),
        ("Pool-node1", None),
    ]
    assert run(monkeypatch, capsys, boot_state, numa_split=True, cpupools=POOLS)["failed"]


def test_a_plan_is_written_as_what_it_says(monkeypatch, capsys, files):
    plan = {"guests": [{"name": "web", "host": "alpha", "hard": "0-3", "soft": "all", "nodes": [0]}]}
    done = run(monkeypatch, capsys, boot_state, plan=plan, plan_host="alpha")
    assert done["boot_state"]["affinities"] == [{"guest": "web", "hard": "0-3", "soft": "all"}]
    wanted = [{"guest": "web", "hard": "planned"}, {"guest": "db", "soft": "planned"}]
    assert "no guest 'db'" in run(monkeypatch, capsys, boot_state, plan=plan, affinities=wanted)["msg"]


def test_a_damaged_state_is_not_overwritten_silently(monkeypatch, capsys, files):
    (files / "etc").mkdir()
    (files / "etc" / "state.json").write_text("{")
    assert "write it again, or remove it" in run(monkeypatch, capsys, boot_state, cpupools=POOLS)["msg"]


def test_the_program_runs_by_itself(monkeypatch, capsys, files):
    """With nothing of Ansible or of this checkout on its path; without a state it says so."""
    run(monkeypatch, capsys, boot_state, affinities=PINS)
    argv = [sys.executable, "-I", str(files / "lib" / "restore.pyz"), "--guests"]
    done = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    said, complaint = done.communicate()
    assert complaint == ""
    # It looks where the state is on a real host.
    assert said.startswith("<4>Nothing was restored: ") or "<4>It was given up" in said
    assert done.returncode == 1


def test_units_and_their_order(monkeypatch, capsys, files):
    run(monkeypatch, capsys, boot_state, affinities=PINS)
    first, second = (
        (files / "units" / name).read_text()
        for name in ("dom0-xen-restore.service", "dom0-xen-restore-guests.service")
    )
    assert "\nBefore=xendomains.service\n" in first
    assert "\nAfter=dom0-xen-restore.service xendomains.service\n" in second
    assert f"ExecStart={sys.executable} " in first
    assert second.split("ExecStart=")[1].splitlines()[0].endswith("restore.pyz --guests")
    assert json.loads((files / "etc" / "state.json").read_text())["state"] == 1
