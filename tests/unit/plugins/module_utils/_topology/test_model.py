# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import copy

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.model import NamesUnknown
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    made_domain,
    made_host,
    recording,
)

HOST = derive(
    made_host(
        domains=[
            made_domain(0),
            made_domain(3, handle="6b1f0a525d0e4d2c9d7f0a4bb1c7a001"),
            made_domain(4),
            made_domain(5),
            made_domain(6),
            made_domain(7),
        ],
        domain_names={"0": "Domain-0", "3": "web 1", "4": "twin", "5": "twin", "6": "3", "7": " 8 "},
    )
)


@pytest.mark.parametrize(
    ("ref", "domid"),
    [
        ("Domain-0", 0),
        (0, 0),
        ("0", 0),
        ("web 1", 3),
        (" web 1 ", 3),
        ("6b1f0a52-5d0e-4d2c-9d7f-0a4bb1c7a001", 3),
        ("6B1F0A525D0E4D2C9D7F0A4BB1C7A001", 3),
        ("5", 5),
        (" 8 ", 7),
    ],
)
def test_a_domain_is_found_by_name_id_and_uuid(ref, domid):
    assert HOST.domain(ref).domid == domid


def test_domain_0_is_found_by_that_name_when_nobody_gave_it_one():
    nameless = derive(made_host(domains=[made_domain(0), made_domain(3)], domain_names={"3": "web"}))
    assert nameless.domain("Domain-0").domid == 0
    other = derive(
        made_host(domains=[made_domain(0), made_domain(3)], domain_names={"0": "control", "3": "web"})
    )
    with pytest.raises(Failure, match="there is no domain 'Domain-0'"):
        other.domain("Domain-0")


@pytest.mark.parametrize("ref", ["web", "web1", "9", 9, -1, "", "web 1/x", "6b1f0a52"])
def test_an_unknown_domain_is_answered_with_those_there_are(ref):
    with pytest.raises(
        Failure, match=r"there is no domain .* on this host: it has Domain-0, web 1, twin, twin, 3"
    ):
        HOST.domain(ref)


@pytest.mark.parametrize(("ref", "domids"), [("twin", "4, 5"), ("3", "3, 6")])
def test_an_ambiguous_domain_is_refused(ref, domids):
    with pytest.raises(Failure, match=rf"more than one domain of this host \(domids {domids}\)"):
        HOST.domain(ref)


def test_without_domains_the_sentence_says_how_to_get_them():
    with pytest.raises(Failure, match="gather the subset 'domains'"):
        derive(made_host()).domain("web1")


SILENT = {
    "name": "xenstore",
    "priority": 40,
    "state": "passed_over",
    "reason": "xenstored is not running: start it (systemctl start xen).",
}


def nameless(components=()):
    """The host with guests, of which xenstore told nothing."""
    raw = copy.deepcopy(recording("small-guests"))
    raw.components = list(components)
    for section in ("domain_names", "cpupool_names"):
        raw.data.pop(section, None)
    return derive(raw)


def test_names_that_are_unknown_are_not_said_to_be_missing():
    topology = nameless([SILENT])
    with pytest.raises(NamesUnknown, match="'disc web' cannot be looked up.*start it .systemctl start xen"):
        topology.domain("disc web")
    assert topology.domain(2).title == "domid 2"
    assert topology.domain(topology.domain(2).uuid).domid == 2
    with pytest.raises(Failure, match="there is no domain '77'"):
        topology.domain("77")
    with pytest.raises(NamesUnknown, match="nothing goes: xenstored is not running"):
        topology.check_names("nothing goes")


def test_a_name_may_have_been_lost():
    """As after a new start of xenstored, which knows nothing of the guests that run."""
    topology = nameless()
    topology.check_names("all goes")
    with pytest.raises(Failure, match="there is no domain 'disc web'.*may have lost it when xenstored"):
        topology.domain("disc web")


def test_cores_are_counted_not_threads():
    assert [HOST.cores_of(CpuSet.parse(text)) for text in ("", "0", "0-1", "0,2", "1-2", "0-7", "8-9")] == [
        0,
        1,
        1,
        2,
        2,
        4,
        0,
    ]


def test_values_cannot_be_changed():
    for thing in (HOST, HOST.pus[0], HOST.xen, HOST.domains[0]):
        with pytest.raises(AttributeError):
            thing.name = "other"
