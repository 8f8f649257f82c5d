# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.
"""The report: one page that needs nothing else, with pictures and with the same in tables and words. Pure.

Everything is put together as elements, never as text, so that names of guests and hosts cannot become markup. The page has no script,
and tells browsers to fetch nothing.
"""

from __future__ import annotations

import typing as t
from xml.etree import ElementTree

from . import palette
from . import steps as plan_steps
from .elements import Element, add, made_printable
from .fleet import Row, rows
from .overview import change, small_bars
from .picture import Data, Picture, View, memory_words, share_words
from .style import PAGE, PICTURE, PRINT, SCREEN, sheet
from .svg import Drawing, Stock, about, distance_words, farthest, heat_class, marks_shown, sample
from .tenants import Tenant
from .words import count, shown, size_text

#: CSS pixels for each unit of the drawings; their width alone and of two beside each other, in such units.
SCALE = 1.25
ALONE, BESIDE = 900, 450
#: With more hosts than this each is folded away, unless the plan changes something on one of few.
MOST_OPEN = 8
#: More steps than this are folded away.
MOST_STEPS = 60
#: And more PCI devices of a host.
MOST_DEVICES = 40
#: Distances between more nodes are left to the facts: a table of them has the square of their number, and Xen knows 64.
MOST_NODES = 128
#: Sets of CPUs with more characters may be broken between lines.
SHORT = 12

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def page(
    hosts: t.Sequence[Picture], plan: Data | None = None, title: str = "", left_out: t.Sequence[str] = ()
) -> str:
    """The whole page. `left_out`: sentences about hosts that are not on it."""
    nouns = {host.noun for host in hosts}
    noun = nouns.pop() if len(nouns) == 1 else "Xen host"
    title = title or (f"{noun} {hosts[0].name}" if len(hosts) == 1 and hosts[0].name else f"{noun}s")
    html = Element("html", {"lang": "en"})
    _head(html, title)
    body = add(html, "body")
    hidden = add(body, "svg", class_="picture hidden", aria_hidden="true", width=0, height=0)
    stock = Stock()
    hidden.append(stock.element)
    main = add(body, "main")
    say(main, "h1", title)
    say(main, "p", _overall(hosts, plan), class_="dim")
    for text in left_out:
        say(main, "p", f"Note: {text}")
    table_of = rows(hosts, plan)
    if len(hosts) > 1:
        _fleet(main, table_of, plan)
    if plan is not None:
        _plan(main, plan, len(hosts) > 1)
    _legend(main, plan is not None)
    changed = sum(1 for row in table_of if row.steps)
    for number, (host, row) in enumerate(zip(hosts, table_of, strict=True)):
        unfolded = len(hosts) <= MOST_OPEN or (row.steps > 0 and changed <= MOST_OPEN)
        _host(main, host, number, stock, None if len(hosts) <= MOST_OPEN else unfolded)
    return (
        "<!DOCTYPE html>\n"
        + ElementTree.tostring(made_printable(html), encoding="unicode", method="html")
        + "\n"
    )


def say(parent: Element, tag: str, text: str, **attributes: t.Any) -> Element:
    """An element with a text."""
    element = add(parent, tag, **attributes)
    element.text = text
    return element


def _head(html: Element, title: str) -> None:
    head = add(html, "head")
    add(head, "meta", charset="utf-8")
    add(head, "meta", http_equiv="Content-Security-Policy", content=_POLICY)
    add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    add(head, "meta", name="color-scheme", content="light dark")
    add(head, "meta", name="referrer", content="no-referrer")
    # or browsers ask the server for one
    add(head, "link", rel="icon", href="data:,")
    say(head, "title", title)
    say(head, "style", "\n" + sheet(PICTURE, PAGE) + SCREEN + PRINT)


def _overall(hosts: t.Sequence[Picture], plan: Data | None) -> str:
    cpus = sum(len(host.topology.pus) for host in hosts)
    nodes = sum(len(host.topology.nodes) for host in hosts)
    guests = sum(1 for host in hosts for tenant in host.views[0].tenants if tenant.colour is not None)
    parts = [
        count(len(hosts), "host"),
        count(nodes, "NUMA node"),
        count(cpus, "CPU"),
        f"{count(guests, 'guest')} running",
    ]
    if plan is not None:
        missing = len(plan.get("unplaced") or [])
        parts.append(count(len(plan_steps.steps(plan)), "step") + " in the plan")
        parts += [f"{count(missing, 'guest')} without a place"] if missing else []
    return ", ".join(parts) + "."


# tables


def _table(
    parent: Element, heads: t.Sequence[tuple[str, str]], caption: str, class_: str = "plain"
) -> Element:
    """A table with these (heading, class) columns, which may be scrolled sideways on its own; returns its body."""
    say(parent, "p", caption, class_="caption")
    scroll = add(parent, "div", class_="scroll", tabindex=0, role="group", aria_label=caption)
    table = add(scroll, "table", class_=class_, aria_label=caption)
    line = add(add(table, "thead"), "tr")
    for text, kind in heads:
        say(line, "th", text, scope="col", class_=kind or None)
    return add(table, "tbody")


def _fleet(main: Element, table_of: t.Sequence[Row], plan: Data | None) -> None:
    section = add(main, "section")
    say(section, "h2", "All hosts")
    figure = "figure"
    heads = [
        ("host", "name"),
        ("memory by node", ""),
        ("free", figure),
        ("nodes", figure),
        ("cores", figure),
        ("guests", figure),
    ]
    heads += [
        ("guests' vCPUs", figure),
        *([("steps", figure)] if plan is not None else []),
        ("notes", figure),
    ]
    when = "; above now, below after the plan" if plan is not None else ""
    body = _table(
        section, heads, f"One bar a node: dom0 grey, guests blue, the rest dotted, free empty{when}"
    )
    for number, row in enumerate(table_of):
        line = add(body, "tr")
        say(add(line, "th", scope="row", class_="name"), "a", row.name or "host", href=f"#host-{number}")
        add(line, "td").append(small_bars(row))
        cells = [change(size_text(free) for free in row.free), str(row.nodes), str(row.cores)]
        cells += [change(map(str, row.guests)), change(map(str, row.vcpus))]
        cells += [str(row.steps or "-")] if plan is not None else []
        for text in [*cells, str(row.notes or "-")]:
            say(line, "td", text, class_=figure)


# the plan


def _plan(main: Element, plan: Data, several: bool) -> None:
    section = add(main, "section")
    say(section, "h2", "The plan")
    found = plan_steps.steps(plan)
    if not found:
        say(section, "p", "Nothing is to be done: everything is where the plan wants it.")
    parent = section
    if len(found) > MOST_STEPS:
        parent = add(section, "details")
        say(parent, "summary", f"{len(found)} steps, in the order in which they are carried out")
    elif found:
        say(section, "h3", "Steps, in the order in which they are carried out")
    if found:
        steps = add(parent, "ol", class_="steps")
        for step in found:
            item = add(steps, "li")
            say(item, "span", step.text)
            _reasons(item, step.reasons)
    missing = plan_steps.unplaced(plan)
    if missing:
        say(section, "h3", "Without a place")
        listing = add(section, "ul")
        for name, reasons in missing:
            item = add(listing, "li")
            say(item, "span", name, class_="bad")
            _reasons(item, reasons)
    more = plan_steps.capacity(plan)
    if more:
        say(section, "h3", "How many more would fit")
        _reasons(section, more)
    levels = plan_steps.levels(plan)
    if levels:
        say(section, "h3", "How good it is")
        figure = "figure"
        heads = [
            ("level", ""),
            ("value", figure),
            ("bound", figure),
            ("gap", figure),
            ("unit", "words"),
            ("proven", ""),
        ]
        order = "Most important first: an earlier level is never made worse for a later one"
        body = _table(section, heads, f"{order}. No plan can be below the bound")
        for level in levels:
            line = add(body, "tr")
            say(line, "th", level.name, scope="row")
            say(line, "td", level.value, class_="figure")
            say(line, "td", level.bound, class_=figure)
            say(line, "td", level.gap, class_=figure)
            say(line, "td", level.unit, class_="words")
            say(line, "td", "best possible" if level.proven else "-")


def _reasons(item: Element, reasons: t.Sequence[str]) -> None:
    if reasons:
        listing = add(item, "ul")
        for reason in reasons:
            say(listing, "li", reason)


def _legend(main: Element, planned: bool) -> None:
    section = add(main, "section")
    say(section, "h2", "How to read the pictures")
    listing = add(section, "ul", class_="legend")
    for kind, meaning in marks_shown(planned):
        item = add(listing, "li")
        svg = add(
            item, "svg", class_="picture", width=28, height=14, viewBox="-1 -1 28 14", aria_hidden="true"
        )
        sample(svg, 0, 0, kind)
        say(item, "span", meaning)
    item = add(listing, "li")
    say(item, "span", "A", class_="key g0")
    say(item, "span", "a guest's key and colour, as in the table of guests")


# one host


def _host(main: Element, host: Picture, number: int, stock: Stock, unfolded: bool | None) -> None:
    """A host's section; `unfolded` None when it cannot be folded at all."""
    section = add(main, "section")
    parent, head = section, section
    if unfolded is not None:
        parent = add(section, "details", open="open" if unfolded else None)
        head = add(parent, "summary")
    say(head, "h2", host.name or "Host")
    xen = host.topology.xen
    version = f"Xen {xen.version}, scheduler {xen.scheduler or 'not known'}, " if xen.version else ""
    # in what may be folded, as browsers unfold it for a link that leads into it
    words = " ".join(f"{text}." for text in (version + host.counts(), *about(host)))
    say(parent, "p", words, class_="dim", id=f"host-{number}")
    for note in host.notes:
        say(parent, "p", f"Note: {note}")
    views = host.views if host.changes else host.views[:1]
    drawing = Drawing(host, ALONE if len(views) == 1 else BESIDE, stock, SCALE)
    pair = add(parent, "div", class_="pair")
    for view in views:
        figure = add(pair, "figure")
        caption = (
            "Before and after, which are the same"
            if len(views) < len(host.views)
            else view.title.capitalize()
        )
        say(figure, "figcaption", caption)
        scroll = add(
            figure,
            "div",
            class_="scroll",
            tabindex=0,
            role="group",
            aria_label=f"Picture of {host.name}, {view.title}",
        )
        scroll.append(drawing.inline(view))
    _guests(parent, host)
    _nodes(parent, host)
    _distances(parent, host)
    _devices(parent, host)


def _guests(parent: Element, host: Picture) -> None:
    say(parent, "h3", "Guests")
    everybody: dict[str, dict[str, Tenant]] = {}
    for view in host.views:
        for tenant in view.tenants:
            everybody.setdefault(tenant.key, {})[view.title] = tenant
    if not everybody:
        say(parent, "p", "Not known: the facts have no domains.")
        return
    planned = len(host.views) > 1
    heads = [
        ("key", ""),
        ("guest", "name"),
        ("vCPUs", "figure"),
        ("affinity", ""),
        ("memory", "figure"),
        ("memory by node", ""),
    ]
    body = _table(
        parent, [*heads, *([("plan", "")] if planned else [])], f"Who runs on {host.name or 'the host'}"
    )
    # in the order of their keys, those too that come with the plan
    for key, seen in sorted(everybody.items(), key=lambda found: _rank(*found[1].values())):
        line = add(body, "tr")
        either = list(seen.values())
        say(add(line, "td"), "span", key, class_=f"key {palette.guest_class(either[0].colour)}")
        say(line, "th", either[-1].name, scope="row", class_="name")
        say(line, "td", change(str(tenant.vcpus) for tenant in either), class_="figure")
        say(line, "td", change(tenant.affinity for tenant in either), class_="words")
        say(
            line,
            "td",
            change(size_text(tenant.memory) if tenant.memory else "?" for tenant in either),
            class_="figure",
        )
        say(line, "td", change(_by_node(tenant) for tenant in either), class_="words")
        if planned:
            gone = "after" not in seen
            say(line, "td", "leaves the host" if gone else seen["after"].action or "not in the plan")


def _rank(tenant: Tenant, *_others: Tenant) -> int:
    return -1 if tenant.colour is None else tenant.colour


def _by_node(tenant: Tenant) -> str:
    if tenant.memory_by_node is None:
        return "not measured"
    held = [f"node {node}: {size_text(size)}" for node, size in sorted(tenant.memory_by_node.items()) if size]
    return ", ".join(held) or "none"


def _nodes(parent: Element, host: Picture) -> None:
    say(parent, "h3", "Memory of the nodes")
    titles = [view.title for view in host.views]
    heads = [("node", ""), ("CPUs", ""), *((title, "") for title in titles)]
    body = _table(
        parent, heads, "Rest: what Xen itself has, holes in the range of addresses, and what was not measured"
    )
    for node in host.topology.nodes:
        line = add(body, "tr")
        say(line, "th", str(node.os_index), scope="row")
        cpus = str(node.complete_cpuset) or "none"
        say(line, "td", cpus, class_="words" if len(cpus) > SHORT else None)
        for view in host.views:
            say(line, "td", _node_words(node, view), class_="words")


def _node_words(node: t.Any, view: View) -> str:
    memory = view.memory[node.os_index]
    shares = share_words(memory)[:-1]
    return memory_words(node, memory) + (f": {', '.join(shares)}" if shares else "")


def _distances(parent: Element, host: Picture) -> None:
    distances = host.topology.distances
    if len(distances.nodes) < 2:
        return
    say(parent, "h3", "Distances between nodes")
    if len(distances.nodes) > MOST_NODES:
        say(
            parent,
            "p",
            f"Each of {len(distances.nodes)} nodes to each: too many for a table. The facts have them.",
        )
        return
    heads = [("node", ""), *((str(node), "") for node in distances.nodes)]
    caption = "From the node of the row to that of the column; 10 is the node itself, 20 twice as far"
    body = _table(parent, heads, caption, "heat")
    far = farthest(distances.matrix)
    for source, row in zip(distances.nodes, distances.matrix, strict=True):
        line = add(body, "tr")
        say(line, "th", str(source), scope="row")
        for target, distance in zip(distances.nodes, row, strict=True):
            said = "-" if distance is None else str(distance)
            say(
                line,
                "td",
                said,
                class_=heat_class(distance, far),
                title=distance_words(source, target, distance),
            )


def _devices(parent: Element, host: Picture) -> None:
    nodes: list[int | None] = [node.os_index for node in host.topology.nodes]
    found = [(node, device) for node in [*nodes, None] for device in host.devices(node)]
    if not found:
        return
    say(parent, "h3", "PCI devices")
    if len(found) > MOST_DEVICES:
        parent = add(parent, "details")
        say(parent, "summary", count(len(found), "device"))
    heads = [
        ("address", ""),
        ("node", ""),
        ("kind", ""),
        ("device", "name"),
        ("driver", ""),
        ("names", ""),
        ("guest", ""),
    ]
    body = _table(parent, heads, "Where the firmware does not say at which node a device is, it is not known")
    for node, device in found:
        line = add(body, "tr")
        say(line, "th", device.address, scope="row")
        names = [*device.network, *device.block, *device.infiniband, *device.gpu]
        what = (
            " ".join(filter(None, (device.vendor, device.device))) or f"{device.vendor_id}:{device.device_id}"
        )
        texts = ["not known" if node is None else str(node), device.class_name, what, device.driver or "none"]
        for text in [*texts, ", ".join(names) or "none", host.owner(device) or "none"]:
            say(line, "td", shown(text), class_="words" if text is what else None)
