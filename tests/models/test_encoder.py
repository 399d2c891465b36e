"""The encoder on the default model: golden vectors, order, streaming, threads, costs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from golden.texts import EDGES, PASSAGES, QUERIES, TEXTS

from localsearch.errors import CancelledError
from localsearch.models import ModelStore
from localsearch.models.encoder import OnnxEncoder
from localsearch.settings import ModelSettings, Settings
from localsearch.types import Encoder, Progress

GOLDEN = Path(__file__).parents[1] / "golden" / "all-MiniLM-L6-v2.npy"


@pytest.fixture(scope="module")
def golden() -> np.ndarray:
    return np.load(GOLDEN)


@pytest.fixture(scope="module")
def store(model_folder: Path) -> ModelStore:
    return ModelStore(Settings(home=model_folder, models=model_folder, model=ModelSettings(threads=2)))


def test_fp32_agrees_with_sentence_transformers(store: ModelStore, golden: np.ndarray) -> None:
    found = store.encoder(precision="fp32").encode_documents(TEXTS)
    cosines = (found * golden).sum(1)
    assert cosines.min() > 0.9999, TEXTS[int(cosines.argmin())][:80]
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_int8_is_close_to_sentence_transformers(store: ModelStore, golden: np.ndarray) -> None:
    cosines = (store.encoder(precision="int8").encode_documents(TEXTS) * golden).sum(1)
    assert cosines.min() > 0.985, TEXTS[int(cosines.argmin())][:80]
    assert cosines.mean() > 0.993


def test_golden_vectors_are_of_these_texts(golden: np.ndarray) -> None:
    assert golden.shape == (len(TEXTS), 384)
    assert len(EDGES) + len(QUERIES) + len(PASSAGES) == len(TEXTS)


def test_encoder_keeps_its_protocol(encoder: OnnxEncoder) -> None:
    known: Encoder = encoder
    assert (known.name, known.dimensions, known.max_tokens) == ("all-MiniLM-L6-v2", 384, 256)
    name, precision, digest = known.fingerprint.split(":")
    assert (name, precision, len(digest)) == ("all-MiniLM-L6-v2", encoder.precision, 16)


def test_a_vector_depends_on_its_text_alone(encoder: OnnxEncoder) -> None:
    together = encoder.encode_documents(TEXTS)
    backwards = encoder.encode_documents(TEXTS[::-1])[::-1]
    alone = np.stack([encoder.encode_query(text) for text in TEXTS])
    np.testing.assert_array_equal(together, backwards)
    np.testing.assert_array_equal(together, alone)


def test_nothing_to_encode(encoder: OnnxEncoder) -> None:
    assert encoder.encode_documents([]).shape == (0, 384)
    assert encoder.token_vectors([]) == []
    assert encoder.count_tokens([]) == []


def test_progress_and_cancelling(encoder: OnnxEncoder) -> None:
    steps: list[Progress] = []
    encoder.encode_documents(["a"] * 40, report=steps.append)
    assert [(step.stage, step.done, step.total) for step in steps] == [
        ("embed", 16, 40),
        ("embed", 32, 40),
        ("embed", 40, 40),
    ]
    with pytest.raises(CancelledError):
        encoder.encode_documents(["a"] * 40, cancelled=lambda: True)


def test_a_stream_holds_only_a_few_texts(store: ModelStore) -> None:
    encoder, taken = store.encoder(), 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield f"text number {taken}"

    stream = encoder.stream(endless())
    for count in range(1, 50):
        assert next(stream).shape == (384,)
        assert taken <= count + 2 * 2 + 1
    stream.close()


def test_an_error_in_the_texts_comes_through(encoder: OnnxEncoder) -> None:
    def failing():
        yield "fine"
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(encoder.stream(failing()))
    assert encoder.encode_query("still alive").shape == (384,)


def test_a_query_runs_on_its_own_thread_while_documents_are_encoded(encoder: OnnxEncoder) -> None:
    """With every worker kept busy, a query is answered before the batch is done."""
    stop = threading.Event()
    done = 0

    def texts():
        while not stop.is_set():
            yield PASSAGES[0] * 3

    def index() -> None:
        nonlocal done
        for _ in encoder.stream(texts()):
            done += 1

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(index)
        try:
            answers = [encoder.encode_query(query) for query in QUERIES]
        finally:
            stop.set()
        running.result()
    expected = [encoder.encode_query(query) for query in QUERIES]
    np.testing.assert_array_equal(answers, expected)


def test_many_threads_at_once_give_the_same(encoder: OnnxEncoder) -> None:
    expected = encoder.encode_documents(QUERIES)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(encoder.encode_documents, [QUERIES] * 8))
    for vectors in found:
        np.testing.assert_array_equal(vectors, expected)


def test_encoder_may_be_closed_twice_and_used_again(store: ModelStore) -> None:
    encoder = store.encoder()
    first = encoder.encode_documents(QUERIES)
    encoder.close()
    encoder.close()
    np.testing.assert_array_equal(encoder.encode_documents(QUERIES), first)
    encoder.close()


def test_tokens_are_counted_before_truncation(encoder: OnnxEncoder) -> None:
    texts = ["", "hello world", "word " * 10_000, "Donaudampfschifffahrt", "😀"]
    assert encoder.count_tokens(texts) == [0, 2, 10_000, 9, 1]


def test_one_pass_gives_the_vector_and_those_of_the_tokens(encoder: OnnxEncoder) -> None:
    pairs = list(encoder.with_tokens(TEXTS[:5]))
    np.testing.assert_array_equal([vector for vector, _ in pairs], encoder.encode_documents(TEXTS[:5]))
    for (_, tokens), alone in zip(pairs, encoder.token_vectors(TEXTS[:5]), strict=True):
        np.testing.assert_array_equal(tokens, alone)
    with pytest.raises(CancelledError):
        list(encoder.with_tokens(TEXTS, cancelled=lambda: True))


def test_token_vectors_leave_special_tokens_out(encoder: OnnxEncoder) -> None:
    texts = ["", "hello world", "word " * 10_000]
    found = encoder.token_vectors(texts)
    assert [rows.shape for rows in found] == [(0, 384), (2, 384), (254, 384)]
    np.testing.assert_allclose(np.linalg.norm(found[2], axis=1), 1, atol=1e-5)
    assert found[1].dtype == np.float32


def test_max_sim_prefers_the_passage_that_answers(encoder: OnnxEncoder) -> None:
    query, passages = encoder.token_vectors(["restore a deleted branch"])[0], encoder.token_vectors(PASSAGES)
    scores = [(query @ rows.T).max(axis=1).mean() for rows in passages]
    assert PASSAGES[int(np.argmax(scores))].startswith("To restore a deleted branch")


def test_lone_surrogates_are_encoded(encoder: OnnxEncoder) -> None:
    odd = b"caf\xe9.txt".decode("utf-8", "surrogateescape")
    np.testing.assert_array_equal(encoder.encode_query(odd), encoder.encode_query("caf?.txt"))


def test_cost_counts_texts_tokens_and_processor_time(store: ModelStore) -> None:
    encoder = store.encoder()
    assert (encoder.cost.texts, encoder.cost.tokens, encoder.cost.cpu_s) == (0, 0, 0.0)
    encoder.encode_documents(["hello world", "word " * 10_000])
    encoder.encode_query("")
    assert (encoder.cost.texts, encoder.cost.tokens) == (3, 4 + 256 + 2)
    assert encoder.cost.cpu_s > 0


def test_fingerprints_differ_by_precision(store: ModelStore) -> None:
    assert store.encoder(precision="fp32").fingerprint != store.encoder(precision="int8").fingerprint
    assert store.encoder(precision="int8").fingerprint == store.encoder(precision="int8").fingerprint
