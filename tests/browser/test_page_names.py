"""How files, folders and what became of them are called: short where there is little room, whole where somebody asks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from serving import Served, error_of, notes

from browser.conftest import FILE_TAB, Visit, search, settle, texts, visiting
from browser.views import barriers, report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LONG = "A heron report that never seems to come to its end " + "and goes on " * 12 + "until 2024.txt"
PAYLOAD = "<script>window.__pwned='kept'</script>"


def expect(thing: object) -> object:
    from playwright.sync_api import expect as real

    return real(thing)  # type: ignore[call-overload]


def _built(tmp_path: Path) -> Path:
    """Two folders of the same name, and a file with a long one."""
    for house in ("north", "south"):
        for room in ("cellar", "attic"):
            folder = tmp_path / house / "papers" / room
            folder.mkdir(parents=True)
            (folder / f"{house} {room}.txt").write_text(f"A heron in the {room} of the {house}. {PAYLOAD}\n")
    (tmp_path / "north" / "papers" / LONG).write_text("A heron, told at length.\n")
    (tmp_path / "south" / "papers" / "broken.pdf").write_bytes(b"%PDF-1.7\n")
    return tmp_path


@contextmanager
def _serving(houses: Path) -> Iterator[Served]:
    with notes(houses / "home") as one:
        one.engine.index([houses / house / "papers" for house in ("north", "south")], embed=False)
        yield one


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The houses of the tests that change nothing."""
    return _built(tmp_path_factory.mktemp("street"))


@pytest.fixture(scope="module")
def unchanged(street: Path) -> Iterator[Served]:
    """A server over `street`."""
    with _serving(street) as one:
        yield one


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    """The houses of a test that changes them."""
    return _built(tmp_path)


@pytest.fixture
def served(houses: Path) -> Iterator[Served]:
    with _serving(houses) as one:
        yield one


@pytest.fixture
def visit(browser: Browser, served: Served) -> Iterator[Visit]:
    with visiting(browser, served) as one:
        yield one


@pytest.fixture
def stroll(browser: Browser, unchanged: Served) -> Iterator[Visit]:
    """A visit to `street`."""
    with visiting(browser, unchanged) as one:
        yield one


def folders(page: Page) -> list[str]:
    return texts(page, "#facets [data-focus^='path:'] span:first-child")


def test_folders_are_called_from_the_one_that_was_added_and_told_apart(stroll: Visit, street: Path) -> None:
    page = stroll.page
    page.goto("/?q=heron")
    settle(page)
    assert sorted(folders(page)) == ["attic", "attic", "cellar", "cellar", "north/papers", "south/papers"]
    button = page.locator("#facets [data-focus^='path:']", has_text="south/papers")
    expect(button).to_have_attribute("title", str(street / "south" / "papers"))
    button.click()
    expect(page.locator(".chip .edit")).to_have_text("path:south/papers/")
    assert str(street / "south" / "papers") in (page.locator(".chip .edit").get_attribute("title") or "")
    assert page.title() == "heron path:south/papers/ – localsearch"
    expect(page.locator(".hit")).to_have_count(2)
    assert all(where.startswith("south/papers › ") for where in texts(page, ".hit .where"))
    page.locator(".chip .edit").click()
    field = page.get_by_role("textbox", name=re.compile("Edit the filter"))
    assert str(street / "south" / "papers") in field.input_value()


@pytest.mark.parametrize(("width", "height"), [(390, 700), (1000, 400), (1280, 800)])
def test_the_preview_stays_within_the_window_and_its_end_can_be_reached(
    browser: Browser, served: Served, houses: Path, width: int, height: int
) -> None:
    long = houses / "north" / "papers" / "long.txt"
    long.write_text("A stork begins.\n\n" + "Nothing more is told of it here.\n\n" * 90 + "A stork ends.\n")
    served.engine.index(long.parent, embed=False)
    with visiting(browser, served, viewport={"width": width, "height": height}) as visit:
        page = visit.page
        page.goto("/?q=stork+begins")
        page.locator(".hit .title").first.click()
        body = page.locator("#preview .context")
        expect(body).to_contain_text("A stork ends.")
        pane = page.locator("#preview").bounding_box()
        assert pane is not None
        assert 0 < pane["y"] < pane["y"] + pane["height"] <= height
        body.focus()
        page.keyboard.press("End")
        page.wait_for_function(
            "() => { const body = document.querySelector('#preview .context');"
            " return body.scrollTop > 0 && body.scrollTop + body.clientHeight >= body.scrollHeight - 1; }"
        )


def test_types_that_are_called_alike_are_told_apart(visit: Visit, served: Served, houses: Path) -> None:
    (houses / "north" / "papers" / "a.tsv").write_text("bird\tcount\nheron\t3\n")
    (houses / "north" / "papers" / "b.csv").write_text("bird,count\nheron,4\n")
    served.engine.index(houses / "north" / "papers", embed=False)
    page = visit.page
    page.goto("/?q=heron")
    settle(page)
    types = texts(page, "#facets [data-focus^='type:'] span:first-child")
    assert sorted(types) == ["Table (csv)", "Table (tsv)", "Text"]


def test_a_mail_without_a_subject_is_called_by_its_file(visit: Visit, served: Served, houses: Path) -> None:
    mails = "".join(
        f"From a@b Mon Jan  1 00:00:00 2024\nFrom: a@b.example\n{more}\nA crane calls.\n\n"
        for more in ("", "Subject: Cranes\n")
    )
    (houses / "north" / "papers" / "post.mbox").write_text(mails)
    served.engine.index(houses / "north" / "papers", embed=False)
    visit.page.goto("/?q=crane+calls")
    expect(visit.page.locator(".hit")).to_have_count(2)
    assert sorted(texts(visit.page, ".hit .title")) == ["Cranes", "post.mbox, message 1"]


def test_a_filter_is_edited_negated_and_dropped_by_the_keyboard(stroll: Visit, street: Path) -> None:
    page, press = stroll.page, stroll.page.keyboard.press
    path = f'path:"{street}/north/papers/"'
    page.goto(f"/?q=heron&f={quote(path)}")
    expect(page.locator(".hit")).to_have_count(3)
    edit = page.locator(".chip .edit")
    edit.focus()
    press("Enter")
    field = page.locator(".chip-field")
    expect(field).to_be_focused()
    assert field.input_value() == path
    assert field.evaluate("node => node.scrollWidth <= node.clientWidth + 1") or len(path) > 70
    press("Escape")
    expect(edit).to_be_focused()
    press("Enter")
    page.keyboard.insert_text(path.replace("north", "south"))
    press("Enter")
    expect(edit).to_have_text("path:south/papers/")
    expect(page.locator(".hit")).to_have_count(2)
    turn = page.locator(".chip .turn")
    turn.focus()
    press("Enter")
    expect(page.locator(".chip.not .edit")).to_have_text("path:south/papers/")
    expect(page.locator(".hit")).to_have_count(3)
    expect(turn).to_be_focused()
    press("Space")
    expect(page.locator(".chip.not")).to_have_count(0)
    press("Tab")
    press("Tab")
    expect(page.locator(".chip .remove")).to_be_focused()
    press("Enter")
    expect(page.locator(".chip")).to_have_count(0)
    expect(page.locator("#query")).to_be_focused()
    expect(page.locator(".hit")).to_have_count(5)


@pytest.mark.parametrize("width", [1280, 320])
def test_a_long_name_takes_two_lines_and_is_whole_in_the_preview(
    browser: Browser, unchanged: Served, width: int
) -> None:
    with visiting(browser, unchanged, viewport={"width": width, "height": 740}) as visit:
        page = visit.page
        page.goto("/?q=heron+length")
        title = page.locator(".hit .title").first
        expect(title).to_have_attribute("title", LONG)
        assert re.fullmatch(r"A heron report .*….* until 2024\.txt", title.inner_text())
        line = title.evaluate("node => parseFloat(getComputedStyle(node).lineHeight)")
        box = title.bounding_box()
        assert box is not None
        assert box["height"] <= 2 * line + 1
        assert page.evaluate("document.documentElement.scrollWidth") == width
        title.click()
        expect(page.locator("#preview h2")).to_have_text(LONG)
        expect(page.locator("#preview .context")).to_contain_text("told at length")
        pane = page.locator("#preview").bounding_box()
        assert pane is not None
        assert pane["x"] >= 0
        assert pane["x"] + pane["width"] <= width


@pytest.mark.parametrize(
    ("locale", "heading", "more"),
    [
        ("en-GB", "The file of this document cannot be opened.", "The text that was read of it is kept"),
        (
            "de-DE",
            "Die Datei dieses Dokuments ist nicht zu öffnen.",
            "Der Text, der davon gelesen wurde, ist noch da",
        ),
    ],
)
def test_a_file_that_is_gone_says_so_and_shows_what_is_kept(
    browser: Browser, served: Served, houses: Path, locale: str, heading: str, more: str
) -> None:
    file = houses / "north" / "papers" / "attic" / "north attic.txt"
    with visiting(browser, served, locale=locale) as visit:
        visit.expected = ("404", FILE_TAB)
        visit.page.goto("/")
        search(visit.page, "heron attic north")
        file.unlink()
        with visit.context.expect_page() as opened:
            visit.page.locator(".hit .open").first.click()
        page = opened.value
        expect(page.locator("h1")).to_have_text(heading)
        expect(page.locator("h2")).to_have_text(more)
        expect(page.locator("pre")).to_have_text(re.compile("^A heron in the attic of the north"))
        expect(page.locator(".where")).to_have_text(str(file))
        assert barriers(report(page)) == []
        page.locator(".card a").click()
        expect(page.locator("#preview .context")).to_contain_text("A heron in the attic of the north")
        page.close()


def test_programs_are_told_of_it_in_json(served: Served, houses: Path) -> None:
    file = houses / "north" / "papers" / "attic" / "north attic.txt"
    file.unlink()
    for accept in ("*/*", "application/json", "application/json, text/html"):
        answer = served.client.get(f"/originals/{quote(str(file), safe='')}", headers={"Accept": accept})
        assert answer.status_code == 404
        assert error_of(answer)["code"] == "not_found"
    page = served.client.get(
        f"/originals/{quote(str(file), safe='')}",
        headers={"Accept": "text/html,application/xml;q=0.9,*/*;q=0.8"},
    )
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert PAYLOAD not in page.text


def test_reasons_are_told_in_the_language_of_the_page(browser: Browser, unchanged: Served) -> None:
    for locale, words, known in (
        ("de-DE", "kein lesbares PDF", "Nur der Name ist bekannt"),
        ("en-GB", "it is no readable PDF", "Only its name is known"),
    ):
        with visiting(browser, unchanged, locale=locale) as visit:
            visit.page.goto("/")
            expect(visit.page.locator(".part.failed li", has_text="broken.pdf")).to_contain_text(words)
            search(visit.page, "name:broken")
            visit.page.locator(".hit .title").first.click()
            expect(visit.page.locator("#preview .context")).to_have_text(f"{known}: {words}")
            expect(visit.page.locator(".hit .snippet")).to_have_text(re.compile(f"^{known}"))
            visit.page.goto("/?view=status")
            expect(visit.page.locator("#view-status tr", has_text="broken.pdf")).to_contain_text(words)


@pytest.mark.parametrize(("theme", "query"), [("light", "heron"), ("dark", "heron")])
def test_paper_has_what_was_asked_and_the_hits_and_no_controls(
    stroll: Visit, street: Path, theme: str, query: str
) -> None:
    page = stroll.page
    page.goto("/")
    page.evaluate("theme => localStorage.setItem('localsearch-theme', theme)", theme)
    page.goto(f"/?q={query}&f=type%3Atext&f={quote(f'path:{street}/north/papers/')}")
    page.locator(".hit .title").first.click()
    expect(page.locator("#preview .context")).to_contain_text("heron")
    assert texts(page, "#printed p:visible") == []
    page.emulate_media(media="print")
    assert texts(page, "#printed p") == [
        "Asked for: heron",
        "Filters: type:text, path:north/papers/",
    ]
    expect(page.locator(".hit")).to_have_count(3)
    assert page.locator(".hit .title").first.is_visible()
    assert [one for one in texts(page, "button:visible") if one not in texts(page, ".hit .title")] == []
    assert page.locator("select:visible, input:visible, summary:visible").count() == 0
    colours = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.querySelector('.hit .title')).color]"
    )
    assert all(sum(map(int, re.findall(r"\d+", colour))) < 300 for colour in colours)
