# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection: it may change or go away in any release.
"""The style sheets of the pictures and of the page: each rule once, with its colours by name, for light, dark and print. Pure.

What is drawn by reference (``<use>``) is styled without regard to what is around it: no rule of a picture may ask for an ancestor.
Colours stand in the rules themselves rather than in CSS variables, which viewers of SVG that are no browsers do not know.
"""

from __future__ import annotations

import string

from . import palette

Rules = tuple[tuple[str, str], ...]

LIGHT = {
    "paper": "#ffffff",
    "ink": "#1a1c1f",
    "dim": "#51565e",
    "line": "#7d838c",
    "faint": "#d5d9df",
    "package": "#eef1f5",
    "node": "#fbfcfd",
    "inner": "#e3e8ee",
    "tint1": "#f6e7cf",
    "tint2": "#dcecdc",
    "tint3": "#ecdff1",
    "cell": "#ffffff",
    "link": "#0a58ca",
    "bad": "#b00020",
}
DARK = {
    "paper": "#14171c",
    "ink": "#eceef1",
    "dim": "#b3b9c2",
    "line": "#7b828d",
    "faint": "#3a414c",
    "package": "#1d222a",
    "node": "#272e38",
    "inner": "#343d4a",
    "tint1": "#4f422c",
    "tint2": "#2d4a35",
    "tint3": "#48385a",
    "cell": "#14171c",
    "link": "#8ab8ff",
    "bad": "#ff8fa0",
}

#: Of cores, by the kind of their CPUs; the first is that of cores where all are alike.
TINTS = 4
#: From near to far; what is written on them is palette.INK in both schemes.
HEAT = ("#e4f2d7", "#f7f0bf", "#fbe09a", "#fbcb7d", "#f7b069", "#f0925f")

_FIXED: Rules = (
    *((f".{palette.guest_class(number)}", f"fill:{colour}") for number, colour in enumerate(palette.GUESTS)),
    (".d0", f"fill:{palette.DOM0}"),
    *((f".heat{number}", f"fill:{colour}") for number, colour in enumerate(HEAT)),
    (
        "text",
        "font-family:Arial,Helvetica,'Liberation Sans','DejaVu Sans',sans-serif;font-size:11px",
    ),
    (".small", "font-size:9px"),
    (".middle", "text-anchor:middle"),
    (".end", "text-anchor:end"),
    (".strong", "font-weight:bold"),
    (".title", "font-size:15px;font-weight:bold"),
    (".on", f"fill:{palette.INK}"),
)

PICTURE: Rules = (
    (".paper", "fill:$paper"),
    ("text", "fill:$ink"),
    (".dim", "fill:$dim"),
    (".frame", "stroke:$line;stroke-width:1"),
    (".package", "fill:$package"),
    (".node", "fill:$node"),
    (".cache,.core,.inner", "fill:$inner"),
    *((f".kind{number}", f"fill:$tint{number}") for number in range(1, TINTS)),
    (".cell", "fill:$cell;stroke:$line;stroke-width:0.7"),
    (".off", "fill:$faint"),
    (".haloed", "paint-order:stroke;stroke:$faint;stroke-width:3px"),
    (".cross", "stroke:$ink;stroke-width:1.2"),
    (".edge", "stroke:$line;stroke-width:0.7"),
    (".hollow", "fill:none"),
    (".around", "stroke:$ink;stroke-width:1"),
    # on a guest's colour, which is the same in light and dark
    (".changed", f"stroke:{palette.INK};stroke-width:1"),
    (".allowed", "fill:$cell;stroke:$dim;stroke-width:0.7;stroke-dasharray:2 2"),
    (".free", "fill:$cell"),
    (".rest", "fill:$faint"),
)


def sheet(*tables: Rules) -> str:
    """The style sheet: light, and the same rules with dark colours where the reader's system is dark. Printed pages are light."""
    rules = [rule for table in tables for rule in table]
    light = "\n".join(_rule(rule, LIGHT) for rule in (*_FIXED, *rules))
    dark = "\n".join(_rule(rule, DARK) for rule in rules if "$" in rule[1])
    # what is written on a guest's colour is dark in both
    dark += f"\n.on{{fill:{palette.INK}}}"
    return (
        f"{light}\n.on{{fill:{palette.INK}}}\n@media screen and (prefers-color-scheme:dark){{\n{dark}\n}}\n"
    )


def _rule(rule: tuple[str, str], colours: dict[str, str]) -> str:
    selector, declarations = rule
    return f"{selector}{{{string.Template(declarations).substitute(colours)}}}"


#: The page around the pictures.
PAGE: Rules = (
    (":root", "background:$paper;color:$ink"),
    (
        "body",
        "font:15px/1.45 system-ui,Arial,Helvetica,'Liberation Sans',sans-serif;margin:0;overflow-wrap:break-word",
    ),
    ("main", "max-width:1200px;margin:0 auto;padding:16px"),
    ("h1", "font-size:1.6em;margin:.2em 0 .4em"),
    ("h2", "font-size:1.25em;margin:1.6em 0 .5em;border-bottom:1px solid $faint"),
    ("h3", "font-size:1.05em;margin:1.2em 0 .4em"),
    ("a", "color:$link"),
    (":focus-visible", "outline:2px solid $link;outline-offset:2px"),
    ("table", "border-collapse:collapse;font-size:.92em"),
    (".caption", "color:$dim;font-size:.92em;margin:.3em 0"),
    ("th,td", "border:1px solid $faint;padding:3px 8px;text-align:left;vertical-align:top"),
    ("thead th", "background:$package;vertical-align:bottom"),
    (".figure", "text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap"),
    (".name", "min-width:7em;max-width:22em;overflow-wrap:anywhere"),
    (".words", "min-width:11em;overflow-wrap:anywhere"),
    (".scroll", "overflow-x:auto;max-width:100%"),
    (".pair", "display:flex;flex-wrap:wrap;gap:16px"),
    ("figure", "margin:.6em 0;min-width:0"),
    ("figcaption", "font-weight:bold;margin-bottom:.3em"),
    ("svg", "display:block;max-width:none"),
    (".dim", "color:$dim"),
    (".bad", "color:$bad;font-weight:bold"),
    (
        ".key",
        f"display:inline-block;min-width:1.6em;padding:0 4px;text-align:center;border:1px solid $line;color:{palette.INK}",
    ),
    ("table.heat td", f"text-align:center;color:{palette.INK};font-variant-numeric:tabular-nums"),
    ("table.heat td.off", "color:$ink;background:$faint"),
    ("ol.steps>li", "margin:.35em 0"),
    ("ol.steps ul", "margin:.1em 0 .4em;padding-left:1.3em;color:$dim;font-size:.92em"),
    ("ul.legend", "display:flex;flex-wrap:wrap;gap:4px 18px;list-style:none;padding:0;margin:.4em 0"),
    ("ul.legend li", "display:flex;gap:6px;align-items:center"),
    ("summary", "cursor:pointer"),
    # below the heading
    (":target", "scroll-margin-top:5em"),
    ("summary h2", "display:inline-block;margin:1em 0 .5em"),
    (".hidden", "position:absolute;width:0;height:0"),
    *((f".key.{palette.guest_class(n)}", f"background:{colour}") for n, colour in enumerate(palette.GUESTS)),
    (".key.d0", f"background:{palette.DOM0}"),
    *((f"td.heat{number}", f"background:{colour}") for number, colour in enumerate(HEAT)),
)
#: What can be scrolled sideways fades away where it goes on, in browsers that can tell. Elsewhere it just ends at the edge.
SCREEN = """@media screen{@supports (animation-timeline:scroll()){
.scroll{animation:xen-goes-on linear;animation-timeline:scroll(self inline)}
@keyframes xen-goes-on{from,98%{mask-image:linear-gradient(to right,#000 calc(100% - 40px),transparent)}to{mask-image:none}}
}}
"""
PRINT = """@media print{
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
main{max-width:none;padding:0}
body{font-size:11px}
.scroll{overflow:visible}
svg.picture{max-width:100%;height:auto;max-height:250mm}
figure,tr,li{break-inside:avoid}
h2,h3,figcaption,.caption{break-after:avoid}
.pair{flex-wrap:nowrap}
a{color:inherit;text-decoration:none}
}
"""
