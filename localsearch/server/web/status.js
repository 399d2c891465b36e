// What is indexed, how it is doing, and what could not be read.

import { get, post } from "./api.js";
import { folderForm, tell } from "./folder.js";
import { count, el, size } from "./dom.js";

const EVERY_MS = 3000;
let timer = null;

export function startStatus(view) {
  if (timer) return;
  const parts = { alerts: el("div"), cards: el("div", { class: "cards" }), charts: el("div", { class: "cards" }), jobs: el("div"), ledger: el("div"), versions: el("div") };
  const adding = folderForm(() => refresh(parts));
  adding.querySelector("h2").textContent = "Add a folder";
  view.replaceChildren(el("h1", {}, "Status"), ...Object.values(parts), adding);
  refresh(parts);
  timer = setInterval(() => refresh(parts), EVERY_MS);
}

export function stopStatus() {
  clearInterval(timer);
  timer = null;
}

async function refresh(parts) {
  const [stats, history, alerts, jobs, ledger, versions] = await Promise.all(
    ["/stats", "/stats/history", "/alerts", "/jobs?limit=5", "/ledger?state=failed&limit=50", "/versions"].map((path) => get(path).catch(() => null)));
  if (stats) parts.cards.replaceChildren(...cards(stats));
  if (history) parts.charts.replaceChildren(...charts(history.samples));
  if (alerts) parts.alerts.replaceChildren(...alerts.alerts.map((alert) => el("p", { class: "alert", role: "alert" }, `${alert.name}: ${alert.state} (${alert.value.toPrecision(3)}, limit ${alert.threshold}). ${alert.help}`)));
  if (jobs) parts.jobs.replaceChildren(...section("Work in the background", jobs.jobs.map(job)));
  if (ledger) parts.ledger.replaceChildren(...unread(ledger));
  if (versions) parts.versions.replaceChildren(...section("Embedding versions", versions.versions.map((version) => el("p", {}, `${version.name}: ${version.state}, ${count(version.pending)} to embed, ${size(version.bytes)}`))));
}

const card = (name, value, more = "") => el("div", { class: "card figure" }, el("strong", {}, value), el("span", {}, name), more ? el("small", {}, more) : null);

function cards(stats) {
  const hosted = Object.entries(stats.cost.hosted).map(([name, dollars]) => `${name} $${dollars.toFixed(4)}`).join(", ");
  const bar = el("progress", { max: 1, value: stats.semantic_coverage, "aria-label": "Found by meaning" });
  const coverage = card("found by meaning", `${(stats.semantic_coverage * 100).toFixed(1)} %`, stats.background_error || "");
  coverage.append(bar);
  return [
    card("documents", count(stats.documents), `${count(stats.chunks)} passages`), coverage,
    card("on disk", size(stats.bytes), stats.version || "no embeddings yet"),
    card("search, median", `${stats.latency.p50_ms.toFixed(1)} ms`, `p99 ${stats.latency.p99_ms.toFixed(1)} ms, ${count(stats.latency.searches)} in five minutes`),
    card("tokens embedded", count(stats.cost.tokens), `${stats.cost.cpu_s.toFixed(0)} CPU s; elsewhere ${hosted}`),
    card("could not be read", count(stats.files.failed), `${count(stats.files.indexed)} indexed, ${count(stats.files.skipped)} skipped`),
  ];
}

function charts(samples) {
  return [
    chart("Latency p50 and p99, ms", [samples.map((s) => s.p50_ms), samples.map((s) => s.p99_ms)]),
    chart("Answers remembered, %", [samples.map((s) => s.hit_rate * 100)], 100),
    chart("Found by meaning, %", [samples.map((s) => s.semantic_coverage * 100)], 100),
  ];
}

function chart(title, lines, top) {
  const [width, height] = [260, 70];
  const most = top || Math.max(1, ...lines.flat());
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${title}: now ${lines.map((line) => (line.at(-1) ?? 0).toFixed(1)).join(" and ")}`);
  lines.forEach((line, at) => {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    const x = (i) => (line.length > 1 ? (i / (line.length - 1)) * width : width);
    path.setAttribute("points", line.map((value, i) => `${x(i).toFixed(1)},${(height - 3 - (value / most) * (height - 6)).toFixed(1)}`).join(" "));
    path.setAttribute("class", `line line-${at}`);
    svg.append(path);
  });
  return el("div", { class: "card" }, el("span", {}, `${title}: ${lines.map((line) => (line.at(-1) ?? 0).toFixed(1)).join(" / ")}`), svg);
}

function job(one) {
  const bar = el("progress", { "aria-label": `Job ${one.id}` });
  const state = el("span");
  tell(one, bar, state);
  const running = ["queued", "running"].includes(one.state);
  const stop = running ? el("button", { type: "button", class: "plain", onclick: () => fetchDelete(one.id) }, "Stop") : null;
  const files = one.result?.files;
  const ended = files ? `new ${files.new}, changed ${files.changed}, unchanged ${files.unchanged}, removed ${files.removed}, failed ${files.failed}` : one.error?.message || "";
  return el("div", { class: "row" }, el("span", {}, `${one.kind} #${one.id}: ${one.state}`), running ? bar : null, el("span", { class: "about" }, running ? state : ended), stop);
}

const fetchDelete = (id) => import("./api.js").then(({ ask }) => ask("DELETE", `/jobs/${id}`));

function unread(ledger) {
  const failed = ledger.counts.failed || 0;
  const heading = failed === 1 ? "1 file could not be read" : `${count(failed)} files could not be read`;
  const rules = ledger.rules.map((rule) => el("li", {}, `${rule.state} (${rule.rule}): ${count(rule.files)}`));
  const rows = ledger.files.map((file) => el("tr", {}, el("td", {}, file.path), el("td", {}, file.reason + (file.stale ? " (an older text of it is still searchable)" : ""))));
  const table = rows.length ? el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "File"), el("th", { scope: "col" }, "Reason"))), el("tbody", {}, ...rows)) : null;
  const retry = failed ? el("button", { type: "button", onclick: retryAll }, "Try them again") : null;
  return [el("h2", {}, heading), rules.length ? el("ul", {}, ...rules) : "", table || "", retry || ""];
}

async function retryAll() {
  const stats = await get("/stats");
  if (stats.roots.length) await post("/index", { paths: stats.roots, retry_failed: true });
}

const section = (title, rows) => (rows.length ? [el("h2", {}, title), ...rows] : []);
