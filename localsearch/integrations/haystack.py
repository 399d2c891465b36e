"""A retriever for Haystack. Needs the extra [haystack] (haystack-ai).

Haystack loads a pipeline's file with `allowed_modules=["localsearch.integrations.haystack"]`. It reports its use to its
makers unless HAYSTACK_TELEMETRY_ENABLED=False is set.
"""

from __future__ import annotations

from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict

from localsearch.errors import FilterError, UsageError
from localsearch.integrations import Source, metadata_of

_COMPARISONS = {
    "!=": "$ne",
    ">": "$gt",
    ">=": "$gte",
    "<": "$lt",
    "<=": "$lte",
    "in": "$in",
    "not in": "$nin",
}


@component
class LocalSearchRetriever:
    """Finds passages: `source` is an Engine or a Client; with `url` instead, a Client of that server is made.

    Only one with a `url` can be written into a pipeline's file. `filters` are Haystack's.
    """

    def __init__(
        self,
        source: Source | None = None,
        url: str | None = None,
        top_k: int = 5,
        filters: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        if (source is None) == (url is None):
            raise UsageError("A retriever needs a source or a url.", hint="Give one of them.")
        self.url, self.top_k, self.filters, self.options = url, top_k, filters, options or {}
        self._source = source

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, Any]:
        """The passages for a query, best first; `filters` and `top_k` stand in place of those at the start."""
        source = self._source or self._connected()
        chosen = filters or self.filters
        answer = source.search(
            query, limit=top_k or self.top_k, filters=convert(chosen) if chosen else None, **self.options
        )
        return {
            "documents": [
                Document(id=hit.id, content=hit.text, meta=metadata_of(hit), score=hit.score)
                for hit in answer
            ]
        }

    def _connected(self) -> Source:
        from localsearch.client import Client

        self._source = client = Client(str(self.url))
        return client

    def to_dict(self) -> dict[str, Any]:
        """What a pipeline's file holds. Raises UsageError for a retriever with a source."""
        if self.url is None:
            raise UsageError("A source cannot be written into a file.", hint="Give the retriever a url.")
        return default_to_dict(
            self, url=self.url, top_k=self.top_k, filters=self.filters, options=self.options
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LocalSearchRetriever:
        """The retriever that a pipeline's file holds."""
        made: LocalSearchRetriever = default_from_dict(cls, data)
        return made


def convert(given: dict[str, Any]) -> dict[str, Any]:
    """Haystack's filters as ours. Raises FilterError for an operator that neither has.

    >>> convert({"field": "meta.year", "operator": ">=", "value": 2020})
    {'year': {'$gte': 2020}}
    """
    operator = str(given.get("operator", ""))
    if "conditions" in given:
        parts = [convert(part) for part in given["conditions"]]
        if operator == "NOT":
            return {"$not": {"$and": parts}}
        if operator in ("AND", "OR"):
            return {f"${operator.lower()}": parts}
    elif "field" in given:
        name = str(given["field"]).removeprefix("meta.")
        if operator == "==":
            return {name: given.get("value")}
        if operator in _COMPARISONS:
            return {name: {_COMPARISONS[operator]: given.get("value")}}
    raise FilterError(f"There is no filter operator {operator!r}.", hint="See Haystack's metadata filtering.")
