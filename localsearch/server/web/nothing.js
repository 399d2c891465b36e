// What to do where nothing was found: one press each, with what it leads to.

import { el } from "./dom.js";
import { filterLabel } from "./place.js";
import { t } from "./words.js";

// Filters among the words.
const typedFilters = (words) => words.match(/(?<!\S)-?[a-z]+:(?:"[^"]*"|\S+)/g) || [];
const without = (words, filter) => words.replace(filter, "").trim().replace(/\s+/g, " ");

// `act` has `ask` (another question), `drop` (a filter), `change` (of the state) and `left` (how many match after one).
export function nothing(state, act) {
  const words = state.q.trim();
  const typed = typedFilters(words);
  const name = words.split(/\s+/).find((one) => /^[\p{L}\p{N}._-]{2,}$/u.test(one));
  const steps = [
    ...state.filters.map((filter) => step(t("Without the filter {0}", filterLabel(filter)), () => act.drop(filter), act.left({ filters: state.filters.filter((one) => one !== filter) }))),
    ...typed.map((filter) => step(t("Without the filter {0}", filterLabel(filter)), () => act.ask(without(words, filter)), act.left({ q: without(words, filter) }))),
    ...(words && state.mode === "lexical" ? [step(t("Search by meaning too"), () => act.change({ mode: "hybrid" }))] : []),
    ...(words && state.mode !== "lexical" && !state.wide ? [step(t("Show what is loosely related"), () => act.change({ wide: true }))] : []),
    ...(name && !words.includes(":") ? [step(t("Look in names of files: {0}", `name:${name}`), () => act.ask(`name:${name}`, { filters: [] }))] : []),
  ];
  return el("div", { class: "card" }, el("h2", {}, t("Nothing was found")),
    el("p", {}, t(state.filters.length || typed.length ? "Take away a filter, or try other words." : "Try other words, or fewer of them.")), steps.length ? el("ul", { class: "steps-on" }, ...steps) : null);
}

function step(label, run, left = null) {
  const number = el("span", { class: "about" });
  left?.then((text) => { number.textContent = ` ${text}`; }, () => null);
  return el("li", {}, el("button", { type: "button", class: "plain", onclick: run }, label), number);
}
