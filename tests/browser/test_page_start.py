"""The start: what is here, folders and what can be done with them, the way in; and what the preview shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from serving import Served, notes

from browser.conftest import Visit, search, visiting
from browser.views import barriers, report
from localsearch.server.keys import Keys
from localsearch.types import Scope

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def expect(thing: object) -> object:
    from playwright.sync_api import expect as real

    return real(thing)  # type: ignore[call-overload]


@pytest.fixture
def garden(tmp_path: Path) -> Path:
    folder = tmp_path / "garden"
    (folder / "sheds").mkdir(parents=True)
    (folder / "roses.txt").write_text("Roses want sun.")
    (folder / "sheds" / "hoe.txt").write_text("A hoe for weeds.")
    (folder / "sheds" / "draft.log").write_text("A log of weeds.")
    (folder / "torn.pdf").write_bytes(b"%PDF-1.7\nnothing more")
    return folder


@pytest.fixture
def started(browser: Browser, tmp_path: Path, garden: Path) -> Iterator[tuple[Visit, Served]]:
    """The start of a server that has the garden and may read below its parent alone."""
    with notes(tmp_path / "home", index_roots=(str(tmp_path),)) as served:
        served.engine.index(garden, embed=False)
        with visiting(browser, served) as visit:
            visit.page.goto("/")
            visit.page.locator(".start .folders li").first.wait_for()
            yield visit, served


def test_the_start_says_what_is_here(started: tuple[Visit, Served], garden: Path) -> None:
    visit, _ = started
    page = visit.page
    folder = page.locator(".start .folders li").first
    expect(folder).to_contain_text(str(garden))
    expect(folder).to_contain_text("3 documents · 1 could not be read · looked through just now")
    expect(page.locator(".part.failed")).to_contain_text("Try to open it in its own program")
    expect(page.locator(".start .recent li")).to_have_count(3)
    page.locator(".start .recent button", has_text="roses.txt").click()
    expect(page.locator("#preview .context")).to_contain_text("Roses want sun.")
    page.keyboard.press("Escape")
    expect(page.locator(".start .recent button", has_text="roses.txt")).to_be_focused()
    assert barriers(report(page)) == []


def test_a_folder_is_left_out_of_watched_and_forgotten(started: tuple[Visit, Served], garden: Path) -> None:
    visit, served = started
    page = visit.page
    page.get_by_role("button", name="Leave out …").click()
    page.locator("dialog textarea").fill("*.log\n")
    assert barriers(report(page)) == []
    page.get_by_role("button", name="Leave them out").click()
    expect(page.locator(".start .folders li")).to_contain_text("without *.log")
    expect(page.locator(".start .folders li")).to_contain_text("2 documents")
    page.get_by_label("Keep folders current").check()
    expect(page.locator(".start .folders li")).to_contain_text("kept current")
    assert served.service.watching.on
    page.get_by_label("Keep folders current").uncheck()
    expect(page.locator(".start .folders li")).not_to_contain_text("kept current")
    page.get_by_role("button", name="Forget …").click()
    expect(page.locator("dialog")).to_contain_text("Its 2 documents are not found any more.")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Forget …").click()
    page.get_by_role("button", name="Forget it").click()
    expect(page.locator(".part.folders")).to_contain_text("these documents were sent by programs")
    assert (garden / "roses.txt").exists()
    assert served.search("roses")["total"] == 0


def test_a_folder_is_chosen_below_the_allowed_ones(started: tuple[Visit, Served], tmp_path: Path) -> None:
    visit, served = started
    page = visit.page
    (tmp_path / "attic" / "boxes").mkdir(parents=True)
    (tmp_path / "attic" / "boxes" / "hats.txt").write_text("Three hats.")
    page.locator(".adding summary").click()
    page.get_by_role("button", name="Choose …").click()
    chooser = page.locator(".adding .chooser")
    expect(chooser).to_contain_text("searchable already")
    assert chooser.get_by_role("button", name="↑ up").count() == 0
    chooser.get_by_role("button", name="attic").click()
    expect(page.locator(".adding .folder")).to_have_value(str(tmp_path / "attic"))
    expect(chooser.get_by_role("button", name="↑ up")).to_be_visible()
    page.get_by_role("button", name="Make searchable").click()
    expect(page.locator(".start .folders li")).to_have_count(2)
    assert served.search("hats")["total"] == 1


def test_a_key_that_sees_a_part_is_shown_that_part(browser: Browser, tmp_path: Path, garden: Path) -> None:
    with notes(tmp_path / "home", require_keys=True) as served, visiting(browser, served) as visit:
        served.engine.index(garden, embed=False)
        _, secret = Keys(served.service.db).create("part", "read", Scope((), (str(garden / "sheds"),)))
        served.service.keyring.refresh()
        visit.expected = ("403",)
        page = visit.page
        page.goto(f"/?token={secret}")
        folders = page.locator(".part.folders")
        expect(folders).to_contain_text(f"{garden}/sheds")
        expect(folders).to_contain_text("2 documents")
        expect(page.locator("#empty h2")).to_have_text("2 documents are ready")
        assert page.get_by_role("button", name="Forget …").count() == 0
        assert page.locator(".adding").count() == 0
        assert page.get_by_label("Keep folders current").count() == 0
        assert "torn" not in page.locator("main").first.inner_text()
        assert "roses" not in page.locator("main").first.inner_text()


def test_a_page_of_a_pdf_is_shown_with_its_passage(page: Page) -> None:
    page.goto("/")
    search(page, "Saltwick lighthouse keeper lamp")
    page.locator(".hit .title").first.click()
    sheet = page.locator("#preview .sheet img")
    expect(sheet).to_be_visible()
    assert page.evaluate("document.querySelector('#preview .sheet img').naturalWidth") >= 600
    expect(page.locator("#preview .box.passage").first).to_be_attached()
    page.get_by_role("button", name="Next match").click()
    expect(page.locator("#preview .box.word.here")).to_have_count(1)
    assert barriers(report(page)) == []
    page.get_by_role("button", name="Show the text").click()
    expect(page.locator("#preview .passage mark").first).to_be_visible()
    page.get_by_role("button", name="Show the page").click()
    expect(sheet).to_be_visible()


def test_a_link_leads_back_to_the_place(visit: Visit) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visit.page
    page.goto("/")
    search(page, "throw soft cheese away mould")
    page.locator(".hit .title", has_text="HOW LONG FOOD KEEPS").click()
    page.locator("#preview .passage").wait_for()
    page.locator("#preview").get_by_role("button", name="Copy link").click()
    expect(page.locator("#preview").get_by_role("button", name="Copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    page.goto("/docs")
    page.goto(link)
    expect(page.locator("#preview .passage")).to_contain_text("Throw soft cheese away at the first spot")


def test_the_outline_leads_through_a_document(page: Page) -> None:
    page.goto("/")
    search(page, "feed the sourdough starter")
    page.locator(".hit .title").first.click()
    page.locator("#preview .outline summary").click()
    page.locator("#preview .outline button", has_text="In the fridge").click()
    expect(page.locator("#preview .rendered .passage").first).to_contain_text("In the fridge")


def test_hits_are_sorted_and_filters_turned_round(page: Page) -> None:
    page.goto("/?q=water&f=lang:en")
    page.locator(".hit").first.wait_for()
    page.get_by_label("Sort by").select_option("name")
    expect(page).to_have_url(re.compile("sort=name"))
    expect(page.locator(".hit .title").first).to_have_text(re.compile("^[A-C]"))
    titles = [text.casefold() for text in page.locator(".hit .title").all_inner_texts()]
    assert titles == sorted(titles)
    page.get_by_role("button", name="Leave out lang:en").click()
    expect(page).to_have_url(re.compile("f=-lang"))
    expect(page.locator(".chip.not")).to_have_count(1)
    page.get_by_role("button", name="Edit the filter -lang:en").click()
    page.locator(".chip-field").fill("type:email")
    page.keyboard.press("Enter")
    expect(page.locator(".chip .edit")).to_have_text("type:email")


def test_nothing_has_ways_on(page: Page) -> None:
    page.goto("/?q=bread&f=type:mp3")
    page.get_by_role("button", name="Without the filter type:mp3").click()
    expect(page.locator(".hit").first).to_be_visible()


def test_years_are_chosen_by_dragging(browser: Browser, tmp_path: Path) -> None:
    from localsearch.types import Record

    with notes(tmp_path / "home") as served, visiting(browser, served) as visit:
        records = [
            Record(f"A heron of {year}.", f"h{year}", "", {"year": year}) for year in range(2001, 2009)
        ]
        served.engine.add(records)
        page = visit.page
        page.goto("/?q=heron")
        bars = page.locator(".histogram")
        bars.wait_for()
        box = bars.bounding_box()
        assert box is not None
        each = box["width"] / 8
        page.mouse.move(box["x"] + each * 2.5, box["y"] + 30)
        page.mouse.down()
        page.mouse.move(box["x"] + each * 4.5, box["y"] + 30, steps=4)
        page.mouse.up()
        expect(page.locator(".chip .edit")).to_have_text("year:2003..2005")
        expect(page.locator(".hit")).to_have_count(3)


def test_other_passages_of_a_document_unfold(browser: Browser, tmp_path: Path) -> None:
    filler = "Nothing of it here. " * 120
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "day.txt").write_text(
        f"The heron is there at dawn.\n\n{filler}\n\nThe heron is gone at noon.\n\n{filler}\n\nAt night herons sleep."
    )
    with notes(tmp_path / "home") as served, visiting(browser, served) as visit:
        served.engine.index(tmp_path / "notes", embed=False)
        page = visit.page
        page.goto("/?q=heron")
        page.get_by_role("button", name="2 more passages").click()
        rows = page.locator(".more-passages button")
        expect(rows).to_have_count(2)
        wanted = rows.first.locator("mark").inner_text()
        rows.first.click()
        expect(page.locator("#preview .passage mark").first).to_have_text(wanted)
