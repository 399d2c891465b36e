// The page: what is asked stands in the address, so that it can be shared, bookmarked and gone back to.

import { get, post } from "./api.js";
import { byId, el } from "./dom.js";
import { folderForm } from "./folder.js";
import { closePreview, openOriginal, showPreview } from "./preview.js";
import { renderChips, renderFacets, renderPages, renderResults } from "./results.js";
import { startStatus, stopStatus } from "./status.js";

const PAGE = 10;
const WAIT_MS = 120;
const state = { q: "", mode: "hybrid", rerank: false, filters: [], page: 1, view: "search", answer: null, chosen: -1 };
let asking = null;
let timer = null;

function readAddress() {
  const query = new URLSearchParams(location.search);
  state.q = query.get("q") || "";
  state.mode = query.get("mode") || "hybrid";
  state.rerank = query.get("rerank") === "1";
  state.filters = query.getAll("f");
  state.page = Math.max(1, Number(query.get("page")) || 1);
  state.view = query.get("view") || "search";
}

function writeAddress(replace) {
  const query = new URLSearchParams();
  if (state.q) query.set("q", state.q);
  if (state.mode !== "hybrid") query.set("mode", state.mode);
  if (state.rerank) query.set("rerank", "1");
  for (const filter of state.filters) query.append("f", filter);
  if (state.page > 1) query.set("page", state.page);
  if (state.view !== "search") query.set("view", state.view);
  const address = query.size ? `/?${query}` : "/";
  if (address !== location.pathname + location.search) history[replace ? "replaceState" : "pushState"](null, "", address);
}

function showState() {
  byId("query").value = state.q;
  byId("mode").value = state.mode;
  byId("rerank").checked = state.rerank;
  const status = state.view === "status";
  byId("view-status").hidden = !status;
  byId("view-search").hidden = status;
  byId("show-status").setAttribute("aria-pressed", status);
  byId("show-search").setAttribute("aria-pressed", !status);
  if (status) startStatus(byId("view-status"));
  else stopStatus();
}

async function search() {
  asking?.abort();
  renderChips(state.filters, drop);
  const words = state.q.trim();
  if (!words && !state.filters.length) return rest();
  asking = new AbortController();
  const body = {
    query: [words, ...state.filters].filter(Boolean).join(" "),
    limit: PAGE, offset: (state.page - 1) * PAGE, mode: state.mode, rerank: state.rerank, facets: true,
  };
  try {
    const answer = await post("/search", body, asking.signal);
    say("");
    show(answer);
  } catch (error) {
    if (error.name !== "AbortError") say(`${error.message} ${error.hint || ""}`);
  }
}

function show(answer) {
  state.answer = answer;
  state.chosen = -1;
  byId("empty").hidden = answer.results.length > 0;
  if (!answer.results.length) byId("empty").replaceChildren(nothing(answer));
  byId("summary").textContent = summary(answer);
  renderResults(answer, (index) => choose(index, true), judge);
  renderFacets(answer.facets, state.filters, add);
  renderPages(answer, state.page, PAGE, turn);
}

function summary(answer) {
  const about = answer.total_is_estimate ? "about " : "";
  const cached = answer.cached ? ", remembered" : "";
  const notes = [...answer.notes];
  if (answer.semantic_coverage < 1) notes.push(`${Math.floor(answer.semantic_coverage * 100)} % of passages can be found by meaning so far.`);
  const found = answer.total === 1 ? "1 document" : `${about}${answer.total.toLocaleString("en")} documents`;
  return [`${found} in ${answer.took_ms.toFixed(answer.took_ms < 10 ? 1 : 0)} ms${cached}.`, ...notes].join(" ");
}

function nothing(answer) {
  const box = el("div", { class: "card" }, el("h2", {}, "Nothing was found"));
  box.append(el("p", {}, state.filters.length ? "Take away a filter, or try other words." : "Try other words, or fewer of them."));
  for (const correction of answer.corrections || []) {
    box.append(el("button", { type: "button", onclick: () => ask(correction) }, `Did you mean ${correction}?`));
  }
  return box;
}

// Without a question: an invitation, or the way to a first folder.
async function rest() {
  for (const id of ["results", "facets", "pages"]) byId(id).replaceChildren();
  byId("summary").textContent = "";
  closePreview();
  const ready = await get("/ready").catch((error) => (say(`${error.message} ${error.hint || ""}`), null));
  if (!ready) return;
  byId("empty").hidden = false;
  byId("empty").replaceChildren(ready.documents ? invitation(ready) : folderForm(search));
}

function invitation(ready) {
  const hint = (text) => el("button", { type: "button", class: "plain", onclick: () => ask(text) }, text);
  return el("div", { class: "card welcome" },
    el("h2", {}, `${ready.documents.toLocaleString("en")} documents are ready`),
    el("p", {}, "Ask in your own words. Narrow with filters, such as:"),
    el("p", { class: "hints" }, hint("type:md"), hint("after:2024-01-01"), hint("lang:de"), hint("size:>1mb"), hint('"an exact phrase"')));
}

function judge(hit, relevant, button) {
  post("/feedback", { query: state.q.trim() || state.filters.join(" "), id: hit.id, relevant, collection: hit.collection })
    .then(() => {
      for (const other of button.parentElement.querySelectorAll(".judge")) other.setAttribute("aria-pressed", other === button);
    })
    .catch((error) => say(error.message));
}

function ask(text) { state.q = text; state.page = 1; update(); byId("query").focus(); }
function add(filter) { if (!state.filters.includes(filter)) state.filters.push(filter); else drop(filter); state.page = 1; update(); }
function drop(filter) { state.filters = state.filters.filter((other) => other !== filter); state.page = 1; update(); }
function turn(page) { state.page = page; update(); window.scrollTo(0, 0); }
function update(replace = false) { writeAddress(replace); showState(); renderChips(state.filters, drop); search(); }

function choose(index, preview) {
  const items = [...byId("results").children];
  if (!items.length) return;
  state.chosen = Math.max(0, Math.min(index, items.length - 1));
  items.forEach((item, at) => item.classList.toggle("chosen", at === state.chosen));
  const item = items[state.chosen];
  item.querySelector(".title").focus({ preventScroll: true });
  item.scrollIntoView({ block: "nearest" });
  if (preview || !byId("preview").hidden) showPreview(state.answer.results[state.chosen], () => item.querySelector(".title").focus());
}

function say(text) { const banner = byId("banner"); banner.textContent = text; banner.hidden = !text; }

function onKey(event) {
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !typing) { event.preventDefault(); byId("query").select(); }
  else if (event.key === "Escape") escape(event);
  else if (state.view !== "search" || (typing && event.target.id !== "query")) return;
  else if (event.key === "ArrowDown") { event.preventDefault(); choose(state.chosen + 1); }
  else if (event.key === "ArrowUp" && !typing) { event.preventDefault(); if (state.chosen <= 0) byId("query").focus(); else choose(state.chosen - 1); }
  else if (event.key === "o" && !typing && state.chosen >= 0) openOriginal(state.answer.results[state.chosen]);
}

function escape(event) {
  if (!byId("preview").hidden) closePreview();
  else if (event.target.id !== "query") byId("query").focus();
}

function onInput() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    state.q = byId("query").value;
    state.page = 1;
    writeAddress(true);
    search();
    suggest();
  }, WAIT_MS);
}

async function suggest() {
  const q = byId("query").value;
  if (q.trim().length < 2) return;
  const answer = await get(`/suggest?${new URLSearchParams({ q, limit: 6 })}`).catch(() => null);
  if (answer) byId("suggestions").replaceChildren(...answer.suggestions.map((value) => el("option", { value })));
}

function start() {
  const theme = localStorage.getItem("localsearch-theme");
  if (theme) document.documentElement.dataset.theme = theme;
  byId("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).getPropertyValue("--scheme").trim() === "dark";
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("localsearch-theme", document.documentElement.dataset.theme);
  });
  byId("query").addEventListener("input", onInput);
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    state.q = byId("query").value;
    update();
    choose(0, true);
  });
  byId("mode").addEventListener("change", (event) => { state.mode = event.target.value; state.page = 1; update(); });
  byId("rerank").addEventListener("change", (event) => { state.rerank = event.target.checked; update(); });
  byId("show-status").addEventListener("click", () => { state.view = "status"; update(); });
  byId("show-search").addEventListener("click", () => { state.view = "search"; update(); });
  byId("brand").addEventListener("click", (event) => { event.preventDefault(); Object.assign(state, { q: "", filters: [], page: 1, view: "search" }); update(); byId("query").focus(); });
  document.addEventListener("keydown", onKey);
  window.addEventListener("popstate", () => { readAddress(); showState(); search(); });
  readAddress();
  showState();
  search();
  if (!state.q) byId("query").focus();
}

start();
