"""Retrievers for frameworks, one file and one extra each: langchain, llama_index, haystack.

Each takes a `Source`: an `Engine` of the program, or a `localsearch.client.Client` of a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Unpack

from localsearch.types import Answer, Hit

if TYPE_CHECKING:
    from localsearch.search import SearchOptions


class Source(Protocol):
    """What is searched: an Engine or a Client."""

    def search(self, query: str = "", **options: Unpack[SearchOptions]) -> Answer: ...


def metadata_of(hit: Hit) -> dict[str, Any]:
    """A hit's metadata with what tells where it is from; these names win over the document's own."""
    told = {
        "id": hit.id,
        "title": hit.title,
        "path": hit.path,
        "collection": hit.collection,
        "score": hit.score,
        "relevance": hit.relevance,
        **{name: value for name, value in hit.location.items() if name != "heading"},
        "heading": " / ".join(hit.location.get("heading", ())),
    }
    return {**hit.metadata, **{name: value for name, value in told.items() if value not in (None, "")}}
