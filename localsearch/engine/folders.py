"""The folders that were indexed: what is in them, how fresh that is, and what of them is left out.

The command line and the server manage folders through `Folders`, so that both mean the same by it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localsearch.engine.names import meanings, within_collection
from localsearch.errors import NotFoundError
from localsearch.indexing import Indexer
from localsearch.scan import path_of, raw_of
from localsearch.store import Corpus, DocumentRow, Ledger, Names
from localsearch.types import Scope

_WATCHED = "watched"
_MOST_KEPT = 1000
"""Folders whose counts are kept."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder, or a file, that was indexed by its own name.

    `files` counts those indexed, skipped and failed, `noted` the indexed ones that could not be read whole.
    `checked` is when it was last looked through as a whole, `changed` when a document of it was last stored, in
    seconds since 1970. A `held` one came with a backup and is not read; a `missing` one cannot be reached now.
    """

    path: str
    collection: str
    documents: int
    files: Mapping[str, int]
    noted: int
    checked: float | None
    changed: float | None
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    held: bool
    missing: bool


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A folder that is in the index no more, and how many files that had been read were dropped with it."""

    path: str
    collection: str
    files: int


@dataclass(frozen=True, slots=True)
class _Counts:
    """What of a folder is counted, each a walk over the index."""

    documents: int
    files: Mapping[str, int]
    noted: int
    changed: float | None


class Folders:
    """Lists and changes the roots of an index. Safe to share between threads."""

    def __init__(self, corpus: Corpus, ledger: Ledger, indexer: Indexer) -> None:
        self._corpus, self._ledger, self._indexer = corpus, ledger, indexer
        self._names = Names(corpus.db, corpus)
        self._counted: tuple[int | None, dict[Scope, _Counts]] = (None, {})

    def listed(self, within: Scope | None = None) -> list[Folder]:
        """Every folder by path; of one that is seen in part, the parts that are."""
        return [self._folder(*one) for one in self._seen(within)]

    def _seen(self, within: Scope | None) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Collection, path and options of every folder, or of the parts of it that may be seen."""
        for collection, path, how in self._ledger.roots():
            if not (within and within.collections) or collection in within.collections:
                yield from ((collection, part, how) for part in _parts(path, within))

    def named(self, typed: str, limit: int, within: Scope | None = None) -> list[tuple[str, str]]:
        """Collection and path of folders in the index, at any depth, whose name holds what was typed."""
        tops = [(collection, path) for collection, path, _ in self._seen(within)]
        return self._names.folders(typed, limit, tops)

    def documents_named(self, typed: str, limit: int, within: Scope | None = None) -> list[DocumentRow]:
        """Documents whose file's name or own title holds every word that was typed, whole names first."""
        return self._names.documents(typed, limit, within)

    def _folder(self, collection: str, path: str, how: Mapping[str, Any]) -> Folder:
        counts = self._counts(Scope((collection,), (path,)))
        return Folder(
            path=path,
            collection=collection,
            documents=counts.documents,
            files=counts.files,
            noted=counts.noted,
            checked=checked if isinstance(checked := how.get("checked"), float) else None,
            changed=counts.changed,
            include=tuple(how.get("include", ())),
            exclude=tuple(how.get("exclude", ())),
            held=bool(how.get("held")),
            missing=not os.path.exists(path_of(raw_of(path))),
        )

    def _counts(self, scope: Scope) -> _Counts:
        """What a scope holds, counted once for each state of the index."""
        state = self._corpus.db.state
        if state is None or self._counted[0] != state:
            self._counted = (state, {})
        kept = self._counted[1]
        if (counts := kept.get(scope)) is None:
            counts = _Counts(
                documents=sum(self._corpus.tally("collection", scope).values()),
                files=self._ledger.counts(scope),
                noted=self._ledger.noted_count(scope),
                changed=self._corpus.changed(scope),
            )
            if len(kept) < _MOST_KEPT:
                kept[scope] = counts
        return counts

    def find(self, name: str, collection: str) -> str:
        """The path of a folder that was indexed, as the ledger shows it. Raises NotFoundError for any other."""
        known = [path for one, path, _ in self._ledger.roots() if one == collection]
        for path in meanings(name):
            if (path.rstrip("/") or "/") in known:
                return path.rstrip("/") or "/"
        where = within_collection(collection)
        if not known:
            raise NotFoundError(
                f"No folder was added{where}, so {name} is none of them.",
                hint="`localsearch folders list` shows the folders of all collections.",
            )
        raise NotFoundError(
            f"{name} is not one of the folders that were added{where}.",
            hint=f"These were: {', '.join(known)}.",
        )

    def forget(self, name: str, collection: str) -> Forgotten:
        """Drop a folder and what was read from it; its files stay, and so does what another folder holds of it.

        What was dropped is not found any more. Its bytes leave the home folder with `purge`, or as space is used again.
        """
        path = self.find(name, collection)
        return Forgotten(path, collection, self._indexer.forget(path_of(raw_of(path)), collection))

    def set_patterns(
        self, name: str, collection: str, *, include: Sequence[str], exclude: Sequence[str]
    ) -> str:
        """Keep which files of a folder are taken and left out, from its next look-through on; returns its path."""
        path = self.find(name, collection)
        how = next(how for one, root, how in self._ledger.roots() if (one, root) == (collection, path))
        patterns = {"include": list(include), "exclude": list(exclude)}
        self._ledger.put_root(collection, path, how | patterns)
        return path

    @property
    def watched(self) -> bool:
        """Whether somebody has asked that servers keep folders current as they change."""
        return self._ledger.remembered(_WATCHED) == "1"

    def watch(self, wanted: bool) -> None:
        """Say whether a server keeps folders current from now on."""
        self._ledger.remember(_WATCHED, "1" if wanted else "0")


def _parts(path: str, within: Scope | None) -> Iterator[str]:
    """What a scope shows of a folder: all of it, parts below it, or nothing."""
    if not within or not within.paths:
        yield path
        return
    for seen in within.paths:
        if _below(path, seen):
            yield path
            return
    yield from (seen for seen in within.paths if _below(seen, path))


def _below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")
