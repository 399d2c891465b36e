"""Retrievers in the real frameworks, over an engine and over a client of a server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest
from serving import Served

from localsearch.client import Client
from localsearch.errors import FilterError, UsageError

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"


@pytest.fixture(params=["engine", "client"])
def source(request: pytest.FixtureRequest, served: Served) -> Iterator[Any]:
    if request.param == "engine":
        yield served.engine
    else:
        with Client(served.url) as client:
            yield client


def test_langchain(source: Any) -> None:
    pytest.importorskip("langchain_core", reason="the extra [langchain] is not installed")
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import RunnablePassthrough

    from localsearch.integrations.langchain import LocalSearchRetriever

    retriever = LocalSearchRetriever(source=source, limit=2, options={"mode": "lexical"})
    found = retriever.invoke("kiln cool")
    assert [document.id for document in found] == ["kiln", "glaze"]
    assert found[0].page_content.startswith("Let the kiln cool for a whole day")
    assert (found[0].metadata["title"], found[0].metadata["year"]) == ("Kiln", 2020)
    assert [document.id for document in asyncio.run(retriever.ainvoke("kiln cool"))] == ["kiln", "glaze"]
    assert [d.id for d in retriever.invoke("kiln", filters={"year": 2021})] == ["glaze"]

    def joined(documents: list[Any]) -> str:
        return " ".join(document.page_content for document in documents)

    prompt = ChatPromptTemplate.from_template("Answer from {context}: {question}")
    chain = {"context": retriever | joined, "question": RunnablePassthrough()} | prompt
    assert "Let the kiln cool" in chain.invoke("kiln cool").to_string()


def test_llama_index(source: Any) -> None:
    pytest.importorskip("llama_index.core", reason="the extra [llama-index] is not installed")
    from llama_index.core.llms import MockLLM
    from llama_index.core.postprocessor import SimilarityPostprocessor
    from llama_index.core.query_engine import RetrieverQueryEngine
    from llama_index.core.response_synthesizers import get_response_synthesizer

    from localsearch.integrations.llama_index import LocalSearchRetriever

    retriever = LocalSearchRetriever(source, limit=2, mode="lexical")
    found = retriever.retrieve("kiln cool")
    assert [node.node.node_id for node in found] == ["kiln", "glaze"]
    assert found[0].score > found[1].score > 0
    assert found[0].node.metadata["year"] == 2020
    assert [node.node.node_id for node in asyncio.run(retriever.aretrieve("kiln cool"))] == ["kiln", "glaze"]
    kept = SimilarityPostprocessor(similarity_cutoff=found[0].score).postprocess_nodes(found)
    assert [node.node.node_id for node in kept] == ["kiln"]
    synthesizer = get_response_synthesizer(llm=MockLLM(), response_mode="compact")
    answer = RetrieverQueryEngine(retriever, response_synthesizer=synthesizer).query("kiln cool")
    assert [node.node.node_id for node in answer.source_nodes] == ["kiln", "glaze"]


def test_haystack(source: Any) -> None:
    pytest.importorskip("haystack", reason="the extra [haystack] is not installed")
    from haystack import Pipeline
    from haystack.components.builders import PromptBuilder

    from localsearch.integrations.haystack import LocalSearchRetriever

    retriever = LocalSearchRetriever(source, top_k=2, options={"mode": "lexical"})
    assert [document.id for document in retriever.run("kiln cool")["documents"]] == ["kiln", "glaze"]
    pipeline = Pipeline()
    pipeline.add_component("retriever", retriever)
    pipeline.add_component("prompt", PromptBuilder("{% for d in documents %}{{ d.content }}{% endfor %}"))
    pipeline.connect("retriever.documents", "prompt.documents")
    filters = {"operator": "AND", "conditions": [{"field": "meta.year", "operator": ">", "value": 2020}]}
    shown = pipeline.run({"retriever": {"query": "kiln", "filters": filters}})["prompt"]["prompt"]
    assert "celadon" in shown
    assert "Let the kiln cool" not in shown
    with pytest.raises(UsageError):
        retriever.to_dict()


def test_a_haystack_pipeline_from_its_file(served: Served) -> None:
    pytest.importorskip("haystack", reason="the extra [haystack] is not installed")
    from haystack import Pipeline

    from localsearch.integrations.haystack import LocalSearchRetriever

    pipeline = Pipeline()
    pipeline.add_component(
        "retriever", LocalSearchRetriever(url=served.url, top_k=1, options={"mode": "lexical"})
    )
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["localsearch.integrations.haystack"])
    found = again.run({"retriever": {"query": "kiln cool"}})["retriever"]["documents"]
    assert [document.id for document in found] == ["kiln"]


@pytest.mark.parametrize(
    ("operator", "value", "ids"),
    [
        ("==", 2021, {"glaze"}),
        ("!=", 2021, {"kiln", "bread", "bees", "tide"}),
        (">=", 2023, {"bees", "tide"}),
        ("in", [2020, 2024], {"kiln", "tide"}),
        ("not in", [2020, 2024], {"glaze", "bread", "bees"}),
    ],
)
def test_haystack_filters_mean_the_same(served: Served, operator: str, value: object, ids: set[str]) -> None:
    pytest.importorskip("haystack", reason="the extra [haystack] is not installed")
    from localsearch.integrations.haystack import convert

    one = convert({"field": "meta.year", "operator": operator, "value": value})
    words = "kiln glaze rye bees tides"
    found = served.engine.search(words, mode="lexical", limit=9, filters=one)
    assert {hit.id for hit in found} == ids
    refused = convert(
        {"operator": "NOT", "conditions": [{"field": "year", "operator": operator, "value": value}]}
    )
    other = served.engine.search(words, mode="lexical", limit=9, filters=refused)
    assert {hit.id for hit in other} == {"kiln", "glaze", "bread", "bees", "tide"} - ids
    with pytest.raises(FilterError):
        convert({"field": "year", "operator": "~", "value": 1})
