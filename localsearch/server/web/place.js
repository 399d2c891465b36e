// Where a hit is: folders below the one that was added, the file, and the place in it.

import { get } from "./api.js";
import { el, plain, shortened } from "./dom.js";
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

const bare = (path) => path.replace(/\/$/, "");
const rootOf = (path) => roots.filter((one) => path === one || path.startsWith(`${bare(one)}/`)).sort((a, b) => b.length - a.length)[0];

// The last names of a path, as many as tell it from others.
function apart(path, others) {
  const names = path.split("/").filter(Boolean);
  for (let most = 1; most < names.length; most += 1) {
    const name = names.slice(-most).join("/");
    if (others.every((other) => other === path || !`/${bare(other)}`.endsWith(`/${name}`))) return name;
  }
  return names.join("/") || path;
}

// A path below a folder that was added, as that folder's name and the names below it; null for any other.
function belowRoot(path) {
  const root = rootOf(path);
  return root === undefined ? null : [apart(root, roots), ...path.slice(bare(root).length).split("/").filter(Boolean)];
}

// How a folder is called in a few words: from the one that was added down; another by its last names, two alike by more.
function shortFolder(path, others = roots) {
  return belowRoot(path)?.join("/") ?? (path.split("/").filter(Boolean).length > 1 ? `…/${apart(path, others)}` : path);
}

// Folders to choose from, each with what it is called: within the one that was added where all are in that one. What
// only leads to a folder that was added is no choice.
export function facetFolders(paths) {
  const leads = (path) => rootOf(path) === undefined && paths.some((other) => other.startsWith(`${bare(path)}/`) && rootOf(other) !== undefined);
  const shown = paths.filter((path) => !leads(path));
  const alone = new Set(shown.map(rootOf)).size === 1;
  return new Map(shown.map((path) => [path, (alone && belowRoot(path)?.slice(1).join("/")) || shortFolder(path, shown)]));
}

const PATH = /^(-?path:)(?:"((?:[^"\\]|\\.)*)"|(\/\S*))$/;

// A filter as it is shown: a folder in it from the one that was added down.
export function filterLabel(filter) {
  const [, field, inQuotes, unquoted] = PATH.exec(filter) || [];
  const path = inQuotes === undefined ? unquoted : inQuotes.replace(/\\(.)/g, "$1");
  if (!path?.startsWith("/") || path === "/") return shortened(plain(filter));
  return `${field}${shortened(plain(shortFolder(path.replace(/\/$/, ""))))}${path.endsWith("/") ? "/" : ""}`;
}

// What a hit is called; a mail without a subject by the file that it is in.
export function titleOf(hit) {
  const { message } = hit.location;
  if (message && hit.path && hit.title === String(message)) return `${hit.path.split("/").at(-1)}, ${t("message {0}", message)}`;
  return plain(hit.title || hit.id);
}

// The names of the folders from the one that was added down, and of the file.
export function steps(hit) {
  if (!hit.path) return [hit.id];
  const names = belowRoot(hit.path) ?? hit.path.split("/").filter(Boolean);
  return hit.location.member ? [...names, hit.location.member] : names;
}

// A file that is called by its name is not named a second time. Long names are shortened to `most` characters.
export function breadcrumb(hit, most = 48) {
  const names = steps(hit);
  const shown = names.length > 1 && hit.title === names.at(-1) ? names.slice(0, -1) : names;
  const parts = shown.map((name, at) => el("span", { class: at === names.length - 1 ? "file" : "", dir: "auto" }, shortened(plain(name), most)));
  const place = within(hit.location, hit.metadata?.type);
  return el("span", { class: "crumbs" }, ...parts.flatMap((part, at) => (at ? [" › ", part] : [part])), place ? `, ${plain(place)}` : "");
}
