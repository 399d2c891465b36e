// The dialog of a server that asks for an API key.

import { el } from "./dom.js";
import { t } from "./words.js";

// Resolves to the key, or to "" when the dialog is closed without one.
export function askForKey(again) {
  const field = el("input", { type: "password", id: "key", autocomplete: "off", required: true, spellcheck: false });
  const form = el("form", { method: "dialog" },
    el("h2", { id: "key-title" }, t(again ? "That key was not accepted" : "This server asks for a key")),
    el("p", {}, t("Make one with "), el("code", {}, "localsearch keys create NAME"), t(". It is kept until this tab is closed.")),
    el("label", { htmlFor: "key" }, t("API key")), field,
    el("div", { class: "row" }, el("button", { type: "submit" }, t("Use this key")), el("button", { type: "button", class: "plain", onclick: () => dialog.close() }, t("Cancel"))));
  const dialog = el("dialog", { class: "card", "aria-labelledby": "key-title" }, form);
  const before = document.activeElement;
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((done) => {
    let text = "";
    form.addEventListener("submit", (event) => { event.preventDefault(); text = field.value.trim(); dialog.close(); });
    dialog.addEventListener("close", () => { dialog.remove(); before?.focus?.(); done(text); });
  });
}
