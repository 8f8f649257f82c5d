# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import jinja2
import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display
from ansible_collections.dom0.xen.plugins.filter.hwloc_xml import FilterModule
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.model import Guest, Reserve
from ansible_collections.dom0.xen.plugins.plugin_utils._placement.plan import make_plan
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hwloc_hosts import HOSTS

FILTERS = FilterModule().filters()
PLUGINS = Path(__file__).resolve().parents[4] / "plugins" / "filter"


@pytest.fixture
def warnings(monkeypatch):
    heard: list[str] = []
    monkeypatch.setattr(Display, "warning", lambda self, message, *more, **options: heard.append(message))
    return heard


def template(expression, **variables):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters.update({"dom0.xen." + name: function for name, function in FILTERS.items()})
    return environment.from_string(expression).render(variables)


def facts_of(name):
    # as they come from a host or a cache
    return json.loads(json.dumps(to_facts(HOSTS[name])))


def test_facts_become_xml_and_facts_again(warnings):
    facts = facts_of("big")
    text = template("{{ facts | dom0.xen.to_hwloc_xml('dom0-1') }}", facts=facts)
    assert '<info name="HostName" value="dom0-1"/>' in text
    back = json.loads(template("{{ text | dom0.xen.from_hwloc_xml | tojson }}", text=text))
    for key in ("totals", "cores", "packages", "nodes", "distances", "cpupools", "memory", "complete_cpuset"):
        assert back[key] == facts[key]
    assert "domains" not in back
    assert warnings == []


def test_what_is_lost_is_said_in_warnings(warnings):
    text = FILTERS["to_hwloc_xml"](facts_of("package-crossing"))
    assert len(warnings) == 1 and "Package P#1" in warnings.pop()
    back = FILTERS["from_hwloc_xml"](text.replace('"Xen"', '"Linux"'))
    assert warnings == back["warnings"]
    assert any("taken for an empty host" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("to_hwloc_xml", {}, "these are no topology facts"),
        ("to_hwloc_xml", "<topology/>", "these are no topology facts"),
        ("from_hwloc_xml", {}, "hwloc XML must be given as text, not as dict"),
        ("from_hwloc_xml", "<topology/>", "describes no machine"),
    ],
)
def test_failures_are_ansible_errors_of_one_sentence(name, value, message):
    with pytest.raises(AnsibleFilterError, match=message):
        FILTERS[name](value)


def test_guests_can_be_planned_on_a_machine_that_is_xml_only():
    text = FILTERS["to_hwloc_xml"](facts_of("big")).replace(
        'name="Backend" value="Xen"', 'name="Backend" value="Linux"'
    )
    topology = from_facts(FILTERS["from_hwloc_xml"](text))
    plan = make_plan({"candidate": topology}, [Guest("web1", 2, 2**28)], Reserve())
    (entry,) = plan["guests"]
    assert (entry["host"], entry["action"], len(entry["nodes"])) == ("candidate", "create", 1)
    assert plan["unplaced"] == []


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_each_filter_is_documented_by_its_name(name):
    documents = yaml.safe_load((PLUGINS / f"{name}.yml").read_text(encoding="utf-8"))
    assert documents["DOCUMENTATION"]["name"] == name
    assert {"EXAMPLES", "RETURN"} <= set(documents)
