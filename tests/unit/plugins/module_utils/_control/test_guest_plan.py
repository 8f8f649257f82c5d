# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._control import guest_plan
from ansible_collections.dom0.xen.plugins.module_utils._control.guest_plan import (
    Wanted,
    check_memory,
    decide,
    memory_need,
    wanted_guests,
)
from ansible_collections.dom0.xen.plugins.module_utils._control.guests import forecast
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.xl import DomainState

MIB = 1 << 20
DOM0 = DomainState(0, "Domain-0", "running")


def configs(*names):
    text = 'name = "{0}"\nvcpus = 2\nmemory = 100\n'
    return {"/etc/xen/" + name: text.format(name).encode() for name in names}


def want(name, state="running", **more):
    return Wanted(name, state, "/etc/xen/" + name, **more)


def steps(wanted, *domains):
    decisions, _warnings = decide([wanted], domains, configs(wanted.name))
    return decisions[0].steps


@pytest.mark.parametrize(
    ("state", "actual", "expected"),
    [
        ("running", None, ("create",)),
        ("running", "running", ()),
        ("running", "blocked", ()),
        ("running", "paused", ("unpause",)),
        ("running", "dying", ("await_end", "create")),
        ("paused", None, ("create_paused",)),
        ("paused", "running", ("pause",)),
        ("paused", "blocked", ("pause",)),
        ("paused", "paused", ()),
        ("paused", "dying", ("await_end", "create_paused")),
        ("stopped", None, ()),
        ("stopped", "running", ("shutdown", "await_end")),
        ("stopped", "blocked", ("shutdown", "await_end")),
        ("stopped", "shutdown", ()),
        ("stopped", "crashed", ()),
        ("stopped", "dying", ("await_end",)),
        ("destroyed", None, ()),
        ("destroyed", "running", ("destroy", "await_end")),
        ("destroyed", "paused", ("destroy", "await_end")),
        ("destroyed", "crashed", ("destroy", "await_end")),
        ("destroyed", "dying", ("await_end",)),
        ("restarted", None, ("create",)),
        ("restarted", "running", ("shutdown", "await_end", "create")),
        ("restarted", "dying", ("await_end", "create")),
        ("absent", None, ("remove_config",)),
        ("absent", "running", ("shutdown", "await_end", "remove_config")),
        ("absent", "crashed", ("destroy", "await_end", "remove_config")),
        ("absent", "dying", ("await_end", "remove_config")),
    ],
)
def test_steps(state, actual, expected):
    assert steps(want("web", state), *([DomainState(7, "web", actual)] if actual else [])) == expected


@pytest.mark.parametrize(
    ("state", "actual", "expected"),
    [
        ("running", "crashed", ("destroy", "await_end", "create")),
        ("paused", "shutdown", ("destroy", "await_end", "create_paused")),
        ("stopped", "paused", ("destroy", "await_end")),
        ("restarted", "paused", ("destroy", "await_end", "create")),
        ("restarted", "crashed", ("destroy", "await_end", "create")),
        ("absent", "paused", ("destroy", "await_end", "remove_config")),
    ],
)
def test_steps_that_want_force(state, actual, expected):
    with pytest.raises(Failure, match="force"):
        steps(want("web", state), DomainState(7, "web", actual))
    assert steps(want("web", state, force=True), DomainState(7, "web", actual)) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("running", ("destroy", "await_end", "create")),
        ("paused", ("destroy", "await_end", "create_paused")),
        ("restarted", ("destroy", "await_end", "create")),
        ("stopped", ("destroy", "await_end")),
        ("absent", ("destroy", "await_end", "remove_config")),
    ],
)
def test_what_a_killed_xl_left_half_built_is_not_taken_for_a_guest(state, expected):
    assert steps(want("web", state), DomainState(7, "web", "paused", made=False)) == expected


def test_a_restart_that_would_find_no_room_is_not_begun():
    running = DomainState(7, "web", "running", memory=50 * MIB)
    wanted = want("web", "restarted", nodes=(1,))
    known = guest_plan.Known(free={0: 1000 * MIB, 1: 40 * MIB})
    with pytest.raises(Failure, match="was not stopped: it would need 105 MiB on node 1"):
        decide([wanted], [DOM0, running], configs("web"), known=known)
    known = known._replace(free={1: 60 * MIB})
    assert decide([wanted], [DOM0, running], configs("web"), known=known)[0][0].creates


def test_a_dying_namesake_does_not_hide_the_guest():
    dying, alive = DomainState(6, "web", "dying"), DomainState(7, "web", "running")
    assert steps(want("web"), dying, alive) == ()
    with pytest.raises(Failure, match=r"more than once \(domains 7, 8\)"):
        steps(want("web"), dying, alive, DomainState(8, "web", "running"))


@pytest.mark.parametrize(
    ("wanted", "data", "sentence"),
    [
        (Wanted("web"), None, "does not run, and no config says"),
        (
            want("web"),
            FileNotFoundError(2, "No such file or directory"),
            "/etc/xen/web cannot be read: No such file",
        ),
        (
            want("web"),
            PermissionError(13, "Permission denied"),
            "/etc/xen/web cannot be read: Permission denied",
        ),
        (want("web"), b'name = "db"\n', "is the configuration of a guest called 'db'"),
        (want("web"), b"vcpus = 1\n", "/etc/xen/web has no name"),
        (want("web"), b"name = web\n", "/etc/xen/web, line 1, column 8: a value is"),
        (want("web"), b'name = ["web"]\n', "name is a list"),
        (want("web"), b'name = "web"\nvcpus = "two"\n', "vcpus must be a number"),
        (Wanted("Domain-0", "stopped"), None, "'Domain-0' is the control domain"),
    ],
)
def test_bad_input_is_said_before_anything_is_done(wanted, data, sentence):
    with pytest.raises(Failure, match=sentence) as caught:
        decide([wanted], [DOM0], {wanted.config: data})
    assert caught.value.result["changed"] is False


def test_every_guest_that_cannot_be_had_is_named():
    with pytest.raises(Failure, match="and 1 more guests") as caught:
        decide([Wanted("a"), Wanted("b"), Wanted("c", "stopped")], [DOM0], {})
    assert [name in text for name, text in zip("ab", caught.value.result["problems"])] == [True, True]


def test_check_mode_bears_with_a_file_that_is_not_there_yet():
    missing = {"/etc/xen/web": FileNotFoundError(2, "No such file or directory")}
    decisions, warnings = decide(
        [want("web", nodes=(0,), memory=64 * MIB)], [DOM0], missing, may_be_missing=True
    )
    assert decisions[0].steps == ("create",)
    assert decisions[0].need == {0: memory_need(64 * MIB, 1)}
    assert "/etc/xen/web does not exist yet" in warnings[0]


def test_names_of_other_bytes_are_compared_as_they_are_shown():
    decisions, _warnings = decide(
        [Wanted("caf\\xe9", "running", "/c")], [DOM0], {"/c": b'name = "caf\xe9"\n'}
    )
    assert decisions[0].creates


def test_need():
    assert memory_need(256 * MIB, 4) == 256 * MIB + 4 * MIB + 1 * MIB + 2 * MIB
    decisions, _warnings = decide([want("web", nodes=(1,))], [DOM0], configs("web"))
    assert decisions[0].need == {1: memory_need(100 * MIB, 2)}
    decisions, _warnings = decide([want("web", nodes=(0, 1))], [DOM0], configs("web"))
    assert decisions[0].need == dict.fromkeys((0, 1), memory_need(100 * MIB, 2) // 2)
    decisions, _warnings = decide([want("web")], [DOM0], configs("web"))
    assert decisions[0].need == {}


def test_virtual_nodes_need_what_they_have_of_each_node():
    data = (
        b'name = "web"\ntype = "hvm"\nmemory = 100\nmaxmem = 100\nvcpus = 2\n'
        b'vnuma = [["pnode=0", "size=80", "vcpus=0"], ["pnode=1", "size=20", "vcpus=1"]]\n'
    )
    over = (memory_need(100 * MIB, 2) - 100 * MIB) // 2
    (decision,), _warnings = decide([want("web", nodes=(0, 1))], [DOM0], {"/etc/xen/web": data})
    assert decision.need == {0: 80 * MIB + over, 1: 20 * MIB + over}
    free = dict(decision.need)
    check_memory(decision, free)
    with pytest.raises(Failure, match="it needs 83 MiB free on node 0, where there are 82 MiB"):
        check_memory(decision, {**free, 0: free[0] - 1})
    with pytest.raises(Failure, match="it needs 83, 23 MiB free on node 0, 1, where there are 82, 22 MiB"):
        check_memory(decision, {node: size - 1 for node, size in free.items()})
    assert len(forecast([decision], free)) == 1
    # on other nodes than it is asked to be on, the file says nothing about its shares
    (decision,), _warnings = decide([want("web", nodes=(0, 2))], [DOM0], {"/etc/xen/web": data})
    assert decision.need == dict.fromkeys((0, 2), memory_need(100 * MIB, 2) // 2)


def test_wanted_guests_reads_the_list():
    entries = [
        {"name": "a", "state": None, "config": "/c", "nodes": [1, 0, 1], "memory": 256},
        {"name": "b", "state": "paused", "memory": "4GiB", "timeout": 5, "force": True, "nodes": []},
        {"name": "c", "memory": "512m"},
    ]
    assert wanted_guests(entries) == [
        Wanted("a", "running", "/c", (0, 1), 256 * MIB),
        Wanted("b", "paused", None, None, 4096 * MIB, 5, True),
        Wanted("c", memory=512 * MIB),
    ]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({}, r"guests\[0\]: name must be"),
        ({"name": ""}, r"guests\[0\]: name must be"),
        ({"name": "a", "state": "off"}, r"guests\[0\] \(a\): state must be one of running, paused"),
        ({"name": "a", "config": "a.cfg"}, "config must be an absolute path"),
        ({"name": "a", "memory": "lots"}, "memory must be a number of MiB"),
        ({"name": "a", "memory": 0}, "memory must be"),
        ({"name": "a", "memory": True}, "memory must be"),
        ({"name": "a", "memory": "-5"}, "memory must be"),
        ({"name": "a", "timeout": 0}, "timeout must be more than 0"),
    ],
)
def test_wanted_guests_names_entry_and_field(entry, sentence):
    with pytest.raises(Failure, match=sentence):
        wanted_guests([entry])
    with pytest.raises(Failure, match=r"guests\[1\] \(a\): guests\[0\] has the same name"):
        wanted_guests([{"name": "a"}, {"name": "a"}])
