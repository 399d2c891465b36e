"""A hostile corpus: whatever stands in names, titles, metadata, tags, headings and text is shown, and never run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from serving import Served, serving, settings_at

from browser.conftest import FILE_TAB, Visit, search, settle, texts, visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response

PAYLOADS = (
    "<script>window.__pwned='script';alert(1)</script>",
    "<img src=x onerror=\"window.__pwned='img';alert(2)\">",
    "<svg/onload=\"window.__pwned='svg'\">",
    '"><iframe srcdoc="<script>parent.__pwned=\'frame\'</script>"></iframe>',
    "' autofocus onfocus=\"window.__pwned='focus'\" x='",
    "<a href=\"javascript:window.__pwned='link'\">zebra</a>",
    "</mark></script><base href=//evil.example><style>@import '//evil.example/x.css'</style>",
    "<meta http-equiv=refresh content=\"0;url=javascript:window.__pwned='meta'\">",
    "<details open ontoggle=\"window.__pwned='toggle'\">",
    "<form action=//evil.example><button autofocus>zebra</button></form>",
    "{{constructor.constructor('window.__pwned=1')()}} ${window.__pwned=2} javascript:window.__pwned=3",
)
TURNED = "\u202egpj.exe\u202c \u200bzero\u200d \u2066x\u2069 \ufeff \u0007 שלום"
NAMES = (
    "<img src=x onerror=window.__pwned='name'>.txt",
    '"onmouseover="window.__pwned=\'over\'" x=".md',
    "javascript:window.__pwned='path'.txt",
    "cod\u202etxt.exe.md",
    "..%2f..%2fzebra #?&.txt",
    "line\nbreak zebra.txt",
)
PLANTED = """<!doctype html><html><head><title>{payload}</title><meta name=author content="{attribute}">
<meta name=keywords content="zebra,{attribute}"></head><body onload="window.__pwned='body'"><h1>zebra {payload}</h1>
<p>The zebra page. {payload}</p><script>window.__pwned='page';top.location='//evil.example'</script></body></html>"""
DRAWN = """<svg xmlns="http://www.w3.org/2000/svg" onload="window.__pwned='drawn'"><title>zebra</title>
<text>zebra</text><script>window.__pwned='drawn script'</script></svg>"""


def plant(folder: Path) -> None:
    """Write files that would run if anything were read as markup."""
    folder.mkdir()
    for number, payload in enumerate(PAYLOADS):
        front = json.dumps({"title": payload, "author": payload, "tags": ["zebra", payload, TURNED]})
        text = f"# zebra {payload}\n\nA zebra says {payload} and {TURNED}.\n\n## {payload}\n\nMore zebra.\n"
        (folder / f"{number}.md").write_text(f"---\n{front}\n---\n{text}")
        page = PLANTED.format(payload=payload, attribute=payload.replace('"', "&quot;"))
        (folder / f"{number}.html").write_text(page)
    for name in NAMES:
        (folder / name).write_text(f"The zebra called {name} says {PAYLOADS[0]}")
    (folder / "drawn.svg").write_text(DRAWN)
    deep = folder / "<script>window.__pwned='folder'<" / "script> \u202edlof"
    deep.mkdir(parents=True)
    (deep / "inside.txt").write_text(f"A zebra inside. {PAYLOADS[1]}")


def sent() -> list[dict[str, object]]:
    """Documents that a program sends: of any type where the page might expect text."""
    odd = {"type": {"a": 1}, "modified": 5, "author": ["x"], "language": "<x>", "tags": [*PAYLOADS, 7, None]}
    each = [
        {
            "id": f"{payload}{number}",
            "title": payload,
            "text": f"zebra {payload} {TURNED}",
            "metadata": {
                "type": payload,
                "author": payload,
                "modified": payload,
                "tags": [payload],
                payload: 1,
            },
        }
        for number, payload in enumerate(PAYLOADS)
    ]
    strange = [
        {"id": id, "title": TURNED, "text": f"zebra {id}", "metadata": odd}
        for id in ("../../zebra", "//evil.example/x", "a?b#c%2f%00", "javascript:window.__pwned='id'")
    ]
    return [*each, *strange]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server over all of it, searched by words."""
    from localsearch.engine import Engine

    root = tmp_path_factory.mktemp("hostile")
    plant(root / "files")
    settings = settings_at(root / "home")
    with Engine.open(settings=settings) as engine:
        engine.index(root / "files", embed=False)
        with serving(engine, settings) as served:
            answer = served.client.post("/documents", json={"documents": sent()})
            assert answer.status_code == 200, answer.text
            yield served


@pytest.fixture
def visit(browser: Browser, hostile: Served) -> Iterator[Visit]:
    with visiting(browser, hostile) as one:
        yield one


def test_the_tripwire_works(browser: Browser, hostile: Served) -> None:
    """A page without the guards, in the same browser: every kind of payload is noticed there."""
    unguarded = "".join(PAYLOADS[:3])
    with (
        pytest.raises(AssertionError, match="first extra item: .script: script"),
        visiting(browser, hostile) as visit,
    ):
        visit.page.route(
            "**/unguarded", lambda route: route.fulfill(body=unguarded, content_type="text/html")
        )
        visit.page.goto("/unguarded")
        visit.page.wait_for_load_state("networkidle")
    assert {"script: script", "script: img", "script: svg", "dialog: 1", "dialog: 2"} <= set(visit.ran)


def test_every_hit_of_a_hostile_corpus_is_only_text(visit: Visit, hostile: Served) -> None:
    page = visit.page
    total = hostile.search("zebra", limit=1)["total"]
    assert total >= 2 * len(PAYLOADS) + len(NAMES) + len(sent())
    seen = 0
    for number in range(1, total // 10 + 2):
        page.goto(f"/?q=zebra&page={number}")
        page.locator(".hit, #empty h2").first.wait_for()
        seen += page.locator(".hit").count()
        walk(page)
    assert seen == total


def walk(page: Page) -> None:
    """Look at each hit on the page as a person would, and at what was made of it."""
    for title in page.locator(".hit .title").all():
        title.hover()
        title.click()
        page.locator("#preview .passage").first.wait_for()
        assert "zebra" in page.locator("#preview .context").inner_text().lower()
    assert foreign(page) == []


def foreign(page: Page) -> list[str]:
    """Elements and attributes that only a document could have brought in."""
    found: list[str] = page.evaluate(
        """() => {
          const brought = "iframe, base, style, meta[http-equiv], main :is(script, img, svg, a, form, [autofocus])";
          const drawn = (one) => one.matches(".hit > h2 > svg.icon, #suggestions .named > svg.icon") && one.innerHTML.replace(/^<path d="[^"<>]+"><\\/path>$/, "") === "";
          const script = (one) => one.name === "href" && one.value.trim().toLowerCase().startsWith("javascript:");
          const runs = (one) => one.name.startsWith("on") || script(one);
          return [...document.querySelectorAll("*")]
            .filter((node) => (node.matches(brought) && !drawn(node)) || [...node.attributes].some(runs))
            .map((node) => node.outerHTML.slice(0, 200));
        }"""
    )
    return found


def test_what_is_typed_and_shared_is_only_text(visit: Visit) -> None:
    page = visit.page
    for payload in PAYLOADS:
        page.goto(f"/?q={quote(payload)}&f={quote('tag:' + json.dumps(payload))}&view=%3Cscript%3E")
        page.locator(".chip").first.wait_for()
        page.locator("#results:not([aria-busy])").wait_for(state="attached")
        assert payload in page.title()
        assert foreign(page) == []


def of_the_first_filtered_hits(answer: Response) -> bool:
    """Not those of the list that goes on, nor the counts."""
    asked = answer.request.post_data_json if answer.url.endswith("/search") else None
    return bool(asked) and "filters" in asked and not asked["offset"] and "facets" not in asked


def test_facets_of_hostile_values_narrow_to_their_documents(visit: Visit) -> None:
    page = visit.page
    page.goto("/?q=zebra")
    page.locator("#facets button").first.wait_for()
    settle(page)
    rows = page.locator("#facets button").count()
    assert rows > 8
    for at in range(rows):
        button = page.locator("#facets button").nth(at)
        number = button.locator(".number").inner_text()
        with page.expect_response(of_the_first_filtered_hits) as answered:
            button.click()
        settle(page)
        assert answered.value.json().get("total") == int(number), button.get_attribute("data-focus")
        page.locator(".chip .remove").click()
        page.locator(".chip").wait_for(state="detached")
        settle(page)
        assert page.locator("#facets button").count() == rows


def test_completions_are_only_text(visit: Visit) -> None:
    page = visit.page
    page.goto("/")
    for start in ("zeb", "<img sr", "window.__pw", "onerr", "javascr"):
        search(page, start)
        page.wait_for_timeout(100)
    assert foreign(page) == []


def test_names_cannot_hide_what_they_are(visit: Visit) -> None:
    page = visit.page
    page.goto("/?q=zebra+called+exe")
    page.locator(".hit").first.wait_for()
    shown = " ".join(texts(page, ".hit .where") + texts(page, ".hit .title"))
    assert "cod\ufffdtxt.exe.md" in shown
    assert not set("\u202e\u200b\u2066\ufeff") & set(shown)


@pytest.mark.parametrize("name", ["0.html", "1.html", NAMES[0]])
def test_an_opened_original_runs_nothing(visit: Visit, hostile: Served, name: str) -> None:
    visit.expected = (FILE_TAB,)
    path = str(Path(hostile.engine.ledger.roots()[0][1]) / name)
    answer = hostile.client.get(f"/originals/{quote(path, safe='')}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    visit.page.goto(f"/originals/{quote(path, safe='')}")
    visit.page.wait_for_load_state("networkidle")
    assert "zebra" in visit.page.locator("body").inner_text()
    assert visit.page.locator("body pre").count() == 1


def test_the_ledger_shows_hostile_names_as_text(browser: Browser, tmp_path: Path) -> None:
    from localsearch.engine import Engine

    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "fine.txt").write_text("fine")
    (folder / "<img src=x onerror=window.__pwned='ledger'>\u202e.pdf").write_bytes(b"%PDF-1.4 torn")
    (folder / ".<script>window.__pwned='hidden'<").mkdir()
    os.symlink("/nowhere", folder / "<svg onload=window.__pwned='link'>")
    settings = settings_at(tmp_path / "home")
    with Engine.open(settings=settings) as engine:
        engine.index(folder, embed=False)
        with serving(engine, settings) as served, visiting(browser, served) as visit:
            visit.page.goto("/?view=status")
            visit.page.locator("table td", has_text="ledger").first.wait_for()
            visit.page.get_by_role("button", name="left out by a rule").click()
            visit.page.locator("table td", has_text="hidden").first.wait_for()
            assert visit.page.locator("#view-status :is(img, script)").count() == 0
