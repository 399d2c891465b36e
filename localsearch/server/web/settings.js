// Settings that an administrator changes on the page, each with its consequence. They are written into settings.toml.

import { follow, get, post } from "./api.js";
import { count, el, plain } from "./dom.js";
import { tell } from "./folder.js";
import { t } from "./words.js";

const MEMORY = [512, 1024, 2048, 4096];

// The rows, filled once the server has told what is in force; `choice` lays out one, `wrong` tells what went wrong.
export function settingsRows(choice, wrong) {
  const box = el("div", { class: "settings" });
  get("/settings").then((now) => fill(box, now, choice, wrong), (error) => { if (error.status !== 403) wrong(error); });
  return box;
}

function fill(box, now, choice, wrong) {
  const told = el("p", { class: "about", role: "status" });
  const change = (what) => post("/settings", what).then((answer) => {
    fill(box, answer.settings, choice, wrong);
    const said = box.querySelector("[role=status]");
    said.textContent = answer.at_next_start.length ? t("Kept. It counts when the server starts next.") : t("Kept, and in force from now on.");
    if (answer.needs_version) offerVersion(box, said, what.model, answer.settings, wrong);
  }).catch((error) => { wrong(error); fill(box, now, choice, wrong); });
  const select = (id, values, value, take) => el("select", { id, "data-focus": id, onchange: (event) => change(take(event.target.value)) },
    ...values.map(([key, label]) => el("option", { value: key, selected: String(key) === String(value) }, label)));
  const had = box.contains(document.activeElement) ? document.activeElement.id : "";
  box.replaceChildren(
    choice(select("set-ocr", [["auto", t("where it can be")], ["on", t("on")], ["off", t("off")]], now.ocr, (ocr) => ({ ocr })), "set-ocr", t("Read text in scans and pictures"), ocrSays(now)),
    choice(select("set-engine", [["auto", t("any that is installed")], ...["rapidocr", "tesseract"].map((name) => [name, now.ocr_engines.includes(name) ? name : t("{0}, not installed", name)])], now.ocr_engine, (ocr_engine) => ({ ocr_engine })), "set-engine", t("With which program"), t("RapidOCR reads many scripts; Tesseract those whose languages are installed.")),
    choice(select("set-model", models(now), now.model, (model) => ({ model })), "set-model", t("Model of meaning"), now.chunks ? t("Another one first has to learn {0} passages, in the background. Until then this one answers.", count(now.chunks)) : t("It learns the texts as they are read.")),
    choice(select("set-languages", [["any", t("this model for all")], ["auto", t("a model that knows them")]], now.languages, (languages) => ({ languages })), "set-languages", t("Languages of the texts"), t("Counts when texts are learned for the first time: a better model may be fetched then, of up to some hundred megabytes.")),
    choice(select("set-memory", (MEMORY.includes(now.memory_mb) ? MEMORY : [...MEMORY, now.memory_mb]).map((mb) => [mb, `${count(mb)} MB`]), now.memory_mb, (mb) => ({ memory_mb: Number(mb) })), "set-memory", t("Memory of each reader"), t("Less spares this machine; files that need more are told as not read. Counts from the next start.")),
    told);
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

// Vectors of the new model are made beside those in use; then it may answer.
function offerVersion(box, said, model, now, wrong) {
  const bar = el("progress", { hidden: true, "aria-label": t("Progress") });
  const state = el("span", { class: "about" });
  const build = el("button", { type: "button", class: "plain", onclick: () => {
    build.disabled = true;
    bar.hidden = false;
    post("/versions", { model })
      .then((started) => follow(started.job.id, (job) => tell(job, bar, state)))
      .then((job) => {
        bar.hidden = true;
        if (job.state !== "done") throw new Error(job.error?.message || t("It was stopped."));
        state.textContent = "";
        build.replaceWith(el("button", { type: "button", class: "plain", onclick: () => post(`/versions/${job.result.id}/activate`, {}).then(() => location.reload(), wrong) }, t("Let {0} answer from now on", plain(model))));
      })
      .catch((error) => { build.disabled = false; bar.hidden = true; state.textContent = error.text || error.message; });
  } }, t("Learn {0} passages with {1} now", count(now.chunks), plain(model)));
  said.textContent = t("Kept. {0} does not answer yet.", plain(model));
  box.append(el("div", { class: "row" }, build, bar, state));
}
