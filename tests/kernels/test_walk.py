"""The walk in our own C against FAISS's over the same graphs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from localsearch import kernels
from localsearch.settings import VectorSettings
from localsearch.types import Vectors
from localsearch.vectors import FaissIndex
from localsearch.vectors.graph import Graph
from localsearch.vectors.walk import Walker

SETTINGS = VectorSettings(m=8, ef_construction=60)
pytestmark = pytest.mark.usefixtures("fused")


def grown(dimensions: int, count: int) -> Graph:
    """A graph of random unit vectors with levels above the lowest."""
    random = np.random.default_rng(dimensions)
    vectors = random.standard_normal((count, dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    graph = Graph.new(dimensions, SETTINGS)
    graph.make_room_for(vectors)
    graph.add(graph.codec.encode(vectors))
    graph.fix()
    return graph


def queries(graph: Graph, count: int = 60) -> list[Vectors]:
    random = np.random.default_rng(7)
    asked = random.standard_normal((count, graph.dimensions)).astype(np.float32)
    return [graph.codec.query(query / np.linalg.norm(query)) for query in asked]


def distances(graph: Graph, nodes: NDArray[np.int64], query: Vectors) -> list[float]:
    """Squared, in steps, of what was found."""
    apart = graph.codes().walk[nodes].astype(np.float32) - query
    return sorted((apart * apart).sum(axis=1).tolist())


def walker_of(graph: Graph) -> Walker:
    assert graph._walker is not None
    return graph._walker


@pytest.mark.parametrize("dimensions", [3, 48, 64, 65, 100, 384])
def test_it_finds_what_faiss_finds(dimensions: int) -> None:
    """Equal distances, so that ties may be broken either way; where one walk ends a step sooner, very few differ."""
    graph = grown(dimensions, 3_000)
    same = total = 0
    for query in queries(graph):
        for ef_search in (1, 10, 40, 200):
            count = min(ef_search, 10)
            ours = distances(graph, walker_of(graph)(query, count, ef_search, None), query)
            theirs = distances(graph, graph._walk(query, count, ef_search, None), query)
            total += count
            same += sum(one == other for one, other in zip(ours, theirs, strict=True))
    assert same >= 0.995 * total


def test_it_finds_the_nearest_of_all_when_it_looks_at_all() -> None:
    graph = grown(48, 500)
    for query in queries(graph):
        every = distances(graph, np.arange(500), query)
        assert distances(graph, walker_of(graph)(query, 10, 500, None), query) == every[:10]


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
def test_under_a_filter_only_what_is_allowed_is_found(share: float) -> None:
    graph = grown(48, 3_000)
    allowed = np.random.default_rng(1).random(3_000) < share
    bits = np.packbits(allowed, bitorder="little")
    for query in queries(graph, 30):
        found = walker_of(graph)(query, 10, 400, bits)
        theirs = graph._walk(query, 10, 400, bits)
        assert allowed[found].all()
        assert len(set(found.tolist())) == len(found)
        assert len(found) >= len(theirs) - 1
        assert np.isin(theirs, found).mean() >= 0.9


def test_a_graph_of_one_node() -> None:
    graph = grown(16, 1)
    (query,) = queries(graph, 1)
    assert walker_of(graph)(query, 5, 10, None).tolist() == [0]


def test_more_may_be_wanted_than_the_breadth() -> None:
    graph = grown(48, 500)
    (query,) = queries(graph, 1)
    assert len(walker_of(graph)(query, 50, 10, None)) == 50


def test_links_of_a_damaged_file_are_not_followed() -> None:
    """Random numbers in place of links and of where they begin: what is found are nodes, and nothing is read that is
    not the graph's."""
    graph = grown(48, 500)
    walk, (codes, links, starts, levels) = walker_of(graph)._walk, walker_of(graph)._held
    random = np.random.default_rng(3)
    (query,) = queries(graph, 1)
    for _ in range(50):
        broken = links.copy()
        at = random.integers(len(links), size=len(links) // 3)
        broken[at] = random.integers(-(2**31), 2**31, size=len(at))
        moved = starts.copy()
        moved[random.integers(1, 500, size=20)] += random.integers(1, 2**40, size=20).astype(np.uint64)
        entry = int(walker_of(graph)._graph[7])
        found = Walker(walk, codes, broken, moved, levels, 0, entry)(query, 10, 100, None)
        assert ((found >= 0) & (found < 500)).all()


def test_many_threads_find_the_same() -> None:
    graph = grown(64, 2_000)
    asked = queries(graph) * 5
    alone = [walker_of(graph)(query, 10, 60, None).tolist() for query in asked]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda query: walker_of(graph)(query, 10, 60, None).tolist(), asked))
    assert together == alone


def test_what_is_added_after_fixing_is_found() -> None:
    graph = grown(48, 500)
    one = np.eye(1, 48, dtype=np.float32)
    graph.make_room_for(one)
    graph.add(graph.codec.encode(one))
    assert graph.search(one[0], 1, 50)[0].tolist() == [500]
    graph.fix()
    assert graph.search(one[0], 1, 50)[0].tolist() == [500]


def test_without_the_library_an_index_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((3_000, 48)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = FaissIndex.open(tmp_path / "index", 48, SETTINGS)
    index.publish(index.build([(np.arange(3_000), vectors)], 3_000))
    asked = [vectors[i] + vectors[i + 1] for i in range(40)]
    asked = [query / np.linalg.norm(query) for query in asked]
    with_it = [index.search(query, 10).ids.tolist() for query in asked]
    monkeypatch.setattr(kernels, "loaded", lambda: None)
    without = FaissIndex.open(tmp_path / "index", 48, SETTINGS, writable=False)
    base = without._state.base
    assert base is not None
    assert base.graph._walker is None
    assert [without.search(query, 10).ids.tolist() for query in asked] == with_it
