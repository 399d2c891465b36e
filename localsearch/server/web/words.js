// What the page says, in the language of whoever looks at it: English here, others as files beside it.

import { germanNotes } from "./notes.de.js";
import { germanReasons } from "./reasons.de.js";
import { german } from "./words.de.js";

const FILES = { de: german };
const REASONS = { de: germanReasons };
const NOTES = { de: germanNotes };

export const language = (navigator.languages || ["en"]).map((one) => one.slice(0, 2)).find((one) => one === "en" || one in FILES) || "en";
// Dates are written as the reader's region writes them.
export const locale = (navigator.languages || []).find((one) => one.slice(0, 2) === language) || language;
document.documentElement.lang = language;

const texts = FILES[language] || {};

const filled = (text, values) => text.replace(/\{(\d)\}/g, (_, at) => values[at]);

// A text by its English wording; {0}, {1} … are the values that follow.
export function t(english, ...values) { return filled(texts[english] ?? english, values); }

// How a wording is found again in a sentence that was made by it; those first that say most by themselves.
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const said = (english) => new RegExp(`^${english.split(/\{\d\}/).map(escaped).join("(.+?)")}$`, "s");
const bare = (english) => english.replace(/\{\d\}/g, "");
const notes = Object.entries(NOTES[language] || {}).sort(([a], [b]) => bare(b).length - bare(a).length).map(([english, text]) => [said(english), text]);

// What an answer says of how it came about: a sentence, which may hold another.
export function note(sentence) {
  for (const [pattern, text] of notes) {
    const found = pattern.exec(sentence);
    if (found) return filled(text, found.slice(1).map(note));
  }
  const two = /^(.+?\.) (.+)$/s.exec(sentence);
  const each = two && [note(two[1]), note(two[2])];
  return each && (each[0] !== two[1] || each[1] !== two[2]) ? each.join(" ") : sentence;
}

// Why a file was not read, by its code; in the words it came with where there are none for that.
export function reason(told) {
  const text = (REASONS[language] || {})[told.code];
  return text ? filled(text, told.values.map((one) => (typeof one === "string" ? one : reason(one)))) : told.text;
}

// The page's own texts and labels, where it is looked at in another language.
export function translate(root) {
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) { const text = texts.currentNode.data; if (text.trim()) texts.currentNode.data = text.replace(text.trim(), t(text.trim())); }
  for (const name of ["aria-label", "placeholder", "title"]) for (const node of root.querySelectorAll(`[${name}]`)) node.setAttribute(name, t(node.getAttribute(name)));
}

const TYPES = {
  markdown: "Markdown", text: "Text", html: "Web page", pdf: "PDF", docx: "Word", doc: "Word", odt: "Document", rtf: "Document", xlsx: "Spreadsheet", xls: "Spreadsheet", ods: "Spreadsheet",
  csv: "Table", tsv: "Table", pptx: "Slides", ppt: "Slides", odp: "Slides", eml: "E-mail", emlx: "E-mail", msg: "E-mail", mbox: "E-mail", pst: "E-mail", epub: "E-book", mobi: "E-book",
  code: "Code", notebook: "Notebook", json: "JSON", jsonl: "JSON lines", xml: "XML", tex: "LaTeX", rst: "reStructuredText", image: "Picture", media: "Audio or video", calendar: "Calendar",
  contacts: "Contacts", zip: "Archive", tar: "Archive", man: "Manual page",
};

export const typeName = (type) => (Object.hasOwn(TYPES, type) ? t(TYPES[type]) : type);

const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const STEPS = [["year", 365], ["month", 30], ["week", 7], ["day", 1]];

// How long ago a day was, as a person would say it.
export function age(iso, now = new Date()) {
  const then = new Date(iso);
  if (Number.isNaN(then.getTime())) return "";
  const midnight = (date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  const days = Math.round((midnight(then) - midnight(now)) / 86_400_000);
  const [unit, length] = STEPS.find(([, least]) => Math.abs(days) >= least) || ["day", 1];
  return relative.format(Math.trunc(days / length), unit);
}

const LONGER = [["day", 86_400], ["hour", 3600], ["minute", 60]];

// How long ago a moment was, in seconds since 1970.
export function ago(then, now = Date.now() / 1000) {
  const [unit, length] = LONGER.find(([, least]) => now - then >= least) || ["", 1];
  return unit ? relative.format(-Math.trunc((now - then) / length), unit) : t("just now");
}

// How long something will take, roughly.
export function timeLeft(seconds) {
  const [unit, length] = [...LONGER, ["second", 1]].find(([, least]) => seconds >= least) || ["second", 1];
  const number = new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(Math.max(1, Math.round(seconds / length)));
  return t("about {0} left", number);
}

// How well a hit answers; nothing where that is not known.
export function closeness(relevance) {
  if (typeof relevance !== "number") return "";
  return t(relevance >= 0.6 ? "close match" : relevance >= 0.27 ? "related" : "loosely related");
}
