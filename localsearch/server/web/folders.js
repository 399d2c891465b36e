// Folders on the start: each with its counts and freshness, and for whoever may, scanning, leaving out, forgetting, adding.

import { get, post } from "./api.js";
import { count, el, plain } from "./dom.js";
import { folderForm } from "./folder.js";
import { ago, t } from "./words.js";

export function folderList(now, act) {
  const rows = now.folders.map((folder) => row(folder, now, act));
  const add = now.may_manage ? el("details", { class: "adding" }, el("summary", { "data-focus": "add" }, t("Add a folder")), addFolder(null, act.done)) : null;
  const none = el("p", { class: "about" }, t("No folder: these documents were sent by programs."));
  return [el("h3", {}, t("Folders")), rows.length ? el("ul", { class: "folders", role: "list" }, ...rows) : none, add].filter(Boolean);
}

function row(folder, now, act) {
  const failed = folder.files.failed || 0;
  const facts = [
    folder.documents === 1 ? t("1 document") : t("{0} documents", count(folder.documents)),
    failed ? t("{0} could not be read", count(failed)) : "", folder.noted ? t("{0} not read whole", count(folder.noted)) : "",
    folder.collection !== "default" ? plain(folder.collection) : "",
    now.watching && !folder.held && !folder.missing ? t("kept current") : folder.checked ? t("looked through {0}", ago(folder.checked)) : "",
  ].filter(Boolean);
  const wrong = folder.held ? t("Came with a backup and is not read. Confirm it with: localsearch trust") : folder.missing ? t("Cannot be reached now; what was read of it is still found.") : "";
  const left = [...folder.include.map((one) => t("only {0}", one)), ...folder.exclude.map((one) => t("without {0}", one))].join(", ");
  return el("li", {},
    el("div", {}, el("strong", { dir: "auto" }, plain(folder.path.split("/").filter(Boolean).at(-1) || folder.path)), " ", el("small", { dir: "auto" }, plain(folder.path))),
    el("div", { class: "about" }, facts.join(" · "), left ? ` · ${plain(left)}` : ""),
    wrong ? el("div", { class: "wrong" }, wrong) : null,
    now.may_manage ? el("div", { class: "actions" }, ...actions(folder, act)) : null);
}

function actions(folder, act) {
  const named = { path: folder.path, collection: folder.collection };
  const button = (label, run) => el("button", { type: "button", class: "plain", "data-focus": `${label} ${folder.collection} ${folder.path}`, "aria-label": `${label}: ${plain(folder.path)}`, onclick: run }, label);
  const scan = () => post("/index", { paths: [folder.path], collection: folder.collection, retry_failed: true }).then(act.again, act.wrong);
  return [
    ...(folder.held ? [] : [button(t("Look through again"), scan), button(t("Leave out …"), () => leaveOut(folder, named, act))]),
    button(t("Forget …"), () => forget(folder, named, act)),
  ];
}

function leaveOut(folder, named, act) {
  const field = el("textarea", { id: "patterns", rows: 4, spellcheck: false, value: folder.exclude.join("\n") });
  const body = [
    el("label", { htmlFor: "patterns" }, t("Files that match are left out, now and later. One pattern a line, such as *.log or drafts/")), field,
  ];
  dialog(t("Leave out of {0}", plain(folder.path)), body, t("Leave them out"), () => {
    const exclude = field.value.split("\n").map((one) => one.trim()).filter(Boolean);
    return post("/folders/patterns", { ...named, include: folder.include, exclude });
  }, act);
}

function forget(folder, named, act) {
  const consequence = t("Its {0} documents are not found any more. The files themselves stay where they are.", count(folder.documents));
  dialog(t("Forget {0}?", plain(folder.path)), [el("p", {}, consequence)], t("Forget it"), () => post("/folders/forget", named), act);
}

// A question with its consequence. What went wrong is told in it.
function dialog(heading, body, yes, run, act) {
  const wrong = el("p", { class: "wrong", role: "alert" });
  const form = el("form", { method: "dialog" }, el("h2", { id: "dialog-title", dir: "auto" }, heading), ...body, wrong,
    el("div", { class: "row" }, el("button", { type: "submit" }, yes), el("button", { type: "button", class: "plain", onclick: () => box.close() }, t("Cancel"))));
  const box = el("dialog", { class: "card", "aria-labelledby": "dialog-title" }, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run().then(() => { box.close(); act.again(); }, (error) => { wrong.textContent = error.text || error.message; });
  });
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
}

// The form of a new folder with a chooser beside it.
export function addFolder(heading, done) {
  const form = folderForm(heading, done);
  const field = form.querySelector(".folder");
  const box = el("div", { class: "chooser" });
  const open = el("button", { type: "button", class: "plain", "aria-expanded": "false", onclick: () => toggle() }, t("Choose …"));
  const toggle = () => {
    const closed = open.getAttribute("aria-expanded") === "false";
    open.setAttribute("aria-expanded", closed);
    if (closed) step(box, field, field.value.trim()); else box.replaceChildren();
  };
  field.after(open);
  form.querySelector(".row").after(box);
  return form;
}

async function step(box, field, path) {
  try {
    const now = await get(`/folders/choices${path ? `?${new URLSearchParams({ path })}` : ""}`);
    if (now.path) field.value = now.path;
    const go = (label, to, note = "") => el("li", {}, el("button", { type: "button", class: "plain", dir: "auto", onclick: () => step(box, field, to).then(() => box.querySelector("button")?.focus()) }, label), note ? el("small", {}, note) : null);
    const up = now.parent === null ? [] : [go(t("↑ up"), now.parent)];
    const more = now.more ? el("p", { class: "about" }, t("and {0} more: type the path", count(now.more))) : null;
    const none = now.folders.length ? null : el("p", { class: "about" }, t("No folders in here."));
    box.replaceChildren(el("ul", { role: "list", "aria-label": t("Folders") }, ...up, ...now.folders.map((one) => go(plain(one.name), one.path, one.indexed ? t("searchable already") : ""))), ...[more, none].filter(Boolean));
  } catch (error) {
    if (path && error.status !== 403) return void step(box, field, "");
    box.replaceChildren(el("p", { class: "wrong", role: "alert" }, error.text || error.message));
  }
}
