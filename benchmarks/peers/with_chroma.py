"""Chroma, persistent, cosine HNSW, with sentence-transformers as its embedding function."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from adapter import FIELDS, Adapter, SentenceTransformerMixin, batches, serve


class Chroma(SentenceTransformerMixin, Adapter):
    name = "Chroma"
    settings = "PersistentClient, HNSW cosine with its default breadth, torch fp32 embedding function"
    modes = ("semantic",)

    def version(self) -> str:
        return f"chromadb {version('chromadb')}, torch {version('torch')}"

    def _collection(self, home: str) -> Any:
        import chromadb
        from chromadb.config import Settings

        client = chromadb.PersistentClient(home, Settings(anonymized_telemetry=False))
        return client.get_or_create_collection(
            "passages", configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
        )

    def fill(self, file: str, count: int, home: str, given: Any) -> None:
        collection = self._collection(home)
        for at, batch, vectors in batches(file, count, given):
            texts = [text for _, text in batch]
            collection.add(
                ids=[id_ for id_, _ in batch],
                documents=texts,
                embeddings=self.vectors(texts) if vectors is None else vectors,
                metadatas=[{"bucket": (at + number) % FIELDS} for number in range(len(batch))],
            )

    def attach(self, home: str) -> None:
        self.collection = self._collection(home)

    def query(self, text: str, mode: str, limit: int, keep: int | None) -> list[str]:
        found = self.collection.query(
            query_embeddings=self.vectors([text]),
            n_results=limit,
            where=None if keep is None else {"bucket": {"$lt": keep}},
            include=["documents", "metadatas", "distances"],
        )
        return list(found["ids"][0])


if __name__ == "__main__":
    adapter = Chroma()
    reason = "the local client filters documents by substring but does not rank by words"
    adapter.cannot = {"lexical": reason, "hybrid": reason}
    serve(adapter)
