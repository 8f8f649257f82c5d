# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pictures of hosts and plans: what is in them, that nothing can break out of them, and that the one in docs/ is true."""

from __future__ import annotations

import html.parser
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts_reading import from_facts
from ansible_collections.dom0.xen.plugins.module_utils._topology.hwloc_import import from_hwloc_xml
from ansible_collections.dom0.xen.plugins.plugin_utils._report import page, palette, style
from ansible_collections.dom0.xen.plugins.plugin_utils._report.picture import picture
from ansible_collections.dom0.xen.plugins.plugin_utils._report.show import to_html, to_svg, to_text
from ansible_collections.dom0.xen.plugins.plugin_utils._report.terminal import filled_bar
from ansible_collections.dom0.xen.plugins.plugin_utils._report.text import host_summary
from ansible_collections.dom0.xen.plugins.plugin_utils._report.tree import tree
from ansible_collections.dom0.xen.plugins.plugin_utils._report.words import (
    columns,
    fit,
    shown,
    size_text,
    text_width,
)
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hwloc_hosts import HOSTS
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._placement.hosts import domain, facts
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._report.pictured import (
    HOSTILE,
    big_plan,
    crowd,
    fleet,
    planned,
    pools,
    recorded,
    wide,
)

DOCS = Path(__file__).resolve().parents[5] / "docs"
SVG = "{http://www.w3.org/2000/svg}"


def outline(box, indent=""):
    lines = [indent + box.kind + (" " + box.label if box.label else "")]
    for child in box.children:
        lines += outline(child, indent + " ")
    return lines


def lines_of(name):
    return to_text(recorded(name), name).splitlines()


# what lies in what


def test_boxes_lie_in_each_other_as_the_hardware_does():
    root, crossing = tree(from_facts(recorded("small-trixie")))
    assert crossing == []
    assert outline(root)[:10] == [
        "host",
        " package package 0",
        "  node node 0",
        "   cache L3 16 MiB",
        "    core core 0",
        "     pu 0",
        "     pu 1",
        "    core core 1",
        "     pu 2",
        "     pu 3",
    ]


def test_a_node_of_two_packages_is_around_them():
    root, _crossing = tree(HOSTS["one-node"])
    assert [line for line in outline(root) if "core" not in line and "pu" not in line] == [
        "host",
        " node node 0",
        "  package package 0",
        "  package package 1",
    ]


def test_a_node_without_cpus_comes_last():
    root, _crossing = tree(HOSTS["big"])
    assert [child.label for child in root.children] == ["package 0", "package 1", "node 3"]


def test_what_crosses_others_is_said_and_its_threads_are_still_there():
    root, crossing = tree(HOSTS["core-crossing"])
    assert crossing and "crosses" in crossing[0]
    assert sorted(int(box.label) for box in root.walk() if box.kind == "pu") == list(range(8))


@pytest.mark.parametrize("name", sorted(HOSTS))
def test_every_thread_of_every_host_is_drawn_once(name):
    root, _crossing = tree(HOSTS[name])
    drawn = [box.thing.os_index for box in root.walk() if box.kind == "pu"]
    assert sorted(drawn) == [pu.os_index for pu in HOSTS[name].pus]


# who is where


def marks(host, cpu, view=-1):
    return [(tenant.name, mark) for tenant, mark in host.views[view].on(cpu)]


def test_affinity_becomes_marks():
    guests = [
        domain(1, "hard", 1, 64, hard=[0, 1]),
        domain(2, "soft", 1, 64, soft=[0]),
        domain(3, "both", 1, 64, hard=[0, 1], soft=[1, 2]),
        domain(4, "same", 1, 64, hard=[0], soft=[0, 7]),
        domain(5, "floats", 1, 64),
        domain(6, "vain", 1, 64, hard=[0, 1], soft=[6]),
    ]
    host = picture("a", from_facts(facts([(2, 4096), (2, 4096)], domains=guests)))
    assert marks(host, 0) == [
        ("hard", "hard"),
        ("soft", "soft"),
        ("both", "allowed"),
        ("same", "hard"),
        ("vain", "hard"),
    ]
    assert marks(host, 1) == [("hard", "hard"), ("both", "soft"), ("vain", "hard")]
    assert marks(host, 7) == []
    assert [tenant.name for tenant in host.views[0].tenants if tenant.floats] == ["Domain-0", "floats"]


def test_vcpus_with_masks_of_their_own_each_leave_their_mark():
    made = facts([(2, 4096), (2, 4096)], domains=[domain(1, "web", 3, 64, hard=[0])])
    made["domains"][1]["vcpus"][1]["hard"] = "4-5"
    made["domains"][1]["vcpus"][2].update(hard="all", soft="0")
    host = picture("a", from_facts(made))
    assert [marks(host, cpu) for cpu in (0, 4, 6)] == [[("web", "hard")], [("web", "hard")], []]
    (web,) = (tenant for tenant in host.views[0].tenants if tenant.name == "web")
    assert web.affinity == "vCPU 0 hard 0, vCPU 1 hard 4-5, vCPU 2 soft 0"


def test_a_cpupool_is_the_room_in_which_a_guest_floats():
    host = picture("a", from_facts(pools()))
    floats, pinned = (tenant for tenant in host.views[0].tenants if tenant.name in ("floats", "pinned"))
    assert floats.floats and not pinned.floats
    assert marks(host, 9) == [("pinned", "hard")]
    assert marks(host, 0) == [("Domain-0", "hard")]
    text = to_text(pools())
    assert "core 0, CPUs 0-1: d0 cpupool Pool-0" in text
    assert "core 0, CPUs 8-9: 8 - cpupool fast; 9 B cpupool fast" in text


def test_masks_of_offline_cpus_alone_are_no_floating():
    made = facts([(2, 4096), (2, 4096)], domains=[domain(1, "lost", 1, 64, hard=[3])], offline=[3])
    (_dom0, lost) = picture("a", from_facts(made)).views[0].tenants
    assert not lost.floats and lost.marks == {}


def test_dom0_is_grey_and_drawn_where_it_is_pinned():
    drawn = ElementTree.fromstring(to_svg(pools(), "a"))
    assert [text.text for text in drawn.iter(SVG + "text") if text.text == "d0"]
    assert drawn.findall(f".//{SVG}rect[@class='d0']")


def test_facts_without_domains_still_have_dom0():
    (dom0,) = picture("a", from_facts(facts([(2, 4096)], domains=None))).views[0].tenants or (None,)
    assert dom0 is None or dom0.name == "Domain-0"


def test_what_the_plan_changes_has_a_line_of_its_own_and_says_so():
    hosts, plan = big_plan()
    sides = [ElementTree.fromstring(to_svg(hosts, plan=plan, view=view)) for view in ("before", "after")]
    assert [bool(side.findall(f".//{SVG}rect[@class='changed hollow']")) for side in sides] == [False, True]
    said = [title.text for title in sides[1].iter(SVG + "title")]
    assert any("CPU 4: " in text and "db (hard, repin)" in text for text in said)
    assert any("CPU 8: " in text and "web (soft)" in text for text in said)
    assert "changed by the plan" in to_html(hosts, plan)
    assert "changed by the plan" not in to_html(hosts)


# memory


def test_memory_of_a_node_adds_up():
    host = picture("a", from_facts(recorded("big-guests")))
    for node in host.topology.nodes:
        memory = host.views[0].memory[node.os_index]
        assert sum(size for _tenant, size in memory.shares) + memory.rest + memory.free == memory.total
    assert [(tenant.name, size) for tenant, size in host.views[0].memory[1].shares] == [
        ("Domain-0", 286330880),
        ("db", 268435456),
    ]


def test_bars_of_a_terminal_are_full_and_nobody_is_lost():
    assert filled_bar([("A", 1), ("B", 1000), (".", 0)], 10) == "ABBBBBBBBB"
    assert filled_bar([("AA", 3), (".", 1)], 8) == "AAAAAA.."
    assert filled_bar([], 4) == "    "
    assert len(filled_bar([(key, 1) for key in "ABCDEFGH"], 4)) == 4


# the plan


def test_before_and_after_a_plan():
    hosts, plan = big_plan()
    host = picture("big-guests", from_facts(hosts["big-guests"]), plan)
    assert [view.title for view in host.views] == ["before", "after"]
    assert marks(host, 4, 0) == [("db", "soft")]
    assert marks(host, 4) == [("db", "hard"), ("large", "soft")]
    keys = [{tenant.name: tenant.key for tenant in view.tenants} for view in host.views]
    assert keys[0].items() <= keys[1].items()
    assert [tenant.action for tenant in host.views[1].tenants] == ["", "", "repin", "create", "create"]
    for node in plan["hosts"]["big-guests"]["nodes"]:
        assert host.views[1].memory[node["os_index"]].free == node["memory_free_after_bytes"]


def test_a_guest_that_leaves_is_not_there_afterwards():
    hosts = {
        name: facts([(4, 8192)], domains=[domain(1, "web", 1, 512, [0])] if name == "a" else [])
        for name in "ab"
    }
    plan = {
        "guests": [
            {
                "name": "web",
                "host": "b",
                "domid": None,
                "action": "restart",
                "nodes": [0],
                "vcpus": 1,
                "memory_bytes": 1 << 29,
                "hard": "0",
                "soft": "all",
                "memory_by_node": {"0": 1 << 29},
            }
        ]
    }
    left, reached = (picture(name, from_facts(hosts[name]), plan) for name in "ab")
    assert [tenant.name for tenant in left.views[1].tenants] == ["Domain-0"]
    assert [tenant.name for tenant in reached.views[1].tenants] == ["Domain-0", "web"]
    page = to_html(hosts, plan)
    assert "leaves the host" in page and "Restart web on b, node 0: hard affinity 0" in page


def test_steps_reasons_and_what_has_no_place_are_in_words():
    hosts, plan = big_plan()
    for said in (to_html(hosts, plan), to_text(hosts, plan=plan)):
        assert "Set the affinity of db: hard affinity 4-7" in said
        assert "huge" in said and "What would help:" in said
    assert "Nothing is to be done" in to_html(
        {"a": facts([(2, 4096)])}, planned({"a": facts([(2, 4096)])}, [])
    )


def test_moves_and_masks_of_single_vcpus_of_a_newer_plan():
    there = facts([(4, 8192)], domains=[domain(1, "web", 2, 512, [0]), domain(2, "twin", 1, 512, [0])])
    hosts = {"a": there, "b": facts([(4, 8192)], domains=[domain(7, "twin", 1, 512, [0])])}
    web = {
        "name": "web",
        "host": "b",
        "domid": None,
        "action": "move",
        "nodes": [0],
        "vcpus": 2,
        "memory_bytes": 1 << 29,
    }
    web.update(hard=["0", "2-3"], soft="all", memory_by_node={"0": 1 << 29}, reasons=["It is lighter there."])
    web.update(
        {"from": {"host": "a", "nodes": [0]}},
        candidates=[{"host": "a", "nodes": [0], "level": "smt", "worse_by": 2}],
    )
    twin = {
        "name": "twin",
        "host": "b",
        "domid": 7,
        "action": "keep",
        "nodes": [0],
        "vcpus": 1,
        "memory_bytes": 1 << 29,
        "from": None,
    }
    steps = [
        {
            "step": 1,
            "guest": "web",
            "action": "move",
            "host": "b",
            "nodes": [0],
            "text": "move web to node 0 of b",
        },
        {
            "step": 2,
            "guest": "web",
            "action": "repin",
            "host": "b",
            "nodes": [0],
            "text": "set the affinity of web",
        },
    ]
    plan = {"guests": [web, twin], "steps": steps, "capacity": [{"name": "small", "more": 12}]}
    after = {name: picture(name, from_facts(found), plan).views[1] for name, found in hosts.items()}
    assert [tenant.name for tenant in after["a"].tenants] == ["Domain-0", "twin"]
    assert [tenant.name for tenant in after["b"].tenants] == ["Domain-0", "twin", "web"]
    assert [(mark.key, word) for cpu in (0, 1, 2) for mark, word in after["b"].on(cpu)] == [
        ("B", "hard"),
        ("B", "hard"),
    ]
    text = to_text(hosts, plan=plan)
    assert (
        "  1. Move web to node 0 of b: hard affinity vCPU 0 0; vCPU 1 2-3\n      It is lighter there.\n"
        in text
    )
    assert "Not on a, node 0: worse on smt by 2." in text
    assert text.count("It is lighter there.") == 1
    for said in (text, to_html(hosts, plan)):
        assert "small: 12 more would fit" in said


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (["x"], "this is no plan"),
        ({"guests": "x"}, "this is no plan"),
        ({"guests": [{"name": "web"}]}, "guests[0] should have at least a name and a host"),
        ({"guests": [{"name": "web", "host": "a", "hard": "4-"}]}, "the plan is damaged: web: hard"),
        ({"guests": [{"name": "web", "host": "a", "memory_by_node": [1]}]}, "the plan is damaged"),
        (
            {"guests": [{"name": "web", "host": "a", "vcpus": 3, "soft": ["0"]}]},
            "web: soft: 1 masks for 3 vCPUs",
        ),
        ({"guests": [], "steps": [{"step": 1}]}, "the plan is damaged"),
    ],
)
def test_a_damaged_plan_is_a_sentence(plan, said):
    with pytest.raises(Failure, match=re.escape(said)):
        to_html({"a": facts([(2, 4096)])}, plan)


# what cannot be


@pytest.mark.parametrize("call", [to_html, to_svg, to_text])
def test_something_else_than_facts_is_a_sentence(call):
    for wrong in (None, [], {}, {"a": 7}, {"schema_version": "9.0"}):
        with pytest.raises(Failure):
            call(wrong)


def test_wrong_views_and_widths_are_sentences():
    made = facts([(2, 4096)])
    with pytest.raises(Failure, match='"before" or "after"'):
        to_svg(made, view="now")
    for width in (0, "wide", None, 10**9):
        with pytest.raises(Failure, match="width is a number from"):
            to_svg(made, width=width)


class Reader(html.parser.HTMLParser):
    """The elements and texts of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        self.text += data


HARMLESS = {
    "html",
    "head",
    "meta",
    "link",
    "title",
    "style",
    "body",
    "svg",
    "defs",
    "pattern",
    "rect",
    "path",
    "g",
    "use",
    "text",
    "main",
    "section",
    "h1",
    "h2",
    "h3",
    "p",
    "a",
    "div",
    "span",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "ul",
    "ol",
    "li",
    "figure",
    "figcaption",
    "details",
    "summary",
}


def test_names_stay_text():
    made = wide()
    made["warnings"] = [HOSTILE[5]]
    page = to_html({HOSTILE[0]: made, HOSTILE[5]: crowd()}, title=HOSTILE[5])
    reader = Reader(page)
    assert set(reader.tags) <= HARMLESS
    for name in HOSTILE:
        assert shown(name) in reader.text
    assert not [attribute for attribute in reader.attributes if attribute[1].startswith("on")]
    links = [value for _tag, name, value in reader.attributes if name in ("href", "src", "action", "style")]
    assert all(re.fullmatch(r"#[a-z0-9-]+|data:,", link) for link in links)
    assert "@import" not in page and not re.search(r"url\((?!#)", page)


def test_drawings_are_xml_with_names_as_text():
    drawn = ElementTree.fromstring(to_svg(wide(), HOSTILE[5]))
    assert {element.tag for element in drawn.iter()} <= {
        SVG + tag
        for tag in ["svg", "title", "desc", "style", "defs", "pattern", "rect", "path", "g", "use", "text"]
    }
    titles = " ".join(title.text for title in drawn.iter(SVG + "title"))
    assert all(shown(name) in titles for name in HOSTILE)
    for name in ("\x1b", "\u202e", "\x00"):
        assert name not in to_svg(wide(), "a" + name) + to_text(wide(), "a" + name) + to_html(
            {"a" + name: wide()}
        )


def test_every_element_that_is_drawn_by_reference_exists():
    for text in (to_svg(wide()), to_html({"a": wide(), "b": crowd()})):
        ids = re.findall(r' id="([^"]+)"', text)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text)) <= set(
            ids
        )


def test_the_same_facts_give_the_same_picture():
    hosts, plan = big_plan()
    again = {name: to_facts(from_facts(found)) for name, found in hosts.items()}
    for call in (to_html, to_svg, to_text):
        assert call(hosts, plan=plan) == call(again, plan=plan)


# how it looks


def luminance(colour):
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """WCAG 2's contrast ratio."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_on_colours_has_contrast():
    for colour in (*palette.GUESTS, palette.DOM0, *style.HEAT):
        assert contrast(palette.INK, colour) >= 7
    for scheme in (style.LIGHT, style.DARK):
        for ground in ("paper", "package", "node", "inner", "cell"):
            assert contrast(scheme["ink"], scheme[ground]) >= 7, ground
            assert contrast(scheme["dim"], scheme[ground]) >= 4.5, ground
        for colour in ("link", "bad"):
            assert contrast(scheme[colour], scheme["paper"]) >= 4.5
        assert contrast(scheme["ink"], scheme["faint"]) >= 4.5


def test_forty_guests_have_keys_of_their_own_and_neighbours_different_colours():
    keys = [palette.guest_key(number) for number in range(800)]
    assert len(set(keys)) == 800
    assert keys[:3] + keys[25:28] + [keys[701], keys[702]] == ["A", "B", "C", "Z", "AA", "AB", "ZZ", "AAA"]
    assert len(set(palette.GUESTS)) == 36


def test_texts_are_cut_to_fit():
    assert fit("short", 100, 11) == "short"
    cut = fit("a" * 100, 50, 11)
    assert cut.endswith("…") and text_width(cut, 11) <= 50
    assert fit("long", 1, 11) == ""
    assert columns("数据") == 4 and columns("e\u0301") == 1


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "?"),
        (0, "0 MiB"),
        (4096, "4 KiB"),
        (949 << 20, "949 MiB"),
        (3 << 29, "1.5 GiB"),
        (5 << 40, "5 TiB"),
        (5 << 18, "1.25 MiB"),
        ((1 << 30) - 1, "1 GiB"),
        ((1 << 20) - 1, "1 MiB"),
        ((1 << 40) - 1, "1 TiB"),
        ((10 << 20) + (1 << 19), "10 MiB"),
        (11 << 17, "1.375 MiB"),
        ((1 << 20) + 4096, "1 MiB"),
        (-(5 << 18), "-1.25 MiB"),
    ],
)
def test_sizes_for_people(size, text):
    assert size_text(size) == text


# as text, and a fleet


def test_a_host_in_a_terminal():
    lines = lines_of("small-guests")
    assert "        core 0, CPUs 0-1: ~B" in lines
    assert "        core 1, CPUs 2-3: ~B C" in lines
    assert "        cores 0-1, CPUs 4-7: A" in lines
    assert "  A   disc web  4 vCPUs, hard 4-7, 128 MiB (node 1 128 MiB)" in lines
    offline = lines_of("big-offline")
    assert "        core 1, CPUs 2-3: -, x 3" in offline


def test_a_fleet_in_rows():
    hosts = fleet(100)
    lines = to_text(hosts).splitlines()
    assert len([line for line in lines if line.startswith("xen")]) == 100
    assert max(map(len, lines)) < 130
    drawn = ElementTree.fromstring(to_svg(hosts))
    assert len([text for text in drawn.iter(SVG + "text") if (text.text or "").startswith("xen")]) == 100
    page = to_html(hosts)
    assert page.count('scope="row" class="name"><a href="#host-') == 100
    assert page.count("<details") == 100 and "<details open" not in page


HBM = """<topology version="2.0"><object type="Machine" os_index="0" cpuset="0xf" complete_cpuset="0xf" nodeset="0xf" complete_nodeset="0xf">
<info name="HostName" value="max1"/>
<object type="Package" os_index="0" cpuset="0x3" complete_cpuset="0x3" nodeset="0x5" complete_nodeset="0x5">
<object type="NUMANode" os_index="0" cpuset="0x3" complete_cpuset="0x3" nodeset="0x1" complete_nodeset="0x1" local_memory="1073741824"/>
<object type="NUMANode" os_index="2" subtype="HBM" cpuset="0x3" complete_cpuset="0x3" nodeset="0x4" complete_nodeset="0x4" local_memory="1310720"/>
<object type="PU" os_index="0" cpuset="0x1" complete_cpuset="0x1"/><object type="PU" os_index="1" cpuset="0x2" complete_cpuset="0x2"/></object>
<object type="Package" os_index="1" cpuset="0xc" complete_cpuset="0xc" nodeset="0x0" complete_nodeset="0x0">
<object type="PU" os_index="2" cpuset="0x4" complete_cpuset="0x4"/><object type="PU" os_index="3" cpuset="0x8" complete_cpuset="0x8"/></object>
</object></topology>"""


def test_a_machine_without_xen_is_no_xen_host_and_its_hbm_is_beside_its_dram():
    topology = from_hwloc_xml(HBM)
    root, crossing = tree(topology)
    packages = [box for box in root.children if box.kind == "package"]
    assert not crossing and len(packages) == len(root.children) == 2
    assert [box.label for box in packages[0].children] == ["node 0", "node 2"]
    # CPUs without a node are drawn in their package
    assert [str(box.cpus) for box in packages[1].children] == ["2", "3"]
    facts = to_facts(topology)
    for drawn in (to_svg(facts), to_html(facts), to_text(facts), host_summary(facts)):
        assert "max1" in drawn
        assert "Xen host" not in drawn and "Xen None" not in drawn
    assert "node 2 (HBM) beside 0" in to_svg(facts)
    assert "1.25 MiB" in to_svg(facts)
    nameless = to_facts(topology._replace(host_name=None))
    assert ">Machine<" in to_svg(nameless)


def test_notes_are_broken_at_the_width_asked_for():
    facts = to_facts(from_hwloc_xml(HBM))
    assert max(map(len, to_text(facts, width=60).splitlines())) <= 60
    drawn = ElementTree.fromstring(to_svg(facts, width=400))
    notes = [text.text for text in drawn.iter(SVG + "text") if text.text and "empty host" in text.text]
    assert notes and max(map(len, notes)) < 90


# docs/


def test_the_picture_in_the_documentation_is_what_the_recording_gives():
    kept = (DOCS / "pictures" / "big-report.svg").read_text(encoding="utf-8")
    assert kept == to_svg(recorded("big-report"), "big")


def test_the_text_in_the_documentation_is_what_the_recording_gives():
    page = (DOCS / "report.md").read_text(encoding="utf-8")
    assert page.split("```text\n")[1].split("```")[0] == to_text(recorded("big-report"), "big") + "\n"


# hosts whose facts cannot be used

LOST = "b is left out, its facts cannot be used: the topology facts are damaged: complete_cpuset is 0-9, and pus has 0-3."


@pytest.mark.parametrize("rest", [1, 2])
def test_one_bad_host_is_named_and_the_others_are_drawn(rest):
    good = facts([(2, 4096)], domains=[domain(1, "web", 1, 512)])
    hosts = {"a": good, "b": {**good, "complete_cpuset": "0-9"}, "c": good}
    if rest == 1:
        del hosts["c"]
    for draw in (to_html, to_svg, to_text):
        warnings = []
        made = draw(hosts, warn=warnings.append)
        assert warnings == [LOST]
        assert "b is left out, its facts cannot be" in made
        assert ("web" in made) or draw is not to_html
    # a fleet stays one, whoever is left of it
    assert "<text" in to_svg(hosts)
    assert ("memory free" in to_text(hosts)) and ("a" in to_text(hosts))


def test_no_host_is_left():
    with pytest.raises(Failure, match="^a: .*damaged.*; b: these are no topology facts"):
        to_html({"a": {**facts([(2, 4096)]), "nodes": 1}, "b": None})
    with pytest.raises(Failure, match="damaged"):
        to_text({**facts([(2, 4096)]), "nodes": 1})


def test_distances_between_more_nodes_than_a_table_shows(monkeypatch):
    made = facts([(1, 512)] * 5)
    assert "too many for a table" not in to_html(made)
    monkeypatch.setattr(page, "MOST_NODES", 4)
    assert "Each of 5 nodes to each: too many for a table." in to_html(made)
