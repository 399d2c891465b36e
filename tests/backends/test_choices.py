"""What the settings choose of an engine: its index, shards and copies, as a standalone server takes or refuses them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends.world import DIMENSIONS, World, backend_settings, copied, parts, queries, recall

from localsearch.errors import VectorsUnavailableError
from localsearch.vectors import MilvusIndex, MilvusServer
from localsearch.vectors.feeder import SEALED

CHOICES: dict[str, dict[str, Any]] = {
    "two shards": {"milvus_shards": 2},
    "lists of one byte a component": {"milvus_index": "IVF_SQ8", "ef_search": 16},
    "every vector": {"milvus_index": "FLAT"},
}
LEAST = {"two shards": 0.95, "lists of one byte a component": 0.6, "every vector": 1.0}
"""Recall@20 of one question; of 1,024 lists with three vectors each, sixteen are looked into."""


@pytest.fixture(scope="module", params=list(CHOICES))
def chosen(
    request: pytest.FixtureRequest,
    milvus_uri: str,
    large_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, World]]:
    """3,000 chunks in a collection that was built with one choice."""
    settings = replace(backend_settings("milvus", milvus_uri), **CHOICES[request.param])
    world = copied(large_folder, tmp_path_factory.mktemp("chosen") / "home", settings)
    world.rebuild()
    yield request.param, world
    world.close()
    world.drop()


def told(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the server says of the collection, and of its index."""
    index = world.index
    assert isinstance(index, MilvusIndex)
    client, name = index.server._connected(), str(index.generation)
    return client.describe_collection(name), client.describe_index(name, "vector")


def test_a_collection_is_as_chosen(chosen: tuple[str, World]) -> None:
    _, world = chosen
    collection, index = told(world)
    assert int(collection["num_shards"]) == world.settings.milvus_shards
    assert index["index_type"] == world.settings.milvus_index
    _, feeder, _, feed = parts(world)
    assert feeder.server.unindexed(feed.collection, SEALED) == 0  # a build is published with its graphs


def test_the_nearest_are_found(chosen: tuple[str, World]) -> None:
    name, world = chosen
    shares = [recall(world.index.search(query, 20), world.truth(query, 20)) for query in queries(10)]
    assert np.mean(shares) >= LEAST[name]
    assert world.index.ids().tolist() == world.embeddings.embedded_ids(world.version).tolist()


@pytest.mark.parametrize("k", [50, 1_000, 4_000])
def test_pages_are_full(chosen: tuple[str, World], k: int) -> None:
    """As many as are asked for, also where few of the lists that are looked into hold so many."""
    _, world = chosen
    assert len(world.index.search(queries(1)[0], k)) == min(k, 3_000)


def test_pages_under_an_expression_are_full(chosen: tuple[str, World]) -> None:
    """Asked as an expression, as filters of more than 10,000 documents are."""
    _, world = chosen
    index, selection = world.index, world.selected("type:pdf")
    assert isinstance(index, MilvusIndex)
    among = world.catalog.chunks_of(selection.documents_selected)
    found = index._asked(lambda: index._found(queries(1)[0], 200, selection, None, index.log.vectors_of))
    assert len(among) > 200
    assert len(found) == 200
    assert np.isin(found.ids, among).all()


def test_a_collection_of_an_earlier_choice_is_searched_by_it(chosen: tuple[str, World]) -> None:
    """Settings that have changed count from the next build; until then nothing is missed."""
    _, world = chosen
    index = world.index
    assert isinstance(index, MilvusIndex)
    earlier = index.server.settings
    other = "HNSW" if earlier.milvus_index != "HNSW" else "IVF_SQ8"
    index.server.settings = replace(earlier, milvus_index=other, ef_search=0, milvus_shards=1)  # type: ignore[arg-type]
    try:
        found = index.search(queries(1)[0], 20)
        assert recall(found, world.truth(queries(1)[0], 20)) >= 0.95
        assert index.catch_up() == 0
    finally:
        index.server.settings = earlier


# -- what a server refuses


def refused(uri: str, **settings: Any) -> tuple[str, list[str]]:
    """What is said where a collection is begun with these settings, and the collections that are left of it."""
    server, name = (
        MilvusServer(replace(backend_settings("milvus", uri), **settings)),
        "localsearch_refused_v1_0",
    )
    try:
        with pytest.raises(VectorsUnavailableError) as error:
            server.create(name, DIMENSIONS)
        return error.value.message, [one for one in server.collections() if one == name]
    finally:
        server.drop(name)
        server.close()


def test_more_copies_than_query_nodes_are_refused_in_words(milvus_uri: str) -> None:
    assert refused(milvus_uri, milvus_replicas=2) == (
        "Milvus refuses vectors.milvus_replicas = 2: add query nodes, of which each copy needs its own, or set fewer"
        " (nodes not enough)",
        [],
    )


def test_more_shards_than_a_server_allows_are_refused_in_words(milvus_uri: str) -> None:
    assert refused(milvus_uri, milvus_shards=17) == (
        "Milvus refuses vectors.milvus_shards = 17: set fewer (maximum shards's number should be limited to 16)",
        [],
    )


def test_an_index_that_asks_for_too_many_copies_says_so_and_begins_when_told(
    milvus_uri: str, small_folder: Path, tmp_path: Path
) -> None:
    """Words answer meanwhile; nothing is left behind by the tries."""
    settings = replace(backend_settings("milvus", milvus_uri), milvus_replicas=2)
    with pytest.raises(VectorsUnavailableError, match="milvus_replicas = 2: add query nodes"):
        copied(small_folder, tmp_path / "home", settings)
    world = World.open(tmp_path / "home", settings, "localsearch_copies_v1")
    for _ in range(2):
        with pytest.raises(VectorsUnavailableError):
            world.index.catch_up()
    assert "add query nodes" in world.index.state.problem
    assert not [name for name in MilvusServer(settings).collections() if name.startswith(world.alias)]
    world.close()
    world = World.open(tmp_path / "home", replace(settings, milvus_replicas=1), world.alias)
    assert world.index.catch_up() == 0
    assert len(world.index) == 300
    world.close()
    world.drop()


def test_more_copies_leave_a_collection_in_memory_as_it_is(
    milvus_uri: str, small_folder: Path, tmp_path: Path
) -> None:
    """A server changes no number of copies of what it has loaded: feeding and searching go on."""
    world = copied(small_folder, tmp_path / "home", backend_settings("milvus", milvus_uri))
    alias = world.alias
    world.close()
    world = World.open(tmp_path / "home", replace(world.settings, milvus_replicas=2), alias)
    assert world.index.catch_up() == 0
    assert len(world.index.search(queries(1)[0], 10)) == 10
    world.close()
    world.drop()
