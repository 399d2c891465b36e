"""txtai with hybrid search and content, the configuration its documentation recommends for both kinds of queries."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from adapter import FIELDS, Adapter, batches, serve

FILTER_CANDIDATES = 1000
"""It filters what the vector search returned, so a narrow filter needs many candidates."""


class Txtai(Adapter):
    name = "txtai"
    settings = "Embeddings(path=MODEL, hybrid=True, content=True), its default weights, FAISS back end"
    modes = ("lexical", "semantic", "hybrid")
    encodes = True

    def version(self) -> str:
        return f"txtai {version('txtai')}, torch {version('torch')}"

    def load(self, model: str) -> float:
        from adapter import Clock

        self.folder = model
        with Clock() as clock:
            from txtai import Embeddings

            self.encoder = Embeddings(path=model, content=False)
        return clock.seconds

    def vectors(self, texts: list[str]) -> Any:
        return self.encoder.batchtransform(texts)

    def fill(self, file: str, count: int, home: str, given: Any) -> None:
        from txtai import Embeddings

        index = Embeddings(**self._settings(given))
        index.index(self._documents(file, count))
        index.save(f"{home}/index")

    def _settings(self, given: Any) -> dict[str, Any]:
        common = {"hybrid": True, "content": True}
        if given is None:
            return {"path": self.folder, **common}
        cursor = iter(given)
        return {"method": "external", "transform": lambda texts: _take(cursor, len(texts)), **common}

    def _documents(self, file: str, count: int) -> Any:
        for at, batch, _ in batches(file, count, None):
            for number, (id_, text) in enumerate(batch, start=at):
                yield id_, {"text": text, "bucket": number % FIELDS}, None

    def attach(self, home: str) -> None:
        from txtai import Embeddings

        self.index = Embeddings()
        # Vectors may have been handed in; queries are embedded by the model either way.
        self.index.load(f"{home}/index", config={"path": self.folder, "method": None, "transform": None})

    def query(self, text: str, mode: str, limit: int, keep: int | None) -> list[str]:
        weights = {"hybrid": 0.5, "semantic": 1.0, "lexical": 0.0}[mode]
        clause, candidates = ("", limit) if keep is None else (f" and bucket < {keep}", FILTER_CANDIDATES)
        sql = f"select id from txtai where similar(:q, {candidates}, {weights}){clause} limit {limit}"
        return [row["id"] for row in self.index.search(sql, limit, parameters={"q": text})]


def _take(cursor: Any, count: int) -> Any:
    import numpy

    return numpy.stack([next(cursor) for _ in range(count)])


if __name__ == "__main__":
    serve(Txtai())
