"""A real browser against real servers. Whatever a test does, the page must not complain, leave the host or run a script
that is not its own: every visit is held to that at its end.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from serving import SAMPLE, Served, serving, settings_at

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Response

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CHROMIUM = Path(__file__).with_name("chromium.sh")
PATIENCE_MS = 30_000
"""How long to wait for what must come: long, because a busy machine is no fault of the page."""
FILE_TAB = "NotSameOrigin"
"""What Chromium says in the tab of an opened file: it is sandboxed, so belongs to nobody, and asks for an icon all the same."""
WATCH = """
Object.defineProperty(window, "__pwned", { set(value) { window.__report("script: " + value); } });
document.addEventListener("securitypolicyviolation", (event) =>
  window.__report("policy: " + event.violatedDirective + " " + event.blockedURI));
"""


@dataclass
class Visit:
    """A browser context and all that went wrong in it."""

    context: BrowserContext
    page: Page
    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()
    """Parts of console messages that a test provokes on purpose."""

    def unexpected(self) -> list[str]:
        return [text for text in self.complaints if not any(part in text for part in self.expected)]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra [test])")
    if shutil.which("chromium") is None:
        pytest.skip("the browser chromium is not installed (Debian's package chromium)")
    sync_api.expect.set_options(timeout=PATIENCE_MS)
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))


@contextmanager
def visiting(browser: Browser, served: Served, **options: Any) -> Iterator[Visit]:
    """A fresh profile on a server. At the end: no complaint, no foreign host, no script but the page's own."""
    options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **options}
    context = browser.new_context(base_url=served.url, **options)
    context.set_default_timeout(PATIENCE_MS)
    visit = Visit(context, context.new_page())
    context.expose_binding("__report", lambda _, text: visit.ran.append(str(text)))
    context.add_init_script(WATCH)
    context.on("request", lambda request: visit.hosts.add(urlsplit(request.url).netloc))
    context.on("console", lambda one: visit.complaints.append(one.text) if one.type == "error" else None)
    context.on("weberror", lambda one: visit.complaints.append(str(one.error)))
    context.on("dialog", lambda one: (visit.ran.append(f"dialog: {one.message}"), one.dismiss()))
    try:
        yield visit
        assert visit.ran == []
        assert visit.unexpected() == []
        assert visit.hosts - {""} == {urlsplit(served.url).netloc}
    finally:
        context.close()


@pytest.fixture
def visit(browser: Browser, sample: Served) -> Iterator[Visit]:
    """A visit to the sample collection, searched by words and meaning."""
    with visiting(browser, sample) as one:
        yield one


@pytest.fixture
def page(visit: Visit) -> Page:
    """The page of that visit."""
    return visit.page


@pytest.fixture
def empty(tmp_path: Path, model_folder: Path) -> Iterator[Served]:
    """A server with the model and without a document, and a copy of the sample at `tmp_path / "notes"`."""
    from localsearch.engine import Engine

    shutil.copytree(SAMPLE, tmp_path / "notes")
    settings = replace(settings_at(tmp_path / "home"), models=model_folder)
    with Engine.open(settings=settings) as engine, serving(engine, settings) as one:
        yield one


def search(page: Page, text: str) -> None:
    """Type a question as a person does, and wait for its answer."""

    def answers(one: Response) -> bool:
        return one.url.endswith("/search") and one.request.post_data_json["query"] == text and one.ok

    with page.expect_response(answers):
        page.locator("#query").fill(text)
    settle(page)


def settle(page: Page) -> None:
    """Wait for the answer that is on its way, and for the counts that follow it."""
    page.locator("#results:not([aria-busy])").wait_for(state="attached")
    page.locator("#facets:not([aria-busy])").wait_for(state="attached")


def texts(page: Page, selector: str) -> list[str]:
    """What stands in every element that matches."""
    return page.locator(selector).all_inner_texts()
