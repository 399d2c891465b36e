"""What one part of the engine meets must not end another: the embedding thread, a purge by id, a folder's patterns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from localsearch.engine import Engine
from localsearch.errors import DamagedError, UsageError
from localsearch.scan import scan
from localsearch.settings import VectorSettings, load
from localsearch.types import Record
from localsearch.vectors import FaissIndex
from localsearch.vectors.entries import Entries


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(settings=replace(load(tmp_path / "home", environ={}), models=tmp_path)) as opened:
        yield opened


def test_an_unexpected_error_does_not_end_the_embedding_thread(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    def breaking(*_: object) -> int:
        tries.append(1)
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(engine, "_embed", breaking)
    engine.start_background()
    deadline = time.monotonic() + 30
    while len(tries) < 3 and time.monotonic() < deadline:
        engine._wake.set()
        time.sleep(0.01)
    assert len(tries) >= 3
    assert (
        engine.background_error == "Embedding met an unexpected ZeroDivisionError; the log has the details."
    )
    assert "a mistake of ours" in caplog.text


def test_purging_a_document_named_like_a_folder_leaves_the_folder(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.txt").write_text("bread one")
    engine.index(folder, embed=False)
    engine.add([Record("bread two", str(folder)), Record("bread three", f"{folder}/")])
    engine.delete(str(folder), purge=True)
    engine.delete(f"{folder}/", purge=True)
    assert [hit.path for hit in engine.search("bread", mode="lexical")] == [str(folder / "a.txt")]
    assert engine.why(folder / "a.txt")[0].state == "indexed"
    assert engine.status().roots == (str(folder),)
    assert engine.purge([str(folder)]).documents == (str(folder / "a.txt"),)
    assert engine.status().documents == 0


def test_purging_in_one_collection_leaves_the_others(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("bread one")
    for collection in ("default", "other"):
        engine.index(tmp_path / "a.txt", collection=collection, embed=False)
    engine.delete(str(tmp_path / "a.txt"), purge=True)
    assert [row.collection for row in engine.why(tmp_path / "a.txt")] == ["other"]


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_path_that_is_none_is_refused(engine: Engine, path: str) -> None:
    with pytest.raises(UsageError):
        engine.index(path)


HOSTILE = {
    "many globs": b"".join(b"a*%d?x[a-c]\n" % number for number in range(200_000)),
    "long sets": b"\n".join(b"[!" + b"abc" * 300 + b"]*x" for _ in range(1500)),
    "one long glob": b"*a?[b]" * 150_000,
    "many stars": b"\n".join(b"*" + b"a*" * 200 for _ in range(160)),
    "deep stars": b"\n".join(b"**/a*/" * 20 + b"%d" % number for number in range(500)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_ignore_file_takes_little_time(tmp_path: Path, name: str) -> None:
    for number in range(20):
        (tmp_path / ("a" * 200 + str(number))).write_text("x")
    (tmp_path / ".gitignore").write_bytes(HOSTILE[name][: 1 << 20])
    began = time.process_time()
    found = list(scan(tmp_path))
    assert time.process_time() - began < 10
    assert len(found) == 21
    if name in ("many globs", "one long glob", "long sets"):
        assert {one.skip.rule for one in found if one.skip} >= {"ignored"}
        assert any(one.skip and "too many patterns to obey" in one.skip.reason for one in found)


# -- files of vectors


def graph_of(folder: Path) -> FaissIndex:
    index = FaissIndex.open(folder, 8, VectorSettings())
    vectors = np.random.default_rng(1).normal(size=(300, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index.add(np.arange(1, 301), vectors)
    index.publish(index.merge())
    return index


@pytest.mark.parametrize("entry", [-1, -(2**31), 300, 2**31 - 1])
def test_an_entry_that_is_no_node_is_damage(tmp_path: Path, entry: int) -> None:
    import faiss  # type: ignore[import-untyped]

    from localsearch.vectors.codec import Codec
    from localsearch.vectors.graph import Graph

    index = graph_of(tmp_path)
    generation = index.generation
    assert generation is not None
    file, rest = tmp_path / generation.graph.name, tmp_path / generation.rest.name
    made = faiss.read_index(str(file))
    made.hnsw.entry_point = entry
    faiss.write_index(made, str(tmp_path / "changed.graph"))
    with pytest.raises(DamagedError):
        Graph.open(tmp_path / "changed.graph", rest, Codec(generation.storage, generation.limit))
    assert len(Graph.open(file, rest, Codec(generation.storage, generation.limit))) == 300


@pytest.mark.parametrize(
    ("ids", "nodes"),
    [([1, 1], [0, 1]), ([1, -2], [0, 1]), ([1, 2], [1, 0]), ([1, 2], [0, 0]), ([1, 2], [0, 2]), ([1, 2], [-1, 0]), ([1, 2], [1, 1])],
)  # fmt: skip
def test_ids_and_nodes_that_are_none_are_damage(tmp_path: Path, ids: list[int], nodes: list[int]) -> None:
    index = graph_of(tmp_path)
    assert index.generation is not None
    told = msgspec.structs.replace(
        index.generation, count=2, nodes=2, ids=replace(index.generation.ids, size=24)
    )
    (tmp_path / "made.ids").write_bytes(np.array(ids, "<i8").tobytes() + np.array(nodes, "<i4").tobytes())
    with pytest.raises(DamagedError, match="ids or nodes that are none"):
        Entries.read(tmp_path / "made.ids", told)
    (tmp_path / "made.ids").write_bytes(
        np.array([7, -1], "<i8").tobytes() + np.array([0, 1], "<i4").tobytes()
    )
    assert Entries.read(tmp_path / "made.ids", told).ids.tolist() == [7, -1]
