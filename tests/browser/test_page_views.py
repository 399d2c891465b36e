"""Every view: light and dark, wide and narrow, without barriers; the way in, and the state of things."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from serving import Served, notes, serving, settings_at

from browser.conftest import search, texts, visiting
from browser.views import VIEWS, barriers, go, report, row
from localsearch.server.keys import Keys
from localsearch.types import Record

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

REPORT = Path(__file__).parents[2] / "docs" / "accessibility.md"


def expect(thing: object) -> object:
    from playwright.sync_api import expect as real

    return real(thing)  # type: ignore[call-overload]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_no_view_has_a_serious_barrier(browser: Browser, sample: Served, scheme: str, width: int) -> None:
    with visiting(browser, sample, color_scheme=scheme, viewport={"width": width, "height": 740}) as visit:
        for name in VIEWS:
            go(visit.page, name)
            found = report(visit.page)
            assert barriers(found) == [], f"{name}, {scheme}, {width} px wide"
            assert row(name, width, scheme, found) in REPORT.read_text()
            assert overflow(visit.page) <= 0, f"{name} scrolls sideways at {width} px"


def overflow(page: Page) -> int:
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


def test_the_first_view_and_the_key_dialog_have_no_barrier(browser: Browser, tmp_path: Path) -> None:
    from localsearch.engine import Engine

    for scheme, keys in (("light", False), ("dark", True)):
        settings = settings_at(tmp_path / scheme, require_keys=keys)
        with (
            Engine.open(settings=settings) as engine,
            serving(engine, settings) as served,
            visiting(browser, served, color_scheme=scheme) as visit,
        ):
            visit.expected = ("401",)
            visit.page.goto("/")
            expect(visit.page.locator("dialog" if keys else "#empty form")).to_be_visible()
            assert barriers(report(visit.page)) == []


def test_dark_and_light_follow_the_system_and_the_button(browser: Browser, sample: Served) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with visiting(browser, sample, color_scheme="dark") as visit:
        page = visit.page
        page.goto("/")
        assert page.evaluate(ground) == "rgb(20, 24, 28)"
        page.emulate_media(color_scheme="light")
        assert page.evaluate(ground) == "rgb(247, 247, 245)"
        page.locator("#theme").click()
        assert page.evaluate(ground) == "rgb(20, 24, 28)"
        page.reload()
        assert page.evaluate(ground) == "rgb(20, 24, 28)"


def test_who_wants_no_motion_gets_none(browser: Browser, sample: Served) -> None:
    duration = "getComputedStyle(document.querySelector('.hit')).transitionDuration"
    for motion, seconds in (("reduce", "0s"), ("no-preference", "0.12s")):
        with visiting(browser, sample, reduced_motion=motion) as visit:
            visit.page.goto("/?q=bread")
            visit.page.locator(".hit").first.wait_for()
            assert visit.page.evaluate(duration) == seconds


def test_from_nothing_to_a_searchable_folder(browser: Browser, empty: Served, tmp_path: Path) -> None:
    (tmp_path / "notes" / "torn.pdf").write_bytes(b"%PDF-1.7\nnothing more")
    with visiting(browser, empty) as visit:
        visit.expected = ("404",)
        page = visit.page
        page.goto("/")
        expect(page.locator("#empty h2")).to_have_text("Nothing is indexed yet")
        folder = page.get_by_label("Which folder should be searchable?")
        folder.fill(str(tmp_path / "nowhere"))
        page.get_by_role("button", name="Make searchable").click()
        expect(page.locator("#empty .progress")).to_contain_text(f"There is no {tmp_path}/nowhere")
        page.evaluate(
            """() => { window.steps = [];
            new MutationObserver(() => window.steps.push(document.querySelector("#empty .progress")?.textContent))
              .observe(document.querySelector("#empty"), { childList: true, subtree: true, characterData: true }); }"""
        )
        folder.fill(str(tmp_path / "notes"))
        folder.press("Enter")
        expect(page.locator("#empty h2")).to_have_text("66 documents are ready")
        steps = [step for step in page.evaluate("window.steps") if step]
        assert any(
            re.match(r"(Looking for files|Reading|Learning what they mean): \d+", step) for step in steps
        )
        search(page, "feed the sourdough starter")
        expect(page.locator(".hit .title").first).to_have_text("Keeping a sourdough starter alive")
        page.locator("#show-status").click()
        expect(page.locator("#view-status table")).to_contain_text("torn.pdf")
        (torn,) = empty.engine.why(tmp_path / "notes" / "torn.pdf")
        expect(page.locator("#view-status table td").nth(1)).to_contain_text(torn.reason)
        expect(page.locator(".job").first).to_contain_text("59 new, 1 failed")
        page.get_by_role("button", name=re.compile("left out by a rule")).click()
        expect(page.locator("#view-status table")).to_contain_text(".judged")


def test_how_much_is_found_by_meaning_is_told_while_it_grows(browser: Browser, empty: Served) -> None:
    empty.engine.add([Record("The first of many words.", "first")])
    with visiting(browser, empty) as visit:
        page = visit.page
        page.goto("/")
        search(page, "many")
        words = ("harbour", "kettle", "orchard", "granite", "violin", "compass", "thimble")
        many = [
            Record(" ".join(f"{words[(n + k) % 7]} {n * k}" for k in range(40)), f"n{n}") for n in range(150)
        ]
        empty.engine.add(many)
        search(page, "harbour kettle")
        expect(page.locator("#coverage")).to_be_visible()
        assert re.fullmatch(
            r"\d+ % of chunks can be found by meaning so far\.",
            page.locator("#coverage label").inner_text(),
        )
        expect(page.locator("#coverage")).to_be_hidden()
        assert empty.client.get("/stats").json()["semantic_coverage"] == 1.0


def test_texts_of_another_language_name_a_better_model(
    browser: Browser, tmp_path: Path, model_folder: Path
) -> None:
    from localsearch.engine import Engine

    settings = replace(settings_at(tmp_path / "home"), models=model_folder, offline=False)
    german = "Der Antrag auf Erneuerung der Lizenz muss bis zum Ende des Monats bei der Behörde eingehen."
    better = "multilingual-e5-small-q4"
    with Engine.open(settings=settings) as engine, serving(engine, settings) as served:
        engine.add([Record(german, "a")])
        for locale, words in (("en-GB", "knows the languages"), ("de-DE", "kennt die Sprachen")):
            with visiting(browser, served, locale=locale) as visit:
                visit.page.goto("/")
                expect(visit.page.locator("#empty")).to_contain_text(f"{better} {words}")
                visit.page.locator("#show-status").click()
                expect(visit.page.locator("#view-status")).to_contain_text(better)
        engine.add([Record("The request for renewal must reach the office by the end of the month.", "a")])
        assert engine.status().better_model is None


def test_the_status_view_shows_figures_and_charts(page: Page, sample: Served) -> None:
    page.goto("/?q=bread")
    page.locator(".hit").first.wait_for()
    page.locator("#show-status").click()
    expect(page).to_have_title("Status – localsearch")
    page.locator(".figure", has_text="documents").first.wait_for()
    figures = dict(zip(texts(page, ".figure > span"), texts(page, ".figure strong")))
    assert figures["documents"] == "66"
    assert figures["found by meaning"] == "100.0 %"
    assert re.fullmatch(r"[\d.]+ ms", figures["search, median"])
    charts = page.locator("#view-status svg")
    expect(charts).to_have_count(3)
    for chart in charts.all():
        assert re.search(r": now [\d.]+", chart.get_attribute("aria-label") or "")
        points = chart.locator("polyline").first.get_attribute("points") or ""
        assert len(points.split()) >= 2
    page.keyboard.press("/")
    expect(page.locator("#query")).to_be_focused()
    expect(page.locator("#view-search")).to_be_visible()


def test_the_status_view_leaves_the_keyboard_where_it_is(page: Page, sample: Served) -> None:
    page.goto("/?view=status")
    pick = page.get_by_role("button", name=re.compile("left out by a rule"))
    pick.focus()
    with page.expect_response(re.compile("/stats/history")):
        pick.click()
    for _ in range(2):
        sample.search("something else each time", cache=False)
        with page.expect_response(re.compile(r"/stats$")) as answered:
            pass
        answered.value.finished()
    expect(pick).to_be_focused()
    expect(pick).to_have_attribute("aria-pressed", "true")
    folder = page.get_by_label("Which folder should be searchable?")
    folder.fill("/home/me")
    with page.expect_response(re.compile(r"/stats$")) as answered:
        pass
    answered.value.finished()
    expect(folder).to_be_focused()
    expect(folder).to_have_value("/home/me")


def test_a_server_with_keys_asks_for_one_once(browser: Browser, tmp_path: Path) -> None:
    with notes(tmp_path / "home", require_keys=True) as served, visiting(browser, served) as visit:
        page = visit.page
        visit.expected = ("401", "403")
        _, secret = Keys(served.service.db).create("the page", "read")
        served.service.keyring.refresh()
        page.goto("/?view=status")
        expect(page.locator("dialog h2")).to_have_text("This server asks for a key")
        assert page.locator("dialog").count() == 1
        page.get_by_label("API key").fill("ls_wrong_wrong")
        page.keyboard.press("Enter")
        expect(page.locator("dialog h2")).to_have_text("That key was not accepted")
        page.get_by_label("API key").fill(secret)
        page.keyboard.press("Enter")
        expect(page.locator(".figure strong").first).to_have_text("5")
        assert page.locator("dialog").count() == 0
        page.locator("#show-search").click()
        search(page, "kiln")
        page.locator(".hit .title").first.click()
        expect(page.locator("#preview .passage")).to_contain_text("Let the kiln cool")
        page.reload()
        expect(page.locator("#empty, .hit").first).to_be_attached()
        search(page, "bees")
        page.get_by_role("button", name="Relevant", exact=True).first.click()
        expect(page.locator("#banner")).to_contain_text("write")


def test_a_key_may_be_refused_and_given_later(browser: Browser, tmp_path: Path) -> None:
    with notes(tmp_path / "home", require_keys=True) as served, visiting(browser, served) as visit:
        page = visit.page
        visit.expected = ("401",)
        _, secret = Keys(served.service.db).create("the page", "read")
        served.service.keyring.refresh()
        page.goto("/")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#banner")).to_contain_text("key")
        page.locator("#query").fill("kiln")
        page.get_by_role("button", name="Give a key").click()
        page.get_by_label("API key").fill(secret)
        page.keyboard.press("Enter")
        expect(page.locator(".hit").first).to_be_visible()


def test_a_server_that_is_gone_is_named(browser: Browser, tmp_path: Path) -> None:
    with notes(tmp_path / "home") as served, visiting(browser, served) as visit:
        visit.expected = ("ERR_CONNECTION_REFUSED",)
        visit.page.goto("/")
        visit.page.locator("#empty h2").wait_for()
        served.stop()
        visit.page.locator("#query").fill("kiln")
        expect(visit.page.locator("#banner")).to_contain_text("The server cannot be reached.")
