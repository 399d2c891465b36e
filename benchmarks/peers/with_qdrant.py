"""qdrant-client in its local mode: the same calls as the server, in process, on disk."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from adapter import FIELDS, Adapter, SentenceTransformerMixin, batches, serve


class Qdrant(SentenceTransformerMixin, Adapter):
    name = "qdrant-client (local mode)"
    settings = "QdrantClient(path=...), cosine, exact: local mode has no HNSW"
    modes = ("semantic",)

    def version(self) -> str:
        return f"qdrant-client {version('qdrant-client')}, torch {version('torch')}"

    def fill(self, file: str, count: int, home: str, given: Any) -> None:
        from qdrant_client import QdrantClient, models

        client = QdrantClient(path=home)
        parameters = models.VectorParams(size=384, distance=models.Distance.COSINE)
        client.create_collection("passages", vectors_config=parameters)
        for at, batch, vectors in batches(file, count, given):
            made = self.vectors([text for _, text in batch]) if vectors is None else vectors
            points = [
                models.PointStruct(
                    id=at + number,
                    vector=made[number].tolist(),
                    payload={"id": id_, "text": text, "bucket": (at + number) % FIELDS},
                )
                for number, (id_, text) in enumerate(batch)
            ]
            client.upsert("passages", points)
        client.close()

    def attach(self, home: str) -> None:
        from qdrant_client import QdrantClient

        self.client = QdrantClient(path=home)

    def query(self, text: str, mode: str, limit: int, keep: int | None) -> list[str]:
        from qdrant_client import models

        condition = None
        if keep is not None:
            below = models.FieldCondition(key="bucket", range=models.Range(lt=keep))
            condition = models.Filter(must=[below])
        vector = self.vectors([text])[0]
        found = self.client.query_points("passages", query=vector, limit=limit, query_filter=condition)
        return [point.payload["id"] for point in found.points]


if __name__ == "__main__":
    adapter = Qdrant()
    reason = "its BM25 sparse vectors are made by fastembed, whose files come from a hub at run time"
    adapter.cannot = {"lexical": reason, "hybrid": reason}
    serve(adapter)
