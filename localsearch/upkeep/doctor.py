"""Look at everything around an index: each finding says what to do about it. Changes nothing."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from localsearch import kernels
from localsearch.errors import LocalSearchError
from localsearch.extract import confinement
from localsearch.extract.limits import Limits
from localsearch.extract.ocr import engine
from localsearch.models import ModelStore
from localsearch.platform.disk import free_bytes
from localsearch.platform.ownership import owner_of
from localsearch.settings import Settings
from localsearch.store.database import FILE

_LOW_DISK = 1_000_000_000
Level = Literal["good", "note", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `remedy` says what to do when it is not good."""

    what: str
    level: Level
    message: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at release, folder, disk, model, processor and readers of files; `airgap.examine` at the network."""
    looks: list[Callable[[Settings], Iterator[Finding]]] = [
        _release,
        _folder,
        _disk,
        _model,
        _processor,
        _reranker,
        _readers,
        _programs,
    ]
    return [finding for look in looks for finding in look(settings)]


def _release(settings: Settings) -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("release", "good", f"Python {python}, SQLite {sqlite3.sqlite_version}")


def _folder(settings: Settings) -> Iterator[Finding]:
    home = settings.home
    if not (home / FILE).exists():
        yield Finding("index", "note", f"there is none in {home} yet", "Run: localsearch index PATH")
        return
    if owner := owner_of(home):
        where = f", serving at {owner.url}" if owner.url else ""
        yield Finding("index", "good", f"in use by process {owner.pid}{where}")
    if home.stat().st_mode & 0o077:
        yield Finding("permissions", "bad", f"others can read {home}", f"Run: chmod go= {home}")
    if not os.access(home, os.W_OK):
        yield Finding("permissions", "note", f"{home} cannot be written: searching works, indexing does not")


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = free_bytes(folder)
    level: Level = "good" if free > _LOW_DISK else "bad"
    yield Finding("disk", level, f"{free / 1e9:.1f} GB free", "" if level == "good" else "Free some space.")


def _model(settings: Settings) -> Iterator[Finding]:
    yield _installed("model", settings, settings.model.name, "only words can be searched")


def _processor(settings: Settings) -> Iterator[Finding]:
    if path := kernels.path_in_use():
        yield Finding("processor", "good", f"{path}: the fastest set of instructions that this processor has")
    else:
        what = "no kernels: ONNX Runtime and FAISS compute, more slowly"
        remedy = (
            "Install again where the compiler of the build can be fetched, without LOCALSEARCH_KERNELS=0."
        )
        yield Finding("processor", "note", what, remedy)


def _reranker(settings: Settings) -> Iterator[Finding]:
    if name := settings.model.reranker:
        yield _installed("reranker", settings, name, "late interaction takes its place")


def _installed(topic: str, settings: Settings, name: str, without: str) -> Finding:
    """Whether a model is there and whole; `without` says what is when it is not."""
    store = ModelStore(settings)
    if not store.installed(name):
        remedy = f"Run: localsearch models pull {name}; or carry its folder in: localsearch models import DIR"
        return Finding(topic, "bad", f"{name} is not in {store.folder}: {without}", remedy)
    try:
        store.verify(name)
        return Finding(topic, "good", f"{name}, {store.precision()}, every file as installed")
    except LocalSearchError as error:
        return Finding(topic, "bad", error.message, error.hint or f"Run: localsearch models pull {name}")


def _readers(settings: Settings) -> Iterator[Finding]:
    for measure, state in confinement(settings.extract).items():
        yield Finding("readers", "good", f"{measure}: {state}")


def _programs(settings: Settings) -> Iterator[Finding]:
    here = engine(Limits.of(settings.extract))
    if settings.extract.ocr != "off" and not here:
        wanted = settings.extract.ocr == "on"
        engines = settings.extract.ocr_engine
        missing = "neither RapidOCR nor tesseract is" if engines == "auto" else f"{engines} is not"
        yield Finding(
            "ocr",
            "bad" if wanted else "note",
            f"images and scanned pages are not read: {missing} installed",
            "Run: pip install 'localsearch[ocr]'; or install tesseract-ocr.",
        )
    elif settings.extract.ocr == "off":
        yield Finding("ocr", "note", "images and scanned pages are not read: extract.ocr is off")
