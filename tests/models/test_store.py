"""The model folder: cards, verifying, removing, importing, precision, the processor."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from golden.tiny_bert import Tiny, make
from hatchling.builders.wheel import WheelBuilder

from localsearch.errors import (
    ConflictError,
    ModelDamagedError,
    ModelFormatError,
    ModelMissingError,
    NotFoundError,
    StorageError,
    UsageError,
)
from localsearch.models import Card, ModelStore, Pin
from localsearch.models.cards import all_cards, find_card, read_card
from localsearch.models.files import sha256
from localsearch.models.manifest import Manifest
from localsearch.platform.cores import cores
from localsearch.platform.processor import has_dot_product
from localsearch.settings import ModelSettings, Settings

KNOWN = {
    "all-MiniLM-L6-v2",
    "all-MiniLM-L12-v2",
    "bge-small-en-v1.5",
    "e5-small-v2",
    "multilingual-e5-small",
    "gte-small",
    "multilingual-e5-small-q4",
    "mdbr-leaf-ir",
    "mdbr-leaf-mt",
    "ms-marco-MiniLM-L12-v2",
    "snowflake-arctic-embed-xs",
    "snowflake-arctic-embed-s",
    "ms-marco-MiniLM-L6-v2",
    "ms-marco-TinyBERT-L2-v2",
    "granite-embedding-small-english-r2",
    "gte-modernbert-base",
    "mxbai-rerank-xsmall-v1",
}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(Settings(home=tmp_path, models=tmp_path / "models"))


@pytest.fixture
def tiny(store: ModelStore, tmp_path: Path) -> Path:
    """A small model, installed; its folder."""
    make(tmp_path / "tiny", Tiny())
    store.import_folder(tmp_path / "tiny")
    return store.folder / "tiny"


# Cards


def test_cards_are_complete() -> None:
    cards = {card.name: card for card in all_cards()}
    assert set(cards) == KNOWN
    for card in cards.values():
        assert card.licence in ("Apache-2.0", "MIT"), card.name
        packed = card.name == "multilingual-e5-small-q4"
        whole = {"model.safetensors", "tokenizer.json", "config.json"}
        whole |= {f"{path}/{name}" for path in card.dense for name in ("model.safetensors", "config.json")}
        assert set(card.files) == ({"e5-small-q4.bin"} if packed else whole), card.name
        assert card.summary, card.name
        assert card.sources[-1].kind == ("wheel" if packed else "hub"), card.name
        assert card.languages, card.name
        assert card.layers, card.name
        assert all(len(pin.sha256) in (0, 64) for pin in card.files.values()), card.name
    assert cards["e5-small-v2"].query_prefix == "query: "
    assert cards["bge-small-en-v1.5"].pooling == "cls"
    assert {card.name for card in cards.values() if card.kind == "reranker"} == {
        "ms-marco-MiniLM-L12-v2",
        "ms-marco-MiniLM-L6-v2",
        "ms-marco-TinyBERT-L2-v2",
        "mxbai-rerank-xsmall-v1",
    }


def test_unknown_card_lists_the_known() -> None:
    with pytest.raises(NotFoundError, match="no model card named gpt") as caught:
        find_card("gpt", all_cards())
    assert "all-MiniLM-L6-v2" in caught.value.hint
    assert "models import DIR" in caught.value.hint


def test_card_with_a_mistake_names_the_file_and_the_key(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('name = "bad"\ndimensions = "many"\n')
    with pytest.raises(ModelFormatError, match=r"bad\.toml.*dimensions"):
        read_card(path)
    path.write_text("name = \n")
    with pytest.raises(ModelFormatError, match=r"bad\.toml"):
        read_card(path)


def test_imported_models_are_listed_beside_the_cards(store: ModelStore, tiny: Path) -> None:
    assert {card.name for card in store.cards()} == KNOWN | {"tiny"}
    assert [card.name for card in store.cards() if store.installed(card.name)] == ["tiny"]


def test_one_broken_folder_does_not_hide_the_others(store: ModelStore, tiny: Path) -> None:
    (store.folder / "broken").mkdir()
    (store.folder / "broken" / "model.json").write_text("{")
    assert {card.name for card in store.cards()} == KNOWN | {"tiny", "broken"}


# Installed models


def test_verify_names_what_differs(store: ModelStore, tiny: Path) -> None:
    assert store.verify("tiny").name == "tiny"
    path = tiny / "int8.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelDamagedError, match=r"int8\.onnx does not match its SHA-256"):
        store.verify("tiny")
    path.write_bytes(whole[:-1])
    with pytest.raises(ModelDamagedError, match=f"has {len(whole) - 1:,} bytes instead of {len(whole):,}"):
        store.verify("tiny")
    path.unlink()
    with pytest.raises(ModelDamagedError, match=r"int8\.onnx is missing") as caught:
        store.verify("tiny")
    assert "models remove tiny" in caught.value.hint


def test_model_that_is_not_here(store: ModelStore) -> None:
    for action in (store.verify, store.remove, store.encoder, store.reranker):
        with pytest.raises(ModelMissingError, match="absent is not in"):
            action("absent")
    with pytest.raises(ModelMissingError) as caught:
        store.encoder()
    assert caught.value.hint == "Run: localsearch models pull all-MiniLM-L6-v2"


def test_names_cannot_leave_the_folder(store: ModelStore) -> None:
    for name in ("../x", "/etc", "", ".hidden", "a/b"):
        with pytest.raises(UsageError, match="cannot be a model's name"):
            store.remove(name)


def test_remove(store: ModelStore, tiny: Path) -> None:
    store.remove("tiny")
    assert not tiny.exists()
    assert not store.installed("tiny")


def test_graph_that_does_not_load(store: ModelStore, tiny: Path) -> None:
    (tiny / "int8.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelDamagedError, match=r"int8\.onnx does not load") as caught:
        store.encoder("tiny", "int8")
    assert "models verify" in caught.value.hint
    (tiny / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelDamagedError, match=r"tokenizer\.json does not parse"):
        store.encoder("tiny", "fp32")


def test_manifest_of_a_newer_release(store: ModelStore, tiny: Path) -> None:
    path = tiny / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(ModelFormatError, match="newer release"):
        store.encoder("tiny")


def test_encoder_is_no_reranker_and_the_reverse(store: ModelStore, tiny: Path, tmp_path: Path) -> None:
    make(tmp_path / "judge", Tiny(labels=1))
    store.import_folder(tmp_path / "judge")
    with pytest.raises(ModelFormatError, match="tiny is an embedding model, not a re-ranking model"):
        store.reranker("tiny")
    with pytest.raises(ModelFormatError, match="judge is a re-ranking model, not an embedding model"):
        store.encoder("judge")
    with pytest.raises(UsageError, match="no re-ranking model is set"):
        store.reranker()


# Importing


def test_import_does_not_replace(store: ModelStore, tiny: Path, tmp_path: Path) -> None:
    before = sha256(tiny / "model.json")
    make(tmp_path / "tiny", Tiny(seed=9))
    with pytest.raises(ConflictError, match="a model named tiny is installed"):
        store.import_folder(tmp_path / "tiny")
    assert sha256(tiny / "model.json") == before
    assert store.import_folder(tmp_path / "tiny", "tiny-9").name == "tiny-9"


def test_folder_named_as_a_card_must_be_that_model(tmp_path: Path) -> None:
    make(tmp_path / "known", Tiny())
    card = Card("known", dimensions=32, files={"model.safetensors": Pin("0" * 64)}, query_prefix="ask: ")
    store = ModelStore(Settings(home=tmp_path, models=tmp_path / "models"), [card])
    with pytest.raises(ModelDamagedError, match=r"model\.safetensors is not the file"):
        store.import_folder(tmp_path / "known")
    assert not store.installed("known")
    assert store.import_folder(tmp_path / "known", "my-own").query_prefix == ""
    right = Card("known", files={"model.safetensors": Pin(sha256(tmp_path / "known" / "model.safetensors"))})
    store = ModelStore(store.settings, [right])
    assert store.import_folder(tmp_path / "known").name == "known"


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    make(tmp_path / "tiny", Tiny())
    store = ModelStore(Settings(home=tmp_path, models=tmp_path / "models"))
    with pytest.raises(StorageError, match="cannot write to"):
        store.import_folder(tmp_path / "tiny")


def test_interrupted_conversion_leaves_nothing(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "tiny", Tiny())

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("localsearch.models.store.publish", stopped)
    with pytest.raises(KeyboardInterrupt):
        store.import_folder(tmp_path / "tiny")
    assert list(store.folder.iterdir()) == []


# Precision


def test_precision_auto_is_int8_on_every_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for safe in (True, False):
        monkeypatch.setattr("localsearch.models.store.safe_int8", lambda safe=safe: safe)
        for wanted, expected in (("auto", "int8"), ("int8", "int8"), ("fp32", "fp32")):
            settings = Settings(tmp_path, tmp_path, model=ModelSettings(precision=wanted))
            assert ModelStore(settings).precision() == expected


def earlier(folder: Path, *, reduce_range: bool, without: str = "") -> Manifest:
    """A model as an earlier release left it: int8.onnx in 8 bits, or in 7 bits and no graph of our own."""
    manifest = Manifest.read(folder)
    files = {name: pin for name, pin in manifest.files.items() if name != without}
    found = replace(manifest, reduce_range=reduce_range, files=files)
    found.write(folder)
    return found


def test_weights_that_saturate_here_are_refused(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier release made int8.onnx in 8 bits on processors with VNNI; its folder may be carried elsewhere."""
    make(tmp_path / "tiny", Tiny())
    store.import_folder(tmp_path / "tiny")
    assert Manifest.read(store.folder / "tiny").reduce_range
    monkeypatch.setattr("localsearch.models.store.safe_int8", lambda: False)
    assert store.encoder("tiny").precision == "int8"
    earlier(store.folder / "tiny", reduce_range=False)
    assert store.encoder("tiny", "fp32").precision == "fp32"
    with pytest.raises(ModelFormatError, match="another kind of processor"):
        store.encoder("tiny", "int8")


def test_a_graph_of_our_own_has_one_fingerprint_whatever_made_it(store: ModelStore, tmp_path: Path) -> None:
    """An index and a model folder carried between machines open without embedding anew."""
    make(tmp_path / "tiny", Tiny(width=64, heads=2, inner=128))
    store.import_folder(tmp_path / "tiny")
    folder = store.folder / "tiny"
    now = Manifest.read(folder).fingerprint("int8")
    assert earlier(folder, reduce_range=False).fingerprint("int8") == now
    assert earlier(folder, reduce_range=True, without="int8.fused.onnx").fingerprint("int8") != now


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("flags\t\t: fpu sse4_2 avx2 avx512f avx512_vnni amx_int8", True),
        ("flags\t\t: fpu avx2 avx_vnni", True),
        ("flags\t\t: fpu sse4_2 avx2 avx512f avx512bw", False),
        ("Features\t: fp asimd evtstrm aes asimddp", True),
        ("Features\t: fp asimd evtstrm aes", False),
        ("flags: avx512_vnni\n\nflags: avx2", False),
        ("processor : 0", False),
        ("", False),
    ],
)
def test_dot_product_is_read_from_cpuinfo(cpuinfo: str, expected: bool) -> None:
    assert has_dot_product(cpuinfo) is expected


def test_cores_are_at_least_one() -> None:
    assert cores() >= 1


# Start-up


def test_importing_is_cheap_and_encoding_needs_no_onnx(model_folder: Path) -> None:
    code = """
import sys
import zipfile
from pathlib import Path
from localsearch.models import ModelStore
from localsearch.settings import Settings
heavy = {"onnx", "onnxruntime", "tokenizers", "numpy"} & set(sys.modules)
store = ModelStore(Settings(Path(sys.argv[1]), Path(sys.argv[1])))
store.encoder().encode_query("x")
print(sorted(heavy), "onnx" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(model_folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() in ("[] False", "['numpy'] False")


def test_every_card_goes_into_the_wheel_and_no_model_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, tree = Path(__file__).parents[2], tmp_path / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(root / name, tree)
    shutil.copytree(
        root / "localsearch", tree / "localsearch", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    shutil.copytree(root / "data" / "sample", tree / "data" / "sample")
    (tree / "models" / "pulled").mkdir(parents=True)
    (tree / "models" / "pulled" / "fp32.onnx").write_bytes(b"weights")
    for card in (root / "models").glob("*.toml"):
        shutil.copy(card, tree / "models")
    monkeypatch.setenv("LOCALSEARCH_KERNELS", "0")
    (wheel,) = WheelBuilder(str(tree)).build(directory=str(tmp_path / "dist"), versions=["standard"])
    packed = [
        name for name in zipfile.ZipFile(wheel).namelist() if "models/" in name and not name.endswith(".py")
    ]
    assert sorted(packed) == sorted(f"localsearch/models/cards/{card.name}.toml" for card in all_cards())
