"""Reconciling with an engine that has a part of its segments in memory, and filters that its fields do not tell."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import chain, repeat

import numpy as np
import pytest
from backends.world import World, parts, queries, recall

from localsearch.errors import VectorsUnavailableError
from localsearch.vectors.milvus_rows import row as row_of

# -- an engine that has a part of its segments in memory


@pytest.fixture
def halved(world: World) -> World:
    """Every other chunk is in a stored segment of a partition of its own, which can be taken out of memory."""
    _, feeder, log, feed_ = parts(world)
    moved = log.again(feed_, world.embeddings.embedded_ids(world.version)[::2])
    client = feeder.server._connected()
    client.create_partition(feed_.collection, "half")
    client.delete(feed_.collection, ids=moved.ids.tolist())
    rows = [row_of(*one) for one in zip(moved.ids.tolist(), moved.vectors, moved.fields, strict=True)]
    client.insert(feed_.collection, rows, partition_name="half")
    client.flush(feed_.collection)
    assert feeder.server.count(feed_.collection, settled=True) == 300
    wait_until(lambda: feeder.server.unloaded(feed_.collection) == 0)
    return world


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_rows_that_go_out_of_memory_while_ids_are_read_are_not_lost(
    halved: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the rows go between two reads, and come back when they are waited for: nothing is sent again."""
    index, feeder, _, feed_ = parts(halved)
    server, client = feeder.server, feeder.server._connected()
    read, unloaded, seen = server.ids_between, server.unloaded, []
    monkeypatch.setattr("localsearch.vectors.feeder.MOST", 100)

    def read_and_lose(name: str, low: int, high: int) -> np.ndarray:
        if len(seen) == 2:
            client.release_partitions(feed_.collection, ["half"])
        seen.append(len(found := read(name, low, high)))
        return found

    def waited_for(name: str) -> int:
        if missing := unloaded(name):
            client.load_partitions(feed_.collection, ["half"])
        return missing

    monkeypatch.setattr(server, "ids_between", read_and_lose)
    monkeypatch.setattr(server, "unloaded", waited_for)
    monkeypatch.setattr(server, "apply", lambda *_: pytest.fail("rows were sent again"))
    assert feeder.reconcile() == 0
    assert seen[:6] == [49, 50, 25, 25, 25, 25]
    assert seen[7:] == [49, 50, 50, 50, 50, 50, 1]
    monkeypatch.undo()
    assert len(index.search(queries(1)[0], 400)) == 300


def test_segments_that_are_not_in_memory_are_waited_for_and_then_lost(
    halved: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, feeder, _, feed_ = parts(halved)
    feeder.server._connected().release_partitions(feed_.collection, ["half"])
    assert feeder.server.unloaded(feed_.collection) == 150
    assert feeder.server.is_loaded(feed_.collection)
    with pytest.raises(VectorsUnavailableError, match="150 rows of 300"):
        index.search(queries(1)[0], 10)
    assert feeder.reconcile(cancelled=chain([False] * 20, repeat(True)).__next__) == 0
    monkeypatch.setattr("localsearch.vectors.feeder._LOADED_S", 0.5)
    assert feeder.reconcile() == 150
    assert recall(index.search(queries(1)[0], 50), halved.truth(queries(1)[0], 50)) == 1.0


def test_a_collection_that_is_not_in_memory_is_not_reconciled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, feeder, _, feed_ = parts(world)
    monkeypatch.setattr("localsearch.vectors.feeder._LOADED_S", 0.5)
    feeder.server._connected().release_collection(feed_.collection)
    assert not feeder.server.is_loaded(feed_.collection)
    with pytest.raises(VectorsUnavailableError, match="a part of its rows in memory"):
        feeder.reconcile()
    feeder.server.load(feed_.collection)
    assert feeder.reconcile() == 0


# -- filters that its fields do not tell


@pytest.mark.parametrize(
    ("often", "listed", "calls"), [(20, False, 2), (0, True, 1)], ids=["verified", "as a list"]
)
def test_documents_of_a_filter_are_listed_where_few_are_selected(
    world: World, often: int, listed: bool, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """75 of 150 documents: half of the nearest are theirs, and asking twice fills the page. Either way it is the same."""
    index, feeder, _, _ = parts(world)
    monkeypatch.setattr("localsearch.vectors.milvus_index.COMPARED", 10)
    monkeypatch.setattr("localsearch.vectors.milvus_index._OFTEN", often)
    asked, search = [], feeder.server.search
    monkeypatch.setattr(feeder.server, "search", lambda *one: asked.append(one[3]) or search(*one))
    selection, query = world.selected("n:<75"), queries(1)[0]
    among = world.catalog.chunks_of(selection.documents_selected)
    assert len(among) == 150
    found = index.search(query, 100, selection)
    assert found.ids.tolist() == world.truth(query, 100, among).ids.tolist()
    assert len(asked) == calls
    assert all(text.startswith("document in [") == listed for text in asked)
