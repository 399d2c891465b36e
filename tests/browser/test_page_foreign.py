"""A page of another origin in a real browser: whatever it sends is refused before it is asked. And the key in the address."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from serving import Served

from browser.conftest import visiting
from localsearch.server.local_users import LocalUsers

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WAYS = {
    "fetch": "fetch(u('/search?q=kiln+fetch')).catch(() => 0)",
    "opaque fetch": "fetch(u('/search?q=kiln+opaque'), {mode: 'no-cors'}).catch(() => 0)",
    "simple post": "fetch(u('/search'), {method: 'POST', mode: 'no-cors', body: '{\"query\": \"kiln post\"}'}).catch(() => 0)",
    "preflight": "fetch(u('/search'), {method: 'POST', headers: {'Content-Type': 'application/json'},"
    ' body: \'{"query": "kiln"}\'}).catch(() => 0)',
    "image": "new Promise((done) => { const i = new Image(); i.onload = i.onerror = done; i.src = u('/search?q=kiln+img'); })",
    "script": "new Promise((done) => { const s = document.createElement('script'); s.onload = s.onerror = done;"
    " s.src = u('/search?q=kiln+script'); document.body.append(s); })",
    "frame": "new Promise((done) => { const f = document.createElement('iframe'); f.onload = done;"
    " f.src = u('/search?q=kiln+frame'); document.body.append(f); })",
    "form in a frame": "new Promise((done) => { const f = document.createElement('iframe'); f.name = 'x';"
    " document.body.append(f); const form = document.createElement('form'); form.target = 'x';"
    " form.action = u('/search'); form.innerHTML = '<input name=q value=kiln>'; document.body.append(form);"
    " f.onload = done; form.submit(); })",
    "socket": "new Promise((done) => { const s = new WebSocket(u('/search?q=kiln+socket').replace('http', 'ws'));"
    " s.onopen = s.onerror = done; })",
}


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """A page of another port, whose own address is the machine's other name."""

    class Blank(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title><body>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Blank)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["127.0.0.1", "localhost"])
def foreign(request: pytest.FixtureRequest, browser: Browser, elsewhere: str) -> Iterator[Page]:
    """That page: of the same site by its address, of another by its name."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://{elsewhere.replace('127.0.0.1', request.param)}/")
    yield page
    context.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_foreign_page_asks_nothing(foreign: Page, served: Served, way: str) -> None:
    answers = served.engine.answers.stats()
    refused = served.service.metrics.registry.get_sample_value
    before = refused("localsearch_refused_total", {"code": "bad_origin"}) or 0
    foreign.evaluate(f"async () => {{ const u = (path) => '{served.url}' + path; await {WAYS[way]}; }}")
    after = served.engine.answers.stats()
    assert (after.hits, after.misses) == (answers.hits, answers.misses)
    if way != "preflight":  # which a browser does not follow with the request itself
        assert (refused("localsearch_refused_total", {"code": "bad_origin"}) or 0) > before


def test_a_link_from_elsewhere_opens_the_page_and_no_question(foreign: Page, served: Served) -> None:
    foreign.evaluate(f"() => {{ location.href = '{served.url}/'; }}")
    foreign.wait_for_url(f"{served.url}/")
    foreign.locator("#query").wait_for()
    answer = foreign.context.new_page()
    answer.goto(foreign.url)
    assert answer.title() == "localsearch"


def test_a_link_with_a_question_is_refused(foreign: Page, served: Served) -> None:
    with foreign.expect_response(lambda one: one.url.endswith("/?q=kiln")) as told:
        foreign.evaluate(f"() => {{ location.href = '{served.url}/?q=kiln'; }}")
    assert told.value.status == 403


def test_the_key_in_the_address_opens_the_page_to_others(
    browser: Browser, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalUsers, "stranger", lambda *_: True)
    with visiting(browser, served) as visit:
        visit.page.goto(f"/?token={served.service.keyring.token}&q=kiln")
        visit.page.locator("#results li").first.wait_for()
        assert "token" not in visit.page.url
