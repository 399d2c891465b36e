"""deploy/Containerfile, built in folders and run: as its user, its root read-only, without a network."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from containers import Builder, Container, Running, Stage, parse
from harness import need_root

CHECKOUT = Path(__file__).parents[2]
SAMPLE = CHECKOUT / "data" / "sample"
ASK = """
import json, sys, urllib.error, urllib.request
method, path, body, key = json.load(sys.stdin)
headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
data = json.dumps(body).encode() if body else None
request = urllib.request.Request("http://127.0.0.1:8765" + path, data, headers, method=method)
try:
    answer = urllib.request.urlopen(request, timeout=60)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, json.loads(answer.read())]))
"""


def ask(inside: Running, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
    done = inside.execute(["python", "-c", ASK], json.dumps([method, path, body, key]))
    assert done.returncode == 0, done.stderr
    status, found = json.loads(done.stdout)
    return status, found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    need_root("making root folders")
    for program in ("debootstrap", "unshare", "nsenter", "setpriv", "ip"):
        if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
            pytest.skip(f"{program} is not installed (Debian's packages debootstrap, util-linux, iproute2)")
    work = tmp_path_factory.mktemp("container")
    started = time.perf_counter()
    stage = Builder(CHECKOUT, work, {}).build(parse((CHECKOUT / "deploy" / "Containerfile").read_text()))
    size = sum(
        path.lstat().st_size for path in stage.root.rglob("*") if path.is_file() and not path.is_symlink()
    )
    print(f"\nbuilt in {time.perf_counter() - started:.0f} s, {size / 1e6:.0f} MB")
    yield stage
    shutil.rmtree(work)


@pytest.fixture
def container(built: Stage, tmp_path: Path) -> Container:
    """With an empty volume that belongs to its user."""
    volume = tmp_path / "volume"
    volume.mkdir(mode=0o700)
    os.chown(volume, 10001, 10001)
    return Container(built, {"/var/lib/localsearch": (volume, "rw"), "/documents": (SAMPLE, "ro")})


def test_no_compiler_and_no_installer_is_left(built: Stage) -> None:
    names = {path.name for path in built.root.rglob("*") if path.is_file()}
    assert {"python3.13", "kernels.so", "int8.onnx"} <= names
    tools = {"cc", "gcc", "g++", "c++", "clang", "zig", "tcc", "ld", "as", "make", "pip", "pip3"}
    assert not tools & names
    assert not any("ziglang" in path.name for path in built.root.rglob("*"))
    owned = [path for path in built.root.rglob("*") if path.lstat().st_uid == 10001]
    assert owned == [built.root / "var/lib/localsearch"]
    assert built.volumes == ["/var/lib/localsearch"]


def test_without_a_key_it_does_not_start(container: Container) -> None:
    refused = container.once(*container.stage.command)
    assert refused.returncode == 2, refused.stderr
    assert "localsearch keys create" in refused.stderr


def test_it_indexes_and_answers_as_its_user_with_its_root_read_only(
    container: Container, tmp_path: Path
) -> None:
    made = container.once("-q", "keys", "create", "me", "--scope", "admin")
    assert made.returncode == 0, made.stderr
    key = made.stdout.split()[-1]
    log = tmp_path / "log"
    with container.started(log) as inside:
        inside.wait_until_healthy()
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{inside.pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert status["Uid"].split() == status["Gid"].split() == ["10001"] * 4
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        for place in ("/x", "/opt/localsearch/x", "/usr/share/localsearch/models/x", "/documents/x"):
            assert "Read-only file system" in inside.execute(["touch", place]).stderr, place

        assert ask(inside, "GET", "/search?q=bread")[0] == 401
        indexed = inside.execute(["localsearch", "index", "/documents"])
        assert indexed.returncode == 0, indexed.stderr + log.read_text()
        wait_for_meaning(inside, key)
        words = {"query": "sourdough starter", "mode": "lexical", "limit": 1}
        meaning = {"query": "how do I keep yeast for baking alive", "mode": "semantic", "limit": 3}
        for body in (words, meaning):
            code, found = ask(inside, "POST", "/search", body, key)
            assert code == 200
            assert "sourdough" in " ".join(hit["path"] for hit in found["results"]), found
        assert inside.stop() == 0
    with container.started(log) as again:
        again.wait_until_healthy()
        assert ask(again, "POST", "/search", words, key)[1]["results"][0]["path"].startswith("/documents/")


def wait_for_meaning(inside: Running, key: str, seconds: float = 300.0) -> None:
    until = time.monotonic() + seconds
    while (answer := ask(inside, "GET", "/ready", key=key)[1])["semantic_coverage"] < 1:
        assert time.monotonic() < until, answer
        time.sleep(0.5)
