"""A retriever for LlamaIndex. Needs the extra [llama-index] (llama-index-core)."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from localsearch.integrations import Source, metadata_of


class LocalSearchRetriever(BaseRetriever):
    """Finds passages: `source` is an Engine or a Client, `options` are those of its `search`, filters among them."""

    def __init__(self, source: Source, limit: int = 5, **options: Any) -> None:
        self._source = source
        self._options = {"limit": limit, **options}
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        answer = self._source.search(query_bundle.query_str, **self._options)
        return [
            NodeWithScore(
                node=TextNode(id_=hit.id, text=hit.text, metadata=metadata_of(hit)), score=hit.score
            )
            for hit in answer
        ]
