"""LanceDB: vectors and full-text index in one table, hybrid with its default reciprocal rank fusion."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from adapter import FIELDS, Adapter, SentenceTransformerMixin, batches, serve

INDEXED_FROM = 50_000
"""Below this its documentation advises searching without a vector index."""


class Lance(SentenceTransformerMixin, Adapter):
    name = "LanceDB"
    settings = (
        "native full-text index with stemming, IVF_HNSW_SQ from 50,000 rows and exact below, RRF reranker"
    )
    modes = ("lexical", "semantic", "hybrid")

    def version(self) -> str:
        return f"lancedb {version('lancedb')}, torch {version('torch')}"

    def fill(self, file: str, count: int, home: str, given: Any) -> None:
        import lancedb

        database = lancedb.connect(home)
        self.table = None
        for at, batch, vectors in batches(file, count, given, 2000):
            texts = [text for _, text in batch]
            made = self.vectors(texts) if vectors is None else vectors
            rows = [
                {"id": id_, "text": text, "bucket": (at + number) % FIELDS, "vector": made[number]}
                for number, (id_, text) in enumerate(batch)
            ]
            if self.table is None:
                self.table = database.create_table("passages", rows)
            else:
                self.table.add(rows)
        self._index(count)

    def _index(self, count: int) -> None:
        self.table.create_fts_index("text", use_tantivy=False, stem=True, language="English")
        if count >= INDEXED_FROM:
            self.table.create_index(metric="cosine", index_type="IVF_HNSW_SQ", vector_column_name="vector")
            self.table.create_scalar_index("bucket")
        self.table.optimize()

    def attach(self, home: str) -> None:
        import lancedb

        self.table = lancedb.connect(home).open_table("passages")

    def query(self, text: str, mode: str, limit: int, keep: int | None) -> list[str]:
        if mode == "lexical":
            search = self.table.search(text, query_type="fts")
        elif mode == "semantic":
            search = self.table.search(self.vectors([text])[0]).distance_type("cosine")
        else:
            search = self.table.search(query_type="hybrid").vector(self.vectors([text])[0]).text(text)
            search = search.distance_type("cosine")
        if keep is not None:
            search = search.where(f"bucket < {keep}", prefilter=True)
        return [row["id"] for row in search.limit(limit).to_list()]


if __name__ == "__main__":
    serve(Lance())
