# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes to a host with each module stays within a budget, and what few runs need is not in the way of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

# Files of our own source, their KiB, and the KiB of those that are compiled in every run. A module that outgrows its budget either takes
# along what it does not need, which should stand in a file of its own, or has learned something, which is worth a larger one.
BUDGET = {
    "boot_line": (30, 218, 218),
    "boot_state": (68, 387, 387),
    "cpupool": (65, 343, 343),
    "domain_info": (62, 315, 240),
    "guest": (55, 382, 340),
    "guest_config": (53, 321, 165),
    "pcpu": (66, 314, 311),
    "topology_facts": (73, 379, 304),
    "vcpu_affinity": (60, 299, 291),
}
# Readers of what is no hypervisor's word: xl's text, recordings, dom0's files.
OTHER_SOURCES = ("xl_reading", "xltext", "recordings", "recording", "pci_reading", "dmi", "dom0")
# The planner of cpupools, and what runs once a run was killed.
OF_CPUPOOLS = ("cpupools", "pool_order", "pool_steps")


@pytest.fixture
def weight(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import weight

    return weight


def kib(files):
    return sum(files.values()) / 1024


def names(files):
    return {path.stem for path in files}


def test_every_module_has_a_budget(weight):
    assert weight.modules() == sorted(BUDGET)


@pytest.mark.parametrize("module", sorted(BUDGET))
def test_module_keeps_to_its_budget(weight, module):
    most_files, most, most_at_once = BUDGET[module]
    everything, at_once = weight.own_files(module), weight.own_files(module, lazy=False)
    assert len(everything) <= most_files
    assert kib(everything) <= most
    assert kib(at_once) <= most_at_once
    # a budget that is never reached does not hold anything
    assert kib(everything) > 0.85 * most


@pytest.mark.parametrize(
    "module", ["boot_state", "cpupool", "guest", "guest_config", "pcpu", "vcpu_affinity"]
)
def test_who_changes_a_host_sends_no_reader_of_other_sources(weight, module):
    assert not names(weight.own_files(module)) & set(OTHER_SOURCES)


@pytest.mark.parametrize("module", ["guest", "vcpu_affinity"])
def test_what_a_killed_run_has_left_takes_no_planner_of_cpupools(weight, module):
    assert not names(weight.own_files(module)) & set(OF_CPUPOOLS)
    assert "finish" in names(weight.own_files(module)) - names(weight.own_files(module, lazy=False))


@pytest.mark.parametrize("module", ["domain_info", "topology_facts"])
def test_hosts_write_facts_and_read_none(weight, module):
    assert not names(weight.own_files(module)) & {"facts_reading", "coherent", "changes", "pinning"}
    assert not names(weight.own_files(module, lazy=False)) & {
        "xl_reading",
        "recordings",
        "shape",
        "numa_dump",
    }


def test_imports_in_functions_and_for_type_checkers_are_sent(weight, tmp_path, monkeypatch):
    for name, text in {
        "modules/one.py": "from ..module_utils._room import thing\nfrom ..module_utils._room.other import x\n",
        "module_utils/_room/__init__.py": '"""The room."""\n',
        "module_utils/_room/thing.py": "if t.TYPE_CHECKING:\n    from .idle import Name\n",
        "module_utils/_room/idle.py": "pass\n",
        "module_utils/_room/other.py": "def f():\n    from ansible_collections.dom0.xen.plugins.module_utils._room import late\n",
        "module_utils/_room/late.py": "from ansible.module_utils import basic\nimport os\n",
        "module_utils/_room/alone.py": "pass\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(weight, "PLUGINS", tmp_path)
    assert names(weight.own_files("one")) == {"one", "__init__", "thing", "idle", "other", "late"}
    assert names(weight.own_files("one", lazy=False)) == {"one", "__init__", "thing", "other"}
