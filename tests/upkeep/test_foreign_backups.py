"""A backup that somebody else made: refused in words before it gets its place, stopped at the size that it tells."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from localsearch.engine import Engine
from localsearch.errors import LocalSearchError, StorageError
from localsearch.settings import load
from localsearch.types import Record
from localsearch.upkeep.backup import restore


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[dict[str, bytes]]:
    """The members of a good backup."""
    with Engine.open(settings=replace(load(tmp_path / "home", environ={}), models=tmp_path)) as engine:
        engine.add(
            [Record("Bread with flour.", "a", metadata={"rank": 1, "tags": ["x"]}), Record("Tea.", "b")]
        )
        engine.backup(tmp_path / "good.tar")
    with tarfile.open(tmp_path / "good.tar") as tar:
        yield {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def packed(folder: Path, parts: dict[str, bytes], manifest: Any = None) -> Path:
    """A backup of these parts, with true sums unless a manifest is given."""
    files = {
        n: {"sha256": hashlib.sha256(d).hexdigest(), "bytes": len(d)}
        for n, d in parts.items()
        if n != "manifest.json"
    }
    told = {"format": 1, "release": "1.0", "files": files} if manifest is None else manifest
    data = told if isinstance(told, bytes) else json.dumps(told).encode()
    with tarfile.open(folder / "made.tar", "w") as tar:
        for name, body in {**parts, "manifest.json": data}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    return folder / "made.tar"


def changed(folder: Path, data: bytes, *statements: str) -> bytes:
    """The database after somebody wrote to it."""
    file = folder / "changed.db"
    file.write_bytes(data)
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.execute("PRAGMA journal_mode=DELETE")
    return file.read_bytes()


def test_a_good_one_comes_back(tmp_path: Path, parts: dict[str, bytes]) -> None:
    assert restore(packed(tmp_path, parts), tmp_path / "new").documents == 2
    with Engine.open(settings=replace(load(tmp_path / "new", environ={}), models=tmp_path)) as engine:
        assert [hit.id for hit in engine.search("bread", mode="lexical")] == ["a"]


SCHEMAS = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON documents BEGIN DELETE FROM documents; END",
    "a trigger on the migrations": "CREATE TRIGGER t AFTER INSERT ON migrations BEGIN DELETE FROM documents; END",
    "a view": "CREATE VIEW v AS SELECT * FROM documents",
    "a virtual table": "CREATE VIRTUAL TABLE f USING fts5(x)",
    "another table": "CREATE TABLE more (x)",
    "another index": "CREATE INDEX i ON documents (title)",
    "another column": "ALTER TABLE documents ADD COLUMN more TEXT",
    "a table that is gone": "DROP TABLE feedback",
    "a table that is a view": "ALTER TABLE roots RENAME TO roots2",
    "a missing migration": "DELETE FROM migrations WHERE name = '0001_initial'",
    "no migrations": "DELETE FROM migrations",
    "no table of migrations": "DROP TABLE migrations",
}
ROWS = {
    "metadata that is no JSON": "UPDATE documents SET metadata = '{'",
    "metadata that is a list": "UPDATE documents SET metadata = '[]'",
    "metadata that is bytes": "UPDATE documents SET metadata = x'00'",
    "tags that are an object": "UPDATE documents SET tags = '{}'",
    "an id of 0": "UPDATE documents SET id = 0 WHERE key = 'a'",
    "an id beyond": "UPDATE documents SET id = 9223372036854775807 WHERE key = 'a'",
    "a title of bytes": "UPDATE documents SET title = x'ff'",
    "a date in words": "UPDATE documents SET modified = 'soon'",
    "a size in words": "UPDATE documents SET size = 'big'",
    "a place that is no JSON": "UPDATE chunks SET place = 'x'",
    "a passage before the start": "UPDATE chunks SET start = -5",
    "a passage that ends first": "UPDATE chunks SET stop = start - 1",
    "a passage of nothing": "UPDATE chunks SET document_id = 99",
    "a hash of one byte": "UPDATE chunks SET hash = x'00'",
    "a text of bytes": "UPDATE bodies SET text = x'ff'",
    "a root that is no path": "INSERT INTO roots VALUES ('default', '../x', '{}')",
    "a root without options": "INSERT INTO roots VALUES ('default', '/x', '{')",
    "a root with a number for a pattern": "INSERT INTO roots VALUES ('default', '/x', '{\"include\": [5]}')",
    "a key of no UTF-8": "UPDATE documents SET key = CAST(x'61ff' AS TEXT) WHERE key = 'a'",
    "a text of no UTF-8": "UPDATE bodies SET text = CAST(x'ff' AS TEXT)",
    "metadata of a surrogate": "UPDATE documents SET metadata = CAST(x'7b2261223a22eda080227d' AS TEXT)",
    "notes that are no list": "INSERT INTO files (collection, raw, path, root, state, seen, notes)"
    " VALUES ('default', x'2f61', '/a', '/', 'indexed', 0, '{}')",
    "notes of numbers": "INSERT INTO files (collection, raw, path, root, state, seen, notes)"
    " VALUES ('default', x'2f61', '/a', '/', 'indexed', 0, '[1]')",
    "a file of bytes for tries": "INSERT INTO files (collection, raw, path, root, state, seen, tries)"
    " VALUES ('default', x'2f61', '/a', '/', 'indexed', 0, x'00')",
    "a setting in words": "INSERT INTO settings VALUES ('embedding tokens', 'many')",
    "a setting of lists": "INSERT INTO settings VALUES ('calibration-1', '{\"floor\": []}')",
    "a judgement that is none": "INSERT INTO feedback VALUES (1, 'default', 'q', 'a', 7, 0)",
    "a pending chunk of no version": "INSERT INTO pending VALUES (77, 1)",
    "a change beyond": "INSERT INTO changes VALUES (9223372036854775807, 1)",
    "a version of no size": "INSERT INTO versions VALUES (9, 'm', 'p', 'f', -1, 'active', 0, 0)",
}


@pytest.mark.parametrize("statement", [*SCHEMAS.values(), *ROWS.values()], ids=[*SCHEMAS, *ROWS])
def test_a_database_that_is_not_ours_is_refused(
    tmp_path: Path, parts: dict[str, bytes], statement: str
) -> None:
    parts["index.db"] = changed(tmp_path, parts["index.db"], statement)
    with pytest.raises(LocalSearchError):
        restore(packed(tmp_path, parts), tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_service_database_with_a_trigger_is_refused(tmp_path: Path, parts: dict[str, bytes]) -> None:
    made = changed(
        tmp_path, b"", "CREATE TABLE jobs (id)", "CREATE TRIGGER t AFTER INSERT ON jobs BEGIN SELECT 1; END"
    )
    with pytest.raises(StorageError, match="keys and jobs is not that of localsearch"):
        restore(packed(tmp_path, {**parts, "service.db": made}), tmp_path / "new")


def _sized(size: int) -> Callable[[dict[str, bytes]], dict[str, Any]]:
    return lambda parts: {
        "format": 1,
        "release": "1",
        "files": {"index.db": {"sha256": hashlib.sha256(parts["index.db"]).hexdigest(), "bytes": size}},
    }


MANIFESTS: dict[str, Any] = {
    "empty": b"", "no JSON": b"{", "a list": [], "null": b"null", "no files": {"format": 1, "release": "1"},
    "files as a list": {"format": 1, "release": "1", "files": []}, "a format in words": {"format": "x", "release": "1", "files": {}},
    "no sum": {"format": 1, "release": "1", "files": {"index.db": {}}}, "too deep": b"[" * 500_000,
    "a sum that is none": {"format": 1, "release": "1", "files": {"index.db": {"sha256": "x", "bytes": 1}}},
    "huge": b'{"format":1,"release":"' + b"x" * 2_000_000 + b'"}', "not UTF-8": b"\xff\xfe", "a smaller size": _sized(10),
    "a larger size": _sized(10**15), "a negative size": _sized(-1), "a wide size": _sized(2**70),
}  # fmt: skip


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_that_lies_is_refused(tmp_path: Path, parts: dict[str, bytes], name: str) -> None:
    told = MANIFESTS[name]
    with pytest.raises(LocalSearchError):
        restore(packed(tmp_path, parts, told(parts) if callable(told) else told), tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_members_that_are_no_plain_files_are_refused(tmp_path: Path, parts: dict[str, bytes]) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
        packed(tmp_path, {})
        with tarfile.open(tmp_path / "made.tar", "a") as tar:
            entry = tarfile.TarInfo("index.db")
            entry.type, entry.linkname = kind, "/etc/passwd"
            tar.addfile(entry)
        with pytest.raises(StorageError, match="holds what no backup does"):
            restore(tmp_path / "made.tar", tmp_path / "new")


def test_a_sparse_member_of_a_terabyte_writes_nothing(tmp_path: Path, parts: dict[str, bytes]) -> None:
    size = 1 << 40
    entry = tarfile.TarInfo("index.db")
    entry.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.map": "0,0",
        "GNU.sparse.size": str(size),
    }
    with tarfile.open(tmp_path / "made.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(entry)
    with pytest.raises(StorageError):
        restore(tmp_path / "made.tar", tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"\0" * 10_240, b"\x1f\x8b\x08", b"x" * 100_000], ids=range(4))
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "made.tar").write_bytes(data)
    with pytest.raises(LocalSearchError):
        restore(tmp_path / "made.tar", tmp_path / "new")
