"""What a person does on the page to find one thing: seconds, clicks and keys, each flow in a real Chromium.

The folder is data/sample, embedded with the default model. Letters are typed 60 ms apart; seconds count from the first
letter to what was looked for standing in the preview.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.load import server
from localsearch.engine import Engine

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SAMPLE = Path(__file__).resolve().parent.parent / "data" / "sample"
LETTER_MS = 60


@dataclass(frozen=True, slots=True)
class Flow:
    """What is typed, what is done then (each a click or a key), and where what was looked for then stands."""

    typed: str
    clicks: tuple[str, ...]
    keys: tuple[str, ...]
    found: str


FLOWS: Mapping[str, Flow] = {
    "a file by a part of its name": Flow(
        "lighthouse.p", ("#suggestions .named",), (), "#preview :text('The lighthouse of Saltwick')"
    ),
    "a mail by sender and month": Flow(
        "author:harbour date:2024-09", (), ("Enter",), "#preview .head :text('Harbour office')"
    ),
    "a sentence in a PDF by meaning": Flow(
        "beacon custodians dwellings", (), ("Enter",), "#preview .sheet img[alt='Page 2 of 2']"
    ),
    "a row of a sheet": Flow("buttermilk", (), ("Enter",), "#preview tr.passage :text('250 ml')"),
}


def walked(page: Page, url: str, flow: Flow) -> float:
    """Seconds that a flow takes from its first letter on."""
    page.goto(url)
    page.locator("#empty h2").wait_for()
    page.locator("#query").focus()
    began = time.perf_counter()
    page.keyboard.type(flow.typed, delay=LETTER_MS)
    for click in flow.clicks:
        page.locator(click).first.click()
    for key in flow.keys:
        page.keyboard.press(key)
    page.locator(flow.found).first.wait_for()
    return time.perf_counter() - began


def measured(browser: Browser, rounds: int, serve: Callable[[Path], Any] = server) -> dict[str, Any]:
    """Each flow on a fresh index of the sample: the median of its seconds, its clicks, keys and letters."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with Engine.open(home) as engine:
            engine.index(SAMPLE)
        with serve(home) as port:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            times = {
                name: [walked(page, f"http://127.0.0.1:{port}", flow) for _ in range(rounds)]
                for name, flow in FLOWS.items()
            }
            page.close()
    return {
        name: {
            "seconds": round(float(np.median(times[name])), 2),
            "letters": len(flow.typed),
            "clicks": len(flow.clicks),
            "keys": len(flow.keys),
        }
        for name, flow in FLOWS.items()
    }
