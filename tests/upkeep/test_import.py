"""An export that somebody else made: a line that is no document is refused with its number, and the rest goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rounds
from hypothesis import strategies as st

from localsearch.engine import Engine
from localsearch.errors import DamagedError, FormatError, UsageError
from localsearch.settings import load

HEADER = b'{"format":"localsearch-export","version":1}\n'


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(settings=replace(load(tmp_path / "home", environ={}), models=tmp_path)) as opened:
        yield opened


def written(folder: Path, *lines: bytes) -> Path:
    """An export with good documents before and after these lines."""
    file = folder / "in.jsonl"
    body = [
        b'{"id":"first","text":"bread one"}',
        *lines,
        b'{"id":"last","text":"bread two"}',
        b'{"documents":2}',
    ]
    file.write_bytes(HEADER + b"\n".join(body) + b"\n")
    return file


def line(**values: Any) -> bytes:
    return json.dumps({"id": "a", "text": "bread three"} | values).encode()


REFUSED = {
    "a list": b"[1,2]", "a number": b"5", "a text": b'"documents"', "null": b"null", "no JSON": b"{",
    "an id that is a number": line(id=5), "an empty id": line(id=""), "an id of 1 MB": line(id="i" * 1_000_000),
    "no text": b'{"id":"a"}', "a text that is a list": line(text=["x"]), "white space": line(text=" \n"),
    "metadata that is text": line(metadata="abc"), "metadata null": line(metadata=None),
    "metadata as pairs": line(metadata=[["a", "b"]]), "a size in words": line(size="big"),
    "a size that is no number": b'{"id":"a","text":"x","size":NaN}', "a size beyond": b'{"id":"a","text":"x","size":1e400}',
    "a collection that is a number": line(collection=5), "no collection": line(collection=""),
    "a collection that drives a terminal": line(collection="\x1b[2J"), "a path that is a list": line(path=["x"]),
    "a path with NUL": line(path="a\0b"), "a title that is an object": line(title={"a": 1}), "type null": line(type=None),
    "tags of objects": line(tags=[{"a": 1}]), "authors of objects": line(author=["a", {"b": 1}]),
    "a language that is a number": line(language=5), "NUL in the id": line(id="a\0"),
    "too deep": b'{"id":"a","text":"x","metadata":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "not UTF-8": b'{"id":"a","text":"x \xff\xfe"}', "a date that is an object": line(created={"a": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_line_that_is_no_document_is_refused(engine: Engine, tmp_path: Path, name: str) -> None:
    outcome = engine.import_file(written(tmp_path, REFUSED[name]))
    assert (outcome.documents, outcome.refused) == (2, 1)
    (note,) = outcome.notes
    assert note.startswith("line 3 was refused: ")
    assert {hit.id for hit in engine.search("bread", mode="lexical", facets=True)} == {"first", "last"}


TAKEN = {
    "a date that no calendar has": line(created=1e300, modified="9999-12-31T23:59:59-12:00"),
    "a wide number": line(metadata={"n": 2**70}),
    "metadata 900 deep": b'{"id":"a","text":"bread","metadata":{"a":' + b"[" * 900 + b"]" * 900 + b"}}",
    "an unknown field": line(colour="red"), "a negative size": line(size=-5), "carriage returns": line() + b"\r",
    "a line separator": line(text="bread\u2028roll"), "lone surrogates": line(title="\ud800"),
    "twice the same key": b'{"id":"b","id":"a","text":"bread"}', "a path of the system": line(path="/etc/shadow"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_an_odd_line_is_taken_as_far_as_it_goes(engine: Engine, tmp_path: Path, name: str) -> None:
    outcome = engine.import_file(written(tmp_path, TAKEN[name]))
    assert outcome.documents + outcome.refused == 3
    answer = engine.search("bread", mode="lexical", facets=True)
    assert len(answer) == outcome.documents
    json.dumps([dict(hit.metadata) for hit in answer], allow_nan=False)


@pytest.mark.parametrize(
    "header", [b"", b"{}", b"[]", b"null", b"\x1f\x8b\x08\0", b"\0" * 100_000, b"a" * 20_000_000,
               b'{"format":"localsearch-export"}', b'{"format":"localsearch-export","version":"x"}',
               b'{"format":"localsearch-export","version":null}', b'{"id":"a","text":"x"}', b"[" * 9000],
    ids=range(12),
)  # fmt: skip
def test_what_is_no_export_is_refused(engine: Engine, tmp_path: Path, header: bytes) -> None:
    (tmp_path / "in.jsonl").write_bytes(header + b"\n")
    with pytest.raises(DamagedError, match="is not an export"):
        engine.import_file(tmp_path / "in.jsonl")


def test_a_newer_format_a_folder_and_nothing(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b'{"format":"localsearch-export","version":99}\n')
    with pytest.raises(FormatError):
        engine.import_file(tmp_path / "in.jsonl")
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UsageError):
            engine.import_file(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
NAMES = ["id", "text", "collection", "title", "type", "path", "language", "author", "size", "created", "modified",
         "tags", "metadata", "documents"]  # fmt: skip


@rounds(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=8) | JSON, max_size=4))
def test_any_lines(engine: Engine, tmp_path: Path, lines: list[Any]) -> None:
    outcome = engine.import_file(written(tmp_path, *(json.dumps(one).encode() for one in lines)))
    ends = sum(isinstance(one, dict) and "documents" in one for one in lines)
    assert len(lines) + 2 - ends <= outcome.documents + outcome.refused <= len(lines) + 2
    found = {hit.id for hit in engine.search("bread", mode="lexical", facets=True, limit=50)}
    assert {"first", "last"} <= found


def test_an_export_is_this_users_alone(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl.partial").write_text("left by a crash")
    (tmp_path / "out.jsonl.partial").chmod(0o666)
    engine.export(tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").stat().st_mode & 0o777 == 0o600
