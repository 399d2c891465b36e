"""/v1/embeddings and /v1/models, asked by the official client of OpenAI's API and by hand."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from golden.tiny_bert import Tiny, make
from serving import Served, notes, serving, settings_at

from localsearch.engine import Engine
from localsearch.models.encoder import OnnxEncoder
from localsearch.server.database import ServiceDatabase
from localsearch.server.keys import Keys
from localsearch.settings import LimitSettings, ModelSettings, Settings

if TYPE_CHECKING:
    import openai

MODEL = "all-MiniLM-L6-v2"
TEXTS = ["Let the kiln cool for a day.", "Öfen aus Lehm 窯", "Bees gather propolis."]


def client_of(served: Served, key: str = "none") -> openai.OpenAI:
    import openai

    return openai.OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0)


@pytest.fixture(scope="module")
def client(sample: Served) -> Iterator[openai.OpenAI]:
    with client_of(sample) as one:
        yield one


def test_the_official_client_gets_the_vectors_of_the_index(
    client: openai.OpenAI, encoder: OnnxEncoder
) -> None:
    found = client.embeddings.create(model=MODEL, input=TEXTS)  # asks for base64 on its own
    assert [one.index for one in found.data] == [0, 1, 2]
    vectors = np.array([one.embedding for one in found.data], np.float32)
    np.testing.assert_array_equal(vectors, encoder.encode_documents(TEXTS))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert found.model == MODEL
    tokens = sum(encoder.count_tokens(TEXTS)) + 2 * len(TEXTS)
    assert (found.usage.prompt_tokens, found.usage.total_tokens) == (tokens, tokens)


def test_numbers_and_bytes_are_the_same_vector(client: openai.OpenAI, sample: Served) -> None:
    plain = client.embeddings.create(model=MODEL, input=TEXTS[0], encoding_format="float").data[0].embedding
    body = {"model": MODEL, "input": TEXTS[0], "encoding_format": "base64", "user": "me"}
    coded = sample.client.post("/v1/embeddings", json=body).json()["data"][0]
    assert coded["object"] == "embedding"
    np.testing.assert_array_equal(
        np.frombuffer(base64.b64decode(coded["embedding"]), "<f4"), np.array(plain, np.float32)
    )


def test_models_are_listed_and_found_by_name(client: openai.OpenAI, sample: Served) -> None:
    import openai

    (model,) = client.models.list().data
    assert (model.id, model.object, model.owned_by) == (MODEL, "model", "localsearch")
    assert model.created == int((sample.engine.models.folder / MODEL / "model.json").stat().st_mtime)
    assert client.models.retrieve(MODEL).model_dump() == model.model_dump()
    assert model.model_dump()["dimensions"] == 384
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("gpt-5/mini")
    assert raised.value.code == "model_not_found"


@pytest.fixture(scope="module")
def prefixed(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Iterator[Served]:
    """A server whose one model wants a prefix before queries and texts."""
    home = tmp_path_factory.mktemp("prefixed") / "home"
    folder = home.parent / "models" / "asym"
    shutil.copytree(model_folder / MODEL, folder)
    manifest = folder / "model.json"
    text = manifest.read_text().replace(f'"name": "{MODEL}"', '"name": "asym"')
    text = text.replace('"query_prefix": ""', '"query_prefix": "query: "')
    manifest.write_text(text.replace('"document_prefix": ""', '"document_prefix": "passage: "'))
    settings = replace(settings_at(home), models=home.parent / "models")
    with Engine.open(settings=settings) as engine, serving(engine, settings) as one:
        yield one


@pytest.mark.parametrize(
    ("input_type", "prefix"),
    [
        ({}, "passage: "),
        ({"input_type": "document"}, "passage: "),
        ({"input_type": "passage"}, "passage: "),
        ({"input_type": "search_document"}, "passage: "),
        ({"input_type": "query"}, "query: "),
        ({"input_type": "search_query"}, "query: "),
    ],
)
def test_the_kind_of_a_text_chooses_its_prefix(
    prefixed: Served, encoder: OnnxEncoder, input_type: dict[str, Any], prefix: str
) -> None:
    found = client_of(prefixed).embeddings.create(model="asym", input=TEXTS[:2], extra_body=input_type)
    wanted = encoder.encode_documents([prefix + text for text in TEXTS[:2]])
    np.testing.assert_array_equal(np.array([one.embedding for one in found.data], np.float32), wanted)
    assert found.usage.total_tokens == sum(encoder.count_tokens([prefix + text for text in TEXTS[:2]])) + 4


REFUSED = [
    ({"input": [101, 7592, 102]}, "input", "token ids"),
    ({"input": [[101, 7592, 102]]}, "input", "check_embedding_ctx_length"),
    ({"input": []}, "input", "length >= 1"),
    ({"input": ""}, "input", "Expected text that is not empty"),
    ({"input": ["kiln", " \n"]}, "input", "Expected text that is not empty"),
    ({"input": [f"text {n}" for n in range(2049)]}, "input", "at most 2048 texts"),
    ({"input": ["kiln", "word " * 300]}, "input", "Text 1 has 302 tokens, and all-MiniLM-L6-v2 reads 256."),
    ({"dimensions": 256}, "dimensions", "384 dimensions and cannot be cut"),
    ({"dimensions": 0}, "dimensions", ">= 1"),
    ({"encoding_format": "hex"}, "encoding_format", "hex"),
    ({"input_type": "clustering"}, "input_type", "clustering"),
]


@pytest.mark.parametrize(("change", "param", "reason"), REFUSED)
def test_what_cannot_be_done_is_refused_with_a_reason(
    client: openai.OpenAI, change: dict[str, Any], param: str, reason: str
) -> None:
    import openai

    with pytest.raises(openai.BadRequestError) as raised:
        client.embeddings.create(model=MODEL, input="kiln", extra_body=change)
    error = raised.value
    assert (error.type, error.param, error.code) == ("invalid_request_error", param, "bad_request")
    assert isinstance(error.body, dict)
    assert reason in error.body["message"]


def test_other_models_are_not_found(client: openai.OpenAI) -> None:
    import openai

    with pytest.raises(openai.NotFoundError) as raised:
        client.embeddings.create(model="text-embedding-3-small", input="kiln")
    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")
    assert f"Installed: {MODEL}" in str(raised.value)


def test_a_long_text_is_cut_when_asked(client: openai.OpenAI, encoder: OnnxEncoder) -> None:
    text = "word " * 300
    found = client.embeddings.create(model=MODEL, input=text, dimensions=384, extra_body={"truncate": True})
    np.testing.assert_array_equal(
        np.array(found.data[0].embedding, np.float32), encoder.encode_documents([text])[0]
    )
    assert found.usage.prompt_tokens == 256


def test_without_a_model_it_says_how_to_get_one(served: Served) -> None:
    import openai

    assert client_of(served).models.list().data == []
    with pytest.raises(openai.ConflictError, match="localsearch models pull all-MiniLM-L6-v2"):
        client_of(served).embeddings.create(model=MODEL, input="kiln")


def test_keys_rates_and_unknown_routes_are_told_as_clients_expect(tmp_path: Path) -> None:
    import openai

    home = tmp_path / "home"
    db = ServiceDatabase(home)
    key, text = Keys(db).create("reader")
    limits = replace(LimitSettings(), rate=0.001, burst=2)
    with notes(home, limits, require_keys=True) as one:
        with pytest.raises(openai.AuthenticationError) as refused:
            client_of(one).models.list()
        assert (refused.value.code, refused.value.type) == ("invalid_api_key", "invalid_request_error")
        assert client_of(one, text).models.list().data == []
        with pytest.raises(openai.NotFoundError):
            client_of(one, text).files.list()
        with pytest.raises(openai.RateLimitError) as limited:
            client_of(one, text).models.list()
        assert (limited.value.code, limited.value.type) == ("rate_limit_exceeded", "rate_limit_error")
        assert int(limited.value.response.headers["retry-after"]) > 1
    Keys(db).revoke(key.id)
    db.close()
    with notes(home) as one:
        # A key of ours that has ended is told, also where none is needed; any other text is no key there.
        with pytest.raises(openai.AuthenticationError):
            client_of(one, text).models.list()
        assert client_of(one, "sk-anything").models.list().data == []


def test_engine_embeds_texts_in_their_order(sample: Served, encoder: OnnxEncoder) -> None:
    vectors = sample.engine.embed(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((3, 384), np.float32)
    np.testing.assert_array_equal(vectors, encoder.encode_documents(TEXTS))
    np.testing.assert_array_equal(
        sample.engine.embed(TEXTS[1:2], kind="query")[0], encoder.encode_query(TEXTS[1])
    )
    assert sample.engine.embed([]).shape == (0, 384)
    assert sample.engine.embed([], kind="query").shape == (0, 384)


def test_vectors_have_length_1_also_of_a_model_that_does_not_normalise(tmp_path: Path) -> None:
    make(tmp_path / "long", Tiny(normalize=False))
    settings = Settings(home=tmp_path / "home", models=tmp_path / "models", offline=True)
    settings = replace(settings, model=ModelSettings(name="long"))
    with Engine.open(settings=settings) as engine:
        engine.models.import_folder(tmp_path / "long")
        raw = engine.models.encoder("long").encode_documents(["the cat", "a dog"])
        assert (np.abs(np.linalg.norm(raw, axis=1) - 1) > 0.1).all()
        found = engine.embed(["the cat", "a dog"])
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(found, raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-6)
