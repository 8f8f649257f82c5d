# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""guest: from arguments to commands and back, on a host that is made up at the hypercalls and at xl."""

import contextlib
import json
import os
import stat

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.dom0.xen.plugins.module_utils import _unfinished
from ansible_collections.dom0.xen.plugins.module_utils._control.journal import Journal, Moved
from ansible_collections.dom0.xen.plugins.module_utils._control.lock import host_lock
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.plugins.module_utils._xen.sysctl import (
    DomainInfo,
    NumaInfo,
    getdomaininfolist,
)
from ansible_collections.dom0.xen.plugins.modules import guest
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from ansible_collections.dom0.xen.tests.unit.plugins.modules.running import run, warnings_of

MIB = 1 << 20
PAUSED, BLOCKED, RUNNING = 1 << 3, 1 << 4, 1 << 5  # XEN_DOMINF_*

# It does to the folder "domains" (one file a domain: name and flags) what xl does to a host.
XL = """#!/bin/sh
cd "{folder}" || exit 9
printf '%s\\n' "$*" >> calls
case "$1" in
create)
    for last; do :; done
    grep -q '^crash' "$last" && {{ echo "libxl: error: libxl_dom.c:1:build: Domain 7:no kernel" >&2; exit 3; }}
    name=$(sed -n 's/^name = "\\(.*\\)"$/\\1/p' "$last")
    number=$(($(ls domains | sort -n | tail -n 1) + 1))
    case "$*" in *" -p "*) flags={paused} ;; *) flags={running} ;; esac
    printf '%s\\n%s\\n' "$flags" "$name" > "domains/$number" ;;
pause) printf '%s\\n%s\\n' {paused} "$(tail -n 1 domains/$2)" > "domains/$2" ;;
unpause) printf '%s\\n%s\\n' {running} "$(tail -n 1 domains/$2)" > "domains/$2" ;;
destroy) rm "domains/$2" ;;
shutdown) rm "domains/$3" ;;
esac
"""


class Host:
    """The made-up host, in a folder."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "domains").mkdir()
        self.add(0, "Domain-0", RUNNING)
        xl = folder / "bin" / "xl"
        xl.parent.mkdir()
        xl.write_text(XL.format(folder=folder, paused=PAUSED, running=RUNNING))
        xl.chmod(xl.stat().st_mode | stat.S_IXUSR)

    def add(self, number, name, flags):
        (self.folder / "domains" / str(number)).write_text("{0}\n{1}\n".format(flags, name))

    def config(self, name, text=""):
        path = self.folder / (name + ".cfg")
        path.write_text('name = "{0}"\nmemory = 64\n{1}'.format(name, text))
        return str(path)

    def calls(self):
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def domains(self):
        found = {}
        for path in sorted((self.folder / "domains").iterdir()):
            flags, name = path.read_text().splitlines()
            found[int(path.name)] = (int(flags), name)
        return found

    # What stands in for libxencall and xenstore.
    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        pass

    def getdomaininfolist(self, _xen):
        return [
            DomainInfo(number, flags, 1, 1, 0, 0, 0, 0, 1, 0, "00" * 16, 0, None)
            for number, (flags, _name) in self.domains().items()
        ]

    def domain_names(self, _store, domids=None):
        return {number: name for number, (_flags, name) in self.domains().items() if number in domids}

    def numainfo(self, _xen):
        used = 70 * MIB * (len(self.domains()) - 1)
        return NumaInfo((0xFFFFFFFF, 2048 * MIB), (0xFFFFFFFF, 200 * MIB - used), ((10, 20), (20, 10)))


@pytest.fixture
def host(monkeypatch, tmp_path):
    made = Host(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin") + os.pathsep + os.environ["PATH"])
    monkeypatch.setattr(guest, "host_lock", lambda module: host_lock("a test", str(tmp_path / "lock")))
    monkeypatch.setattr(guest, "open_xen", lambda module: made)
    monkeypatch.setattr(guest.sysctl, "getdomaininfolist", made.getdomaininfolist)
    monkeypatch.setattr(guest.sysctl, "numainfo", made.numainfo)
    monkeypatch.setattr(guest.xenstore.Xenstore, "open", classmethod(lambda cls: made))
    monkeypatch.setattr(guest.xenstore, "domain_names", made.domain_names)
    return made


@pytest.fixture
def call(monkeypatch, capsys, host):
    def _call(*guests, **options):
        return run(
            monkeypatch, capsys, guest, options.pop("check_mode", False), guests=list(guests), **options
        )

    return _call


def test_create_pause_stop_destroy(call, host):
    wanted = {"name": "web", "config": host.config("web"), "nodes": [1]}
    foretold = call(wanted, check_mode=True)
    assert host.calls() == []
    assert not (host.folder / "lock").exists()
    made = call(wanted)
    assert made["guests"][0]["memory_delta_by_node"] == {"1": 70 * MIB}
    assert made["guests"][0]["free_before"] == {"1": 200 * MIB}
    assert (made["guests"][0]["domid"], made["guests"][0]["state"]) == (1, "running")
    for key in ("changed", "diff"):
        assert foretold[key] == made[key]
    assert made["diff"] == [
        {
            "before_header": "web",
            "after_header": "web",
            "before": {"state": "absent"},
            "after": {"state": "running"},
        }
    ]
    again = call(wanted)
    assert (again["changed"], again["diff"]) == (False, [])
    assert call({"name": "web", "state": "paused"})["guests"][0]["state"] == "paused"
    assert call({"name": "web"})["guests"][0]["steps"] == ["unpause"]
    assert call({"name": "web", "state": "stopped"})["guests"][0]["state"] == "absent"
    assert call(dict(wanted, state="paused"))["guests"][0]["state"] == "paused"
    assert call({"name": "web", "state": "destroyed"})["changed"] is True
    assert call({"name": "web", "state": "destroyed"})["changed"] is False
    config = wanted["config"]
    assert host.calls() == [
        "create -q -f " + config,
        "pause 1",
        "unpause 1",
        "shutdown -F 1",
        "create -q -p -f " + config,
        "destroy 1",
    ]


def test_memory_is_counted_before_anything_is_started(call, host):
    wanted = [{"name": name, "config": host.config(name), "nodes": [1]} for name in "abc"]
    for check_mode in (False, True):
        result = call(*wanted, check_mode=check_mode)
        assert (
            "guest 'c' was not created: it needs 68 MiB free on node 1, where there are 65 MiB"
            in result["msg"]
        )
    assert host.calls() == []


def test_a_failure_in_the_middle_says_what_was_done(call, host):
    wanted = [
        {"name": "a", "config": host.config("a")},
        {"name": "b", "config": host.config("b", "crash = 1\n")},
    ]
    result = call(*wanted)
    assert result["msg"].endswith("b.cfg: Domain 7:no kernel")
    assert [entry["name"] for entry in result["done"]] == ["a"]
    assert result["changed"] is True
    assert "libxl_dom.c" in result["output"]


def test_a_config_that_is_not_there_yet(call, host):
    wanted = {"name": "web", "config": str(host.folder / "web.cfg")}
    assert "cannot be read: No such file" in call(wanted)["msg"]
    foretold = call(wanted, check_mode=True)
    assert foretold["changed"] is True
    assert any("does not exist yet" in text for text in warnings_of(foretold))


def test_without_xl(call, host, monkeypatch):
    (host.folder / "bin" / "xl").unlink()
    monkeypatch.setattr(guest.AnsibleModule, "get_bin_path", lambda *arguments, **options: None)
    assert "there is no xl on this host" in call({"name": "web", "config": host.config("web")})["msg"]


def test_what_a_killed_run_of_cpupool_has_left_is_done_first(monkeypatch, capsys, host):
    pytest.importorskip("_cffi_backend")
    from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen

    heard = recording("small-guests")
    web = next(domain for domain in derive(heard).domains if domain.domid == 2)
    everything = list(range(8))
    for vcpu in next(domain for domain in heard.data["domains"] if domain["domain"] == 2)["vcpus"]:
        vcpu.update(hard=everything, hard_all=True, soft=everything, soft_all=True)
    fake = FakeXen(heard.data)
    made_up = guest.sysctl.getdomaininfolist
    monkeypatch.setattr(
        guest.sysctl,
        "getdomaininfolist",
        lambda xen: (getdomaininfolist if isinstance(xen, Xen) else made_up)(xen),
    )
    journal = Journal(str(host.folder / "pools.json"))
    monkeypatch.setattr(guest, "Journal", lambda: journal)
    monkeypatch.setattr(_unfinished, "Journal", lambda: journal)
    monkeypatch.setattr(_unfinished, "open_xen", lambda module: Xen(fake, machine="x86_64"))
    monkeypatch.setattr(_unfinished.xenstore.Xenstore, "open", contextlib.ExitStack)
    monkeypatch.setattr(_unfinished.xenstore, "domain_names", lambda store, domids: {2: "disc web"})
    arguments = {"guests": [{"name": "gone", "state": "absent"}]}
    assert run(monkeypatch, capsys, guest, **arguments)["changed"] is False
    journal.begin(Moved(2, web.uuid, (0,), {0: (CpuSet([4]), CpuSet([4]))}))
    checked = run(monkeypatch, capsys, guest, check_mode=True, **arguments)
    assert "setvcpuaffinity" not in fake.asked
    done = run(monkeypatch, capsys, guest, **arguments)
    assert (fake.domain(2)["vcpus"][0]["hard"], fake.domain(2)["vcpus"][0]["soft"]) == ([4], [4])
    assert fake.asked.count("setvcpuaffinity") == 1
    assert not journal.load()
    assert done["changed"] is checked["changed"] is True
    assert done["recovered"] == checked["recovered"]
    assert "put back" in done["recovered"][0]
    assert "disc web (domid 2)" in done["recovered"][0]
    assert done["diff"][0]["after"] == {"vCPU 0": "hard 4 / soft 4"}


def test_memory_that_was_saved_before_a_boot_waits_for_the_users_word(call, host, monkeypatch):
    folder = host.folder / "journals"
    monkeypatch.setattr(guest.move_journal, "FOLDER", str(folder))
    folder.mkdir(mode=0o700)
    uuid = "01234567-89ab-cdef-0123-456789abcdef"
    saved, note = folder / (uuid + ".save"), folder / (uuid + ".move")
    saved.write_bytes(b"Xen saved domain, xl format\n \0 \r" + bytes(64))
    fields = (
        "web",
        5,
        uuid,
        "alone",
        str(folder / "x.cfg"),
        str(saved),
        "another boot",
        "2026-12-01T07:29:40Z",
    )
    journal = guest.move_journal.Journal(*fields)
    note.write_text(json.dumps(dict(journal._asdict(), nodes=[1], disks=[])))
    (folder / "damaged.move").write_text("{")
    wanted = {"name": "web", "config": host.config("web")}
    for check_mode in (True, False):
        refused = call(wanted, check_mode=check_mode)
        assert refused["failed"]
        assert "web" in refused["msg"]
        assert str(saved) in refused["msg"]
        assert "as the host has booted since" in refused["msg"]
        assert "saved: discard removes it; saved: restore" in refused["msg"]
        assert (refused["changed"], [entry["file"] for entry in refused["left"]]) == (False, [str(saved)])
        assert "damaged.move should say that a move was begun" in warnings_of(refused)[0]
    # Other guests, and what only ends it, are not concerned.
    for other in ({"name": "db", "config": host.config("db")}, {"name": "web", "state": "destroyed"}):
        result = call(other)
        assert not result.get("failed")
        assert [entry["name"] for entry in result["left"]] == ["web"]
        assert any(str(saved) in warning for warning in warnings_of(result))
    assert saved.exists()
    assert "restore" not in " ".join(host.calls())
    done = call(dict(wanted, saved="discard"))
    assert (done["recovered"][0].endswith("was discarded, as asked"), done["left"]) == (True, [])
    assert done["guests"][0]["state"] == "running"
    assert not saved.exists()
    assert not note.exists()
    # Without such a file it does nothing.
    assert call(dict(wanted, saved="discard"))["changed"] is False


def test_a_folder_of_notes_that_others_can_write_to_is_refused(call, host, monkeypatch):
    folder = host.folder / "journals"
    monkeypatch.setattr(guest.move_journal, "FOLDER", str(folder))
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "a.move").write_text("{}")
    refused = call({"name": "web", "state": "destroyed"})
    assert "journals is not trusted: others than root can write to it" in refused["msg"]
