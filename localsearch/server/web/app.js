// The page: what is asked stands in the address, what is answered below it.

import { linkedPlace, readAddress, title, writeAddress } from "./address.js";
import { forgetRefusal, get, openOriginal, post } from "./api.js";
import { watchCoverage } from "./coverage.js";
import { byId, count, el, plain, tenths } from "./dom.js";
import { following, lengthen, MORE, MOST, stopWatchingEnd, watchEnd } from "./endless.js";
import { forgetLately, keepLately, lately } from "./lately.js";
import { switchTheme } from "./look.js";
import { nothing } from "./nothing.js";
import { printed } from "./paper.js";
import { closePreview, previewed, showPreview } from "./preview.js";
import { learnRoots } from "./place.js";
import { FILTERS, previewActions, pressFacets, renderChips, renderFacets, renderPages, renderPassages, renderResults } from "./results.js";
import { remember } from "./recent.js";
import { showStart, stopStart } from "./start.js";
import { startStatus, stopStatus } from "./status.js";
import { clearSuggestions, suggest } from "./suggest.js";
import { note, t, translate } from "./words.js";

const PAGE = 10;
const NOTHING = "Nothing here seems to be about this."; // as the server says it
const NAMES_MS = 120; // without a further letter: names and completions, and the address as it is kept
const FACETS_MS = 250; // counts, which cost more than the hits they are of
const MORE_MS = 300;
const ANNOUNCE_MS = 700;
const PASSAGES_MS = 400;
const state = { ...readAddress(), answer: null, chosen: -1 };
const timers = {};
let asking = new AbortController();
let placed = Promise.resolve(); // once the folders are known that breadcrumbs begin at
let settled = true; // whether the next letter typed starts a new entry of the history
let typing = false; // whether a further letter may follow
let asked = false; // whether an answer is on its way
let counted = ""; // the question whose counts stand beside the hits
let newer = false; // whether more was typed since it was asked for

function later(name, run, ms) { clearTimeout(timers[name]); timers[name] = setTimeout(run, ms); }

function showState() {
  if (byId("query").value !== state.q) byId("query").value = state.q;
  byId("mode").value = state.mode;
  byId("rerank").checked = state.rerank;
  byId("sort").value = state.sort;
  const status = state.view === "status";
  byId("view-status").hidden = !status;
  byId("view-search").hidden = status;
  byId("show-status").setAttribute("aria-pressed", status);
  byId("show-search").setAttribute("aria-pressed", !status);
  document.title = title(state);
  byId("printed").replaceChildren(...printed(state));
  document.body.classList.toggle("starting", !status && !state.q.trim() && !state.filters.length && !state.like);
  if (status) startStatus(byId("view-status"));
  else stopStatus();
}

function question({ q, filters: chosen, like: likened, page, mode, rerank, wide, sort } = state) {
  const words = q.trim();
  const filters = chosen.join(" ");
  return {
    ...(words || filters ? { query: words || filters } : {}), ...(words && filters ? { filters } : {}), ...(likened ? { like: likened } : {}),
    limit: PAGE, offset: (page - 1) * PAGE, mode, rerank, only_matching: !wide, ...(sort === "relevance" ? {} : { sort }),
  };
}

// Days on the page are those of whoever looks at it; the server's where the browser does not tell.
let timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone || null;

// An answer; a time zone that the server does not know is not asked for again.
async function answerTo(question, signal) {
  try {
    return await post("/search", { ...question, time_zone: timeZone }, signal);
  } catch (problem) {
    if (problem.status !== 400 || !timeZone) throw problem;
    const answer = await post("/search", question, signal);
    timeZone = null;
    return answer;
  }
}

const chips = () => renderChips(state.filters, state.like, { drop, unlike, clear, change });

// While an answer is on its way, letters typed wait for it, and only the last of them is asked for: the server sets the pace.
function letter() {
  if (asked && state.q.trim()) newer = true;
  else search();
}

async function search() {
  asking.abort();
  const mine = (asking = new AbortController());
  [asked, newer] = [false, false];
  clearTimeout(timers.facets);
  clearTimeout(timers.more);
  if (!chips()) byId("query").focus();
  const wanted = question();
  stopStart();
  if (state.view !== "search") return;
  outdated(wanted);
  if (!wanted.query && !wanted.like) return void await placed.then(() => rest(mine.signal));
  byId("results").setAttribute("aria-busy", "true");
  asked = true;
  try {
    const answer = (typing && lately(wanted)) || await found(wanted, mine.signal);
    await placed;
    if (mine.signal.aborted) return;
    say("");
    show(answer, wanted);
  } catch (error) {
    if (error.name === "AbortError" || mine.signal.aborted) return;
    drawFacets({});
    wrong(error);
  } finally {
    if (!mine.signal.aborted) done();
  }
}

function done() {
  asked = false;
  if (newer) search();
  else byId("results").removeAttribute("aria-busy");
}

async function found(wanted, signal) {
  let answer = await answerTo(wanted, signal);
  if (!answer.total && answer.nothing_relevant && wanted.only_matching) answer = await nearest(wanted, answer, signal);
  keepLately(wanted, answer);
  return answer;
}

// Where nothing matches: what comes nearest, in place of an empty page.
async function nearest(wanted, answer, signal) {
  const near = await answerTo({ ...wanted, only_matching: false, offset: 0 }, signal);
  return { ...answer, results: near.results, nearest: true };
}

// What an answer can be narrowed by; until that is known, what stood there before is shown faintly.
function narrow(answer, wanted) {
  if (!answer.total || !wanted.only_matching) return void drawFacets({});
  byId("facets").setAttribute("aria-busy", "true");
  later("facets", async () => {
    const { signal } = asking;
    const found = await answerTo({ ...wanted, facets: true, limit: 1, offset: 0, rerank: false }, signal).catch(() => null);
    if (answer === state.answer && !signal.aborted) drawFacets(found?.facets, wanted);
  }, typing ? FACETS_MS : 0);
}

// Counts of another question are not shown from the moment that a new one is asked.
function outdated(wanted) {
  pressFacets(state.filters);
  if (counting(wanted) !== counted) byId("facets").setAttribute("aria-busy", "true");
}

// What counts depend on, of a question.
const counting = ({ limit, offset, sort, rerank, ...rest }) => JSON.stringify(rest);

function drawFacets(facets, wanted = {}) {
  counted = counting(wanted);
  renderFacets(facets, state.filters, { toggle, span });
  byId("facets").removeAttribute("aria-busy");
}

function show(found, wanted) {
  const answer = { ...found, wanted, results: [...found.results] };
  const focused = byId("results").contains(document.activeElement) || byId("preview").contains(document.activeElement);
  state.answer = answer;
  state.chosen = -1;
  closePreview(false);
  byId("empty").hidden = answer.results.length > 0;
  byId("empty").replaceChildren(...(answer.results.length ? [] : [nothing(state, { ask, drop, change: (to) => { Object.assign(state, to); update(); }, left: (part) => left(part, asking.signal) })]));
  byId("summary").textContent = summary(answer);
  byId("sorting").hidden = answer.total < 2 || answer.nearest || state.wide;
  byId("summary").classList.toggle("doubt", answer.nothing_relevant);
  byId("corrections").replaceChildren(...corrections(answer));
  listed(answer, 0);
  narrow(answer, wanted);
  if (focused) byId("results").focus({ preventScroll: true });
  if (answer.semantic_coverage < 1 && answer.version) watchCoverage(() => { forgetLately(); search(); });
  later("announce", () => { byId("announce").textContent = answer.nearest || answer.nothing_relevant ? t("Nothing here seems to be about this. What comes nearest:") : number(answer); }, ANNOUNCE_MS);
}

// Show the hits of an answer from one on, and the way to those that follow.
function listed(answer, from) {
  renderResults(answer, from, { choose: (index) => choose(index, true), judge: answer.wanted.query ? judge : null, say, like });
  later(`passages ${from}`, () => passages(answer, from), PASSAGES_MS);
  renderPages(answer, answer.wanted.offset, { before: state.page > 1 ? () => turn(Math.max(1, state.page - MOST / PAGE)) : null, after: after(answer) });
  byId("pages").append(...wider(answer));
  if (following(answer, answer.wanted)) later("more", () => watchEnd(byId("pages"), () => more(answer)), typing ? MORE_MS : 0);
  else stopWatchingEnd();
}

// What shows the hits that follow on a page of their own; null where the list ends.
function after(answer) {
  const shown = answer.results.length;
  if (answer.ended || answer.nearest || shown < PAGE || answer.wanted.offset + shown >= answer.total) return null;
  return () => turn(state.page + Math.ceil(shown / PAGE));
}

async function more(answer) {
  const [next, { signal }] = [following(answer, answer.wanted), asking];
  if (!next || answer !== state.answer || signal.aborted) return;
  answer.coming ??= answerTo(next, signal).catch(() => null);
  const came = await answer.coming;
  if (!answer.coming || answer !== state.answer || signal.aborted) return;
  answer.coming = null;
  if (came) listed(answer, lengthen(answer, came, next.limit));
  else stopWatchingEnd();
}

// What else the documents shown say of it, once the question stands still.
async function passages(answer, from) {
  const query = question().query;
  if (!query || answer.results.length <= from || answer !== state.answer) return;
  const documents = answer.results.slice(from, from + MORE).map(({ id, collection }) => ({ id, collection }));
  const more = await post("/matches", { query, documents }, asking.signal).catch(() => null);
  if (more && answer === state.answer) renderPassages(answer, more.documents, (index, one) => { choose(index); openAt(index, one); });
}

function openAt(index, hit) { showPreview(hit, previewButtons, () => byId("results").children[index]?.querySelector(".more").focus()); }

function number(answer) {
  if (answer.total === 1) return t("1 document");
  return t(answer.total_is_estimate ? "about {0} documents" : "{0} documents", count(answer.total));
}

function summary(answer) {
  const notes = answer.notes.filter((one) => !answer.nothing_relevant || one !== NOTHING).map(note);
  if (answer.nearest || answer.nothing_relevant) return [t("Nothing here seems to be about this. What comes nearest:"), ...notes].join(" ");
  const took = answer.took_ms < 10 ? tenths(answer.took_ms) : count(Math.round(answer.took_ms));
  return [t(answer.cached ? "{0} in {1} ms, remembered." : "{0} in {1} ms.", number(answer), took), ...notes].join(" ");
}

// Below the last of few hits: the way to those that are only near.
function wider(answer) {
  if (answer.nearest || state.wide || state.mode === "lexical" || !answer.results.length || answer.total > PAGE || !state.q.trim()) return [];
  return [el("button", { type: "button", class: "plain", onclick: () => { state.wide = true; update(); } }, t("Show what is loosely related"))];
}

function corrections(answer) {
  const offers = answer.corrections.map((text) => el("button", { type: "button", class: "plain", onclick: () => ask(text) }, plain(text)));
  return offers.length ? [t("Did you mean "), ...offers, "?"] : [];
}

// How many documents match with a part of the question changed.
async function left(part, signal) {
  const wanted = { ...question({ ...state, ...part }), limit: 1, offset: 0, rerank: false };
  if (!wanted.query && !wanted.like) return t("{0} documents", count((await get("/stats", signal)).documents));
  return number(await answerTo(wanted, signal));
}

// Without a question: what is here.
async function rest(signal) {
  if (signal.aborted) return;
  for (const id of ["results", "pages", "summary", "corrections"]) byId(id).replaceChildren();
  drawFacets({});
  clearSuggestions();
  state.answer = null;
  state.chosen = -1;
  byId("sorting").hidden = true;
  closePreview(false);
  const act = { ask, open, wrong, done: () => learnRoots().then(search) };
  const ready = await showStart(byId("empty"), act, signal).catch((error) => { if (error.name !== "AbortError") wrong(error); });
  if (!ready || signal.aborted) return;
  say("");
  byId("empty").hidden = false;
}

const previewButtons = (hit, body) => previewActions(hit, body, { say, like });

// A document that no question led to.
function open(hit, from) { showPreview(hit, previewButtons, () => from?.isConnected && from.focus()); }

function judge(hit, relevant, button) {
  post("/feedback", { query: question().query, id: hit.id, relevant, collection: hit.collection })
    .then(() => {
      for (const other of button.parentElement.querySelectorAll(".judge")) other.setAttribute("aria-pressed", other === button);
      byId("announce").textContent = t(relevant ? "Marked as relevant" : "Marked as not relevant");
    }, wrong);
}

function ask(text, more = {}) { remember(text); clearSuggestions(); Object.assign(state, { q: text, page: 1, wide: false, ...more }); update(); byId("query").focus(); }
function toggle(filter) { if (state.filters.includes(filter)) drop(filter); else { state.filters = [...state.filters, filter]; state.page = 1; update(); } }
// Years or months in place of any that were chosen before.
function span(field, filter) { state.filters = [...state.filters.filter((one) => !one.replace(/^-/, "").startsWith(`${field}:`)), filter]; state.page = 1; update(); }
// A folder in place of what was typed of its name.
function below(path) { Object.assign(state, { q: "", filters: [...new Set([...state.filters, FILTERS.folder(path)])], page: 1, wide: false }); clearSuggestions(); update(); byId("query").focus(); }
function drop(filter) { state.filters = state.filters.filter((other) => other !== filter); state.page = 1; update(); }
function change(filter, to) { state.filters = [...new Set(state.filters.map((other) => (other === filter ? to : other)))].filter(Boolean); state.page = 1; update(); }
function like(hit) { Object.assign(state, { q: "", like: hit.id, page: 1 }); update(); byId("results").focus(); window.scrollTo(0, 0); }
function unlike() { state.like = ""; state.page = 1; update(); byId("query").focus(); }
function clear() { state.filters = []; state.like = ""; state.page = 1; update(); byId("query").focus(); }
function turn(page) { state.page = page; update().then(() => choose(0)); window.scrollTo(0, 0); }
function update() { [settled, typing] = [true, false]; clearTimeout(timers.input); forgetLately(); writeAddress(state, false); showState(); return search(); }

function choose(index, preview = false) {
  const items = [...byId("results").children];
  if (!items.length || !state.answer) return;
  settled = true;
  state.chosen = Math.max(0, Math.min(index, items.length - 1));
  items.forEach((item, at) => item.classList.toggle("chosen", at === state.chosen));
  const item = items[state.chosen];
  const back = () => item.querySelector(".title").focus({ preventScroll: true });
  back();
  item.scrollIntoView({ block: "nearest" });
  const hit = state.answer.results[state.chosen];
  if (preview) remember(state.q);
  if (preview || previewed()) showPreview(hit, previewButtons, back);
}

// The next hit; after the last one those that follow, on this page or another.
async function forward() {
  const answer = state.answer;
  if (!answer || state.chosen < answer.results.length - 1) return choose(state.chosen + 1);
  await more(answer);
  if (answer !== state.answer) return;
  if (state.chosen < answer.results.length - 1) choose(state.chosen + 1);
  else after(answer)?.();
}

function say(text) { const banner = byId("banner"); banner.textContent = text; banner.hidden = !text; }

function wrong(error) {
  say(error.text || error.message);
  if (error.status !== 401) return;
  byId("banner").append(" ", el("button", { type: "button", onclick: () => { forgetRefusal(); say(""); showState(); search(); } }, t("Give a key")));
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  const hit = state.answer?.results[state.chosen];
  if (event.key === "/" && !typing) { event.preventDefault(); toSearch(); }
  else if (event.key === "Escape") escape(event);
  else if (state.view !== "search" || (typing && event.target.id !== "query")) return;
  else if (event.target.closest(".context")) return;
  else if (event.key === "ArrowDown") { event.preventDefault(); if (typing) choose(0); else forward(); }
  else if (event.key === "ArrowUp" && !typing) { event.preventDefault(); if (state.chosen <= 0) byId("query").focus(); else choose(state.chosen - 1); }
  else if (event.key === "o" && !typing && hit) openOriginal(hit).catch(wrong);
}

function toSearch() {
  if (state.view !== "search") { state.view = "search"; update(); }
  byId("query").focus();
  byId("query").select();
}

function escape(event) {
  if (previewed()) { event.preventDefault(); closePreview(); }
  else if (event.target.id !== "query") byId("query").focus();
}

function onInput() {
  Object.assign(state, { q: byId("query").value, page: 1, view: "search", wide: false });
  if (settled) writeAddress(state, false);
  [settled, typing] = [false, true];
  showState();
  clearTimeout(timers.announce);
  letter();
  later("input", () => {
    writeAddress(state, true);
    complete();
  }, NAMES_MS);
}

function complete() {
  const typed = byId("query").value;
  return suggest(typed, { ask, open, below, current: () => typed === byId("query").value && !settled });
}

function submit(event) {
  event.preventDefault();
  Object.assign(state, { q: byId("query").value, view: "search" });
  clearSuggestions();
  remember(state.q);
  update().then(() => choose(0, true));
}

function on(id, event, act) { byId(id).addEventListener(event, act); }

function start() {
  on("theme", "click", switchTheme);
  on("query", "input", onInput);
  on("search", "submit", submit);
  on("mode", "change", (event) => { state.mode = event.target.value; state.page = 1; update(); });
  on("rerank", "change", (event) => { state.rerank = event.target.checked; state.page = 1; update(); });
  on("sort", "change", (event) => { state.sort = event.target.value; state.page = 1; update(); });
  on("show-status", "click", () => { state.view = "status"; update(); });
  on("show-search", "click", () => { state.view = "search"; update(); });
  on("brand", "click", (event) => { event.preventDefault(); Object.assign(state, { q: "", like: "", filters: [], page: 1, view: "search" }); update(); byId("query").focus(); });
  document.addEventListener("keydown", onKey);
  window.addEventListener("popstate", () => { clearTimeout(timers.input); [settled, typing] = [true, false]; Object.assign(state, readAddress()); showState(); search(); });
  translate(document.body);
  showState();
  const linked = linkedPlace();
  placed = learnRoots().then(() => { showState(); chips(); }); // which name folders
  search().then(() => linked && open(linked));
  if (!state.q && state.view === "search") byId("query").focus();
}

start();
