"""A retriever for LangChain. Needs the extra [langchain] (langchain-core)."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from localsearch.integrations import metadata_of


class LocalSearchRetriever(BaseRetriever):
    """Finds passages: `source` is an Engine or a Client, `options` are those of its `search`, filters among them.

    `ainvoke` searches in a thread, as `BaseRetriever` does for retrievers that block.
    """

    source: Any
    limit: int = 5
    options: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies it

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun | None = None, **more: Any
    ) -> list[Document]:
        answer = self.source.search(query, **{"limit": self.limit, **self.options, **more})
        return [Document(id=hit.id, page_content=hit.text, metadata=metadata_of(hit)) for hit in answer]
