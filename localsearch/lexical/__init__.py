"""BM25 over passages: Tantivy, or rank-bm25 where Tantivy has no wheel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from localsearch.lexical.query import (
    MOST_TERMS,
    LexicalQuery,
    Phrase,
    QueryTerm,
    analyze_phrase,
    analyze_query,
    inverse_frequency,
)
from localsearch.lexical.stream import term_stream
from localsearch.text import Analyzer

if TYPE_CHECKING:
    from localsearch.lexical.rank_bm25 import RankBM25Index
    from localsearch.lexical.tantivy_index import TantivyIndex

__all__ = [
    "MOST_TERMS",
    "LexicalQuery",
    "Phrase",
    "QueryTerm",
    "analyze_phrase",
    "analyze_query",
    "inverse_frequency",
    "open_lexical",
    "term_stream",
]


def open_lexical(
    engine: Literal["tantivy", "rank-bm25"],
    folder: Path,
    analyzer: Analyzer,
    *,
    writable: bool = True,
    about: float = 1.0,
) -> TantivyIndex | RankBM25Index:
    """Open the lexical index in `folder`, or make an empty one where there is none yet and it may be written.

    `about` is the weight of words about a document beside those of its text; with 0 they are not searched.

    Raises DamagedError when it cannot be used; the caller moves it aside and opens again.
    """
    if engine == "rank-bm25":
        from localsearch.lexical.rank_bm25 import RankBM25Index

        return RankBM25Index(analyzer, about=about)
    from localsearch.lexical.tantivy_index import TantivyIndex

    if writable and not folder.exists():
        return TantivyIndex.create(folder, analyzer, about=about)
    return TantivyIndex.open(folder, analyzer, writable=writable, about=about)
