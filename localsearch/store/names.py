"""Documents and folders by a part of their names, for what is being typed. Capitals make no difference.

Everything is asked of SQLite as LIKE over `files.path`, which an index covers: nothing is kept in memory.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from localsearch.store.corpus import Corpus
from localsearch.store.database import Database
from localsearch.store.documents import DocumentRow, at_path
from localsearch.store.scope import Clause, path_scope_sql, scope_sql
from localsearch.types import Scope

MOST_RANKED = 2000
"""Names of which the best are chosen; where a part is in more names than these, whole names still come first."""
_FILE = "substr(f.path, length(rtrim(f.path, replace(f.path, '/', ''))) + 1)"
"""SQL over `files AS f`: the path behind its last slash."""
_MARKS = (" ", "-", "\\_", ".", "(")
"""What words of names stand between, as LIKE has it."""
_STORED = (
    "(EXISTS (SELECT 1 FROM documents AS d WHERE d.collection = named.collection AND d.key = named.path)"
    " OR EXISTS (SELECT 1 FROM documents AS d WHERE d.content_hash = named.content_hash"
    " AND d.content_hash IS NOT NULL AND d.collection = named.collection AND d.member = ''))"
)
"""SQL over `named`: whether a document was made of the file."""


class Names:
    """Finds by name. Safe to share between threads."""

    def __init__(self, db: Database, corpus: Corpus) -> None:
        self._db, self._corpus = db, corpus

    def documents(self, typed: str, limit: int, scope: Scope | None = None) -> list[DocumentRow]:
        """Documents whose file's name or own title holds every word of `typed`.

        Whole names first, then those that begin with it, then the shortest; those in a scope by their place in it.
        """
        words = typed.split()
        if not words or limit < 1:
            return []
        found: dict[tuple[str, str], DocumentRow] = {}
        for row in self._rows(words, limit, scope):
            found.setdefault((row.collection, row.key), row)
            if len(found) == limit:
                break
        return list(found.values())

    def _rows(self, words: Sequence[str], limit: int, scope: Scope | None) -> Iterator[DocumentRow]:
        for collection, path in self._files(words, scope, whole=True) + self._files(
            words, scope, whole=False
        ):
            row = self._corpus.find(collection, path) or self._corpus.copy_at(collection, path)
            if row is not None:
                yield at_path(row, path)
        yield from self._titled(words, limit, scope)

    def _files(self, words: Sequence[str], scope: Scope | None, *, whole: bool) -> list[tuple[str, str]]:
        """Collection and path of files, best first: those `whole` that are called so, with or without an ending."""
        typed = " ".join(words)
        if whole:
            likely = _any("f.path", f"%/{_like(typed)}", f"%/{_like(typed)}.%")
        else:
            longest = _like(max(words, key=len))
            below, _ = _any("f.path", f"%{longest}%/%")
            likely = _any("f.path", f"%{longest}%")
            twice = _any("f.path", f"%{longest}%/%{longest}%")
            # Not in a folder's name, or there and again behind it: the name itself is cut out for few rows then.
            likely = (
                f"{likely[0]} AND (NOT {below} OR {twice[0]})",
                [*likely[1], *_forms(f"%{longest}%/%"), *twice[1]],
            )
        seen, values = _files_of(scope)
        named = [_any("name", f"%{_like(word)}%") for word in words]
        ranked, ranks = _rank("name", typed)
        rows = self._db.query(
            f"WITH named AS MATERIALIZED (SELECT f.collection, f.path, {_FILE} AS name, f.content_hash FROM files AS f"
            f" WHERE {likely[0]} AND f.rule <> 'secret' AND {seen} LIMIT {MOST_RANKED})"
            f" SELECT collection, path FROM named WHERE {' AND '.join(sql for sql, _ in named)} AND {_STORED}"
            f" ORDER BY {ranked}, length(name), path LIMIT 50",
            [*likely[1], *values, *(one for _, forms in named for one in forms), *ranks],
        )
        return [(collection, path) for collection, path in rows]

    def _titled(self, words: Sequence[str], limit: int, scope: Scope | None) -> list[DocumentRow]:
        """Documents by a title of their own, or one that a program gave them."""
        parts = [_any("d.title", f"%{_like(word)}%") for word in words]
        seen, values = scope_sql(scope) if scope else ("1", [])
        ranked, ranks = _rank("title", " ".join(words))
        rows = self._db.query(
            "WITH titled AS MATERIALIZED (SELECT d.collection, d.key, d.title FROM documents AS d WHERE"
            f" {' AND '.join(sql for sql, _ in parts)} AND NOT d.named AND {seen} LIMIT {MOST_RANKED})"
            f" SELECT collection, key FROM titled ORDER BY {ranked}, length(title), key LIMIT ?",
            [*(one for _, forms in parts for one in forms), *values, *ranks, limit],
        )
        found = (self._corpus.find(collection, key) for collection, key in rows)
        return [self._seen(row, scope) for row in found if row is not None]

    def _seen(self, row: DocumentRow, scope: Scope | None) -> DocumentRow:
        """The document by a copy of its file that may be seen."""
        tops = scope.paths if scope else ()
        if (
            not tops
            or row.path is None
            or any(f"{row.path}/".startswith(f"{top.rstrip('/')}/") for top in tops)
        ):
            return row
        others = self._corpus.other_paths([row.id], scope).get(row.id, [])
        return at_path(row, others[0]) if others else row

    def folders(self, typed: str, limit: int, tops: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Collection and path of folders whose name holds `typed`, the shortest name first.

        `tops` are the collections and paths of the folders to look in, themselves included.
        """
        typed = typed.strip()
        if not typed or "/" in typed:
            return []
        found = [one for top in tops for one in self._below(typed, *top)]
        found.sort(key=lambda one: (len(name := one[1].rpartition("/")[2]), name.casefold(), one))
        return list(dict.fromkeys(found))[:limit]

    def _below(self, typed: str, collection: str, top: str) -> list[tuple[str, str]]:
        above = len(top.rpartition("/")[0]) + 1
        below = top.rstrip("/") + "/"
        found = []
        for form in dict.fromkeys(_ascii_lower(one) for one in _forms(typed)):
            rows = self._db.query(
                "WITH parts AS (SELECT f.path, instr(lower(substr(f.path, ?)), ?) AS at FROM files AS f"
                " WHERE f.path >= ? AND f.path < ? AND f.path LIKE ? ESCAPE '\\' AND f.collection = ?"
                " AND f.state <> 'skipped')"
                " SELECT DISTINCT substr(path, 1, ? + at - 2 + instr(substr(path, ? + at - 1), '/'))"
                " FROM parts WHERE at > 0 AND instr(substr(path, ? + at - 1), '/') > 1 LIMIT 200",
                (
                    above + 1,
                    form,
                    below,
                    below[:-1] + "0",
                    f"%{_like(typed if form.isascii() else form)}%/%",
                    collection,
                    above,
                    above + 1,
                    above + 1,
                ),
            )
            found += [(collection, path.rstrip("/")) for (path,) in rows]
        return found


def _files_of(scope: Scope | None) -> Clause:
    """The files that may be seen, over `files AS f`."""
    clauses, values = ["1"], list[Any]()
    if scope and scope.collections:
        clauses.append(f"f.collection IN ({','.join('?' * len(scope.collections))})")
        values += scope.collections
    if scope and scope.paths:
        sql, paths = path_scope_sql(scope, "f.path")
        clauses.append(sql)
        values += paths
    return " AND ".join(clauses), values


def _rank(column: str, typed: str) -> Clause:
    """SQL that is smaller the better a name is: itself, with an ending, its first word, begun by it, with a
    word begun by it."""
    part = _like(typed)
    ways = (
        (part,),
        (f"{part}.%",),
        tuple(f"{part}{mark}%" for mark in _MARKS),
        (f"{part}%",),
        tuple(f"%{mark}{part}%" for mark in _MARKS),
    )
    values = list[Any]()
    cases = ""
    for rank, patterns in enumerate(ways):
        sql, forms = _any(column, *patterns)
        cases += f" WHEN {sql} THEN {rank}"
        values += forms
    return f"CASE{cases} ELSE {len(ways)} END", values


def _any(column: str, *patterns: str) -> Clause:
    forms = [form for pattern in patterns for form in _forms(pattern)]
    return "(" + " OR ".join([f"{column} LIKE ? ESCAPE '\\'"] * len(forms)) + ")", forms


def _forms(text: str) -> list[str]:
    """A text in the ways in which names are written: SQLite's LIKE ignores the case of ASCII alone."""
    if text.isascii():
        return [text]
    cased = (text, text.lower(), text.upper(), text.title())
    return list(dict.fromkeys(unicodedata.normalize(way, one) for one in cased for way in ("NFC", "NFD")))


def _ascii_lower(text: str) -> str:
    return "".join(character.lower() if character.isascii() else character for character in text)


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
