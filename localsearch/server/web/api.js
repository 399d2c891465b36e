// Talking to the server. A server with keys answers 401; the key then given is kept for this tab only.

import { askForKey } from "./key.js";
import { t } from "./words.js";

const STORED = "localsearch-key";
let given = null;
keepCarried();

export class Problem extends Error {
  constructor(status, error) {
    super(error.message || t("The server did not answer."));
    this.status = status;
    this.hint = error.hint || "";
  }

  get text() { return `${this.message} ${this.hint}`.trim(); }
}

// The key in the address that `serve` printed: kept for this tab, and taken out of the address and its history.
function keepCarried() {
  const query = new URLSearchParams(location.search);
  const carried = query.get("token");
  if (carried === null) return;
  if (carried) sessionStorage.setItem(STORED, carried);
  query.delete("token");
  history.replaceState(null, "", query.size ? `/?${query}` : "/");
}

const key = () => sessionStorage.getItem(STORED);

export const hasKey = () => Boolean(key());

function headers(body) {
  const all = body === undefined ? {} : { "Content-Type": "application/json" };
  return key() ? { ...all, Authorization: `Bearer ${key()}` } : all;
}

// Send, and when a key is asked for, send again with the one that is given.
async function send(method, path, body, signal) {
  const used = key();
  let response;
  try {
    response = await fetch(path, { method, headers: headers(body), signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { message: t("The server cannot be reached."), hint: t("Is `localsearch serve` still running?") });
  }
  if (response.status !== 401) return response;
  return (await newKey(used)) ? send(method, path, body, signal) : response;
}

// One dialog for all requests that wait for a key, and none again once it was turned down.
async function newKey(used) {
  if (key() !== used) return hasKey();
  given ??= askForKey(used !== null);
  const text = await given;
  if (text) { sessionStorage.setItem(STORED, text); given = null; }
  return Boolean(text);
}

export function forgetRefusal() { given = null; }

export async function ask(method, path, body, signal) {
  const response = await send(method, path, body, signal);
  const answer = await response.json().catch((error) => { if (error.name === "AbortError") throw error; return {}; });
  if (!response.ok) throw new Problem(response.status, answer.error || {});
  return answer;
}

export const get = (path, signal) => ask("GET", path, undefined, signal);
export const post = (path, body, signal) => ask("POST", path, body, signal);

// The address of a document's route. The id is one segment, so that dots and slashes in it mean nothing to the browser.
export function address(hit, route, query = {}) {
  return `/${route}/${encodeURIComponent(hit.id)}?${new URLSearchParams({ collection: hit.collection || "default", ...query })}`;
}

// The file itself, in a tab of its own; a tab cannot send a key, so with one it is downloaded.
export async function openOriginal(hit) {
  const file = address(hit, "originals");
  if (!hasKey()) return void window.open(file + (hit.location.page ? `#page=${hit.location.page}` : ""), "_blank", "noopener");
  const response = await send("GET", file);
  if (!response.ok) throw new Problem(response.status, (await response.json().catch(() => ({}))).error || {});
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = (hit.path || hit.id).split("/").pop();
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// Follow a job until it ends: live events where they can be had, else by asking.
export function follow(id, tell) {
  if (hasKey() || !window.EventSource) return poll(id, tell);
  return new Promise((done, fail) => {
    const source = new EventSource(`/jobs/${id}/events`);
    const end = (event) => { source.close(); const job = JSON.parse(event.data); tell(job); done(job); };
    source.addEventListener("progress", (event) => tell(JSON.parse(event.data)));
    source.addEventListener("end", end);
    source.onerror = () => { source.close(); poll(id, tell).then(done, fail); };
  });
}

async function poll(id, tell) {
  for (;;) {
    const job = await get(`/jobs/${id}`);
    tell(job);
    if (!["queued", "running"].includes(job.state)) return job;
    await new Promise((wake) => setTimeout(wake, 500));
  }
}
