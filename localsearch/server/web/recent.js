// Searches made on this device, the latest first: kept in the browser alone, and not at all where a person says so.

const KEPT = "localsearch-recent";
const OFF = "localsearch-recent-off";
const MOST = 8;

export const remembering = () => localStorage.getItem(OFF) === null;

// Whether to remember from now on; what was remembered goes with the wish not to.
export function setRemembering(on) {
  if (on) return void localStorage.removeItem(OFF);
  localStorage.setItem(OFF, "1");
  forgetSearches();
}

export function recentSearches() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) || "[]");
    return Array.isArray(kept) ? kept.filter((one) => typeof one === "string").slice(0, MOST) : [];
  } catch { return []; }
}

// A question that somebody meant: asked with Enter, or whose hit was opened. Shorter beginnings of it are dropped.
export function remember(question) {
  const text = question.trim();
  if (!text || text.length > 200 || !remembering()) return;
  const others = recentSearches().filter((one) => !text.toLowerCase().startsWith(one.toLowerCase()));
  localStorage.setItem(KEPT, JSON.stringify([text, ...others].slice(0, MOST)));
}

export function forgetSearches() { localStorage.removeItem(KEPT); }
