"""What every index of vectors does, held against comparing with all vectors: each check runs on both backends."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from backends.world import DIMENSIONS, World, clustered, document, open_index, queries, recall, unit

from localsearch.errors import LocalSearchError
from localsearch.types import Ids
from localsearch.vectors import Masked, MilvusIndex

SHARES = {
    "all": "size:>=0",
    "10%": "size:<150",
    "1%": "size:<15",
    "0.1%": "mod1000:5",
    "10% by metadata": "mod100:<10",
    "1% by metadata": "mod100:7",
    "20% by type": "type:pdf",
    "80% by type": "-type:pdf",
}
FILTERS = (
    "type:pdf,docx",
    "type:PDF",
    "-type:html -type:pdf",
    "language:de",
    "-language:de",
    "collection:second",
    "-collection:Second type:text",
    "size:>1000 size:<1200",
    "-size:>100",
    "size:7",
    "after:2021-01-01",
    "before:2021-01-01",
    "-after:2021-01-01",
    "modified:>2022",
    "modified:2021-06",
    "type:pdf OR language:fr",
    "type:pdf (language:fr OR size:<500)",
    "-(type:pdf language:en)",
    "path:/files/3/",
    "n:>1490",
    "mod100:1,2,3",
    "title:*",
    "year:2021 type:markdown",
)


def is_milvus(world: World) -> bool:
    return isinstance(world.index, MilvusIndex)


def chunks_of(world: World, documents: Ids) -> Ids:
    return world.catalog.chunks_of(documents)


# -- all vectors


@pytest.mark.parametrize("k", [1, 10, 100, 1_000])
def test_the_nearest_are_found(large: World, k: int) -> None:
    recalls = [recall(large.index.search(query, k), large.truth(query, k)) for query in queries()]
    assert np.mean(recalls) >= 0.99
    assert all(len(large.index.search(query, k)) == k for query in queries(3))


def test_all_come_back_when_more_are_asked_for_than_there_are(large: World) -> None:
    found = large.index.search(queries(1)[0], 5_000)
    assert sorted(found.ids.tolist()) == large.embeddings.embedded_ids(large.version).tolist()


def test_nothing_is_found_when_nothing_is_asked_for(large: World) -> None:
    assert len(large.index.search(queries(1)[0], 0)) == 0


def test_scores_are_the_cosines_of_the_stored_vectors(large: World) -> None:
    for query in queries(5):
        found = large.index.search(query, 50, None, large_fetch(large))
        order = np.argsort(found.ids)
        ids, vectors = large.embeddings.vectors_of(large.version, found.ids)
        assert found.ids[order].tolist() == ids.tolist()
        np.testing.assert_allclose(found.scores[order], vectors @ query, atol=2e-3)
        assert (np.diff(found.scores) <= 0).all()


def large_fetch(world: World) -> Callable[[Ids], tuple[Ids, np.ndarray]]:
    return lambda ids: world.embeddings.vectors_of(world.version, ids)


def test_an_exact_search_is_the_truth(large: World) -> None:
    for query in queries(3):
        found, truth = (
            large.index.search(query, 20, None, large_fetch(large), exact=True),
            large.truth(query, 20),
        )
        assert found.ids.tolist() == truth.ids.tolist()


def test_equal_questions_have_equal_answers(large: World) -> None:
    query = queries(1)[0]
    first, second = large.index.search(query, 100), large.index.search(query, 100)
    assert first.ids.tolist() == second.ids.tolist()
    assert first.scores.tolist() == second.scores.tolist()


def test_a_longer_list_continues_a_shorter_one(large: World) -> None:
    for query in queries(5):
        long = large.index.search(query, 200).ids
        assert recall_of_prefix(large.index.search(query, 10).ids, long[:10]) >= 0.9
        assert recall_of_prefix(large.index.search(query, 50).ids, long[:50]) >= 0.95


def recall_of_prefix(short: Ids, prefix: Ids) -> float:
    return float(np.isin(short, prefix).mean())


def test_a_vector_finds_its_own_chunk_first(large: World) -> None:
    ids = large.embeddings.embedded_ids(large.version)[::300]
    for chunk, vector in zip(*large.embeddings.vectors_of(large.version, ids)):
        found = large.index.search(unit(vector[None])[0], 1)
        assert found.ids.tolist() == [chunk]
        assert found.scores[0] == pytest.approx(1.0, abs=2e-3)


# -- counts, vectors, scores


def test_it_counts_what_can_be_found(large: World) -> None:
    assert len(large.index) == 3_000
    assert large.index.state.count == 3_000


def test_it_lists_the_ids_it_holds(large: World) -> None:
    assert large.index.ids().tolist() == large.embeddings.embedded_ids(large.version).tolist()


def test_it_says_how_it_stands(large: World) -> None:
    state = large.index.look()
    assert (state.backend, state.behind, state.problem) == (large.settings.backend, 0, "")
    assert state.reachable
    assert large.index.generation is not None
    assert large.index.check() == []
    assert large.index.needs_merge() == ""
    assert not large.index.is_superseded()


def test_vectors_come_back(large: World) -> None:
    ids = np.array([5, 4, 2_999, 1], np.int64)
    _, expected = large.embeddings.vectors_of(large.version, np.sort(ids))
    np.testing.assert_allclose(large.index.vectors_of(ids), expected[[2, 1, 3, 0]], atol=2e-3)


def test_what_has_no_vector_has_no_score(large: World) -> None:
    ids = np.array([7, 1_000_000, 8], np.int64)
    scores = large.index.score(queries(1)[0], ids)
    assert np.isnan(scores).tolist() == [False, True, False]
    assert np.isnan(large.index.vectors_of(ids)[1]).all()
    assert large.index.vectors_of(np.empty(0, np.int64)).shape == (0, DIMENSIONS)


def test_scores_of_a_union_are_those_of_a_search(large: World) -> None:
    query = queries(1)[0]
    found = large.index.search(query, 300)
    np.testing.assert_allclose(large.index.score(query, found.ids), found.scores, atol=2e-3)


# -- filters


@pytest.mark.parametrize("k", [1, 10, 100])
@pytest.mark.parametrize("share", SHARES)
def test_a_filter_leaves_the_nearest_of_what_it_selects(large: World, share: str, k: int) -> None:
    selection = large.selected(SHARES[share])
    among = chunks_of(large, selection.documents_selected)
    recalls = []
    for query in queries(8):
        found, truth = large.index.search(query, k, selection), large.truth(query, k, among)
        assert len(found) == len(truth) == min(k, len(among))
        assert np.isin(found.ids, among).all()
        recalls.append(recall(found, truth))
    assert np.mean(recalls) >= 0.985


@pytest.mark.parametrize("written", FILTERS)
def test_a_filter_selects_what_the_database_says(large: World, written: str) -> None:
    """All that it selects come back, and nothing else: the expression may let more through, never less."""
    selection = large.selected(written)
    among = chunks_of(large, selection.documents_selected)
    assert 0 < len(among) <= 3_000
    found = large.index.search(queries(1)[0], 4_000, selection)
    assert sorted(found.ids.tolist()) == among.tolist()


@pytest.mark.parametrize("share", [1.0, 0.1, 0.01, 0.001])
def test_a_mask_that_no_filter_made_is_obeyed(large: World, share: float) -> None:
    ids = large.embeddings.embedded_ids(large.version)
    chosen = np.random.default_rng(5).choice(ids, max(1, round(share * len(ids))), replace=False)
    mask = np.zeros(int(ids[-1]) + 1, np.bool_)
    mask[chosen] = True
    for query in queries(4):
        found, truth = large.index.search(query, 10, Masked(mask)), large.truth(query, 10, chosen)
        assert len(found) == len(truth)
        assert mask[found.ids].all()
        assert recall(found, truth) >= 0.9


def test_a_filter_that_selects_nothing_finds_nothing(large: World) -> None:
    assert len(large.index.search(queries(1)[0], 10, large.selected("type:nothing"))) == 0


def test_a_filter_reaches_what_many_lists_hold(large: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where an engine's rows run out before the page is full: the rest is asked for by lists of documents."""
    from localsearch.vectors import milvus_index

    monkeypatch.setattr(milvus_index, "COMPARED", 0)
    monkeypatch.setattr(milvus_index, "LISTED", 20)
    monkeypatch.setattr(milvus_index, "MOST", 50)
    selection = large.selected("mod100:7,8,9")
    among = chunks_of(large, selection.documents_selected)
    for query in queries(3):
        found = large.index.search(query, 30, selection)
        assert recall(found, large.truth(query, 30, among)) == 1.0


def test_a_filter_is_sent_as_a_list_of_documents(large: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from localsearch.vectors import milvus_index

    monkeypatch.setattr(milvus_index, "COMPARED", 0)
    selection = large.selected("mod100:7,8,9")
    among = chunks_of(large, selection.documents_selected)
    for query in queries(3):
        found = large.index.search(query, 30, selection)
        assert recall(found, large.truth(query, 30, among)) == 1.0


# -- changes


def test_what_is_deleted_is_not_found(small: World) -> None:
    query = queries(1)[0]
    first = small.index.search(query, 20).ids
    owners = sorted(set(small.catalog.documents_of(first[:10]).tolist()))
    with small.db.write():
        small.corpus.remove(owners)
    small.sync()
    found = small.index.search(query, 20)
    assert len(found) == 20
    assert not np.isin(found.ids, first[:10]).any()
    assert recall(found, small.truth(query, 20)) == 1.0
    assert len(small.index) == 300 - 2 * len(owners)


def test_what_is_new_is_found(small: World) -> None:
    documents = small.put([document(n) for n in range(1_000, 1_020)], seed=8)
    small.sync()
    assert len(small.index) == 340
    chunks = small.chunks(documents)
    for chunk, vector in zip(*small.embeddings.vectors_of(small.version, chunks[:5])):
        assert small.index.search(unit(vector[None])[0], 1).ids.tolist() == [chunk]


def test_vectors_that_come_later_are_found(small: World) -> None:
    """Words first, vectors later: a chunk is found by meaning from its vector on."""
    with small.db.write():
        _, chunks = small.corpus.put("default", document(5_000))
        small.embeddings.expect(chunks)
    small.sync()
    assert len(small.index) == 300
    rows = small.db.among("SELECT id, hash FROM chunks WHERE id IN ({}) ORDER BY id", chunks)
    vectors = clustered(2, seed=31)
    small.embeddings.put(small.version, {row[1]: vector for row, vector in zip(rows, vectors)}, chunks)
    _, stored = small.embeddings.vectors_of(small.version, np.array(chunks))
    small.index.add(np.array(chunks, np.int64), stored)
    small.index.catch_up()
    assert len(small.index) == 302
    assert small.index.search(vectors[0], 1).ids.tolist() == [chunks[0]]


def test_a_document_that_changes_is_found_as_it_is(small: World) -> None:
    before = small.corpus.find("default", "/files/3/3.txt")
    assert before is not None
    old = small.chunks([before.id])
    (now,) = small.put([document(3, "another text. of the same document.")], seed=12)
    small.sync()
    _, vectors = small.embeddings.vectors_of(small.version, old)
    assert len(vectors) == 0
    chunks = small.chunks([now])
    assert len(small.index) == 300
    everything = small.index.search(queries(1)[0], 400).ids
    assert np.isin(chunks, everything).all()
    assert not np.isin(old, everything).any()


def test_a_field_that_changes_is_filtered_by_what_it_is(small: World) -> None:
    row = small.corpus.find("default", "/files/4/4.txt")
    assert row is not None
    assert row.type == "text"
    with small.db.write() as connection:
        connection.execute("UPDATE documents SET type = 'epub', size = 123456789 WHERE id = ?", (row.id,))
        small.corpus.touch([row.id])
    small.sync()
    chunks = small.chunks([row.id])
    for written in ("type:epub", "size:>100000000"):
        found = small.index.search(queries(1)[0], 10, small.selected(written))
        assert sorted(found.ids.tolist()) == chunks.tolist()
    assert not np.isin(chunks, small.index.search(queries(1)[0], 400, small.selected("type:text")).ids).any()


def test_text_that_was_seen_before_brings_its_vector(small: World) -> None:
    """A chunk whose text has a vector already needs no embedding, and is found at once."""
    one = document(20)
    with small.db.write():
        small.corpus.remove_keys("default", [one.key])
        _, chunks = small.corpus.put("default", one)
        small.embeddings.expect(chunks)
    assert small.embeddings.pending_count(small.version) == 0
    small.sync()
    assert len(small.index) == 300
    assert np.isin(chunks, small.index.search(queries(1)[0], 400).ids).all()


def test_a_vector_that_was_damaged_is_not_found_until_it_is_made_again(small: World) -> None:
    chunk = 17
    row = small.db.one(
        "SELECT v.id FROM vectors AS v JOIN chunks AS c ON c.hash = v.hash WHERE c.id = ?", (chunk,)
    )
    small.embeddings.forget(small.version, [row])
    small.index.load(small.embeddings.of(small.version))
    small.index.catch_up()
    assert len(small.index) == 299
    assert chunk not in small.index.search(queries(1)[0], 400).ids


def test_many_changes_leave_what_the_database_has(small: World) -> None:
    random = np.random.default_rng(77)
    for round_ in range(4):
        small.put([document(int(n)) for n in random.integers(0, 400, 15)], seed=40 + round_)
        with small.db.write():
            small.corpus.remove(
                [int(n) for n in random.choice(small.corpus.document_ids(), 8, replace=False)]
            )
        small.sync()
    assert small.index.ids().tolist() == small.embeddings.embedded_ids(small.version).tolist()
    for query in queries(5):
        assert recall(small.index.search(query, 20), small.truth(query, 20)) >= 0.95


# -- builds, restarts, versions, purge


def test_a_build_changes_nothing_that_is_found(small: World) -> None:
    before = [small.index.search(query, 20).ids for query in queries(5)]
    generation = small.index.generation
    small.rebuild()
    assert small.index.generation != generation
    for query, ids in zip(queries(5), before):
        assert recall_of_prefix(small.index.search(query, 20).ids, ids) >= 0.95
    assert small.index.check() == []


def test_a_build_that_is_discarded_leaves_the_former(small: World) -> None:
    generation, source = small.index.generation, small.embeddings.of(small.version)
    small.index.discard(small.index.build(source.stream(source.ids()), 300))
    assert small.index.generation == generation
    assert recall(small.index.search(queries(1)[0], 20), small.truth(queries(1)[0], 20)) == 1.0
    small.rebuild()
    assert small.index.generation != generation


def test_changes_during_a_build_are_kept(small: World) -> None:
    source = small.embeddings.of(small.version)
    built = small.index.build(source.stream(source.ids()), 300)
    gone = small.corpus.document_ids()[:5]
    with small.db.write():
        small.corpus.remove(gone)
    small.put([document(n) for n in range(2_000, 2_003)], seed=5)
    small.sync()
    small.index.publish(built)
    small.index.catch_up()
    assert small.index.ids().tolist() == small.embeddings.embedded_ids(small.version).tolist()
    assert recall(small.index.search(queries(1)[0], 50), small.truth(queries(1)[0], 50)) == 1.0


def test_a_merge_takes_in_what_was_added(small: World) -> None:
    small.put([document(n) for n in range(3_000, 3_010)], seed=6)
    small.sync()
    small.index.publish(small.index.merge())
    assert len(small.index) == 320
    assert recall(small.index.search(queries(1)[0], 50), small.truth(queries(1)[0], 50)) == 1.0


def test_it_is_the_same_after_a_restart(small: World) -> None:
    before = [small.index.search(query, 20) for query in queries(5)]
    again = small.reopened()
    again.index.catch_up()
    assert len(again.index) == 300
    for query, found in zip(queries(5), before):
        now = again.index.search(query, 20)
        assert now.ids.tolist() == found.ids.tolist()
        np.testing.assert_allclose(now.scores, found.scores, atol=1e-4)
    again.close()


def test_it_comes_back_from_the_database_alone(small: World) -> None:
    """Whatever an index has of its own may be lost: files, or the collection in the engine."""
    small.close()
    shutil.rmtree(small.home / "vectors", ignore_errors=True)
    small.drop()
    again = small.reopened()
    again.index.catch_up()
    assert len(again.index) == 300
    assert again.index.ids().tolist() == again.embeddings.embedded_ids(again.version).tolist()
    assert recall(again.index.search(queries(1)[0], 50), again.truth(queries(1)[0], 50)) == 1.0
    again.close()


def test_versions_do_not_mix(small: World) -> None:
    """Another model has other vectors: each version finds by its own."""
    second = small.embeddings.begin("other", "fp32", "other", DIMENSIONS)
    rows = small.db.query("SELECT id, hash FROM chunks ORDER BY id")
    vectors = clustered(len(rows), seed=55)
    small.embeddings.put(second.id, {row[1]: v for row, v in zip(rows, vectors)}, [row[0] for row in rows])
    alias = small.alias.rpartition("_v")[0] + f"_v{second.id}"
    index = open_index(small.home, small.embeddings, second.id, small.settings, alias)
    index.load(small.embeddings.of(second.id))
    index.catch_up()
    other = replace_index(small, index, second.id)
    for query in queries(5):
        assert recall(index.search(query, 10), other.truth(query, 10)) >= 0.9
        assert recall(small.index.search(query, 10), small.truth(query, 10)) >= 0.9
        assert index.search(query, 10).ids.tolist() != small.index.search(query, 10).ids.tolist()


def replace_index(world: World, index: object, version: int) -> World:
    return replace(world, index=index, version=version)  # type: ignore[arg-type]


def test_a_purge_leaves_no_vector(small: World) -> None:
    """Deleted, and built anew from what is left: nothing of it is in the files or the collection that are searched."""
    gone = small.chunks(small.corpus.document_ids()[10:20])
    with small.db.write():
        small.corpus.remove(small.corpus.document_ids()[10:20])
        small.embeddings.drop_unused()
    small.sync()
    small.rebuild()
    assert not np.isin(gone, small.index.ids()).any()
    assert len(small.index) == 280


def test_an_index_that_is_empty_finds_nothing(backend: object, tmp_path: Path) -> None:
    world = World.open(tmp_path, backend)  # type: ignore[arg-type]
    world.index.catch_up()
    assert len(world.index) == 0
    assert len(world.index.search(queries(1)[0], 10)) == 0
    assert len(world.index.ids()) == 0
    world.close()
    world.drop()


def test_errors_are_those_of_the_tree(small: World) -> None:
    """Whatever fails is a LocalSearchError: searches answer by words then."""
    if is_milvus(small):
        small.drop()
        with pytest.raises(LocalSearchError):
            small.index.search(queries(1)[0], 10)
    small.index.catch_up()
    assert recall(small.index.search(queries(1)[0], 10), small.truth(queries(1)[0], 10)) == 1.0
