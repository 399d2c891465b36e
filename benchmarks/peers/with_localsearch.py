"""localsearch behind the same protocol as everything it is compared with."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapter import FIELDS, Adapter, Clock, batches, disk, serve

WHOLE = 4000
"""Passages come ready cut, so that every system embeds the same units: chunking is set far above their length."""


class Ours(Adapter):
    name = "localsearch"
    settings = "its defaults; passages are not cut again, query vectors not kept"
    modes = ("lexical", "semantic", "hybrid")
    encodes = True
    precision: str | None = None
    engine: Any = None

    def version(self) -> str:
        import localsearch

        return f"localsearch {localsearch.__version__}"

    def load(self, model: str, precision: str | None = None) -> float:
        """`model` is the folder of models here; nothing is loaded beyond the encoder."""
        self.models = Path(model)
        self.precision = precision
        with Clock() as clock:
            from localsearch.models import ModelStore

            store = ModelStore(self._settings(self.models.parent))
            self.encoder = store.encoder(precision=precision)
            self.encoder.encode_query("warm")
        return clock.seconds

    def _settings(self, home: str | Path, whole: bool = True) -> Any:
        from localsearch.settings import load

        settings = load(home)
        if getattr(self, "models", None):
            settings = replace(settings, models=self.models)
        # Uncached means that queries are encoded each time, too.
        caches = replace(settings.caches, query_vectors_days=0.0)
        chunk = replace(settings.chunk, tokens=WHOLE) if whole else settings.chunk
        return replace(settings, chunk=chunk, caches=caches)

    def vectors(self, texts: list[str]) -> Any:
        return self.encoder.encode_documents(texts)

    def query_vectors(self, texts: list[str]) -> dict[str, list[float]]:
        """Milliseconds to encode each query."""
        took = []
        for text in texts:
            started = time.perf_counter()
            self.encoder.encode_query(text)
            took.append((time.perf_counter() - started) * 1e3)
        return {"ms": took}

    def tokens(self, file: str, count: int) -> int:
        """Word pieces of the first texts, cut at the model's window."""
        from adapter import rows

        counted = self.encoder.count_tokens([text for _, text in rows(file, count)])
        return sum(min(number + 2, self.encoder.max_tokens) for number in counted)

    # -- indexing

    def fill(self, file: str, count: int, home: str, given: Any) -> dict[str, Any]:
        from localsearch import Engine, Record

        with Engine.open(settings=self._settings(home)) as engine:
            with Clock() as words:
                for at, batch, _ in batches(file, count, None):
                    records = [
                        Record(text, id_, metadata={"bucket": (at + number) % FIELDS})
                        for number, (id_, text) in enumerate(batch)
                    ]
                    engine.add(records)
            with Clock() as meaning:
                if given is not None:
                    seed(engine, file, count, given)
                engine.embed_pending()
            engine_status = engine.status()
        usage = self.usage()
        return {
            "words_s": words.seconds,
            "vectors_s": meaning.seconds,
            "chunks": engine_status.chunks,
            "embedded": engine_status.embedded_chunks,
            "peak": usage["peak"],
            "parts": parts(home),
        }

    def words(self, file: str, count: int, home: str) -> dict[str, Any]:
        """Index passages for words only, as when no model is there yet."""
        from localsearch import Engine, Record

        with Clock() as clock, Engine.open(settings=self._settings(home)) as engine:
            for at, batch, _ in batches(file, count, None):
                engine.add(
                    [Record(t, i, metadata={"bucket": (at + n) % FIELDS}) for n, (i, t) in enumerate(batch)]
                )
        return {"words_s": clock.seconds, "cpu_s": clock.cpu_s, "disk": disk(home), "parts": parts(home)}

    def index(self, folders: list[str], home: str, embed: bool = False) -> dict[str, Any]:
        """Index folders of real files with default chunking; a second run finds everything unchanged."""
        from localsearch import Engine

        with Engine.open(settings=self._settings(home, whole=False)) as engine:
            with Clock() as words:
                report = engine.index(folders, embed=False)
            with Clock() as meaning:
                embedded = engine.embed_pending() if embed else 0
            with Clock() as again:
                engine.index(folders, embed=False)
            files = report.files
            return {
                "words_s": words.seconds,
                "meaning_s": meaning.seconds,
                "again_s": again.seconds,
                "cpu_s": words.cpu_s + meaning.cpu_s,
                "files": files.new + files.skipped + files.failed,
                "indexed": files.new,
                "chunks": report.chunks,
                "embedded": embedded,
                "peak": self.usage()["peak"],
                "disk": disk(home),
            }

    # -- searching

    def attach(self, home: str) -> None:
        from localsearch import Engine

        self.engine = Engine.open(settings=self._settings(home))

    def query(
        self, text: str, mode: str, limit: int, keep: int | None, cache: bool = False, rerank: bool = False
    ) -> list[str]:
        filters = None if keep is None else {"bucket": {"$lt": keep}}
        answer = self.engine.search(text, limit=limit, mode=mode, filters=filters, cache=cache, rerank=rerank)
        return [hit.id for hit in answer.results]

    def stages(self, queries: Sequence[str], mode: str, limit: int = 10) -> list[dict[str, float]]:
        """Milliseconds of each stage of each query, as the answers tell, and their total under `took_ms`."""
        answers = [self.engine.search(text, limit=limit, mode=mode, cache=False) for text in queries]
        return [{**answer.stages, "took_ms": answer.took_ms} for answer in answers]

    def close(self) -> None:
        self.engine.close()


def seed(engine: Any, file: str, count: int, given: Any) -> None:
    """Give the engine vectors that were made before, under the hashes of what it would embed."""
    from localsearch.store.embedded_text import embedded_text, embedding_hash

    semantic = engine.ensure_version()
    known = {}
    for _, batch, vectors in batches(file, count, given):
        for number, (_, text) in enumerate(batch):
            known[embedding_hash(embedded_text("", (), text))] = vectors[number]
    while pending := engine.embeddings.pending(semantic.version.id, 2000):
        found = {chunk.chunk_id: chunk.hash for chunk in pending if chunk.hash in known}
        if not found:
            return
        engine.derived.add_vectors(
            semantic.version.id, {digest: known[digest] for digest in found.values()}, found
        )


def parts(home: str) -> dict[str, int]:
    """Bytes of each part of an index: the database, BM25, vectors."""
    return {
        entry.name: disk(str(entry)) if entry.is_dir() else entry.stat().st_size
        for entry in sorted(Path(home).iterdir())
    }


if __name__ == "__main__":
    os.environ.setdefault("LOCALSEARCH_OFFLINE", "1")
    serve(Ours())
