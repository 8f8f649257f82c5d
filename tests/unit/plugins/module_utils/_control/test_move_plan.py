# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._control import move_plan
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xlcfg
from ansible_collections.dom0.xen.plugins.module_utils._toolstack.xl import DomainState
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._control.test_moves import (
    DASHED,
    LIVE,
    NAME,
    TEXT,
    UUID,
)


@pytest.mark.parametrize(
    ("domain", "live", "text", "sentence"),
    [
        ({"state": "paused"}, {}, TEXT, "is paused: only a guest that runs"),
        ({}, {"pcidevs": [{}]}, TEXT, "has PCI devices"),
        ({}, {"b_info": {"vnuma_nodes": [{}]}}, TEXT, "virtual NUMA nodes, which Xen can neither"),
        ({}, {"c_info": {"type": "hvm"}}, TEXT, "is of type hvm, and its configuration says pv"),
        ({}, {"b_info": {"max_vcpus": 3}}, TEXT, "has 3 vCPUs, and its configuration 2"),
        ({}, {"nics": [{"mac": "1"}]}, TEXT, "has 1 network devices, and its configuration 0"),
        ({}, {}, xlcfg.edit(TEXT, {"disk": ["a"]}), "has 0 disk devices, and its configuration 1"),
        ({}, {}, xlcfg.edit(TEXT, {"vnuma": [["pnode=0"]], "maxvcpus": 2}), "its configuration has vnuma"),
    ],
)
def test_what_could_not_be_kept_is_refused(domain, live, text, sentence):
    running = DomainState(5, NAME, "running", UUID)._replace(**domain)
    with pytest.raises(Failure, match=sentence):
        move_plan.plan_move(running, (1,), "auto", text, dict(LIVE, **live), 0)


def test_the_successor_is_the_same_guest():
    text = xlcfg.edit(TEXT, {"vif": ["bridge=xenbr0", "mac=00:16:3e:00:00:01", ""], "memory": 50})
    nics = [{"mac": "00:16:3e:00:00:0%d" % number} for number in range(3)]
    live = dict(LIVE, nics=nics, b_info=dict(LIVE["b_info"], max_memkb=200 << 10))
    move = move_plan.plan_move(DomainState(5, NAME, "running", UUID), (1,), "auto", text, live, 0)
    config = xlcfg.parse(move.config)
    assert config.get("vif") == [
        "bridge=xenbr0,mac=00:16:3e:00:00:00",
        "mac=00:16:3e:00:00:01",
        "mac=00:16:3e:00:00:02",
    ]
    assert (config.string("uuid"), config.integer("memory"), config.integer("maxmem")) == (DASHED, 100, 200)
    assert config.get("cpus") == ["4", "4"]
