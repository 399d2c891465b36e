"""Every row of the grammar's table, asked of a small index in each mode; and what its edges do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from localsearch import Answer, Engine, Record
from localsearch.filters.table import GRAMMAR
from localsearch.settings import load

TEXTS = {
    "garden": ("Prune the roses in spring, the climbing roses by the fence.", {"kind": "manual", "rank": 1}),
    "walls": (
        "Roses for walls: climbing kinds cover bare walls in colour.",
        {"kind": "manual", "rank": 2, "date": "2024-05-01"},
    ),
    "bulbs": ("Tulips come up in spring.", {"kind": "letter", "rank": 3, "author": "B. Bloom"}),
    "shell": ("Never run rm -rf on an empty variable.", {"kind": "note", "rank": 4, "date": "2023-01-01"}),
    "unpack": ("Unpack the bundle with tar -xzf bundle.tar.gz.", {"ext": "sh"}),
    "commit": ("git commit -a -m message stages everything.", {"type": "eml"}),
    "cold": ("The freezer stands at -18 degrees.", {"name": "freezer"}),
    "gcc": ("Compile it with gcc -O2 -Wall main.c, says the note on the wall.", {}),
    "cars": ("Jaguar builds a car. A jaguar is no car.", {}),
    "cats": ("The jaguar hunts at night.", {}),
    "dose": ("Take 500 mg of it. The dose has a color.", {}),
}
FINDS = {
    "+pruning roses": {"garden"},
    '"-rf"': {"shell"},
    '"climbing roses"': {"garden"},
    '"climbing walls"~3': {"walls"},
    "climbing NEAR/5 walls": {"walls"},
    "roses AND walls": {"walls"},
    "tulips OR walls": {"walls", "bulbs", "gcc"},
    "roses NOT walls": {"garden"},
    "(tulips OR roses) AND spring": {"garden", "bulbs"},
    "prun*": {"garden"},
    "colo?r": {"walls"},
    "kind:manual": {"garden", "walls"},
    "kind:manual,letter": {"garden", "walls", "bulbs"},
    "type:email": {"commit"},
    "ext:sh": {"unpack"},
    "name:freezer": {"cold"},
    "-kind:manual": TEXTS.keys() - {"garden", "walls"},
    "author:*": {"bulbs"},
    "rank:>2": {"bulbs", "shell"},
    "kind:letter OR tulips": {"bulbs"},
}
"""What the examples find, and nothing else, in every mode."""
FIRST = {"pruning roses": "garden", "rm -rf": "shell", "(roses AND": "garden", "roses -spring": "walls"}
"""What those find first by words that only rank."""
MODES = ("lexical", "semantic", "hybrid")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Iterator[Engine]:
    home = tmp_path_factory.mktemp("grammar")
    with Engine.open(settings=replace(load(home, environ={}), models=model_folder)) as opened:
        opened.add([Record(text, id=name, metadata=fields) for name, (text, fields) in TEXTS.items()])
        opened.embed_pending()
        yield opened


def ask(engine: Engine, query: str, mode: str = "lexical", **more: object) -> Answer:
    return engine.search(query, limit=50, mode=mode, cache=False, **more)  # type: ignore[arg-type]


def ids(answer: Answer) -> set[str]:
    return {hit.id for hit in answer.results}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("example", [row.example for row in GRAMMAR])
def test_every_row_of_the_table_finds_what_it_says(engine: Engine, example: str, mode: str) -> None:
    answer = ask(engine, example, mode, facets=True)
    if example in FIRST:
        if mode != "semantic":
            assert answer.results[0].id == FIRST[example]
        assert "spring" not in example or ids(answer).isdisjoint({"garden", "bulbs"})
        return
    expected = FINDS.get(example)
    if expected is None:
        assert example == "after:2024-03"
        assert "walls" in ids(answer)
        assert "shell" not in ids(answer)
        return
    assert ids(answer) == expected
    assert answer.total == len(expected)
    assert not answer.total_is_estimate
    assert answer.facets is not None
    assert sum(answer.facets["type"].values()) == len(expected)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("rm -rf", "shell"),
        ("tar -xzf", "unpack"),
        ("git commit -a", "commit"),
        ("git commit -m", "commit"),
        ("freezer -18 degrees", "cold"),
        ("-18 degrees", "cold"),
        ("gcc -O2 -Wall", "gcc"),
        ("-rf", "shell"),
    ],
)
@pytest.mark.parametrize("mode", ["lexical", "hybrid"])
def test_a_minus_that_stands_in_the_texts_is_part_of_the_text(
    engine: Engine, query: str, first: str, mode: str
) -> None:
    answer = ask(engine, query, mode)
    assert answer.results[0].id == first
    assert not any(note.startswith("Left out") for note in answer.notes)


def test_a_minus_leaves_out_and_the_notes_say_what_and_how_to_ask_otherwise(engine: Engine) -> None:
    for query in ("jaguar -car", "jaguar NOT car"):
        answer = ask(engine, query, "hybrid")
        assert "cars" not in ids(answer)
        assert "cats" in ids(answer)
        assert answer.notes[0] == (
            "Left out, as asked: what has car. To search for such text instead, put it in quotation marks:"
            ' "-car".'
        )


def test_a_query_of_exclusions_alone_lists_the_others_and_says_so(engine: Engine) -> None:
    answer = ask(engine, "NOT jaguar", "hybrid")
    assert ids(answer) == TEXTS.keys() - {"cars", "cats"}
    assert answer.total == len(TEXTS) - 2
    assert "Nothing is asked for but what to leave out: all other documents, newest first." in answer.notes


@pytest.mark.parametrize(
    ("query", "note"),
    [
        ("(roses AND walls", "A parenthesis is not closed. Searched as words."),
        ("roses AND walls)", "A closing parenthesis has no partner. Searched as words."),
        ("roses OR", "OR needs something on both sides. Searched as words."),
        ("roses NOT", "NOT needs something after it. Searched as words."),
        ("roses NEAR", "NEAR stands between two words or phrases. Searched as words."),
        ("NEAR walls", "NEAR stands between two words or phrases. Searched as words."),
        (
            "WHERE ARE THE ROSES AND THE WALLS",
            "AND, OR and NOT were searched as words, as all of the query is in capitals.",
        ),
        ("zebr*", "No word here is like zebr*."),
    ],
)
def test_what_is_not_taken_as_it_may_have_been_meant_is_told(engine: Engine, query: str, note: str) -> None:
    answer = ask(engine, query)
    assert note in answer.notes
    assert bool(answer.results) == (query != "zebr*")


def test_the_explanation_tells_what_was_understood(engine: Engine) -> None:
    explanation = ask(engine, '+walls (roses OR prun*) NOT "red wine" kind:manual', explain=True).explanation
    assert explanation is not None
    assert explanation["understood"] == 'kind:manual AND walls AND (roses OR prun*) AND NOT "red wine"'
    assert explanation["meaning"] == "walls roses prune"


def test_words_that_a_pattern_stands_for_are_highlighted(engine: Engine) -> None:
    (hit,) = ask(engine, "prun*").results
    assert [hit.snippet[low:high] for low, high in hit.highlights] == ["Prune"]


def test_a_word_in_pieces_meets_a_condition(engine: Engine) -> None:
    assert ids(ask(engine, "500mg AND dose")) == {"dose"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('"quartz 漢字"', {"x"}),
        ('"漢字 quartz"', set()),
        ("quartz NEAR 漢字", {"x"}),
        ("漢字 NEAR/2 quartz", {"x"}),
        ('"§§"', {"x", "y"}),
        ('-"§§" 漢字', {"z"}),
    ],
)
def test_phrases_of_several_scripts_and_signs(tmp_path: Path, query: str, found: set[str]) -> None:
    with Engine.open(tmp_path) as engine:
        engine.add(
            [
                Record(text="quartz 漢字 §§ 3", id="x"),
                Record(text="§ 漢", id="y"),
                Record(text="漢字", id="z"),
            ]
        )
        assert ids(ask(engine, query)) == found


@pytest.mark.parametrize(
    ("query", "sign"), [('"quartz § 3"', "§"), ("漢字 NEAR €", "€"), ('"→"', ""), ('".NET roses"', "")]
)
def test_signs_that_a_phrase_cannot_hold_are_told(engine: Engine, query: str, sign: str) -> None:
    note = f"Signs have no place among words: {sign} was not looked for with them."
    assert [text for text in ask(engine, query).notes if text.startswith("Signs")] == ([note] if sign else [])


@pytest.mark.parametrize("query", ["*", "--", "()", '""', "+", "| ~"])
def test_a_query_without_a_word_says_so(engine: Engine, query: str) -> None:
    answer = ask(engine, query)
    assert answer.results == ()
    assert answer.notes == ("There is no word in the query to search for.",)


def test_work_is_bounded_whatever_is_asked(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terms that are looked up, each once, for queries of a hundred thousand words or signs."""
    asked: list[object] = []
    index: Any = engine.derived.lexical

    def counted(name: str, which: int) -> None:
        real = getattr(index, name)

        def call(*args: Any) -> Any:
            asked.append(args[which])
            return real(*args)

        monkeypatch.setattr(index, name, call)

    for name, which in (("count_with", 0), ("chunks_with", 0), ("_frequency", 1)):
        counted(name, which)
    for query in (
        "".join(chr(0x4E00 + n % 20_000) for n in range(100_000)),
        " ".join(f"word{n}" for n in range(100_000)),
        "(" * 50_000 + "a AND b" + ")" * 50_000,
        "*" * 10_000,
        "a* " * 10_000,
        " OR ".join(f"w{n}" for n in range(1_000)),
        " ".join(f"-w{n}x" for n in range(32)),
        '"' * 9_999,
        "a?" * 5_000,
        "a-" * 50_000,
    ):
        asked.clear()
        ask(engine, query)
        assert len(set(map(str, asked))) <= 3_000, query[:20]
        assert len(asked) <= 12_000, query[:20]


def test_more_is_never_left_out_in_silence(engine: Engine) -> None:
    answer = ask(engine, " ".join(f"word{n}" for n in range(500)))
    assert answer.notes == ("Only the first 200 different words of the query were used.",)
    answer = ask(engine, '"climbing roses" ' * 20)
    assert answer.notes[0].startswith("A query of more than 32 words is taken as text")


def test_conditions_with_too_many_common_words_are_searched_as_words(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localsearch.search.conditions.MOST_LISTED", 1)
    answer = ask(engine, "roses AND walls")
    assert ids(answer) >= {"garden", "walls"}
    assert "searched as plain words" in answer.notes[-1]
