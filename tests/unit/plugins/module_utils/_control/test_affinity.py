# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._control import affinity
from ansible_collections.dom0.xen.plugins.module_utils._control.affinity import (
    apply_affinity,
    guest_diff,
    guest_result,
    plan_affinity,
)
from ansible_collections.dom0.xen.plugins.module_utils._control.patience import Patience
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._xen import errors
from ansible_collections.dom0.xen.plugins.module_utils._xen.pinning import VcpuAffinity
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    made_domain,
    made_host,
)

# what Xen has room for: more CPUs than there are
BITS = 16
EVERY_BIT = (1 << BITS) - 1


def made_topology(**sections):
    """Eight CPUs on two nodes, CPU 6 offline, CPU 7 in a cpupool of its own."""
    web = made_domain(3, vcpus=4, handle="6b1f0a525d0e4d2c9d7f0a4bb1c7a001")
    host = {
        "pcpuinfo": [[7, int(cpu != 6), cpu, cpu] for cpu in range(8)],
        "physinfo": {"nr_cpus": 7},
        "cpupools": [
            {"id": 0, "sched_id": 6, "cpus": [0, 1, 2, 3, 4, 5]},
            {"id": 1, "sched_id": 6, "cpus": [7]},
        ],
        "domains": [
            made_domain(0, vcpus=2),
            web,
            made_domain(5, vcpus=2),
            made_domain(6),
            made_domain(7, vcpus=0),
        ],
        "domain_names": {"0": "Domain-0", "3": "web", "5": "db", "6": "old", "7": "new"},
    }
    host["domains"][3]["flags"] = 1
    host.update(sections)
    return derive(made_host(**host))


class FakeXen:
    """Keeps masks as Xen does; `domctl` takes the place of the room's module of that name."""

    def __init__(self, topology, pool=0x3F):
        self.masks = {
            (domain.domid, vcpu.vcpu): [EVERY_BIT, EVERY_BIT]
            for domain in topology.domains
            for vcpu in domain.vcpus
        }
        self.pool = pool
        self.set_calls = []
        self.read_calls = []
        self.gone = set()
        self.refusal = {}
        # a scheduling unit of so many vCPUs
        self.unit = 1

    def cpu_bits(self, xen):
        assert xen is self
        return BITS

    def setvcpuaffinity(self, xen, domid, vcpu, hard=None, soft=None, force=False):
        assert xen is self
        if domid in self.gone:
            raise errors.failure(3, "domctl", "setvcpuaffinity", domid=domid, vcpu=vcpu)
        if (domid, vcpu) in self.refusal:
            raise self.refusal[domid, vcpu]
        self.set_calls.append((domid, vcpu, hard, soft, force))
        first = vcpu // self.unit * self.unit
        for member in range(first, first + self.unit):
            masks = self.masks[domid, member]
            masks[:] = [masks[0] if hard is None else hard, masks[1] if soft is None else soft]
        return VcpuAffinity(
            None if hard is None else hard & self.pool, None if soft is None else soft & masks[0] & self.pool
        )

    def getvcpuaffinity(self, xen, domid, vcpu):
        self.read_calls.append((domid, vcpu))
        return tuple(self.masks[domid, vcpu])


@pytest.fixture
def xen(monkeypatch):
    fake = FakeXen(made_topology())
    monkeypatch.setattr(affinity, "domctl", fake)
    monkeypatch.setattr(affinity, "pinning", fake)
    monkeypatch.setattr(affinity, "sysctl", fake)
    return fake


def planned(wanted, **sections):
    """The masks after, by domid and vCPU, of what changes."""
    return {
        (action.domid, vcpu.vcpu): (str(vcpu.hard), str(vcpu.soft))
        for action in plan_affinity(made_topology(**sections), wanted)
        for vcpu in action.vcpus
        if vcpu.changed
    }


# --- plan


def test_guests_by_name_id_and_uuid_in_one_plan():
    wanted = [
        {"guest": "web", "hard": "node:0"},
        {"guest": "5", "soft": "4"},
        {"guest": "00000000-0000-0000-0000-000000000000", "vcpus": "1", "hard": 2, "soft": [2, "3"]},
    ]
    assert planned(wanted) == {
        (3, 0): ("0-3", "0-7"),
        (3, 1): ("0-3", "0-7"),
        (3, 2): ("0-3", "0-7"),
        (3, 3): ("0-3", "0-7"),
        (5, 0): ("0-7", "4"),
        (5, 1): ("0-7", "4"),
        (0, 1): ("2", "2-3"),
    }
    actions = plan_affinity(made_topology(), wanted)
    assert [action.title for action in actions] == ["web (domid 3)", "db (domid 5)", "Domain-0 (domid 0)"]


def test_later_entries_win_for_the_same_vcpu_and_mask():
    wanted = [
        {"guest": "web", "hard": "node:0", "soft": "0"},
        {"guest": "web", "vcpus": "1-2", "hard": "4-5"},
        {"guest": "3", "vcpus": [2], "soft": "5"},
    ]
    assert planned(wanted) == {
        (3, 0): ("0-3", "0"),
        (3, 1): ("4-5", "0"),
        (3, 2): ("4-5", "5"),
        (3, 3): ("0-3", "0"),
    }
    assert len(plan_affinity(made_topology(), wanted)) == 1


def test_masks_as_they_are_change_nothing():
    action = plan_affinity(made_topology(), [{"guest": "web", "hard": "all", "soft": "0-7"}])[0]
    assert not action.changed
    assert action.notes == ()


def test_what_is_in_effect_is_told():
    action = plan_affinity(made_topology(), [{"guest": "web", "vcpus": 0, "hard": "3-7", "soft": "0-4,7"}])[0]
    assert guest_result(action)["vcpus"] == [
        {
            "vcpu": 0,
            "hard_before": "all",
            "hard": "3-7",
            "hard_effective": "3-5",
            "soft_before": "all",
            "soft": "0-4,7",
            "soft_effective": "3-4",
        }
    ]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"guest": "wob", "hard": "0"},
            "there is no domain 'wob' on this host: it has Domain-0, web, db, old, new",
        ),
        ({"guest": "web", "vcpus": "2-9", "hard": "0"}, r"web \(domid 3\) has no vCPU 4-9: it has 0-3"),
        ({"guest": "web", "vcpus": "two", "hard": "0"}, "vcpus 'two' cannot be read"),
        ({"guest": "web", "vcpus": [], "hard": "0"}, "vcpus names no vCPU at all"),
        ({"guest": "new", "hard": "0"}, r"new \(domid 7\) has no vCPUs yet"),
        ({"guest": "old", "hard": "0"}, r"old \(domid 6\) is going away"),
        ({"guest": "web", "hard": "0-8"}, "'0-8' names CPU 8, which this host has not: it has 0-7"),
        ({"guest": "web", "soft": "node:4"}, "NUMA node 4"),
        ({"guest": "web", "hard": []}, "hard names no CPU at all"),
        ({"guest": "web", "soft": "none"}, "soft names no CPU at all"),
        ({"guest": "web"}, "neither hard nor soft"),
        ({"guest": "web", "hard": None, "soft": None}, "neither hard nor soft"),
        (
            {"guest": "web", "hard": "6-7"},
            r"hard '6-7' leaves web \(domid 3\) no CPU to run on, with 6 offline and 7 in cpupool 1: its cpupool 0 has 0-5 online",
        ),
        ({"guest": "web", "hard": "6"}, "with 6 offline: its cpupool"),
    ],
)
def test_refusals_name_the_entry(entry, said):
    with pytest.raises(Failure, match=rf"^affinities\[1\] \(guest {entry['guest']}\): .*{said}") as caught:
        plan_affinity(made_topology(), [{"guest": "web", "hard": "0"}, entry])
    assert caught.value.result == {}


def test_a_free_cpu_is_said_to_be_in_no_cpupool():
    pools = {"cpupools": [{"id": 0, "cpus": [0, 1, 2, 3]}], "cpupool_free": [4, 5, 7]}
    with pytest.raises(Failure, match="with 6 offline and 5,7 in no cpupool: its cpupool 0 has 0-3 online"):
        plan_affinity(made_topology(**pools), [{"guest": "web", "hard": "5-7"}])


def notes(wanted, **sections):
    return [note for action in plan_affinity(made_topology(**sections), wanted) for note in action.notes]


def test_notes_on_masks_that_count_in_part_or_not_at_all():
    assert notes([{"guest": "web", "hard": "node:1"}]) == [
        "vCPUs 0-3 of web (domid 3): of hard affinity 4-7, 6-7 is offline or outside the cpupool, "
        "and does not count until that changes."
    ]
    assert notes(
        [{"guest": "web", "vcpus": "0", "hard": "0-3"}, {"guest": "web", "vcpus": "0", "soft": "4"}]
    ) == [
        "vCPU 0 of web (domid 3): no CPU of soft affinity 4 is among those that hard affinity allows (0-3), so it has no effect."
    ]
    assert notes([{"guest": "web", "hard": "0-3"}, {"guest": "db", "hard": "all", "soft": "all"}]) == []


def test_vcpus_that_are_scheduled_as_one_change_together():
    """Two threads a core: with sched-gran=core vCPUs 0 and 1 are one unit, 2 and 3 another."""
    core = {"sched_gran": {"0": "core", "1": "cpu"}}
    action = plan_affinity(made_topology(**core), [{"guest": "web", "vcpus": "1", "hard": "0-1"}])[0]
    assert [(vcpu.vcpu, str(vcpu.hard)) for vcpu in action.vcpus] == [(0, "0-1"), (1, "0-1")]
    assert action.notes == (
        "web (domid 3): vCPU 0 changes too, since cpupool 0 schedules by core, 2 neighbouring vCPUs as one.",
    )
    differ = [{"guest": "web", "hard": "0-3"}, {"guest": "web", "vcpus": "0", "hard": "0"}]
    with pytest.raises(Failure, match="vCPUs 0-1 of web .* are scheduled as one, .* not for 0 and 0-3"):
        plan_affinity(made_topology(**core), differ)
    assert len(plan_affinity(made_topology(), differ)[0].vcpus) == 4
    socket = plan_affinity(
        made_topology(sched_gran={"0": "socket"}), [{"guest": "web", "vcpus": "3", "soft": "4"}]
    )
    assert [str(vcpu.soft) for vcpu in socket[0].vcpus] == ["4"] * 4


def test_node_affinity():
    def planned_nodes(**entry):
        nodes = plan_affinity(made_topology(), [dict(entry, guest="web")])[0].nodes
        return (
            None if nodes is None else (str(nodes.before), str(nodes.wanted), nodes.auto_before, nodes.auto)
        )

    assert planned_nodes(hard="0") is None
    assert planned_nodes(nodes="1") == ("0-1", "1", True, False)
    assert planned_nodes(nodes=[0, "1"]) == ("0-1", "0-1", True, False)
    # what Xen would come to: the nodes of soft within hard, else of hard
    assert planned_nodes(nodes="auto") == ("0-1", "0-1", True, True)
    assert planned_nodes(nodes="auto", hard="0-1") == ("0-1", "0", True, True)
    assert planned_nodes(nodes="auto", soft="4") == ("0-1", "1", True, True)
    assert planned_nodes(nodes="auto", hard="0-1", soft="4") == ("0-1", "0", True, True)


# --- apply


def test_one_hypercall_sets_a_vcpu_and_only_what_changes_is_set(xen):
    topology = made_topology()
    wanted = [
        {"guest": "web", "vcpus": "0-1", "hard": "0-3", "soft": "1"},
        {"guest": "db", "soft": "4-7", "force": True},
        {"guest": "Domain-0", "hard": "all"},
    ]
    actions = apply_affinity(xen, plan_affinity(topology, wanted))
    assert xen.set_calls == [
        (3, 0, 0xF, 0x2, False),
        (3, 1, 0xF, 0x2, False),
        (5, 0, None, 0xF0, True),
        (5, 1, None, 0xF0, True),
    ]
    assert xen.read_calls == [(3, 0), (3, 1), (5, 0), (5, 1)]
    assert [action.changed for action in actions] == [True, True, False]
    assert guest_result(actions[1])["vcpus"][0] == {
        "vcpu": 0,
        "hard_before": "all",
        "hard": "all",
        "hard_effective": "0-5",
        "soft_before": "all",
        "soft": "4-7",
        "soft_effective": "4-5",
    }


def test_all_sets_every_bit_that_xen_has(xen):
    pinned = made_domain(5, vcpus=1)
    pinned["vcpus"][0].update(hard=[1], hard_all=False, soft=[1], soft_all=False)
    topology = made_topology(domains=[pinned], domain_names={"5": "db"})
    xen.masks[5, 0] = [2, 2]
    actions = apply_affinity(
        xen, plan_affinity(topology, [{"guest": "db", "hard": "all", "soft": "nodes:0-1"}])
    )
    assert xen.set_calls == [(5, 0, EVERY_BIT, EVERY_BIT, False)]
    assert guest_result(actions[0])["vcpus"][0]["hard"] == "all"


def test_what_xen_says_is_in_effect_is_believed(xen):
    # a CPU went offline since the plan was made
    xen.pool = 0x1
    action = apply_affinity(xen, plan_affinity(made_topology(), [{"guest": "web", "hard": "0-1"}]))[0]
    assert {str(vcpu.hard_effective) for vcpu in action.vcpus} == {"0"}


def test_a_guest_that_vanishes_in_the_middle(xen):
    xen.gone.add(5)
    wanted = [{"guest": "web", "vcpus": "0-1", "hard": "0"}, {"guest": "db", "hard": "1"}]
    with pytest.raises(
        Failure, match=r"^db \(domid 5\): .*ended meanwhile.* What had been set before was set back\.$"
    ) as caught:
        apply_affinity(xen, plan_affinity(made_topology(), wanted))
    assert caught.value.result == {
        "rolled_back": [
            {"name": "web", "domid": 3, "uuid": "6b1f0a52-5d0e-4d2c-9d7f-0a4bb1c7a001", "vcpus": "0-1"}
        ],
        "done": [],
    }
    assert xen.masks[3, 0] == [EVERY_BIT, EVERY_BIT]


def test_what_cannot_be_set_back_is_said(xen):
    class Stubborn:
        """Refuses to set vCPU 0 back."""

        def __contains__(self, key):
            return key == (3, 2) or (key == (3, 0) and (3, 0, 1, None, False) in xen.set_calls)

        def __getitem__(self, key):
            return errors.failure(1, "domctl", "setvcpuaffinity", domid=3, vcpu=key[1])

    xen.refusal = Stubborn()
    with pytest.raises(Failure, match=r"and not to be set back: vCPU 0 of web \(3\)\.$") as caught:
        apply_affinity(xen, plan_affinity(made_topology(), [{"guest": "web", "hard": "0"}]))
    assert [entry["vcpus"] for entry in caught.value.result["done"]] == ["0"]
    assert [entry["vcpus"] for entry in caught.value.result["rolled_back"]] == ["1"]


def test_a_refusal_in_the_middle_of_a_guest(xen):
    xen.refusal[3, 2] = errors.failure(16, "domctl", "setvcpuaffinity", domid=3, vcpu=2)
    patience = Patience(limit=0.0, sleep=lambda _seconds: None)
    with pytest.raises(Failure, match="force") as caught:
        apply_affinity(xen, plan_affinity(made_topology(), [{"guest": "web", "hard": "0"}]), patience)
    assert [entry["vcpus"] for entry in caught.value.result["rolled_back"]] == ["0-1"]


def test_a_refusal_at_the_very_first(xen):
    xen.gone.add(3)
    with pytest.raises(Failure, match=r"Nothing had been set before\.$") as caught:
        apply_affinity(xen, plan_affinity(made_topology(), [{"guest": "web", "hard": "0"}]))
    assert caught.value.result == {"done": [], "rolled_back": []}


def test_groups_of_vcpus_that_xen_keeps_alike_are_found_out(xen):
    xen.unit = 2
    wanted = [{"guest": "db", "vcpus": "0", "hard": "0"}, {"guest": "db", "vcpus": "1", "hard": "1"}]
    with pytest.raises(
        Failure, match="vCPU 0 has the hard affinity 1 although 0 was set: .*sched-gran"
    ) as caught:
        apply_affinity(xen, plan_affinity(made_topology(), wanted))
    assert [entry["vcpus"] for entry in caught.value.result["rolled_back"]] == ["0-1"]
    # the same for both is no trouble
    apply_affinity(xen, plan_affinity(made_topology(), [{"guest": "db", "hard": "1"}]))


def test_nothing_to_do_makes_no_hypercall_for_a_guest(xen):
    apply_affinity(xen, plan_affinity(made_topology(), [{"guest": "web", "hard": "all"}]))
    assert (xen.set_calls, xen.read_calls) == ([], [])


def test_32_vcpus_are_32_hypercalls(xen):
    big = made_domain(9, vcpus=32)
    topology = made_topology(domains=[big], domain_names={"9": "big"})
    xen.masks.update({(9, vcpu): [EVERY_BIT, EVERY_BIT] for vcpu in range(32)})
    wanted = [{"guest": "big", "vcpus": vcpu, "hard": vcpu % 6, "soft": "0-5"} for vcpu in range(32)]
    apply_affinity(xen, plan_affinity(topology, wanted))
    assert [(vcpu, hard) for _domid, vcpu, hard, _soft, _force in xen.set_calls] == [
        (vcpu, 1 << vcpu % 6) for vcpu in range(32)
    ]


# --- telling


def test_diff():
    action = plan_affinity(made_topology(), [{"guest": "web", "vcpus": "1,3", "hard": "0-3", "soft": "1"}])[0]
    assert guest_diff(action) == {
        "before_header": "web (domid 3)",
        "after_header": "web (domid 3)",
        "before": {"vCPU 1": "hard all / soft all", "vCPU 3": "hard all / soft all"},
        "after": {"vCPU 1": "hard 0-3 / soft 1", "vCPU 3": "hard 0-3 / soft 1"},
    }


def test_result_of_a_plan():
    action = plan_affinity(made_topology(), [{"guest": "db", "vcpus": 1, "hard": "0"}])[0]
    result = guest_result(action)
    assert {key: result[key] for key in ("name", "domid", "uuid", "changed")} == {
        "name": "db",
        "domid": 5,
        "uuid": "00000000-0000-0000-0000-000000000005",
        "changed": True,
    }
    assert [vcpu["vcpu"] for vcpu in result["vcpus"]] == [1]
