"""Requests and answers of /v1/embeddings and /v1/models: the shapes of OpenAI's API, for its clients."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from localsearch.server.request_limits import AtMostTexts
from localsearch.server.schemas.base import RequestSchema, ResponseSchema, Text

InputType = Literal["query", "document", "search_query", "search_document", "passage"]


class EmbeddingsRequest(RequestSchema, frozen=True, kw_only=True):
    """A text or several.

    `input_type` and `truncate` are ours: what the texts are, and whether one that is too long is cut. The
    vectors have length 1 and as many dimensions as the model; `user` is ignored.
    """

    input: Annotated[
        Text | Annotated[list[Text | int | list[int]], Meta(min_length=1)],
        AtMostTexts("embedding_texts"),
    ]
    model: Annotated[
        str, Meta(min_length=1, examples=["all-MiniLM-L6-v2"], description="As /v1/models names it.")
    ]
    encoding_format: Annotated[
        Literal["float", "base64"], Meta(description="Numbers, or float32 in little-endian bytes.")
    ] = "float"
    dimensions: Annotated[int, Meta(ge=1, description="Those of the model.")] | None = None
    input_type: Annotated[
        InputType, Meta(description="Some models put another prefix before a query than before a text.")
    ] = "document"
    truncate: Annotated[bool, Meta(description="Leave out what the model does not read.")] = False
    user: str | None = None


class EmbeddingAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The vector of one text."""

    embedding: list[float] | str
    index: int
    object: Literal["embedding"] = "embedding"


class TokensUsed(ResponseSchema, frozen=True, kw_only=True):
    """Tokens that the model read, prefixes and special tokens included."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Vectors in the order of the texts."""

    data: list[EmbeddingAnswer]
    model: str
    usage: TokensUsed
    object: Literal["list"] = "list"


class ModelAnswer(ResponseSchema, frozen=True, kw_only=True):
    """An embedding model that is installed; `created` is when, in seconds since 1970."""

    id: str
    created: int
    dimensions: int
    max_tokens: int
    object: Literal["model"] = "model"
    owned_by: str = "localsearch"


class ModelsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The embedding models that are installed, the one that search uses first."""

    data: list[ModelAnswer]
    object: Literal["list"] = "list"
