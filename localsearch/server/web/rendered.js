// A document as it is meant to look: Markdown, tables, code. Only known elements are made anew, and no attribute but a mark.

import { el, plain } from "./dom.js";

const KNOWN = new Set("P UL OL LI TABLE THEAD TBODY TR TH TD CODE PRE EM STRONG S BLOCKQUOTE HR BR A".split(" "));
const HEADINGS = { H1: "h3", H2: "h4", H3: "h5", H4: "h6", H5: "h6", H6: "h6" };

// The server's rendering of Markdown, copied element by element.
export function fromHtml(html) {
  const source = new DOMParser().parseFromString(html, "text/html").body;
  return el("div", { class: "rendered" }, ...copies(source));
}

const copies = (node) => [...node.childNodes].map(copied).filter((one) => one !== null);

function copied(node) {
  if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.data);
  if (node.nodeType !== Node.ELEMENT_NODE) return null;
  const heading = HEADINGS[node.tagName];
  if (!heading && !KNOWN.has(node.tagName)) return document.createTextNode(node.textContent);
  if (node.tagName === "A") return link(node);
  const copy = el(heading || node.tagName.toLowerCase(), {}, ...copies(node));
  if (node.classList.contains("passage")) copy.className = "passage";
  if (!["TR", "TABLE", "THEAD", "TBODY", "HR", "BR"].includes(node.tagName)) copy.dir = "auto";
  return copy;
}

function link(node) {
  const to = node.getAttribute("href") || "";
  if (!/^(https?:|mailto:)/i.test(to)) return el("span", {}, ...copies(node));
  return el("a", { href: to, target: "_blank", rel: "noopener noreferrer" }, ...copies(node));
}

// Rows written as `name: value | name: value`, one a line, as a table; null for a text that is not.
export function fromRows(text, from, to) {
  const rows = [];
  let at = 0;
  for (const line of text.split("\n")) {
    const cells = line.split(" | ").map((cell) => cell.match(/^([^:]{1,60}): (.*)$/s));
    if (cells.length > 1 && cells.every(Boolean)) rows.push({ cells: new Map(cells.map((cell) => [cell[1], cell[2]])), passage: at < to && at + line.length > from });
    at += line.length + 1;
  }
  if (rows.length < 2) return null;
  const names = [...new Set(rows.flatMap((row) => [...row.cells.keys()]))];
  const head = el("tr", {}, ...names.map((name) => el("th", { scope: "col", dir: "auto" }, plain(name))));
  const body = rows.map((row) => el("tr", { class: row.passage ? "passage" : "" }, ...names.map((name) => el("td", { dir: "auto" }, row.cells.get(name) ?? ""))));
  return el("div", { class: "rendered" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
}

// Part of a text, in code points, with the kinds of code that stand in it: [start, stop, kind] each, in order.
export function coloured(points, from, to, colours) {
  const parts = [];
  let at = from;
  for (const [start, stop, kind] of colours) {
    const [a, b] = [Math.max(start, at), Math.min(stop, to)];
    if (a >= b) continue;
    parts.push(points.slice(at, a).join(""), el("span", { class: `c-${kind}` }, points.slice(a, b).join("")));
    at = b;
  }
  return [...parts, points.slice(at, to).join("")];
}

// The numbers of lines beside code.
export function gutter(text, first) {
  const lines = text.split("\n").length;
  return el("span", { class: "gutter", "aria-hidden": "true" }, Array.from({ length: lines }, (_, n) => first + n).join("\n"));
}

// Mark words in what is drawn already; `find` gives the places of them in a text, in code points.
export function markWords(root, find, marked) {
  for (const passage of root.querySelectorAll(".passage")) {
    const walker = document.createTreeWalker(passage, NodeFilter.SHOW_TEXT);
    const nodes = [];
    while (walker.nextNode()) if (!walker.currentNode.parentElement.closest("mark")) nodes.push(walker.currentNode);
    for (const node of nodes) {
      const places = find(node.data);
      if (places.length) node.replaceWith(...marked(node.data, places));
    }
  }
}
