# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xlcfg
from ansible_collections.dom0.xen.plugins.plugin_utils._roles.wanted import (
    asked_guests,
    config_text,
    guest_texts,
    wanted_guests,
    with_texts,
)

WEB = {
    "name": "web",
    "vcpus": 2,
    "memory": "1GiB",
    "policy": {"pin": "hard"},
    "config": {"type": "pv"},
    "state": "paused",
}


def joined_lists(lists, inventory=(), fields=None):
    return wanted_guests(
        {host: asked_guests(guests, host, fields) for host, guests in lists.items()}, inventory
    )


def refused(lists):
    with pytest.raises(Failure) as error:
        joined_lists(lists)
    return error.value.message


def test_an_entry_is_parted_between_planner_and_role():
    (web,) = joined_lists({"xen1": [{**WEB, "path": "/srv/web.cfg", "timeout": "90"}]})
    assert web == {
        "name": "web",
        "plan": {"name": "web", "vcpus": 2, "memory": "1GiB", "policy": {"pin": "hard"}},
        "config_template": None,
        "path": "/srv/web.cfg",
        "state": "paused",
        "timeout": 90,
        "label": "xen1: place_guests_guests[0]",
    }


def test_a_field_that_nobody_knows_reaches_the_planner_without_its_value():
    (web,) = joined_lists({"xen1": [{**WEB, "memroy": "hush"}]}, fields=("name", "vcpus"))
    assert web["plan"] == {"name": "web", "vcpus": 2, "memory": None, "policy": None, "memroy": None}


def test_one_host_alone_does_not_tie_its_guests():
    assert "host" not in joined_lists({"xen1": [WEB]})[0]["plan"]


def test_a_guest_of_all_hosts_is_free_and_a_guest_of_one_is_tied():
    lists = {"xen1": [WEB, {"name": "a"}], "xen2": [{"name": "b"}, WEB]}
    joined = joined_lists(lists)
    assert [(guest["name"], guest["plan"].get("host")) for guest in joined] == [
        ("web", None),
        ("a", "xen1"),
        ("b", "xen2"),
    ]
    assert "host" not in lists["xen1"][1], "the caller's data are not touched"


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ({"xen1": None}, "xen1: place_guests_guests must be a list"),
        ({"xen1": {"name": "web"}}, "xen1: place_guests_guests must be a list"),
        ({"xen1": "web"}, "xen1: place_guests_guests must be a list"),
        ({"xen1": [WEB, "db"]}, "xen1: place_guests_guests[1]: give a mapping"),
        ({"xen1": [{"vcpus": 2}]}, "place_guests_guests[0]: name must be a text"),
        ({"xen1": [{"name": 7}]}, "place_guests_guests[0]: name must be a text, not a number"),
        ({"xen1": [{"name": "a/b"}]}, "place_guests_guests[0] (a/b): a name with a slash or a dot in front"),
        ({"xen1": [{"name": "-h"}]}, "place_guests_guests[0] (-h): xl cannot be given"),
        ({"xen1": [{"name": "a\nb"}]}, "(a\\nb): xl cannot be given"),
        ({"xen1": [{"name": "a\u202eb"}]}, "(a\\u202eb): xl cannot be given"),
        ({"xen1": [{"name": "a\udc80"}]}, "(a\\x80): xl cannot be given"),
        ({"xen1": [{"name": ""}]}, "name must be a text, not an empty one"),
        ({"xen1": [{"name": ".."}]}, "(..): a name with a slash or a dot in front"),
        ({"xen1": [{"name": "x" * 300}]}, "x...): a name with a slash or a dot in front, or one this long"),
        ({"xen1": [{"name": "a", "vcpus=2, vncpasswd": "hush"}]}, "(a): each field's name is a word"),
        ({"xen1": [{"name": "a", "config_template": "type = 'pv'\n"}]}, "not the text of one"),
        ({"xen1": [WEB, WEB]}, "place_guests_guests[1] (web): the same name stands in entry 0"),
        ({"xen1": [{**WEB, "state": "stopped"}]}, "(web): state must be one of running, paused"),
        ({"xen1": [{**WEB, "path": "web.cfg"}]}, "(web): path must be an absolute path"),
        ({"xen1": [{**WEB, "config_template": "x.j2"}]}, "config and config_template exclude each other"),
        ({"xen1": [{"name": "web", "config_template": 3}]}, "config_template must be the path"),
        ({"xen1": [{**WEB, "timeout": 0}]}, "timeout must be a whole number of seconds"),
        ({"xen1": [{**WEB, "timeout": True}]}, "timeout must be a whole number of seconds"),
        (
            {"xen1": [{**WEB, "config": ["pv"]}]},
            "(web): config: give the text of an xl configuration or a mapping",
        ),
        ({"xen1": [{**WEB, "config": "type = pv"}]}, "(web): config: line 1"),
        (
            {"xen1": [{**WEB, "config": {"Type": "pv"}}]},
            "(web): config: what begins with 'Type' cannot be a key",
        ),
        (
            {"xen1": [WEB], "xen2": [{**WEB, "state": "running"}]},
            "xen2 lists a guest of this name that is not the same",
        ),
        ({"xen1": [WEB], "xen2": [WEB], "xen3": []}, "xen1, xen2 list it, xen3 do not"),
        ({"xen1": [{**WEB, "host": "xen2"}], "xen2": []}, "(web): only this host lists it, yet host is xen2"),
    ],
)
def test_refusals_name_host_entry_and_field(lists, said):
    assert said in refused(lists)


SECRET = "vncpasswd = 'hush'\n"


def test_configurations_are_in_nothing_but_the_arguments_of_a_task():
    own = [{"name": "a", "config": SECRET}, {"name": "b", "config_template": "b.j2"}, {"name": "c"}]
    asked = asked_guests(own, "xen1")
    assert "hush" not in repr(asked)
    joined = wanted_guests({"xen1": asked})
    assert "hush" not in repr(joined)
    assert "digest" not in repr(joined)
    texts = guest_texts(own, {"b": SECRET})
    assert texts == {"a": SECRET, "b": SECRET}
    entries = [{"name": name} for name in "abc"]
    assert [entry.get("content") for entry in with_texts(entries, texts)] == [SECRET, SECRET, None]
    assert entries == [{"name": name} for name in "abc"]


@pytest.mark.parametrize(
    "entry",
    [
        SECRET,
        ["hush"],
        {"name": ["hush"]},
        {"name": "a", "config": ["hush"]},
        {"name": "a", "config": "vncpasswd = hush"},
        {"name": "a", "config": {"vncpasswd='hush'": 1}},
        {"name": "a", "config": {"vncpasswd": {"hush": "hush"}}},
        {"name": "a", "config_template": SECRET},
        {"name": "a", "config_template": ["hush"]},
        {"name": "a", SECRET: 1},
    ],
)
def test_what_is_wrong_is_said_without_a_word_of_it(entry):
    assert "hush" not in refused({"xen1": [entry]})
    assert "hush" not in refused({"xen1": entry})
    if isinstance(entry, dict):
        with pytest.raises(Failure) as error:
            guest_texts([{"name": "a"}], {"a": "vncpasswd = hush"})
        assert "hush" not in error.value.message


def test_a_name_with_a_slash_is_fine_with_a_path():
    assert (
        joined_lists({"xen1": [{"name": "a/b", "path": "/etc/xen/ab.cfg"}]})[0]["path"] == "/etc/xen/ab.cfg"
    )


def test_a_configuration_from_a_mapping_reads_back_the_same():
    keys = {
        "type": "pv",
        "vif": ["bridge=xenbr0", "mac=00:16:3e:00:00:01"],
        "extra": 'a="b c" \\ d',
        "localtime": True,
        "cap": 50,
    }
    config = xlcfg.parse(config_text(keys))
    assert {key: config.get(key) for key in keys} == {**keys, "localtime": 1}


def test_a_text_stays_as_it_is_but_for_its_last_newline():
    assert config_text("# mine\ntype='pv' ; vcpus=2") == "# mine\ntype='pv' ; vcpus=2\n"
    assert config_text("") == ""


def test_a_guest_of_a_host_that_the_play_leaves_out_is_left_out():
    lists = {
        "xen1": [
            WEB,
            {"name": "a", "host": "xen2"},
            {"name": "b", "host": "xen1"},
            {"name": "c", "host": "xen9"},
        ]
    }
    names = [guest["name"] for guest in joined_lists(lists, ["xen1", "xen2"])]
    assert names == ["web", "b", "c"], "a host that nobody knows is the planner's to complain about"
