// Adding a folder, with its progress as it is read.

import { follow, post } from "./api.js";
import { count, el } from "./dom.js";

export function folderForm(done) {
  const path = el("input", { id: "folder", type: "text", placeholder: "/home/me/documents", required: true, spellcheck: false });
  const state = el("p", { role: "status", "aria-live": "polite" });
  const bar = el("progress", { hidden: true, "aria-label": "Progress" });
  const button = el("button", { type: "submit" }, "Make searchable");
  const form = el("form", { class: "card welcome" },
    el("h2", {}, "Nothing is indexed yet"),
    el("label", { htmlFor: "folder" }, "Which folder should be searchable? It is read on this machine and stays on it."),
    el("div", { class: "row" }, path, button), bar, state);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    button.disabled = true;
    add(path.value.trim(), bar, state).then(done, (error) => { state.textContent = `${error.message} ${error.hint || ""}`; })
      .finally(() => { button.disabled = false; bar.hidden = true; });
  });
  return form;
}

async function add(path, bar, state) {
  const started = await post("/index", { paths: [path] });
  bar.hidden = false;
  const job = await follow(started.job.id, (now) => tell(now, bar, state));
  if (job.state !== "done") throw new Error(job.error?.message || `The job ended as ${job.state}.`);
}

export function tell(job, bar, state) {
  const step = job.progress;
  if (step.total) { bar.max = step.total; bar.value = step.done; } else bar.removeAttribute("value");
  const of = step.total ? ` of ${count(step.total)}` : "";
  state.textContent = step.stage ? `${step.stage}: ${count(step.done)}${of} ${step.unit}` : job.state;
}
