"""Judged collections in BEIR layout: found by path, downloaded with their hashes where they are online."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tarfile
import tomllib
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.context import Context
from localsearch.errors import LocalSearchError
from localsearch.evaluation.beir import Dataset

SOURCES = Path(__file__).with_name("datasets.toml")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a collection is online, and the MD5 that its publisher names for the archive."""

    url: str
    md5: str


def sources() -> dict[str, ModelSource]:
    return {name: ModelSource(**row) for name, row in tomllib.loads(SOURCES.read_text()).items()}


def find(context: Context, name: str) -> Dataset | None:
    """The collection from the data folder (a folder or a tar.xz archive) or the cache; None when it is nowhere."""
    for parent in (context.data, context.cache / "judged"):
        if (parent / name / "corpus.jsonl").exists():
            return Dataset.load(parent / name)
    archive = context.data / f"{name}.tar.xz"
    if archive.exists():
        _unpack(archive, context.cache / "judged")
        return Dataset.load(context.cache / "judged" / name)
    return None


def _unpack(archive: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as files:
        files.extractall(target, filter="data")


def download(context: Context, name: str) -> Path:
    """Fetch a collection's archive, check its hash, unpack it under cache/judged; return its folder.

    Raises LocalSearchError when its MD5 is not the published one, or its SHA-256 not the one of a former download.
    """
    source = sources()[name]
    target = context.cache / "judged" / name
    if (target / "corpus.jsonl").exists():
        return target
    archive = context.cache / f"{name}.zip"
    archive.parent.mkdir(parents=True, exist_ok=True)
    with urllib.request.urlopen(source.url, timeout=60) as answer, archive.open("wb") as out:
        shutil.copyfileobj(answer, out)
    _check(context, name, source, archive)
    with zipfile.ZipFile(archive) as files:
        files.extractall(target.parent)
    archive.unlink()
    return target


def _digest(file: Path, kind: str) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, kind).hexdigest()


def _check(context: Context, name: str, source: ModelSource, archive: Path) -> None:
    """MD5 says that it is what was published; SHA-256, recorded by the first download, that it never changes."""
    lock = context.cache / "datasets.lock"
    recorded = json.loads(lock.read_text()) if lock.exists() else {}
    sha256 = _digest(archive, "sha256")
    if _digest(archive, "md5") != source.md5 or recorded.setdefault(name, sha256) != sha256:
        raise LocalSearchError(
            f"{name}: the archive from {source.url} is not the one that is expected (its hash differs)",
            hint="Nothing was unpacked. Fetch it again, or check the source.",
        )
    lock.write_text(json.dumps(recorded, indent=2, sort_keys=True))


def missing(context: Context) -> list[str]:
    """Names of the collections of this run that are not there."""
    return [name for name in context.sizes.quality_sets if find(context, name) is None]


def download_missing(context: Context) -> None:
    """Fetch those that are online; what cannot be had is said and left out."""
    for name in missing(context):
        if name not in sources():
            print(f"{name}: not in {context.data} and not online", file=sys.stderr)
            continue
        try:
            download(context, name)
        except (OSError, LocalSearchError) as error:
            print(f"{name}: {error}", file=sys.stderr)
