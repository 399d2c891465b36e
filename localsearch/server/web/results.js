// The list of hits, the filters in force, and what the results can be narrowed by.

import { openOriginal, where } from "./preview.js";
import { byId, count, el, marked } from "./dom.js";

const NAMES = { type: "Type", folder: "Folder", language: "Language", tag: "Tag", year: "Year" };
const FILTERS = {
  type: (value) => `type:${quoted(value)}`,
  folder: (value) => `path:${quoted(`${value}/`)}`,
  language: (value) => `lang:${quoted(value)}`,
  tag: (value) => `tag:${quoted(value)}`,
  year: (value) => `modified:${value}`,
};

const quoted = (value) => (/[\s",]/.test(value) ? `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"` : value);

export function renderResults(answer, choose, judge) {
  byId("results").replaceChildren(...answer.results.map((hit, index) => item(hit, index, choose, judge)));
}

function item(hit, index, choose, judge) {
  const title = el("button", { type: "button", class: "title", onclick: () => choose(index) }, hit.title || hit.id);
  const copy = el("button", { type: "button", class: "plain" }, "Copy path");
  copy.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(hit.path || hit.id).catch(() => null);
    copy.textContent = "Copied";
  });
  const yes = el("button", { type: "button", class: "plain judge", "aria-pressed": "false" }, "Relevant");
  const no = el("button", { type: "button", class: "plain judge", "aria-pressed": "false" }, "Not relevant");
  yes.addEventListener("click", () => judge(hit, true, yes));
  no.addEventListener("click", () => judge(hit, false, no));
  const open = hit.path ? el("button", { type: "button", class: "plain", onclick: () => openOriginal(hit) }, "Open") : null;
  const about = [hit.metadata.type, hit.metadata.modified?.slice(0, 10), hit.metadata.author].filter(Boolean).join(" · ");
  return el("li", { class: "hit" },
    el("h2", {}, title),
    el("p", { class: "where" }, where(hit), about ? el("span", { class: "about" }, ` ${about}`) : null),
    el("p", { class: "snippet", dir: "auto" }, ...marked(hit.snippet, hit.highlights)),
    el("p", { class: "actions" }, open, copy, yes, no));
}

export function renderChips(filters, drop) {
  byId("chips").replaceChildren(...filters.map((filter) =>
    el("button", { type: "button", class: "chip", "aria-label": `Remove the filter ${filter}`, onclick: () => drop(filter) }, filter, el("span", { "aria-hidden": "true" }, " ×"))));
}

export function renderFacets(facets, active, add) {
  const groups = Object.entries(facets || {}).filter(([, values]) => Object.keys(values).length > 0);
  byId("facets").replaceChildren(...groups.map(([name, values]) => group(name, values, active, add)));
}

function group(name, values, active, add) {
  const rows = Object.entries(values).map(([value, number]) => {
    const filter = FILTERS[name](value);
    const pressed = active.includes(filter);
    const label = name === "folder" ? value.split("/").slice(-2).join("/") : value;
    return el("li", {}, el("button", { type: "button", title: value, "aria-pressed": pressed, onclick: () => add(filter) },
      el("span", {}, label), el("span", { class: "number" }, count(number))));
  });
  return el("details", { open: window.innerWidth > 760 }, el("summary", {}, NAMES[name] || name), el("ul", {}, ...rows));
}

export function renderPages(answer, page, size, turn) {
  const last = Math.ceil(answer.total / size);
  const box = byId("pages");
  box.replaceChildren();
  if (answer.total <= size && page === 1) return;
  const button = (label, to, enabled) => el("button", { type: "button", disabled: !enabled, onclick: () => turn(to) }, label);
  box.append(button("Earlier", page - 1, page > 1), el("span", {}, `Page ${page}`), button("More", page + 1, page < last && answer.results.length === size));
}
