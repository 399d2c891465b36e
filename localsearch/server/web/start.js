// The start: what is here, what is being read, what changed, what could not be read, and the choices that a person makes.

import { ask, get, post } from "./api.js";
import { count, el, inFull, plain, redraw, shortened } from "./dom.js";
import { addFolder, folderList } from "./folders.js";
import { tell } from "./folder.js";
import { icon } from "./icons.js";
import { breadcrumb } from "./place.js";
import { forgetSearches, recentSearches, remembering, setRemembering } from "./recent.js";
import { currentTheme, setTheme } from "./look.js";
import { settingsRows } from "./settings.js";
import { age, locale, reason, t } from "./words.js";

const [BUSY_MS, IDLE_MS] = [2000, 15_000]; // counting a large index costs the server: seldom while nothing goes on
const HINTS = ["type:email", "type:md", "after:2024-01-01", "lang:de", "size:>1mb", '"an exact phrase"'];
const PARTS = ["welcome", "work", "asked", "folders", "recent", "failed", "choices"];
let timer = null;

// Draw it and keep it current; `act` has `ask` (a question), `open` (a document) and `say` (what went wrong).
export async function showStart(box, act, signal) {
  stopStart();
  const parts = Object.fromEntries(PARTS.map((name) => [name, { box: el("section", { class: `part ${name}` }), last: "" }]));
  const refresh = async () => {
    stopStart();
    const now = await look(signal).catch((error) => { if (!signal.aborted) later(IDLE_MS); throw error; });
    if (signal.aborted) return now;
    draw(parts, now, { ...act, again: refresh });
    later(now.jobs.length || (now.stats?.version && now.stats.semantic_coverage < 1) ? BUSY_MS : IDLE_MS);
    return now;
  };
  const later = (ms) => {
    stopStart();
    timer = setTimeout(() => (document.hidden ? later(ms) : refresh().catch(() => null)), ms);
  };
  const first = await refresh();
  if (signal.aborted) return null;
  box.replaceChildren(el("div", { class: "start" }, ...PARTS.map((name) => parts[name].box)));
  return first;
}

export function stopStart() { clearTimeout(timer); timer = null; }

// What may be seen: a key with limits is not told of the whole.
async function look(signal) {
  const unless = (path, nothing) => get(path, signal).catch((error) => { if (error.status === 403) return nothing; throw error; });
  const [shown, stats, recent, jobs, ledger] = await Promise.all([
    get("/folders", signal), unless("/stats", null), get("/recent?limit=6", signal), unless("/jobs?limit=5", { jobs: [] }), unless("/ledger?state=failed&limit=5", null),
  ]);
  const documents = stats ? stats.documents : shown.folders.reduce((sum, one) => sum + one.documents, 0);
  return { ...shown, documents, stats, recent: recent.documents, ledger, jobs: jobs.jobs.filter((one) => ["queued", "running"].includes(one.state)) };
}

function draw(parts, now, act) {
  const first = !now.documents && !now.folders.length;
  redraw(parts.welcome, [now.documents, now.stats?.better_model, first, now.may_manage], () => (first ? firstSteps(now, act) : [welcome(now, act)]));
  redraw(parts.work, [now.jobs, now.stats?.semantic_coverage, now.stats?.background_error], () => work(now, act));
  redraw(parts.asked, recentSearches(), () => asked(act));
  redraw(parts.folders, [now.folders, now.may_manage, now.watching, Math.floor(Date.now() / 60_000)], () => (first ? [] : folderList(now, act)));
  redraw(parts.recent, now.recent, () => recent(now.recent, act));
  redraw(parts.failed, [now.ledger?.files, now.ledger?.counts], () => failed(now.ledger));
  redraw(parts.choices, [now.watching, now.may_manage, first, remembering()], () => (first ? [] : choices(now, act)));
}

function welcome(now, act) {
  const hint = (text) => el("button", { type: "button", class: "plain", "data-focus": text, onclick: () => act.ask(text) }, text);
  const better = now.stats?.better_model;
  return el("div", { class: "card welcome" },
    el("h2", {}, now.documents === 1 ? t("1 document is ready") : t("{0} documents are ready", count(now.documents))),
    el("p", {}, t("Ask in your own words. Narrow with filters, such as:")),
    el("p", { class: "hints" }, ...HINTS.map(hint)),
    better ? el("p", {}, t("{0} knows the languages of these texts better than the model in use: “localsearch models recommend” says what it costs.", better)) : null);
}

// Nothing is here yet: three steps to the first answer.
function firstSteps(now, act) {
  const steps = [
    [t("Choose a folder"), t("With notes, papers, mail or books. It is read on this machine and stays on it.")],
    [t("It is read"), t("Found by words at once, by meaning a little later. Nothing in it is changed.")],
    [t("Ask"), t("In your own words, in any language that the texts have.")],
  ];
  return [
    now.may_manage ? addFolder(t("Nothing is indexed yet"), act.done) : el("div", { class: "card welcome" }, el("h2", {}, t("Nothing is indexed yet")), el("p", {}, t("Whoever runs this server can add a folder: localsearch index FOLDER"))),
    el("ol", { class: "steps", role: "list" }, ...steps.map(([name, text], at) => el("li", { class: "card" }, el("span", { class: "step", "aria-hidden": "true" }, String(at + 1)), el("strong", {}, name), el("span", { class: "about" }, text)))),
  ];
}

function work(now, act) {
  const rows = now.jobs.map((one) => job(one, act));
  const share = now.stats?.version ? now.stats.semantic_coverage : 1;
  if (share < 1) rows.push(el("div", { class: "row job" }, el("span", {}, t("Learning what the texts mean")), el("progress", { max: 1, value: share, "aria-label": t("Found by meaning") }), el("span", { class: "about" }, t("{0} % so far", Math.floor(share * 100)))));
  if (now.stats?.background_error) rows.push(el("p", { class: "wrong" }, now.stats.background_error));
  return rows.length ? [el("h3", {}, t("Being read")), ...rows] : [];
}

function job(one, act) {
  const bar = el("progress", { "aria-label": t("Progress") });
  const state = el("span", { class: "about" });
  tell(one, bar, state);
  const stop = act.may_manage === false ? null : el("button", { type: "button", class: "plain", "data-focus": `stop ${one.id}`, onclick: () => ask("DELETE", `/jobs/${one.id}`).then(act.again, act.wrong) }, t("Stop"));
  return el("div", { class: "job" }, el("div", { class: "row" }, bar, state, stop), one.progress.detail ? el("small", { dir: "auto" }, plain(one.progress.detail)) : null);
}

// Searches made before on this device.
function asked(act) {
  const searches = recentSearches();
  if (!searches.length) return [];
  const one = (text) => el("li", {}, el("button", { type: "button", class: "plain", dir: "auto", "data-focus": `asked ${text}`, onclick: () => act.ask(text) }, plain(text)));
  const clear = el("button", { type: "button", class: "plain", "data-focus": "forget searches", onclick: () => { forgetSearches(); act.again(); } }, t("Clear"));
  return [el("div", { class: "row" }, el("h3", {}, t("Asked before")), clear), el("ul", { class: "asked-list", role: "list" }, ...searches.map(one))];
}

function recent(documents, act) {
  if (!documents.length) return [];
  const rows = documents.map((one) => {
    const hit = { ...one, location: { start: 0, end: 0 }, snippet: "", highlights: [], metadata: { type: one.type } };
    const when = new Date(one.modified * 1000);
    return el("li", {}, icon(one.type), el("button", { type: "button", class: "title", dir: "auto", "data-focus": `recent ${one.collection} ${one.id}`, title: inFull(plain(one.title || one.id)), onclick: (event) => act.open(hit, event.currentTarget) }, shortened(plain(one.title || one.id))),
      el("span", { class: "about" }, breadcrumb(hit), " · ", el("time", { dateTime: when.toISOString(), title: when.toLocaleString(locale) }, age(when.toISOString()))));
  });
  return [el("h3", {}, t("Changed last")), el("ul", { class: "recent", role: "list" }, ...rows)];
}

function failed(ledger) {
  if (!ledger?.files.length) return [];
  const rows = ledger.files.map((file) => el("li", {}, el("span", { class: "path", dir: "auto", title: plain(file.path) }, shortened(plain(file.path.split("/").at(-1)))), el("span", { class: "about" }, `${plain(reason(file.told[0]))}. `, file.remedy ? el("em", {}, plain(t(file.remedy))) : null)));
  const more = ledger.counts.failed - ledger.files.length;
  return [el("h3", {}, t("Could not be read")), el("ul", { class: "failed", role: "list" }, ...rows), more > 0 ? el("p", { class: "about" }, t("and {0} more: see the status", count(more))) : null].filter(Boolean);
}

function choices(now, act) {
  const rows = [];
  if (now.may_manage) {
    const watch = el("input", { type: "checkbox", id: "watching", checked: now.watching, "data-focus": "watching", onchange: (event) => post("/watching", { on: event.target.checked }).then(act.again, act.wrong) });
    rows.push(choice(watch, "watching", t("Keep folders current"), t("What changes in a folder is found seconds later. Costs a little memory, and reading what changed.")));
  }
  if (now.may_manage) rows.push(settingsRows(choice, act.wrong));
  const theme = el("select", { id: "theme-choice", "data-focus": "theme", onchange: (event) => setTheme(event.target.value) },
    ...[["system", t("as the system")], ["light", t("light")], ["dark", t("dark")]].map(([value, label]) => el("option", { value, selected: value === currentTheme() }, label)));
  rows.push(choice(theme, "theme-choice", t("Colours"), t("Of this page, on this device.")));
  const kept = el("input", { type: "checkbox", id: "remembering", checked: remembering(), "data-focus": "remembering", onchange: (event) => { setRemembering(event.target.checked); act.again(); } });
  rows.push(choice(kept, "remembering", t("Remember searches"), t("On this device, in this browser alone. Switched off, those that were kept are forgotten.")));
  return [el("h3", {}, t("Settings")), ...rows, el("p", { class: "about" }, t("Everything else is in settings.toml in the index folder; docs/SETTINGS.md tells what it does."))];
}

const choice = (control, id, name, consequence) => el("div", { class: "choice" }, control, el("label", { htmlFor: id }, el("strong", {}, name), el("span", { class: "about" }, consequence)));

