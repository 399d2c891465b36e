// What is asked stands in the address, so that it can be shared, bookmarked and gone back to.

import { filterLabel } from "./place.js";
import { t } from "./words.js";

const SORTS = ["relevance", "date", "name", "size"];
const MODES = ["hybrid", "lexical", "semantic"];

export function readAddress() {
  const query = new URLSearchParams(location.search);
  const mode = query.get("mode");
  return {
    q: query.get("q") || "",
    mode: MODES.includes(mode) ? mode : "hybrid",
    rerank: query.get("rerank") === "1",
    wide: query.get("wide") === "1",
    sort: SORTS.includes(query.get("sort")) ? query.get("sort") : "relevance",
    like: query.get("like") || "",
    filters: query.getAll("f").filter((filter) => filter.trim()),
    page: Math.max(1, Math.floor(Number(query.get("page"))) || 1),
    view: query.get("view") === "status" ? "status" : "search",
  };
}

export function writeAddress(state, replace) {
  const query = new URLSearchParams();
  if (state.q) query.set("q", state.q);
  if (state.mode !== "hybrid") query.set("mode", state.mode);
  if (state.rerank) query.set("rerank", "1");
  if (state.wide) query.set("wide", "1");
  if (state.sort !== "relevance") query.set("sort", state.sort);
  if (state.like) query.set("like", state.like);
  for (const filter of state.filters) query.append("f", filter);
  if (state.page > 1) query.set("page", state.page);
  if (state.view !== "search") query.set("view", state.view);
  const address = query.size ? `/?${query}` : "/";
  if (address !== location.pathname + location.search) history[replace ? "replaceState" : "pushState"](null, "", address);
}

// A link to a place in a document, with the question that led there.
export function placeLink(hit) {
  const query = new URLSearchParams(location.search);
  query.set("open", hit.id);
  query.set("in", hit.collection || "default");
  query.set("at", `${hit.location.start}-${hit.location.end}`);
  if (hit.location.page) query.set("page-at", hit.location.page);
  return `${location.origin}/?${query}`;
}

// The place that such a link names, as a hit; null for an address that is none.
export function linkedPlace() {
  const query = new URLSearchParams(location.search);
  const [start, end] = (query.get("at") || "0-0").split("-").map((one) => Math.max(0, Math.floor(Number(one)) || 0));
  const id = query.get("open");
  if (!id) return null;
  const page = Math.floor(Number(query.get("page-at"))) || undefined;
  const words = (query.get("q") || "").toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) || [];
  return { id, collection: query.get("in") || "default", title: id.split("/").at(-1), path: id.startsWith("/") ? id.split("!/")[0] : null, location: { start, end, page, member: id.split("!/")[1] }, snippet: "", highlights: [], words, metadata: {} };
}

// How a document that others should be like is called in a few letters.
export const likeness = (id) => t("like {0}", id.split("/").at(-1) || id);

export function title(state) {
  if (state.view === "status") return `${t("Status")} – localsearch`;
  const asked = [state.q.trim(), state.like && likeness(state.like), ...state.filters.map(filterLabel)].filter(Boolean).join(" ");
  return asked ? `${asked} – localsearch` : "localsearch";
}
