"""Reading documents by id, path and pattern, by lines, pages and offsets, within a scope and a budget."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas

from localsearch.engine import Engine
from localsearch.engine.parts import Lines, part_of, span
from localsearch.errors import ConflictError, NotFoundError, PartError, UsageError
from localsearch.settings import Settings
from localsearch.types import Part, Record, Scope

NUMBERED = "".join(f"Line {n} of the log says value {n * 7}.\n" for n in range(1, 401))
NOTES = (
    "---\nauthor: Ada\nproject: kiln\n---\n\n# Firing\n\nLet it cool.\n\n## Glaze\n\nCeladon turns green.\n"
)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Path]]:
    """Files of every kind of place, a copy, an archive, and records in two collections."""
    top = tmp_path_factory.mktemp("shelf")
    docs, other = top / "docs", top / "other"
    (docs / "sub").mkdir(parents=True)
    other.mkdir()
    (docs / "long.txt").write_text(NUMBERED)
    (docs / "notes.md").write_text(NOTES)
    (docs / "sub" / "a.txt").write_text("Alpha stands in the sub folder.\n")
    (docs / "sub" / "b.txt").write_text("Beta stands in the sub folder.\n")
    (other / "secret.txt").write_text("Gamma is kept elsewhere.\n")
    (other / "a copy.txt").write_text("Alpha stands in the sub folder.\n")
    canvas = Canvas(str(docs / "three.pdf"))
    for word in ("Aardvark", "Badger", "Camel"):
        canvas.drawString(72, 700, f"{word} is the animal of this page.")
        canvas.showPage()
    canvas.save()
    with zipfile.ZipFile(docs / "two.zip", "w") as archive:
        archive.writestr("x.txt", "Xenon is inside.")
        archive.writestr("y.txt", "Yttrium is inside.")
    settings = Settings(home=top / "home", models=top / "no-models", offline=True)
    with Engine.open(settings=settings) as engine:
        engine.index([docs], embed=False)
        engine.index([other], embed=False)
        engine.add(
            [Record("Delta was sent.", "d1", metadata={"collection": "team"}), Record("Twin one.", "twin")]
        )
        engine.add([Record("Twin two.", "twin"), Record("Epsilon of the team.", "e1")], collection="team")
        yield engine, top


def test_the_whole_by_id_by_path_and_below_a_root(shelf: tuple[Engine, Path]) -> None:
    engine, top = shelf
    for name in (str(top / "docs" / "sub" / "a.txt"), "sub/a.txt"):
        found = engine.read(name)
        assert found.text.strip() == "Alpha stands in the sub folder."
        assert (found.start, found.stop, found.more) == (0, len(found.text), False)
    assert engine.read("e1").collection == "team"
    assert engine.get("e1", collection="team")["text"] == engine.read("e1").text


@pytest.mark.parametrize(
    ("lines", "first", "last"), [("1", 1, 1), ("120-125", 120, 125), ("399-", 399, 400), ("1-400", 1, 400)]
)
def test_lines_are_those_of_the_file(shelf: tuple[Engine, Path], lines: str, first: int, last: int) -> None:
    engine, top = shelf
    found = engine.read(str(top / "docs" / "long.txt"), part_of(lines=lines))
    assert found.text.splitlines() == NUMBERED.splitlines()[first - 1 : last]
    assert found.location["line"] == first


def test_the_line_of_a_hit_is_the_line_that_is_read(shelf: tuple[Engine, Path]) -> None:
    engine, _ = shelf
    hit = engine.search("celadon", mode="lexical").results[0]
    line = hit.location["line"]
    assert NOTES.splitlines()[line - 1] == "Celadon turns green."
    assert engine.read(hit.id, part_of(lines=str(line))).text.strip() == "Celadon turns green."


def test_lines_of_front_matter_are_not_passed_over_in_silence(shelf: tuple[Engine, Path]) -> None:
    engine, _ = shelf
    with pytest.raises(PartError, match="lines 1 to 3.*text begins at line [56]"):
        engine.read("notes.md", part_of(lines="1-3"))
    assert engine.read("notes.md", part_of(lines="1-6")).text.strip() == "# Firing"
    assert engine.read("notes.md").metadata["project"] == "kiln"


def test_lines_after_the_last_are_refused(shelf: tuple[Engine, Path]) -> None:
    engine, _ = shelf
    with pytest.raises(UsageError, match="no line 401; the last is 400"):
        engine.read("long.txt", part_of(lines="401"))


@pytest.mark.parametrize(
    ("pages", "words"),
    [("1", {"Aardvark"}), ("2", {"Badger"}), ("2-3", {"Badger", "Camel"}), ("1-2", {"Aardvark", "Badger"})],
)
def test_pages_are_exact(shelf: tuple[Engine, Path], pages: str, words: set[str]) -> None:
    found = shelf[0].read("three.pdf", part_of(pages=pages))
    assert {word for word in ("Aardvark", "Badger", "Camel") if word in found.text} == words
    assert found.location["page"] == int(pages[0])


def test_pages_that_are_not_there(shelf: tuple[Engine, Path]) -> None:
    with pytest.raises(UsageError, match="no page 4; the last with text is 3"):
        shelf[0].read("three.pdf", part_of(pages="4"))
    with pytest.raises(UsageError, match="has no pages"):
        shelf[0].read("long.txt", part_of(pages="1"))


def test_around_an_offset_and_at_most(shelf: tuple[Engine, Path]) -> None:
    engine, _ = shelf
    found = engine.read("long.txt", Part(at=1000, chars=200))
    assert (found.start, found.stop, found.more) == (900, 1100, True)
    assert found.text == NUMBERED[900:1100]
    assert found.location["line"] == NUMBERED[:900].count("\n") + 1
    assert found.length == len(engine.read("long.txt").text)
    cut = engine.read("long.txt", Part(lines=(10, 20), most=30))
    assert cut.more
    assert cut.text == "\n".join(NUMBERED.splitlines()[9:20])[:30]
    past = engine.read("long.txt", Part(at=10**8, chars=100))
    assert (past.start, past.stop, past.more) == (10**8 - 50, 10**8 - 50, False)
    assert past.text == ""


def test_members_of_a_container(shelf: tuple[Engine, Path]) -> None:
    engine, _ = shelf
    with pytest.raises(ConflictError, match="holds 2 documents") as caught:
        engine.read("two.zip")
    assert "two.zip!/x.txt" in caught.value.hint
    assert engine.read("two.zip!/y.txt").text == "Yttrium is inside."


def test_a_name_of_two_collections(shelf: tuple[Engine, Path]) -> None:
    engine, _ = shelf
    with pytest.raises(ConflictError, match="2 collections"):
        engine.read("twin")
    assert engine.read("twin", collection="team").text == "Twin two."
    with pytest.raises(NotFoundError):
        engine.read("twin", collection="nobody")


@pytest.mark.parametrize("name", ["nothing.txt", "/etc/passwd", "../docs/sub/zzz"])
def test_what_is_not_indexed_is_not_read(shelf: tuple[Engine, Path], name: str) -> None:
    with pytest.raises(NotFoundError):
        shelf[0].read(name)


def test_many_by_pattern(shelf: tuple[Engine, Path]) -> None:
    engine, top = shelf
    found = engine.read_many(["sub/*.txt", "d1", "nothing*"])
    assert [document.id for document in found] == [
        str(top / "docs" / "sub" / "a.txt"),
        str(top / "docs" / "sub" / "b.txt"),
        "d1",
    ]
    assert found.missing == ("nothing*",)
    assert {document.id for document in engine.read_many(["*"], collection="team")} == {"twin", "e1"}
    assert len(engine.read_many(["sub"])) == 2
    assert len(engine.read_many(["two.zip"])) == 2


def test_a_budget_names_what_it_leaves_out(shelf: tuple[Engine, Path]) -> None:
    engine, top = shelf
    found = engine.read_many(["sub/*.txt", "long.txt"], budget=40)
    assert sum(len(document.text) for document in found) == 40
    assert [document.more for document in found] == [False, True]
    assert found.left_out == (str(top / "docs" / "long.txt"),)
    each = engine.read_many(["sub/*.txt"], each=5)
    assert [document.text for document in each] == ["Alpha", "Beta "]


def test_a_scope_of_collections_is_the_column_not_what_a_document_claims(shelf: tuple[Engine, Path]) -> None:
    engine, _ = shelf
    team = Scope(collections=("team",))
    assert {document.id for document in engine.read_many(["*"], within=team)} == {"twin", "e1"}
    with pytest.raises(NotFoundError):
        engine.read("d1", within=team)
    assert engine.search("delta", mode="lexical", within=team).total == 0
    assert engine.search("epsilon", mode="lexical", within=team).total == 1
    assert engine.read("twin", within=team).text == "Twin two."


def test_a_scope_of_paths(shelf: tuple[Engine, Path]) -> None:
    engine, top = shelf
    sub = Scope(paths=(str(top / "docs" / "sub"),))
    found = engine.search("stands folder", mode="lexical", limit=9, within=sub)
    assert sorted(hit.title for hit in found) == ["a.txt", "b.txt"]
    for name in ("long.txt", str(top / "other" / "secret.txt"), "d1"):
        with pytest.raises(NotFoundError):
            engine.read(name, within=sub)
    shouted = Scope(paths=(str(top / "docs" / "SUB"),))
    assert engine.search("stands", mode="lexical", within=shouted).total == 0
    near = Scope(paths=(str(top / "docs" / "su"),))
    assert engine.search("stands", mode="lexical", within=near).total == 0


def test_a_copy_is_seen_by_the_path_that_may_be_seen(shelf: tuple[Engine, Path]) -> None:
    engine, top = shelf
    other = Scope(paths=(str(top / "other"),))
    copy = str(top / "other" / "a copy.txt")
    hit = engine.search("alpha", mode="lexical", within=other).results[0]
    assert (hit.id, hit.path) == (copy, copy)
    assert engine.read(hit.id, within=other).id == copy
    assert [document.id for document in engine.read_many(["*"], within=other)] == [
        copy,
        str(top / "other" / "secret.txt"),
    ]


def test_a_scoped_search_tells_nothing_of_the_rest(shelf: tuple[Engine, Path]) -> None:
    engine, _ = shelf
    team = Scope(collections=("team",))
    misspelt = engine.search("celadonn", mode="lexical", within=team)
    assert (misspelt.total, misspelt.corrections) == (0, ())
    assert engine.search("celadonn", mode="lexical").corrections == ("celadon",)
    with pytest.raises(NotFoundError) as caught:
        engine.search("epsilon", mode="lexical", collection="default-of-others", within=team)
    assert "default," not in caught.value.hint
    with pytest.raises(NotFoundError):
        engine.search(like="d1", within=team)
    cached = engine.search("alpha", mode="lexical")
    assert cached.total == 1
    assert engine.search("alpha", mode="lexical", within=team).total == 0


@pytest.mark.parametrize("text", ["", "0", "5-3", "a", "1,2", "-", "1--2"])
def test_ranges_that_mean_nothing(text: str) -> None:
    with pytest.raises(UsageError):
        span(text, "lines")


def test_a_part_has_one_name() -> None:
    with pytest.raises(UsageError, match="twice"):
        part_of(lines="1", pages="1")


@given(st.lists(st.sampled_from(["", "a", "two words", " "]), min_size=1, max_size=30), st.integers(1, 30))
def test_lines_without_places_are_those_of_the_text(rows: list[str], line: int) -> None:
    text = "\n".join(rows)
    at = Lines(text, ()).offset(line)
    if at is not None:
        assert text[at:].split("\n")[0] == rows[line - 1]
    elif line <= len(rows):
        assert not "".join(rows[line - 1 :])
