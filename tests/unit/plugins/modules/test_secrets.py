# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Passwords in configurations: in the files that they belong in, and in nothing that is printed or written besides."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible.module_utils import basic
from ansible_collections.dom0.xen.plugins.module_utils._control import config, guest_plan
from ansible_collections.dom0.xen.plugins.module_utils._control import guests as control
from ansible_collections.dom0.xen.plugins.module_utils._control.lock import host_lock
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xlcfg
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.xl import Xl
from ansible_collections.dom0.xen.plugins.modules import guest_config
from ansible_collections.dom0.xen.tests.unit.plugins.modules.running import run
from ansible_collections.dom0.xen.tests.unit.plugins.modules.spellings import READ, REFUSED, SECRET, pieces

try:
    from hypothesis import given, settings
    from hypothesis import strategies as st
except ImportError:
    st = None

ROOT = Path(__file__).resolve().parents[4]
ALL = dict(READ, **REFUSED)


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run guest_config as with -vvvv --diff; everything that it prints, warns of and logs, as one text."""
    monkeypatch.setattr(guest_config, "host_lock", lambda module: host_lock("a test", str(tmp_path / "lock")))
    logged = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, *said, **more: logged.append((said, more)))

    def _call(*guests, **options):
        result = run(
            monkeypatch,
            capsys,
            guest_config,
            options.pop("check_mode", False),
            guests=list(guests),
            _ansible_inject_invocation=True,
            _ansible_diff=True,
            _ansible_verbosity=4,
            **options,
        )
        assert "invocation" in result
        return result, json.dumps(result, ensure_ascii=False) + str(logged)

    return _call


@pytest.mark.parametrize("spelling", sorted(ALL))
def test_guest_config_shows_no_password(call, tmp_path, spelling):
    text = ALL[spelling]
    there, new, other = (tmp_path / name for name in ("there.cfg", "new.cfg", "other.cfg"))
    for path in (there, other):
        path.write_bytes(xlcfg.encode(text))
    # Arguments are UTF-8, files need not be.
    text = text.encode("utf-8", "replace").decode()
    calls = [
        ({"path": str(new), "content": text, "vcpus": 2},),
        ({"path": str(there), "memory": 64},),
        ({"path": str(there), "content": "memory = 64\n" + text},),
        ({"path": str(there), "content": "memory = 64\n"},),
        ({"path": str(other)},),
    ]
    for number, guests in enumerate(calls):
        _result, printed = call(*guests, check_mode=number == 2, backup=True)
        assert pieces(printed) == []
    try:
        xlcfg.parse(text if text.endswith("\n") else text + "\n")
    except Failure:
        assert not new.exists()
    else:
        if spelling in READ and new.exists():
            assert pieces(new.read_text(encoding="utf-8", errors="surrogateescape"))
    # nobody else can read what was made
    for name in os.listdir(str(tmp_path)):
        if name.startswith("new.cfg"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "arguments",
    [
        {"guests": [{"path": "/x", "contents": "vncpasswd = 'hunter2'"}]},
        {"guests": [{"content": "vncpasswd = 'hunter2'"}]},
        {"guests": [{"path": "/x", "content": {"vncpasswd": "hunter2"}, "vcpus": "two"}]},
        {"guests": [{"path": "/x", "content": ["hunter2"]}], "mode": "worse"},
        {"guests": ["vncpasswd='hunter2'"]},
        {"guests": "hunter2"},
        {"guests": {"hunter2": 1}},
        {"guest": [{"path": "/x", "content": "hunter2"}], "guests": []},
        {"guests": [[["hunter2"]]]},
    ],
)
def test_arguments_that_are_wrong_are_not_repeated(monkeypatch, capsys, arguments):
    result = run(monkeypatch, capsys, guest_config, True, _ansible_inject_invocation=True, **arguments)
    assert pieces(json.dumps(result)) == [], result


def test_arguments_that_are_harmless_are_shown(call, tmp_path):
    path = str(tmp_path / "a.cfg")
    result, _printed = call({"path": path, "content": "a = 1\n", "vcpus": 1, "cpus": ["1"]}, backup=True)
    said = result["invocation"]["module_args"]
    assert (said["guests"][0]["path"], said["guests"][0]["vcpus"], said["backup"]) == (path, 1, True)
    assert said["guests"][0]["content"] == config.HIDDEN
    # as short as the configuration is, nothing else is starred out for it
    assert result["guests"][0]["path"] == path
    assert result["guests"][0]["after"] == {"vcpus": 1, "cpus": ["1"]}


def texts(value):
    """Each text in a value, as xl might quote it."""
    return (
        [text for item in value.items for text in texts(item)]
        if isinstance(value, xlcfg.Items)
        else [value.text]
    )


@pytest.mark.parametrize("spelling", sorted(READ))
def test_what_xl_says_about_a_configuration_is_repeated_without_its_passwords(spelling):
    text = READ[spelling] + "\n"
    said = []
    for statement in xlcfg.parse(text).statements:
        for value in texts(statement.value):
            said += [
                "x.cfg: config parsing error in disk specification: unknown: `{0}'".format(value),
                "libxl: error: libxl_device.c:319:f: Disk vdev={0} failed to stat: {0}: No such file".format(
                    value
                ),
                "qemu-system-i386: -object {0}: Parameter '{1}' is missing".format(
                    value, value.split(",")[-1]
                ),
                json.dumps({"passwd": value}),
            ]

    def run_command(argv):
        return 1, "", "\n".join("error: " + line for line in said)

    xl = Xl(run_command, list, "xl", lambda path, output: config.hide_values(text, output))
    for use in (
        lambda: xl.create("web", "/etc/xen/web.cfg"),
        lambda: xl.restore("web", "/etc/xen/web.cfg", "/save"),
        lambda: xl.migrate(3, "/etc/xen/web.cfg"),
    ):
        with pytest.raises(Failure) as caught:
            use()
        assert pieces(str(caught.value) + json.dumps(caught.value.result)) == []


@pytest.mark.parametrize("spelling", sorted(ALL))
def test_guest_says_what_is_wrong_with_a_configuration_without_quoting_it(spelling):
    wanted = [guest_plan.Wanted("web", state, "/etc/xen/web.cfg") for state in ("running", "absent")]
    for one in wanted:
        try:
            decisions, warnings = guest_plan.decide(
                [one], [], {"/etc/xen/web.cfg": xlcfg.encode(ALL[spelling])}
            )
            printed = str(warnings) + str(control.forecast(decisions, {}))
        except Failure as failure:
            printed = failure.message + str(failure.result)
        assert pieces(printed) == []


if st is not None:

    @settings(max_examples=60)
    @given(
        st.sampled_from(sorted(ALL.values())),
        st.lists(
            st.tuples(st.integers(0, 200), st.sampled_from(list("'\"\\,;=#[]\n \t+x0A")), st.booleans()),
            max_size=6,
        ),
    )
    def test_no_damage_to_a_configuration_shows_its_password(text, damage):
        for place, character, instead in damage:
            place = min(place, len(text))
            if SECRET in text[max(place - 7, 0) : place + 8]:
                continue
            text = text[:place] + character + text[place + instead :]
        for data, content in ((xlcfg.encode(text), None), (None, text), (xlcfg.encode(text), "memory = 1\n")):
            try:
                change = config.plan_config({"path": "/x", "content": content, "memory": 64}, data)
            except Failure as failure:
                printed = failure.message
            else:
                printed = str(config.difference(change)) + str(config.result(change)) + str(change.warnings)
            assert pieces(printed) == []


FAKE = """#!{python}
# WANT_JSON
import json, sys
arguments = json.load(open(sys.argv[1]))
facts = json.load(open({facts!r}))
print(json.dumps({result}))
"""
RESULTS = {
    "topology_facts": "dict(changed=False, ansible_facts=dict(xen_topology=facts))",
    "domain_info": "dict(changed=False, domains=facts['domains'] or [])",
    "guest": "dict(changed=True, guests=[dict(name=guest['name'], memory_delta_by_node=None) for guest in arguments['guests']])",
    "vcpu_affinity": "dict(changed=True)",
}
PLAY = """
- hosts: localhost
  gather_facts: false
  roles: [dom0.xen.place_guests]
  tasks:
    - dom0.xen.guest_config: {guests: "{{ refused }}"}
      ignore_errors: true
"""


@pytest.mark.skipif(sys.version_info < (3, 10), reason="for a control node")
def test_a_play_prints_and_writes_no_password(tmp_path):
    """All spellings in one run of the role and the module, for real, as -vvvv --check --diff shows it; only what needs Xen is made up."""
    from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
    from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
    from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording

    tree = tmp_path / "ansible_collections" / "dom0" / "xen"
    for name in ("plugins", "roles", "meta", "galaxy.yml"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(str(ROOT / name), str(tree / name))
    (tmp_path / "facts.json").write_text(json.dumps(to_facts(derive(recording("big")))), encoding="utf-8")
    for name, result in RESULTS.items():
        fake = FAKE.format(python=sys.executable, facts=str(tmp_path / "facts.json"), result=result)
        (tree / "plugins" / "modules" / (name + ".py")).write_text(fake, encoding="utf-8")
    made = tmp_path / "made"
    made.mkdir()
    guests = []
    # Several in a file: the planner has less to do.
    all_texts = [READ[spelling] for spelling in sorted(READ) if "in a key" not in spelling]
    for number in range(6):
        text = "\n".join(all_texts[number::6])
        guest = {"name": "guest{0}".format(number), "vcpus": 1, "memory": 16}
        if number % 3:
            guest["config"] = text.encode("utf-8", "replace").decode()
        if number % 3 != 1:
            # edited, or replaced
            (made / (guest["name"] + ".cfg")).write_bytes(xlcfg.encode("memory = 32\n" + text))
        guests.append(guest)
    (tmp_path / "own.cfg.j2").write_text("vncpasswd = '{{ password }}'\n", encoding="utf-8")
    guests[0]["config_template"] = str(tmp_path / "own.cfg.j2")
    guests[1]["config"] = {"type": "pv", "vncpasswd": SECRET, "vfb": ["vncpasswd=hunter2"]}
    variables = {
        "password": SECRET,
        "refused": [{"path": str(tmp_path / "new.cfg"), "content": REFUSED["bare"]}],
        "place_guests_guests": guests,
        "place_guests_config_dir": str(made),
        "place_guests_proof": "none",
    }
    (tmp_path / "vars.json").write_text(json.dumps(variables), encoding="utf-8")
    (tmp_path / "play.yml").write_text(PLAY, encoding="utf-8")
    (tmp_path / "ansible.cfg").touch()
    env = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    env.update(
        ANSIBLE_COLLECTIONS_PATH=str(tmp_path),
        ANSIBLE_CONFIG=str(tmp_path / "ansible.cfg"),
        ANSIBLE_HOME=str(tmp_path / "home"),
        ANSIBLE_LOG_PATH=str(tmp_path / "log"),
        ANSIBLE_PIPELINING="true",
        ANSIBLE_PYTHON_INTERPRETER=sys.executable,
    )
    command = [
        sys.executable,
        "-m",
        "ansible.cli.playbook",
        "-i",
        "localhost,",
        "-c",
        "local",
        "--check",
        "--diff",
        "-vvvv",
    ]
    command += ["-e", "@vars.json", "play.yml"]
    done = subprocess.run(
        command, cwd=str(tmp_path), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    printed = done.stdout.decode()
    assert done.returncode == 0, printed[-3000:]
    assert "line 1, column 13" in printed
    assert printed.count("vncpasswd = ********") > 10
    written = [
        path for path in tmp_path.rglob("*") if path.is_file() and not {tree, made} & set(path.parents)
    ]
    written = [path for path in written if path.name not in ("vars.json", "facts.json")]
    assert "log" in {path.name for path in written}
    assert '"place_guests__steps": {' in printed, "facts are printed"
    found = [line for line in printed.splitlines() if pieces(line)]
    assert found == []
    assert [str(path) for path in written if pieces(path.read_bytes().decode("utf-8", "replace"))] == []
