# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The component that reads xl's text: against what the hypervisor said of the same hosts at the same time."""

import json

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._discovery import registry, xl, xl_reading
from ansible_collections.dom0.xen.plugins.module_utils._discovery.collecting import collect
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.recording import from_recording
from ansible_collections.dom0.xen.plugins.module_utils._xen.errors import BindingMissing, NotControlDomain
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    recording,
    said,
    said_names,
)

MIB = 1 << 20


@pytest.fixture(autouse=True)
def dom0(monkeypatch):
    """This is the control domain, as far as the component can see."""
    monkeypatch.setattr(xl, "check_control_domain", lambda root: None)


class Store:
    """Stands for a connection to xenstore."""

    def __init__(self):
        self.pools = {0: "Pool-0", 1: "pool two"}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def read(self, path):
        names = {"/local/pool/%d/name" % number: name.encode() for number, name in self.pools.items()}
        return names.get(path)

    def directory(self, path):
        return [str(number) for number in self.pools] if path == "/local/pool" else []


@pytest.fixture
def names(monkeypatch):
    """xenstore tells the names of cpupools."""
    monkeypatch.setattr(xl_reading.xenstore.Xenstore, "open", Store)


def runner(texts, ran=None):
    """Runs the commands of a host: what they printed then."""

    def run(argv):
        command = " ".join(argv)
        if ran is not None:
            ran.append(command)
        if command not in texts:
            return 127, "", "xl: no such command\n"
        return 0, texts[command], ""

    return run


def hear(texts, *subset, **more):
    host = collect(registry.components(), "xl", subset, runner(texts, more.get("ran")), root="/nonexistent")
    return from_recording(json.loads(json.dumps(host.to_recording())))


def facts_of(raw):
    return to_facts(derive(raw))


@pytest.mark.usefixtures("names")
# nobody asked for the guests of small-min
@pytest.mark.parametrize(
    "name", [name for name in said_names() if "offline" not in name and name != "small-min"]
)
def test_agrees_with_the_hypervisor_as_far_as_it_can(name):
    """Everything that xl prints rightly is the same; the rest is unknown or rounded, never something else."""
    raw = hear(said(name), "domains")
    true = recording(name)
    # CPUs that only the firmware lists
    true.data.get("acpi", {}).pop("madt", None)
    ours, theirs = facts_of(raw), facts_of(true)
    # what is not known otherwise than by asking Xen or the firmware
    theirs["distances"]["from_firmware"] = None
    for pool in theirs["cpupools"][1:]:
        pool["sched_gran"] = None
    for key in ("cpupools", "cpupool_free", "cpu_khz", "distances", "totals", "cores", "packages"):
        if not (key == "cpupools" and not theirs["cpupools"][0]["name"]):
            assert ours[key] == theirs[key], key
    for pu, true in zip(ours["pus"], theirs["pus"]):
        assert dict(pu, apic_id=true["apic_id"], acpi_id=true["acpi_id"]) == true
    assert [pu["apic_id"] for pu in ours["pus"]] == [None] * len(ours["pus"])
    for node, true in zip(ours["nodes"], theirs["nodes"]):
        assert node["cpuset"] == true["cpuset"]
        assert node["memory_spanned_bytes"] // MIB == true["memory_spanned_bytes"] // MIB
        assert abs(node["memory_free_bytes"] - true["memory_free_bytes"]) < 64 * MIB
    if "domains" not in ours:
        # where masks cannot be read, that is said
        assert "domains" not in theirs or any(
            "domains are left out" in warning for warning in ours["warnings"]
        )
        return
    assert len(ours["domains"]) == len(theirs["domains"])
    for domain, true in zip(ours["domains"], theirs["domains"]):
        for key in ("domid", "name", "uuid", "type", "cpupool", "max_vcpus", "node_affinity"):
            assert domain[key] == true[key], key
        assert domain["memory_bytes"] // MIB == true["memory_bytes"] // MIB
        assert domain["max_memory_bytes"] is None
        for vcpu, its in zip(domain["vcpus"], true["vcpus"]):
            for key in ("vcpu", "online", "hard", "soft"):
                assert vcpu[key] == its[key], key


def test_source_and_doubts_are_said():
    facts = facts_of(hear(said("small-trixie"), "domains"))
    assert facts["source"] == "xl"
    assert any("not from the hypervisor" in warning for warning in facts["warnings"])
    assert facts["xen"]["interface"] == {"sysctl": None, "domctl": None, "platform": None, "known": None}


def test_pools_whose_numbers_nobody_knows_are_left_out():
    facts = facts_of(hear(said("small-trixie"), "domains"))
    assert [(pool["id"], pool["name"]) for pool in facts["cpupools"]] == [(0, "Pool-0")]
    assert any("pool two" in warning for warning in facts["warnings"])
    assert [domain["cpupool"] for domain in facts["domains"]] == [0, 0, None]


def test_cheap_subset_asks_less():
    ran = []
    hear(said("small-trixie"), ran=ran)
    assert ran == ["xl info -n", "xl cpupool-list", "xl cpupool-list -c", "xl vcpu-list"]


def test_xenpm_is_asked_where_xl_has_no_cpus():
    texts = dict(said("small-trixie"))
    head, _rest = texts["xl info -n"].split("cpu_topology")
    texts["xl info -n"] = head
    ran = []
    raw = hear(texts, ran=ran)
    assert "xenpm get-cpu-topology" in ran
    assert raw.data["cputopo"] == recording("small-trixie").data["cputopo"]


@pytest.mark.usefixtures("names")
def test_masks_that_xl_has_cut_off_are_not_believed():
    """CPU 5 goes offline, on a processor where xl still shows it; CPU 2 is in no pool."""
    texts = dict(said("small-trixie"))
    texts["xl info -n"] = texts["xl info -n"].replace(
        "nr_cpus                : 8", "nr_cpus                : 7"
    )
    texts["xl cpupool-list -c"] = texts["xl cpupool-list -c"].replace("0,1,3,4,5,6", "0,1,3,4,6")
    # releases in which masks were seen to be whole
    assert len(hear(texts, "domains").data["domains"]) == 3
    texts["xl info -n"] = texts["xl info -n"].replace(
        "xen_minor              : 20", "xen_minor              : 13"
    )
    raw = hear(texts, "domains")
    assert "domains" not in raw.data
    assert any("affinities of virtual CPUs are unknown" in warning for warning in raw.warnings)
    assert any("'domains' was asked for" in warning for warning in raw.warnings)
    assert any("but not which" in warning for warning in raw.warnings)
    online = {pu["os_index"]: pu["online"] for pu in facts_of(raw)["pus"]}
    assert (online[2], online[5]) == (None, None)
    assert facts_of(raw)["cpuset"] == "0-1,3-4,6-7"


def test_nodes_that_xl_has_cut_off_are_not_believed():
    texts = dict(said("small-trixie"))
    texts["xl info -n"] = texts["xl info -n"].replace(
        "nr_nodes               : 2", "nr_nodes               : 1"
    )
    assert [domain["node_affinity"] for domain in hear(texts, "domains").data["domains"]] == [None] * 3


@pytest.mark.parametrize("name", [name for name in said_names() if "offline" in name])
def test_offline_cpus_are_not_usable(name):
    facts = facts_of(hear(said(name), "domains"))
    truth = facts_of(recording(name))
    assert facts["cpuset"] == truth["cpuset"]
    assert facts["totals"]["pus_online"] == truth["totals"]["pus_online"]


@pytest.mark.parametrize(
    "command",
    ["xl info -n", "xl cpupool-list", "xl cpupool-list -c", "xl vcpu-list", "xl list -v -c -n", "xl list -l"],
)
def test_tool_that_fails_is_a_sentence(command):
    texts = {key: text for key, text in said("small-trixie").items() if key != command}
    with pytest.raises(Failure, match="'%s' failed .status 127.: xl: no such command" % command):
        hear(texts, "domains")


def test_no_way_to_run_commands():
    with pytest.raises(Failure, match="xl cannot be asked"):
        collect(registry.components(), "xl")


def test_guest_is_not_asked(monkeypatch):
    """There xl may hang for good."""

    def refuse(root):
        raise NotControlDomain("A guest.")

    monkeypatch.setattr(xl, "check_control_domain", refuse)
    ran = []
    with pytest.raises(NotControlDomain):
        collect(registry.components(), "xl", (), runner({}, ran))
    assert ran == []


@pytest.mark.usefixtures("names")
def test_takes_over_where_the_binding_is_missing():
    def refuse():
        raise BindingMissing("This Python has no module _cffi_backend.")

    host = collect(
        registry.components(), "auto", {"domains"}, runner(said("small-trixie")), refuse, root="/nonexistent"
    )
    assert [entry["state"] for entry in host.components[:2]] == ["passed_over", "used"]
    assert host.warnings[0] == "hypercall was passed over: This Python has no module _cffi_backend."
    facts = facts_of(host)
    assert facts["source"] == "xl"
    assert len(facts["domains"]) == 3


def test_what_no_source_gives_is_said():
    host = collect(
        registry.components(), "xl", {"memory_by_node"}, runner(said("small-trixie")), root="/nonexistent"
    )
    assert any("'memory_by_node' was asked for" in warning for warning in host.warnings)


STATES = [
    ("r-----", "running"),
    ("-b----", "blocked"),
    ("--p---", "paused"),
    ("---s--", "shutdown"),
    ("---sc-", "crashed"),
    ("---s-d", "dying"),
]


@pytest.mark.parametrize(("letters", "state"), STATES)
def test_states(letters, state):
    texts = dict(said("small-trixie"))
    texts["xl list -v -c -n"] = texts["xl list -v -c -n"].replace("--p---", letters)
    domains = facts_of(hear(texts, "domains"))["domains"]
    assert [domain["state"] for domain in domains[1:]] == [state] * 2


def test_types():
    texts = dict(said("small-trixie"))
    texts["xl list -l"] = '[{"domid": 1, "config": {"c_info": {"type": "pvh"}}}]'
    assert [domain["type"] for domain in facts_of(hear(texts, "domains"))["domains"]] == [None, "pvh", None]
