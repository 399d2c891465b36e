// A hit's chunk in its context, beside the list: as text, as it is meant to look, or as the page of a PDF.

import { address, get } from "./api.js";
import { byId, el, marked, plain } from "./dom.js";
import { showPage } from "./pages.js";
import { breadcrumb, titleOf } from "./place.js";
import { coloured, fromHtml, fromRows, gutter, markWords } from "./rendered.js";
import { showSlides } from "./slides.js";
import { locale, reason, t } from "./words.js";

const AROUND = 6000;
const TABLES = new Set(["csv", "tsv", "xlsx", "xls", "ods"]);
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

// `actions(hit)` gives the buttons of a hit; `closed` takes the keyboard back.
export async function showPreview(hit, actions, closed) {
  const pane = byId("preview");
  const mine = (wanted += 1);
  shown = hit;
  onClose = closed;
  const heading = (hit.location.heading || []).filter((one) => one !== hit.title).join(" › ");
  const body = el("div", { class: "context", tabIndex: 0, dir: "auto", role: "region", "aria-label": t("The chunk in its context") }, "…");
  const beside = el("div", { class: "beside" });
  pane.replaceChildren(
    el("div", { class: "row top" }, el("h2", { dir: "auto", class: titleOf(hit).length > 80 ? "long" : "" }, titleOf(hit)), el("button", { type: "button", class: "plain", onclick: () => closePreview() }, t("Close"))),
    el("p", { class: "where", title: plain(hit.path || hit.id) }, breadcrumb(hit, Infinity)), heading ? el("p", { class: "about", dir: "auto" }, plain(heading)) : "",
    el("p", { class: "actions" }, ...actions(hit, body), stepper(body)), beside, body);
  pane.hidden = false;
  document.body.classList.add("previewing");
  const go = (to) => showPreview({ ...hit, ...to }, actions, closed);
  try {
    const part = await get(address(hit, "passages", { at: hit.location.start, stop: hit.location.end, chars: AROUND, rendered: true }));
    if (mine !== wanted) return;
    beside.replaceChildren(...[head(part, hit), members(part, go), outline(part, hit, go)].filter(Boolean));
    const asText = () => (part.left_out ? body.replaceChildren(t("Only its name is known: {0}", reason(part.left_out))) : fill(body, part, hit));
    if (part.left_out) asText();
    else if (part.type === "pdf" && hit.path && !hit.location.member) showPage(body, beside, hit, wordsOf(hit), asText, () => mine === wanted);
    else if (part.slides.length) showSlides(body, beside, hit, part, (text) => matches(text, hit), () => mine === wanted);
    else asText();
  } catch (error) {
    if (mine === wanted) body.textContent = error.text || error.message;
  }
}

// From, to and when of a mail; its text follows without them.
function head(part, hit) {
  const lines = Object.entries(part.head);
  if (!lines.length) return null;
  const value = (name, text) => (name === "Date" ? [new Date(text).toLocaleString(locale)] : marked(plain(text), matches(plain(text), hit)));
  return el("dl", { class: "head" }, ...lines.flatMap(([name, text]) => [el("dt", {}, t(name)), el("dd", { dir: "auto" }, ...value(name, text))]));
}

// Attachments and other documents of the same file.
function members(part, go) {
  if (!part.parts.length) return null;
  const one = (other) => el("li", {}, el("button", { type: "button", class: "plain", dir: "auto", onclick: () => go({ id: other.id, title: other.title, location: { start: 0, end: 0, member: other.id.split("!/")[1] }, metadata: { type: other.type } }) }, plain(other.title || other.id.split("/").at(-1))));
  return el("details", { class: "members", open: part.parts.length < 6 }, el("summary", {}, t("In the same file ({0})", part.parts.length)), el("ul", { role: "list" }, ...part.parts.map(one)));
}

function outline(part, hit, go) {
  if (part.outline.length < 2) return null;
  const current = part.outline.findLast((one) => one.start <= hit.location.start);
  const to = (one) => go({ location: { ...hit.location, start: one.start, end: one.stop, page: one.page ?? undefined, heading: [one.title], line: undefined } });
  const row = (one) => el("li", { class: `level-${Math.min(one.level, 4)}` }, el("button", { type: "button", class: "plain", dir: "auto", "aria-current": one === current ? "true" : null, onclick: () => to(one) }, plain(one.title)));
  return el("details", { class: "outline" }, el("summary", {}, t("Outline")), el("ul", { role: "list" }, ...part.outline.map(row)));
}

function fill(body, part, hit) {
  const points = Array.from(part.text).slice(part.head_stop);
  const begin = part.start + part.head_stop;
  const from = Math.max(0, hit.location.start - begin);
  const to = Math.max(0, Math.min(points.length, hit.location.end - begin));
  const cut = (a, b) => points.slice(a, b).join("");
  const drawn = part.html ? fromHtml(part.html) : TABLES.has(part.type) ? fromRows(part.text, cut(0, from).length, cut(0, to).length) : null;
  if (drawn) {
    markWords(drawn, (text) => matches(text, hit), marked);
    body.replaceChildren(part.start > 0 ? "… " : "", drawn, part.more ? " …" : "");
  } else {
    const passage = part.colours.length ? el("span", { class: "passage" }, ...coloured(points, from, to, part.colours)) : el("span", { class: "passage" }, ...marked(cut(from, to), matches(cut(from, to), hit)));
    const [before, after] = part.colours.length ? [coloured(points, 0, from, part.colours), coloured(points, to, points.length, part.colours)] : [[cut(0, from)], [cut(to)]];
    const text = el("pre", { dir: part.type === "code" ? "ltr" : "auto" }, part.start > 0 ? "… " : "", ...before, passage, ...after, part.more ? " …" : "");
    if (part.colours.length) markWords(text, (one) => matches(one, hit), marked);
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
    const marks = [...body.querySelectorAll("mark, .box.word")];
    if (!marks.length) return;
    marks[at]?.classList.remove("here");
    at = (at + step + marks.length) % marks.length;
    marks[at].classList.add("here");
    marks[at].scrollIntoView({ block: "center" });
  };
  const button = (label, sign, step) => el("button", { type: "button", class: "plain", title: label, "aria-label": label, onclick: () => go(step) }, sign);
  return el("span", { class: "stepper" }, button(t("Previous match"), "↑", -1), button(t("Next match"), "↓", 1));
}

// The words that the snippet marks.
function wordsOf(hit) {
  const points = Array.from(hit.snippet);
  return new Set([...(hit.words || []), ...hit.highlights.map(([a, b]) => points.slice(a, b).join("").toLowerCase())]);
}

// Where those words stand in a longer text.
function matches(text, hit) {
  const words = wordsOf(hit);
  const found = [];
  let at = 0;
  for (const piece of text.split(/([\p{L}\p{M}\p{N}_'’-]+)/u)) {
    const length = Array.from(piece).length;
    if (words.has(piece.toLowerCase())) found.push([at, at + length]);
    at += length;
  }
  return found;
}
