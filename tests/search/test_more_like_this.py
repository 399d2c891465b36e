"""Documents like another one: by its telling words and the mean of its vectors, itself left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import SAMPLE, Served, error_of

from localsearch.errors import NotFoundError, QueryError
from localsearch.lexical import Phrase
from localsearch.search.more_like_this import mean_vector, telling_terms
from localsearch.text import Analyzer

BREAD = str(SAMPLE / "kitchen" / "sourdough-starter.md")
BRAKES = str(SAMPLE / "workshop" / "bicycle-brakes.md")
CHAIN = str(SAMPLE / "workshop" / "chain-wear.html")
CHESS = str(SAMPLE / "reference" / "chess-endgames.md")


def alike(sample: Served, **request: Any) -> list[str]:
    answer = sample.client.post("/search", json=request)
    assert answer.status_code == 200, answer.text
    return [hit["id"] for hit in answer.json()["results"]]


@pytest.mark.parametrize("mode", ["hybrid", "lexical", "semantic"])
def test_the_nearest_subject_comes_first_and_the_document_itself_never(sample: Served, mode: str) -> None:
    found = alike(sample, like=BRAKES, mode=mode, limit=60)
    assert CHAIN in found[:5]
    assert BRAKES not in found


def test_it_is_the_same_however_it_is_asked(sample: Served) -> None:
    found = alike(sample, like=BRAKES)
    assert len(found) == 5
    answer = sample.client.get("/search", params={"like": BRAKES}).json()
    assert [hit["id"] for hit in answer["results"]] == found
    assert [hit.id for hit in sample.engine.search(like=BRAKES)] == found


def test_a_filter_narrows_it_and_counts_without_the_document(sample: Served) -> None:
    answer = sample.client.post(
        "/search", json={"like": BRAKES, "filters": "path:workshop/", "facets": True, "limit": 50}
    ).json()
    assert answer["results"]
    assert all("/workshop/" in hit["id"] for hit in answer["results"])
    assert BRAKES not in {hit["id"] for hit in answer["results"]}
    assert answer["total"] <= len([path for path in (SAMPLE / "workshop").iterdir() if path.is_file()]) - 1


def test_words_typed_beside_it_count_more_than_its_own(sample: Served) -> None:
    found = alike(sample, query="chess endgames", like=BRAKES, limit=20)
    assert found[0] == CHESS
    assert found.index(CHAIN) < alike(sample, query="chess endgames", limit=60).index(CHAIN)


def test_its_pages_continue_each_other(sample: Served) -> None:
    whole = alike(sample, like=BREAD, limit=20)
    assert [*alike(sample, like=BREAD, limit=10), *alike(sample, like=BREAD, limit=10, offset=10)] == whole


def test_reranking_is_possible(sample: Served) -> None:
    assert CHAIN in alike(sample, like=BRAKES, rerank=True)


def test_nothing_is_claimed_about_relevance(sample: Served) -> None:
    answer = sample.engine.search(like=CHESS, min_relevance=0.5)
    assert not answer.nothing_relevant
    assert {hit.relevance for hit in answer} == {None}


def test_what_is_missing_is_said(sample: Served) -> None:
    with pytest.raises(NotFoundError, match="no such"):
        sample.engine.search(like="no such")
    with pytest.raises(QueryError, match="empty"):
        sample.engine.search()
    assert sample.client.post("/search", json={"like": "no such"}).status_code == 404
    assert error_of(sample.client.post("/search", json={}))["code"] == "bad_query"


def test_the_telling_words_are_rare_frequent_here_and_known_elsewhere(sample: Served) -> None:
    engine = sample.engine
    row = engine.corpus.find("default", BRAKES)
    assert row is not None
    terms = telling_terms(engine.corpus.indexed_chunks([row.id]), Analyzer(), engine.derived.lexical)
    words = [term.forms[0] for term in terms]
    assert len(words) == 12
    assert {"bicycl", "rim", "pad", "tyre"} <= set(words)
    assert not {"the", "and", "of"} & set(words)
    for word in words:
        chunks = engine.derived.lexical.chunks_with(Phrase(((word,),)))
        others = engine.derived.catalog.documents_of(chunks)
        assert set(others.tolist()) - {row.id}, word


def test_the_mean_of_vectors_is_a_unit_vector(sample: Served) -> None:
    engine = sample.engine
    row = engine.corpus.find("default", BRAKES)
    assert row is not None
    assert engine.derived.semantic is not None
    vectors = engine.derived.semantic.vectors
    ids = engine.derived.catalog.chunks_of(np.array([row.id], np.int64))
    found = mean_vector(vectors, ids)
    assert found is not None
    expected = vectors.vectors_of(ids).mean(axis=0)
    assert found == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    assert mean_vector(vectors, np.array([10**6], np.int64)) is None


def test_the_file_may_be_named_from_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from localsearch.cli.reading import _named

    monkeypatch.chdir(SAMPLE / "workshop")
    assert _named("bicycle-brakes.md") == BRAKES
    assert _named("note-17") == "note-17"
    assert _named(None) is None
