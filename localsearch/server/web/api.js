// Talking to the server. A server with keys answers 401 once; the key then given is kept for this tab only.

export class Problem extends Error {
  constructor(status, error) {
    super(error.message || "The server did not answer.");
    this.status = status;
    this.hint = error.hint || "";
  }
}

const key = () => sessionStorage.getItem("localsearch-key");

export const hasKey = () => Boolean(key());

export async function ask(method, path, body, signal) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key()) headers.Authorization = `Bearer ${key()}`;
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { message: "The server cannot be reached.", hint: "Is `localsearch serve` still running?" });
  }
  if (response.status === 401 && askForKey()) return ask(method, path, body, signal);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, answer.error || {});
  return answer;
}

function askForKey() {
  const given = window.prompt("This server asks for an API key (localsearch keys create):");
  if (given) sessionStorage.setItem("localsearch-key", given.trim());
  return Boolean(given);
}

export const get = (path, signal) => ask("GET", path, undefined, signal);
export const post = (path, body, signal) => ask("POST", path, body, signal);

export function place(hit) {
  const query = new URLSearchParams({ collection: hit.collection || "default" });
  return [`${encodeURIComponent(hit.id)}`, query];
}

// Follow a job until it ends: live events where they can be had, else by asking.
export function follow(id, tell) {
  if (hasKey() || !window.EventSource) return poll(id, tell);
  return new Promise((done) => {
    const source = new EventSource(`/jobs/${id}/events`);
    const end = (event) => { source.close(); const job = JSON.parse(event.data); tell(job); done(job); };
    source.addEventListener("progress", (event) => tell(JSON.parse(event.data)));
    source.addEventListener("end", end);
    source.onerror = () => { source.close(); poll(id, tell).then(done); };
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
