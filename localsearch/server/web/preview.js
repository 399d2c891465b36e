// A hit's chunk in its context, beside the list.

import { address, get } from "./api.js";
import { byId, el, marked, plain } from "./dom.js";
import { breadcrumb } from "./place.js";
import { fromHtml, fromRows, gutter, markWords } from "./rendered.js";
import { t } from "./words.js";

const AROUND = 6000;
let wanted = 0;
let shown = null;
let onClose = null;

export const previewed = () => (byId("preview").hidden ? null : shown);

// Closed by a person, it gives the keyboard back to the list; closed because the list changed, it does not.
export function closePreview(giveBack = true) {
  wanted += 1;
  const pane = byId("preview");
  if (pane.hidden) return;
  pane.hidden = true;
  pane.replaceChildren();
  document.body.classList.remove("previewing");
  if (giveBack) onClose?.();
  shown = onClose = null;
}

export async function showPreview(hit, actions, closed) {
  const pane = byId("preview");
  const mine = (wanted += 1);
  shown = hit;
  onClose = closed;
  const heading = (hit.location.heading || []).filter((one) => one !== hit.title).join(" › ");
  const body = el("div", { class: "context", tabIndex: 0, dir: "auto", role: "region", "aria-label": t("The chunk in its context") }, "…");
  pane.replaceChildren(
    el("div", { class: "row top" }, el("h2", { dir: "auto" }, plain(hit.title || hit.id)), el("button", { type: "button", class: "plain", onclick: () => closePreview() }, t("Close"))),
    el("p", { class: "where", title: plain(hit.path || hit.id) }, breadcrumb(hit)), heading ? el("p", { class: "about", dir: "auto" }, plain(heading)) : "",
    el("p", { class: "actions" }, ...actions, stepper(body)), body);
  pane.hidden = false;
  document.body.classList.add("previewing");
  try {
    const part = await get(address(hit, "passages", { at: hit.location.start, stop: hit.location.end, chars: AROUND, rendered: true }));
    if (mine === wanted) fill(body, part, hit);
  } catch (error) {
    if (mine === wanted) body.textContent = error.text || error.message;
  }
}

const TABLES = new Set(["csv", "tsv", "xlsx", "xls", "ods"]);

function fill(body, part, hit) {
  const points = Array.from(part.text);
  const from = Math.max(0, hit.location.start - part.start);
  const to = Math.min(points.length, hit.location.end - part.start);
  const cut = (a, b) => points.slice(a, b).join("");
  const drawn = part.html ? fromHtml(part.html) : TABLES.has(part.type) ? fromRows(part.text, cut(0, from).length, cut(0, to).length) : null;
  if (drawn) {
    markWords(drawn, (text) => matches(text, hit), marked);
    body.replaceChildren(part.start > 0 ? "… " : "", drawn, part.more ? " …" : "");
  } else {
    const passage = el("span", { class: "passage" }, ...marked(cut(from, to), matches(cut(from, to), hit)));
    const text = el("pre", { dir: part.type === "code" ? "ltr" : "auto" }, part.start > 0 ? "… " : "", cut(0, from), passage, cut(to), part.more ? " …" : "");
    body.classList.toggle("code", part.type === "code");
    body.replaceChildren(...(part.type === "code" ? [gutter(part.text, part.line)] : []), text);
  }
  const passage = body.querySelector(".passage") || body;
  const target = body.querySelector(".passage mark") || passage;
  const top = (node) => node.getBoundingClientRect().top - body.getBoundingClientRect().top + body.scrollTop;
  body.scrollTop = Math.max(0, top(passage) - 60, top(target) - body.clientHeight / 2);
}

// Buttons that lead from one marked word to the next.
function stepper(body) {
  let at = -1;
  const go = (step) => {
    const marks = [...body.querySelectorAll("mark")];
    if (!marks.length) return;
    marks[at]?.classList.remove("here");
    at = (at + step + marks.length) % marks.length;
    marks[at].classList.add("here");
    marks[at].scrollIntoView({ block: "center" });
  };
  const button = (label, sign, step) => el("button", { type: "button", class: "plain", title: label, "aria-label": label, onclick: () => go(step) }, sign);
  return el("span", { class: "stepper" }, button(t("Previous match"), "↑", -1), button(t("Next match"), "↓", 1));
}

// Where the words that the snippet marks stand in a longer text.
function matches(text, hit) {
  const points = Array.from(hit.snippet);
  const words = new Set(hit.highlights.map(([a, b]) => points.slice(a, b).join("").toLowerCase()));
  const found = [];
  let at = 0;
  for (const piece of text.split(/([\p{L}\p{M}\p{N}_'’-]+)/u)) {
    const length = Array.from(piece).length;
    if (words.has(piece.toLowerCase())) found.push([at, at + length]);
    at += length;
  }
  return found;
}
