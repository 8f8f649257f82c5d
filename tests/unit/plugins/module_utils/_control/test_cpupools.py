# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans for cpupools, each carried out on a hypervisor that refuses what a real one refuses."""

import copy
import errno
import os

import pytest

pytest.importorskip("_cffi_backend")

from ansible_collections.dom0.xen.plugins.module_utils._control import granularity
from ansible_collections.dom0.xen.plugins.module_utils._control.cpupools import (
    differences,
    numa_split,
    plan_cpupools,
    results,
)
from ansible_collections.dom0.xen.plugins.module_utils._control.journal import Journal
from ansible_collections.dom0.xen.plugins.module_utils._control.patience import Patience
from ansible_collections.dom0.xen.plugins.module_utils._control.pool_steps import (
    Hands,
    carry_out,
    check_cpupools,
    described,
)
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._control import mortal
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import (
    made_domain,
    made_host,
)
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen

WEB, DB = 3, 5
# What the hypervisor is asked that changes something.
CHANGES = (
    "create",
    "destroy",
    "add_cpu",
    "remove_cpu",
    "move_domain",
    "setvcpuaffinity",
    "hypfs_write",
)


class Host(mortal.Mortal):
    """Eight CPUs on two nodes, guests "web" (4 vCPUs) and "db" (2 vCPUs), and the journal's file."""

    kept = ("state",)

    def __init__(self, path):
        heard = made_host(
            domains=[made_domain(0, vcpus=2), made_domain(WEB, vcpus=4), made_domain(DB, vcpus=2)],
            domain_names={"0": "Domain-0", "3": "web", "5": "db"},
            physinfo={
                "max_cpu_id": 15,
                "max_node_id": 63,
                "cores_per_socket": 2,
                "nr_nodes": 2,
                "capabilities": 0,
                "scrub_pages": 0,
                "outstanding_pages": 0,
                "max_mfn": 0,
            },
            cpupools=[{"id": 0, "sched_id": 6, "n_dom": 3, "cpus": list(range(8))}],
        )
        for domain in heard.data["domains"]:
            domain.update(outstanding_pages=0, shr_pages=0, paged_pages=0, cpu_time=0, nr_online_vcpus=1)
        self.fake = FakeXen(dict(heard.data, sched_gran={"0": "cpu"}))
        self.path = str(path)
        self.names = {0: "Pool-0"}
        for question in CHANGES:
            self.fake.on[question] = lambda *_about: self.deed()

    @property
    def state(self):
        return self.fake.data, self.names

    @state.setter
    def state(self, found):
        self.fake.data, self.names = found

    def name(self, pool, text):
        self.deed()
        if text is None:
            self.names.pop(pool, None)
        else:
            self.names[pool] = text

    def topology(self):
        data = copy.deepcopy(self.fake.data)
        data["cpupool_names"] = {str(number): name for number, name in self.names.items()}
        return derive(RawHost(data, [{"name": "hypercall", "priority": 55, "state": "used", "reason": None}]))

    def plan(self, wanted, journal=None, **options):
        topology = self.topology()
        grains = granularity.of_cpupools(topology)
        pending = journal.load(topology) if journal else Journal(self.path).load()
        return plan_cpupools(topology, grains, wanted, pending=pending, **options)

    def run(self, wanted, **options):
        """Plan and carry out; the plan."""
        journal = Journal(self.path)
        plan = self.plan(wanted, journal, **options)
        with Xen(self.fake, machine="x86_64") as xen:
            hands = Hands(
                xen,
                journal,
                self.topology().complete_cpuset,
                self.name,
                lambda: dict(self.names),
                Patience(limit=0.0, sleep=lambda _seconds: None),
            )
            carry_out(plan.steps, hands, lambda: check_cpupools(plan, hands))
        return plan

    def pools(self):
        return {
            self.names.get(pool["id"]): (
                pool["cpus"],
                sorted(d["domain"] for d in self.fake.data["domains"] if d["cpupool"] == pool["id"]),
            )
            for pool in self.fake.data["cpupools"]
        }

    def pin(self, domid, hard, soft=None, vcpus=None):
        for vcpu in self.fake.domain(domid)["vcpus"]:
            if vcpus is None or vcpu["vcpu"] in vcpus:
                vcpu.update(hard=list(hard), hard_all=False)
                if soft is not None:
                    vcpu.update(soft=list(soft), soft_all=False)

    def masks(self, domid):
        return [(vcpu["hard"], vcpu["soft"]) for vcpu in self.fake.domain(domid)["vcpus"]]


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path / "moves.json")


ALL = list(range(8))
SPLIT = [{"name": "db pool", "cpus": "node:1", "scheduler": "credit", "domains": ["db"]}]


def test_a_cpupool_is_made_gets_cpus_and_a_guest_and_then_nothing_changes(host):
    plan = host.run(SPLIT)
    assert host.pools() == {"Pool-0": ([0, 1, 2, 3], [0, WEB]), "db pool": ([4, 5, 6, 7], [DB])}
    assert host.fake.pool(1)["sched_id"] == 5
    titles = {0: "Domain-0", WEB: "web", DB: "db"}
    assert results(plan, titles) == [
        {
            "name": "db pool",
            "id": 1,
            "changed": True,
            "before": None,
            "after": {
                "name": "db pool",
                "cpus": "4-7",
                "scheduler": "credit",
                "granularity": "cpu",
                "domains": ["db"],
            },
        }
    ]
    assert [
        entry["before_header"] for entry in differences(plan, titles, host.topology().complete_cpuset)
    ] == [
        "cpupool Pool-0 (id 0)",
        "cpupool db pool (id 1)",
    ]
    again = host.run(SPLIT)
    assert (again.steps, differences(again, titles, host.topology().complete_cpuset)) == ((), [])
    assert results(again, titles)[0]["changed"] is False


def test_removal_takes_guests_out_and_gives_the_cpus_back(host):
    host.run(SPLIT)
    with pytest.raises(
        Failure, match=r"cpupools\[0\] \(db pool\): db \(domid 5\) would have no cpupool: .*evacuate_to"
    ):
        host.plan([{"name": "db pool", "state": "absent"}])
    gone = [{"name": "db pool", "state": "absent", "evacuate_to": "Pool-0"}]
    host.run(gone)
    assert host.pools() == {"Pool-0": (ALL, [0, WEB, DB])}
    assert host.names == {0: "Pool-0"}
    assert host.run(gone).steps == ()


def test_affinity_is_put_back_after_a_move(host):
    host.pin(DB, [4, 5], [5], vcpus=[0])
    host.pin(DB, [6], vcpus=[1])
    before = copy.deepcopy(host.masks(DB))
    host.run(SPLIT)
    assert host.masks(DB) == before
    assert Journal(host.path).load() == []


def test_affinity_that_has_no_cpu_in_the_new_cpupool(host):
    host.pin(DB, [0, 1])
    with pytest.raises(
        Failure, match="hard affinity 0-1 of vCPU 0 of db .* would have no CPU in cpupool 'db pool'"
    ) as caught:
        host.plan(SPLIT)
    assert len(caught.value.result["broken"]) == 2
    host.run(SPLIT, policy="nearest")
    assert host.masks(DB) == [([4, 5, 6, 7], ALL)] * 2
    assert host.run(SPLIT, policy="nearest").steps == ()


def test_affinity_of_a_guest_that_stays_and_loses_its_cpus(host):
    host.pin(WEB, [4, 6], vcpus=[2])
    with pytest.raises(Failure, match="hard affinity 4,6 of vCPU 2 of web"):
        host.plan(SPLIT)
    with pytest.raises(Failure, match="broken_affinity: '5' has none of the CPUs that remain"):
        host.plan(SPLIT, policy="5")
    host.run(SPLIT, policy="core:0.1")
    assert host.masks(WEB) == [(ALL, ALL), (ALL, ALL), ([2, 3], ALL), (ALL, ALL)]


def test_cpus_change_places_between_cpupools_and_nobody_is_without(host):
    host.run(
        [{"name": "a", "cpus": "4-5", "domains": ["web"]}, {"name": "b", "cpus": "6-7", "domains": ["db"]}]
    )
    host.pin(WEB, [5, 6])
    host.pin(DB, [4, 7])
    host.run([{"name": "a", "cpus": "6-7"}, {"name": "b", "cpus": "4-5"}])
    assert host.pools() == {
        "Pool-0": ([0, 1, 2, 3], [0]),
        "a": ([6, 7], [WEB]),
        "b": ([4, 5], [DB]),
    }
    # "Breaking affinity" would have made it all of them
    assert (host.masks(WEB), host.masks(DB)) == ([([5, 6], ALL)] * 4, [([4, 7], ALL)] * 2)


ONES = [{"name": "a", "cpus": "4", "domains": ["web"]}, {"name": "b", "cpus": "5", "domains": ["db"]}]
SWAPPED = [{"name": "a", "cpus": "5"}, {"name": "b", "cpus": "4"}]


@pytest.mark.parametrize("mask", [None, [4, 5]])
def test_cpupools_swap_their_only_cpus_with_one_lent_by_cpupool_0(host, mask):
    host.run(ONES)
    if mask:
        host.pin(WEB, mask, [5])
        host.pin(DB, mask)
    before = (host.masks(WEB), host.masks(DB))
    before = copy.deepcopy(before)
    plan = host.run(SWAPPED)
    assert host.pools() == {"Pool-0": ([0, 1, 2, 3, 6, 7], [0]), "a": ([5], [WEB]), "b": ([4], [DB])}
    assert (host.masks(WEB), host.masks(DB)) == before
    # No guest has left its cpupool, and the lent CPU is back.
    assert "move" not in {step.kind for step in plan.steps}
    assert [described(step) for step in plan.steps if 7 in step.cpus] == [
        "CPU 7 removed from cpupool 'Pool-0'",
        "CPU 7 added to cpupool 'a'",
        "CPU 7 removed from cpupool 'a'",
        "CPU 7 added to cpupool 'Pool-0'",
    ]
    assert host.run(SWAPPED).steps == ()


def test_three_cpupools_pass_their_only_cpus_round(host):
    host.run([*ONES, {"name": "c", "cpus": "6"}])
    host.run([{"name": "a", "cpus": "5"}, {"name": "b", "cpus": "6"}, {"name": "c", "cpus": "4"}])
    assert host.pools() == {
        "Pool-0": ([0, 1, 2, 3, 7], [0]),
        "a": ([5], [WEB]),
        "b": ([6], [DB]),
        "c": ([4], []),
    }


def test_whole_cores_are_lent_to_a_cpupool_that_schedules_by_core(host):
    ones = [{"name": "a", "cpus": "4-5", "granularity": "core", "domains": ["web"]}]
    ones += [{"name": "b", "cpus": "6-7", "domains": ["db"]}]
    host.run(ones)
    plan = host.run([{"name": "a", "cpus": "6-7"}, {"name": "b", "cpus": "4-5"}])
    assert host.pools()["a"] == ([6, 7], [WEB])
    assert host.pools()["b"] == ([4, 5], [DB])
    # b could let go of one CPU, and a of none
    assert [str(step.cpus) for step in plan.steps if step.kind == "remove" and step.pool == 0] == ["2", "3"]


def test_without_a_cpu_to_lend_guests_wait_elsewhere_if_they_may(host):
    host.run([*ONES, {"name": "rest", "cpus": "1-3,6-7"}])
    host.pin(WEB, [4, 5], [5])
    before = copy.deepcopy(host.masks(WEB))
    with pytest.raises(
        Failure,
        match=r"no way from here to there.* and 'Pool-0' has none to lend for a moment: .*\(by_way_of\)$",
    ):
        host.plan(SWAPPED)
    with pytest.raises(Failure, match="by_way_of names 'nowhere', and there will be no such cpupool"):
        host.plan(SWAPPED, by_way_of="nowhere")
    with pytest.raises(Failure, match=r"web \(domid 3\) would have to wait in cpupool 'Pool-0': name all"):
        host.plan(SWAPPED, by_way_of="Pool-0")
    named = [dict(SWAPPED[0], domains=["web"]), SWAPPED[1]]
    plan = host.run(named, by_way_of="Pool-0")
    assert (host.pools()["a"], host.pools()["b"]) == (([5], [WEB]), ([4], [DB]))
    assert host.masks(WEB) == before
    assert [step.domain.domid for step in plan.steps if step.kind == "move"] == [WEB, WEB]
    assert Journal(host.path).load() == []


def test_a_cpu_that_dom0_is_pinned_to_is_not_lent(host):
    host.run(ONES)
    host.pin(0, [7])
    plan = host.run(SWAPPED)
    assert {str(step.cpus) for step in plan.steps if step.kind == "remove" and step.pool == 0} == {"6"}
    assert host.masks(0) == [([7], ALL)] * 2


def test_cpupools_swap_their_guests(host):
    host.run(
        [{"name": "a", "cpus": "4-5", "domains": ["web"]}, {"name": "b", "cpus": "6-7", "domains": ["db"]}]
    )
    host.run([{"name": "a", "domains": ["db"]}, {"name": "b", "domains": ["web"]}])
    assert host.pools()["a"] == ([4, 5], [DB])
    assert host.pools()["b"] == ([6, 7], [WEB])


def test_numa_split(host):
    split = numa_split(host.topology())
    host.pin(WEB, [6, 7])
    with pytest.raises(Failure, match="6-7"):
        host.plan(split)
    host.run([*split[:1], dict(split[1], domains=["web"])])
    assert host.pools() == {"Pool-node0": ([0, 1, 2, 3], [0, DB]), "Pool-node1": ([4, 5, 6, 7], [WEB])}
    assert host.masks(WEB) == [([6, 7], ALL)] * 4
    again = numa_split(host.topology())
    assert host.run(again).steps == ()
    back = [
        {"name": "Pool-node1", "state": "absent", "evacuate_to": "Pool-0"},
        {"name": "Pool-0", "former_name": "Pool-node0"},
    ]
    host.run(back)
    assert host.pools() == {"Pool-0": (ALL, [0, WEB, DB])}


def test_rename(host):
    host.run(SPLIT)
    renamed = [{"name": "-x 'y'\n\"z\"", "former_name": "db pool"}]
    plan = host.run(renamed)
    assert [described(step) for step in plan.steps] == ["cpupool 'db pool' renamed to '-x \\'y\\'\\n\"z\"'"]
    assert host.names[1] == "-x 'y'\n\"z\""
    assert host.run(renamed).steps == ()
    with pytest.raises(Failure, match="there are both"):
        host.plan([{"name": "Pool-0", "former_name": renamed[0]["name"]}])


def test_granularity(host):
    host.run([{"name": "cores", "cpus": "node:1", "granularity": "core", "domains": ["db"]}])
    assert host.fake.data["sched_gran"] == {"0": "cpu", "1": "core"}
    # whole cores come and go
    adds = [step for step in host.fake.steps if step[0] == 4]
    assert adds == [(4, 1, 4), (4, 1, 6)]
    with pytest.raises(Failure, match="schedules by core: CPUs 4-5 belong together"):
        host.plan([{"name": "cores", "cpus": "4,6-7"}])
    with pytest.raises(
        Failure, match=r"can be set only while it has no CPUs, and db \(domid 5\) need .*by_way_of"
    ):
        host.plan([{"name": "cores", "granularity": "cpu"}])
    with pytest.raises(Failure, match="can be set only while it has no CPUs"):
        host.plan([{"name": "cores", "granularity": "cpu"}], by_way_of="cores")
    with pytest.raises(Failure, match="it is cpupool 0, whose granularity"):
        host.plan([{"name": "Pool-0", "granularity": "core"}])
    with pytest.raises(Failure, match=r"say which it shall have afterwards \(cpus, now 4-7\)"):
        host.plan([{"name": "cores", "granularity": "cpu"}, {"name": "Pool-0", "domains": ["db"]}])
    host.run([{"name": "cores", "cpus": "4-7", "granularity": "cpu"}, {"name": "Pool-0", "domains": ["db"]}])
    assert host.fake.data["sched_gran"] == {"0": "cpu", "1": "cpu"}
    assert host.pools()["cores"] == ([4, 5, 6, 7], [])
    host.run([{"name": "cores", "cpus": "4-7", "granularity": "core"}])
    host.pin(WEB, [5], vcpus=[1])
    with pytest.raises(Failure, match="there 2 neighbouring vCPUs have one affinity, and those of web"):
        host.plan([{"name": "cores", "domains": ["web"]}])


@pytest.mark.parametrize("cpus", ["4-7", "2-5", "2-3"])
def test_granularity_of_a_cpupool_whose_guests_wait_elsewhere(host, cpus):
    host.run([{"name": "tenants", "cpus": "node:1", "domains": ["db", "web"]}])
    host.pin(DB, [4, 5], [5])
    host.pin(WEB, [5, 6], vcpus=[2, 3])
    wanted = [{"name": "tenants", "cpus": cpus, "granularity": "core", "domains": ["db", "web"]}]
    policy = "nearest" if cpus == "2-3" else "refuse"
    plan = host.run(wanted, policy=policy, by_way_of="Pool-0")
    assert host.fake.data["sched_gran"]["1"] == "core"
    assert host.pools()["tenants"] == (list(range(int(cpus[0]), int(cpus[2]) + 1)), [WEB, DB])
    if policy == "refuse":
        assert host.masks(DB) == [([4, 5], [5])] * 2
        assert host.masks(WEB) == [(ALL, ALL)] * 2 + [([5, 6], ALL)] * 2
    assert Journal(host.path).load() == []
    assert host.run(wanted, by_way_of="Pool-0").steps == ()
    assert plan.after == host.plan(wanted).after


def test_a_guest_that_does_not_fit_the_new_granularity_is_refused_before_anything_is_done(host):
    host.run([{"name": "tenants", "cpus": "node:1", "domains": ["db"]}])
    host.pin(DB, [4], vcpus=[0])
    with pytest.raises(Failure, match="there 2 neighbouring vCPUs have one affinity, and those of db"):
        host.plan(
            [{"name": "tenants", "cpus": "4-7", "domains": ["db"], "granularity": "core"}], by_way_of="Pool-0"
        )


def test_cpus_that_leave_a_cpupool_of_the_scheduler_credit_are_a_risk(host):
    assert host.run(SPLIT).risks == ()
    gone = [{"name": "db pool", "state": "absent", "evacuate_to": "Pool-0"}]
    first, second = host.plan(gone).risks
    assert first.startswith("CPU 4-7 leaves cpupool 'db pool', whose scheduler is credit")
    assert first.endswith("Xen 4.22.0 mends that")
    assert "no release of Xen mends that so far" in second
    smaller = [{"name": "db pool", "cpus": "4-5"}]
    assert len(host.plan(smaller).risks) == 1
    # One of the two errors is mended there.
    host.fake.data["xen"].update(minor=22, extraversion=".0")
    assert host.plan(smaller).risks == ()
    assert len(host.plan(gone).risks) == 1


def test_an_empty_cpupool_of_another_program_gets_its_cpus(host):
    host.fake.data["cpupools"].append({"id": 4, "sched_id": 6, "n_dom": 0, "cpus": []})
    host.names[4] = "left over"
    host.run([{"name": "left over", "cpus": "7"}])
    assert host.pools()["left over"] == ([7], [])


def test_free_cpus_go_to_cpupool_0_unless_it_is_said_what_it_has(host):
    host.fake.pool(0)["cpus"] = [0, 1, 2, 3, 4]
    host.fake.data["cpupool_free"] = [5, 6, 7]
    assert host.plan([{"name": "Pool-0", "domains": ["web"]}]).steps == ()
    host.run([{"name": "Pool-0", "cpus": "0-5"}])
    assert host.fake.data["cpupool_free"] == [6, 7]
    host.run([{"name": "side", "cpus": "7"}])
    assert host.pools() == {"Pool-0": ([0, 1, 2, 3, 4, 5, 6], [0, WEB, DB]), "side": ([7], [])}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ([{"name": ""}], r"cpupools\[0\]: name must be the name"),
        ([{"name": "1", "cpus": "4"}], "which xl takes for a cpupool's id"),
        ([{"name": "a", "cpus": "4"}, {"name": "a"}], "earlier entry has the same name"),
        ([{"name": "a"}], "does not say which CPUs"),
        ([{"name": "a", "cpus": "9"}], "names CPU 9, which this host has not"),
        ([{"name": "a", "cpus": "none"}], "gives it no CPU"),
        ([{"name": "a", "cpus": "0-7"}], "in which dom0 is, would have no CPU left"),
        ([{"name": "a", "cpus": "4-5"}, {"name": "b", "cpus": "5"}], "both want CPU 5"),
        ([{"name": "a", "cpus": "4", "scheduler": "fair"}], "no scheduler 'fair'"),
        ([{"name": "Pool-0", "scheduler": "credit"}], "it has the scheduler credit2"),
        ([{"name": "Pool-0", "state": "absent"}], "in which dom0 is"),
        ([{"name": "a", "cpus": "4", "domains": ["Domain-0"]}], "Domain-0 stays"),
        ([{"name": "a", "cpus": "4", "domains": ["nobody"]}], "there is no domain 'nobody'"),
        (
            [{"name": "a", "cpus": "4", "domains": ["web"]}, {"name": "b", "cpus": "5", "domains": [3]}],
            r"both want web",
        ),
        ([{"name": "a", "cpus": "4", "granularity": "die"}], "granularity must be one of"),
        ([{"name": "a", "cpus": "4", "evacuate_to": "Pool-0"}], "shall be absent"),
        ([{"name": "a", "state": "absent", "cpus": "4"}], "cpus says nothing"),
    ],
)
def test_refusals(host, wanted, said):
    with pytest.raises(Failure, match=said):
        host.plan(wanted)


def test_cpus_of_a_cpupool_that_nobody_mentioned_are_not_taken(host):
    host.run(SPLIT)
    with pytest.raises(Failure, match="CPU 7 is in cpupool 'db pool', which is not in the list"):
        host.plan([{"name": "a", "cpus": "7"}])
    with pytest.raises(Failure, match="which gives no cpus"):
        host.plan([{"name": "a", "cpus": "7"}, {"name": "db pool"}])


def test_a_refusal_in_the_middle_takes_everything_back(host):
    host.pin(DB, [4, 5])
    before = (host.pools(), host.masks(DB), dict(host.names))
    host.fake.faults["add_cpu"] = [0, 0, 0, errno.ENODEV]
    with pytest.raises(
        Failure, match=r"does not let CPU 5 join cpupool 1.* What had been done before was undone\.$"
    ) as caught:
        host.run(SPLIT)
    assert (host.pools(), host.masks(DB), host.names) == before
    assert "cpupool 'db pool' made" in caught.value.result["rolled_back"]
    assert caught.value.result["not_rolled_back"] == []


@pytest.mark.parametrize("refused", ["move_domain", "setvcpuaffinity"])
def test_a_refused_move_leaves_the_guest_where_and_as_it_was(host, refused):
    host.pin(DB, [4, 5])
    before = (host.pools(), host.masks(DB), dict(host.names))
    # the second affinity to be put back after the move, or the move itself
    host.fake.faults[refused] = [errno.EPERM] if refused == "move_domain" else [0, errno.EPERM]
    with pytest.raises(Failure, match="What had been done before was undone"):
        host.run(SPLIT)
    assert (host.pools(), host.masks(DB), host.names) == before
    assert Journal(host.path).load() == []


def test_a_guest_pinned_to_the_only_cpu_that_goes_with_it(host):
    host.pin(DB, [4], [4])
    host.run([{"name": "one", "cpus": "4", "domains": ["db"]}])
    assert host.pools()["one"] == ([4], [DB])
    assert host.masks(DB) == [([4], [4])] * 2
    assert Journal(host.path).load() == []


def test_busy_for_a_moment(host):
    host.fake.faults["remove_cpu"] = [errno.EADDRINUSE, errno.EBUSY]
    plan = host.plan(SPLIT)
    with Xen(host.fake, machine="x86_64") as xen:
        everything = host.topology().complete_cpuset
        patience = Patience(limit=1.0, clock=lambda: 0.0, sleep=lambda _seconds: None)
        hands = Hands(xen, Journal(host.path), everything, host.name, lambda: host.names, patience)
        carry_out(plan.steps, hands, lambda: check_cpupools(plan, hands))
    assert host.pools()["db pool"] == ([4, 5, 6, 7], [DB])


def test_what_cannot_be_taken_back_is_said(host):
    host.fake.faults["add_cpu"] = [0, errno.ENODEV] + [errno.ENODEV] * 50
    with pytest.raises(Failure, match=r"Not undone: CPU 5 removed from cpupool 'Pool-0'") as caught:
        host.run(SPLIT)
    assert caught.value.result["not_rolled_back"]


def test_a_guest_that_ends_meanwhile_stops_nothing(host):
    host.fake.on["move_domain"] = lambda _pool: host.fake.forget(DB)
    host.run(SPLIT)
    assert host.pools()["db pool"] == ([4, 5, 6, 7], [])
    assert Journal(host.path).load() == []


def _trial(tmp_path, wanted):
    """What is tried with a run that ends anywhere: a host before it, what is wished, options, and what comes of it."""
    wishes = {
        "split": [
            {"name": "db pool", "cpus": "node:1", "granularity": "core", "domains": ["db"]},
            {"name": "first", "former_name": "Pool-0"},
        ],
        "back": [{"name": "db pool", "state": "absent", "evacuate_to": "Pool-0"}],
        "granularity": [{"name": "db pool", "cpus": "4-7", "granularity": "core", "domains": ["db"]}],
        "swap": SWAPPED,
    }
    options = {"by_way_of": "Pool-0"} if wanted == "granularity" else {}

    def begin():
        host = Host(tmp_path / "moves.json")
        if wanted in ("back", "granularity"):
            host.run(SPLIT)
        elif wanted == "swap":
            host.run(ONES)
        host.pin(DB, [4, 5], [5])
        if wanted == "back":
            host.pin(DB, [6], vcpus=[1])
        host.pin(WEB, [5, 4, 1] if wanted == "swap" else [2])
        return host

    whole = begin()
    whole.run(wishes[wanted], **options)
    outcome = (whole.pools(), whole.masks(DB), whole.masks(WEB))
    return begin, wishes[wanted], options, outcome


@pytest.mark.parametrize("wanted", ["split", "back", "granularity", "swap"])
def test_a_run_that_is_killed_at_any_point_is_finished_by_the_next(tmp_path, wanted):
    """Kill at each change of the host or a file: guests have their old or new affinity or it is in the journal, and a second run completes."""
    begin, wish, options, outcome = _trial(tmp_path, wanted)
    kill = 0
    while True:
        kill += 1
        host = begin()
        if host.in_child(tmp_path / "host", kill, lambda host=host: host.run(wish, **options)) is None:
            break
        checked = host.plan(wish, **options)
        host.run(wish, **options)
        assert (host.pools(), host.masks(DB), host.masks(WEB)) == outcome, kill
        assert host.run(wish, **options).steps == (), kill
        assert Journal(host.path).load() == [], kill
        assert checked.after == host.plan(wish, **options).after
    assert kill > 15


@pytest.mark.parametrize("fault", mortal.FAULTS)
@pytest.mark.parametrize("wanted", ["split", "back", "granularity", "swap"])
def test_whatever_goes_wrong_at_any_point_the_next_run_finishes_it(tmp_path, wanted, fault):
    """At every so manieth change of the host or a file, another for each fault; with EVERY_POINT=1 at all."""
    begin, wish, options, outcome = _trial(tmp_path, wanted)
    stride = 1 if os.environ.get("EVERY_POINT") else 11
    point, reached = 1 + 3 * list(mortal.FAULTS).index(fault) % stride, True
    while reached:
        host = begin()
        reached, error = host.with_fault(
            point, mortal.FAULTS[fault](), lambda host=host: host.run(wish, **options)
        )
        assert not reached or error is not None, point
        host.run(wish, **options)
        assert (host.pools(), host.masks(DB), host.masks(WEB)) == outcome, (point, error)
        assert host.run(wish, **options).steps == (), point
        assert Journal(host.path).load() == [], point
        point += stride
    assert point > 15
