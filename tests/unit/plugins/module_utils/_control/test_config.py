# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._control import config
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xlcfg
from ansible_collections.dom0.xen.plugins.module_utils._topology import expression
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import made_host

PINNED = b'# ledger\nname = "ledger"\nvcpus = 2   # two\ncpus = "0-3"\nmemory = 512\n'


def plan(data, resolve=None, node_bits=64, **entry):
    return config.plan_config(dict(entry, path="/etc/xen/a.cfg"), data, resolve, node_bits)


def keys(change):
    return config.result(change)["after"]


def test_cpus_is_written_for_each_vcpu_and_nothing_else_moves():
    change = plan(PINNED, cpus="4-7", memory=1024)
    assert (
        change.after == '# ledger\nname = "ledger"\nvcpus = 2   # two\ncpus = ["4-7", "4-7"]\nmemory = 1024\n'
    )
    assert plan(xlcfg.encode(change.after), cpus="4-7", memory=1024).changed is False


@pytest.mark.parametrize(
    ("data", "entry", "expected"),
    [
        (b"vcpus = 3\n", {"cpus": "node:1"}, ["node:1"] * 3),
        (b"vcpus = 3\nmaxvcpus = 4\n", {"cpus": "node:1"}, ["node:1"] * 4),
        (b"", {"cpus": 5}, [5]),
        (b"vcpus = 0\n", {"cpus": "5"}, ["5"]),
        (b"vcpus = 0x10\n", {"cpus": "all"}, ["all"] * 16),
        (b"vcpus = 2\n", {"cpus": [2, "3,4"]}, ["2", "3,4"]),
        (b"vcpus = 2\n", {"cpus": " 0-3, ^1 , nodes:1-2 "}, ["0-3,^1,nodes:1-2"] * 2),
        (b"vcpus = 2\n", {"vcpus": 3, "cpus": "7"}, ["7"] * 3),
        (b"vcpus = 2\n", {"maxvcpus": 3, "cpus": "7"}, ["7"] * 3),
        (
            b'vnuma = [["pnode=0","size=1","vcpus=0-1,4"],["vcpus= 5 - 6"],["vcpus=2"]]\n',
            {"cpus": "7"},
            ["7"] * 4,
        ),
    ],
)
def test_one_entry_for_each_vcpu(data, entry, expected):
    assert [str(item) for item in keys(plan(data, **entry))["cpus"]] == [str(item) for item in expected]


@pytest.mark.parametrize(
    ("data", "entry", "expected"),
    [
        # a list is ignored, a string written past the end of a buffer
        (b"", {"cpus_soft": "node:0"}, 'vcpus = 1\ncpus_soft = ["node:0"]\n'),
        (b'cpus = ["1"]\n', {"memory": 64}, 'cpus = ["1"]\nmemory = 64\nvcpus = 1\n'),
        (b"vcpus = 0\ncpus_soft = '1'\n", {}, "vcpus = 1\ncpus_soft = '1'\n"),
        (b'cpus = "1"\n', {}, 'cpus = ["1"]\nvcpus = 1\n'),
        # said elsewhere
        (b'maxvcpus = 2\ncpus = ["1", "1"]\n', {}, None),
        (b'vnuma = [["pnode=0", "vcpus=0"]]\ncpus = ["1"]\n', {}, None),
        # no affinity, or none any more
        (b"memory = 64\n", {"cpus": []}, None),
        (b'cpus = ["1"]\n', {"cpus": []}, ""),
    ],
)
def test_affinities_never_stand_without_a_number_of_vcpus(data, entry, expected):
    change = plan(data, **entry)
    assert change.after == (data.decode() if expected is None else expected)
    assert (config.NO_COUNT in change.reasons) == bool(expected)


def test_an_empty_list_or_text_removes_the_key():
    change = plan(PINNED + b'cpus_soft = "1"\npool = "p"\n', cpus=[], cpus_soft=[], pool="")
    assert change.after == '# ledger\nname = "ledger"\nvcpus = 2   # two\nmemory = 512\n'
    assert change.repaired is False


def test_the_string_form_is_repaired_and_said():
    change = plan(PINNED)
    assert 'cpus = ["0-3", "0-3"]\n' in change.after
    assert change.repaired
    assert change.reasons == (config.STRING_FORM,)
    assert config.STRING_FORM in config.difference(change)["after_header"]
    assert plan(xlcfg.encode(change.after)).changed is False
    # asked for in one breath, said all the same
    assert plan(PINNED, cpus="0-3").reasons == (config.STRING_FORM,)
    # a bare number is a single value, too
    assert 'cpus = ["3"]' in plan(b"vcpus = 1\ncpus = 3\n").after
    # written as it stood: xl puts up with this blank, and it is not ours
    assert 'cpus = ["0, 2"]' in plan(b'cpus = "0, 2"\n').after


@pytest.mark.parametrize(
    "text",
    [
        b'vcpus = 1\ncpus = "0-3"\ncpus_soft = "0-3"\n',
        b'vcpus = 1\ncpus = ["0-3"]\n',
        b'vcpus = 1\ncpus = "0-3"\nvnuma = [["pnode=0", "size=1"]]\n',
        b'vcpus = 1\ncpus = "all"\n',
        b"vcpus = 2\n",
    ],
)
def test_what_needs_no_repair_gets_none(text):
    change = plan(text)
    assert (change.changed, change.repaired, change.reasons, change.warnings) == (False, False, (), ())


def test_a_string_of_nearly_all_cpus_is_left_with_a_warning():
    change = plan(b'vcpus = 1\ncpus = "all,^0"\n', memory=64)
    assert change.after == 'vcpus = 1\ncpus = "all,^0"\nmemory = 64\n'
    assert not change.repaired
    assert "all,^0" in change.warnings[0]


def test_taking_cpus_soft_away_brings_the_bug_back_and_so_the_repair():
    change = plan(b'vcpus = 2\ncpus = "0-3"\ncpus_soft = "0-3"\n', cpus_soft=[])
    assert change.after == 'vcpus = 2\ncpus = ["0-3", "0-3"]\n'


def test_lists_follow_the_number_of_vcpus():
    change = plan(b'vcpus = 2\ncpus = ["1", "1"]\ncpus_soft = ["0","0"]\n', vcpus=3)
    assert keys(change)["cpus"] == ["1", "1", "1"]
    assert keys(change)["cpus_soft"] == ["0", "0", "0"]
    assert "now one for each of the 3 vCPUs" in change.reasons[0]
    with pytest.raises(
        Failure, match="2 different entries and the guest would have 3 vCPUs: give cpus as well"
    ):
        plan(b'vcpus = 2\ncpus = ["1", "2"]\n', vcpus=3)
    fewer = plan(b'vcpus = 2\ncpus = ["1", "2"]\n', vcpus=1)
    assert keys(fewer)["cpus"] == ["1", "2"]  # xl takes no notice of the second
    short = plan(b'vcpus = 2\ncpus = ["1"]\n', memory=8)
    assert "those without an entry may run anywhere" in short.warnings[0]


def test_content_is_the_base_every_time():
    first = plan(None, content="# from a template", name="x", vcpus=2, cpus="0")
    assert first.before is None
    assert first.after == '# from a template\nname = "x"\nvcpus = 2\ncpus = ["0", "0"]\n'
    assert (
        plan(xlcfg.encode(first.after), content="# from a template", name="x", vcpus=2, cpus="0").changed
        is False
    )
    again = plan(b"garbage \xff {", content="# from a template\n", name="x")
    assert again.after == '# from a template\nname = "x"\n'
    assert config.result(again)["before"] == {}
    assert config.difference(again)["before"] == "(xl cannot read these 1 lines)\n"


def test_a_base_text_with_a_string_is_repaired_once():
    content = 'vcpus = 2\ncpus = "1"\n'
    first = plan(None, content=content)
    assert (first.repaired, first.after) == (True, 'vcpus = 2\ncpus = ["1", "1"]\n')
    assert plan(xlcfg.encode(first.after), content=content).changed is False
    # what stands on the disk is right already: this change has another reason
    assert plan(xlcfg.encode(first.after), content=content, memory=9).repaired is False


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"vcpus": 0}, "vcpus must be a whole number from 1, not 0"),
        ({"memory": True}, "memory must be a whole number"),
        ({"vcpus": 4, "maxvcpus": 2}, "vcpus = 4 is more than maxvcpus = 2: set both"),
        ({"memory": 4096}, "memory = 4096 is more than maxmem = 1024"),
        ({"name": ""}, "name must not be empty"),
        ({"cpus": ["1"]}, "cpus has 1 entries and the guest 2 vCPUs"),
        ({"cpus": "3-1"}, "runs backwards"),
        ({"cpus": "^1"}, "names no CPU"),
        ({"cpus": "1,^0-3"}, "names no CPU"),
        ({"cpus": "^node:0"}, "names no CPU"),
        ({"cpus": "^all"}, "does not accept '\\^all'"),
        ({"cpus": "0-99999999"}, "longer than any host"),
        ({"cpus": ""}, "is no CPU expression"),
        ({"cpus": "0-"}, "is no CPU expression"),
        ({"cpus_soft": "package:0"}, "cpus_soft: 'package:0' in 'package:0' is no CPU expression of xl"),
        ({"cpus": 1.5}, "does not name CPUs"),
        ({"cpus": {"a": 1}}, "does not name CPUs"),
    ],
)
def test_what_cannot_be_meant_is_refused(entry, sentence):
    with pytest.raises(Failure, match=sentence):
        plan(b"vcpus = 2\nmaxmem = 1024\n", **entry)


def test_expressions_beyond_xl_are_resolved_when_they_can_be():
    asked = []

    def resolve(text):
        asked.append(text)
        return "4-7"

    assert keys(plan(b"vcpus = 3\n", resolve, cpus=["package:1", "^4,node:0", "2"]))["cpus"] == [
        "4-7",
        "4-7",
        "2",
    ]
    assert asked == ["package:1", "^4,node:0"]


def on_256(text):
    """256 CPUs on 4 nodes of 64."""
    return str(
        expression.resolve(text, derive(made_host([(core, core // 64, core // 64) for core in range(256)])))
    )


def test_nodes_that_xl_would_cut_become_numbers():
    """xl reads no CPU from 64 on from ``node:``."""
    for data in (
        b'vcpus = 1\ncpus = ["node:1"]\n',
        b'vcpus = 1\ncpus_soft = "node:1"\n',
        b'vcpus = 1\ncpus = "node:1"\n',
    ):
        change = plan(data, on_256)
        key = "cpus_soft" if b"soft" in data else "cpus"
        assert keys(change)[key] == ["64-127"]
        assert change.repaired
        assert plan(change.after.encode(), on_256).after == change.after
    change = plan(b'vcpus = 2\ncpus = ["0-63,^node:0,node:2", "node:0"]\n', on_256)
    assert keys(change)["cpus"] == ["128-191", "0-63"]
    assert change.reasons == (config.NODES_CUT.format("cpus", 64),)
    # What xl reads as it is meant stays as it is written.
    for data in (
        b'vcpus = 1\ncpus = ["node:0"]\n',
        b'vcpus = 1\ncpus = ["all"]\n',
        b'vcpus = 1\ncpus = ["64-70"]\n',
    ):
        assert not plan(data, on_256).changed
    assert plan(b'vcpus = 1\ncpus = ["node:0"]\n', on_256, node_bits=8).changed
    assert keys(plan(b"vcpus = 1\n", on_256, cpus="node:1"))["cpus"] == ["64-127"]


def test_a_host_that_cannot_be_asked_leaves_nodes_alone():
    def resolve(text):
        raise Failure("no hypervisor here")

    change = plan(b'vcpus = 1\ncpus = ["node:1"]\n', resolve, memory=64)
    assert keys(change)["cpus"] == ["node:1"]
    assert "from 64 on" in change.warnings[0]
    assert "no hypervisor here" in change.warnings[0]


@pytest.mark.parametrize("text", ["", ",", "^0", "1,^1", "^node:0", "0-3,^0-7"])
@pytest.mark.parametrize("vcpus", ["", "vcpus = 2\n"])
def test_what_names_no_cpu_is_refused_where_it_is_found(text, vcpus):
    for key, value in (("cpus", '"{0}"'), ("cpus_soft", '"{0}"'), ("cpus", '["{0}", "1"]')):
        data = "{0}{1} = {2}\n".format(vcpus, key, value.format(text)).encode()
        with pytest.raises(Failure, match=key + " in the file names no CPU"):
            plan(data, memory=64)
        assert keys(plan(data, memory=64, **{key: "0-1"}))["memory"] == 64
        assert key not in keys(plan(data, **{key: []}))


def test_all_with_everything_taken_away_names_no_cpu():
    for text in ("all,^0-255", "all,^0-127,^128-300", "0,all,^0-255"):
        with pytest.raises(Failure, match="names no CPU of this host"):
            plan(b"vcpus = 1\n", on_256, cpus=text)
    assert keys(plan(b"vcpus = 1\n", on_256, cpus="all,^0-254"))["cpus"] == ["all,^0-254"]
    assert keys(plan(b"vcpus = 1\n", on_256, cpus="all,^0-255,3"))["cpus"] == ["all,^0-255,3"]


def test_numbers_in_quotes_are_numbers():
    change = plan(b'vcpus = \'2\'\nmemory = "0x200"\nname = "7"\ncpus = ["1", 2]\n')
    assert config.result(change)["after"] == {"name": "7", "vcpus": 2, "memory": 512, "cpus": ["1", 2]}


def test_many_files_are_all_checked_first():
    files = {"/a": b"vcpus = 1\n", "/b": b"vcpus = 1 oops\n"}
    with pytest.raises(Failure, match=r"guests\[1\] \(/b\): line 1, column 11: a newline"):
        config.plan_configs([{"path": "/a"}, {"path": "/b"}], files.get)
    with pytest.raises(Failure, match=r"guests\[0\] \(/c\): there is no such file; give content"):
        config.plan_configs([{"path": "/c", "vcpus": 1}], files.get)
    with pytest.raises(Failure, match=r"guests\[1\] \(/a\): guests\[0\] has the same path"):
        config.plan_configs([{"path": "/a"}, {"path": "/a"}], files.get)
    for path in ("a.cfg", None, 5):
        with pytest.raises(Failure, match=r"guests\[0\]: path must be the absolute path"):
            config.plan_configs([{"path": path}], files.get)


def test_apply_writes_what_changed_and_says_what_was_done():
    files = {"/a": b"vcpus = 1\n", "/b": b"vcpus = 2\n", "/c": b"vcpus = 1\n"}
    changes = config.plan_configs([{"path": path, "vcpus": 2} for path in files], files.get)
    written = {}
    results = config.apply_configs(changes, written.__setitem__, lambda path: path + "~")
    assert written == {"/a": b"vcpus = 2\n", "/c": b"vcpus = 2\n"}
    assert [result["changed"] for result in results] == [True, False, True]
    assert [result.get("backup_file") for result in results] == ["/a~", None, "/c~"]

    def full(path, data):
        if path == "/c":
            raise OSError(28, "No space left on device")
        written[path] = data

    with pytest.raises(Failure, match="/c could not be written: No space left on device") as caught:
        config.apply_configs(changes, full)
    assert [entry["path"] for entry in caught.value.result["done"]] == ["/a", "/b"]
    assert caught.value.result["changed"] is True


def test_a_diff_shows_what_is_harmless_and_what_else_changes():
    data = (
        b'# hush\nname = "web"; vncpasswd = "hush"\nvfb = ["type=vnc,vncpasswd=hush,vncunused=1"]\n'
        b"vcpus = 2\non_crash = 'preserve'\ncpus = [ '1',  # hush\n '2' ]\n"
    )
    lines = [
        'name = "web"\n',
        "vncpasswd = ********\n",
        "vfb = ********\n",
        "vcpus = 2\n",
        "on_crash = 'preserve'\n",
    ]
    shown = config.difference(plan(data, vcpus=2, cpus="node:1"))
    assert shown["before"].splitlines(True) == [*lines, "cpus = ['1', '2']\n"]
    assert shown["after"].splitlines(True) == [*lines, "cpus = ['node:1', 'node:1']\n"]
    other = data.replace(b"vncpasswd=hush", b"vncpasswd=quiet") + b"extra += 'x'\n"
    shown = config.difference(plan(data, content=other.decode()))
    lines[2] = "vfb = ******** (changed)\n"
    assert shown["after"].splitlines(True) == [*lines, "cpus = ['1', '2']\n", "extra += ********\n"]
    shown = config.difference(plan(data, content=data.replace(b"hush\n", b"quiet\n", 1).decode()))
    assert shown["after"] == shown["before"] + "# comments, blanks or quotes differ\n"


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ('name = "web\\", vncpasswd=\\"hush"', None),
        ('vcpus = "hush"', None),
        ("memory = 0x40", 64),
        ('cpus = "0-3,hush"', None),
        ('cpus = ["0-3", ["hush"]]', None),
        ('cpus_soft = "all,^0"', "all,^0"),
        ('pool = "vncpasswd=hush"', None),
        ('vnuma = [["pnode=0", "secret=hush"]]', None),
        ('vnuma = [["pnode = 0", "vcpus=0-1, 3"]]', [["pnode = 0", "vcpus=0-1, 3"]]),
    ],
)
def test_what_does_not_look_like_its_key_is_hidden_in_results_too(setting, shown):
    change = plan(None, content="cap = 0\n").__class__("/a", None, setting + "\n", False, (), ())
    key = setting.split()[0]
    assert config.result(change)["after"] == {key: config.HIDDEN if shown is None else shown}
    assert ("hush" in config.difference(change)["after"]) is False


def test_output_of_commands_has_no_word_of_what_is_hidden():
    text = (
        'name = "web"\nmemory = 512\n'
        'disk = ["vdev=xvda,format=raw,target=rbd:pool/image:id=user1:key=TOPSECRETKEY1:auth=cephx", "/dev/vg0/web,raw,xvdb"]\n'
        "extra = 'luks=two words'\nvncpasswd = \"abc\"\n"
    )
    for output, clean in (
        (
            "x.cfg: config parsing error in disk specification: unknown value for format: `raw' in `vdev=xvda,format=raw,target=rbd:pool/image"
            ":id=user1:key=TOPSECRETKEY1:auth=cephx'",
            "x.cfg: config parsing error in disk specification: unknown value for format: `raw' in `********'",
        ),
        ("qemu: key=TOPSECRETKEY1 is wrong", "qemu: ******** is wrong"),
        ("luks=two words: no, abc (abc)", "********: no, ******** (********)"),
        (
            "libxl: error: libxl_device.c:1:f: Disk vdev=xvdb failed to stat: /dev/vg0/web: No such file or directory",
            "libxl: error: libxl_device.c:1:f: Disk ******** failed to stat: ******** No such file or directory",
        ),
        ("Domain 7: not enough memory: 512 MiB for web", "Domain 7: not enough memory: 512 MiB for web"),
        ("", ""),
    ):
        assert config.hide_values(text, output) == clean
    assert config.hide_values("vncpasswd = 'hush", "near `hush'") == config.HIDDEN


def test_results_hold_any_byte():
    change = plan(b'name = "caf\xe9"\nvcpus = 1\ncpus = "1"\n', pool="caf\udce9")
    assert config.result(change)["after"]["name"] == "caf\\xe9"
    json.dumps([config.result(change), config.difference(change)]).encode("utf-8")
    assert xlcfg.encode(change.after) == b'name = "caf\xe9"\nvcpus = 1\ncpus = ["1"]\npool = "caf\xe9"\n'


WIDE = b'type = "hvm"\nname = "wide"\nmemory = 256\nmaxmem = 256\nvcpus = 2\n'
VNODES = [
    {"node": 0, "memory": 96, "vcpus": "0", "distances": [10, 21]},
    {"node": 1, "memory": 160, "vcpus": [1], "distances": [21, 10]},
]


def test_virtual_nodes_are_written_in_xls_words_and_known_again():
    change = plan(WIDE, vnuma=VNODES)
    assert change.after == WIDE.decode() + (
        'vnuma = [["pnode=0", "size=96", "vcpus=0", "vdistances=10,21"], '
        '["pnode=1", "size=160", "vcpus=1", "vdistances=21,10"]]\n'
    )
    assert not plan(xlcfg.encode(change.after), vnuma=VNODES).changed
    # The same in other words is left alone.
    other = change.after.replace('"pnode=0", "size=96"', "'size= 96', 'pnode = 0'")
    assert not plan(xlcfg.encode(other), vnuma=VNODES).changed
    assert plan(xlcfg.encode(change.after), vnuma=[]).after == WIDE.decode()


def test_virtual_nodes_of_a_guest_that_runs_are_kept_however_they_are_shared_out():
    there = xlcfg.encode(plan(WIDE, vnuma=VNODES).after)
    even = [dict(VNODES[0], memory=128), dict(VNODES[1], memory=128)]
    assert plan(there, vnuma=even).changed
    assert not plan(there, vnuma=even, keep_vnuma=True).changed
    # The text that the role starts from has none.
    assert not plan(there, vnuma=even, keep_vnuma=True, content=WIDE.decode()).changed
    for other in (
        [dict(VNODES[0], node=2), VNODES[1]],
        [dict(VNODES[0], memory=128), dict(VNODES[1], memory=192)],
    ):
        memory = sum(vnode["memory"] for vnode in other)
        changed = plan(there, vnuma=other, keep_vnuma=True, memory=memory, maxmem=memory)
        assert changed.after == plan(there, vnuma=other, memory=memory, maxmem=memory).after != there.decode()
    assert plan(WIDE, vnuma=even, keep_vnuma=True).after == plan(WIDE, vnuma=even).after
    assert (
        plan(None, vnuma=even, keep_vnuma=True, content=WIDE.decode()).after == plan(WIDE, vnuma=even).after
    )


@pytest.mark.parametrize(
    ("data", "entry", "sentence"),
    [
        (
            WIDE,
            {"vnuma": [dict(VNODES[0], memory=90), VNODES[1]]},
            "have 250 MiB together, and maxmem is 256",
        ),
        (WIDE, {"vnuma": [VNODES[0], dict(VNODES[1], vcpus="0-1")]}, "each of 0 to 1 has to be in one"),
        (WIDE, {"vnuma": VNODES, "vcpus": 3}, "the guest has 3: each"),
        (WIDE, {"vnuma": VNODES, "memory": 200}, "memory is 200 and maxmem 256"),
        (WIDE.replace(b"hvm", b"pv"), {"vnuma": VNODES}, "xl refuses it for a PV guest"),
        (WIDE, {"vnuma": [dict(VNODES[0], distances=[10]), VNODES[1]]}, "must be 2 numbers from 10 to 255"),
        (WIDE, {"vnuma": [dict(VNODES[0], distances=[11, 21]), VNODES[1]]}, "with 10 for itself"),
        (WIDE, {"vnuma": [dict(VNODES[0], vcpus="x")]}, "numbers of vCPUs"),
        (WIDE, {"vnuma": [dict(VNODES[0], node=-1)]}, "number of a NUMA node"),
        (WIDE, {"vnuma": "no"}, "must be a list"),
        (WIDE, {"cpu_weight": 0}, "cpu_weight must be a whole number from 1 to 65535"),
        (WIDE, {"cpu_weight": 65536}, "from 1 to 65535"),
        (WIDE, {"cap": -1}, "cap must be a whole number from 0"),
    ],
)
def test_virtual_nodes_weights_and_caps_that_cannot_be_are_refused(data, entry, sentence):
    with pytest.raises(Failure, match=sentence):
        plan(data, **entry)


def test_virtual_nodes_in_a_pvh_guest_are_warned_of():
    (warning,) = plan(WIDE.replace(b"hvm", b"pvh"), vnuma=VNODES).warnings
    assert "does not start" in warning


def test_a_cap_of_nothing_is_written():
    assert plan(WIDE, cap=0, cpu_weight=512).after == WIDE.decode() + "cpu_weight = 512\ncap = 0\n"
