"""How fast the page feels: a real Chromium, the real server, an index of your own.

    python -m benchmarks.page --home HOME [--rounds 12] [--seed N] [--out JSON]

HOME is an index folder; `documents` in the result says how much is in it. Questions are the first words of its own
documents, others in every run, as a server warms its caches with what was asked before; letter by letter from the
first one. Milliseconds:

- `first_hit`: from the start of opening an address with a question to the frame that shows its first hit;
- `typed`: from a letter to the frame that shows the answer to what is typed by then, of letters after which nothing
  more is typed for a while; `server` is what the answer says of itself. `counts`: from that letter to the counts
  beside it, which the page asks for once typing pauses;
- `interaction`: Event Timing's duration of letters, clicks and keys, of which the 98th percentile is what browsers call
  interaction to next paint; it is told in steps of 8 ms, and 16 is the least (https://www.w3.org/TR/event-timing/);
- `flows`: benchmarks.flows, over data/sample with the model;
- `names` and `folders`: GET /names for such beginnings, and GET /folders, first and again.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from benchmarks.flows import measured
from benchmarks.load import server
from benchmarks.machine import describe
from localsearch.engine import Engine

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

PAUSE_MS = 400
FLOW_ROUNDS = 5
_WATCH = """
window.__frames = []; window.__events = []; window.__counts = [];
new PerformanceObserver((list) => { for (const one of list.getEntries()) if (one.interactionId) window.__events.push(one.duration); })
  .observe({ type: "event", durationThreshold: 16, buffered: true });
// The frame after a change of the list: when a person can see it.
addEventListener("DOMContentLoaded", () => new MutationObserver(() => requestAnimationFrame(() => setTimeout(() =>
  window.__frames.push([performance.now(), document.title, document.querySelectorAll(".hit").length])))).observe(
  document.getElementById("results"), { childList: true, attributes: true }));
addEventListener("DOMContentLoaded", () => new MutationObserver(() => requestAnimationFrame(() => setTimeout(() => {
  if (!document.querySelector("#facets[aria-busy]")) window.__counts.push(performance.now()); }))).observe(
  document.getElementById("facets"), { attributes: true, attributeFilter: ["aria-busy"] }));
addEventListener("input", () => { window.__letter = performance.now(); }, true);
"""


def questions(home: Path, number: int, seed: int) -> tuple[int, list[str]]:
    """How many documents there are, and the beginnings of some, two or three words each."""
    with Engine.open(home, read_only=True) as engine:
        ids = random.Random(seed).sample(engine.corpus.document_ids(), number * 2)
        texts = (engine.corpus.text(id, 0, 300) for id in ids)
        found = [
            " ".join(words[:3]) for text in texts if len(words := re.findall(r"[A-Za-z]{3,10}", text)) > 2
        ]
        return engine.corpus.document_count(), [one.lower() for one in found][:number]


def opened(page: Page, url: str, question: str) -> float:
    """Milliseconds from opening an address with a question to the frame with its first hit."""
    page.goto("about:blank")
    page.goto(f"{url}/?q={quote(question)}")
    page.locator(".hit").first.wait_for()
    page.wait_for_function("window.__frames.some((one) => one[2] > 0)")
    return float(page.evaluate("window.__frames.find((one) => one[2] > 0)[0]"))


def typed(page: Page, question: str) -> Iterable[tuple[float, float, float]]:
    """Milliseconds from a letter to the frame with its answer, the server's own, and those to the counts beside it, at
    some letters of a question."""
    page.locator("#query").fill("")
    page.wait_for_timeout(PAUSE_MS)
    stops = {1, 2, 4, len(question) // 2, len(question)}
    for at in range(1, len(question) + 1):
        page.keyboard.type(question[at - 1], delay=0)
        if at not in stops:
            page.wait_for_timeout(60)
            continue
        so_far = question[:at].rstrip()
        page.wait_for_function(
            "(title) => window.__frames.some((one) => one[0] > window.__letter && one[1] === title)"
            " && !document.querySelector('#results[aria-busy], #facets[aria-busy]')",
            arg=f"{so_far} – localsearch",
        )
        page.wait_for_timeout(PAUSE_MS)
        took = page.evaluate(
            "window.__frames.filter((one) => one[0] > window.__letter).at(-1)[0] - window.__letter"
        )
        said = re.search(r"in ([\d.]+) ms", page.locator("#summary").inner_text())
        counts = page.evaluate("(window.__counts.at(-1) ?? 0) - window.__letter")
        yield float(took), float(said[1]) if said else 0.0, float(counts)


def figures(values: Iterable[float]) -> dict[str, float]:
    kept = np.array(list(values))
    return {f"p{q}": round(float(np.percentile(kept, q)), 1) for q in (50, 95)} | {"number": len(kept)}


def asked(url: str) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=60) as answer:
        answer.read()
    return (time.perf_counter() - began) * 1000


def measure(home: Path, rounds: int, seed: int) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    documents, chosen = questions(home, rounds, seed)
    with server(home) as port, sync_playwright() as playwright:
        url = f"http://127.0.0.1:{port}"
        browser = _chromium(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.add_init_script(_WATCH)
        folders = [asked(f"{url}/folders") for _ in range(4)]
        names = [asked(f"{url}/names?q={quote(one[:at])}") for one in chosen for at in (2, 4, 8)]
        opened(page, url, "warm")
        first = [opened(page, url, one) for one in chosen]
        page.goto(url)
        page.locator("#empty h2").wait_for()
        letters = [times for one in chosen for times in typed(page, one)]
        _use(page)
        interactions = page.evaluate("window.__events")
        browser.close()
    with sync_playwright() as playwright:
        browser = _chromium(playwright)
        flows = measured(browser, FLOW_ROUNDS)
        browser.close()
    return {
        "machine": describe(),
        "documents": documents,
        "first_hit": figures(first),
        "typed": figures(took for took, _, _ in letters),
        "server": figures(took for _, took, _ in letters),
        "counts": figures(took for _, _, took in letters if took > 0),
        "interaction": figures(interactions or [16.0]) | {"p98": _percentile(interactions or [16.0], 98)},
        "names": figures(names),
        "flows": flows,
        "folders": {"first": round(folders[0], 1), "again": round(float(np.median(folders[1:])), 1)},
    }


def _chromium(playwright: Playwright) -> Browser:
    program = shutil.which("chromium") or "chromium"
    return playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])


def _percentile(values: list[float], q: int) -> float:
    return round(float(np.percentile(values, q)), 1)


def _use(page: Page) -> None:
    """What people do with hits: look at some, go down the list, narrow it."""
    steps: tuple[Callable[[], Any], ...] = (
        lambda: page.locator(".hit .title").first.click(),
        lambda: page.keyboard.press("ArrowDown"),
        lambda: page.keyboard.press("ArrowDown"),
        lambda: page.keyboard.press("Escape"),
        lambda: page.locator("#facets button").first.click(),
    )
    for step in steps:
        step()
        page.wait_for_timeout(PAUSE_MS)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.page",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--out", type=Path, metavar="JSON")
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments.home, arguments.rounds, arguments.seed), indent=1)
    print(text)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
