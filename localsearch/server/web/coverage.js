// While chunks are still being embedded: how many are found by meaning so far.

import { get } from "./api.js";
import { byId } from "./dom.js";

const EVERY_MS = 1500;
let watching = false;

// Show the share until it is whole, then call `done` once: answers are then better than those on the page.
export async function watchCoverage(done) {
  if (watching) return;
  watching = true;
  for (let now = await share(); now !== null && now < 1; now = await share()) {
    show(now);
    await new Promise((wake) => setTimeout(wake, EVERY_MS));
  }
  watching = false;
  byId("coverage").hidden = true;
  if (!byId("results").contains(document.activeElement) && byId("preview").hidden) done();
}

const share = () => get("/stats").then((stats) => stats.semantic_coverage, () => null);

function show(now) {
  byId("coverage").hidden = false;
  byId("coverage").firstElementChild.textContent = `${Math.floor(now * 100)} % of chunks can be found by meaning so far.`;
  byId("covered").value = now;
}
