# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""vcpu_affinity and pcpu, killed before each thing that they have Xen do: whatever is old or new, and the next run finishes it."""

import contextlib
import copy
import os

import pytest

pytest.importorskip("ansible.module_utils.basic")
pytest.importorskip("_cffi_backend")

from ansible_collections.dom0.xen.plugins.module_utils import _settled
from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost
from ansible_collections.dom0.xen.plugins.module_utils._xen.connection import Xen
from ansible_collections.dom0.xen.plugins.modules import pcpu, vcpu_affinity
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._control import mortal
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._xen.fake_xen import FakeXen
from ansible_collections.dom0.xen.tests.unit.plugins.modules.running import run

CHANGES = ("setvcpuaffinity", "setnodeaffinity", "cpu_hotplug", "remove_cpu")
PINS = {
    "affinities": [
        {"guest": "disc web", "hard": "node:0", "soft": "0-1", "nodes": "0"},
        {"guest": "disc-db", "vcpus": "0", "hard": "4"},
        {"guest": "disc-db", "vcpus": "1", "hard": "5", "soft": "5"},
    ]
}


class Host(mortal.Mortal):
    """Domain-0, "disc web" (4 vCPUs, hard 4-7), "disc-db" (2 vCPUs, soft 0-3) and "disc-pvh" (hard 2-3) on eight CPUs."""

    kept = ("data",)

    def __init__(self, second_pool):
        self.heard = copy.deepcopy(recording("small-guests"))
        self.heard.data["sched_gran"] = {"0": "cpu"}
        self.fake = FakeXen(self.heard.data)
        if second_pool:
            self.data["cpupools"].append({"id": 1, "sched_id": 6, "n_dom": 0, "cpus": [1, 3]})
            self.fake.pool(0)["cpus"] = [0, 2, 4, 5, 6, 7]
        for question in CHANGES:
            self.fake.on[question] = lambda *_about: self.deed()

    @property
    def data(self):
        return self.fake.data

    @data.setter
    def data(self, found):
        self.fake.data = self.heard.data = found

    def masks(self):
        return {
            (domain["domain"], vcpu["vcpu"], kind): vcpu[kind]
            for domain in self.data["domains"]
            for vcpu in domain["vcpus"]
            for kind in ("hard", "soft")
        }

    def online(self):
        return {cpu: row[1] & 1 for cpu, row in enumerate(self.data["pcpuinfo"])}


RUNS = (
    ("module", "wanted", "second_pool", "least"),
    [
        (vcpu_affinity, PINS, False, 7),
        (pcpu, {"offline": "node:1", "broken_affinity": "nearest"}, False, 8),
        (pcpu, {"offline": "1,3,5"}, True, 5),
        (pcpu, {"smt": False}, False, 1),
    ],
)


def beginner(monkeypatch, module, second_pool):
    """What makes a host, and has the module work on it."""

    def begin():
        host = Host(second_pool)
        monkeypatch.setattr(
            _settled.authoritative,
            "ask",
            lambda subset, open_xen: RawHost(copy.deepcopy(host.heard.data), host.heard.components),
        )
        for opener in (module, _settled):
            monkeypatch.setattr(opener, "open_xen", lambda module: Xen(host.fake))
        monkeypatch.setattr(module, "host_lock", lambda module: contextlib.ExitStack())
        return host

    return begin


@pytest.mark.parametrize(*RUNS)
def test_a_run_that_is_killed_at_any_point_is_finished_by_the_next(
    monkeypatch, capsys, tmp_path, module, wanted, second_pool, least
):
    begin = beginner(monkeypatch, module, second_pool)
    whole = begin()
    before = (whole.masks(), whole.online())
    assert run(monkeypatch, capsys, module, **wanted)["changed"]
    after = (whole.masks(), whole.online())
    kill = 0
    while True:
        kill += 1
        host = begin()
        if host.in_child(tmp_path / "host", kill, lambda: run(monkeypatch, capsys, module, **wanted)) is None:
            break
        for found, old, new in zip((host.masks(), host.online()), before, after):
            assert all(found[one] in (old[one], new[one]) for one in found), kill
        assert not run(monkeypatch, capsys, module, **wanted).get("failed"), kill
        assert (host.masks(), host.online()) == after, kill
        assert not run(monkeypatch, capsys, module, **wanted)["changed"], kill
    assert kill > least


@pytest.mark.parametrize("fault", mortal.FAULTS)
@pytest.mark.parametrize(*RUNS)
def test_whatever_goes_wrong_at_any_point_the_next_run_finishes_it(
    monkeypatch, capsys, module, wanted, second_pool, least, fault
):
    begin = beginner(monkeypatch, module, second_pool)

    def act():
        # A SystemExit out of nowhere comes with no result.
        with contextlib.suppress(IndexError):
            run(monkeypatch, capsys, module, **wanted)

    whole = begin()
    act()
    after = (whole.masks(), whole.online())
    stride = 1 if os.environ.get("EVERY_POINT") else 5
    point, reached = 1 + 3 * list(mortal.FAULTS).index(fault) % stride, True
    while reached:
        host = begin()
        reached, _error = host.with_fault(point, mortal.FAULTS[fault](), act)
        capsys.readouterr()
        assert not run(monkeypatch, capsys, module, **wanted).get("failed"), point
        assert (host.masks(), host.online()) == after, point
        assert not run(monkeypatch, capsys, module, **wanted)["changed"], point
        point += stride
    assert point > least
