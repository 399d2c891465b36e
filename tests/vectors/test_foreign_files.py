"""Vector files that somebody made to be opened: their checksums are right, and what they say is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import msgspec
import numpy as np
import pytest

from localsearch.errors import DamagedError
from localsearch.settings import VectorSettings
from localsearch.vectors import files
from localsearch.vectors.index import FaissIndex

DIMENSIONS, COUNT = 16, 300
VECTORS = np.random.default_rng(5).standard_normal((COUNT, DIMENSIONS)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign") / "vectors"
    index = FaissIndex.open(folder, DIMENSIONS, VectorSettings())
    index.add(np.arange(COUNT), VECTORS)
    index.publish(index.merge(threads=1))
    return folder


def set_entry(value: int) -> Callable[[Any], Any]:
    def change(index: Any) -> Any:
        index.hnsw.entry_point = value
        return index

    return change


def set_top(value: int) -> Callable[[Any], Any]:
    def change(index: Any) -> Any:
        index.hnsw.max_level = value
        return index

    return change


def set_links(value: int) -> Callable[[Any], Any]:
    def change(index: Any) -> Any:
        links = index.hnsw.neighbors
        for at in range(0, int(links.size()), 3):
            faiss.rev_swig_ptr(links.data(), int(links.size()))[at] = value
        return index

    return change


def set_offset(value: int) -> Callable[[Any], Any]:
    def change(index: Any) -> Any:
        faiss.rev_swig_ptr(index.hnsw.offsets.data(), COUNT + 1)[COUNT // 2] = value
        return index

    return change


def set_level(value: int) -> Callable[[Any], Any]:
    def change(index: Any) -> Any:
        faiss.rev_swig_ptr(index.hnsw.levels.data(), COUNT)[7] = value
        return index

    return change


def flat(_: Any) -> Any:
    made = faiss.IndexFlatL2(DIMENSIONS)
    made.add(VECTORS)
    return made


def narrower(_: Any) -> Any:
    made = faiss.IndexHNSWFlat(DIMENSIONS // 2, 8)
    made.add(np.ascontiguousarray(VECTORS[:, : DIMENSIONS // 2]))
    return made


CHANGES = {
    "an entry of -1": set_entry(-1), "an entry behind the last": set_entry(COUNT), "a far entry": set_entry(2**31 - 1),
    "a high top": set_top(90), "a top of -1": set_top(-1), "links behind the last": set_links(COUNT), "far links": set_links(2**31 - 1),
    "links of -7": set_links(-7), "a far offset": set_offset(2**40), "an offset that goes back": set_offset(0),
    "a high level": set_level(99), "a level of 0": set_level(0), "another kind": flat, "fewer dimensions": narrower,
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_graph_that_is_none_is_refused_or_walked_within_its_bounds(
    sound: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "vectors"
    shutil.copytree(sound, folder)
    generation = files.read_manifest(folder)
    assert generation is not None
    index = CHANGES[name](faiss.read_index(str(folder / generation.graph.name)))
    faiss.write_index(index, str(folder / "changed"))
    graph = files.write_bytes(folder, generation.graph.name, (folder / "changed").read_bytes())
    files.write_manifest(folder, msgspec.structs.replace(generation, graph=graph))
    try:
        opened = FaissIndex.open(folder, DIMENSIONS, VectorSettings())
    except DamagedError as error:
        assert error.hint
        return
    for vector in VECTORS[:20]:
        found = opened.search(vector, 5)
        assert set(found.ids.tolist()) <= set(range(COUNT))


@pytest.mark.parametrize(
    "name",
    [
        "../victim",
        "../../victim",
        "/nowhere/victim",
        "\u0661.rest",
        "9" * 300 + ".rest",
        "a/b.rest",
        "",
        ".",
        "manifest.json",
        "1.rest\0",
        "1.new",
    ],
)
@pytest.mark.parametrize("which", ["graph", "rest", "ids"])
def test_no_file_outside_the_folder_is_named(sound: Path, tmp_path: Path, which: str, name: str) -> None:
    folder = tmp_path / "index" / "vectors"
    shutil.copytree(sound, folder)
    victim = tmp_path / "index" / "victim"
    generation = files.read_manifest(folder)
    assert generation is not None
    entry = getattr(generation, which)
    shutil.copy(folder / entry.name, victim)
    changed = replace(entry, name=name)
    files.write_manifest(folder, msgspec.structs.replace(generation, **{which: changed}))
    with pytest.raises(DamagedError):
        FaissIndex.open(folder, DIMENSIONS, VectorSettings())
    assert victim.exists()
    FaissIndex.open(folder, DIMENSIONS, VectorSettings())


def with_order(order: np.ndarray[Any, Any], folder: Path) -> None:
    """Put another order into the published file of ids, with the right checksums."""
    generation = files.read_manifest(folder)
    assert generation is not None
    content = (folder / generation.ids.name).read_bytes()[: -8 * COUNT] + order.astype("<i8").tobytes()
    ids = files.write_bytes(folder, generation.ids.name, content)
    files.write_manifest(folder, msgspec.structs.replace(generation, ids=ids))


ORDERS = {
    "another": np.arange(COUNT)[::-1], "twice the same": np.zeros(COUNT), "behind the last": np.full(COUNT, COUNT),
    "before the first": np.full(COUNT, -1), "far away": np.full(COUNT, 2**62),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_that_sorts_nothing_is_refused(sound: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "vectors"
    shutil.copytree(sound, folder)
    with_order(ORDERS[name], folder)
    with pytest.raises(DamagedError):
        FaissIndex.open(folder, DIMENSIONS, VectorSettings())
