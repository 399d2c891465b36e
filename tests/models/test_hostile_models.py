"""Model folders from elsewhere: each file wrong in itself, or none that belongs to the others. Nothing is installed."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden.tiny_bert import VOCABULARY, Tiny, make

from localsearch.cli.main import main
from localsearch.errors import LocalSearchError, ModelFormatError
from localsearch.models import ModelStore, builder
from localsearch.settings import Settings

Change = Callable[[Path], object]


def edit(name: str, change: Callable[[Any], Any]) -> Change:
    """Change a JSON file of the folder."""

    def act(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    return act


def config(**values: object) -> Change:
    return edit("config.json", lambda old: old | values)


def lacking(name: str) -> Change:
    return edit("config.json", lambda old: {key: value for key, value in old.items() if key != name})


def raw(name: str, content: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(content)


def header(change: Callable[[dict[str, Any]], object], tail: bytes = b"") -> Change:
    """Change the header of the weights; what follows stays."""

    def act(folder: Path) -> None:
        path = folder / "model.safetensors"
        whole = path.read_bytes()
        length = struct.unpack("<Q", whole[:8])[0]
        table = json.loads(whole[8 : 8 + length])
        change(table)
        text = json.dumps(table).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + whole[8 + length :] + tail)

    return act


WORDS = "embeddings.word_embeddings.weight"
PLACES = "embeddings.position_embeddings.weight"


def doubled(folder: Path) -> None:
    """A name twice in the header."""
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    text = whole[8 : 8 + length].rstrip()
    text = text[:-1] + b', "' + WORDS.encode() + b'": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}'
    path.write_bytes(struct.pack("<Q", len(text)) + text + whole[8 + length :])


def value(number: float) -> Change:
    """Put a number into the first array of the weights."""

    def act(folder: Path) -> None:
        path = folder / "model.safetensors"
        whole = bytearray(path.read_bytes())
        start = 8 + struct.unpack("<Q", whole[:8])[0]
        whole[start : start + 4] = np.float32(number).tobytes()
        path.write_bytes(whole)

    return act


def token(name: str, id: int) -> Change:
    return edit("tokenizer.json", lambda old: old | {"model": old["model"] | {"vocab": old["model"]["vocab"] | {name: id}}})  # fmt: skip


def special(id: int) -> Change:
    """The processor puts an id of its own around every text."""

    def change(old: Any) -> Any:
        old["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [id]
        return old

    return edit("tokenizer.json", change)


def frame(count: int) -> Change:
    def change(old: Any) -> Any:
        old["post_processor"]["special_tokens"]["[CLS]"] = {"id": "[CLS]", "ids": [2] * count, "tokens": ["[CLS]"] * count}  # fmt: skip
        return old

    return edit("tokenizer.json", change)


def growing(times: int) -> Change:
    """A normaliser that makes ten letters of one, so many times."""
    step = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10}
    return edit("tokenizer.json", lambda old: old | {"normalizer": {"type": "Sequence", "normalizers": [step] * times}})  # fmt: skip


def sparse(name: str, size: int) -> Change:
    def act(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.truncate(size)

    return act


def module(**values: object) -> Change:
    return edit("modules.json", lambda old: [old[0] | values, *old[1:]])


# fmt: off
HOSTILE: dict[str, tuple[Change, str]] = {
    "config: nested too deep": (raw("config.json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000), "deep"),
    "config: longer than such files are": (raw("config.json", b'{"a": "' + b"x" * 5_000_000 + b'"}'), "bytes"),
    "config: a list": (raw("config.json", b"[]"), "object"),
    "config: no JSON": (raw("config.json", b"\x00\xff"), "does not parse"),
    "config: a number of 5,000 digits": (raw("config.json", b'{"hidden_size": ' + b"9" * 5000 + b"}"), "parse"),
    "config: no width": (lacking("hidden_size"), "hidden_size"),
    "config: no layers": (lacking("num_hidden_layers"), "num_hidden_layers"),
    "config: a width of 0": (config(hidden_size=0), "hidden_size"),
    "config: a negative width": (config(hidden_size=-32), "hidden_size"),
    "config: a width that is no number": (config(hidden_size="32"), "hidden_size"),
    "config: a width that is null": (config(hidden_size=None), "hidden_size"),
    "config: another width": (config(hidden_size=64, num_attention_heads=2), "shape"),
    "config: a billion layers": (config(num_hidden_layers=10**9), "num_hidden_layers"),
    "config: more layers than the weights": (config(num_hidden_layers=3), "no weights named"),
    "config: fewer layers than the weights": (config(num_hidden_layers=1), "has more"),
    "config: no heads": (config(num_attention_heads=0), "num_attention_heads"),
    "config: heads that do not divide the width": (config(num_attention_heads=5), "divide"),
    "config: another inner size": (config(intermediate_size=65), "shape"),
    "config: more positions than the weights": (config(max_position_embeddings=512), "shape"),
    "config: 2**62 positions": (config(max_position_embeddings=2**62), "max_position_embeddings"),
    "config: another vocabulary": (config(vocab_size=30_522), "shape"),
    "config: more segments than the weights": (config(type_vocab_size=7), "shape"),
    "config: padding beyond the positions": (config(model_type="roberta", pad_token_id=100), "leaves none"),
    "config: a negative padding": (config(model_type="roberta", pad_token_id=-5), "pad_token_id"),
    "config: an epsilon of 0": (config(layer_norm_eps=0), "layer_norm_eps"),
    "config: an epsilon that is none": (raw("config.json", b'{"model_type": "bert", "layer_norm_eps": NaN}'), "config"),
    "config: architectures that are none": (config(architectures=5, hidden_size="x"), "hidden_size"),
    "config: labels without a classifier": (config(architectures=["BertForSequenceClassification"], num_labels=1), "classifier"),
    "weights: empty": (raw("model.safetensors", b""), "no safetensors header"),
    "weights: a header of 2**63 bytes": (raw("model.safetensors", struct.pack("<Q", 1 << 63) + b"{}"), "no safetensors"),
    "weights: a header beyond the file": (raw("model.safetensors", struct.pack("<Q", 500) + b"{}"), "no safetensors"),
    "weights: a header that is a list": (raw("model.safetensors", struct.pack("<Q", 2) + b"[]"), "header is none"),
    "weights: a header nested too deep": (
        raw("model.safetensors", struct.pack("<Q", 200_000) + b"[" * 200_000), "does not parse"),
    "weights: a row that is no table": (header(lambda old: old.update({WORDS: 7})), "header is none"),
    "weights: a row without offsets": (header(lambda old: old[WORDS].pop("data_offsets")), "data_offsets"),
    "weights: negative offsets": (header(lambda old: old[WORDS].update(data_offsets=[-8, 8])), "header is none"),
    "weights: offsets backwards": (header(lambda old: old[WORDS]["data_offsets"].reverse()), "not those of its shape"),
    "weights: offsets beyond the file": (
        header(lambda old: old.update(x={"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]})), "overlaps"),
    "weights: arrays that overlap": (
        header(lambda old: old[PLACES].update(data_offsets=[0, 48 * 32 * 4])), "overlaps"),
    "weights: a gap": (header(lambda old: old.pop(PLACES)), "gap"),
    "weights: bytes behind the last array": (header(lambda old: None, b"x" * 64), "longer than its header"),
    "weights: a shape of another size": (header(lambda old: old[WORDS].update(shape=[1, 1])), "not those of its shape"),
    "weights: a shape of 2**60": (header(lambda old: old[WORDS].update(shape=[2**60, 2**60])), "header is none"),
    "weights: a negative shape": (header(lambda old: old[WORDS].update(shape=[-1, -1])), "header is none"),
    "weights: a shape of 10,000 dimensions": (header(lambda old: old[WORDS].update(shape=[1] * 10_000)), "header is none"),
    "weights: a type that is none": (header(lambda old: old[WORDS].update(dtype="F33")), "type that is none"),
    "weights: integers for floats": (header(lambda old: old[WORDS].update(dtype="I32")), "not a float type"),
    "weights: a transposed shape": (header(lambda old: old[WORDS]["shape"].reverse()), "shape"),
    "weights: a name twice": (doubled, "does not parse"),
    "weights: no word table": (header(lambda old: old.update({"x": old.pop(WORDS)})), "not named as BERT"),
    "weights: what is no number": (value(float("nan")), "what is no weight"),
    "weights: without end": (value(float("inf")), "what is no weight"),
    "weights: so large that answers overflow": (value(3e38), "what is no weight"),
    "weights: a terabyte of nothing": (sparse("model.safetensors", 1 << 40), "are the most"),
    "tokenizer: empty": (raw("tokenizer.json", b""), "does not parse"),
    "tokenizer: a list": (raw("tokenizer.json", b"[1, 2]"), "does not parse"),
    "tokenizer: nested too deep": (raw("tokenizer.json", b'{"a":' * 100_000), "does not parse|ended"),
    "tokenizer: a normaliser nested too deep": (
        raw("tokenizer.json", b'{"version": "1.0", "normalizer": ' + b'{"type": "Sequence", "normalizers": [' * 20_000),
        "does not parse|ended"),
    "tokenizer: a token beyond the weights": (token("far", 10**6), "weights end at"),
    "tokenizer: one token more than the weights": (token("next", len(VOCABULARY)), "weights end at"),
    "tokenizer: a token of -1": (token("x", -1), "does not parse"),
    "tokenizer: a token of 2**32": (token("x", 2**32), "does not parse"),
    "tokenizer: puts an id around that is none": (special(77_777), "weights end at"),
    "tokenizer: puts more around than fits": (frame(40), "tokens around a text"),
    "tokenizer: makes a thousand letters of one": (growing(3), "characters or tokens"),
    "tokenizer: makes 10**9 letters of one": (growing(9), "characters or tokens|memory|cannot be built|ended"),
    "tokenizer: of another model": (
        edit("tokenizer.json", lambda old: old | {"model": {"type": "Unknown", "vocab": {}}}), "does not parse"),
    "modules: a path that leads out": (module(path="../../etc"), "outside of it"),
    "modules: an absolute path": (module(path="/etc"), "outside of it"),
    "modules: a path with a NUL": (module(path="a\0b"), "outside of it"),
    "modules: code of the folder": (module(type="evil.Transformer"), "none of sentence-transformers"),
    "modules: none": (raw("modules.json", b"[]"), "no module"),
    "modules: a table": (raw("modules.json", b"{}"), "array"),
    "modules: nested too deep": (raw("modules.json", b"[" * 100_000), "deep"),
    "pooling: elsewhere": (edit("modules.json", lambda old: [old[0], old[1] | {"path": "../.."}, old[2]]), "outside of it"),
    "pooling: a number": (raw("1_Pooling/config.json", b'{"pooling_mode": 5}'), "pooling is 5"),
    "pooling: nested modes": (raw("1_Pooling/config.json", b'{"pooling_mode": [["mean"]]}'), "pooling is"),
    "prompts: a list": (raw("config_sentence_transformers.json", b'{"prompts": [1]}'), "object"),
    "prompts: a number": (raw("config_sentence_transformers.json", b'{"prompts": {"query": 5}}'), "str"),
    "prompts: a million characters": (
        raw("config_sentence_transformers.json", json.dumps({"prompts": {"query": "x" * 10**6}}).encode()), "2,000"),
    "prompts: a lone surrogate": (
        raw("config_sentence_transformers.json", b'{"prompts": {"query": "\\ud800"}}'), "is no text"),
}
# fmt: on


@pytest.mark.parametrize(("change", "words"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_model_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, words: str
) -> None:
    monkeypatch.setattr("localsearch.models.export.available", lambda: False)
    make(tmp_path / "tiny", Tiny())
    change(tmp_path / "tiny")
    store = ModelStore(Settings(home=tmp_path, models=tmp_path / "models"))
    with pytest.raises(LocalSearchError, match=words) as caught:
        store.import_folder(tmp_path / "tiny")
    assert caught.value.hint
    assert len(caught.value.message) < 1000
    assert not store.installed("tiny")
    assert list((tmp_path / "models").glob("*")) == []


def test_a_segment_that_the_weights_lack_is_refused(tmp_path: Path) -> None:
    def change(old: Any) -> Any:
        for piece in old["post_processor"]["pair"][3:]:
            next(iter(piece.values()))["type_id"] = 9
        return old

    make(tmp_path / "judge", Tiny(labels=1))
    edit("tokenizer.json", change)(tmp_path / "judge")
    with pytest.raises(ModelFormatError, match="segment that the weights lack"):
        ModelStore(Settings(home=tmp_path, models=tmp_path / "models")).import_folder(tmp_path / "judge")


def test_the_command_line_tells_it_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALSEARCH_MODELS", str(tmp_path / "models"))
    make(tmp_path / "tiny", Tiny())
    config(hidden_size=None)(tmp_path / "tiny")
    assert main(["--home", str(tmp_path / "home"), "models", "import", str(tmp_path / "tiny")]) == 1
    said = capsys.readouterr().err
    assert "hidden_size" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.kill(os.getpid(), 11)", "SIGSEGV"),
        ("import os; os._exit(3)", "status 3"),
        ("print('x' * 10)", "nonsense"),
        ("print('x' * 10_000_000)", "nonsense"),
        ("import time; time.sleep(600)", "more than"),
        ("raise MemoryError", "memory"),
        ("import sys; sys.stdout.write('{\"dimensions\": -1}')", "nonsense"),
    ],
)
def test_a_builder_that_was_taken_over_costs_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    module = tmp_path / "code" / "taken_over.py"
    module.parent.mkdir()
    module.write_text(code)
    monkeypatch.setattr(builder, "_MODULE", "taken_over")
    monkeypatch.setattr(builder, "_WALL_S", 20 if "sleep" not in code else 1)
    monkeypatch.syspath_prepend(str(module.parent))
    make(tmp_path / "tiny", Tiny())
    with pytest.raises(ModelFormatError, match=words):
        ModelStore(Settings(home=tmp_path, models=tmp_path / "models")).import_folder(tmp_path / "tiny")


def test_the_builder_is_confined(tmp_path: Path) -> None:
    """It writes its folder and no other, opens no foreign file and no socket, starts nothing."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("x")
    script = (
        "import json, os, socket, subprocess, sys\n"
        "from pathlib import Path\n"
        "from localsearch.platform.confine import Room, confine\n"
        "inside, outside = map(Path, sys.argv[1:])\n"
        "found = confine(Room(1 << 30, writable=inside))\n"
        "if 'version' not in found.get('landlock', ''): print('null'); sys.exit()\n"
        "def tried(act):\n"
        "    try: act()\n"
        "    except OSError: return 'refused'\n"
        "    return 'done'\n"
        "acts = {'write': lambda: (inside / 'a').write_text('x'), 'read': lambda: (inside / 'a').read_text(),\n"
        "  'write outside': lambda: (outside / 'a').write_text('x'), 'read outside': lambda: (outside / 'secret').read_text(),\n"
        "  'chmod': lambda: (inside / 'a').chmod(0o777), 'unlink': lambda: (inside / 'a').unlink(),\n"
        "  'link': lambda: os.symlink('/etc/passwd', inside / 'b'), 'rename': lambda: os.rename(inside / 'a', inside / 'b'),\n"
        "  'socket': lambda: socket.socket(), 'program': lambda: subprocess.run(['/bin/true'])}\n"
        "print(json.dumps({name: tried(act) for name, act in acts.items()}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(inside), str(outside)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    if found is None:
        pytest.skip("this kernel has no Landlock")
    assert {name for name, result in found.items() if result == "done"} == {"write", "read"}
