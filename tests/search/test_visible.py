"""Whoever may see a part of an index learns nothing of the rest: by conditions, patterns, fields, copies, completions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from localsearch import Engine, Record
from localsearch.lexical import Phrase
from localsearch.search.visible import Visible
from localsearch.settings import Settings
from localsearch.types import Answer, Scope

TEAM = Scope(collections=("team",))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Three documents of others and two of the team, and a file with a copy in a folder of each."""
    top = tmp_path_factory.mktemp("visible")
    for folder in ("open", "shut"):
        (top / folder).mkdir()
    (top / "shut" / "merger.txt").write_text("Rotas are drawn up on Mondays.\n")
    (top / "open" / "rota.txt").write_text("Rotas are drawn up on Mondays.\n")
    (top / "shut" / "board.txt").write_text("The board is to sell.\n")
    with Engine.open(settings=Settings(home=top / "home", models=top / "none", offline=True)) as engine:
        secrets = ["kilnmaster", "kilnworks", "kilnproject"]
        engine.add(
            [
                Record(f"The {word} of the -verbose flag is secret.", word, metadata={"verdict": "yes"})
                for word in secrets
            ]
        )
        engine.add(
            [
                Record("The kilnhouse stands open; a verbose letter.", "house"),
                Record(
                    "The glaze of the kilnhouse, and no letter.", "glaze", metadata={"project": "celadon"}
                ),
            ],
            collection="team",
        )
        engine.index([top / "shut"], embed=False)
        engine.index([top / "open"], embed=False)
        yield engine


def ask(engine: Engine, query: str, within: Scope | None, **options: object) -> Answer:
    return engine.search(query, mode="lexical", limit=50, explain=True, within=within, **options)  # type: ignore[arg-type]


def ids(answer: Answer) -> list[str]:
    return sorted(hit.id for hit in answer)


@pytest.mark.parametrize(
    ("query", "seen", "all_of_them"),
    [
        ("kiln*", ["glaze", "house"], 5),
        ('"of the"', ["glaze"], 4),
        ("-glaze", ["house"], None),
        ("secret OR glaze", ["glaze"], 4),
        ("NOT secret", ["glaze", "house"], None),
        ("collection:default", [], None),
        ("glaze NEAR kilnhouse", ["glaze"], 1),
        ("type:text OR secret", ["glaze", "house"], None),
    ],
)
def test_conditions_choose_among_what_may_be_seen(
    engine: Engine, query: str, seen: list[str], all_of_them: int | None
) -> None:
    found = ask(engine, query, TEAM, facets=True)
    assert ids(found) == seen
    assert found.total == len(seen)
    assert sum((found.facets or {})["type"].values()) == len(seen)
    if all_of_them is not None:
        assert ask(engine, query, None).total == all_of_them


def test_a_pattern_stands_for_no_word_out_of_sight(engine: Engine) -> None:
    whole, part = ask(engine, "kilnm*", None), ask(engine, "kilnm*", TEAM)
    assert ids(whole) == ["kilnmaster"]
    assert "kilnmaster" in str(whole.explanation)
    assert (ids(part), part.total) == ([], 0)
    assert "kilnmaster" not in str(part.explanation)
    assert "No word here is like kilnm*." in part.notes


def test_a_minus_stands_in_no_text_out_of_sight(engine: Engine) -> None:
    whole, part = ask(engine, "kilnhouse -verbose", None), ask(engine, "kilnhouse -verbose", TEAM)
    assert whole.explanation is not None
    assert part.explanation is not None
    assert whole.explanation["understood"] == "ranked by: kilnhouse -verbose"
    assert part.explanation["understood"] == "NOT verbose; ranked by: kilnhouse"
    assert ids(part) == ["glaze"]


def test_fields_of_documents_out_of_sight_are_as_if_there_were_none(engine: Engine) -> None:
    hidden, none = ask(engine, "verdict:yes", TEAM), ask(engine, "nothing:yes", TEAM)
    assert ids(ask(engine, "verdict:yes", None)) == ["kilnmaster", "kilnproject", "kilnworks"]
    assert [note.replace("nothing", "verdict") for note in none.notes] == list(hidden.notes)
    assert (ids(hidden), hidden.total) == (ids(none), none.total)
    named = ask(engine, "kilnhouse", TEAM, filters={"verdict": "yes"})
    assert "No document has a field verdict." in named.notes
    assert ids(ask(engine, "project:celadon", TEAM)) == ["glaze"]


def test_completions_are_words_that_may_be_seen(engine: Engine) -> None:
    assert sorted(engine.suggest("the kiln")) == [
        "the kilnhouse",
        "the kilnmaster",
        "the kilnproject",
        "the kilnworks",
    ]
    assert engine.suggest("the kiln", within=TEAM) == ["the kilnhouse"]
    assert engine.suggest("secr", within=TEAM) == []
    assert engine.suggest("kiln", 1, within=TEAM) == ["kilnhouse"]


def test_a_copy_tells_nothing_of_the_place_out_of_sight(engine: Engine) -> None:
    rows = engine.corpus.by_content(
        "default", engine.ledger.at(_path(engine, "rota.txt"))[0].content_hash or b""
    )
    assert [Path(row.path or "").name for row in rows] == ["merger.txt"], "the file out of sight came first"
    rota = _path(engine, "rota.txt")
    sight = Scope(paths=(str(Path(rota).parent),))
    found = ask(engine, "rotas mondays", sight, facets=True)
    (hit,) = found
    assert (hit.id, hit.path, hit.title) == (rota, rota, "rota.txt")
    assert "merger" not in str(found)
    assert "shut" not in str(found.facets)
    for query in ("path:shut", "path:merger.txt", "rotas path:shut"):
        assert ids(ask(engine, query, sight)) == [], query
    assert ids(ask(engine, "rotas -path:shut", sight)) == [rota]
    assert ids(ask(engine, "path:rota.txt", sight)) == [rota]
    assert len(ask(engine, "path:merger.txt", None)) == 1
    assert [one.title for one in engine.read_many(["shut/*", "*.txt"], within=sight)] == ["rota.txt"]


def test_the_first_path_tells_nothing_of_copies_out_of_sight(engine: Engine) -> None:
    merger = _path(engine, "merger.txt")
    sight = Scope(paths=(str(Path(merger).parent),))
    assert [hit.title for hit in ask(engine, "rota mondays", None)] == ["rota.txt"], "named as was asked for"
    found = ask(engine, "rota mondays", sight, facets=True)
    (hit,) = found
    assert (hit.id, hit.path, hit.title) == (merger, merger, "merger.txt")
    assert "rota.txt" not in str(found)
    assert list((found.facets or {})["folder"]) == [str(Path(merger).parent)]
    assert ids(ask(engine, "path:open", sight)) == []


def test_a_document_is_liked_by_the_path_that_may_be_seen(engine: Engine) -> None:
    rota = _path(engine, "rota.txt")
    sight = Scope(paths=(str(Path(rota).parent),))
    assert ids(engine.search(like=rota, mode="lexical", within=sight)) == []
    assert rota not in ids(engine.search(like=rota, mode="lexical"))


def _path(engine: Engine, name: str) -> str:
    (path,) = engine.db.query("SELECT path FROM files WHERE path LIKE ?", (f"%/{name}",))
    return str(path[0])


def test_words_in_sight_are_those_that_a_chunk_in_sight_holds(engine: Engine) -> None:
    lexical, catalog = engine.derived.lexical, engine.derived.catalog
    words, known = lexical.words_like("kiln*", 10)
    assert known == 4
    assert Visible(lexical).known(words) == words
    for answer in ("kilnhouse", "kilnmaster"):
        chunks = lexical.chunks_with(Phrase(words=(answer,)))
        sight = Visible(lexical, catalog.mask(np.unique(catalog.documents_of(chunks)).astype(np.int64)))
        assert sight.known(words) == [answer]
        assert sight.count_with(Phrase(words=(answer,))) == len(chunks)
        assert sight.count_with(Phrase(words=tuple(words))) == len(chunks)
