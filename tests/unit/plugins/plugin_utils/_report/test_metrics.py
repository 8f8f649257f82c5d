# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.plugin_utils._report.metrics import METRICS, verdict_metrics

ROW = {"name": 'a "b"\\c\nd', "reasons": ["x", "y"], "memory_by_node": {"10": 0, "2": 4096}, "vcpus": 2}
LINE = re.compile(r'[a-z_]+(\{([a-z]+="(\\["\\n]|[^"\\\n])*",?)+\})? [0-9]+')


def test_a_file_as_prometheus_reads_it(facts):
    text = verdict_metrics([ROW], facts, 1700000000.7)
    lines = text.splitlines()
    assert text.endswith("\n")
    assert all(line.startswith("# ") or LINE.fullmatch(line) for line in lines)
    for line in (
        'xen_guest_placement_ok{guest="a \\"b\\"\\\\c\\nd"} 0',
        'xen_guest_placement_problems{guest="a \\"b\\"\\\\c\\nd"} 2',
        'xen_guest_memory_bytes{guest="a \\"b\\"\\\\c\\nd",node="2"} 4096',
        'xen_guest_memory_nodes{guest="a \\"b\\"\\\\c\\nd"} 1',
        'xen_node_memory_free_bytes{node="1"} %d' % (1264 << 20),
        "xen_placement_check_timestamp_seconds 1700000000",
    ):
        assert lines.count(line) == 1
    for name in METRICS:
        assert lines.count(f"# TYPE {name} gauge") == 1


def test_what_was_not_measured_is_left_out(facts):
    nodes = [dict(node, memory_free_bytes=None) for node in facts["nodes"]]
    text = verdict_metrics(
        [dict(ROW, memory_by_node=None, vcpus=None, reasons=[])], dict(facts, nodes=nodes), 0
    )
    assert "xen_guest_memory" not in text
    assert "xen_guest_vcpus" not in text
    assert "xen_node" not in text
    assert re.search(r"^xen_guest_placement_measured\{.*\} 0$", text, re.MULTILINE)


def test_facts_that_cannot_be_used_are_refused(facts):
    with pytest.raises(Failure, match=r"damaged: nodes\[0\].memory_free_bytes should be"):
        verdict_metrics([ROW], dict(facts, nodes=[dict(facts["nodes"][0], memory_free_bytes="x")]), 0)


@pytest.mark.parametrize(
    "rows", [None, [None], [{}], [dict(ROW, reasons=None)], [dict(ROW, memory_by_node={"²": 1})]]
)
def test_rows_that_are_no_verdicts_are_refused(facts, rows):
    with pytest.raises(Failure, match="no verdicts"):
        verdict_metrics(rows, facts, 0)


@pytest.mark.parametrize("time", [float("nan"), float("inf"), "now", None])
def test_a_time_that_is_none_is_refused(facts, time):
    with pytest.raises(Failure, match="no time"):
        verdict_metrics([ROW], facts, time)


def test_the_role_says_which_metrics_there_are():
    readme = Path(__file__).parents[5] / "roles" / "verify" / "README.md"
    assert re.findall(r"^\| `(xen_\w+)` \|", readme.read_text(), re.MULTILINE) == list(METRICS)
