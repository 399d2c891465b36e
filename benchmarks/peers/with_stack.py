"""The stack most people build: sentence-transformers on torch, FAISS flat, rank-bm25, reciprocal rank fusion."""

from __future__ import annotations

import pickle
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from adapter import Adapter, Clock, SentenceTransformerMixin, rows, serve


class Stack(SentenceTransformerMixin, Adapter):
    name = "sentence-transformers + FAISS + rank-bm25"
    settings = "torch fp32, IndexFlatIP, BM25Okapi on lower-cased words, RRF k=60 over two lists of 100"
    modes = ("lexical", "semantic", "hybrid")

    def version(self) -> str:
        names = ("sentence-transformers", "torch", "faiss-cpu", "rank-bm25")
        return ", ".join(f"{name} {version(name)}" for name in names)

    def fill(self, file: str, count: int, home: str, given: Any) -> dict[str, Any]:
        import faiss
        from rank_bm25 import BM25Okapi

        ids, texts = zip(*rows(file, count))
        with Clock() as words:
            bm25 = BM25Okapi([_words(text) for text in texts])
        vectors = self.vectors(list(texts)) if given is None else given
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        faiss.write_index(index, f"{home}/flat.faiss")
        Path(home, "words.pickle").write_bytes(pickle.dumps((ids, texts, bm25)))
        return {"words_s": words.seconds}

    def attach(self, home: str) -> None:
        import faiss

        self.index = faiss.read_index(f"{home}/flat.faiss")
        self.ids, _, self.bm25 = pickle.loads(Path(home, "words.pickle").read_bytes())

    def query(self, text: str, mode: str, limit: int, keep: int | None) -> list[str]:
        if keep is not None:
            raise ValueError("no filter")
        depth = limit if mode != "hybrid" else max(limit, 100)
        lists = []
        if mode != "semantic":
            lists.append(self._by_words(text, depth))
        if mode != "lexical":
            lists.append(self.index.search(self.vectors([text]), depth)[1][0].tolist())
        order = _fused(lists) if len(lists) > 1 else lists[0]
        return [self.ids[row] for row in order[:limit]]

    def _by_words(self, text: str, depth: int) -> list[int]:
        import numpy

        scores = self.bm25.get_scores(_words(text))
        depth = min(depth, len(scores))
        best = numpy.argpartition(-scores, depth - 1)[:depth]
        return [int(row) for row in best[numpy.argsort(-scores[best])]]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _fused(lists: list[list[int]]) -> list[int]:
    scores: dict[int, float] = {}
    for ranked in lists:
        for rank, row in enumerate(ranked):
            scores[row] = scores.get(row, 0.0) + 1 / (61 + rank)
    return sorted(scores, key=scores.__getitem__, reverse=True)


if __name__ == "__main__":
    adapter = Stack()
    adapter.cannot = {"filter": "FAISS flat and rank-bm25 have no metadata to filter on"}
    serve(adapter)
