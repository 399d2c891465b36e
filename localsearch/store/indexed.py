"""What the word index is told of a document: of one that is stored, and of one that will be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from localsearch.store.documents import DocumentColumns, NewDocument, file_name, words_about
from localsearch.types import IndexedChunk, Place

Piece = tuple[int, Place, str]
"""The id of a chunk, its place and its text."""


def new_indexed(document: NewDocument) -> Iterator[IndexedChunk]:
    """What the word index will be told once the document is stored, without ids, and without copies of its file."""
    text = document.text
    pieces = ((0, chunk.place, text[chunk.start : chunk.end]) for chunk in document.chunks)
    return indexed(document, document.stored_title, 0, pieces)


def indexed(
    document: DocumentColumns, title: str, id: int, pieces: Iterable[Piece], copies: Sequence[str] = ()
) -> Iterator[IndexedChunk]:
    """What the word index is told of a document with this title and id; `copies` are further paths of its file."""
    path = document.key if document.path is None else document.path + document.member
    lines = [*words_about(document), *(file_name(copy, "") for copy in copies)]
    if document.left_out:
        title, path, lines = "", "", [document.key]
    about = "\n".join(lines)
    for chunk_id, place, text in pieces:
        yield IndexedChunk(
            chunk_id, id, title, " / ".join(place.heading), text, path, document.language, about
        )
        about = ""
