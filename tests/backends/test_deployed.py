"""Milvus with the settings of deploy/scale: rows that it has just taken are compared exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from backends.world import DIMENSIONS, backend_settings, unit

from localsearch.types import ChunkFields, FeedBatch, Ranking
from localsearch.vectors import MilvusServer

ROWS, BATCH = 16_000, 1_000
"""Milvus makes its rough index from some ten thousand rows."""


@pytest.fixture(scope="module")
def deployed(milvus_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with what deploy/scale/compose.yml sets for it, beside the other, which skips without Milvus."""
    from backends.milvus_process import MilvusProcess

    server = MilvusProcess(tmp_path_factory.mktemp("deployed"), exact_when_new=True)
    server.start()
    yield server.uri
    server.kill()


def recall_of_new_rows(uri: str) -> float:
    """The share of the ten nearest that is found among rows of no structure that were sent a moment ago."""
    random = np.random.default_rng(5)
    vectors, queries = (unit(random.normal(size=(n, DIMENSIONS))) for n in (ROWS, 50))
    server, name = MilvusServer(backend_settings("milvus", uri)), "localsearch_new_rows"
    server.create(name, DIMENSIONS)
    try:
        fields = (ChunkFields(1, "default", "text", "en", 1, 1, 1, False),) * BATCH
        for start in range(0, ROWS, BATCH):
            ids = np.arange(start, start + BATCH)
            nothing = ids[:0]
            server.apply(name, FeedBatch(ids, vectors[ids], fields, nothing, 0, True, 0, BATCH))
        assert server.count(name, settled=True) == ROWS
        shares = []
        for query in queries:
            found: Ranking = server.search(name, query, 10)
            truth = np.argsort(-(vectors @ query), kind="stable")[:10]
            shares.append(len(np.intersect1d(found.ids, truth)) / 10)
        return float(np.mean(shares))
    finally:
        server.drop(name)
        server.close()


def test_new_rows_are_compared_exactly(deployed: str, milvus_uri: str) -> None:
    """And without that variable they are not, so that this tells."""
    assert recall_of_new_rows(deployed) == 1.0
    assert recall_of_new_rows(milvus_uri) < 0.99
