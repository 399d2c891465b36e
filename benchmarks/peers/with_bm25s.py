"""bm25s with its fast back end: numba, English stemming and stop words."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from adapter import Adapter, rows, serve


class Bm25s(Adapter):
    name = "bm25s"
    settings = "backend numba, Lucene scores, Snowball English stems and stop words, memory-mapped"
    modes = ("lexical",)

    def version(self) -> str:
        return f"bm25s {version('bm25s')}, numba {version('numba')}"

    def fill(self, file: str, count: int, home: str, given: Any) -> None:
        import bm25s

        ids, texts = zip(*rows(file, count))
        index = bm25s.BM25(backend="numba")
        index.index(self._tokens(list(texts)), show_progress=False)
        index.save(f"{home}/index")
        Path(home, "ids.json").write_text(json.dumps(ids))

    def _tokens(self, texts: list[str]) -> Any:
        import bm25s
        import Stemmer

        return bm25s.tokenize(texts, stopwords="en", stemmer=Stemmer.Stemmer("english"), show_progress=False)

    def attach(self, home: str) -> None:
        import bm25s

        self.index = bm25s.BM25.load(f"{home}/index", mmap=True)
        self.index.backend = "numba"
        self.index.activate_numba_scorer()
        self.ids = json.loads(Path(home, "ids.json").read_text())

    def query(self, text: str, mode: str, limit: int, keep: int | None) -> list[str]:
        depth = min(limit, len(self.ids))
        found, _ = self.index.retrieve(
            self._tokens([text]), k=depth, show_progress=False, backend_selection="numba"
        )
        return [self.ids[row] for row in found[0]]


if __name__ == "__main__":
    adapter = Bm25s()
    adapter.cannot = dict.fromkeys(("semantic", "hybrid"), "ranks by words only") | {
        "filter": "no metadata; a weight mask per document is possible, but has to be kept by hand"
    }
    serve(adapter)
