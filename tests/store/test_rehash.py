"""Hashes that an earlier release took before a file got its name as title: found, mended, once and in steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from localsearch.store import Corpus, Database, Embeddings, NewDocument, TokenBits, rehash
from localsearch.store.embedded_text import embedded_text, embedding_hash
from localsearch.types import Chunk

PASSAGE = "The pump stopped at noon."


@pytest.fixture
def db(tmp_path: Path) -> Database:
    return Database.open(tmp_path)


def log(path: str, title: str = "", text: str = PASSAGE, member: str = "") -> NewDocument:
    chunks = (Chunk(0, len(text)),)
    return NewDocument(key=path, title=title, type="text", text=text, chunks=chunks, path=path, member=member)


def put(db: Database, document: NewDocument) -> tuple[int, list[int]]:
    corpus = Corpus(db)
    document_id, chunk_ids = corpus.put("default", document)
    Embeddings(db).expect(chunk_ids)
    return document_id, chunk_ids


def embed(db: Database) -> None:
    """Give every pending chunk a vector drawn by its hash, and token bits that tell it."""
    embeddings, tokens = Embeddings(db), TokenBits(db)
    active = embeddings.active()
    assert active is not None
    for chunk in embeddings.pending(active.id, 1000):
        vector = np.random.default_rng([*chunk.hash]).standard_normal(4).astype(np.float32)
        embeddings.put(active.id, {chunk.hash: vector / np.linalg.norm(vector)}, [chunk.chunk_id])
        tokens.put(active.id, {chunk.chunk_id: chunk.hash})


def as_before_0006(db: Database, *, old_names: dict[int, str] | None = None) -> None:
    """Store hashes as earlier releases did: without the title where that is the file's name."""
    corpus = Corpus(db)
    with db.write() as connection:
        for document_id in corpus.document_ids():
            (named,) = connection.execute(
                "SELECT named FROM documents WHERE id = ?", (document_id,)
            ).fetchone()
            for chunk in corpus.chunks(document_id) if named else ():
                digest = embedding_hash(embedded_text("", chunk.place.heading, chunk.text))
                connection.execute("UPDATE chunks SET hash = ? WHERE id = ?", (digest, chunk.id))
            if old_names and document_id in old_names:
                connection.execute(
                    "UPDATE documents SET title = ? WHERE id = ?", (old_names[document_id], document_id)
                )
        connection.execute("UPDATE documents SET named = 0, digest = NULL")
        connection.execute("INSERT INTO settings VALUES ('rehashed up to', '0')")


def hashes(db: Database) -> dict[str, list[bytes]]:
    rows = db.query("SELECT d.key, c.hash FROM documents AS d JOIN chunks AS c ON c.document_id = d.id")
    return {key: [digest for name, digest in rows if name == key] for key, _ in rows}


def digest_of(title: str, text: str = PASSAGE) -> bytes:
    return embedding_hash(embedded_text(title, (), text))


def test_the_hash_is_of_the_text_that_is_embedded(db: Database) -> None:
    corpus = Corpus(db)
    for document in (
        log("/logs/a.log"),
        log("/logs/b.log"),
        log("/logs/c.log", "Pumps"),
        log("/logs/z.zip", member="in/d.log"),
    ):
        _, chunk_ids = put(db, document)
        for chunk, text in corpus.embedded_texts(chunk_ids).items():
            assert db.one("SELECT hash FROM chunks WHERE id = ?", (chunk,)) == embedding_hash(text)
    assert [row.title for row in corpus.documents(corpus.document_ids()).values()] == [
        "a.log",
        "b.log",
        "Pumps",
        "d.log",
    ]
    assert len({digest for (digest,) in hashes(db).values()}) == 4


def test_a_record_has_no_name_to_be_called_by(db: Database) -> None:
    put(db, replace(log("record"), path=None))
    assert hashes(db) == {"record": [embedding_hash(PASSAGE)]}


def test_a_document_that_is_called_by_its_file_follows_its_name(db: Database) -> None:
    corpus, embeddings = Corpus(db), Embeddings(db)
    version = embeddings.begin("m", "int8", "f", 4)
    named, old = put(db, log("/logs/a.log"))
    own, kept = put(db, log("/logs/b.log", "b.log"))
    embed(db)
    new = corpus.rename(named, "/logs/2026.log", "/logs/2026.log")
    embeddings.expect(new)
    assert corpus.rename(own, "/logs/c.log", "/logs/c.log") == []
    assert corpus.rename(named, "/else/2026.log", "/else/2026.log") == [], "the name is what it was"
    assert hashes(db) == {"/else/2026.log": [digest_of("2026.log")], "/logs/c.log": [digest_of("b.log")]}
    assert min(new) > max(old + kept)
    assert [chunk.chunk_id for chunk in embeddings.pending(version.id, 10)] == new
    assert list(corpus.changed_on_disk()) == []
    assert corpus.find("default", "/logs/c.log").title == "b.log"  # type: ignore[union-attr]


def test_what_is_wrong_is_made_anew_and_what_is_right_stays(db: Database) -> None:
    corpus, embeddings = Corpus(db), Embeddings(db)
    version = embeddings.begin("m", "int8", "f", 4)
    for document in (
        log("/logs/a.log"),
        log("/logs/b.log"),
        log("/logs/own.log", "own.log", "Its title is the name it had."),
        log("/logs/titled.log", "Pumps"),
        log("/logs/moved.log"),
        replace(log("record"), path=None),
    ):
        put(db, document)
    as_before_0006(db, old_names={5: "once.log"})
    with db.write() as connection:
        connection.execute("DELETE FROM pending")
    embeddings.expect_all(version.id)
    embed(db)
    before = dict(db.query("SELECT hash, vector FROM vectors"))
    assert digest_of("") in before
    assert len(before) == 3, "a, b, the moved one and the record share a vector"
    assert sorted(rehash.wrongly_hashed(corpus, corpus.document_ids())) == [1, 2, 5]
    rehash.finish(corpus, embeddings)
    assert hashes(db) == {
        "/logs/a.log": [digest_of("a.log")],
        "/logs/b.log": [digest_of("b.log")],
        "/logs/own.log": [digest_of("own.log", "Its title is the name it had.")],
        "/logs/titled.log": [digest_of("Pumps")],
        "/logs/moved.log": [digest_of("moved.log")],
        "record": [digest_of("")],
    }
    pending = {
        Path(corpus.documents([chunk.document_id])[chunk.document_id].key).name
        for chunk in embeddings.pending(version.id, 10)
    }
    assert pending == {"a.log", "b.log", "moved.log"}
    assert dict(db.query("SELECT hash, vector FROM vectors")) == before, "the record still has the shared one"
    assert list(corpus.changed_on_disk()) == []
    assert list(rehash.wrongly_hashed(corpus, corpus.document_ids())) == []
    named = {Path(key).name for (key,) in db.query("SELECT key FROM documents WHERE named")}
    assert named == {"a.log", "b.log", "moved.log"}
    seq = corpus.seq
    rehash.finish(corpus, embeddings)
    assert corpus.seq == seq, "it is done once"


def test_vectors_and_bits_under_wrong_hashes_go(db: Database) -> None:
    corpus, embeddings = Corpus(db), Embeddings(db)
    embeddings.begin("m", "int8", "f", 4)
    put(db, log("/logs/a.log"))
    put(db, log("/logs/b.log"))
    as_before_0006(db)
    embed(db)
    assert db.query("SELECT hash, bits FROM tokens") == [(digest_of(""), digest_of(""))]
    rehash.finish(corpus, embeddings)
    assert db.one("SELECT count(*) FROM tokens") == 0
    assert db.one("SELECT count(*) FROM vectors") == 0


def test_mending_that_was_cut_short_goes_on(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        put(db, log(f"/logs/{number}.log"))
    as_before_0006(db)
    monkeypatch.setattr(rehash, "_DOCUMENTS", 3)
    corpus, embeddings = Corpus(db), Embeddings(db)
    steps = 0

    def stop(*_: object) -> list[int]:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise KeyboardInterrupt
        return Corpus.retitle(corpus, *_)  # type: ignore[arg-type]

    monkeypatch.setattr(corpus, "retitle", stop)
    with pytest.raises(KeyboardInterrupt):
        rehash.finish(corpus, embeddings)
    db.close()
    again = Database.open(tmp_path)
    corpus = Corpus(again)
    assert list(rehash.wrongly_hashed(corpus, corpus.document_ids())) == [4, 5, 6, 7], "one step is done"
    mended = dict(again.query("SELECT document_id, id FROM chunks WHERE document_id <= 3"))
    rehash.finish(corpus, Embeddings(again))
    assert list(rehash.wrongly_hashed(corpus, corpus.document_ids())) == []
    kept = dict(again.query("SELECT document_id, id FROM chunks WHERE document_id <= 3"))
    assert kept == mended, "and is not done twice"


def test_a_large_document_ends_a_step(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehash, "_CHUNKS", 10)
    text = "abcde " * 20
    cut = tuple(Chunk(at, at + 5) for at in range(0, len(text), 6))
    for number in range(4):
        put(db, replace(log(f"/logs/{number}.log", text=text), chunks=cut))
    as_before_0006(db)
    commits = db.state
    assert commits is not None
    rehash.finish(Corpus(db), Embeddings(db))
    assert db.state == commits + 5, "one transaction for each document and one at the end"


def test_what_the_disk_has_changed_is_left_as_it_is(db: Database) -> None:
    corpus = Corpus(db)
    put(db, log("/logs/a.log"))
    put(db, log("/logs/b.log"))
    put(db, log("/logs/c.log"))
    digests = dict(db.query("SELECT id, digest FROM documents"))
    as_before_0006(db)
    with db.write() as connection:
        connection.execute("UPDATE bodies SET text = 'The pump stopped at moon.' WHERE id >> 20 = 1")
        connection.execute("UPDATE bodies SET text = CAST(X'ff' AS TEXT) WHERE id >> 20 = 2")
        connection.executemany(
            "UPDATE documents SET digest = ? WHERE id = ?", [(blob, id) for id, blob in digests.items()][:2]
        )
    rehash.finish(corpus, Embeddings(db))
    assert hashes(db) == {
        "/logs/a.log": [digest_of("")],
        "/logs/b.log": [digest_of("")],
        "/logs/c.log": [digest_of("c.log")],
    }
    assert list(corpus.changed_on_disk()) == [1, 2]
