"""Asking, narrowing, reading on, and finding back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from serving import SAMPLE, Served

from browser.conftest import FILE_TAB, Visit, search, settle, texts, visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

STARTER = "Keeping a sourdough starter alive"


def expect(thing: object) -> object:
    from playwright.sync_api import expect as real

    return real(thing)  # type: ignore[call-overload]


def asked(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_results_come_while_typing(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#empty h2")).to_have_text("66 documents are ready")
    expect(page.locator("#query")).to_be_focused()
    page.keyboard.type("feed sourdough st", delay=30)
    expect(page.locator(".hit .title").first).to_have_text(STARTER)
    assert page.title() == "feed sourdough st – localsearch"
    assert page.locator("#empty").is_hidden()
    assert re.match(r"\d+ documents in [\d.]+ ms", page.locator("#summary").inner_text())
    expect(page.locator("#announce")).to_have_text(re.compile(r"^\d+ documents$"))


def test_a_time_zone_that_the_server_does_not_know_hides_nothing(visit: Visit) -> None:
    page, visit.expected = visit.page, ("400",)
    page.add_init_script(
        "const real = Intl.DateTimeFormat.prototype.resolvedOptions;"
        "Intl.DateTimeFormat.prototype.resolvedOptions = function () {"
        "  return { ...real.call(this), timeZone: 'Moon/Tranquility' }; };"
    )
    zones: list[object] = []
    page.on(
        "request",
        lambda one: (
            zones.append((one.post_data_json or {}).get("time_zone")) if one.url.endswith("/search") else None
        ),
    )
    page.goto("/")
    search(page, "sourdough starter")
    assert page.locator(".hit").count() > 0
    search(page, "sourdough bread")
    assert page.locator(".hit").count() > 0
    assert "Moon/Tranquility" in zones
    assert zones[-1] is None


def test_the_words_asked_for_are_marked(page: Page) -> None:
    page.goto("/")
    search(page, "sourdough starter")
    marks = {text.lower() for text in texts(page, ".hit:first-child .snippet mark")}
    assert marks
    assert marks <= {"sourdough", "starter", "starters"}


def test_completions_and_corrections(page: Page) -> None:
    page.goto("/")
    search(page, "sourdo")
    expect(page.locator("#suggestions button").first).to_have_text("sourdough")
    page.locator("#suggestions button").first.click()
    expect(page.locator("#query")).to_have_value("sourdough")
    search(page, "sourdouhg starter")
    assert page.locator(".hit").count() > 0
    page.get_by_role("button", name="sourdough starter", exact=True).click()
    expect(page.locator("#query")).to_have_value("sourdough starter")
    expect(page.locator("#corrections")).to_be_empty()


def test_facets_narrow_and_chips_widen(page: Page) -> None:
    page.goto("/?mode=lexical")
    search(page, "how to keep bread fresh")
    before = page.locator("#summary").inner_text()
    folder = page.locator("#facets [data-focus^='path:']", has_text="kitchen")
    assert folder.inner_text().split()[0] == "kitchen"
    assert folder.get_attribute("title") == str(SAMPLE / "kitchen")
    number = int(folder.locator(".number").inner_text())
    folder.click()
    expect(page.locator("#summary")).to_have_text(re.compile(f"^{number} documents"))
    assert all("sample › kitchen" in where for where in texts(page, ".hit .where"))
    expect(folder).to_have_attribute("aria-pressed", "true")
    expect(folder).to_be_focused()
    assert asked(page)["f"] == [f"path:{SAMPLE}/kitchen/"] or asked(page)["f"] == [
        f'path:"{SAMPLE}/kitchen/"'
    ]
    page.locator("#facets button", has_text="markdown").click()
    expect(page.locator(".chip")).to_have_count(2)
    expect(page.locator("#summary")).not_to_have_text(re.compile(f"^{number} documents"))
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator(".chip")).to_have_count(0)
    expect(page.locator("#summary")).to_have_text(re.compile("^" + before.split(" in ")[0]))


def test_a_question_about_nothing_here_says_so_above_its_hits(page: Page) -> None:
    page.goto("/")
    search(page, "enzyme kinetics of lactate dehydrogenase in rats")
    expect(page.locator("#summary.doubt")).to_have_text(
        "Nothing here seems to be about this. What comes nearest:"
    )
    assert page.locator(".hit").count() > 0
    expect(page.locator("#announce")).to_have_text(re.compile("^Nothing here seems to be about this"))
    assert "documents" not in page.locator("section.found").inner_text()
    search(page, "zebra")
    expect(page.locator(".hit")).to_have_count(10)
    expect(page.locator(".closeness").first).to_have_text("loosely related")
    assert page.locator("#facets button").count() == 0
    search(page, "sourdough starter")
    expect(page.locator("#summary")).not_to_have_class("doubt")


def test_a_count_of_a_facet_is_what_the_page_then_says(page: Page) -> None:
    page.goto("/?q=heating+is+broken")
    page.locator(".hit").first.wait_for()
    for name in ("Markdown", "Web page"):
        button = page.locator("#facets button", has_text=name)
        number = int(button.locator(".number").inner_text())
        button.click()
        expect(page.locator("#summary")).to_have_text(re.compile(f"^{number} documents? in"))
        expect(page.locator(".hit")).to_have_count(min(number, 10))
        button.click()
        expect(page.locator(".chip")).to_have_count(0)


def test_what_is_loosely_related_is_shown_when_asked_for(page: Page) -> None:
    page.goto("/?q=sourdough")
    expect(page.locator(".hit")).to_have_count(2)
    page.get_by_role("button", name="Show what is loosely related").click()
    expect(page.locator(".hit")).to_have_count(10)
    assert asked(page)["wide"] == ["1"]
    page.go_back()
    expect(page.locator(".hit")).to_have_count(2)


def test_a_hit_is_told_in_words(page: Page) -> None:
    page.goto("/")
    search(page, "boiler service october")
    hit = page.locator(".hit", has_text="Boiler service").first
    where = hit.locator(".where")
    assert where.inner_text().startswith("sample › mail › boiler")
    expect(where).to_contain_text("E-mail")
    assert (hit.locator("time").get_attribute("datetime") or "").startswith("2024-09-30")
    expect(where).to_have_attribute("title", re.compile(f"^{SAMPLE}/mail/"))
    expect(hit.locator(".closeness")).to_have_text("close match")
    search(page, "compost ammonia")
    assert not re.search(r"\||##|\*\*", " ".join(texts(page, ".hit .snippet")))


def test_markdown_tables_and_code_are_drawn_in_the_preview(page: Page) -> None:
    page.goto("/")
    search(page, "compost smells of ammonia")
    page.locator(".hit .title", has_text="Compost that heats up").click()
    preview = page.locator("#preview .context")
    expect(preview.locator("tr.passage", has_text="too much nitrogen")).to_be_visible()
    expect(preview.locator("h4", has_text="Faults")).to_have_class("passage")
    assert not re.search(r"\||##|\*\*", preview.inner_text())
    page.get_by_role("button", name="Next match").click()
    expect(preview.locator("mark.here")).to_have_count(1)
    search(page, "bread flour substitute")
    page.locator(".hit .title", has_text="substitutions.csv").click()
    expect(preview.locator("th").first).to_have_text("ingredient")
    expect(preview.locator("tr.passage", has_text="vital wheat gluten")).to_be_visible()
    search(page, "token bucket take tokens")
    page.locator(".hit .title", has_text="token bucket").click()
    source = (SAMPLE / "code" / "token_bucket.py").read_text().split("\n")
    numbers = preview.locator(".gutter").inner_text().split()
    lines = (preview.locator("pre").text_content() or "").split("\n")
    assert source[int(numbers[0]) - 1 + 5] == lines[5]


@pytest.mark.parametrize(
    ("address", "offers"),
    [
        ("/?q=bread+type%3Anonsense", ["Without the filter type:nonsense 4 documents"]),
        ("/?q=bread&f=type%3Anonsense", ["Without the filter type:nonsense 4 documents"]),
        ("/?q=type%3Anonsense", ["Without the filter type:nonsense 66 documents"]),
        ("/?f=type%3Anonsense", ["Without the filter type:nonsense 66 documents"]),
        (
            "/?q=bread+type%3Anonsense&f=lang%3Ade",
            ["Without the filter lang:de 0 documents", "Without the filter type:nonsense 0 documents"],
        ),
    ],
)
def test_a_filter_that_nothing_matches_can_be_dropped(page: Page, address: str, offers: list[str]) -> None:
    page.goto(address)
    steps = page.locator(".steps-on li", has_text="Without the filter")
    expect(steps).to_have_text(offers)
    number = offers[0].split()[-2]
    steps.first.get_by_role("button").click()
    if number != "0":
        expect(
            page.locator("#summary, .welcome h2").filter(has_text=re.compile(f"^{number} documents"))
        ).to_be_visible()


def test_the_head_of_a_mail_is_told_once(page: Page) -> None:
    page.goto("/")
    search(page, "boiler service tenants fitter")
    page.locator(".hit .title", has_text="Boiler service").click()
    preview = page.locator("#preview")
    expect(preview.locator(".context")).to_have_text(re.compile("^Dear tenants,"))
    expect(preview.locator(".head dt")).to_have_text(["From", "To", "Date"])
    expect(preview.locator(".head dd").nth(1)).to_have_text(
        "Tenants of 14 Mill Lane <tenants@mill-lane.example>"
    )
    assert "tenants" in {text.lower() for text in texts(page, "#preview .head mark")}
    assert preview.inner_text().count("Boiler service on 14 October") == 1
    assert preview.inner_text().count("Service desk") == 1
    passage = preview.locator(".passage")
    assert passage.inner_text().startswith("Dear tenants,")


def test_what_can_be_typed_is_told_behind_the_question_mark(browser: Browser, sample: Served) -> None:
    for width, height in ((1280, 740), (390, 740), (640, 400)):
        with visiting(browser, sample, viewport={"width": width, "height": height}) as visit:
            visit.page.goto("/")
            visit.page.locator("#help").click()
            shown = visit.page.locator("#query-help")
            expect(shown).to_be_visible()
            assert shown.evaluate("node => node.scrollWidth - node.clientWidth") <= 0
            box = shown.bounding_box()
            assert box is not None
            assert 0 < box["y"] < box["y"] + box["height"] < height
            visit.page.keyboard.press("Escape")
            expect(shown).to_be_hidden()


def test_the_page_speaks_german_to_germans(browser: Browser, sample: Served) -> None:
    with visiting(browser, sample, locale="de-DE") as visit:
        page = visit.page
        page.goto("/?q=bread")
        expect(page.locator("#summary")).to_have_text(re.compile(r"^4 Dokumente in [\d.,]+ ms"))
        expect(page.locator("#facets summary").first).to_have_text("Art")
        expect(page.locator("#show-status")).to_have_text("Zustand")
        expect(page.locator("html")).to_have_attribute("lang", "de")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("bread date:2024-13", "2024-13 ist kein Datum. date:2024-13 wurde als Wörter gesucht."),
        ('"bread', "Ein Anführungszeichen hat kein Gegenstück und wurde übergangen."),
        ("(bread OR", "OR braucht etwas auf beiden Seiten. Als Wörter gesucht."),
        ("bread -rye", "Ausgelassen, wie gewünscht: was rye hat."),
    ],
)
def test_notes_of_an_answer_are_german_on_the_german_page(
    browser: Browser, sample: Served, query: str, words: str
) -> None:
    with visiting(browser, sample, locale="de-DE") as visit:
        visit.page.goto("/")
        search(visit.page, query)
        expect(visit.page.locator("#summary")).to_contain_text(words)


def test_more_like_one_hit(page: Page) -> None:
    page.goto("/")
    search(page, "bicycle brakes")
    first = page.locator(".hit").first
    assert "bicycle-brakes.md" in first.locator(".where").inner_text()
    first.get_by_role("button", name="More like this").click()
    expect(page.locator(".chip")).to_have_text(["like bicycle-brakes.md×"])
    settle(page)
    assert asked(page)["like"] == [str(SAMPLE / "workshop" / "bicycle-brakes.md")]
    assert page.title() == "like bicycle-brakes.md – localsearch"
    wheres = texts(page, ".hit .where")
    assert any("chain-wear.html" in where for where in wheres)
    assert not any("bicycle-brakes.md" in where for where in wheres)
    assert page.locator(".judge").count() == 0
    page.go_back()
    expect(page.locator("#query")).to_have_value("bicycle brakes")
    expect(page.locator(".chip")).to_have_count(0)
    page.go_forward()
    page.get_by_role("button", name="No longer like bicycle-brakes.md").click()
    expect(page.locator("#empty h2")).to_have_text("66 documents are ready")


@pytest.mark.parametrize(
    ("question", "place"),
    [
        ("Saltwick lighthouse keeper lamp", r"saltwick-lighthouse\.pdf, page \d+"),
        ("token bucket capacity", r"token_bucket\.py, line \d+"),
    ],
)
def test_a_hit_says_where_in_the_file(page: Page, question: str, place: str) -> None:
    page.goto("/")
    search(page, question)
    assert re.search(place, texts(page, ".hit .where")[0])


def test_the_preview_shows_the_passage_in_its_context(page: Page) -> None:
    page.goto("/")
    search(page, "throw soft cheese away mould")
    page.locator(".hit .title", has_text="HOW LONG FOOD KEEPS").click()
    passage = page.locator("#preview .passage")
    expect(passage).to_contain_text("Throw soft cheese away at the first spot")
    assert "cheese" in {text.lower() for text in texts(page, "#preview .passage mark")}
    whole = (SAMPLE / "kitchen" / "food-storage.txt").read_text().strip()
    assert page.locator("#preview .context").text_content().strip() == whole
    assert len(passage.text_content() or "") < len(whole)
    mark = page.locator("#preview .passage mark").first.bounding_box()
    pane = page.locator("#preview .context").bounding_box()
    assert mark
    assert pane
    assert pane["y"] <= mark["y"] <= pane["y"] + pane["height"]


def test_everything_works_from_the_keyboard(visit: Visit) -> None:
    visit.expected = (FILE_TAB,)
    page, press = visit.page, visit.page.keyboard.press
    page.goto("/")
    search(page, "bicycle chain")
    titles = texts(page, ".hit .title")
    press("ArrowDown")
    expect(page.locator(".hit .title").nth(0)).to_be_focused()
    press("ArrowDown")
    press("Enter")
    expect(page.locator("#preview h2")).to_have_text(titles[1])
    press("ArrowUp")
    expect(page.locator("#preview h2")).to_have_text(titles[0])
    press("Escape")
    expect(page.locator("#preview")).to_be_hidden()
    expect(page.locator(".hit .title").nth(0)).to_be_focused()
    with visit.context.expect_page() as opened:
        press("o")
    opened.value.wait_for_load_state()
    assert "/originals/" in opened.value.url
    opened.value.close()
    press("ArrowUp")
    expect(page.locator("#query")).to_be_focused()
    press("ArrowDown")
    press("Escape")
    expect(page.locator("#query")).to_be_focused()
    press("ArrowDown")
    press("/")
    expect(page.locator("#query")).to_be_focused()
    page.keyboard.type("soldering iron tin")
    press("Enter")
    expect(page.locator("#preview h2")).to_have_text(re.compile("Solder", re.I))
    assert page.locator("#query").input_value() == "soldering iron tin"


def test_open_and_copy_path(visit: Visit, sample: Served) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=sample.url)
    visit.expected = (
        "NotSameOrigin",
    )  # the tab of a text file belongs to nobody, and asks for an icon all the same
    page = visit.page
    page.goto("/")
    search(page, "throw soft cheese away mould type:text")
    hit = page.locator(".hit", has_text="food-storage.txt").first
    hit.get_by_role("button", name="Copy path").click()
    expect(hit.locator(".copy")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == str(SAMPLE / "kitchen" / "food-storage.txt")
    expect(hit.locator(".copy")).to_have_text("Copy path")
    with visit.context.expect_page() as opened:
        hit.get_by_role("button", name="Open").click()
    expect(opened.value.locator("body")).to_contain_text("Throw soft cheese away")


def test_an_address_can_be_shared_and_gone_back_to(visit: Visit, browser: Browser, sample: Served) -> None:
    page = visit.page
    page.goto("/")
    search(page, "bread")
    page.keyboard.press("Enter")
    search(page, "bicycle")
    page.locator("#facets button", has_text="markdown").click()
    expect(page.locator(".chip")).to_have_count(1)
    settle(page)
    here, titles = page.url, texts(page, ".hit .title")
    with visiting(browser, sample) as other:
        other.page.goto(here)
        expect(other.page.locator(".hit .title").first).to_have_text(titles[0])
        assert texts(other.page, ".hit .title") == titles
        assert other.page.locator("#query").input_value() == "bicycle"
        assert texts(other.page, ".chip .edit") == ["type:markdown"]
    page.go_back()
    expect(page.locator(".chip")).to_have_count(0)
    expect(page.locator("#query")).to_have_value("bicycle")
    page.go_back()
    expect(page.locator("#query")).to_have_value("bread")
    expect(page).to_have_title("bread – localsearch")
    page.go_back()
    expect(page.locator("#empty h2")).to_have_text("66 documents are ready")
    assert page.locator(".hit").count() == 0
    for _ in range(3):
        page.go_forward()
    expect(page).to_have_url(here)
    expect(page.locator(".hit .title").first).to_have_text(titles[0])


def test_the_list_goes_on_as_its_end_comes_near(page: Page, sample: Served) -> None:
    page.goto("/?q=how+long+does+it+take")
    page.locator(".hit").first.wait_for()
    expect(page.locator("#pages")).to_contain_text(re.compile(r"^Previous1 to \d+ of \d+Next$"))
    engine = sample.engine.search("how long does it take", limit=200, only_matching=True)
    for _ in range(3):
        page.mouse.wheel(0, 20_000)
        page.wait_for_timeout(200)
    expect(page.locator(".hit")).to_have_count(engine.total)
    assert page.locator(".hit .title").all_text_contents() == [hit.title for hit in engine.results]
    expect(page.locator("#pages button")).to_have_count(0)


def test_an_address_may_begin_further_down_the_list(page: Page, sample: Served) -> None:
    page.goto("/?q=how+long+does+it+take&page=2")
    second = sample.engine.search("how long does it take", limit=10, offset=10, only_matching=True)
    expect(page.locator(".hit .title").first).to_have_text(second.results[0].title)
    page.get_by_role("button", name="Previous").click()
    expect(page.locator(".hit .title").first).not_to_have_text(second.results[0].title)
    expect(page.locator(".hit.chosen")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"take$"))


def test_a_judgement_reaches_the_feedback_table(page: Page, sample: Served) -> None:
    page.goto("/")
    search(page, "when to prune an apple tree")
    hit = page.locator(".hit", has_text="apple-pruning.html").first
    hit.get_by_role("button", name="Relevant", exact=True).click()
    expect(hit.get_by_role("button", name="Relevant", exact=True)).to_have_attribute("aria-pressed", "true")
    key = str(SAMPLE / "garden" / "apple-pruning.html")
    assert judgements(sample, key) == [("when to prune an apple tree", 1)]
    hit.get_by_role("button", name="Not relevant").click()
    expect(hit.get_by_role("button", name="Not relevant")).to_have_attribute("aria-pressed", "true")
    expect(hit.get_by_role("button", name="Relevant", exact=True)).to_have_attribute("aria-pressed", "false")
    assert judgements(sample, key) == [("when to prune an apple tree", 0)]


def judgements(served: Served, key: str) -> list[tuple[str, int]]:
    import sqlite3

    with sqlite3.connect(served.engine.settings.home / "index.db") as db:
        return db.execute("SELECT query, relevant FROM feedback WHERE key = ?", (key,)).fetchall()


def test_what_cannot_be_asked_is_explained_and_forgotten(visit: Visit) -> None:
    visit.expected = ("400", "422")
    page = visit.page
    page.goto("/?q=bread&f=size:%3E%3E&page=-3&mode=nonsense")
    expect(page.locator("#banner")).to_be_visible()
    page.locator(".chip .remove").click()
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator(".hit").first).to_be_visible()


def test_a_late_answer_never_replaces_a_newer_one(page: Page) -> None:
    page.goto("/")
    search(page, "bread")
    page.locator("#query").fill("")
    expect(page.locator("#empty h2")).to_have_text("66 documents are ready")
    page.locator("#query").fill("b")
    page.locator("#query").fill("bicycle brakes squeal")
    expect(page.locator(".hit .title").first).to_have_text(re.compile("brake", re.I))
    assert page.locator("#empty").is_hidden()
