// The list of hits, the filters in force, and what the results can be narrowed by.

import { likeness, placeLink } from "./address.js";
import { address, openOriginal, post } from "./api.js";
import { byId, count, el, inFull, marked, plain, shortened, size, swap } from "./dom.js";
import { icon } from "./icons.js";
import { breadcrumb, facetFolders, filterLabel, mayReveal, titleOf, within } from "./place.js";
import { age, closeness, language, t, typeName } from "./words.js";

const NAMES = { type: "Type", folder: "Folder", language: "Language", tag: "Tag", year: "Year", month: "Month" };
export const FILTERS = {
  type: (value) => `type:${quoted(value)}`,
  folder: (value) => `path:${quoted(`${value.replace(/\/$/, "")}/`)}`,
  language: (value) => `lang:${quoted(value)}`,
  tag: (value) => `tag:${quoted(value)}`,
  year: (value) => `year:${value}`,
  month: (value) => `date:${value}`,
};
const folded = new Map();
const languages = new Intl.DisplayNames([language], { type: "language", fallback: "code" });

const quoted = (value) => (/^[\p{L}/][\p{L}\p{N}_/-]*$/u.test(value) ? value : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`);

// The hits of an answer from one on; those before it stay as they are.
export function renderResults(answer, from, act) {
  const items = answer.results.slice(from).map((hit, index) => item(hit, from + index, act));
  if (from) byId("results").append(...items);
  else byId("results").replaceChildren(...items);
}

function item(hit, index, act) {
  const name = titleOf(hit);
  const title = el("button", { type: "button", class: "title", dir: "auto", title: inFull(name), onclick: () => act.choose(index) }, shortened(name));
  const close = closeness(hit.relevance);
  return el("li", { class: "hit" },
    el("h2", {}, icon(hit.metadata.type), title, close ? el("span", { class: "closeness" }, meter(hit.relevance), close) : null),
    el("p", { class: "where", title: plain(hit.path || hit.id) }, breadcrumb(hit), about(hit)),
    el("p", { class: "snippet", dir: "auto" }, ...snippet(hit)),
    el("p", { class: "actions" }, ...hitActions(hit, act), ...(act.judge ? judgements(hit, act.judge) : [])));
}

// Fold the other passages of each hit below it; `answers` are those of POST /matches.
export function renderPassages(answer, answers, open) {
  const items = [...byId("results").children];
  answer.results.forEach((hit, index) => {
    const found = answers.find((one) => one.id === hit.id && one.collection === hit.collection);
    const others = (found?.hits || []).filter((one) => one.location.start !== hit.location.start);
    if (!others.length || !items[index] || items[index].querySelector(".more")) return;
    const row = (one) => el("li", {}, el("button", { type: "button", class: "plain", dir: "auto", onclick: () => open(index, one) }, el("span", { class: "about" }, plain(within(one.location, hit.metadata.type)) || "…"), " ", ...marked(one.snippet, one.highlights)));
    const number = found.more ? t("{0} or more further passages", count(others.length)) : others.length === 1 ? t("1 more passage") : t("{0} more passages", count(others.length));
    const list = el("ul", { class: "more-passages", role: "list" });
    const more = el("button", { type: "button", class: "plain more", "aria-expanded": "false", onclick: () => {
      const closed = more.getAttribute("aria-expanded") === "false";
      more.setAttribute("aria-expanded", closed);
      list.replaceChildren(...(closed ? others.map(row) : []));
    } }, number);
    items[index].querySelector(".actions").append(more); // where nothing else moves
    items[index].append(list);
  });
}

// Why only a name is known stands in English in the snippet; the preview has it in the language of the page.
function snippet(hit) {
  if (hit.metadata.left_out && language !== "en") return [t("Only its name is known.")];
  return marked(hit.snippet, hit.highlights);
}

function meter(relevance) {
  const bar = el("span", { class: "meter", "aria-hidden": "true" });
  bar.append(...[0.27, 0.45, 0.6, 0.8].map((least) => el("i", { class: relevance >= least ? "full" : "" })));
  return bar;
}

// What a program sends as metadata may be of any type.
function about(hit) {
  const { type, date, modified, author, size: bytes } = hit.metadata;
  const written = [date, modified].find((one) => typeof one === "string" && one);
  const when = written ? age(written) : "";
  const parts = [
    typeof type === "string" && type ? plain(typeName(type)) : null,
    when ? el("time", { dateTime: written, title: plain(written.slice(0, 16).replace("T", " ")) }, when) : null,
    typeof author === "string" && author ? plain(author) : null,
    typeof bytes === "number" && bytes > 0 ? size(bytes) : null,
  ];
  return el("span", { class: "about" }, ...parts.filter(Boolean).flatMap((part) => [" · ", part]));
}

export function hitActions(hit, { say, like }) {
  const open = hit.path ? el("button", { type: "button", class: "plain open", onclick: () => openOriginal(hit).catch((error) => say(error.text || error.message)) }, t("Open")) : null;
  const copy = el("button", { type: "button", class: "plain copy", onclick: () => copyText(copy, hit.path || hit.id) }, t(hit.path ? "Copy path" : "Copy id"));
  const more = el("button", { type: "button", class: "plain like", onclick: () => like(hit) }, t("More like this"));
  return [open, copy, more];
}

// What can be copied of what is looked at: its text, and a link that leads back to it.
export function previewActions(hit, body, act) {
  const text = el("button", { type: "button", class: "plain", onclick: () => copyText(text, (body.querySelector(".passage:not(.box)") || body).innerText) }, t("Copy text"));
  const link = el("button", { type: "button", class: "plain", onclick: () => copyText(link, placeLink(hit)) }, t("Copy link"));
  const [open, copy, more] = hitActions(hit, act);
  const show = hit.path && mayReveal() ? el("button", { type: "button", class: "plain", onclick: () => post(address(hit, "reveal")).catch((error) => act.say(error.text || error.message)) }, t("Show in folder")) : null;
  return [open, show, copy, text, link, more];
}

async function copyText(button, text) {
  const label = button.dataset.label || button.textContent;
  button.dataset.label = label;
  const done = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  button.textContent = done || copyByHand(text, button) ? t("Copied") : t("Could not copy");
  setTimeout(() => { button.textContent = label; }, 1500);
}

// Where the clipboard is out of reach: on plain http beyond this machine, or when it was refused.
function copyByHand(text, button) {
  const field = el("textarea", { class: "hidden", value: text, readOnly: true, tabIndex: -1 });
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  button.focus();
  return done;
}

function judgements(hit, judge) {
  const button = (label, relevant) => {
    const one = el("button", { type: "button", class: "plain judge", "aria-pressed": "false", onclick: () => judge(hit, relevant, one) }, label);
    return one;
  };
  return [button(t("Relevant"), true), button(t("Not relevant"), false)];
}

// Filters in force: each can be turned round, edited and taken away.
export function renderChips(filters, like, act) {
  const chips = filters.map((filter) => chip(filter, act));
  if (like) chips.unshift(el("span", { class: "chip" }, plain(likeness(like)), remove(likeness(like), t("No longer {0}", likeness(like)), act.unlike)));
  const all = chips.length > 1 ? el("button", { type: "button", class: "plain", onclick: act.clear }, t("Clear all")) : null;
  return swap(byId("chips"), ...chips, ...(all ? [all] : []));
}

// One condition, which a minus turns round as a whole.
const SIMPLE = /^([^\s"()]+|[^\s"()]*"([^"\\]|\\.)*")$/;
const remove = (focus, label, run) => el("button", { type: "button", class: "remove", "data-focus": focus, "aria-label": label, title: label, onclick: run }, "×");

function chip(filter, act) {
  const not = filter.startsWith("-");
  const bare = not ? filter.slice(1).replace(/^\((.*)\)$/s, "$1") : filter;
  const turned = not ? bare : SIMPLE.test(filter) ? `-${filter}` : `-(${filter})`;
  const turn = el("button", { type: "button", class: "turn", "data-focus": `turn ${bare}`, "aria-pressed": not, "aria-label": t("Leave out {0}", plain(bare)), title: t(not ? "Left out. Press to ask for it" : "Press to leave it out"), onclick: () => act.change(filter, turned) }, not ? t("not") : "✓");
  const text = el("button", { type: "button", class: "edit", "data-focus": `edit ${bare}`, "aria-label": t("Edit the filter {0}", plain(filter)), title: `${t("Edit")}: ${plain(bare)}`, onclick: () => edit() }, filterLabel(bare));
  const box = el("span", { class: not ? "chip not" : "chip" }, turn, text, remove(filter, t("Remove the filter {0}", filter), () => act.drop(filter)));
  const edit = () => {
    const field = el("input", { type: "text", class: "chip-field", value: filter, size: Math.min(70, Math.max(16, filter.length)), "aria-label": t("Edit the filter {0}", plain(filter)), spellcheck: false });
    let done = false;
    const end = (to) => { if (done) return; done = true; if (to === filter) { field.replaceWith(text); text.focus(); } else act.change(filter, to); };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") end(field.value.trim());
      else if (event.key === "Escape") { event.stopPropagation(); end(filter); }
    });
    field.addEventListener("blur", () => end(filter));
    text.replaceWith(field);
    field.focus();
    field.select();
  };
  return box;
}

// Which of the values shown are filters in force.
export function pressFacets(active) {
  for (const button of byId("facets").querySelectorAll("button[aria-pressed]")) button.setAttribute("aria-pressed", active.includes(button.dataset.focus));
}

export function renderFacets(facets, active, act) {
  const groups = Object.entries(facets || {}).filter(([, values]) => Object.keys(values).length > 0);
  if (!swap(byId("facets"), ...groups.map(([name, values]) => group(name, values, active, act)))) byId("results").focus({ preventScroll: true });
}

function group(name, values, active, act) {
  const open = folded.get(name) ?? window.innerWidth > 760;
  const rows = name === "folder" ? tree(values, active, act.toggle) : list(ordered(name, values).map(([value, number]) => choice(name, value, toldApart(name, value, values), number, active, act.toggle)));
  const bars = Object.keys(values).length > 2 && PERIODS[name] ? histogram(values, PERIODS[name], act.span) : null;
  const box = el("details", { open }, el("summary", { "data-focus": `group ${name}` }, t(NAMES[name] || name)), bars, rows);
  box.addEventListener("toggle", () => folded.set(name, box.open));
  return box;
}

const list = (rows) => el("ul", {}, ...rows.map((row) => el("li", {}, row)));

function choice(name, value, label, number, active, toggle) {
  const filter = FILTERS[name](value);
  return el("button", { type: "button", title: plain(value), "data-focus": filter, "aria-pressed": active.includes(filter), onclick: () => toggle(filter) },
    el("span", { dir: "auto" }, shortened(plain(label), 60)), el("span", { class: "number" }, count(number)));
}

// Folders below the folders that hold them, each by what its path adds to theirs.
function tree(values, active, toggle) {
  const short = facetFolders(Object.keys(values));
  const paths = [...short.keys()].sort();
  const holder = (path) => paths.filter((other) => path !== other && path.startsWith(`${other.replace(/\/$/, "")}/`)).at(-1);
  const below = (top) => {
    const mine = paths.filter((path) => holder(path) === top).sort((a, b) => values[b] - values[a]);
    return mine.length ? el("ul", {}, ...mine.map((path) => el("li", {}, choice("folder", path, top ? path.slice(top.replace(/\/$/, "").length + 1) : short.get(path), values[path], active, toggle), below(path)))) : null;
  };
  return below(undefined);
}

// How the periods of a histogram are numbered, written, and asked for; no more than `most` of them are drawn.
const PERIODS = {
  year: { number: Number, name: String, field: "year", most: 60, label: "A span of years", title: "Drag over years to choose them; or arrows, Shift and Enter" },
  month: { number: (month) => Number(month.slice(0, 4)) * 12 + Number(month.slice(5)) - 1, name: (at) => `${Math.floor(at / 12)}-${String((at % 12) + 1).padStart(2, "0")}`, field: "date", most: 12, label: "A span of months", title: "Drag over months to choose them; or arrows, Shift and Enter" },
};

// A bar for each year or month. Dragging over some chooses them, as arrows, arrows with Shift and Enter do.
function histogram(values, period, span) {
  const numbers = Object.keys(values).map(period.number).filter(Number.isInteger).sort((a, b) => a - b);
  const [first, last] = [Math.max(numbers[0], numbers.at(-1) - period.most + 1), numbers.at(-1)];
  const most = Math.max(...Object.values(values));
  const box = el("div", { class: "histogram", role: "slider", tabIndex: 0, "data-focus": `bars ${period.field}`, "aria-label": t(period.label), "aria-valuemin": first, "aria-valuemax": last, title: t(period.title) });
  const name = (at) => shown(period.field === "date" ? "month" : "year", period.name(at));
  const number = (at) => values[period.name(at)] || 0;
  let from = null;
  const told = (a, b) => {
    let sum = 0;
    for (let at = a; at <= b; at += 1) sum += number(at);
    return `${a === b ? name(a) : t("{0} to {1}", name(a), name(b))}: ${count(sum)}`;
  };
  const paint = (to) => {
    const [a, b] = from === null ? [Infinity, -Infinity] : [Math.min(from, to), Math.max(from, to)];
    [...box.children].forEach((bar, at) => bar.classList.toggle("within", first + at >= a && first + at <= b));
    box.setAttribute("aria-valuenow", from === null ? last : to);
    box.setAttribute("aria-valuetext", from === null ? told(first, last) : told(a, b));
  };
  const choose = (to) => {
    const [a, b] = [Math.min(from, to), Math.max(from, to)].map(period.name);
    from = null;
    span(period.field, a === b ? `${period.field}:${a}` : `${period.field}:${a}..${b}`);
  };
  const under = (event) => Math.min(last, Math.max(first, first + Math.floor(((event.clientX - box.getBoundingClientRect().left) / box.clientWidth) * (last - first + 1))));
  for (let at = first; at <= last; at += 1) {
    const bar = el("span", { title: `${name(at)}: ${count(number(at))}` });
    bar.style.height = `${number(at) ? Math.max(8, (number(at) / most) * 100) : 0}%`;
    box.append(bar);
  }
  paint(last);
  box.addEventListener("pointerdown", (event) => { from = under(event); box.setPointerCapture(event.pointerId); paint(from); event.preventDefault(); });
  box.addEventListener("pointermove", (event) => { if (from !== null) paint(under(event)); });
  box.addEventListener("pointercancel", () => { from = null; paint(0); });
  box.addEventListener("pointerup", (event) => {
    if (from !== null) choose(under(event));
  });
  box.addEventListener("keydown", (event) => {
    const at = from === null ? null : Number(box.getAttribute("aria-valuenow"));
    const to = { ArrowLeft: at === null ? last : Math.max(first, at - 1), ArrowRight: at === null ? first : Math.min(last, at + 1), Home: first, End: last }[event.key];
    if (to !== undefined) {
      if (from === null || !event.shiftKey) from = to;
      paint(to);
    } else if (event.key === "Escape" && from !== null) { from = null; paint(last); } else if (event.key === "Enter" && from !== null) choose(at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return box;
}

const shown = (name, value) => (name === "language" ? spoken(value) : name === "type" ? typeName(value) : name === "month" ? monthName(value) : value);

// Two types that are called alike, such as doc and docx, each with what it is.
function toldApart(name, value, values) {
  const label = shown(name, value);
  return name === "type" && Object.keys(values).some((other) => other !== value && shown(name, other) === label) ? `${label} (${value})` : label;
}

const monthName = (month) => new Date(`${month}-15T12:00`).toLocaleDateString(language, { month: "long" });

// Years and months as on a calendar, the latest first; all else commonest first, as it came.
const ordered = (name, values) => (PERIODS[name] ? Object.entries(values).sort(([a], [b]) => PERIODS[name].number(b) - PERIODS[name].number(a)) : Object.entries(values));

function spoken(code) {
  try { return languages.of(code); } catch { return code; }
}

// Where in the list the hits shown are; `before` and `after` lead to others, or are null.
export function renderPages(answer, offset, { before, after }) {
  if (!before && offset + answer.results.length >= answer.total) return void byId("pages").replaceChildren();
  const button = (label, run) => el("button", { type: "button", "data-focus": label, disabled: !run, onclick: run }, label);
  const [first, last] = [count(offset + 1), count(offset + answer.results.length)];
  const where = answer.total_is_estimate ? t("{0} to {1}", first, last) : t("{0} to {1} of {2}", first, last, count(answer.total));
  swap(byId("pages"), button(t("Previous"), before), el("span", {}, where), button(t("Next"), after));
}
