"""While typing: names of files and folders, searches made before, and months within a year."""

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
from localsearch.types import Record, Scope

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def expect(thing: object) -> object:
    from playwright.sync_api import expect as real

    return real(thing)  # type: ignore[call-overload]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    folder = tmp_path / "house"
    for name in ("cellar/boiler manual.txt", "cellar/boiler.txt", "attic/boilerplate.txt", "attic/hats.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"What {name} has to say.")
    return folder


@pytest.fixture
def typing(browser: Browser, tmp_path: Path, house: Path) -> Iterator[tuple[Visit, Served]]:
    with notes(tmp_path / "home") as served:
        served.engine.index(house, embed=False)
        with visiting(browser, served) as visit:
            visit.page.goto("/")
            yield visit, served


def typed(page: Page, text: str) -> None:
    page.locator("#query").fill("")
    page.keyboard.type(text, delay=20)


def test_files_are_offered_by_name_the_exact_one_first(typing: tuple[Visit, Served], house: Path) -> None:
    page = typing[0].page
    typed(page, "boiler")
    files = page.locator("#suggestions").get_by_role("group", name="Files").get_by_role("button")
    expect(files).to_have_count(3)
    expect(files.nth(1)).to_contain_text(
        "manual"
    )  # what the last letter brought: until then the shorter name is second
    assert [one.inner_text().split("\n")[0] for one in files.all()] == [
        "boiler.txt",
        "boiler manual.txt",
        "boilerplate.txt",
    ]
    assert barriers(report(page)) == []
    files.first.click()
    expect(page.locator("#preview .context")).to_contain_text("What cellar/boiler.txt has to say.")
    page.keyboard.press("Escape")


def test_a_folder_takes_the_place_of_its_name(typing: tuple[Visit, Served], house: Path) -> None:
    page = typing[0].page
    typed(page, "cell")
    page.locator("#suggestions").get_by_role("group", name="Folders").get_by_role(
        "button", name="cellar"
    ).click()
    expect(page.locator("#query")).to_have_value("")
    expect(page.locator(".chip .edit")).to_have_text("path:house/cellar/")
    expect(page.locator(".chip .edit")).to_have_attribute("title", f"Edit: path:{house}/cellar/")
    expect(page.locator(".hit")).to_have_count(2)


def test_a_key_that_sees_a_part_is_offered_that_part(browser: Browser, tmp_path: Path, house: Path) -> None:
    with notes(tmp_path / "home", require_keys=True) as served, visiting(browser, served) as visit:
        served.engine.index(house, embed=False)
        _, secret = Keys(served.service.db).create("part", "read", Scope((), (str(house / "attic"),)))
        served.service.keyring.refresh()
        visit.expected = ("403",)
        visit.page.goto(f"/?token={secret}")
        visit.page.locator(".part.folders li").first.wait_for()
        typed(visit.page, "boiler")
        offered = visit.page.locator("#suggestions").get_by_role("group", name="Files").get_by_role("button")
        expect(offered).to_have_count(1)
        expect(offered).to_contain_text("boilerplate.txt")
        typed(visit.page, "cellar")
        visit.page.wait_for_timeout(400)
        assert visit.page.locator("#suggestions .named").count() == 0


def test_searches_are_remembered_offered_and_forgotten(typing: tuple[Visit, Served]) -> None:
    page = typing[0].page
    search(page, "boiler manual")
    page.keyboard.press("Enter")
    expect(page.locator("#preview")).to_be_visible()
    search(page, "hats")  # read as it was typed, and neither sent nor opened
    page.locator("#brand").click()
    asked = page.locator(".part.asked li")
    expect(asked).to_have_text(["boiler manual"])
    assert barriers(report(page)) == []
    typed(page, "boil")
    page.locator("#suggestions .past").click()
    expect(page.locator("#query")).to_have_value("boiler manual")
    page.reload()
    page.locator("#brand").click()
    expect(asked).to_have_text(["boiler manual"])
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(asked).to_have_count(0)
    assert page.evaluate("localStorage.getItem('localsearch-recent')") is None


def test_nothing_is_remembered_where_a_person_says_so(typing: tuple[Visit, Served]) -> None:
    page = typing[0].page
    search(page, "boiler")
    page.keyboard.press("Enter")
    page.locator("#brand").click()
    expect(page.locator(".part.asked li")).to_have_count(1)
    page.get_by_label("Remember searches").uncheck()
    expect(page.locator(".part.asked li")).to_have_count(0)
    search(page, "hats")
    page.keyboard.press("Enter")
    page.locator("#brand").click()
    expect(page.get_by_label("Remember searches")).not_to_be_checked()
    assert page.locator(".part.asked li").count() == 0
    assert page.evaluate("localStorage.getItem('localsearch-recent')") is None


def test_months_of_a_year_are_chosen_by_dragging_or_one_by_one(browser: Browser, tmp_path: Path) -> None:
    with notes(tmp_path / "home") as served, visiting(browser, served) as visit:
        served.engine.add(
            [
                Record(
                    f"A heron {month}-{number}.", f"h{month}-{number}", "", {"date": f"2021-{month:02}-05"}
                )
                for month in (1, 2, 3, 7)
                for number in range(month)
            ]
        )
        page = visit.page
        page.goto("/?q=heron&f=year%3A2021")
        months = page.locator("#facets details", has=page.locator("summary", has_text="Month"))
        expect(months.get_by_role("button")).to_have_text(
            [
                re.compile(r"July\s*7"),
                re.compile(r"March\s*3"),
                re.compile(r"February\s*2"),
                re.compile(r"January\s*1"),
            ]
        )
        box = months.locator(".histogram").bounding_box()
        assert box is not None
        each = box["width"] / 7
        page.mouse.move(box["x"] + each * 0.5, box["y"] + 30)
        page.mouse.down()
        page.mouse.move(box["x"] + each * 2.5, box["y"] + 30, steps=4)
        page.mouse.up()
        expect(page.locator(".chip .edit")).to_have_text(["year:2021", "date:2021-01..2021-03"])
        expect(page.locator("#summary")).to_have_text(re.compile("^6 documents"))
        page.get_by_role("button", name="Remove the filter date:2021-01..2021-03").click()
        page.locator("#facets:not([aria-busy])").wait_for(state="attached")
        bars = months.get_by_role("slider", name="A span of months")
        expect(bars).to_have_attribute("aria-valuetext", "January to July: 13")
        assert barriers(report(page)) == []
        bars.focus()
        page.keyboard.press("Home")
        expect(bars).to_have_attribute("aria-valuetext", "January: 1")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        expect(bars).to_have_attribute("aria-valuetext", "February to March: 5")
        page.keyboard.press("Escape")
        expect(bars).to_have_attribute("aria-valuetext", "January to July: 13")
        expect(bars).to_be_focused()
        page.keyboard.press("Home")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Enter")
        expect(page.locator(".chip .edit")).to_have_text(["year:2021", "date:2021-01..2021-02"])
        expect(page.locator("#summary")).to_have_text(re.compile("^3 documents"))
        page.get_by_role("button", name="Remove the filter date:2021-01..2021-02").click()
        months.get_by_role("button", name="July").click()
        expect(page.locator("#summary")).to_have_text(re.compile("^7 documents"))
