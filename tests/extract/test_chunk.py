"""Passages: they cover the text, keep to the limit, and end where a reader would pause."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from localsearch.extract.chunk import chunk, estimate
from localsearch.settings import ChunkSettings
from localsearch.types import Block, Chunk, Encoder, Extract, Place

SMALL = ChunkSettings(tokens=24, overlap=6)
SAMPLE = "The of and sleeping cat. Garden! (really) naïve Größe e.g. 3.14 x=y; 这是一个测试。 - * 1."
WORDS = st.sampled_from([*SAMPLE.split(), "x" * 90])
GAPS = st.sampled_from([" ", "\n", "\n\n", "  ", "\t", " \n \n"])
TEXTS = st.lists(st.tuples(WORDS, GAPS), max_size=120).map(lambda parts: "".join(a + b for a, b in parts))
KINDS = st.sampled_from(["heading", "paragraph", "list", "table", "code"])


@st.composite
def extracts(draw: st.DrawFn) -> Extract:
    """A text with blocks cut at random between words, under random headings and pages."""
    pieces = draw(st.lists(TEXTS, min_size=1, max_size=8))
    blocks, at = [], 0
    for piece in pieces:
        place = Place(
            page=draw(st.sampled_from([1, 1, 2])),
            line=draw(st.sampled_from([None, 1])),
            heading=tuple(draw(st.lists(st.sampled_from("ABC"), max_size=3))),
        )
        if draw(st.booleans()):
            blocks.append(Block(at, at + len(piece), draw(KINDS), place))
        at += len(piece) + 1
    return Extract("\n".join(pieces), "text", blocks=tuple(blocks))


@given(extracts())
def test_chunks_cover_everything_but_white_space(extract: Extract) -> None:
    covered = bytearray(len(extract.text))
    for found in chunk(extract, SMALL):
        covered[found.start : found.end] = b"\1" * (found.end - found.start)
    missing = "".join(letter for letter, seen in zip(extract.text, covered, strict=True) if not seen)
    assert not missing.strip()


@given(extracts())
@example(Extract("The The The sleeping 1. Größe e.g. 1. ", "text"))
def test_chunks_are_in_order_and_within_the_limit(extract: Extract) -> None:
    found = chunk(extract, SMALL)
    for item in found:
        text = extract.text[item.start : item.end]
        assert text == text.strip() != ""
        assert estimate(text) <= SMALL.tokens + 1e-6
    for before, after in pairwise(found):
        assert before.start < after.start
        assert before.end < after.end


@given(extracts())
def test_a_word_is_cut_only_where_it_is_longer_than_a_passage(extract: Extract) -> None:
    borders = {block.start for block in extract.blocks} | {block.end for block in extract.blocks}
    for found in chunk(extract, SMALL):
        for at in (found.start, found.end):
            inside = 0 < at < len(extract.text) and not extract.text[at - 1 : at + 1].isspace()
            if inside and extract.text[at - 1 : at + 1].strip() == extract.text[at - 1 : at + 1]:
                word = _word_around(extract.text, at)
                assert (
                    at in borders or estimate(word) > SMALL.tokens or any(ord(sign) > 0x2E80 for sign in word)
                )


def _word_around(text: str, at: int) -> str:
    start, end = at, at
    while start > 0 and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and not text[end].isspace():
        end += 1
    return text[start:end]


def test_a_chunk_never_crosses_a_page() -> None:
    text = "First page. " * 3 + "Second page. " * 3
    border = text.index("Second")
    blocks = (Block(0, border, place=Place(page=1)), Block(border, len(text), place=Place(page=2)))
    found = chunk(Extract(text, "pdf", blocks=blocks), ChunkSettings())
    assert [(text[c.start : c.start + 5], c.place.page) for c in found] == [("First", 1), ("Secon", 2)]


def test_neighbours_share_whole_sentences() -> None:
    sentences = [f"Sentence number {name} is here to be counted by someone." for name in "abcdefghijklmnop"]
    text = " ".join(sentences)
    found = chunk(Extract(text, "text"), ChunkSettings(tokens=60, overlap=16))
    assert len(found) > 2
    for before, after in pairwise(found):
        shared = text[after.start : before.end]
        assert shared in sentences
        assert estimate(shared) <= 16


def test_a_text_a_little_over_the_limit_is_cut_in_even_parts() -> None:
    text = "A short sentence of nine words stands right here. " * 30
    found = chunk(Extract(text, "text"), ChunkSettings(tokens=240, overlap=0))
    sizes = [c.end - c.start for c in found]
    assert len(found) == 2
    assert max(sizes) - min(sizes) <= 60


def test_lines_count_on_from_the_block() -> None:
    text = "".join(f"line {number} says something of its own.\n" for number in range(1, 200))
    found = chunk(Extract(text, "text", blocks=(Block(0, len(text), place=Place(line=1)),)), SMALL)
    assert len(found) > 50
    for item in found:
        assert item.place.line == text.count("\n", 0, item.start) + 1


def test_rows_count_on_from_the_block() -> None:
    rows = "\n".join(f"name: person {number} | city: Lisbon" for number in range(10, 60))
    block = Block(0, len(rows), "table", Place(sheet="People", row=10))
    found = chunk(Extract(rows, "csv", blocks=(block,)), SMALL)
    starts = [(rows[c.start : c.end].split()[2], c.place.row) for c in found]
    assert len(starts) > 10
    assert all(int(number) == row for number, row in starts)


def test_small_neighbouring_sections_of_one_parent_are_joined() -> None:
    extract = _sections(
        [(("Guide", f"Step {n}"), f"Step {n}\n\nTurn the screw {n} times.") for n in range(1, 13)]
    )
    found = chunk(extract, ChunkSettings(tokens=240))
    assert len(found) <= 2
    assert found[0].place.heading == ("Guide",)


def test_sections_of_different_parents_stay_apart() -> None:
    extract = _sections(
        [(("Tea", "Green", "Water"), "Eighty degrees."), (("Coffee", "Filter", "Grind"), "Medium coarse.")]
    )
    found = chunk(extract, ChunkSettings())
    assert [c.place.heading for c in found] == [("Tea", "Green", "Water"), ("Coffee", "Filter", "Grind")]


def _sections(parts: list[tuple[tuple[str, ...], str]]) -> Extract:
    blocks, text = [], ""
    for heading, piece in parts:
        blocks.append(Block(len(text), len(text) + len(piece), place=Place(heading=heading)))
        text += piece + "\n\n"
    return Extract(text, "markdown", blocks=tuple(blocks))


def test_code_is_cut_between_lines() -> None:
    code = "".join(f"def function_{n}(argument):\n    return argument + {n}\n\n\n" for n in range(40))
    extract = Extract(code, "code", blocks=(Block(0, len(code), "code", Place(line=1)),))
    lines = {line.strip() for line in code.split("\n")}
    for item in chunk(extract, SMALL):
        assert all(line.strip() in lines for line in code[item.start : item.end].split("\n"))


@pytest.mark.parametrize("text", ["", " \n\t", "\n\n\n"])
def test_nothing_gives_no_chunks(text: str) -> None:
    assert chunk(Extract(text, "text"), ChunkSettings()) == ()


def test_one_word_is_one_chunk() -> None:
    assert chunk(Extract("word", "text"), ChunkSettings()) == (Chunk(0, 4),)


@pytest.mark.parametrize(
    "piece",
    [
        "word ",
        "x",
        ".",
        "\n",
        " \n",
        "word.\n\n",
        "a,b;",
        "。",
        "测试",
        '."',
        "!?",
        "- ",
        "1. ",
        "\t",
        "é",
        ".\n ",
        "\n- ",
    ],
)
def test_no_repeated_piece_makes_it_slow(piece: str) -> None:
    """Any of these repeated to 200,000 characters would run for minutes were a border looked for again and again."""
    extract = Extract(piece * (200_000 // len(piece)) + "end", "text")
    found = chunk(extract, ChunkSettings())
    assert found[-1].end == len(extract.text)
    assert all(estimate(extract.text[c.start : c.end]) <= 240 + 1e-6 for c in found[:50])


def test_the_estimate_is_close_to_the_pieces_of_the_default_model(
    encoder: Encoder, shared_bench: Callable[[str], Path]
) -> None:
    for name, tolerance in (("scifact", 0.05), ("nq-utd", 0.05), ("germanquad", 0.08), ("xquad-zh", 0.05)):
        texts = _texts(shared_bench(name), 200)
        real = sum(encoder.count_tokens(texts))
        assert sum(map(estimate, texts)) == pytest.approx(real, rel=tolerance), name


def test_abstracts_are_one_or_two_chunks_that_fit_the_model(
    encoder: Encoder, shared_bench: Callable[[str], Path]
) -> None:
    texts = _texts(shared_bench("scifact"), 500)
    chunks = [chunk(Extract(text, "text"), ChunkSettings()) for text in texts]
    assert sum(len(found) <= 2 for found in chunks) >= 0.8 * len(texts)
    passages = [text[c.start : c.end] for text, found in zip(texts, chunks, strict=True) for c in found]
    counts = encoder.count_tokens(passages)
    assert sum(max(0, count - 254) for count in counts) < 0.01 * sum(counts)


def _texts(folder: Path, count: int) -> list[str]:
    with (folder / "corpus.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line, _ in zip(file, range(count), strict=False)]
    return [text for text in texts if len(text) > 200]
