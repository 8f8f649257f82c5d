# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""boot_state: the files that it writes, and that the program in them runs."""

import ast
import contextlib
import copy
import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

pytest.importorskip("ansible.module_utils.basic")
pytest.importorskip("_cffi_backend")

from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost
from ansible_collections.dom0.xen.plugins.modules import boot_state
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._control import mortal
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
    monkeypatch.setattr(boot_state, "INTERPRETERS", (interpreter(tmp_path / "system" / "python3"),))
    return tmp_path


def interpreter(path, status=0, mode=0o755):
    """Something that can be run in the place of a Python, which has what is asked for or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(mode)
    return str(path)


def names(folder):
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if not name.startswith("system/"))


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


@pytest.mark.parametrize("fault", mortal.FAULTS)
def test_whatever_goes_wrong_each_file_is_whole_and_the_next_run_finishes(monkeypatch, capsys, files, fault):
    def act():
        with contextlib.suppress(IndexError):
            run(monkeypatch, capsys, boot_state, cpupools=POOLS)

    act()
    whole = {name: (files / name).read_bytes() for name in ALL}
    stride = 1 if os.environ.get("EVERY_POINT") else 13
    point, reached = 1 + 3 * list(mortal.FAULTS).index(fault) % stride, True
    while reached:
        run(monkeypatch, capsys, boot_state, state="absent")
        reached, _error = mortal.Mortal().with_fault(point, mortal.FAULTS[fault](), act)
        capsys.readouterr()
        found = {name: (files / name).read_bytes() for name in names(files)}
        assert all(whole[name] == content for name, content in found.items()), point
        act()
        assert {name: (files / name).read_bytes() for name in names(files)} == whole, point
        point += stride
    assert point > 12


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


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Runs the program, or lines of Python that begin with it on their path, in an empty folder with nothing else of ours."""
    folder = tmp_path_factory.mktemp("alone")
    program = folder / "restore.pyz"
    program.write_bytes(boot_state.program())
    (folder / "empty").mkdir()

    def run_alone(*arguments, lines=None, **variables):
        code = f"import sys; sys.path.insert(0, {str(program)!r})\n{lines}"
        what = [str(program)] if lines is None else ["-c", code]
        process = subprocess.Popen(
            [sys.executable, "-I", *what, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=str(folder / "empty"),
            env=dict(os.environ, **variables),
        )
        out, err = process.communicate()
        assert err.decode() == ""
        return process.returncode, out.decode("utf-8")

    run_alone.program = program
    return run_alone


def test_the_program_runs_by_itself(alone):
    """Without a state, or on no Xen host, it says so: it looks where the state is on a real host."""
    for words in ([], ["--guests"]):
        status, told = alone(*words)
        assert told.startswith("<4>Nothing was restored: ") or "could not be restored" in told
        assert status == 1


def test_the_program_has_all_that_it_may_import(alone):
    """Whatever its files import is in it, what they import late, too, and can be imported; of Ansible there is nothing."""
    with zipfile.ZipFile(str(alone.program)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    modules = {
        name[: -len(".py")].replace("/__init__", "").replace("/", ".")
        for name in found
        if "__main__" not in name
    }
    for name, text in found.items():
        assert b"ansible.module_utils" not in text, name
    assert {
        "dom0_xen._discovery.hypervisor",
        "dom0_xen._control.lock",
        "dom0_xen._toolstack.xenstore",
    } <= modules
    assert not any("recordings" in name for name in modules)
    lines = f"""
import importlib
sys.modules["_cffi_backend"] = None
for name in {sorted(modules)!r}:
    importlib.import_module(name)
"""
    assert alone(lines=lines) == (0, "")
    late = {
        node.module.split(".")[0]
        for text in found.values()
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and node.level and node.module
    }
    files_of = {name.rpartition(".")[2] for name in modules}
    assert late <= files_of


#: What makes this machine the control domain of a Xen host for the program, but for Xen's library.
DOM0 = """
from dom0_xen import _restore
from dom0_xen._control import lock
from dom0_xen._control.journal import Journal
from dom0_xen._xen import connection
connection.check_control_domain = lambda root="/": None
connection.LIBRARY = "libxencall-that-is-away.so.1"
state, place, patience = sys.argv[1:4]
sys.exit(_restore.main(
    sys.argv[4:], None, state, lambda: lock.host_lock("a boot", place + "/lock", float(patience)), Journal(place + "/moves.json")
))
"""


@pytest.fixture
def booted(alone, tmp_path):
    """Boots a host with this state, on which Xen's library is away: nothing can be restored, and each entry says so."""

    def boot(data, *words, patience=0, **variables):
        (tmp_path / "state.json").write_bytes(data)
        place = tmp_path / "run"
        status, told = alone(
            str(tmp_path / "state.json"), str(place), str(patience), *words, lines=DOM0, **variables
        )
        return status, told.splitlines()

    return boot


def test_without_xens_library_each_entry_says_so(booted):
    pins = [{"guest": "Domain-0", "hard": "all"}, {"guest": "Domain-0", "vcpus": "0", "hard": "1"}]
    pools = [{"name": "new", "cpus": "1"}, {"name": "more", "cpus": "2"}]
    status, told = booted(json.dumps({"state": 1, "affinities": pins, "cpupools": pools}).encode())
    assert status == 1
    for what, times in (("Cpupool 'new'", 1), ("Cpupool 'more'", 1), ("Affinity of 'Domain-0'", 2)):
        lines = [line for line in told if line.startswith(f"<4>{what} could not be restored: ")]
        assert len(lines) == times, told
        assert all("libxencall-that-is-away.so.1 cannot be loaded" in line for line in lines)
    assert told[-1] == "<6>Done, but for what is said above"


BAD = [
    (b'"guest": "b\xe4ume", "hard": "1"', "is not UTF-8"),
    (b'"guest": "\\ud800", "hard": "1"', "is not UTF-8"),
    (b'"guest": ["web"], "hard": "1"', "has a guest that is not a text"),
    (b'"hard": "1"', "has no guest"),
    (b'"guest": "web", "harder": "1"', "has 'harder', which is unknown"),
    (b'"guest": "Domain-0", "force": 3', "has a force that is not true or false"),
]


def test_what_cannot_be_read_costs_only_its_entry(booted):
    """Each of these, in front of one that can be: under a locale that cannot write the names, and with guests whose names nobody can."""
    entries = b", ".join(b"{" + text + b"}" for text, _words in BAD)
    good = '{"guest": "Domain-0", "hard": "all"}, {"guest": "bäume \\u2603", "hard": "1"}'.encode()
    data = b'{"state": 1, "cpupools": [7, {"name": "web", "domains": "x"}], "affinities": [%s, 3, %s]}' % (
        entries,
        good,
    )
    status, told = booted(data, "--guests", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert status == 1
    for index, (text, words) in enumerate(BAD):
        mark = f"affinities[{index}] in"
        assert any(line.startswith("<4>") and mark in line and words in line for line in told), (text, told)
    assert sum("could not be restored" in line for line in told) == 2
    for index, section in ((0, "cpupools"), (1, "cpupools"), (len(BAD), "affinities")):
        assert any(f"{section}[{index}] in" in line for line in told)
    assert any(line.startswith("<4>Affinity of 'bäume \u2603' could not be restored: ") for line in told), (
        told
    )
    assert told[-1] == "<6>Done, but for what is said above"


def test_a_boot_does_not_wait_for_ever_for_the_lock(booted, tmp_path):
    (tmp_path / "run").mkdir(mode=0o700)
    holder = subprocess.Popen(
        [sys.executable, "-c", LOCKS, str(tmp_path / "run" / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"held\n"
    status, told = booted(b'{"state": 1}')
    holder.communicate(b"\n")
    assert status == 1
    assert told[-1].startswith("<4>It was given up: another run is changing this host")
    assert booted(b'{"state": 1}') == (0, [told[0], "<6>Done"])


LOCKS = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); input()"


def test_a_state_that_others_can_write_is_not_restored(booted, tmp_path):
    (tmp_path / "state.json").touch()
    (tmp_path / "state.json").chmod(0o666)
    status, told = booted(b'{"state": 1}')
    assert status == 1
    assert told[0].startswith("<4>Nothing was restored: ")
    assert "others than root can write to it" in told[0]


def parsed_imports(source):
    """What Python's own parser finds."""
    waiting = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ImportFrom) and node.level:
            yield node.level, node.module or "", [alias.name for alias in node.names]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def test_imports_are_those_that_python_finds():
    folder = os.path.dirname(boot_state._restore.__file__)
    sources = [os.path.join(above, name) for above, _folders, names in os.walk(folder) for name in names]
    count = 0
    for path in sources:
        if path.endswith(".py"):
            with open(path, "rb") as stream:
                source = stream.read()
            assert sorted(boot_state.imports(source)) == sorted(parsed_imports(source)), path
            count += source.count(b"import")
    assert count > 100


def test_units_and_their_order(monkeypatch, capsys, files):
    run(monkeypatch, capsys, boot_state, affinities=PINS)
    first, second = (
        (files / "units" / name).read_text()
        for name in ("dom0-xen-restore.service", "dom0-xen-restore-guests.service")
    )
    assert "\nBefore=xendomains.service\n" in first
    assert "\nAfter=dom0-xen-restore.service xendomains.service\n" in second
    assert f"ExecStart={files}/system/python3 -I " in first
    assert "\nTimeoutStartSec=600\n" in first and "\nTimeoutStartSec=600\n" in second
    assert second.split("ExecStart=")[1].splitlines()[0].endswith("restore.pyz --guests")
    assert json.loads((files / "etc" / "state.json").read_text())["state"] == 1


def test_units_run_the_systems_python(monkeypatch, capsys, files):
    """One that others can replace, or that lacks what the program needs, is passed over; that of the play may be anybody's."""

    def runs():
        done = run(monkeypatch, capsys, boot_state, check_mode=True)
        return done.get("msg") or "found"

    def after(*interpreters):
        monkeypatch.setattr(boot_state, "INTERPRETERS", interpreters)
        monkeypatch.setattr(sys, "prefix", "/somebody/venv")
        return runs()

    good = interpreter(files / "system" / "good")
    writable = interpreter(files / "system" / "writable", mode=0o777)
    lacking = interpreter(files / "system" / "lacking", status=1)
    assert after(good) == "found"
    assert after("/nowhere/python3", writable, lacking, good) == "found"
    assert boot_state._interpreter() == good
    message = after(writable, lacking)
    assert "others than root can write to it" in message
    assert "lacking has no module _cffi_backend" in message
    assert f"{sys.executable}, is not for root's units" in message
    home = files / "home"
    interpreter(home / "python3")
    os.symlink(str(home / "python3"), str(files / "system" / "link"))
    home.chmod(0o777)
    assert "home is not trusted" in after(str(files / "system" / "link"))
    assert [name for name in names(files) if not name.startswith("home")] == []
    assert "there is none" in after()
    # Of what is not on the list the play's own counts, if it is no virtual environment.
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(sys, "executable", good)
    assert boot_state._interpreter() == good


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_python_that_is_somebodys_is_not_for_root(monkeypatch, files):
    theirs = interpreter(files / "system" / "theirs")
    os.chown(theirs, 12345, 12345)
    monkeypatch.setattr(boot_state, "INTERPRETERS", (theirs,))
    monkeypatch.setattr(sys, "prefix", "/somebody/venv")
    with pytest.raises(boot_state.Failure, match="theirs is not trusted: it belongs to user 12345"):
        boot_state._interpreter()


#: Paths that systemd runs, and such as it does not.
ODD = ("plain", "two words", "per%cent", "bäume", "d$llar", "-dash", "percent %n")
REFUSED = ('quo"ted', "back\\slash", "ta\tb", "it's", "two\nlines")


def test_a_path_that_systemd_would_not_run():
    for name in REFUSED:
        with pytest.raises(boot_state.Failure, match="systemd runs no program at"):
            boot_state.boot_state.escaped("/usr/" + name)


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd's own reading of units is not here"
)
def test_systemd_finds_what_the_units_name(tmp_path):
    """It complains of each unit whose command is not there, by the name that it has read, and of no other."""
    units = []
    for index, name in enumerate(ODD):
        interpreter(tmp_path / str(index) / name)
        text = boot_state.boot_state.unit("dom0-xen-restore.service", str(tmp_path / str(index) / name))
        # The other units are not on this machine.
        lines = [line for line in text.splitlines(True) if not line.startswith(("After", "Before"))]
        units.append(tmp_path / f"odd-{index}.service")
        units[-1].write_text("".join(lines))

    def complaints():
        argv = ["systemd-analyze", "verify", "--man=no", *map(str, units)]
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        return [line for line in process.communicate()[1].decode().splitlines() if "odd-" in line]

    assert complaints() == []
    for index, name in enumerate(ODD):
        (tmp_path / str(index) / name).unlink()
    said = complaints()
    for index, name in enumerate(ODD):
        assert any(
            f"odd-{index}.service" in line
            and f"{tmp_path}/{index}/{name} " in line
            and "not executable" in line
            for line in said
        ), (name, said)


def test_a_file_that_is_not_roots_is_not_written_over(monkeypatch, capsys, files):
    (files / "etc").mkdir()
    os.mkfifo(str(files / "etc" / "state.json"))
    assert (
        "state.json is not trusted: it is no file"
        in run(monkeypatch, capsys, boot_state, cpupools=POOLS)["msg"]
    )
    (files / "etc" / "state.json").unlink()
    (files / "etc").chmod(0o777)
    assert "etc is not trusted" in run(monkeypatch, capsys, boot_state, cpupools=POOLS)["msg"]
    assert not (files / "etc" / "state.json").exists()


def test_a_state_that_this_version_does_not_read_is_kept(monkeypatch, capsys, files):
    (files / "etc").mkdir(mode=0o700)
    state = files / "etc" / "state.json"
    for data, words in (
        (b'{"state": 1, "affinities": [{"guest": "b\xe4ume"}]}', "affinities[0]"),
        (b'{"state": 1, "cpupools": [{}]}', "has no name"),
        (b"{", "cannot be read"),
    ):
        state.write_bytes(data)
        assert words in run(monkeypatch, capsys, boot_state, affinities=PINS)["msg"]
        assert state.read_bytes() == data


def test_names_that_are_unknown_are_not_guessed(monkeypatch, capsys, files):
    """Without xenstore nobody knows what the first cpupool is called, which the state depends on."""
    heard = copy.deepcopy(recording("small-guests"))
    heard.data.pop("cpupool_names", None)
    heard.components = [
        {"name": "xenstore", "priority": 40, "state": "passed_over", "reason": "xenstored is not running."}
    ]
    monkeypatch.setattr(boot_state.authoritative, "ask", lambda subset, open_xen: heard)
    assert "xenstored is not running" in run(monkeypatch, capsys, boot_state, cpupools=POOLS)["msg"]
    assert run(monkeypatch, capsys, boot_state, check_mode=True, affinities=PINS)["changed"]
