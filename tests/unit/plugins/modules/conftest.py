# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of several modules share."""

import copy

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._control.journal import Journal, Moved
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.raw import RawHost


@pytest.fixture
def left_by_a_killed_run(monkeypatch, tmp_path):
    """Let a domain of a FakeXen have the affinity "all", as after a move, and the journal those that it had; the journal."""

    # It knows Ansible, which the oldest Python here does not have.
    _settled = pytest.importorskip("ansible_collections.dom0.xen.plugins.module_utils._settled")

    def leave(fake, domid, hard, soft):
        topology = derive(RawHost(copy.deepcopy(fake.data)))
        domain = next(domain for domain in topology.domains if domain.domid == domid)
        shall = (CpuSet(hard), CpuSet(soft))
        journal = Journal(str(tmp_path / "moves.json"))
        journal.begin(
            Moved(domid, domain.uuid, (domain.cpupool,), {vcpu.vcpu: shall for vcpu in domain.vcpus})
        )
        everything = sorted(fake.pool(0)["cpus"])
        for vcpu in fake.domain(domid)["vcpus"]:
            vcpu.update(hard=list(everything), hard_all=True, soft=list(everything), soft_all=True)
        monkeypatch.setattr(_settled, "Journal", lambda: Journal(str(tmp_path / "moves.json")))
        return journal

    return leave
