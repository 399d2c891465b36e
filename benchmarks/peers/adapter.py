"""One search system behind JSON lines on standard input and output, so that one harness times them all.

A request is {"op": NAME, ...arguments}; the answer is {"ok": value} or {"error": text}. This file runs inside each
peer's own environment and needs nothing but the standard library; times are taken here, next to the call, so that
neither JSON nor the pipe is in them.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

BATCH = 500
FIELDS = 1000
"""The field `bucket` of a passage is its number modulo this, so that `bucket < 10` keeps one in a hundred."""


class Adapter:
    """What every system answers. `cannot` maps what it cannot do to the reason, which the report prints."""

    name = ""
    settings = ""
    modes: tuple[str, ...] = ()
    cannot: ClassVar[dict[str, str]] = {}
    encodes = False

    def version(self) -> str:
        raise NotImplementedError

    def hello(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version(),
            "settings": self.settings,
            "modes": list(self.modes),
            "cannot": self.cannot,
            "encodes": self.encodes,
            "python": sys.version.split()[0],
        }

    def load(self, model: str) -> float:
        """Load the model from a folder; seconds."""
        raise NotImplementedError

    def vectors(self, texts: list[str]) -> Any:
        """Embeddings of texts, float32 of shape (n, dimensions)."""
        raise NotImplementedError

    def encode(self, file: str, count: int, start: int = 0, out: str | None = None) -> dict[str, float]:
        """Embed `count` texts of a passages file; `out` names a .npy file to keep them in."""
        texts = [text for _, text in rows(file, count, start)]
        with Clock() as clock:
            found = self.vectors(texts)
        if out:
            import numpy

            numpy.save(out, numpy.asarray(found, dtype=numpy.float32))
        return {"texts": len(texts), "seconds": clock.seconds, "cpu_s": clock.cpu_s}

    def build(self, file: str, count: int, home: str, vectors: str | None = None) -> dict[str, Any]:
        """Index `count` passages in an empty folder, with the vectors of a .npy file or the system's own.

        Returns seconds in all and, where they differ, `words_s` until found by words.
        """
        Path(home).mkdir(parents=True, exist_ok=True)
        with Clock() as clock:
            extra = self.fill(file, count, home, load_vectors(vectors, count)) or {}
        return {"seconds": clock.seconds, "cpu_s": clock.cpu_s, "disk": disk(home), **extra}

    def fill(self, file: str, count: int, home: str, given: Any) -> dict[str, Any] | None:
        raise NotImplementedError

    def open(self, home: str) -> float:
        """Open what `build` made, in a new process; seconds."""
        with Clock() as clock:
            self.attach(home)
        return clock.seconds

    def attach(self, home: str) -> None:
        raise NotImplementedError

    def search(
        self, queries: list[str], mode: str, limit: int = 10, keep: int | None = None, **options: Any
    ) -> dict[str, Any]:
        """Run queries one after another; ids and milliseconds of each. `keep` filters to `bucket < keep`."""
        found: list[list[str]] = []
        took: list[float] = []
        for query in queries:
            started = time.perf_counter()
            found.append(self.query(query, mode, limit, keep, **options))
            took.append((time.perf_counter() - started) * 1e3)
        return {"ids": found, "ms": took}

    def query(self, text: str, mode: str, limit: int, keep: int | None) -> list[str]:
        raise NotImplementedError

    def usage(self) -> dict[str, float]:
        """Resident and peak memory in bytes, processor seconds so far."""
        cpu = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "rss": float(_status("VmRSS")),
            "peak": float(_status("VmHWM")),
            "cpu_s": cpu.ru_utime + cpu.ru_stime,
        }


class Clock:
    """Wall and processor seconds of a block, children included."""

    def __enter__(self) -> Clock:
        self.began, self.began_cpu = time.perf_counter(), _cpu()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.began
        self.cpu_s = _cpu() - self.began_cpu


def _cpu() -> float:
    return sum(os.times()[:4])


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def rows(file: str, count: int, start: int = 0) -> Iterator[tuple[str, str]]:
    """(id, text) of each passage; a title, if there is one, stands first in the text."""
    with open(file, encoding="utf-8") as lines:
        for line in islice(lines, start, start + count):
            row = json.loads(line)
            yield row["id"], "\n".join(part for part in (row.get("title", ""), row["text"]) if part)


def batches(file: str, count: int, given: Any, size: int = BATCH) -> Iterator[tuple[int, list[Any], Any]]:
    """(position, rows, vectors or None) in batches."""
    source = enumerate(rows(file, count))
    while batch := list(islice(source, size)):
        at = batch[0][0]
        yield at, [row for _, row in batch], None if given is None else given[at : at + len(batch)]


def load_vectors(file: str | None, count: int) -> Any:
    if file is None:
        return None
    import numpy

    return numpy.asarray(numpy.load(file, mmap_mode="r")[:count], dtype=numpy.float32)


def disk(folder: str) -> int:
    """Bytes that a folder's files take."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


class SentenceTransformerMixin:
    """Embedding with sentence-transformers on torch, as its documentation shows: batches of 32, unit length."""

    encodes = True
    _model: Any = None

    def load(self, model: str) -> float:
        started = time.perf_counter()
        from sentence_transformers import SentenceTransformer

        self.folder = model
        self._model = SentenceTransformer(model, device="cpu", local_files_only=True)
        return time.perf_counter() - started

    def vectors(self, texts: list[str]) -> Any:
        return self._model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def serve(adapter: Adapter) -> None:
    """Answer requests until standard input closes. What libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        operation = request.pop("op")
        try:
            answer = {"ok": getattr(adapter, operation)(**request)}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
