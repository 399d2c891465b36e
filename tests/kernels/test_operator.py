"""The fused operator against BERT in plain numpy and against ONNX Runtime's own operators."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from golden.texts import TEXTS
from golden.tiny_bert import Tiny, embedding, hidden, make, tokenizer
from numpy.typing import NDArray

from localsearch import kernels
from localsearch.models import ModelStore
from localsearch.models.network import fusable
from localsearch.models.runner import Session
from localsearch.settings import ModelSettings, Settings

GOLDEN = Path(__file__).parents[1] / "golden" / "all-MiniLM-L6-v2.npy"
SHAPES = {
    "two heads of 32": Tiny(width=64, heads=2, inner=128, positions=140),
    "heads of 64": Tiny(width=128, heads=2, inner=64, layers=1, positions=140),
    "one head of 192": Tiny(width=192, heads=1, inner=320, layers=1, positions=140),
    "roberta, cls": Tiny(width=64, heads=2, inner=64, positions=140, family="roberta", pooling="cls"),
}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(Settings(home=tmp_path, models=tmp_path / "models", model=ModelSettings(threads=2)))


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on a machine where the library is missing."""
    monkeypatch.setattr(kernels, "_LIBRARY", Path("missing.so"))
    forget()
    yield
    monkeypatch.undo()
    forget()


def forget() -> None:
    """Look at the library anew."""
    kernels.path_in_use.cache_clear()
    kernels.library.cache_clear()


def session_of(store: ModelStore, name: str) -> Session:
    path = store.folder / name / "int8.fused.onnx"
    return Session(path)


def cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
    return np.asarray((left * right).sum(-1) / norms, np.float32)


@pytest.mark.usefixtures("fused")
@pytest.mark.parametrize("tiny", SHAPES.values(), ids=SHAPES.keys())
def test_every_length_gives_the_same_as_plain_numpy(tiny: Tiny, store: ModelStore, tmp_path: Path) -> None:
    """Blocks of rows, queries and keys all end somewhere: each remainder occurs among these lengths."""
    weights = make(tmp_path / "tiny", tiny)
    store.import_folder(tmp_path / "tiny")
    session, size = session_of(store, "tiny"), tokenizer().get_vocab_size()
    random = np.random.default_rng(3)
    for length in [*range(1, 40), 47, 48, 49, 63, 64, 65, 95, 96, 97, 131]:
        ids = random.integers(5, size, (1, length)).astype(np.int32)
        [tokens, vector] = session.run({"ids": ids}, "tokens", "embedding")
        expected = hidden(weights, tiny, ids[0].tolist(), rounded=True)
        assert cosines(tokens[0], expected).min() > 0.9995, length
        assert cosines(vector[0], embedding(weights, tiny, ids[0].tolist())) > 0.99, length


@pytest.mark.usefixtures("fused")
def test_a_batch_is_its_texts_one_by_one(store: ModelStore, tmp_path: Path) -> None:
    make(tmp_path / "tiny", SHAPES["two heads of 32"])
    store.import_folder(tmp_path / "tiny")
    session = session_of(store, "tiny")
    ids = np.random.default_rng(4).integers(5, 60, (7, 53)).astype(np.int32)
    [together] = session.run({"ids": ids}, "tokens")
    for row, text in zip(together, ids):
        np.testing.assert_array_equal(row, session.run({"ids": text[None]}, "tokens")[0][0])


@pytest.mark.usefixtures("fused")
def test_long_and_short_texts_at_once_on_many_threads(store: ModelStore, tmp_path: Path) -> None:
    """Each thread keeps room of its own, and lets it grow."""
    make(tmp_path / "tiny", SHAPES["heads of 64"])
    store.import_folder(tmp_path / "tiny")
    session, random = session_of(store, "tiny"), np.random.default_rng(5)
    texts = [random.integers(5, 60, (1, length)).astype(np.int32) for length in (3, 130, 7, 64, 1, 99) * 20]
    alone = [session.run({"ids": ids}, "embedding")[0] for ids in texts]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda ids: session.run({"ids": ids}, "embedding")[0], texts))
    for one, other in zip(found, alone):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("fused")
def test_the_default_model_uses_it_and_comes_closer(model_folder: Path) -> None:
    golden = np.load(GOLDEN)
    store = ModelStore(Settings(home=model_folder, models=model_folder))
    found = store.encoder(precision="int8").encode_documents(TEXTS)
    assert (model_folder / "all-MiniLM-L6-v2" / "int8.fused.onnx").is_file()
    assert cosines(found, golden).mean() > 0.998
    assert cosines(found, golden).min() > 0.99


@pytest.mark.usefixtures("without")
def test_without_it_the_same_texts_have_nearly_the_same_vectors(model_folder: Path) -> None:
    """Weights of 7 bits, which no processor saturates: further from fp32, and judged collections rank alike."""
    golden = np.load(GOLDEN)
    store = ModelStore(Settings(home=model_folder, models=model_folder))
    plain = store.encoder(precision="int8")
    found = plain.encode_documents(TEXTS)
    assert cosines(found, golden).min() > 0.98
    assert cosines(found, golden).mean() > 0.99
    forget()
    assert plain.fingerprint == store.encoder(precision="int8").fingerprint


@pytest.mark.usefixtures("fused")
def test_both_8_bit_graphs_agree(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So an index made with one may be searched with the other."""
    store = ModelStore(Settings(home=model_folder, models=model_folder))
    fast = store.encoder(precision="int8").encode_documents(TEXTS)
    monkeypatch.setattr(kernels, "library", lambda: None)
    plain = store.encoder(precision="int8").encode_documents(TEXTS)
    assert (fast != plain).any()
    assert cosines(fast, plain).min() > 0.975


@pytest.mark.usefixtures("fused")
def test_a_reranker_scores_alike_with_and_without(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "judge", Tiny(width=64, inner=128, labels=1, prefix="bert.", layers=3, positions=140))
    store.import_folder(tmp_path / "judge")
    passages = ["the cat sat on the mat", "a dog", "", "the river " * 20]
    expected = store.reranker("judge", "fp32").score("the red dog", passages)
    np.testing.assert_allclose(
        store.reranker("judge", "int8").score("the red dog", passages), expected, atol=0.05
    )


@pytest.mark.parametrize(
    ("tiny", "known"),
    [
        (Tiny(width=64, heads=2, inner=128), True),
        (Tiny(width=64, heads=4, inner=128), False),
        (Tiny(width=96, heads=3, inner=128), False),
        (Tiny(width=64, heads=2, inner=96), False),
        (Tiny(width=64, heads=2, inner=128, activation="gelu_new"), False),
    ],
)
def test_only_shapes_it_knows_get_a_fused_graph(
    tiny: Tiny, known: bool, store: ModelStore, tmp_path: Path
) -> None:
    make(tmp_path / "tiny", tiny)
    store.import_folder(tmp_path / "tiny")
    written = (store.folder / "tiny" / "int8.fused.onnx").is_file()
    assert written == known
    found = store.encoder("tiny", "int8").encode_documents(["the red dog", ""])
    assert cosines(found, store.encoder("tiny", "fp32").encode_documents(["the red dog", ""])).min() > 0.995


def test_fusable_wants_whole_registers() -> None:
    from localsearch.models.bert import read_shape

    sizes = {
        "num_hidden_layers": 1,
        "hidden_size": 384,
        "intermediate_size": 1536,
        "max_position_embeddings": 8,
    }
    shapes = [
        read_shape({"model_type": "bert", "num_attention_heads": heads, **sizes}) for heads in (12, 6, 8, 16)
    ]
    assert [fusable(shape) for shape in shapes] == [True, True, False, False]


def test_a_library_that_does_not_load_counts_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built for a newer C library, or cut short."""
    (tmp_path / "kernels.so").write_bytes(b"\x7fELF, but no more")
    monkeypatch.setattr(kernels, "_LIBRARY", tmp_path / "kernels.so")
    forget()
    assert kernels.library() is None
    monkeypatch.undo()
    forget()


@pytest.mark.usefixtures("fused")
def test_a_graph_of_other_sizes_is_refused_not_computed(store: ModelStore, tmp_path: Path) -> None:
    """A damaged graph ends in an error of ONNX Runtime's, in a process of its own in case it does not."""
    import onnx

    make(tmp_path / "tiny", SHAPES["two heads of 32"])
    store.import_folder(tmp_path / "tiny")
    path = store.folder / "tiny" / "int8.fused.onnx"
    model = onnx.load(path, load_external_data=False)
    for item in model.graph.initializer:
        if item.name == "embeddings.hidden.shift":
            item.CopyFrom(onnx.numpy_helper.from_array(np.zeros((64, 64), np.float32), item.name))
    path.write_bytes(model.SerializeToString())
    code = (
        "import numpy as np, sys; from pathlib import Path; from localsearch.models.runner import Session\n"
        "s = Session(Path(sys.argv[1]))\n"
        "try: s.run({'ids': np.ones((1, 64), np.int32)}, 'embedding')\n"
        "except Exception as error: print('refused', error)\n"
        "try: s.run({'ids': np.ones((1, 5), np.int32)}, 'embedding')\n"
        "except Exception as error: print('refused', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr
    assert "refused" in done.stdout
