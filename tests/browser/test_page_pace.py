"""Answers at every letter: one question on its way at a time, what was shown stays, counts follow once typing pauses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from serving import Served, notes

from browser.conftest import Visit, search, texts, visiting
from localsearch.types import Record

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request, Route


def expect(thing: object) -> object:
    from playwright.sync_api import expect as real

    return real(thing)  # type: ignore[call-overload]


@pytest.fixture
def typing(browser: Browser, tmp_path: Path) -> Iterator[tuple[Visit, Served]]:
    with notes(tmp_path / "home") as served:
        served.engine.add(
            [
                Record(f"A heron of {year}.", f"h{n}", "", {"year": year})
                for n, year in enumerate((2019, 2020, 2020))
            ]
        )
        with visiting(browser, served) as visit:
            visit.page.goto("/")
            visit.page.locator("#empty h2").wait_for()
            yield visit, served


def asked(request: Request) -> str:
    return str(request.post_data_json["query"])


def of_hits(route: Route) -> bool:
    return not route.request.post_data_json.get("facets")


def test_one_question_is_on_its_way_and_the_last_one_typed_follows_it(typing: tuple[Visit, Served]) -> None:
    held: list[Route] = []
    page = typing[0].page
    search(page, "bread")
    page.route("**/search", lambda route: held.append(route) if of_hits(route) else route.continue_())
    page.locator("#query").fill("")
    page.locator("#empty h2").wait_for()
    page.locator("#query").focus()
    page.keyboard.type("kiln", delay=30)
    page.wait_for_timeout(300)
    assert [asked(one.request) for one in held] == ["k"]
    held.pop().continue_()
    expect(page).to_have_title(re.compile("^kiln "))
    expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
    while not held:
        page.wait_for_timeout(20)
    assert [asked(one.request) for one in held] == ["kiln"]
    held.pop().continue_()
    expect(page.locator(".hit .title").first).to_have_text("Kiln")
    expect(page.locator("#results")).not_to_have_attribute("aria-busy", "true")
    assert held == []


def test_an_emptied_field_shows_the_start_whatever_still_comes(typing: tuple[Visit, Served]) -> None:
    held: list[Route] = []
    page = typing[0].page
    page.route("**/search", lambda route: held.append(route))
    page.locator("#query").fill("kiln")
    expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
    page.locator("#query").fill("")
    expect(page.locator("#empty h2").first).to_be_visible()
    page.locator("#query").fill("bread")
    while len(held) < 2:
        page.wait_for_timeout(20)
    held[1].continue_()
    expect(page.locator(".hit .title").first).to_have_text("Bread")
    expect(page.locator("#results")).not_to_have_attribute("aria-busy", "true")


def test_hits_do_not_wait_for_their_counts(typing: tuple[Visit, Served]) -> None:
    held: list[Route] = []
    page = typing[0].page
    page.route("**/search", lambda route: route.continue_() if of_hits(route) else held.append(route))
    page.locator("#query").fill("heron")
    expect(page.locator(".hit")).to_have_count(3)
    expect(page.locator("#summary")).to_have_text(re.compile("^3 documents"))
    while not held:
        page.wait_for_timeout(20)
    expect(page.locator("#facets")).to_have_attribute("aria-busy", "true")
    held.pop().continue_()
    years = page.locator("#facets details", has=page.locator("summary", has_text="Year")).get_by_role(
        "button"
    )
    expect(years).to_have_text([re.compile(r"2020\s*2"), re.compile(r"2019\s*1")])
    page.locator("#query").fill("heron 2019")  # the counts are of another question: they are not shown
    expect(page.locator("#facets .number").first).to_be_hidden()
    while not held:
        page.wait_for_timeout(20)
    held.pop().continue_()
    expect(page.locator("#facets .number").first).to_be_visible()


def years(page: Page) -> list[str]:
    """The years that can be chosen with the numbers beside them, as far as these are to be seen."""
    shown = page.locator("#facets details", has=page.locator("summary", has_text="Year")).get_by_role(
        "button"
    )
    return [
        " ".join(one.locator("span:visible").all_inner_texts()).strip()
        for one in shown.all()
        if one.locator(".number").is_visible()
    ]


def test_counts_of_a_dropped_filter_go_with_it_whatever_still_comes(typing: tuple[Visit, Served]) -> None:
    held: list[Route] = []
    page = typing[0].page
    page.goto("/?q=heron&f=year%3A2020")
    expect(page.locator("#summary")).to_have_text(re.compile("^2 documents"))
    page.locator("#facets:not([aria-busy])").wait_for(state="attached")
    assert years(page) == ["2020 2"]
    page.route("**/search", lambda route: held.append(route))
    page.get_by_role("button", name="Remove the filter year:2020").click()
    expect(page.locator("#facets .number").first).to_be_hidden()  # before an answer has come
    assert years(page) == []
    pressed = page.locator("#facets button[aria-pressed=true]")
    expect(pressed).to_have_count(0)
    (hits,) = waited(page, held)
    hits.continue_()
    expect(page.locator("#summary")).to_have_text(re.compile("^3 documents"))
    (counts,) = waited(page, held)
    assert not of_hits(counts)
    page.evaluate("history.back()")  # the filter is in force again while counts without it are under way
    (again,) = waited(page, held)
    again.continue_()
    expect(page.locator("#summary")).to_have_text(re.compile("^2 documents"))
    (narrowed,) = waited(page, held)
    narrowed.continue_()
    expect(page.locator("#facets:not([aria-busy])")).to_be_attached()
    assert years(page) == ["2020 2"]
    counts.continue_()  # the earlier one, last
    page.wait_for_timeout(300)
    assert years(page) == ["2020 2"]


def test_counts_of_a_question_that_fails_are_not_those_before_it(typing: tuple[Visit, Served]) -> None:
    visit = typing[0]
    page, visit.expected = visit.page, ("503",)
    page.goto("/?q=heron&f=year%3A2020")
    page.locator("#facets:not([aria-busy]) .number").first.wait_for()
    page.route("**/search", lambda route: route.fulfill(status=503, json={"error": {"message": "Busy."}}))
    page.get_by_role("button", name="Remove the filter year:2020").click()
    expect(page.locator("#banner")).to_have_text("Busy.")
    expect(page.locator("#facets")).to_be_empty()


def waited(page: Page, held: list[Route]) -> list[Route]:
    """The requests that are held, once there is one; they are taken off the list."""
    while not held:
        page.wait_for_timeout(20)
    taken = held[:]
    held.clear()
    return taken


def test_counts_are_asked_for_once_in_a_word(typing: tuple[Visit, Served]) -> None:
    counted: list[str] = []
    page = typing[0].page
    page.on("request", lambda one: _note(counted, one))
    page.locator("#query").focus()
    page.keyboard.type("heron", delay=30)
    expect(page.locator("#facets .number").first).to_be_visible()
    assert counted[-1] == "heron"
    assert len(counted) < 3  # a machine that stalls between two letters makes a pause of its own


def _note(counted: list[str], request: Request) -> None:
    if request.url.endswith("/search") and request.post_data_json.get("facets"):
        counted.append(asked(request))


def test_a_letter_taken_back_asks_nothing(typing: tuple[Visit, Served]) -> None:
    page = typing[0].page
    search(page, "kiln")
    search(page, "kilns")
    page.route("**/search", lambda route: route.abort() if of_hits(route) else route.continue_())
    page.locator("#query").press("End")
    page.locator("#query").press("Backspace")
    expect(page).to_have_title(re.compile("^kiln "))
    assert texts(page, ".hit .title")[0] == "Kiln"
    expect(page.locator("#banner")).to_be_hidden()
    page.unroute("**/search")
    typing[1].engine.add([Record("Kiln Kiln Kiln", "later", "Another kiln")])
    page.locator("#query").press("Enter")  # what is sent is asked anew
    expect(page.locator(".hit .title", has_text="Another kiln")).to_have_count(1)


def test_whoever_listens_is_told_once(typing: tuple[Visit, Served]) -> None:
    page = typing[0].page
    page.evaluate(
        "() => { window.told = []; new MutationObserver(() => window.told.push(document.getElementById('announce').textContent))"
        ".observe(document.getElementById('announce'), { childList: true, characterData: true, subtree: true }); }"
    )
    page.locator("#query").focus()
    page.keyboard.type("herons", delay=60)
    expect(page.locator("#announce")).not_to_have_text("")
    page.wait_for_timeout(1000)
    assert page.evaluate("window.told") == ["3 documents"]


def test_a_word_typed_is_one_step_back(typing: tuple[Visit, Served]) -> None:
    page = typing[0].page
    search(page, "bread")
    page.keyboard.press("Enter")
    expect(page.locator("#preview")).to_be_visible()
    page.locator("#query").fill("")
    page.keyboard.type("heron", delay=150)
    expect(page.locator(".hit")).to_have_count(3)
    page.wait_for_url(re.compile(r"q=heron$"))
    back(page)
    expect(page.locator("#query")).to_have_value("bread")


def back(page: Page) -> None:
    page.evaluate("history.back()")
