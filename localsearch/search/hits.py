"""From ranked documents to the hits of a page, with snippets, places and metadata."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from functools import lru_cache
from typing import Any

import msgspec

from localsearch import days
from localsearch.checked import moment
from localsearch.filters import path_sql
from localsearch.filters.fields import MAIL
from localsearch.search.plan import Plan
from localsearch.search.rank import Ranked
from localsearch.search.readable import readable
from localsearch.search.snippets import Excerpt, snippet, snippet_terms, snippet_words
from localsearch.store import ChunkRow, Corpus, DocumentRow, at_path, file_name, paths_seen
from localsearch.text import Analyzer
from localsearch.types import Hit

NO_FORMS: frozenset[str] = frozenset()
_LOG = logging.getLogger("localsearch.search")


NAME_ALONE = "Only its name is known: "


class Presenter:
    """Makes hits to show. Safe to share between threads."""

    def __init__(self, corpus: Corpus, analyzer: Analyzer) -> None:
        self.corpus = corpus
        self.analyzer = analyzer

    def hits(self, plan: Plan, page: list[Ranked], with_scores: bool, notes: list[str]) -> tuple[Hit, ...]:
        """The hits of a page. One that cannot be shown is left out, and told in `notes`."""
        documents = self._seen(self.corpus.documents(ranked.document_id for ranked in page), plan)
        chunks = self.corpus.chunk_rows(ranked.chunk_id for ranked in page)
        paths = self._asked_for(documents, plan)
        copies = self.corpus.other_paths(
            [id for id, document in documents.items() if document.path], plan.within
        )
        terms = snippet_terms(
            [words for term in plan.words.terms for words in (term.forms, term.stems, *term.apart)]
        )
        plain = snippet_words(plan.words.terms)
        hits, lost = [], 0
        for ranked in page:
            document, chunk = documents.get(ranked.document_id), chunks.get(ranked.chunk_id)
            if not document or not chunk:
                lost += self.corpus.exist([ranked.document_id])
                continue
            if (path := paths.get(document.id)) is not None:
                document = replace(document, path=path)
            elif copies.get(document.id):
                document = self._named_copy(document, copies[document.id], terms | plain.keys())
            try:
                words = plain | dict.fromkeys(self._alike(plan, chunk), NO_FORMS) if plan.patterns else plain
                cut = snippet(chunk.text, terms, self.analyzer, language=document.language, plain=words)
                hits.append(_hit(ranked, document, chunk, cut, with_scores))
            except Exception:
                _LOG.exception("document number %d cannot be shown", document.id)
                lost += 1
        if lost:
            notes.append(f"{lost} of the hits cannot be shown; `localsearch check` tells what is damaged.")
        return tuple(hits)

    def _seen(self, documents: Mapping[int, DocumentRow], plan: Plan) -> Mapping[int, DocumentRow]:
        """The documents by paths that may be seen: copies of a file are one document."""
        if (seen := paths_seen(plan.within)) is None:
            return documents
        paths = self.corpus.paths_where(documents, *seen("f.path"))
        return {id: at_path(document, paths.get(id)) for id, document in documents.items()}

    def _asked_for(self, documents: Iterable[int], plan: Plan) -> Mapping[int, str]:
        """The paths that a filter on paths means."""
        if (matched := path_sql(plan.filter, "f.path")) is None:
            return {}
        clause, values = matched
        if (seen := paths_seen(plan.within)) is not None:
            within, more = seen("f.path")
            clause, values = f"{clause} AND {within}", [*values, *more]
        return self.corpus.paths_where(documents, clause, values)

    def _alike(self, plan: Plan, chunk: ChunkRow) -> Set[str]:
        """The words of a chunk that wild cards stand for; a text is taken apart for them alone."""
        return plan.patterns & self.analyzer.words(chunk.text)

    def _named_copy(self, document: DocumentRow, others: Sequence[str], wanted: Set[str]) -> DocumentRow:
        """The document as the copy of its file whose name holds most of what was asked for."""

        def held(path: str) -> int:
            name = file_name(path, "")
            known = self.analyzer.words(name).union(self.analyzer.terms(name, document.language))
            return len(known & wanted)

        own = document.path or ""
        path = max((own, *others), key=held)
        return replace(at_path(document, path), key=document.key)


def _hit(ranked: Ranked, document: DocumentRow, chunk: ChunkRow, cut: Excerpt, with_scores: bool) -> Hit:
    place = _place(chunk, cut)
    if document.member:
        place["member"] = document.member
    shown, marks = readable(cut.text, cut.highlights, document.type)
    return Hit(
        id=document.key,
        score=round(ranked.score, 6),
        text=chunk.text,
        metadata=metadata_of(document),
        title=document.title,
        path=document.path,
        snippet=f"{NAME_ALONE}{document.left_out}" if document.left_out else shown,
        highlights=marks,
        location={**place, "start": chunk.start, "end": chunk.stop},
        scores={"lexical": ranked.lexical, "semantic": ranked.semantic} if with_scores else None,
        collection=document.collection,
        relevance=None if ranked.relevance is None else round(ranked.relevance, 4),
    )


def _place(chunk: ChunkRow, cut: Excerpt) -> dict[str, Any]:
    """Where the chunk stands; in text with lines, the line of what matched rather than the chunk's first."""
    place = {name: value for name, value in msgspec.to_builtins(chunk.place).items() if value}
    if "line" in place and "row" not in place:
        place["line"] += chunk.text.count("\n", 0, cut.anchor)
    return place


def metadata_of(document: DocumentRow) -> dict[str, Any]:
    """A document's own metadata, with the columns that every document has beneath it."""
    columns = {
        "type": document.type,
        "language": document.language,
        "author": document.author,
        "size": document.size,
        "created": _iso(document.created),
        "modified": _iso(document.modified),
        "date": _iso(document.created) if document.type in MAIL else None,
        "tags": list(document.tags),
        "left_out": document.left_out,
    }
    return {**{name: value for name, value in columns.items() if value}, **document.metadata}


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else _shown(seconds, days.here())


@lru_cache(10_000)
def _shown(seconds: float, here: Hashable) -> str | None:
    known = moment(seconds)
    return None if known is None else days.shown(known).isoformat(timespec="seconds")
