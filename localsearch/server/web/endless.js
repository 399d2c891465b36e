// The list of hits goes on as its end comes near. It ends at MOST hits, where another page begins: the browser never holds thousands.

export const [MORE, MOST] = [20, 200];
const NEAR = "400px";
let watcher = null;

// What to fetch next of an answer that was shown, or null where its list ends.
export function following(answer, wanted) {
  const shown = answer.results.length;
  const limit = Math.min(MORE, MOST - shown, answer.total - wanted.offset - shown);
  return answer.ended || answer.nearest || limit < 1 ? null : { ...wanted, offset: wanted.offset + shown, limit };
}

// Add what came: none twice, should the index have changed meanwhile. Gives how many hits there were before.
export function lengthen(answer, came, limit) {
  const name = (hit) => `${hit.collection}\n${hit.id}`;
  const known = new Set(answer.results.map(name));
  const before = answer.results.length;
  answer.results.push(...came.results.filter((hit) => !known.has(name(hit))));
  answer.ended = came.results.length < limit;
  return before;
}

// Call `reached` each time the end of the list is near, beginning now.
export function watchEnd(end, reached) {
  watcher?.disconnect();
  watcher = new IntersectionObserver((entries) => { if (entries.at(-1).isIntersecting) reached(); }, { rootMargin: NEAR });
  watcher.observe(end);
}

export function stopWatchingEnd() { watcher?.disconnect(); }
