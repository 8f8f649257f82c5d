# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the filters of the reports and of the roles have in common: their documentation fits them, and they fail in a sentence."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.dom0.xen.plugins.filter import pictures, report, roles

FOLDER = Path(report.__file__).parent
FILTERS = {
    name: function
    for file in (report, roles, pictures)
    for name, function in file.FilterModule().filters().items()
}


@pytest.mark.parametrize("name", FILTERS)
def test_each_is_documented_as_it_is(name):
    documentation = yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))["DOCUMENTATION"]
    assert documentation["name"] == name
    parameters = list(inspect.signature(FILTERS[name]).parameters.values())[1:]
    options = {key: option for key, option in documentation["options"].items() if key != "_input"}
    assert list(options) == [parameter.name for parameter in parameters]
    positional = documentation.get("positional", "")
    assert [word.strip() for word in positional.split(",") if word.strip()] == list(options)
    for parameter in parameters:
        required = parameter.default is inspect.Parameter.empty
        assert options[parameter.name].get("required", False) is required


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("host_summary", (None,), "xen_topology"),
        ("placement_verdicts", ({"guests": []}, None, "xen1", []), "There are no facts of xen1"),
        ("limit_verdicts", ([], {}, "xen1"), "There are no facts of xen1"),
        ("wanted_guests", ({"xen1": 7},), "xen1: give what dom0.xen.asked_guests returns, not a number"),
        ("wanted_guests", ({"xen1": {"fault": "xen1: no"}},), "xen1: no"),
        ("place_steps", ({"guests": [{"host": "a", "action": "keep", "name": "z"}]}, [], "a"), "'z'"),
        ("xl_config", ("vcpus = two",), "line 1"),
        ("to_html", ({"xen1": {"schema_version": 7}},), "xen1: these are no topology facts"),
        ("to_svg", (None,), "these are no topology facts"),
        ("to_text", ({},), "these are no topology facts"),
    ],
)
def test_a_failure_becomes_an_error_of_ansible_with_the_same_sentence(name, arguments, said):
    with pytest.raises(AnsibleFilterError) as error:
        FILTERS[name](*arguments)
    assert said in str(error.value)
