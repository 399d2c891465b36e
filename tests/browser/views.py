"""The views of the page by name, and what keeps people out of them according to axe-core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

VIEWS: Mapping[str, tuple[str, str]] = {
    "start": ("/", "#empty h2"),
    "results": ("/?q=sourdouhg+starter&f=type%3Amarkdown", ".hit"),
    "preview": ("/?q=feed+the+sourdough+starter", ".hit"),
    "PDF page": ("/?q=Saltwick+lighthouse+keeper+lamp", ".hit"),
    "nothing found": ("/?q=bread&f=type%3Amp3", "#empty h2"),
    "status": ("/?view=status", "#view-status svg"),
    "API": ("/docs", "h1"),
}
"""Where each view is, and what stands on it once it is ready."""


def go(page: Page, name: str) -> None:
    """Show a view."""
    address, ready = VIEWS[name]
    page.goto(address)
    page.locator(ready).first.wait_for()
    if name in ("preview", "PDF page"):
        page.locator(".hit .title").first.click()
        page.locator("#preview .sheet img" if name == "PDF page" else "#preview .passage").first.wait_for()


IMPACTS = ("minor", "moderate", "serious", "critical")


def barriers(found: Mapping[str, Any]) -> list[str]:
    """Serious and critical violations, each with the first element it was found at."""
    return [
        f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in IMPACTS[2:]
    ]


def row(name: str, width: int, scheme: str, found: Mapping[str, Any]) -> str:
    """One view's line of docs/accessibility.md."""
    counts = Counter(one["impact"] for one in found["violations"])
    return f"| {name} | {width} px | {scheme} | " + " | ".join(str(counts[one]) for one in IMPACTS) + " |"


def report(page: Page) -> dict[str, Any]:
    """All that axe-core has to say."""
    from axe_playwright_python.sync_playwright import Axe

    found: dict[str, Any] = Axe().run(page).response
    return found
