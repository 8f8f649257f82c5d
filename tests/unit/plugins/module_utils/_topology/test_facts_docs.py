# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/facts.md says what the facts are."""

import json
import os
import re

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.cpuset import CpuSet
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import SCHEMA_VERSION, to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.model import HwlocObject
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import ROOT, recording
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.test_facts import FACTS

PAGE = os.path.join(ROOT, "docs", "facts.md")
# docs/ does not travel with every copy of the collection
pytestmark = pytest.mark.skipif(not os.path.exists(PAGE), reason="docs/ is not here")


def page():
    with open(PAGE, encoding="utf-8") as stream:
        return stream.read()


def documented():
    """The keys in the first column of the table of keys."""
    rows = re.findall(r"^\| (`[^|]*`) \|", page().split("## Keys")[1].split("## ")[0], re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`([^`]*)`", row)}


def existing(value, path=""):
    """The keys of the facts, as the page writes them; vCPUs and masks are described once for all."""
    if isinstance(value, list):
        inner = [key for member in value for key in existing(member, path + "[]")]
        return inner if inner or path == "warnings" else [path + "[]"]
    if path.endswith("memory_by_node") or path == "dmi" or not isinstance(value, dict):
        return [path]
    if path == "dom0.vcpus[]":
        return [path]
    own = [path] if path in ("dom0.linux", "dom0.boot", "domains[].locality") else []
    return own + [
        key
        for name, member in value.items()
        if not name.endswith("_mask")
        for key in existing(member, f"{path}.{name}" if path else name)
    ]


def test_every_key_is_documented_and_no_other():
    # one host has offline CPUs and what is unknown, the other sub-NUMA clustering
    there = set(existing(FACTS)) | set(existing(to_facts(derive(recording("big"))))) | {"warnings[]"}
    # only what was read from hwloc XML has such
    thing = HwlocObject("Die", 0, None, None, CpuSet(), CpuSet(), None, {}, (("Note", "a"),))
    kept = to_facts(derive(recording("big"))._replace(hwloc_objects=(thing,)))["hwloc_objects"]
    there |= set(existing(kept, "hwloc_objects")) | {"hwloc_objects[].attributes", "host_name"}
    # an empty list, or null where a list could be
    bare = {
        path for path in there if path + "[]" in there or any(other.startswith(path + ".") for other in there)
    }
    containers = {"dom0.linux", "dom0.boot", "domains[].locality"}
    assert documented() == there - (bare - containers)


def test_the_version_is_the_one_in_force():
    assert f"now `{SCHEMA_VERSION}`" in page()


def test_the_example_is_what_the_recording_gives():
    example = json.loads(re.search(r"```json\n(.*?)```", page(), re.DOTALL).group(1))
    name = re.search(r"recording `([a-z0-9-]+)`", page()).group(1)
    assert example == json.loads(json.dumps(to_facts(derive(recording(name)))))
