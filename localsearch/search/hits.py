"""From ranked documents to the hits of a page, with snippets, places and metadata."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import msgspec

from localsearch.checked import moment
from localsearch.filters import path_sql
from localsearch.search.plan import Plan
from localsearch.search.rank import Ranked
from localsearch.search.snippets import Excerpt, snippet, snippet_terms, snippet_words
from localsearch.store import ChunkRow, Corpus, DocumentRow, key_of, path_scope_sql
from localsearch.text import Analyzer
from localsearch.types import Hit, Place

_LOG = logging.getLogger("localsearch.search")


class Presenter:
    """Makes hits to show. Safe to share between threads."""

    def __init__(self, corpus: Corpus, analyzer: Analyzer) -> None:
        self.corpus = corpus
        self.analyzer = analyzer

    def hits(self, plan: Plan, page: list[Ranked], with_scores: bool, notes: list[str]) -> tuple[Hit, ...]:
        """The hits of a page. One that cannot be shown is left out, and told in `notes`."""
        documents = self.corpus.documents(ranked.document_id for ranked in page)
        chunks = self.corpus.chunk_rows(ranked.chunk_id for ranked in page)
        matched = path_sql(plan.filter, "f.path")
        paths = self.corpus.paths_where(documents, *matched) if matched else {}
        keys: dict[int, str] = {}
        if plan.within and plan.within.paths:
            seen = self.corpus.paths_where(documents, *path_scope_sql(plan.within, "f.path"))
            keys = {id: seen[id] for id in seen if documents[id].path != seen[id]}
            paths = seen
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
            if (path := keys.get(document.id)) is not None:
                document = replace(document, key=key_of(path, document.member))
            try:
                cut = snippet(chunk.text, terms, self.analyzer, language=document.language, plain=plain)
                hits.append(_hit(ranked, document, chunk, cut, with_scores))
            except Exception:
                _LOG.exception("document number %d cannot be shown", document.id)
                lost += 1
        if lost:
            notes.append(f"{lost} of the hits cannot be shown; `localsearch check` tells what is damaged.")
        return tuple(hits)


def _hit(ranked: Ranked, document: DocumentRow, chunk: ChunkRow, cut: Excerpt, with_scores: bool) -> Hit:
    place = {name: value for name, value in msgspec.to_builtins(_place(chunk, cut)).items() if value}
    if document.member:
        place["member"] = document.member
    return Hit(
        id=document.key,
        score=round(ranked.score, 6),
        text=chunk.text,
        metadata=metadata_of(document),
        title=document.title,
        path=document.path,
        snippet=cut.text,
        highlights=cut.highlights,
        location={**place, "start": chunk.start, "end": chunk.stop},
        scores={"lexical": ranked.lexical, "semantic": ranked.semantic} if with_scores else None,
        collection=document.collection,
        relevance=None if ranked.relevance is None else round(ranked.relevance, 4),
    )


def _place(chunk: ChunkRow, cut: Excerpt) -> Place:
    """Where the chunk stands; in text with lines, the line of what matched rather than the chunk's first."""
    place = chunk.place
    if place.line is None or place.row is not None:
        return place
    return replace(place, line=place.line + chunk.text.count("\n", 0, cut.anchor))


def metadata_of(document: DocumentRow) -> dict[str, Any]:
    """A document's own metadata, with the columns that every document has beneath it."""
    columns = {
        "type": document.type,
        "language": document.language,
        "author": document.author,
        "size": document.size,
        "created": _iso(document.created),
        "modified": _iso(document.modified),
        "tags": list(document.tags),
    }
    return {**{name: value for name, value in columns.items() if value}, **document.metadata}


def _iso(seconds: float | None) -> str | None:
    known = moment(seconds)
    return None if known is None else known.isoformat(timespec="seconds")
