"""What people come for, in few steps; and the page under load: many hits, a slow server, scripts of the world."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from serving import Served, notes

from browser.conftest import search, texts, visiting
from browser.views import barriers, report
from localsearch.types import Record

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route


def expect(thing: object) -> object:
    from playwright.sync_api import expect as real

    return real(thing)  # type: ignore[call-overload]


MEANT = "beacon custodians dwellings"
"""What is meant by "Three families lived at the foot of the tower" in a PDF of the sample, in other words."""


def mail(sender: str, subject: str, date: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"], message["Date"] = (
        sender,
        "me@example.org",
        subject,
        date,
    )
    message.set_content(f"About {subject}, as agreed.")
    return bytes(message)


@pytest.fixture(scope="module")
def herons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Ten thousand documents that hold one word."""
    with notes(tmp_path_factory.mktemp("herons") / "home") as served:
        served.engine.add(
            [Record(f"Heron number {n} stands in the reeds.", f"heron-{n}") for n in range(10_000)]
        )
        yield served


def test_ten_thousand_hits_scroll_and_the_browser_holds_two_hundred(browser: Browser, herons: Served) -> None:
    with visiting(browser, herons) as visit:
        page = visit.page
        page.goto("/?q=heron")
        expect(page.locator("#summary")).to_have_text(re.compile("^10,000 documents"))
        expect(page.locator("#pages")).to_contain_text("1 to 10 of 10,000")
        hits = page.locator(".hit")
        while (shown := hits.count()) < 200:
            page.mouse.move(600, 400)
            page.mouse.wheel(0, 4_000)
            expect(hits).not_to_have_count(shown)
        expect(page.locator("#pages")).to_contain_text("1 to 200 of 10,000")
        expected = herons.engine.search("heron", limit=200, offset=0, only_matching=True)
        assert page.locator(".hit .title").all_text_contents() == [hit.id for hit in expected.results]
        page.get_by_role("button", name="Next", exact=True).click()
        expect(page.locator("#pages")).to_contain_text("201 to ")
        assert hits.count() < 200
        assert not set(page.locator(".hit .title").all_text_contents()) & {hit.id for hit in expected.results}
        page.get_by_role("button", name="Previous", exact=True).click()
        expect(page.locator("#pages")).to_contain_text("1 to ")


def test_the_end_of_ten_thousand_hits_and_their_order(browser: Browser, herons: Served) -> None:
    with visiting(browser, herons) as visit:
        page = visit.page
        page.goto("/?q=heron&page=1000")
        expect(page.locator(".hit")).to_have_count(10)
        expect(page.get_by_role("button", name="Next", exact=True)).to_be_disabled()
        page.goto("/?q=heron&sort=name")
        expect(page.locator("#summary")).to_contain_text("The 2,000 most relevant are sorted by name.")


def test_the_arrow_key_goes_on_beyond_the_hits_that_were_loaded(browser: Browser, herons: Served) -> None:
    with visiting(browser, herons) as visit:
        page = visit.page
        page.goto("/?q=heron&page=19")
        expect(page.locator(".hit")).to_have_count(10)
        expected = herons.engine.search("heron", limit=35, offset=180, only_matching=True)
        page.locator("#query").focus()
        for hit in expected.results:
            page.keyboard.press("ArrowDown")
            expect(page.locator(".hit.chosen .title")).to_have_text(hit.id)
            expect(page.locator(".hit.chosen .title")).to_be_focused()
        assert barriers(report(page)) == []


def test_a_slow_server_leaves_the_page_usable(browser: Browser, tmp_path: Path) -> None:
    held: list[Route] = []
    with notes(tmp_path / "home") as served, visiting(browser, served) as visit:
        page = visit.page
        page.goto("/")
        search(page, "bread")
        page.route("**/search", lambda route: held.append(route))
        page.locator("#query").fill("kiln")
        expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
        assert texts(page, ".hit .title") == ["Bread"]
        page.get_by_role("button", name="What can be typed here").click()
        expect(page.locator("#query-help")).to_be_visible()
        page.keyboard.press("Escape")
        while held:
            held.pop(0).continue_()
            page.wait_for_timeout(50)
        expect(page.locator(".hit .title").first).to_have_text("Kiln")
        expect(page.locator("#results")).not_to_have_attribute("aria-busy", "true")


@pytest.mark.parametrize(
    ("text", "typed", "word", "direction"),
    [
        ("يقف مالك الحزين في القصب عند الفجر. ثم يطير بعيدا.", "القصب", "القصب", "rtl"),
        ("蒼鷺は夜明けに葦の中に立つ。", "夜明け", "夜明け", "ltr"),
        ("苍鹭黎明时站在芦苇丛中。然后它飞走了。", "芦苇", "芦苇", "ltr"),
    ],
)
def test_other_scripts_are_found_marked_and_run_their_way(
    browser: Browser, tmp_path: Path, text: str, typed: str, word: str, direction: str
) -> None:
    (tmp_path / "birds").mkdir()
    (tmp_path / "birds" / f"{typed}.txt").write_text(text, "utf-8")
    with notes(tmp_path / "home") as served, visiting(browser, served) as visit:
        served.engine.index(tmp_path / "birds", embed=False)
        page = visit.page
        page.goto("/")
        search(page, typed)
        hit = page.locator(".hit").first
        assert word in "".join(hit.locator(".snippet mark").all_inner_texts())
        shown = hit.locator(".snippet").evaluate("(node) => getComputedStyle(node).direction")
        assert shown == direction
        named = page.locator("#suggestions .named").first
        expect(named).to_contain_text(typed)
        hit.locator(".title").click()
        expect(page.locator("#preview .context")).to_contain_text(text)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert barriers(report(page)) == []


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """A home with a sheet, mails of two people over two months, and a file whose name nobody has in mind whole."""
    openpyxl = pytest.importorskip("openpyxl")
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "2021 boiler maintenance contract.txt").write_text("The contract runs for two years.")
    book = openpyxl.Workbook()
    for row in (("part", "price"), ("tap washer", 3), ("drain cover", 12), ("ballcock", 19)):
        book.active.append(row)
    written = io.BytesIO()
    book.save(written)
    (folder / "parts.xlsx").write_bytes(written.getvalue())
    for number, (who, what, when) in enumerate(
        (
            ("Ruth <ruth@example.org>", "invoice", "Tue, 04 May 2021 10:00:00 +0000"),
            ("Ruth <ruth@example.org>", "invoice again", "Fri, 04 Jun 2021 10:00:00 +0000"),
            ("Otto <otto@example.org>", "invoice", "Wed, 05 May 2021 10:00:00 +0000"),
        )
    ):
        (folder / f"{number}.eml").write_bytes(mail(who, what, when))
    return folder


@pytest.fixture
def at_papers(tmp_path: Path, papers: Path) -> Iterator[Served]:
    with notes(tmp_path / "home") as served:
        served.engine.index(papers, embed=False)
        yield served


def test_a_file_by_a_part_of_its_name_takes_one_click(browser: Browser, at_papers: Served) -> None:
    with visiting(browser, at_papers) as visit:
        page = visit.page
        page.goto("/")
        page.keyboard.type("boiler maint", delay=20)
        page.locator("#suggestions .named").first.click()
        expect(page.locator("#preview .context")).to_contain_text("runs for two years")


def test_a_mail_by_sender_and_month_takes_no_click(browser: Browser, at_papers: Served) -> None:
    with visiting(browser, at_papers) as visit:
        page = visit.page
        page.goto("/")
        page.keyboard.type("invoice author:ruth date:2021-05", delay=20)
        expect(page.locator(".hit")).to_have_count(1)
        expect(page.locator(".hit .title")).to_have_text("invoice")
        page.keyboard.press("Enter")
        expect(page.locator("#preview .head")).to_contain_text("Ruth")


@pytest.mark.parametrize(
    ("locale", "date"), [("en-GB", "04/05/2021"), ("en-US", "5/4/2021"), ("de-DE", "4.5.2021")]
)
def test_a_date_is_written_as_in_the_readers_region(
    browser: Browser, at_papers: Served, locale: str, date: str
) -> None:
    with visiting(browser, at_papers, locale=locale, timezone_id="UTC") as visit:
        visit.page.goto("/?q=author:ruth+date:2021-05")
        visit.page.locator(".hit .title").first.click()
        expect(visit.page.locator("#preview .head")).to_contain_text(date)


def test_a_row_of_a_sheet_takes_one_key(browser: Browser, at_papers: Served) -> None:
    with visiting(browser, at_papers) as visit:
        page = visit.page
        page.goto("/")
        search(page, "drain cover")
        page.keyboard.press("Enter")
        expect(page.locator("#preview tr.passage", has_text="drain cover")).to_contain_text("12")


def test_mistakes_lead_on(browser: Browser, at_papers: Served, papers: Path) -> None:
    with visiting(browser, at_papers) as visit:
        page = visit.page
        page.goto("/")
        search(page, "mantenance contract")  # a typo
        expect(page.locator("#corrections")).to_contain_text("maintenance contract")
        page.locator("#corrections button").click()
        expect(page.locator(".hit").first).to_contain_text("contract")
        page.goto(f"/?q=contract&f=path%3A{papers}%2Fattic%2F")  # a wrong folder
        page.get_by_role("button", name="Without the filter path:").click()
        expect(page.locator(".hit").first).to_contain_text("contract")
        page.goto("/")
        search(page, "xylophonist")  # nothing there
        expect(page.locator("#empty h2")).to_have_text("Nothing was found")
        page.get_by_role("button", name="Look in names of files: name:xylophonist").click()
        expect(page.locator("#query")).to_have_value("name:xylophonist")


def test_a_filter_among_the_words_is_taken_away_by_itself(browser: Browser, at_papers: Served) -> None:
    with visiting(browser, at_papers) as visit:
        page = visit.page
        page.goto("/")
        search(page, 'contract type:mp3 path:"in the attic"')
        expect(page.locator("#empty h2")).to_have_text("Nothing was found")
        page.get_by_role("button", name="Without the filter type:mp3").click()
        expect(page.locator("#query")).to_have_value('contract path:"in the attic"')
        page.get_by_role("button", name='Without the filter path:"in the attic"').click()
        expect(page.locator("#query")).to_have_value("contract")
        expect(page.locator(".hit").first).to_contain_text("contract")
        search(page, "type:mp3")  # no word would be left
        expect(page.locator("#empty h2")).to_have_text("Nothing was found")
        page.get_by_role("button", name="Without the filter type:mp3").click()
        expect(page.locator("#query")).to_have_value("")
        expect(page.locator(".welcome h2")).to_have_text(re.compile("are ready$"))


def test_words_that_are_nowhere_are_looked_for_by_meaning(page: Page) -> None:
    page.goto("/?mode=lexical")
    search(page, MEANT)
    expect(page.locator("#empty h2")).to_have_text("Nothing was found")
    page.get_by_role("button", name="Search by meaning too").click()
    expect(page.locator("#mode")).to_have_value("hybrid")
    expect(page.locator(".hit .title").first).to_have_text("The lighthouse of Saltwick")


def test_a_sentence_of_a_pdf_is_found_by_its_meaning(page: Page) -> None:
    page.goto("/")
    search(
        page, MEANT
    )  # no word of it is in the document: test_words_that_are_nowhere_are_looked_for_by_meaning
    hit = page.locator(".hit").first
    expect(hit.locator(".title")).to_have_text("The lighthouse of Saltwick")
    expect(hit.locator(".where")).to_contain_text("page 2")
    expect(hit.locator(".snippet")).to_contain_text("Three families lived at the foot of the tower")
    hit.locator(".title").click()
    expect(page.locator("#preview .sheet img")).to_have_attribute("alt", "Page 2 of 2")
    expect(page.locator("#preview .box.passage").first).to_be_attached()
