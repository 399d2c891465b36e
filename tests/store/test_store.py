"""SQLite as the truth: round trips, durability of transactions, migrations, the log of changes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localsearch import quantize
from localsearch.errors import DamagedError, FormatError, ReadOnlyError
from localsearch.store import Corpus, Database, Embeddings, FileRow, Ledger, NewDocument, TokenBits
from localsearch.store.corpus import SEGMENT
from localsearch.store.migrations import migrate
from localsearch.store.schema import MIGRATIONS
from localsearch.types import Chunk, Place


@pytest.fixture
def db(tmp_path: Path) -> Database:
    return Database.open(tmp_path)


def new_document(key: str, text: str = "one two three", *, parts: int = 1) -> NewDocument:
    step = max(len(text) // parts, 1)
    chunks = tuple(Chunk(i * step, min((i + 1) * step, len(text)), Place(line=i + 1)) for i in range(parts))
    return NewDocument(
        key=key,
        title=f"Title of {key}",
        type="text",
        text=text,
        chunks=chunks,
        tags=("a", "b"),
        metadata={"n": 1},
    )


def hashes_of(db: Database, chunk_ids: list[int]) -> list[bytes]:
    rows = dict(db.query("SELECT id, hash FROM chunks"))
    return [rows[chunk] for chunk in chunk_ids]


def test_a_document_comes_back_as_it_was_stored(db: Database) -> None:
    corpus = Corpus(db)
    document_id, chunk_ids = corpus.put("default", new_document("k", "alpha beta gamma delta", parts=2))
    row = corpus.find("default", "k")
    assert row is not None
    assert (row.id, row.title, row.tags, row.metadata) == (document_id, "Title of k", ("a", "b"), {"n": 1})
    passages = corpus.chunk_rows(chunk_ids)
    assert [passages[i].text for i in chunk_ids] == ["alpha beta ", "gamma delta"]
    assert passages[chunk_ids[1]].place == Place(line=2)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300), st.integers(1, 400), st.data()
)
def test_any_slice_of_a_text_is_read_back(db: Database, seed: str, times: int, data: st.DataObject) -> None:
    text = (seed or "x") * times
    corpus = Corpus(db)
    document_id, _ = corpus.put("default", new_document("slices", text))
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, len(text)))
    assert corpus.text(document_id, start, stop) == text[start:stop]
    assert corpus.text(document_id) == text


def test_a_slice_across_segments(db: Database) -> None:
    text = "".join(chr(97 + i % 26) for i in range(3 * SEGMENT + 17))
    corpus = Corpus(db)
    document_id, _ = corpus.put("default", new_document("long", text))
    for start, stop in [(0, 5), (SEGMENT - 2, SEGMENT + 2), (SEGMENT, 2 * SEGMENT), (5, 3 * SEGMENT + 17)]:
        assert corpus.text(document_id, start, stop) == text[start:stop]


def test_replacing_gives_new_ids_and_leaves_nothing_behind(db: Database) -> None:
    corpus, embeddings = Corpus(db), Embeddings(db)
    embeddings.begin("m", "fp32", "f", 2)
    first, old = corpus.put("default", new_document("k", parts=2))
    embeddings.expect(old)
    second, new = corpus.put("default", new_document("k", "other words", parts=1))
    assert second > first
    assert min(new) > max(old)
    assert corpus.counts() == (1, 1)
    assert corpus.changed_since(0) == [first, second]
    assert db.one("SELECT count(*) FROM pending") == 0
    assert db.one("SELECT count(*) FROM bodies") == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(owners=st.lists(st.integers(0, 3), max_size=12))
def test_the_map_of_chunks_is_that_of_their_rows_wherever_they_lie(db: Database, owners: list[int]) -> None:
    corpus = Corpus(db)
    with db.write() as connection:
        connection.execute("DELETE FROM documents")
        documents = [corpus.put("default", new_document(f"{n}", parts=2))[0] for n in range(4)]
        connection.execute("DELETE FROM chunks WHERE document_id = ?", (documents[1],))
        connection.executemany(
            "INSERT INTO chunks (document_id, start, stop, place, hash) VALUES (?, 0, 1, '', x'')",
            [(documents[owner],) for owner in owners],
        )
    found = corpus.owners()
    ids = np.flatnonzero(found)
    assert list(zip(ids.tolist(), found[ids].tolist(), strict=True)) == db.query(
        "SELECT id, document_id FROM chunks ORDER BY id"
    )
    assert len(found) == (max(ids.tolist(), default=-1) + 1)
    assert found.dtype == np.int32


def test_the_map_of_chunks_of_nothing_is_empty(db: Database) -> None:
    assert Corpus(db).owners().shape == (0,)


def test_a_transaction_is_all_or_nothing(db: Database) -> None:
    corpus = Corpus(db)
    with pytest.raises(RuntimeError), db.write():
        corpus.put("default", new_document("a"))
        raise RuntimeError
    assert corpus.counts() == (0, 0)
    assert corpus.seq == 0
    corpus.put("default", new_document("b"))
    assert corpus.document_ids() == [1]


def test_readers_see_only_what_is_committed(db: Database) -> None:
    corpus = Corpus(db)
    seen: list[int] = []
    with db.write():
        corpus.put("default", new_document("a"))
        assert corpus.counts() == (1, 1), "the writer sees its own changes"
        reader = threading.Thread(target=lambda: seen.append(corpus.counts()[0]))
        reader.start()
        reader.join()
    assert seen == [0]
    assert corpus.counts() == (1, 1)


def test_the_log_says_when_it_does_not_reach_back(db: Database) -> None:
    corpus = Corpus(db)
    for key in "abc":
        corpus.put("default", new_document(key))
    assert corpus.changed_since(1) == [2, 3]
    corpus.forget_changes(2)
    assert corpus.changed_since(0) is None
    assert corpus.changed_since(2) == [3]
    assert corpus.changed_since(3) == []


def test_vectors_are_kept_by_what_was_embedded(db: Database) -> None:
    corpus, embeddings = Corpus(db), Embeddings(db)
    version = embeddings.begin("m", "int8", "f", 3)
    document = new_document("a", parts=2)
    _, ids = corpus.put("default", document)
    embeddings.expect(ids)
    assert [chunk.chunk_id for chunk in embeddings.pending(version.id, 10)] == ids[::-1]
    vector = np.array([0.6, 0.8, 0.0], np.float32)
    first, _ = hashes_of(db, ids)
    assert embeddings.put(version.id, {first: vector}, [ids[0]]) == [ids[0]]
    assert embeddings.embedded_ids(version.id).tolist() == [ids[0]]
    assert embeddings.of(version.id, np.array(ids)).ids().tolist() == [ids[0]]
    assert embeddings.vectors_of(version.id, ids[1:])[1].shape == (0, 3)
    found, matrix = embeddings.vectors_of(version.id, ids)
    assert found.tolist() == [ids[0]]
    np.testing.assert_allclose(matrix[0], vector, atol=5e-4)
    _, again = corpus.put("elsewhere", document)
    embeddings.expect(again)
    assert [chunk.chunk_id for chunk in embeddings.pending(version.id, 10)] == [again[1], ids[1]]


def test_any_number_of_ids_is_asked_for_in_one_statement(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids written into it would make it another one each time, and prepared ones are kept, with all their ids."""
    corpus, embeddings = Corpus(db), Embeddings(db)
    documents = [corpus.put("default", new_document(f"{n}"))[0] for n in range(300)]
    version = embeddings.begin("m", "int8", "f", 3)
    asked: list[str] = []
    query = db.query
    monkeypatch.setattr(db, "query", lambda sql, params=(): asked.append(sql) or query(sql, params))
    for some in (documents, documents[:200], documents[100:]):
        assert len(corpus.facet_columns(some, "1, 1.0, 0", ()).types) == len(some)
        assert len(corpus.facet_dates(some, "1, 1.0, 0", ())) == len(some)
        assert corpus.paths_where(some, "f.path = ?", ["/a"]) == {}
        assert [row[0] for row in corpus.newest(some, 9, "0", ())] == some[:9]
        assert [row[1] for row in corpus.chunk_ids(some)] == some
        assert sorted(corpus.documents(some)) == some
        assert len(embeddings.vectors_of(version.id, some)[0]) == 0
    assert max(map(len, asked)) < 1_000
    assert len(set(asked)) == len(asked) / 3


def test_vectors_are_read_in_order_whichever_way_they_were_stored(db: Database) -> None:
    corpus, embeddings = Corpus(db), Embeddings(db)
    version = embeddings.begin("m", "int8", "f", 21)
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 1200)))
    _, ids = corpus.put("default", new_document("a", text, parts=1200))
    hashes = hashes_of(db, ids)
    vectors = np.random.default_rng(0).standard_normal((1200, 21)).astype(np.float32)
    embeddings.put(version.id, dict(zip(hashes, vectors)), ids)
    old = [vector.astype("<f2").tobytes() for vector in vectors]
    with db.write() as connection:
        for at in range(0, 1200, 3):
            connection.execute("UPDATE vectors SET vector = ? WHERE hash = ?", (old[at], hashes[at]))
    kept = quantize.rounded(vectors)
    kept[::3] = vectors[::3].astype(np.float16)
    streamed = list(embeddings.stream(version.id, np.array(ids)))
    assert np.concatenate([some for some, _ in streamed]).tolist() == ids
    assert (np.concatenate([some for _, some in streamed]) == kept).all()
    found, matrix = embeddings.vectors_of(version.id, ids[5:8])
    assert found.tolist() == ids[5:8]
    assert (matrix == kept[5:8]).all()


def test_only_what_came_from_a_file_is_in_the_index_of_contents(db: Database) -> None:
    plans = [
        "SELECT * FROM documents WHERE collection = ? AND content_hash = ?",
        "SELECT count(*) FROM documents AS d WHERE d.content_hash = ?",
    ]
    for statement in plans:
        values = ("default", b"x" * 16)[-statement.count("?") :]
        plan = " ".join(row[3] for row in db.query(f"EXPLAIN QUERY PLAN {statement}", values))
        assert "documents_by_content" in plan, plan
    corpus = Corpus(db)
    corpus.put("default", new_document("record"))
    corpus.put("default", replace(new_document("file"), content_hash=b"x" * 16))
    assert [row.key for row in corpus.by_content("default", b"x" * 16)] == ["file"]
    assert (
        db.one("SELECT count(*) FROM documents INDEXED BY documents_by_content WHERE content_hash > x''") == 1
    )


def test_a_new_database_has_pages_of_8192_bytes_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    Database.open(tmp_path).close()
    assert (tmp_path / "index.db").read_bytes()[16:18] == (8192).to_bytes(2, "big")
    old = tmp_path / "old"
    old.mkdir()
    connection = sqlite3.connect(old / "index.db")
    connection.executescript("PRAGMA page_size=4096; PRAGMA journal_mode=WAL; CREATE TABLE x (y)")
    connection.close()
    db = Database.open(old)
    db.shrink()
    assert db.one("PRAGMA page_size") == 4096
    db.backup_to(tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_bytes()[16:18] == (4096).to_bytes(2, "big")


def test_token_bits_live_as_long_as_their_version_and_passage(db: Database) -> None:
    corpus, embeddings, tokens = Corpus(db), Embeddings(db), TokenBits(db)
    version = embeddings.begin("m", "int8", "f", 3)
    document = new_document("a", parts=3)
    _, ids = corpus.put("default", document)
    tokens.put(version.id, {ids[0]: b"first", ids[1]: b"second", 10_000: b"of no passage"})
    tokens.put(version.id + 1, {ids[2]: b"of no version"})
    assert tokens.of(version.id, ids) == {ids[0]: b"first", ids[1]: b"second"}
    assert db.one("SELECT count(*) FROM tokens") == 2
    tokens.put(version.id, {ids[0]: b"other", ids[2]: b"third"}, at_most=2)
    assert tokens.of(version.id, ids) == {ids[0]: b"other", ids[2]: b"third"}, "the oldest went"
    with db.write() as connection:
        connection.execute("UPDATE tokens SET bits = X'00' WHERE bits = CAST('other' AS BLOB)")
    assert tokens.of(version.id, ids) == {ids[2]: b"third"}
    assert tokens.forget(tokens.damaged()) == 1
    _, again = corpus.put("elsewhere", document)
    corpus.remove(corpus.document_ids()[:1])
    embeddings.drop_unused()
    assert tokens.of(version.id, again) == {again[2]: b"third"}, "another passage says the same"
    corpus.remove(corpus.document_ids())
    embeddings.drop_unused()
    assert db.one("SELECT count(*) FROM tokens") == 0


def test_a_later_version_starts_with_everything_pending_and_a_switch_is_one_step(db: Database) -> None:
    corpus, embeddings = Corpus(db), Embeddings(db)
    document = new_document("a", parts=3)
    _, ids = corpus.put("default", document)
    one = embeddings.begin("m", "fp32", "one", 2)
    assert one.state == "active"
    assert embeddings.pending_count(one.id) == 3
    two = embeddings.begin("n", "fp32", "two", 2)
    assert two.state == "building"
    embeddings.activate(two.id)
    assert [version.state for version in embeddings.versions()] == ["retired", "active"]
    assert embeddings.begin("n", "fp32", "two", 2).id == two.id
    assert embeddings.pending_count(two.id) == len(ids)


def test_the_ledger_finds_what_is_below_a_folder_and_nothing_beside_it(db: Database) -> None:
    ledger = Ledger(db)
    for raw in (b"/a/b/c", b"/a/b", b"/a/bc", b"/a/b/\xff\xfe"):
        ledger.put(FileRow("default", raw, raw.decode("latin-1"), "/a", 1, 2, None, "indexed"))
    assert sorted(ledger.under("default", b"/a/b")) == [b"/a/b", b"/a/b/c", b"/a/b/\xff\xfe"]
    assert len(ledger.under("default", b"/")) == 4
    assert ledger.under("other", b"/a") == {}


def test_an_index_that_has_all_migrations_opens_without_what_records_them(tmp_path: Path) -> None:
    Database.open(tmp_path).close()
    code = """
import sys
from pathlib import Path
from localsearch.store import Database
Database.open(Path(sys.argv[1])).close()
print("sqlite_utils" in sys.modules)
"""
    told = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, check=True, text=True)
    assert told.stdout == "False\n"


@pytest.mark.parametrize("threads", [0, 1])
def test_a_new_index_loads_no_pandas_and_no_other_thread_misses_it(tmp_path: Path, threads: int) -> None:
    if not find_spec("pandas"):
        pytest.skip("pandas is not installed")
    script = f"""
import sys, threading
from importlib.util import find_spec
from pathlib import Path
from localsearch.store import Database
waits = threading.Event()
for _ in range({threads}):
    threading.Thread(target=waits.wait, daemon=True).start()
Database.open(Path({str(tmp_path)!r})).close()
loaded = "pandas" in sys.modules
import pandas
assert pandas.DataFrame({{"a": [1]}}).shape == (1, 1)
print(loaded)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{bool(threads)}\n"


def test_migrations_are_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails leaves the database as it was, and the next opening begins again."""
    broken = (
        *MIGRATIONS[:-1],
        (MIGRATIONS[-1][0], "CREATE TABLE half (x INTEGER); SELECT x FROM nowhere;"),
    )
    connection = sqlite3.connect(tmp_path / "index.db", isolation_level=None)
    monkeypatch.setattr("localsearch.store.migrations.MIGRATIONS", broken)
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(connection)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    monkeypatch.undo()
    told: list[str] = []
    connection.set_trace_callback(told.append)
    assert migrate(connection) == [name for name, _ in MIGRATIONS]
    assert [word for word in told if word in ("COMMIT", "ROLLBACK")] == ["COMMIT"]
    assert migrate(connection) == []
    connection.close()


def test_a_database_from_a_newer_release_is_refused(tmp_path: Path) -> None:
    db = Database.open(tmp_path)
    db.close()
    with sqlite3.connect(tmp_path / "index.db") as connection:
        connection.execute("INSERT INTO migrations VALUES ('9999_future', 0)")
    connection.close()
    with pytest.raises(FormatError, match="newer release"):
        Database.open(tmp_path)


def test_a_damaged_database_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "index.db").write_bytes(b"not a database at all" * 500)
    before = (tmp_path / "index.db").read_bytes()
    with pytest.raises(DamagedError, match="damaged"):
        Database.open(tmp_path)
    assert (tmp_path / "index.db").read_bytes() == before


def test_reading_without_an_index_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ReadOnlyError, match="no index") as caught:
        Database.open(tmp_path, read_only=True)
    assert "localsearch index" in caught.value.hint


def test_a_read_only_database_refuses_to_write(db: Database, tmp_path: Path) -> None:
    Corpus(db).put("default", new_document("a"))
    reader = Database.open(tmp_path, read_only=True)
    assert Corpus(reader).counts() == (1, 1)
    with pytest.raises(ReadOnlyError):
        Corpus(reader).put("default", new_document("b"))


def test_the_files_are_private(db: Database, tmp_path: Path) -> None:
    Corpus(db).put("default", new_document("a"))
    assert {file.stat().st_mode & 0o077 for file in tmp_path.glob("index.db*")} == {0}
