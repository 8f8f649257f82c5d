# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xlcfg
from ansible_collections.dom0.xen.plugins.plugin_utils._roles.wanted import config_text, wanted_guests

WEB = {
    "name": "web",
    "vcpus": 2,
    "memory": "1GiB",
    "policy": {"pin": "hard"},
    "config": {"type": "pv"},
    "state": "paused",
}


def refused(lists):
    with pytest.raises(Failure) as error:
        wanted_guests(lists)
    return error.value.message


def test_an_entry_is_parted_between_planner_and_role():
    (web,) = wanted_guests({"xen1": [{**WEB, "path": "/srv/web.cfg", "timeout": "90"}]})
    assert web == {
        "name": "web",
        "plan": {"name": "web", "vcpus": 2, "memory": "1GiB", "policy": {"pin": "hard"}},
        "content": 'type = "pv"\n',
        "config_template": None,
        "path": "/srv/web.cfg",
        "state": "paused",
        "timeout": 90,
        "label": "xen1: place_guests_guests[0]",
    }


def test_a_field_that_the_role_does_not_know_reaches_the_planner():
    (web,) = wanted_guests({"xen1": [{**WEB, "memroy": 1}]})
    assert web["plan"]["memroy"] == 1


def test_one_host_alone_does_not_tie_its_guests():
    assert "host" not in wanted_guests({"xen1": [WEB]})[0]["plan"]


def test_a_guest_of_all_hosts_is_free_and_a_guest_of_one_is_tied():
    lists = {"xen1": [WEB, {"name": "a"}], "xen2": [{"name": "b"}, WEB]}
    joined = wanted_guests(lists)
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
        ({"xen1": [{"name": 7}]}, "place_guests_guests[0]: name must be a text, not 7"),
        ({"xen1": [{"name": "a/b"}]}, "place_guests_guests[0] (a/b): a name with a slash"),
        ({"xen1": [{"name": "-h"}]}, "place_guests_guests[0] (-h): xl cannot be given"),
        ({"xen1": [{"name": "a\nb"}]}, "xl cannot be given"),
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
        ({"xen1": [{**WEB, "config": {"Type": "pv"}}]}, "(web): config: 'Type' cannot be a key"),
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


def test_a_name_with_a_slash_is_fine_with_a_path():
    assert (
        wanted_guests({"xen1": [{"name": "a/b", "path": "/etc/xen/ab.cfg"}]})[0]["path"] == "/etc/xen/ab.cfg"
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
    names = [guest["name"] for guest in wanted_guests(lists, ["xen1", "xen2"])]
    assert names == ["web", "b", "c"], "a host that nobody knows is the planner's to complain about"
