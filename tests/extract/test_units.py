"""What C of our own cuts a text into, and what it estimates, is what Python does."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localsearch.extract import chunk as cutting
from localsearch.extract import units
from localsearch.extract.chunk import chunk
from localsearch.extract.units import told_of
from localsearch.settings import ChunkSettings
from localsearch.types import Block, BlockKind, Extract, Place

PARTS = [
    *".!?…。！\n ", "\n\n", "\t", "a", "B", "word ", "The ", "people ", "1", "12", "1234", "- ", "* ", "• ", "1. ", "12) ", '"',
    "'", "”", "»", ")", "]", "」", "日本", "é", "Ü", "\xa0", "\u2003", "\x1c", "α", "ж", "x" * 60, "a,b;c ", "٣. ", "e.g. x",
    "_", "\0", "😀", "ﬁ",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PARTS), max_size=50).map("".join)
KINDS: list[BlockKind] = ["paragraph", "code", "table", "list"]

needs_kernels = pytest.mark.skipif(not units.available(), reason="the kernels were not built")


@needs_kernels
@settings(max_examples=500, deadline=None)
@given(
    TEXTS,
    st.lists(st.integers(0, 200), min_size=2, max_size=6),
    st.sampled_from(KINDS),
    st.sampled_from([8, 200]),
)
@example("One. Two! 3.14 e.g. x. (a) b.\n- c\n12) d\n\ne", [0, 200], "paragraph", 8)
@example("これは本です。それは？", [0, 200], "paragraph", 200)
def test_units_are_those_of_python(text: str, borders: list[int], kind: BlockKind, limit: int) -> None:
    places = sorted(min(border, len(text)) for border in borders)
    blocks = [Block(low, high, kind) for low, high in zip(places[::2], places[1::2], strict=False)]
    expected = [list(cutting._units(text, block, limit)) for block in blocks]
    cutter = cutting._cutter()
    assert cutter is not None
    units = cutter.cut(text, told_of(blocks), limit)
    assert cutting._cut(text, blocks, units, limit) == expected
    if units is None:
        return
    passages = list(cutting._packed(text, blocks, units, limit, limit // 4))
    assert units.passages(limit, limit // 4) in (None, passages)


PLACES = st.builds(
    Place,
    page=st.sampled_from([1, 1, 1, 2]),
    line=st.sampled_from([None, None, 1]),
    heading=st.lists(st.sampled_from("ABC"), max_size=3).map(tuple),
)


@needs_kernels
@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.tuples(TEXTS, st.sampled_from(KINDS), PLACES), max_size=12),
    st.sampled_from([8, 24, 240]),
    st.integers(0, 60),
)
def test_passages_are_those_of_python(
    pieces: list[tuple[str, BlockKind, Place]], limit: int, overlap: int
) -> None:
    blocks, at = [], 0
    for piece, kind, place in pieces:
        blocks.append(Block(at, at + len(piece), kind, place))
        at += len(piece)
    extract = Extract("".join(piece for piece, _, _ in pieces), "text", "", tuple(blocks))
    cut = ChunkSettings(tokens=limit, overlap=overlap)
    found = chunk(extract, cut)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "_cutter", lambda: None)
        assert chunk(extract, cut) == found


@needs_kernels
def test_passages_are_not_left_to_python() -> None:
    cutter, text = cutting._cutter(), "A sentence of seven words stands here. " * 80
    assert cutter is not None
    places = [Place(heading=tuple(names)) for names in ("XAB", "XAC", "DE")]
    blocks = [Block(39 * at, 39 * (at + 1), place=place) for at, place in zip((0, 1, 2), places, strict=True)]
    blocks.append(Block(39 * 3, len(text), place=Place(page=2)))
    units = cutter.cut(text, told_of(blocks), 240)
    assert units is not None
    found = units.passages(240, 30)
    assert found is not None
    assert found[:2] == [(0, 77, 0, 2), (78, 116, 2, 2)]
    assert [block for _, _, block, _ in found[2:]] == [3, 3, 3, 3]
    assert found[-1][1] == len(text) - 1


@needs_kernels
def test_passages_with_units_over_the_limit_are_left_to_python() -> None:
    cutter, text = cutting._cutter(), "word " * 300
    assert cutter is not None
    units = cutter.cut(text, told_of([Block(0, len(text))]), 240)
    assert units is not None
    assert units.passages(240, 30) is None


@needs_kernels
def test_common_text_is_not_left_to_python() -> None:
    cutter, text = cutting._cutter(), "Größe “is” 5 µm.\nNext 日本。 " * 40
    assert cutter is not None
    units = cutter.cut(text, told_of([Block(0, len(text))]), 200)
    assert units is not None
    found = list(units)
    assert [text[start:end] for start, end, *_ in found[:3]] == [
        "Größe “is” 5 µm.",
        "Next 日本。",
        "Größe “is” 5 µm.",
    ]
    assert [cost for *_, cost in found[:2]] == [
        cutting.estimate("Größe “is” 5 µm."),
        cutting.estimate("Next 日本。"),
    ]


@needs_kernels
@pytest.mark.parametrize("text", ["a\n٣. b", "a\ud800b"])
def test_text_that_needs_more_is_left_to_python(text: str) -> None:
    cutter = cutting._cutter()
    assert cutter is not None
    assert cutter.cut(text, told_of([Block(0, len(text))]), 200) is None


@needs_kernels
def test_blocks_outside_the_text_are_refused() -> None:
    cutter = cutting._cutter()
    assert cutter is not None
    assert cutter.cut("abc", told_of([Block(0, 4)]), 200) is None


def test_chunks_are_the_same_without_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "The first sentence is here. Another one, with 3.14 and é! " * 60 + "x" * 3000
    found = chunk(Extract(text, "text", "", ()), ChunkSettings())
    monkeypatch.setattr(cutting, "_cutter", lambda: None)
    assert chunk(Extract(text, "text", "", ()), ChunkSettings()) == found
    assert len(found) > 5
