"""Our encoder or re-ranker for one model, beside with_torch.py."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from adapter import Adapter, serve


class Encoder(Adapter):
    name = "localsearch"
    settings = "int8 unless said otherwise, one text a run"

    def version(self) -> str:
        import localsearch

        return f"localsearch {localsearch.__version__}"

    def load(self, folder: str, precision: str, tokens: int, threads: int) -> dict[str, str]:
        """Load an installed model, texts cut at `tokens`; returns the graph that is run, and the path of the kernels."""
        from localsearch.kernels import path_in_use
        from localsearch.models.encoder import OnnxEncoder
        from localsearch.models.manifest import Manifest
        from localsearch.models.reranker import CrossEncoder
        from localsearch.models.runner import Session
        from localsearch.models.tokens import Tokenizer

        manifest = Manifest.read(Path(folder))
        card, graph = manifest.card, manifest.path(Path(folder), precision)
        cut = Tokenizer.load(Path(folder, "tokenizer.json"), min(tokens, card.max_tokens), card.lowercase)
        parts = (manifest, Session(graph), cut, precision, threads)
        self._judge = CrossEncoder(*parts) if card.kind == "reranker" else None
        self._encoder = None if self._judge else OnnxEncoder(*parts)
        return {"graph": graph.name, "path": path_in_use()}

    def vectors(self, texts: list[str], query: str = "") -> Any:
        """Embeddings of passages; for a re-ranker the scores of each with one query, shape (n, 1)."""
        if self._judge:
            return self._judge.score(query or texts[0], texts).reshape(-1, 1)
        assert self._encoder
        return self._encoder.encode_documents(texts)

    def queries(self, texts: list[str], passages: list[str]) -> list[float]:
        """Milliseconds of each query: to encode it, or to score the passages with it."""
        took = []
        for text in texts:
            started = time.perf_counter()
            if self._encoder:
                self._encoder.encode_query(text)
            else:
                self.vectors(passages, text)
            took.append((time.perf_counter() - started) * 1e3)
        return took


if __name__ == "__main__":
    serve(Encoder())
