"""A reader that was taken over answers nonsense: that costs its file, and nothing waits for it."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localsearch.errors import ExtractionError
from localsearch.extract import Extractor, process, wire
from localsearch.platform.group import GroupWatch
from localsearch.settings import ExtractSettings
from localsearch.types import Chunk, Extract

SETTINGS = ExtractSettings(workers=1, wall_s=4)
FOUND: list[Any] = [
    "words",
    "text",
    "",
    [[0, 5, "paragraph", 0]],
    [[None] * 2 + [[]] + [None] * 5],
    {},
    "",
    [],
    False,
    None,
]


def reply(**values: Any) -> bytes:
    return frame(msgspec.msgpack.encode(wire.Reply(**values)))


def frame(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def found(**changes: Any) -> bytes:
    names = wire.Found.__struct_fields__
    row = [changes.get(name, value) for name, value in zip(names, FOUND, strict=True)]
    return reply(count=1) + frame(msgspec.msgpack.encode(row))


def deep(levels: int) -> bytes:
    return b"\x91" * levels + b"\x90"


NONSENSE: dict[str, bytes] = {
    "nothing": b"", "half a length": b"\x01\x00", "no MessagePack": frame(b"\xc1"), "an empty frame": frame(b""),
    "a frame of 4 GB": b"\xff\xff\xff\xff", "too few fields": reply(count=1) + frame(b"\x90"), "deep": frame(deep(100_000)),
    "more documents than there are": reply(count=3), "a negative count": frame(msgspec.msgpack.encode([-1])),
    "a count beyond": reply(count=2**40), "a rule that is none": reply(rule="gone"), "a count in words": frame(msgspec.msgpack.encode(["x"])),
    "a place that is none": found(blocks=[[0, 5, "paragraph", 7]]), "a place before the first": found(blocks=[[0, 5, "paragraph", -1]]),
    "a block beyond the text": found(blocks=[[0, 50, "paragraph", 0]]), "a block before it": found(blocks=[[-5, 5, "paragraph", 0]]),
    "blocks that overlap": found(blocks=[[0, 4, "paragraph", 0], [2, 5, "paragraph", 0]]), "a block that ends first": found(blocks=[[4, 2, "code", 0]]),
    "a kind that is none": found(blocks=[[0, 5, "poem", 0]]), "a text of bytes": found(text=b"\xff"), "metadata as a list": found(metadata=[1]),
    "a chunk beyond the text": found(chunks=[[0, 50, 0]]), "a chunk before it": found(chunks=[[-1, 5, 0]]), "a chunk of nothing": found(chunks=[[2, 2, 0]]),
    "a chunk at a place that is none": found(chunks=[[0, 5, 1]]), "chunks that begin together": found(chunks=[[0, 4, 0], [0, 5, 0]]),
    "chunks that all reach to the end": found(text="word " * 20, chunks=[[start, 100, 0] for start in range(99)], blocks=[]),
    "a block of 2**70": found(blocks=[[0, 2**63, "paragraph", 0]]), "a million notes": found(notes=["x"] * 200_000),
}  # fmt: skip


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Makes readers send these bytes in place of what they found."""

    def set_up(data: bytes) -> None:
        worker_receive = process.Worker._receive

        def asked(self: process.Worker, deadline: float, watch: GroupWatch | None = None) -> wire.Reply:
            if not self.confinement:
                return worker_receive(self, deadline, watch)
            left = memoryview(data)

            def take(
                connection: socket.socket, deadline: float | None = None, watch: GroupWatch | None = None
            ) -> bytearray:
                nonlocal left
                if (
                    len(left) < 4
                    or (size := struct.unpack("<I", left[:4])[0]) > wire.LARGEST
                    or size > len(left) - 4
                ):
                    raise EOFError("the other side has closed")
                body, left = bytearray(left[4 : 4 + size]), left[4 + size :]
                return body

            monkeypatch.setattr(wire, "receive", take)
            return worker_receive(self, deadline, watch)

        monkeypatch.setattr(process.Worker, "_receive", asked)

    return set_up


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_the_files_failure(tmp_path: Path, answering: Callable[[bytes], None], name: str) -> None:
    (tmp_path / "a.txt").write_text("words")
    answering(NONSENSE[name])
    began = time.monotonic()
    with Extractor(SETTINGS) as extractor:
        ((_, outcome),) = list(extractor.extract_many([tmp_path / "a.txt"]))
    assert isinstance(outcome, ExtractionError)
    assert outcome.data["rule"] in ("crash", "timeout", "memory")
    assert time.monotonic() - began < 60


def test_a_good_reply_is_taken(tmp_path: Path, answering: Callable[[bytes], None]) -> None:
    (tmp_path / "a.txt").write_text("other")
    answering(found())
    with Extractor(SETTINGS) as extractor:
        ((_, outcome),) = list(extractor.extract_many([tmp_path / "a.txt"]))
    assert not isinstance(outcome, ExtractionError)
    assert outcome[0].text == "words"
    assert outcome[0].chunks is None


def test_chunks_that_a_reader_cut_are_taken(tmp_path: Path, answering: Callable[[bytes], None]) -> None:
    (tmp_path / "a.txt").write_text("other")
    answering(found(chunks=[[0, 4, 0], [2, 5, 0]]))
    with Extractor(SETTINGS) as extractor:
        ((_, outcome),) = list(extractor.extract_many([tmp_path / "a.txt"]))
    assert not isinstance(outcome, ExtractionError)
    assert outcome[0].chunks == (Chunk(0, 4), Chunk(2, 5))


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.binary(max_size=50) | st.tuples(*[st.just(value) | ANY for value in FOUND]).map(msgspec.msgpack.encode)
)
def test_any_frame_is_an_extract_or_refused(body: bytes) -> None:
    try:
        extract = wire.unpack(bytearray(body))
    except (msgspec.DecodeError, ValueError):
        return
    assert isinstance(extract, Extract)
    ends = [0, *(at for block in extract.blocks for at in (block.start, block.end)), len(extract.text)]
    assert ends == sorted(ends)
