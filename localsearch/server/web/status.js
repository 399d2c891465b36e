// What is indexed, how it is doing, and what could not be read.

import { ask, get, post } from "./api.js";
import { count, el, percent, plain, redraw, size, tenths } from "./dom.js";
import { outcome, tell } from "./folder.js";
import { addFolder } from "./folders.js";
import { reason, t } from "./words.js";

const EVERY_MS = 3000;
let timer = null;
let shown = "failed"; // which files the ledger lists
const NONE = { failed: "Every file that was tried could be read.", noted: "Every file that was read was read whole.", skipped: "No file was left out." };

export function startStatus(view) {
  if (timer) return;
  const names = ["alerts", "cards", "charts", "jobs", "ledger", "versions"];
  const parts = Object.fromEntries(names.map((name) => [name, { box: el("div", { class: ["cards", "charts"].includes(name) ? "cards" : "" }), last: "" }]));
  parts.alerts.box.setAttribute("role", "status");
  const again = () => refresh(parts);
  view.replaceChildren(el("h1", {}, t("Status")), ...names.map((name) => parts[name].box), addFolder(t("Add a folder"), again));
  again();
  timer = setInterval(() => { if (!document.hidden) again(); }, EVERY_MS);
}

export function stopStatus() {
  clearInterval(timer);
  timer = null;
}

async function refresh(parts) {
  const draw = (name, path, build) => get(path).then((answer) => redraw(parts[name], answer, build), () => null);
  const again = () => refresh(parts);
  await Promise.all([
    draw("cards", "/stats", cards),
    draw("charts", "/stats/history", (history) => charts(history.samples)),
    draw("alerts", "/alerts", (now) => now.alerts.map(alert)),
    draw("jobs", "/jobs?limit=5", (now) => section(t("Work in the background"), now.jobs.map((one) => job(one, again)))),
    draw("ledger", `/ledger?state=${shown}&limit=50`, (ledger) => unread(ledger, again)),
    draw("versions", "/versions", (now) => section(t("Embedding versions"), now.versions.map(version))),
  ]);
}

const alert = (one) => el("p", { class: "alert" }, `${one.name}: ${one.state} (${one.value.toPrecision(3)}, limit ${one.threshold}). ${one.help}`);
const version = (one) => el("p", {}, t("{0}: {1}, {2} to embed, {3}", one.name, t(one.state), count(one.pending), size(one.bytes)));
const card = (name, value, more = "") => el("div", { class: "card figure" }, el("strong", {}, value), el("span", {}, name), more ? el("small", {}, more) : null);

function cards(stats) {
  const hosted = Object.entries(stats.cost.hosted).map(([name, dollars]) => `${name} $${dollars.toFixed(4)}`).join(", ");
  const bar = el("progress", { max: 1, value: stats.semantic_coverage, "aria-label": t("found by meaning") });
  const coverage = card(t("found by meaning"), percent(stats.semantic_coverage), stats.background_error || (stats.better_model ? t("{0} knows the languages of these texts better", stats.better_model) : ""));
  coverage.append(bar);
  return [
    card(t("documents"), count(stats.documents), t("{0} passages", count(stats.chunks))), coverage,
    card(t("on disk"), size(stats.bytes), stats.version || t("no embeddings yet")),
    card(t("search, median"), `${tenths(stats.latency.p50_ms)} ms`, t("p99 {0} ms, {1} in five minutes", tenths(stats.latency.p99_ms), count(stats.latency.searches))),
    card(t("tokens embedded"), count(stats.cost.tokens), t("{0} CPU s; elsewhere {1}", count(Math.round(stats.cost.cpu_s)), hosted)),
    card(t("could not be read"), count(stats.files.failed), t("{0} indexed, {1} skipped", count(stats.files.indexed), count(stats.files.skipped))),
  ];
}

function charts(samples) {
  return [
    chart(t("Latency p50 and p99, ms"), [samples.map((s) => s.p50_ms), samples.map((s) => s.p99_ms)]),
    chart(t("Answers remembered, %"), [samples.map((s) => s.hit_rate * 100)], 100),
    chart(t("Found by meaning, %"), [samples.map((s) => s.semantic_coverage * 100)], 100),
  ];
}

const now = (lines) => lines.map((line) => tenths(line.at(-1) ?? 0)).join(" / ");

function chart(title, lines, top) {
  const [width, height] = [260, 70];
  const most = top || Math.max(1, ...lines.flat());
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", t("{0}: now {1}", title, now(lines)));
  lines.map((line) => (line.length === 1 ? [line[0], line[0]] : line)).forEach((line, at) => {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    const x = (i) => (i / (line.length - 1)) * width;
    path.setAttribute("points", line.map((value, i) => `${x(i).toFixed(1)},${(height - 3 - (value / most) * (height - 6)).toFixed(1)}`).join(" "));
    path.setAttribute("class", `line line-${at}`);
    svg.append(path);
  });
  return el("div", { class: "card" }, el("span", {}, `${title}: ${now(lines)}`), svg);
}

function job(one, again) {
  const bar = el("progress", { "aria-label": t("Progress of job {0}", one.id) });
  const state = el("span");
  tell(one, bar, state);
  const running = ["queued", "running"].includes(one.state);
  const stop = running ? el("button", { type: "button", class: "plain", "data-focus": `stop ${one.id}`, onclick: () => ask("DELETE", `/jobs/${one.id}`).then(again, () => null) }, t("Stop")) : null;
  const ended = one.result?.files ? outcome(one.result.files) : one.error?.message || "";
  return el("div", { class: "row job" }, el("span", {}, `${t(one.kind)} #${one.id}: ${t(one.state)}`), running ? bar : null, el("span", { class: "about" }, running ? state : ended), stop);
}

function unread(ledger, again) {
  const { failed = 0, skipped = 0, noted = 0 } = ledger.counts;
  const pick = (name, label) => el("button", { type: "button", class: "plain pick", "data-focus": `ledger ${name}`, "aria-pressed": shown === name, onclick: () => { shown = name; again(); } }, label);
  const rules = ledger.rules.filter((rule) => rule.state === shown).map((rule) => el("li", {}, `${t(rule.rule)}: ${count(rule.files)}`));
  const retry = failed && shown === "failed" ? el("button", { type: "button", "data-focus": "retry", onclick: () => retryAll().then(again, () => null) }, t("Try them again")) : null;
  return [
    el("h2", {}, t("Files that were not read")),
    el("div", { class: "row" }, pick("failed", t("{0} could not be read", count(failed))), pick("noted", t("{0} not read whole", count(noted))), pick("skipped", t("{0} left out by a rule", count(skipped))), retry),
    rules.length ? el("ul", { class: "rules" }, ...rules) : "",
    ledger.files.length ? table(ledger.files) : el("p", { class: "about" }, t(NONE[shown])),
  ];
}

function table(files) {
  const head = el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("File")), el("th", { scope: "col" }, t("Reason"))));
  const rows = files.map((file) => el("tr", {}, el("td", {}, plain(file.path)), el("td", {}, plain(file.told.map(reason).join("; ")), file.remedy ? el("div", { class: "about" }, plain(t(file.remedy))) : "", (file.stale ? ` (${t("an older text of it is still searchable")})` : ""))));
  return el("table", {}, head, el("tbody", {}, ...rows));
}

// Every folder with what it leaves out, in its own collection.
async function retryAll() {
  const { folders } = await get("/folders");
  for (const { path, collection, held } of folders) if (!held) await post("/index", { paths: [path], collection, retry_failed: true });
}

const section = (title, rows) => (rows.length ? [el("h2", {}, title), ...rows] : []);
