"""The encoder for other programs, as clients of OpenAI's API ask for it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from localsearch.engine.encoders import TextKind
from localsearch.errors import CancelledError, NotFoundError, UnavailableError
from localsearch.models import Card
from localsearch.server.operations import Call, Operation
from localsearch.server.schemas.embeddings import (
    EmbeddingAnswer,
    EmbeddingsAnswer,
    EmbeddingsRequest,
    InputType,
    ModelAnswer,
    ModelsAnswer,
    TokensUsed,
)
from localsearch.server.service import Service
from localsearch.types import Vectors

_KINDS: Mapping[InputType, TextKind] = {
    "query": "query",
    "search_query": "query",
    "document": "document",
    "search_document": "document",
    "passage": "document",
}


def embeddings(service: Service, call: Call) -> EmbeddingsAnswer:
    """Encode texts; searches go first."""
    asked: EmbeddingsRequest = call.body
    texts = [asked.input] if isinstance(asked.input, str) else [str(text) for text in asked.input]
    try:
        found = service.engine.encoders.embed(
            texts,
            kind=_KINDS[asked.input_type],
            model=asked.model,
            dimensions=asked.dimensions,
            truncate=asked.truncate,
            cancelled=service.stopping.is_set,
        )
    except CancelledError:
        raise UnavailableError("The server is stopping.", hint="Ask again when it is back.") from None
    written = _base64 if asked.encoding_format == "base64" else _floats
    data = [EmbeddingAnswer(embedding=written(row), index=at) for at, row in enumerate(found.vectors)]
    used = TokensUsed(prompt_tokens=found.tokens, total_tokens=found.tokens)
    return EmbeddingsAnswer(data=data, model=found.model, usage=used)


def _floats(row: Vectors) -> list[float] | str:
    numbers: list[float] = row.tolist()
    return numbers


def _base64(row: Vectors) -> list[float] | str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


def models(service: Service, call: Call) -> ModelsAnswer:
    """The models that /v1/embeddings takes."""
    return ModelsAnswer(data=[_model(service, card) for card in service.engine.encoders.cards()])


def model(service: Service, call: Call) -> ModelAnswer:
    """One of them."""
    name = call.path["id"]
    for card in service.engine.encoders.cards():
        if card.name == name:
            return _model(service, card)
    raise NotFoundError(f"There is no embedding model {name!r} here.", hint="See /v1/models.", param="model")


def _model(service: Service, card: Card) -> ModelAnswer:
    created = int(service.engine.models.installed_at(card.name))
    return ModelAnswer(id=card.name, created=created, dimensions=card.dimensions, max_tokens=card.max_tokens)


OPERATIONS = (
    Operation(
        "POST",
        "/v1/embeddings",
        "Vectors of texts, as clients of OpenAI's API ask for them.",
        embeddings,
        body=EmbeddingsRequest,
        answer=EmbeddingsAnswer,
        large=True,
        limited=True,
        tag="embeddings",
    ),
    Operation(
        "GET",
        "/v1/models",
        "The embedding models that are installed.",
        models,
        answer=ModelsAnswer,
        limited=True,
        tag="embeddings",
    ),
    Operation(
        "GET", "/v1/models/{id:id}", "One of them.", model, answer=ModelAnswer, limited=True, tag="embeddings"
    ),
)
