"""Words about a document are words of it: found by a plain question however typed, weighing less than its text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.words import check
from localsearch import Engine, Record
from localsearch.lexical import analyze_query, open_lexical
from localsearch.settings import load
from localsearch.text import Analyzer
from localsearch.types import IndexedChunk

VALUES = [
    "Allotment diary",
    "horticulture",
    "jane.doe@example.org",
    "Metavalue GmbH, München",
    "Les réparations d'été",
    "図書館ガイド",
    "Книги и ёлки",
    "KT-INS114-DRE 3.11.4",
    "İstanbul'un ışıkları",
]
TEXT = "Today we met on the green and talked."


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(tmp_path / "home") as opened:
        yield opened


def found(engine: Engine, query: str) -> list[str]:
    return [Path(hit.id).name for hit in engine.search(query, mode="lexical", limit=50).results]


def test_every_word_of_every_value_finds_its_document_however_typed(engine: Engine) -> None:
    records = [Record(TEXT, f"r{n}", metadata={"note": value}) for n, value in enumerate(VALUES)]
    records += [
        Record(TEXT, "nested", metadata={"tags": ["espalier"], "by": {"name": [["Quillworth"]], "no": 4711}})
    ]
    engine.add(records)
    texts = {f"r{n}": value for n, value in enumerate(VALUES)} | {"nested": "espalier Quillworth 4711"}
    rows = engine.corpus.documents(engine.corpus.document_ids()).values()
    said = {row.id: texts[row.key] for row in rows}
    counts = check(engine, said)
    assert (counts.documents, counts.failures, counts.examples) == (10, 0, ())


@settings(max_examples=40, deadline=None)
@given(
    written=st.lists(
        st.tuples(st.sampled_from(VALUES), st.sampled_from(["en", "de", "fi", "ru", ""])),
        min_size=1,
        max_size=6,
    )
)
def test_both_engines_find_and_weigh_the_same(
    written: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    analyzer = Analyzer()
    chunks = [
        IndexedChunk(n, n, "", "", TEXT, language=told, about=value)
        for n, (value, told) in enumerate(written, 1)
    ]
    chunks += [
        IndexedChunk(90 + n, 90 + n, "", "", f"{value} {TEXT}", language="en")
        for n, value in enumerate(VALUES)
    ]
    folder = tmp_path_factory.mktemp("words")
    indexes = [open_lexical(kind, folder / kind, analyzer, about=0.5) for kind in ("tantivy", "rank-bm25")]
    for index in indexes:
        index.add(chunks)
        index.commit(1)
    for number, (value, _) in enumerate(written, 1):
        for word in {part for each in value.split() for part in (each, each.lower(), each.upper())}:
            ours, theirs = (
                index.search(analyze_query(word, analyzer, languages=index.languages, knows=index.knows), 100)
                for index in indexes
            )
            assert sorted(ours.ids.tolist()) == sorted(theirs.ids.tolist())
            assert number in ours.ids.tolist(), word


def test_what_is_said_weighs_less_than_what_is_written_and_adds_to_it(engine: Engine) -> None:
    filler = " ".join(f"word{n} of the others" for n in range(8))
    engine.add(
        [
            Record(f"{filler} walrus", "written"),
            Record(f"{filler} seal", "said", metadata={"tags": ["walrus"]}),
            Record(f"{filler} walrus", "both", metadata={"tags": ["walrus"]}),
        ]
    )
    assert found(engine, "walrus") == ["both", "written", "said"]
    assert found(engine, "seal -walrus") == []
    assert found(engine, "tag:walrus seal") == ["said"]


@pytest.mark.parametrize(("weight", "hits"), [(0.0, []), (1.0, ["said"])])
def test_the_weight_is_a_setting(tmp_path: Path, weight: float, hits: list[str]) -> None:
    settings = load(tmp_path / "home", environ={})
    settings = replace(settings, search=replace(settings.search, about_weight=weight))
    with Engine.open(settings=settings) as engine:
        engine.add([Record(TEXT, "said", metadata={"tags": ["walrus"]})])
        assert found(engine, "walrus") == hits
        assert found(engine, '"walrus"') == hits
        assert found(engine, "tag:walrus") == ["said"]


def test_a_phrase_stays_within_one_value(engine: Engine) -> None:
    engine.add([Record(TEXT, "r", metadata={"aliases": ["Allotment diary", "Garden plan"]})])
    assert found(engine, '"allotment diary"') == ["r"]
    assert found(engine, '"garden plan"') == ["r"]
    assert found(engine, '"diary garden"') == []
    assert found(engine, '"diary allotment"') == []


FRONT: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "colon": ("title: ADR-0001: Files as truth\ntags: [alpha]", {"tags": ["alpha"]}, "ADR-0001: Files as truth"),
    "at": ("author: @jane\ntags: [alpha]", {"author": "@jane", "tags": ["alpha"]}, "at.md"),
    "template": ("title: {{title}}\ntags: [alpha]", {"tags": ["alpha"]}, "{{title}}"),
    "tab": ("title: Tabbed\ntags:\n\t- alpha\n\t- beta", {"tags": ["alpha", "beta"]}, "Tabbed"),
    "open": ("tags: [alpha, 'two words'\nx: 1", {"tags": ["alpha", "two words"], "x": 1}, "open.md"),
    "star": ("title: *starred*\naliases:\n- one: two: three\n- @four\ntags: alpha", {
        "aliases": ["one: two: three", "@four"], "tags": ["alpha"]}, "*starred*"),
    "loose": ("title: Loose\nno field at all\ntags: alpha\nurl: a: b", {
        "tags": ["alpha"], "url": "a: b", "unread": "no field at all"}, "Loose"),
    "typed": ("title: !reference Typed\ntags: !!python/object:os.system [alpha, beta]\nmood: !gloomy\n  - dark\n  - wet", {
        "tags": ["alpha", "beta"], "mood": ["dark", "wet"]}, "Typed"),
}  # fmt: skip


@pytest.mark.parametrize("name", FRONT)
def test_front_matter_that_is_no_perfect_yaml_gives_what_can_be_read_and_a_note(
    engine: Engine, tmp_path: Path, name: str
) -> None:
    front, metadata, title = FRONT[name]
    (tmp_path / "d").mkdir()
    file = tmp_path / "d" / f"{name}.md"
    file.write_text(f"---\n{front}\n---\n\nThe body.\n")
    engine.index(tmp_path / "d", embed=False)
    (hit,) = engine.search("tag:alpha", mode="lexical").results
    assert hit.title == title
    assert {key: hit.metadata[key] for key in metadata} == metadata
    assert (hit.text.strip(), found(engine, "alpha")) == ("The body.", [file.name])
    (row,) = engine.why(file)
    assert row.notes == ("its front matter is no valid YAML and was read line by line",)


@pytest.mark.parametrize(
    ("front", "metadata"),
    [
        (
            "tags: [alpha]\nkeywords: orchid, fern\ncategories:\n  - alpha\n  - moss",
            {"tags": ["alpha", "orchid", "fern", "moss"]},
        ),
        ('tags: ["#alpha", "#moss"]', {"tags": ["alpha", "moss"]}),
        ("title: A: b\ntags: #alpha #moss", {"tags": ["alpha", "moss"]}),
        ("author: Ada\nby: Grace\ntags: alpha", {"author": "Ada", "by": "Grace"}),
        ("date: 31/02/2024 springtime\ntags: alpha", {"unread": "31/02/2024 springtime"}),
        ("date: 2024-05-06\ncreated: autumn\ntags: alpha", {"unread": "autumn"}),
    ],
)
def test_no_value_of_front_matter_is_lost(
    engine: Engine, tmp_path: Path, front: str, metadata: Mapping[str, Any]
) -> None:
    file = tmp_path / "a.md"
    file.write_text(f"---\n{front}\n---\n\nThe body.\n")
    engine.index(file, embed=False)
    (hit,) = engine.search("tag:alpha", mode="lexical").results
    assert {key: hit.metadata[key] for key in metadata} == metadata
    words = [word for value in metadata.values() for word in (value if isinstance(value, list) else [value])]
    assert [word for word in words if found(engine, word) != ["a.md"]] == []


def test_prose_between_rules_is_text(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("---\nJust prose, and no field\nmore: b: c\n---\n\nThe body.\n")
    engine.index(file, embed=False)
    assert found(engine, "prose") == ["a.md"]
    assert engine.why(file)[0].notes == ()
