// What was asked, for paper, on which no field is.

import { likeness } from "./address.js";
import { el, plain } from "./dom.js";
import { filterLabel } from "./place.js";
import { t } from "./words.js";

export function printed(state) {
  const asked = [state.q.trim(), state.like && likeness(state.like)].filter(Boolean).join(", ");
  const lines = [asked && [t("Asked for"), asked], state.filters.length && [t("Filters"), state.filters.map(filterLabel).join(", ")]];
  return lines.filter(Boolean).map(([name, text]) => el("p", {}, el("strong", {}, `${name}: `), plain(text)));
}
