# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How components are chosen, with components made for it."""

import os
import signal

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._discovery import collecting, registry
from ansible_collections.dom0.xen.plugins.module_utils._discovery.collecting import collect
from ansible_collections.dom0.xen.plugins.module_utils._discovery.component import Component, Heard
from ansible_collections.dom0.xen.plugins.module_utils._discovery.dmi import Dmi
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure


class Told(Component):
    """Answers what it was told to, or fails with it."""

    def __init__(self, name, priority, provides=(), excludes=(), answer=None, **sections):
        self.name = name
        self.priority = priority
        self.provides = provides
        self.excludes = excludes
        self.answer = answer
        self.sections = sections
        self.asked = []

    def collect(self, request, heard):
        self.asked.append((request, dict(heard)))
        if self.answer is not None:
            raise self.answer
        return Heard(dict(self.sections), ["%s warns." % self.name] if self.name == "warner" else [], 5)


def first(**more):
    return Told("first", 50, ("topology", "domains"), sched_id=1, page_size=4096, **more)


def second(**more):
    return Told("second", 30, ("topology",), sched_id=2, cpupool_free=[], **more)


def supplement(**more):
    return Told("supplement", 10, domain_names={"0": "Domain-0"}, **more)


def states(host):
    return [(entry["name"], entry["state"], entry["reason"]) for entry in host.components]


def test_highest_answers_and_the_rest_need_not():
    parts = [first(), second(), supplement()]
    host = collect(parts)
    assert host.data == {"sched_id": 1, "page_size": 4096, "domain_names": {"0": "Domain-0"}}
    assert states(host) == [
        ("first", "used", None),
        ("second", "passed_over", "nothing left to ask it for"),
        ("supplement", "used", None),
    ]
    assert host.components[0]["hypercalls"] == 5
    assert host.warnings == []
    assert not parts[1].asked


def test_next_answers_when_the_first_cannot():
    host = collect([first(answer=Failure("No way in.")), second(), supplement()])
    assert host.data["sched_id"] == 2
    assert states(host)[0] == ("first", "passed_over", "No way in.")
    assert host.warnings == ["first was passed over: No way in."]


def test_nobody_can():
    parts = [
        first(answer=Failure("No way in.", tried=1)),
        second(answer=Failure("Neither here.")),
        supplement(),
    ]
    with pytest.raises(Failure, match="No way in") as caught:
        collect(parts)
    assert caught.value.result == {"tried": 1}


def test_nobody_is_there():
    with pytest.raises(Failure, match="No source"):
        collect([supplement()])


def test_supplement_that_cannot_is_a_warning():
    host = collect([first(), supplement(answer=Failure("The daemon sleeps."))])
    assert host.warnings == ["supplement was passed over: The daemon sleeps."]
    assert states(host)[1] == ("supplement", "passed_over", "The daemon sleeps.")
    assert "domain_names" not in host.data


def test_file_that_never_answers_is_passed_over(monkeypatch, tmp_path):
    """A FIFO that nobody writes to stands for a file of the kernel behind which a device is gone."""
    folder = tmp_path / "sys" / "class" / "dmi" / "id"
    folder.mkdir(parents=True)
    os.mkfifo(str(folder / "sys_vendor"))
    monkeypatch.setattr(collecting, "FILES_LIMIT", 0.05)
    before = signal.getsignal(signal.SIGALRM)
    host = collect([first(), Dmi(), supplement()], subset=["dmi"], root=str(tmp_path))
    assert [state for _name, state, _reason in states(host)] == ["used", "passed_over", "used"]
    (warning,) = [warning for warning in host.warnings if "dmi" in warning]
    assert warning.startswith("dmi was passed over: there was no answer within 0.05 seconds")
    assert "dmi" not in host.data
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_named_source_is_asked_alone():
    parts = [first(), second(), supplement()]
    host = collect(parts, "second")
    assert host.data["sched_id"] == 2
    assert states(host)[0] == ("first", "passed_over", "source is second")
    assert not parts[0].asked


def test_named_source_that_cannot_is_an_error():
    with pytest.raises(Failure, match="Not today"):
        collect([first(), second(answer=Failure("Not today."))], "second")


@pytest.mark.parametrize("name", ["nobody", "supplement", ""])
def test_unknown_source(name):
    with pytest.raises(Failure) as caught:
        collect([first(), second(), supplement()], name)
    assert "choose from auto, first, second." in caught.value.message


def test_exclusion():
    lower = Told("lower", 5, page_size=1)
    host = collect([first(excludes=("lower",)), lower])
    assert states(host)[1] == ("lower", "passed_over", "first has answered")
    assert not lower.asked


def test_exclusion_by_one_that_cannot_does_not_count():
    lower = Told("lower", 5, dom0_linux={})
    collect([first(answer=Failure("No."), excludes=("lower",)), second(), lower])
    assert lower.asked


def test_higher_one_is_not_contradicted_and_can_be_seen():
    talker = Told("talker", 1, sched_id=99, cpupool_names={})
    host = collect([first(), talker])
    assert host.data["sched_id"] == 1
    assert host.data["cpupool_names"] == {}
    assert talker.asked[0][1] == {"sched_id": 1, "page_size": 4096}


def test_what_is_missing_is_asked_of_the_next():
    """The first gives the topology only; domains are wanted as well."""
    topology_only = Told("narrow", 60, ("topology",), sched_id=1)
    other = Told("wide", 40, ("topology", "domains"), sched_id=2, domains=[])
    host = collect([topology_only, other], subset={"domains"})
    assert host.data == {"sched_id": 1, "domains": []}


def test_warnings_are_kept():
    host = collect([first(), Told("warner", 1)])
    assert host.warnings == ["warner warns."]


def test_request_carries_the_ways_out():
    part = first()
    collect([part], subset=["domains"], run_command="run", open_xen="open", root="/there")
    request = part.asked[0][0]
    assert request.subset == {"topology", "domains"}
    assert (request.run_command, request.open_xen, request.root) == ("run", "open", "/there")


def test_own_components_stand_in_order():
    names = [component.name for component in registry.components()]
    assert names == ["hypercall", "xl", "acpi", "xenstore", "pci", "dmi", "dom0"]
    assert registry.components()[0].priority == 55


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"domains", "pci", "dmi"}),
        (["all"], {"domains", "pci", "dmi"}),
        (["min"], set()),
        (["topology"], set()),
        (["domains"], {"domains"}),
        (["min", "domains"], {"domains"}),
        (["pci", "dmi"], {"pci", "dmi"}),
        (["!all"], set()),
        (["!domains"], set()),
        (["all", "!domains"], {"pci", "dmi"}),
        (["!all", "domains"], {"domains"}),
        (["domains", "!domains"], {"domains"}),
        (["all", "!min"], {"domains", "pci", "dmi"}),
        (["all", "!unheard"], {"domains", "pci", "dmi"}),
        (["min", "!all"], set()),
    ],
)
def test_gather_subset(words, expected):
    assert registry.resolve_subset(words) == expected


@pytest.mark.parametrize("word", ["guests", "memory_by_node", "", "ALL"])
def test_gather_subset_that_does_not_exist(word):
    with pytest.raises(Failure) as caught:
        registry.resolve_subset(["all", word])
    assert "'%s'" % word in caught.value.message
    assert "all, min, domains, pci, dmi" in caught.value.message


def test_gather_subset_means_what_it_means_to_ansible():
    """The same words given to core's own resolver, with our subset beside a minimal one."""
    collector = pytest.importorskip("ansible.module_utils.facts.collector")
    for words in (
        [],
        ["all"],
        ["min"],
        ["!all"],
        ["!domains"],
        ["all", "!domains"],
        ["domains", "!domains"],
        ["!all", "domains"],
    ):
        names = collector.get_collector_names(
            valid_subsets=frozenset({"topology", "domains", "pci", "dmi"}),
            minimal_gather_subset=frozenset({"topology"}),
            gather_subset=words,
        )
        assert registry.resolve_subset(words) | {"topology"} == names, words
