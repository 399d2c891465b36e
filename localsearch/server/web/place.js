// Where a hit is: folders below the one that was added, the file, and the place in it.

import { get } from "./api.js";
import { el, plain } from "./dom.js";
import { t } from "./words.js";

const SHOWS = new Set(["pptx", "ppt", "odp"]);
let roots = [];
let reveals = false;

// Whether files can be shown in the folder that they are in.
export const mayReveal = () => reveals;

// The folders that were added; without them paths are shown whole.
export async function learnRoots() {
  roots = await get("/folders").then((now) => { reveals = now.may_reveal; return now.folders.map((folder) => folder.path); }, () => roots);
}

export function within(place, type) {
  if (place.page) return t(SHOWS.has(type) ? "slide {0}" : "page {0}", place.page);
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

// A file that is called by its name is not named a second time.
export function breadcrumb(hit) {
  const names = steps(hit);
  const shown = names.length > 1 && hit.title === names.at(-1) ? names.slice(0, -1) : names;
  const parts = shown.map((name, at) => el("span", { class: at === names.length - 1 ? "file" : "", dir: "auto" }, plain(name)));
  const place = within(hit.location, hit.metadata?.type);
  return el("span", { class: "crumbs" }, ...parts.flatMap((part, at) => (at ? [" › ", part] : [part])), place ? `, ${plain(place)}` : "");
}
