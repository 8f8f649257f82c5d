# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hosts and guests say is data: no character of it that a terminal would obey, or XML cannot hold, is in what is shown."""

from __future__ import annotations

import json
import unicodedata
from xml.etree import ElementTree

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure, printable
from ansible_collections.dom0.xen.plugins.module_utils._topology.derive import derive
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_export import to_hwloc_xml
from ansible_collections.dom0.xen.plugins.plugin_utils._report import metrics, show, text, verdict
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hosts import recording
from hypothesis import given, settings
from hypothesis import strategies as st

NASTY = "x\x1b[31m\x07\x9b\x7f\u202e\u2066\u2028\ud800\udce9\ufffe\0\r\n\tRED"


def is_safe(shown, keep="\n"):
    """No control, format, surrogate or separator but those in `keep`, as Unicode has it."""
    return all(
        character in keep or character == " " or unicodedata.category(character)[0] not in "CZ"
        for character in shown
    )


def poisoned(value, path=()):
    """Facts with the nasty text behind each text that a host may choose."""
    if isinstance(value, dict):
        return {key: poisoned(item, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, path) for item in value]
    chosen = {"extraversion", "changeset", "command_line", "scheduler", "capabilities", "name", "value", "warnings",
              "reason", "driver", "vendor", "device", "network", "block", "dmi"}  # fmt: skip
    return value + NASTY if isinstance(value, str) and chosen & set(path) else value


@pytest.fixture(scope="module")
def facts():
    found = to_facts(derive(recording("big-report")))
    found["warnings"] = ["a warning"]
    return poisoned(found)


def test_facts_are_clean_on_both_sides(facts):
    assert "\x9b" in json.dumps(facts, ensure_ascii=False), "the poison is in"
    topology = from_facts(facts)
    for one in (
        topology,
        topology._replace(xen=topology.xen._replace(extraversion=NASTY, command_line=NASTY)),
    ):
        assert is_safe(json.dumps(to_facts(one), ensure_ascii=False))


def test_nothing_unprintable_is_shown(facts):
    plan = {"guests": [], "steps": [], "warnings": [NASTY], "unplaced": [{"name": NASTY, "reasons": [NASTY]}]}
    heard = []
    shown = [
        show.to_text(facts, NASTY, plan),
        show.to_svg(facts, NASTY, plan),
        show.to_html(facts, plan, NASTY),
        show.to_text({NASTY: facts, "b" + NASTY: {"schema_version": NASTY}}, warn=heard.append),
        show.to_html({NASTY: facts, "b": facts}),
        text.host_summary(facts, NASTY),
        to_hwloc_xml(from_facts(facts)).text,
    ]
    rows = verdict.judge_limits(facts["domains"], facts, "xen1", [], 1, ())
    shown += [text.placement_summary(rows, NASTY), metrics.verdict_metrics(rows, facts, 0)]
    shown.append(text.placement_summary(poisoned(rows)))
    shown.append(text.plan_reasons({"guests": [{"name": NASTY, "reasons": [NASTY]}]}))
    for one in [*shown, *heard]:
        assert is_safe(one)
        one.encode("utf-8")
    for picture in (shown[1], shown[6]):
        ElementTree.fromstring(picture)
    assert "RED" in shown[0]
    assert "RED" in shown[1]


@settings(max_examples=40)
@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_printable_and_stays_that_way(value):
    shown = printable(value)
    assert is_safe(shown.translate({code: "" for code in map(ord, shown) if not chr(code).isascii()}), "")
    assert printable(shown) == shown
    shown.encode("utf-8")
    assert printable(value, "\n").count("\n") == value.count("\n")
    assert Failure(value).message == shown == str(Failure(value))
    assert printable({value: [value]}) == {shown: [shown]}


@pytest.mark.parametrize(
    "code", [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029]
)
def test_each_character_that_does_harm_is_spelled_out(code):
    shown = printable(f"a{chr(code)}b")
    assert shown == "a" + repr(chr(code))[1:-1] + "b"
