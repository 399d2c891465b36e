"""The vector index against brute force, through every change it can go through."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from mmap import mmap
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.typing import NDArray

from localsearch import kernels, quantize
from localsearch.errors import (
    CancelledError,
    ConflictError,
    DamagedError,
    DiskFullError,
    FormatError,
    ReadOnlyError,
)
from localsearch.settings import Storage, VectorSettings
from localsearch.types import Ids, Progress, Vectors
from localsearch.vectors import FaissIndex, Masked
from localsearch.vectors.base import Base
from localsearch.vectors.codec import Codec, widths
from localsearch.vectors.entries import Entries
from localsearch.vectors.files import FORMAT, read_manifest
from localsearch.vectors.graph import Graph
from localsearch.vectors.plan import WIDEST, ef_search, is_exact_cheaper
from localsearch.vectors.tuning import choose_ef_search
from localsearch.vectors.walk import mapped_starts

STORAGES = get_args(Storage)
DIMENSIONS = 48
SETTINGS = VectorSettings(m=8, ef_construction=60)


def passages(count: int, dimensions: int = DIMENSIONS, seed: int = 0, topics: int = 40) -> Vectors:
    """Unit vectors around some topics, as the database holds them."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((topics, dimensions))
    vectors = centres[random.integers(topics, size=count)] + random.standard_normal((count, dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return quantize.rounded(vectors.astype(np.float32))


def ids_for(count: int, seed: int = 0) -> Ids:
    """Chunk ids with gaps, in no order."""
    return np.random.default_rng(seed).permutation(3 * count)[:count].astype(np.int64) + 1


def batches(ids: Ids, vectors: Vectors, size: int = 500) -> Iterator[tuple[Ids, Vectors]]:
    for start in range(0, len(ids), size):
        some = ids[start : start + size]
        yield some, vectors[start : start + len(some)]


def nearest(query: Vectors, ids: Ids, vectors: Vectors, k: int) -> list[int]:
    return ids[np.argsort(-(vectors @ query), kind="stable")[:k]].tolist()


def recall(
    index: FaissIndex, queries: Vectors, ids: Ids, vectors: Vectors, k: int = 10, **options: object
) -> float:
    hits = sum(
        len(set(index.search(query, k, **options).ids.tolist()) & set(nearest(query, ids, vectors, k)))  # type: ignore[arg-type]
        for query in queries
    )
    return hits / (k * len(queries))


def built(folder: Path, ids: Ids, vectors: Vectors, settings: VectorSettings = SETTINGS) -> FaissIndex:
    index = FaissIndex.open(folder, vectors.shape[1], settings)
    index.publish(index.build(batches(ids, vectors), len(ids)))
    return index


@pytest.fixture(scope="module")
def corpus() -> tuple[Ids, Vectors, Vectors]:
    """6,000 ids and vectors, and 40 queries between topics."""
    vectors = passages(4_000)
    queries = vectors[:40] + 0.6 * vectors[3_000:3_040]
    return ids_for(4_000), vectors, queries / np.linalg.norm(queries, axis=1, keepdims=True)


@pytest.fixture(scope="module", params=STORAGES)
def published(
    request: pytest.FixtureRequest,
    corpus: tuple[Ids, Vectors, Vectors],
    tmp_path_factory: pytest.TempPathFactory,
) -> FaissIndex:
    ids, vectors, _ = corpus
    folder = tmp_path_factory.mktemp("published")
    return built(folder, ids, vectors, replace(SETTINGS, storage=request.param))


@pytest.fixture(scope="module", params=["int16", "int12", "fp16"])
def original(
    request: pytest.FixtureRequest,
    corpus: tuple[Ids, Vectors, Vectors],
    tmp_path_factory: pytest.TempPathFactory,
) -> FaissIndex:
    folder = tmp_path_factory.mktemp("original")
    return built(folder, *corpus[:2], replace(SETTINGS, storage=request.param))


@pytest.fixture
def opened(tmp_path: Path, original: FaissIndex) -> FaissIndex:
    """A copy of a published index that a test may change."""
    shutil.copytree(original.folder, tmp_path / "copy")
    return FaissIndex.open(tmp_path / "copy", DIMENSIONS, original.settings)


# --- the delta alone


def test_an_empty_index_finds_nothing(tmp_path: Path) -> None:
    index = FaissIndex.open(tmp_path / "new", 3)
    assert len(index) == 0
    assert len(index.search(np.array([1, 0, 0], np.float32), 5)) == 0
    assert index.base_ids().tolist() == []
    assert index.generation is None
    assert index.needs_merge() == ""


def test_the_delta_is_exact(tmp_path: Path) -> None:
    index = FaissIndex.open(tmp_path, 3)
    index.add(np.array([7, 2, 9]), np.array([[1, 0, 0], [0, 1, 0], [0.6, 0.8, 0]], np.float32))
    found = index.search(np.array([0, 1, 0], np.float32), 2)
    assert found.ids.tolist() == [2, 9]
    assert found.scores.tolist() == pytest.approx([1.0, 0.8], abs=1e-3)
    assert found.scores.dtype == np.float32
    assert found.ids.dtype == np.int64


def test_equal_scores_come_in_the_order_of_ids(tmp_path: Path) -> None:
    index = FaissIndex.open(tmp_path, 3)
    index.add(np.array([9, 4, 6]), np.tile(np.array([[1, 0, 0]], np.float32), (3, 1)))
    assert index.search(np.array([1, 0, 0], np.float32), 2).ids.tolist() == [4, 6]


def test_adding_an_id_again_replaces_its_vector(
    opened: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, _ = corpus
    opened.add(ids[:1], -vectors[:1])
    assert len(opened) == 4_000
    assert opened.score(vectors[0], ids[:1])[0] == pytest.approx(-1, abs=2e-3)
    opened.add(ids[:1], vectors[:1])
    assert len(opened) == 4_000
    assert opened.search(vectors[0], 1).ids.tolist() == [ids[0]]


def test_scores_are_the_same_before_and_after_a_restart(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    vectors = random.standard_normal((50, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = FaissIndex.open(tmp_path, 16, VectorSettings(storage="fp32"))
    index.add(np.arange(50), vectors)
    before = index.search(vectors[0], 5)
    index.publish(index.merge())
    again = FaissIndex.open(tmp_path, 16, VectorSettings(storage="fp32")).search(vectors[0], 5)
    assert again.ids.tolist() == before.ids.tolist()
    np.testing.assert_allclose(again.scores, before.scores, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_vector_that_cannot_be_ranked_is_refused(tmp_path: Path, bad: float) -> None:
    index = FaissIndex.open(tmp_path, 2)
    with pytest.raises(DamagedError, match="The vector of chunk 5 is not finite"):
        index.add(np.array([4, 5]), np.array([[1, 0], [bad, 0]], np.float32))
    assert len(index) == 0
    with pytest.raises(ValueError, match="dimensions are 2"):
        index.add(np.array([4]), np.zeros((1, 3), np.float32))


# --- a published generation


def test_a_generation_finds_what_brute_force_finds(
    published: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, queries = corpus
    full = {int(i): v for i, v in zip(ids, vectors)}

    def fetch(wanted: Ids) -> tuple[Ids, Vectors]:
        return np.sort(wanted), np.stack([full[int(i)] for i in np.sort(wanted)])

    assert published.generation is not None
    assert not is_exact_cheaper(4_000, published.generation.ef_search, published.settings.storage)
    assert recall(published, queries, ids, vectors, fetch=fetch) >= 0.97
    assert recall(published, queries, ids, vectors, k=100, fetch=fetch) >= 0.97
    found = published.search(queries[0], 10, fetch=fetch)
    exact = {i: float(full[i] @ queries[0]) for i in found.ids.tolist()}
    tolerance = {"int12": 6e-4, "fp16": 1e-4}.get(published.settings.storage, 2e-5)
    np.testing.assert_allclose(found.scores, list(exact.values()), atol=tolerance)
    assert (np.diff(found.scores) <= 0).all()


ALMOST = {"int8": 0.97, "int12": 0.99}
"""Of the ten nearest, how many are found by comparing with each vector as it is kept; all by what is not named."""


def test_an_exact_search_is_exact(published: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]) -> None:
    ids, vectors, queries = corpus
    least = ALMOST.get(published.settings.storage, 1.0)
    assert recall(published, queries, ids, vectors, exact=True) >= least


def test_an_exact_search_that_can_fetch_full_vectors_is_wholly_exact(
    published: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, queries = corpus
    order = np.argsort(ids)

    def fetch(wanted: Ids) -> tuple[Ids, Vectors]:
        wanted = np.sort(wanted)
        return wanted, vectors[order[np.searchsorted(ids, wanted, sorter=order)]]

    for k in (1, 10, 100):
        assert recall(published, queries, ids, vectors, k, exact=True, fetch=fetch) == 1.0


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5])
def test_under_a_filter_there_are_always_k_and_few_are_missed(
    published: FaissIndex, corpus: tuple[Ids, Vectors, Vectors], share: float
) -> None:
    ids, vectors, queries = corpus
    kept = np.random.default_rng(1).random(4_000) < share
    allowed = np.zeros(int(ids.max()) + 1, np.bool_)
    allowed[ids[kept]] = True
    k = 10
    for query in queries:
        found = published.search(query, k, Masked(allowed))
        assert len(found) == min(k, int(kept.sum()))
        assert allowed[found.ids].all()
    storage = published.settings.storage
    exact_enough = 0.95 if storage == "int8" else ALMOST.get(storage, 1.0) if share < 0.4 else 0.97
    assert (
        recall(published, queries, ids[kept], vectors[kept], min(k, int(kept.sum())), allowed=Masked(allowed))
        >= exact_enough
    )


def test_the_graph_keeps_its_promise_under_filters_too(
    published: FaissIndex, corpus: tuple[Ids, Vectors, Vectors], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a large index, where exact search of what is allowed would be the slower way."""
    monkeypatch.setattr("localsearch.vectors.base.is_exact_cheaper", lambda count, wanted, storage: False)
    ids, vectors, queries = corpus
    for share in (0.03, 0.1, 0.5):
        kept = np.random.default_rng(2).random(4_000) < share
        allowed = np.zeros(int(ids.max()) + 1, np.bool_)
        allowed[ids[kept]] = True
        assert recall(published, queries, ids[kept], vectors[kept], allowed=Masked(allowed)) >= 0.95


def test_k_results_come_even_where_the_graph_finds_fewer(
    published: FaissIndex, corpus: tuple[Ids, Vectors, Vectors], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localsearch.vectors.base.is_exact_cheaper", lambda count, wanted, storage: False)
    monkeypatch.setattr("localsearch.vectors.base.ef_search", lambda chosen, k, share: 1)
    ids, _, queries = corpus
    allowed = np.zeros(int(ids.max()) + 1, np.bool_)
    allowed[ids[:25]] = True
    assert sorted(published.search(queries[0], 25, Masked(allowed)).ids.tolist()) == sorted(ids[:25].tolist())


def test_a_mask_may_be_shorter_than_the_largest_id(
    published: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, queries = corpus
    allowed = np.ones(100, np.bool_)
    low = ids < 100
    found = published.search(queries[0], 10, Masked(allowed))
    assert (
        found.ids.tolist() == nearest(queries[0], ids[low], vectors[low], 10)
        or published.settings.storage == "int8"
    )
    assert len(published.search(queries[0], 10, Masked(np.zeros(0, np.bool_)))) == 0


def test_vectors_come_back_as_precisely_as_they_are_kept(
    published: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, _ = corpus
    tolerance = {"fp32": 0, "fp16": 3e-4, "int16": 2e-5, "int12": 3e-4, "int8": 4e-3}
    close = tolerance[published.settings.storage]
    np.testing.assert_allclose(published.vectors_of(ids[100:200]), vectors[100:200], atol=close)
    missing = published.vectors_of(np.array([-1, 10**9]))
    assert np.isnan(missing).all()
    assert missing.shape == (2, DIMENSIONS)
    scores = published.score(vectors[3], np.array([ids[3], 10**9]))
    assert scores[0] == pytest.approx(1, abs=4e-3)
    assert np.isnan(scores[1])


def test_reopening_gives_the_same_answers(
    published: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    again = FaissIndex.open(published.folder, DIMENSIONS, published.settings, writable=False)
    assert again.generation == published.generation
    assert again.ids().tolist() == published.ids().tolist()
    for query in corpus[2]:
        one, other = again.search(query, 10), published.search(query, 10)
        assert one.ids.tolist() == other.ids.tolist()
        assert one.scores.tolist() == other.scores.tolist()
    assert again.check() == []


def test_the_manifest_says_how_it_was_built(published: FaissIndex) -> None:
    generation = published.generation
    assert generation is not None
    assert (generation.number, generation.count, generation.nodes, generation.tombstones) == (
        1,
        4_000,
        4_000,
        0,
    )
    assert (generation.m, generation.ef_construction, generation.storage) == (
        8,
        60,
        published.settings.storage,
    )
    assert generation.recall >= published.settings.recall_target
    assert 32 <= generation.ef_search <= 512
    names = sorted(path.name for path in published.folder.iterdir())
    assert names == ["1.graph", "1.ids", "1.rest", "manifest.json"]
    assert all((path.stat().st_mode & 0o777) == 0o600 for path in published.folder.iterdir())


# --- changes


def test_what_is_removed_is_not_found(opened: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]) -> None:
    ids, vectors, queries = corpus
    gone = np.array(nearest(queries[0], ids, vectors, 20))
    opened.remove(gone)
    assert len(opened) == 3_980
    assert not set(opened.search(queries[0], 100).ids.tolist()) & set(gone.tolist())
    kept = ~np.isin(ids, gone)
    assert recall(opened, queries, ids[kept], vectors[kept]) >= 0.95


def test_the_delta_and_the_base_are_searched_as_one(
    opened: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, queries = corpus
    more = passages(700, seed=9)
    more_ids = np.arange(700) + 50_000
    opened.add(more_ids, more)
    everything, all_ids = np.concatenate([vectors, more]), np.concatenate([ids, more_ids])
    assert len(opened) == 4_700
    assert opened.ids().tolist() == sorted(all_ids.tolist())
    assert recall(opened, queries, all_ids, everything) >= 0.95
    assert recall(opened, more[:50], all_ids, everything, k=1) >= 0.98


def test_set_live_hides_all_others_and_brings_back(
    opened: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, _ = corpus
    opened.add(np.array([90_000]), vectors[:1])
    opened.set_live(ids[:2_000])
    assert opened.ids().tolist() == sorted(ids[:2_000].tolist())
    assert set(opened.base_ids().tolist()) == set(ids.tolist())
    opened.set_live(ids[:3_000])
    assert opened.ids().tolist() == sorted(ids[:3_000].tolist())
    assert opened.search(vectors[2_500], 1).ids.tolist() == [ids[2_500]]
    assert len(opened.search(vectors[3_500], 4_000)) == 3_000


def test_a_merge_adds_the_delta_and_takes_out_what_was_removed(
    opened: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, queries = corpus
    more, more_ids = passages(700, seed=9), np.arange(700) + 50_000
    opened.add(more_ids, more)
    opened.remove(ids[:300])
    held = [opened.vectors_of(ids[500:510]), opened.vectors_of(more_ids[:10])]
    opened.publish(opened.merge())
    generation = opened.generation
    assert generation is not None
    assert (generation.number, generation.count, generation.nodes, generation.tombstones) == (
        2,
        4_700,
        4_700,
        300,
    )
    all_ids, everything = np.concatenate([ids[300:], more_ids]), np.concatenate([vectors[300:], more])
    assert opened.ids().tolist() == sorted(all_ids.tolist())
    assert set(opened.base_ids().tolist()) == set(all_ids.tolist())
    assert recall(opened, queries, all_ids, everything) >= 0.95
    np.testing.assert_allclose(opened.vectors_of(ids[500:510]), held[0], atol=4e-3)
    np.testing.assert_allclose(opened.vectors_of(more_ids[:10]), held[1], atol=4e-3)
    assert opened.check() == []
    assert sorted(path.name for path in opened.folder.iterdir()) == [
        "2.graph",
        "2.ids",
        "2.rest",
        "manifest.json",
    ]


def test_a_deleted_vector_is_in_no_file_after_a_merge(
    opened: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, _ = corpus
    codes = opened._state.base.graph.codec.encode(vectors[:3])  # type: ignore[union-attr]
    traces = [row.tobytes() for row in codes.walk] + [row.tobytes() for row in codes.rest if len(row)]

    def found() -> list[bool]:
        data = b"".join(path.read_bytes() for path in opened.folder.iterdir())
        return [trace in data for trace in traces]

    assert all(found())
    opened.remove(ids[:3])
    opened.publish(opened.merge())
    assert not any(found())


def test_merging_again_and_again_loses_no_recall(
    tmp_path: Path, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, queries = corpus
    index = built(tmp_path, ids[:1_500], vectors[:1_500])
    for start in range(1_500, 4_000, 500):
        index.add(ids[start : start + 500], vectors[start : start + 500])
        index.remove(ids[start - 1_500 : start - 1_450])
        index.publish(index.merge())
    kept = (np.arange(4_000) % 500 >= 50) | (np.arange(4_000) >= 2_500)
    assert index.generation is not None
    assert (index.generation.number, index.generation.tombstones) == (6, 250)
    assert index.ids().tolist() == sorted(ids[kept].tolist())
    assert recall(index, queries, ids[kept], vectors[kept]) >= 0.96


def test_needs_merge_says_what_is_due(tmp_path: Path, corpus: tuple[Ids, Vectors, Vectors]) -> None:
    ids, vectors, _ = corpus
    index = FaissIndex.open(tmp_path, DIMENSIONS, replace(SETTINGS, merge_at=100))
    index.add(ids[:99], vectors[:99])
    assert index.needs_merge() == ""
    index.add(ids[99:100], vectors[99:100])
    assert index.needs_merge() == "merge"
    index.publish(index.merge())
    assert index.needs_merge() == ""
    index.remove(ids[:10])
    assert index.needs_merge() == ""
    index.remove(ids[10:11])
    assert index.needs_merge() == "rebuild"
    index.publish(index.merge())
    assert index.needs_merge() == "rebuild"
    index.publish(index.build(batches(ids[11:100], vectors[11:100]), 89))
    assert index.needs_merge() == ""
    assert index.generation is not None
    assert (index.generation.count, index.generation.tombstones) == (89, 0)


def test_a_larger_graph_waits_for_more_before_a_merge(
    tmp_path: Path, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, _ = corpus
    index = FaissIndex.open(tmp_path, DIMENSIONS, replace(SETTINGS, merge_at=1))
    index.publish(index.build(batches(ids[:200], vectors[:200]), 200))
    index.add(ids[200:203], vectors[200:203])
    assert index.needs_merge() == ""
    index.add(ids[203:204], vectors[203:204])
    assert index.needs_merge() == "merge"


def test_other_settings_make_a_merge_build_the_other_kind(
    tmp_path: Path, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, _ = corpus
    built(tmp_path, ids[:500], vectors[:500], replace(SETTINGS, storage="int16"))
    index = FaissIndex.open(tmp_path, DIMENSIONS, replace(SETTINGS, storage="fp16", m=12))
    assert index.search(vectors[3], 1).ids.tolist() == [ids[3]]
    index.add(ids[500:600], vectors[500:600])
    index.publish(index.merge())
    assert index.generation is not None
    assert (index.generation.storage, index.generation.m, index.generation.count) == ("fp16", 12, 600)
    assert index.search(vectors[3], 1).ids.tolist() == [ids[3]]


def test_an_index_of_an_earlier_default_goes_on_and_takes_the_new_one_with_a_merge(
    tmp_path: Path, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, queries = corpus
    built(tmp_path, ids[:2_000], vectors[:2_000], replace(SETTINGS, storage="int16"))
    index = FaissIndex.open(tmp_path, DIMENSIONS, SETTINGS)
    assert index.generation is not None
    assert index.generation.storage == "int16"
    assert recall(index, queries, ids[:2_000], vectors[:2_000]) >= 0.97
    assert index.check() == []
    rest = (tmp_path / index.generation.rest.name).stat().st_size
    index.add(ids[2_000:2_010], vectors[2_000:2_010])
    index.publish(index.merge())
    assert (index.generation.storage, index.generation.count) == (VectorSettings().storage, 2_010)
    assert (tmp_path / index.generation.rest.name).stat().st_size / 2_010 == rest / 2_000 / 2
    assert recall(index, queries, ids[:2_010], vectors[:2_010]) >= 0.97
    assert index.check() == []


def test_a_manifest_of_the_first_format_is_read(opened: FaissIndex) -> None:
    manifest = opened.folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_bytes()) | {"format": 1}))
    assert FaissIndex.open(opened.folder, DIMENSIONS).generation == opened.generation
    manifest.write_text(json.dumps(json.loads(manifest.read_bytes()) | {"format": 0}))
    with pytest.raises(DamagedError):
        FaissIndex.open(opened.folder, DIMENSIONS)


def test_everything_can_be_removed_and_merged(tmp_path: Path, corpus: tuple[Ids, Vectors, Vectors]) -> None:
    ids, vectors, _ = corpus
    index = built(tmp_path, ids[:50], vectors[:50])
    index.remove(ids[:50])
    assert len(index.search(vectors[0], 5)) == 0
    index.publish(index.merge())
    assert (len(index), index.base_ids().tolist()) == (0, [])
    index.publish(index.build(iter(()), 0))
    assert len(FaissIndex.open(tmp_path, DIMENSIONS, SETTINGS)) == 0
    index.add(ids[:5], vectors[:5])
    index.publish(index.merge())
    assert index.ids().tolist() == sorted(ids[:5].tolist())


def test_a_component_beyond_the_limit_widens_the_steps(tmp_path: Path) -> None:
    vectors = passages(300)
    index = built(tmp_path, np.arange(300), vectors)
    assert index.generation is not None
    narrow = index.generation.limit
    spike = np.zeros((1, DIMENSIONS), np.float32)
    spike[0, 7] = 1
    index.add(np.array([900]), spike)
    index.publish(index.merge())
    assert narrow < 0.9
    assert index.generation.limit == 1.0
    half_a_part = 1 / 127 / 16 / 2
    narrower = narrow / 127 / 16 / 2
    np.testing.assert_allclose(index.vectors_of(np.array([900])), spike, atol=half_a_part + 1e-6)
    found = index.vectors_of(np.arange(300))
    np.testing.assert_allclose(found, vectors, atol=half_a_part + narrower + 1e-6)
    assert index.search(spike[0], 1).ids.tolist() == [900]


# --- equal texts


def test_equal_vectors_share_a_node_and_all_are_found(tmp_path: Path) -> None:
    vectors = passages(400)
    copies = np.repeat(vectors[:1], 300, axis=0)
    ids = np.arange(700)
    index = built(tmp_path, ids, np.concatenate([vectors, copies]))
    assert index.generation is not None
    assert (index.generation.count, index.generation.nodes) == (700, 400)
    found = index.search(vectors[0], 301)
    assert found.ids.tolist() == [0, *range(400, 700)]
    index.remove(np.array([0, 400, 401]))
    assert index.search(vectors[0], 5).ids.tolist() == [402, 403, 404, 405, 406]
    allowed = np.zeros(700, np.bool_)
    allowed[[5, 500]] = True
    assert sorted(index.search(vectors[0], 5, Masked(allowed)).ids.tolist()) == [5, 500]


def test_copies_added_later_join_the_node_that_is_there(tmp_path: Path) -> None:
    vectors = passages(400)
    index = built(tmp_path, np.arange(400), vectors)
    index.add(np.array([1_000, 1_001]), vectors[[3, 3]])
    index.remove(np.array([3]))
    index.publish(index.merge())
    assert index.generation is not None
    assert (index.generation.count, index.generation.nodes, index.generation.tombstones) == (401, 400, 0)
    assert index.search(vectors[3], 2).ids.tolist() == [1_000, 1_001]
    index.remove(np.array([1_000, 1_001]))
    index.publish(index.merge())
    assert index.generation.tombstones == 1
    index.add(np.array([1_002]), vectors[[3]])
    index.publish(index.merge())
    assert index.search(vectors[3], 1).ids.tolist() == [1_002]
    assert index.ids().tolist() == [*range(3), *range(4, 400), 1_002]


def test_copies_do_not_wall_off_the_graph(tmp_path: Path, corpus: tuple[Ids, Vectors, Vectors]) -> None:
    """Twenty passages with 300 copies each: as nodes of their own they cost a third of the recall."""
    _, vectors, queries = corpus
    everything = np.concatenate([vectors, np.repeat(vectors[:20], 300, axis=0)])
    order = np.random.default_rng(3).permutation(len(everything))
    index = built(tmp_path, np.arange(len(order)), everything[order])
    for query in queries:
        scores = np.sort(everything @ query)[::-1][:10]
        np.testing.assert_allclose(index.search(query, 10).scores[:5], scores[:5], atol=0.02)
    close = [np.abs(index.search(q, 10).scores - np.sort(everything @ q)[::-1][:10]) < 6e-4 for q in queries]
    assert np.mean(close) >= 0.95


def test_a_passage_costs_two_bytes_that_no_file_backs(
    tmp_path: Path, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    """Those of the masks; what the delta holds goes with a merge."""
    ids, vectors, _ = corpus
    built(tmp_path, ids, vectors)
    generation = read_manifest(tmp_path)
    assert generation is not None
    base = Base.open(tmp_path, generation)
    held = [base.live, base.nodes, *(getattr(base.entries, one.name) for one in fields(Entries))]
    own = sum(array.nbytes for array in held if not is_mapped(array))
    copies = len(ids) - len(base.graph)
    assert len(ids) <= own <= 2 * len(ids) + 4 * copies
    assert is_mapped(base.entries.ids)
    assert is_mapped(base.entries.nodes)
    assert is_mapped(base.entries.order)


@pytest.mark.skipif(kernels.loaded() is None, reason="the kernels were not built")
def test_where_links_begin_is_mapped_and_faiss_holds_nothing_for_each_node(
    tmp_path: Path, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    """FAISS reads twelve bytes a node into memory, which only its own walk needs."""
    ids, vectors, queries = corpus
    built(tmp_path, ids, vectors)
    generation = read_manifest(tmp_path)
    assert generation is not None
    names = (tmp_path / generation.graph.name, tmp_path / generation.rest.name)
    codec = Codec(generation.storage, generation.limit)
    graph, whole = Graph.open(*names, codec), Graph.open(*names, codec, mapped=False)
    hnsw = whole._index.hnsw
    assert int(hnsw.offsets.size()) == len(graph) + 1
    assert (int(graph._index.hnsw.offsets.size()), int(graph._index.hnsw.levels.size())) == (0, 0)
    assert graph._walker is not None
    starts = graph._walker._held[2]
    assert is_mapped(starts)
    assert starts.tolist() == [int(hnsw.offsets.at(at)) for at in range(len(graph) + 1)]
    for query in queries:
        found, scores = graph.search(query, 10, 300)
        wanted, of_faiss = whole.search(query, 10, 300)
        assert dict(zip(found.tolist(), scores.tolist())) == dict(zip(wanted.tolist(), of_faiss.tolist()))
    (tmp_path / "moved").write_bytes(bytes(4) + names[0].read_bytes())
    assert mapped_starts(tmp_path / "moved", hnsw) is None
    assert mapped_starts(names[0], hnsw) is not None


def is_mapped(array: Any) -> bool:
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap)


# --- the order of nodes


@pytest.mark.parametrize("storage", STORAGES)
def test_nodes_that_link_to_each_other_are_put_side_by_side(
    corpus: tuple[Ids, Vectors, Vectors], storage: Storage
) -> None:
    _, vectors, queries = corpus
    graph = Graph.new(vectors.shape[1], VectorSettings(storage=storage))
    graph.make_room_for(vectors[:3_000])
    graph.add(graph.codec.encode(vectors[:3_000]))

    def apart() -> float:
        links = [np.abs(np.array(graph._neighbours(node)) - node) for node in range(0, 3_000, 10)]
        return float(np.mean(np.concatenate(links)))

    before = [graph.search(query, 10, 64) for query in queries[:20]]
    far, held = apart(), graph.vectors(np.arange(3_000))
    order = graph.nearby()
    assert np.array_equal(np.sort(order), np.arange(3_000))
    graph.reorder(order)
    assert np.array_equal(graph.vectors(np.arange(3_000)), held[order])
    for query, (nodes, scores) in zip(queries, before):
        again, same = graph.search(query, 10, 64)
        assert sorted(order[again].tolist()) == sorted(nodes.tolist())
        assert np.allclose(np.sort(same), np.sort(scores))
    assert apart() < 0.95 * far
    graph.add(graph.codec.encode(vectors[3_000:3_010]))
    assert np.allclose(graph.vectors(np.arange(3_000, 3_010)), vectors[3_000:3_010], atol=0.01)


# --- choosing how widely to search


def test_the_chosen_breadth_meets_the_target_and_no_smaller_one_does(
    corpus: tuple[Ids, Vectors, Vectors], tmp_path: Path
) -> None:
    _, vectors, _ = corpus
    index = built(tmp_path, np.arange(4_000), vectors)
    base = index._state.base
    assert base is not None
    graph, ids = base.graph, base.entries.ids
    live = np.ones(4_000, np.bool_)
    real = vectors[:100] + 0.6 * vectors[100:200]
    real /= np.linalg.norm(real, axis=1, keepdims=True)
    chosen, reached = choose_ef_search(graph, live, 0.97, real, lambda: None)
    truth = [set(nearest(query, np.arange(4_000), vectors, 10)) for query in real]

    def reach(ef_search: int) -> float:
        found = [set(ids[graph.search(query, 10, ef_search)[0]].tolist()) for query in real]
        return float(np.mean([len(a & b) / 10 for a, b in zip(truth, found)]))

    assert reach(chosen) == pytest.approx(reached, abs=0.003)
    assert reached >= 0.97
    assert chosen == 32 or reach(chosen - 16) < 0.98
    harder, _ = choose_ef_search(graph, live, 0.999, real, lambda: None)
    assert harder > chosen


def test_a_set_breadth_is_used_and_the_measured_recall_is_kept(
    tmp_path: Path, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, _ = corpus
    index = built(tmp_path, ids[:3_000], vectors[:3_000], replace(SETTINGS, ef_search=77))
    assert index.generation is not None
    assert index.generation.ef_search == 77


def test_the_plan_weighs_exact_search_against_the_graph() -> None:
    assert ef_search(200, 10, 1.0) == 200
    assert ef_search(200, 400, 1.0) == 800
    assert ef_search(200, 10, 1 / 1024) == 2_048 == WIDEST
    assert is_exact_cheaper(4_000, 200, "int12")
    assert is_exact_cheaper(4_000, 200, "int16")
    assert not is_exact_cheaper(4_001, 200, "int16")
    assert not is_exact_cheaper(4_000, 200, "fp16")


# --- building beside, publishing, cancelling


def test_changes_made_while_building_are_kept(
    opened: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, _ = corpus
    more = passages(40, seed=11)
    opened.add(np.arange(10) + 70_000, more[:10])

    def stream() -> Iterator[tuple[Ids, Vectors]]:
        yield ids[:2_000], vectors[:2_000]
        opened.add(np.arange(10, 20) + 70_000, more[10:20])
        opened.remove(ids[:5])
        opened.remove(np.array([70_000]))
        opened.remove(ids[5:6])
        opened.add(ids[5:6], more[20:21])
        yield ids[2_000:], vectors[2_000:]
        yield np.arange(10) + 70_000, more[:10]

    opened.publish(opened.build(stream(), 4_010))
    expected = [*ids[5:].tolist(), *range(70_001, 70_020)]
    assert opened.ids().tolist() == sorted(expected)
    assert opened.vectors_of(ids[5:6])[0] == pytest.approx(more[20], abs=4e-3)
    assert opened.search(more[15], 1).ids.tolist() == [70_015]
    assert 70_000 not in opened.search(more[0], 50).ids


def test_searches_go_on_while_generations_change(
    tmp_path: Path, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, queries = corpus
    index = built(tmp_path, ids[:2_500], vectors[:2_500])
    stop, wrong, done = threading.Event(), [], []

    def ask() -> None:
        while not stop.is_set():
            for query in queries[:10]:
                before = index._state
                found = index.search(query, 10)
                scores = index.score(query, found.ids)
                # Between the two a vector may have moved from the delta, which is exact, into the graph.
                off = 1e-6 if index._state is before else 6e-4
                if len(found) != 10 or not np.allclose(found.scores, scores, rtol=0, atol=off):
                    wrong.append(found)
                done.append(1)
                time.sleep(0.001)

    readers = [threading.Thread(target=ask) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(4):
        new = slice(2_500 + turn * 100, 2_600 + turn * 100)
        index.add(ids[new], vectors[new])
        index.publish(index.merge() if turn % 2 else index.build(batches(ids[: new.stop], vectors), new.stop))
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert len(done) > 30
    assert index.ids().tolist() == sorted(ids[:2_900].tolist())


def test_a_build_can_be_cancelled_and_leaves_nothing(
    opened: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    ids, vectors, _ = corpus
    steps: list[Progress] = []
    with pytest.raises(CancelledError):
        opened.build(batches(ids, vectors), 4_000, report=steps.append, cancelled=lambda: len(steps) > 2)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert (steps[0].stage, steps[0].total) == ("merge", 4_000)
    assert len(list(opened.folder.iterdir())) == 4
    assert opened.generation is not None
    assert opened.generation.number == 1
    opened.publish(opened.build(batches(ids[:200], vectors), 200))
    assert opened.generation.number == 2


def test_two_builds_at_once_are_refused(opened: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]) -> None:
    ids, vectors, _ = corpus
    generation = opened.build(batches(ids[:100], vectors), 100)
    with pytest.raises(ConflictError, match="being built already"):
        opened.merge()
    opened.discard(generation)
    assert len(list(opened.folder.iterdir())) == 4
    opened.publish(opened.merge())


def test_an_index_opened_for_reading_changes_no_file(
    opened: FaissIndex, corpus: tuple[Ids, Vectors, Vectors]
) -> None:
    (opened.folder / "9.graph.new").write_bytes(b"half")
    reader = FaissIndex.open(opened.folder, DIMENSIONS, writable=False)
    with pytest.raises(ReadOnlyError):
        reader.merge()
    assert (opened.folder / "9.graph.new").exists()
    assert len(reader.search(corpus[2][0], 5)) == 5


def test_a_disk_without_room_is_found_before_anything_is_written(
    opened: FaissIndex, corpus: tuple[Ids, Vectors, Vectors], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(opened.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=20 << 20))
    streamed: list[int] = []

    def stream() -> Iterator[tuple[Ids, Vectors]]:
        streamed.append(1)
        yield from batches(*corpus[:2])

    with pytest.raises(DiskFullError, match="MB are free") as error:
        opened.build(stream(), 10_000_000)
    assert error.value.data["free"] == 20 << 20
    assert not streamed
    opened.publish(opened.merge())


def test_a_newer_format_is_refused_and_left_alone(opened: FaissIndex) -> None:
    manifest = opened.folder / "manifest.json"
    newer = json.loads(manifest.read_bytes()) | {"format": FORMAT + 1, "something": "new"}
    manifest.write_text(json.dumps(newer))
    with pytest.raises(FormatError, match="newer release"):
        FaissIndex.open(opened.folder, DIMENSIONS)
    assert json.loads(manifest.read_bytes()) == newer


def test_another_size_of_vectors_is_set_aside(opened: FaissIndex) -> None:
    with pytest.raises(DamagedError, match=f"has {DIMENSIONS} dimensions, not 5"):
        FaissIndex.open(opened.folder, 5)
    assert len(FaissIndex.open(opened.folder, 5)) == 0


def test_check_finds_a_vector_that_is_not_one(tmp_path: Path, corpus: tuple[Ids, Vectors, Vectors]) -> None:
    ids, vectors, _ = corpus
    spoilt = vectors[:50].copy()
    spoilt[7] *= 0.5
    index = built(tmp_path, ids[:50], spoilt)
    assert index.check() == [f"The vector of chunk {ids[7]} has length 0.500, not 1."]


# --- codes


@pytest.mark.parametrize("storage", STORAGES)
def test_codes_come_back_within_their_step(storage: Storage) -> None:
    vectors = passages(500, 384)
    codec = Codec(storage).widened(vectors)
    step = codec.limit / 127
    parts = {"int16": 255, "int12": 16, "int8": 1}
    tolerance = {"fp32": 0, "fp16": 2**-12}.get(storage) or step / parts.get(storage, np.inf) / 2 + 1e-7
    assert np.abs(codec.decode(codec.encode(vectors)) - vectors).max() <= tolerance
    assert codec.fits(vectors)
    assert len(set(codec.encode(np.concatenate([vectors, vectors[:3]])).digests())) == 500


@pytest.mark.parametrize("dimensions", [1, 2, 7, 384])
@pytest.mark.parametrize("storage", STORAGES)
def test_codes_have_their_width_and_products_are_those_of_what_they_decode_to(
    storage: Storage, dimensions: int
) -> None:
    vectors = passages(60, dimensions)
    codec = Codec(storage).widened(vectors)
    codes = codec.encode(vectors)
    assert (codes.walk.shape[1], codes.rest.shape[1]) == widths(storage, dimensions)
    assert sum(widths("int12", dimensions)) == dimensions + (dimensions + 1) // 2
    products = codec.products(codes, vectors[0])
    np.testing.assert_allclose(products, codec.decode(codes) @ vectors[0], atol=1e-6)
    assert np.array_equal(codec.decode(codec.encode(codec.decode(codes))), codec.decode(codes))


@pytest.mark.parametrize("storage", ["int12", "int16"])
def test_what_is_walked_by_is_the_byte_of_int8(storage: Storage) -> None:
    vectors = passages(500, 384)
    walked, byte = (Codec(kind, 0.4).encode(vectors).walk for kind in (storage, "int8"))
    apart = np.abs(walked.astype(int) - byte)
    assert apart.max() <= 1
    assert np.count_nonzero(apart) <= 5, "a component halfway between two bytes may take either"


def test_the_largest_components_and_zero_have_codes() -> None:
    codec = Codec("int12", 0.5)
    vectors = np.array([[0.5, -0.5, 0, 0.7, -0.7]], np.float32)
    found = codec.decode(codec.encode(vectors))
    np.testing.assert_allclose(found, [[0.5, -0.5, 0, 0.5, -0.5]], atol=0.5 / 127 / 16 / 2 + 1e-7)


def test_faiss_stores_the_very_bytes_of_a_code() -> None:
    vectors = passages(300)
    for storage in STORAGES:
        graph = Graph.new(DIMENSIONS, replace(SETTINGS, storage=storage))
        graph.make_room_for(vectors)
        codes = graph.codec.encode(vectors)
        graph.add(codes)
        assert (graph.codes().walk == codes.walk).all()
        assert (graph.codes().rest == codes.rest).all()


# --- any sequence of changes


class Changes(RuleBasedStateMachine):
    """Whatever is done in whatever order, the index holds what a dict holds, and finds what brute force finds.

    An id always has the same vector; some ids have the same one.
    """

    folder: Path
    pool: NDArray[np.float32] = np.concatenate([passages(30, 8, seed=4, topics=4)] * 2)

    @initialize(storage=st.sampled_from(STORAGES))
    def start(self, storage: Storage) -> None:
        Changes.count = getattr(Changes, "count", 0) + 1
        self.place = self.folder / str(Changes.count)
        self.settings = VectorSettings(m=4, ef_construction=20, storage=storage)
        self.index = FaissIndex.open(self.place, 8, self.settings)
        self.held: dict[int, Vectors] = {}
        self.pending = None

    @rule(ids=st.lists(st.integers(1, 40), max_size=6, unique=True))
    def add(self, ids: list[int]) -> None:
        vectors = self.pool[ids]
        self.index.add(np.array(ids, np.int64), vectors)
        self.held |= dict(zip(ids, vectors))

    @rule(ids=st.lists(st.integers(1, 40), max_size=6, unique=True))
    def remove(self, ids: list[int]) -> None:
        self.index.remove(np.array(ids, np.int64))
        for some in ids:
            self.held.pop(some, None)

    @precondition(lambda self: self.pending is None)
    @rule(whole=st.booleans())
    def build(self, whole: bool) -> None:
        ids = np.array(list(self.held), np.int64)
        vectors = np.array(list(self.held.values()), np.float32).reshape(-1, 8)
        self.pending = self.index.build([(ids, vectors)], len(ids)) if whole else self.index.merge()

    @precondition(lambda self: self.pending is not None)
    @rule(keep=st.booleans())
    def publish(self, keep: bool) -> None:
        if keep:
            self.index.publish(self.pending)
        else:
            self.index.discard(self.pending)
        self.pending = None

    @precondition(lambda self: self.pending is None)
    @rule()
    def reopen(self) -> None:
        self.index = FaissIndex.open(self.place, 8, self.settings)
        live = np.array(sorted(self.held), np.int64)
        self.index.set_live(live)
        for missing in np.setdiff1d(live, self.index.base_ids()).tolist():
            self.index.add(np.array([missing]), self.held[missing][None, :])

    @invariant()
    def holds_what_a_dict_holds(self) -> None:
        if not hasattr(self, "index"):
            return
        assert self.index.ids().tolist() == sorted(self.held)
        assert len(self.index) == len(self.held)
        ids = np.array(sorted(self.held), np.int64)
        if not len(ids):
            return
        vectors = np.stack([self.held[int(some)] for some in ids])
        query = self.pool[len(ids)]
        found = self.index.search(query, 5)
        assert len(found) == min(5, len(ids))
        expected = np.sort(vectors @ query)[::-1][: len(found)]
        np.testing.assert_allclose(found.scores, expected, atol=0.02)
        np.testing.assert_allclose(self.index.vectors_of(ids), vectors, atol=0.01)


def test_any_sequence_of_changes(tmp_path: Path) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    Changes.folder = tmp_path
    run_state_machine_as_test(
        Changes, settings=hypothesis_settings(max_examples=25, stateful_step_count=20, deadline=None)
    )
