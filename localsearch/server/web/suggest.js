// What may be meant, while it is typed: searches made before, words, and documents and folders by name.
// It stands in lines of its own: a list that drops down would hide the results and take the arrow keys.

import { get } from "./api.js";
import { byId, el, plain, shortened, swap } from "./dom.js";
import { icon } from "./icons.js";
import { steps } from "./place.js";
import { recentSearches } from "./recent.js";
import { t } from "./words.js";

const [LEAST, WORDS, NAMES, PAST] = [2, 6, 4, 2];
const NAMED = 64; // what is longer than this is no part of a name

// `act` has `ask` (a question), `open` (a document), `below` (a folder) and `current` (whether this is still typed).
export async function suggest(typed, act) {
  const text = typed.trim();
  if (text.length < LEAST) return clearSuggestions();
  const asked = (path, q, limit, none) => get(`${path}?${new URLSearchParams({ q, limit })}`).catch(() => none);
  const named = text.length <= NAMED && !/[:"()]/.test(text);
  const [words, names] = await Promise.all([asked("/suggest", typed, WORDS, { suggestions: [] }), named ? asked("/names", text, NAMES, NOTHING) : NOTHING]);
  if (act.current()) draw(text, words, names, act);
}

const letters = (name) => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

function draw(text, words, names, act) {
  const files = new Set(names.documents.map((one) => letters(one.path?.split("/").at(-1) || "")));
  const before = recentSearches().filter((one) => one !== text && one.toLowerCase().startsWith(text.toLowerCase())).slice(0, PAST);
  const others = words.suggestions.filter((one) => one.trim() !== text && !before.includes(one) && !files.has(letters(one)));
  const box = byId("suggestions");
  box.style.minHeight = `${box.offsetHeight}px`; // while more is typed, the hits below it stay where they are
  swap(box, ...[
    line("", [...before.map((one) => question(one, "past", act)), ...others.map((one) => question(one, "word", act))]),
    line(t("Files"), names.documents.map((one) => document_(one, act))),
    line(t("Folders"), names.folders.map((one) => folder(one, act))),
  ].filter(Boolean));
}

const NOTHING = { documents: [], folders: [] };

export function clearSuggestions() {
  byId("suggestions").replaceChildren();
  byId("suggestions").style.minHeight = "";
}

function line(label, buttons) {
  if (!buttons.length) return null;
  return el("div", { class: label ? "suggested names" : "suggested", role: "group", "aria-label": label || t("Completions") }, label ? el("span", { class: "about" }, label) : null, ...buttons);
}

function question(text, kind, act) {
  return el("button", { type: "button", class: `plain ${kind}`, "data-focus": text, dir: "auto", title: kind === "past" ? t("Asked before") : "", onclick: () => act.ask(text) }, kind === "past" ? el("span", { "aria-hidden": "true" }, "↺ ") : null, plain(text));
}

function document_(one, act) {
  const hit = { ...one, location: { start: 0, end: 0 }, snippet: "", highlights: [], metadata: { type: one.type } };
  const place = steps(hit).slice(0, -1).at(-1);
  const name = one.path ? one.path.split("/").at(-1) : one.title || one.id;
  return el("button", { type: "button", class: "plain named", title: plain(one.path || one.id), onclick: (event) => act.open(hit, event.currentTarget) },
    icon(one.type), el("span", { dir: "auto" }, shortened(plain(name), 48)), place && one.path ? el("small", { dir: "auto" }, shortened(plain(place), 30)) : null);
}

function folder(one, act) {
  const names = steps({ path: one.path, location: {} });
  return el("button", { type: "button", class: "plain named", title: plain(one.path), onclick: () => act.below(one.path) },
    icon("folder"), el("span", { dir: "auto" }, shortened(plain(names.at(-1)), 48)), names.length > 1 ? el("small", { dir: "auto" }, shortened(plain(names.at(-2)), 30)) : null);
}
