// Adding a folder, with its progress as it is read.

import { follow, post } from "./api.js";
import { count, el } from "./dom.js";
import { t, timeLeft } from "./words.js";

const STAGES = { scan: "Looking for files", read: "Reading", embed: "Learning what they mean", merge: "Tidying up" };
let forms = 0;

export function folderForm(heading, done) {
  const id = `folder-${(forms += 1)}`;
  const path = el("input", { id, class: "folder", type: "text", placeholder: "/home/me/documents", required: true, spellcheck: false, autocomplete: "off" });
  const state = el("p", { class: "progress", role: "status" });
  const bar = el("progress", { hidden: true, "aria-label": t("Progress") });
  const button = el("button", { type: "submit" }, t("Make searchable"));
  const form = el("form", { class: "card welcome" },
    heading ? el("h2", {}, heading) : null,
    el("label", { htmlFor: id }, t("Which folder should be searchable? It is read on this machine and stays on it.")),
    el("div", { class: "row" }, path, button), bar, state);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    state.classList.remove("wrong");
    add(path.value.trim(), bar, state)
      .then(done, (error) => { state.classList.add("wrong"); state.textContent = error.text || error.message; })
      .finally(() => { button.disabled = false; bar.hidden = true; });
  });
  return form;
}

async function add(path, bar, state) {
  const started = await post("/index", { paths: [path] });
  bar.hidden = false;
  const job = await follow(started.job.id, (now) => tell(now, bar, state));
  if (job.state !== "done") throw new Error(job.error?.message || t("The job ended as {0}.", t(job.state)));
  const files = job.result?.files;
  if (files) state.textContent = t("Done: {0}.", outcome(files));
}

export const outcome = (files) => ["new", "changed", "unchanged", "removed", "failed"].filter((what) => files[what]).map((what) => `${count(files[what])} ${t(what)}`).join(", ") || t("nothing to read");

export function tell(job, bar, state) {
  const step = job.progress;
  if (step.total) { bar.max = step.total; bar.value = step.done; } else bar.removeAttribute("value");
  const amount = step.total ? t("{0} of {1}", count(step.done), count(step.total)) : count(step.done);
  const left = step.left_s ? `, ${timeLeft(step.left_s)}` : "";
  state.textContent = step.stage ? `${t(STAGES[step.stage] || step.stage)}: ${amount} ${t(step.unit)}${left}` : t(job.kind === "forget" ? "Forgetting" : job.state);
}
