// Settings that an administrator changes on the page, each with its consequence. They are written into settings.toml.

import { follow, get, post } from "./api.js";
import { count, el, plain } from "./dom.js";
import { tell } from "./folder.js";
import { t } from "./words.js";

const MEMORY = [512, 1024, 2048, 4096];

// The rows, filled once the server has told what is in force; `choice` lays out one, `wrong` tells what went wrong.
export function settingsRows(choice, wrong) {
  const box = el("div", { class: "settings" });
  told().then(([now, versions]) => fill(box, now, versions, null, choice, wrong), (error) => { if (error.status !== 403) wrong(error); });
  return box;
}

const told = () => Promise.all([get("/settings"), get("/versions").then((answer) => answer.versions)]);

// `chosen` is the model that was just chosen and does not answer yet.
function fill(box, now, versions, chosen, choice, wrong) {
  const said = el("p", { class: "about", role: "status" });
  const change = (what) => post("/settings", what).then((answer) => {
    fill(box, answer.settings, versions, answer.needs_version ? what.model : null, choice, wrong);
    if (!answer.needs_version) box.querySelector("[role=status]").textContent = t(answer.at_next_start.length ? "Kept. It counts when the server starts next." : "Kept, and in force from now on.");
  }).catch((error) => { wrong(error); fill(box, now, versions, chosen, choice, wrong); });
  const select = (id, values, value, take) => el("select", { id, "data-focus": id, onchange: (event) => change(take(event.target.value)) },
    ...values.map(([key, label]) => el("option", { value: key, selected: String(key) === String(value) }, label)));
  const had = box.contains(document.activeElement) ? document.activeElement.id : "";
  box.replaceChildren(
    choice(select("set-ocr", [["auto", t("where it can be")], ["on", t("on")], ["off", t("off")]], now.ocr, (ocr) => ({ ocr })), "set-ocr", t("Read text in scans and pictures"), ocrSays(now)),
    choice(select("set-engine", [["auto", t("any that is installed")], ...["rapidocr", "tesseract"].map((name) => [name, now.ocr_engines.includes(name) ? name : t("{0}, not installed", name)])], now.ocr_engine, (ocr_engine) => ({ ocr_engine })), "set-engine", t("With which program"), t("RapidOCR reads many scripts; Tesseract those whose languages are installed.")),
    choice(select("set-model", models(now), chosen ?? now.model, (model) => ({ model })), "set-model", t("Model of meaning"), now.chunks ? t("Another one first has to learn {0} passages, in the background. Until then this one answers.", count(now.chunks)) : t("It learns the texts as they are read.")),
    choice(select("set-languages", [["any", t("this model for all")], ["auto", t("a model that knows them")]], now.languages, (languages) => ({ languages })), "set-languages", t("Languages of the texts"), t("Counts when texts are learned for the first time: a better model may be fetched then, of up to some hundred megabytes.")),
    choice(select("set-memory", (MEMORY.includes(now.memory_mb) ? MEMORY : [...MEMORY, now.memory_mb]).map((mb) => [mb, `${count(mb)} MB`]), now.memory_mb, (mb) => ({ memory_mb: Number(mb) })), "set-memory", t("Memory of each reader"), t("Less spares this machine; files that need more are told as not read. Counts from the next start.")),
    said, offer(now, versions, chosen, said, wrong) ?? "");
  if (had) box.querySelector(`#${CSS.escape(had)}`)?.focus({ preventScroll: true });
}

const models = (now) => {
  const names = now.models.map((one) => one.name);
  return [...(names.includes(now.model) ? [] : [now.model]), ...names].map((name) => [name, plain(name)]);
};

function ocrSays(now) {
  if (now.ocr === "off") return t("Scanned pages and pictures are found by their names alone.");
  return now.recognises_with ? t("With {0}, when all else is read. Slow: seconds for each page.", now.recognises_with) : t("No program for it is installed here: pip install 'localsearch[ocr]', or the program tesseract.");
}

// What makes the chosen model answer, or one whose vectors are complete. They are made beside those in use first.
function offer(now, versions, chosen, said, wrong) {
  const model = chosen ?? versions.findLast((one) => one.state === "ready")?.model;
  if (!model) return null;
  said.textContent = t(chosen ? "Kept. {0} does not answer yet." : "{0} has learnt all passages and does not answer yet.", plain(model));
  const bar = el("progress", { hidden: true, "aria-label": t("Progress") });
  const state = el("span", { class: "about" });
  const known = versions.find((one) => one.model === model && one.state !== "building");
  const row = el("div", { class: "row" }, known ? letAnswer(known, wrong) : null, bar, state);
  if (!known) row.prepend(learn(model, now.chunks, bar, state, (id) => letAnswer({ id, model }, wrong)));
  return row;
}

function letAnswer(version, wrong) {
  const act = () => post(`/versions/${version.id}/activate`, {}).then(() => location.reload(), wrong);
  return el("button", { type: "button", class: "plain", onclick: act }, t("Let {0} answer from now on", plain(version.model)));
}

function learn(model, chunks, bar, state, then) {
  const build = el("button", { type: "button", class: "plain", onclick: () => {
    build.disabled = true;
    bar.hidden = false;
    post("/versions", { model })
      .then((started) => follow(started.job.id, (job) => tell(job, bar, state)))
      .then((job) => {
        bar.hidden = true;
        if (job.state !== "done") throw new Error(job.error?.message || t("It was stopped."));
        state.textContent = "";
        const next = then(job.result.id);
        build.replaceWith(next);
        next.focus();
      })
      .catch((error) => { build.disabled = false; bar.hidden = true; state.textContent = error.text || error.message; });
  } }, t("Learn {0} passages with {1} now", count(chunks), plain(model)));
  return build;
}
