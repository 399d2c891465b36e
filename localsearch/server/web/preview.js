// A hit's passage in its context, beside the list.

import { get } from "./api.js";
import { byId, el, marked } from "./dom.js";

const BEFORE = 1500;
const AROUND = 6000;
let wanted = 0;
let onClose = null;

// Where in the file, as a person would say it.
export function where(hit) {
  const place = hit.location;
  const file = (hit.path || hit.id) + (place.member ? ` › ${place.member}` : "");
  if (place.page) return `${file}, page ${place.page}`;
  if (place.sheet) return `${file}, ${place.sheet}${place.row ? ` row ${place.row}` : ""}`;
  if (place.message) return `${file}, message ${place.message}`;
  if (place.chapter) return `${file}, ${place.chapter}`;
  return place.line ? `${file}, line ${place.line}` : file;
}

function address(hit, route, query) {
  return `/${route}/${hit.id.split("/").map(encodeURIComponent).join("/")}?${new URLSearchParams({ collection: hit.collection || "default", ...query })}`;
}

export function openOriginal(hit) {
  const page = hit.location.page ? `#page=${hit.location.page}` : "";
  window.open(address(hit, "originals", {}) + page, "_blank", "noopener");
}

export function closePreview() {
  wanted += 1;
  const pane = byId("preview");
  if (pane.hidden) return;
  pane.hidden = true;
  pane.replaceChildren();
  document.body.classList.remove("previewing");
  onClose?.();
  onClose = null;
}

export async function showPreview(hit, closed) {
  const pane = byId("preview");
  const mine = (wanted += 1);
  onClose = closed;
  const start = Math.max(0, hit.location.start - BEFORE);
  const close = el("button", { type: "button", class: "plain", onclick: closePreview }, "Close");
  const open = hit.path ? el("button", { type: "button", onclick: () => openOriginal(hit) }, "Open the file") : null;
  const heading = (hit.location.heading || []).join(" › ");
  const body = el("pre", { class: "context", tabIndex: 0, dir: "auto", "aria-label": "The passage in its context" }, "…");
  pane.replaceChildren(
    el("div", { class: "row" }, el("h2", {}, hit.title || hit.id), close),
    el("p", { class: "where" }, where(hit)), heading ? el("p", { class: "about" }, heading) : "", el("p", {}, open || ""), body);
  pane.hidden = false;
  document.body.classList.add("previewing");
  try {
    const part = await get(address(hit, "passages", { at: start, chars: AROUND }));
    if (mine === wanted) fill(body, part, hit);
  } catch (error) {
    if (mine === wanted) body.textContent = `${error.message} ${error.hint || ""}`;
  }
}

function fill(body, part, hit) {
  const points = Array.from(part.text);
  const from = hit.location.start - part.start;
  const to = Math.min(points.length, hit.location.end - part.start);
  const cut = (a, b) => points.slice(a, b).join("");
  const passage = el("span", { class: "passage" }, ...marked(cut(from, to), matches(cut(from, to), hit)));
  body.replaceChildren(part.start > 0 ? "… " : "", cut(0, from), passage, cut(to), part.more ? " …" : "");
  body.scrollTop = Math.max(0, passage.offsetTop - body.offsetTop - 60);
}

// Where the words that the snippet marks stand in a longer text.
function matches(text, hit) {
  const points = Array.from(hit.snippet);
  const words = new Set(hit.highlights.map(([a, b]) => points.slice(a, b).join("").toLowerCase()));
  const found = [];
  let at = 0;
  for (const piece of text.split(/([\p{L}\p{N}_'’-]+)/u)) {
    const length = Array.from(piece).length;
    if (words.has(piece.toLowerCase())) found.push([at, at + length]);
    at += length;
  }
  return found;
}
