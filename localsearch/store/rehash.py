"""Mending chunks whose hash is not that of the text embedded for them.

Releases before the migration `0006_names` took the hash before a file without a title of its own got its name as
title. The migration notes that all documents of files are to be looked at; `finish` does so when an index is opened,
in durable batches, and goes on where it was cut short.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from localsearch.errors import DamagedError
from localsearch.store.corpus import ChunkRow, Corpus
from localsearch.store.digests import is_as_stored
from localsearch.store.documents import file_name
from localsearch.store.embedded_text import embedded_text, embedding_hash
from localsearch.store.embeddings import Embeddings

_UP_TO = "rehashed up to"
"""The setting that names the last document looked at; it is there while there are more."""
_DOCUMENTS, _CHUNKS = 200, 5000
"""What is mended in one transaction: so many documents looked at, or about so many chunks made anew."""


def finish(corpus: Corpus, embeddings: Embeddings) -> None:
    """Mend what an earlier release stored, if that is not done. What had its right hash keeps its vector.

    Vectors and token bits that no chunk names any more are deleted at the end.
    """
    db = corpus.db
    while (up_to := db.one("SELECT value FROM settings WHERE name = ?", (_UP_TO,))) is not None:
        with db.write() as connection:
            last = _mend_batch(corpus, embeddings, int(up_to))
            if last is not None:
                connection.execute("UPDATE settings SET value = ? WHERE name = ?", (str(last), _UP_TO))
                continue
            embeddings.drop_unused()
            connection.execute("DELETE FROM settings WHERE name = ?", (_UP_TO,))


def wrongly_hashed(corpus: Corpus, document_ids: Iterable[int]) -> Iterator[int]:
    """Those of these documents with a chunk whose hash is not that of its embedded text. Reads all their text."""
    for document_id in document_ids:
        with corpus.db.snapshot():
            titles = [row.title for row in corpus.documents([document_id]).values() if not row.left_out]
            chunks, stored = corpus.chunks(document_id), _stored(corpus, document_id)
        if any(_hashes(chunks, title) != stored for title in titles):
            yield document_id


def rehash(corpus: Corpus, embeddings: Embeddings, document_ids: Iterable[int]) -> None:
    """Make the chunks of these documents anew, with their right hashes; those without a vector become pending."""
    with corpus.db.write():
        for row in corpus.documents(document_ids).values():
            embeddings.expect(corpus.retitle(row.id, row.title))


def _mend_batch(corpus: Corpus, embeddings: Embeddings, up_to: int) -> int | None:
    """Mend some of the documents of files after this one; returns the last looked at, None when there is none."""
    rows = corpus.db.query(
        "SELECT id, title, path, member FROM documents WHERE id > ? AND path IS NOT NULL AND left_out = ''"
        " ORDER BY id LIMIT ?",
        (up_to, _DOCUMENTS),
    )
    last, made = None, 0
    for last, title, path, member in rows:
        try:
            made += _mend(corpus, embeddings, last, title, file_name(path, member))
        except (DamagedError, msgspec.MsgspecError):
            pass  # what the disk has changed is left for `check` to tell
        if made > _CHUNKS:
            break
    return last


def _mend(corpus: Corpus, embeddings: Embeddings, document_id: int, title: str, name: str) -> int:
    """Returns how many chunks were made anew."""
    chunks, stored = corpus.chunks(document_id), _stored(corpus, document_id)
    hashes = _hashes(chunks, title)
    named = _is_named(stored, hashes, _hashes(chunks, ""))
    if named is None:
        named = title == name
    right, made = name if named else title, 0
    with corpus.db.write() as connection:
        if (right != title or hashes != stored) and is_as_stored(connection, document_id):
            chunk_ids = corpus.retitle(document_id, right)
            embeddings.expect(chunk_ids)
            made = len(chunk_ids)
        connection.execute("UPDATE documents SET named = ? WHERE id = ?", (named, document_id))
    return made


def _is_named(stored: Sequence[bytes], titled: Sequence[bytes], untitled: Sequence[bytes]) -> bool | None:
    """Whether a document had no title when its hashes were taken; None where they do not tell."""
    for digest, with_title, without in zip(stored, titled, untitled):
        if with_title != without and digest in (with_title, without):
            return digest == without
    return None


def _stored(corpus: Corpus, document_id: int) -> list[bytes]:
    rows = corpus.db.query("SELECT hash FROM chunks WHERE document_id = ? ORDER BY id", (document_id,))
    return [digest for (digest,) in rows]


def _hashes(chunks: Sequence[ChunkRow], title: str) -> list[bytes]:
    return [embedding_hash(embedded_text(title, chunk.place.heading, chunk.text)) for chunk in chunks]
