"""What matches: a facet's count is what its filter gives, and the pages hold as many as the total says."""

from __future__ import annotations

from pathlib import Path

import pytest
from serving import Served

from localsearch.engine import Engine
from localsearch.settings import Settings

FILTERS = {
    "type": "type:",
    "language": "lang:",
    "tag": "tag:",
    "year": "year:",
    "month": "date:",
    "folder": "path:",
}
MAIL = b"From: ann@a.example\nSubject: The boiler\nDate: Mon, 30 Sep 2019 07:12:44 +0000\n\nValves of the boiler.\n"


@pytest.mark.parametrize("query", ["sourdough", "backup", "heating is broken", "the wifi is slow", "zebra"])
@pytest.mark.parametrize("mode", ["hybrid", "lexical", "semantic"])
def test_a_count_of_a_facet_is_what_its_filter_gives(sample: Served, query: str, mode: str) -> None:
    whole = sample.search(query, facets=True, limit=100, mode=mode)
    assert not whole["total_is_estimate"]
    assert len(whole["results"]) == whole["total"] == sum(whole["facets"]["type"].values())
    for facet, counts in whole["facets"].items():
        for value, number in counts.items():
            ends = "/" if facet == "folder" else ""
            narrowed = (
                f'{FILTERS[facet]}"{value}{ends}"'
                if facet not in ("year", "month")
                else f"{FILTERS[facet]}{value}"
            )
            found = sample.search(query, filters=narrowed, facets=True, limit=100, mode=mode)
            assert (found["total"], len(found["results"])) == (number, number), narrowed


def test_pages_hold_what_the_total_says(sample: Served) -> None:
    total = sample.search("heating is broken", only_matching=True, limit=1)["total"]
    pages = [
        sample.search("heating is broken", only_matching=True, limit=4, offset=offset)["results"]
        for offset in range(0, total + 4, 4)
    ]
    ids = [hit["id"] for page in pages for hit in page]
    assert len(ids) == len(set(ids)) == total > 4


def test_few_match_where_few_hold_the_word(sample: Served) -> None:
    assert sample.search("sourdough", facets=True)["total"] <= 6
    assert sample.search("zebra", facets=True)["total"] == 0
    nearest = sample.search("zebra", limit=3)
    assert (len(nearest["results"]), nearest["nothing_relevant"]) == (3, True)


def test_a_mail_is_of_the_day_on_which_it_was_sent(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "boiler.eml").write_bytes(MAIL)
    (tmp_path / "files" / "boiler.txt").write_text("The boiler of this year.")
    settings = Settings(home=tmp_path / "home", models=tmp_path / "none", offline=True)
    with Engine.open(settings=settings) as engine:
        engine.index(tmp_path / "files", embed=False)
        answer = engine.search("boiler", facets=True)
        assert answer.facets is not None
        assert answer.facets["year"]["2019"] == 1
        (mail,) = engine.search("boiler", filters="before:2020").results
        assert mail.metadata["type"] == "eml"
        assert mail.metadata["date"].startswith("2019-09-30")
        assert [hit.metadata["type"] for hit in engine.search("type:eml,text")] == ["text", "eml"]


@pytest.mark.parametrize(
    ("typed", "title"), [("sourdou", "Keeping a sourdough"), ("cast iron skil", "Caring for a cast")]
)
def test_a_word_is_found_while_it_is_being_typed(sample: Served, typed: str, title: str) -> None:
    for mode in ("lexical", "hybrid"):
        answer = sample.search(typed, mode=mode)
        assert answer["results"][0]["title"].startswith(title)
        assert answer["corrections"] == []


@pytest.mark.parametrize("word", ["rental", "café", "zebra"])
def test_a_word_of_the_language_is_never_changed(sample: Served, word: str) -> None:
    assert sample.search(word)["corrections"] == []


def test_a_slip_of_the_pen_still_is(sample: Served) -> None:
    assert sample.search("sourdouhg starter")["corrections"] == ["sourdough starter"]


@pytest.mark.parametrize(
    ("asked", "types"),
    [
        ("type:email", {"eml"}),
        ("type:mail", {"eml"}),
        ("type:md", {"markdown"}),
        ("type:txt", {"text"}),
        ("type:ebook", {"epub"}),
        ("type:word", {"docx"}),
        ("type:py,sh", {"code"}),
        ("ext:.PY", {"code"}),
        ("type:excel", {"csv", "tsv"}),
        ("-type:web -type:md -ext:py -type:txt -type:excel -ext:sql,sh", None),
    ],
)
def test_types_as_people_say_them(sample: Served, asked: str, types: set[str] | None) -> None:
    found = sample.search(asked, facets=True, limit=100)
    kinds = set(found["facets"]["type"])
    if types is not None:
        assert kinds <= types
        assert kinds
    else:
        assert not kinds & {"html", "markdown", "text", "csv", "tsv", "code"}


def test_a_file_is_found_by_a_part_of_its_name_and_not_by_that_of_its_folder(sample: Served) -> None:
    assert [hit["path"].rsplit("/", 1)[1] for hit in sample.search("name:knive")["results"]] == [
        "knives.html"
    ]
    assert sample.search("name:kitchen")["total"] == 0
    assert sample.search("knives.html")["results"][0]["path"].endswith("/knives.html")
