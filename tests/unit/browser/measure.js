// Copyright (c) 2026, dom0.xen contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Looks at the page as it is laid out; the value is a list of sentences, one for each thing that is wrong.
(() => {
  const wrong = [];
  const slack = 0.75;
  const name = (element) => (element.textContent || element.getAttribute("class") || element.tagName).trim().slice(0, 60);
  // what is folded away is laid out anew for each question
  const folded = (element) => element.closest("details:not([open])");
  const inside = (inner, outer) =>
    inner.left >= outer.left - slack && inner.right <= outer.right + slack &&
    inner.top >= outer.top - slack && inner.bottom <= outer.bottom + slack;
  const meet = (a, b) =>
    a.left < b.right - slack && b.left < a.right - slack && a.top < b.bottom - slack && b.top < a.bottom - slack;
  const overlaps = (things, what) => {
    // from left to right, each against those that have not ended yet
    const sorted = things.filter((thing) => thing.box.width > 0).sort((a, b) => a.box.left - b.box.left);
    let open = [];
    for (const thing of sorted) {
      open = open.filter((other) => other.box.right > thing.box.left + slack);
      for (const other of open) {
        if (meet(thing.box, other.box)) wrong.push(`${what} overlap: '${name(thing.element)}' and '${name(other.element)}'`);
      }
      open.push(thing);
    }
  };
  const measured = (elements) => Array.from(elements, (element) => ({ element, box: element.getBoundingClientRect() }));

  for (const svg of document.querySelectorAll("svg.picture:not(.hidden)")) {
    if (folded(svg)) continue;
    const whole = svg.getBoundingClientRect();
    const texts = measured(svg.querySelectorAll("text"));
    for (const { element, box } of texts) {
      if (!inside(box, whole)) wrong.push(`text outside of its picture: '${name(element)}'`);
      const frame = element.closest("g.pu, g.box");
      const border = frame && frame.querySelector(":scope > rect");
      if (border && !inside(box, border.getBoundingClientRect())) wrong.push(`text outside of its box: '${name(element)}'`);
      if (/^NaN|undefined/.test(element.textContent)) wrong.push(`text that makes no sense: '${name(element)}'`);
    }
    overlaps(texts, "texts");
    for (const { element, box } of measured(svg.querySelectorAll("use"))) {
      if (!inside(box, element.parentNode.querySelector("rect").getBoundingClientRect())) wrong.push(`marks outside of their CPU: '${name(element.parentNode)}'`);
    }
    for (const group of svg.querySelectorAll("g.box")) {
      const border = group.querySelector(":scope > rect.frame");
      const parts = measured(group.querySelectorAll(":scope > g.box > rect.frame, :scope > g.pu > rect.cell"));
      overlaps(parts, "boxes");
      for (const part of border ? parts : []) {
        if (!inside(part.box, border.getBoundingClientRect())) wrong.push(`a box sticks out of the one around it: '${name(part.element.parentNode)}'`);
      }
    }
    for (const { element, box } of measured(svg.querySelectorAll("rect, path"))) {
      if (!element.closest("defs") && !inside(box, whole)) wrong.push(`a shape outside of its picture: ${element.outerHTML.slice(0, 90)}`);
    }
  }

  // The page itself never has to be scrolled sideways; what is wide is so in a part of its own that can be.
  if (!document.body) return wrong; // a drawing alone
  const page = document.scrollingElement;
  if (page.scrollWidth > window.innerWidth + slack) wrong.push(`the page is ${page.scrollWidth} wide in a window of ${window.innerWidth}`);
  for (const element of document.querySelectorAll("main *:not(svg *)")) {
    if (folded(element)) continue;
    const style = getComputedStyle(element);
    if (style.overflowX === "hidden" && element.scrollWidth > element.clientWidth + 1) wrong.push(`cut: '${name(element)}'`);
    if (!element.closest(".scroll") && element.getBoundingClientRect().right > window.innerWidth + slack) wrong.push(`sticks out of the window: '${name(element)}'`);
  }
  for (const cell of document.querySelectorAll("th, td")) {
    if (folded(cell)) continue;
    const box = cell.getBoundingClientRect();
    const range = document.createRange();
    range.selectNodeContents(cell);
    const text = range.getBoundingClientRect();
    if (text.width && !inside(text, box)) wrong.push(`text sticks out of its cell: '${name(cell)}'`);
  }
  return wrong;
})();
