# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports in a real browser: nothing overlaps, nothing is cut, nothing is fetched, in light and dark, narrow and wide, and printed."""

from __future__ import annotations

import http.server
import itertools
import threading
from pathlib import Path

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._topology.facts import to_facts
from ansible_collections.dom0.xen.plugins.plugin_utils._report.show import to_html, to_svg
from ansible_collections.dom0.xen.tests.unit.browser.chromium import Browser, BrowserError, program
from ansible_collections.dom0.xen.tests.unit.plugins.module_utils._topology.hwloc_hosts import HOSTS
from ansible_collections.dom0.xen.tests.unit.plugins.plugin_utils._report.pictured import (
    HOSTILE,
    big_plan,
    crowd,
    devices,
    fleet,
    hybrid,
    named_kinds,
    planned,
    pools,
    recorded,
    wide,
)

MEASURE = Path(__file__).with_name("measure.js").read_text(encoding="utf-8")
WIDTHS = (360, 800, 1280, 2200)


def _new_guests(count):
    return [{"name": f"new{number}", "vcpus": 4, "memory": "2GiB"} for number in range(count)]


def _planned_fleet(size, guests):
    hosts = fleet(size)
    return to_html(hosts, planned(hosts, _new_guests(guests)))


#: What is looked at: a name with its file's ending, and what makes it.
PAGES = {
    "one.html": lambda: to_html({"big-guests": recorded("big-guests")}),
    "caches.html": lambda: to_html({"small-trixie-offline": recorded("small-trixie-offline")}),
    "devices.html": lambda: to_html({"devices": devices()}),
    "devices.svg": lambda: to_svg(devices(), "devices"),
    "kinds.html": lambda: to_html({"hybrid": hybrid(), "named": named_kinds()}),
    "kinds.svg": lambda: to_svg(named_kinds(), "named", width=320),
    "plan.html": lambda: to_html(*big_plan()),
    "odd.html": lambda: to_html(
        {HOSTILE[0]: wide(), HOSTILE[2]: crowd(), HOSTILE[3]: pools()}, title=HOSTILE[5]
    ),
    "hosts.html": lambda: to_html({name: to_facts(host) for name, host in HOSTS.items()}),
    "fleet.html": lambda: _planned_fleet(100, 40),
    "one.svg": lambda: to_svg(recorded("big-guests"), "big-guests"),
    "wide.svg": lambda: to_svg(wide(), HOSTILE[2]),
    "narrow.svg": lambda: to_svg(wide(), HOSTILE[3], width=320),
    "crowd.svg": lambda: to_svg(crowd(), "crowd"),
    "pools.svg": lambda: to_svg(pools(), "pools"),
    "after.svg": lambda: to_svg(*[big_plan()[0]], plan=big_plan()[1]),
    "fleet.svg": lambda: to_svg(fleet(100)),
}


@pytest.fixture(scope="module")
def browser():
    path = program()
    if not path:
        pytest.skip("there is no chromium (Debian package chromium)")
    opened = Browser(path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for name, make in PAGES.items():
        made[name] = folder / name
        made[name].write_text(make(), encoding="utf-8")
    return made


@pytest.mark.parametrize("name", PAGES)
def test_nothing_overlaps_is_cut_or_fetched(browser, files, name):
    for width in WIDTHS:
        browser.open(files[name], width, dark=width == 800)
        if name == "hosts.html":
            # many hosts are folded away; here all of them are looked at
            browser.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert browser.evaluate(MEASURE) == [], width
        assert browser.requests() == [files[name].as_uri()]
        assert browser.complaints() == []
    browser.look(794, medium="print")
    assert browser.evaluate(MEASURE) == [], "print"


def test_a_link_to_a_host_that_is_folded_away_unfolds_it(browser, files):
    browser.open(files["fleet.html"])
    folded = "document.querySelectorAll('details:not([open])').length"
    before = browser.evaluate(folded)
    browser.evaluate("document.querySelectorAll('th a')[70].click()")
    browser.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert browser.evaluate(folded) == before - 1
    heading = "document.querySelector(':target').parentElement.querySelector('h2').getBoundingClientRect()"
    assert 0 <= browser.evaluate(f"{heading}.top") < browser.evaluate("window.innerHeight")


@pytest.mark.parametrize("name", ["one.html", "odd.html"])
def test_no_script_runs_and_names_are_what_they_were(browser, files, name):
    browser.open(files[name])
    assert browser.evaluate("document.scripts.length") == 0
    assert browser.evaluate("document.querySelectorAll('img, iframe, object, embed, form, base').length") == 0
    if name == "odd.html":
        for text in (HOSTILE[0], HOSTILE[1], HOSTILE[5], HOSTILE[8]):
            headings = "[...document.querySelectorAll('h1, h2, th')].map((one) => one.textContent)"
            assert text in browser.evaluate(headings)


def test_the_page_itself_forbids_to_fetch(browser, files, tmp_path):
    asked = []

    class Ear(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_arguments):
            """Say nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Ear)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        wish = f'<img src="http://127.0.0.1:{server.server_port}/spy">'
        open_page = tmp_path / "open.html"
        open_page.write_text(f"<!DOCTYPE html><body>{wish}", encoding="utf-8")
        browser.open(open_page)
        assert asked == ["/spy"]
        page = files["one.html"].read_text(encoding="utf-8")
        closed = tmp_path / "closed.html"
        closed.write_text(page.replace("<main>", "<main>" + wish), encoding="utf-8")
        browser.open(closed)
        assert asked == ["/spy"]
        assert browser.complaints()
    finally:
        server.shutdown()
        server.server_close()


def colour(browser, selector, name):
    return browser.evaluate(
        f"getComputedStyle(document.querySelector({selector!r})).getPropertyValue({name!r})"
    )


def test_what_goes_on_sideways_fades_away_until_one_is_there(browser, files):
    def masked():
        frames = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        browser.evaluate(frames)
        return browser.evaluate(
            "[...document.querySelectorAll('.scroll')].map((one) => [one.scrollWidth > one.clientWidth, "
            "getComputedStyle(one).maskImage != 'none'])"
        )

    browser.open(files["one.html"], 360)
    if not browser.evaluate("CSS.supports('animation-timeline: scroll()')"):
        pytest.skip("this browser cannot tell")
    narrow = masked()
    assert [True, True] in narrow and all(wider == fades for wider, fades in narrow)
    browser.evaluate("for (const one of document.querySelectorAll('.scroll')) one.scrollLeft = 9999")
    assert not any(fades for _wider, fades in masked())
    browser.open(files["one.html"], 2200)
    assert masked() == [[False, False]] * len(narrow)


def test_colours_follow_the_reader_and_print_is_light(browser, files):
    seen = {}
    browser.open(files["one.html"])
    for dark, medium in ((False, "screen"), (True, "screen"), (True, "print")):
        browser.look(1280, dark, medium)
        seen[dark, medium] = [
            colour(browser, ":root", "background-color"),
            colour(browser, "body", "color"),
            colour(browser, "svg .cell", "fill"),
            colour(browser, "svg .box text", "fill"),
        ]
    assert seen[False, "screen"] == seen[True, "print"]
    assert all(one != other for one, other in zip(seen[False, "screen"], seen[True, "screen"], strict=True))
    assert seen[False, "screen"][0] == "rgb(255, 255, 255)"


def test_the_page_can_be_heard(browser, files):
    """What assistive technology is given: names of pictures, headings in order, tables with headings."""
    browser.open(files["plan.html"])
    pictures = "[...document.querySelectorAll('svg:not([aria-hidden])')].map((one) => one.getAttribute('aria-label'))"
    labels = browser.evaluate(pictures)
    assert len(labels) == 2
    assert labels[0] == "big-guests, before: 2 packages, 4 nodes, 8 cores, 16 CPUs"
    levels = browser.evaluate(
        "[...document.querySelectorAll('h1, h2, h3')].map((one) => Number(one.tagName[1]))"
    )
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert browser.evaluate("document.documentElement.lang") == "en"
    assert browser.evaluate(
        "[...document.querySelectorAll('thead th')].every((one) => one.scope === 'col' && one.textContent)"
    )
    assert browser.evaluate(
        "[...document.querySelectorAll('tbody tr')].every((one) => one.querySelector('th[scope=row]'))"
    )
    nodes = browser.command("Accessibility.getFullAXTree")["nodes"]
    named = {
        (node["role"]["value"], node["name"]["value"]) for node in nodes if node.get("name", {}).get("value")
    }
    assert ("image", labels[0]) in named
    assert ("heading", "The plan") in named


def test_it_prints(browser, files, tmp_path):
    browser.open(files["plan.html"])
    browser.pdf(tmp_path / "plan.pdf")
    assert (tmp_path / "plan.pdf").read_bytes().startswith(b"%PDF")


WRONG = {
    "texts overlap": "<svg class='picture' width='99' height='50'><text x='5' y='20'>one</text><text x='9' y='20'>two</text></svg>",
    "text outside of its picture": "<svg class='picture' width='40' height='20'><text x='20' y='15'>far too long</text></svg>",
    "text outside of its box": "<svg class='picture' width='200' height='50'><g class='box'><rect class='frame' width='20' height='20'/>"
    "<text y='15'>too long</text></g></svg>",
    "boxes overlap": "<svg class='picture' width='99' height='50'><g class='box'><g class='box'><rect class='frame' width='20' height='20'/>"
    "</g><g class='box'><rect class='frame' x='10' width='20' height='20'/></g></g></svg>",
    "sticks out of the one around it": "<svg class='picture' width='99' height='50'><g class='box'><rect class='frame' width='20' height='20'/>"
    "<g class='pu'><rect class='cell' x='15' width='20' height='10'/></g></g></svg>",
    "a shape outside": "<svg class='picture' width='20' height='20'><rect x='15' width='20' height='10'/></svg>",
    "the page is": "<div style='width:3000px'>wide</div>",
    "cut:": "<div style='overflow:hidden;width:50px;white-space:nowrap'>a text that is cut</div>",
    "sticks out of its cell": "<table style='table-layout:fixed;width:30px'><tr><td style='white-space:nowrap'>much too long</table>",
}


@pytest.mark.parametrize("complaint", WRONG)
def test_the_measure_finds_what_is_wrong(browser, tmp_path, complaint):
    page = tmp_path / "wrong.html"
    page.write_text(f"<!DOCTYPE html><body><main>{WRONG[complaint]}</main>", encoding="utf-8")
    browser.open(page)
    assert any(complaint in found for found in browser.evaluate(MEASURE))


def test_an_error_of_the_browser_is_one_here(browser):
    with pytest.raises(BrowserError, match="nonsense"):
        browser.evaluate("nonsense()")
