// Where a hit is: folders below the one that was added, the file, and the place in it.

import { get } from "./api.js";
import { el, plain } from "./dom.js";
import { t } from "./words.js";

let roots = [];

// The folders that were added; without them paths are shown whole.
export async function learnRoots() {
  roots = await get("/folders").then((now) => now.folders.map((folder) => folder.path), () => roots);
}

export function within(place) {
  if (place.page) return t("page {0}", place.page);
  if (place.sheet) return `${place.sheet}${place.row ? ` ${t("row {0}", place.row)}` : ""}`;
  if (place.message) return t("message {0}", place.message);
  if (place.chapter) return String(place.chapter);
  return place.line ? t("line {0}", place.line) : "";
}

// The names of the folders from the one that was added down, and of the file.
export function steps(hit) {
  if (!hit.path) return [hit.id];
  const root = roots.filter((one) => hit.path === one || hit.path.startsWith(`${one.replace(/\/$/, "")}/`)).sort((a, b) => b.length - a.length)[0];
  const below = root ? hit.path.slice(root.replace(/\/$/, "").lastIndexOf("/") + 1) : hit.path;
  const names = below.split("/").filter(Boolean);
  return hit.location.member ? [...names, hit.location.member] : names;
}

export function breadcrumb(hit) {
  const names = steps(hit);
  const parts = names.map((name, at) => el("span", { class: at === names.length - 1 ? "file" : "", dir: "auto" }, plain(name)));
  const place = within(hit.location);
  return el("span", { class: "crumbs" }, ...parts.flatMap((part, at) => (at ? [" › ", part] : [part])), place ? `, ${plain(place)}` : "");
}
