"""Reading documents whole or in part, by id, path or pattern, within what may be seen.

The command line, the HTTP server and the MCP server all read through `Reader`, so that a name, a range of lines and a
budget mean the same everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from localsearch.engine.names import within_collection
from localsearch.engine.parts import bounds, place_at
from localsearch.errors import ConflictError, FilterError, NotFoundError
from localsearch.filters import path_filter, to_sql
from localsearch.scan import display
from localsearch.store import Corpus, DocumentRow, Ledger, at_path, paths_seen, scope_sql
from localsearch.types import Document, Documents, Part, Scope

WHOLE = Part()
MOST_DOCUMENTS = 1000
"""Documents that one pattern may name."""
_COLUMNS = {field.name for field in fields(Document)} & {field.name for field in fields(DocumentRow)} - {"id"}
_NAMED = 10
"""Ids that an error lists."""


class Reader:
    """Reads the documents of an index. Safe to share between threads."""

    def __init__(self, corpus: Corpus, ledger: Ledger) -> None:
        self._corpus = corpus
        self._ledger = ledger

    def read(
        self, name: str, part: Part = WHOLE, *, collection: str | None = None, within: Scope | None = None
    ) -> Document:
        """A document by its id, its path, or its path below an indexed folder.

        Raises NotFoundError where there is none that may be seen, ConflictError for a name of several, PartError for
        a part that it has not.
        """
        return self._cut(self._one(name, collection, within), part)

    def _cut(self, row: DocumentRow, part: Part) -> Document:
        corpus = self._corpus
        length, places = corpus.length(row.id), corpus.places(row.id)
        if part.at is not None:
            start = max(0, part.at - part.chars // 2)
            stop = max(start, min(start + part.chars, length))
        elif part.lines is None and part.pages is None:
            start, stop = 0, length
        else:
            start, stop = bounds(part, corpus.text(row.id), places)
        end = stop if part.most is None else min(stop, start + part.most)
        return Document(
            id=row.key,
            **{name: getattr(row, name) for name in _COLUMNS},
            text=corpus.text(row.id, start, end) if end > start else "",
            start=start,
            stop=end,
            length=length,
            more=end < (length if part.at is not None else stop),
            location=place_at(start, places, lambda a, b: corpus.text(row.id, a, b)),
        )

    def read_many(
        self,
        names: Sequence[str],
        *,
        collection: str | None = None,
        within: Scope | None = None,
        each: int | None = None,
        budget: int | None = None,
    ) -> Documents:
        """Documents by id, path or pattern with `*` and `?`, as `path:` takes it: at most `each` characters of each,
        `budget` of all.

        What the budget has no room for is named in `left_out`, and never cut to nothing.
        """
        found: list[Document] = []
        missing: list[str] = []
        left_out: list[str] = []
        seen: set[tuple[str, str]] = set()
        left, more = budget, False
        for name in names:
            rows = self._matching(name, collection, within)
            more = more or len(rows) > MOST_DOCUMENTS
            if not rows:
                missing.append(name)
            for row in rows[:MOST_DOCUMENTS]:
                if (row.collection, row.key) in seen:
                    continue
                seen.add((row.collection, row.key))
                room = min((one for one in (each, left) if one is not None), default=None)
                if room is not None and room <= 0:
                    left_out.append(row.key)
                    continue
                document = self._cut(row, Part(most=room))
                left = None if left is None else left - len(document.text)
                found.append(document)
        return Documents(tuple(found), tuple(missing), tuple(left_out), more)

    def recent(self, limit: int, *, within: Scope | None = None) -> list[DocumentRow]:
        """Documents that were read from files, those first whose files changed last."""
        where, values = scope_sql(within) if within else ("1", [])
        rows = self._corpus.latest(f"d.path IS NOT NULL AND d.left_out = '' AND {where}", values, limit)
        return [self._seen(row, within) for row in rows]

    def _matching(self, name: str, collection: str | None, within: Scope | None) -> list[DocumentRow]:
        """The documents that a name or a pattern stands for, by path; one more than may be, where there are more."""
        if exact := list(self._named(name, collection, within)):
            return exact
        wheres, values = ["d.key GLOB ?"], [name]
        with suppress(FilterError):  # what is no pattern of paths may still be one of ids
            clause, more = to_sql(path_filter(name), paths_seen(within))
            wheres.append(clause)
            values += more
        where = f"({' OR '.join(wheres)})"
        if collection:
            where, values = f"{where} AND d.collection = ?", [*values, collection]
        if within:
            clause, more = scope_sql(within)
            where, values = f"{where} AND {clause}", [*values, *more]
        return [self._seen(row, within) for row in self._corpus.rows(where, values, MOST_DOCUMENTS + 1)]

    def _one(self, name: str, collection: str | None, within: Scope | None) -> DocumentRow:
        rows = list(self._named(name, collection, within))
        if len(rows) == 1:
            return rows[0]
        if not rows:
            where = within_collection(collection)
            raise NotFoundError(
                f"There is no document {name!r}{where}.", hint="Ids are as search gives them."
            )
        names = {row.collection for row in rows}
        if len(names) == len(rows):
            raise ConflictError(
                f"{name!r} is in {len(rows)} collections.", hint=f"Name one of: {', '.join(sorted(names))}."
            )
        listed = ", ".join(row.key for row in rows[:_NAMED]) + (", …" if len(rows) > _NAMED else "")
        raise ConflictError(f"{name!r} holds {len(rows)} documents.", hint=f"Name one of: {listed}")

    def _named(self, name: str, collection: str | None, within: Scope | None) -> Iterator[DocumentRow]:
        """Every document with this id or, failing that, read from the file with this path."""
        collections = [collection] if collection else self._corpus.collections(within)
        rows = [row for one in collections if (row := self._corpus.find(one, name))]
        visible = [self._seen(row, within) for row in rows if self._corpus.holds(within, row.id)]
        if visible:
            yield from visible
            return
        for path in self._paths(name):
            found = [row for row in self._of_file(path, collections) if self._corpus.holds(within, row.id)]
            if found:
                yield from (self._seen(row, within) for row in found)
                return

    def _paths(self, name: str) -> Iterator[str]:
        """What a name may mean as a path: itself from here, or below a folder that was indexed."""
        if not name or "\0" in name:
            return
        try:
            yield display(os.fsencode(os.path.abspath(Path(name).expanduser())))
        except (OSError, RuntimeError, UnicodeError):
            pass
        if not name.startswith("/"):
            for _, root, _ in self._ledger.roots():
                yield f"{root.rstrip('/')}/{name}"

    def _of_file(self, path: str, collections: Sequence[str]) -> Iterator[DocumentRow]:
        """The documents read from a file, or from one member of it named after `!/`; copies share theirs."""
        file, _, member = path.partition("!/")
        for row in self._ledger.at(file):
            if row.collection not in collections:
                continue
            if row.content_hash is None:  # only its name is known
                if not member and (named := self._corpus.find(row.collection, file)):
                    yield named
                continue
            for document in self._corpus.by_content(row.collection, row.content_hash):
                if not member or document.member == member:
                    yield document

    def _seen(self, row: DocumentRow, within: Scope | None) -> DocumentRow:
        """The document by a path under which it may be seen: copies of a file are one document."""
        if (seen := paths_seen(within)) is None:
            return row
        return at_path(row, self._corpus.paths_where([row.id], *seen("f.path")).get(row.id))
