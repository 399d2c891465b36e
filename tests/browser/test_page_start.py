"""The start: what is here, folders and what can be done with them, the way in; and what the preview shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from golden.tiny_bert import Tiny, make
from serving import Served, notes, serving, settings_at

from browser.conftest import Visit, search, visiting
from browser.views import barriers, report
from localsearch.engine import Engine
from localsearch.models import Card, ModelStore
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
        assert page.locator(".settings").count() == 0
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


def test_a_presentation_is_shown_slide_by_slide(browser: Browser, tmp_path: Path) -> None:
    pptx = pytest.importorskip("pptx")
    deck = pptx.Presentation()
    for title, body in (
        ("Weather", "It rains."),
        ("Herons", "A heron waits\nin the reeds."),
        ("Ends", "Thank you."),
    ):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text, slide.placeholders[1].text = title, body
    (tmp_path / "talks").mkdir()
    deck.save(str(tmp_path / "talks" / "marsh.pptx"))
    with notes(tmp_path / "home") as served, visiting(browser, served) as visit:
        served.engine.index(tmp_path / "talks", embed=False)
        page = visit.page
        page.goto("/?q=reeds")
        page.locator(".hit .title").first.click()
        slide = page.locator("#preview .slide")
        expect(slide.locator("h3")).to_have_text("Herons")
        expect(slide.locator("mark")).to_have_text("reeds")
        expect(page.locator("#preview .pager")).to_contain_text("Slide 2 of 3")
        assert barriers(report(page)) == []
        page.get_by_role("button", name="Next slide").click()
        expect(slide.locator("h3")).to_have_text("Ends")
        expect(slide.locator("pre")).to_have_text("Thank you.")
        expect(page.get_by_role("button", name="Next slide")).to_be_disabled()
        page.get_by_role("button", name="Previous slide").click()
        page.get_by_role("button", name="Previous slide").click()
        expect(slide.locator("h3")).to_have_text("Weather")


def test_code_has_colours_line_numbers_and_marks(page: Page) -> None:
    page.goto("/?q=token+bucket+refill&f=type%3Acode")
    page.locator(".hit .title").first.click()
    code = page.locator("#preview .context.code")
    expect(code.locator(".gutter")).to_contain_text("1")
    assert {"class", "def", "return"} <= set(code.locator(".c-keyword").all_inner_texts())
    expect(code.locator(".passage mark").first).to_be_visible()
    assert barriers(report(page)) == []


def test_settings_are_changed_each_with_its_consequence(started: tuple[Visit, Served]) -> None:
    visit, served = started
    page = visit.page
    page.get_by_label("Read text in scans and pictures").focus()
    page.get_by_label("Read text in scans and pictures").select_option("off")
    rows = page.locator(".settings")
    expect(rows.get_by_role("status")).to_have_text("Kept, and in force from now on.")
    expect(rows).to_contain_text("found by their names alone")
    expect(page.get_by_label("Read text in scans and pictures")).to_be_focused()
    page.get_by_label("Memory of each reader").select_option("512")
    expect(rows.get_by_role("status")).to_have_text("Kept. It counts when the server starts next.")
    assert (
        served.engine.settings.home / "settings.toml"
    ).read_text() == '[extract]\nocr = "off"\nmemory_mb = 512\n'
    assert barriers(report(page)) == []
    page.reload()
    expect(page.get_by_label("Memory of each reader")).to_have_value("512")


@pytest.fixture
def two_models(tmp_path: Path, garden: Path) -> Iterator[Served]:
    """The garden embedded with the model `one`, and a model `two` that is installed too."""
    settings = replace(settings_at(tmp_path / "home"), models=tmp_path / "models")
    for name, seed in (("one", 0), ("two", 1)):
        make(tmp_path / name, Tiny(seed=seed))
        ModelStore(settings, [Card(name, languages=("en",), max_tokens=40, layers=2)]).import_folder(
            tmp_path / name
        )
    settings = replace(settings, model=replace(settings.model, name="one"))
    with Engine.open(settings=settings) as engine:
        engine.index(garden)
        with serving(engine, settings) as served:
            yield served


def test_another_model_learns_first_and_then_answers(browser: Browser, two_models: Served) -> None:
    def answering() -> str:
        active = two_models.engine.embeddings.active()
        assert active is not None
        return active.model

    with visiting(browser, two_models) as visit:
        page = visit.page
        page.goto("/")
        model, said = page.get_by_label("Model of meaning"), page.locator(".settings").get_by_role("status")
        expect(page.locator(".settings")).to_contain_text("Another one first has to learn 3 passages")
        model.select_option("two")
        expect(said).to_have_text("Kept. two does not answer yet.")
        model.select_option("one")  # never mind
        expect(said).to_have_text("Kept, and in force from now on.")
        expect(page.get_by_role("button", name="Learn 3 passages")).to_have_count(0)
        model.select_option("two")
        learn = page.get_by_role("button", name="Learn 3 passages with two now")
        learn.click()
        turn = page.get_by_role("button", name="Let two answer from now on")
        expect(turn).to_be_focused()
        assert answering() == "one"
        assert barriers(report(page)) == []
        page.reload()  # what is left to do is still offered
        expect(said).to_have_text("two has learnt all passages and does not answer yet.")
        with page.expect_navigation():
            turn.click()
        expect(model).to_have_value("two")
        expect(page.get_by_role("button", name="Let two answer from now on")).to_have_count(0)
        assert answering() == "two"
        with page.expect_navigation():  # back to the former one, whose vectors are still there
            model.select_option("one")
            page.get_by_role("button", name="Let one answer from now on").click()
        expect(model).to_have_value("one")
        assert answering() == "one"


def test_whoever_may_only_read_is_offered_no_settings(browser: Browser, tmp_path: Path) -> None:
    with notes(tmp_path / "home", require_keys=True) as served, visiting(browser, served) as visit:
        _, secret = Keys(served.service.db).create("reader", "read")
        served.service.keyring.refresh()
        visit.expected = ("403",)
        visit.page.goto(f"/?token={secret}")
        visit.page.locator("#empty h2").first.wait_for()
        visit.page.wait_for_load_state("networkidle")
        assert visit.page.get_by_label("Model of meaning").count() == 0
        expect(visit.page.locator("#banner")).to_be_hidden()
