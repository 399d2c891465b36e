"""Vectors of the passages, embedded once and kept: fp16 pieces of 2,000 rows, named by the model that made them."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from benchmarks import passages
from benchmarks.context import Context
from localsearch.models import ModelStore
from localsearch.settings import load
from localsearch.types import Encoder

PIECE = 2000


def folder_of(context: Context, encoder: Encoder) -> Path:
    """cache/vectors-FINGERPRINT, FINGERPRINT being eight digits of its hash."""
    short = blake2b(encoder.fingerprint.encode(), digest_size=4).hexdigest()
    folder = context.cache / f"vectors-{short}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def encoder_of(context: Context) -> Encoder:
    """The default encoder, from the models folder of this run."""
    return ModelStore(replace(load(context.cache / "none"), models=context.models)).encoder()


def ensure(context: Context, count: int) -> Path:
    """Embed what is missing of the first `count` passages, whole pieces at a time, and join them in one file.

    With `context.reuse`, vectors that a former build of the model made are taken: speed and size are the same.
    """
    encoder = encoder_of(context)
    folder = folder_of(context, encoder)
    if context.reuse:
        folder = max(context.cache.glob("vectors-*"), key=lambda kept: len(list(kept.glob("passages-*.npy"))))
    joined = folder / f"first-{count}.npy"
    if not joined.exists():
        pieces = [_piece(context, folder, start, encoder) for start in range(0, count, PIECE)]
        _save(joined, np.concatenate([np.load(piece) for piece in pieces])[:count])
    return joined.absolute()


def _piece(context: Context, folder: Path, start: int, encoder: Encoder) -> Path:
    file = folder / f"passages-{start:06d}.npy"
    if not file.exists():
        context.say(f"embedding passages {start} to {start + PIECE}")
        texts = [passage.text for passage in passages.read(context.passages, PIECE, start)]
        _save(file, encoder.encode_documents(texts).astype(np.float16))
    return file


def _save(file: Path, array: np.ndarray) -> None:
    """Write and rename, so that an interrupted run leaves no half file."""
    written = file.with_suffix(".partial")
    with written.open("wb") as out:
        np.save(out, array)
    written.rename(file)
