// A hit's chunk in its context, beside the list.

import { address, get } from "./api.js";
import { byId, el, marked, plain } from "./dom.js";
import { breadcrumb } from "./place.js";
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
  const body = el("pre", { class: "context", tabIndex: 0, dir: "auto", role: "region", "aria-label": t("The chunk in its context") }, "…");
  pane.replaceChildren(
    el("div", { class: "row top" }, el("h2", { dir: "auto" }, plain(hit.title || hit.id)), el("button", { type: "button", class: "plain", onclick: () => closePreview() }, t("Close"))),
    el("p", { class: "where", title: plain(hit.path || hit.id) }, breadcrumb(hit)), heading ? el("p", { class: "about", dir: "auto" }, plain(heading)) : "",
    el("p", { class: "actions" }, ...actions), body);
  pane.hidden = false;
  document.body.classList.add("previewing");
  try {
    const part = await get(address(hit, "passages", { at: hit.location.start, chars: AROUND }));
    if (mine === wanted) fill(body, part, hit);
  } catch (error) {
    if (mine === wanted) body.textContent = error.text || error.message;
  }
}

function fill(body, part, hit) {
  const points = Array.from(part.text);
  const from = Math.max(0, hit.location.start - part.start);
  const to = Math.min(points.length, hit.location.end - part.start);
  const cut = (a, b) => points.slice(a, b).join("");
  const passage = el("span", { class: "passage" }, ...marked(cut(from, to), matches(cut(from, to), hit)));
  body.replaceChildren(part.start > 0 ? "… " : "", cut(0, from), passage, cut(to), part.more ? " …" : "");
  const target = passage.querySelector("mark") || passage;
  body.scrollTop = Math.max(0, passage.offsetTop - body.offsetTop - 60, target.offsetTop - body.offsetTop - body.clientHeight / 2);
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
